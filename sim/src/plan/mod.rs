//! Scenario + seed = plan: every range resolved, every fault placed. The plan is a value: it can be printed, saved in the
//! report, edited and replayed.
//!
//! | file | what |
//! |---|---|
//! | `hosts.rs` | who exists: brokers, controllers, clients |

mod hosts;

pub use hosts::{HostId, HostKind};
