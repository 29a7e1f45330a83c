//! See the crate's door.

mod committed;

pub use committed::{CommittedBatch, NotLeader};
