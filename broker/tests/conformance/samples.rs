//! A sensible request for every API, version and listener.

use broker::ids::{METADATA_TOPIC, METADATA_TOPIC_ID, NodeId, TopicId};
use broker::io::Listener;
use broker::log::BatchBuilder;
use broker::time::Duration;
use broker::wire::messages::*;
use broker::wire::{self, ApiKey, Request, Response, StrBytes};
use bytes::Bytes;

use crate::net::{Cluster, create_topic, metadata};

pub const LISTENERS: [Listener; 3] = [Listener::Client, Listener::Replication, Listener::Controller];
pub const PATIENCE: Duration = Duration::from_secs(40);
/// The topic that every sample speaks of.
pub const TOPIC: &str = "orders";
/// No broker has it: samples that would change registrations are turned away with it.
const STALE_BROKER_EPOCH: i64 = 0;

/// A booted cluster of three with one replicated topic.
pub struct Bench {
    pub cluster: Cluster,
    pub topic_id: TopicId,
    pub leader: NodeId,
    pub follower: NodeId,
    /// Topics made so far.
    made: u32,
}

pub fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.into())
}

pub fn topic_name(s: &str) -> TopicName {
    TopicName(text(s))
}

impl Bench {
    pub fn new() -> Bench {
        let mut cluster = Cluster::new(3, 3);
        cluster.run_for(Duration::from_secs(10));
        cluster.ask(NodeId(0), create_topic(TOPIC, 3, 2)).expect("the topic is created");
        cluster.run_for(Duration::from_secs(1));
        let topic_id = cluster.topic_id(NodeId(0), TOPIC);
        let mut bench = Bench { cluster, topic_id, leader: NodeId(0), follower: NodeId(0), made: 0 };
        bench.refresh(NodeId(0));
        bench
    }

    /// Learns who leads from `asked`.
    pub fn refresh(&mut self, asked: NodeId) {
        let Some(Response::Metadata(response)) = self.cluster.ask(asked, metadata(TOPIC)) else {
            panic!("{asked} answers")
        };
        let leader = response.topics[0].partitions[0].leader_id.0;
        assert!(leader >= 0, "a leader");
        (self.leader, self.follower) = (NodeId(leader), NodeId((leader + 1) % 3));
    }

    /// The node that a sample goes to.
    pub fn target(&self, listener: Listener) -> NodeId {
        match listener {
            Listener::Controller => self.cluster.active_controller().expect("an active controller"),
            Listener::Client | Listener::Replication => self.leader,
        }
    }

    /// A request over a connection of its own. `None`: closed or silent.
    pub fn ask(
        &mut self,
        node: NodeId,
        listener: Listener,
        request: &Request,
        version: i16,
    ) -> Option<Response> {
        let frame = encode(request, version);
        let connection = self.cluster.dial(node, listener);
        self.cluster.send(connection, frame);
        let answer = self.cluster.answer(connection, PATIENCE)?;
        let (correlation_id, response) =
            wire::decode_response(request.api_key(), version, answer).expect("readable in its version");
        assert_eq!(correlation_id, 7);
        Some(response)
    }

    /// Produces to [`TOPIC`] at its leader: error code and base offset.
    pub fn produce(&mut self, records: Bytes) -> (i16, i64) {
        let request = produce_request(self.topic_id, 13, -1, records);
        let leader = self.leader;
        match self.ask(leader, Listener::Client, &request, 13) {
            Some(Response::Produce(response)) => {
                let partition = &response.responses[0].partition_responses[0];
                (partition.error_code, partition.base_offset)
            }
            other => panic!("no answer to a produce: {other:?}"),
        }
    }

