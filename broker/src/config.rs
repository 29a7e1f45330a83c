//! Settings of a node and of a topic: Kafka's names, defaults and units.
//!
//! The typed fields are what the core acts upon. Text comes in through [`BrokerConfig::from_map`] and
//! [`TopicConfig::from_map`] with Kafka's names verbatim; a topic's own value wins over the broker's twin.

mod catalogue;

use std::collections::BTreeMap;

use crate::defects::DefectSet;
use crate::ids::NodeId;
use crate::io::Address;
use crate::time::Duration;

pub use catalogue::{
    BrokerConfigSpec, ConfigKind, TOPIC_CONFIGS, TopicConfigSpec, broker_configs, check_broker_config,
    check_topic_config, is_dynamic, topic_config,
};

/// A config value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("config {name} = {value:?}: {expected}")]
pub struct ConfigError {
    /// Kafka's name.
    pub name: String,
    /// What was given.
    pub value: String,
    /// What would be accepted.
    pub expected: &'static str,
}

/// Everything that a node is told about itself at boot. Layout (ids, addresses, roles) comes from the plan, the rest
/// from Kafka's configs.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// `node.id`.
    pub node_id: NodeId,
    /// `cluster.id`.
    pub cluster_id: String,
    /// Has the broker role (`process.roles`).
    pub is_broker: bool,
    /// Has the controller role (`process.roles`).
    pub is_controller: bool,
    /// The host under which all listeners of this node are reached.
    pub host: std::sync::Arc<str>,
    /// `controller.quorum.voters`: id and controller listener of each voter.
    pub voters: BTreeMap<NodeId, Address>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Levels with which the cluster's features begin, by name; those not named begin with Kafka's
    /// (`kafka-storage format --feature`). Only the first active controller of a cluster looks.
    pub features: BTreeMap<String, i16>,
    /// Broker and controller settings.
    pub broker: BrokerConfig,
    /// Historic bugs that are present.
    pub defects: DefectSet,
}

