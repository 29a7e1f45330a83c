//! One task per machine: carries a machine's effects out and brings inputs in. The only driver of sans-IO cores in a
//! simulation.
//!
//! | file | what |
//! |---|---|
//! | `machine.rs` | [`Machine`], [`Program`]: what a host can run |

mod machine;

pub use machine::{Boot, Machine, Outputs, Program};
