//! A few controllers on one metadata log: the log commits when it is told to, and everything that happens is written
//! down as lines of text. After every commit the rules that hold for any history are checked (P-10, P-11, CTL-1).

use std::collections::BTreeMap;

use broker::config::{BrokerConfig, NodeConfig};
use broker::controller::Controller;
use broker::defects::DefectSet;
use broker::ids::{NodeId, Offset, TopicId, Uuid};
use broker::io::{ConnectionId, Listener};
use broker::metadata::{
    CommittedBatch, ELIGIBLE_LEADER_REPLICAS, FEATURES, LeaderRecoveryState, MetadataImage, MetadataLog,
    MetadataRecord, NoOpRecord, NotLeader,
};
use broker::rpc::{Outbox, Outgoing, ReplyTo};
use broker::time::{Duration, Instant};
use broker::trace::{MetadataFact, Observation};
use broker::wire::messages::*;
use broker::wire::{ErrorCode, Request, Response, decode_response, encode_response};
use bytes::Bytes;

/// The metadata log of the quorum, all in one place.
#[derive(Debug, Default)]
pub struct SharedLog {
    batches: Vec<CommittedBatch>,
    committed: usize,
    epoch: i32,
    lines: Vec<String>,
    topics: BTreeMap<TopicId, String>,
}

impl SharedLog {
    fn end(&self) -> Offset {
        self.batches.last().map_or(0, |b| b.last_offset + 1)
    }

    fn topic(&self, id: &TopicId) -> String {
        self.topics.get(id).cloned().unwrap_or_else(|| id.to_string())
    }

    fn describe(&mut self, record: &MetadataRecord) -> String {
        match record {
            MetadataRecord::RegisterBroker(r) => {
                format!("RegisterBroker {} epoch={} fenced={}", r.broker_id, r.broker_epoch, r.fenced)
            }
            MetadataRecord::BrokerRegistrationChange(r) => match r.fenced {
                Some(true) => format!("Fence {}", r.broker_id),
                Some(false) => format!("Unfence {}", r.broker_id),
                None => format!("ControlledShutdown {}", r.broker_id),
            },
            MetadataRecord::Topic(r) => {
                self.topics.insert(r.topic_id, r.name.clone());
                format!("Topic {}", r.name)
            }
            MetadataRecord::RemoveTopic(r) => format!("RemoveTopic {}", self.topic(&r.topic_id)),
            MetadataRecord::Config(r) => {
                format!("Config {} {}={}", r.resource_name, r.name, r.value.as_deref().unwrap_or("-"))
            }
            MetadataRecord::Partition(r) => format!(
                "Partition {}/{} replicas={} isr={} leader={}",
                self.topic(&r.topic_id),
                r.partition,
                list(&r.replicas),
                list(&r.isr),
                node(r.leader)
            ),
            MetadataRecord::PartitionChange(r) => {
                let mut line = format!("PartitionChange {}/{}", self.topic(&r.topic_id), r.partition);
                if let Some(isr) = &r.isr {
                    line += &format!(" isr={}", list(isr));
                }
                if let Some(leader) = r.leader {
                    line += &format!(" leader={}", node(leader));
                }
                let lists = [
                    ("elr", &r.elr),
                    ("last-known", &r.last_known_elr),
                    ("replicas", &r.replicas),
                    ("adding", &r.adding),
                    ("removing", &r.removing),
                ];
                for (name, nodes) in lists {
                    if let Some(nodes) = nodes {
                        line += &format!(" {name}={}", list(nodes));
                    }
                }
                if let Some(state) = r.leader_recovery_state {
                    line += &format!(" {state:?}");
                }
                line
            }
            MetadataRecord::ProducerIds(r) => {
                format!("ProducerIds broker={} next={}", r.broker_id, r.next_producer_id)
            }
            MetadataRecord::FeatureLevel(r) => format!("FeatureLevel {}={}", r.name, r.level),
            MetadataRecord::UnregisterBroker(r) => format!("UnregisterBroker {}", r.broker_id),
            MetadataRecord::NoOp(_) => "NoOp".into(),
        }
    }
}

