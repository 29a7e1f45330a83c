//! Where a log begins: moving its start up, and the file that remembers it (RET-1, RET-2, KIP-107, KIP-630).
//!
//! Three steps, each safe to lose to a power failure: the start moves in memory and into the file `log-start-offset`; once
//! the file is durable, segments that lie wholly below go; recovery takes the segment that the file names for the first one
//! whether or not those before it are still there. A file that speaks of segments which a later cut or a new beginning
//! replaced says nothing: it names the one segment that it was written for.
//!
//! Differs from Kafka: one file per log, written at every move, instead of one checkpoint of all logs once a minute. A
//! start that consumers saw is therefore not forgotten by a crash.

use super::error::LogError;
use super::partition_log::PartitionLog;
use super::segment::SegmentName;
use crate::ids::Offset;
use crate::io::{Disk, DiskError, SyncToken};
use crate::rpc::Outbox;
use crate::trace::Observation;

/// The file's name, in the directory of its log.
const FILE: &str = "log-start-offset";

/// What the file says: the first offset that exists, and the segment that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordedStart {
    pub offset: Offset,
    generation: u64,
    base_offset: Offset,
}

impl RecordedStart {
    /// Reads the file; nothing if it is not there or cannot be understood. Errors: the disk's.
    pub fn read(dir: &str, disk: &dyn Disk) -> Result<Option<RecordedStart>, DiskError> {
        let content = disk.read_file(&start_path(dir))?;
        Ok(content.and_then(|bytes| RecordedStart::parse(std::str::from_utf8(&bytes).ok()?)))
    }

    fn parse(text: &str) -> Option<RecordedStart> {
        let mut lines = text.lines();
        if lines.next()? != "0" {
            return None;
        }
        let mut words = lines.next()?.split(' ');
        let offset = words.next()?.parse().ok()?;
        let (generation, base_offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let is_whole = words.next().is_none() && lines.next().is_none();
        (is_whole && 0 <= base_offset && base_offset <= offset).then_some(RecordedStart {
            offset,
            generation,
            base_offset,
        })
    }

    fn text(&self) -> String {
        format!("0\n{} {} {}\n", self.offset, self.generation, self.base_offset)
    }

    /// Is this the segment that the file was written for?
    pub fn names(&self, segment: &SegmentName) -> bool {
        (self.generation, self.base_offset) == (segment.generation, segment.base_offset)
    }
}

/// The path of a log's file.
pub(super) fn start_path(dir: &str) -> String {
    format!("{dir}/{FILE}")
}

/// What of the log's start is durable.
#[derive(Debug, Default)]
pub(super) struct StartState {
    writing: Option<SyncToken>,
    /// The newest file is durable: what lies wholly below the start may go.
    may_remove: bool,
}

impl StartState {
    /// Takes the completion of a write; false if it is not the file's. After a failure nothing is removed until the start
    /// moves again.
    pub fn on_synced(&mut self, token: SyncToken, is_durable: bool) -> bool {
        let is_mine = self.writing.take_if(|mine| *mine == token).is_some();
        self.may_remove |= is_mine && is_durable;
        is_mine
    }
}

impl PartitionLog {
    /// Moves the log's start up to `to`, at most to the high watermark: what lies below does not exist any more. Lower
    /// values change nothing. Segments go later, see [`PartitionLog::remove_dead_segments`].
    /// Errors: `OutOfRange` above the high watermark (P-8), the disk's; the start then stays where it was.
    /// Source: `UnifiedLog.maybeIncrementLogStartOffset`.
    pub fn advance_log_start(
        &mut self,
        to: Offset,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        let from = self.log_start_offset();
        if to <= from {
            return Ok(());
        }
        if to > self.high_watermark {
            return Err(LogError::OutOfRange { offset: to, start: from, end: self.high_watermark });
        }
        self.move_log_start(to, disk, out)
    }

    /// Moves the log's start up to `to`, which lies in the log. Errors: the disk's; the start then stays where it was.
    pub(super) fn move_log_start(
        &mut self,
        to: Offset,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        let from = self.log_start_offset();
        let first = &self.segments[self.segment_holding(to)].name;
        let recorded =
            RecordedStart { offset: to, generation: first.generation, base_offset: first.base_offset };
        let token = disk.replace(&start_path(&self.dir), recorded.text().into())?;
        self.start = StartState { writing: Some(token), may_remove: false };
        self.log_start = to;
        if self.epochs.truncate_from_start(to) {
            let epochs = self.epochs.clone();
            self.write_epochs(&epochs, disk)?;
        }
        out.fact(Observation::LogStartAdvanced { log: self.id.clone(), from, to });
        Ok(())
    }

    /// Removes segments that lie wholly below the start, once the start is durable. Costs nothing if there are none.
    /// Errors: the disk's.
    pub fn remove_dead_segments(&mut self, disk: &mut dyn Disk) -> Result<(), DiskError> {
        if !std::mem::take(&mut self.start.may_remove) {
            return Ok(());
        }
        for segment in self.segments.drain(..self.segment_holding(self.log_start)) {
            disk.remove(&segment.path)?;
            self.sync.note_directory_change();
        }
        Ok(())
    }

