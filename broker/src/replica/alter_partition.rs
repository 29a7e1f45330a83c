//! AlterPartition: one question to the controller at a time, with every waiting proposal in it (KIP-497).

use std::collections::BTreeMap;

use crate::defects::{Defect, DefectSet};
use crate::ids::{BrokerEpoch, NodeId, TopicId};
use crate::io::Listener;
use crate::replica::PartitionKey;
use crate::replica::partition::{IsrAnswer, IsrProposal};
use crate::rpc::{Call, CallResult, Caller, Outbox};
use crate::time::{Duration, Instant};
use crate::wire::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use crate::wire::messages::{AlterPartitionRequest, AlterPartitionResponse};
use crate::wire::{ErrorCode, Response};

/// How long a proposal waits before it is asked again. Source: Kafka's `DefaultAlterPartitionManager` (50 ms).
const RETRY_BACKOFF: Duration = Duration::from_millis(50);

/// The proposals on their way to the controller.
///
/// A proposal stays here until its answer is final. Nothing is ever given up on a time-out: the controller may have
/// applied it, so the same is asked again (REP-9).
#[derive(Debug, Default)]
pub struct AlterPartitions {
    /// The R23 defect: an answer is taken for one to whatever is asked at present.
    takes_any_answer: bool,
    waiting: BTreeMap<PartitionKey, IsrProposal>,
    in_flight: Option<InFlight>,
    calls: u64,
    controller: Option<NodeId>,
    not_before: Instant,
}

#[derive(Debug)]
struct InFlight {
    id: u64,
    sent: Vec<(PartitionKey, u64)>,
}

/// One answered proposal: the partition, the proposal's number, what the controller said.
pub type Answered = (PartitionKey, u64, IsrAnswer);

impl AlterPartitions {
    /// Nothing is proposed yet.
    pub fn new(defects: &DefectSet) -> Self {
        AlterPartitions { takes_any_answer: defects.has(Defect::UnmatchedIsrAnswer), ..Self::default() }
    }

    /// Takes a proposal; it replaces an older one of the same partition.
    pub fn submit(&mut self, key: PartitionKey, proposal: IsrProposal) {
        self.waiting.insert(key, proposal);
    }

    /// The proposal is settled or void. An older number leaves a newer proposal alone.
    pub fn withdraw(&mut self, key: &PartitionKey, number: Option<u64>) {
        if number.is_none_or(|number| self.waiting.get(key).is_some_and(|p| p.number == number)) {
            self.waiting.remove(key);
        }
    }

    /// Another controller is active. A question to the former one is given up; its answer will be passed over.
    pub fn set_controller(&mut self, controller: Option<NodeId>) {
        if controller != self.controller {
            self.controller = controller;
            self.in_flight = None;
            self.not_before = Instant::ZERO;
        }
    }

    /// Asks, if there is something to ask and nothing in flight. Returns when to try again.
    pub fn send(
        &mut self,
        me: NodeId,
        broker_epoch: BrokerEpoch,
        timeout: Duration,
        now: Instant,
        out: &mut Outbox,
    ) -> Option<Instant> {
        if self.in_flight.is_some() || self.waiting.is_empty() || broker_epoch < 0 {
            return None;
        }
        let to = self.controller?;
        if now < self.not_before {
            return Some(self.not_before);
        }
        self.calls += 1;
        let sent = self.waiting.iter().map(|(key, proposal)| (*key, proposal.number)).collect();
        self.in_flight = Some(InFlight { id: self.calls, sent });
        out.call(Call {
            caller: Caller::AlterPartition,
            id: self.calls,
            to,
            listener: Listener::Controller,
            request: self.request(me, broker_epoch).into(),
            timeout,
        });
        None
    }

    fn request(&self, me: NodeId, broker_epoch: BrokerEpoch) -> AlterPartitionRequest {
        let mut topics: Vec<TopicData> = Vec::new();
        for ((topic_id, partition), proposal) in &self.waiting {
            let members = proposal.isr.iter().map(|(id, epoch)| {
                BrokerState::default().with_broker_id(id.0.into()).with_broker_epoch(*epoch)
            });
            let data = PartitionData::default()
                .with_partition_index(*partition)
                .with_leader_epoch(proposal.leader_epoch)
                .with_new_isr_with_epochs(members.collect())
                .with_leader_recovery_state(0)
                .with_partition_epoch(proposal.partition_epoch);
            match topics.last_mut().filter(|topic| topic.topic_id == *topic_id) {
                Some(topic) => topic.partitions.push(data),
                None => {
                    topics.push(TopicData::default().with_topic_id(*topic_id).with_partitions(vec![data]));
                }
            }
        }
        AlterPartitionRequest::default()
            .with_broker_id(me.0.into())
            .with_broker_epoch(broker_epoch)
            .with_topics(topics)
    }

