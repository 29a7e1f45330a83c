//! An operator wants other leaders.

use std::collections::BTreeSet;

use super::elections::{Election, PartitionChange};
use super::{Decision, View};
use crate::metadata::{MetadataRecord, PartitionRegistration, TopicImage};
use crate::wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use crate::wire::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};
use crate::wire::{ErrorCode, NO_ERROR, StrBytes};

/// Why a partition keeps the leader that it has.
#[derive(Debug)]
struct Refusal {
    code: ErrorCode,
    message: String,
}

impl Refusal {
    fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }
}

/// Decides about an ElectLeaders; all elections that can be held are one atomic batch. Errors per partition:
/// UNKNOWN_TOPIC_OR_PARTITION, ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE, ELIGIBLE_LEADERS_NOT_AVAILABLE;
/// INVALID_REQUEST for a kind of election that does not exist or a partition named twice. Source: KIP-460, CTL-5,
/// `ReplicationControlManager.electLeaders`.
///
/// No list of partitions means all of them; those that need no election are then left out of the answer.
pub(super) fn elect_leaders(view: View<'_>, version: i16, request: &ElectLeadersRequest) -> Decision {
    let kind = match request.election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        _ => {
            let response = refuse_all(version, request, ErrorCode::InvalidRequest);
            return Decision { records: Vec::new(), response: response.into() };
        }
    };
    let mut records = Vec::new();
    let mut topics = Vec::new();
    match &request.topic_partitions {
        None => {
            for topic in view.image.topics.values() {
                let elections = topic.partitions.iter().filter_map(|(number, partition)| {
                    let elected = elect(view, kind, topic, *number, partition);
                    let idle = matches!(&elected, Err(why) if why.code == ErrorCode::ElectionNotNeeded);
                    (!idle).then(|| answer(*number, elected, &mut records))
                });
                let results: Vec<PartitionResult> = elections.collect();
                if !results.is_empty() {
                    let name = TopicName(StrBytes::from_string(topic.name.to_string()));
                    topics.push(
                        ReplicaElectionResult::default().with_topic(name).with_partition_result(results),
                    );
                }
            }
        }
        Some(asked) => {
            let mut seen = BTreeSet::new();
            for named in asked {
                let results = named.partitions.iter().map(|number| {
                    let elected = if seen.insert((named.topic.as_str(), *number)) {
                        elect_named(view, kind, named.topic.as_str(), *number)
                    } else {
                        Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate partition."))
                    };
                    answer(*number, elected, &mut records)
                });
                let results = results.collect();
                topics.push(
                    ReplicaElectionResult::default()
                        .with_topic(named.topic.clone())
                        .with_partition_result(results),
                );
            }
        }
    }
    let response =
        ElectLeadersResponse::default().with_error_code(NO_ERROR).with_replica_election_results(topics);
    Decision { records, response: response.into() }
}

fn answer(
    number: i32,
    elected: Result<MetadataRecord, Refusal>,
    records: &mut Vec<MetadataRecord>,
) -> PartitionResult {
    let result = PartitionResult::default().with_partition_id(number);
    match elected {
        Ok(record) => {
            records.push(record);
            result.with_error_code(NO_ERROR).with_error_message(None)
        }
        Err(refusal) => result
            .with_error_code(refusal.code.code())
            .with_error_message(Some(StrBytes::from_string(refusal.message))),
    }
}

fn elect_named(view: View<'_>, kind: Election, topic: &str, number: i32) -> Result<MetadataRecord, Refusal> {
    let unknown = |what: String| Refusal::new(ErrorCode::UnknownTopicOrPartition, what);
    let topic =
        view.image.topic_by_name(topic).ok_or_else(|| unknown(format!("No such topic as {topic}")))?;
    let partition = topic
        .partitions
        .get(&number)
        .ok_or_else(|| unknown(format!("No such partition as {}-{number}", topic.name)))?;
    elect(view, kind, topic, number, partition)
}

/// The record that gives one partition the leader that is wanted.
fn elect(
    view: View<'_>,
    kind: Election,
    topic: &TopicImage,
    number: i32,
    partition: &PartitionRegistration,
) -> Result<MetadataRecord, Refusal> {
    let is_content = match kind {
        Election::Preferred => partition.leader.is_some() && partition.leader == partition.preferred(),
        Election::Online | Election::Unclean => partition.leader.is_some(),
    };
    if is_content {
        let message = "Leader election not needed for topic partition.";
        return Err(Refusal::new(ErrorCode::ElectionNotNeeded, message));
    }
    let change = PartitionChange::new(view, topic, number, partition)
        .election(kind)
        .build(|n| view.image.is_active(n));
    change.map(MetadataRecord::from).ok_or_else(|| match kind {
        Election::Preferred => {
            Refusal::new(ErrorCode::PreferredLeaderNotAvailable, "The preferred leader was not available.")
        }
        Election::Online | Election::Unclean => Refusal::new(
            ErrorCode::EligibleLeadersNotAvailable,
            "Eligible topic partition leaders are not available.",
        ),
    })
}

/// One error for every partition that the request names. Before version 1 there is no other place for it.
pub(crate) fn refuse_all(
    version: i16,
    request: &ElectLeadersRequest,
    code: ErrorCode,
) -> ElectLeadersResponse {
    let topics = request.topic_partitions.iter().flatten().map(|named| {
        let results = named.partitions.iter().map(|number| {
            PartitionResult::default()
                .with_partition_id(*number)
                .with_error_code(code.code())
                .with_error_message(None)
        });
        ReplicaElectionResult::default()
            .with_topic(named.topic.clone())
            .with_partition_result(results.collect())
    });
    ElectLeadersResponse::default()
        .with_error_code(if version >= 1 { code.code() } else { NO_ERROR })
        .with_replica_election_results(topics.collect())
}
