//! Reading: whole batches by offset, offsets by time.

use bytes::Bytes;

use super::batch::Batch;
use super::error::LogError;
use super::partition_log::PartitionLog;
use super::segment::{Entry, Segment};
use crate::ids::*;
use crate::io::Disk;

impl PartitionLog {
    /// Whole batches of one segment, beginning with the one that holds `from`. A batch that reaches to `until`
    /// (exclusive) or beyond is not returned; nor is one that would exceed `max_bytes`, except for the first one if
    /// `at_least_one` (KIP-74). Empty at the log end. Errors: `OutOfRange`, the disk's.
    ///
    /// Differs from Kafka: never a part of a batch at the end.
    pub fn read(
        &self,
        from: Offset,
        until: Offset,
        max_bytes: usize,
        at_least_one: bool,
        disk: &dyn Disk,
    ) -> Result<Bytes, LogError> {
        let (start, end) = (self.log_start_offset(), self.log_end_offset());
        if from < start || from > end {
            return Err(LogError::OutOfRange { offset: from, start, end });
        }
        let Some((segment, first)) = self.locate(from) else { return Ok(Bytes::new()) };
        let batches = &segment.index[first..];
        let begin = batches[0].position;
        // Both ends rise along the index, so the first batch that is too far ends the answer.
        let fits = |entry: &Entry| {
            entry.header.last_offset() < until && (entry.end_position() - begin) as usize <= max_bytes
        };
        let mut count = batches.partition_point(fits);
        if count == 0 && at_least_one && batches[0].header.last_offset() < until {
            count = 1;
        }
        let Some(last) = count.checked_sub(1) else { return Ok(Bytes::new()) };
        let length = (batches[last].end_position() - begin) as usize;
        Ok(disk.read(segment.file, begin, length)?)
    }

    /// The segment and the index of the batch that holds `offset`; `None` at the log end.
    fn locate(&self, offset: Offset) -> Option<(&Segment, usize)> {
        let at = self.segments.partition_point(|segment| segment.next_offset() <= offset);
        let segment = self.segments.get(at)?;
        Some((segment, segment.find(offset)))
    }

    /// The first record whose timestamp is at least `timestamp_ms` (milliseconds since 1970), with its timestamp.
    /// Of a compressed batch the batch's first offset. Errors: the disk's. Source: `UnifiedLog.fetchOffsetByTimestamp`.
    pub fn offset_for_timestamp(
        &self,
        timestamp_ms: i64,
        disk: &dyn Disk,
    ) -> Result<Option<(i64, Offset)>, LogError> {
        for (segment, entry) in self.entries() {
            if entry.header.max_timestamp >= timestamp_ms
                && let Some(found) = first_at_or_after(segment, entry, timestamp_ms, disk)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first record that carries the largest timestamp of the log, with that timestamp (KIP-734).
    /// Errors: the disk's.
    pub fn max_timestamp(&self, disk: &dyn Disk) -> Result<Option<(i64, Offset)>, LogError> {
        let largest = self.entries().map(|(_, entry)| entry.header.max_timestamp).max();
        match largest {
            Some(timestamp) => self.offset_for_timestamp(timestamp, disk),
            None => Ok(None),
        }
    }

    fn entries(&self) -> impl Iterator<Item = (&Segment, &Entry)> {
        self.segments.iter().flat_map(|segment| segment.index.iter().map(move |entry| (segment, entry)))
    }
}

fn first_at_or_after(
    segment: &Segment,
    entry: &Entry,
    timestamp_ms: i64,
    disk: &dyn Disk,
) -> Result<Option<(i64, Offset)>, LogError> {
    let header = &entry.header;
    if header.compression() != 0 {
        return Ok(Some((header.max_timestamp, header.base_offset)));
    }
    let bytes = disk.read(segment.file, entry.position, header.size_bytes())?;
    for record in Batch::parse(&bytes)?.records() {
        let record = record?;
        if record.timestamp >= timestamp_ms {
            return Ok(Some((record.timestamp, record.offset)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::batch::batches;
    use super::super::fixture::*;
    use super::super::{BatchBuilder, LogSettings};
    use super::*;

    /// Batches `[0,2] [3,5] | [6,8]`; the bar is a segment's end.
    fn log() -> (Fixture, usize) {
        let size = batch(3, 5).len();
        let mut log = Fixture::new(LogSettings { segment_bytes: 2 * size as i32, ..Default::default() });
        for _ in 0..3 {
            log.append(batch(3, 5), 0).unwrap();
        }
        (log, size)
    }

    fn bases(bytes: Bytes) -> Vec<Offset> {
        batches(bytes).map(|batch| batch.unwrap().header.base_offset).collect()
    }

    #[test]
    fn answers_are_whole_batches_of_one_segment() {
        let (log, size) = log();
        let read = |from, until, max, at_least_one| bases(log.read(from, until, max, at_least_one));
        assert_eq!(read(0, 9, 1_000, false), [0, 3]);
        assert_eq!(read(4, 9, 1_000, false), [3], "the batch that holds the offset");
        assert_eq!(read(6, 9, 1_000, false), [6], "an offset at a segment's start");
        assert!(read(9, 9, 1_000, true).is_empty(), "the log end");
        assert_eq!(read(0, 9, 2 * size - 1, false), [0]);
        assert!(read(0, 9, size - 1, false).is_empty());
        assert_eq!(read(0, 9, 1, true), [0], "KIP-74: progress even if the first is too large");
    }

    #[test]
    fn nothing_that_reaches_the_bound_is_returned() {
        let (log, _) = log();
        assert_eq!(bases(log.read(0, 6, 1_000, true)), [0, 3]);
        assert_eq!(bases(log.read(0, 5, 1_000, true)), [0]);
        assert!(log.read(0, 2, 1_000, true).is_empty());
    }

    #[test]
    fn offsets_outside_are_refused() {
        let (log, _) = log();
        let out = |from| log.log.read(from, 99, 1_000, true, &log.disk);
        assert_eq!(out(10), Err(LogError::OutOfRange { offset: 10, start: 0, end: 9 }));
        assert!(out(-1).is_err());
    }

    #[test]
    fn a_batch_is_read_without_a_copy() {
        let (log, size) = log();
        let (once, twice) = (log.read(3, 6, size, true), log.read(3, 6, size, true));
        assert_eq!(once.as_ptr(), twice.as_ptr());
    }

    #[test]
    fn offsets_by_time() {
        let mut log = Fixture::new(LogSettings::default());
        for times in [[10, 30], [20, 25], [50, 40]] {
            let mut builder = BatchBuilder::new();
            times.iter().for_each(|time| {
                builder.push(*time, None, None, &[]);
            });
            log.append(builder.build(), 0).unwrap();
        }
        let at = |time| log.log.offset_for_timestamp(time, &log.disk).unwrap();
        assert_eq!(at(0), Some((10, 0)));
        assert_eq!(at(11), Some((30, 1)));
        assert_eq!(at(30), Some((30, 1)));
        assert_eq!(at(31), Some((50, 4)));
        assert_eq!(at(51), None);
        assert_eq!(log.log.max_timestamp(&log.disk), Ok(Some((50, 4))));
        let empty = Fixture::new(LogSettings::default());
        assert_eq!(empty.log.max_timestamp(&empty.disk), Ok(None));
    }
}
