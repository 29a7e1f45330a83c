//! Which old segments may go (RET-1, LOG-3).

use super::error::LogError;
use super::partition_log::PartitionLog;
use super::segment::Segment;
use crate::defects::Defect;
use crate::ids::Offset;
use crate::io::Disk;
use crate::rpc::Outbox;
use crate::time::Instant;

impl PartitionLog {
    /// Lets the oldest segments go that are too old, or too many (`retention.ms`, `retention.bytes`): the log's start moves
    /// to the end of the last of them. Only segments that lie wholly below the high watermark may go; if that is all of
    /// them, a new segment is begun. Errors: the disk's. Source: `UnifiedLog.deleteOldSegments`, RET-1.
    ///
    /// Differs from Kafka: a segment goes as soon as the new start is durable, not after `file.delete.delay.ms`.
    pub fn apply_retention(
        &mut self,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        // What nobody has replicated yet is not old, however the defect sees it (R20, KAFKA-5634).
        let ignores_replication = self.settings.defects.has(Defect::DeleteBeyondHighWatermark);
        let bound = if ignores_replication { self.log_end_offset() } else { self.high_watermark };
        let to = self.end_of_old(now, bound).max(self.end_of_surplus(bound));
        if to <= self.log_start_offset() {
            return Ok(());
        }
        if to == self.log_end_offset() {
            self.roll(disk)?;
        }
        if ignores_replication {
            self.move_log_start(to, disk, out)
        } else {
            self.advance_log_start(to, disk, out)
        }
    }

    /// The segments that are still part of the log and end at or below `bound`, oldest first; none of them is empty.
    fn whole_below(&self, bound: Offset) -> impl Iterator<Item = &Segment> {
        let start = self.log_start_offset();
        let alive = self.segments.iter().skip_while(move |segment| segment.next_offset() <= start);
        alive.take_while(move |segment| !segment.index.is_empty() && segment.next_offset() <= bound)
    }

    /// The end of the oldest segments whose newest record is older than `retention.ms`.
    fn end_of_old(&self, now: Instant, bound: Offset) -> Offset {
        if self.settings.retention_ms < 0 {
            return 0;
        }
        let newest = |segment: &Segment| segment.index.iter().map(|entry| entry.header.max_timestamp).max();
        let is_old = |segment: &&Segment| {
            let age = now.as_unix_ms().saturating_sub(newest(segment).unwrap_or(i64::MAX));
            age > self.settings.retention_ms
        };
        self.whole_below(bound).take_while(is_old).last().map_or(0, Segment::next_offset)
    }

    /// The end of the oldest segments without which the log still has `retention.bytes`.
    fn end_of_surplus(&self, bound: Offset) -> Offset {
        let Ok(wanted) = u64::try_from(self.settings.retention_bytes) else { return 0 };
        let start = self.log_start_offset();
        let alive = self.segments.iter().filter(|segment| segment.next_offset() > start);
        let mut surplus = alive.map(|segment| segment.size).sum::<u64>().saturating_sub(wanted);
        let is_surplus = |segment: &&Segment| {
            let fits = segment.size <= surplus;
            surplus = surplus.saturating_sub(segment.size);
            fits
        };
        self.whole_below(bound).take_while(is_surplus).last().map_or(0, Segment::next_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::super::{BatchBuilder, LogSettings};
    use super::*;
    use crate::defects::DefectSet;

    /// Three segments `[0] [1] [2]` with records at these times before now.
    fn log(settings: LogSettings, ages: [i64; 3]) -> Fixture {
        let mut log = Fixture::new(LogSettings { segment_bytes: 100, ..settings });
        for age in ages {
            let mut builder = BatchBuilder::new();
            builder.push(NOW.as_unix_ms() - age, None, Some(&[7; 20]), &[]);
            log.append(builder.build(), 0).unwrap();
        }
        assert_eq!(log.log.segments.len(), 3);
        log
    }

    fn retained(log: &mut Fixture, high_watermark: Offset) -> Offset {
        log.log.set_high_watermark(high_watermark, None, &mut log.out);
        log.log.apply_retention(NOW, &mut log.disk, &mut log.out).unwrap();
        log.log.log_start_offset()
    }

    #[test]
    fn ret_1_what_is_older_than_retention_ms_goes() {
        let by_age = LogSettings { retention_ms: 100, ..Default::default() };
        assert_eq!(retained(&mut log(by_age.clone(), [300, 101, 100]), 3), 2);
        assert_eq!(retained(&mut log(by_age.clone(), [300, 50, 300]), 3), 1, "only from the beginning on");
        assert_eq!(retained(&mut log(LogSettings { retention_ms: -1, ..by_age }, [300, 300, 300]), 3), 0);
    }

    #[test]
    fn ret_1_the_oldest_go_while_the_rest_is_large_enough() {
        let size = i64::try_from(log(LogSettings::default(), [0; 3]).log.segments[0].size).unwrap();
        let by_size = |bytes| LogSettings { retention_bytes: bytes, ..Default::default() };
        assert_eq!(retained(&mut log(by_size(2 * size), [0; 3]), 3), 1);
        assert_eq!(retained(&mut log(by_size(2 * size + 1), [0; 3]), 3), 0);
        assert_eq!(retained(&mut log(by_size(0), [0; 3]), 3), 3);
    }

    #[test]
    fn log_3_if_all_goes_a_new_segment_begins() {
        let mut log = log(LogSettings { retention_ms: 1, ..Default::default() }, [9; 3]);
        assert_eq!(retained(&mut log, 3), 3);
        log.flush();
        log.log.remove_dead_segments(&mut log.disk).unwrap();
        assert_eq!((log.log.segments.len(), log.log.log_end_offset()), (1, 3));
        assert_eq!(retained(&mut log, 3), 3, "an empty segment stays");
    }

    #[test]
    fn ret_1_nothing_above_the_high_watermark_goes() {
        let by_age = LogSettings { retention_ms: 1, ..Default::default() };
        assert_eq!(retained(&mut log(by_age.clone(), [9; 3]), 1), 1);
        assert_eq!(retained(&mut log(by_age.clone(), [9; 3]), 0), 0);
        let defects = DefectSet::of([Defect::DeleteBeyondHighWatermark]);
        assert_eq!(retained(&mut log(LogSettings { defects, ..by_age }, [9; 3]), 1), 3, "R20");
    }
}
