//! The producer itself, and the loop that sends what is ready (`Sender`).

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::ids::{NO_EPOCH, NodeId, TopicId, TopicPartition};
use broker::io::{Address, Input};
use broker::time::{Instant, earliest};
use broker::wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use broker::wire::messages::{InitProducerIdRequest, ProduceRequest, ProducerId};

use super::accumulator::Accumulator;
use super::batch::{BatchId, NewRecord};
use super::partitioner::Partitioner;
use super::sequences::Sequences;
use crate::client::backoff::Backoff;
use crate::client::cluster::{Cluster, ClusterSettings};
use crate::client::config::ProducerConfig;
use crate::client::network::NetworkSettings;
use crate::history::{Acks, HistoryEvent, Value};
use crate::host::Outputs;
use crate::seed::{ChaCha8Rng, Seed};

/// Why a record was not taken. Nothing was queued; the application may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The topic's partitions are not known yet.
    #[error("topic not present in metadata")]
    NoMetadata,
    /// `buffer.memory` is used up.
    #[error("no room left in buffer.memory")]
    BufferFull,
    /// Never fits into a request: trying again is in vain.
    #[error("record of {size} bytes exceeds the limit of {max}")]
    RecordTooLarge { size: usize, max: u64 },
    /// [`Producer::close`] was called.
    #[error("producer is closed")]
    Closed,
}

impl SendError {
    /// May the same record be taken later? (`KafkaProducer.send` would block.)
    pub fn is_worth_waiting(self) -> bool {
        matches!(self, SendError::NoMetadata | SendError::BufferFull)
    }
}

/// One batch of a produce request that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) topic_id: TopicId,
    pub(super) partition: i32,
    pub(super) batch: BatchId,
}

#[derive(Debug)]
pub(super) enum Ask {
    InitProducerId,
    Produce(Vec<Sent>),
}

/// Asking for a producer id.
#[derive(Debug, Default)]
pub(super) struct IdRequest {
    pub(super) is_asked: bool,
    pub(super) failures: u32,
    pub(super) not_before: Instant,
}

/// A producer. Records go in by [`Producer::send`]; what became of them comes out as history.
pub struct Producer {
    pub(super) config: ProducerConfig,
    pub(super) cluster: Cluster<Ask>,
    pub(super) accumulator: Accumulator,
    pub(super) sequences: Option<Sequences>,
    pub(super) id_request: IdRequest,
    pub(super) retry: Backoff,
    pub(super) rng: ChaCha8Rng,
    partitioner: Partitioner,
    requests: usize,
    /// The metadata by which back-offs were cut short last.
    seen_metadata: u64,
    is_closed: bool,
    now: Instant,
}

impl Producer {
    /// A producer that reaches its cluster through `bootstrap` (`bootstrap.servers`). `name` is its `client.id`.
    pub fn new(config: ProducerConfig, name: &str, bootstrap: &[Address], seed: u64, now: Instant) -> Self {
        let retry = config.retry();
        let settings = ClusterSettings {
            network: NetworkSettings {
                client_id: name.to_string(),
                request_timeout: config.request_timeout,
                reconnect: Backoff { initial: config.reconnect_backoff, max: config.reconnect_backoff_max },
                max_in_flight: config.max_in_flight_requests_per_connection as usize,
            },
            retry,
            metadata_max_age: config.metadata_max_age,
        };
        let batch_size = config.batch_size as usize;
        Producer {
            cluster: Cluster::new(settings, bootstrap, seed),
            accumulator: Accumulator::new(batch_size, config.linger, config.buffer_memory),
            sequences: config.enable_idempotence.then(Sequences::default),
            id_request: IdRequest::default(),
            retry,
            rng: Seed(seed).stream("producer/retry"),
            partitioner: Partitioner::new(batch_size, Seed(seed).stream("producer/partitioner")),
            requests: 0,
            seen_metadata: 0,
            is_closed: false,
            now,
            config,
        }
    }

