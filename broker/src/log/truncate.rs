//! Cutting a log (LOG-6).
//!
//! A cut is not durable at once. A power failure may undo it in one file while another file already holds the records that
//! came after it, and the two would look like one log. Therefore nothing is ever appended to a file that was cut: the
//! next append begins a new segment. Each file then belongs to one history, directory changes keep their order on a disk,
//! and an older segment that reaches into a newer one is known to be stale (see `loader.rs`).
//!
//! Differs from Kafka: it appends to the cut segment.

use super::error::LogError;
use super::leader_epochs::LeaderEpochCache;
use super::partition_log::PartitionLog;
use super::producers::ProducerStates;
use super::segment::Segment;
use crate::ids::*;
use crate::io::Disk;
use crate::rpc::Outbox;
use crate::trace::{Observation, TruncationReason};

impl PartitionLog {
    /// Cuts everything from `to` on. At or above the log end only the epochs of leaders that never appended go. Below
    /// the log start the log starts anew at `to`. The high watermark falls with the end; producer state is rebuilt.
    ///
    /// Errors: the disk's; the log may then be partly cut, but is consistent. Source: `UnifiedLog.truncateTo`, LOG-6.
    ///
    /// Differs from Kafka: an offset within a batch rounds down to the batch's first one, and that is the new log end;
    /// producer state is rebuilt from the headers in memory, not from snapshot files.
    pub fn truncate_to(
        &mut self,
        to: Offset,
        reason: TruncationReason,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        let from = self.log_end_offset();
        if to < self.log_start_offset() {
            return self.start_anew(to, reason, disk, out);
        }
        if to < from {
            let cut = self.cut_segments(to, disk);
            self.settle_cut(from, reason, out);
            cut?;
        }
        if self.epochs.truncate_from_end(self.log_end_offset()) {
            let epochs = self.epochs.clone();
            self.write_epochs(&epochs, disk)?;
        }
        Ok(())
    }

    fn cut_segments(&mut self, to: Offset, disk: &mut dyn Disk) -> Result<(), LogError> {
        self.roll_next = true;
        while self.segments.len() > 1 && self.active().base_offset >= to {
            disk.remove(&self.active().path)?;
            self.segments.pop();
            self.sync.note_directory_change();
        }
        let write = self.sync.next_write();
        self.active_mut().truncate(to, write, disk)?;
        Ok(())
    }

    /// Makes everything in memory agree with segments that became shorter.
    fn settle_cut(&mut self, from: Offset, reason: TruncationReason, out: &mut Outbox) {
        let to = self.log_end_offset();
        self.sync.lower(to);
        self.rebuild_producers();
        out.fact(Observation::Truncated { log: self.id.clone(), from, to, reason });
        self.set_high_watermark(self.high_watermark.min(to), None, out);
    }

    fn rebuild_producers(&mut self) {
        let mut producers = ProducerStates::default();
        for entry in self.segments.iter().flat_map(|segment| &segment.index) {
            producers.note(&entry.header);
        }
        let expiration = self.settings.producer_id_expiration;
        producers.expire(self.producers_checked.as_unix_ms(), expiration);
        self.producers = producers;
    }

    /// Drops everything and starts an empty log at `offset`: what a follower does whose next offset the leader no
    /// longer has. Errors: the disk's. Source: `UnifiedLog.truncateFullyAndStartAt`.
    pub fn truncate_fully_and_start_at(
        &mut self,
        offset: Offset,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        self.start_anew(offset, TruncationReason::OutOfRange, disk, out)
    }

    fn start_anew(
        &mut self,
        offset: Offset,
        reason: TruncationReason,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        let from = self.log_end_offset();
        for segment in self.segments.iter().rev() {
            disk.remove(&segment.path)?;
        }
        let write = self.sync.next_write();
        let segment = Segment::create(&self.dir, offset, write, disk)?;
        self.sync.note_directory_change();
        self.sync.lower(offset);
        self.segments = vec![segment];
        self.roll_next = false;
        self.producers = ProducerStates::default();
        self.epochs = LeaderEpochCache::default();
        out.fact(Observation::Truncated { log: self.id.clone(), from, to: offset, reason });
        self.set_high_watermark(offset, None, out);
        let epochs = self.epochs.clone();
        Ok(self.write_epochs(&epochs, disk)?)
    }
}
