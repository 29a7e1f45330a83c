//! NOT_CONTROLLER, in the field that each answer has for it.

use super::elect_leaders::refuse_all;
use crate::wire::messages::create_partitions_request::CreatePartitionsTopic;
use crate::wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::wire::messages::create_topics_response::CreatableTopicResult;
use crate::wire::messages::delete_topics_response::DeletableTopicResult;
use crate::wire::messages::incremental_alter_configs_request::AlterConfigsResource;
use crate::wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::wire::messages::{
    AddRaftVoterResponse, AllocateProducerIdsResponse, AlterPartitionReassignmentsResponse,
    AlterPartitionResponse, BrokerHeartbeatResponse, BrokerRegistrationResponse, CreatePartitionsResponse,
    CreateTopicsResponse, DeleteTopicsResponse, DescribeQuorumResponse, IncrementalAlterConfigsResponse,
    ListPartitionReassignmentsResponse, RemoveRaftVoterResponse, UnregisterBrokerResponse,
    UpdateFeaturesResponse,
};
use crate::wire::{ErrorCode, Request, Response};

/// The answer of a node that is not the active controller; `None` if the request is none of the controller's.
pub(crate) fn not_controller(version: i16, request: &Request) -> Option<Response> {
    let code = ErrorCode::NotController.code();
    Some(match request {
        Request::BrokerRegistration(_) => {
            BrokerRegistrationResponse::default().with_error_code(code).with_broker_epoch(-1).into()
        }
        Request::BrokerHeartbeat(_) => BrokerHeartbeatResponse::default().with_error_code(code).into(),
        Request::AlterPartition(_) => AlterPartitionResponse::default().with_error_code(code).into(),
        Request::AllocateProducerIds(_) => {
            AllocateProducerIdsResponse::default().with_error_code(code).into()
        }
        Request::UnregisterBroker(_) => UnregisterBrokerResponse::default().with_error_code(code).into(),
        Request::CreatePartitions(r) => {
            let refuse = |asked: &CreatePartitionsTopic| {
                let result = CreatePartitionsTopicResult::default().with_name(asked.name.clone());
                result.with_error_code(code).with_error_message(None)
            };
            let results = r.topics.iter().map(refuse).collect();
            CreatePartitionsResponse::default().with_results(results).into()
        }
        Request::IncrementalAlterConfigs(r) => {
            let refuse = |asked: &AlterConfigsResource| {
                AlterConfigsResourceResponse::default()
                    .with_error_code(code)
                    .with_error_message(None)
                    .with_resource_type(asked.resource_type)
                    .with_resource_name(asked.resource_name.clone())
            };
            let responses = r.resources.iter().map(refuse).collect();
            IncrementalAlterConfigsResponse::default().with_responses(responses).into()
        }
        // These the quorum itself answers; who does not lead it says so in the quorum's words.
        Request::AddRaftVoter(_) => {
            AddRaftVoterResponse::default().with_error_code(ErrorCode::NotLeaderOrFollower.code()).into()
        }
        Request::RemoveRaftVoter(_) => {
            RemoveRaftVoterResponse::default().with_error_code(ErrorCode::NotLeaderOrFollower.code()).into()
        }
        Request::UpdateFeatures(_) => UpdateFeaturesResponse::default().with_error_code(code).into(),
        Request::AlterPartitionReassignments(_) => {
            AlterPartitionReassignmentsResponse::default().with_error_code(code).into()
        }
        Request::ListPartitionReassignments(_) => {
            ListPartitionReassignmentsResponse::default().with_error_code(code).into()
        }
        Request::DescribeQuorum(_) => {
            DescribeQuorumResponse::default().with_error_code(code).with_error_message(None).into()
        }
        Request::ElectLeaders(r) => refuse_all(version, r, ErrorCode::NotController).into(),
        Request::CreateTopics(r) => {
            let refuse = |name: &crate::wire::messages::TopicName| {
                let result = CreatableTopicResult::default().with_name(name.clone());
                result.with_error_code(code).with_error_message(None).with_configs(None)
            };
            let topics = r.topics.iter().map(|t| refuse(&t.name)).collect();
            CreateTopicsResponse::default().with_topics(topics).into()
        }
        Request::DeleteTopics(r) => {
            let results = super::topics::topics_to_delete(version, r).into_iter().map(|t| {
                let result = DeletableTopicResult::default().with_name(t.name).with_topic_id(t.topic_id);
                result.with_error_code(code).with_error_message(None)
            });
            DeleteTopicsResponse::default().with_responses(results.collect()).into()
        }
        _ => return None,
    })
}
