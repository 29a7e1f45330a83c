//! The consumer itself, and what it asks of whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker::ids::{LeaderEpoch, NodeId, Offset, TopicId, TopicPartition};
use broker::io::{Address, Input};
use broker::time::{Instant, earliest};
use broker::wire::StrBytes;
use broker::wire::messages::fetch_request::{FetchPartition, FetchTopic};
use broker::wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use broker::wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use broker::wire::messages::{
    BrokerId, FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest, TopicName,
};

use super::position::{Position, Stage};
use crate::client::backoff::Backoff;
use crate::client::cluster::{Cluster, ClusterSettings};
use crate::client::config::{ConsumerConfig, OffsetReset};
use crate::client::network::NetworkSettings;
use crate::history::{HistoryEvent, PositionReason};
use crate::host::Outputs;
use crate::seed::{ChaCha8Rng, Seed};

/// `ListOffsetsRequest.EARLIEST_TIMESTAMP`.
const EARLIEST: i64 = -2;
/// `ListOffsetsRequest.LATEST_TIMESTAMP`.
const LATEST: i64 = -1;
/// "I am a consumer" in the field `replica_id`.
const CONSUMER: BrokerId = BrokerId(-1);
/// The Java consumer's `max.in.flight.requests.per.connection`.
const MAX_IN_FLIGHT: usize = 100;

/// What was asked about one partition, and from which state: an answer to an older state is ignored.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub(super) partition: i32,
    pub(super) offset: Offset,
    pub(super) leader_epoch: LeaderEpoch,
}

#[derive(Debug)]
pub(super) enum Ask {
    Offsets(Vec<About>),
    EpochEnds(Vec<About>),
    Fetch(Vec<About>),
}

/// A consumer of partitions of one topic. What it delivers comes out as history.
pub struct Consumer {
    pub(super) config: ConsumerConfig,
    pub(super) cluster: Cluster<Ask>,
    pub(super) topic: Arc<str>,
    pub(super) positions: BTreeMap<i32, Position>,
    /// Nodes with a fetch under way: one per node.
    pub(super) fetching: BTreeSet<NodeId>,
    pub(super) retry: Backoff,
    pub(super) rng: ChaCha8Rng,
    pub(super) damaged: u64,
    assigned: Option<Vec<i32>>,
    topic_id: Option<TopicId>,
    now: Instant,
}

impl Consumer {
    /// A consumer that reaches its cluster through `bootstrap` and reads `partitions` of `topic` (`None`: all of them).
    /// `name` is its `client.id`.
    pub fn new(
        config: ConsumerConfig,
        name: &str,
        bootstrap: &[Address],
        topic: Arc<str>,
        partitions: Option<Vec<i32>>,
        seed: u64,
    ) -> Self {
        let retry = config.retry();
        let settings = ClusterSettings {
            network: NetworkSettings {
                client_id: name.to_string(),
                request_timeout: config.request_timeout,
                reconnect: Backoff { initial: config.reconnect_backoff, max: config.reconnect_backoff_max },
                max_in_flight: MAX_IN_FLIGHT,
            },
            retry,
            metadata_max_age: config.metadata_max_age,
        };
        let mut cluster = Cluster::new(settings, bootstrap, seed);
        cluster.want(&topic);
        Consumer {
            config,
            cluster,
            topic,
            positions: BTreeMap::new(),
            fetching: BTreeSet::new(),
            retry,
            rng: Seed(seed).stream("consumer/retry"),
            damaged: 0,
            assigned: partitions,
            topic_id: None,
            now: Instant::ZERO,
        }
    }

    /// The next offset to be delivered of a partition that has a position.
    pub fn position(&self, partition: i32) -> Option<Offset> {
        let position = self.positions.get(&partition)?;
        matches!(position.stage, Stage::Fetch | Stage::Validate).then_some(position.offset)
    }

    /// Fetch answers in which damaged bytes were found.
    pub fn damaged_answers(&self) -> u64 {
        self.damaged
    }

