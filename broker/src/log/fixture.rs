//! A log on a [`MemoryDisk`], for the tests of this room.

use bytes::Bytes;

use super::*;
use crate::ids::*;
use crate::rpc::{Outbox, Outgoing};
use crate::time::Instant;
use crate::trace::{Observation, TruncationReason};

pub(super) const NOW: Instant = Instant(5_000_000);

/// A log, its disk and the facts so far.
pub(super) struct Fixture {
    pub disk: MemoryDisk,
    pub log: PartitionLog,
    pub out: Outbox,
}

pub(super) fn log_id() -> LogId {
    LogId { partition: TopicPartition::new("orders", 0), topic_id: Uuid::from_u128(42) }
}

/// A batch of `count` records of `size` bytes.
pub(super) fn batch(count: usize, size: usize) -> Bytes {
    fill(BatchBuilder::new(), count, size)
}

/// A batch of `count` small records of an idempotent producer.
pub(super) fn produced(id: ProducerId, epoch: ProducerEpoch, sequence: i32, count: usize) -> Bytes {
    fill(BatchBuilder::new().producer(id, epoch, sequence), count, 1)
}

pub(super) fn fill(mut builder: BatchBuilder, count: usize, size: usize) -> Bytes {
    for _ in 0..count {
        builder.push(NOW.as_unix_ms(), None, Some(&vec![7; size]), &[]);
    }
    builder.build()
}

impl Fixture {
    pub fn new(settings: LogSettings) -> Fixture {
        Self::with_id(log_id(), settings)
    }

    pub fn with_id(id: LogId, settings: LogSettings) -> Fixture {
        let (mut disk, mut out) = (MemoryDisk::new(), Outbox::default());
        let log =
            PartitionLog::open(id, settings, RecoveryHints::default(), NOW, &mut disk, &mut out).unwrap();
        Fixture { disk, log, out }
    }

    pub fn append(&mut self, records: Bytes, epoch: LeaderEpoch) -> Result<AppendInfo, AppendError> {
        self.log.append_as_leader(records, epoch, NOW, &mut self.disk, &mut self.out)
    }

    pub fn follow(&mut self, records: Bytes) -> Result<AppendInfo, AppendError> {
        self.log.append_as_follower(records, NOW, &mut self.disk, &mut self.out)
    }

    /// Appends one batch of one record in each of the epochs.
    pub fn append_epochs(&mut self, epochs: &[LeaderEpoch]) {
        for epoch in epochs {
            self.append(batch(1, 1), *epoch).unwrap();
        }
    }

    pub fn truncate(&mut self, to: Offset) {
        let reason = TruncationReason::DivergingEpoch;
        self.log.truncate_to(to, reason, &mut self.disk, &mut self.out).unwrap();
    }

    pub fn read(&self, from: Offset, until: Offset, max_bytes: usize, at_least_one: bool) -> Bytes {
        self.log.read(from, until, max_bytes, at_least_one, &self.disk).unwrap()
    }

    /// Flushes and finishes every sync.
    pub fn flush(&mut self) {
        self.log.flush(&mut self.disk);
        for token in self.disk.complete_all() {
            assert!(self.log.on_synced(token, &Ok(()), &mut self.out));
        }
    }

    /// Ends the process and opens the log again.
    pub fn reopen(&mut self, hints: RecoveryHints) -> Result<(), LogError> {
        self.disk.process_crash();
        self.out = Outbox::default();
        let settings = self.log.settings.clone();
        self.log = PartitionLog::open(log_id(), settings, hints, NOW, &mut self.disk, &mut self.out)?;
        Ok(())
    }

    /// Takes the facts so far.
    pub fn facts(&mut self) -> Vec<Observation> {
        let list = std::mem::take(&mut self.out.list);
        let facts = list.into_iter().filter_map(|outgoing| match outgoing {
            Outgoing::Fact(fact) => Some(fact),
            _ => None,
        });
        facts.collect()
    }
}
