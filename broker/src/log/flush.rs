//! Flushing: what of a log is durable, and what a running sync will make so (D-2).
//!
//! A flush asks for every file and directory entry that may be lost by a power failure. The recovery point moves only
//! when all of them are durable, and only to the log end at the time of asking.

use std::collections::BTreeSet;

use super::error::LogError;
use super::partition_log::PartitionLog;
use super::partition_metadata::{metadata_path, metadata_text};
use crate::ids::*;
use crate::io::{Disk, DiskError, SyncToken};
use crate::rpc::Outbox;
use crate::trace::Observation;

/// One flush that is under way.
#[derive(Debug, Clone)]
struct Flush {
    /// The log end when it was asked for; lowered by truncation.
    up_to: Offset,
    /// What it covers.
    covers: Covered,
    /// What the caller waits for.
    last_token: SyncToken,
    outstanding: BTreeSet<SyncToken>,
}

/// Files (base offset, last write) and the directory change that a flush covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Covered {
    segments: Vec<(Offset, u64)>,
    directory: Option<u64>,
}

/// Is `partition.metadata` durable?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metadata {
    Durable,
    Syncing(SyncToken),
    Unknown,
}

/// What of a log is durable.
#[derive(Debug)]
pub(super) struct SyncState {
    recovery_point: Offset,
    /// Everything below must be durable before anybody counts on it (`flush.messages`).
    demanded: Offset,
    writes: u64,
    /// The last change of the directory that may not be durable.
    directory: Option<u64>,
    metadata: Metadata,
    flushes: Vec<Flush>,
    /// Syncs of this log that nobody waits for.
    side: BTreeSet<SyncToken>,
}

impl SyncState {
    /// Of an opened log. Unless `is_trusted`, directory entries count as not durable.
    pub fn new(recovery_point: Offset, is_trusted: bool) -> SyncState {
        SyncState {
            recovery_point,
            demanded: 0,
            writes: 0,
            directory: (!is_trusted).then_some(0),
            metadata: if is_trusted { Metadata::Durable } else { Metadata::Unknown },
            flushes: Vec::new(),
            side: BTreeSet::new(),
        }
    }

    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    /// Numbers a write.
    pub fn next_write(&mut self) -> u64 {
        self.writes += 1;
        self.writes
    }

    /// A file was created or removed.
    pub fn note_directory_change(&mut self) {
        self.directory = Some(self.next_write());
    }

    /// A file was replaced that no promise depends on.
    pub fn note_side_file(&mut self, token: SyncToken) {
        self.side.insert(token);
    }

    pub fn note_metadata(&mut self, token: SyncToken) {
        self.metadata = Metadata::Syncing(token);
    }

    /// Nothing from `to` on is durable any more, whatever a running sync says later.
    pub fn lower(&mut self, to: Offset) {
        self.recovery_point = self.recovery_point.min(to);
        self.demanded = self.demanded.min(to);
        for flush in &mut self.flushes {
            flush.up_to = flush.up_to.min(to);
        }
    }

    fn settle_metadata(&mut self, token: SyncToken, is_durable: bool) -> bool {
        let is_it = self.metadata == Metadata::Syncing(token);
        if is_it {
            self.metadata = if is_durable { Metadata::Durable } else { Metadata::Unknown };
        }
        is_it
    }
}

impl PartitionLog {
    /// Have more than `flush.messages` records been appended that no flush covers?
    pub fn wants_flush(&self) -> bool {
        let asked = self.sync.flushes.iter().map(|flush| flush.up_to).max();
        let covered = asked.unwrap_or(0).max(self.sync.recovery_point);
        self.log_end_offset() - covered >= self.settings.flush_messages
    }

    /// Flushes if `flush.messages` asks for it. Until that is durable the log [awaits](Self::awaits_flush) it.
    pub fn flush_if_wanted(&mut self, disk: &mut dyn Disk) {
        if self.wants_flush() {
            self.sync.demanded = self.log_end_offset();
            self.flush(disk);
        }
    }

    /// Is a flush under way that `flush.messages` asked for? Kafka's append stands still in it: the leader acknowledges
    /// nothing and a follower fetches no further before it is over.
    pub fn awaits_flush(&self) -> bool {
        self.sync.demanded > self.sync.recovery_point
    }

