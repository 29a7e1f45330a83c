//! The metadata log in the quorum's terms: an ordinary log, its flushed end, and what is committed.

use bytes::{Bytes, BytesMut};

use super::RaftError;
use super::control_records::{ControlRecord, control_batch};
use super::snapshot_file::{SnapshotContent, SnapshotId};
use super::snapshots::Snapshots;
use super::timing::MAX_FETCH_SIZE_BYTES;
use crate::config::NodeConfig;
use crate::defects::Defect;
use crate::ids::{LeaderEpoch, LogId, METADATA_TOPIC, Offset};
use crate::io::{Disk, DiskError, SyncToken};
use crate::log::{AppendError, BatchBuilder, LogError, LogSettings, PartitionLog, RecoveryHints, batches};
use crate::metadata::CommittedBatch;
use crate::rpc::Outbox;
use crate::time::Instant;
use crate::trace::{BatchFact, LeaderView, TruncationReason};

/// How a replica's log relates to this one (KIP-595, KIP-630).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// It is a prefix: records may follow.
    Prefix,
    /// It may differ from here on: the end of the largest common epoch here.
    Diverging(LeaderEpoch, Offset),
    /// What it needs is only in this snapshot.
    Snapshot(SnapshotId),
    /// What it needs is nowhere: only the K08 defect does that.
    Gone,
}

/// Whose sync came back.
#[derive(Debug)]
pub enum Synced {
    /// Not one of this log.
    NotMine,
    /// One of the log's own.
    Log,
    /// This snapshot is durable.
    Snapshot(SnapshotContent),
}

/// The log of `__cluster_metadata`, its snapshots, and which of its syncs is under way.
///
/// *Invariant:* a log that does not begin at 0 begins at or below the end of a snapshot.
#[derive(Debug)]
pub struct MetadataLog {
    log: PartitionLog,
    snapshots: Snapshots,
    sync_requested_to: Offset,
    /// Nothing of the log goes that no snapshot covers (KAFKA-14238).
    needs_snapshots: bool,
}

