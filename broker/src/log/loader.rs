//! Opening a log: the same way on the first boot, after a clean shutdown and after a crash (LOG-4).
//!
//! Headers are always read, since index, epochs and producer state are their fold. After anything but a clean shutdown
//! every batch's checksum is compared too, and the log ends before the first batch that is torn, damaged or does not
//! follow its predecessor.
//!
//! A power failure also loses creations and removals of files, each on its own. So the directory may hold segments of
//! several histories: before and after cuts that did or did not become durable. Each segment says of which generation the
//! one before it is; the log is the newest segment that can be followed back to a first one. What an earlier segment
//! holds from the beginning of the next one on is from before a cut. All other segments go.
//!
//! Differs from Kafka: after a crash the whole log is checked, not only what lies above the recovery point. That
//! checkpoint may be stale across a truncation, and a batch trusted for its sake would be served damaged (D-1).
//! `leader-epoch-checkpoint` is written as Kafka writes it, but never believed: the batches say the same and cannot be
//! stale.

use super::error::LogError;
use super::flush::SyncState;
use super::leader_epochs::LeaderEpochCache;
use super::partition_log::{LogSettings, PartitionLog, RecoveryHints};
use super::partition_metadata::{directory, metadata_path, metadata_text, parse_metadata};
use super::producers::ProducerStates;
use super::segment::{Segment, SegmentName};
use super::start::{RecordedStart, StartState};
use crate::ids::*;
use crate::io::{Disk, DiskError};
use crate::rpc::Outbox;
use crate::time::Instant;
use crate::trace::{Observation, TruncationReason};