/// A struct of typed settings: field, type, parser, Kafka's name and default, in one table. Brokers, topics and clients
/// declare theirs with it.
#[macro_export]
macro_rules! settings {
    ($(#[$doc:meta])* $type:ident { $($(#[$fdoc:meta])* $field:ident: $ftype:ty = $parse:ident $name:literal $default:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $type {
            $($(#[$fdoc])* #[doc = concat!(" `", $name, "`, default `", $default, "`.")] pub $field: $ftype,)+
            /// The values that were set as text, by Kafka's name.
            pub given: ::std::collections::BTreeMap<String, String>,
        }

        impl Default for $type {
            fn default() -> Self {
                $type {
                    $($field: $parse($name, $default).expect("defaults parse: tested"),)+
                    given: ::std::collections::BTreeMap::new(),
                }
            }
        }

        impl $type {
            /// Kafka's name and default of every setting that is acted upon.
            pub const NAMES: &'static [(&'static str, &'static str)] = &[$(($name, $default)),+];

            /// The parser of each of [`Self::NAMES`], in the same order: says what type its value has.
            pub const PARSERS: &'static [&'static str] = &[$(stringify!($parse)),+];

            /// Sets one value by Kafka's name. `Ok(false)`: not acted upon. Errors: the value cannot be used.
            pub fn set(&mut self, name: &str, value: &str) -> Result<bool, $crate::config::ConfigError> {
                match name {
                    $($name => self.$field = $parse($name, value)?,)+
                    _ => return Ok(false),
                }
                self.given.insert(name.to_string(), value.to_string());
                Ok(true)
            }

            /// Defaults with `values` on top; names that are not acted upon are passed over. Errors: a value cannot be used.
            fn over_defaults(
                values: &::std::collections::BTreeMap<String, String>,
            ) -> Result<Self, $crate::config::ConfigError> {
                let mut settings = Self::default();
                for (name, value) in values {
                    settings.set(name, value)?;
                }
                Ok(settings)
            }
        }
    };
}

fn fail<T>(name: &str, value: &str, expected: &'static str) -> Result<T, ConfigError> {
    Err(ConfigError { name: name.into(), value: value.into(), expected })
}

/// A time in milliseconds.
pub fn ms(name: &str, value: &str) -> Result<Duration, ConfigError> {
    match value.trim().parse::<u64>() {
        Ok(n) if n <= i64::MAX as u64 / 1_000 => Ok(Duration::from_millis(n)),
        _ => fail(name, value, "a whole number of milliseconds"),
    }
}

/// A time in seconds.
pub fn seconds(name: &str, value: &str) -> Result<Duration, ConfigError> {
    match value.trim().parse::<u32>() {
        Ok(n) => Ok(Duration::from_secs(u64::from(n))),
        _ => fail(name, value, "a whole number of seconds"),
    }
}

fn int(name: &str, value: &str) -> Result<i32, ConfigError> {
    match value.trim().parse::<i32>() {
        Ok(n) if n >= 0 => Ok(n),
        _ => fail(name, value, "a whole number from 0 to 2147483647"),
    }
}

fn positive(name: &str, value: &str) -> Result<i32, ConfigError> {
    match value.trim().parse::<i32>() {
        Ok(n) if n >= 1 => Ok(n),
        _ => fail(name, value, "a whole number from 1 to 2147483647"),
    }
}

/// A number of which -1 means: no limit.
fn limit(name: &str, value: &str) -> Result<i64, ConfigError> {
    match value.trim().parse::<i64>() {
        Ok(n) if n >= -1 => Ok(n),
        _ => fail(name, value, "a whole number from -1 up, -1 for no limit"),
    }
}

fn at_least_1(name: &str, value: &str) -> Result<i64, ConfigError> {
    match value.trim().parse::<i64>() {
        Ok(n) if n >= 1 => Ok(n),
        _ => fail(name, value, "a whole number from 1 up"),
    }
}

fn maybe_at_least_1(name: &str, value: &str) -> Result<Option<i64>, ConfigError> {
    if value.trim() == "null" { Ok(None) } else { at_least_1(name, value).map(Some) }
}

fn maybe_limit(name: &str, value: &str) -> Result<Option<i64>, ConfigError> {
    if value.trim() == "null" { Ok(None) } else { limit(name, value).map(Some) }
}

fn long(name: &str, value: &str) -> Result<i64, ConfigError> {
    match value.trim().parse::<i64>() {
        Ok(n) => Ok(n),
        Err(_) => fail(name, value, "a whole number"),
    }
}

/// `true` or `false`.
pub fn flag(name: &str, value: &str) -> Result<bool, ConfigError> {
    match value.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => fail(name, value, "true or false"),
    }
}

