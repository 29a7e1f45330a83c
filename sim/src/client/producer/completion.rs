//! What an answer, an error or the passing of time does to a batch (`Sender.completeBatch`).

use std::collections::BTreeMap;

use broker::ids::TopicPartition;
use broker::time::Instant;
use broker::wire::messages::ProduceResponse;
use broker::wire::messages::produce_response::PartitionProduceResponse;
use broker::wire::{ErrorCode, NO_ERROR, Response};

use super::batch::{BatchId, ProducerBatch};
use super::sender::{Producer, Sent};
use crate::client::errors::{means_stale_metadata, refused_before_append};
use crate::client::metadata::LeaderHint;
use crate::client::network::Lost;
use crate::history::HistoryEvent;
use crate::host::Outputs;

impl Producer {
    pub(super) fn on_producer_id(&mut self, result: Result<Response, Lost>, now: Instant) {
        self.id_request.is_asked = false;
        if let (Ok(Response::InitProducerId(given)), Some(sequences)) = (&result, &mut self.sequences)
            && given.error_code == NO_ERROR
        {
            sequences.set_producer(given.producer_id.0, given.producer_epoch);
            self.id_request.failures = 0;
            return;
        }
        // Differs from Kafka: every failure is tried again; the ones that end a Java producer (no authorization) do
        // not exist here.
        self.id_request.failures += 1;
        self.id_request.not_before = now + self.retry.after(self.id_request.failures, &mut self.rng);
    }

    pub(super) fn on_produced(
        &mut self,
        sent: &[Sent],
        result: Result<Response, Lost>,
        now: Instant,
        out: &mut Outputs,
    ) {
        match result {
            Ok(Response::Produce(response)) => {
                let answers: BTreeMap<_, _> = response
                    .responses
                    .iter()
                    .flat_map(|topic| {
                        topic.partition_responses.iter().map(|p| ((topic.topic_id, p.index), p))
                    })
                    .collect();
                self.take_leaders(&response);
                for one in sent {
                    match answers.get(&(one.topic_id, one.partition)) {
                        Some(answer) => self.on_answer(one, answer, now, out),
                        None => self.on_lost(one.batch, Lost::Unreadable, now, out),
                    }
                }
            }
            Ok(_) => sent.iter().for_each(|one| self.on_lost(one.batch, Lost::Unreadable, now, out)),
            Err(why) => sent.iter().for_each(|one| self.on_lost(one.batch, why, now, out)),
        }
    }

    /// Takes in who leads the partitions that were refused (KIP-951).
    fn take_leaders(&mut self, response: &ProduceResponse) {
        for topic in &response.responses {
            let Some(name) = self.cluster.metadata().name_of(topic.topic_id).cloned() else { continue };
            for answer in &topic.partition_responses {
                let (leader, epoch) = (answer.current_leader.leader_id, answer.current_leader.leader_epoch);
                let endpoint = response.node_endpoints.iter().find(|known| known.node_id == leader);
                let endpoint = endpoint.map(|known| (known.host.as_str(), known.port));
                if let Some(hint) = LeaderHint::told(leader.0, epoch, endpoint) {
                    let partition = TopicPartition::new(name.clone(), answer.index);
                    self.cluster.take_leader_hint(&partition, topic.topic_id, &hint);
                }
            }
        }
    }

    fn on_answer(&mut self, sent: &Sent, answer: &PartitionProduceResponse, now: Instant, out: &mut Outputs) {
        let id = sent.batch;
        match ErrorCode::try_from_code(answer.error_code) {
            None => {
                // An offset in a log that is gone names nothing in the topic of the same name that there is now.
                let is_there = answer.base_offset >= 0 && !self.is_replaced(sent);
                self.acknowledge(id, is_there.then_some(answer.base_offset), out);
            }
            Some(error) => {
                if let Some(batch) = self.accumulator.get_mut(id) {
                    batch.is_uncertain |= !refused_before_append(error);
                }
                self.on_refused(id, error, answer.log_start_offset, now, out);
            }
        }
    }

    /// Was the topic that this went to deleted and created again meanwhile, as far as the client knows?
    fn is_replaced(&self, sent: &Sent) -> bool {
        let Some(batch) = self.accumulator.get(sent.batch) else { return false };
        let known = self.cluster.metadata().last_id(&batch.partition.topic);
        known.is_some_and(|known| known != sent.topic_id)
    }

