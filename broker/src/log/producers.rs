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
    pub fn check(&self, header: &BatchHeader) -> Result<SequenceCheck, AppendError> {
        let Some(state) = self.by_id.get(&header.producer_id) else { return Ok(SequenceCheck::Next) };
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
        self.by_id.retain(|_, state| now_unix_ms.saturating_sub(state.last_timestamp()) < expiration_ms);
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
