//! The seam between the quorum and who reads or writes metadata: committed batches, appending, and the refusal of a
//! node that does not lead.

use bytes::Bytes;

use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::time::Instant;

/// One committed batch of the metadata log: all of it became committed, none of it can be lost (KIP-595).
///
/// Batches arrive in order of offset, each exactly once per boot. Control batches arrive with no records, so that the
/// receiver's notion of "applied up to" moves over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedBatch {
    /// Offset of the batch's first record.
    pub base_offset: Offset,
    /// Offset of the batch's last record (inclusive).
    pub last_offset: Offset,
    /// Epoch of the leader that wrote it.
    pub epoch: LeaderEpoch,
    /// The data records with their offsets: the encoded metadata records. Empty for a control batch.
    pub records: Vec<(Offset, Bytes)>,
}

/// The node does not lead the metadata quorum in the epoch that the writer believes in; nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the leader of the metadata quorum in this epoch (current epoch {epoch}, leader {leader:?})")]
pub struct NotLeader {
    /// The node's current epoch.
    pub epoch: LeaderEpoch,
    /// The leader of that epoch, as far as this node knows.
    pub leader: Option<NodeId>,
}

/// Where the active controller writes. The quorum implements it; tests bring a list. Source: KIP-595
/// (`scheduleAtomicAppend`).
pub trait MetadataLog {
    /// Appends all `records` as one atomic batch and returns the offset that the last of them will have. Nothing is
    /// committed yet. `records` is never empty. Errors: [`NotLeader`] if the node does not lead in `epoch`.
    fn append(&mut self, epoch: LeaderEpoch, records: Vec<Bytes>, now: Instant) -> Result<Offset, NotLeader>;

    /// The offset that the next record will have; `None` if only appends tell. The quorum's own records (KIP-853) move it
    /// between two appends.
    fn next_offset(&self) -> Option<Offset> {
        None
    }
}
