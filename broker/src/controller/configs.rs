//! Configs of topics and brokers change while the cluster runs (KIP-226, KIP-339).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::placement::Refusal;
use super::{Decision, View, elr};
use crate::config::{
    BrokerConfig, ConfigKind, check_broker_config, check_topic_config, is_dynamic, topic_config,
};
use crate::ids::NodeId;
use crate::metadata::{ConfigRecord, ELIGIBLE_LEADER_REPLICAS, MetadataImage, MetadataRecord, ResourceType};
use crate::wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use crate::wire::{ErrorCode, NO_ERROR, StrBytes};

/// The config whose change clears the eligible leader replicas (ELR-5).
const MIN_ISR: &str = "min.insync.replicas";

/// What is done to a value (`AlterConfigOp.OpType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Operation {
    fn of_code(code: i8) -> Option<Self> {
        use Operation::*;
        [Set, Delete, Append, Subtract].into_iter().zip(0..).find(|(_, c)| *c == code).map(|(op, _)| op)
    }
}

/// Decides about an IncrementalAlterConfigs: each resource stands for itself, all of it or nothing. Errors per resource:
/// INVALID_REQUEST, INVALID_CONFIG, UNKNOWN_TOPIC_OR_PARTITION, BROKER_ID_NOT_REGISTERED. Source: KIP-339,
/// `ConfigurationControlManager.incrementalAlterConfigs`, `ConfigAdminManager.preprocess`.
pub(super) fn alter_configs(view: View<'_>, request: &IncrementalAlterConfigsRequest) -> Decision {
    let mut records = Vec::new();
    let mut responses = Vec::with_capacity(request.resources.len());
    let key = |r: &AlterConfigsResource| (r.resource_type, r.resource_name.clone());
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<_> =
        request.resources.iter().map(key).filter(|k| !seen.insert(k.clone())).collect();
    for resource in &request.resources {
        let changes = if repeated.contains(&key(resource)) {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Each resource must appear at most once."))
        } else {
            alter_one(view, resource)
        };
        let answer = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        responses.push(match changes {
            Ok(changes) => {
                records.extend(changes);
                answer.with_error_code(NO_ERROR).with_error_message(None)
            }
            Err(refusal) => answer
                .with_error_code(refusal.code.code())
                .with_error_message(Some(StrBytes::from_string(refusal.message))),
        });
    }
    if request.validate_only {
        records.clear();
    }
    let response = IncrementalAlterConfigsResponse::default().with_responses(responses);
    let cleared = forgotten_elr(view, &records);
    let records = records.into_iter().map(MetadataRecord::from).chain(cleared).collect();
    Decision { records, response: response.into() }
}

/// The partitions whose eligible leader replicas do not count any more with these changes (ELR-5).
fn forgotten_elr(view: View<'_>, records: &[ConfigRecord]) -> Vec<MetadataRecord> {
    let changes = || records.iter().filter(|record| record.name == MIN_ISR);
    if changes().any(|record| record.resource_type == ResourceType::Broker) {
        return elr::forget(view, None);
    }
    changes().flat_map(|record| elr::forget(view, Some(&record.resource_name))).collect()
}

