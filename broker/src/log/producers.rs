//! What a log knows of its idempotent producers (KIP-98, IDM-1..4): a pure fold over the batches of the log.

use std::collections::{BTreeMap, VecDeque};

use super::batch::BatchHeader;
use super::error::AppendError;
use crate::ids::*;
use crate::time::Duration;

/// Batches remembered per producer: as many as a producer may have in flight. Source: `ProducerStateEntry`.
const BATCHES_KEPT: usize = 5;

/// One remembered batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerBatch {
    /// Sequence of its first record.
    pub first_sequence: i32,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// The batch's largest timestamp in milliseconds since 1970.
    pub timestamp: i64,
}

/// What is known of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    /// The epoch of its last batch.
    pub epoch: ProducerEpoch,
    /// Its last batches in this epoch, oldest first, at most five.
    pub batches: VecDeque<ProducerBatch>,
}

impl ProducerState {
    /// The sequence of its last record.
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    /// The offset of its last record.
    pub fn last_offset(&self) -> Offset {
        self.batches.back().map_or(-1, |batch| batch.last_offset)
    }

    fn last_timestamp(&self) -> i64 {
        self.batches.back().map_or(-1, |batch| batch.timestamp)
    }
}

/// What a client's batch is to its producer's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceCheck {
    /// It continues the sequence (or nothing is known of the producer).
    Next,
    /// It was appended before: the original place (IDM-1).
    Duplicate(ProducerBatch),
}

/// The producers of one log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProducerStates {
    by_id: BTreeMap<ProducerId, ProducerState>,
    /// Has a producer of this log been forgotten since the log was last read from its start?
    has_forgotten: bool,
}

impl ProducerStates {
    /// What is known of a producer.
    pub fn get(&self, producer_id: ProducerId) -> Option<&ProducerState> {
        self.by_id.get(&producer_id)
    }

    /// Every producer, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &ProducerState)> {
        self.by_id.iter().map(|(id, state)| (*id, state))
    }

    /// Judges a batch from a client, before it is appended. The duplicate check comes first (IDM-1), then the epoch,
    /// then the sequence (IDM-2). Errors: `InvalidProducerEpoch`, `OutOfOrderSequence`.
    ///
    /// A producer of which nothing is known may start anywhere, since its state may be gone. Where the log proves that it
    /// never wrote here (everything since offset 0 is there and nobody was forgotten) it has to start at 0; otherwise a
    /// batch that overtakes an earlier one on its way to a new leader is appended in its place, and the earlier one can
    /// only follow out of order or expire.
    ///
    /// `Differs from Kafka:` up to 4.4 any first sequence is taken (KAFKA-14312, KAFKA-15591, KAFKA-19880); from 4.5 it has
    /// to be 0 in a partition that never held a record. The rule here covers partitions that other producers wrote to.
    pub fn check(&self, header: &BatchHeader, log_start: Offset) -> Result<SequenceCheck, AppendError> {
        let Some(state) = self.by_id.get(&header.producer_id) else {
            let never_wrote = log_start == 0 && !self.has_forgotten;
            return match header.base_sequence {
                found if never_wrote && found != 0 => {
                    Err(AppendError::OutOfOrderSequence { expected: 0, found })
                }
                _ => Ok(SequenceCheck::Next),
            };
        };
        let (first, last) = (header.base_sequence, last_sequence(header));
        if state.epoch == header.producer_epoch {
            let same = |batch: &&ProducerBatch| batch.first_sequence == first && batch.last_sequence == last;
            if let Some(batch) = state.batches.iter().find(same) {
                return Ok(SequenceCheck::Duplicate(*batch));
            }
        }
        if header.producer_epoch < state.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                known: state.epoch,
                found: header.producer_epoch,
            });
        }
        let is_new_epoch = header.producer_epoch > state.epoch;
        let expected = if is_new_epoch { 0 } else { next_sequence(state.last_sequence(), 1) };
        if first == expected {
            Ok(SequenceCheck::Next)
        } else {
            Err(AppendError::OutOfOrderSequence { expected, found: first })
        }
    }

    /// Takes in a batch of the log, whoever appended it: replicas and recovery do not judge (IDM-2, IDM-4).
    /// Control batches carry no sequence. A changed epoch forgets the old batches (IDM-3).
    pub fn note(&mut self, header: &BatchHeader) {
        if !header.has_producer() || header.is_control() {
            return;
        }
        let state = self
            .by_id
            .entry(header.producer_id)
            .or_insert_with(|| ProducerState { epoch: header.producer_epoch, batches: VecDeque::new() });
        if state.epoch != header.producer_epoch {
            state.epoch = header.producer_epoch;
            state.batches.clear();
        }
        if state.batches.len() == BATCHES_KEPT {
            state.batches.pop_front();
        }
        state.batches.push_back(ProducerBatch {
            first_sequence: header.base_sequence,
            last_sequence: last_sequence(header),
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            timestamp: header.max_timestamp,
        });
    }

    /// Forgets producers whose last batch is at least `expiration` old (`producer.id.expiration.ms`, IDM-3).
    pub fn expire(&mut self, now_unix_ms: i64, expiration: Duration) {
        let expiration_ms = i64::try_from(expiration.as_millis()).unwrap_or(i64::MAX);
        let known = self.by_id.len();
        self.by_id.retain(|_, state| now_unix_ms.saturating_sub(state.last_timestamp()) < expiration_ms);
        self.has_forgotten |= self.by_id.len() < known;
    }
}

