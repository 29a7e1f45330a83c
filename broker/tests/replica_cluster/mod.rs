//! A small cluster in one place: three brokers, one partition, messages that overtake each other and get lost.

mod checks;
mod controller;

use std::collections::BTreeMap;

use broker::config::{BrokerConfig, NodeConfig};
use broker::defects::DefectSet;
use broker::ids::{NodeId, TopicId, Uuid};
use broker::io::{ConnectionId, Listener};
use broker::log::{BatchBuilder, MemoryDisk};
use broker::metadata::{
    BrokerRegistration, LeaderRecoveryState, MetadataDelta, MetadataImage, PartitionRegistration, TopicImage,
};
use broker::replica::ReplicaManager;
use broker::rpc::{Call, CallError, CallResult, Caller, Outbox, Outgoing, ReplyTo};
use broker::time::{Duration, Instant};
use broker::wire::messages::*;
use broker::wire::{ApiKey, Request, Response, StrBytes};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CONTROLLER: NodeId = NodeId(9);
pub const TOPIC: TopicId = Uuid::from_u128(7);

/// One metadata record, in effect.
#[derive(Clone)]
pub enum Change {
    Broker(BrokerRegistration),
    Partition(PartitionRegistration),
}

pub struct Broker {
    pub manager: ReplicaManager,
    image: MetadataImage,
    applied: usize,
}

/// Something on its way.
pub enum Message {
    Question { from: NodeId, call: Call },
    Answer { to: NodeId, from: NodeId, caller: Caller, id: u64, result: CallResult },
}

pub struct Model {
    rng: ChaCha8Rng,
    now: Instant,
    defects: DefectSet,
    pub brokers: BTreeMap<NodeId, Broker>,
    disks: BTreeMap<NodeId, MemoryDisk>,
    /// The committed metadata: every change in order, and what it comes to.
    changes: Vec<Change>,
    image: MetadataImage,
    pub messages: Vec<Message>,
    /// Questions that a broker has and did not answer yet, by the connection they came on.
    parked: BTreeMap<u64, (NodeId, NodeId, Caller, u64)>,
    connections: u64,
    /// Produces that are not answered yet: the value sent.
    sent: BTreeMap<u64, String>,
    pub acknowledged: BTreeMap<i64, String>,
    produced: u32,
    must_check: bool,
}

fn apply_change(image: &mut MetadataImage, change: &Change) -> MetadataDelta {
    let mut delta = MetadataDelta::default();
    match change {
        Change::Broker(registration) => {
            image.brokers.insert(registration.id, registration.clone());
            delta.changed_brokers.insert(registration.id);
        }
        Change::Partition(registration) => {
            let topic = image.topics.entry(TOPIC).or_insert_with(|| TopicImage {
                name: "t".into(),
                id: TOPIC,
                partitions: BTreeMap::new(),
            });
            topic.partitions.insert(0, registration.clone());
            image.topic_ids.insert("t".into(), TOPIC);
            delta.changed_partitions.insert((TOPIC, 0));
        }
    }
    delta
}

impl Model {
    pub fn new(seed: u64, defects: DefectSet) -> Model {
        let mut model = Model {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: Instant::ZERO,
            defects,
            brokers: BTreeMap::new(),
            disks: BTreeMap::new(),
            changes: Vec::new(),
            image: MetadataImage::default(),
            messages: Vec::new(),
            parked: BTreeMap::new(),
            connections: 0,
            sent: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            produced: 0,
            must_check: false,
        };
        let all: Vec<NodeId> = (1..=3).map(NodeId).collect();
        for id in &all {
            model.disks.insert(*id, MemoryDisk::new());
            model.boot(*id);
            model.unfence(*id);
        }
        model.commit(Change::Partition(PartitionRegistration {
            replicas: all.clone(),
            isr: all,
            leader: Some(NodeId(1)),
            leader_epoch: 0,
            partition_epoch: 0,
            leader_recovery_state: LeaderRecoveryState::Recovered,
            adding: Vec::new(),
            removing: Vec::new(),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        }));
        model
    }

    // ---- brokers ----

