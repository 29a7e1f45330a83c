//! What happened in a run: typed facts of nodes, world and clients, in one order, and the fingerprint over all of it.
//!
//! | file | what |
//! |---|---|
//! | `fact.rs` | [`Fact`], [`WorldFact`]: what can happen |
//! | `fingerprint.rs` | [`Fingerprint`]: rolling digest with checkpoints |

mod fact;
mod fingerprint;

pub use fact::{CrashMode, Fact, StopKind, TraceEvent, WorldFact};
pub use fingerprint::{Checkpoint, Fingerprint};
