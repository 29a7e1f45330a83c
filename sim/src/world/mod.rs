//! The simulated world: network, disks, clocks, and what can be done to them. madsim gives schedule, virtual time and
//! node lifecycle; the rest is ours.
//!
//! | file | what |
//! |---|---|
//! | `control.rs` | [`Control`], [`Observer`]: what a run can see and do |

mod control;

pub use control::{Control, Cut, CutId, HostState, LinkEffect, Observer, TrafficClass};
