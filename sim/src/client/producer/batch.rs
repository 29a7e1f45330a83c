//! One batch on its way from the application to a partition (`ProducerBatch`).

use broker::ids::{LeaderEpoch, NO_EPOCH, ProducerEpoch, ProducerId, TopicPartition};
use broker::log::{BatchBuilder, HEADER_BYTES};
use broker::time::Instant;
use bytes::Bytes;

use crate::history::Value;

/// Numbers batches of one producer in the order of creation.
pub(super) type BatchId = u64;

/// A record on its way into a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewRecord<'a> {
    pub(super) id: Value,
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: &'a [u8],
}

impl NewRecord<'_> {
    /// No record of this key and value takes more bytes (`DefaultRecord.recordSizeUpperBound`).
    pub(super) fn size_bound(&self) -> usize {
        const OVERHEAD: usize = 21;
        OVERHEAD + self.key.map_or(0, <[u8]>::len) + self.value.len()
    }
}

/// Under which producer id, epoch and sequence a batch goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) producer_id: ProducerId,
    pub(super) producer_epoch: ProducerEpoch,
    pub(super) base_sequence: i32,
}

/// One batch.
#[derive(Debug)]
pub(super) struct ProducerBatch {
    pub(super) id: BatchId,
    pub(super) partition: TopicPartition,
    /// Identities of its records, in order.
    pub(super) values: Vec<Value>,
    /// The records themselves, already in the form in which they go out.
    builder: BatchBuilder,
    /// Upper bound of its size on the wire.
    pub(super) size_bytes: usize,
    /// What it takes of `buffer.memory`.
    pub(super) memory: u64,
    pub(super) created_at: Instant,
    /// Times that it was sent.
    pub(super) attempts: u32,
    /// The leader epoch that the client knew when it was sent last.
    pub(super) leader_epoch: LeaderEpoch,
    /// Not to be sent again before this.
    pub(super) retry_at: Option<Instant>,
    /// None until it is first sent, or without idempotence.
    pub(super) identity: Option<Identity>,
    /// Its sequence was changed since it was last sent (KIP-360, `reopened`).
    pub(super) is_sequence_reset: bool,
    /// It waits for an answer now.
    pub(super) is_on_wire: bool,
    /// Some attempt may have been appended although no acknowledgement came.
    pub(super) is_uncertain: bool,
}

impl ProducerBatch {
    pub(super) fn new(id: BatchId, partition: TopicPartition, memory: u64, now: Instant) -> Self {
        ProducerBatch {
            id,
            partition,
            values: Vec::new(),
            builder: BatchBuilder::new(),
            size_bytes: HEADER_BYTES,
            memory,
            created_at: now,
            attempts: 0,
            leader_epoch: NO_EPOCH,
            retry_at: None,
            identity: None,
            is_sequence_reset: false,
            is_on_wire: false,
            is_uncertain: false,
        }
    }

    /// May a record of this size be added? The first always may.
    pub(super) fn has_room(&self, size: usize, batch_size: usize) -> bool {
        self.attempts == 0 && (self.values.is_empty() || self.size_bytes + size <= batch_size)
    }

    pub(super) fn push(&mut self, record: NewRecord) {
        self.size_bytes += record.size_bound();
        self.builder.push(record.timestamp_ms, record.key, Some(record.value), &[]);
        self.values.push(record.id);
    }

    /// The batch as bytes, under its present identity.
    pub(super) fn encode(&self) -> Bytes {
        let mut builder = self.builder.clone();
        if let Some(identity) = self.identity {
            builder = builder.producer(identity.producer_id, identity.producer_epoch, identity.base_sequence);
        }
        builder.build()
    }

    /// Was it sent and given back at least once (`inRetry`)?
    pub(super) fn was_given_back(&self) -> bool {
        self.attempts > u32::from(self.is_on_wire)
    }
}
