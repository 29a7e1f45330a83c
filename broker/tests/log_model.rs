//! [`PartitionLog`] against a naive model: a list of batches.
//!
//! Appends, cuts, flushes, crashes of the process and failures of power in any order. After each step the log equals the
//! list. After a crash it is a prefix of a list that once was (D-1), and holds everything that was flushed (D-2); epoch
//! cache and producer state are the fold of what survived (D-3).

use std::collections::BTreeMap;

use broker::ids::*;
use broker::log::*;
use broker::rpc::{Outbox, Outgoing};
use broker::time::Instant;
use broker::trace::{BatchFact, Observation, TruncationReason};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

const NOW: Instant = Instant(1_000_000);

#[derive(Debug, Clone)]
enum Op {
    BecomeLeader,
    Produce { records: u8, bytes: u8, producer: Option<u8> },
    Retry { producer: u8 },
    Gap { producer: u8 },
    Follow { batches: Vec<(u8, u8, bool)> },
    Truncate { percent: u8 },
    StartAnew { ahead: u8 },
    HighWatermark { percent: u8 },
    Flush,
    CompleteSyncs { count: u8 },
    ProcessCrash { is_clean: bool },
    PowerLoss { seed: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let small = 1u8..5;
    prop_oneof![
        2 => Just(Op::BecomeLeader),
        8 => (small.clone(), any::<u8>(), proptest::option::of(0u8..3))
            .prop_map(|(records, bytes, producer)| Op::Produce { records, bytes, producer }),
        2 => (0u8..3).prop_map(|producer| Op::Retry { producer }),
        1 => (0u8..3).prop_map(|producer| Op::Gap { producer }),
        4 => proptest::collection::vec((small, 0u8..200, any::<bool>()), 1..5)
            .prop_map(|batches| Op::Follow { batches }),
        3 => (0u8..110).prop_map(|percent| Op::Truncate { percent }),
        1 => (0u8..40).prop_map(|ahead| Op::StartAnew { ahead }),
        2 => (0u8..120).prop_map(|percent| Op::HighWatermark { percent }),
        4 => Just(Op::Flush),
        4 => (1u8..6).prop_map(|count| Op::CompleteSyncs { count }),
        1 => any::<bool>().prop_map(|is_clean| Op::ProcessCrash { is_clean }),
        3 => any::<u64>().prop_map(|seed| Op::PowerLoss { seed }),
    ]
}

/// Per producer: epoch, and (first sequence, base offset, last offset) of its last five batches.
type Producers = BTreeMap<ProducerId, (ProducerEpoch, Vec<(i32, Offset, Offset)>)>;

/// The list that the log has to equal.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    start: Offset,
    batches: Vec<BatchFact>,
}

impl Model {
    fn end(&self) -> Offset {
        self.batches.last().map_or(self.start, |batch| batch.last_offset + 1)
    }

    fn epochs(&self) -> Vec<(LeaderEpoch, Offset)> {
        let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
        for batch in &self.batches {
            if epochs.last().is_none_or(|(epoch, _)| *epoch != batch.leader_epoch) {
                epochs.push((batch.leader_epoch, batch.base_offset));
            }
        }
        epochs
    }

    fn producers(&self) -> Producers {
        let mut producers = Producers::new();
        for batch in self.batches.iter().filter(|batch| batch.producer_id >= 0) {
            let (epoch, batches) =
                producers.entry(batch.producer_id).or_insert((batch.producer_epoch, Vec::new()));
            if *epoch != batch.producer_epoch {
                *epoch = batch.producer_epoch;
                batches.clear();
            }
            batches.push((batch.base_sequence, batch.base_offset, batch.last_offset));
            if batches.len() > 5 {
                batches.remove(0);
            }
        }
        producers
    }

    fn is_prefix_of(&self, other: &Model) -> bool {
        self.batches.is_empty() || self.start == other.start && other.batches.starts_with(&self.batches)
    }
}

struct World {
    disk: MemoryDisk,
    log: PartitionLog,
    model: Model,
    /// Every list that there ever was: a power failure may undo cuts that were not synced.
    versions: Vec<Model>,
}

fn settings() -> LogSettings {
    LogSettings { segment_bytes: 700, ..LogSettings::default() }
}

fn log_id() -> LogId {
    LogId { partition: TopicPartition::new("orders", 3), topic_id: Uuid::from_u128(7) }
}

fn batch(
    base: Offset,
    epoch: LeaderEpoch,
    producer: Option<(ProducerId, i32)>,
    records: u8,
    bytes: u8,
) -> Bytes {
    let mut builder = BatchBuilder::new().base_offset(base).leader_epoch(epoch);
    if let Some((id, sequence)) = producer {
        builder = builder.producer(id, 0, sequence);
    }
    for i in 0..records {
        builder.push(NOW.as_unix_ms(), None, Some(&vec![i; usize::from(bytes) / 2]), &[]);
    }
    builder.build()
}

