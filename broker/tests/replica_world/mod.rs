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

mod show;

use std::collections::BTreeMap;

use broker::config::{BrokerConfig, NodeConfig};
use broker::defects::{Defect, DefectSet};
use broker::ids::{NodeId, TopicId, Uuid};
use broker::io::{ConnectionId, Disk, Listener};
use broker::log::{BatchBuilder, MemoryDisk};
use broker::metadata::{
    BrokerRegistration, LeaderRecoveryState, MetadataDelta, MetadataImage, PartitionRegistration,
    ResourceType, TopicImage,
};
use broker::replica::ReplicaManager;
use broker::rpc::{CallError, CallResult, Caller, Outbox, Outgoing, ReplyTo};
use broker::time::{Duration, Instant, WORLD_BEGINS_UNIX_MS};
use broker::wire::messages::*;
use broker::wire::{ApiKey, ErrorCode, Response, StrBytes};

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
            endpoints: Vec::new(),
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

    fn reply_to(&mut self, api_key: ApiKey, api_version: i64, listener: Listener) -> ReplyTo {
        self.requests += 1;
        let (correlation_id, api_version) = (self.requests, api_version as i16);
        ReplyTo { connection: client(), correlation_id, api_key, api_version, listener }
    }

    fn topic_id(&self, name: &str) -> TopicId {
        self.image.topic_id(name).unwrap_or(Uuid::from_u128(77))
    }

    fn produce(&mut self, words: &Words, out: &mut Outbox) {
        let (topic, number) = words.partition(1);
        let to = self.reply_to(ApiKey::Produce, words.or("version", 12), Listener::Client);
        let records = batch(words.plain.get(2).unwrap_or(&""), 0, 0, self.now);
        let data =
            produce_request::PartitionProduceData::default().with_index(number).with_records(Some(records));
        let topic = produce_request::TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_string())))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(words.or("acks", -1) as i16)
            .with_timeout_ms(words.or("timeout", 30_000) as i32)
            .with_topic_data(vec![topic]);
        self.with(out, |b, image, now, disk, out| b.produce(to, request, image, now, disk, out));
    }

    fn fetch_request(&self, words: &Words, at: usize) -> FetchRequest {
        let (topic, number) = words.partition(at);
        let asked = fetch_request::FetchPartition::default()
            .with_partition(number)
            .with_current_leader_epoch(words.or("epoch", -1) as i32)
            .with_fetch_offset(words.number("offset").expect("offset"))
            .with_last_fetched_epoch(words.or("last", -1) as i32)
            .with_partition_max_bytes(words.or("partition-max", 1 << 20) as i32);
        let topic = fetch_request::FetchTopic::default()
            .with_topic_id(self.topic_id(topic))
            .with_topic(TopicName(StrBytes::from_string(topic.to_string())))
            .with_partitions(vec![asked]);
        FetchRequest::default()
            .with_max_wait_ms(words.or("wait", 0) as i32)
            .with_min_bytes(words.or("min", 1) as i32)
            .with_max_bytes(words.or("max", 1 << 20) as i32)
            .with_topics(vec![topic])
    }

    fn fetch(&mut self, words: &Words, out: &mut Outbox) {
        let follower: i32 = words.plain[1].parse().expect("a broker");
        let state = fetch_request::ReplicaState::default()
            .with_replica_id(follower.into())
            .with_replica_epoch(words.or("broker", i64::from(follower) + 100));
        let request = self.fetch_request(words, 2).with_replica_state(state);
        let to = self.reply_to(ApiKey::Fetch, 17, Listener::Replication);
        self.with(out, |b, image, now, disk, out| b.fetch(to, request, image, now, disk, out));
    }

    fn consume(&mut self, words: &Words, out: &mut Outbox) {
        let request = self.fetch_request(words, 1);
        let to = self.reply_to(ApiKey::Fetch, words.or("version", 17), Listener::Client);
        self.with(out, |b, image, now, disk, out| b.fetch(to, request, image, now, disk, out));
    }

    fn offsets(&mut self, words: &Words, out: &mut Outbox) {
        let (topic, number) = words.partition(1);
        let timestamp = match words.plain[2] {
            "latest" => -1,
            "earliest" => -2,
            "max-timestamp" => -3,
            ms => WORLD_BEGINS_UNIX_MS + ms.parse::<i64>().expect("milliseconds"),
        };
        let asked = list_offsets_request::ListOffsetsPartition::default()
            .with_partition_index(number)
            .with_current_leader_epoch(words.or("epoch", -1) as i32)
            .with_timestamp(timestamp);
        let topic = list_offsets_request::ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_string())))
            .with_partitions(vec![asked]);
        let replica = (words.or("replica", -1) as i32).into();
        let request = ListOffsetsRequest::default().with_replica_id(replica).with_topics(vec![topic]);
        let to = self.reply_to(ApiKey::ListOffsets, words.or("version", 9), Listener::Client);
        self.with(out, |b, image, _, disk, out| b.list_offsets(to, request, image, disk, out));
    }

    fn end_of_epoch(&mut self, words: &Words, out: &mut Outbox) {
        let (topic, number) = words.partition(1);
        let asked = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
            .with_partition(number)
            .with_current_leader_epoch(words.or("epoch", -1) as i32)
            .with_leader_epoch(words.plain[2].parse().expect("an epoch"));
        let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
            .with_topic(TopicName(StrBytes::from_string(topic.to_string())))
            .with_partitions(vec![asked]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
        let to = self.reply_to(ApiKey::OffsetForLeaderEpoch, 4, Listener::Client);
        self.with(out, |b, image, _, _, out| b.offset_for_leader_epoch(to, request, image, out));
    }

    fn fetch_answer(&self, words: &Words) -> Response {
        let (topic, number) = words.partition(1);
        let mut data = fetch_response::PartitionData::default()
            .with_partition_index(number)
            .with_error_code(words.error())
            .with_high_watermark(words.or("hw", 0))
            .with_log_start_offset(words.or("start", 0));
        if let Some(records) = words.named.get("records") {
            let at = words.number("at").expect("at: the first record's offset");
            data.records = Some(batch(records, at, words.number("in").expect("in: epoch") as i32, self.now));
        }
        if let Some((epoch, end)) = words.named.get("diverging").and_then(|d| d.split_once('@')) {
            data.diverging_epoch = fetch_response::EpochEndOffset::default()
                .with_epoch(epoch.parse().expect("epoch"))
                .with_end_offset(end.parse().expect("end"));
        }
        let topic = fetch_response::FetchableTopicResponse::default()
            .with_topic_id(self.topic_id(topic))
            .with_partitions(vec![data]);
        FetchResponse::default().with_responses(vec![topic]).into()
    }

    fn leader(&mut self, result: CallResult, words: &Words, out: &mut Outbox) {
        let (last, to) = self.last_fetch.expect("a fetch was sent");
        let id = last.wrapping_add_signed(words.or("call", 0));
        let from = words.number("from").map_or(to, |id| NodeId(id as i32));
        self.with(out, |b, image, now, disk, out| {
            b.handle_result(Caller::Fetcher, id, from, result, image, now, disk, out);
        });
    }

    fn isr_answer(&self, words: &Words) -> Response {
        let (topic, number) = words.partition(1);
        let isr = words.nodes("isr").unwrap_or_default();
        let data = alter_partition_response::PartitionData::default()
            .with_partition_index(number)
            .with_error_code(words.error())
            .with_leader_id(ME.0.into())
            .with_leader_epoch(words.or("epoch", 1) as i32)
            .with_isr(isr.iter().map(|id| id.0.into()).collect())
            .with_partition_epoch(words.or("version", 0) as i32);
        let topic = alter_partition_response::TopicData::default()
            .with_topic_id(self.topic_id(topic))
            .with_partitions(vec![data]);
        AlterPartitionResponse::default().with_topics(vec![topic]).into()
    }

    fn controller(&mut self, result: CallResult, out: &mut Outbox) {
        let id = self.last_proposal;
        self.with(out, |b, image, now, disk, out| {
            b.handle_result(Caller::AlterPartition, id, CONTROLLER, result, image, now, disk, out);
        });
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
                self.with(out, |b, _, now, disk, out| {
                    b.handle_synced(token, &Ok(()), now, disk, out);
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
