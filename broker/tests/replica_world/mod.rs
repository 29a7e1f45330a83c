//! One broker with everything around it played by the story: controller, other brokers, clients, clock, disk.
//!
//! | what happens | meaning |
//! |---|---|
//! | `broker [R01,..] [name=value ..]` | boots broker 1 with defects and settings; brokers 2 and 3 are registered too |
//! | `metadata t/0 leader=2 epoch=3 isr=1,2 [replicas=..] [version=..] [min.insync.replicas=..]` | a committed registration |
//! | `node 2 fenced` / `unfenced` / `epoch=202` | a broker's registration changes |
//! | `delete t` | the topic is gone; the next metadata of that name has another id |
//! | `produce t/0 a,b [acks=1] [timeout=..] [version=..]` | a producer sends one batch |
//! | `fetch 2 t/0 offset=3 epoch=1 last=1 [wait=..] [broker=102]` | broker 2 fetches |
//! | `consume t/0 offset=3 [epoch=..] [wait=..] [min=..] [version=..]` | a consumer fetches |
//! | `offsets t/0 latest [epoch=..] [version=..]`, `end-of-epoch t/0 2` | ListOffsets, OffsetForLeaderEpoch |
//! | `leader t/0 [records=a,b at=4 in=2] [hw=..] [diverging=1@4] [error=..] [start=..] [call=-1] [from=..]` | the leader answers the last fetch |
//! | `leader disconnects` | the last fetch gets no answer |
//! | `controller t/0 isr=1,2 version=5 [epoch=..]` / `error=..` / `controller times out` | the controller answers the last proposal |
//! | `controller is 8`, `controller is gone` | another controller is active, or none |
//! | `wait 500` | milliseconds pass, timers fire |
//! | `close` | the client's connection ends |
//! | `synced`, `shutdown`, `crash`, `power loss` | the disk finishes its syncs; the broker ends and boots again |
//! | `log t/0` | shows the log |

mod answers;
mod requests;
mod show;

use std::collections::BTreeMap;

use broker::config::{BrokerConfig, NodeConfig};
use broker::defects::{Defect, DefectSet};
use broker::ids::{NodeId, Uuid};
use broker::io::{ConnectionId, Disk, Listener};
use broker::log::{BatchBuilder, MemoryDisk};
use broker::metadata::{
    BrokerRegistration, Endpoint, LeaderRecoveryState, MetadataDelta, MetadataImage, PartitionRegistration,
    ResourceType, TopicImage, listener_name,
};
use broker::replica::ReplicaManager;
use broker::rpc::{CallError, Caller, Outbox, Outgoing};
use broker::time::{Duration, Instant};
use broker::wire::ErrorCode;
use broker::wire::messages::*;

const ME: NodeId = NodeId(1);
const CONTROLLER: NodeId = NodeId(9);

#[derive(Default)]
pub struct World {
    broker: Option<ReplicaManager>,
    config: Option<NodeConfig>,
    disk: MemoryDisk,
    image: MetadataImage,
    now: Instant,
    requests: i32,
    topics: u128,
    incarnations: i64,
    last_fetch: Option<(u64, NodeId)>,
    last_proposal: u64,
}

/// The words of a command: plain ones and `name=value`.
struct Words<'a> {
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(command: &'a str) -> Self {
        let (named, plain) = command.split_whitespace().partition::<Vec<_>, _>(|word| word.contains('='));
        Words { plain, named: named.iter().filter_map(|word| word.split_once('=')).collect() }
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.named.get(name).map(|value| value.parse().expect(name))
    }

    fn or(&self, name: &str, default: i64) -> i64 {
        self.number(name).unwrap_or(default)
    }

    fn nodes(&self, name: &str) -> Option<Vec<NodeId>> {
        let ids = self.named.get(name)?.split(',');
        Some(ids.map(|id| NodeId(id.parse().expect(name))).collect())
    }

    fn partition(&self, at: usize) -> (&'a str, i32) {
        let (topic, number) = self.plain[at].split_once('/').expect("topic/partition");
        (topic, number.parse().expect("partition"))
    }

    fn error(&self) -> i16 {
        self.named.get("error").map_or(0, |name| {
            let codes = (-1..150).filter_map(ErrorCode::try_from_code);
            codes.into_iter().find(|code| format!("{code:?}") == *name).expect("an error's name").code()
        })
    }
}