impl MetadataLog for SharedLog {
    fn append(&mut self, epoch: i32, records: Vec<Bytes>, _now: Instant) -> Result<Offset, NotLeader> {
        if epoch != self.epoch {
            return Err(NotLeader { epoch: self.epoch, leader: None });
        }
        let base_offset = self.end();
        let records: Vec<_> = (base_offset..).zip(records).collect();
        for (offset, bytes) in &records {
            let record = MetadataRecord::decode(bytes.clone()).expect("controllers write what they can read");
            let line = self.describe(&record);
            self.lines.push(format!("log {offset} {line}"));
        }
        let last_offset = base_offset + records.len() as i64 - 1;
        self.batches.push(CommittedBatch { base_offset, last_offset, epoch, records });
        Ok(last_offset)
    }
}

pub fn node(n: Option<NodeId>) -> String {
    n.map_or("none".into(), |n| n.to_string())
}

pub fn list(nodes: &[NodeId]) -> String {
    let ids: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    format!("[{}]", ids.join(","))
}

fn brokers(ids: &[BrokerId]) -> String {
    list(&ids.iter().map(|b| NodeId(b.0)).collect::<Vec<_>>())
}

/// The name of an error code as the stories write it.
pub fn error(code: i16) -> Option<String> {
    ErrorCode::try_from_code(code).map(|e| e.to_string())
}

pub struct World {
    pub log: SharedLog,
    pub now: Instant,
    controllers: BTreeMap<i32, (Controller, usize)>,
    active: Option<i32>,
    correlation: i32,
    before: Option<MetadataImage>,
    is_sound: bool,
}

impl World {
    /// Controllers of a cluster without features.
    pub fn new(ids: &[i32], broker: BrokerConfig) -> World {
        World::with(ids, broker, &[], DefectSet::none())
    }

    /// Controllers of a cluster with these features and historic bugs.
    pub fn with(ids: &[i32], broker: BrokerConfig, features: &[(String, i16)], defects: DefectSet) -> World {
        let mut levels = BTreeMap::from(FEATURES.map(|feature| (feature.name.to_string(), 0)));
        levels.extend(features.iter().cloned());
        let controller = |id: &i32| {
            let config = NodeConfig {
                node_id: NodeId(*id),
                cluster_id: "story".into(),
                is_broker: false,
                is_controller: true,
                host: format!("c{id}").into(),
                voters: BTreeMap::new(),
                rack: None,
                features: levels.clone(),
                broker: broker.clone(),
                defects: defects.clone(),
            };
            (*id, (Controller::new(&config, 7), 0))
        };
        World {
            log: SharedLog::default(),
            now: Instant::ZERO,
            controllers: ids.iter().map(controller).collect(),
            active: None,
            correlation: 0,
            before: None,
            is_sound: defects == DefectSet::none(),
        }
    }

    pub fn active(&self) -> i32 {
        self.active.expect("a controller was elected")
    }

    /// The state that the active controller decides on.
    pub fn current(&self) -> &MetadataImage {
        self.controllers[&self.active()].0.uncommitted_image().expect("the elected controller is active")
    }

    pub fn topic_id(&self, name: &str) -> TopicId {
        let known = self.log.topics.iter().find(|(_, n)| n.as_str() == name);
        known.map_or(Uuid::from_u128(0xdead), |(id, _)| *id)
    }

