//! Which fault strikes when and whom.
//!
//! The [`Director`] is told after every event that something changed, looks at the [`ClusterView`], and uses a
//! [`crate::world::Control`] to break and mend things. Roles (`leader(orders/0)`) are resolved when a fault strikes and
//! pinned. A fault that never struck is reported with the reason, never passed over.
//!
//! | file | what |
//! |---|---|
//! | `view.rs` | [`ClusterView`]: what conditions and targets can see, folded from facts |
//! | `change.rs` | [`Change`]: what kind of thing changed |
//! | `target.rs` | who a target expression means at this moment |
//! | `condition.rs` | whether a condition holds at this moment |
//! | `director.rs` | [`Director`]: phases, and what is due |
//! | `record.rs` | [`PhaseRecord`], [`Unfired`]: what the nemesis says afterwards |
//! | `points.rs` | facts at which `on` lets a fault strike |
//! | `trigger.rs` | when one fault is due |
//! | `held.rs` | [`Held`]: what faults still hold, and how it is undone |
//! | `strike.rs` | [`FAMILIES`]: the verbs; limits of random strikes |
//! | `rolling.rs` | `Rolling`: a restart that goes from machine to machine |
//! | `process.rs`, `network.rs`, `message.rs`, `cluster.rs`, `heal.rs` | the fault families |
//!
//! To add a fault: a variant of `scenarios::model::Verb`, a function in a family's file (or a new file), and one row in
//! [`FAMILIES`].

mod change;
mod cluster;
mod condition;
mod director;
mod heal;
mod held;
mod message;
mod network;
mod points;
mod process;
mod record;
mod rolling;
mod strike;
mod target;
mod trigger;
mod view;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod operator_tests;
#[cfg(test)]
mod tests;

pub use change::Change;
pub use condition::holds;
pub use director::Director;
pub use held::Held;
pub use record::{PhaseRecord, Unfired, UnfiredReason};
pub use strike::{FAMILIES, Family};
pub use target::{Bindings, resolve};
pub use view::ClusterView;