    /// Makes a topic that no sample names and appends to it with acks=all: the cluster works.
    pub fn still_works(&mut self) {
        self.made += 1;
        let topic = format!("made-{}", self.made);
        let made = self.cluster.ask(NodeId(0), create_topic(&topic, 3, 2));
        let Some(Response::CreateTopics(made)) = made else { panic!("no answer: {made:?}") };
        assert_eq!(made.topics[0].error_code, 0, "{:?}", made.topics[0].error_message);
        self.cluster.run_for(Duration::from_secs(1));
        let Some(Response::Metadata(response)) = self.cluster.ask(NodeId(0), metadata(&topic)) else {
            panic!("no metadata")
        };
        let topic = &response.topics[0];
        let leader = NodeId(topic.partitions[0].leader_id.0);
        let request = produce_request(topic.topic_id, 13, -1, batch());
        let Some(Response::Produce(response)) = self.ask(leader, Listener::Client, &request, 13) else {
            panic!("no answer to a produce")
        };
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
}

pub fn encode(request: &Request, version: i16) -> Bytes {
    wire::encode_request(request, version, 7, &text("conformance")).unwrap_or_else(|error| {
        panic!("{:?} v{version}: {error}", request.api_key());
    })
}

/// One record.
pub fn batch() -> Bytes {
    let mut batch = BatchBuilder::new();
    batch.push(0, Some(b"key"), Some(b"value"), &[]);
    batch.build()
}

pub fn produce_request(topic_id: TopicId, version: i16, acks: i16, records: Bytes) -> Request {
    let data = produce_request::PartitionProduceData::default().with_index(0).with_records(Some(records));
    let topic = produce_request::TopicProduceData::default().with_partition_data(vec![data]);
    let topic =
        if version >= 13 { topic.with_topic_id(topic_id) } else { topic.with_name(topic_name(TOPIC)) };
    ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic]).into()
}

/// The APIs of each listener (Kafka's message schemas).
pub fn offered(listener: Listener) -> Vec<ApiKey> {
    use ApiKey::*;
    match listener {
        Listener::Client => vec![
            Produce,
            Fetch,
            ListOffsets,
            Metadata,
            ApiVersions,
            CreateTopics,
            DeleteTopics,
            AlterPartitionReassignments,
            DeleteRecords,
            CreatePartitions,
            UnregisterBroker,
            IncrementalAlterConfigs,
            DescribeConfigs,
            UpdateFeatures,
            ListPartitionReassignments,
            InitProducerId,
            OffsetForLeaderEpoch,
            ElectLeaders,
            AddRaftVoter,
            RemoveRaftVoter,
            DescribeCluster,
            DescribeQuorum,
        ],
        Listener::Replication => vec![Fetch, ListOffsets, OffsetForLeaderEpoch, ApiVersions],
        Listener::Controller => vec![
            Vote,
            BeginQuorumEpoch,
            EndQuorumEpoch,
            DescribeQuorum,
            FetchSnapshot,
            UpdateRaftVoter,
            Fetch,
            AlterPartition,
            BrokerRegistration,
            BrokerHeartbeat,
            AllocateProducerIds,
            CreateTopics,
            DeleteTopics,
            AlterPartitionReassignments,
            CreatePartitions,
            UnregisterBroker,
            IncrementalAlterConfigs,
            UpdateFeatures,
            ListPartitionReassignments,
            ElectLeaders,
            AddRaftVoter,
            RemoveRaftVoter,
            ApiVersions,
        ],
    }
}

/// Every API in every version on one listener.
pub fn all_on(listener: Listener) -> impl Iterator<Item = (ApiKey, i16)> {
    offered(listener).into_iter().flat_map(|key| {
        let (min, max) = wire::versions(key).expect("an API of ours");
        (min..=max).map(move |version| (key, version))
    })
}