    /// Takes a record into a batch of the partition that it chooses. Nothing is sent before the next
    /// [`Producer::pump`]. Errors: see [`SendError`]; then the history says nothing of the record.
    pub fn send(
        &mut self,
        now: Instant,
        topic: &Arc<str>,
        key: Option<&[u8]>,
        value: &[u8],
        id: Value,
        out: &mut Outputs,
    ) -> Result<TopicPartition, SendError> {
        if self.is_closed {
            return Err(SendError::Closed);
        }
        let record = NewRecord { id, timestamp_ms: now.as_unix_ms(), key, value };
        let size = record.size_bound() + broker::log::HEADER_BYTES;
        let max = self.config.buffer_memory.min(u64::from(self.config.max_request_size));
        if size as u64 > max {
            return Err(SendError::RecordTooLarge { size, max });
        }
        self.cluster.want(topic);
        let known = self.cluster.metadata().topic(topic).ok_or(SendError::NoMetadata)?;
        let hashed = if self.config.partitioner_ignore_keys { None } else { key };
        let is_keyed = hashed.is_some();
        let number = self.partitioner.choose(topic, known, hashed).ok_or(SendError::NoMetadata)?;
        let partition = TopicPartition::new(topic.clone(), number);
        let is_full = self.accumulator.append(&partition, record, now).ok_or(SendError::BufferFull)?;
        if !is_keyed {
            self.partitioner.appended(topic, size, is_full);
        }
        out.history.push(HistoryEvent::Sent { partition: partition.clone(), value: id });
        Ok(partition)
    }

    /// Asks for the topic's metadata ahead of the first record.
    pub fn want(&mut self, topic: &Arc<str>) {
        self.cluster.want(topic);
    }

    /// Takes no more records; sends what is queued without lingering.
    pub fn close(&mut self) {
        self.is_closed = true;
        self.accumulator.close();
    }

    /// Has every record that was taken come to its end?
    pub fn is_idle(&self) -> bool {
        self.accumulator.is_empty()
    }

    /// Are there more unfinished batches than the window to one topic's leaders can carry? A record more would only wait
    /// in a queue.
    pub fn is_saturated(&self, topic: &str) -> bool {
        let partitions = self.cluster.metadata().topic(topic).map_or(1, |topic| topic.partitions.len());
        let window = self.config.max_in_flight_requests_per_connection as usize + 1;
        self.accumulator.len() > window.saturating_mul(partitions.max(1))
    }

