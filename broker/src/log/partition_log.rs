//! [`PartitionLog`]: append, offsets, the high watermark.

use bytes::Bytes;

use super::batch::{Batch, BatchError, BatchHeader, batches, into_mut, stamp_append_time, stamp_header};
use super::error::{AppendError, LogError};
use super::flush::SyncState;
use super::leader_epochs::{EpochEnd, LeaderEpochCache};
use super::producers::{ProducerStates, SequenceCheck};
use super::segment::Segment;
use crate::ids::*;
use crate::io::{Disk, DiskError};
use crate::rpc::Outbox;
use crate::time::{Duration, Instant};
use crate::trace::{AppendRole, BatchFact, LeaderView, Observation};

/// How often producers are looked through for expired ones. Source: `producer.id.expiration.check.interval.ms`.
const PRODUCER_EXPIRATION_CHECK: Duration = Duration::from_secs(600);

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
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            segment_bytes: 1 << 30,
            max_message_bytes: 1_048_588,
            flush_messages: i64::MAX,
            producer_id_expiration: Duration::from_secs(86_400),
            log_append_time: false,
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
    pub(super) high_watermark: Offset,
    pub(super) epochs: LeaderEpochCache,
    pub(super) producers: ProducerStates,
    pub(super) producers_checked: Instant,
    pub(super) sync: SyncState,
    /// The next append begins a new segment, see `truncate.rs`.
    pub(super) roll_next: bool,
}

impl PartitionLog {
    /// Which log this is.
    pub fn id(&self) -> &LogId {
        &self.id
    }