settings! {
    /// Settings of a broker or controller (server.properties).
    BrokerConfig {
        heartbeat_interval: Duration = ms "broker.heartbeat.interval.ms" "2000",
        session_timeout: Duration = ms "broker.session.timeout.ms" "9000",
        quorum_election_timeout: Duration = ms "controller.quorum.election.timeout.ms" "1000",
        quorum_fetch_timeout: Duration = ms "controller.quorum.fetch.timeout.ms" "2000",
        quorum_election_backoff_max: Duration = ms "controller.quorum.election.backoff.max.ms" "1000",
        quorum_append_linger: Duration = ms "controller.quorum.append.linger.ms" "25",
        quorum_request_timeout: Duration = ms "controller.quorum.request.timeout.ms" "2000",
        quorum_retry_backoff: Duration = ms "controller.quorum.retry.backoff.ms" "20",
        snapshot_max_bytes: i64 = long "metadata.log.max.record.bytes.between.snapshots" "20971520",
        snapshot_interval: Duration = ms "metadata.log.max.snapshot.interval.ms" "3600000",
        metadata_segment_bytes: i32 = int "metadata.log.segment.bytes" "1073741824",
        metadata_max_idle_interval: Duration = ms "metadata.max.idle.interval.ms" "500",
        default_replication_factor: i32 = int "default.replication.factor" "1",
        num_partitions: i32 = int "num.partitions" "1",
        min_insync_replicas: i32 = positive "min.insync.replicas" "1",
        unclean_leader_election: bool = flag "unclean.leader.election.enable" "false",
        unclean_leader_election_interval: Duration = ms "unclean.leader.election.interval.ms" "300000",
        auto_leader_rebalance: bool = flag "auto.leader.rebalance.enable" "true",
        leader_imbalance_check_interval: Duration = seconds "leader.imbalance.check.interval.seconds" "300",
        leader_imbalance_percentage: i32 = int "leader.imbalance.per.broker.percentage" "10",
        replica_lag_time_max: Duration = ms "replica.lag.time.max.ms" "30000",
        replica_fetch_wait_max: Duration = ms "replica.fetch.wait.max.ms" "500",
        replica_fetch_min_bytes: i32 = int "replica.fetch.min.bytes" "1",
        replica_fetch_max_bytes: i32 = int "replica.fetch.max.bytes" "1048576",
        replica_fetch_response_max_bytes: i32 = int "replica.fetch.response.max.bytes" "10485760",
        replica_fetch_backoff: Duration = ms "replica.fetch.backoff.ms" "1000",
        high_watermark_checkpoint_interval: Duration = ms "replica.high.watermark.checkpoint.interval.ms" "5000",
        flush_offset_checkpoint_interval: Duration = ms "log.flush.offset.checkpoint.interval.ms" "60000",
        segment_bytes: i32 = int "log.segment.bytes" "1073741824",
        retention_ms: Option<i64> = maybe_limit "log.retention.ms" "null",
        retention_minutes: Option<i64> = maybe_limit "log.retention.minutes" "null",
        retention_hours: i64 = limit "log.retention.hours" "168",
        retention_bytes: i64 = limit "log.retention.bytes" "-1",
        retention_check_interval: Duration = ms "log.retention.check.interval.ms" "300000",
        roll_ms: Option<i64> = maybe_at_least_1 "log.roll.ms" "null",
        roll_hours: i64 = at_least_1 "log.roll.hours" "168",
        log_append_time: bool = timestamp_type "log.message.timestamp.type" "CreateTime",
        timestamp_before_max_ms: i64 = long "log.message.timestamp.before.max.ms" "9223372036854775807",
        timestamp_after_max_ms: i64 = long "log.message.timestamp.after.max.ms" "3600000",
        flush_interval_messages: i64 = long "log.flush.interval.messages" "9223372036854775807",
        message_max_bytes: i32 = int "message.max.bytes" "1048588",
        fetch_max_bytes: i32 = int "fetch.max.bytes" "57671680",
        producer_id_expiration: Duration = ms "producer.id.expiration.ms" "86400000",
        request_timeout: Duration = ms "request.timeout.ms" "30000",
    }
}

settings! {
    /// Settings of a topic. Values not given come from the broker's twin: see [`TopicConfig::over`].
    TopicConfig {
        min_insync_replicas: i32 = positive "min.insync.replicas" "1",
        unclean_leader_election: bool = flag "unclean.leader.election.enable" "false",
        segment_bytes: i32 = int "segment.bytes" "1073741824",
        max_message_bytes: i32 = int "max.message.bytes" "1048588",
        flush_messages: i64 = long "flush.messages" "9223372036854775807",
        log_append_time: bool = timestamp_type "message.timestamp.type" "CreateTime",
        timestamp_before_max_ms: i64 = long "message.timestamp.before.max.ms" "9223372036854775807",
        timestamp_after_max_ms: i64 = long "message.timestamp.after.max.ms" "3600000",
        retention_ms: i64 = limit "retention.ms" "604800000",
        retention_bytes: i64 = limit "retention.bytes" "-1",
        segment_ms: i64 = at_least_1 "segment.ms" "604800000",
    }
}

impl BrokerConfig {
    /// Defaults with `values` on top; names that are not acted upon are passed over. Errors: a value cannot be used.
    pub fn from_map(values: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        Self::over_defaults(values)
    }

