//! Record batch v2 (KIP-98): the header in place, the checks, the stamping.

use bytes::{Bytes, BytesMut};

use super::record::Records;
use crate::ids::*;
use crate::trace::BatchFact;

/// Bytes of a batch before its first record.
pub const HEADER_BYTES: usize = 61;
/// Bytes that `batch_length` does not count: the base offset and the length itself.
const LENGTH_EXCLUDES: usize = 12;
const MAGIC: u8 = 2;

const AT_LEADER_EPOCH: usize = 12;
const AT_MAGIC: usize = 16;
const AT_CRC: usize = 17;
/// The checksum covers everything from here to the end.
const AT_ATTRIBUTES: usize = 21;
const AT_MAX_TIMESTAMP: usize = 35;

const COMPRESSION_MASK: i16 = 0x07;
pub(super) const TIMESTAMP_TYPE_BIT: i16 = 0x08;
pub(super) const TRANSACTIONAL_BIT: i16 = 0x10;
pub(super) const CONTROL_BIT: i16 = 0x20;

/// Why bytes are not a usable batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does: a torn tail, or a fetch that was cut.
    #[error("incomplete batch: {have} of {need} bytes")]
    Incomplete { have: usize, need: usize },
    /// `batch_length` is smaller than a header.
    #[error("impossible batch length {0}")]
    Length(i32),
    /// Not message format v2.
    #[error("unsupported magic {0}")]
    Magic(u8),
    /// The checksum differs: bytes were changed after the producer computed it.
    #[error("checksum {computed:08x} differs from the stored {stored:08x}")]
    Checksum { stored: u32, computed: u32 },
    /// Negative counts or offsets, or counts that disagree.
    #[error("record count {record_count} with last offset delta {last_offset_delta}")]
    Count { record_count: i32, last_offset_delta: i32 },
    /// The base offset is negative or the last one overflows.
    #[error("impossible base offset {0}")]
    BaseOffset(i64),
    /// A record inside is malformed.
    #[error("malformed record: {0}")]
    Record(&'static str),
    /// The records are compressed and cannot be looked at.
    #[error("compressed records (codec {0})")]
    Compressed(i16),
}

/// The header of a batch, field by field in the order of the format. Source: KIP-98, `DefaultRecordBatch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes that follow this field.
    pub batch_length: i32,
    /// Epoch of the leader that appended it first; not covered by the checksum.
    pub leader_epoch: i32,
    /// CRC32C of everything from `attributes` to the end.
    pub crc: u32,
    /// Bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control.
    pub attributes: i16,
    /// `last offset - base offset`; survives compaction.
    pub last_offset_delta: i32,
    /// Milliseconds since 1970; records carry deltas to it.
    pub base_timestamp: i64,
    /// Largest record timestamp, or the append time (`LogAppendTime`), in milliseconds since 1970.
    pub max_timestamp: i64,
    /// -1 if the producer is not idempotent.
    pub producer_id: i64,
    /// -1 if none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 if none.
    pub base_sequence: i32,
    /// Number of records; 0 is legal (an emptied batch that keeps producer state).
    pub record_count: i32,
}

