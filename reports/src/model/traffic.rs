//! What clients saw, what was exercised, and which configuration had no effect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::Quantiles;

/// All producers together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clients {
    /// Records handed to a producer.
    pub produced: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records that definitely were refused.
    pub failed: u64,
    /// Records of which the client does not know.
    pub indeterminate: u64,
    /// Send to acknowledgement, over acknowledged records; null when there is none.
    pub ack_latency_us: Option<Quantiles>,
}

/// One consumer group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Completed rebalances.
    pub rebalances: u64,
    /// The longest of them; null when there was none.
    pub max_rebalance_us: Option<u64>,
    /// Records delivered more than once.
    pub duplicates: u64,
    /// Acknowledged records that the group never got.
    pub lost: u64,
}

/// How much of the code's `maybe!` probes the run has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Probes seen at least once.
    pub probes_hit: u64,
    /// Probes that exist.
    pub probes_total: u64,
    /// Names of those not seen, sorted.
    pub missed: Vec<String>,
}

/// What to know about the configuration of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// Known Kafka names in the scenario that have no effect here, sorted.
    pub unmodelled: Vec<String>,
    /// Digest of all defaults: when it moves, the same scenario means something else.
    pub defaults_digest: String,
}