    /// The answer to call `id`. Proposals without an answer of their own stay and are asked again after a pause.
    pub fn answered(&mut self, id: u64, result: CallResult, now: Instant) -> Vec<Answered> {
        let call = match self.in_flight.take_if(|call| call.id == id) {
            Some(call) => call,
            None if self.takes_any_answer => InFlight { id, sent: Vec::new() },
            None => return Vec::new(),
        };
        let answer = match result {
            Ok(Response::AlterPartition(answer)) if answer.error_code == 0 => answer,
            _ => {
                self.pause(now);
                return Vec::new();
            }
        };
        let mut answers = answers_by_partition(&answer);
        if self.takes_any_answer {
            let asked = self.waiting.iter().map(|(key, proposal)| (*key, proposal.number));
            return asked.filter_map(|(key, number)| Some((key, number, answers.remove(&key)?))).collect();
        }
        let answered: Vec<Answered> = call
            .sent
            .iter()
            .filter_map(|(key, number)| answers.remove(key).map(|answer| (*key, *number, answer)))
            .collect();
        if answered.len() < call.sent.len() {
            self.pause(now);
        }
        answered
    }

    /// Waits before asking again.
    pub fn pause(&mut self, now: Instant) {
        self.not_before = now + RETRY_BACKOFF;
    }
}

fn answers_by_partition(answer: &AlterPartitionResponse) -> BTreeMap<(TopicId, i32), IsrAnswer> {
    let mut answers = BTreeMap::new();
    for topic in &answer.topics {
        for data in &topic.partitions {
            let answer = IsrAnswer {
                error: ErrorCode::try_from_code(data.error_code),
                leader_epoch: data.leader_epoch,
                partition_epoch: data.partition_epoch,
                isr: data.isr.iter().map(|id| NodeId(id.0)).collect(),
            };
            answers.insert((topic.topic_id, data.partition_index), answer);
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uuid;
    use crate::wire::messages::alter_partition_response as answers;

    const KEY: PartitionKey = (Uuid::from_u128(7), 0);

    fn proposal(number: u64, isr: &[i32]) -> IsrProposal {
        let isr = isr.iter().map(|id| (NodeId(*id), 100)).collect();
        IsrProposal { number, leader_epoch: 3, partition_epoch: 5, isr }
    }

    fn granted(isr: &[i32]) -> CallResult {
        let data = answers::PartitionData::default()
            .with_leader_epoch(3)
            .with_partition_epoch(6)
            .with_isr(isr.iter().map(|id| (*id).into()).collect());
        let topic = answers::TopicData::default().with_topic_id(KEY.0).with_partitions(vec![data]);
        Ok(AlterPartitionResponse::default().with_topics(vec![topic]).into())
    }

    /// Proposal 1 goes to a controller that is no longer active when it answers; by then proposal 2 is asked. What is
    /// made of that answer.
    fn late_answer(defects: &DefectSet) -> Vec<Answered> {
        let mut alter = AlterPartitions::new(defects);
        let mut out = Outbox::default();
        for (controller, proposal) in [(9, proposal(1, &[1, 2])), (8, proposal(2, &[1, 2, 3]))] {
            alter.set_controller(Some(NodeId(controller)));
            alter.submit(KEY, proposal);
            assert_eq!(alter.send(NodeId(1), 100, Duration::from_secs(30), Instant::ZERO, &mut out), None);
        }
        assert_eq!(out.list.len(), 2, "both were asked");
        alter.answered(1, granted(&[1, 2]), Instant::ZERO)
    }

    #[test]
    fn an_answer_to_what_is_not_asked_any_more_says_nothing() {
        assert_eq!(late_answer(&DefectSet::none()), []);
    }

    #[test]
    fn r23_takes_it_for_the_answer_to_the_next_proposal() {
        let defects = DefectSet::of([Defect::UnmatchedIsrAnswer]);
        let taken = late_answer(&defects);
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].0, taken[0].1, &taken[0].2.isr[..]), (KEY, 2, &[NodeId(1), NodeId(2)][..]));
    }
}
