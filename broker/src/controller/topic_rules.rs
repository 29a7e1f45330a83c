//! What a topic may be called, and what a given assignment must look like.

use std::collections::BTreeSet;

use super::placement::Refusal;
use crate::ids::{METADATA_TOPIC, NodeId};
use crate::metadata::MetadataImage;
use crate::wire::ErrorCode;
use crate::wire::messages::create_topics_request::CreatableReplicaAssignment;

/// Kafka's longest topic name, in characters.
const MAX_NAME_LENGTH: usize = 249;

/// May a topic have this name? Errors: INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS. Source: Kafka's `Topic.validate`,
/// `ReplicationControlManager.validateNewTopicNames`.
pub(super) fn check_name(image: &MetadataImage, name: &str) -> Result<(), Refusal> {
    let invalid = |why: &str| Err(Refusal::new(ErrorCode::InvalidTopicException, why));
    if name.is_empty() || name == "." || name == ".." {
        return invalid("Topic name is invalid: it cannot be empty, \".\" or \"..\"");
    }
    if name.len() > MAX_NAME_LENGTH {
        return invalid("Topic name is invalid: it is longer than 249 characters");
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        return invalid(
            "Topic name is invalid: it contains characters other than ASCII alphanumerics, '.', '_' and '-'",
        );
    }
    if name == METADATA_TOPIC {
        return invalid("Topic name is invalid: it is the metadata log's");
    }
    if image.topic_id(name).is_some() {
        let message = format!("Topic '{name}' already exists.");
        return Err(Refusal::new(ErrorCode::TopicAlreadyExists, message));
    }
    // Metric names do not tell '.' and '_' apart.
    let plain = |s: &str| s.replace('.', "_");
    match image.topic_ids.keys().find(|other| plain(other) == plain(name)) {
        Some(other) => invalid(&format!("Topic '{name}' collides with existing topic: {other}")),
        None => Ok(()),
    }
}

/// The replicas of each partition, in order of partition. Errors: INVALID_REPLICA_ASSIGNMENT unless the partitions are
/// 0, 1, 2, ... with equally many different, registered replicas each. Source: KIP-4,
/// `ReplicationControlManager.validateManualPartitionAssignment`.
pub(super) fn check_assignments(
    image: &MetadataImage,
    assignments: &[CreatableReplicaAssignment],
) -> Result<Vec<Vec<NodeId>>, Refusal> {
    let invalid = |why: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, why));
    let mut sorted: Vec<_> = assignments.iter().collect();
    sorted.sort_by_key(|a| a.partition_index);
    let mut all: Vec<Vec<NodeId>> = Vec::with_capacity(sorted.len());
    for (number, assignment) in sorted.into_iter().enumerate() {
        if usize::try_from(assignment.partition_index) != Ok(number) {
            return invalid("Partitions should be a consecutive 0-based integer sequence.".into());
        }
        let replicas: Vec<NodeId> = assignment.broker_ids.iter().map(|b| NodeId(b.0)).collect();
        check_replicas(image, &replicas)?;
        if all.first().is_some_and(|first| first.len() != replicas.len()) {
            return invalid("The partitions have different numbers of replicas.".into());
        }
        all.push(replicas);
    }
    Ok(all)
}

/// May these be the replicas of a partition? Errors: INVALID_REPLICA_ASSIGNMENT unless they are some, different and
/// registered. Source: `ReplicationControlManager.validateManualPartitionAssignment`.
pub(super) fn check_replicas(image: &MetadataImage, replicas: &[NodeId]) -> Result<(), Refusal> {
    let invalid = |why: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, why));
    if replicas.is_empty() {
        return invalid("The manual partition assignment includes an empty replica list.".into());
    }
    if let Some(unknown) = replicas.iter().find(|n| image.broker(**n).is_none()) {
        return invalid(format!(
            "The manual partition assignment includes broker {unknown}, but no such broker is registered."
        ));
    }
    if replicas.iter().collect::<BTreeSet<_>>().len() != replicas.len() {
        return invalid("The manual partition assignment includes a broker more than once.".into());
    }
    Ok(())
}
