//! A partition gets other replicas (KIP-455).
//!
//! A reassignment has two records. The first makes the replicas the target and everybody that will go; the leader then
//! takes those that come into the ISR like any follower. The change that brings in the last of them is the second record:
//! it leaves the target alone, as the replicas and in the ISR (CTL-7). A target that is in sync already needs only that.

use std::collections::BTreeSet;

use super::elections::{Election, PartitionChange, topic_settings};
use super::placement::Refusal;
use super::topic_rules::check_replicas;
use super::{Decision, View, elr};
use crate::ids::NodeId;
use crate::metadata::{
    LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionChangeRecord, PartitionRegistration,
    TopicImage,
};
use crate::wire::messages::alter_partition_reassignments_request::ReassignablePartition;
use crate::wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use crate::wire::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use crate::wire::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, BrokerId,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};
use crate::wire::{ErrorCode, NO_ERROR, StrBytes};

/// Who holds a partition, and which of them come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// Everybody, the preferred leader first.
    pub(super) replicas: Vec<NodeId>,
    /// Those of them that a reassignment adds.
    pub(super) adding: Vec<NodeId>,
    /// Those of them that it removes.
    pub(super) removing: Vec<NodeId>,
}

impl Assignment {
    /// The present one.
    pub(super) fn of(partition: &PartitionRegistration) -> Self {
        Assignment {
            replicas: partition.replicas.clone(),
            adding: partition.adding.clone(),
            removing: partition.removing.clone(),
        }
    }

    /// Nobody comes or goes.
    pub(super) fn settled(replicas: Vec<NodeId>) -> Self {
        Assignment { replicas, adding: Vec::new(), removing: Vec::new() }
    }

    /// On the way to `target`: its replicas first, then those that go (`PartitionReassignmentReplicas`).
    ///
    /// Differs from Kafka: a replica that an earlier reassignment was adding is still called adding if the new target
    /// wants it, too. Kafka compares with everybody who is there and calls it nothing; cancelling would then keep it.
    fn towards(target: &[NodeId], partition: &PartitionRegistration) -> Self {
        let present = &partition.replicas;
        let is_new = |n: &NodeId| !present.contains(n) || partition.adding.contains(n);
        let removing: Vec<NodeId> = present.iter().copied().filter(|n| !target.contains(n)).collect();
        Assignment {
            replicas: target.iter().chain(&removing).copied().collect(),
            adding: target.iter().copied().filter(is_new).collect(),
            removing,
        }
    }

    /// Writes into `record` what differs from the partition's present assignment. Who is removed may still believe to be
    /// in sync, therefore the leader epoch rises with a removal, be the leader the same (CTL-7, KAFKA-14190).
    pub(super) fn note_changes(&self, partition: &PartitionRegistration, record: &mut PartitionChangeRecord) {
        let changed = |new: &Vec<NodeId>, old: &Vec<NodeId>| (new != old).then(|| new.clone());
        record.replicas = changed(&self.replicas, &partition.replicas);
        record.adding = changed(&self.adding, &partition.adding);
        record.removing = changed(&self.removing, &partition.removing);
        let somebody_leaves = partition.replicas.iter().any(|n| !self.replicas.contains(n));
        if somebody_leaves && record.leader.is_none() {
            record.leader = Some(partition.leader);
        }
    }
}

/// The replicas and the ISR with which a reassignment ends, if `isr` lets it end: all replicas that stay are in it. There
/// is at least one of them, and they are never fewer than the effective `min.insync.replicas` (KIP-966), which does not
/// count above the number of replicas.
pub(super) fn completed(assignment: &Assignment, isr: &[NodeId]) -> Option<(Vec<NodeId>, Vec<NodeId>)> {
    if assignment.adding.is_empty() && assignment.removing.is_empty() {
        return None;
    }
    let staying = |list: &[NodeId]| -> Vec<NodeId> {
        list.iter().copied().filter(|n| !assignment.removing.contains(n)).collect()
    };
    let (replicas, isr) = (staying(&assignment.replicas), staying(isr));
    let is_in_sync = !replicas.is_empty() && replicas.iter().all(|n| isr.contains(n));
    is_in_sync.then_some((replicas, isr))
}