/// A sensible request. Those of brokers and voters come from a past life and change nothing.
pub fn sample(bench: &Bench, listener: Listener, api_key: ApiKey, version: i16) -> Request {
    match api_key {
        ApiKey::Produce => produce_request(bench.topic_id, version, -1, batch()),
        ApiKey::Fetch if listener == Listener::Controller => quorum_fetch(version),
        ApiKey::Fetch => fetch(bench, listener, version),
        ApiKey::ListOffsets => list_offsets(listener, version),
        ApiKey::Metadata => {
            let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(TOPIC)));
            MetadataRequest::default().with_topics(Some(vec![topic])).into()
        }
        ApiKey::ApiVersions if version >= 3 => ApiVersionsRequest::default()
            .with_client_software_name(text("conformance"))
            .with_client_software_version(text("1.0"))
            .into(),
        ApiKey::ApiVersions => ApiVersionsRequest::default().into(),
        ApiKey::CreateTopics => {
            create_topics(&format!("{}-{}", listener.port(), version), if version >= 4 { -1 } else { 1 })
        }
        ApiKey::DeleteTopics => delete_topics("nowhere", version),
        ApiKey::DeleteRecords => delete_records(TOPIC, 0),
        ApiKey::CreatePartitions => create_partitions(TOPIC, 1),
        ApiKey::UnregisterBroker => UnregisterBrokerRequest::default().with_broker_id(BrokerId(77)).into(),
        ApiKey::IncrementalAlterConfigs => alter_config(TOPIC, "retention.ms", "1000000"),
        ApiKey::DescribeConfigs => describe_configs(TOPIC_RESOURCE, TOPIC),
        ApiKey::UpdateFeatures => update_features("group.version", 1, version),
        ApiKey::AlterPartitionReassignments => reassign(TOPIC, None),
        ApiKey::ListPartitionReassignments => {
            ListPartitionReassignmentsRequest::default().with_topics(None).into()
        }
        ApiKey::ElectLeaders => elect_leaders("nowhere"),
        ApiKey::InitProducerId => InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .into(),
        ApiKey::OffsetForLeaderEpoch => offset_for_leader_epoch(),
        ApiKey::DescribeCluster => DescribeClusterRequest::default().into(),
        ApiKey::AllocateProducerIds => AllocateProducerIdsRequest::default()
            .with_broker_id(BrokerId(1))
            .with_broker_epoch(STALE_BROKER_EPOCH)
            .into(),
        ApiKey::AlterPartition => alter_partition(bench, version),
        ApiKey::BrokerRegistration => broker_registration(),
        ApiKey::BrokerHeartbeat => BrokerHeartbeatRequest::default()
            .with_broker_id(BrokerId(1))
            .with_broker_epoch(STALE_BROKER_EPOCH)
            .into(),
        ApiKey::Vote => vote(),
        ApiKey::BeginQuorumEpoch => begin_quorum_epoch(),
        ApiKey::EndQuorumEpoch => end_quorum_epoch(),
        ApiKey::FetchSnapshot => fetch_snapshot(),
        ApiKey::DescribeQuorum => describe_quorum(),
        ApiKey::AddRaftVoter => AddRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_voter_id(77)
            .with_listeners(vec![add_raft_voter_request::Listener::default().with_host(text("h"))])
            .into(),
        ApiKey::RemoveRaftVoter => {
            RemoveRaftVoterRequest::default().with_cluster_id(None).with_voter_id(77).into()
        }
        ApiKey::UpdateRaftVoter => {
            UpdateRaftVoterRequest::default().with_cluster_id(None).with_voter_id(77).into()
        }
        other => panic!("no sample of {other:?}"),
    }
}

fn describe_quorum() -> Request {
    let topic = describe_quorum_request::TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![describe_quorum_request::PartitionData::default()]);
    DescribeQuorumRequest::default().with_topics(vec![topic]).into()
}

fn fetch_snapshot() -> Request {
    let partition = fetch_snapshot_request::PartitionSnapshot::default()
        .with_snapshot_id(fetch_snapshot_request::SnapshotId::default().with_end_offset(1));
    let topic = fetch_snapshot_request::TopicSnapshot::default()
        .with_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![partition]);
    FetchSnapshotRequest::default()
        .with_replica_id(BrokerId(1))
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
        .into()
}

