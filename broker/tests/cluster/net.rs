//! A toy network of whole nodes: fixed latency, in order, disks that sync at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker::config::{BrokerConfig, NodeConfig};
use broker::defects::DefectSet;
use broker::ids::{METADATA_TOPIC, NodeId, TopicId};
use broker::io::{Address, ConnectionId, Disk, Effect, Effects, Input, Listener};
use broker::log::{BatchBuilder, MemoryDisk, batches, list_partitions};
use broker::node::Node;
use broker::time::{Duration, Instant};
use broker::trace::Observation;
use broker::wire::messages::create_topics_request::CreatableTopic;
use broker::wire::messages::fetch_request::{FetchPartition, FetchTopic};
use broker::wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use broker::wire::messages::metadata_request::MetadataRequestTopic;
use broker::wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use broker::wire::messages::*;
use broker::wire::{self, Request, Response, StrBytes};
use bytes::Bytes;

const LATENCY: Duration = Duration::from_micros(300);

/// Client ends of connections belong to this "node".
const CLIENT: NodeId = NodeId(-1);

struct Process {
    config: NodeConfig,
    disk: MemoryDisk,
    node: Option<Node>,
    incarnation: u64,
}

type End = (NodeId, ConnectionId);

pub struct Cluster {
    processes: BTreeMap<NodeId, Process>,
    now: Instant,
    queue: BTreeMap<(Instant, u64), (NodeId, u64, Input)>,
    sequence: u64,
    /// Each end of a connection knows the other end.
    peers: BTreeMap<End, End>,
    next_incoming: u64,
    pub answers: BTreeMap<ConnectionId, Bytes>,
    /// Client connections that the other side closed.
    pub closed: BTreeSet<ConnectionId>,
    next_client_connection: u64,
    /// What becomes of frames between nodes.
    pub tamper: Option<Box<dyn FnMut(Bytes) -> Bytes>>,
    active: Option<NodeId>,
    halted: Vec<NodeId>,
    settings: BrokerConfig,
    /// What nodes said that the metadata below an offset add up to.
    pub digests: BTreeMap<i64, BTreeSet<u64>>,
    /// Who loaded a snapshot, in order.
    pub loaded: Vec<NodeId>,
}

impl Cluster {
    /// Combined mode: the first `controllers` brokers are voters.
    pub fn new(brokers: i32, controllers: i32) -> Cluster {
        Cluster::configured(brokers, controllers, &BrokerConfig::default())
    }

    /// The same with other settings.
    pub fn configured(brokers: i32, controllers: i32, settings: &BrokerConfig) -> Cluster {
        let host = |id: i32| -> Arc<str> { format!("broker-{id}").into() };
        let voters: BTreeMap<NodeId, Address> = (0..controllers)
            .map(|id| (NodeId(id), Address::new(host(id), Listener::Controller.port())))
            .collect();
        let mut cluster = Cluster {
            processes: BTreeMap::new(),
            now: Instant(0),
            queue: BTreeMap::new(),
            sequence: 0,
            peers: BTreeMap::new(),
            next_incoming: 0,
            answers: BTreeMap::new(),
            closed: BTreeSet::new(),
            next_client_connection: 0,
            tamper: None,
            active: None,
            halted: Vec::new(),
            settings: settings.clone(),
            digests: BTreeMap::new(),
            loaded: Vec::new(),
        };
        for id in 0..brokers {
            cluster.join(id, id < controllers, &voters);
        }
        cluster
    }

    fn join(&mut self, id: i32, is_controller: bool, voters: &BTreeMap<NodeId, Address>) {
        let config = NodeConfig {
            node_id: NodeId(id),
            cluster_id: "test-cluster".into(),
            is_broker: true,
            is_controller,
            host: format!("broker-{id}").into(),
            voters: voters.clone(),
            rack: None,
            features: Default::default(),
            broker: self.settings.clone(),
            defects: DefectSet::none(),
        };
        let process = Process { config, disk: MemoryDisk::default(), node: None, incarnation: 0 };
        self.processes.insert(NodeId(id), process);
        self.restart(NodeId(id));
    }

    /// One more broker for the running cluster: its id.
    pub fn add_broker(&mut self) -> NodeId {
        let id = self.processes.len() as i32;
        let voters = self.processes[&NodeId(0)].config.voters.clone();
        self.join(id, false, &voters);
        NodeId(id)
    }

    /// Names of the files of a node's metadata log.
    pub fn metadata_files(&self, id: NodeId) -> Vec<String> {
        self.processes[&id].disk.list(&format!("{METADATA_TOPIC}-0"))
    }

    /// The logs on a broker's disk.
    pub fn logs(&self, id: NodeId) -> Vec<String> {
        list_partitions(&self.processes[&id].disk).iter().map(|log| log.to_string()).collect()
    }

