//! Loads against real nodes, over a network that only delays: client and broker must mean the same by every field.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker::config::{BrokerConfig, NodeConfig};
use broker::defects::DefectSet;
use broker::ids::NodeId;
use broker::io::{Address, ConnectionId, Disk, Effect, Input, Listener};
use broker::log::MemoryDisk;
use broker::node::Node;
use broker::time::{Duration, Instant};

use super::{ConsumeLoad, Gauge, Keys, ProduceLoad, Setup};
use crate::client::{AdminConfig, ConsumerConfig, NewTopic, OffsetReset, ProducerConfig};
use crate::history::{HistoryEvent, Value};
use crate::host::{Boot, Machine, Outputs, Program};

const LATENCY: Duration = Duration::from_millis(1);
const NODES: i32 = 3;

struct NodeProgram(i32);

struct NodeMachine(Node);

impl Program for NodeProgram {
    fn boot(&self, boot: Boot<'_>) -> Result<Box<dyn Machine>, String> {
        let config = NodeConfig {
            node_id: NodeId(self.0),
            cluster_id: "test".to_string(),
            is_broker: true,
            is_controller: true,
            host: host(self.0),
            voters: (1..=NODES)
                .map(|id| (NodeId(id), Address::new(host(id), Listener::Controller.port())))
                .collect(),
            rack: None,
            features: Default::default(),
            broker: BrokerConfig { session_timeout: Duration::from_secs(3), ..BrokerConfig::default() },
            defects: DefectSet::none(),
        };
        let node = Node::boot(config, boot.disk, boot.now, boot.seed, &mut boot.out.effects);
        Ok(Box::new(NodeMachine(node.map_err(|error| error.to_string())?)))
    }
}

impl Machine for NodeMachine {
    fn step(&mut self, now: Instant, input: Input, disk: &mut dyn Disk, out: &mut Outputs) {
        self.0.step(now, input, disk, &mut out.effects);
    }
    fn next_deadline(&self) -> Option<Instant> {
        self.0.next_deadline()
    }
}

fn host(id: i32) -> Arc<str> {
    Arc::from(format!("b{id}"))
}

struct Slot {
    program: Box<dyn Program>,
    machine: Option<Box<dyn Machine>>,
    disk: MemoryDisk,
    boots: u32,
}

/// Machines on one clock; every input arrives [`LATENCY`] after its cause.
struct Cluster {
    now: Instant,
    slots: Vec<Slot>,
    queue: BTreeMap<(Instant, u64), (usize, u32, Input)>,
    peers: BTreeMap<(usize, ConnectionId), (usize, ConnectionId)>,
    sequence: u64,
    history: Vec<HistoryEvent>,
}

impl Cluster {
    fn new(programs: Vec<Box<dyn Program>>) -> Self {
        let slot = |program| Slot { program, machine: None, disk: MemoryDisk::new(), boots: 0 };
        let slots: Vec<Slot> = programs.into_iter().map(slot).collect();
        let count = slots.len();
        let mut cluster = Cluster {
            now: Instant(1_000_000),
            slots,
            queue: BTreeMap::new(),
            peers: BTreeMap::new(),
            sequence: 0,
            history: Vec::new(),
        };
        (0..count).for_each(|i| cluster.boot(i));
        cluster
    }

    fn boot(&mut self, i: usize) {
        let (slot, mut out) = (&mut self.slots[i], Outputs::default());
        let boot = Boot {
            now: self.now,
            disk: &mut slot.disk,
            seed: i as u64 * 100 + u64::from(slot.boots),
            incarnation: slot.boots,
            out: &mut out,
        };
        slot.machine = Some(slot.program.boot(boot).unwrap());
        self.take(i, out);
    }

    fn crash(&mut self, i: usize) {
        self.slots[i].machine = None;
        self.slots[i].boots += 1;
        self.slots[i].disk.process_crash();
        let ends: Vec<_> = self.peers.keys().filter(|(owner, _)| *owner == i).copied().collect();
        ends.into_iter().for_each(|end| self.close(end));
    }

    fn push(&mut self, i: usize, input: Input) {
        self.sequence += 1;
        self.queue.insert((self.now + LATENCY, self.sequence), (i, self.slots[i].boots, input));
    }

    fn close(&mut self, end: (usize, ConnectionId)) {
        if let Some(peer) = self.peers.remove(&end) {
            self.peers.remove(&peer);
            self.push(peer.0, Input::ConnectionClosed { connection: peer.1 });
        }
    }

    fn connect(&mut self, i: usize, connection: ConnectionId, to: &Address) {
        let target =
            (1..=NODES).position(|id| host(id) == to.host).filter(|t| self.slots[*t].machine.is_some());
        let (Some(target), Some(listener)) = (target, Listener::of_port(to.port)) else {
            return self.push(i, Input::ConnectionClosed { connection });
        };
        self.sequence += 1;
        let accepted = ConnectionId::incoming(self.sequence);
        self.peers.insert((i, connection), (target, accepted));
        self.peers.insert((target, accepted), (i, connection));
        self.push(target, Input::ConnectionAccepted { connection: accepted, listener });
        self.push(i, Input::ConnectionOpened { connection });
    }

