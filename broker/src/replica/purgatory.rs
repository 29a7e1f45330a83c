//! Requests that wait: produces for replication, fetches for something to read.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::Offset;
use crate::io::ConnectionId;
use crate::replica::PartitionKey;
use crate::replica::fetch::FetchJob;
use crate::replica::leader_hint::LeaderHint;
use crate::rpc::{Outbox, ReplyTo};
use crate::time::Instant;
use crate::wire::ErrorCode;
use crate::wire::messages::ProduceResponse;

/// Numbers the waiting requests in order of arrival.
pub type OperationId = u64;

/// One partition of a waiting produce: answered when the high watermark reaches `required` (REP-10).
#[derive(Debug, Clone)]
pub struct Awaited {
    /// The partition.
    pub key: PartitionKey,
    /// One past the last appended offset.
    pub required: Offset,
    /// Where its answer is in the response: topic, then partition.
    pub at: (usize, usize),
}

/// A produce with acks=all that is appended and not yet replicated.
#[derive(Debug)]
pub struct DelayedProduce {
    /// Who asked.
    pub to: ReplyTo,
    /// The answer as it will be if all goes well.
    pub response: ProduceResponse,
    /// What is still missing.
    pub awaited: Vec<Awaited>,
    /// `timeout_ms` of the request.
    pub deadline: Instant,
}

impl DelayedProduce {
    fn settle(
        &mut self,
        key: &PartitionKey,
        up_to: Offset,
        error: Option<ErrorCode>,
        leader: Option<&LeaderHint>,
    ) {
        let (response, to) = (&mut self.response, &self.to);
        self.awaited.retain(|awaited| {
            if awaited.key != *key || awaited.required > up_to {
                return true;
            }
            if let Some(error) = error {
                set_error(response, awaited.at, error);
            }
            if let Some(leader) = leader {
                leader.tell_producer(response, awaited.at, to);
            }
            false
        });
    }
}

fn set_error(response: &mut ProduceResponse, at: (usize, usize), error: ErrorCode) {
    if let Some(answer) =
        response.responses.get_mut(at.0).and_then(|topic| topic.partition_responses.get_mut(at.1))
    {
        answer.error_code = error.code();
    }
}

/// What a waiting fetch looks at: everything in the log, or what is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watch {
    /// A follower waits for the log end.
    LogEnd,
    /// A consumer waits for the high watermark.
    HighWatermark,
}

/// Everything that waits, found by partition, deadline and connection. Asking for the next deadline costs nothing.
#[derive(Debug, Default)]
pub struct Purgatory {
    last_id: OperationId,
    produces: BTreeMap<OperationId, DelayedProduce>,
    fetches: BTreeMap<OperationId, (FetchJob, Instant)>,
    produce_watch: BTreeSet<(PartitionKey, Offset, OperationId)>,
    fetch_watch: BTreeSet<(PartitionKey, Watch, OperationId)>,
    deadlines: BTreeSet<(Instant, OperationId)>,
}

impl Purgatory {
    /// Parks a produce. It must wait for something.
    pub fn park_produce(&mut self, produce: DelayedProduce) {
        crate::invariant!(!produce.awaited.is_empty(), "a produce was parked that waits for nothing");
        self.last_id += 1;
        let id = self.last_id;
        for awaited in &produce.awaited {
            self.produce_watch.insert((awaited.key, awaited.required, id));
        }
        self.deadlines.insert((produce.deadline, id));
        self.produces.insert(id, produce);
    }

    /// Parks a fetch until `deadline`.
    pub fn park_fetch(&mut self, job: FetchJob, deadline: Instant) {
        self.last_id += 1;
        let id = self.last_id;
        for key in job.keys() {
            self.fetch_watch.insert((key, job.watch(), id));
        }
        self.deadlines.insert((deadline, id));
        self.fetches.insert(id, (job, deadline));
    }

    /// The high watermark of a partition reached `high_watermark`: what waited for it succeeds, or fails with `error` if
    /// too few are in sync by now.
    pub fn replicated(
        &mut self,
        key: &PartitionKey,
        high_watermark: Offset,
        error: Option<ErrorCode>,
        out: &mut Outbox,
    ) {
        self.settle_produces(key, high_watermark, error, None, out);
    }