    pub fn boot(&mut self, id: NodeId) {
        let values = [
            ("replica.lag.time.max.ms", "2000"),
            ("replica.fetch.backoff.ms", "100"),
            ("replica.fetch.wait.max.ms", "200"),
            ("replica.high.watermark.checkpoint.interval.ms", "1000"),
            ("min.insync.replicas", "2"),
        ];
        let values = values.map(|(name, value)| (name.to_string(), value.to_string()));
        let config = NodeConfig {
            node_id: id,
            cluster_id: "model".into(),
            is_broker: true,
            is_controller: false,
            host: "host".into(),
            voters: BTreeMap::new(),
            rack: None,
            features: Default::default(),
            broker: BrokerConfig::from_map(&BTreeMap::from(values)).expect("settings"),
            defects: self.defects.clone(),
        };
        let epoch = self.changes.len() as i64;
        self.commit(Change::Broker(BrokerRegistration {
            id,
            broker_epoch: epoch,
            registration_offset: epoch,
            incarnation_id: Uuid::nil(),
            fenced: true,
            in_controlled_shutdown: false,
            rack: None,
            endpoints: Vec::new(),
            features: BTreeMap::new(),
            log_dirs: Vec::new(),
        }));
        self.leave(id);
        let disk = self.disks.get_mut(&id).expect("a disk");
        let mut out = Outbox::default();
        let mut manager = ReplicaManager::boot(&config, self.now, disk, &mut out).expect("logs that open");
        manager.set_broker_epoch(epoch);
        manager.set_controller(Some(CONTROLLER), self.now, &mut out);
        self.brokers.insert(id, Broker { manager, image: MetadataImage::default(), applied: 0 });
        self.carry_out(id, out);
    }

    pub fn crash(&mut self, id: NodeId) {
        self.disks.get_mut(&id).expect("a disk").process_crash();
        self.brokers.remove(&id);
        self.messages.retain(|message| match message {
            Message::Question { from, .. } => *from != id,
            Message::Answer { to, .. } => *to != id,
        });
        let broken: Vec<u64> = self
            .parked
            .iter()
            .filter(|(_, (at, from, ..))| *at == id || *from == id)
            .map(|(n, _)| *n)
            .collect();
        for connection in broken {
            let Some((at, to, caller, call)) = self.parked.remove(&connection) else { continue };
            if at == id && to != id {
                let result = Err(CallError::Disconnected);
                self.messages.push(Message::Answer { to, from: at, caller, id: call, result });
            }
        }
        self.boot(id);
    }

    pub fn act(&mut self, id: NodeId, what: impl FnOnce(&mut Broker, Instant, &mut MemoryDisk, &mut Outbox)) {
        let mut out = Outbox::default();
        if let (Some(broker), Some(disk)) = (self.brokers.get_mut(&id), self.disks.get_mut(&id)) {
            what(broker, self.now, disk, &mut out);
        }
        self.carry_out(id, out);
    }

    pub fn carry_out(&mut self, from: NodeId, out: Outbox) {
        for effect in out.list {
            match effect {
                Outgoing::Call(call) => self.messages.push(Message::Question { from, call }),
                Outgoing::Reply { to, response } => self.answered(from, to, response),
                Outgoing::Fact(broker::trace::Observation::Truncated { .. }) => self.must_check = true,
                Outgoing::Halt { reason } => panic!("broker {from} halted: {reason}"),
                _ => {}
            }
        }
    }

    pub fn answered(&mut self, from: NodeId, to: ReplyTo, response: Response) {
        let number = to.correlation_id as u64;
        if let Response::Produce(answer) = &response {
            let data = &answer.responses[0].partition_responses[0];
            if let (Some(value), 0) = (self.sent.remove(&number), data.error_code) {
                self.acknowledged.insert(data.base_offset, value);
                self.must_check = true;
            }
        } else if let Some((_, to, caller, id)) = self.parked.remove(&number) {
            self.messages.push(Message::Answer { to, from, caller, id, result: Ok(response) });
        }
    }

    pub fn reply_to(&mut self, api_key: ApiKey, api_version: i16, listener: Listener) -> ReplyTo {
        self.connections += 1;
        let connection = ConnectionId::incoming(self.connections);
        ReplyTo { connection, correlation_id: self.connections as i32, api_key, api_version, listener }
    }

    // ---- steps ----

