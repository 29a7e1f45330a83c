//! Distributions of latencies in whole microseconds.

/// How long something takes, in microseconds. Sampled with integers only. Source: ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LatencyDist {
    /// Always the same.
    Constant(u64),
    /// Any value of the closed range, equally likely.
    Uniform { min: u64, max: u64 },
    /// Exponential.
    Exp { mean: u64 },
    /// Log-normal, given by two quantiles.
    LogNormal { median: u64, p99: u64 },
}
