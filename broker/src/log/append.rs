//! Appending: as a leader, which decides offsets, and as a follower, which copies (LOG-1, IDM-1..3).

use bytes::Bytes;

use super::batch::{Batch, BatchError, BatchHeader, batches, into_mut, stamp_append_time, stamp_header};
use super::error::AppendError;
use super::partition_log::{AppendInfo, PartitionLog};
use super::producers::SequenceCheck;
use super::segment::{Segment, SegmentName};
use crate::ids::*;
use crate::io::{Disk, DiskError};
use crate::rpc::Outbox;
use crate::time::{Duration, Instant};
use crate::trace::{AppendRole, Observation};

/// The codec with the largest number: zstd.
const CODEC_MAX: i16 = 4;
/// How often producers are looked through for expired ones. Source: `producer.id.expiration.check.interval.ms`.
const PRODUCER_EXPIRATION_CHECK: Duration = Duration::from_secs(600);

impl PartitionLog {
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
        self.check_timestamps(&headers, now)?;
        let record_count: i32 = headers.iter().map(|header| header.record_count).sum();
        let log_append_time = if self.settings.log_append_time { now.as_unix_ms() } else { -1 };
        if let [header] = &headers[..]
            && header.has_producer()
            && let SequenceCheck::Duplicate(first) = self.producers.check(header, self.log_start_offset())?
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
            if batch.header.is_transactional() && !is_metadata {
                return Err(AppendError::NoTransaction);
            }
            if batch.header.base_offset != 0 && !is_metadata {
                return Err(AppendError::InvalidRecord("clients may not choose offsets"));
            }
            validate_content(&batch)?;
            headers.push(batch.header);
        }
        match headers.len() {
            0 => return Err(AppendError::InvalidRecord("no batch")),
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

    /// A client's timestamps must not lie too far from the broker's time, unless the broker sets its own. Source: KIP-937,
    /// `LogValidator.validateTimestamp`.
    ///
    /// Differs from Kafka: a batch is judged by its first and its largest timestamp, not by each.
    fn check_timestamps(&self, headers: &[BatchHeader], now: Instant) -> Result<(), AppendError> {
        if self.settings.log_append_time || self.id.is_metadata() {
            return Ok(());
        }
        let earliest = now.as_unix_ms().saturating_sub(self.settings.timestamp_before_max_ms);
        let latest = now.as_unix_ms().saturating_add(self.settings.timestamp_after_max_ms);
        for header in headers {
            for timestamp in [header.base_timestamp, header.max_timestamp] {
                if timestamp >= 0 && !(earliest..=latest).contains(&timestamp) {
                    return Err(AppendError::InvalidTimestamp { timestamp, earliest, latest });
                }
            }
        }
        Ok(())
    }

    /// Would the segment span more than `segment.ms` with these batches? Decided by timestamps alone, so that every replica
    /// rolls alike (`LogSegment.shouldRoll`).
    fn is_too_old(&self, headers: &[BatchHeader]) -> bool {
        let first = self.active().index.first().map(|entry| entry.header.max_timestamp);
        let newest = headers.iter().map(|header| header.max_timestamp).max();
        first.zip(newest).is_some_and(|(first, newest)| {
            first >= 0 && newest.saturating_sub(first) > self.settings.segment_ms
        })
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
        if self.roll_next || (is_full || self.is_too_old(headers)) && self.active().size > 0 {
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

    /// Begins a new segment at the log end (LOG-3), after a cut in a new generation.
    pub(super) fn roll(&mut self, disk: &mut dyn Disk) -> Result<(), DiskError> {
        let is_empty = self.active().size == 0;
        let before = if is_empty { self.segments.iter().rev().nth(1) } else { self.segments.last() };
        let name = SegmentName {
            generation: self.generation + u64::from(self.roll_next),
            base_offset: self.log_end_offset(),
            previous: before.map(|segment| segment.name.generation),
        };
        let segment = Segment::create(&self.dir, name, self.sync.next_write(), disk)?;
        self.sync.note_directory_change();
        self.generation = name.generation;
        if is_empty {
            disk.remove(&self.active().path)?;
            self.segments.pop();
        }
        self.segments.push(segment);
        self.roll_next = false;
        Ok(())
    }

    fn expire_producers(&mut self, now: Instant) {
        if now.saturating_since(self.producers_checked) >= PRODUCER_EXPIRATION_CHECK {
            self.producers_checked = now;
            self.producers.expire(now.as_unix_ms(), self.settings.producer_id_expiration);
        }
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
    match header.compression() {
        0 => {}
        1..=CODEC_MAX => return Ok(()),
        unknown => return Err(AppendError::UnknownCompression(unknown)),
    }
    for (expected, record) in (header.base_offset..).zip(batch.records()) {
        let record = record.map_err(|_| AppendError::InvalidRecord("malformed record"))?;
        if record.offset != expected {
            return Err(AppendError::InvalidRecord("offsets are not consecutive"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::fixture::*;
    use super::super::{BatchBuilder, LogSettings};
    use super::*;

    fn log() -> Fixture {
        Fixture::new(LogSettings::default())
    }

    fn concat(parts: &[Bytes]) -> Bytes {
        let mut all = BytesMut::new();
        parts.iter().for_each(|part| all.extend_from_slice(part));
        all.freeze()
    }

    #[test]
    fn log_1_a_leader_gives_dense_offsets_and_its_epoch() {
        let mut log = log();
        let first = log.append(batch(3, 10), 4).unwrap();
        assert_eq!((first.base_offset, first.last_offset, first.record_count), (0, 2, 3));
        let second = log.append(batch(1, 10), 5).unwrap();
        assert_eq!((second.base_offset, second.log_append_time, second.duplicate), (3, -1, false));
        let epochs: Vec<_> =
            log.log.batch_facts().map(|batch| (batch.base_offset, batch.leader_epoch)).collect();
        assert_eq!(epochs, [(0, 4), (3, 5)]);
        assert_eq!(log.log.epoch_of(2), Some(4));
        let facts = log.facts();
        let role = AppendRole::Leader(5);
        assert!(matches!(facts.last(), Some(Observation::Appended { role: r, batch, .. })
            if *r == role && batch.base_offset == 3));
    }

    #[test]
    fn a_timestamp_too_far_from_the_brokers_time_is_refused() {
        let settings =
            LogSettings { timestamp_before_max_ms: 1_000, timestamp_after_max_ms: 10, ..Default::default() };
        let mut log = Fixture::new(settings);
        let now = NOW.as_unix_ms();
        let at = |timestamp| {
            let mut builder = BatchBuilder::new();
            builder.push(timestamp, None, None, &[]);
            builder.build()
        };
        assert!(log.append(at(now - 1_000), 0).is_ok());
        assert!(log.append(at(now + 10), 0).is_ok());
        for timestamp in [now - 1_001, now + 11] {
            let refused = log.append(at(timestamp), 0);
            assert_eq!(refused.unwrap_err().code(), crate::wire::ErrorCode::InvalidTimestamp);
        }
        assert_eq!(log.log.log_end_offset(), 2);
        let settings = LogSettings { log_append_time: true, ..log.log.settings.clone() };
        log.log.update_settings(settings);
        assert!(log.append(at(5), 0).is_ok(), "the broker stamps");
    }

    #[test]
    fn log_3_a_segment_spans_segment_ms_at_most() {
        let mut log = Fixture::new(LogSettings { segment_ms: 100, ..Default::default() });
        for timestamp in [1_000, 1_100, 1_101, 1_050] {
            let mut builder = BatchBuilder::new();
            builder.push(timestamp, None, None, &[]);
            log.append(builder.build(), 0).unwrap();
        }
        let bases: Vec<_> = log.log.segments.iter().map(|segment| segment.base_offset).collect();
        assert_eq!(bases, [0, 2]);
    }

    #[test]
    fn what_a_client_may_not_send() {
        let mut log =
            Fixture::new(LogSettings { max_message_bytes: 200, segment_bytes: 150, ..Default::default() });
        let control = fill(BatchBuilder::new().control(), 1, 1);
        assert!(matches!(log.append(control, 0), Err(AppendError::InvalidRecord(_))));
        let two = concat(&[batch(1, 1), batch(1, 1)]);
        assert!(matches!(log.append(two, 0), Err(AppendError::InvalidRecord(_))));
        assert!(matches!(log.append(BatchBuilder::new().build(), 0), Err(AppendError::InvalidRecord(_))));
        assert!(matches!(log.append(produced(4, 0, -1, 1), 0), Err(AppendError::InvalidRecord(_))));
        assert!(matches!(log.append(Bytes::new(), 0), Err(AppendError::InvalidRecord(_))));
        assert!(matches!(log.append(batch(1, 1).slice(..65), 0), Err(AppendError::Corrupt(_))));
        assert!(matches!(log.append(batch(1, 300), 0), Err(AppendError::TooLarge { max: 200, .. })));
        assert!(matches!(log.append(batch(1, 90), 0), Err(AppendError::LargerThanSegment { max: 150, .. })));
        assert_eq!(log.log.log_end_offset(), 0);
        assert_eq!(log.log.latest_epoch(), None, "a refused batch leaves no trace");
    }

    #[test]
    fn malformed_records_are_refused_before_they_are_stored() {
        let mut bytes = BytesMut::from(&batch(2, 4)[..]);
        let at = super::super::HEADER_BYTES + 3; // the first record's offset delta
        bytes[at] = 2;
        super::super::batch::seal(&mut bytes);
        assert!(matches!(log().append(bytes.freeze(), 0), Err(AppendError::InvalidRecord(_))));
    }

    #[test]
    fn the_metadata_log_takes_several_batches_and_control_batches_at_once() {
        let mut log = Fixture::with_id(LogId::metadata(), LogSettings::default());
        let all = concat(&[fill(BatchBuilder::new().control(), 1, 4), batch(3, 4)]);
        let info = log.append(all, 2).unwrap();
        assert_eq!((info.base_offset, info.last_offset, info.record_count), (0, 3, 4));
        let bases: Vec<_> =
            log.log.batch_facts().map(|batch| (batch.base_offset, batch.is_control)).collect();
        assert_eq!(bases, [(0, true), (1, false)]);
    }

    #[test]
    fn idm_1_a_retry_is_answered_with_the_first_offsets_and_changes_nothing() {
        let mut log = log();
        log.append(produced(7, 0, 0, 2), 0).unwrap();
        log.append(produced(7, 0, 2, 1), 0).unwrap();
        log.facts();
        let retry = log.append(produced(7, 0, 0, 2), 0).unwrap();
        assert_eq!((retry.base_offset, retry.last_offset, retry.duplicate), (0, 1, true));
        assert_eq!((log.log.log_end_offset(), log.facts().len()), (3, 0));
        let gap = log.append(produced(7, 0, 9, 1), 0);
        assert_eq!(gap, Err(AppendError::OutOfOrderSequence { expected: 3, found: 9 }));
    }

    #[test]
    fn idm_3_expired_producers_may_begin_anywhere() {
        let settings = LogSettings { producer_id_expiration: Duration::from_secs(60), ..Default::default() };
        let mut log = Fixture::new(settings);
        log.append(produced(7, 0, 0, 2), 0).unwrap();
        assert!(log.append(produced(7, 0, 9, 1), 0).is_err());
        let later = NOW + PRODUCER_EXPIRATION_CHECK;
        let Fixture { disk, log, out } = &mut log;
        assert!(log.append_as_leader(produced(7, 0, 9, 1), 0, later, disk, out).is_ok());
    }

    #[test]
    fn log_append_time_is_the_brokers() {
        let mut log = Fixture::new(LogSettings { log_append_time: true, ..Default::default() });
        let info = log.append(batch(1, 1), 0).unwrap();
        assert_eq!(info.log_append_time, NOW.as_unix_ms());
        let stored = Batch::parse(&log.read(0, 1, 1_000, true)).unwrap();
        assert_eq!(stored.validate(), Ok(()));
        assert!(stored.header.is_log_append_time());
    }

    #[test]
    fn log_1_a_follower_copies_what_continues_its_log() {
        let (mut leader, mut follower) = (log(), log());
        leader.append_epochs(&[1, 1, 3]);
        let all = leader.read(0, 3, 10_000, true);
        let info = follower.follow(all.slice(..all.len() - 1)).unwrap();
        assert_eq!(
            (info.base_offset, info.last_offset, info.record_count),
            (0, 1, 2),
            "the torn batch waits"
        );
        let again = follower.follow(all.clone());
        assert_eq!(again, Err(AppendError::UnexpectedOffset { expected: 2, found: 0 }));
        follower.follow(leader.read(2, 3, 10_000, true)).unwrap();
        assert_eq!(follower.read(0, 3, 10_000, true), all);
        assert_eq!(follower.log.epochs(), leader.log.epochs());
    }

    #[test]
    fn a_follower_keeps_the_good_batches_before_a_bad_one() {
        let (mut leader, mut follower) = (log(), log());
        leader.append_epochs(&[1, 1]);
        let mut bytes = BytesMut::from(&leader.read(0, 2, 10_000, true)[..]);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(matches!(follower.follow(bytes.freeze()), Err(AppendError::Corrupt(_))));
        assert_eq!(follower.log.log_end_offset(), 1);
    }

    #[test]
    fn idm_4_a_follower_knows_the_producers() {
        let (mut leader, mut follower) = (log(), log());
        for sequence in 0..7 {
            leader.append(produced(3, 1, sequence, 1), 0).unwrap();
        }
        follower.follow(leader.read(0, 7, 10_000, true)).unwrap();
        assert_eq!(follower.log.producers(), leader.log.producers());
    }

    #[test]
    fn log_3_segments_roll_by_size_and_batches_stay_whole() {
        let size = batch(1, 20).len();
        let mut log = Fixture::new(LogSettings { segment_bytes: 2 * size as i32, ..Default::default() });
        for _ in 0..5 {
            log.append(batch(1, 20), 0).unwrap();
        }
        let bases: Vec<_> = log.log.segments.iter().map(|segment| segment.base_offset).collect();
        assert_eq!(bases, [0, 2, 4]);
        let mut follower = Fixture::new(LogSettings { segment_bytes: 2 * size as i32, ..Default::default() });
        let all =
            concat(&[log.read(0, 5, 10_000, true), log.read(2, 5, 10_000, true), log.read(4, 5, 9, true)]);
        follower.follow(all).unwrap();
        let same: Vec<_> = follower.log.segments.iter().map(|segment| segment.base_offset).collect();
        assert_eq!(same, bases, "one answer of the leader may fill several segments");
    }

    #[test]
    fn a_disk_that_refuses_leaves_the_log_as_it_was() {
        let mut log = log();
        log.append(produced(1, 0, 0, 1), 0).unwrap();
        let (epochs, producers) = (log.log.epochs().clone(), log.log.producers().clone());
        log.disk.fail_writes_with(Some(DiskError::Full));
        assert_eq!(log.append(produced(1, 0, 1, 1), 6), Err(AppendError::Disk(DiskError::Full)));
        assert_eq!(
            (log.log.log_end_offset(), log.log.epochs(), log.log.producers()),
            (1, &epochs, &producers)
        );
        log.disk.fail_writes_with(None);
        assert_eq!(log.append(produced(1, 0, 1, 1), 6).map(|info| info.base_offset), Ok(1));
    }
}