/// Decides about an AlterPartitionReassignments: each partition stands for itself, no replicas means to cancel. Errors per
/// partition: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR,
/// NO_REASSIGNMENT_IN_PROGRESS, INVALID_REQUEST. Source: KIP-455, KIP-860, `alterPartitionReassignments`.
///
/// Differs from Kafka: a partition that a request names twice is refused the second time.
pub(super) fn alter_reassignments(view: View<'_>, request: &AlterPartitionReassignmentsRequest) -> Decision {
    let mut records: Vec<MetadataRecord> = Vec::new();
    let mut responses = Vec::with_capacity(request.topics.len());
    let mut seen = BTreeSet::new();
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let name = topic.name.as_str();
            let change = if seen.insert((name, asked.partition_index)) {
                let keep_count = !request.allow_replication_factor_change;
                alter_one(view, name, asked, keep_count)
            } else {
                Err(Refusal::new(ErrorCode::InvalidRequest, "The partition is named more than once."))
            };
            let answer = ReassignablePartitionResponse::default().with_partition_index(asked.partition_index);
            partitions.push(match change {
                Ok(record) => {
                    records.extend(record.map(MetadataRecord::from));
                    answer.with_error_code(NO_ERROR).with_error_message(None)
                }
                Err(refusal) => answer
                    .with_error_code(refusal.code.code())
                    .with_error_message(Some(StrBytes::from_string(refusal.message))),
            });
        }
        responses.push(
            ReassignableTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions),
        );
    }
    let response = AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
        .with_error_message(None)
        .with_responses(responses);
    Decision { records, response: response.into() }
}

fn alter_one(
    view: View<'_>,
    topic: &str,
    asked: &ReassignablePartition,
    keep_count: bool,
) -> Result<Option<PartitionChangeRecord>, Refusal> {
    let found = view.image.topic_by_name(topic).and_then(|topic| {
        let partition = topic.partitions.get(&asked.partition_index)?;
        Some((topic, partition))
    });
    let Some((topic, partition)) = found else {
        let message = format!("Unable to find partition {topic}:{}.", asked.partition_index);
        return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
    };
    let change = PartitionChange::new(view, topic, asked.partition_index, partition);
    let change = change.election(Election::Online);
    let change = match &asked.replicas {
        None => cancel(view, topic, partition, change)?,
        Some(target) => {
            let target: Vec<NodeId> = target.iter().map(|b| NodeId(b.0)).collect();
            check_replicas(view.image, &target)?;
            check_count(partition, &target, keep_count)?;
            change.target_assignment(Assignment::towards(&target, partition))
        }
    };
    Ok(change.build(|n| view.image.is_active(n)))
}

/// With `allow_replication_factor_change = false` the number of replicas must stay (KIP-860).
fn check_count(partition: &PartitionRegistration, target: &[NodeId], keep: bool) -> Result<(), Refusal> {
    let present = partition.replicas.len() - partition.adding.len();
    if keep && present != target.len() {
        let message = format!(
            "The replication factor is changed from {present} to {} and that is not allowed.",
            target.len()
        );
        return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message));
    }
    Ok(())
}