    /// Takes one input, then sends what is ready.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) {
        for answer in self.cluster.step(now, input, out) {
            match answer.tag {
                Ask::InitProducerId => self.on_producer_id(answer.result, now),
                Ask::Produce(sent) => self.on_produced(&sent, answer.result, now, out),
            }
        }
        self.pump(now, out);
    }

    /// Sends what is ready, gives up what is too old. To be called after a run of [`Producer::send`].
    pub fn pump(&mut self, now: Instant, out: &mut Outputs) {
        self.now = now;
        self.expire(now, out);
        self.follow_leaders(now);
        if let Some(sequences) = &mut self.sequences {
            sequences.resolve();
            sequences.raise_epoch(&mut self.accumulator);
            if sequences.producer().is_none() {
                self.ask_producer_id(now, out);
            }
        }
        while self.send_round(now, out) {}
        self.cluster.refresh(now, out);
    }

    /// New metadata may name another leader for what waits to be sent again.
    fn follow_leaders(&mut self, now: Instant) {
        let metadata = self.cluster.metadata();
        if metadata.version() != self.seen_metadata {
            self.seen_metadata = metadata.version();
            let epoch_of = |partition: &TopicPartition| metadata.leader(partition).map(|(_, epoch)| epoch);
            self.accumulator.leaders_changed(epoch_of, now);
        }
    }

    fn ask_producer_id(&mut self, now: Instant, out: &mut Outputs) {
        if self.id_request.is_asked || self.id_request.not_before > now {
            return;
        }
        if let Some(node) = self.cluster.any_ready(now, out) {
            let request = InitProducerIdRequest::default()
                // The default of the message is an empty transactional id, not none.
                .with_transactional_id(None)
                .with_transaction_timeout_ms(i32::MAX)
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1);
            self.id_request.is_asked = true;
            self.cluster.ask(node, request, Ask::InitProducerId, now, out);
        }
    }

    /// One request to every node that has something ready and takes it. Says whether anything went out.
    fn send_round(&mut self, now: Instant, out: &mut Outputs) -> bool {
        let mut by_leader: BTreeMap<NodeId, Vec<TopicPartition>> = BTreeMap::new();
        for partition in self.accumulator.ready(now) {
            match self.cluster.metadata().leader(&partition) {
                Some((node, _)) => by_leader.entry(node).or_default().push(partition),
                None => self.cluster.request_update(),
            }
        }
        let mut is_anything_sent = false;
        for (node, mut partitions) in by_leader {
            if !self.cluster.ready(node, now, out) {
                continue;
            }
            // Another partition goes first each time, so that max.request.size starves none.
            let first = self.requests % partitions.len();
            partitions.rotate_left(first);
            is_anything_sent |= self.send_to(node, &partitions, now, out);
        }
        is_anything_sent
    }

    fn send_to(
        &mut self,
        node: NodeId,
        partitions: &[TopicPartition],
        now: Instant,
        out: &mut Outputs,
    ) -> bool {
        let mut sent = Vec::new();
        let mut topics: BTreeMap<Arc<str>, TopicProduceData> = BTreeMap::new();
        let mut size = 0;
        for partition in partitions {
            let Some(topic_id) = self.cluster.metadata().topic(&partition.topic).map(|topic| topic.topic_id)
            else {
                continue;
            };
            let Some(head) = self.accumulator.head(partition) else { continue };
            if !self.may_send(partition) {
                continue;
            }
            if !sent.is_empty() && size + head.size_bytes > self.config.max_request_size as usize {
                break;
            }
            let Some(batch) = self.accumulator.take(partition) else { continue };
            batch.leader_epoch =
                self.cluster.metadata().leader(partition).map_or(NO_EPOCH, |(_, epoch)| epoch);
            if let Some(sequences) = &mut self.sequences {
                sequences.assign(batch);
            }
            size += batch.size_bytes;
            let data = PartitionProduceData::default()
                .with_index(partition.partition)
                .with_records(Some(batch.encode()));
            sent.push(Sent { topic_id, partition: partition.partition, batch: batch.id });
            topics
                .entry(partition.topic.clone())
                .or_insert_with(|| TopicProduceData::default().with_topic_id(topic_id))
                .partition_data
                .push(data);
        }
        if sent.is_empty() {
            return false;
        }
        self.requests += 1;
        let acks = match self.config.acks {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        };
        let timeout_ms = i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX);
        let request = ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(acks)
            .with_timeout_ms(timeout_ms)
            .with_topic_data(topics.into_values().collect());
        if self.config.acks == Acks::None {
            self.cluster.tell(node, request, now, out);
            for one in sent {
                self.acknowledge(one.batch, None, out);
            }
        } else {
            self.cluster.ask(node, request, Ask::Produce(sent), now, out);
        }
        true
    }

    /// With one request in flight per connection a partition waits for its answer even if its leader moves meanwhile
    /// (`guaranteeMessageOrder`); idempotence keeps the order by sequences.
    fn may_send(&self, partition: &TopicPartition) -> bool {
        let is_muted =
            self.config.max_in_flight_requests_per_connection == 1 && self.accumulator.is_on_wire(partition);
        let head = self.accumulator.head(partition);
        let is_in_order = match (&self.sequences, head) {
            (Some(sequences), Some(batch)) => sequences.may_send(batch),
            _ => true,
        };
        !is_muted && is_in_order
    }

    /// When the producer wants `Input::TimerDue`.
    pub fn next_deadline(&self) -> Option<Instant> {
        let expiry = self.accumulator.oldest().map(|at| at + self.config.delivery_timeout);
        let is_id_needed = self.sequences.as_ref().is_some_and(|sequences| sequences.producer().is_none());
        let id_at = self.id_request.not_before;
        let id = (is_id_needed && !self.id_request.is_asked && id_at > self.now).then_some(id_at);
        let own = earliest(earliest(expiry, id), self.accumulator.next_ready(self.now));
        earliest(own, self.cluster.next_deadline())
    }
}