    /// The end of what the leader may count itself to have: what is durable while it awaits a flush, else everything.
    pub fn promised_end(&self) -> Offset {
        if self.awaits_flush() { self.sync.recovery_point } else { self.log_end_offset() }
    }

    /// Asks for everything in the log so far to be made durable. `None`: it is already. A second call without a change
    /// in between asks for nothing new and answers the same token.
    ///
    /// Several syncs may be behind the answer; wait for [`recovery_point`](Self::recovery_point), not for the token.
    pub fn flush(&mut self, disk: &mut dyn Disk) -> Option<SyncToken> {
        let segments = self.segments.iter().filter_map(|s| s.dirty.map(|write| (s.base_offset, write)));
        let covers = Covered { segments: segments.collect(), directory: self.sync.directory };
        let up_to = self.log_end_offset();
        if let Some(running) = self.sync.flushes.last()
            && (running.up_to, &running.covers) == (up_to, &covers)
        {
            return Some(running.last_token);
        }
        let mut outstanding = BTreeSet::new();
        let mut last_token = None;
        if self.sync.metadata == Metadata::Unknown
            && let Ok(token) = disk.replace(&metadata_path(&self.dir), metadata_text(self.id.topic_id))
        {
            self.sync.metadata = Metadata::Syncing(token);
        }
        match self.sync.metadata {
            Metadata::Syncing(token) => last_token = Some(token),
            Metadata::Durable => {}
            Metadata::Unknown => return None, // the disk refuses; the recovery point stays
        }
        outstanding.extend(last_token);
        for segment in self.segments.iter().filter(|segment| segment.dirty.is_some()) {
            last_token = Some(disk.sync(segment.file));
            outstanding.extend(last_token);
        }
        if covers.directory.is_some() {
            last_token = Some(disk.sync_dir(&self.dir));
            outstanding.extend(last_token);
        }
        let last_token = last_token?;
        self.sync.flushes.push(Flush { up_to, covers, last_token, outstanding });
        Some(last_token)
    }

    /// Tells of a finished sync; false if it was not asked for by this log. When all syncs of a flush are through, the
    /// recovery point moves (fact `Flushed`). After a failure it stays, and the next flush asks again.
    pub fn on_synced(&mut self, token: SyncToken, result: &Result<(), DiskError>, out: &mut Outbox) -> bool {
        let mut was_mine = self.sync.side.remove(&token);
        was_mine |= self.sync.settle_metadata(token, result.is_ok());
        was_mine |= self.start.on_synced(token, result.is_ok());
        let mut finished = Vec::new();
        let mut abandoned = BTreeSet::new();
        for mut flush in std::mem::take(&mut self.sync.flushes) {
            let concerns = flush.outstanding.remove(&token);
            was_mine |= concerns;
            if concerns && result.is_err() {
                abandoned.append(&mut flush.outstanding);
            } else if concerns && flush.outstanding.is_empty() {
                finished.push(flush);
            } else {
                self.sync.flushes.push(flush);
            }
        }
        self.sync.side.append(&mut abandoned);
        for flush in finished {
            self.finish(flush, out);
        }
        was_mine
    }

    fn finish(&mut self, flush: Flush, out: &mut Outbox) {
        for (base_offset, write) in &flush.covers.segments {
            let covered =
                |s: &&mut super::segment::Segment| s.base_offset == *base_offset && s.dirty == Some(*write);
            if let Some(segment) = self.segments.iter_mut().find(covered) {
                segment.dirty = None;
            }
        }
        if self.sync.directory == flush.covers.directory {
            self.sync.directory = None;
        }
        if flush.up_to > self.sync.recovery_point {
            crate::invariant!(flush.up_to <= self.log_end_offset(), "{} flushed beyond its end", self.id);
            self.sync.recovery_point = flush.up_to;
            out.fact(Observation::Flushed { log: self.id.clone(), up_to: flush.up_to });
        }
    }

