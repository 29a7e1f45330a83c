//! Who votes: the sets that the log and its snapshots name, and the configured one before them (KIP-853).

use std::collections::BTreeMap;

use super::machine::Raft;
use super::snapshot_file::SnapshotContent;
use crate::ids::{NodeId, Offset, Uuid};
use crate::io::Address;

/// One voter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Which disk votes; nil as long as nobody said (`controller.quorum.voters` does not).
    pub directory_id: Uuid,
    /// Its controller listener.
    pub address: Option<Address>,
}

/// The voters by id.
pub type VoterSet = BTreeMap<NodeId, Voter>;

impl Raft {
    /// The voters that a snapshot ending at `offset` must name; `None`: nobody named any below it.
    pub(super) fn voters_at(&self, _offset: Offset) -> Option<VoterSet> {
        None
    }

    /// The log is gone, and with it every set that it named.
    pub(super) fn adopt_voters_of(&mut self, _content: &SnapshotContent) {}
}