/// Back to the replicas from before (`PartitionReassignmentRevert`). If none of them is in sync the first of them becomes
/// the ISR, which is an unclean election and needs permission.
fn cancel<'a>(
    view: View<'_>,
    topic: &TopicImage,
    partition: &PartitionRegistration,
    change: PartitionChange<'a>,
) -> Result<PartitionChange<'a>, Refusal> {
    if partition.adding.is_empty() && partition.removing.is_empty() {
        let message = "No partition reassignment is in progress.";
        return Err(Refusal::new(ErrorCode::NoReassignmentInProgress, message));
    }
    let original = |list: &[NodeId]| -> Vec<NodeId> {
        list.iter().copied().filter(|n| !partition.adding.contains(n)).collect()
    };
    let (replicas, isr) = (original(&partition.replicas), original(&partition.isr));
    let may_lose = topic_settings(view.image, view.settings, &topic.name).unclean_leader_election;
    if isr.is_empty() && !may_lose {
        let message = "Unable to revert the assignment, because it would require an unclean leader election.";
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    if isr.is_empty() && elr::is_enabled(view) {
        // The ISR may stay empty until one of them can lead; a fenced replica must not be in it.
        let change = change.target_isr(Vec::new()).election(Election::Unclean);
        return Ok(change.target_assignment(Assignment::settled(replicas)));
    }
    if isr.is_empty() {
        let first = replicas[..1].to_vec();
        let change = change
            .target_isr(first)
            .target_recovery(LeaderRecoveryState::Recovering)
            .election(Election::Unclean);
        return Ok(change.target_assignment(Assignment::settled(replicas)));
    }
    Ok(change.target_isr(isr).target_assignment(Assignment::settled(replicas)))
}

/// Decides about a ListPartitionReassignments; no list of topics means all. Topics and partitions that do not exist or
/// are not being reassigned are not mentioned. Source: KIP-455, `listPartitionReassignments`.
pub(super) fn list_reassignments(
    image: &MetadataImage,
    request: &ListPartitionReassignmentsRequest,
) -> Decision {
    let of_topic = |topic: &TopicImage, only: Option<&[i32]>| {
        let partitions: Vec<_> = topic
            .partitions
            .iter()
            .filter(|(number, p)| {
                only.is_none_or(|only| only.contains(number))
                    && !(p.adding.is_empty() && p.removing.is_empty())
            })
            .map(|(number, p)| ongoing(*number, p))
            .collect();
        let name = TopicName(StrBytes::from_string(topic.name.to_string()));
        let answer = OngoingTopicReassignment::default().with_name(name).with_partitions(partitions);
        (!answer.partitions.is_empty()).then_some(answer)
    };
    let topics = match &request.topics {
        None => image.topics.values().filter_map(|topic| of_topic(topic, None)).collect(),
        Some(topics) => topics
            .iter()
            .filter_map(|asked| of_topic(image.topic_by_name(&asked.name)?, Some(&asked.partition_indexes)))
            .collect(),
    };
    let response = ListPartitionReassignmentsResponse::default().with_error_message(None).with_topics(topics);
    Decision { records: Vec::new(), response: response.into() }
}

