//! Settings of the clients: Kafka's names, defaults and units (Kafka 4.1).
//!
//! The typed fields are what the clients act upon; names that are not acted upon are passed over. Values that contradict
//! each other are resolved or refused as the Java client does it (KAFKA-13598 for idempotence).

use std::collections::BTreeMap;

use broker::config::{ConfigError, flag, ms};
use broker::settings;
use broker::time::Duration;

use super::backoff::Backoff;
use crate::history::Acks;

settings! {
    /// Settings of a producer.
    ProducerConfig {
        acks: Acks = acks "acks" "all",
        enable_idempotence: bool = flag "enable.idempotence" "true",
        retries: u32 = count "retries" "2147483647",
        max_in_flight_requests_per_connection: u32 = positive "max.in.flight.requests.per.connection" "5",
        delivery_timeout: Duration = ms "delivery.timeout.ms" "120000",
        request_timeout: Duration = ms "request.timeout.ms" "30000",
        linger: Duration = ms "linger.ms" "5",
        batch_size: u32 = count "batch.size" "16384",
        buffer_memory: u64 = bytes "buffer.memory" "33554432",
        max_block: Duration = ms "max.block.ms" "60000",
        max_request_size: u32 = count "max.request.size" "1048576",
        retry_backoff: Duration = ms "retry.backoff.ms" "100",
        retry_backoff_max: Duration = ms "retry.backoff.max.ms" "1000",
        reconnect_backoff: Duration = ms "reconnect.backoff.ms" "50",
        reconnect_backoff_max: Duration = ms "reconnect.backoff.max.ms" "1000",
        metadata_max_age: Duration = ms "metadata.max.age.ms" "300000",
        partitioner_ignore_keys: bool = flag "partitioner.ignore.keys" "false",
    }
}

settings! {
    /// Settings of a consumer.
    ConsumerConfig {
        auto_offset_reset: OffsetReset = offset_reset "auto.offset.reset" "latest",
        is_read_committed: bool = isolation "isolation.level" "read_uncommitted",
        fetch_min_bytes: u32 = count "fetch.min.bytes" "1",
        fetch_max_wait: Duration = ms "fetch.max.wait.ms" "500",
        fetch_max_bytes: u32 = count "fetch.max.bytes" "52428800",
        max_partition_fetch_bytes: u32 = count "max.partition.fetch.bytes" "1048576",
        max_poll_records: u32 = positive "max.poll.records" "500",
        check_crcs: bool = flag "check.crcs" "true",
        request_timeout: Duration = ms "request.timeout.ms" "30000",
        retry_backoff: Duration = ms "retry.backoff.ms" "100",
        retry_backoff_max: Duration = ms "retry.backoff.max.ms" "1000",
        reconnect_backoff: Duration = ms "reconnect.backoff.ms" "50",
        reconnect_backoff_max: Duration = ms "reconnect.backoff.max.ms" "1000",
        metadata_max_age: Duration = ms "metadata.max.age.ms" "300000",
    }
}

settings! {
    /// Settings of an admin client.
    AdminConfig {
        request_timeout: Duration = ms "request.timeout.ms" "30000",
        retry_backoff: Duration = ms "retry.backoff.ms" "100",
        retry_backoff_max: Duration = ms "retry.backoff.max.ms" "1000",
        reconnect_backoff: Duration = ms "reconnect.backoff.ms" "50",
        reconnect_backoff_max: Duration = ms "reconnect.backoff.max.ms" "1000",
        metadata_max_age: Duration = ms "metadata.max.age.ms" "300000",
    }
}

/// Where to read when there is no position (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the log start offset.
    Earliest,
    /// At the high watermark.
    Latest,
    /// The application decides: see [`super::Consumer`].
    None,
}

impl ProducerConfig {
    /// Defaults with `values` on top. Idempotence that was not asked for gives way to `acks`, `retries` or
    /// `max.in.flight.requests.per.connection` that rule it out; a `delivery.timeout.ms` that was not asked for is raised
    /// to hold one linger and one request. Errors: a value cannot be used, or two that were asked for exclude each other.
    pub fn from_map(values: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut config = Self::over_defaults(values)?;
        let excluded = [
            (config.acks != Acks::All, "acks", "all, because enable.idempotence is true"),
            (config.retries == 0, "retries", "more than 0, because enable.idempotence is true"),
            (
                config.max_in_flight_requests_per_connection > 5,
                "max.in.flight.requests.per.connection",
                "at most 5, because enable.idempotence is true",
            ),
        ];
        let is_asked_for = values.contains_key("enable.idempotence");
        for (is_excluded, name, expected) in excluded {
            if !config.enable_idempotence || !is_excluded {
                continue;
            }
            if is_asked_for {
                return Err(refuse(name, values.get(name).map_or("", String::as_str), expected));
            }
            config.enable_idempotence = false;
        }
        let one_attempt = config.linger + config.request_timeout;
        if config.delivery_timeout < one_attempt {
            if let Some(given) = values.get("delivery.timeout.ms") {
                return Err(refuse("delivery.timeout.ms", given, "at least linger.ms + request.timeout.ms"));
            }
            config.delivery_timeout = one_attempt;
        }
        Ok(config)
    }

