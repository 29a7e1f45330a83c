//! DescribeConfigs: which values are in force, and where they come from (KIP-133, KIP-226, KIP-569).

use std::collections::BTreeMap;

use crate::config::{
    BrokerConfig, BrokerConfigSpec, ConfigKind, NodeConfig, TOPIC_CONFIGS, TopicConfigSpec, broker_configs,
};
use crate::metadata::{MetadataImage, ResourceType};
use crate::wire::messages::describe_configs_request::DescribeConfigsResource;
use crate::wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use crate::wire::{ErrorCode, NO_ERROR, StrBytes};

/// Where a value comes from, the strongest first (`DescribeConfigsResponse.ConfigSource`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Topic = 1,
    Broker = 2,
    DefaultBroker = 3,
    Static = 4,
    Default = 5,
}

/// A value and its origin.
type Synonym = (Source, &'static str, String);

/// The layers of values on this broker.
struct Layers<'a> {
    image: &'a MetadataImage,
    config: &'a NodeConfig,
}

/// Answers with every config of each resource, or with those asked for. A broker speaks of topics, of itself, and (with an
/// empty name) of what is set for all brokers. Errors per resource: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST.
///
/// Differs from Kafka: of the broker's configs only those are described that are acted upon, stand for a topic config, or
/// were set; there is no documentation in the answer.
pub(super) fn describe_configs(
    request: &DescribeConfigsRequest,
    config: &NodeConfig,
    image: &MetadataImage,
) -> DescribeConfigsResponse {
    let layers = Layers { image, config };
    let results = request.resources.iter().map(|asked| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        match layers.describe(asked, request.include_synonyms) {
            Ok(configs) => result.with_error_code(NO_ERROR).with_error_message(None).with_configs(configs),
            Err((code, message)) => {
                result.with_error_code(code.code()).with_error_message(Some(StrBytes::from_string(message)))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

impl Layers<'_> {
    fn describe(
        &self,
        asked: &DescribeConfigsResource,
        with_synonyms: bool,
    ) -> Result<Vec<DescribeConfigsResourceResult>, (ErrorCode, String)> {
        let name = asked.resource_name.as_str();
        let all = match ResourceType::of_code(asked.resource_type) {
            Some(ResourceType::Topic) if self.image.topic_id(name).is_none() => {
                return Err((
                    ErrorCode::UnknownTopicOrPartition,
                    format!("The topic '{name}' does not exist."),
                ));
            }
            Some(ResourceType::Topic) => self.of_topic(name),
            Some(ResourceType::Broker) if name.is_empty() => self.of_all_brokers(),
            Some(ResourceType::Broker) if name == self.config.node_id.to_string() => self.of_this_broker(),
            Some(ResourceType::Broker) => {
                let me = self.config.node_id;
                let message =
                    format!("Unexpected broker id, expected {me} or empty string, but received {name}");
                return Err((ErrorCode::InvalidRequest, message));
            }
            None => {
                let message = format!("Unsupported resource type: {}", asked.resource_type);
                return Err((ErrorCode::InvalidRequest, message));
            }
        };
        let keys = asked.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
        let is_asked = |name: &str| keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == name));
        let described = all.into_iter().filter(|described| is_asked(&described.name));
        Ok(described.map(|described| described.result(with_synonyms)).collect())
    }

    fn of_topic(&self, topic: &str) -> Vec<Described> {
        let own = self.image.topic_config(topic);
        let describe = |spec: &TopicConfigSpec| {
            let mut synonyms: Vec<Synonym> = own
                .get(spec.name)
                .map(|value| (Source::Topic, spec.name, value.clone()))
                .into_iter()
                .collect();
            if let Some(twin) = spec.broker_name {
                synonyms.extend(self.set_on_brokers(twin));
            }
            synonyms.push((Source::Default, spec.broker_name.unwrap_or(spec.name), spec.default.to_string()));
            Described { name: spec.name.to_string(), kind: spec.kind, is_read_only: false, synonyms }
        };
        TOPIC_CONFIGS.iter().map(describe).collect()
    }

    fn of_this_broker(&self) -> Vec<Described> {
        let describe = |spec: BrokerConfigSpec| {
            let mut synonyms = self.set_on_brokers(spec.name);
            synonyms.push((Source::Default, spec.name, spec.default.to_string()));
            Described {
                name: spec.name.to_string(),
                kind: spec.kind,
                is_read_only: !spec.is_dynamic,
                synonyms,
            }
        };
        broker_configs().into_iter().map(describe).collect()
    }

    /// Only what was set: there is no default for all brokers that is nobody's.
    fn of_all_brokers(&self) -> Vec<Described> {
        let known = broker_configs();
        let describe = |(name, value): (&String, &String)| {
            let spec = known.iter().find(|spec| spec.name == name);
            Described {
                name: name.clone(),
                kind: spec.map_or(ConfigKind::Text, |spec| spec.kind),
                is_read_only: false,
                synonyms: vec![(Source::DefaultBroker, spec.map_or("", |spec| spec.name), value.clone())],
            }
        };
        let cluster = self.image.broker_config(None);
        cluster.iter().map(describe).collect()
    }

    /// The values of a broker config, as far as somebody set one.
    fn set_on_brokers(&self, name: &'static str) -> Vec<Synonym> {
        let cluster = self.image.broker_config(None);
        let given: &BrokerConfig = &self.config.broker;
        let layers: [(Source, &BTreeMap<String, String>); 3] = [
            (Source::Broker, self.image.broker_config(Some(self.config.node_id))),
            (Source::DefaultBroker, cluster),
            (Source::Static, &given.given),
        ];
        layers
            .into_iter()
            .filter_map(|(source, values)| values.get(name).map(|value| (source, name, value.clone())))
            .collect()
    }
}

/// One config with its values, the one in force first.
struct Described {
    name: String,
    kind: ConfigKind,
    is_read_only: bool,
    synonyms: Vec<Synonym>,
}

impl Described {
    fn result(self, with_synonyms: bool) -> DescribeConfigsResourceResult {
        let text = |value: &str| (value != "null").then(|| StrBytes::from_string(value.to_string()));
        let (source, value) = self
            .synonyms
            .first()
            .map_or((Source::Default, None), |(source, _, value)| (*source, text(value)));
        let synonyms = self.synonyms.iter().filter(|_| with_synonyms).map(|(source, name, value)| {
            DescribeConfigsSynonym::default()
                .with_name(StrBytes::from_static_str(name))
                .with_value(text(value))
                .with_source(*source as i8)
        });
        DescribeConfigsResourceResult::default()
            .with_synonyms(synonyms.collect())
            .with_name(StrBytes::from_string(self.name))
            .with_value(value)
            .with_read_only(self.is_read_only)
            .with_config_source(source as i8)
            .with_config_type(self.kind.code())
            .with_documentation(None)
    }
}