    fn on_lost(&mut self, id: BatchId, why: Lost, now: Instant, out: &mut Outputs) {
        if let Some(batch) = self.accumulator.get_mut(id) {
            batch.is_uncertain = true;
        }
        let error = match why {
            Lost::TimedOut => ErrorCode::RequestTimedOut,
            Lost::Disconnected | Lost::Unreadable => ErrorCode::NetworkException,
        };
        self.on_refused(id, error, -1, now, out);
    }

    fn on_refused(&mut self, id: BatchId, error: ErrorCode, log_start: i64, now: Instant, out: &mut Outputs) {
        if means_stale_metadata(error) {
            self.cluster.request_update();
        }
        // A batch that ran out of time while it was on the wire has ended already.
        let Some(batch) = self.accumulator.get(id) else { return };
        let is_in_time = now - batch.created_at < self.config.delivery_timeout;
        let has_retries = batch.attempts <= self.config.retries;
        if is_in_time && has_retries && self.may_retry(id, error, log_start) {
            return self.try_again(id, now);
        }
        if error == ErrorCode::DuplicateSequenceNumber {
            // The broker appended it but no longer knows where.
            return self.acknowledge(id, None, out);
        }
        self.give_up(id, error, has_retries, out);
    }

    fn may_retry(&mut self, id: BatchId, error: ErrorCode, log_start: i64) -> bool {
        match (&mut self.sequences, self.accumulator.get(id)) {
            (Some(sequences), Some(batch)) => sequences.may_retry(batch, error, log_start),
            _ => error.is_retriable(),
        }
    }

    fn try_again(&mut self, id: BatchId, now: Instant) {
        let Some(batch) = self.accumulator.get(id) else { return };
        let known = self.cluster.metadata().leader(&batch.partition);
        // Another leader than the one that refused is worth an attempt at once (KIP-951).
        let is_elsewhere = known.is_some_and(|(_, epoch)| epoch > batch.leader_epoch);
        let pause = self.retry.after(batch.attempts, &mut self.rng);
        let retry_at = if is_elsewhere { now } else { now + pause };
        self.accumulator.give_back(id, retry_at);
    }

    /// The batch certainly arrived; or, with acks=0, that is all that will ever be known.
    pub(super) fn acknowledge(&mut self, id: BatchId, base_offset: Option<i64>, out: &mut Outputs) {
        let Some(batch) = self.accumulator.remove(id) else { return };
        if let Some(sequences) = &mut self.sequences {
            sequences.on_acked(&batch);
        }
        out.history.push(HistoryEvent::Acked {
            values: batch.values,
            partition: batch.partition,
            acks: self.config.acks,
            is_idempotent: self.sequences.is_some(),
            base_offset,
        });
    }

    fn give_up(&mut self, id: BatchId, error: ErrorCode, has_retries: bool, out: &mut Outputs) {
        let Some(batch) = self.accumulator.remove(id) else { return };
        if let Some(sequences) = &mut self.sequences {
            // When the retries ran out nobody knows whether the sequence was used: it must not be given away again.
            sequences.on_failed(&batch, error, has_retries);
        }
        let is_definite = !batch.is_uncertain;
        report_failure(batch, is_definite, error.to_string(), out);
    }

    /// Gives up every batch that is older than `delivery.timeout.ms`, also on the wire (KIP-91).
    pub(super) fn expire(&mut self, now: Instant, out: &mut Outputs) {
        for id in self.accumulator.older_than(self.config.delivery_timeout, now) {
            let Some(batch) = self.accumulator.remove(id) else { continue };
            if let Some(sequences) = &mut self.sequences {
                sequences.on_failed(&batch, ErrorCode::RequestTimedOut, false);
                if batch.was_given_back() {
                    sequences.on_expired_in_retry(&batch);
                }
            }
            let is_definite = batch.attempts == 0;
            report_failure(batch, is_definite, "delivery.timeout.ms has passed".to_string(), out);
        }
    }
}

fn report_failure(batch: ProducerBatch, is_definite: bool, error: String, out: &mut Outputs) {
    let (partition, values) = (batch.partition, batch.values);
    out.history.push(HistoryEvent::Failed { partition, is_definite, error, values });
}
