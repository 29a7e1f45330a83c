//! Which configs a topic and a broker have, for operators who set and read them while the cluster runs (KIP-226, KIP-339).
//!
//! The typed settings of [`crate::config`] are what the core acts upon; here are also the names that Kafka knows and
//! nothing here acts upon, so that they can be set, checked for their type, and read back. Source: Kafka's `TopicConfig`,
//! `ServerTopicConfigSynonyms`, `LogConfig`, `DynamicBrokerConfig`.

use super::{BrokerConfig, TopicConfig};

/// The type of a config's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigKind {
    /// `true` or `false`.
    Bool,
    /// Any text.
    Text,
    /// A 32-bit number.
    Int,
    /// A 64-bit number.
    Long,
    /// A decimal number.
    Decimal,
    /// Words between commas.
    List,
}

impl ConfigKind {
    /// Kafka's number (`DescribeConfigsResponse.ConfigType`).
    pub fn code(self) -> i8 {
        match self {
            ConfigKind::Bool => 1,
            ConfigKind::Text => 2,
            ConfigKind::Int => 3,
            ConfigKind::Long => 5,
            ConfigKind::Decimal => 6,
            ConfigKind::List => 7,
        }
    }

    /// The kind that a parser of the settings table reads.
    fn of_parser(parser: &str) -> ConfigKind {
        match parser {
            "flag" => ConfigKind::Bool,
            "int" | "positive" => ConfigKind::Int,
            "ms" | "seconds" | "long" | "limit" | "maybe_limit" | "at_least_1" | "maybe_at_least_1" => {
                ConfigKind::Long
            }
            _ => ConfigKind::Text,
        }
    }

    fn accepts(self, value: &str) -> bool {
        let value = value.trim();
        match self {
            ConfigKind::Bool => matches!(value, "true" | "false"),
            ConfigKind::Int => value.parse::<i32>().is_ok(),
            ConfigKind::Long => value.parse::<i64>().is_ok(),
            ConfigKind::Decimal => {
                !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            }
            ConfigKind::Text | ConfigKind::List => true,
        }
    }
}

/// A topic's config and the broker's twin, from which topics without a value of their own take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicConfigSpec {
    /// Kafka's name.
    pub name: &'static str,
    /// The broker's name for it; `None` if brokers have none.
    pub broker_name: Option<&'static str>,
    /// Kafka's default.
    pub default: &'static str,
    /// The type of its value.
    pub kind: ConfigKind,
}

const fn spec(
    name: &'static str,
    broker_name: &'static str,
    default: &'static str,
    kind: ConfigKind,
) -> TopicConfigSpec {
    TopicConfigSpec { name, broker_name: Some(broker_name), default, kind }
}

const FOREVER: &str = "9223372036854775807";

/// Every topic config of Kafka 4.1, by name.
pub const TOPIC_CONFIGS: &[TopicConfigSpec] = {
    use ConfigKind::*;
    &[
        spec("cleanup.policy", "log.cleanup.policy", "delete", List),
        spec("compression.gzip.level", "compression.gzip.level", "-1", Int),
        spec("compression.lz4.level", "compression.lz4.level", "9", Int),
        spec("compression.type", "compression.type", "producer", Text),
        spec("compression.zstd.level", "compression.zstd.level", "3", Int),
        spec("delete.retention.ms", "log.cleaner.delete.retention.ms", "86400000", Long),
        spec("file.delete.delay.ms", "log.segment.delete.delay.ms", "60000", Long),
        spec("flush.messages", "log.flush.interval.messages", FOREVER, Long),
        spec("flush.ms", "log.flush.interval.ms", FOREVER, Long),
        throttled("follower.replication.throttled.replicas"),
        spec("index.interval.bytes", "log.index.interval.bytes", "4096", Int),
        throttled("leader.replication.throttled.replicas"),
        spec("local.retention.bytes", "log.local.retention.bytes", "-2", Long),
        spec("local.retention.ms", "log.local.retention.ms", "-2", Long),
        spec("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", FOREVER, Long),
        spec("max.message.bytes", "message.max.bytes", "1048588", Int),
        spec("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", "3600000", Long),
        spec("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", FOREVER, Long),
        spec("message.timestamp.type", "log.message.timestamp.type", "CreateTime", Text),
        spec("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio", "0.5", Decimal),
        spec("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", "0", Long),
        spec("min.insync.replicas", "min.insync.replicas", "1", Int),
        spec("preallocate", "log.preallocate", "false", Bool),
        TopicConfigSpec { name: "remote.log.copy.disable", broker_name: None, default: "false", kind: Bool },
        TopicConfigSpec {
            name: "remote.log.delete.on.disable",
            broker_name: None,
            default: "false",
            kind: Bool,
        },
        TopicConfigSpec { name: "remote.storage.enable", broker_name: None, default: "false", kind: Bool },
        spec("retention.bytes", "log.retention.bytes", "-1", Long),
        spec("retention.ms", "log.retention.ms", "604800000", Long),
        spec("segment.bytes", "log.segment.bytes", "1073741824", Int),
        spec("segment.index.bytes", "log.index.size.max.bytes", "10485760", Int),
        spec("segment.jitter.ms", "log.roll.jitter.ms", "0", Long),
        spec("segment.ms", "log.roll.ms", "604800000", Long),
        spec("unclean.leader.election.enable", "unclean.leader.election.enable", "false", Bool),
    ]
};