impl World {
    fn new() -> World {
        let mut disk = MemoryDisk::new();
        let (hints, mut out) = (RecoveryHints::default(), Outbox::default());
        let log = PartitionLog::open(log_id(), settings(), hints, NOW, &mut disk, &mut out).unwrap();
        World { disk, log, model: Model::default(), versions: vec![Model::default()] }
    }

    fn epoch(&self) -> LeaderEpoch {
        self.log.latest_epoch().unwrap_or(0)
    }

    fn next_sequence(&self, producer: ProducerId) -> i32 {
        let producers = self.model.producers();
        let last = producers.get(&producer).and_then(|(_, batches)| batches.last().copied());
        last.map_or(0, |(sequence, base, end)| sequence + (end - base) as i32 + 1)
    }

    fn append(&mut self, batch: Bytes) -> Result<AppendInfo, AppendError> {
        let epoch = self.epoch();
        self.log.append_as_leader(batch, epoch, NOW, &mut self.disk, &mut Outbox::default())
    }

    /// Takes the appended bytes' facts into the model.
    fn expect_appended(&mut self, stamped: &[Bytes]) {
        for bytes in stamped {
            self.model.batches.push(BatchHeader::parse(bytes).unwrap().fact());
        }
    }

    fn step(&mut self, op: &Op) {
        let mut out = Outbox::default();
        match op {
            Op::BecomeLeader => {
                let (epoch, end) = (self.epoch() + 1, self.log.log_end_offset());
                self.log.assign_epoch(epoch, end, &mut self.disk).unwrap();
                assert_eq!(self.log.latest_epoch(), Some(epoch));
            }
            Op::Produce { records, bytes, producer } => {
                let producer = producer.map(|id| (i64::from(id), self.next_sequence(i64::from(id))));
                let (epoch, end) = (self.epoch(), self.log.log_end_offset());
                let info = self.append(batch(0, 0, producer, *records, *bytes)).unwrap();
                assert_eq!((info.base_offset, info.duplicate), (end, false));
                self.expect_appended(&[batch(end, epoch, producer, *records, *bytes)]);
            }
            Op::Retry { producer } => self.retry(i64::from(*producer)),
            Op::Gap { producer } => {
                let id = i64::from(*producer);
                if self.model.producers().contains_key(&id) {
                    let sequence = self.next_sequence(id) + 1;
                    let result = self.append(batch(0, 0, Some((id, sequence)), 1, 0));
                    assert!(matches!(result, Err(AppendError::OutOfOrderSequence { .. })), "{result:?}");
                }
            }
            Op::Follow { batches } => self.follow(batches),
            Op::Truncate { percent } => {
                let span = self.model.end() - self.model.start;
                let to = self.model.start + span * i64::from(*percent) / 100;
                let reason = TruncationReason::DivergingEpoch;
                self.log.truncate_to(to, reason, &mut self.disk, &mut out).unwrap();
                self.model.batches.retain(|batch| batch.last_offset < to);
            }
            Op::StartAnew { ahead } => {
                let start = self.model.end() / 2 + i64::from(*ahead);
                self.log.truncate_fully_and_start_at(start, &mut self.disk, &mut out).unwrap();
                self.model = Model { start, batches: vec![] };
            }
            Op::HighWatermark { percent } => {
                let to = self.model.end() * i64::from(*percent) / 100;
                self.log.set_high_watermark(to, None, &mut out);
            }
            Op::Flush => {
                self.log.flush(&mut self.disk);
            }
            Op::CompleteSyncs { count } => {
                for token in self.disk.pending_syncs().into_iter().take(usize::from(*count)) {
                    self.disk.complete(token);
                    assert!(self.log.on_synced(token, &Ok(()), &mut out), "a sync that nobody asked for");
                }
            }
            Op::ProcessCrash { is_clean } => self.crash(*is_clean, None),
            Op::PowerLoss { seed } => self.crash(false, Some(*seed)),
        }
        self.versions.push(self.model.clone());
    }

    fn retry(&mut self, id: ProducerId) {
        let Some((_, batches)) = self.model.producers().remove(&id) else { return };
        for (sequence, base, last) in batches {
            let records = (last - base + 1) as u8;
            let info = self.append(batch(0, 0, Some((id, sequence)), records, 9)).unwrap();
            assert_eq!((info.duplicate, info.base_offset, info.last_offset), (true, base, last));
        }
    }

