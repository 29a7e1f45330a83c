//! Records about topics, their partitions and their configs.

use super::codec::{Reader, Tags, Writer, tagged, untag};
use super::record::RecordError;
use super::registration::LeaderRecoveryState;
use crate::ids::{LeaderEpoch, NodeId, PartitionEpoch, TopicId};

/// What Kafka writes where there is no leader.
const NO_LEADER: i32 = -1;

fn leader_code(leader: Option<NodeId>) -> i32 {
    leader.map_or(NO_LEADER, |n| n.0)
}

fn leader_of_code(code: i32) -> Result<Option<NodeId>, RecordError> {
    match code {
        NO_LEADER => Ok(None),
        n if n >= 0 => Ok(Some(NodeId(n))),
        _ => Err(RecordError::Malformed("leader out of range")),
    }
}

fn recovery_state(r: &mut Reader) -> Result<LeaderRecoveryState, RecordError> {
    LeaderRecoveryState::of_code(r.i8()?).ok_or(RecordError::Malformed("leader recovery state out of range"))
}

fn optional_nodes(tags: &Tags, tag: u32) -> Result<Option<Vec<NodeId>>, RecordError> {
    untag(tags, tag, |r| r.nullable_array(Reader::node)).map(Option::flatten)
}

/// Kafka's `TopicRecord`, version 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRecord {
    /// The topic's name.
    pub name: String,
    /// This incarnation of it (KIP-516).
    pub topic_id: TopicId,
}

impl TopicRecord {
    pub(super) fn write(&self, w: &mut Writer) {
        w.string(&self.name);
        w.uuid(self.topic_id);
        w.tags(&Tags::new());
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        let record = TopicRecord { name: r.string()?, topic_id: r.uuid()? };
        r.tags()?;
        Ok(record)
    }
}

/// Kafka's `PartitionRecord`, version 2. Log directories (KIP-858) do not exist here: the list is empty, which Kafka reads
/// as "not assigned yet".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRecord {
    /// The partition's number.
    pub partition: i32,
    /// Its topic.
    pub topic_id: TopicId,
    /// Assigned replicas, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// In-sync replicas.
    pub isr: Vec<NodeId>,
    /// The leader, if there is one.
    pub leader: Option<NodeId>,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// The registration's version.
    pub partition_epoch: PartitionEpoch,
    /// Whether the leader recovers from an unclean election.
    pub leader_recovery_state: LeaderRecoveryState,
    /// Replicas that a reassignment adds.
    pub adding: Vec<NodeId>,
    /// Replicas that a reassignment removes.
    pub removing: Vec<NodeId>,
    /// Eligible leader replicas (KIP-966).
    pub elr: Vec<NodeId>,
    /// The last known leader, while there is none (KIP-966).
    pub last_known_elr: Vec<NodeId>,
}

impl PartitionRecord {
    pub(super) fn write(&self, w: &mut Writer) {
        w.i32(self.partition);
        w.uuid(self.topic_id);
        w.nodes(&self.replicas);
        w.nodes(&self.isr);
        w.nodes(&self.removing);
        w.nodes(&self.adding);
        w.i32(leader_code(self.leader));
        w.i32(self.leader_epoch);
        w.i32(self.partition_epoch);
        w.uuids(&[]);
        let mut tags = Tags::new();
        if self.leader_recovery_state != LeaderRecoveryState::Recovered {
            tags.insert(0, tagged(|w| w.i8(self.leader_recovery_state.code())));
        }
        for (tag, list) in [(1, &self.elr), (2, &self.last_known_elr)] {
            if !list.is_empty() {
                tags.insert(tag, tagged(|w| w.nodes(list)));
            }
        }
        w.tags(&tags);
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        let (partition, topic_id) = (r.i32()?, r.uuid()?);
        let (replicas, isr) = (r.array(Reader::node)?, r.array(Reader::node)?);
        let (removing, adding) = (r.array(Reader::node)?, r.array(Reader::node)?);
        let (leader, leader_epoch, partition_epoch) = (leader_of_code(r.i32()?)?, r.i32()?, r.i32()?);
        r.array(Reader::uuid)?;
        let tags = r.tags()?;
        Ok(PartitionRecord {
            partition,
            topic_id,
            replicas,
            isr,
            leader,
            leader_epoch,
            partition_epoch,
            leader_recovery_state: untag(&tags, 0, recovery_state)?.unwrap_or(LeaderRecoveryState::Recovered),
            adding,
            removing,
            elr: optional_nodes(&tags, 1)?.unwrap_or_default(),
            last_known_elr: optional_nodes(&tags, 2)?.unwrap_or_default(),
        })
    }
}

