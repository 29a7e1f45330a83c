//! A leader asks for another ISR.

use std::collections::BTreeSet;

use super::brokers::check_broker_epoch;
use super::elections::PartitionChange;
use super::{Decision, View};
use crate::defects::Defect;
use crate::ids::{BrokerEpoch, NodeId, TopicId};
use crate::metadata::{LeaderRecoveryState, MetadataRecord, PartitionRegistration};
use crate::wire::messages::alter_partition_request::PartitionData;
use crate::wire::messages::alter_partition_response::{
    PartitionData as PartitionAnswer, TopicData as TopicAnswer,
};
use crate::wire::messages::{AlterPartitionRequest, AlterPartitionResponse, BrokerId};
use crate::wire::{ErrorCode, NO_ERROR};

/// The version from which on members are named with their broker epochs (KIP-903).
const WITH_BROKER_EPOCHS: i16 = 3;

/// Decides about an AlterPartition of the given version. Each partition stands for itself. Source: CTL-4, KIP-497, KIP-841.
pub(super) fn alter_partition(view: View<'_>, version: i16, request: &AlterPartitionRequest) -> Decision {
    let sender = NodeId(request.broker_id.0);
    if let Err(code) = check_broker_epoch(view.image, sender, request.broker_epoch) {
        let response = AlterPartitionResponse::default().with_error_code(code.code());
        return Decision { records: Vec::new(), response: response.into() };
    }
    let mut records = Vec::new();
    let mut seen = BTreeSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let first = seen.insert((topic.topic_id, asked.partition_index));
            let change = if first {
                alter_one(view, sender, version, &topic.topic_id, asked)
            } else {
                Err(ErrorCode::InvalidRequest)
            };
            let answer = PartitionAnswer::default().with_partition_index(asked.partition_index);
            partitions.push(match change {
                Ok((state, record)) => {
                    records.extend(record);
                    // The change completed a reassignment that moves the leadership away from the sender: its news
                    // come with the metadata. An error and a record at once, as in Kafka (CTL-7).
                    if state.leader == Some(sender) {
                        describe(answer, &state)
                    } else {
                        answer.with_error_code(ErrorCode::NewLeaderElected.code())
                    }
                }
                Err(code) => answer.with_error_code(code.code()),
            });
        }
        topics.push(TopicAnswer::default().with_topic_id(topic.topic_id).with_partitions(partitions));
    }
    let response = AlterPartitionResponse::default().with_error_code(NO_ERROR).with_topics(topics);
    Decision { records, response: response.into() }
}

fn describe(answer: PartitionAnswer, state: &PartitionRegistration) -> PartitionAnswer {
    answer
        .with_error_code(NO_ERROR)
        .with_leader_id(BrokerId(state.leader.map_or(-1, |n| n.0)))
        .with_leader_epoch(state.leader_epoch)
        .with_isr(state.isr.iter().map(|n| BrokerId(n.0)).collect())
        .with_leader_recovery_state(state.leader_recovery_state.code())
        .with_partition_epoch(state.partition_epoch)
}

/// The partition's state after the change and the record that brings it about; no record if nothing changes.
fn alter_one(
    view: View<'_>,
    sender: NodeId,
    version: i16,
    topic_id: &TopicId,
    asked: &PartitionData,
) -> Result<(PartitionRegistration, Option<MetadataRecord>), ErrorCode> {
    let topic = view.image.topic(topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = topic.partitions.get(&asked.partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let isr = proposed_isr(version, asked);
    let recovery = validate(view, partition, sender, asked, &isr)?;
    let change = PartitionChange::new(view, topic, asked.partition_index, partition)
        .target_isr(isr.iter().map(|(n, _)| *n).collect())
        .target_recovery(recovery)
        .build(|n| view.image.is_active(n));
    let mut state = partition.clone();
    if let Some(change) = &change {
        state.merge(change);
    }
    Ok((state, change.map(Into::into)))
}

/// The members asked for, with the broker epoch that the leader knows of each (-1: it does not say).
fn proposed_isr(version: i16, asked: &PartitionData) -> Vec<(NodeId, BrokerEpoch)> {
    if version >= WITH_BROKER_EPOCHS {
        asked.new_isr_with_epochs.iter().map(|b| (NodeId(b.broker_id.0), b.broker_epoch)).collect()
    } else {
        asked.new_isr.iter().map(|b| (NodeId(b.0), -1)).collect()
    }
}

/// The checks of `ReplicationControlManager.validateAlterPartitionData`, in Kafka's order (CTL-4).
fn validate(
    view: View<'_>,
    partition: &PartitionRegistration,
    sender: NodeId,
    asked: &PartitionData,
    isr: &[(NodeId, BrokerEpoch)],
) -> Result<LeaderRecoveryState, ErrorCode> {
    if asked.leader_epoch > partition.leader_epoch || asked.partition_epoch > partition.partition_epoch {
        // The leader knows more than this controller: another one must be active.
        return Err(ErrorCode::NotController);
    }
    if asked.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if partition.leader != Some(sender) {
        return Err(ErrorCode::InvalidRequest);
    }
    let is_stale = asked.partition_epoch < partition.partition_epoch;
    if is_stale && !view.defects.has(Defect::AlterPartitionSkipsPartitionEpoch) {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    let members: BTreeSet<NodeId> = isr.iter().map(|(n, _)| *n).collect();
    let well_formed = members.len() == isr.len() && members.iter().all(|n| partition.replicas.contains(n));
    if !well_formed || !members.contains(&sender) {
        return Err(ErrorCode::InvalidRequest);
    }
    let recovery =
        LeaderRecoveryState::of_code(asked.leader_recovery_state).ok_or(ErrorCode::InvalidRequest)?;
    let recovering = recovery == LeaderRecoveryState::Recovering;
    if recovering && (isr.len() > 1 || partition.leader_recovery_state == LeaderRecoveryState::Recovered) {
        return Err(ErrorCode::InvalidRequest);
    }
    if !isr.iter().all(|(n, epoch)| is_eligible(view, *n, *epoch)) {
        return Err(ErrorCode::IneligibleReplica);
    }
    Ok(recovery)
}

/// May this incarnation of a broker be in an ISR: neither fenced nor shutting down (KIP-841), and the one that the leader
/// speaks of (KIP-903; -1: the leader does not say)?
fn is_eligible(view: View<'_>, broker: NodeId, epoch: BrokerEpoch) -> bool {
    let Some(registered) = view.image.broker(broker) else { return false };
    let may_join = registered.is_active() || view.defects.has(Defect::FencedReplicaMayJoin);
    let is_same = epoch == -1 || epoch == registered.broker_epoch;
    may_join && (is_same || view.defects.has(Defect::AlterPartitionSkipsBrokerEpoch))
}
