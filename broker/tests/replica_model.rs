//! Three brokers, one partition, a controller and an unkind world, drawn from a seed: what was acknowledged must be in the
//! log of every in-sync replica (P-3), and committed prefixes must agree (P-5). Crashes keep the page cache here; what a
//! power failure may cost is judged elsewhere.
//!
//! The same walks with a historic defect switched on must find it: otherwise the model proves nothing.

use std::collections::BTreeMap;

use broker::config::{BrokerConfig, NodeConfig};
use broker::defects::{Defect, DefectSet};
use broker::ids::{NodeId, TopicId, Uuid};
use broker::io::{ConnectionId, Listener};
use broker::log::{BatchBuilder, MemoryDisk, PartitionLog, batches};
use broker::metadata::{
    BrokerRegistration, LeaderRecoveryState, MetadataDelta, MetadataImage, PartitionRegistration, TopicImage,
};
use broker::replica::ReplicaManager;
use broker::rpc::{Call, CallError, CallResult, Caller, Outbox, Outgoing, ReplyTo};
use broker::time::{Duration, Instant};
use broker::wire::messages::*;
use broker::wire::{ApiKey, ErrorCode, Request, Response, StrBytes};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CONTROLLER: NodeId = NodeId(9);
const TOPIC: TopicId = Uuid::from_u128(7);
const STEPS: usize = 1000;

/// One metadata record, in effect.
#[derive(Clone)]
enum Change {
    Broker(BrokerRegistration),
    Partition(PartitionRegistration),
}

struct Broker {
    manager: ReplicaManager,
    image: MetadataImage,
    applied: usize,
}

/// Something on its way.
enum Message {
    Question { from: NodeId, call: Call },
    Answer { to: NodeId, from: NodeId, caller: Caller, id: u64, result: CallResult },
}

