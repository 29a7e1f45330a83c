//! Idempotence on the producer's side: producer id, epoch, one run of sequences per partition (`TransactionManager`).
//!
//! A gap in a partition's sequences that can never be filled makes the broker refuse everything after it. The producer
//! then raises its epoch by itself and starts that partition's sequences at 0 again (KIP-360); it does so only where
//! the Java client does. Other partitions follow when nothing of theirs is in flight under the old epoch.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{Offset, ProducerEpoch, ProducerId, TopicPartition};
use broker::wire::ErrorCode;

use super::accumulator::Accumulator;
use super::batch::{BatchId, Identity, ProducerBatch};

const NOTHING_ACKED: i32 = -1;

#[derive(Debug)]
struct PartitionSequences {
    producer: (ProducerId, ProducerEpoch),
    next: i32,
    last_acked: i32,
    /// Batches that have a sequence and no end yet, in order: on the wire or waiting to be sent again.
    unfinished: Vec<BatchId>,
}

/// The idempotence of one producer.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    producer: Option<(ProducerId, ProducerEpoch)>,
    partitions: BTreeMap<TopicPartition, PartitionSequences>,
    /// Partitions with a batch that was given up after it was sent: nobody knows whether the sequence after it (the
    /// value) will be accepted.
    unresolved: BTreeMap<TopicPartition, i32>,
    to_restart: BTreeSet<TopicPartition>,
}

/// `sequence + n`, wrapping from the largest `i32` to 0 (KIP-98).
pub(super) fn advance(sequence: i32, n: usize) -> i32 {
    let modulus = i64::from(i32::MAX) + 1;
    ((i64::from(sequence) + n as i64) % modulus) as i32
}

impl Sequences {
    /// The present producer id and epoch.
    pub(super) fn producer(&self) -> Option<(ProducerId, ProducerEpoch)> {
        self.producer
    }

    /// A new producer id was given.
    pub(super) fn set_producer(&mut self, id: ProducerId, epoch: ProducerEpoch) {
        self.producer = Some((id, epoch));
    }

    /// May this queued batch, the first of its partition, be sent now? (`shouldStopDrainBatchesForPartition`)
    pub(super) fn may_send(&self, batch: &ProducerBatch) -> bool {
        let Some(producer) = self.producer else { return false };
        let Some(own) = self.partitions.get(&batch.partition) else { return true };
        if batch.identity.is_some() {
            // A retry: only the first unfinished one, so that the broker sees sequences in order.
            return own.unfinished.first() == Some(&batch.id);
        }
        let waits_for_old_epoch = own.producer != producer && !own.unfinished.is_empty();
        !waits_for_old_epoch && !self.unresolved.contains_key(&batch.partition)
    }

    /// Gives a batch that has none its place in the sequence.
    pub(super) fn assign(&mut self, batch: &mut ProducerBatch) {
        let Some(producer) = self.producer else { return };
        if batch.identity.is_some() {
            return;
        }
        let fresh =
            || PartitionSequences { producer, next: 0, last_acked: NOTHING_ACKED, unfinished: Vec::new() };
        let own = self.partitions.entry(batch.partition.clone()).or_insert_with(fresh);
        if own.producer != producer && own.unfinished.is_empty() {
            *own = fresh();
        }
        batch.identity =
            Some(Identity { producer_id: producer.0, producer_epoch: producer.1, base_sequence: own.next });
        own.next = advance(own.next, batch.values.len());
        own.unfinished.push(batch.id);
    }

    fn forget(&mut self, batch: &ProducerBatch) {
        if let Some(own) = self.partitions.get_mut(&batch.partition) {
            own.unfinished.retain(|id| *id != batch.id);
        }
    }

    /// A batch was acknowledged.
    pub(super) fn on_acked(&mut self, batch: &ProducerBatch) {
        self.forget(batch);
        let (Some(own), Some(identity)) = (self.partitions.get_mut(&batch.partition), batch.identity) else {
            return;
        };
        let last = advance(identity.base_sequence, batch.values.len() - 1);
        own.last_acked = own.last_acked.max(last);
    }

    /// A batch was given up because of `error`. `is_sequence_lost`: its sequence was certainly not used and the
    /// application was told so, so that the ones after it need new ones.
    pub(super) fn on_failed(&mut self, batch: &ProducerBatch, error: ErrorCode, is_sequence_lost: bool) {
        self.forget(batch);
        if batch.identity.is_none() {
            return;
        }
        match error {
            ErrorCode::OutOfOrderSequenceNumber => self.restart(&batch.partition),
            ErrorCode::UnknownProducerId => {
                if let Some(own) = self.partitions.get_mut(&batch.partition) {
                    (own.next, own.last_acked) = (0, NOTHING_ACKED);
                }
            }
            _ if is_sequence_lost => self.restart(&batch.partition),
            _ => {}
        }
    }

    /// A batch ran out of time while it waited to be sent again: nothing new goes to its partition until the unfinished
    /// ones have ended (`markSequenceUnresolved`).
    pub(super) fn on_expired_in_retry(&mut self, batch: &ProducerBatch) {
        if let Some(identity) = batch.identity {
            let after = advance(identity.base_sequence, batch.values.len());
            let known = self.unresolved.entry(batch.partition.clone()).or_insert(after);
            *known = (*known).max(after);
        }
    }