    /// Writes `leader-epoch-checkpoint` if it does not say what the log says. Errors: the disk's.
    pub(super) fn refresh_epoch_file(&mut self, disk: &mut dyn Disk) -> Result<(), LogError> {
        let path = format!("{}/leader-epoch-checkpoint", self.dir);
        let wanted = self.epochs.to_checkpoint();
        let found = disk.read_file(&path)?;
        if found.as_ref() != Some(&wanted) && (found.is_some() || !self.epochs.entries().is_empty()) {
            let token = disk.replace(&path, wanted)?;
            self.sync.note_side_file(token);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::LogSettings;
    use super::super::fixture::*;
    use super::*;

    fn finish_all(log: &mut Fixture) {
        for token in log.disk.complete_all() {
            assert!(log.log.on_synced(token, &Ok(()), &mut log.out));
        }
    }

    #[test]
    fn the_recovery_point_covers_what_was_there_when_asked() {
        let mut log = Fixture::new(LogSettings::default());
        log.append_epochs(&[0, 0]);
        assert!(log.log.flush(&mut log.disk).is_some());
        log.append_epochs(&[0]);
        log.facts();
        finish_all(&mut log);
        assert_eq!(log.log.recovery_point(), 2);
        assert_eq!(log.facts(), [Observation::Flushed { log: log_id(), up_to: 2 }]);
        log.flush();
        assert_eq!((log.log.recovery_point(), log.log.flush(&mut log.disk)), (3, None));
    }

    #[test]
    fn a_second_call_without_a_change_asks_for_nothing() {
        let mut log = Fixture::new(LogSettings::default());
        log.append_epochs(&[0]);
        let first = log.log.flush(&mut log.disk);
        let pending = log.disk.pending_syncs();
        assert_eq!(log.log.flush(&mut log.disk), first);
        assert_eq!(log.disk.pending_syncs(), pending);
    }

    #[test]
    fn the_recovery_point_waits_for_the_directory_of_a_new_segment() {
        let segment_bytes = batch(1, 1).len() as i32;
        let mut log = Fixture::new(LogSettings { segment_bytes, ..Default::default() });
        log.append_epochs(&[0]);
        log.flush();
        log.append_epochs(&[0]);
        log.log.flush(&mut log.disk);
        let syncs = log.disk.pending_syncs();
        assert_eq!(syncs.len(), 2, "the segment and the directory");
        assert!(log.log.on_synced(syncs[0], &Ok(()), &mut log.out));
        assert_eq!(log.log.recovery_point(), 1);
        assert!(log.log.on_synced(syncs[1], &Ok(()), &mut log.out));
        assert_eq!(log.log.recovery_point(), 2);
    }

    #[test]
    fn a_failed_sync_leaves_the_recovery_point_and_may_be_repeated() {
        let mut log = Fixture::new(LogSettings::default());
        log.append_epochs(&[0]);
        log.log.flush(&mut log.disk);
        let failure = Err(DiskError::Io("disk".to_owned()));
        for token in log.disk.complete_all() {
            assert!(log.log.on_synced(token, &failure, &mut log.out), "late tokens are ours too");
        }
        assert_eq!(log.log.recovery_point(), 0);
        log.flush();
        assert_eq!(log.log.recovery_point(), 1);
        assert!(!log.log.on_synced(SyncToken(9_999), &Ok(()), &mut log.out));
    }

    #[test]
    fn a_cut_below_a_running_sync_lowers_it() {
        let mut log = Fixture::new(LogSettings::default());
        log.append_epochs(&[0, 0, 0]);
        log.log.flush(&mut log.disk);
        log.truncate(1);
        log.append_epochs(&[1, 1, 1]);
        finish_all(&mut log);
        assert_eq!(log.log.recovery_point(), 1);
        log.truncate(0);
        assert_eq!(log.log.recovery_point(), 0);
    }

    #[test]
    fn flush_messages_counts_what_no_flush_covers() {
        let mut log = Fixture::new(LogSettings { flush_messages: 2, ..Default::default() });
        log.append_epochs(&[0]);
        assert!(!log.log.wants_flush());
        log.append_epochs(&[0]);
        assert!(log.log.wants_flush());
        log.log.flush_if_wanted(&mut log.disk);
        assert!(!log.log.wants_flush(), "it is on its way");
        assert!(log.log.awaits_flush() && log.log.promised_end() == 0, "nothing is durable yet");
        log.flush();
        assert!(!log.log.awaits_flush() && log.log.promised_end() == 2);
    }
}