fn be<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`; the batch's body need not be there. Checks only what is needed to find
    /// the batch's end and to do arithmetic on its offsets. Errors: `Incomplete`, `Length`, `Magic`, `Count`, `BaseOffset`.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        if bytes.len() < HEADER_BYTES {
            return Err(BatchError::Incomplete { have: bytes.len(), need: HEADER_BYTES });
        }
        let header = BatchHeader {
            base_offset: i64::from_be_bytes(be(bytes, 0)),
            batch_length: i32::from_be_bytes(be(bytes, 8)),
            leader_epoch: i32::from_be_bytes(be(bytes, AT_LEADER_EPOCH)),
            crc: u32::from_be_bytes(be(bytes, AT_CRC)),
            attributes: i16::from_be_bytes(be(bytes, AT_ATTRIBUTES)),
            last_offset_delta: i32::from_be_bytes(be(bytes, 23)),
            base_timestamp: i64::from_be_bytes(be(bytes, 27)),
            max_timestamp: i64::from_be_bytes(be(bytes, AT_MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(be(bytes, 43)),
            producer_epoch: i16::from_be_bytes(be(bytes, 51)),
            base_sequence: i32::from_be_bytes(be(bytes, 53)),
            record_count: i32::from_be_bytes(be(bytes, 57)),
        };
        if header.batch_length < (HEADER_BYTES - LENGTH_EXCLUDES) as i32 {
            return Err(BatchError::Length(header.batch_length));
        }
        if bytes[AT_MAGIC] != MAGIC {
            return Err(BatchError::Magic(bytes[AT_MAGIC]));
        }
        if header.record_count < 0 || header.last_offset_delta < 0 {
            return Err(header.count_error());
        }
        // One below the maximum, so that the offset after the last record exists too.
        if header.base_offset < 0 || header.base_offset >= i64::MAX - i64::from(header.last_offset_delta) {
            return Err(BatchError::BaseOffset(header.base_offset));
        }
        Ok(header)
    }

    fn count_error(&self) -> BatchError {
        BatchError::Count { record_count: self.record_count, last_offset_delta: self.last_offset_delta }
    }

    /// Offset of the last record (inclusive), also if compaction removed that record.
    pub fn last_offset(&self) -> Offset {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The offset after the batch.
    pub fn next_offset(&self) -> Offset {
        self.last_offset() + 1
    }

    /// Size of the whole batch in bytes.
    pub fn size_bytes(&self) -> usize {
        self.batch_length as usize + LENGTH_EXCLUDES
    }

    /// Written by the broker itself, never shown to an application (KIP-98).
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// Part of a transaction (KIP-98).
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Do all records carry the append time of the broker (`message.timestamp.type=LogAppendTime`, KIP-32)?
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & TIMESTAMP_TYPE_BIT != 0
    }

    /// Codec of the records: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub fn compression(&self) -> i16 {
        self.attributes & COMPRESSION_MASK
    }

    /// Does an idempotent producer stand behind it?
    pub fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    /// The batch as observers see it.
    pub fn fact(&self) -> BatchFact {
        BatchFact {
            base_offset: self.base_offset,
            last_offset: self.last_offset(),
            leader_epoch: self.leader_epoch,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            crc: self.crc,
            is_control: self.is_control(),
        }
    }

    /// Compares the checksum of a whole batch with the stored one.
    pub(super) fn check_crc(&self, batch: &[u8]) -> Result<(), BatchError> {
        let computed = crc32c::crc32c(&batch[AT_ATTRIBUTES..]);
        if computed == self.crc { Ok(()) } else { Err(BatchError::Checksum { stored: self.crc, computed }) }
    }
}

/// One whole batch: the header, and all bytes of the batch (header included).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The header.
    pub header: BatchHeader,
    /// The whole batch.
    pub bytes: Bytes,
}

impl Batch {
    /// Takes the first batch of `bytes`. Errors: those of [`BatchHeader::parse`], `Incomplete`.
    pub fn parse(bytes: &Bytes) -> Result<Batch, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        if bytes.len() < header.size_bytes() {
            return Err(BatchError::Incomplete { have: bytes.len(), need: header.size_bytes() });
        }
        Ok(Batch { header, bytes: bytes.slice(..header.size_bytes()) })
    }

    /// Checks the checksum, and that no more records are claimed than there are offsets for them.
    /// Errors: `Checksum`, `Count`. Source: `DefaultRecordBatch.ensureValid`; the count check is ours.
    pub fn validate(&self) -> Result<(), BatchError> {
        self.header.check_crc(&self.bytes)?;
        if i64::from(self.header.record_count) > i64::from(self.header.last_offset_delta) + 1 {
            return Err(self.header.count_error());
        }
        Ok(())
    }

    /// The records, decoded one at a time; ends after the first error. Never allocates by what the bytes claim.
    pub fn records(&self) -> Records<'_> {
        Records::new(&self.header, &self.bytes[HEADER_BYTES..])
    }
}

/// Cuts a run of batches into batches; ends after the first error.
///
/// A torn tail is `Err(Incomplete)`, then `None`: what a reader of Kafka's fetch answers has to skip.
pub fn batches(records: Bytes) -> Batches {
    Batches { rest: records }
}

/// The iterator behind [`batches`].
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
}

impl Iterator for Batches {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = Batch::parse(&self.rest);
        match &batch {
            Ok(batch) => self.rest = self.rest.slice(batch.bytes.len()..),
            Err(_) => self.rest = Bytes::new(),
        }
        Some(batch)
    }
}

/// Writes what the leader decides into one batch: its first offset and the leader's epoch; neither is checksummed.
///
/// In place if nobody else holds the buffer, else with one copy. Bytes shorter than a header come back unchanged.
/// Source: `LogValidator.assignOffsetsNonCompressed`.
pub fn stamp(batch: Bytes, base_offset: Offset, leader_epoch: LeaderEpoch) -> Bytes {
    if batch.len() < HEADER_BYTES {
        return batch;
    }
    let mut bytes = into_mut(batch);
    stamp_header(&mut bytes, base_offset, leader_epoch);
    bytes.freeze()
}

/// The buffer itself if it is unique, else a copy.
pub(super) fn into_mut(bytes: Bytes) -> BytesMut {
    bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))
}

/// [`stamp`] on a slice that begins with a batch header.
pub(super) fn stamp_header(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[AT_LEADER_EPOCH..AT_MAGIC].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Makes a batch carry the broker's append time; this changes checksummed fields. `batch` is exactly one batch.
/// Source: KIP-32, `message.timestamp.type`.
pub(super) fn stamp_append_time(batch: &mut [u8], unix_ms: i64) {
    let attributes = i16::from_be_bytes(be(batch, AT_ATTRIBUTES)) | TIMESTAMP_TYPE_BIT;
    batch[AT_ATTRIBUTES..AT_ATTRIBUTES + 2].copy_from_slice(&attributes.to_be_bytes());
    batch[AT_MAX_TIMESTAMP..AT_MAX_TIMESTAMP + 8].copy_from_slice(&unix_ms.to_be_bytes());
    seal(batch);
}

/// Writes the checksum of a batch into it.
pub(super) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[AT_ATTRIBUTES..]);
    batch[AT_CRC..AT_ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{batch, fill, produced};
    use super::super::{BatchBuilder, Record};
    use super::*;

    fn parsed(bytes: &Bytes) -> Batch {
        let batch = Batch::parse(bytes).unwrap();
        batch.validate().unwrap();
        batch
    }

    #[test]
    fn the_codec_of_the_protocol_crate_reads_the_same_records() {
        let mut builder = BatchBuilder::new().base_offset(40).leader_epoch(3).producer(9, 2, 17);
        builder.push(1_000, Some(b"key"), Some(b"value"), &[(b"h", Some(b"1"))]);
        builder.push(990, None, None, &[(b"empty", None)]);
        let ours = builder.build();
        let mut bytes = ours.clone();
        let theirs = kafka_protocol::records::RecordBatchDecoder::decode(&mut bytes).unwrap().records;
        let ours = parsed(&ours);
        let records: Vec<Record> = ours.records().map(Result::unwrap).collect();
        assert_eq!(theirs.len(), records.len());
        for (theirs, ours) in theirs.iter().zip(&records) {
            assert_eq!((theirs.offset, theirs.timestamp), (ours.offset, ours.timestamp));
            assert_eq!((theirs.key.as_deref(), theirs.value.as_deref()), (ours.key, ours.value));
            assert_eq!((theirs.producer_id, theirs.producer_epoch), (9, 2));
            assert_eq!(theirs.partition_leader_epoch, 3);
            assert_eq!(theirs.headers.len(), ours.headers.len());
        }
    }

    #[test]
    fn damage_has_a_name() {
        let good = batch(2, 3);
        let damaged = |at: usize, value: u8| {
            let mut bytes = good.to_vec();
            bytes[at] = value;
            Batch::parse(&bytes.into()).and_then(|batch| batch.validate())
        };
        assert!(matches!(damaged(good.len() - 1, 99), Err(BatchError::Checksum { .. })));
        assert_eq!(damaged(AT_MAGIC, 1), Err(BatchError::Magic(1)));
        assert_eq!(damaged(11, 10), Err(BatchError::Length(10)));
        assert_eq!(damaged(8, 0x80), Err(BatchError::Length(i32::MIN + (good.len() - 12) as i32)));
        assert!(matches!(damaged(0, 0xff), Err(BatchError::BaseOffset(_))));
        assert!(matches!(damaged(57, 0xff), Err(BatchError::Count { .. })));
        assert_eq!(damaged(0, 0), Ok(()));
    }

    #[test]
    fn more_records_than_offsets_are_refused_even_with_a_good_checksum() {
        let mut bytes = BytesMut::from(&batch(1, 1)[..]);
        bytes[57..61].copy_from_slice(&2i32.to_be_bytes());
        seal(&mut bytes);
        let batch = Batch::parse(&bytes.freeze()).unwrap();
        assert_eq!(batch.validate(), Err(BatchError::Count { record_count: 2, last_offset_delta: 0 }));
    }

    #[test]
    fn a_torn_tail_is_reported_once() {
        let (first, second) = (batch(1, 5), batch(2, 5));
        let mut all = BytesMut::from(&first[..]);
        all.extend_from_slice(&second[..second.len() - 1]);
        let mut cut = batches(all.freeze());
        assert_eq!(cut.next().unwrap().unwrap().bytes, first);
        let need = second.len();
        assert_eq!(cut.next(), Some(Err(BatchError::Incomplete { have: need - 1, need })));
        assert_eq!(cut.next(), None);
    }

    #[test]
    fn stamping_keeps_the_checksum_and_copies_only_a_shared_buffer() {
        let alone = produced(5, 1, 7, 3);
        let address = alone.as_ptr();
        let stamped = stamp(alone, 1_000, 8);
        assert_eq!(stamped.as_ptr(), address);
        let header = parsed(&stamped).header;
        assert_eq!((header.base_offset, header.last_offset(), header.leader_epoch), (1_000, 1_002, 8));
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (5, 1, 7));

        let shared = stamped.clone();
        let other = stamp(stamped, 0, 0);
        assert_ne!(other.as_ptr(), address);
        assert_eq!(parsed(&shared).header.base_offset, 1_000, "the other holder sees no change");
    }

    #[test]
    fn the_append_time_replaces_every_record_time() {
        let mut bytes = into_mut(batch(2, 1));
        stamp_append_time(&mut bytes, 77);
        let batch = parsed(&bytes.freeze());
        assert!(batch.header.is_log_append_time());
        assert!(batch.records().all(|record| record.unwrap().timestamp == 77));
    }

    #[test]
    fn empty_and_control_batches_exist() {
        let empty = parsed(&BatchBuilder::new().producer(1, 0, 4).build());
        assert_eq!((empty.header.record_count, empty.header.last_offset()), (0, 0));
        assert_eq!(empty.records().count(), 0);
        let control = parsed(&fill(BatchBuilder::new().control().transactional(), 1, 4)).header;
        assert!(control.is_control() && control.is_transactional() && control.fact().is_control);
        assert!(!parsed(&batch(1, 1)).header.is_control());
    }

    /// Whatever the bytes are: an answer, never a panic, and no more records than claimed.
    fn digest(bytes: Bytes) {
        for batch in batches(bytes).flatten() {
            let _ = batch.validate();
            let count = batch.records().filter(Result::is_ok).count();
            assert!(count <= batch.header.record_count as usize);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            digest(bytes.into());
        }

        #[test]
        fn any_change_of_a_good_batch_is_survived_and_noticed(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            reseal in any::<bool>(),
        ) {
            let mut builder = BatchBuilder::new();
            builder.push(5, Some(b"k"), Some(b"a longer value"), &[(b"a", None), (b"a", Some(b"2"))]);
            builder.push(6, None, None, &[]);
            let good = builder.build();
            let mut bytes = BytesMut::from(&good[..]);
            for (index, value) in &changes {
                let at = index.index(bytes.len());
                bytes[at] = *value;
            }
            let is_changed = bytes[AT_ATTRIBUTES..] != good[AT_ATTRIBUTES..];
            if reseal {
                seal(&mut bytes);
            } else if is_changed {
                let unnoticed = Batch::parse(&bytes.clone().freeze()).is_ok_and(|b| b.validate().is_ok());
                prop_assert!(!unnoticed);
            }
            digest(bytes.freeze());
        }
    }
}
