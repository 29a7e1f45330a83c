//! Answers that need only the applied metadata: ApiVersions, Metadata, DescribeCluster.

use super::route;
use crate::config::NodeConfig;
use crate::ids::{NodeId, TopicId};
use crate::io::Listener;
use crate::metadata::{BrokerRegistration, FEATURES, MetadataImage, PartitionRegistration, TopicImage};
use crate::wire::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use crate::wire::messages::describe_cluster_response::DescribeClusterBroker;
use crate::wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::wire::messages::{
    ApiVersionsResponse, BrokerId, DescribeClusterRequest, DescribeClusterResponse, MetadataRequest,
    MetadataResponse, TopicName,
};
use crate::wire::{self, ErrorCode, NO_ERROR, StrBytes};

/// No leader, no controller: what Kafka writes for a missing node id.
const NO_NODE: i32 = -1;
/// From this version on ApiVersions speaks of features (KIP-584).
const FEATURES_VERSION: i16 = 3;
/// From this version on it may say that the lowest level of a feature is 0.
const LEVEL_0_VERSION: i16 = 4;
/// DescribeCluster's endpoint type for brokers (KIP-919).
const BROKER_ENDPOINTS: i8 = 1;

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_string())
}

fn ids(nodes: &[NodeId]) -> Vec<BrokerId> {
    nodes.iter().map(|n| BrokerId(n.0)).collect()
}

/// What the listener offers, in every version that can be decoded (KIP-35), and from version 3 on the features: what this
/// node supports, and which levels the cluster agreed on (KIP-584). Before version 4 a feature that may be off (level 0)
/// cannot be named (KAFKA-17011).
pub(super) fn api_versions(
    listener: Listener,
    version: i16,
    image: Option<&MetadataImage>,
) -> ApiVersionsResponse {
    let offered =
        wire::SUPPORTED.iter().filter(|&&key| route::is_offered(listener, key)).filter_map(|&key| {
            let (min, max) = wire::versions(key)?;
            Some(ApiVersion::default().with_api_key(key as i16).with_min_version(min).with_max_version(max))
        });
    let response = ApiVersionsResponse::default().with_api_keys(offered.collect());
    let Some(image) = image.filter(|_| version >= FEATURES_VERSION) else { return response };
    let supported = FEATURES.iter().filter(|feature| version >= LEVEL_0_VERSION || feature.supported.min > 0);
    let supported = supported.map(|feature| {
        SupportedFeatureKey::default()
            .with_name(StrBytes::from_static_str(feature.name))
            .with_min_version(feature.supported.min)
            .with_max_version(feature.supported.max)
    });
    let finalized = image.features.iter().map(|(name, level)| {
        FinalizedFeatureKey::default()
            .with_name(text(name))
            .with_min_version_level(*level)
            .with_max_version_level(*level)
    });
    response
        .with_supported_features(supported.collect())
        .with_finalized_features(finalized.collect())
        .with_finalized_features_epoch(image.applied_offset)
}

/// The cluster as this broker knows it. Topics may be asked for by name or id; no list (or, in version 0, an empty one)
/// means all. `Differs from Kafka:` topics are never created by asking (`auto.create.topics.enable` has no effect).
pub(super) fn metadata(
    request: &MetadataRequest,
    version: i16,
    cluster_id: &str,
    image: &MetadataImage,
) -> MetadataResponse {
    let brokers = image.brokers.values().filter(|b| !b.fenced).filter_map(|b| {
        let address = b.address(Listener::Client)?;
        Some(
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(b.id.0))
                .with_host(text(&address.host))
                .with_port(i32::from(address.port))
                .with_rack(b.rack.as_deref().map(text)),
        )
    });
    let asked = request.topics.as_ref().filter(|topics| !(version == 0 && topics.is_empty()));
    let topics = match asked {
        None => image.topics.values().map(|topic| known_topic(topic, image)).collect(),
        Some(topics) => topics
            .iter()
            .map(|asked| match &asked.name {
                Some(name) => topic_by_name(name, image),
                None => topic_by_id(asked.topic_id, image),
            })
            .collect(),
    };
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text(cluster_id)))
        .with_controller_id(BrokerId(some_broker(image)))
        .with_topics(topics)
}

