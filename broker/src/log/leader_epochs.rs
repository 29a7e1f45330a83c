//! Which leader epoch began at which offset (KIP-101, LOG-2).

use std::fmt::Write as _;

use bytes::Bytes;

use super::batch::BatchHeader;
use crate::ids::*;

/// An epoch and the offset of the first record that its leader appended (or would append).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochEntry {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Where it begins.
    pub start_offset: Offset,
}

/// Answer to "where did this epoch end?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The asked epoch, or the largest known one below it.
    pub epoch: LeaderEpoch,
    /// The offset after its last record.
    pub end_offset: Offset,
}

/// The leader epochs of one log. Both columns rise strictly (P-8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaderEpochCache {
    entries: Vec<EpochEntry>,
}

impl LeaderEpochCache {
    /// The entries, oldest first.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Would [`assign`](Self::assign) change anything? Source: `LeaderEpochFileCache.isUpdateNeeded`.
    pub fn needs_assign(&self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        epoch >= 0
            && self.entries.last().is_none_or(|last| last.epoch != epoch || start_offset < last.start_offset)
    }

    /// Notes that `epoch` begins at `start_offset`; entries that this contradicts go. An epoch of -1 is passed over.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) {
        if !self.needs_assign(epoch, start_offset) {
            return;
        }
        while self.entries.last().is_some_and(|e| e.epoch >= epoch || e.start_offset >= start_offset) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { epoch, start_offset });
    }

    /// Notes the epoch of a batch in the log.
    pub fn note(&mut self, header: &BatchHeader) {
        self.assign(header.leader_epoch, header.base_offset);
    }

    /// Where `epoch` ended, as KIP-101 asks a leader: the end of the log for the newest epoch; `None` for an epoch above
    /// all that are known; for an epoch between two known ones, the end of the lower one (KIP-279).
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end_offset: Offset) -> Option<EpochEnd> {
        if epoch < 0 {
            return None;
        }
        if self.latest() == Some(epoch) {
            return Some(EpochEnd { epoch, end_offset: log_end_offset });
        }
        let higher = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end_offset = self.entries.get(higher)?.start_offset;
        let floor = higher.checked_sub(1).map_or(epoch, |i| self.entries[i].epoch);
        Some(EpochEnd { epoch: floor, end_offset })
    }

    /// The epoch in which the record at `offset` was appended; beyond the end the newest epoch.
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        after.checked_sub(1).map(|i| self.entries[i].epoch)
    }

    /// Removes entries that begin at or after `end_offset`; true if there were any.
    /// Source: `LeaderEpochFileCache.truncateFromEnd`.
    pub fn truncate_from_end(&mut self, end_offset: Offset) -> bool {
        let keep = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let removed = keep < self.entries.len();
        self.entries.truncate(keep);
        removed
    }

    /// The content of `leader-epoch-checkpoint`: version 0, count, then `epoch start-offset` per line.
    pub fn to_checkpoint(&self) -> Bytes {
        let mut text = format!("0\n{}\n", self.entries.len());
        for entry in &self.entries {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {}", entry.epoch, entry.start_offset);
        }
        text.into()
    }
}