    /// Everything that happened since the last call.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log.lines)
    }

    /// Makes a controller the active one. `keep_tail`: what the old one wrote and did not see committed survives.
    pub fn elect(&mut self, id: i32, keep_tail: bool) {
        if let Some(old) = self.active.take() {
            let mut out = Outbox::default();
            let now = self.now;
            self.controllers.get_mut(&old).expect("it was elected").0.resigned(now, &mut out);
            self.note(out);
        }
        if !keep_tail {
            self.log.batches.truncate(self.log.committed);
        }
        self.log.epoch += 1;
        let (base, epoch) = (self.log.end(), self.log.epoch);
        self.log.batches.push(CommittedBatch {
            base_offset: base,
            last_offset: base,
            epoch,
            records: Vec::new(),
        });
        self.commit();
        self.active = Some(id);
        let mut out = Outbox::default();
        let (controller, _) = self.controllers.get_mut(&id).expect("the story names its controllers first");
        controller.became_leader(epoch, self.now, &mut self.log, &mut out);
        self.note(out);
    }

    /// The log moves on to another leader, and the active controller does not know yet.
    pub fn depose(&mut self) {
        self.log.epoch += 1;
    }

    /// Another node leads and commits something in place of the tail; the active controller learns of it only by that.
    pub fn overtake(&mut self) {
        self.log.batches.truncate(self.log.committed);
        self.log.epoch += 1;
        let (base, epoch) = (self.log.end(), self.log.epoch);
        let records =
            (base..base + 5).map(|offset| (offset, MetadataRecord::from(NoOpRecord).encode())).collect();
        self.log.batches.push(CommittedBatch { base_offset: base, last_offset: base + 4, epoch, records });
        self.active = None;
        self.commit();
    }

    /// Commits everything written so far and hands it to every controller.
    pub fn commit(&mut self) {
        self.log.committed = self.log.batches.len();
        for id in self.controllers.keys().copied().collect::<Vec<_>>() {
            let mut out = Outbox::default();
            let (controller, delivered) = self.controllers.get_mut(&id).expect("it is a key");
            for batch in &self.log.batches[*delivered..self.log.committed] {
                controller.committed(batch, self.now, &mut out);
            }
            *delivered = self.log.committed;
            // What is committed is a fact for every controller; it is written down once.
            if self.active.unwrap_or(*self.controllers.keys().next().expect("there is a controller")) == id {
                self.note(out);
            }
        }
        self.check();
    }

    /// Lets time pass and wakes the active controller at each deadline on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(id) = self.active {
            let (controller, _) = self.controllers.get_mut(&id).expect("it was elected");
            let Some(due) = controller.next_deadline().filter(|at| *at <= end) else { break };
            self.now = self.now.max(due);
            let mut out = Outbox::default();
            controller.handle_timer(self.now, &mut self.log, &mut out);
            self.note(out);
        }
        self.now = end;
    }

    pub fn ask(&mut self, at: i32, version: i16, request: impl Into<Request>) {
        let request = request.into();
        self.correlation += 1;
        let to = ReplyTo {
            connection: ConnectionId::incoming(1),
            correlation_id: self.correlation,
            api_key: request.api_key(),
            api_version: version,
            listener: Listener::Controller,
        };
        let mut out = Outbox::default();
        let (controller, _) = self.controllers.get_mut(&at).expect("the story names its controllers first");
        controller.handle_request(to, request, self.now, &mut self.log, &mut out);
        self.note(out);
    }

    fn note(&mut self, out: Outbox) {
        for item in out.list {
            let line = match item {
                Outgoing::Reply { to, response } => {
                    // Whatever the version of the question: the answer can be said in it.
                    let frame = encode_response(&response, to.api_version, to.correlation_id);
                    let frame = frame.unwrap_or_else(|e| panic!("{to:?}: {response:?}: {e}"));
                    let read = decode_response(to.api_key, to.api_version, frame);
                    assert!(read.is_ok(), "{to:?}: {read:?}");
                    let line = self.describe_reply(&response);
                    format!("reply #{} {line}", to.correlation_id)
                }
                Outgoing::Fact(Observation::ControllerActive { epoch, active }) => {
                    format!("controller active={active} epoch={epoch}")
                }
                Outgoing::Fact(Observation::MetadataCommitted { offset, fact }) => {
                    format!("fact {offset} {}", self.describe_fact(&fact))
                }
                other => format!("{other:?}"),
            };
            self.log.lines.push(line);
        }
    }

    fn describe_fact(&self, fact: &MetadataFact) -> String {
        match fact {
            MetadataFact::PartitionChanged { log, election, state } => {
                let mut line = format!(
                    "{log} leader={} isr={} epochs={}/{} election={election:?} min_isr={}",
                    node(state.leader),
                    list(&state.isr),
                    state.leader_epoch,
                    state.partition_epoch,
                    state.min_isr
                );
                for (name, nodes) in [("elr", &state.elr), ("last-known", &state.last_known_elr)] {
                    if !nodes.is_empty() {
                        line += &format!(" {name}={}", list(nodes));
                    }
                }
                line
            }
            MetadataFact::BrokerRegistered { broker, broker_epoch } => {
                format!("registered {broker} epoch={broker_epoch}")
            }
            MetadataFact::BrokerUnregistered { broker } => format!("unregistered {broker}"),
            MetadataFact::BrokerFenced { broker } => format!("fenced {broker}"),
            MetadataFact::BrokerUnfenced { broker } => format!("unfenced {broker}"),
            MetadataFact::BrokerShuttingDown { broker } => format!("shutting-down {broker}"),
            MetadataFact::ConfigChanged { resource, name, value } => {
                format!("config {resource} {name}={}", value.as_deref().unwrap_or("default"))
            }
            MetadataFact::FeatureChanged { name, level } => format!("feature {name}={level}"),
            MetadataFact::TopicCreated { topic, .. } => format!("created {topic}"),
            MetadataFact::TopicDeleted { topic, .. } => format!("deleted {topic}"),
            MetadataFact::ProducerIdsAllocated { broker, first, size } => {
                format!("producer-ids broker={broker} first={first} size={size}")
            }
        }
    }

    fn describe_reply(&self, response: &Response) -> String {
        match response {
            Response::BrokerRegistration(r) => {
                error(r.error_code).unwrap_or_else(|| format!("registered epoch={}", r.broker_epoch))
            }
            Response::BrokerHeartbeat(r) => error(r.error_code).unwrap_or_else(|| {
                let caught_up = if r.is_caught_up { "caught-up" } else { "behind" };
                let fenced = if r.is_fenced { "fenced" } else { "unfenced" };
                format!("{caught_up} {fenced}{}", if r.should_shut_down { " shut-down" } else { "" })
            }),
            Response::AllocateProducerIds(r) => error(r.error_code)
                .unwrap_or_else(|| format!("producer-ids {}+{}", r.producer_id_start.0, r.producer_id_len)),
            Response::AlterPartition(r) => error(r.error_code).unwrap_or_else(|| {
                let partitions = r.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
                let lines: Vec<String> = partitions
                    .map(|(t, p)| {
                        let what = error(p.error_code).unwrap_or_else(|| {
                            let (isr, leader) = (brokers(&p.isr), p.leader_id.0);
                            let epochs = format!("{}/{}", p.leader_epoch, p.partition_epoch);
                            let recovering = if p.leader_recovery_state == 1 { " recovering" } else { "" };
                            format!("leader={leader} isr={isr} epochs={epochs}{recovering}")
                        });
                        format!("{}/{} {what}", self.log.topic(&t.topic_id), p.partition_index)
                    })
                    .collect();
                lines.join("; ")
            }),
            Response::CreateTopics(r) => {
                let topics: Vec<String> = r
                    .topics
                    .iter()
                    .map(|t| match error(t.error_code) {
                        Some(e) => {
                            let why = t.error_message.as_ref().map_or(String::new(), |m| format!(": {m}"));
                            format!("{} {e}{why}", t.name.as_str())
                        }
                        None => {
                            let (n, rf) = (t.num_partitions, t.replication_factor);
                            format!("{} partitions={n} rf={rf}", t.name.as_str())
                        }
                    })
                    .collect();
                topics.join("; ")
            }
            Response::ElectLeaders(r) => error(r.error_code).unwrap_or_else(|| {
                let all = r.replica_election_results.iter();
                let partitions = all.flat_map(|t| t.partition_result.iter().map(move |p| (t, p)));
                let lines: Vec<String> = partitions
                    .map(|(t, p)| {
                        let what = error(p.error_code).unwrap_or_else(|| "elected".into());
                        format!("{}/{} {what}", t.topic.as_str(), p.partition_id)
                    })
                    .collect();
                if lines.is_empty() { "nothing to elect".into() } else { lines.join("; ") }
            }),
            Response::DeleteTopics(r) => {
                let name = |n: &Option<TopicName>| n.as_ref().map_or("?".into(), |n| n.0.to_string());
                let topics = r.responses.iter().map(|t| {
                    format!("{} {}", name(&t.name), error(t.error_code).unwrap_or_else(|| "deleted".into()))
                });
                topics.collect::<Vec<_>>().join("; ")
            }
            Response::AlterPartitionReassignments(r) => error(r.error_code).unwrap_or_else(|| {
                let partitions = r.responses.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
                let lines = partitions.map(|(t, p)| {
                    let what = match error(p.error_code) {
                        Some(e) => format!("{e}: {}", p.error_message.as_ref().map_or("", |m| m.as_str())),
                        None => "ok".into(),
                    };
                    format!("{}/{} {what}", t.name.as_str(), p.partition_index)
                });
                lines.collect::<Vec<_>>().join("; ")
            }),
            Response::IncrementalAlterConfigs(r) => {
                let lines = r.responses.iter().map(|resource| {
                    let what = error(resource.error_code).map_or("ok".into(), |e| {
                        format!("{e}: {}", resource.error_message.as_ref().map_or("", |m| m.as_str()))
                    });
                    format!("{:?} {what}", resource.resource_name.as_str())
                });
                lines.collect::<Vec<_>>().join("; ")
            }
            Response::UpdateFeatures(r) => match error(r.error_code) {
                Some(e) => format!("{e}: {}", r.error_message.as_ref().map_or("", |m| m.as_str())),
                None => "features updated".into(),
            },
            Response::ListPartitionReassignments(r) => error(r.error_code).unwrap_or_else(|| {
                let partitions = r.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
                let lines: Vec<String> = partitions
                    .map(|(t, p)| {
                        let (all, adding) = (brokers(&p.replicas), brokers(&p.adding_replicas));
                        let removing = brokers(&p.removing_replicas);
                        let name = t.name.as_str();
                        format!(
                            "{name}/{} replicas={all} adding={adding} removing={removing}",
                            p.partition_index
                        )
                    })
                    .collect();
                if lines.is_empty() { "no reassignment".into() } else { lines.join("; ") }
            }),
            other => format!("{other:?}"),
        }
    }

    /// What must hold after every commit, whatever the history.
    fn check(&mut self) {
        let images: Vec<&MetadataImage> = self.controllers.values().map(|(c, _)| c.image()).collect();
        assert!(images.windows(2).all(|w| w[0] == w[1]), "controllers disagree about what is committed");
        if let Some(active) = self.active.filter(|_| self.is_sound) {
            let (controller, _) = &self.controllers[&active];
            assert_eq!(controller.uncommitted_image(), Some(controller.image()), "CTL-1: nothing is pending");
        }
        let image = images[0].clone();
        if self.is_sound {
            check_image(&image);
        }
        if let Some(before) = &self.before {
            check_step(before, &image);
        }
        self.before = Some(image);
    }
}

