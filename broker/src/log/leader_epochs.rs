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

    /// Forgets what ended below `start_offset`: the epoch of the first record that is left begins there. True if anything
    /// changed. Source: `LeaderEpochFileCache.truncateFromStart`.
    pub fn truncate_from_start(&mut self, start_offset: Offset) -> bool {
        let below = self.entries.partition_point(|entry| entry.start_offset < start_offset);
        if below == 0 {
            return false;
        }
        let begins_there = self.entries.get(below).is_some_and(|entry| entry.start_offset == start_offset);
        let keep = if begins_there { below } else { below - 1 };
        self.entries.drain(..keep);
        if let (false, Some(first)) = (begins_there, self.entries.first_mut()) {
            first.start_offset = start_offset;
        }
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(LeaderEpoch, Offset)]) -> LeaderEpochCache {
        let mut cache = LeaderEpochCache::default();
        for (epoch, start) in entries {
            cache.assign(*epoch, *start);
        }
        cache
    }

    fn pairs(cache: &LeaderEpochCache) -> Vec<(LeaderEpoch, Offset)> {
        cache.entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect()
    }

    #[test]
    fn log_2_assign_removes_what_it_contradicts() {
        assert_eq!(pairs(&cache(&[(1, 0), (3, 10), (3, 15)])), [(1, 0), (3, 10)]);
        assert_eq!(pairs(&cache(&[(1, 0), (3, 10), (4, 10)])), [(1, 0), (4, 10)]);
        assert_eq!(pairs(&cache(&[(1, 0), (3, 10), (5, 20), (4, 8)])), [(1, 0), (4, 8)]);
        assert_eq!(pairs(&cache(&[(1, 0), (-1, 10)])), [(1, 0)]);
    }

    #[test]
    fn log_2_end_offsets() {
        let cache = cache(&[(2, 10), (4, 20), (7, 35)]);
        let end = |epoch| cache.end_offset_for(epoch, 50).map(|end| (end.epoch, end.end_offset));
        assert_eq!(end(7), Some((7, 50)), "the newest ends at the log end");
        assert_eq!(end(8), None, "an epoch above all known ones");
        assert_eq!(end(4), Some((4, 35)));
        assert_eq!(end(5), Some((4, 35)), "between two: the lower one");
        assert_eq!(end(2), Some((2, 20)));
        assert_eq!(end(1), Some((1, 10)), "below all: the start of the first");
        assert_eq!(end(-1), None);
        assert_eq!(LeaderEpochCache::default().end_offset_for(0, 0), None);
    }

    #[test]
    fn the_epoch_of_an_offset_is_the_last_one_begun() {
        let cache = cache(&[(2, 10), (4, 20)]);
        let epochs: Vec<_> = [9, 10, 19, 20, 99].into_iter().map(|at| cache.epoch_of(at)).collect();
        assert_eq!(epochs, [None, Some(2), Some(2), Some(4), Some(4)]);
    }

    #[test]
    fn cutting_removes_epochs_that_begin_at_the_end() {
        let mut cache = cache(&[(2, 10), (4, 20)]);
        assert!(!cache.truncate_from_end(21));
        assert!(cache.truncate_from_end(20));
        assert_eq!(pairs(&cache), [(2, 10)]);
        assert_eq!(cache.to_checkpoint(), "0\n1\n2 10\n");
    }
}