impl PartitionLog {
    /// Opens the log in the directory `<topic>-<partition>`, creating it if there is none.
    ///
    /// Facts: `LogCreated`, or `LogOpened` (after `Truncated` if the crash cost anything that could still be read).
    /// Errors: the disk's, `InconsistentTopicId`, `Metadata`. Source: `LogLoader`, LOG-4.
    pub fn open(
        id: LogId,
        settings: LogSettings,
        hints: RecoveryHints,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<PartitionLog, LogError> {
        let dir = directory(&id.partition);
        let existed = has_identity(&id, &dir, disk)?;
        let remains = if existed { None } else { remove_remains(&dir, disk)? };
        let recorded = if existed { RecordedStart::read(&dir, disk)? } else { None };
        let mut loaded = load_segments(&dir, hints.clean_shutdown, recorded, disk)?;
        let had_segments = !loaded.segments.is_empty();
        let log_start = begin_at_recorded(&mut loaded, recorded, &dir, disk)?;
        if loaded.segments.is_empty() {
            // What was removed may come back: it must not find a segment that it could follow.
            let seen = loaded.seen_generation.max(remains);
            let first = match (seen, log_start) {
                (None, 0) => SegmentName::FIRST,
                (seen, start) => SegmentName::root(seen.map_or(1, |seen| seen + 1), start),
            };
            loaded.seen_generation = Some(first.generation);
            loaded.segments.push(Segment::create(&dir, first, 0, disk)?);
        }
        let is_trusted = hints.clean_shutdown && existed && had_segments && !loaded.was_cut;
        let log_end = loaded.segments.last().map_or(0, Segment::next_offset);
        let recovery_point = if is_trusted { log_end } else { hints.recovery_point.min(log_end) };
        let mut log = PartitionLog {
            id,
            dir,
            settings,
            segments: loaded.segments,
            log_start,
            start: StartState::default(),
            high_watermark: 0,
            epochs: LeaderEpochCache::default(),
            producers: ProducerStates::default(),
            producers_checked: now,
            generation: loaded.seen_generation.unwrap_or(0),
            sync: SyncState::new(recovery_point, is_trusted),
            // The last segment may have been cut, here or before the crash; see `truncate.rs`.
            roll_next: existed && had_segments && !is_trusted,
        };
        log.fold();
        log.high_watermark = hints.high_watermark.clamp(log.log_start_offset(), log_end);
        if !is_trusted {
            log.distrust(recovery_point);
        }
        if !existed {
            let token = disk.replace(&metadata_path(&log.dir), metadata_text(log.id.topic_id))?;
            log.sync.note_metadata(token);
        }
        log.refresh_epoch_file(disk)?;
        log.report(existed, loaded.claimed_end, out);
        Ok(log)
    }

    /// Epochs and producers from the batches.
    fn fold(&mut self) {
        for entry in self.segments.iter().flat_map(|segment| &segment.index) {
            self.epochs.note(&entry.header);
            self.producers.note(&entry.header);
        }
        self.producers.expire(self.producers_checked.as_unix_ms(), self.settings.producer_id_expiration);
        self.epochs.truncate_from_start(self.log_start);
    }

    /// Counts segments as not durable that reach above the recovery point, and the last one.
    fn distrust(&mut self, recovery_point: Offset) {
        for segment in self.segments.iter_mut().filter(|segment| segment.next_offset() > recovery_point) {
            segment.dirty.get_or_insert(0);
        }
        self.active_mut().dirty.get_or_insert(0);
    }

    fn report(&self, existed: bool, claimed_end: Offset, out: &mut Outbox) {
        let (log, log_end) = (self.id.clone(), self.log_end_offset());
        if !existed {
            out.fact(Observation::LogCreated { log });
            return;
        }
        if claimed_end > log_end {
            let reason = TruncationReason::Recovery;
            out.fact(Observation::Truncated { log: log.clone(), from: claimed_end, to: log_end, reason });
        }
        out.fact(Observation::LogOpened {
            log,
            log_start: self.log_start_offset(),
            log_end,
            high_watermark: self.high_watermark,
            batches: self.batch_facts().collect(),
        });
        self.state_producers(out);
    }
}

/// Does the directory hold this log? An error if it holds another one.
fn has_identity(id: &LogId, dir: &str, disk: &dyn Disk) -> Result<bool, LogError> {
    let path = metadata_path(dir);
    let Some(content) = disk.read_file(&path)? else { return Ok(false) };
    match parse_metadata(&content) {
        Some(topic_id) if topic_id == id.topic_id => Ok(true),
        Some(found) => Err(LogError::InconsistentTopicId { dir: dir.to_owned(), found }),
        None => Err(LogError::Metadata(path)),
    }
}

/// Segments without an identity are what a power failure left of a deleted log, or of one that never was durable.
/// Returns the largest generation that was removed.
fn remove_remains(dir: &str, disk: &mut dyn Disk) -> Result<Option<u64>, DiskError> {
    let names = segment_names(dir, disk);
    for name in &names {
        disk.remove(&name.path(dir))?;
    }
    Ok(names.last().map(|name| name.generation))
}

/// By generation, then by offset: a segment comes after the one before it in its log.
fn segment_names(dir: &str, disk: &dyn Disk) -> Vec<SegmentName> {
    let mut names: Vec<_> = disk.list(dir).iter().filter_map(|name| SegmentName::parse(name)).collect();
    names.sort_unstable();
    names
}

struct Loaded {
    segments: Vec<Segment>,
    was_cut: bool,
    /// The end that the log claimed before it was cut, as far as headers could be read.
    claimed_end: Offset,
    /// The largest generation of a file in the directory, if there is a file.
    seen_generation: Option<u64>,
}

/// A segment that can be followed back to a first one.
struct Candidate {
    segment: Segment,
    /// Index of the one before it.
    before: Option<usize>,
    has_bad_tail: bool,
}

fn load_segments(
    dir: &str,
    clean_shutdown: bool,
    recorded: Option<RecordedStart>,
    disk: &mut dyn Disk,
) -> Result<Loaded, DiskError> {
    let names = segment_names(dir, disk);
    let mut loaded = Loaded {
        segments: Vec::new(),
        was_cut: false,
        claimed_end: 0,
        seen_generation: names.last().map(|name| name.generation),
    };
    let mut candidates: Vec<Candidate> = Vec::new();
    for name in names {
        let (segment, has_bad_tail) = Segment::open(dir, name, !clean_shutdown, disk)?;
        let claimed = if has_bad_tail { segment.claimed_end(disk)? } else { None };
        loaded.claimed_end = loaded.claimed_end.max(claimed.unwrap_or(segment.next_offset()));
        let before = find_before(&candidates, &name);
        let is_first = name.previous.is_none() || recorded.is_some_and(|recorded| recorded.names(&name));
        if !is_first && before.is_none() {
            disk.remove(&segment.path)?;
            loaded.was_cut = true;
            continue;
        }
        candidates.push(Candidate { segment, before, has_bad_tail });
    }
    let chain = chain_of_last(&candidates);
    for (index, candidate) in candidates.into_iter().enumerate() {
        let Candidate { mut segment, has_bad_tail, .. } = candidate;
        let Some(at) = chain.iter().position(|member| *member == index) else {
            disk.remove(&segment.path)?;
            loaded.was_cut = true;
            continue;
        };
        if has_bad_tail {
            disk.truncate(segment.file, segment.size)?;
            segment.dirty = Some(0);
            loaded.was_cut = true;
        }
        loaded.segments.push(segment);
        crate::invariant!(at + 1 == loaded.segments.len(), "{dir}: segments out of order");
    }
    for next in 1..loaded.segments.len() {
        let base_offset = loaded.segments[next].base_offset;
        let segment = &mut loaded.segments[next - 1];
        if base_offset < segment.next_offset() {
            segment.truncate(base_offset, 0, disk)?;
            loaded.was_cut = true;
        }
    }
    Ok(loaded)
}

/// Where the log begins: at the recorded start, if the segment that it was recorded for is in the log. Segments before that
/// one go, and if the log does not even reach to its start, all of them (`LogLoader`).
fn begin_at_recorded(
    loaded: &mut Loaded,
    recorded: Option<RecordedStart>,
    dir: &str,
    disk: &mut dyn Disk,
) -> Result<Offset, DiskError> {
    let first = loaded.segments.first().map_or(0, |segment| segment.base_offset);
    let Some(recorded) = recorded else { return Ok(first) };
    let is_empty = loaded.segments.is_empty();
    let holder = loaded.segments.iter().position(|segment| recorded.names(&segment.name));
    let end = loaded.segments.last().map_or(0, Segment::next_offset);
    let dead = match holder {
        Some(_) if end < recorded.offset => loaded.segments.len(),
        Some(holder) => holder,
        None if is_empty => 0,
        None => return Ok(first),
    };
    for segment in loaded.segments.drain(..dead) {
        disk.remove(&segment.path)?;
        loaded.was_cut = true;
    }
    crate::invariant!(first <= recorded.offset || is_empty, "{dir}: starts at {first} > {}", recorded.offset);
    Ok(recorded.offset)
}

/// The segment after which `name` was begun: of the generation that it names, and reaching to its base offset. If that
/// one is shorter now, or gone, something in between was lost and `name` can not be used.
fn find_before(candidates: &[Candidate], name: &SegmentName) -> Option<usize> {
    candidates.iter().rposition(|Candidate { segment, .. }| {
        Some(segment.name.generation) == name.previous
            && segment.base_offset < name.base_offset
            && name.base_offset <= segment.next_offset()
            && segment.has_border_at(name.base_offset)
    })
}

/// The newest candidate and all before it, oldest first.
fn chain_of_last(candidates: &[Candidate]) -> Vec<usize> {
    let mut chain: Vec<usize> =
        std::iter::successors(candidates.len().checked_sub(1), |index| candidates[*index].before).collect();
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::super::{MemoryDisk, write_offset_checkpoint};
    use super::*;
    use crate::trace::ProducerFact;

    const SEGMENT: &str = "orders-0/00000000000000000000.log";

    fn log() -> Fixture {
        let mut log = Fixture::new(LogSettings::default());
        for sequence in 0..3 {
            log.append(produced(1, 0, sequence, 1), sequence).unwrap();
        }
        log
    }

    fn hints(clean_shutdown: bool, recovery_point: Offset, high_watermark: Offset) -> RecoveryHints {
        RecoveryHints { clean_shutdown, recovery_point, high_watermark }
    }

    #[test]
    fn the_first_open_creates_and_the_second_finds() {
        let mut log = Fixture::new(LogSettings::default());
        assert_eq!(log.facts(), [Observation::LogCreated { log: log_id() }]);
        log.reopen(hints(false, 0, 0)).unwrap();
        assert!(matches!(&log.facts()[..],
            [Observation::LogOpened { batches, .. }, Observation::ProducerStates { states, .. }]
                if batches.is_empty() && states.is_empty()));
    }

    #[test]
    fn everything_in_memory_comes_back_from_the_bytes() {
        let mut log = log();
        let (epochs, producers) = (log.log.epochs().clone(), log.log.producers().clone());
        let facts: Vec<_> = log.log.batch_facts().collect();
        log.reopen(hints(false, 1, 2)).unwrap();
        assert_eq!((log.log.epochs(), log.log.producers()), (&epochs, &producers));
        assert_eq!((log.log.high_watermark(), log.log.recovery_point()), (2, 1));
        let opened = Observation::LogOpened {
            log: log_id(),
            log_start: 0,
            log_end: 3,
            high_watermark: 2,
            batches: facts,
        };
        let producer = ProducerFact { producer_id: 1, producer_epoch: 0, last_sequence: 2, last_offset: 2 };
        let producers = Observation::ProducerStates { log: log_id(), log_end: 3, states: vec![producer] };
        assert_eq!(log.facts(), [opened, producers]);
    }

    #[test]
    fn log_4_after_a_crash_the_log_ends_before_the_damage() {
        let mut log = log();
        let second = log.log.segments[0].index[1].position;
        log.disk.flip(SEGMENT, second + 65);
        log.reopen(hints(false, 3, 3)).unwrap();
        assert_eq!((log.log.log_end_offset(), log.log.high_watermark(), log.log.recovery_point()), (1, 1, 1));
        assert_eq!(
            (log.log.latest_epoch(), log.log.producers().get(1).unwrap().last_sequence()),
            (Some(0), 0)
        );
        let facts = log.facts();
        assert!(matches!(
            facts[0],
            Observation::Truncated { from: 2, to: 1, reason: TruncationReason::Recovery, .. }
        ));
        assert!(matches!(facts[1], Observation::LogOpened { log_end: 1, .. }));
    }

    #[test]
    fn log_4_a_clean_shutdown_is_trusted() {
        let mut log = log();
        let second = log.log.segments[0].index[1].position;
        log.disk.flip(SEGMENT, second + 65);
        log.reopen(hints(true, 0, 3)).unwrap();
        assert_eq!((log.log.log_end_offset(), log.log.recovery_point()), (3, 3));
    }

    #[test]
    fn log_5_checkpoints_are_clamped() {
        let mut log = log();
        log.reopen(hints(false, 90, 90)).unwrap();
        assert_eq!((log.log.high_watermark(), log.log.recovery_point()), (3, 3));
        log.log.truncate_fully_and_start_at(40, &mut log.disk, &mut log.out).unwrap();
        log.reopen(hints(false, 0, 7)).unwrap();
        assert_eq!((log.log.log_start_offset(), log.log.high_watermark()), (40, 40));
    }

    #[test]
    fn log_4_segments_after_a_gap_go() {
        let segment_bytes = batch(1, 1).len() as i32;
        let mut log = Fixture::new(LogSettings { segment_bytes, ..Default::default() });
        log.append_epochs(&[0, 0, 0, 0]);
        log.disk.remove("orders-0/00000000000000000001.log").unwrap();
        log.reopen(hints(false, 0, 0)).unwrap();
        assert_eq!(log.log.log_end_offset(), 1);
        assert_eq!(log.disk.list("orders-0").iter().filter(|name| name.ends_with(".log")).count(), 1);
        log.append_epochs(&[1]);
        assert_eq!(log.log.log_end_offset(), 2);
    }

    #[test]
    fn a_removed_segment_that_comes_back_is_not_taken_for_a_part_of_the_log() {
        let segment_bytes = batch(1, 1).len() as i32;
        let mut log = Fixture::new(LogSettings { segment_bytes, ..Default::default() });
        log.append_epochs(&[0, 1, 2]);
        let removed = log.disk.read_file("orders-0/00000000000000000002.log").unwrap().unwrap();
        log.truncate(1);
        log.append_epochs(&[3]);
        let end = log.log.log_end_offset();
        let back = log.disk.open("orders-0/00000000000000000002.log", true).unwrap();
        log.disk.append(back, removed).unwrap();
        log.reopen(hints(false, 0, 0)).unwrap();
        assert_eq!((log.log.log_end_offset(), log.log.latest_epoch()), (end, Some(3)));
        assert_eq!(log.log.segments.len(), 2);
        assert_eq!(log.disk.list("orders-0").iter().filter(|name| name.ends_with(".log")).count(), 2);
    }

    #[test]
    fn a_directory_of_another_incarnation_is_not_opened() {
        let mut log = log();
        let other = LogId { topic_id: Uuid::from_u128(1_000), ..log_id() };
        let opened = PartitionLog::open(
            other,
            LogSettings::default(),
            hints(true, 0, 0),
            NOW,
            &mut log.disk,
            &mut log.out,
        );
        let found = log_id().topic_id;
        assert_eq!(opened.err(), Some(LogError::InconsistentTopicId { dir: "orders-0".to_owned(), found }));
    }

    #[test]
    fn remains_without_an_identity_are_not_a_log() {
        let mut log = log();
        log.disk.remove("orders-0/partition.metadata").unwrap();
        log.reopen(hints(true, 3, 3)).unwrap();
        assert_eq!(log.log.log_end_offset(), 0);
        assert_eq!(log.facts(), [Observation::LogCreated { log: log_id() }]);
    }

    #[test]
    fn a_deleted_log_leaves_nothing() {
        let Fixture { mut disk, log, mut out } = log();
        write_offset_checkpoint("other", &Default::default(), &mut disk).unwrap();
        log.delete(&mut disk, &mut out).unwrap();
        assert_eq!(disk.list(""), ["other"]);
        assert_eq!(disk.list("orders-0"), Vec::<String>::new());
        let again =
            PartitionLog::open(log_id(), LogSettings::default(), hints(true, 3, 3), NOW, &mut disk, &mut out);
        assert_eq!(again.unwrap().log_end_offset(), 0);
        assert_eq!(MemoryDisk::new().list(""), Vec::<String>::new());
    }
}
