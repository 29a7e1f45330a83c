//! The simulated world: network, disks, clocks, and what can be done to them. madsim gives schedule, virtual time and
//! node lifecycle; the rest is ours.
//!
//! | file | what |
//! |---|---|
//! | `spec.rs` | [`WorldSpec`]: what a world is made of |
//! | `machine.rs` | [`Machine`], [`Program`]: what a host can run |
//! | `control.rs` | [`Control`], [`Observer`]: what a run can see and do |
//! | `latency.rs` | [`LatencyDist`]: distributions of latencies, integers only |

mod control;
mod latency;
mod machine;
mod spec;

pub use control::{Control, Cut, CutId, HostState, LinkEffect, Observer, TrafficClass};
pub use latency::LatencyDist;
pub use machine::{Boot, Machine, Outputs, Program};
pub use spec::{ClockSpec, DiskSpec, HostSpec, LinkSpec, NetSpec, WorldSpec};