impl World {
    /// Carries out one line and shows all effects.
    pub fn happens(&mut self, command: &str) -> Vec<String> {
        let words = Words::of(command);
        let mut out = Outbox::default();
        match (words.plain[0], words.plain.get(1).copied()) {
            ("broker", _) => self.first_boot(&words, &mut out),
            ("metadata", _) => self.metadata(&words, &mut out),
            ("node", _) => self.node(&words, &mut out),
            ("delete", Some(topic)) => self.delete(topic, &mut out),
            ("produce", _) => self.produce(&words, &mut out),
            ("fetch", _) => self.fetch(&words, &mut out),
            ("consume", _) => self.consume(&words, &mut out),
            ("offsets", _) => self.offsets(&words, &mut out),
            ("end-of-epoch", _) => self.end_of_epoch(&words, &mut out),
            ("leader", Some("disconnects")) => self.leader(Err(CallError::Disconnected), &words, &mut out),
            ("leader", _) => self.leader(Ok(self.fetch_answer(&words)), &words, &mut out),
            ("controller", Some("times")) => self.controller(Err(CallError::TimedOut), &mut out),
            ("controller", Some("refuses")) => {
                let answer = AlterPartitionResponse::default().with_error_code(words.error());
                self.controller(Ok(answer.into()), &mut out);
            }
            ("controller", Some("is")) => {
                let id = words.plain[2].parse().ok().map(NodeId);
                self.with(&mut out, |b, _, now, _, out| b.set_controller(id, now, out));
            }
            ("controller", _) => self.controller(Ok(self.isr_answer(&words)), &mut out),
            ("wait", Some(ms)) => self.wait(ms.parse().expect("milliseconds"), &mut out),
            ("close", _) => self.broker().connection_closed(client()),
            ("synced", _) => self.synced(&mut out),
            ("shutdown", _) => self.with(&mut out, |b, _, now, disk, out| b.shutdown(now, disk, out)),
            ("crash", _) => {
                self.disk.process_crash();
                self.boot(&mut out);
            }
            ("power", _) => {
                self.disk.power_loss(&mut |_| 0);
                self.boot(&mut out);
            }
            ("log", _) => return vec![self.show_log(&words)],
            (other, _) => panic!("nobody knows how to {other}"),
        }
        self.note_calls(&out);
        out.list.iter().filter_map(|effect| show::effect(effect, &self.image)).collect()
    }

    fn broker(&mut self) -> &mut ReplicaManager {
        self.broker.as_mut().expect("a story begins with `broker`")
    }

    fn with(
        &mut self,
        out: &mut Outbox,
        act: impl FnOnce(&mut ReplicaManager, &MetadataImage, Instant, &mut dyn Disk, &mut Outbox),
    ) {
        let broker = self.broker.as_mut().expect("a story begins with `broker`");
        act(broker, &self.image, self.now, &mut self.disk, out);
    }

    fn note_calls(&mut self, out: &Outbox) {
        for effect in &out.list {
            match effect {
                Outgoing::Call(call) if call.caller == Caller::Fetcher => {
                    self.last_fetch = Some((call.id, call.to))
                }
                Outgoing::Call(call) => self.last_proposal = call.id,
                _ => {}
            }
        }
    }

    fn first_boot(&mut self, words: &Words, out: &mut Outbox) {
        let named = words.named.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let defects = words.plain[1..].iter().map(|id| Defect::find(id).expect("a defect"));
        self.config = Some(NodeConfig {
            node_id: ME,
            cluster_id: "story".into(),
            is_broker: true,
            is_controller: false,
            host: "node-1".into(),
            voters: BTreeMap::new(),
            rack: None,
            features: Default::default(),
            broker: BrokerConfig::from_map(&named.collect()).expect("settings"),
            defects: DefectSet::of(defects),
        });
        for id in [2, 3] {
            self.register(NodeId(id), 100 + i64::from(id));
        }
        self.boot(out);
    }

    fn register(&mut self, id: NodeId, broker_epoch: i64) {
        let registration = BrokerRegistration {
            id,
            broker_epoch,
            registration_offset: broker_epoch,
            incarnation_id: Uuid::nil(),
            fenced: false,
            in_controlled_shutdown: false,
            rack: None,
            endpoints: vec![client_endpoint(id)],
            features: BTreeMap::new(),
            log_dirs: Vec::new(),
        };
        self.image.brokers.insert(id, registration);
    }

    /// Boots and registers; nothing is applied before the next `metadata`, `node` or `wait`.
    fn boot(&mut self, out: &mut Outbox) {
        let config = self.config.as_ref().expect("booted before");
        let mut broker = ReplicaManager::boot(config, self.now, &mut self.disk, out).expect("logs that open");
        let epoch = 101 + self.incarnations * 100;
        self.incarnations += 1;
        broker.set_broker_epoch(epoch);
        broker.set_controller(Some(CONTROLLER), self.now, out);
        self.broker = Some(broker);
        self.register(ME, epoch);
    }