/// P-10 ControllerIsrValid.
fn check_image(image: &MetadataImage) {
    for (topic, number, p) in image.partitions() {
        let at = format!("{}/{number}: {p:?}", topic.name);
        let keeps_eligible = image.features.contains_key(ELIGIBLE_LEADER_REPLICAS);
        assert!(!p.isr.is_empty() || keeps_eligible, "P-10 {at}");
        assert!(keeps_eligible || p.elr.is_empty() && p.last_known_elr.is_empty(), "ELR {at}");
        assert!(p.elr.iter().all(|n| p.replicas.contains(n) && !p.isr.contains(n)), "ELR-2 {at}");
        assert!(p.elr.is_empty() || p.isr.len() < p.replicas.len(), "ELR-1 {at}");
        assert!(p.last_known_elr.is_empty() || p.leader.is_none(), "ELR-4 {at}");
        assert!(p.isr.iter().all(|n| p.replicas.contains(n)), "P-10 {at}");
        assert!(p.leader.is_none_or(|l| p.isr.contains(&l)), "P-10 {at}");
        assert!(p.leader.is_none_or(|l| image.is_active(l)), "CTL-5 {at}");
        assert!(
            (p.isr.len() == 1 && !keeps_eligible) || p.isr.iter().all(|n| image.is_active(*n)),
            "P-10 {at}"
        );
        let recovering = p.leader_recovery_state == LeaderRecoveryState::Recovering;
        assert!(!recovering || p.isr.len() <= 1, "KIP-704 {at}");
        assert_eq!(image.topic_id(&topic.name), Some(topic.id));
    }
}

/// P-11 EpochMonotonicity.
fn check_step(before: &MetadataImage, after: &MetadataImage) {
    for (topic, number, old) in before.partitions() {
        let Some(new) = after.partition(&topic.id, number) else { continue };
        let at = format!("P-11 {}/{number}: {old:?} -> {new:?}", topic.name);
        assert!(new.leader_epoch >= old.leader_epoch && new.partition_epoch >= old.partition_epoch, "{at}");
        assert!(new.leader_epoch == old.leader_epoch || new.partition_epoch > old.partition_epoch, "{at}");
        assert!(new.leader == old.leader || new.leader_epoch > old.leader_epoch, "{at}");
        assert!(new == old || new.partition_epoch > old.partition_epoch, "{at}");
    }
    for (id, old) in &before.brokers {
        let new = &after.brokers[id];
        assert!(new.incarnation_id == old.incarnation_id || new.broker_epoch > old.broker_epoch, "P-11 {id}");
        assert!(
            new.incarnation_id != old.incarnation_id || new.broker_epoch == old.broker_epoch,
            "P-11 {id}"
        );
    }
    assert!(after.next_producer_id >= before.next_producer_id, "IDM-5");
}