struct Model {
    rng: ChaCha8Rng,
    now: Instant,
    defects: DefectSet,
    brokers: BTreeMap<NodeId, Broker>,
    disks: BTreeMap<NodeId, MemoryDisk>,
    /// The committed metadata: every change in order, and what it comes to.
    changes: Vec<Change>,
    image: MetadataImage,
    messages: Vec<Message>,
    /// Questions that a broker has and did not answer yet, by the connection they came on.
    parked: BTreeMap<u64, (NodeId, NodeId, Caller, u64)>,
    connections: u64,
    /// Produces that are not answered yet: the value sent.
    sent: BTreeMap<u64, String>,
    acknowledged: BTreeMap<i64, String>,
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
    fn new(seed: u64, defects: DefectSet) -> Model {
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
        }));
        model
    }

    // ---- the controller ----

    fn commit(&mut self, change: Change) {
        apply_change(&mut self.image, &change);
        self.changes.push(change);
        self.must_check = true;
    }

    fn registration(&self) -> Option<PartitionRegistration> {
        self.image.partition(&TOPIC, 0).cloned()
    }

    /// Commits an ISR, and a leader from it if the present one cannot go on.
    fn commit_partition(&mut self, mut registration: PartitionRegistration, must_elect: bool) {
        let is_fit = |id: &NodeId, registration: &PartitionRegistration| {
            registration.isr.contains(id) && self.image.is_active(*id)
        };
        let leader = registration.leader.filter(|id| !must_elect && is_fit(id, &registration));
        let elected =
            leader.or_else(|| registration.replicas.iter().copied().find(|id| is_fit(id, &registration)));
        if elected != registration.leader || must_elect {
            registration.leader = elected;
            registration.leader_epoch += 1;
        }
        registration.partition_epoch += 1;
        self.commit(Change::Partition(registration));
    }

    fn fence(&mut self, id: NodeId) {
        let Some(broker) = self.image.broker(id).filter(|broker| !broker.fenced) else { return };
        self.commit(Change::Broker(BrokerRegistration { fenced: true, ..broker.clone() }));
        self.leave(id);
    }

    fn leave(&mut self, id: NodeId) {
        let Some(mut registration) = self.registration() else { return };
        if registration.isr.len() > 1 {
            registration.isr.retain(|member| *member != id);
        }
        self.commit_partition(registration, false);
    }

    fn unfence(&mut self, id: NodeId) {
        let Some(broker) = self.image.broker(id).filter(|broker| broker.fenced) else { return };
        self.commit(Change::Broker(BrokerRegistration { fenced: false, ..broker.clone() }));
        if let Some(registration) = self.registration().filter(|state| state.leader.is_none()) {
            self.commit_partition(registration, false);
        }
    }

    fn alter_partition(&mut self, request: &AlterPartitionRequest) -> AlterPartitionResponse {
        let (sender, asked) = (NodeId(request.broker_id.0), &request.topics[0].partitions[0]);
        let current = self.registration().expect("the partition exists");
        let isr: Vec<NodeId> =
            asked.new_isr_with_epochs.iter().map(|member| NodeId(member.broker_id.0)).collect();
        let is_eligible = |member: &alter_partition_request::BrokerState| {
            let broker = self.image.broker(NodeId(member.broker_id.0));
            broker.is_some_and(|broker| {
                broker.is_active()
                    && (member.broker_epoch == -1 || member.broker_epoch == broker.broker_epoch)
            })
        };
        let error = if self.image.broker(sender).is_none_or(|b| b.broker_epoch != request.broker_epoch) {
            return AlterPartitionResponse::default().with_error_code(ErrorCode::StaleBrokerEpoch.code());
        } else if asked.leader_epoch < current.leader_epoch {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if current.leader != Some(sender) || !isr.contains(&sender) {
            Some(ErrorCode::InvalidRequest)
        } else if asked.partition_epoch < current.partition_epoch {
            Some(ErrorCode::InvalidUpdateVersion)
        } else if !asked.new_isr_with_epochs.iter().all(is_eligible) {
            Some(ErrorCode::IneligibleReplica)
        } else {
            None
        };
        if error.is_none() {
            self.commit_partition(PartitionRegistration { isr, ..current }, false);
        }
        let now = self.registration().expect("the partition exists");
        let data = alter_partition_response::PartitionData::default()
            .with_error_code(error.map_or(0, |error| error.code()))
            .with_leader_epoch(now.leader_epoch)
            .with_partition_epoch(now.partition_epoch)
            .with_isr(now.isr.iter().map(|id| id.0.into()).collect());
        let topic =
            alter_partition_response::TopicData::default().with_topic_id(TOPIC).with_partitions(vec![data]);
        AlterPartitionResponse::default().with_topics(vec![topic])
    }

    // ---- brokers ----

    fn boot(&mut self, id: NodeId) {
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

    fn crash(&mut self, id: NodeId) {
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

    fn act(&mut self, id: NodeId, what: impl FnOnce(&mut Broker, Instant, &mut MemoryDisk, &mut Outbox)) {
        let mut out = Outbox::default();
        if let (Some(broker), Some(disk)) = (self.brokers.get_mut(&id), self.disks.get_mut(&id)) {
            what(broker, self.now, disk, &mut out);
        }
        self.carry_out(id, out);
    }

    fn carry_out(&mut self, from: NodeId, out: Outbox) {
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

    fn answered(&mut self, from: NodeId, to: ReplyTo, response: Response) {
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

    fn reply_to(&mut self, api_key: ApiKey, api_version: i16, listener: Listener) -> ReplyTo {
        self.connections += 1;
        let connection = ConnectionId::incoming(self.connections);
        ReplyTo { connection, correlation_id: self.connections as i32, api_key, api_version, listener }
    }

    // ---- steps ----

    fn step(&mut self) {
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

    fn take_message(&mut self) -> Option<Message> {
        let count = self.messages.len();
        (count > 0).then(|| self.messages.remove(self.rng.gen_range(0..count)))
    }

    fn lose(&mut self) {
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

    fn deliver(&mut self) {
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

    fn learn(&mut self, id: NodeId) {
        let count = self.rng.gen_range(1..4);
        for _ in 0..count {
            let Some(broker) = self.brokers.get_mut(&id) else { return };
            let Some(change) = self.changes.get(broker.applied).cloned() else { return };
            broker.applied += 1;
            let delta = apply_change(&mut broker.image, &change);
            self.act(id, |b, now, disk, out| b.manager.apply(&b.image, &delta, now, disk, out));
        }
    }

    fn produce(&mut self, id: NodeId) {
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

    fn pass_time(&mut self) {
        self.now += Duration::from_millis(self.rng.gen_range(1..400));
        for id in (1..=3).map(NodeId) {
            let is_due = |b: &Broker| b.manager.next_deadline().is_some_and(|at| at <= self.now);
            if self.brokers.get(&id).is_some_and(is_due) {
                self.act(id, |b, now, disk, out| b.manager.handle_timer(&b.image, now, disk, out));
            }
        }
    }

    // ---- what must hold ----

    fn log(&self, id: NodeId) -> Option<&PartitionLog> {
        Some(&self.brokers.get(&id)?.manager.partition(&TOPIC, 0)?.log)
    }

    fn content(&self, id: NodeId) -> Option<BTreeMap<i64, String>> {
        let log = self.log(id)?;
        let mut at = log.log_start_offset();
        let mut content = BTreeMap::new();
        while at < log.log_end_offset() {
            let bytes = log.read(at, i64::MAX, usize::MAX, true, &self.disks[&id]).expect("readable");
            for batch in batches(bytes) {
                for record in batch.expect("whole").records() {
                    let record = record.expect("whole");
                    let value = record.value.unwrap_or_default();
                    content.insert(record.offset, String::from_utf8_lossy(&value).into_owned());
                    at = record.offset + 1;
                }
            }
        }
        Some(content)
    }

    fn check(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.must_check) {
            return Ok(());
        }
        let isr = self.registration().map_or(Vec::new(), |state| state.isr);
        let logs: BTreeMap<NodeId, _> =
            (1..=3).map(NodeId).filter_map(|id| Some((id, self.content(id)?))).collect();
        for id in &isr {
            let Some(log) = logs.get(id) else { continue };
            for (offset, value) in &self.acknowledged {
                if log.get(offset) != Some(value) {
                    let found = log.get(offset);
                    return Err(format!(
                        "P-3: in-sync replica {id} has {found:?} at {offset} instead of {value}"
                    ));
                }
            }
        }
        for (a, log_a) in &logs {
            for (b, log_b) in logs.range((std::ops::Bound::Excluded(*a), std::ops::Bound::Unbounded)) {
                let hw = |id: &NodeId| self.log(*id).map_or(0, |log| log.high_watermark());
                for offset in 0..hw(a).min(hw(b)) {
                    if log_a.get(&offset) != log_b.get(&offset) {
                        return Err(format!("P-5: {a} and {b} differ at {offset}"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A walk without defects, then a kind world: everybody must get in sync again, and a record must be acknowledged.
fn heals(seed: u64) -> Result<(), String> {
    let mut model = Model::new(seed, DefectSet::none());
    for _ in 0..STEPS {
        model.step();
    }
    let acknowledged = model.acknowledged.len();
    for round in 0..2_000 {
        for id in (1..=3).map(NodeId) {
            model.learn(id);
            model.unfence(id);
        }
        while !model.messages.is_empty() {
            model.deliver();
        }
        if round % 200 == 100
            && let Some(leader) = model.registration().and_then(|state| state.leader)
        {
            model.produce(leader);
        }
        model.pass_time();
        model.check()?;
    }
    let state = model.registration().expect("the partition exists");
    let logs: Vec<_> = (1..=3).map(|id| model.content(NodeId(id))).collect();
    if state.isr.len() < 3
        || model.acknowledged.len() == acknowledged
        || logs.iter().any(|log| *log != logs[0])
    {
        let states: Vec<_> =
            (1..=3).map(|id| model.brokers[&NodeId(id)].manager.partition(&TOPIC, 0)).collect();
        return Err(format!("seed {seed}: not healed: {state:?}\n{states:#?}"));
    }
    Ok(())
}

/// One walk: how many records were acknowledged, or what broke.
fn walk(seed: u64, defects: DefectSet) -> Result<usize, String> {
    let mut model = Model::new(seed, defects);
    for step in 0..STEPS {
        model.step();
        model.check().map_err(|what| format!("seed {seed}, step {step}: {what}"))?;
    }
    Ok(model.acknowledged.len())
}

#[test]
fn what_was_acknowledged_is_never_lost() {
    let mut acknowledged = 0;
    for seed in 0..300 {
        acknowledged += walk(seed, DefectSet::none()).unwrap();
    }
    assert!(acknowledged > 300, "only {acknowledged} records were acknowledged: the walks prove nothing");
}

#[test]
fn a_kind_world_heals_everything() {
    for seed in 0..60 {
        heals(seed).unwrap();
    }
}

/// The first seed in `seeds` whose walk finds the defect.
fn found_within(mut seeds: std::ops::Range<u64>, defect: Defect) -> Option<String> {
    seeds.find_map(|seed| walk(seed, DefectSet::of([defect])).err())
}

#[test]
fn truncation_to_the_high_watermark_is_found() {
    assert!(found_within(0..50, Defect::TruncateToHighWatermark).is_some());
}

#[test]
fn joining_below_the_epoch_start_is_found() {
    assert!(found_within(0..50, Defect::IsrExpandIgnoresEpochStart).is_some());
}

#[test]
fn a_high_watermark_without_the_maximal_isr_is_found() {
    assert!(found_within(0..50, Defect::NoMaximalIsr).is_some());
}
