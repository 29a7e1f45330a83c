//! Carries tasks out, one at a time, in the order in which they were given.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use broker::ids::NodeId;
use broker::io::{Address, Input};
use broker::time::{Instant, earliest};
use broker::wire::{ErrorCode, Response};

use super::step::{Progress, Whom};
use super::task::AdminTask;
use super::topics::NewTopic;
use crate::client::backoff::Backoff;
use crate::client::cluster::{Cluster, ClusterSettings};
use crate::client::config::AdminConfig;
use crate::client::network::{Lost, NetworkSettings};
use crate::history::HistoryEvent;
use crate::host::Outputs;
use crate::seed::{ChaCha8Rng, Seed};

/// The task that is under way.
#[derive(Debug)]
struct Work {
    task: AdminTask,
    /// Which of its steps.
    step: usize,
    is_asked: bool,
    /// An answer to this step was lost: it may have been carried out.
    is_repeated: bool,
    failures: u32,
    retry_at: Instant,
}

/// An operator at the keyboard of an admin client. What becomes of each task comes out as history.
///
/// Differs from Kafka's tools: it never gives up on an error that may pass, and it asks another broker when one does not
/// answer.
pub struct Operator {
    cluster: Cluster<()>,
    declared: BTreeMap<Arc<str>, NewTopic>,
    waiting: VecDeque<AdminTask>,
    work: Option<Work>,
    /// Did not answer last time: somebody else is asked first.
    avoided: Option<NodeId>,
    timeout_ms: i32,
    retry: Backoff,
    rng: ChaCha8Rng,
    now: Instant,
}

impl Operator {
    /// An operator of the cluster behind `bootstrap`, who creates topics as they are in `declared`. `name` is the
    /// `client.id`.
    pub fn new(
        config: AdminConfig,
        name: &str,
        bootstrap: &[Address],
        declared: Vec<NewTopic>,
        seed: u64,
    ) -> Self {
        let retry = config.retry();
        let settings = ClusterSettings {
            network: NetworkSettings {
                client_id: name.to_string(),
                request_timeout: config.request_timeout,
                reconnect: Backoff { initial: config.reconnect_backoff, max: config.reconnect_backoff_max },
                max_in_flight: 1,
            },
            retry,
            metadata_max_age: config.metadata_max_age,
        };
        Operator {
            cluster: Cluster::new(settings, bootstrap, seed),
            declared: declared.into_iter().map(|topic| (topic.name.clone(), topic)).collect(),
            waiting: VecDeque::new(),
            work: None,
            avoided: None,
            timeout_ms: i32::try_from(config.request_timeout.as_millis()).unwrap_or(i32::MAX),
            retry,
            rng: Seed(seed).stream("operator/retry"),
            now: Instant::ZERO,
        }
    }

