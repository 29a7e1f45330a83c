//! Admin clients: the one that creates the topics of a scenario, and the operator that carries out cluster verbs.
//!
//! | file | what |
//! |---|---|
//! | `topics.rs` | [`Admin`]: creates topics and waits until they have leaders |
//! | `task.rs` | [`AdminTask`], [`AdminStep`]: what an operator is asked to do, one request after another |
//! | `step.rs` | one step: its request, whom it is for, what an answer means |
//! | `operator.rs` | [`Operator`]: carries tasks out, one at a time, until each is done or refused |

mod operator;
mod step;
mod task;
mod topics;

pub use operator::Operator;
pub use task::{AdminStep, AdminTask, ConfigOwner};
pub use topics::{Admin, NewTopic};
