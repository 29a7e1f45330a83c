//! Cutting a log (LOG-6).
//!
//! A cut is not durable at once. A power failure may undo it in one file while another file already holds the records that
//! came after it, and the two would look like one log. Therefore nothing is ever appended to a file that was cut: the
//! next append begins a new segment, of a new generation. Each file then belongs to one history, and recovery knows which
//! files belong to the same one (see `loader.rs`).
//!
//! Differs from Kafka: it appends to the cut segment.

use super::error::LogError;
use super::leader_epochs::LeaderEpochCache;
use super::partition_log::PartitionLog;
use super::producers::ProducerStates;
use super::segment::{Segment, SegmentName};
use super::start::StartState;
use crate::defects::Defect;
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
        } else if self.settings.defects.has(Defect::EpochsKeptOnEmptyTruncate) {
            return Ok(());
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
        self.state_producers(out);
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

    /// Drops everything: a snapshot that ends at `offset` holds it (KIP-630). Errors: the disk's.
    pub fn start_anew_behind_snapshot(
        &mut self,
        offset: Offset,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        self.start_anew(offset, TruncationReason::Snapshot, disk, out)
    }

    fn start_anew(
        &mut self,
        offset: Offset,
        reason: TruncationReason,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        let from = self.log_end_offset();
        let generation = self.generation + 1;
        let name = SegmentName::root(generation, offset);
        let segment = Segment::create(&self.dir, name, self.sync.next_write(), disk)?;
        self.generation = generation;
        self.sync.note_directory_change();
        for segment in self.segments.iter().rev() {
            disk.remove(&segment.path)?;
        }
        self.sync.lower(offset);
        self.segments = vec![segment];
        (self.log_start, self.start) = (offset, StartState::default());
        self.roll_next = false;
        self.producers = ProducerStates::default();
        self.epochs = LeaderEpochCache::default();
        out.fact(Observation::Truncated { log: self.id.clone(), from, to: offset, reason });
        self.state_producers(out);
        self.set_high_watermark(offset, None, out);
        let epochs = self.epochs.clone();
        Ok(self.write_epochs(&epochs, disk)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::LogSettings;
    use super::super::fixture::*;
    use super::*;
    use crate::defects::DefectSet;
    use crate::trace::ProducerFact;

    fn log() -> Fixture {
        let segment_bytes = 2 * batch(1, 1).len() as i32;
        Fixture::new(LogSettings { segment_bytes, ..Default::default() })
    }

    #[test]
    fn log_6_a_cut_takes_records_epochs_producers_and_the_high_watermark() {
        let mut log = log();
        for sequence in 0..6 {
            log.append(produced(3, 0, sequence, 1), sequence / 2).unwrap();
        }
        log.log.set_high_watermark(5, None, &mut log.out);
        log.facts();
        log.truncate(3);
        assert_eq!((log.log.log_end_offset(), log.log.high_watermark()), (3, 3));
        assert_eq!(log.log.latest_epoch(), Some(1));
        assert_eq!(log.log.producers().get(3).map(|state| state.last_sequence()), Some(2));
        let id = log_id();
        let cut = Observation::Truncated {
            log: id.clone(),
            from: 6,
            to: 3,
            reason: TruncationReason::DivergingEpoch,
        };
        let lowered =
            Observation::HighWatermark { log: id, from: 5, to: 3, log_start: 0, log_end: 3, leader: None };
        let producer = ProducerFact { producer_id: 3, producer_epoch: 0, last_sequence: 2, last_offset: 2 };
        let producers = Observation::ProducerStates { log: log_id(), log_end: 3, states: vec![producer] };
        assert_eq!(log.facts(), [cut, producers, lowered]);
    }

    #[test]
    fn log_6_a_cut_beyond_the_end_still_trims_the_epochs() {
        let mut log = log();
        log.append_epochs(&[1, 1]);
        log.log.assign_epoch(5, 2, &mut log.disk).unwrap();
        assert_eq!(log.log.latest_epoch(), Some(5));
        log.facts();
        log.truncate(7);
        assert_eq!((log.log.latest_epoch(), log.log.log_end_offset()), (Some(1), 2));
        assert_eq!(log.facts(), []);
        let file = log.disk.read_file("orders-0/leader-epoch-checkpoint").unwrap().unwrap();
        assert_eq!(file, "0\n1\n1 0\n");
    }

    #[test]
    fn r14_keeps_the_epoch_of_a_leader_that_never_appended() {
        let defects = DefectSet::of([Defect::EpochsKeptOnEmptyTruncate]);
        let mut log = Fixture::new(LogSettings { defects, ..Default::default() });
        log.append_epochs(&[1, 1]);
        log.log.assign_epoch(5, 2, &mut log.disk).unwrap();
        log.truncate(2);
        assert_eq!(log.log.latest_epoch(), Some(5));
    }

    #[test]
    fn a_cut_within_a_batch_takes_the_batch() {
        let mut log = Fixture::new(LogSettings::default());
        log.append(batch(2, 1), 0).unwrap();
        log.append(batch(4, 1), 0).unwrap();
        log.truncate(4);
        assert_eq!(log.log.log_end_offset(), 2);
    }

    #[test]
    fn log_6_a_cut_below_the_start_starts_anew() {
        let mut log = log();
        log.log.truncate_fully_and_start_at(50, &mut log.disk, &mut log.out).unwrap();
        assert_eq!((log.log.log_start_offset(), log.log.high_watermark()), (50, 50));
        log.append_epochs(&[2]);
        log.facts();
        log.truncate(20);
        let log_ = &log.log;
        assert_eq!((log_.log_start_offset(), log_.log_end_offset(), log_.high_watermark()), (20, 20, 20));
        assert_eq!(log_.latest_epoch(), None);
        assert_eq!(log.disk.list("orders-0").iter().filter(|name| name.ends_with(".log")).count(), 1);
    }

    #[test]
    fn no_file_that_was_cut_is_appended_to() {
        let mut log = Fixture::new(LogSettings::default());
        log.append_epochs(&[0, 0, 0]);
        log.truncate(2);
        log.append_epochs(&[1, 1]);
        let bases: Vec<_> = log.log.segments.iter().map(|segment| segment.base_offset).collect();
        assert_eq!(bases, [0, 2]);
    }
}
