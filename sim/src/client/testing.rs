//! A scripted cluster for tests of clients: it answers what the test does not want to see (connections, metadata,
//! producer ids) and hands everything else to the test, which answers when and how it likes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use broker::ids::{TopicId, Uuid};
use broker::io::{Address, ConnectionId, Effect, Input};
use broker::time::{Duration, Instant};
use broker::wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use broker::wire::messages::{BrokerId, InitProducerIdResponse, MetadataResponse, ProducerId, TopicName};
use broker::wire::{ErrorCode, Request, RequestHead, Response, StrBytes, decode_request, encode_response};

use crate::history::HistoryEvent;
use crate::host::Outputs;

pub(crate) const TOPIC: &str = "orders";
pub(crate) const TOPIC_ID: TopicId = Uuid::from_u128(77);

/// What the scripted cluster drives.
pub(crate) trait Client {
    fn step(&mut self, now: Instant, input: Input, out: &mut Outputs);
    fn next_deadline(&self) -> Option<Instant>;
}

impl Client for super::Producer {
    fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) {
        super::Producer::step(self, now, input, out);
    }
    fn next_deadline(&self) -> Option<Instant> {
        super::Producer::next_deadline(self)
    }
}

impl Client for super::Consumer {
    fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) {
        super::Consumer::step(self, now, input, out);
    }
    fn next_deadline(&self) -> Option<Instant> {
        super::Consumer::next_deadline(self)
    }
}

impl Client for super::Admin {
    fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) {
        super::Admin::step(self, now, input, out);
    }
    fn next_deadline(&self) -> Option<Instant> {
        super::Admin::next_deadline(self)
    }
}

impl Client for super::Operator {
    fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) {
        super::Operator::step(self, now, input, out);
    }
    fn next_deadline(&self) -> Option<Instant> {
        super::Operator::next_deadline(self)
    }
}

/// A request that waits for the test's answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) connection: ConnectionId,
    pub(crate) broker: i32,
    pub(crate) head: RequestHead,
    pub(crate) request: Request,
}

pub(crate) struct FakeCluster<C> {
    pub(crate) client: C,
    pub(crate) now: Instant,
    pub(crate) asked: VecDeque<Asked>,
    pub(crate) history: Vec<HistoryEvent>,
    /// Partition to (leader, leader epoch).
    pub(crate) leaders: BTreeMap<i32, (i32, i32)>,
    /// Brokers that refuse connections.
    pub(crate) down: BTreeSet<i32>,
    pub(crate) is_topic_known: bool,
    pub(crate) metadata_requests: usize,
    next_producer_id: i64,
    connections: BTreeMap<ConnectionId, i32>,
    /// Requests whose answers the test still owes.
    owed: BTreeMap<ConnectionId, usize>,
    /// Requests that the cluster itself answers, behind what the test owes on the same connection.
    behind: Vec<Asked>,
}

pub(crate) fn topic() -> Arc<str> {
    Arc::from(TOPIC)
}

/// Brokers 1 to 3 as `bootstrap.servers`.
pub(crate) fn bootstrap() -> Vec<Address> {
    (1..=3).map(|id| Address::new(format!("b{id}"), 9092)).collect()
}

pub(crate) fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

impl<C: Client> FakeCluster<C> {
    /// Broker 1 leads partition 0 in epoch 1.
    pub(crate) fn new(client: C) -> Self {
        let mut cluster = Self::resting(client);
        cluster.input(Input::TimerDue);
        cluster
    }

    /// As [`FakeCluster::new`], without a first step of the client.
    pub(crate) fn resting(client: C) -> Self {
        FakeCluster {
            client,
            now: Instant(1_000_000),
            asked: VecDeque::new(),
            history: Vec::new(),
            leaders: BTreeMap::from([(0, (1, 1))]),
            down: BTreeSet::new(),
            is_topic_known: true,
            metadata_requests: 0,
            next_producer_id: 4_000,
            connections: BTreeMap::new(),
            owed: BTreeMap::new(),
            behind: Vec::new(),
        }
    }

    /// Gives the client one input and carries out what follows from it at once.
    pub(crate) fn input(&mut self, input: Input) {
        let mut out = Outputs::default();
        self.client.step(self.now, input, &mut out);
        self.take(out);
    }

    /// Lets the client do something outside of a step.
    pub(crate) fn act<R>(&mut self, act: impl FnOnce(&mut C, Instant, &mut Outputs) -> R) -> R {
        let mut out = Outputs::default();
        let result = act(&mut self.client, self.now, &mut out);
        self.take(out);
        result
    }

