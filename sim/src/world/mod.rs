//! The simulated world: network, disks, clocks, and what can be done to them. madsim gives schedule, virtual time and
//! node lifecycle; the rest is ours.
//!
//! | file | what |
//! |---|---|
//! | `spec.rs` | [`WorldSpec`]: what a world is made of |
//! | `machine.rs` | [`Machine`], [`Program`]: what a host can run |
//! | `control.rs` | [`Control`], [`Observer`]: what a run can see and do |
//! | `core.rs` | `Core`: everything that exists; implements [`Control`] |
//! | `host_slot.rs` | `HostSlot`: one machine with mailbox, timer, clock and disk |
//! | `agenda.rs` | `Agenda`: what will happen, one heap for the whole world |
//! | `net/` | `SimNet`: connections over lossy, cuttable links |
//! | `disk/` | `SimDisk`: page cache, syncs, power loss |
//! | `clock.rs` | `NodeClock`: offset and drift |
//! | `latency.rs` | [`LatencyDist`]: distributions of latencies, integers only |
//! | `panics.rs` | panics of machines as values |
//! | `plugin.rs` | the world as a madsim plugin |

mod agenda;
mod clock;
mod control;
pub(crate) mod core;
mod disk;
mod host_slot;
mod latency;
mod machine;
mod net;
pub(crate) mod panics;
pub(crate) mod plugin;
mod spec;

pub use self::control::{
    Control, Cut, CutId, Fate, HostState, Intercept, LinkEffect, Observer, TrafficClass,
};
pub use self::core::EndReason;
pub use self::latency::LatencyDist;
pub use self::machine::{Boot, Machine, Outputs, Program};
pub use self::spec::{ClockSpec, DiskSpec, HostSpec, LinkSpec, NetSpec, WorldSpec};
