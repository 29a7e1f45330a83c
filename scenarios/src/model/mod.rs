//! What a scenario file says, as plain data: every name resolved, every default filled in, nothing drawn yet.
//!
//! The parser fills these types, the simulator draws a plan from them. They hold no behaviour besides small
//! lookups, no float and no reference into the source text other than byte spans.
//!
//! | file | holds |
//! |---|---|
//! | `value.rs` | time, spans, probabilities, ranges to be drawn once per run, distributions drawn many times |
//! | `cluster.rs` | brokers, controllers, configs, topics, network, disk |
//! | `client.rs` | producers and consumers |
//! | `target.rs` | whom a fault strikes: `leader(orders/0)`, `brokers - $victim` |
//! | `condition.rs` | what a fault or a phase waits for: `isr_size(orders/0) == 2` |
//! | `fault.rs` | scripted faults: one trigger, one verb |
//! | `message.rs` | which messages a fault picks: `AlterPartition response` |
//! | `operation.rs` | cluster verbs: what an operator asks of the cluster |
//! | `chaos.rs` | random faults and their limits |
//! | `phase.rs` | phases of a run |
//! | `goal.rs` | check levels, the expected verdict, variants, sweeps |

mod chaos;
mod client;
mod cluster;
mod condition;
mod fault;
mod goal;
mod message;
mod operation;
mod phase;
mod target;
mod value;

pub use chaos::{
    Chaos, ChaosCrash, ChaosHold, ChaosLink, ChaosNodes, ChaosPartition, ChaosPause, ChaosShape, MaxDown,
    Swarm, Weighted,
};
pub use client::{Consumer, Keys, Producer, Rate, SizeRange};
pub use cluster::{
    BrokerOverride, Cluster, ConfigMap, Disk, Mode, Network, NetworkLink, Topic, controllers_by_default,
};
pub use condition::{Compare, Condition, Measure, NodeState, Operand};
pub use fault::{
    CrashMode, Direction, Fault, Halves, Heal, LinkScope, Links, PartitionShape, Point, RollingMode, Trigger,
    Verb,
};
pub use goal::{
    Bound, CheckConfig, ChecksConfig, Comparison, Expect, ExpectedVerdict, Level, SeedQuantifier, Sweep,
    Variant,
};
pub use message::{Message, MessageFilter};
pub use operation::{Configured, ElectionKind, Operation, Replicas};
pub use phase::{Phase, PhaseEnd, PhaseKind};
pub use target::{PartitionIndex, PartitionRef, Target};
pub use value::{Distribution, Micros, Milli, Ppm, Span, Value};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One scenario: the typed content of one file (after a variant and overrides, if any were applied).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Unique name, a path of lower-case words (`museum/R01-truncate-to-high-watermark`). Required.
    pub name: String,
    /// What it shows, in sentences. Default: empty.
    pub about: String,
    /// Labels for filters (`ci`, `soak`). Default: none.
    pub tags: Vec<String>,
    /// Where the story comes from (`KIP-101`, `KAFKA-7128`). Default: none.
    pub refs: Vec<String>,
    /// The seed used when the command line gives none. Default: none (the command line then uses 1).
    pub seed: Option<u64>,
    /// Simulated time after which the run ends whatever happens. Default: 10 minutes.
    pub time_limit: Micros,
    /// Canonical names of the planted defects ([`crate::names::DEFECTS`]). Default: none.
    pub defects: Vec<String>,
    /// `[params]` as text, after overrides. They are already replaced everywhere. Default: none.
    pub params: BTreeMap<String, String>,
    /// `[cluster]`.
    pub cluster: Cluster,
    /// `[broker.config]`: applies to every broker. Only what the file sets.
    pub broker_config: ConfigMap,
    /// `[[broker.override]]`, in file order; later ones win.
    pub broker_overrides: Vec<BrokerOverride>,
    /// `[controller.config]`: applies to every controller. Only what the file sets.
    pub controller_config: ConfigMap,
    /// `[[topic]]`, in file order. Names are unique.
    pub topics: Vec<Topic>,
    /// `[network]` and `[[network.link]]`.
    pub network: Network,
    /// `[disk]`.
    pub disk: Disk,
    /// `[[producer]]`, in file order. Names are unique among all clients.
    pub producers: Vec<Producer>,
    /// `[[consumer]]`, in file order. Names are unique among all clients.
    pub consumers: Vec<Consumer>,
    /// Phases in the order in which they run: always one `start` first and one `settle` last.
    pub phases: Vec<Phase>,
    /// `[[fault]]`, in file order (which is the order at equal instants). Ids are unique.
    pub faults: Vec<Fault>,
    /// `[swarm]`. Default: every chaos kind enabled, unscaled, quorum kept.
    pub swarm: Swarm,
    /// `[chaos.*]`. Default: none.
    pub chaos: Chaos,
    /// `[checks]`. Default: every check at `error`.
    pub checks: ChecksConfig,
    /// `[expect]`. Default: `pass`.
    pub expect: Expect,
    /// `[[variant]]`, in file order. Names are unique.
    pub variants: Vec<Variant>,
    /// `[sweep]`.
    pub sweep: Sweep,
    /// Name of the variant that was applied to get this scenario, if any.
    pub variant: Option<String>,
}

impl Scenario {
    /// The fault with this id.
    pub fn fault(&self, id: &str) -> Option<&Fault> {
        self.faults.iter().find(|fault| fault.id == id)
    }

    /// The topic with this name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// Whether the file scripts or allows any fault at all.
    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty() || self.chaos.is_some()
    }
}