fn alter_one(view: View<'_>, asked: &AlterConfigsResource) -> Result<Vec<ConfigRecord>, Refusal> {
    let resource_type = check_resource(view.image, asked)?;
    let resource_name = asked.resource_name.to_string();
    let present = view.image.configs.get(&(resource_type, resource_name.clone()));
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for config in &asked.configs {
        let name = config.name.as_str();
        if !seen.insert(name) {
            let message = format!("Error due to duplicate config keys : {name}");
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        let old = present.and_then(|values| values.get(name));
        let value = new_value(view, resource_type, config, old)?;
        check(view.image, resource_type, asked, name, value.as_deref())?;
        if value.as_ref() != old {
            let (resource_name, name) = (resource_name.clone(), name.to_string());
            records.push(ConfigRecord { resource_type, resource_name, name, value });
        }
    }
    Ok(records)
}

/// The resource's type, if it exists.
fn check_resource(image: &MetadataImage, asked: &AlterConfigsResource) -> Result<ResourceType, Refusal> {
    let name = asked.resource_name.as_str();
    let refuse = |code, message| Err(Refusal::new(code, message));
    match ResourceType::of_code(asked.resource_type) {
        Some(ResourceType::Topic) if image.topic_id(name).is_none() => {
            refuse(ErrorCode::UnknownTopicOrPartition, format!("The topic '{name}' does not exist."))
        }
        Some(ResourceType::Broker) if !name.is_empty() => match name.parse().map(NodeId) {
            Ok(id) if image.broker(id).is_some() => Ok(ResourceType::Broker),
            Ok(id) => refuse(ErrorCode::BrokerIdNotRegistered, format!("No node with id {id} found.")),
            Err(_) => refuse(ErrorCode::InvalidRequest, format!("Invalid broker name {name}: not a number.")),
        },
        Some(known) => Ok(known),
        None => {
            refuse(ErrorCode::InvalidRequest, format!("Unexpected resource type {}.", asked.resource_type))
        }
    }
}

/// The value after the change; `None`: the default again.
fn new_value(
    view: View<'_>,
    resource_type: ResourceType,
    config: &AlterableConfig,
    old: Option<&String>,
) -> Result<Option<String>, Refusal> {
    let name = config.name.as_str();
    let Some(operation) = Operation::of_code(config.config_operation) else {
        let message = format!("Unknown operation type {}", config.config_operation);
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    };
    if operation == Operation::Delete {
        return Ok(None);
    }
    let Some(value) = config.value.as_ref().map(StrBytes::to_string) else {
        let message = format!("Null value not supported for : {name}");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    };
    if operation == Operation::Set {
        return Ok(Some(value));
    }
    let spec = topic_config(name)
        .filter(|spec| resource_type == ResourceType::Topic && spec.kind == ConfigKind::List);
    let Some(spec) = spec else {
        let message = format!("Can't {operation:?} to key {name} because its type is not LIST.");
        return Err(Refusal::new(ErrorCode::InvalidConfig, message));
    };
    let inherited = spec.broker_name.and_then(|twin| {
        let dynamic = effective_broker(view.image, view.settings);
        dynamic.given.get(twin).cloned()
    });
    let base = old.cloned().or(inherited).unwrap_or_else(|| spec.default.to_string());
    let words = |text: &str| -> Vec<String> {
        text.split(',').map(|word| word.trim().to_string()).filter(|word| !word.is_empty()).collect()
    };
    let (mut list, change) = (words(&base), words(&value));
    list.retain(|word| !change.contains(word));
    if operation == Operation::Append {
        list = words(&base);
        list.extend(change.into_iter().filter(|word| !words(&base).contains(word)));
    }
    Ok(Some(list.join(",")))
}

/// May the resource have this value (`None`: the default)?
fn check(
    image: &MetadataImage,
    resource_type: ResourceType,
    asked: &AlterConfigsResource,
    name: &str,
    value: Option<&str>,
) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidConfig, message));
    if resource_type == ResourceType::Topic {
        return value.map_or(Ok(()), |value| check_topic_config(name, value)).or_else(invalid);
    }
    let is_known = BrokerConfig::NAMES.iter().any(|(known, _)| *known == name);
    if is_known && !is_dynamic(name) {
        let message = format!("Cannot update these configs dynamically: Set({name})");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    if name == MIN_ISR && image.features.contains_key(ELIGIBLE_LEADER_REPLICAS) {
        match (asked.resource_name.is_empty(), value) {
            (false, _) => {
                return invalid(format!("Broker-level {MIN_ISR} cannot be altered while ELR is enabled."));
            }
            (true, None) => {
                return invalid(format!("Cluster-level {MIN_ISR} cannot be removed while ELR is enabled."));
            }
            (true, Some(_)) => {}
        }
    }
    value.map_or(Ok(()), |value| check_broker_config(name, value)).or_else(invalid)
}

/// The settings of this controller with the cluster's dynamic defaults on top, if there are any.
///
/// Differs from Kafka: values set on the controller's own node id do not count.
pub(super) fn effective_broker<'a>(
    image: &MetadataImage,
    settings: &'a BrokerConfig,
) -> Cow<'a, BrokerConfig> {
    let cluster = image.broker_config(None);
    if cluster.is_empty() { Cow::Borrowed(settings) } else { Cow::Owned(settings.overlaid([cluster])) }
}

/// A new topic's configs. Errors: INVALID_CONFIG. Source: `ConfigurationControlManager.checkAlterConfigs`.
pub(super) fn check_topic_configs(configs: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let mut problems = configs.iter().filter_map(|(name, value)| check_topic_config(name, value).err());
    problems.next().map_or(Ok(()), |problem| Err(Refusal::new(ErrorCode::InvalidConfig, problem)))
}