    /// Carries out what the client wants done.
    pub(crate) fn take(&mut self, out: Outputs) {
        self.history.extend(out.history);
        for effect in out.effects.list {
            match effect {
                Effect::Connect { connection, to } => {
                    let broker: i32 = to.host.trim_start_matches('b').parse().unwrap();
                    if self.down.contains(&broker) {
                        self.input(Input::ConnectionClosed { connection });
                    } else {
                        self.connections.insert(connection, broker);
                        self.input(Input::ConnectionOpened { connection });
                    }
                }
                Effect::Close { connection } => self.forget(connection),
                Effect::Send { connection, frame } => {
                    let (head, request) = decode_request(frame).unwrap();
                    let broker = self.connections[&connection];
                    self.receive(Asked { connection, broker, head, request });
                }
                Effect::Observe(_) => {}
                Effect::Halt { reason } => panic!("client halted: {reason}"),
            }
        }
    }

    fn forget(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.owed.remove(&connection);
        self.asked.retain(|asked| asked.connection != connection);
        self.behind.retain(|asked| asked.connection != connection);
    }

    fn receive(&mut self, asked: Asked) {
        let is_owed_before = self.owed.contains_key(&asked.connection);
        match &asked.request {
            Request::Metadata(_) | Request::InitProducerId(_) if is_owed_before => self.behind.push(asked),
            Request::Metadata(_) => {
                self.metadata_requests += 1;
                let response = self.metadata();
                self.reply(&asked, response);
            }
            Request::InitProducerId(request) => {
                assert_eq!(request.transactional_id, None, "an empty name is a name");
                self.next_producer_id += 1;
                let response = InitProducerIdResponse::default()
                    .with_producer_id(ProducerId(self.next_producer_id))
                    .with_producer_epoch(0);
                self.reply(&asked, response);
            }
            Request::Produce(request) if request.acks == 0 => self.asked.push_back(asked),
            _ => {
                *self.owed.entry(asked.connection).or_default() += 1;
                self.asked.push_back(asked);
            }
        }
    }

    fn metadata(&self) -> MetadataResponse {
        let brokers = (1..=3).filter(|id| !self.down.contains(id)).map(|id| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(StrBytes::from_string(format!("b{id}")))
                .with_port(9092)
        });
        let partitions = self.leaders.iter().map(|(partition, (leader, epoch))| {
            MetadataResponsePartition::default()
                .with_partition_index(*partition)
                .with_leader_id(BrokerId(*leader))
                .with_leader_epoch(*epoch)
        });
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName::from(StrBytes::from_static_str(TOPIC))));
        let topic = if self.is_topic_known {
            topic.with_topic_id(TOPIC_ID).with_partitions(partitions.collect())
        } else {
            topic.with_error_code(ErrorCode::UnknownTopicOrPartition.code())
        };
        MetadataResponse::default().with_brokers(brokers.collect()).with_topics(vec![topic])
    }

    /// Answers a request; answers on one connection must come in the order of the requests.
    pub(crate) fn answer(&mut self, asked: &Asked, response: impl Into<Response>) {
        if let Some(owed) = self.owed.get_mut(&asked.connection) {
            *owed -= 1;
            if *owed == 0 {
                self.owed.remove(&asked.connection);
            }
        }
        self.reply(asked, response);
        while let Some(i) = self.behind.iter().position(|asked| !self.owed.contains_key(&asked.connection)) {
            let next = self.behind.remove(i);
            self.receive(next);
        }
    }

    fn reply(&mut self, asked: &Asked, response: impl Into<Response>) {
        let frame =
            encode_response(&response.into(), asked.head.api_version, asked.head.correlation_id).unwrap();
        self.input(Input::FrameReceived { connection: asked.connection, frame });
    }

    /// Ends the connection on which this request came.
    pub(crate) fn hang_up(&mut self, asked: &Asked) {
        self.forget(asked.connection);
        self.input(Input::ConnectionClosed { connection: asked.connection });
    }

    /// The oldest request that waits for an answer.
    pub(crate) fn next(&mut self) -> Asked {
        self.asked.pop_front().expect("the client has asked for something")
    }

    /// Lets time pass, firing the client's timers on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..100_000 {
            match self.client.next_deadline().filter(|at| *at <= end) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.input(Input::TimerDue);
                }
                None => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("the client's timers make no progress at {}", self.now);
    }

    /// As [`FakeCluster::pass`], in milliseconds.
    pub(crate) fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }
}
