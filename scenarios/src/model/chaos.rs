//! Random faults: what may strike, how often, and how much at once.

use serde::{Deserialize, Serialize};

use super::{CrashMode, Distribution, Message, Micros, Milli, Ppm, Span, Target, Value};

/// Alternatives with their weights, in file order; never empty, the sum is positive.
pub type Weighted<T> = Vec<(T, u32)>;

/// `[swarm]`: limits of the random faults. Scripted faults are not limited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swarm {
    /// Probability that a seed enables a chaos kind, drawn for each kind. Default 1.
    pub enable_each: Ppm,
    /// Factor by which every chaos rate is multiplied (so `mean_every` is divided), drawn once. Default 1.
    pub rate_scale: Value<Milli>,
    /// Whether random faults leave a majority of controllers running and connected. Default true.
    pub keep_quorum: bool,
    /// How many brokers random faults may hold down, paused or isolated at once. Default
    /// [`MaxDown::ReplicaMinority`].
    pub max_down: MaxDown,
}

impl Default for Swarm {
    fn default() -> Self {
        Swarm {
            enable_each: Ppm::ONE,
            rate_scale: Value::Fixed(Milli::ONE),
            keep_quorum: true,
            max_down: MaxDown::ReplicaMinority,
        }
    }
}

/// How many brokers may be down at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxDown {
    /// `max_down = 1`.
    Count(Value<u32>),
    /// `max_down = "floor((replication_factor - 1) / 2)"`, with the smallest replication factor of the topics.
    ReplicaMinority,
}

/// `[chaos.*]`: each kind that the file has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Chaos {
    /// `[chaos.crash]`.
    pub crash: Option<ChaosCrash>,
    /// `[chaos.pause]`.
    pub pause: Option<ChaosPause>,
    /// `[chaos.partition]`.
    pub partition: Option<ChaosPartition>,
    /// `[chaos.link]`.
    pub link: Option<ChaosLink>,
    /// `[chaos.hold]`.
    pub hold: Option<ChaosHold>,
    /// `[chaos.metadata_lag]`.
    pub metadata_lag: Option<ChaosNodes>,
    /// `[chaos.fence]`.
    pub fence: Option<ChaosNodes>,
    /// `[chaos.shutdown]`.
    pub shutdown: Option<ChaosNodes>,
    /// `[chaos.wipe]`.
    pub wipe: Option<ChaosNodes>,
}

impl Chaos {
    /// Whether there is any kind.
    pub fn is_some(&self) -> bool {
        self.crash.is_some()
            || self.pause.is_some()
            || self.partition.is_some()
            || self.link.is_some()
            || self.hold.is_some()
            || [&self.metadata_lag, &self.fence, &self.shutdown, &self.wipe].iter().any(|kind| kind.is_some())
    }
}

/// Crash and restart nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChaosCrash {
    /// Whom. Default `random(brokers)`.
    pub targets: Weighted<Target>,
    /// Mean time between two (exponential). Required.
    pub mean_every: Micros,
    /// What survives. Default process.
    pub mode: Weighted<CrashMode>,
    /// How long nodes stay down. Default exponential, mean 5 s.
    pub down: Distribution,
    /// The table.
    pub span: Span,
}

/// Pause and resume nodes or clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChaosPause {
    /// Whom. Default `random(brokers)`.
    pub targets: Weighted<Target>,
    /// Mean time between two (exponential). Required.
    pub mean_every: Micros,
    /// How long. Default exponential, mean 5 s.
    pub hold: Distribution,
    /// The table.
    pub span: Span,
}

/// Cut the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChaosPartition {
    /// How. Default isolate.
    pub shapes: Weighted<ChaosShape>,
    /// Mean time between two (exponential). Required.
    pub mean_every: Micros,
    /// How long. Default exponential, mean 5 s.
    pub hold: Distribution,
    /// The table.
    pub span: Span,
}

/// A random cut, over brokers and controllers, all traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChaosShape {
    /// One random node from everyone else, both ways.
    Isolate,
    /// Two random halves, both ways.
    Halves,
    /// One random node from everyone else, one random direction only.
    OneWay,
    /// One random node reaches both random halves of the rest.
    Bridge,
    /// Every node reaches only its two neighbours.
    Ring,
}

/// Make a random link slow or lossy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChaosLink {
    /// Mean time between two (exponential). Required.
    pub mean_every: Micros,
    /// How long. Default exponential, mean 5 s.
    pub hold: Distribution,
    /// Added to the latency of each message. Default: nothing.
    pub delay: Option<Distribution>,
    /// Probability that a message is lost. Default 0.
    pub loss: Ppm,
    /// Bits per second of each direction. Default: no limit.
    pub bandwidth: Option<u64>,
    /// The table.
    pub span: Span,
}

/// Hold a message back, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChaosHold {
    /// Which: the first of that kind after the strike. Required.
    pub messages: Weighted<Message>,
    /// Mean time between two (exponential). Required.
    pub mean_every: Micros,
    /// How long. Default exponential, mean 5 s.
    pub hold: Distribution,
    /// The table.
    pub span: Span,
}

/// Something that strikes nodes and lasts: metadata lag, fencing, shutdown, a replaced disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChaosNodes {
    /// Whom. Default `random(brokers)`.
    pub targets: Weighted<Target>,
    /// Mean time between two (exponential). Required.
    pub mean_every: Micros,
    /// How long it lasts, or nodes stay down. Default exponential, mean 5 s.
    pub hold: Distribution,
    /// The table.
    pub span: Span,
}
