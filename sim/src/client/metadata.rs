//! What one client knows about the cluster: brokers, topics, leaders (`Metadata`).
//!
//! Refreshed when someone needs it (an error that means "your view is old", an unknown topic, a lost connection), at
//! the latest after `metadata.max.age.ms`, never more often than the retry back-off allows.
//!
//! *Invariant:* the leader epoch of a partition never goes back while the topic keeps its id (KIP-320): an answer from
//! a broker that lags behind cannot send the client to a deposed leader.
//! The same holds for what a refusal says of the leader ([`LeaderHint`], KIP-951).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker::ids::{LeaderEpoch, NodeId, TopicId, TopicPartition};
use broker::io::Address;
use broker::time::{Duration, Instant};
use broker::wire::messages::metadata_request::MetadataRequestTopic;
use broker::wire::messages::metadata_response::MetadataResponsePartition;
use broker::wire::messages::{MetadataRequest, MetadataResponse, TopicName};
use broker::wire::{ErrorCode, NO_ERROR, StrBytes};

use super::backoff::Backoff;
use super::errors::means_stale_metadata;
use crate::seed::ChaCha8Rng;

/// `metadata.recovery.rebootstrap.trigger.ms` (KIP-1102).
const REBOOTSTRAP_AFTER: Duration = Duration::from_secs(300);

/// One partition as the client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Who leads it, if anyone does.
    pub leader: Option<NodeId>,
    /// In which leader epoch.
    pub leader_epoch: LeaderEpoch,
}

/// Who leads a partition according to the broker that refused to (KIP-951).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderHint {
    /// The leader.
    pub leader: NodeId,
    /// In which epoch.
    pub leader_epoch: LeaderEpoch,
    /// Where it is reached, if that was told.
    pub address: Option<Address>,
}

impl LeaderHint {
    /// What `current_leader` and the leader's entry in `node_endpoints` say; `None` if they name nobody.
    pub fn told(leader: i32, leader_epoch: LeaderEpoch, endpoint: Option<(&str, i32)>) -> Option<LeaderHint> {
        let address = endpoint.map(|(host, port)| Address::new(host, u16::try_from(port).unwrap_or(0)));
        let hint = LeaderHint { leader: NodeId(leader), leader_epoch, address };
        (leader >= 0 && leader_epoch >= 0).then_some(hint)
    }
}

/// One topic as the client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Which incarnation of the name (KIP-516).
    pub topic_id: TopicId,
    /// By partition number.
    pub partitions: BTreeMap<i32, PartitionMetadata>,
}

/// One client's view of the cluster.
#[derive(Debug)]
pub struct Metadata {
    max_age: Duration,
    backoff: Backoff,
    bootstrap: Vec<NodeId>,
    brokers: BTreeMap<NodeId, Address>,
    wanted: BTreeSet<Arc<str>>,
    topics: BTreeMap<Arc<str>, TopicMetadata>,
    last_seen: BTreeMap<TopicPartition, (TopicId, PartitionMetadata)>,
    /// The id under which each topic was last known, also while it does not exist.
    ids: BTreeMap<Arc<str>, TopicId>,
    /// Topics that were found to be others than before, since they were last asked for.
    replaced: Vec<(Arc<str>, TopicId)>,
    is_needed: bool,
    is_asked: bool,
    attempts: u32,
    not_before: Instant,
    refreshed_at: Option<Instant>,
    failing_since: Option<Instant>,
    version: u64,
}

impl Metadata {
    /// Knows only the nodes of `bootstrap.servers`.
    pub fn new(max_age: Duration, backoff: Backoff, bootstrap: Vec<NodeId>) -> Self {
        Metadata {
            max_age,
            backoff,
            bootstrap,
            brokers: BTreeMap::new(),
            wanted: BTreeSet::new(),
            topics: BTreeMap::new(),
            last_seen: BTreeMap::new(),
            ids: BTreeMap::new(),
            replaced: Vec::new(),
            is_needed: true,
            is_asked: false,
            attempts: 0,
            not_before: Instant::ZERO,
            refreshed_at: None,
            failing_since: None,
            version: 0,
        }
    }

    /// Asks for this topic from now on.
    pub fn want(&mut self, topic: &Arc<str>) {
        if !self.wanted.contains(topic) {
            self.wanted.insert(topic.clone());
            self.is_needed = true;
            self.not_before = Instant::ZERO;
        }
    }

    /// The view is known to be old or not enough: refresh as soon as the back-off allows.
    pub fn request_update(&mut self) {
        self.is_needed = true;
    }

    /// Counts answers that were taken in.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A topic, if it is known.
    pub fn topic(&self, name: &str) -> Option<&TopicMetadata> {
        self.topics.get(name)
    }

    /// The id under which a topic is or was last known.
    pub fn last_id(&self, name: &str) -> Option<TopicId> {
        self.ids.get(name).copied()
    }

    /// Topics that were deleted and created again, with their new ids, each told once (KIP-516).
    pub fn take_replaced(&mut self) -> Vec<(Arc<str>, TopicId)> {
        std::mem::take(&mut self.replaced)
    }

    /// A topic's name by its id.
    pub fn name_of(&self, id: TopicId) -> Option<&Arc<str>> {
        self.topics.iter().find(|(_, topic)| topic.topic_id == id).map(|(name, _)| name)
    }

    /// A partition, if it is known.
    pub fn partition(&self, partition: &TopicPartition) -> Option<PartitionMetadata> {
        self.topics.get(&partition.topic)?.partitions.get(&partition.partition).copied()
    }

    /// The leader of a partition and its epoch, if the leader can be reached.
    pub fn leader(&self, partition: &TopicPartition) -> Option<(NodeId, LeaderEpoch)> {
        let known = self.partition(partition)?;
        let leader = known.leader.filter(|node| self.brokers.contains_key(node))?;
        Some((leader, known.leader_epoch))
    }