    /// The segment in which `offset` lies, or would lie.
    fn segment_holding(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::super::{LogSettings, RecoveryHints};
    use super::*;

    /// Six records, one a segment, all committed and durable.
    fn log() -> Fixture {
        let segment_bytes = batch(1, 1).len() as i32;
        let mut log = Fixture::new(LogSettings { segment_bytes, ..Default::default() });
        log.append_epochs(&[0, 0, 1, 1, 2, 2]);
        log.log.set_high_watermark(6, None, &mut log.out);
        log.flush();
        log.facts();
        log
    }

    fn segments(log: &Fixture) -> usize {
        log.disk.list("orders-0").iter().filter(|name| name.ends_with(".log")).count()
    }

    fn advance(log: &mut Fixture, to: Offset) {
        log.log.advance_log_start(to, &mut log.disk, &mut log.out).unwrap();
    }

    fn finish_syncs(log: &mut Fixture) {
        for token in log.disk.complete_all() {
            log.log.on_synced(token, &Ok(()), &mut log.out);
        }
        log.log.remove_dead_segments(&mut log.disk).unwrap();
    }

    #[test]
    fn segments_go_only_when_the_start_is_durable() {
        let mut log = log();
        advance(&mut log, 3);
        log.log.remove_dead_segments(&mut log.disk).unwrap();
        assert_eq!((log.log.log_start_offset(), segments(&log)), (3, 6));
        finish_syncs(&mut log);
        assert_eq!((log.log.log_start_offset(), log.log.log_end_offset(), segments(&log)), (3, 6, 3));
        let moved = Observation::LogStartAdvanced { log: log_id(), from: 0, to: 3 };
        assert_eq!(log.facts(), [moved]);
        assert!(log.log.read(2, 6, 99, true, &log.disk).is_err());
        assert!(!log.log.read(3, 6, 99, true, &log.disk).unwrap().is_empty());
    }

    #[test]
    fn p_8_the_start_never_passes_the_high_watermark_and_never_falls() {
        let mut log = log();
        let refused = log.log.advance_log_start(7, &mut log.disk, &mut log.out);
        assert_eq!(refused, Err(LogError::OutOfRange { offset: 7, start: 0, end: 6 }));
        advance(&mut log, 4);
        advance(&mut log, 2);
        assert_eq!(log.log.log_start_offset(), 4);
    }

    #[test]
    fn epochs_that_ended_below_the_start_are_forgotten() {
        let mut log = log();
        advance(&mut log, 3);
        let epochs: Vec<_> = log.log.epochs().entries().iter().map(|e| (e.epoch, e.start_offset)).collect();
        assert_eq!(epochs, [(1, 3), (2, 4)]);
    }

    #[test]
    fn a_start_survives_a_restart_wherever_the_crash_came() {
        for (durable, removed) in [(false, false), (true, false), (true, true)] {
            let mut log = log();
            advance(&mut log, 3);
            for token in if durable { log.disk.complete_all() } else { vec![] } {
                log.log.on_synced(token, &Ok(()), &mut log.out);
            }
            if removed {
                log.log.remove_dead_segments(&mut log.disk).unwrap();
            }
            log.facts();
            log.reopen(RecoveryHints::default()).unwrap();
            let found = (log.log.log_start_offset(), log.log.log_end_offset(), log.log.high_watermark());
            assert_eq!(found, (3, 6, 3), "durable {durable}, removed {removed}");
            assert_eq!(segments(&log), 3);
            assert_eq!(log.log.epochs().entries()[0].start_offset, 3);
            let facts = log.facts();
            assert!(
                matches!(&facts[..], [Observation::LogOpened { log_start: 3, batches, .. }, _] if batches.len() == 3),
                "{facts:?}"
            );
            log.append_epochs(&[2]);
            assert_eq!(log.log.log_end_offset(), 7);
        }
    }

    #[test]
    fn a_power_failure_brings_back_the_old_start_or_keeps_the_new_one() {
        for keep in [0, 1] {
            let mut log = log();
            advance(&mut log, 3);
            log.disk.power_loss(&mut |n| if keep == 0 { 0 } else { n - 1 });
            log.reopen(RecoveryHints::default()).unwrap();
            assert!([0, 3].contains(&log.log.log_start_offset()));
            assert_eq!(log.log.log_end_offset(), 6);
        }
    }

    #[test]
    fn a_start_above_what_is_left_begins_the_log_anew() {
        let mut log = Fixture::new(LogSettings::default());
        log.append_epochs(&[0, 0, 0]);
        log.flush();
        log.append_epochs(&[0, 0]);
        log.log.set_high_watermark(5, None, &mut log.out);
        log.log.advance_log_start(5, &mut log.disk, &mut log.out).unwrap();
        let start = log.disk.pending_syncs();
        start.iter().for_each(|token| _ = log.disk.complete(*token));
        log.disk.power_loss(&mut |_| 0);
        log.reopen(RecoveryHints::default()).unwrap();
        assert_eq!((log.log.log_start_offset(), log.log.log_end_offset()), (5, 5));
        log.append_epochs(&[1]);
        log.reopen(RecoveryHints::default()).unwrap();
        assert_eq!((log.log.log_start_offset(), log.log.log_end_offset()), (5, 6));
    }

    #[test]
    fn a_file_of_replaced_segments_says_nothing() {
        let mut log = log();
        advance(&mut log, 3);
        finish_syncs(&mut log);
        log.log.truncate_fully_and_start_at(2, &mut log.disk, &mut log.out).unwrap();
        log.append_epochs(&[3]);
        log.reopen(RecoveryHints::default()).unwrap();
        assert_eq!((log.log.log_start_offset(), log.log.log_end_offset()), (2, 3));
    }

    #[test]
    fn what_cannot_be_understood_is_no_start() {
        for bad in ["", "1\n3 0 3\n", "0\n3 0\n", "0\n3 0 4\n", "0\n3 0 3 9\n", "0\n-1 0 -1\n", "0\n3 0 3\nx"]
        {
            assert_eq!(RecordedStart::parse(bad), None, "{bad:?}");
        }
        let good = RecordedStart { offset: 7, generation: 2, base_offset: 5 };
        assert_eq!(RecordedStart::parse(&good.text()), Some(good));
    }
}
