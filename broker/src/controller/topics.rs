//! Topics come and go.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

use super::Decision;
use super::configs::check_topic_configs;
use super::placement::{Refusal, place};
use super::topic_rules::{check_assignments, check_name};
use crate::config::BrokerConfig;
use crate::ids::{METADATA_TOPIC_ID, NodeId, TopicId, Uuid};
use crate::metadata::{
    ConfigRecord, LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionRecord, RemoveTopicRecord,
    TopicRecord,
};
use crate::wire::messages::create_topics_request::CreatableTopic;
use crate::wire::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use crate::wire::messages::delete_topics_request::DeleteTopicState;
use crate::wire::messages::delete_topics_response::DeletableTopicResult;
use crate::wire::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use crate::wire::{ErrorCode, NO_ERROR, StrBytes};

/// The most partitions that one request may create (`ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`).
pub(super) const MAX_PARTITIONS_PER_REQUEST: i32 = 10_000;
/// `ConfigSource.DYNAMIC_TOPIC_CONFIG` on the wire.
const DYNAMIC_TOPIC_CONFIG: i8 = 1;
/// The version from which on topics are deleted by name or id (KIP-516).
const DELETE_BY_ID: i16 = 6;

/// A topic that may be created.
#[derive(Debug)]
struct NewTopic {
    name: String,
    id: TopicId,
    replicas: Vec<Vec<NodeId>>,
    configs: BTreeMap<String, String>,
}

/// Decides about a CreateTopics; all topics that can be created are one atomic batch. Errors per topic: see
/// [`check_name`], [`check_assignments`], [`place`]; INVALID_CONFIG, INVALID_PARTITIONS, INVALID_REQUEST. Source: KIP-4.
pub(super) fn create_topics(
    image: &MetadataImage,
    settings: &BrokerConfig,
    rng: &mut impl Rng,
    request: &CreateTopicsRequest,
) -> Decision {
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(request.topics.len());
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<&str> =
        request.topics.iter().map(|t| t.name.as_str()).filter(|name| !seen.insert(*name)).collect();
    let mut answered = BTreeSet::new();
    for asked in &request.topics {
        let name = asked.name.as_str();
        if !answered.insert(name) {
            continue;
        }
        let topic = if repeated.contains(name) {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            new_topic(image, settings, rng, asked)
        };
        let result = CreatableTopicResult::default().with_name(asked.name.clone());
        results.push(match topic {
            Ok(topic) => {
                if !request.validate_only {
                    records.extend(topic.records(image));
                }
                topic.describe(result, request.validate_only)
            }
            Err(refusal) => refused(result, refusal),
        });
    }
    let response = CreateTopicsResponse::default().with_topics(results);
    Decision { records, response: response.into() }
}

fn refused(result: CreatableTopicResult, refusal: Refusal) -> CreatableTopicResult {
    result
        .with_error_code(refusal.code.code())
        .with_error_message(Some(StrBytes::from_string(refusal.message)))
        .with_configs(None)
}

fn new_topic(
    image: &MetadataImage,
    settings: &BrokerConfig,
    rng: &mut impl Rng,
    asked: &CreatableTopic,
) -> Result<NewTopic, Refusal> {
    check_name(image, &asked.name)?;
    let configs = check_configs(asked)?;
    let replicas = if asked.assignments.is_empty() {
        let (partitions, replication_factor) = check_numbers(settings, asked)?;
        place(image, partitions, replication_factor, rng)?
    } else {
        if asked.replication_factor != -1 || asked.num_partitions != -1 {
            let message = "With a manual partition assignment, the number of partitions and the replication \
                           factor must be -1.";
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        check_assignments(image, &asked.assignments)?
    };
    if let Some(number) = replicas.iter().position(|r| !r.iter().any(|n| image.is_active(*n))) {
        let message = format!(
            "All brokers specified in the partition assignment for partition {number} are fenced or in \
             controlled shutdown."
        );
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    Ok(NewTopic { name: asked.name.to_string(), id: draw_topic_id(image, rng), replicas, configs })
}

fn check_configs(asked: &CreatableTopic) -> Result<BTreeMap<String, String>, Refusal> {
    let mut configs = BTreeMap::new();
    for config in &asked.configs {
        let Some(value) = &config.value else {
            let message = format!("Null value not supported for topic configs: {}", config.name);
            return Err(Refusal::new(ErrorCode::InvalidConfig, message));
        };
        configs.insert(config.name.to_string(), value.to_string());
    }
    check_topic_configs(&configs)?;
    Ok(configs)
}

/// Number of partitions and replication factor, -1 standing for the broker's default (KIP-464).
fn check_numbers(settings: &BrokerConfig, asked: &CreatableTopic) -> Result<(i32, i16), Refusal> {
    let replication_factor = match asked.replication_factor {
        -1 => i16::try_from(settings.default_replication_factor).unwrap_or(i16::MAX),
        n => n,
    };
    if replication_factor < 1 {
        let message = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message));
    }
    let partitions = if asked.num_partitions == -1 { settings.num_partitions } else { asked.num_partitions };
    if !(1..=MAX_PARTITIONS_PER_REQUEST).contains(&partitions) {
        let message = "Number of partitions must be from 1 to 10000, or -1 to use the default value.";
        return Err(Refusal::new(ErrorCode::InvalidPartitions, message));
    }
    Ok((partitions, replication_factor))
}

