//! Names of things. Kafka's words; positions and epochs keep Kafka's integer widths.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
pub use uuid::Uuid;

/// `node.id`: brokers and controllers share one space of ids (KIP-500).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub i32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in a log: the number of a record, from 0. Ends are exclusive.
pub type Offset = i64;
/// Counts leaders of one partition, or of the metadata quorum (KIP-101, KIP-595).
pub type LeaderEpoch = i32;
/// Counts changes of one partition's registration in the metadata (KIP-497's `zkVersion`, now partition epoch).
pub type PartitionEpoch = i32;
/// The offset of a broker's registration record; strictly rises with each registration (KIP-631).
pub type BrokerEpoch = i64;
/// Identifies an idempotent producer (KIP-98).
pub type ProducerId = i64;
/// Fences earlier incarnations of one producer id (KIP-98).
pub type ProducerEpoch = i16;
/// A topic's identity: a re-created topic has another (KIP-516).
pub type TopicId = Uuid;

/// "No epoch": what Kafka writes as -1.
pub const NO_EPOCH: LeaderEpoch = -1;
/// The partition whose log is the metadata log (KIP-595).
pub const METADATA_TOPIC: &str = "__cluster_metadata";
/// The fixed topic id of the metadata topic (KIP-516: `Uuid.METADATA_TOPIC_ID`).
pub const METADATA_TOPIC_ID: TopicId = Uuid::from_u128(1);

/// A topic's name and a partition number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One log: a partition of one incarnation of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The partition.
    pub partition: TopicPartition,
    /// Which incarnation of the topic.
    pub topic_id: TopicId,
}

impl LogId {
    /// The log of the metadata quorum.
    pub fn metadata() -> Self {
        LogId { partition: TopicPartition::new(METADATA_TOPIC, 0), topic_id: METADATA_TOPIC_ID }
    }

    /// Is this the log of the metadata quorum?
    pub fn is_metadata(&self) -> bool {
        self.topic_id == METADATA_TOPIC_ID
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.partition, f)
    }
}
