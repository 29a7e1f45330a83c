//! Replication: the partitions of one broker, their ISR, and who may read and write them.
//!
//! A [`ReplicaManager`] holds every [`Partition`] of the broker. The metadata says which of them lead and which follow;
//! leaders take produces and answer fetches, followers copy their leader's log, and a leader tells the controller who is
//! in sync. Sources: KIP-101, KIP-279, KIP-320 (divergence, fencing), KIP-497 (ISR), KIP-903 (broker epochs).
//!
//! ```text
//!                       a follower fetched: at or above the high watermark and the epoch's start, and eligible
//!             ┌────────────────────────────────────────────────────────────────┐
//!             │                                                                ▼
//!      ┌──────┴──────┐   success: commit · ineligible: roll back       ┌────────────────┐
//!      │  Committed  │◀────────────────────────────────────────────────│ PendingExpand  │ M = I ∪ {joining}
//!      │    M = I    │◀──────────────────┐                             └────────────────┘
//!      └──────┬──────┘                   │                              any other error: ask the same again,
//!             │ a member fell behind     │                              or stay until metadata settles it
//!             ▼                          │
//!      ┌────────────────┐                │
//!      │ PendingShrink  │────────────────┘
//!      │     M = I      │                I = committed ISR, M = maximal ISR: the high watermark waits for M,
//!      └────────────────┘                acks=all is admitted by I
//! ```
//!
//! | item | job |
//! |---|---|
//! | [`ReplicaManager`] (`manager.rs`) | all partitions of a broker: boot, timers, waking, flushing, shutdown |
//! | `apply.rs` | metadata changes become roles, logs and fetchers |
//! | [`Partition`] (`partition.rs`) | leader or follower, epochs, ISR changes, the high watermark |
//! | [`Isr`] (`isr.rs`), [`Remote`] (`remote.rs`) | who is in sync, and how far each follower is |
//! | `alter_partition.rs` | proposals on their way to the controller |
//! | `produce.rs`, `fetch.rs`, `offsets.rs`, `delete_records.rs` | the requests |
//! | `leader_hint.rs` | who leads instead, told with a refusal (KIP-951) |
//! | [`follower`], `fetching.rs` | the follower's side: one fetch at a time per leader |
//! | `purgatory.rs` | requests that wait |
//! | `checkpoints.rs` | what survives a restart |
//!
//! *Invariant:* no record is read by a consumer and none is acknowledged under acks=all before the high watermark has
//! passed it, and the high watermark passes only what every member of the maximal ISR has (P-9).
//!
//! Deliberately absent: fetch sessions, quotas, preferred read replicas, transactions, several log
//! directories.

mod alter_partition;
mod apply;
mod checkpoints;
mod delete_records;
mod fetch;
mod fetching;
pub mod follower;
mod isr;
mod leader_hint;
mod manager;
mod offsets;
mod partition;
mod produce;
mod purgatory;
mod remote;

pub use isr::Isr;
pub use manager::ReplicaManager;
pub use partition::{IsrAnswer, IsrProposal, Leadership, Partition, Role, Rules, Settled};
pub use remote::Remote;

use crate::ids::TopicId;

/// Names a partition of one incarnation of a topic.
pub type PartitionKey = (TopicId, i32);