fn last_sequence(header: &BatchHeader) -> i32 {
    next_sequence(header.base_sequence, header.last_offset_delta)
}

/// `sequence + by`, wrapping from the largest to 0. Source: `DefaultRecordBatch.incrementSequence`.
pub fn next_sequence(sequence: i32, by: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(by);
    let wrapped = if sum > i64::from(i32::MAX) { sum - i64::from(i32::MAX) - 1 } else { sum };
    wrapped as i32
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{NOW, produced};
    use super::*;

    fn header(epoch: ProducerEpoch, sequence: i32, count: usize, base: Offset) -> BatchHeader {
        let bytes = super::super::stamp(produced(9, epoch, sequence, count), base, 0);
        BatchHeader::parse(&bytes).unwrap()
    }

    /// A producer whose batches `(sequence, count)` in epoch 1 are in the log.
    fn after(batches: &[(i32, usize)]) -> ProducerStates {
        let mut states = ProducerStates::default();
        let mut offset = 100;
        for (sequence, count) in batches {
            states.note(&header(1, *sequence, *count, offset));
            offset += *count as i64;
        }
        states
    }

    #[test]
    fn idm_1_one_of_the_last_five_batches_is_a_duplicate_with_its_offsets() {
        let states = after(&[(0, 2), (2, 1), (3, 1), (4, 1), (5, 1), (6, 3)]);
        let Ok(SequenceCheck::Duplicate(batch)) = states.check(&header(1, 2, 1, 0), 0) else {
            panic!("sequence 2 is the oldest of five")
        };
        assert_eq!((batch.base_offset, batch.last_offset), (102, 102));
        assert!(matches!(states.check(&header(1, 6, 3, 0), 0), Ok(SequenceCheck::Duplicate(_))));
        let forgotten = AppendError::OutOfOrderSequence { expected: 9, found: 0 };
        assert_eq!(states.check(&header(1, 0, 2, 0), 0), Err(forgotten));
        let longer = AppendError::OutOfOrderSequence { expected: 9, found: 6 };
        assert_eq!(states.check(&header(1, 6, 2, 0), 0), Err(longer), "both ends have to match");
    }

    #[test]
    fn idm_2_epoch_and_sequence() {
        let states = after(&[(0, 3)]);
        assert_eq!(states.check(&header(1, 3, 1, 0), 0), Ok(SequenceCheck::Next));
        let gap = AppendError::OutOfOrderSequence { expected: 3, found: 4 };
        assert_eq!(states.check(&header(1, 4, 1, 0), 0), Err(gap));
        let old = AppendError::InvalidProducerEpoch { known: 1, found: 0 };
        assert_eq!(states.check(&header(0, 3, 1, 0), 0), Err(old));
        assert_eq!(states.check(&header(2, 0, 1, 0), 0), Ok(SequenceCheck::Next));
        let late = AppendError::OutOfOrderSequence { expected: 0, found: 3 };
        assert_eq!(states.check(&header(2, 3, 1, 0), 0), Err(late));
    }

    #[test]
    fn idm_2_an_unknown_producer_starts_at_0_where_the_log_proves_that_it_never_wrote() {
        let mut states = after(&[(0, 3)]);
        let stranger = BatchHeader { producer_id: 99, ..header(0, 4, 1, 0) };
        let overtaking = AppendError::OutOfOrderSequence { expected: 0, found: 4 };
        assert_eq!(states.check(&stranger, 0), Err(overtaking));
        assert_eq!(states.check(&BatchHeader { base_sequence: 0, ..stranger }, 0), Ok(SequenceCheck::Next));
        assert_eq!(states.check(&stranger, 1), Ok(SequenceCheck::Next), "what it wrote may be deleted");
        states.expire(i64::MAX, Duration::from_millis(1));
        assert_eq!(states.check(&stranger, 0), Ok(SequenceCheck::Next), "it may be forgotten");
    }

    #[test]
    fn idm_2_sequences_wrap_to_zero() {
        assert_eq!(next_sequence(i32::MAX, 1), 0);
        assert_eq!(next_sequence(i32::MAX - 1, 3), 1);
        assert_eq!(next_sequence(4, 0), 4);
        let states = after(&[(i32::MAX - 1, 3)]);
        assert_eq!(states.get(9).unwrap().last_sequence(), 0);
        assert_eq!(states.check(&header(1, 1, 1, 0), 0), Ok(SequenceCheck::Next));
    }

    #[test]
    fn idm_3_another_epoch_forgets_and_time_forgets() {
        let mut states = after(&[(0, 3)]);
        states.note(&header(2, 0, 1, 103));
        assert_eq!(states.get(9).map(|state| (state.epoch, state.batches.len())), Some((2, 1)));
        let (day, now) = (Duration::from_secs(86_400), NOW.as_unix_ms());
        states.expire(now + 86_399_999, day);
        assert!(states.get(9).is_some());
        states.expire(now + 86_400_000, day);
        assert_eq!(states.iter().count(), 0);
    }
}