    /// Takes one input, then asks for what is needed.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) {
        for answer in self.cluster.step(now, input, out) {
            match answer.tag {
                Ask::Offsets(about) => self.on_offsets(&about, answer.result, now, out),
                Ask::EpochEnds(about) => self.on_epoch_ends(&about, answer.result, now, out),
                Ask::Fetch(about) => {
                    self.fetching.remove(&answer.node);
                    self.on_fetched(&about, answer.result, now, out);
                }
            }
        }
        self.pump(now, out);
    }

    /// Asks for what is needed now.
    pub fn pump(&mut self, now: Instant, out: &mut Outputs) {
        self.now = now;
        self.take_metadata(out);
        let mut by_leader: BTreeMap<NodeId, Vec<i32>> = BTreeMap::new();
        for (number, position) in &self.positions {
            if !position.is_due(now) {
                continue;
            }
            match self.cluster.metadata().leader(&self.name(*number)) {
                Some((node, _)) => by_leader.entry(node).or_default().push(*number),
                None => self.cluster.request_update(),
            }
        }
        for (node, numbers) in by_leader {
            if self.cluster.ready(node, now, out) {
                self.ask_offsets(node, &numbers, now, out);
                self.ask_epoch_ends(node, &numbers, now, out);
                self.ask_records(node, &numbers, now, out);
            }
        }
        self.cluster.refresh(now, out);
    }

    pub(super) fn name(&self, number: i32) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), number)
    }

    /// Assigns partitions that have become known and compares leader epochs.
    fn take_metadata(&mut self, out: &mut Outputs) {
        let Some(topic) = self.cluster.metadata().topic(&self.topic) else { return };
        if self.topic_id.replace(topic.topic_id).is_some_and(|before| before != topic.topic_id) {
            // As in the Java consumer positions stay: they are out of range in the new topic, or happen to be in it
            // (KAFKA-12257). Its end is another one.
            self.positions.values_mut().for_each(|position| position.caught_up_at = None);
        }
        for (number, known) in &topic.partitions {
            if self.assigned.as_ref().is_some_and(|assigned| !assigned.contains(number)) {
                continue;
            }
            let is_free = self.config.auto_offset_reset == OffsetReset::None;
            let position = self.positions.entry(*number).or_insert_with(|| {
                if is_free {
                    let partition = TopicPartition::new(self.topic.clone(), *number);
                    let reason = PositionReason::Start;
                    out.history.push(HistoryEvent::Positioned { partition, offset: 0, reason });
                    return Position::new(Stage::Fetch);
                }
                Position::new(Stage::Reset(PositionReason::Start))
            });
            position.on_leader_epoch(known.leader_epoch);
        }
    }

    /// Those of `numbers` that are in this stage, with the leader epoch that the client knows.
    fn about(&self, numbers: &[i32], is_in_stage: impl Fn(Stage) -> bool) -> Vec<About> {
        let about = numbers.iter().filter_map(|number| {
            let position = self.positions.get(number).filter(|position| is_in_stage(position.stage))?;
            let (_, leader_epoch) = self.cluster.metadata().leader(&self.name(*number))?;
            Some(About { partition: *number, offset: position.offset, leader_epoch })
        });
        about.collect()
    }

    fn mark_asked(&mut self, about: &[About]) {
        for one in about {
            if let Some(position) = self.positions.get_mut(&one.partition) {
                position.is_asked = true;
            }
        }
    }

    fn topic_name(&self) -> TopicName {
        TopicName::from(StrBytes::from_string(self.topic.to_string()))
    }

    fn ask_offsets(&mut self, node: NodeId, numbers: &[i32], now: Instant, out: &mut Outputs) {
        let about = self.about(numbers, |stage| matches!(stage, Stage::Reset(_)));
        if about.is_empty() {
            return;
        }
        let timestamp = if self.config.auto_offset_reset == OffsetReset::Latest { LATEST } else { EARLIEST };
        let partitions = about.iter().map(|one| {
            ListOffsetsPartition::default()
                .with_partition_index(one.partition)
                .with_current_leader_epoch(one.leader_epoch)
                .with_timestamp(timestamp)
        });
        let topic =
            ListOffsetsTopic::default().with_name(self.topic_name()).with_partitions(partitions.collect());
        let request = ListOffsetsRequest::default()
            .with_replica_id(CONSUMER)
            .with_isolation_level(i8::from(self.config.is_read_committed))
            .with_timeout_ms(millis(self.config.request_timeout))
            .with_topics(vec![topic]);
        self.mark_asked(&about);
        self.cluster.ask(node, request, Ask::Offsets(about), now, out);
    }

    fn ask_epoch_ends(&mut self, node: NodeId, numbers: &[i32], now: Instant, out: &mut Outputs) {
        let about = self.about(numbers, |stage| stage == Stage::Validate);
        if about.is_empty() {
            return;
        }
        let partitions = about.iter().map(|one| {
            OffsetForLeaderPartition::default()
                .with_partition(one.partition)
                .with_current_leader_epoch(one.leader_epoch)
                .with_leader_epoch(self.positions.get(&one.partition).map_or(-1, |p| p.offset_epoch))
        });
        let topic = OffsetForLeaderTopic::default()
            .with_topic(self.topic_name())
            .with_partitions(partitions.collect());
        let request =
            OffsetForLeaderEpochRequest::default().with_replica_id(CONSUMER).with_topics(vec![topic]);
        self.mark_asked(&about);
        self.cluster.ask(node, request, Ask::EpochEnds(about), now, out);
    }

    fn ask_records(&mut self, node: NodeId, numbers: &[i32], now: Instant, out: &mut Outputs) {
        if self.fetching.contains(&node) {
            return;
        }
        let about = self.about(numbers, |stage| stage == Stage::Fetch);
        let Some(topic) = self.cluster.metadata().topic(&self.topic).filter(|_| !about.is_empty()) else {
            return;
        };
        let partitions = about.iter().map(|one| {
            FetchPartition::default()
                .with_partition(one.partition)
                .with_current_leader_epoch(one.leader_epoch)
                .with_fetch_offset(one.offset)
                .with_last_fetched_epoch(self.positions.get(&one.partition).map_or(-1, |p| p.offset_epoch))
                .with_partition_max_bytes(self.config.max_partition_fetch_bytes as i32)
        });
        let topic = FetchTopic::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect());
        let request = FetchRequest::default()
            .with_max_wait_ms(millis(self.config.fetch_max_wait))
            .with_min_bytes(self.config.fetch_min_bytes as i32)
            .with_max_bytes(self.config.fetch_max_bytes as i32)
            .with_isolation_level(i8::from(self.config.is_read_committed))
            .with_session_id(0)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        self.fetching.insert(node);
        self.cluster.ask(node, request, Ask::Fetch(about), now, out);
    }

    /// When the consumer wants `Input::TimerDue`.
    pub fn next_deadline(&self) -> Option<Instant> {
        let retries = self.positions.values().map(|position| position.retry_at).filter(|at| *at > self.now);
        earliest(retries.min(), self.cluster.next_deadline())
    }
}

fn millis(duration: broker::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