    /// Leadership of a partition is lost: nobody will ever know whether what waited was replicated. Producers are told
    /// who leads instead.
    pub(super) fn fail_produces(&mut self, key: &PartitionKey, leader: &LeaderHint, out: &mut Outbox) {
        let error = ErrorCode::NotLeaderOrFollower;
        self.settle_produces(key, Offset::MAX, Some(error), Some(leader), out);
    }

    fn settle_produces(
        &mut self,
        key: &PartitionKey,
        up_to: Offset,
        error: Option<ErrorCode>,
        leader: Option<&LeaderHint>,
        out: &mut Outbox,
    ) {
        let range = (*key, Offset::MIN, 0)..=(*key, up_to, OperationId::MAX);
        while let Some(&entry) = self.produce_watch.range(range.clone()).next() {
            self.produce_watch.remove(&entry);
            let Some(produce) = self.produces.get_mut(&entry.2) else { continue };
            produce.settle(key, up_to, error, leader);
            if produce.awaited.is_empty() {
                self.answer_produce(entry.2, out);
            }
        }
    }

    fn answer_produce(&mut self, id: OperationId, out: &mut Outbox) {
        if let Some(produce) = self.remove_produce(id) {
            out.reply(produce.to, produce.response);
        }
    }

    fn remove_produce(&mut self, id: OperationId) -> Option<DelayedProduce> {
        let produce = self.produces.remove(&id)?;
        for awaited in &produce.awaited {
            self.produce_watch.remove(&(awaited.key, awaited.required, id));
        }
        self.deadlines.remove(&(produce.deadline, id));
        Some(produce)
    }

    /// The fetches that wait for this partition, in order of arrival. `None` asks for all kinds.
    pub fn fetches_waiting_for(&self, key: &PartitionKey, watch: Option<Watch>) -> Vec<OperationId> {
        let range = (*key, Watch::LogEnd, 0)..=(*key, Watch::HighWatermark, OperationId::MAX);
        self.fetch_watch
            .range(range)
            .filter(|(_, kind, _)| watch.is_none_or(|watch| watch == *kind))
            .map(|(_, _, id)| *id)
            .collect()
    }

    /// A waiting fetch.
    pub fn fetch(&self, id: OperationId) -> Option<&FetchJob> {
        self.fetches.get(&id).map(|(job, _)| job)
    }