    /// May a refused batch be sent again? Asks for a new epoch where the refusal shows a gap (`canRetry`).
    pub(super) fn may_retry(
        &mut self,
        batch: &ProducerBatch,
        error: ErrorCode,
        log_start_offset: Offset,
    ) -> bool {
        let Some(own) = self.partitions.get(&batch.partition) else { return error.is_retriable() };
        let base = batch.identity.map_or(-1, |identity| identity.base_sequence);
        match error {
            ErrorCode::UnknownProducerId => {
                if log_start_offset != -1 && !batch.is_sequence_reset {
                    self.restart(&batch.partition);
                }
                true
            }
            ErrorCode::OutOfOrderSequenceNumber => {
                let is_next = i64::from(base) - i64::from(own.last_acked) == 1;
                let is_gap = match self.unresolved.get(&batch.partition) {
                    None => !batch.is_sequence_reset && is_next,
                    Some(after) => *after == base,
                };
                if is_gap {
                    self.restart(&batch.partition);
                }
                true
            }
            other => other.is_retriable(),
        }
    }

    fn restart(&mut self, partition: &TopicPartition) {
        self.to_restart.insert(partition.clone());
    }

    /// Looks at partitions with unresolved sequences that have nothing unfinished left: either a later batch was
    /// acknowledged, then all is well, or the epoch must be raised (`maybeResolveSequences`).
    pub(super) fn resolve(&mut self) {
        let settled: Vec<TopicPartition> = self
            .unresolved
            .keys()
            .filter(|partition| self.partitions.get(partition).is_none_or(|own| own.unfinished.is_empty()))
            .cloned()
            .collect();
        for partition in settled {
            self.unresolved.remove(&partition);
            let is_well = self
                .partitions
                .get(&partition)
                .is_none_or(|own| i64::from(own.next) - i64::from(own.last_acked) == 1);
            if !is_well {
                self.restart(&partition);
            }
        }
    }

    /// Raises the epoch if a partition needs it, and starts those partitions' sequences at 0 with what is unfinished.
    /// When the epochs are used up, the producer id is given up and another must be asked for.
    /// Source: KIP-360, `bumpIdempotentProducerEpoch`.
    pub(super) fn raise_epoch(&mut self, batches: &mut Accumulator) {
        if self.to_restart.is_empty() {
            return;
        }
        let Some((id, epoch)) = self.producer else { return };
        if epoch == ProducerEpoch::MAX {
            // The partitions start at 0 when the new id is there: see `assign` and the next call.
            self.producer = None;
            return;
        }
        let producer = if self.is_fresh() { (id, epoch) } else { (id, epoch + 1) };
        self.producer = Some(producer);
        for partition in std::mem::take(&mut self.to_restart) {
            self.unresolved.remove(&partition);
            let Some(own) = self.partitions.get_mut(&partition) else { continue };
            let mut next = 0;
            for id in &own.unfinished {
                let Some(batch) = batches.get_mut(*id) else { continue };
                batch.identity = Some(Identity {
                    producer_id: producer.0,
                    producer_epoch: producer.1,
                    base_sequence: next,
                });
                batch.is_sequence_reset = true;
                next = advance(next, batch.values.len());
            }
            (own.producer, own.next, own.last_acked) = (producer, next, NOTHING_ACKED);
        }
    }

    /// Has no partition used the present id and epoch yet?
    fn is_fresh(&self) -> bool {
        self.partitions.values().all(|own| Some(own.producer) != self.producer)
    }
}

#[cfg(test)]
mod tests {
    use broker::time::{Duration, Instant};

    use super::super::batch::NewRecord;
    use super::*;
    use crate::history::Value;

    /// Two batches on the wire; the epoch is raised, the first is acknowledged under the old one, and the second is sent
    /// again as sequence 1 of an epoch of which the broker has seen nothing.
    fn second_of_a_new_epoch() -> (Sequences, Accumulator, BatchId) {
        let partition = TopicPartition::new("orders", 0);
        let mut sequences = Sequences::default();
        sequences.set_producer(7, 3);
        let mut batches = Accumulator::new(1, Duration::ZERO, 1_000_000);
        let mut ids = Vec::new();
        for n in 0..2 {
            let record = NewRecord { id: Value::new(1, n), timestamp_ms: 0, key: None, value: b"v" };
            assert!(batches.append(&partition, record, Instant::ZERO).is_some());
            let batch = batches.take(&partition).unwrap();
            sequences.assign(batch);
            ids.push(batch.id);
        }
        sequences.restart(&partition);
        sequences.raise_epoch(&mut batches);
        sequences.on_acked(&batches.remove(ids[0]).unwrap());
        (sequences, batches, ids[1])
    }

    #[test]
    fn an_answer_to_the_old_sequence_raises_no_epoch_and_a_gap_after_the_new_one_does() {
        let (mut sequences, mut batches, id) = second_of_a_new_epoch();
        let partition = TopicPartition::new("orders", 0);
        let error = ErrorCode::OutOfOrderSequenceNumber;
        assert!(sequences.may_retry(batches.get(id).unwrap(), error, -1));
        assert!(sequences.to_restart.is_empty(), "refused under the sequence that it had before");
        batches.give_back(id, Instant::ZERO);
        assert!(batches.take(&partition).is_some());
        assert!(sequences.may_retry(batches.get(id).unwrap(), error, -1));
        assert!(sequences.to_restart.contains(&partition), "else it is refused until delivery.timeout.ms");
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(advance(5, 3), 8);
        assert_eq!(advance(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 4), 2);
    }
}