    pub fn step(&mut self) {
        let id = NodeId(self.rng.gen_range(1..=3));
        match self.rng.gen_range(0..1000) {
            0..600 => self.deliver(),
            600..780 => self.learn(id),
            780..880 => {
                // Mostly to the leader, sometimes to whom a client may take for it.
                let leader = self.registration().and_then(|state| state.leader);
                let is_to_leader = self.rng.gen_bool(0.8);
                self.produce(leader.filter(|_| is_to_leader).unwrap_or(id));
            }
            880..945 => self.pass_time(),
            945..955 => self.fence(id),
            955..990 => {
                let is_caught_up = |b: &Broker| {
                    self.image.broker(id).is_some_and(|r| b.applied as i64 > r.registration_offset)
                };
                if self.brokers.get(&id).is_some_and(is_caught_up) {
                    self.unfence(id);
                }
            }
            990..993 => self.crash(id),
            993..996 => {
                // The controller moves the leadership, or confirms it in a new epoch.
                if let Some(state) = self.registration().filter(|state| state.leader.is_some()) {
                    self.commit_partition(state, true);
                }
            }
            _ => self.lose(),
        }
    }

    pub fn take_message(&mut self) -> Option<Message> {
        let count = self.messages.len();
        (count > 0).then(|| self.messages.remove(self.rng.gen_range(0..count)))
    }

    pub fn lose(&mut self) {
        let result = Err(CallError::TimedOut);
        match self.take_message() {
            Some(Message::Question { from, call }) => {
                let (caller, id, to) = (call.caller, call.id, call.to);
                self.messages.push(Message::Answer { to: from, from: to, caller, id, result });
            }
            Some(Message::Answer { to, from, caller, id, .. }) => {
                self.messages.push(Message::Answer { to, from, caller, id, result });
            }
            None => {}
        }
    }

    pub fn deliver(&mut self) {
        match self.take_message() {
            Some(Message::Question { from, call }) => match call.request {
                Request::AlterPartition(request) => {
                    let result = Ok(self.alter_partition(&request).into());
                    let (caller, id) = (call.caller, call.id);
                    self.messages.push(Message::Answer { to: from, from: CONTROLLER, caller, id, result });
                }
                Request::Fetch(request) => {
                    let to = self.reply_to(ApiKey::Fetch, 17, Listener::Replication);
                    self.parked.insert(self.connections, (call.to, from, call.caller, call.id));
                    self.act(call.to, |b, now, disk, out| {
                        b.manager.fetch(to, *request, &b.image, now, disk, out);
                    });
                }
                other => panic!("nobody asks {other:?}"),
            },
            Some(Message::Answer { to, from, caller, id, result }) => {
                self.act(to, |b, now, disk, out| {
                    b.manager.handle_result(caller, id, from, result, &b.image, now, disk, out);
                });
            }
            None => {}
        }
    }

    pub fn learn(&mut self, id: NodeId) {
        let count = self.rng.gen_range(1..4);
        for _ in 0..count {
            let Some(broker) = self.brokers.get_mut(&id) else { return };
            let Some(change) = self.changes.get(broker.applied).cloned() else { return };
            broker.applied += 1;
            let delta = apply_change(&mut broker.image, &change);
            self.act(id, |b, now, disk, out| b.manager.apply(&b.image, &delta, now, disk, out));
        }
    }

    pub fn produce(&mut self, id: NodeId) {
        self.produced += 1;
        let value = format!("v{}", self.produced);
        let to = self.reply_to(ApiKey::Produce, 12, Listener::Client);
        self.sent.insert(self.connections, value.clone());
        let mut batch = BatchBuilder::new();
        batch.push(self.now.as_unix_ms(), None, Some(value.as_bytes()), &[]);
        let data = produce_request::PartitionProduceData::default().with_records(Some(batch.build()));
        let topic = produce_request::TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partition_data(vec![data]);
        let request =
            ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic]);
        self.act(id, |b, now, disk, out| b.manager.produce(to, request, &b.image, now, disk, out));
    }

    pub fn pass_time(&mut self) {
        self.now += Duration::from_millis(self.rng.gen_range(1..400));
        for id in (1..=3).map(NodeId) {
            let is_due = |b: &Broker| b.manager.next_deadline().is_some_and(|at| at <= self.now);
            if self.brokers.get(&id).is_some_and(is_due) {
                self.act(id, |b, now, disk, out| b.manager.handle_timer(&b.image, now, disk, out));
            }
        }
    }
}
