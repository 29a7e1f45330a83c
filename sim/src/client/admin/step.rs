//! One step of a task: its request, whom it is for, what an answer means.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::ids::TopicPartition;
use broker::wire::messages::add_raft_voter_request::Listener as VoterListener;
use broker::wire::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use broker::wire::messages::create_partitions_request::CreatePartitionsTopic;
use broker::wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use broker::wire::messages::delete_topics_request::DeleteTopicState;
use broker::wire::messages::elect_leaders_request::TopicPartitions;
use broker::wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use broker::wire::messages::metadata_request::MetadataRequestTopic;
use broker::wire::messages::update_features_request::FeatureUpdateKey;
use broker::wire::messages::{
    AddRaftVoterRequest, AlterPartitionReassignmentsRequest, BrokerId, CreatePartitionsRequest,
    CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, ElectLeadersRequest,
    ElectLeadersResponse, IncrementalAlterConfigsRequest, MetadataRequest, MetadataResponse,
    RemoveRaftVoterRequest, TopicName, UnregisterBrokerRequest, UpdateFeaturesRequest,
};
use broker::wire::{ErrorCode, NO_ERROR, Request, Response, StrBytes};

use super::task::{AdminStep, ConfigOwner};
use super::topics::NewTopic;

/// `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;
/// `ConfigResource.Type.BROKER`.
const BROKER_RESOURCE: i8 = 4;
/// `AlterConfigOp.OpType.SET`.
const SET: i8 = 0;
/// `FeatureUpdate.UpgradeType.UNSAFE_DOWNGRADE`: up or down, whatever is lost by it.
const UNSAFE_DOWNGRADE: i8 = 3;

/// Who can carry a step out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whom {
    /// Any broker: it relays to the active controller (KIP-590).
    Anybody,
    /// The leader of a partition.
    Leader(TopicPartition),
}

/// How far an answer brings a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is done.
    Done,
    /// Ask again after the back-off.
    Again,
    /// It will not be done.
    Refused(ErrorCode),
}

/// May the same request succeed a little later, whatever it asks for? Only what says that the wrong node was asked, or
/// that nobody is there to answer now.
fn passes(error: ErrorCode) -> bool {
    use ErrorCode::*;
    matches!(
        error,
        NotController
            | RequestTimedOut
            | NetworkException
            | NotLeaderOrFollower
            | LeaderNotAvailable
            | FencedLeaderEpoch
            | UnknownLeaderEpoch
            | ThrottlingQuotaExceeded
    )
}

/// What a list of error codes means. `is_done`: refusals that say that there is nothing left to do.
fn judge(codes: impl IntoIterator<Item = i16>, is_done: impl Fn(ErrorCode) -> bool) -> Progress {
    let mut progress = Progress::Done;
    for error in codes.into_iter().filter(|code| *code != NO_ERROR) {
        match ErrorCode::try_from_code(error) {
            Some(error) if passes(error) => progress = Progress::Again,
            Some(error) if !is_done(error) => return Progress::Refused(error),
            _ => {}
        }
    }
    progress
}

fn name(topic: &str) -> TopicName {
    TopicName::from(StrBytes::from_string(topic.to_owned()))
}

fn ids(replicas: &[i32]) -> Vec<BrokerId> {
    replicas.iter().map(|id| BrokerId(*id)).collect()
}

impl AdminStep {
    /// Who can carry it out.
    pub(super) fn whom(&self) -> Whom {
        match self {
            AdminStep::DeleteRecords { topic, partition, .. } => {
                Whom::Leader(TopicPartition::new(topic.as_str(), *partition))
            }
            _ => Whom::Anybody,
        }
    }