    fn apply(&mut self, delta: &MetadataDelta, out: &mut Outbox) {
        self.with(out, |broker, image, now, disk, out| broker.apply(image, delta, now, disk, out));
    }

    fn metadata(&mut self, words: &Words, out: &mut Outbox) {
        let (name, number) = words.partition(1);
        let mut delta = MetadataDelta::default();
        let id = match self.image.topic_id(name) {
            Some(id) => id,
            None => {
                self.topics += 1;
                let id = Uuid::from_u128(self.topics << 64);
                let topic = TopicImage { name: name.into(), id, partitions: BTreeMap::new() };
                self.image.topic_ids.insert(name.into(), id);
                self.image.topics.insert(id, topic);
                id
            }
        };
        if let Some(value) = words.named.get("min.insync.replicas") {
            let configs = self.image.configs.entry((ResourceType::Topic, name.to_string())).or_default();
            configs.insert("min.insync.replicas".into(), value.to_string());
            delta.changed_configs.insert(name.into());
        }
        let partitions = &mut self.image.topics.get_mut(&id).expect("just made").partitions;
        let old = partitions.get(&number).cloned();
        let old_version = old.as_ref().map_or(-1, |old| old.partition_epoch);
        let replicas = words.nodes("replicas").or(old.map(|old| old.replicas));
        let leader = words.or("leader", -1) as i32;
        let registration = PartitionRegistration {
            replicas: replicas.unwrap_or_else(|| vec![NodeId(1), NodeId(2), NodeId(3)]),
            isr: words.nodes("isr").expect("isr"),
            leader: (leader >= 0).then_some(NodeId(leader)),
            leader_epoch: words.number("epoch").expect("epoch") as i32,
            partition_epoch: words.or("version", i64::from(old_version) + 1) as i32,
            leader_recovery_state: LeaderRecoveryState::Recovered,
            adding: Vec::new(),
            removing: Vec::new(),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        };
        partitions.insert(number, registration);
        delta.changed_partitions.insert((id, number));
        self.apply(&delta, out);
    }

    fn node(&mut self, words: &Words, out: &mut Outbox) {
        let id = NodeId(words.plain[1].parse().expect("a node"));
        let registration = self.image.brokers.get_mut(&id).expect("a registered node");
        match words.plain.get(2) {
            Some(&"fenced") => registration.fenced = true,
            Some(&"unfenced") => registration.fenced = false,
            Some(&"leaving") => registration.in_controlled_shutdown = true,
            _ => registration.broker_epoch = words.number("epoch").expect("epoch"),
        }
        self.apply(&MetadataDelta { changed_brokers: [id].into(), ..Default::default() }, out);
    }

    fn delete(&mut self, name: &str, out: &mut Outbox) {
        let id = self.image.topic_ids.remove(name).expect("a topic");
        self.image.topics.remove(&id);
        self.apply(&MetadataDelta { deleted_topics: vec![(id, name.into())], ..Default::default() }, out);
    }

    fn wait(&mut self, ms: u64, out: &mut Outbox) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(at) = self.broker().next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.with(out, |b, image, now, disk, out| b.handle_timer(image, now, disk, out));
        }
        self.now = until;
    }

    fn synced(&mut self, out: &mut Outbox) {
        while !self.disk.pending_syncs().is_empty() {
            for token in self.disk.complete_all() {
                self.with(out, |b, image, now, disk, out| {
                    b.handle_synced(token, &Ok(()), image, now, disk, out);
                });
            }
        }
    }

    fn show_log(&self, words: &Words) -> String {
        let (topic, number) = words.partition(1);
        let broker = self.broker.as_ref().expect("booted");
        match broker.partition(&self.topic_id(topic), number) {
            Some(partition) => show::log(&partition.log, &self.disk),
            None => "no such partition here".to_string(),
        }
    }
}

/// Where clients reach a broker.
fn client_endpoint(id: NodeId) -> Endpoint {
    let name = listener_name(Listener::Client).to_string();
    Endpoint { name, host: format!("b{id}").into(), port: 9092, security_protocol: 0 }
}

fn client() -> ConnectionId {
    ConnectionId::incoming(1)
}

/// One batch with a record for each word.
fn batch(words: &str, base_offset: i64, epoch: i32, now: Instant) -> bytes::Bytes {
    let mut builder = BatchBuilder::new().base_offset(base_offset).leader_epoch(epoch);
    for word in words.split(',').filter(|word| !word.is_empty()) {
        builder.push(now.as_unix_ms(), None, Some(word.as_bytes()), &[]);
    }
    builder.build()
}