    /// Takes one input: a task, or what the network brings. Then goes on with the work.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) {
        if let Some(task) = AdminTask::from_input(&input) {
            self.waiting.push_back(task);
            self.cluster.request_update();
        } else {
            for answer in self.cluster.step(now, input, out) {
                self.on_answer(answer.node, answer.result, now, out);
            }
        }
        self.pump(now, out);
    }

    /// Goes on with the work.
    pub fn pump(&mut self, now: Instant, out: &mut Outputs) {
        self.now = now;
        if self.work.is_none() {
            self.work = self.waiting.pop_front().map(|task| Work {
                task,
                step: 0,
                is_asked: false,
                is_repeated: false,
                failures: 0,
                retry_at: now,
            });
        }
        self.ask(now, out);
        self.cluster.refresh(now, out);
    }

    fn ask(&mut self, now: Instant, out: &mut Outputs) {
        let Some(work) = self.work.as_ref().filter(|work| !work.is_asked && work.retry_at <= now) else {
            return;
        };
        let Some(step) = work.task.steps.get(work.step) else { return self.end(None, now, out) };
        let Some(request) = step.request(&self.declared, self.timeout_ms) else {
            return self.end(Some(ErrorCode::InvalidRequest), now, out);
        };
        let node = match step.whom() {
            Whom::Anybody => self.cluster.any_ready_but(self.avoided, now, out),
            Whom::Leader(partition) => {
                self.cluster.want(&partition.topic);
                let leader = self.cluster.metadata().leader(&partition).map(|(node, _)| node);
                if leader.is_none() {
                    self.cluster.request_update();
                }
                leader.filter(|node| self.cluster.ready(*node, now, out))
            }
        };
        if let (Some(node), Some(work)) = (node, &mut self.work) {
            work.is_asked = true;
            self.cluster.ask(node, request, (), now, out);
        }
    }

    fn on_answer(&mut self, node: NodeId, result: Result<Response, Lost>, now: Instant, out: &mut Outputs) {
        let Some(work) = &mut self.work else { return };
        work.is_asked = false;
        let Some(step) = work.task.steps.get(work.step) else { return };
        let progress = match &result {
            Ok(response) => step.take(response, work.is_repeated),
            Err(_) => Progress::Again,
        };
        self.avoided = result.is_err().then_some(node);
        match progress {
            Progress::Done => {
                work.step += 1;
                (work.is_repeated, work.failures, work.retry_at) = (false, 0, now);
                if work.step == work.task.steps.len() {
                    self.end(None, now, out);
                }
            }
            Progress::Again => {
                work.is_repeated |= result.is_err() || step.goes_on();
                work.failures = work.failures.saturating_add(1);
                work.retry_at = now + self.retry.after(work.failures, &mut self.rng);
                self.cluster.request_update();
            }
            Progress::Refused(error) => self.end(Some(error), now, out),
        }
    }

    /// The task is over; the next one begins.
    fn end(&mut self, refused: Option<ErrorCode>, now: Instant, out: &mut Outputs) {
        let Some(work) = self.work.take() else { return };
        out.history.push(HistoryEvent::Operated {
            fault: work.task.fault,
            n: work.task.n,
            refused: refused.map(error_name),
        });
        if !self.waiting.is_empty() {
            self.pump(now, out);
        }
    }

    /// When the operator wants `Input::TimerDue`; never while there is nothing to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let work = self.work.as_ref()?;
        let retry = (!work.is_asked && work.retry_at > self.now).then_some(work.retry_at);
        earliest(retry, self.cluster.next_deadline())
    }
}

