//! The cluster: nodes, configs, topics, and the ground they stand on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Distribution, Micros, Ppm, Span, Target, Value};

/// Kafka config names, verbatim, with canonical values as Kafka prints them (`true`, `all`, `9000`). Holds only
/// what the file sets; defaults are in [`crate::catalogue`].
pub type ConfigMap = BTreeMap<String, String>;

/// `[cluster]`: how many nodes of which role. Broker ids are `0..brokers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Number of brokers. Default 3.
    pub brokers: Value<u32>,
    /// Number of controllers (voters). `None`: [`controllers_by_default`] of the drawn number of brokers.
    pub controllers: Option<Value<u32>>,
    /// Whether controllers share the process of the first brokers. Default combined.
    pub mode: Value<Mode>,
    /// Rack name to broker ids. Default: no racks.
    pub racks: BTreeMap<String, Vec<u32>>,
    /// Feature levels with which the cluster is formatted (`kafka-storage format --feature`). Default: Kafka's.
    pub features: BTreeMap<String, i16>,
    /// Brokers that are declared, numbered after the others, and do not boot until a fault restarts them. Default 0.
    pub standby: Value<u32>,
    /// Controllers, numbered after the others, nodes of their own, that are no voters at first. Default 0.
    pub observers: Value<u32>,
}

/// The number of controllers when the file gives none: `min(3, brokers)`.
pub fn controllers_by_default(brokers: u32) -> u32 {
    brokers.min(3)
}

/// Where controllers run (`process.roles` in Kafka).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Controller `i` shares the node of broker `i`: they crash together.
    Combined,
    /// Controllers are nodes of their own.
    Isolated,
}

/// `[[broker.override]]`: configs of some brokers, over `[broker.config]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerOverride {
    /// Broker ids, at least one.
    pub brokers: Vec<u32>,
    /// Their configs.
    pub config: ConfigMap,
    /// The table.
    pub span: Span,
}

/// `[[topic]]`: a topic created before clients start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Kafka topic name. Required.
    pub name: String,
    /// Number of partitions. Default: config `num.partitions` (1); with `assignment` its length.
    pub partitions: Value<u32>,
    /// Replicas per partition. Default: config `default.replication.factor` (1); with `assignment` the length of
    /// its first list.
    pub replication_factor: Value<u32>,
    /// Explicit replica lists, one per partition; the first of each is the preferred leader. Default: the
    /// controller places replicas.
    pub assignment: Option<Vec<Vec<u32>>>,
    /// Topic configs.
    pub config: ConfigMap,
    /// The table.
    pub span: Span,
}

/// `[network]`: every link, unless `[[network.link]]` says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// One-way latency per message. Default: lognormal, median 400 us, p99 6 ms.
    pub latency: Distribution,
    /// Probability that a message is lost (the connection then sees a gap and resets). Default 0.
    pub loss: Ppm,
    /// Exceptions in file order; later ones win.
    pub links: Vec<NetworkLink>,
}

impl Default for Network {
    fn default() -> Self {
        Network {
            latency: Distribution::LogNormal { median: Micros(400), p99: Micros::from_millis(6) },
            loss: Ppm(0),
            links: Vec::new(),
        }
    }
}

/// `[[network.link]]`: the links between two sets of nodes, in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkLink {
    /// The two ends. Only targets that are fixed at start: brokers, controllers, clients, racks.
    pub between: (Target, Target),
    /// Latency instead of the general one. Default: the general one.
    pub latency: Option<Distribution>,
    /// Loss instead of the general one. Default: the general one.
    pub loss: Option<Ppm>,
    /// The table.
    pub span: Span,
}

/// `[disk]`: how long disk calls take, on every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// A write into the page cache. Default: lognormal, median 80 us, p99 2 ms.
    pub write: Distribution,
    /// A sync to stable storage. Default: lognormal, median 1 ms, p99 30 ms.
    pub fsync: Distribution,
}

impl Default for Disk {
    fn default() -> Self {
        Disk {
            write: Distribution::LogNormal { median: Micros(80), p99: Micros::from_millis(2) },
            fsync: Distribution::LogNormal { median: Micros::from_millis(1), p99: Micros::from_millis(30) },
        }
    }
}
