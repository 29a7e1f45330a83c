//! What an operator asks of the cluster: the cluster verbs of a fault.

use serde::{Deserialize, Serialize};

use super::{ConfigMap, PartitionRef, Target};

/// One task of the operator. Targets and partitions are resolved when the fault fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `elect = { partition, kind }`: ElectLeaders (KIP-460).
    Elect { partition: PartitionRef, kind: ElectionKind },
    /// `move_leader = { partition, to }`: puts `to` in the first place of the replicas (a reassignment; if it holds no
    /// replica it takes the place of the preferred leader), then has the preferred leader elected.
    MoveLeader { partition: PartitionRef, to: Target },
    /// `reassign = { partition, replicas }`: AlterPartitionReassignments (KIP-455), until it is complete.
    Reassign { partition: PartitionRef, replicas: Replicas },
    /// `alter = { topic | broker | brokers, config }`: IncrementalAlterConfigs (KIP-339).
    Alter { whose: Configured, config: ConfigMap },
    /// `admin = { delete_topic = "orders" }`.
    DeleteTopic { topic: String },
    /// `admin = { recreate_topic = "orders" }`: deletes it and creates it again as the file declares it.
    RecreateTopic { topic: String },
    /// `admin = { add_partitions = { topic, count } }`: `count` is the new total (CreatePartitions, KIP-195).
    AddPartitions { topic: String, count: u32 },
    /// `admin = { delete_records = { partition, before } }`: DeleteRecords (KIP-107); -1 means the high watermark.
    DeleteRecords { partition: PartitionRef, before: i64 },
    /// `admin = { unregister = "TARGET" }`: UnregisterBroker.
    Unregister { target: Target },
    /// `admin = { update_feature = { name, level } }`: UpdateFeatures (KIP-584).
    UpdateFeature { name: String, level: i16 },
    /// `admin = { add_voter = "TARGET" }`: AddRaftVoter (KIP-853).
    AddVoter { target: Target },
    /// `admin = { remove_voter = "TARGET" }`: RemoveRaftVoter (KIP-853).
    RemoveVoter { target: Target },
}

/// Which election an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElectionKind {
    /// The first replica takes over if it is in sync. The default.
    Preferred,
    /// Somebody leads again, with whatever it has.
    Unclean,
}

/// The replicas of a reassignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replicas {
    /// These broker ids, the preferred leader first.
    Listed(Vec<u32>),
    /// The members of a target, in order of id.
    Target(Target),
}

/// Whose configs are altered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Configured {
    /// A topic.
    Topic(String),
    /// One broker.
    Broker(u32),
    /// The default of all brokers.
    Brokers,
}

impl Operation {
    /// The key that names the verb in a file.
    pub fn word(&self) -> &'static str {
        match self {
            Operation::Elect { .. } => "elect",
            Operation::MoveLeader { .. } => "move_leader",
            Operation::Reassign { .. } => "reassign",
            Operation::Alter { .. } => "alter",
            Operation::DeleteTopic { .. }
            | Operation::RecreateTopic { .. }
            | Operation::AddPartitions { .. }
            | Operation::DeleteRecords { .. }
            | Operation::Unregister { .. }
            | Operation::UpdateFeature { .. }
            | Operation::AddVoter { .. }
            | Operation::RemoveVoter { .. } => "admin",
        }
    }

    /// The target expression, if it has one.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Operation::MoveLeader { to: target, .. }
            | Operation::Reassign { replicas: Replicas::Target(target), .. }
            | Operation::Unregister { target }
            | Operation::AddVoter { target }
            | Operation::RemoveVoter { target } => Some(target),
            _ => None,
        }
    }

    /// The topic of which it has a leader elected with whatever is left, if it does.
    pub fn forced_topic(&self) -> Option<&str> {
        match self {
            Operation::Elect { partition, kind: ElectionKind::Unclean } => Some(&partition.topic),
            _ => None,
        }
    }

    /// The topic whose records it takes away, if it does.
    pub fn deleted_topic(&self) -> Option<&str> {
        match self {
            Operation::DeleteTopic { topic } | Operation::RecreateTopic { topic } => Some(topic),
            _ => None,
        }
    }
}
