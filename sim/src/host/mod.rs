//! One task per machine: carries a machine's effects out and brings inputs in. The only driver of sans-IO cores in a
//! simulation.
//!
//! | file | what |
//! |---|---|
//! | `run.rs` | [`run`]: one world from its first boot to its end |

mod run;

pub use crate::world::{Boot, Machine, Outputs, Program};
pub use run::{EndReason, RunEnd, run};