    fn take(&mut self, i: usize, out: Outputs) {
        self.history.extend(out.history);
        for effect in out.effects.list {
            match effect {
                Effect::Connect { connection, to } => self.connect(i, connection, &to),
                Effect::Close { connection } => self.close((i, connection)),
                Effect::Send { connection, frame } => {
                    if let Some((peer, connection)) = self.peers.get(&(i, connection)).copied() {
                        self.push(peer, Input::FrameReceived { connection, frame });
                    }
                }
                Effect::Observe(_) => {}
                Effect::Halt { reason } => panic!("machine {i} halted: {reason}"),
            }
        }
        for token in self.slots[i].disk.complete_all() {
            self.push(i, Input::DiskSynced { token, result: Ok(()) });
        }
    }

    fn step(&mut self, i: usize, input: Input) {
        let (slot, mut out) = (&mut self.slots[i], Outputs::default());
        if let Some(machine) = &mut slot.machine {
            machine.step(self.now, input, &mut slot.disk, &mut out);
            self.take(i, out);
        }
    }

    fn deadline(&self, i: usize) -> Option<Instant> {
        self.slots[i].machine.as_ref().and_then(|machine| machine.next_deadline())
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        for _ in 0..2_000_000 {
            let timer =
                (0..self.slots.len()).filter_map(|i| Some((self.deadline(i)?.max(self.now), i))).min();
            let event = self.queue.first_key_value().map(|((at, _), _)| *at);
            match (timer, event) {
                (_, Some(at)) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                    let Some((_, (i, boots, input))) = self.queue.pop_first() else { return };
                    self.now = self.now.max(at);
                    if boots == self.slots[i].boots {
                        self.step(i, input);
                    }
                }
                (Some((due, i)), _) if due <= end => {
                    self.now = due;
                    self.step(i, Input::TimerDue);
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("no progress at {}", self.now);
    }
}

fn bootstrap() -> Vec<Address> {
    (1..=NODES).map(|id| Address::new(host(id), Listener::Client.port())).collect()
}

/// Three nodes, one topic of two partitions with three replicas, one producer, one consumer.
fn loaded(producer: ProducerConfig) -> (Cluster, Gauge, Gauge) {
    let (topic, ready, load): (Arc<str>, _, _) = (Arc::from("orders"), Gauge::default(), Gauge::default());
    let mut programs: Vec<Box<dyn Program>> = Vec::new();
    (1..=NODES).for_each(|id| programs.push(Box::new(NodeProgram(id))));
    let wanted = NewTopic {
        name: topic.clone(),
        partitions: 2,
        replication_factor: 3,
        assignments: BTreeMap::new(),
        configs: BTreeMap::from([("min.insync.replicas".to_string(), "2".to_string())]),
    };
    programs.push(Box::new(Setup {
        name: "setup".to_string(),
        bootstrap: bootstrap(),
        config: AdminConfig::default(),
        topics: vec![wanted],
        gauge: ready.clone(),
    }));
    programs.push(Box::new(ProduceLoad {
        name: "p-0".to_string(),
        number: 0,
        bootstrap: bootstrap(),
        config: producer,
        topic: topic.clone(),
        interval: Duration::from_millis(10),
        keys: Keys::Uniform { n: 20 },
        value_bytes: (8, 100),
        total: None,
        start_at: Instant::ZERO,
        gauge: load.clone(),
    }));
    programs.push(Box::new(ConsumeLoad {
        name: "c-0".to_string(),
        bootstrap: bootstrap(),
        config: ConsumerConfig { auto_offset_reset: OffsetReset::Earliest, ..ConsumerConfig::default() },
        topic,
        partitions: None,
    }));
    (Cluster::new(programs), ready, load)
}

const PRODUCER: usize = NODES as usize + 1;

fn acked(history: &[HistoryEvent]) -> BTreeSet<Value> {
    let values = history.iter().filter_map(|event| match event {
        HistoryEvent::Acked { values, .. } => Some(values.iter().copied()),
        _ => None,
    });
    values.flatten().collect()
}

fn polled(history: &[HistoryEvent]) -> Vec<Value> {
    let records = history.iter().filter_map(|event| match event {
        HistoryEvent::Polled { records, .. } => Some(records.iter().map(|(_, value)| *value)),
        _ => None,
    });
    records.flatten().collect()
}

#[test]
fn what_was_acknowledged_is_read_once_also_across_crashes() {
    let (mut cluster, ready, load) = loaded(ProducerConfig::default());
    cluster.pass(15);
    assert!(ready.is_done(), "topics are there");
    assert!(acked(&cluster.history).len() > 200, "{} acknowledged", acked(&cluster.history).len());
    for node in 0..NODES as usize {
        let before = acked(&cluster.history).len();
        cluster.crash(node);
        cluster.pass(8);
        cluster.boot(node);
        cluster.pass(6);
        assert!(
            acked(&cluster.history).len() > before + 300,
            "acknowledgements go on after node {node} crashed"
        );
    }
    cluster.step(PRODUCER, Input::ShutdownRequested);
    cluster.pass(15);
    assert!(load.is_done(), "the load has drained");
    let (acked, polled) = (acked(&cluster.history), polled(&cluster.history));
    let read: BTreeSet<Value> = polled.iter().copied().collect();
    assert_eq!(read.len(), polled.len(), "idempotence: nothing is read twice");
    assert!(
        acked.is_subset(&read),
        "{} of {} acknowledged were not read",
        acked.difference(&read).count(),
        acked.len()
    );
}