fn ongoing(number: i32, partition: &PartitionRegistration) -> OngoingPartitionReassignment {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|n| BrokerId(n.0)).collect();
    OngoingPartitionReassignment::default()
        .with_partition_index(number)
        .with_replicas(ids(&partition.replicas))
        .with_adding_replicas(ids(&partition.adding))
        .with_removing_replicas(ids(&partition.removing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::elections::change_of;
    use crate::ids::{TopicId, Uuid};
    use crate::metadata::PartitionRecord;

    const T: TopicId = Uuid::from_u128(5);

    fn nodes(ids: &[i32]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    fn partition(replicas: &[i32], isr: &[i32], leader: i32) -> PartitionRegistration {
        PartitionRegistration::new(&PartitionRecord {
            partition: 0,
            topic_id: T,
            replicas: nodes(replicas),
            isr: nodes(isr),
            leader: Some(NodeId(leader)),
            leader_epoch: 1,
            partition_epoch: 1,
            leader_recovery_state: LeaderRecoveryState::Recovered,
            adding: vec![],
            removing: vec![],
            elr: vec![],
            last_known_elr: vec![],
        })
    }

    fn reassign(p: &mut PartitionRegistration, target: &[i32]) -> Option<PartitionChangeRecord> {
        let change = change_of(p);
        let change = change.target_assignment(Assignment::towards(&nodes(target), p)).build(|_| true);
        if let Some(change) = &change {
            p.merge(change);
        }
        change
    }

    fn alter_isr(p: &mut PartitionRegistration, isr: &[i32]) {
        let change = change_of(p).target_isr(nodes(isr)).build(|_| true);
        p.merge(&change.expect("the ISR changes"));
    }

    #[test]
    fn ctl_7_a_move_grows_first_and_shrinks_in_the_record_that_completes_it() {
        let mut p = partition(&[1, 2, 3], &[1, 2, 3], 1);
        reassign(&mut p, &[4, 5, 1]);
        assert_eq!(
            (&p.replicas, &p.adding, &p.removing),
            (&nodes(&[4, 5, 1, 2, 3]), &nodes(&[4, 5]), &nodes(&[2, 3]))
        );
        assert_eq!((p.leader, p.leader_epoch), (Some(NodeId(1)), 1), "nobody is gone yet");
        alter_isr(&mut p, &[1, 2, 3, 4]);
        assert_eq!(p.replicas.len(), 5);
        alter_isr(&mut p, &[1, 2, 3, 4, 5]);
        assert_eq!((&p.replicas, &p.isr), (&nodes(&[4, 5, 1]), &nodes(&[1, 4, 5])));
        assert!(p.adding.is_empty() && p.removing.is_empty());
        assert_eq!((p.leader, p.leader_epoch), (Some(NodeId(1)), 2), "the removed ones are fenced off");
    }

    #[test]
    fn ctl_7_a_leader_that_goes_hands_over_in_the_same_record() {
        let mut p = partition(&[1, 2], &[1, 2], 1);
        reassign(&mut p, &[3, 4]);
        alter_isr(&mut p, &[1, 2, 3, 4]);
        assert_eq!((p.replicas, p.isr), (nodes(&[3, 4]), nodes(&[3, 4])));
        assert_eq!((p.leader, p.leader_epoch), (Some(NodeId(3)), 2));
    }

    #[test]
    fn fewer_replicas_or_another_order_are_done_at_once() {
        let mut p = partition(&[1, 2, 3], &[1, 2, 3], 1);
        reassign(&mut p, &[2, 1]);
        assert_eq!((&p.replicas, &p.isr, p.leader_epoch), (&nodes(&[2, 1]), &nodes(&[1, 2]), 2));
        reassign(&mut p, &[1, 2]);
        assert_eq!((&p.replicas, p.leader, p.leader_epoch), (&nodes(&[1, 2]), Some(NodeId(1)), 2));
        assert_eq!(reassign(&mut p, &[1, 2]), None);
    }

    #[test]
    fn fewer_replicas_wait_until_those_that_stay_are_in_sync() {
        let mut p = partition(&[1, 2, 3], &[1], 1);
        reassign(&mut p, &[2, 3]);
        assert_eq!((&p.replicas, &p.removing), (&nodes(&[2, 3, 1]), &nodes(&[1])));
        alter_isr(&mut p, &[1, 2]);
        assert_eq!((p.replicas.len(), p.leader), (3, Some(NodeId(1))));
        alter_isr(&mut p, &[1, 2, 3]);
        assert_eq!((p.replicas, p.leader), (nodes(&[2, 3]), Some(NodeId(2))));
    }

    #[test]
    fn a_second_reassignment_takes_over_from_the_first() {
        let mut p = partition(&[1, 2], &[1, 2], 1);
        reassign(&mut p, &[1, 3]);
        reassign(&mut p, &[1, 3, 4]);
        assert_eq!((&p.adding, &p.removing), (&nodes(&[3, 4]), &nodes(&[2])));
        reassign(&mut p, &[1, 2]);
        assert_eq!((p.replicas, p.adding, p.removing), (nodes(&[1, 2]), vec![], vec![]));
    }
}