    /// The first offset that exists.
    pub fn log_start_offset(&self) -> Offset {
        self.segments[0].base_offset
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
        self.segments.iter().flat_map(|segment| &segment.index).map(|entry| entry.header.fact())
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

    fn assign_epochs(
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

    /// Appends what a client (or, in the metadata log, the quorum's leader) sends: gives it offsets from the log end on
    /// and the leader's epoch. All or nothing.
    ///
    /// A client sends exactly one batch and no control batch; the metadata log takes several and control batches.
    /// Compressed records are not looked into. Errors: every [`AppendError`] but `UnexpectedOffset`.
    /// Source: `UnifiedLog.appendAsLeader`, LOG-1, IDM-1..3.
    pub fn append_as_leader(
        &mut self,
        records: Bytes,
        epoch: LeaderEpoch,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<AppendInfo, AppendError> {
        self.expire_producers(now);
        let mut headers = self.validate_for_leader(&records)?;
        let record_count: i32 = headers.iter().map(|header| header.record_count).sum();
        let log_append_time = if self.settings.log_append_time { now.as_unix_ms() } else { -1 };
        if let [header] = &headers[..]
            && header.has_producer()
            && let SequenceCheck::Duplicate(first) = self.producers.check(header)?
        {
            return Ok(AppendInfo {
                base_offset: first.base_offset,
                last_offset: first.last_offset,
                log_append_time: if self.settings.log_append_time { first.timestamp } else { -1 },
                duplicate: true,
                record_count,
            });
        }
        let known = self.latest_epoch().unwrap_or(NO_EPOCH);
        crate::invariant!(epoch >= known, "{} leads in epoch {epoch} after {known}", self.id);
        let base_offset = self.log_end_offset();
        let stamped = self.stamp_all(records, &mut headers, epoch, log_append_time);
        self.write(stamped, &headers, AppendRole::Leader(epoch), disk, out)?;
        let last_offset = self.log_end_offset() - 1;
        Ok(AppendInfo { base_offset, last_offset, log_append_time, duplicate: false, record_count })
    }

    fn validate_for_leader(&self, records: &Bytes) -> Result<Vec<BatchHeader>, AppendError> {
        let (is_metadata, max) = (self.id.is_metadata(), self.settings.max_message_bytes);
        let mut headers = Vec::with_capacity(1);
        for batch in batches(records.clone()) {
            let batch = batch?;
            if batch.bytes.len() > max.max(0) as usize {
                return Err(AppendError::TooLarge { size: batch.bytes.len(), max });
            }
            batch.validate()?;
            if batch.header.is_control() && !is_metadata {
                return Err(AppendError::InvalidRecord("clients may not write control records"));
            }
            validate_content(&batch)?;
            headers.push(batch.header);
        }
        match headers.len() {
            0 => {
                return Err(AppendError::Corrupt(BatchError::Incomplete {
                    have: 0,
                    need: super::HEADER_BYTES,
                }));
            }
            1 => {}
            _ if is_metadata => {}
            _ => return Err(AppendError::InvalidRecord("more than one batch")),
        }
        let segment_bytes = self.settings.segment_bytes;
        if records.len() > segment_bytes.max(0) as usize {
            return Err(AppendError::LargerThanSegment { size: records.len(), max: segment_bytes });
        }
        Ok(headers)
    }

    /// Stamps every batch, in place where the buffer is ours alone.
    fn stamp_all(
        &self,
        records: Bytes,
        headers: &mut [BatchHeader],
        epoch: LeaderEpoch,
        log_append_time: i64,
    ) -> Bytes {
        let mut bytes = into_mut(records);
        let (mut position, mut offset) = (0, self.log_end_offset());
        for header in headers {
            let batch = &mut bytes[position..position + header.size_bytes()];
            stamp_header(batch, offset, epoch);
            if log_append_time >= 0 {
                stamp_append_time(batch, log_append_time);
            }
            *header = BatchHeader::parse(batch).expect("stamping keeps a valid header valid");
            position += header.size_bytes();
            offset = header.next_offset();
        }
        bytes.freeze()
    }

    /// Appends batches copied from the leader, as they are. They must continue at the log end; a torn last batch is left
    /// away, as a leader may cut its answer anywhere.
    ///
    /// On an error the batches before the bad one are appended. Errors: `Corrupt`, `UnexpectedOffset`, `Disk`.
    /// Source: `UnifiedLog.appendAsFollower`, LOG-1.
    ///
    /// Differs from Kafka: an offset above the log end is refused too; there is no compaction that could leave gaps.
    pub fn append_as_follower(
        &mut self,
        records: Bytes,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<AppendInfo, AppendError> {
        self.expire_producers(now);
        let base_offset = self.log_end_offset();
        let (mut chunk, mut failure) = (Vec::new(), None);
        let (mut begin, mut end, mut expected) = (0, 0, base_offset);
        for batch in batches(records.clone()) {
            let header = match batch.and_then(|batch| batch.validate().map(|()| batch.header)) {
                Ok(header) if header.base_offset == expected => header,
                Ok(header) => {
                    failure = Some(AppendError::UnexpectedOffset { expected, found: header.base_offset });
                    break;
                }
                Err(BatchError::Incomplete { .. }) => break,
                Err(error) => {
                    failure = Some(error.into());
                    break;
                }
            };
            if end > begin && end - begin + header.size_bytes() > self.settings.segment_bytes.max(0) as usize
            {
                self.write(records.slice(begin..end), &chunk, AppendRole::Follower, disk, out)?;
                chunk.clear();
                begin = end;
            }
            end += header.size_bytes();
            expected = header.next_offset();
            chunk.push(header);
        }
        if end > begin {
            self.write(records.slice(begin..end), &chunk, AppendRole::Follower, disk, out)?;
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let log_end = self.log_end_offset();
        let record_count = i32::try_from(log_end - base_offset).unwrap_or(i32::MAX);
        Ok(AppendInfo {
            base_offset,
            last_offset: log_end - 1,
            log_append_time: -1,
            duplicate: false,
            record_count,
        })
    }

    /// Writes validated, stamped batches that fit into one segment. All or nothing.
    fn write(
        &mut self,
        bytes: Bytes,
        headers: &[BatchHeader],
        role: AppendRole,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), DiskError> {
        let is_full = self.active().size + bytes.len() as u64 > self.settings.segment_bytes.max(0) as u64;
        if self.roll_next || is_full && self.active().size > 0 {
            self.roll(disk)?;
        }
        let starts: Vec<_> = headers.iter().map(|header| (header.leader_epoch, header.base_offset)).collect();
        self.assign_epochs(&starts, disk)?;
        let write = self.sync.next_write();
        self.active_mut().append(bytes, headers, write, disk)?;
        for header in headers {
            self.producers.note(header);
            out.fact(Observation::Appended { log: self.id.clone(), role, batch: header.fact() });
        }
        Ok(())
    }

    /// Begins a new segment at the log end (LOG-3).
    fn roll(&mut self, disk: &mut dyn Disk) -> Result<(), DiskError> {
        let base_offset = self.log_end_offset();
        if self.active().size == 0 {
            // Two files cannot have one name: the empty one goes and comes back as another file.
            disk.remove(&self.active().path)?;
            self.sync.note_directory_change();
            let write = self.sync.next_write();
            *self.active_mut() = Segment::create(&self.dir.clone(), base_offset, write, disk)?;
        } else {
            let write = self.sync.next_write();
            let segment = Segment::create(&self.dir, base_offset, write, disk)?;
            self.segments.push(segment);
        }
        self.sync.note_directory_change();
        self.roll_next = false;
        Ok(())
    }

    fn expire_producers(&mut self, now: Instant) {
        if now.saturating_since(self.producers_checked) >= PRODUCER_EXPIRATION_CHECK {
            self.producers_checked = now;
            self.producers.expire(now.as_unix_ms(), self.settings.producer_id_expiration);
        }
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

    /// Removes the log and everything that belongs to it. Errors: the disk's; the log is unusable either way.
    pub fn delete(self, disk: &mut dyn Disk, out: &mut Outbox) -> Result<(), LogError> {
        // The identity goes first: segments without it are remains that no open takes for a log.
        for name in ["partition.metadata", "leader-epoch-checkpoint"] {
            match disk.remove(&format!("{}/{name}", self.dir)) {
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

/// What Kafka demands of a client's batch beyond its checksum. Source: `LogValidator.validateBatch`.
fn validate_content(batch: &Batch) -> Result<(), AppendError> {
    let header = &batch.header;
    if header.record_count == 0 || header.record_count - 1 != header.last_offset_delta {
        return Err(AppendError::InvalidRecord("record count and last offset delta disagree"));
    }
    if header.has_producer() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(AppendError::InvalidRecord("producer without a sequence or an epoch"));
    }
    if header.is_log_append_time() {
        return Err(AppendError::InvalidRecord("only the broker sets the append time"));
    }
    if header.compression() != 0 {
        return Ok(());
    }
    for (expected, record) in (header.base_offset..).zip(batch.records()) {
        let record = record.map_err(|_| AppendError::InvalidRecord("malformed record"))?;
        if record.offset != expected {
            return Err(AppendError::InvalidRecord("offsets are not consecutive"));
        }
    }
    Ok(())
}