/// KRaft brokers name a live broker as the controller: admin requests are relayed from any of them (KIP-590).
fn some_broker(image: &MetadataImage) -> i32 {
    image.brokers.values().find(|b| !b.fenced).map_or(NO_NODE, |b| b.id.0)
}

fn topic_by_name(name: &TopicName, image: &MetadataImage) -> MetadataResponseTopic {
    match image.topic_by_name(name) {
        Some(topic) => known_topic(topic, image),
        None => MetadataResponseTopic::default()
            .with_name(Some(name.clone()))
            .with_error_code(ErrorCode::UnknownTopicOrPartition.code()),
    }
}

fn topic_by_id(id: TopicId, image: &MetadataImage) -> MetadataResponseTopic {
    match image.topic(&id) {
        Some(topic) => known_topic(topic, image),
        None => MetadataResponseTopic::default()
            .with_name(None)
            .with_topic_id(id)
            .with_error_code(ErrorCode::UnknownTopicId.code()),
    }
}

fn known_topic(topic: &TopicImage, image: &MetadataImage) -> MetadataResponseTopic {
    let partitions =
        topic.partitions.iter().map(|(index, partition)| known_partition(*index, partition, image));
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}

fn known_partition(
    index: i32,
    partition: &PartitionRegistration,
    image: &MetadataImage,
) -> MetadataResponsePartition {
    let leader = partition.leader.filter(|leader| image.broker(*leader).is_some_and(|b| !b.fenced));
    let offline: Vec<NodeId> =
        partition.replicas.iter().copied().filter(|id| is_offline(*id, image)).collect();
    let error_code = if leader.is_some() { NO_ERROR } else { ErrorCode::LeaderNotAvailable.code() };
    MetadataResponsePartition::default()
        .with_error_code(error_code)
        .with_partition_index(index)
        .with_leader_id(BrokerId(leader.map_or(NO_NODE, |l| l.0)))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&partition.isr))
        .with_offline_replicas(ids(&offline))
}

fn is_offline(id: NodeId, image: &MetadataImage) -> bool {
    image.broker(id).is_none_or(|b| b.fenced)
}

/// The brokers of the cluster (KIP-700), fenced ones on request (KIP-1073).
pub(super) fn describe_cluster(
    request: &DescribeClusterRequest,
    config: &NodeConfig,
    image: &MetadataImage,
    controller: Option<NodeId>,
) -> DescribeClusterResponse {
    if request.endpoint_type != BROKER_ENDPOINTS {
        return DescribeClusterResponse::default()
            .with_error_code(ErrorCode::MismatchedEndpointType.code())
            .with_error_message(Some(StrBytes::from_static_str("a broker describes broker endpoints only")));
    }
    let describe = |b: &BrokerRegistration| {
        let address = b.address(Listener::Client)?;
        Some(
            DescribeClusterBroker::default()
                .with_broker_id(BrokerId(b.id.0))
                .with_host(text(&address.host))
                .with_port(i32::from(address.port))
                .with_rack(b.rack.as_deref().map(text))
                .with_is_fenced(b.fenced && request.include_fenced_brokers),
        )
    };
    let shown = image.brokers.values().filter(|b| !b.fenced || request.include_fenced_brokers);
    DescribeClusterResponse::default()
        .with_endpoint_type(BROKER_ENDPOINTS)
        .with_cluster_id(text(&config.cluster_id))
        .with_controller_id(BrokerId(controller.map_or(NO_NODE, |_| some_broker(image))))
        .with_brokers(shown.filter_map(describe).collect())
}