const fn throttled(name: &'static str) -> TopicConfigSpec {
    TopicConfigSpec { name, broker_name: None, default: "", kind: ConfigKind::List }
}

/// Broker configs without a topic twin that may change while the broker runs.
const OTHER_DYNAMIC: [&str; 1] = ["producer.id.expiration.ms"];

/// What a broker says about one of its configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerConfigSpec {
    /// Kafka's name.
    pub name: &'static str,
    /// Kafka's default.
    pub default: &'static str,
    /// The type of its value.
    pub kind: ConfigKind,
    /// May it change while the broker runs?
    pub is_dynamic: bool,
}

/// Every broker config that is acted upon or stands for a topic config, by name.
pub fn broker_configs() -> Vec<BrokerConfigSpec> {
    let acted_upon =
        BrokerConfig::NAMES.iter().zip(BrokerConfig::PARSERS).map(|((name, default), parser)| {
            let kind = ConfigKind::of_parser(parser);
            BrokerConfigSpec { name, default, kind, is_dynamic: is_dynamic(name) }
        });
    let twins = TOPIC_CONFIGS.iter().filter_map(|topic| {
        let name = topic.broker_name?;
        let is_new = BrokerConfig::NAMES.iter().all(|(known, _)| *known != name);
        let (default, kind) = (topic.default, topic.kind);
        is_new.then_some(BrokerConfigSpec { name, default, kind, is_dynamic: true })
    });
    let mut all: Vec<_> = acted_upon.chain(twins).collect();
    all.sort_unstable_by_key(|config| config.name);
    all
}

/// May this broker config change while the broker runs (`DynamicBrokerConfig.AllDynamicConfigs`)?
pub fn is_dynamic(broker_config: &str) -> bool {
    OTHER_DYNAMIC.contains(&broker_config)
        || TOPIC_CONFIGS.iter().any(|topic| topic.broker_name == Some(broker_config))
}

/// A topic config.
pub fn topic_config(name: &str) -> Option<&'static TopicConfigSpec> {
    TOPIC_CONFIGS.iter().find(|config| config.name == name)
}

/// May a topic have this value? Errors: a sentence that says why not (INVALID_CONFIG). Source: `LogConfig.validate`.
pub fn check_topic_config(name: &str, value: &str) -> Result<(), String> {
    let Some(config) = topic_config(name) else { return Err(format!("Unknown topic config name: {name}")) };
    check_kind(name, value, config.kind)?;
    TopicConfig::default().set(name, value).map(|_| ()).map_err(|error| error.to_string())
}

/// May a broker have this value? Names that nobody knows may be anything, as in Kafka, where plugins have configs too.
/// Errors: a sentence that says why not (INVALID_CONFIG).
pub fn check_broker_config(name: &str, value: &str) -> Result<(), String> {
    if let Some(twin) = TOPIC_CONFIGS.iter().find(|topic| topic.broker_name == Some(name)) {
        check_kind(name, value, twin.kind)?;
    }
    BrokerConfig::default().set(name, value).map(|_| ()).map_err(|error| error.to_string())
}

fn check_kind(name: &str, value: &str, kind: ConfigKind) -> Result<(), String> {
    if kind.accepts(value) {
        return Ok(());
    }
    Err(format!("Invalid value {value} for configuration {name}: not a value of type {kind:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_topic_acts_upon_is_in_the_catalogue_with_the_same_default() {
        for (name, default) in TopicConfig::NAMES {
            assert_eq!(topic_config(name).map(|config| config.default), Some(*default), "{name}");
        }
        assert!(TOPIC_CONFIGS.windows(2).all(|w| w[0].name < w[1].name), "sorted");
        for config in TOPIC_CONFIGS {
            assert_eq!(check_topic_config(config.name, config.default), Ok(()), "{config:?}");
        }
    }

    #[test]
    fn values_are_checked_for_their_type_and_range() {
        assert!(check_topic_config("retention.ms", "-2").is_err());
        assert!(check_topic_config("min.insync.replicas", "0").is_err());
        assert!(check_topic_config("preallocate", "maybe").is_err());
        assert!(check_topic_config("min.cleanable.dirty.ratio", "half").is_err());
        let unknown = check_topic_config("retention.years", "1");
        assert_eq!(unknown, Err("Unknown topic config name: retention.years".into()));
        assert!(check_broker_config("log.retention.ms", "soon").is_err());
        assert_eq!(check_broker_config("my.plugin.size", "large"), Ok(()));
    }

    #[test]
    fn brokers_say_what_may_change() {
        let all = broker_configs();
        assert!(all.windows(2).all(|w| w[0].name < w[1].name), "sorted, each once");
        let dynamic =
            |name: &str| all.iter().find(|config| config.name == name).map(|config| config.is_dynamic);
        assert_eq!(dynamic("log.retention.ms"), Some(true));
        assert_eq!(dynamic("replica.lag.time.max.ms"), Some(false));
        assert_eq!(dynamic("log.preallocate"), Some(true));
    }
}
