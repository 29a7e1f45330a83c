//! What an operator is asked to do.

use std::collections::BTreeMap;

use broker::io::{ConnectionId, Input};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The connection on which the nemesis speaks to the operator's machine; nobody ever opens it.
const ORDERS: u64 = 0;

/// The work of one strike of one fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminTask {
    /// Id of the fault.
    pub fault: String,
    /// Which strike of it, from 1.
    pub n: u32,
    /// One after the other; the first refusal ends the task.
    pub steps: Vec<AdminStep>,
}

/// Whose configs a step alters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigOwner {
    /// A topic.
    Topic(String),
    /// One broker, or the default of all (`None`).
    Broker(Option<i32>),
}

/// One request, or one thing to wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminStep {
    /// CreateTopics: as the scenario declares it.
    CreateTopic { topic: String },
    /// DeleteTopics.
    DeleteTopic { topic: String },
    /// ElectLeaders (KIP-460). `is_needed`: it is a refusal if all of them have the leader already.
    Elect { topic: String, partitions: Vec<i32>, is_unclean: bool, is_needed: bool },
    /// AlterPartitionReassignments (KIP-455).
    Reassign { topic: String, partitions: Vec<i32>, replicas: Vec<i32> },
    /// IncrementalAlterConfigs (KIP-339): sets these configs.
    Alter { whose: ConfigOwner, configs: BTreeMap<String, String> },
    /// UpdateFeatures (KIP-584); `level` 0 turns the feature off.
    UpdateFeature { name: String, level: i16 },
    /// CreatePartitions (KIP-195): `count` is how many there are to be.
    AddPartitions { topic: String, count: i32 },
    /// DeleteRecords (KIP-107): what lies below `before` goes; -1 means the high watermark.
    DeleteRecords { topic: String, partition: i32, before: i64 },
    /// UnregisterBroker: the broker is gone for good.
    Unregister { broker: i32 },
    /// AddRaftVoter (KIP-853): the controller that is reached at this address votes from now on.
    AddVoter { controller: i32, host: String, port: u16 },
    /// RemoveRaftVoter (KIP-853), whatever disk it has.
    RemoveVoter { controller: i32 },
    /// Wait until metadata shows these replicas and no others: the reassignment is complete.
    AwaitReplicas { topic: String, partitions: Vec<i32>, replicas: Vec<i32> },
}

impl AdminTask {
    /// The task as the operator's machine takes it.
    pub fn to_input(&self) -> Input {
        let text = serde_json::to_vec(self).expect("a task has only string keys");
        Input::FrameReceived { connection: ConnectionId::incoming(ORDERS), frame: Bytes::from(text) }
    }

    /// The task in an input of the operator's machine; `None`: the input is something else.
    pub fn from_input(input: &Input) -> Option<AdminTask> {
        let Input::FrameReceived { connection, frame } = input else { return None };
        if connection.is_outgoing() {
            return None;
        }
        serde_json::from_slice(frame).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_goes_through_an_input_and_back() {
        let steps = vec![AdminStep::DeleteTopic { topic: "orders".to_owned() }];
        let task = AdminTask { fault: "again".to_owned(), n: 2, steps };
        assert_eq!(AdminTask::from_input(&task.to_input()), Some(task));
        assert_eq!(AdminTask::from_input(&Input::TimerDue), None);
        let frame = Bytes::from_static(b"{}");
        let answer = Input::FrameReceived { connection: ConnectionId::outgoing(0), frame };
        assert_eq!(AdminTask::from_input(&answer), None);
    }
}