    /// Between attempts.
    pub fn retry(&self) -> Backoff {
        Backoff { initial: self.retry_backoff, max: self.retry_backoff_max }
    }
}

impl ConsumerConfig {
    /// Defaults with `values` on top. Errors: a value cannot be used.
    pub fn from_map(values: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        Self::over_defaults(values)
    }

    /// Between attempts.
    pub fn retry(&self) -> Backoff {
        Backoff { initial: self.retry_backoff, max: self.retry_backoff_max }
    }
}

impl AdminConfig {
    /// Defaults with `values` on top. Errors: a value cannot be used.
    pub fn from_map(values: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        Self::over_defaults(values)
    }

    /// Between attempts.
    pub fn retry(&self) -> Backoff {
        Backoff { initial: self.retry_backoff, max: self.retry_backoff_max }
    }
}

fn refuse(name: &str, value: &str, expected: &'static str) -> ConfigError {
    ConfigError { name: name.into(), value: value.into(), expected }
}

fn number(name: &str, value: &str, min: u64, max: u64, expected: &'static str) -> Result<u64, ConfigError> {
    match value.trim().parse::<u64>() {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(refuse(name, value, expected)),
    }
}

const INT_MAX: u64 = i32::MAX as u64;

fn count(name: &str, value: &str) -> Result<u32, ConfigError> {
    number(name, value, 0, INT_MAX, "a whole number from 0 to 2147483647").map(|n| n as u32)
}

fn positive(name: &str, value: &str) -> Result<u32, ConfigError> {
    number(name, value, 1, INT_MAX, "a whole number from 1 to 2147483647").map(|n| n as u32)
}

fn bytes(name: &str, value: &str) -> Result<u64, ConfigError> {
    number(name, value, 0, i64::MAX as u64, "a whole number of bytes")
}

fn acks(name: &str, value: &str) -> Result<Acks, ConfigError> {
    match value.trim() {
        "all" | "-1" => Ok(Acks::All),
        "1" => Ok(Acks::Leader),
        "0" => Ok(Acks::None),
        _ => Err(refuse(name, value, "all, -1, 0 or 1")),
    }
}

fn offset_reset(name: &str, value: &str) -> Result<OffsetReset, ConfigError> {
    match value.trim() {
        "earliest" => Ok(OffsetReset::Earliest),
        "latest" => Ok(OffsetReset::Latest),
        "none" => Ok(OffsetReset::None),
        _ => Err(refuse(name, value, "earliest, latest or none")),
    }
}

fn isolation(name: &str, value: &str) -> Result<bool, ConfigError> {
    match value.trim() {
        "read_committed" => Ok(true),
        "read_uncommitted" => Ok(false),
        _ => Err(refuse(name, value, "read_committed or read_uncommitted")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn defaults_are_kafkas() {
        let config = ProducerConfig::from_map(&map(&[])).unwrap();
        assert_eq!(config, ProducerConfig::default());
        assert!(config.enable_idempotence && config.acks == Acks::All);
        assert_eq!(ConsumerConfig::default().auto_offset_reset, OffsetReset::Latest);
        assert_eq!(AdminConfig::default().request_timeout, Duration::from_secs(30));
    }

    #[test]
    fn idempotence_gives_way_unless_it_was_asked_for() {
        for (name, value) in [("acks", "1"), ("retries", "0"), ("max.in.flight.requests.per.connection", "6")]
        {
            assert!(!ProducerConfig::from_map(&map(&[(name, value)])).unwrap().enable_idempotence, "{name}");
            let error =
                ProducerConfig::from_map(&map(&[(name, value), ("enable.idempotence", "true")])).unwrap_err();
            assert_eq!((error.name.as_str(), error.value.as_str()), (name, value));
        }
    }

    #[test]
    fn the_delivery_timeout_holds_one_attempt() {
        let raised = ProducerConfig::from_map(&map(&[("request.timeout.ms", "200000")])).unwrap();
        assert_eq!(raised.delivery_timeout, Duration::from_millis(200_005));
        assert!(ProducerConfig::from_map(&map(&[("delivery.timeout.ms", "1000")])).is_err());
    }

    #[test]
    fn a_bad_value_says_what_would_do() {
        let error = ConsumerConfig::from_map(&map(&[("auto.offset.reset", "newest")])).unwrap_err();
        assert_eq!(error.to_string(), "config auto.offset.reset = \"newest\": earliest, latest or none");
    }
}