fn fetch(bench: &Bench, listener: Listener, version: i16) -> Request {
    let partition = fetch_request::FetchPartition::default()
        .with_fetch_offset(0)
        .with_current_leader_epoch(if version >= 9 { 0 } else { -1 })
        .with_partition_max_bytes(1 << 20);
    let topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
    let topic =
        if version >= 13 { topic.with_topic_id(bench.topic_id) } else { topic.with_topic(topic_name(TOPIC)) };
    let request = FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic]);
    if listener == Listener::Client {
        return request.into();
    }
    let follower = BrokerId(bench.follower.0);
    let state = fetch_request::ReplicaState::default().with_replica_id(follower);
    let request =
        if version >= 15 { request.with_replica_state(state) } else { request.with_replica_id(follower) };
    request.into()
}

fn quorum_fetch(version: i16) -> Request {
    let partition = fetch_request::FetchPartition::default()
        .with_current_leader_epoch(if version >= 9 { 0 } else { -1 })
        .with_last_fetched_epoch(if version >= 12 { 0 } else { -1 })
        .with_partition_max_bytes(1 << 20);
    let topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
    let topic = if version >= 13 {
        topic.with_topic_id(METADATA_TOPIC_ID)
    } else {
        topic.with_topic(topic_name(METADATA_TOPIC))
    };
    let request = FetchRequest::default().with_max_wait_ms(100).with_topics(vec![topic]);
    let state = fetch_request::ReplicaState::default().with_replica_id(BrokerId(9));
    let request =
        if version >= 15 { request.with_replica_state(state) } else { request.with_replica_id(BrokerId(9)) };
    request.into()
}

fn list_offsets(listener: Listener, version: i16) -> Request {
    let partition = list_offsets_request::ListOffsetsPartition::default()
        .with_timestamp(-1)
        .with_current_leader_epoch(if version >= 4 { 0 } else { -1 });
    let topic = list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic_name(TOPIC))
        .with_partitions(vec![partition]);
    let replica = if listener == Listener::Client { -1 } else { 1 };
    ListOffsetsRequest::default().with_replica_id(BrokerId(replica)).with_topics(vec![topic]).into()
}

fn offset_for_leader_epoch() -> Request {
    let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
        .with_current_leader_epoch(0)
        .with_leader_epoch(0);
    let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
        .with_topic(topic_name(TOPIC))
        .with_partitions(vec![partition]);
    OffsetForLeaderEpochRequest::default().with_topics(vec![topic]).into()
}

pub fn create_topics(name: &str, partitions: i32) -> Request {
    let config = create_topics_request::CreatableTopicConfig::default()
        .with_name(text("min.insync.replicas"))
        .with_value(Some(text("2")));
    let topic = create_topics_request::CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(3)
        .with_configs(vec![config]);
    CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000).into()
}

pub fn delete_topics(name: &str, version: i16) -> Request {
    let request = DeleteTopicsRequest::default().with_timeout_ms(30_000);
    if version < 6 {
        return request.with_topic_names(vec![topic_name(name)]).into();
    }
    let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(topic_name(name)));
    request.with_topics(vec![topic]).into()
}

/// Lets go what lies below an offset of partition 0.
pub fn delete_records(topic: &str, before: i64) -> Request {
    let partition = delete_records_request::DeleteRecordsPartition::default().with_offset(before);
    let topic = delete_records_request::DeleteRecordsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![partition]);
    DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(5_000).into()
}

/// As many partitions as this, placed by the controller.
pub fn create_partitions(topic: &str, count: i32) -> Request {
    let topic = create_partitions_request::CreatePartitionsTopic::default()
        .with_name(topic_name(topic))
        .with_count(count)
        .with_assignments(None);
    CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000).into()
}

/// `ConfigResource.Type` on the wire.
pub const TOPIC_RESOURCE: i8 = 2;
/// As above.
pub const BROKER_RESOURCE: i8 = 4;

