//! [`PartitionLog`]: what it holds, its offsets and epochs, the high watermark.

use super::error::LogError;
use super::flush::SyncState;
use super::leader_epochs::{EpochEnd, LeaderEpochCache};
use super::partition_metadata::{metadata_path, metadata_text};
use super::producers::ProducerStates;
use super::segment::Segment;
use super::start::{StartState, start_path};
use crate::defects::DefectSet;
use crate::ids::*;
use crate::io::{Disk, DiskError};
use crate::rpc::Outbox;
use crate::time::{Duration, Instant};
use crate::trace::{BatchFact, LeaderView, Observation, ProducerFact};

/// The settings of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `segment.bytes`.
    pub segment_bytes: i32,
    /// `max.message.bytes`: the largest batch that a leader takes from a client.
    pub max_message_bytes: i32,
    /// `flush.messages`: records that may be appended before the log asks to be flushed.
    pub flush_messages: i64,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration: Duration,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// Historic bugs that are present.
    pub defects: DefectSet,
    /// `message.timestamp.before.max.ms`: how far a client's timestamp may lie in the past.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a client's timestamp may lie in the future.
    pub timestamp_after_max_ms: i64,
    /// `segment.ms`: the span of timestamps that one segment may hold.
    pub segment_ms: i64,
    /// `retention.ms`: segments whose newest record is older go; -1 for never.
    pub retention_ms: i64,
    /// `retention.bytes`: the oldest segments go as long as the rest is at least this large; -1 for never.
    pub retention_bytes: i64,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            segment_bytes: 1 << 30,
            max_message_bytes: 1_048_588,
            flush_messages: i64::MAX,
            producer_id_expiration: Duration::from_secs(86_400),
            log_append_time: false,
            defects: DefectSet::none(),
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: i64::MAX,
            segment_ms: i64::MAX,
            retention_ms: -1,
            retention_bytes: -1,
        }
    }
}

/// What a node knows of a log before it opens it. All of it may be stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecoveryHints {
    /// `.kafka_cleanshutdown` was there: the bytes are trusted.
    pub clean_shutdown: bool,
    /// From `recovery-point-offset-checkpoint`.
    pub recovery_point: Offset,
    /// From `replication-offset-checkpoint`.
    pub high_watermark: Offset,
}

/// Where batches went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record (inclusive).
    pub last_offset: Offset,
    /// Milliseconds since 1970, or -1 if the records keep their own time.
    pub log_append_time: i64,
    /// Nothing was appended: these are the offsets of the first time (IDM-1).
    pub duplicate: bool,
    /// Number of records.
    pub record_count: i32,
}

/// The log of one partition on one node's disk.
///
/// *Invariant:* log start ≤ high watermark ≤ log end; offsets have no gaps; epoch cache and producer state are the fold
/// of the batches in the log (plus the epoch of a leader that has not appended yet, less expired producers).
#[derive(Debug)]
pub struct PartitionLog {
    pub(super) id: LogId,
    pub(super) dir: String,
    pub(super) settings: LogSettings,
    /// Never empty; the last one is active.
    pub(super) segments: Vec<Segment>,
    /// The first offset that exists; the first segment may begin below.
    pub(super) log_start: Offset,
    pub(super) start: StartState,
    pub(super) high_watermark: Offset,
    pub(super) epochs: LeaderEpochCache,
    pub(super) producers: ProducerStates,
    pub(super) producers_checked: Instant,
    pub(super) sync: SyncState,
    /// The next append begins a new segment, see `truncate.rs`.
    pub(super) roll_next: bool,
    /// The largest generation of a segment so far.
    pub(super) generation: u64,
}

impl PartitionLog {
    /// Which log this is.
    pub fn id(&self) -> &LogId {
        &self.id
    }

    /// The first offset that exists.
    pub fn log_start_offset(&self) -> Offset {
        self.log_start
    }

    /// The offset that the next record will get (LEO).
    pub fn log_end_offset(&self) -> Offset {
        self.active().next_offset()
    }

    /// Everything below is replicated; what consumers may read (HW).
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Everything below is decided (LSO): the high watermark, as there are no transactions.
    pub fn last_stable_offset(&self) -> Offset {
        self.high_watermark
    }