    /// Takes a waiting fetch out, to answer it.
    pub fn take_fetch(&mut self, id: OperationId) -> Option<FetchJob> {
        let (job, deadline) = self.fetches.remove(&id)?;
        for key in job.keys() {
            self.fetch_watch.remove(&(key, job.watch(), id));
        }
        self.deadlines.remove(&(deadline, id));
        Some(job)
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Answers produces whose time is up, and returns the fetches whose time is up: they are answered with what there is.
    pub fn expire(&mut self, now: Instant, out: &mut Outbox) -> Vec<OperationId> {
        let mut fetches = Vec::new();
        while let Some(&(at, id)) = self.deadlines.first()
            && at <= now
        {
            self.deadlines.remove(&(at, id));
            match self.remove_produce(id) {
                Some(mut produce) => {
                    for awaited in &produce.awaited {
                        set_error(&mut produce.response, awaited.at, ErrorCode::RequestTimedOut);
                    }
                    out.reply(produce.to, produce.response);
                }
                None => fetches.push(id),
            }
        }
        fetches
    }

    /// Drops what waits for a connection that ended.
    pub fn forget(&mut self, connection: ConnectionId) {
        let of = |to: &ReplyTo| to.connection == connection;
        let produces: Vec<_> = self.produces.iter().filter(|(_, p)| of(&p.to)).map(|(id, _)| *id).collect();
        let fetches: Vec<_> =
            self.fetches.iter().filter(|(_, (job, _))| of(&job.to)).map(|(id, _)| *id).collect();
        for id in produces {
            self.remove_produce(id);
        }
        for id in fetches {
            self.take_fetch(id);
        }
    }

    /// How many requests wait: produces, fetches.
    pub fn len(&self) -> (usize, usize) {
        (self.produces.len(), self.fetches.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uuid;
    use crate::io::Listener;
    use crate::rpc::Outgoing;
    use crate::wire::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
    use crate::wire::{ApiKey, Response};

    const A: PartitionKey = (Uuid::from_u128(7), 0);
    const B: PartitionKey = (Uuid::from_u128(7), 1);

    fn to(connection: u64) -> ReplyTo {
        ReplyTo {
            connection: ConnectionId::incoming(connection),
            correlation_id: 1,
            api_key: ApiKey::Produce,
            api_version: 12,
            listener: Listener::Client,
        }
    }

    /// A produce of connection 1.
    fn produce(awaited: &[(PartitionKey, Offset)]) -> DelayedProduce {
        let answers = vec![PartitionProduceResponse::default(); awaited.len()];
        let topic = TopicProduceResponse::default().with_partition_responses(answers);
        let awaited = awaited.iter().enumerate();
        DelayedProduce {
            to: to(1),
            response: ProduceResponse::default().with_responses(vec![topic]),
            awaited: awaited
                .map(|(n, (key, required))| Awaited { key: *key, required: *required, at: (0, n) })
                .collect(),
            deadline: Instant(100),
        }
    }

    /// The error codes of the answers that went out.
    fn answers(out: &Outbox) -> Vec<Vec<i16>> {
        let of = |effect: &Outgoing| match effect {
            Outgoing::Reply { response: Response::Produce(answer), .. } => {
                answer.responses[0].partition_responses.iter().map(|data| data.error_code).collect()
            }
            other => panic!("{other:?}"),
        };
        out.list.iter().map(of).collect()
    }

    #[test]
    fn a_produce_to_two_partitions_waits_for_both() {
        let (mut purgatory, mut out) = (Purgatory::default(), Outbox::default());
        purgatory.park_produce(produce(&[(A, 5), (B, 3)]));
        purgatory.replicated(&A, 4, None, &mut out);
        purgatory.replicated(&B, 3, None, &mut out);
        assert!(answers(&out).is_empty());
        purgatory.replicated(&A, 9, Some(ErrorCode::NotEnoughReplicasAfterAppend), &mut out);
        assert_eq!(answers(&out), [[20, 0]]);
        assert_eq!((purgatory.len(), purgatory.next_deadline()), ((0, 0), None));
    }

    #[test]
    fn a_partition_named_twice_waits_for_the_later_records_too() {
        let (mut purgatory, mut out) = (Purgatory::default(), Outbox::default());
        purgatory.park_produce(produce(&[(A, 1), (A, 2)]));
        purgatory.replicated(&A, 1, None, &mut out);
        assert!(answers(&out).is_empty());
        purgatory.replicated(&A, 2, None, &mut out);
        assert_eq!(answers(&out), [[0, 0]]);
    }

    #[test]
    fn what_expires_tells_which_partitions_are_missing() {
        let (mut purgatory, mut out) = (Purgatory::default(), Outbox::default());
        purgatory.park_produce(produce(&[(A, 5), (B, 3)]));
        purgatory.replicated(&B, 3, None, &mut out);
        assert!(purgatory.expire(Instant(99), &mut out).is_empty());
        assert!(answers(&out).is_empty());
        purgatory.expire(Instant(100), &mut out);
        assert_eq!(answers(&out), [[7, 0]]);
        purgatory.replicated(&A, 5, None, &mut out);
        assert_eq!(out.list.len(), 1, "it is answered once");
    }

    #[test]
    fn a_lost_leadership_answers_for_its_partition_only() {
        let (mut purgatory, mut out) = (Purgatory::default(), Outbox::default());
        purgatory.park_produce(produce(&[(A, 5), (B, 3)]));
        purgatory.fail_produces(&A, &LeaderHint::nobody(), &mut out);
        purgatory.replicated(&B, 3, None, &mut out);
        assert_eq!(answers(&out), [[6, 0]]);
    }

    #[test]
    fn a_closed_connection_leaves_nothing_behind() {
        let (mut purgatory, mut out) = (Purgatory::default(), Outbox::default());
        purgatory.park_produce(produce(&[(A, 5)]));
        purgatory.forget(ConnectionId::incoming(2));
        assert_eq!(purgatory.len(), (1, 0));
        purgatory.forget(ConnectionId::incoming(1));
        purgatory.replicated(&A, 5, None, &mut out);
        assert_eq!((purgatory.len(), purgatory.next_deadline(), out.list.len()), ((0, 0), None, 0));
    }
}