    /// The nodes that can be asked: the brokers, or those of `bootstrap.servers` while no broker is known.
    pub fn nodes(&self) -> Vec<NodeId> {
        if self.brokers.is_empty() { self.bootstrap.clone() } else { self.brokers.keys().copied().collect() }
    }

    /// When the next request is due; `None` while one is under way.
    pub fn due_at(&self) -> Option<Instant> {
        if self.is_asked {
            return None;
        }
        let aged = self.refreshed_at.map_or(Instant::ZERO, |at| at + self.max_age);
        Some(if self.is_needed { self.not_before } else { aged.max(self.not_before) })
    }

    /// The question to ask; notes that it was asked.
    pub fn ask(&mut self, now: Instant) -> MetadataRequest {
        self.is_asked = true;
        self.is_needed = false;
        self.failing_since.get_or_insert(now);
        let topics = self.wanted.iter().map(|name| {
            let name = TopicName::from(StrBytes::from_string(name.to_string()));
            MetadataRequestTopic::default().with_name(Some(name))
        });
        MetadataRequest::default().with_topics(Some(topics.collect())).with_allow_auto_topic_creation(false)
    }

    /// The request was lost. After five minutes without an answer the bootstrap list is used again (KIP-1102).
    pub fn on_lost(&mut self, now: Instant, rng: &mut ChaCha8Rng) {
        self.is_asked = false;
        self.is_needed = true;
        if self.failing_since.is_some_and(|since| now - since >= REBOOTSTRAP_AFTER) {
            self.brokers.clear();
            self.failing_since = None;
        }
        self.back_off(now, rng);
    }

    /// Takes an answer in. Returns the brokers' addresses for the connections.
    pub fn on_response(
        &mut self,
        response: &MetadataResponse,
        now: Instant,
        rng: &mut ChaCha8Rng,
    ) -> Vec<(NodeId, Address)> {
        self.is_asked = false;
        if response.error_code != NO_ERROR || response.brokers.is_empty() {
            self.on_lost(now, rng);
            return Vec::new();
        }
        self.failing_since = None;
        self.refreshed_at = Some(now);
        self.version += 1;
        self.brokers = response
            .brokers
            .iter()
            .map(|b| (NodeId(b.node_id.0), Address::new(b.host.as_str(), u16::try_from(b.port).unwrap_or(0))))
            .collect();
        self.take_topics(response);
        self.back_off(now, rng);
        self.brokers.iter().map(|(id, address)| (*id, address.clone())).collect()
    }

    /// A broker that refused a request for a partition said who leads it (`Metadata.updatePartitionLeadership`). Says
    /// whether that is news: a newer epoch of the same topic, with a leader that can be reached.
    pub fn on_leader_hint(
        &mut self,
        partition: &TopicPartition,
        topic_id: TopicId,
        hint: &LeaderHint,
    ) -> bool {
        let topic = self.topics.get_mut(&partition.topic).filter(|topic| topic.topic_id == topic_id);
        let Some(known) = topic.and_then(|topic| topic.partitions.get_mut(&partition.partition)) else {
            return false;
        };
        let is_reachable = hint.address.is_some() || self.brokers.contains_key(&hint.leader);
        if hint.leader_epoch <= known.leader_epoch || !is_reachable {
            return false;
        }
        if let Some(address) = &hint.address {
            self.brokers.insert(hint.leader, address.clone());
        }
        *known = PartitionMetadata { leader: Some(hint.leader), leader_epoch: hint.leader_epoch };
        self.last_seen.insert(partition.clone(), (topic_id, *known));
        true
    }

    fn take_topics(&mut self, response: &MetadataResponse) {
        let mut topics = BTreeMap::new();
        for topic in &response.topics {
            let Some(name) = &topic.name else { continue };
            let name: Arc<str> = Arc::from(name.as_str());
            if let Some(error) = ErrorCode::try_from_code(topic.error_code) {
                self.is_needed |= means_stale_metadata(error) || error.is_retriable();
                continue;
            }
            if self.ids.insert(name.clone(), topic.topic_id).is_some_and(|before| before != topic.topic_id) {
                self.replaced.push((name.clone(), topic.topic_id));
            }
            let mut partitions = BTreeMap::new();
            for partition in &topic.partitions {
                let known = self.newer(&name, topic.topic_id, partition);
                self.is_needed |= known.leader.is_none();
                partitions.insert(partition.partition_index, known);
            }
            topics.insert(name, TopicMetadata { topic_id: topic.topic_id, partitions });
        }
        self.is_needed |= self.wanted.iter().any(|name| !topics.contains_key(name));
        self.topics = topics;
    }

    /// What is newer: the answer or what was seen before. A topic with another id starts afresh.
    fn newer(&mut self, name: &Arc<str>, id: TopicId, told: &MetadataResponsePartition) -> PartitionMetadata {
        let key = TopicPartition::new(name.clone(), told.partition_index);
        let has_leader = told.leader_id.0 >= 0;
        let fresh = PartitionMetadata {
            leader: has_leader.then_some(NodeId(told.leader_id.0)),
            leader_epoch: told.leader_epoch,
        };
        match self.last_seen.get(&key) {
            Some((seen_id, seen)) if *seen_id == id && seen.leader_epoch > fresh.leader_epoch => *seen,
            _ => {
                self.last_seen.insert(key, (id, fresh));
                fresh
            }
        }
    }

    fn back_off(&mut self, now: Instant, rng: &mut ChaCha8Rng) {
        self.attempts = if self.is_needed { self.attempts.saturating_add(1) } else { 1 };
        self.not_before = now + self.backoff.after(self.attempts, rng);
    }
}