    fn follow(&mut self, batches: &[(u8, u8, bool)]) {
        let (mut end, mut epoch) = (self.log.log_end_offset(), self.epoch());
        let (mut sent, mut all) = (Vec::new(), BytesMut::new());
        for (records, bytes, is_new_epoch) in batches {
            epoch += i32::from(*is_new_epoch);
            let bytes = batch(end, epoch, None, *records, *bytes);
            end += i64::from(*records);
            all.extend_from_slice(&bytes);
            sent.push(bytes);
        }
        let mut out = Outbox::default();
        self.log.append_as_follower(all.freeze(), NOW, &mut self.disk, &mut out).unwrap();
        assert_eq!(out.list.len(), batches.len());
        self.expect_appended(&sent);
    }

    /// `power`: the seed of the cuts, if power fails too.
    fn crash(&mut self, is_clean: bool, power: Option<u64>) {
        if is_clean {
            // The marker of a clean shutdown is written only after everything is durable.
            self.log.flush(&mut self.disk);
            for token in self.disk.complete_all() {
                self.log.on_synced(token, &Ok(()), &mut Outbox::default());
            }
            assert_eq!(self.log.recovery_point(), self.log.log_end_offset());
            assert_eq!(self.log.flush(&mut self.disk), None);
        }
        let flushed = self.log.recovery_point();
        let hints = RecoveryHints {
            clean_shutdown: is_clean,
            recovery_point: flushed,
            high_watermark: self.log.high_watermark(),
        };
        match power {
            None => self.disk.process_crash(),
            Some(seed) => {
                let mut state = seed;
                self.disk.power_loss(&mut |n| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 33) % n
                });
            }
        }
        let mut out = Outbox::default();
        self.log = PartitionLog::open(log_id(), settings(), hints, NOW, &mut self.disk, &mut out).unwrap();
        let survived =
            Model { start: self.log.log_start_offset(), batches: self.log.batch_facts().collect() };
        check_opened(&out, &survived);
        if power.is_none() {
            assert_eq!(survived, self.model, "a crash of the process costs nothing");
        }
        assert!(
            self.versions.iter().any(|version| survived.is_prefix_of(version)),
            "D-1: {survived:?} is a prefix of no list that was"
        );
        if flushed > self.model.start {
            let durable: Vec<_> = self.model.batches.iter().filter(|b| b.last_offset < flushed).collect();
            assert!(survived.batches.len() >= durable.len(), "D-2: flushed {flushed} lost: {survived:?}");
            assert!(
                survived.batches.iter().zip(&durable).all(|(a, b)| a == *b),
                "D-2: flushed content differs"
            );
        }
        self.model = survived;
    }

    /// D-3, P-8, and that the bytes read back are those batches.
    fn check(&self) {
        let facts: Vec<BatchFact> = self.log.batch_facts().collect();
        assert_eq!(facts, self.model.batches);
        let (start, end, hw) =
            (self.log.log_start_offset(), self.log.log_end_offset(), self.log.high_watermark());
        assert_eq!((start, end), (self.model.start, self.model.end()));
        assert!(start <= hw && hw <= end, "P-8: {start} {hw} {end}");
        assert!(self.log.recovery_point() <= end);

        let epochs = self.log.epochs().entries().iter().map(|entry| (entry.epoch, entry.start_offset));
        let with_records: Vec<_> = epochs.filter(|(_, start)| *start < end).collect();
        assert_eq!(with_records, self.model.epochs());
        let mut producers = Producers::new();
        for (id, state) in self.log.producers().iter() {
            let batches = state.batches.iter().map(|b| (b.first_sequence, b.base_offset, b.last_offset));
            producers.insert(id, (state.epoch, batches.collect()));
        }
        assert_eq!(producers, self.model.producers());

        let mut read = Vec::new();
        let mut from = start;
        while from < end {
            let bytes = self.log.read(from, end, 300, true, &self.disk).unwrap();
            assert!(!bytes.is_empty());
            for batch in batches(bytes) {
                let batch = batch.unwrap();
                batch.validate().unwrap();
                assert_eq!(batch.records().count() as i32, batch.header.record_count);
                from = batch.header.next_offset();
                read.push(batch.header.fact());
            }
        }
        assert_eq!(read, facts);
    }
}

fn check_opened(out: &Outbox, survived: &Model) {
    let opened = out.list.iter().find_map(|outgoing| match outgoing {
        Outgoing::Fact(Observation::LogOpened { batches, .. }) => Some(batches.clone()),
        Outgoing::Fact(Observation::LogCreated { .. }) => Some(vec![]),
        _ => None,
    });
    assert_eq!(opened.as_ref(), Some(&survived.batches));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_equals_its_model_through_crashes(ops in proptest::collection::vec(op(), 1..70)) {
        let mut world = World::new();
        for op in &ops {
            world.step(op);
            world.check();
        }
    }
}