/// Kafka's name of an error, such as `ELECTION_NOT_NEEDED`.
fn error_name(error: ErrorCode) -> String {
    let mut name = String::new();
    for letter in format!("{error:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use broker::wire::Request;
    use broker::wire::StrBytes;
    use broker::wire::messages::create_partitions_response::CreatePartitionsTopicResult;
    use broker::wire::messages::create_topics_response::CreatableTopicResult;
    use broker::wire::messages::delete_records_response::{
        DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
    };
    use broker::wire::messages::delete_topics_response::DeletableTopicResult;
    use broker::wire::messages::{
        AddRaftVoterResponse, CreatePartitionsResponse, CreateTopicsResponse, DeleteRecordsResponse,
        DeleteTopicsResponse, RemoveRaftVoterResponse, TopicName, UnregisterBrokerResponse,
    };

    use super::super::task::AdminStep;
    use super::*;
    use crate::client::testing::{Asked, FakeCluster, TOPIC, bootstrap, topic};

    fn operator() -> FakeCluster<Operator> {
        let declared = NewTopic {
            name: topic(),
            partitions: 2,
            replication_factor: 3,
            assignments: BTreeMap::new(),
            configs: BTreeMap::new(),
        };
        let config = AdminConfig::default();
        FakeCluster::new(Operator::new(config, "operator", &bootstrap(), vec![declared], 5))
    }

    fn recreate(fault: &str) -> AdminTask {
        let topic = TOPIC.to_owned();
        let steps = vec![AdminStep::DeleteTopic { topic: topic.clone() }, AdminStep::CreateTopic { topic }];
        AdminTask { fault: fault.to_owned(), n: 1, steps }
    }

    fn name() -> TopicName {
        TopicName::from(StrBytes::from_static_str(TOPIC))
    }

    fn deleted(cluster: &mut FakeCluster<Operator>, asked: &Asked, code: i16) {
        let result = DeletableTopicResult::default().with_name(Some(name())).with_error_code(code);
        cluster.answer(asked, DeleteTopicsResponse::default().with_responses(vec![result]));
    }

    fn created(cluster: &mut FakeCluster<Operator>, asked: &Asked, code: i16) {
        let result = CreatableTopicResult::default().with_name(name()).with_error_code(code);
        cluster.answer(asked, CreateTopicsResponse::default().with_topics(vec![result]));
    }

    fn ended(cluster: &FakeCluster<Operator>) -> Vec<(String, Option<String>)> {
        let ends = cluster.history.iter().filter_map(|event| match event {
            HistoryEvent::Operated { fault, refused, .. } => Some((fault.clone(), refused.clone())),
            _ => None,
        });
        ends.collect()
    }

    #[test]
    fn steps_come_in_order_and_what_may_pass_is_tried_again() {
        let mut cluster = operator();
        assert!(cluster.client.next_deadline().is_none(), "there is nothing to do");
        cluster.input(recreate("again").to_input());
        cluster.pass_ms(100);
        let asked = cluster.next();
        assert!(matches!(asked.request, Request::DeleteTopics(_)));
        deleted(&mut cluster, &asked, ErrorCode::NotController.code());
        cluster.pass_ms(2_000);
        let asked = cluster.next();
        deleted(&mut cluster, &asked, 0);
        cluster.pass_ms(100);
        let asked = cluster.next();
        let Request::CreateTopics(request) = &asked.request else { panic!("{:?}", asked.request) };
        assert_eq!(request.topics[0].num_partitions, 2);
        assert!(ended(&cluster).is_empty());
        created(&mut cluster, &asked, 0);
        assert_eq!(ended(&cluster), [("again".to_owned(), None)]);
        assert!(cluster.client.next_deadline().is_none());
    }

    #[test]
    fn a_refusal_ends_the_task_and_the_next_one_begins() {
        let mut cluster = operator();
        cluster.input(recreate("one").to_input());
        cluster.input(recreate("two").to_input());
        cluster.pass_ms(100);
        let asked = cluster.next();
        deleted(&mut cluster, &asked, ErrorCode::UnknownTopicOrPartition.code());
        assert_eq!(ended(&cluster), [("one".to_owned(), Some("UNKNOWN_TOPIC_OR_PARTITION".to_owned()))]);
        cluster.pass_ms(100);
        assert!(matches!(cluster.next().request, Request::DeleteTopics(_)));
    }

    #[test]
    fn a_lost_answer_may_mean_that_it_was_done() {
        let mut cluster = operator();
        cluster.input(recreate("again").to_input());
        cluster.pass_ms(100);
        let asked = cluster.next();
        let silent = asked.broker;
        cluster.hang_up(&asked);
        cluster.pass_ms(2_000);
        let asked = cluster.next();
        assert_ne!(asked.broker, silent, "somebody else is asked");
        deleted(&mut cluster, &asked, ErrorCode::UnknownTopicOrPartition.code());
        cluster.pass_ms(100);
        assert!(matches!(cluster.next().request, Request::CreateTopics(_)));
    }

    #[test]
    fn records_are_deleted_by_whoever_leads_the_partition() {
        let mut cluster = operator();
        cluster.leaders.insert(1, (2, 1));
        let steps = vec![AdminStep::DeleteRecords { topic: TOPIC.to_owned(), partition: 1, before: 40 }];
        cluster.input(AdminTask { fault: "purge".to_owned(), n: 1, steps }.to_input());
        cluster.pass_ms(2_000);
        let asked = cluster.next();
        let Request::DeleteRecords(request) = &asked.request else { panic!("{:?}", asked.request) };
        assert_eq!((asked.broker, request.topics[0].partitions[0].offset), (2, 40));
        cluster.leaders.insert(1, (3, 2));
        records_deleted(&mut cluster, &asked, ErrorCode::NotLeaderOrFollower.code());
        cluster.pass_ms(2_000);
        let asked = cluster.next();
        assert_eq!(asked.broker, 3);
        records_deleted(&mut cluster, &asked, ErrorCode::OffsetOutOfRange.code());
        assert_eq!(ended(&cluster), [("purge".to_owned(), Some("OFFSET_OUT_OF_RANGE".to_owned()))]);
    }

    #[test]
    fn a_voter_that_votes_since_the_answer_came_too_late_is_added() {
        let mut cluster = operator();
        let steps = vec![AdminStep::AddVoter { controller: 3003, host: "c3".to_owned(), port: 9093 }];
        for fault in ["early", "again"] {
            cluster.input(AdminTask { fault: fault.to_owned(), n: 1, steps: steps.clone() }.to_input());
        }
        cluster.pass_ms(100);
        let timed_out = ErrorCode::RequestTimedOut.code();
        for code in [timed_out, ErrorCode::DuplicateVoter.code(), ErrorCode::DuplicateVoter.code()] {
            let asked = cluster.next();
            let Request::AddRaftVoter(request) = &asked.request else { panic!("{:?}", asked.request) };
            assert_eq!((request.voter_id, request.listeners[0].host.as_str()), (3003, "c3"));
            cluster.answer(&asked, AddRaftVoterResponse::default().with_error_code(code));
            cluster.pass_ms(2_000);
        }
        let twice = Some("DUPLICATE_VOTER".to_owned());
        assert_eq!(ended(&cluster), [("early".to_owned(), None), ("again".to_owned(), twice)]);
    }

    #[test]
    fn what_was_carried_out_before_its_answer_was_lost_is_done() {
        let grow = AdminStep::AddPartitions { topic: TOPIC.to_owned(), count: 4 };
        for (step, code) in [
            (grow, ErrorCode::InvalidPartitions),
            (AdminStep::Unregister { broker: 3 }, ErrorCode::BrokerIdNotRegistered),
            (AdminStep::RemoveVoter { controller: 3000 }, ErrorCode::VoterNotFound),
        ] {
            for is_lost in [false, true] {
                let mut cluster = operator();
                let steps = vec![step.clone()];
                cluster.input(AdminTask { fault: "f".to_owned(), n: 1, steps }.to_input());
                cluster.pass_ms(100);
                if is_lost {
                    let asked = cluster.next();
                    cluster.hang_up(&asked);
                    cluster.pass_ms(2_000);
                }
                let asked = cluster.next();
                let response = refusal(&asked.request, code.code());
                cluster.answer(&asked, response);
                let refused = (!is_lost).then(|| error_name(code));
                assert_eq!(ended(&cluster), [("f".to_owned(), refused)], "{step:?}");
            }
        }
    }

    fn refusal(request: &Request, code: i16) -> Response {
        match request {
            Request::CreatePartitions(request) => {
                assert_eq!((request.topics[0].count, &request.topics[0].assignments), (4, &None));
                let result = CreatePartitionsTopicResult::default().with_error_code(code);
                CreatePartitionsResponse::default().with_results(vec![result]).into()
            }
            Request::UnregisterBroker(request) => {
                assert_eq!(request.broker_id.0, 3);
                UnregisterBrokerResponse::default().with_error_code(code).into()
            }
            Request::RemoveRaftVoter(request) => {
                assert_eq!(request.voter_id, 3000);
                RemoveRaftVoterResponse::default().with_error_code(code).into()
            }
            request => panic!("{request:?}"),
        }
    }

    fn records_deleted(cluster: &mut FakeCluster<Operator>, asked: &Asked, code: i16) {
        let partition = DeleteRecordsPartitionResult::default().with_partition_index(1).with_error_code(code);
        let topic = DeleteRecordsTopicResult::default().with_name(name()).with_partitions(vec![partition]);
        cluster.answer(asked, DeleteRecordsResponse::default().with_topics(vec![topic]));
    }

    #[test]
    fn errors_have_kafkas_names() {
        assert_eq!(error_name(ErrorCode::ElectionNotNeeded), "ELECTION_NOT_NEEDED");
        assert_eq!(error_name(ErrorCode::NotLeaderOrFollower), "NOT_LEADER_OR_FOLLOWER");
    }
}