    /// The request. `None`: the step cannot be asked for (a topic that the scenario does not declare).
    pub(super) fn request(
        &self,
        declared: &BTreeMap<Arc<str>, NewTopic>,
        timeout_ms: i32,
    ) -> Option<Request> {
        Some(match self {
            AdminStep::CreateTopic { topic } => {
                let topic = declared.get(topic.as_str())?.message();
                CreateTopicsRequest::default().with_timeout_ms(timeout_ms).with_topics(vec![topic]).into()
            }
            AdminStep::DeleteTopic { topic } => {
                let topic = DeleteTopicState::default().with_name(Some(name(topic)));
                DeleteTopicsRequest::default().with_timeout_ms(timeout_ms).with_topics(vec![topic]).into()
            }
            AdminStep::Elect { topic, partitions, is_unclean, .. } => {
                let topic = TopicPartitions::default().with_topic(name(topic));
                ElectLeadersRequest::default()
                    .with_election_type(i8::from(*is_unclean))
                    .with_topic_partitions(Some(vec![topic.with_partitions(partitions.clone())]))
                    .with_timeout_ms(timeout_ms)
                    .into()
            }
            AdminStep::Reassign { topic, partitions, replicas } => {
                let one = |partition: &i32| {
                    ReassignablePartition::default()
                        .with_partition_index(*partition)
                        .with_replicas(Some(ids(replicas)))
                };
                let partitions = partitions.iter().map(one).collect();
                let topic = ReassignableTopic::default().with_name(name(topic)).with_partitions(partitions);
                AlterPartitionReassignmentsRequest::default()
                    .with_timeout_ms(timeout_ms)
                    .with_topics(vec![topic])
                    .into()
            }
            AdminStep::Alter { whose, configs } => {
                let (resource_type, name) = match whose {
                    ConfigOwner::Topic(topic) => (TOPIC_RESOURCE, topic.clone()),
                    // Without a name: the default of all brokers.
                    ConfigOwner::Broker(id) => {
                        (BROKER_RESOURCE, id.map_or_else(String::new, |id| id.to_string()))
                    }
                };
                let set = configs.iter().map(|(name, value)| {
                    AlterableConfig::default()
                        .with_name(StrBytes::from_string(name.clone()))
                        .with_config_operation(SET)
                        .with_value(Some(StrBytes::from_string(value.clone())))
                });
                let resource = AlterConfigsResource::default()
                    .with_resource_type(resource_type)
                    .with_resource_name(StrBytes::from_string(name))
                    .with_configs(set.collect());
                IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).into()
            }
            AdminStep::UpdateFeature { name, level } => {
                let update = FeatureUpdateKey::default()
                    .with_feature(StrBytes::from_string(name.clone()))
                    .with_max_version_level(*level)
                    .with_upgrade_type(UNSAFE_DOWNGRADE);
                UpdateFeaturesRequest::default()
                    .with_timeout_ms(timeout_ms)
                    .with_feature_updates(vec![update])
                    .into()
            }
            AdminStep::AddPartitions { topic, count } => {
                let topic = CreatePartitionsTopic::default().with_name(name(topic)).with_count(*count);
                let topic = topic.with_assignments(None);
                CreatePartitionsRequest::default().with_timeout_ms(timeout_ms).with_topics(vec![topic]).into()
            }
            AdminStep::DeleteRecords { topic, partition, before } => {
                let below =
                    DeleteRecordsPartition::default().with_partition_index(*partition).with_offset(*before);
                let topic = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![below]);
                DeleteRecordsRequest::default().with_timeout_ms(timeout_ms).with_topics(vec![topic]).into()
            }
            AdminStep::Unregister { broker } => {
                UnregisterBrokerRequest::default().with_broker_id(BrokerId(*broker)).into()
            }
            AdminStep::AddVoter { controller, host, port } => {
                let listener = VoterListener::default()
                    .with_name(StrBytes::from_static_str("CONTROLLER"))
                    .with_host(StrBytes::from_string(host.clone()))
                    .with_port(*port);
                AddRaftVoterRequest::default()
                    .with_cluster_id(None)
                    .with_timeout_ms(timeout_ms)
                    .with_voter_id(*controller)
                    .with_listeners(vec![listener])
                    .into()
            }
            AdminStep::RemoveVoter { controller } => {
                RemoveRaftVoterRequest::default().with_cluster_id(None).with_voter_id(*controller).into()
            }
            AdminStep::AwaitReplicas { topic, .. } => {
                let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
                MetadataRequest::default()
                    .with_topics(Some(vec![topic]))
                    .with_allow_auto_topic_creation(false)
                    .into()
            }
        })
    }

    /// May a change of which the answer is "not now" be under way all the same? One of the voters goes on when its time is
    /// up, or when the leader that wrote it leads no more (KIP-853).
    pub(super) fn goes_on(&self) -> bool {
        matches!(self, AdminStep::AddVoter { .. } | AdminStep::RemoveVoter { .. })
    }

    /// What an answer means. `is_repeated`: an earlier attempt may have been carried out although its answer was lost.
    pub(super) fn take(&self, response: &Response, is_repeated: bool) -> Progress {
        use ErrorCode::*;
        let done_before = |wanted: ErrorCode| move |error: ErrorCode| is_repeated && error == wanted;
        match (self, response) {
            (AdminStep::CreateTopic { .. }, Response::CreateTopics(answer)) => {
                judge(answer.topics.iter().map(|topic| topic.error_code), done_before(TopicAlreadyExists))
            }
            (AdminStep::DeleteTopic { .. }, Response::DeleteTopics(answer)) => judge(
                answer.responses.iter().map(|topic| topic.error_code),
                done_before(UnknownTopicOrPartition),
            ),
            (AdminStep::Elect { is_needed, .. }, Response::ElectLeaders(answer)) => {
                elected(answer, *is_needed && !is_repeated)
            }
            (AdminStep::Reassign { .. }, Response::AlterPartitionReassignments(answer)) => {
                let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
                let codes = partitions.map(|partition| partition.error_code);
                judge([answer.error_code].into_iter().chain(codes), |_| false)
            }
            (AdminStep::Alter { .. }, Response::IncrementalAlterConfigs(answer)) => {
                judge(answer.responses.iter().map(|resource| resource.error_code), |_| false)
            }
            (AdminStep::UpdateFeature { .. }, Response::UpdateFeatures(answer)) => {
                let codes = answer.results.iter().map(|feature| feature.error_code);
                judge([answer.error_code].into_iter().chain(codes), |_| false)
            }
            (AdminStep::AddPartitions { .. }, Response::CreatePartitions(answer)) => {
                judge(answer.results.iter().map(|topic| topic.error_code), done_before(InvalidPartitions))
            }
            (AdminStep::DeleteRecords { .. }, Response::DeleteRecords(answer)) => {
                let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
                judge(partitions.map(|partition| partition.error_code), |_| false)
            }
            (AdminStep::Unregister { .. }, Response::UnregisterBroker(answer)) => {
                judge([answer.error_code], done_before(BrokerIdNotRegistered))
            }
            (AdminStep::AddVoter { .. }, Response::AddRaftVoter(answer)) => {
                judge([answer.error_code], done_before(DuplicateVoter))
            }
            (AdminStep::RemoveVoter { .. }, Response::RemoveRaftVoter(answer)) => {
                judge([answer.error_code], done_before(VoterNotFound))
            }
            (AdminStep::AwaitReplicas { partitions, replicas, .. }, Response::Metadata(answer)) => {
                match have_replicas(answer, partitions, replicas) {
                    true => Progress::Done,
                    false => Progress::Again,
                }
            }
            _ => Progress::Again,
        }
    }
}

/// ELECTION_NOT_NEEDED refuses only if no partition at all needed one.
fn elected(answer: &ElectLeadersResponse, is_needed: bool) -> Progress {
    let partitions = answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
    let codes: Vec<i16> = partitions.map(|partition| partition.error_code).collect();
    let not_needed = ErrorCode::ElectionNotNeeded;
    let is_in_vain = !codes.is_empty() && codes.iter().all(|code| *code == not_needed.code());
    if is_in_vain && is_needed {
        return Progress::Refused(not_needed);
    }
    judge([answer.error_code].into_iter().chain(codes), |error| error == not_needed)
}

fn have_replicas(answer: &MetadataResponse, partitions: &[i32], replicas: &[i32]) -> bool {
    let wanted = ids(replicas);
    partitions.iter().all(|index| {
        let mut known = answer.topics.iter().flat_map(|topic| &topic.partitions);
        known.any(|known| known.partition_index == *index && known.replica_nodes == wanted)
    })
}
