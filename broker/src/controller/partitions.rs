//! A topic gets more partitions (KIP-195).

use std::collections::BTreeSet;

use rand::Rng;

use super::placement::{Refusal, place};
use super::topic_rules::check_replicas;
use super::topics::{MAX_PARTITIONS_PER_REQUEST, first_state};
use super::{Decision, View};
use crate::ids::NodeId;
use crate::metadata::{MetadataRecord, TopicImage};
use crate::wire::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use crate::wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use crate::wire::{ErrorCode, NO_ERROR, StrBytes};

/// Decides about a CreatePartitions; all topics that can grow are one atomic batch. Errors per topic:
/// UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR,
/// INVALID_REQUEST. Source: KIP-195, `ReplicationControlManager.createPartitions`.
pub(super) fn create_partitions(
    view: View<'_>,
    rng: &mut impl Rng,
    request: &CreatePartitionsRequest,
) -> Decision {
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(request.topics.len());
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<&str> =
        request.topics.iter().map(|t| t.name.as_str()).filter(|name| !seen.insert(*name)).collect();
    let mut answered = BTreeSet::new();
    for asked in request.topics.iter().filter(|asked| answered.insert(asked.name.as_str())) {
        let created = if repeated.contains(asked.name.as_str()) {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            grow(view, rng, asked)
        };
        let result = CreatePartitionsTopicResult::default().with_name(asked.name.clone());
        results.push(match created {
            Ok(created) => {
                records.extend(created);
                result.with_error_code(NO_ERROR).with_error_message(None)
            }
            Err(refusal) => result
                .with_error_code(refusal.code.code())
                .with_error_message(Some(StrBytes::from_string(refusal.message))),
        });
    }
    if request.validate_only {
        records.clear();
    }
    let response = CreatePartitionsResponse::default().with_results(results);
    Decision { records, response: response.into() }
}

fn grow(
    view: View<'_>,
    rng: &mut impl Rng,
    asked: &CreatePartitionsTopic,
) -> Result<Vec<MetadataRecord>, Refusal> {
    let name = asked.name.as_str();
    let Some(topic) = view.image.topic_by_name(name) else {
        let message = "This server does not host this topic-partition.";
        return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
    };
    let present = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    let added = asked.count.saturating_sub(present);
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidPartitions, message));
    if added == 0 {
        return invalid(format!("Topic already has {present} partition(s)."));
    }
    if added < 0 {
        let wanted = asked.count;
        return invalid(format!(
            "The topic {name} currently has {present} partition(s); {wanted} would not be an increase."
        ));
    }
    if added > MAX_PARTITIONS_PER_REQUEST {
        return invalid(format!("At most {MAX_PARTITIONS_PER_REQUEST} partitions can be added at once."));
    }
    let replication_factor = topic.partitions.first_key_value().map_or(1, |(_, p)| p.replicas.len());
    let replicas = match &asked.assignments {
        Some(assignments) => check_assignments(view, topic, assignments, added, replication_factor)?,
        None => {
            let replication_factor = i16::try_from(replication_factor).unwrap_or(i16::MAX);
            place(view.image, added, replication_factor, rng)?
        }
    };
    let numbered = (present..).zip(replicas);
    Ok(numbered
        .map(|(number, replicas)| first_state(view.image, topic.id, number, &replicas).into())
        .collect())
}

/// The replicas that the request assigns to each new partition.
fn check_assignments(
    view: View<'_>,
    topic: &TopicImage,
    assignments: &[CreatePartitionsAssignment],
    added: i32,
    replication_factor: usize,
) -> Result<Vec<Vec<NodeId>>, Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    if i32::try_from(assignments.len()) != Ok(added) {
        let given = assignments.len();
        return invalid(format!(
            "Attempted to add {added} additional partition(s), but only {given} assignment(s) were specified."
        ));
    }
    let mut all = Vec::with_capacity(assignments.len());
    for (number, assignment) in (topic.partitions.len()..).zip(assignments) {
        let replicas: Vec<NodeId> = assignment.broker_ids.iter().map(|b| NodeId(b.0)).collect();
        check_replicas(view.image, &replicas)?;
        if replicas.len() != replication_factor {
            let given = replicas.len();
            return invalid(format!(
                "The manual partition assignment includes a partition with {given} replica(s), but this is not \
                 consistent with previous partitions, which have {replication_factor} replica(s)."
            ));
        }
        if !replicas.iter().any(|n| view.image.is_active(*n)) {
            return invalid(format!(
                "All brokers specified in the manual partition assignment for partition {number} are fenced or in \
                 controlled shutdown."
            ));
        }
        all.push(replicas);
    }
    Ok(all)
}
