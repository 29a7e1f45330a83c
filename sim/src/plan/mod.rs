//! Scenario + seed = plan: every range resolved, every fault placed. The plan is a value: it can be printed, saved in the
//! report, edited and replayed.
//!
//! Each thing that is drawn has a stream of its own, named after the place where it stands (`plan/cluster/brokers`,
//! `plan/topic/orders/partitions`, `chaos/crash`, `fault/starve`), so that an edit in one place moves nothing elsewhere.
//! What a fault decides when it strikes (`random(...)`, the length of a jitter) it draws from its own stream then.
//!
//! | file | what |
//! |---|---|
//! | `hosts.rs` | who exists: brokers, controllers, clients |
//! | `model.rs` | [`Plan`] and its parts, lookups, digest |
//! | `fault.rs` | [`PlannedFault`]: one scripted fault or one random strike |
//! | `draw.rs` | [`Plan::draw`]: cluster, topics, clients, phases, faults |
//! | `chaos.rs` | random strikes: swarm subset, rates, times |
//! | `sample.rs` | integer sampling of ranges and distributions |

mod chaos;
mod draw;
mod fault;
mod hosts;
mod model;
mod sample;

pub use draw::PlanError;
pub use fault::{FaultScope, PlannedFault, PlannedPoint, PlannedTrigger};
pub use hosts::{HostId, HostKind};
pub use model::{
    ChaosLimits, Plan, PlannedConsumer, PlannedDisk, PlannedHost, PlannedLink, PlannedNetwork, PlannedPhase,
    PlannedProducer, PlannedTopic,
};
pub use sample::{below, pareto_quantiles, sample};

#[cfg(test)]
pub(crate) mod tests;
