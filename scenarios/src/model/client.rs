//! The clients that load the cluster. Client `i` of a table called `p` is named `p-i`, counted from 0.

use serde::{Deserialize, Serialize};

use super::{ConfigMap, Milli, Span, Value};

/// `[[producer]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// Name of the table. Default `p` (`p2`, `p3`, ... for further unnamed tables).
    pub name: String,
    /// How many producers. Default 1.
    pub count: Value<u32>,
    /// Topic to write to. Required, a `[[topic]]`.
    pub topic: String,
    /// Records per second, of each producer. Default 50/s.
    pub rate: Value<Rate>,
    /// Record keys. Default none.
    pub keys: Keys,
    /// Size of record values in bytes. Default 100.
    pub value_bytes: SizeRange,
    /// Records after which each producer stops. Default: none, it runs until the settle phase.
    pub records: Option<u64>,
    /// Producer configs.
    pub config: ConfigMap,
    /// The table.
    pub span: Span,
}

/// `[[consumer]]`: a consumer with manually assigned partitions (`assign`, not `subscribe`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// Name of the table. Default `c` (`c2`, `c3`, ... for further unnamed tables).
    pub name: String,
    /// How many consumers; each reads all the assigned partitions. Default 1.
    pub count: Value<u32>,
    /// Topic to read. Required, a `[[topic]]`.
    pub topic: String,
    /// Assigned partitions. Default: none given, all of the topic.
    pub partitions: Option<Vec<u32>>,
    /// Consumer configs.
    pub config: ConfigMap,
    /// The table.
    pub span: Span,
}

/// A rate in thousandths of a record per second (`50/s` is 50,000).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(pub u64);

/// How record keys are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// Records have no key.
    None,
    /// `{ dist = "uniform", n = N }`: keys `k-0` to `k-(n-1)`, equally likely.
    Uniform { n: u32 },
    /// `{ dist = "zipf", n = N, s = S }`: key `k-i` with weight `1/(i+1)^s`; `s` in thousandths.
    Zipf { n: u32, s: Milli },
}

/// Sizes in bytes, both ends included, equally likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeRange {
    /// Smallest size in bytes.
    pub min: u32,
    /// Largest size in bytes.
    pub max: u32,
}