    pub fn restart(&mut self, id: NodeId) {
        let process = self.processes.get_mut(&id).expect("a known node");
        process.incarnation += 1;
        let mut out = Effects::default();
        let seed = process.incarnation * 1000 + id.0 as u64;
        let node = Node::boot(process.config.clone(), &mut process.disk, self.now, seed, &mut out);
        process.node = Some(node.expect("the disk is readable"));
        self.carry_out(id, out);
    }

    pub fn crash(&mut self, id: NodeId) {
        self.processes.get_mut(&id).expect("a known node").node = None;
        let ends: Vec<End> = self.peers.keys().copied().filter(|(node, _)| *node == id).collect();
        for end in ends {
            if let Some(other) = self.peers.remove(&end) {
                self.peers.remove(&other);
                self.post(other.0, LATENCY, Input::ConnectionClosed { connection: other.1 });
            }
        }
    }

    /// The operator's polite request.
    pub fn shut_down(&mut self, id: NodeId) {
        self.deliver(id, Input::ShutdownRequested);
    }

    /// Nodes that ended by themselves, in order.
    pub fn halted(&self) -> &[NodeId] {
        &self.halted
    }

    pub fn active_controller(&self) -> Option<NodeId> {
        self.active
    }

    fn post(&mut self, to: NodeId, delay: Duration, input: Input) {
        let incarnation = self.processes.get(&to).map_or(0, |p| p.incarnation);
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), (to, incarnation, input));
    }

    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.advance(until) {}
        self.now = until;
    }

    /// Carries out the next event up to `until`.
    fn advance(&mut self, until: Instant) -> bool {
        let timer =
            self.processes.iter().filter_map(|(id, p)| Some((p.node.as_ref()?.next_deadline()?, *id))).min();
        let event = self.queue.first_key_value().map(|(key, _)| *key);
        match (event, timer) {
            (Some((at, _)), Some((due, id))) if due.max(self.now) < at => self.timer(due, id, until),
            (Some(key), _) => {
                if key.0 > until {
                    return false;
                }
                let (to, incarnation, input) = self.queue.remove(&key).expect("just seen");
                self.now = self.now.max(key.0);
                if self.processes.get(&to).is_none_or(|p| p.incarnation == incarnation) {
                    self.deliver(to, input);
                }
                true
            }
            (None, Some((due, id))) => self.timer(due, id, until),
            (None, None) => false,
        }
    }

    fn timer(&mut self, due: Instant, id: NodeId, until: Instant) -> bool {
        if due > until {
            return false;
        }
        self.now = self.now.max(due);
        self.deliver(id, Input::TimerDue);
        true
    }

    fn deliver(&mut self, to: NodeId, input: Input) {
        if to == CLIENT {
            match input {
                Input::FrameReceived { connection, frame } => {
                    self.answers.insert(connection, frame);
                }
                Input::ConnectionClosed { connection } => {
                    self.closed.insert(connection);
                }
                _ => {}
            }
            return;
        }
        let process = self.processes.get_mut(&to).expect("a known node");
        let Some(node) = &mut process.node else { return };
        let mut out = Effects::default();
        node.step(self.now, input, &mut process.disk, &mut out);
        self.carry_out(to, out);
    }

    fn carry_out(&mut self, from: NodeId, out: Effects) {
        for effect in out.list {
            match effect {
                Effect::Connect { connection, to } => self.connect((from, connection), &to),
                Effect::Close { connection } => {
                    if let Some(other) = self.peers.remove(&(from, connection)) {
                        self.peers.remove(&other);
                        self.post(other.0, LATENCY, Input::ConnectionClosed { connection: other.1 });
                    }
                }
                Effect::Send { connection, frame } => {
                    if let Some(&(node, connection)) = self.peers.get(&(from, connection)) {
                        let tamper = self.tamper.as_mut().filter(|_| node != CLIENT);
                        let frame = match tamper {
                            Some(tamper) => tamper(frame),
                            None => frame,
                        };
                        self.post(node, LATENCY, Input::FrameReceived { connection, frame });
                    }
                }
                Effect::Observe(Observation::ControllerActive { active: true, .. }) => {
                    self.active = Some(from)
                }
                Effect::Observe(
                    Observation::MetadataApplied { offset, digest }
                    | Observation::SnapshotWritten { offset, digest, .. },
                ) => _ = self.digests.entry(offset).or_default().insert(digest),
                Effect::Observe(Observation::SnapshotLoaded { offset, digest, .. }) => {
                    self.digests.entry(offset).or_default().insert(digest);
                    self.loaded.push(from);
                }
                Effect::Observe(_) => {}
                Effect::Halt { reason } => {
                    assert_eq!(reason, "controlled shutdown", "{from} halted");
                    self.halted.push(from);
                    self.processes.get_mut(&from).expect("a known node").node = None;
                }
            }
        }
        let process = self.processes.get_mut(&from).expect("a known node");
        for token in process.disk.complete_all() {
            self.post(from, Duration::from_micros(50), Input::DiskSynced { token, result: Ok(()) });
        }
    }

    fn connect(&mut self, from: End, to: &Address) {
        let peer = self
            .processes
            .iter()
            .find(|(_, p)| p.config.host == to.host && p.node.is_some())
            .map(|(id, _)| *id);
        let listener = Listener::of_port(to.port);
        let (Some(peer), Some(listener)) = (peer, listener) else {
            return self.post(from.0, LATENCY, Input::ConnectionClosed { connection: from.1 });
        };
        self.next_incoming += 1;
        let connection = ConnectionId::incoming(self.next_incoming);
        self.peers.insert(from, (peer, connection));
        self.peers.insert((peer, connection), from);
        self.post(peer, LATENCY, Input::ConnectionAccepted { connection, listener });
        self.post(from.0, LATENCY * 2, Input::ConnectionOpened { connection: from.1 });
    }

    /// Asks a broker over a connection of its own and runs the cluster until the answer is there (at most 40 s).
    pub fn ask(&mut self, broker: NodeId, request: Request) -> Option<Response> {
        let connection = self.dial(broker, Listener::Client);
        let api_key = request.api_key();
        let (_, version) = wire::versions(api_key)?;
        let frame = wire::encode_request(&request, version, 1, &StrBytes::from_static_str("test")).ok()?;
        self.send(connection, frame);
        let answer = self.answer(connection, Duration::from_secs(40))?;
        Some(wire::decode_response(api_key, version, answer).ok()?.1)
    }

    /// Opens a client's connection.
    pub fn dial(&mut self, node: NodeId, listener: Listener) -> ConnectionId {
        self.next_client_connection += 1;
        let connection = ConnectionId::outgoing(self.next_client_connection);
        let host = self.processes[&node].config.host.clone();
        self.connect((CLIENT, connection), &Address::new(host, listener.port()));
        connection
    }

    /// Sends bytes over a client's connection, whatever they are.
    pub fn send(&mut self, connection: ConnectionId, frame: Bytes) {
        if let Some(&(node, other)) = self.peers.get(&(CLIENT, connection)) {
            self.post(node, LATENCY * 3, Input::FrameReceived { connection: other, frame });
        }
    }

    /// Runs the cluster until a client's connection has an answer or is closed, or patience ends.
    pub fn answer(&mut self, connection: ConnectionId, patience: Duration) -> Option<Bytes> {
        let until = self.now + patience;
        let is_over = |cluster: &Cluster| {
            cluster.answers.contains_key(&connection) || cluster.closed.contains(&connection)
        };
        while !is_over(self) && self.advance(until) {}
        self.answers.remove(&connection)
    }

    pub fn topic_id(&mut self, broker: NodeId, topic: &str) -> TopicId {
        match self.ask(broker, metadata(topic)) {
            Some(Response::Metadata(response)) => response.topics[0].topic_id,
            other => panic!("no metadata: {other:?}"),
        }
    }
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.into()))
}

