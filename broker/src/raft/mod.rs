//! The metadata quorum: KRaft (KIP-595). Voters elect a leader, replicas pull its log, a majority commits.
//!
//! One [`Raft`] per node. Pure brokers run it too, as observers: they fetch, never stand for election, and hand up only
//! what is committed. The log is an ordinary [`crate::log::PartitionLog`]; the difference is in the promises:
//!
//! * nothing leaves the node between a change of epoch, leader or vote and the moment at which `quorum-state` is durable
//!   (Q-2, D-2). Kafka's raft thread stands still in `fsync` meanwhile, and so does this machine: inputs queue up;
//! * a voter fetches at offset `f` only when everything below `f` is on its disk, therefore the leader may count it.
//!
//! ```text
//!                 higher epoch seen, no leader known
//!        ┌──────────────────────(from anywhere)──────────────────────┐
//!        ▼                                                           │
//!  ┌────────────┐ election time-out ┌─────────────┐ majority   ┌─────┴─────┐ majority ┌────────┐ resign(), no majority ┌──────────┐
//!  │ Unattached ├──────────────────▶│ Prospective ├───────────▶│ Candidate ├─────────▶│ Leader ├──────────────────────▶│ Resigned │
//!  └─────┬──▲───┘◀──────────────────┤ same epoch  │ consents,  └─────┬─────┘          └────────┘    fetches            └─────┬────┘
//!        │  │       refused         └──┬──────▲───┘ epoch + 1        │                                                     │
//!        │  │                  refused │      └──────────────────────┘  lost, rested                                       │
//!        │  └──────────────────────────┼──── election time-out, epoch + 1 ─────────────────────────────────────────────────┘
//!        ▼ leader known                ▼
//!  ┌────────────────────────────────────┐
//!  │             Follower               ├──── fetch time-out (voters): Prospective
//!  └────────────────────────────────────┘     boot as the recorded leader: Resigned
//! ```
//!
//! | file | job |
//! |---|---|
//! | `machine.rs` | [`Raft`]: the public face; routes inputs, holds back what is not durable yet |
//! | `roles.rs` | the six roles and every transition between them |
//! | `quorum_state.rs` | the `quorum-state` file |
//! | `voting.rs` | answers Vote, BeginQuorumEpoch, EndQuorumEpoch |
//! | `prospective.rs` | asks in advance whether it would be elected (KIP-996) |
//! | `candidate.rs` | asks for votes |
//! | `election.rs` | counts them |
//! | `leader.rs` | counts the voters' ends, appends, moves the high watermark |
//! | `resigned.rs` | gives up leading: on shutdown, or without a majority that fetches (check-quorum) |
//! | `leader_fetch.rs` | answers Fetch: validation, divergence, the long poll |
//! | `follower.rs` | fetches, truncates, appends |
//! | `metadata_log.rs` | the log, in the quorum's terms |
//! | `snapshot_file.rs`, `snapshots.rs` | a snapshot as a file; which there are (KIP-630) |
//! | `snapshot_making.rs` | when one is written, and what follows |
//! | `snapshot_fetch.rs`, `snapshot_messages.rs` | handing them out and fetching them |
//! | `control_records.rs` | the records that the quorum writes for itself |
//! | `voters.rs` | who votes: the sets that the log names (KIP-853) |
//! | `voter_changes.rs` | AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter |
//! | `directory.rs` | which disk this is |
//! | `peer_calls.rs` | one question to every voter until all answered |
//! | `describe.rs` | answers DescribeQuorum |
//! | `timing.rs` | time-outs and the dice |
//! | `messages.rs`, `fetch_messages.rs` | messages, built and read |
//!
//! Deliberately absent: a vote is remembered by the candidate's id alone, not by its disk; controllers do not join by
//! themselves (KIP-853).

mod candidate;
mod control_records;
mod describe;
mod directory;
mod election;
mod fetch_messages;
mod follower;
mod leader;
mod leader_fetch;
mod machine;
mod messages;
mod metadata_log;
mod peer_calls;
mod prospective;
mod quorum_state;
mod resigned;
mod roles;
mod snapshot_fetch;
mod snapshot_file;
mod snapshot_making;
mod snapshot_messages;
mod snapshots;
#[cfg(test)]
mod testing;
mod timing;
mod voter_changes;
mod voters;
mod voting;

pub use machine::Raft;
pub use quorum_state::{QUORUM_STATE_PATH, QuorumState};

use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::io::DiskError;
use crate::log::{AppendError, LogError};
use crate::metadata::{CommittedBatch, MetadataSnapshot};

/// An epoch and its leader, as one node knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leadership {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its leader, if known.
    pub leader: Option<NodeId>,
}

/// What the quorum tells the node, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RaftEvent {
    /// A batch is committed. In order of offset, each once per boot, from the start of the log or the end of a snapshot.
    Committed(CommittedBatch),
    /// The metadata are what this snapshot holds, whatever was handed up before. Comes at boot, and when the leader does not
    /// have the log any more that this node needs; never while the node leads (Q-15). Batches continue at its end.
    SnapshotLoaded(MetadataSnapshot),
    /// The node leads: everything up to its own LeaderChange record is committed and was told before.
    BecameLeader {
        /// The epoch in which it leads.
        epoch: LeaderEpoch,
    },
    /// The node leads no longer. Comes only after [`RaftEvent::BecameLeader`] of the same epoch.
    Resigned {
        /// The epoch in which it led.
        epoch: LeaderEpoch,
    },
    /// The node's knowledge of epoch and leader changed.
    LeaderChanged {
        /// The leader, if known.
        leader: Option<NodeId>,
        /// The epoch.
        epoch: LeaderEpoch,
    },
}

/// Why the quorum cannot boot or go on. At run time each of them halts the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RaftError {
    /// No `controller.quorum.voters`.
    #[error("no voters are configured")]
    NoVoters,
    /// The file exists but is no quorum state.
    #[error("{QUORUM_STATE_PATH} is not readable")]
    CorruptQuorumState,
    /// The disk refused.
    #[error("failed to write the quorum state: {0}")]
    Disk(#[from] DiskError),
    /// The log refused.
    #[error("failed to use the metadata log: {0}")]
    Log(#[from] LogError),
    /// The log refused a batch.
    #[error("failed to append to the metadata log: {0}")]
    Append(#[from] AppendError),
    /// Two leaders of one epoch: a broken promise somewhere in the quorum (Q-13).
    #[error("epoch {epoch} has two leaders, {known} and {claimed}")]
    InconsistentLeader {
        /// The epoch.
        epoch: LeaderEpoch,
        /// Who this node knows to lead.
        known: NodeId,
        /// Whom a peer names.
        claimed: NodeId,
    },
    /// The leader's log lacks what is committed here (Q-9): committed metadata was lost somewhere in the quorum.
    #[error("the leader's log asks for a truncation to {to}, below the high watermark {high_watermark}")]
    TruncationBelowHighWatermark {
        /// Where the log would have been cut.
        to: Offset,
        /// What is known to be committed.
        high_watermark: Offset,
    },
    /// The log begins above 0 and nothing says what was before (KAFKA-14240).
    #[error("the metadata log begins at {log_start}, and no snapshot reaches there")]
    SnapshotMissing {
        /// Where the log begins.
        log_start: Offset,
    },
    /// Bytes of the own log below its end cannot be read as batches.
    #[error("the metadata log is damaged at offset {at}: {reason}")]
    DamagedLog {
        /// The offset read from.
        at: Offset,
        /// What is wrong.
        reason: String,
    },
}