/// Kafka's `PartitionChangeRecord`, version 2. `None` means: as before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionChangeRecord {
    /// The partition's number.
    pub partition: i32,
    /// Its topic.
    pub topic_id: TopicId,
    /// The new ISR.
    pub isr: Option<Vec<NodeId>>,
    /// The new leader; `Some(None)`: there is no leader any more. Naming a leader raises the leader epoch.
    pub leader: Option<Option<NodeId>>,
    /// The new assignment.
    pub replicas: Option<Vec<NodeId>>,
    /// The replicas that a reassignment removes.
    pub removing: Option<Vec<NodeId>>,
    /// The replicas that a reassignment adds.
    pub adding: Option<Vec<NodeId>>,
    /// The new recovery state.
    pub leader_recovery_state: Option<LeaderRecoveryState>,
    /// The new eligible leader replicas (KIP-966).
    pub elr: Option<Vec<NodeId>>,
    /// The new last known leader (KIP-966).
    pub last_known_elr: Option<Vec<NodeId>>,
}

impl PartitionChangeRecord {
    /// A change that changes nothing yet.
    pub fn new(topic_id: TopicId, partition: i32) -> Self {
        PartitionChangeRecord {
            partition,
            topic_id,
            isr: None,
            leader: None,
            replicas: None,
            removing: None,
            adding: None,
            leader_recovery_state: None,
            elr: None,
            last_known_elr: None,
        }
    }

    /// Would it only raise the partition epoch?
    pub fn is_noop(&self) -> bool {
        *self == PartitionChangeRecord::new(self.topic_id, self.partition)
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.i32(self.partition);
        w.uuid(self.topic_id);
        let mut tags = Tags::new();
        let lists = [
            (0, &self.isr),
            (2, &self.replicas),
            (3, &self.removing),
            (4, &self.adding),
            (6, &self.elr),
            (7, &self.last_known_elr),
        ];
        for (tag, list) in lists {
            if let Some(list) = list {
                tags.insert(tag, tagged(|w| w.nodes(list)));
            }
        }
        if let Some(leader) = self.leader {
            tags.insert(1, tagged(|w| w.i32(leader_code(leader))));
        }
        if let Some(state) = self.leader_recovery_state {
            tags.insert(5, tagged(|w| w.i8(state.code())));
        }
        w.tags(&tags);
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        let (partition, topic_id) = (r.i32()?, r.uuid()?);
        let tags = r.tags()?;
        Ok(PartitionChangeRecord {
            partition,
            topic_id,
            isr: optional_nodes(&tags, 0)?,
            leader: untag(&tags, 1, |r| leader_of_code(r.i32()?))?,
            replicas: optional_nodes(&tags, 2)?,
            removing: optional_nodes(&tags, 3)?,
            adding: optional_nodes(&tags, 4)?,
            leader_recovery_state: untag(&tags, 5, recovery_state)?,
            elr: optional_nodes(&tags, 6)?,
            last_known_elr: optional_nodes(&tags, 7)?,
        })
    }
}

/// Kafka's `RemoveTopicRecord`, version 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveTopicRecord {
    /// The topic that is gone, with its partitions and configs.
    pub topic_id: TopicId,
}

impl RemoveTopicRecord {
    pub(super) fn write(&self, w: &mut Writer) {
        w.uuid(self.topic_id);
        w.tags(&Tags::new());
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        let record = RemoveTopicRecord { topic_id: r.uuid()? };
        r.tags()?;
        Ok(record)
    }
}

/// What kind of resource a config belongs to (`ConfigResource.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// A topic.
    Topic,
    /// A broker, or with an empty name all of them.
    Broker,
}

impl ResourceType {
    /// Kafka's number.
    pub fn code(self) -> i8 {
        match self {
            ResourceType::Topic => 2,
            ResourceType::Broker => 4,
        }
    }

    /// The type behind Kafka's number; `None` for types that do not exist here.
    pub fn of_code(code: i8) -> Option<Self> {
        [ResourceType::Topic, ResourceType::Broker].into_iter().find(|t| t.code() == code)
    }
}

/// Kafka's `ConfigRecord`, version 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRecord {
    /// What it is set on.
    pub resource_type: ResourceType,
    /// The topic's name or the broker's id.
    pub resource_name: String,
    /// The config's name.
    pub name: String,
    /// Its value; `None` takes it away.
    pub value: Option<String>,
}

impl ConfigRecord {
    /// A topic's own value.
    pub fn topic(topic: &str, name: &str, value: Option<&str>) -> Self {
        ConfigRecord {
            resource_type: ResourceType::Topic,
            resource_name: topic.into(),
            name: name.into(),
            value: value.map(Into::into),
        }
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.i8(self.resource_type.code());
        w.string(&self.resource_name);
        w.string(&self.name);
        w.nullable_string(self.value.as_deref());
        w.tags(&Tags::new());
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        let resource_type = ResourceType::of_code(r.i8()?)
            .ok_or(RecordError::Malformed("config resource type out of range"))?;
        let record = ConfigRecord {
            resource_type,
            resource_name: r.string()?,
            name: r.string()?,
            value: r.nullable_string()?,
        };
        r.tags()?;
        Ok(record)
    }
}
