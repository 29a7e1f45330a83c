//! The `quorum-state` file: what a voter must not forget (epoch, leader, vote).

use bytes::Bytes;

use super::RaftError;
use crate::ids::{LeaderEpoch, NodeId};
use crate::io::{Disk, DiskError, SyncToken};

/// Where the file lives: beside the segments of the metadata log, as in Kafka.
pub const QUORUM_STATE_PATH: &str = "__cluster_metadata-0/quorum-state";

/// The durable part of a node's place in the quorum (KIP-595 "quorum state").
///
/// Differs from Kafka: three lines of text instead of JSON, and no directory ids (KIP-853 is not here yet).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuorumState {
    /// The current epoch.
    pub epoch: LeaderEpoch,
    /// The leader of the epoch, if the node learned it.
    pub leader: Option<NodeId>,
    /// Who got the node's vote in the epoch.
    pub voted_for: Option<NodeId>,
}

impl QuorumState {
    fn encode(&self) -> Bytes {
        let id = |node: Option<NodeId>| node.map_or(-1, |n| n.0);
        Bytes::from(format!(
            "version 0\nepoch {}\nleader {}\nvoted {}\n",
            self.epoch,
            id(self.leader),
            id(self.voted_for)
        ))
    }

    fn decode(bytes: &[u8]) -> Option<QuorumState> {
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        let mut field = |name: &str| -> Option<i32> {
            let (key, value) = lines.next()?.split_once(' ')?;
            if key == name { value.parse().ok() } else { None }
        };
        if field("version")? != 0 {
            return None;
        }
        let epoch = field("epoch")?;
        let node = |id: i32| (id >= 0).then_some(NodeId(id));
        let state = QuorumState { epoch, leader: node(field("leader")?), voted_for: node(field("voted")?) };
        (epoch >= 0).then_some(state)
    }
}

/// The file and what is known to be durable of it.
///
/// A transition is made in memory first. Nothing that promises it may leave the node before [`QuorumStateFile::on_synced`]
/// said so (Q-2, D-2): the routing in `machine.rs` holds everything back while [`QuorumStateFile::is_writing`].
#[derive(Debug)]
pub struct QuorumStateFile {
    durable: Option<QuorumState>,
    writing: Option<(SyncToken, QuorumState)>,
}

impl QuorumStateFile {
    /// Reads the file. The state read may be page cache that a crash left unsynced, so it does not count as durable: the
    /// boot writes it once more. Errors: the disk, or content that is no quorum state.
    pub fn open(disk: &dyn Disk) -> Result<(QuorumStateFile, QuorumState), RaftError> {
        let state = match disk.read_file(QUORUM_STATE_PATH)? {
            None => QuorumState::default(),
            Some(bytes) => QuorumState::decode(&bytes).ok_or(RaftError::CorruptQuorumState)?,
        };
        Ok((QuorumStateFile { durable: None, writing: None }, state))
    }

    /// Is a write under way?
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Does `state` still have to be written?
    pub fn needs(&self, state: &QuorumState) -> bool {
        self.writing.is_none() && self.durable.as_ref() != Some(state)
    }

    /// Starts to write `state`. Errors: the disk.
    pub fn write(&mut self, state: QuorumState, disk: &mut dyn Disk) -> Result<(), DiskError> {
        let token = disk.replace(QUORUM_STATE_PATH, state.encode())?;
        self.writing = Some((token, state));
        Ok(())
    }

    /// Takes the completion of a write. `None`: the token is not the file's. Errors: the write failed; the node cannot
    /// know what is durable and must stop.
    pub fn on_synced(
        &mut self,
        token: SyncToken,
        result: &Result<(), DiskError>,
    ) -> Option<Result<QuorumState, DiskError>> {
        let (_, state) = self.writing.take_if(|(mine, _)| *mine == token)?;
        Some(result.clone().map(|()| {
            self.durable = Some(state);
            state
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_the_file() {
        for state in [
            QuorumState::default(),
            QuorumState { epoch: 7, leader: Some(NodeId(0)), voted_for: None },
            QuorumState { epoch: i32::MAX, leader: None, voted_for: Some(NodeId(3)) },
        ] {
            assert_eq!(QuorumState::decode(&state.encode()), Some(state));
        }
    }

    #[test]
    fn damaged_content_is_told_apart_from_no_content() {
        let good = QuorumState { epoch: 12, leader: Some(NodeId(2)), voted_for: None }.encode();
        for bad in [&b""[..], b"version 1\nepoch 0\nleader -1\nvoted -1\n", b"\xff\xfe", &good[..12]] {
            assert_eq!(QuorumState::decode(bad), None, "{bad:?}");
        }
    }
}
