//! One Kafka process: routes an input to one component and drains what comes back, in a fixed order.
//!
//! ```text
//! Input ──▶ Node ──▶ server (accepted connections)   ──▶ api · replica · controller · raft
//!            │  └──▶ channels (opened connections)   ──▶ the component that asked
//!            └─ drain: replies, calls, facts ─▶ Effects;  raft events ─▶ controller, then broker image ─▶ replica
//! ```
//!
//! | file | what |
//! |---|---|
//! | `node.rs` | [`Node`]: boot, step, drain |
//! | `route.rs` | which component answers which request |
//! | `server.rs` | accepted connections: one request at a time, in order |
//! | `channels.rs` | opened connections: correlation ids, time-outs |
//! | `broker_role.rs` | what a node with the broker role owns |
//! | `metadata_flow.rs` | committed metadata and snapshots, from the quorum to the roles |
//! | `lifecycle.rs` | registration and heartbeats (CTL-2, CTL-3) |
//! | `producer_ids.rs` | producer-id blocks (IDM-5) |
//! | `forward.rs` | client requests that the active controller answers |
//! | `describe_configs.rs` | which config values are in force, and why |
//! | `api.rs` | ApiVersions, Metadata, DescribeCluster |
//!
//! *Invariant:* components never call each other sideways; what one component causes in another passes through here.

mod api;
mod broker_role;
mod channels;
mod describe_configs;
mod forward;
mod lifecycle;
mod metadata_flow;
#[expect(clippy::module_inception, reason = "the file is named for its main type")]
mod node;
mod producer_ids;
mod route;
mod server;

pub use node::{BootError, Node};
