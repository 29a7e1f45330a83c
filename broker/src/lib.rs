//! A Kafka node (broker, controller or both) as a pure state machine.
//!
//! The crate is sans-IO: a [`node::Node`] is told the time and one [`io::Input`], may use a `&mut dyn` [`io::Disk`],
//! and writes [`io::Effects`]. It names the next deadline at which it wants to be called. Same state and same input give
//! the same effects.
//!
//! *Invariant:* nothing in this crate reads a clock, opens a socket or file, starts a thread, reads the environment or
//! draws entropy other than from the seed given at boot. `clippy.toml` of this crate enforces it.
//!
//! | room | job |
//! |---|---|
//! | [`io`] | the whole border with the world: inputs, effects, the disk |
//! | [`trace`] | typed facts that a node emits for observers |
//! | [`wire`] | Kafka frames: headers, requests, responses |
//! | [`log`] | record batches, segments, leader epochs, producer state, recovery |
//! | [`replica`] | partitions, ISR, follower fetching, produce and fetch |
//! | [`raft`] | the metadata quorum (KRaft) |
//! | [`metadata`] | metadata records and the image that they fold into |
//! | [`controller`] | the quorum controller: who decides |
//! | [`node`] | routes an input to one component and drains what comes back |
//! | [`config`], [`defects`], [`ids`], [`time`], [`rpc`], [`mod@assert`] | used by all, use nobody |
//!
//! Calls go down (`node` → `controller` → `raft` → `log` → disk; `node` → `replica` → `log` → disk); what must travel up
//! is a returned event that the node hands on, so that the order of effects is explicit.

pub mod assert;
pub mod config;
pub mod controller;
pub mod defects;
pub mod ids;
pub mod io;
pub mod log;
pub mod metadata;
pub mod node;
pub mod raft;
pub mod replica;
pub mod rpc;
pub mod time;
pub mod trace;
pub mod wire;
