//! What every replica of one partition looked like at each moment of the story.

use std::collections::BTreeMap;

use broker::ids::{LeaderEpoch, Offset, PartitionEpoch, TopicPartition};
use broker::trace::{MetadataFact, Observation, PartitionFact};

use super::super::findings::StepFacts;
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// One replica, as its node said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ReplicaState {
    pub high_watermark: Offset,
    pub log_end: Offset,
    leader_epoch: Option<LeaderEpoch>,
    partition_epoch: Option<PartitionEpoch>,
}

/// All replicas of one partition, and its committed registration.
#[derive(Debug, Clone, Default)]
pub(super) struct PartitionState {
    pub replicas: BTreeMap<HostId, ReplicaState>,
    pub registration: Option<PartitionFact>,
    applied: Option<Offset>,
}

impl PartitionState {
    /// Takes one event in. Returns whether it is a committed change of the partition, seen for the first time: every
    /// controller says it, and says it again after a restart.
    pub fn observe(&mut self, partition: &TopicPartition, event: &TraceEvent) -> bool {
        let (Fact::Node(observation), Some(host)) = (&event.fact, event.host) else { return false };
        if let Observation::MetadataCommitted { offset, fact } = observation {
            if self.applied.is_some_and(|applied| *offset <= applied) {
                return false;
            }
            self.applied = Some(*offset);
            return match fact {
                MetadataFact::PartitionChanged { log, state, .. } if log.partition == *partition => {
                    self.registration = Some(state.clone());
                    true
                }
                _ => false,
            };
        }
        if log_of(observation) == Some(partition) {
            self.replica(host, observation);
        }
        false
    }

    fn replica(&mut self, host: HostId, observation: &Observation) {
        let replica = self.replicas.entry(host).or_default();
        match observation {
            Observation::LogOpened { log_end, high_watermark, .. } => {
                *replica = ReplicaState {
                    log_end: *log_end,
                    high_watermark: *high_watermark,
                    ..ReplicaState::default()
                };
            }
            Observation::LogCreated { .. } => *replica = ReplicaState::default(),
            Observation::Appended { batch, .. } => replica.log_end = batch.last_offset + 1,
            Observation::Truncated { to, .. } => {
                replica.log_end = *to;
                replica.high_watermark = replica.high_watermark.min(*to);
            }
            Observation::HighWatermark { to, log_end, .. } => {
                (replica.high_watermark, replica.log_end) = (*to, *log_end);
            }
            Observation::BecameLeader { leader_epoch, partition_epoch, .. } => {
                replica.leader_epoch = Some(*leader_epoch);
                replica.partition_epoch = Some(*partition_epoch);
            }
            Observation::BecameFollower { leader_epoch, .. } => {
                (replica.leader_epoch, replica.partition_epoch) = (Some(*leader_epoch), None);
            }
            Observation::IsrCommitted { partition_epoch, .. } => {
                replica.partition_epoch = Some(*partition_epoch);
            }
            _ => {}
        }
    }

    /// What is known of the replica on a host, for a step.
    pub fn facts(&self, host: HostId) -> StepFacts {
        self.replicas.get(&host).map_or_else(StepFacts::default, |replica| StepFacts {
            leader_epoch: replica.leader_epoch,
            partition_epoch: replica.partition_epoch,
            high_watermark: Some(replica.high_watermark),
            log_end: Some(replica.log_end),
            offset: None,
        })
    }
}

/// The log that an observation is about.
pub(super) fn log_of(observation: &Observation) -> Option<&TopicPartition> {
    match observation {
        Observation::LogOpened { log, .. }
        | Observation::LogCreated { log }
        | Observation::LogDeleted { log }
        | Observation::Appended { log, .. }
        | Observation::Truncated { log, .. }
        | Observation::Flushed { log, .. }
        | Observation::HighWatermark { log, .. }
        | Observation::BecameLeader { log, .. }
        | Observation::BecameFollower { log, .. }
        | Observation::IsrProposed { log, .. }
        | Observation::IsrCommitted { log, .. } => Some(&log.partition),
        _ => None,
    }
}
