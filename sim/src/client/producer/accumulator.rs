//! Queues of batches per partition (`RecordAccumulator`).
//!
//! A batch is *queued* or *on the wire*; both kinds count against `buffer.memory` until they end.

use std::collections::{BTreeMap, VecDeque};

use broker::ids::{LeaderEpoch, TopicPartition};
use broker::log::HEADER_BYTES;
use broker::time::{Duration, Instant, earliest};

use super::batch::{BatchId, NewRecord, ProducerBatch};

#[derive(Debug, Default)]
struct PartitionQueue {
    queued: VecDeque<BatchId>,
    on_wire: usize,
}

/// All unfinished batches of one producer.
#[derive(Debug)]
pub(super) struct Accumulator {
    batch_size: usize,
    linger: Duration,
    buffer_memory: u64,
    used_memory: u64,
    is_exhausted: bool,
    is_closing: bool,
    next_id: BatchId,
    queues: BTreeMap<TopicPartition, PartitionQueue>,
    batches: BTreeMap<BatchId, ProducerBatch>,
}

impl Accumulator {
    pub(super) fn new(batch_size: usize, linger: Duration, buffer_memory: u64) -> Self {
        Accumulator {
            batch_size,
            linger,
            buffer_memory,
            used_memory: 0,
            is_exhausted: false,
            is_closing: false,
            next_id: 0,
            queues: BTreeMap::new(),
            batches: BTreeMap::new(),
        }
    }

    /// Adds a record to its partition's last batch, or to a new one. `None`: `buffer.memory` is used up. Otherwise
    /// whether the last batch is full now.
    pub(super) fn append(
        &mut self,
        partition: &TopicPartition,
        record: NewRecord,
        now: Instant,
    ) -> Option<bool> {
        let size = record.size_bound();
        if !self.queues.contains_key(partition) {
            self.queues.insert(partition.clone(), PartitionQueue::default());
        }
        let queue = self.queues.get_mut(partition)?;
        let last = queue.queued.back().and_then(|id| self.batches.get_mut(id));
        if let Some(batch) = last.filter(|batch| batch.has_room(size, self.batch_size)) {
            batch.push(record);
            return Some(batch.size_bytes >= self.batch_size);
        }
        let memory = self.batch_size.max(HEADER_BYTES + size) as u64;
        if self.used_memory + memory > self.buffer_memory {
            self.is_exhausted = true;
            return None;
        }
        self.used_memory += memory;
        let mut batch = ProducerBatch::new(self.next_id, partition.clone(), memory, now);
        self.next_id += 1;
        batch.push(record);
        let is_full = batch.size_bytes >= self.batch_size;
        queue.queued.push_back(batch.id);
        self.batches.insert(batch.id, batch);
        Some(is_full)
    }

    /// Send what is queued without lingering from now on.
    pub(super) fn close(&mut self) {
        self.is_closing = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Unfinished batches.
    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn get(&self, id: BatchId) -> Option<&ProducerBatch> {
        self.batches.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: BatchId) -> Option<&mut ProducerBatch> {
        self.batches.get_mut(&id)
    }

    /// The first queued batch of a partition.
    pub(super) fn head(&self, partition: &TopicPartition) -> Option<&ProducerBatch> {
        self.batches.get(self.queues.get(partition)?.queued.front()?)
    }

    /// Partitions whose first batch may be sent now.
    pub(super) fn ready(&self, now: Instant) -> Vec<TopicPartition> {
        let is_ready = |queue: &PartitionQueue| self.ready_at(queue).is_some_and(|at| at <= now);
        self.queues
            .iter()
            .filter(|(_, queue)| is_ready(queue))
            .map(|(partition, _)| partition.clone())
            .collect()
    }

    fn ready_at(&self, queue: &PartitionQueue) -> Option<Instant> {
        let head = self.batches.get(queue.queued.front()?)?;
        if let Some(retry_at) = head.retry_at {
            return Some(retry_at);
        }
        let is_full = queue.queued.len() > 1 || head.size_bytes >= self.batch_size;
        let is_at_once = is_full || self.is_closing || self.is_exhausted || head.attempts > 0;
        Some(if is_at_once { head.created_at } else { head.created_at + self.linger })
    }

    /// Does a batch of this partition wait for an answer?
    pub(super) fn is_on_wire(&self, partition: &TopicPartition) -> bool {
        self.queues.get(partition).is_some_and(|queue| queue.on_wire > 0)
    }

    /// Takes the first queued batch of a partition onto the wire.
    pub(super) fn take(&mut self, partition: &TopicPartition) -> Option<&mut ProducerBatch> {
        let queue = self.queues.get_mut(partition)?;
        let batch = self.batches.get_mut(&queue.queued.pop_front()?)?;
        queue.on_wire += 1;
        batch.is_on_wire = true;
        batch.attempts += 1;
        batch.retry_at = None;
        // From here on its sequences are those that the broker sees: a gap before them is a gap.
        batch.is_sequence_reset = false;
        Some(batch)
    }

    /// Puts a batch back into its queue: in the order of sequences if it has one, else at the front.
    pub(super) fn give_back(&mut self, id: BatchId, retry_at: Instant) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        let Some(queue) = self.queues.get_mut(&batch.partition) else { return };
        batch.retry_at = Some(retry_at);
        if batch.is_on_wire {
            batch.is_on_wire = false;
            queue.on_wire -= 1;
        }
        // Ids rise with sequences, also across a restart of the sequences: both follow the order of creation.
        let has_identity = batch.identity.is_some();
        let at =
            if has_identity { queue.queued.iter().take_while(|queued| **queued < id).count() } else { 0 };
        queue.queued.insert(at, id);
    }

    /// A batch that was refused need not wait out its back-off once another leader is known than the one that it was
    /// sent to; `epoch_of` says which leader epoch is known (KIP-951, `hasLeaderChangedForTheOngoingRetry`).
    pub(super) fn leaders_changed(
        &mut self,
        epoch_of: impl Fn(&TopicPartition) -> Option<LeaderEpoch>,
        now: Instant,
    ) {
        for batch in self.batches.values_mut() {
            let is_waiting = batch.retry_at.is_some_and(|at| at > now);
            if is_waiting && epoch_of(&batch.partition).is_some_and(|epoch| epoch > batch.leader_epoch) {
                batch.retry_at = Some(now);
            }
        }
    }

    /// Ends a batch wherever it is.
    pub(super) fn remove(&mut self, id: BatchId) -> Option<ProducerBatch> {
        let batch = self.batches.remove(&id)?;
        if let Some(queue) = self.queues.get_mut(&batch.partition) {
            if batch.is_on_wire {
                queue.on_wire -= 1;
            } else {
                queue.queued.retain(|queued| *queued != id);
            }
        }
        self.used_memory -= batch.memory;
        self.is_exhausted = false;
        Some(batch)
    }

    /// Batches of at least this age, oldest first.
    pub(super) fn older_than(&self, age: Duration, now: Instant) -> Vec<BatchId> {
        self.batches
            .values()
            .take_while(|batch| now - batch.created_at >= age)
            .map(|batch| batch.id)
            .collect()
    }

    /// When the oldest batch was created.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.batches.values().next().map(|batch| batch.created_at)
    }

    /// When a batch that is not ready at `now` becomes ready.
    pub(super) fn next_ready(&self, now: Instant) -> Option<Instant> {
        self.queues
            .values()
            .filter_map(|queue| self.ready_at(queue).filter(|at| *at > now))
            .fold(None, |soonest, at| earliest(soonest, Some(at)))
    }
}