impl MetadataLog {
    /// Opens or creates the log, and finds the newest snapshot. Everything is checked again from the start: a node that
    /// crashed may have lost what it had not flushed. A log that does not reach to the snapshot, or reaches there by another
    /// history, starts anew behind it: all of the snapshot is committed.
    ///
    /// Errors: the disk; a log without its beginning and without a snapshot of it (KAFKA-14240).
    pub fn open(
        config: &NodeConfig,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(Self, Option<SnapshotContent>), RaftError> {
        let settings = LogSettings {
            segment_bytes: config.broker.metadata_segment_bytes,
            max_message_bytes: i32::MAX,
            ..LogSettings::default()
        };
        let (snapshots, newest) = Snapshots::open(&format!("{METADATA_TOPIC}-0"), disk)?;
        let covered = newest.as_ref().map_or(0, |content| content.metadata.end_offset);
        let hints = RecoveryHints { clean_shutdown: false, recovery_point: 0, high_watermark: covered };
        let log = PartitionLog::open(LogId::metadata(), settings, hints, now, disk, out)?;
        let needs_snapshots = !config.defects.has(Defect::MetadataDeletedWithoutSnapshot);
        let sync_requested_to = log.recovery_point();
        let mut log = MetadataLog { log, snapshots, sync_requested_to, needs_snapshots };
        let start = log.log.log_start_offset();
        if start > covered && needs_snapshots {
            return Err(RaftError::SnapshotMissing { log_start: start });
        }
        if let Some(id) = newest.as_ref().map(SnapshotContent::id)
            && !log.continues(id)
        {
            log.start_anew(id, disk, out)?;
        }
        Ok((log, newest))
    }

    /// Does the log hold, or continue, the history of the snapshot?
    fn continues(&self, id: SnapshotId) -> bool {
        let is_at_start = self.log.log_start_offset() == id.end_offset;
        self.end() >= id.end_offset && (is_at_start || self.log.epoch_of(id.end_offset - 1) == Some(id.epoch))
    }

    /// Drops the whole log: the snapshot has everything up to its end. Errors: the disk.
    pub fn start_anew(
        &mut self,
        id: SnapshotId,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), RaftError> {
        self.log.start_anew_behind_snapshot(id.end_offset, disk, out)?;
        self.snapshots.remove_below(id, disk)?;
        self.sync_requested_to = self.log.recovery_point();
        Ok(())
    }

    /// The snapshots.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Starts to write a snapshot; see [`Synced::Snapshot`]. Errors: the disk.
    pub fn write_snapshot(
        &mut self,
        content: &SnapshotContent,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), RaftError> {
        if !self.needs_snapshots {
            // K08: the log is cleaned like any other log, and nothing remembers what was there.
            return self.delete_up_to(content.metadata.end_offset, disk, out);
        }
        Ok(self.snapshots.write(content, disk)?)
    }

    /// Lets go what is not needed any more: old snapshots, and the log behind the oldest that is left. Errors: the disk.
    pub fn clean_up(&mut self, disk: &mut dyn Disk, out: &mut Outbox) -> Result<(), RaftError> {
        self.snapshots.remove_old(disk)?;
        let covered = self.snapshots.earliest().map_or(0, |id| id.end_offset);
        self.delete_up_to(covered, disk, out)
    }

    fn delete_up_to(&mut self, to: Offset, disk: &mut dyn Disk, out: &mut Outbox) -> Result<(), RaftError> {
        if to <= self.high_watermark() {
            self.log.advance_log_start(to, disk, out)?;
        }
        Ok(())
    }

    /// The log end offset.
    pub fn end(&self) -> Offset {
        self.log.log_end_offset()
    }

    /// Everything below is on the disk.
    pub fn flushed(&self) -> Offset {
        self.log.recovery_point().min(self.end())
    }

    /// Everything below is committed, as far as this node knows.
    pub fn high_watermark(&self) -> Offset {
        self.log.high_watermark()
    }

    /// Epoch of the last record, be it only in a snapshot; 0 if there never was one.
    pub fn last_epoch(&self) -> LeaderEpoch {
        self.log.latest_epoch().or(self.epoch_before_start()).unwrap_or(0)
    }

    /// Epoch of the last record before the log's start.
    fn epoch_before_start(&self) -> Option<LeaderEpoch> {
        self.snapshots.ending_at(self.log.log_start_offset()).map(|id| id.epoch)
    }

    /// The largest epoch in the log that is not above `epoch`, and where it ends. Beyond the log's last epoch: the log's end.
    fn end_of_epoch(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        let start = self.log.log_start_offset();
        match self.log.end_offset_for_epoch(epoch) {
            Some(found) if found.end_offset <= start && start > 0 => {
                (self.epoch_before_start().unwrap_or(found.epoch), start)
            }
            Some(found) => (found.epoch, found.end_offset),
            None => (self.last_epoch(), self.end()),
        }
    }

    /// How does a log that ends at `offset` with `last_epoch` relate to this one? Source:
    /// `ReplicatedLog.validateOffsetAndEpoch`; an empty log gets a snapshot even if all records are still here.
    pub fn position_of(&self, offset: Offset, last_epoch: LeaderEpoch) -> Position {
        let start = self.log.log_start_offset();
        let Some(latest) = self.snapshots.latest() else {
            return match offset {
                0 if start == 0 => Position::Prefix,
                _ if offset < start => Position::Gone,
                _ => self.compare(offset, last_epoch),
            };
        };
        let is_below = start > 0
            && (offset < start
                || offset == start && self.epoch_before_start() != Some(last_epoch)
                || self.snapshots.earliest().is_some_and(|earliest| last_epoch < earliest.epoch));
        if offset == 0 || is_below { Position::Snapshot(latest) } else { self.compare(offset, last_epoch) }
    }

    fn compare(&self, offset: Offset, last_epoch: LeaderEpoch) -> Position {
        let (epoch, end_offset) = self.end_of_epoch(last_epoch);
        let differs = epoch != last_epoch || end_offset < offset;
        if differs { Position::Diverging(epoch, end_offset) } else { Position::Prefix }
    }

    /// Cuts the log where the leader's differs: at the end of the epoch in the shorter of the two logs. Returns whether
    /// anything was cut. Errors: the disk; a cut below the high watermark.
    pub fn truncate_diverging(
        &mut self,
        epoch: LeaderEpoch,
        end_offset: Offset,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<bool, RaftError> {
        let (own_epoch, own_end) = self.end_of_epoch(epoch);
        let to = if own_epoch == epoch { own_end.min(end_offset) } else { own_end }.min(self.end());
        if to < self.high_watermark() {
            return Err(RaftError::TruncationBelowHighWatermark {
                to,
                high_watermark: self.high_watermark(),
            });
        }
        let before = self.end();
        self.log.truncate_to(to, TruncationReason::DivergingEpoch, disk, out)?;
        self.sync_requested_to = self.sync_requested_to.min(self.end());
        Ok(self.end() < before)
    }

    /// Appends control records as one batch of `epoch`. Returns the offset of the first one.
    pub fn append_control(
        &mut self,
        epoch: LeaderEpoch,
        records: &[ControlRecord],
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<Offset, AppendError> {
        let batch = control_batch(records, now.as_unix_ms()).build();
        self.log.append_as_leader(batch, epoch, now, disk, out).map(|info| info.base_offset)
    }

    /// The control batches from `from` on, one after the other. Errors: the disk.
    pub fn control_batches(&self, from: Offset, disk: &dyn Disk) -> Result<Bytes, RaftError> {
        let mut found = BytesMut::new();
        let is_wanted = |fact: &BatchFact| fact.is_control && fact.base_offset >= from;
        for fact in self.log.batch_facts().filter(is_wanted) {
            found.extend_from_slice(&self.log.read(fact.base_offset, fact.last_offset + 1, 0, true, disk)?);
        }
        Ok(found.freeze())
    }

    /// Appends `records` as one batch of `epoch`.
    pub fn append(
        &mut self,
        epoch: LeaderEpoch,
        records: &[Bytes],
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), AppendError> {
        let mut batch = BatchBuilder::new();
        for record in records {
            batch.push(now.as_unix_ms(), None, Some(record), &[]);
        }
        self.log.append_as_leader(batch.build(), epoch, now, disk, out).map(|_| ())
    }

    /// Appends what the leader sent.
    pub fn append_fetched(
        &mut self,
        records: Bytes,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), AppendError> {
        self.log.append_as_follower(records, now, disk, out).map(|_| ())
    }

    /// Asks for a sync if something is neither durable nor about to be.
    pub fn request_flush(&mut self, disk: &mut dyn Disk) {
        if self.flushed() < self.end() && self.sync_requested_to < self.end() {
            // Refused: the disk did not even take the request. The next input tries again.
            if self.log.flush(disk).is_some() {
                self.sync_requested_to = self.end();
            }
        }
    }

    /// Takes a sync's completion. A failure of one of the log's own leaves the flushed end where it was. Errors: a snapshot
    /// could not be written, or old segments not be removed.
    pub fn on_synced(
        &mut self,
        token: SyncToken,
        result: &Result<(), DiskError>,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<Synced, RaftError> {
        if let Some(written) = self.snapshots.on_synced(token, result) {
            return Ok(Synced::Snapshot(written?));
        }
        if !self.log.on_synced(token, result, out) {
            return Ok(Synced::NotMine);
        }
        result.clone()?;
        self.log.remove_dead_segments(disk)?;
        Ok(Synced::Log)
    }

    /// Moves the high watermark up; a lower one is passed over, since what is committed stays committed.
    pub fn raise_high_watermark(&mut self, to: Offset, leader: Option<LeaderView>, out: &mut Outbox) {
        if to > self.high_watermark() {
            self.log.set_high_watermark(to, leader, out);
        }
    }

    /// Whole batches from `from` to the end of the log, about `max_bytes`, at least one.
    pub fn read(&self, from: Offset, max_bytes: usize, disk: &dyn Disk) -> Result<Bytes, LogError> {
        if from >= self.end() {
            return Ok(Bytes::new());
        }
        self.log.read(from, self.end(), max_bytes, true, disk)
    }

    /// The committed batches from `from` on. Errors: the log cannot be read.
    pub fn committed_from(&self, from: Offset, disk: &dyn Disk) -> Result<Vec<CommittedBatch>, RaftError> {
        let mut found = Vec::new();
        let mut at = from;
        while at < self.high_watermark() {
            let chunk =
                self.log.read(at, self.high_watermark(), MAX_FETCH_SIZE_BYTES as usize, true, disk)?;
            if chunk.is_empty() {
                break;
            }
            for batch in batches(chunk) {
                let batch = batch.map_err(|e| RaftError::DamagedLog { at, reason: e.to_string() })?;
                let mut records = Vec::new();
                if !batch.header.is_control() {
                    for record in batch.records() {
                        let record =
                            record.map_err(|e| RaftError::DamagedLog { at, reason: e.to_string() })?;
                        let value = record.value.map(|value| batch.bytes.slice_ref(value));
                        records.push((record.offset, value.unwrap_or_default()));
                    }
                }
                at = batch.header.last_offset() + 1;
                found.push(CommittedBatch {
                    base_offset: batch.header.base_offset,
                    last_offset: batch.header.last_offset(),
                    epoch: batch.header.leader_epoch,
                    records,
                });
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Rig;
    use super::*;
    use crate::ids::NodeId;
    use crate::metadata::MetadataSnapshot;

    /// A leader that wrote a state at 1; the state is all that is left when it boots again.
    fn cleaned(defects: &[Defect]) -> Rig {
        let mut rig = Rig::with_defects(1, defects.iter().copied());
        let epoch = rig.elect();
        rig.fetch(2, epoch, 1, epoch);
        let metadata = MetadataSnapshot { end_offset: 1, epoch, records: vec![Bytes::from_static(b"s")] };
        let (now, mut out) = (rig.now, Outbox::default());
        rig.raft.write_snapshot(metadata, now, &mut rig.disk, &mut out);
        rig.sync();
        rig
    }

    #[test]
    fn k08_forgets_what_no_snapshot_holds() {
        for (defects, snapshots) in [(vec![], 1), (vec![Defect::MetadataDeletedWithoutSnapshot], 0)] {
            let mut rig = cleaned(&defects);
            assert_eq!(rig.raft.log.log.log_start_offset(), 1);
            assert_eq!(rig.raft.log.snapshots().latest().iter().count(), snapshots);
            rig.restart();
            rig.sync();
            let loaded = rig.raft.take_events().into_iter().chain(std::mem::take(&mut rig.events));
            let loaded = loaded.filter(|e| matches!(e, super::super::RaftEvent::SnapshotLoaded(_))).count();
            assert_eq!(loaded, snapshots, "{defects:?}");
        }
    }

    #[test]
    fn a_log_without_its_beginning_and_without_a_snapshot_is_refused() {
        let mut rig = cleaned(&[Defect::MetadataDeletedWithoutSnapshot]);
        let opened = MetadataLog::open(
            &super::super::testing::config(1),
            rig.now,
            &mut rig.disk,
            &mut Outbox::default(),
        );
        assert_eq!(opened.err(), Some(RaftError::SnapshotMissing { log_start: 1 }));
        assert_eq!(rig.raft.leader(), Some(NodeId(1)));
    }
}