fn draw_topic_id(image: &MetadataImage, rng: &mut impl Rng) -> TopicId {
    loop {
        let mut bytes = [0u8; 16];
        rng.fill_bytes(&mut bytes);
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        if id != METADATA_TOPIC_ID && image.topic(&id).is_none() {
            return id;
        }
    }
}

/// A partition's first state: the ISR is every replica that is active, the leader is the first of them.
pub(super) fn first_state(
    image: &MetadataImage,
    topic_id: TopicId,
    partition: i32,
    replicas: &[NodeId],
) -> PartitionRecord {
    let isr: Vec<NodeId> = replicas.iter().copied().filter(|n| image.is_active(*n)).collect();
    PartitionRecord {
        partition,
        topic_id,
        replicas: replicas.to_vec(),
        leader: isr.first().copied(),
        isr,
        leader_epoch: 0,
        partition_epoch: 0,
        leader_recovery_state: LeaderRecoveryState::Recovered,
        adding: Vec::new(),
        removing: Vec::new(),
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    }
}

impl NewTopic {
    /// The topic, then its configs, then its partitions, as Kafka orders them.
    fn records(&self, image: &MetadataImage) -> Vec<MetadataRecord> {
        let mut records = vec![TopicRecord { name: self.name.clone(), topic_id: self.id }.into()];
        let config = |(name, value): (&String, &String)| {
            MetadataRecord::from(ConfigRecord::topic(&self.name, name, Some(value)))
        };
        records.extend(self.configs.iter().map(config));
        let partitions = (0..).zip(&self.replicas);
        records.extend(partitions.map(|(number, list)| first_state(image, self.id, number, list).into()));
        records
    }

    fn describe(&self, result: CreatableTopicResult, validate_only: bool) -> CreatableTopicResult {
        let config = |(name, value): (&String, &String)| {
            CreatableTopicConfigs::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_value(Some(StrBytes::from_string(value.clone())))
                .with_config_source(DYNAMIC_TOPIC_CONFIG)
        };
        let replication_factor = self.replicas.first().map_or(0, Vec::len);
        result
            .with_topic_id(if validate_only { Uuid::nil() } else { self.id })
            .with_error_code(NO_ERROR)
            .with_error_message(None)
            .with_num_partitions(i32::try_from(self.replicas.len()).unwrap_or(i32::MAX))
            .with_replication_factor(i16::try_from(replication_factor).unwrap_or(i16::MAX))
            .with_configs(Some(self.configs.iter().map(config).collect()))
    }
}

/// The topics that a DeleteTopics names, whatever its version.
pub(super) fn topics_to_delete(version: i16, request: &DeleteTopicsRequest) -> Vec<DeleteTopicState> {
    if version >= DELETE_BY_ID {
        return request.topics.clone();
    }
    let by_name = |name: &TopicName| DeleteTopicState::default().with_name(Some(name.clone()));
    request.topic_names.iter().map(by_name).collect()
}

/// Decides about a DeleteTopics; all topics that can be deleted are one atomic batch. Errors per topic:
/// UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_REQUEST. Source: KIP-4, KIP-516.
pub(super) fn delete_topics(image: &MetadataImage, version: i16, request: &DeleteTopicsRequest) -> Decision {
    let mut records: Vec<MetadataRecord> = Vec::new();
    let mut results = Vec::new();
    let mut doomed = BTreeSet::new();
    for asked in topics_to_delete(version, request) {
        let result =
            DeletableTopicResult::default().with_name(asked.name.clone()).with_topic_id(asked.topic_id);
        let found = find_topic(image, &asked).and_then(|(name, id)| {
            let again = Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name or topic id.");
            if doomed.insert(id) { Ok((name, id)) } else { Err(again) }
        });
        results.push(match found {
            Ok((name, topic_id)) => {
                records.push(RemoveTopicRecord { topic_id }.into());
                result.with_name(Some(name)).with_topic_id(topic_id).with_error_message(None)
            }
            Err(refusal) => result
                .with_error_code(refusal.code.code())
                .with_error_message(Some(StrBytes::from_string(refusal.message))),
        });
    }
    let response = DeleteTopicsResponse::default().with_responses(results);
    Decision { records, response: response.into() }
}

fn find_topic(image: &MetadataImage, asked: &DeleteTopicState) -> Result<(TopicName, TopicId), Refusal> {
    match (&asked.name, asked.topic_id.is_nil()) {
        (Some(name), true) => match image.topic_id(name.as_str()) {
            Some(id) => Ok((name.clone(), id)),
            None => {
                let message = "This server does not host this topic-partition.";
                Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message))
            }
        },
        (None, false) => match image.topic(&asked.topic_id) {
            Some(topic) => Ok((TopicName(StrBytes::from_string(topic.name.to_string())), topic.id)),
            None => {
                let message = "This server does not host this topic ID.";
                Err(Refusal::new(ErrorCode::UnknownTopicId, message))
            }
        },
        (Some(_), false) => {
            let message = "You may not specify both topic name and topic id.";
            Err(Refusal::new(ErrorCode::InvalidRequest, message))
        }
        (None, true) => {
            let message = "Neither topic name nor id were specified.";
            Err(Refusal::new(ErrorCode::InvalidRequest, message))
        }
    }
}