    /// Everything below is durable on this disk.
    pub fn recovery_point(&self) -> Offset {
        self.sync.recovery_point()
    }

    /// The newest leader epoch that the log knows.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest()
    }

    /// Where an epoch ended, as KIP-101 asks (LOG-2); `None` if the log cannot know.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        self.epochs.end_offset_for(epoch, self.log_end_offset())
    }

    /// The epoch of the record at `offset`; at the log end and beyond the newest epoch.
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.epoch_of(offset)
    }

    /// The leader epochs of the log.
    pub fn epochs(&self) -> &LeaderEpochCache {
        &self.epochs
    }

    /// The producers of the log.
    pub fn producers(&self) -> &ProducerStates {
        &self.producers
    }

    /// Every batch of the log in order, without payload.
    pub fn batch_facts(&self) -> impl Iterator<Item = BatchFact> + '_ {
        let headers = self.segments.iter().flat_map(|segment| &segment.index).map(|entry| entry.header);
        headers.skip_while(|header| header.last_offset() < self.log_start).map(|header| header.fact())
    }

    /// Takes other settings; they count from the next append on.
    pub fn update_settings(&mut self, settings: LogSettings) {
        self.settings = settings;
    }

    pub(super) fn active(&self) -> &Segment {
        self.segments.last().expect("a log always has an active segment")
    }

    pub(super) fn active_mut(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log always has an active segment")
    }

    /// Notes that `epoch` begins at `start`: a new leader does so before its first append. Errors: the disk's.
    pub fn assign_epoch(
        &mut self,
        epoch: LeaderEpoch,
        start: Offset,
        disk: &mut dyn Disk,
    ) -> Result<(), LogError> {
        Ok(self.assign_epochs(&[(epoch, start)], disk)?)
    }

    pub(super) fn assign_epochs(
        &mut self,
        starts: &[(LeaderEpoch, Offset)],
        disk: &mut dyn Disk,
    ) -> Result<(), DiskError> {
        let mut epochs: Option<LeaderEpochCache> = None;
        for (epoch, start) in starts {
            if epochs.as_ref().unwrap_or(&self.epochs).needs_assign(*epoch, *start) {
                epochs.get_or_insert_with(|| self.epochs.clone()).assign(*epoch, *start);
            }
        }
        if let Some(epochs) = epochs {
            // The file first: memory must not know an epoch that the disk refused.
            self.write_epochs(&epochs, disk)?;
            self.epochs = epochs;
        }
        Ok(())
    }

    pub(super) fn write_epochs(
        &mut self,
        epochs: &LeaderEpochCache,
        disk: &mut dyn Disk,
    ) -> Result<(), DiskError> {
        let token = disk.replace(&format!("{}/leader-epoch-checkpoint", self.dir), epochs.to_checkpoint())?;
        self.sync.note_side_file(token);
        Ok(())
    }

    /// Moves the high watermark to `to`, clamped to `[log start, log end]`; on a follower it may go down.
    /// `leader` is what a leader knew when it decided so. Source: `UnifiedLog.updateHighWatermark`, P-8.
    pub fn set_high_watermark(&mut self, to: Offset, leader: Option<LeaderView>, out: &mut Outbox) {
        let (log_start, log_end) = (self.log_start_offset(), self.log_end_offset());
        let to = to.clamp(log_start, log_end);
        if to == self.high_watermark {
            return;
        }
        let from = std::mem::replace(&mut self.high_watermark, to);
        out.fact(Observation::HighWatermark { log: self.id.clone(), from, to, log_start, log_end, leader });
    }

    /// States what the log says of its producers, so that an observer can compare it with the log's batches (IDM-4, D-3).
    /// The metadata log has none.
    pub fn state_producers(&self, out: &mut Outbox) {
        if self.id.is_metadata() {
            return;
        }
        let states = self.producers.iter().map(|(producer_id, state)| ProducerFact {
            producer_id,
            producer_epoch: state.epoch,
            last_sequence: state.last_sequence(),
            last_offset: state.last_offset(),
        });
        let (log, log_end, states) = (self.id.clone(), self.log_end_offset(), states.collect());
        out.fact(Observation::ProducerStates { log, log_end, states });
    }

    /// The same bytes under the name of another incarnation of the topic: only the R22 defect does that. Errors: the disk's.
    pub fn taken_for(
        mut self,
        topic_id: TopicId,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<PartitionLog, LogError> {
        let token = disk.replace(&metadata_path(&self.dir), metadata_text(topic_id))?;
        self.sync.note_metadata(token);
        out.fact(Observation::LogDeleted { log: self.id.clone() });
        self.id.topic_id = topic_id;
        out.fact(Observation::LogOpened {
            log: self.id.clone(),
            log_start: self.log_start_offset(),
            log_end: self.log_end_offset(),
            high_watermark: self.high_watermark,
            batches: self.batch_facts().collect(),
        });
        Ok(self)
    }

    /// Removes the log and everything that belongs to it. Errors: the disk's; the log is unusable either way.
    ///
    /// Differs from Kafka: the directory is not renamed first. A topic of the same name that is created before the removals
    /// are durable shares the directory with what a power failure brings back.
    pub fn delete(self, disk: &mut dyn Disk, out: &mut Outbox) -> Result<(), LogError> {
        // The identity goes first: segments without it are remains that no open takes for a log.
        let side_files =
            ["partition.metadata", "leader-epoch-checkpoint"].map(|name| format!("{}/{name}", self.dir));
        for path in side_files.iter().chain([&start_path(&self.dir)]) {
            match disk.remove(path) {
                Ok(()) | Err(DiskError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for segment in self.segments.iter().rev() {
            disk.remove(&segment.path)?;
        }
        disk.sync_dir(&self.dir);
        out.fact(Observation::LogDeleted { log: self.id });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::*;
    use crate::io::DiskError;

    #[test]
    fn p_8_the_high_watermark_stays_between_the_ends() {
        let mut log = Fixture::new(LogSettings::default());
        log.log.truncate_fully_and_start_at(10, &mut log.disk, &mut log.out).unwrap();
        log.append_epochs(&[0, 0, 0]);
        for (to, expected) in [(12, 12), (99, 13), (11, 11), (3, 10)] {
            log.log.set_high_watermark(to, None, &mut log.out);
            assert_eq!((log.log.high_watermark(), log.log.last_stable_offset()), (expected, expected));
        }
    }

    #[test]
    fn a_high_watermark_that_does_not_move_is_no_fact() {
        let mut log = Fixture::new(LogSettings::default());
        log.append_epochs(&[0]);
        log.facts();
        let view = LeaderView {
            leader_epoch: 0,
            isr: vec![NodeId(1)],
            maximal_isr: vec![NodeId(1), NodeId(2)],
            min_isr: 1,
        };
        log.log.set_high_watermark(1, Some(view.clone()), &mut log.out);
        log.log.set_high_watermark(1, None, &mut log.out);
        log.log.set_high_watermark(5, None, &mut log.out);
        let (id, leader) = (log_id(), Some(view));
        let moved = Observation::HighWatermark { log: id, from: 0, to: 1, log_start: 0, log_end: 1, leader };
        assert_eq!(log.facts(), [moved]);
    }

    #[test]
    fn a_leaders_epoch_is_on_the_disk_before_it_is_in_memory() {
        let mut log = Fixture::new(LogSettings::default());
        log.disk.fail_writes_with(Some(DiskError::Full));
        assert_eq!(log.log.assign_epoch(3, 0, &mut log.disk), Err(LogError::Disk(DiskError::Full)));
        assert_eq!(log.log.latest_epoch(), None);
        log.disk.fail_writes_with(None);
        log.log.assign_epoch(3, 0, &mut log.disk).unwrap();
        assert_eq!(log.log.end_offset_for_epoch(3), Some(EpochEnd { epoch: 3, end_offset: 0 }));
        let file = log.disk.read_file("orders-0/leader-epoch-checkpoint").unwrap().unwrap();
        assert_eq!(file, "0\n1\n3 0\n");
    }

    #[test]
    fn other_settings_count_from_the_next_append() {
        let mut log = Fixture::new(LogSettings::default());
        log.log.update_settings(LogSettings { max_message_bytes: 10, ..Default::default() });
        assert!(log.append(batch(1, 1), 0).is_err());
        log.log.update_settings(LogSettings::default());
        assert!(log.append(batch(1, 1), 0).is_ok());
    }
}
