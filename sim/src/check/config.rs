//! What the judge must know of a run besides what happens in it.

use std::collections::BTreeMap;

use broker::ids::NodeId;
use broker::time::Duration;

use crate::history::Acks;
use crate::plan::{HostId, HostKind};

/// What a failed check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// It makes the verdict a violation.
    #[default]
    Error,
    /// It is reported and does not change the verdict.
    Warn,
    /// It is not evaluated.
    Off,
}

/// What a topic promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicFacts {
    /// `unclean.leader.election.enable`.
    pub unclean_elections: bool,
    /// `min.insync.replicas`.
    pub min_isr: i32,
    /// Replicas per partition.
    pub replication_factor: u32,
    /// Number of partitions.
    pub partitions: u32,
}

/// What a producer was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerFacts {
    /// Its number in the plan, as in [`crate::history::Value::load`].
    pub number: u32,
    /// Where it runs.
    pub host: HostId,
    /// Where it writes.
    pub topic: String,
    /// `acks`.
    pub acks: Acks,
    /// `enable.idempotence`.
    pub is_idempotent: bool,
}

/// Who reads what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerFacts {
    /// Where it runs.
    pub host: HostId,
    /// What it reads.
    pub topic: String,
    /// Which partitions; `None`: all.
    pub partitions: Option<Vec<u32>>,
}

/// What the judge must know of a run besides what happens in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JudgeConfig {
    /// Every machine; its place is its [`HostId`].
    pub hosts: Vec<HostKind>,
    /// The name of every machine, for sentences.
    pub names: Vec<String>,
    /// Level of each check; [`Level::Error`] for those that are not listed.
    pub levels: BTreeMap<String, Level>,
    /// Topics by name.
    pub topics: BTreeMap<String, TopicFacts>,
    /// Every producer.
    pub producers: Vec<ProducerFacts>,
    /// Every consumer.
    pub consumers: Vec<ConsumerFacts>,
    /// Faults that delete a topic: fault to topic.
    pub deletions: BTreeMap<String, String>,
    /// Faults that have a leader elected uncleanly: fault to topic.
    pub unclean_requests: BTreeMap<String, String>,
    /// `controller.quorum.fetch.timeout.ms`.
    pub quorum_fetch_timeout: Duration,
    /// `replica.lag.time.max.ms`.
    pub replica_lag_time: Duration,
    /// Bounds that the scenario sets, by check and name: counts, or microseconds.
    pub bounds: BTreeMap<String, BTreeMap<String, u64>>,
}

impl JudgeConfig {
    /// Level of a check.
    pub fn level(&self, check: &str) -> Level {
        self.levels.get(check).copied().unwrap_or_default()
    }

    /// A bound of a check: a count, or microseconds; `None`: the scenario sets none.
    pub fn bound(&self, check: &str, name: &str) -> Option<u64> {
        self.bounds.get(check)?.get(name).copied()
    }

    /// The host of a node.
    pub fn host_of(&self, node: NodeId) -> Option<HostId> {
        let is_it = |kind: &HostKind| matches!(kind, HostKind::Node { node_id, .. } if *node_id == node);
        self.hosts.iter().position(is_it).map(|index| HostId(index as u32))
    }

    /// The node on a host.
    pub fn node_of(&self, host: HostId) -> Option<NodeId> {
        match self.hosts.get(host.0 as usize)? {
            HostKind::Node { node_id, .. } => Some(*node_id),
            HostKind::Client { .. } => None,
        }
    }

    /// Is anything written with `acks=all`?
    pub fn promises_durability(&self) -> bool {
        self.producers.iter().any(|producer| producer.acks == Acks::All)
    }

    /// Does anybody read?
    pub fn has_readers(&self) -> bool {
        !self.consumers.is_empty()
    }

    /// Is there a metadata quorum?
    pub fn has_controllers(&self) -> bool {
        self.hosts.iter().any(|kind| matches!(kind, HostKind::Node { is_controller: true, .. }))
    }

    /// Is any producer idempotent?
    pub fn promises_no_duplicates(&self) -> bool {
        self.producers.iter().any(|producer| producer.is_idempotent)
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOfRun {
    /// Number of the last event.
    pub event: u64,
    /// World time.
    pub at: broker::time::Instant,
    /// When the settle phase began; `None`: the run never came so far.
    pub settle_started: Option<broker::time::Instant>,
    /// How long settling may take.
    pub settle_bound: broker::time::Duration,
    /// Did the settle phase reach its goal within its bound?
    pub settled: bool,
    /// Why the run ended, for people.
    pub reason: String,
}