    /// These settings with `layers` of dynamic values on top, the last one winning (KIP-226). Values that cannot be used
    /// are passed over; they are checked before they get that far.
    pub fn overlaid<'a>(&self, layers: impl IntoIterator<Item = &'a BTreeMap<String, String>>) -> Self {
        let mut settings = self.clone();
        for (name, value) in layers.into_iter().flatten() {
            let _ = settings.set(name, value);
        }
        settings
    }

    /// How long records are kept, in milliseconds: the finest unit that is given counts; -1 for ever.
    pub fn effective_retention_ms(&self) -> i64 {
        let minutes = |n: i64| if n < 0 { -1 } else { n.saturating_mul(60_000) };
        let hours =
            if self.retention_hours < 0 { -1 } else { self.retention_hours.saturating_mul(3_600_000) };
        self.retention_ms.or(self.retention_minutes.map(minutes)).unwrap_or(hours)
    }

    /// The age at which a segment is rolled, in milliseconds.
    pub fn effective_roll_ms(&self) -> i64 {
        self.roll_ms.unwrap_or(self.roll_hours.saturating_mul(3_600_000))
    }
}

fn timestamp_type(name: &str, value: &str) -> Result<bool, ConfigError> {
    match value.trim() {
        "CreateTime" => Ok(false),
        "LogAppendTime" => Ok(true),
        _ => fail(name, value, "CreateTime or LogAppendTime"),
    }
}

impl TopicConfig {
    /// Defaults with `values` on top; names that are not acted upon are passed over. Errors: a value cannot be used.
    pub fn from_map(values: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        Self::over_defaults(values)
    }

    /// A topic's effective settings: its own values over the broker's twins over Kafka's defaults.
    /// Errors: a value cannot be used.
    pub fn over(broker: &BrokerConfig, own: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut settings = TopicConfig {
            min_insync_replicas: broker.min_insync_replicas,
            unclean_leader_election: broker.unclean_leader_election,
            segment_bytes: broker.segment_bytes,
            max_message_bytes: broker.message_max_bytes,
            flush_messages: broker.flush_interval_messages,
            log_append_time: broker.log_append_time,
            timestamp_before_max_ms: broker.timestamp_before_max_ms,
            timestamp_after_max_ms: broker.timestamp_after_max_ms,
            retention_ms: broker.effective_retention_ms(),
            retention_bytes: broker.retention_bytes,
            segment_ms: broker.effective_roll_ms(),
            given: BTreeMap::new(),
        };
        for (name, value) in own {
            settings.set(name, value)?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_parses() {
        assert_eq!(BrokerConfig::default().session_timeout, Duration::from_secs(9));
        assert_eq!(TopicConfig::default().min_insync_replicas, 1);
    }

    #[test]
    fn a_topic_value_wins_over_the_brokers_twin() {
        let broker = BrokerConfig { min_insync_replicas: 2, ..BrokerConfig::default() };
        let own = BTreeMap::from([("segment.bytes".to_string(), "4096".to_string())]);
        let topic = TopicConfig::over(&broker, &own).unwrap();
        assert_eq!((topic.min_insync_replicas, topic.segment_bytes), (2, 4096));
    }

    #[test]
    fn the_finest_unit_that_is_given_counts_and_topics_inherit_it() {
        let broker = |values: &[(&str, &str)]| {
            let values = values.iter().map(|(n, v)| (n.to_string(), v.to_string()));
            BrokerConfig::from_map(&values.collect()).unwrap()
        };
        assert_eq!(broker(&[]).effective_retention_ms(), 604_800_000);
        let minutes = broker(&[("log.retention.minutes", "2"), ("log.retention.hours", "1")]);
        assert_eq!(minutes.effective_retention_ms(), 120_000);
        let ms = minutes.overlaid([&BTreeMap::from([("log.retention.ms".to_string(), "5".to_string())])]);
        assert_eq!(TopicConfig::over(&ms, &BTreeMap::new()).unwrap().retention_ms, 5);
        assert_eq!(broker(&[("log.retention.hours", "-1")]).effective_retention_ms(), -1);
    }

    #[test]
    fn a_bad_value_names_the_config_and_the_remedy() {
        let own = BTreeMap::from([("min.insync.replicas".to_string(), "two".to_string())]);
        let error = TopicConfig::from_map(&own).unwrap_err();
        assert_eq!(
            error.to_string(),
            "config min.insync.replicas = \"two\": a whole number from 1 to 2147483647"
        );
    }
}
