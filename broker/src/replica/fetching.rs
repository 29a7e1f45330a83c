//! The broker's fetchers: what they send, and what their answers do (REP-2, REP-4).

use std::collections::BTreeMap;

use crate::defects::Defect;
use crate::ids::{NO_EPOCH, NodeId};
use crate::io::{Disk, Listener};
use crate::replica::PartitionKey;
use crate::replica::follower::{Copied, Requested, copy};
use crate::replica::manager::{Event, ReplicaManager, Timer};
use crate::rpc::{Call, CallResult, Caller, Outbox};
use crate::time::{Duration, Instant};
use crate::wire::Response;
use crate::wire::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use crate::wire::messages::fetch_response::PartitionData;
use crate::wire::messages::{FetchRequest, FetchResponse};

impl ReplicaManager {
    /// Sends every fetch that can be sent.
    pub(super) fn send_fetches(&mut self, now: Instant, out: &mut Outbox) {
        let sources: Vec<NodeId> = self.fetchers.keys().copied().collect();
        for source in sources {
            self.send_fetch(source, now, out);
        }
    }

    /// Asks one leader for everything that follows it here; one question at a time, and none before the broker knows its
    /// epoch (KIP-903).
    pub(super) fn send_fetch(&mut self, source: NodeId, now: Instant, out: &mut Outbox) {
        let Some(fetcher) = self.fetchers.get_mut(&source) else { return };
        if fetcher.is_busy() || self.broker_epoch < 0 || self.is_stopping {
            return;
        }
        let ready = fetcher.ready(now);
        if ready.is_empty() {
            if let Some(at) = fetcher.next_ready() {
                self.timers.schedule(Timer::Fetcher(source), at);
            }
            return;
        }
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut asked = Vec::with_capacity(ready.len());
        for (key, leader_epoch) in ready {
            let Some(partition) = self.partitions.get(&key) else { continue };
            let log = &partition.log;
            if log.awaits_flush() {
                continue;
            }
            asked.push((key, log.log_end_offset()));
            let last_epoch = log.latest_epoch().unwrap_or(NO_EPOCH);
            // Before KIP-320 and KIP-595 a follower compared histories once, when its leader epoch changed.
            let (leader_epoch, last_epoch) = match self.rules.defects.has(Defect::UnfencedFetch) {
                true if fetcher.has_agreed(&key) => (NO_EPOCH, NO_EPOCH),
                true => (NO_EPOCH, last_epoch),
                false => (leader_epoch, last_epoch),
            };
            let entry = FetchPartition::default()
                .with_partition(key.1)
                .with_current_leader_epoch(leader_epoch)
                .with_fetch_offset(log.log_end_offset())
                .with_last_fetched_epoch(last_epoch)
                .with_log_start_offset(log.log_start_offset())
                .with_partition_max_bytes(self.config.replica_fetch_max_bytes);
            match topics.last_mut().filter(|topic| topic.topic_id == key.0) {
                Some(topic) => topic.partitions.push(entry),
                None => {
                    topics.push(FetchTopic::default().with_topic_id(key.0).with_partitions(vec![entry]));
                }
            }
        }
        if asked.is_empty() {
            return;
        }
        self.fetch_calls += 1;
        fetcher.sent(self.fetch_calls, asked.into_iter());
        let replica_state = ReplicaState::default()
            .with_replica_id(self.rules.me.0.into())
            .with_replica_epoch(self.broker_epoch);
        let request = FetchRequest::default()
            .with_replica_state(replica_state)
            .with_max_wait_ms(millis(self.config.replica_fetch_wait_max))
            .with_min_bytes(self.config.replica_fetch_min_bytes)
            .with_max_bytes(self.config.replica_fetch_response_max_bytes)
            .with_topics(topics);
        out.call(Call {
            caller: Caller::Fetcher,
            id: self.fetch_calls,
            to: source,
            listener: Listener::Replication,
            request: request.into(),
            timeout: self.config.request_timeout,
        });
    }

    /// A leader answered, or did not. An answer counts if it is to the fetch in flight.
    pub(super) fn fetch_answered(
        &mut self,
        id: u64,
        from: NodeId,
        result: CallResult,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let requested =
            self.fetchers.get_mut(&from).and_then(|fetcher| fetcher.answered(id)).unwrap_or_default();
        let mut requested: BTreeMap<PartitionKey, Requested> =
            requested.into_iter().map(|requested| (requested.key, requested)).collect();
        if let Ok(Response::Fetch(answer)) = result
            && answer.error_code == 0
        {
            self.copy_all(from, *answer, &mut requested, now, disk, out);
        }
        let pause = now + self.config.replica_fetch_backoff;
        if let Some(fetcher) = self.fetchers.get_mut(&from) {
            for unanswered in requested.values() {
                fetcher.pause(unanswered, pause);
            }
        }
        self.send_fetch(from, now, out);
    }

    /// Carries out an answer partition by partition; what is left in `requested` got none.
    fn copy_all(
        &mut self,
        from: NodeId,
        answer: FetchResponse,
        requested: &mut BTreeMap<PartitionKey, Requested>,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        for topic in &answer.responses {
            for data in &topic.partitions {
                let key = (topic.topic_id, data.partition_index);
                match requested.remove(&key) {
                    Some(requested) => self.copy_one(from, &requested, data, now, disk, out),
                    None => self.copy_stale(key, data, now, disk, out),
                }
            }
        }
    }

    /// An answer that is not to the fetch in flight, or to one from where the partition does not stand any more, is passed
    /// over; only the R16 defect carries it out nevertheless.
    fn copy_stale(
        &mut self,
        key: PartitionKey,
        data: &PartitionData,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        if !self.rules.defects.has(Defect::StaleFetchResponse) {
            return;
        }
        let Some(partition) = self.partitions.get_mut(&key).filter(|found| !found.is_leader()) else {
            return;
        };
        if let Copied::Failed(error) = copy(&mut partition.log, data, &self.rules, now, disk, out) {
            out.halt(format!("failed to copy to {}: {error}", partition.log.id()));
        }
        self.events.push((key, Event::HighWatermark));
    }

    fn copy_one(
        &mut self,
        from: NodeId,
        requested: &Requested,
        data: &PartitionData,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let key = requested.key;
        let (Some(fetcher), Some(partition)) = (self.fetchers.get_mut(&from), self.partitions.get_mut(&key))
        else {
            return self.copy_stale(key, data, now, disk, out);
        };
        if !fetcher.is_current(requested, partition.log.log_end_offset()) {
            return self.copy_stale(key, data, now, disk, out);
        }
        crate::invariant!(!partition.is_leader(), "{} leads and fetches", partition.log.id());
        let high_watermark = partition.log.high_watermark();
        match copy(&mut partition.log, data, &self.rules, now, disk, out) {
            Copied::Progress { has_records } => fetcher.agreed(key, has_records),
            Copied::Cut => {}
            Copied::Pause => fetcher.pause(requested, now + self.config.replica_fetch_backoff),
            Copied::Fenced => fetcher.fence(requested),
            Copied::Failed(error) => {
                out.halt(format!("failed to copy to {}: {error}", partition.log.id()));
            }
        }
        if partition.log.high_watermark() != high_watermark {
            self.events.push((key, Event::HighWatermark));
        }
        partition.log.flush_if_wanted(disk);
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
