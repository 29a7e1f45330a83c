//! One task per machine: carries a machine's effects out and brings inputs in. The only driver of sans-IO cores in a
//! simulation.
//!
//! | file | what |
//! |---|---|
//! | `run.rs` | [`run`]: one world from its first boot to its end |
//! | `scheduler.rs` | the tasks: one for the agenda, one per machine; what madsim does for a machine |
//! | `step.rs` | one input, one step, its effects, its facts |
//! | `bench.rs` | how fast all this is |

pub mod bench;
mod run;
mod scheduler;
mod step;

pub use crate::world::{Boot, EndReason, Machine, Outputs, Program};
pub use run::{RunEnd, run};