/// Sets a topic's config.
pub fn alter_config(topic: &str, name: &str, value: &str) -> Request {
    let config = incremental_alter_configs_request::AlterableConfig::default()
        .with_name(text(name))
        .with_value(Some(text(value)));
    let resource = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(text(topic))
        .with_configs(vec![config]);
    IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).into()
}

/// All configs of a resource, with synonyms.
pub fn describe_configs(resource_type: i8, name: &str) -> Request {
    let resource = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true).into()
}

/// Another level for a feature, up or down.
pub fn update_features(name: &str, level: i16, version: i16) -> Request {
    let update = update_features_request::FeatureUpdateKey::default()
        .with_feature(text(name))
        .with_max_version_level(level)
        .with_allow_downgrade(version == 0 && level == 0)
        .with_upgrade_type(if version > 0 && level == 0 { 2 } else { 1 });
    UpdateFeaturesRequest::default().with_timeout_ms(60_000).with_feature_updates(vec![update]).into()
}

/// Other replicas for partition 0, or (`None`) back to those from before.
pub fn reassign(topic: &str, replicas: Option<&[i32]>) -> Request {
    let replicas = replicas.map(|ids| ids.iter().copied().map(BrokerId).collect());
    let partition = alter_partition_reassignments_request::ReassignablePartition::default()
        .with_partition_index(0)
        .with_replicas(replicas);
    let topic = alter_partition_reassignments_request::ReassignableTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![partition]);
    AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).into()
}

fn elect_leaders(name: &str) -> Request {
    let topic = elect_leaders_request::TopicPartitions::default()
        .with_topic(topic_name(name))
        .with_partitions(vec![0]);
    ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic])).into()
}

fn alter_partition(bench: &Bench, version: i16) -> Request {
    let partition = alter_partition_request::PartitionData::default().with_leader_epoch(0);
    let partition = if version >= 3 {
        let member = alter_partition_request::BrokerState::default().with_broker_id(BrokerId(1));
        partition.with_new_isr_with_epochs(vec![member])
    } else {
        partition.with_new_isr(vec![BrokerId(1)])
    };
    let topic = alter_partition_request::TopicData::default()
        .with_topic_id(bench.topic_id)
        .with_partitions(vec![partition]);
    AlterPartitionRequest::default()
        .with_broker_id(BrokerId(1))
        .with_broker_epoch(STALE_BROKER_EPOCH)
        .with_topics(vec![topic])
        .into()
}

/// Broker 1 again, as another incarnation, while the first is alive.
fn broker_registration() -> Request {
    let listener = broker_registration_request::Listener::default()
        .with_name(text("CLIENT"))
        .with_host(text("elsewhere"))
        .with_port(9092);
    BrokerRegistrationRequest::default()
        .with_broker_id(BrokerId(1))
        .with_cluster_id(text("test-cluster"))
        .with_incarnation_id(TopicId::from_u128(77))
        .with_listeners(vec![listener])
        .into()
}

fn vote() -> Request {
    let partition = vote_request::PartitionData::default()
        .with_replica_id(BrokerId(1))
        .with_replica_epoch(1)
        .with_last_offset_epoch(0)
        .with_last_offset(0);
    let topic = vote_request::TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![partition]);
    VoteRequest::default().with_cluster_id(Some(text("test-cluster"))).with_topics(vec![topic]).into()
}

fn begin_quorum_epoch() -> Request {
    let partition = begin_quorum_epoch_request::PartitionData::default().with_leader_id(BrokerId(1));
    let topic = begin_quorum_epoch_request::TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![partition]);
    BeginQuorumEpochRequest::default()
        .with_cluster_id(Some(text("test-cluster")))
        .with_topics(vec![topic])
        .into()
}

fn end_quorum_epoch() -> Request {
    let partition = end_quorum_epoch_request::PartitionData::default().with_leader_id(BrokerId(1));
    let topic = end_quorum_epoch_request::TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![partition]);
    EndQuorumEpochRequest::default()
        .with_cluster_id(Some(text("test-cluster")))
        .with_topics(vec![topic])
        .into()
}