pub fn metadata(topic: &str) -> Request {
    let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
    MetadataRequest::default().with_topics(Some(vec![topic])).into()
}

pub fn create_topic(topic: &str, replication_factor: i16, min_isr: i32) -> Request {
    let config = create_topics_request::CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str("min.insync.replicas"))
        .with_value(Some(StrBytes::from_string(min_isr.to_string())));
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(1)
        .with_replication_factor(replication_factor)
        .with_configs(vec![config]);
    CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000).into()
}

/// Partition 0 gets these replicas.
pub fn reassign(topic: &str, replicas: &[i32]) -> Request {
    let partition = alter_partition_reassignments_request::ReassignablePartition::default()
        .with_replicas(Some(replicas.iter().copied().map(BrokerId).collect()));
    let topic = alter_partition_reassignments_request::ReassignableTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.into())))
        .with_partitions(vec![partition]);
    AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).into()
}

pub fn produce(topic_id: TopicId, acks: i16, value: &'static [u8]) -> Request {
    let mut batch = BatchBuilder::new();
    batch.push(0, None, Some(value), &[]);
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch.build()));
    let topic = TopicProduceData::default().with_topic_id(topic_id).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic]).into()
}

pub fn fetch(topic_id: TopicId, offset: i64) -> Request {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_current_leader_epoch(-1)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic_id(topic_id).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
        .into()
}

pub fn list_end_offset(topic: &str) -> Request {
    let partition = ListOffsetsPartition::default()
        .with_partition_index(0)
        .with_timestamp(-1)
        .with_current_leader_epoch(-1);
    let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]).into()
}

pub fn listed_offset(response: Response) -> Option<i64> {
    let Response::ListOffsets(response) = response else { return None };
    let partition = response.topics.first()?.partitions.first()?;
    (partition.error_code == 0).then_some(partition.offset)
}

pub fn init_producer_id() -> Request {
    InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1)
        .into()
}

pub fn values(records: Option<Bytes>) -> Vec<Vec<u8>> {
    batches(records.unwrap_or_default())
        .flat_map(|batch| {
            let batch = batch.expect("whole batches");
            batch
                .records()
                .map(|r| r.expect("whole records").value.unwrap_or_default().to_vec())
                .collect::<Vec<_>>()
        })
        .collect()
}
