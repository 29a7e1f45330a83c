//! Nodes, their disks and a network that delivers in any order.

use std::collections::{BTreeMap, BTreeSet};

use broker::config::{BrokerConfig, NodeConfig};
use broker::defects::{Defect, DefectSet};
use broker::ids::{NodeId, Offset};
use broker::io::{Address, ConnectionId, Listener};
use broker::log::MemoryDisk;
use broker::raft::Raft;
use broker::rpc::{CallError, CallResult, Outbox, Outgoing, ReplyTo};
use broker::time::{Duration, Instant};
use broker::wire::messages::{AddRaftVoterRequest, RemoveRaftVoterRequest, add_raft_voter_request};
use broker::wire::{self, ApiKey, Request, Response, StrBytes};
use bytes::Bytes;

use crate::checks::Checks;

const HOP: Duration = Duration::from_millis(1);

/// One node: alive or down, and its disk.
pub struct Host {
    config: NodeConfig,
    disk: MemoryDisk,
    pub raft: Option<Raft>,
    boots: u64,
}

/// Who asked, so that an answer finds its way back: node, its boot, its call id.
#[derive(Debug, Clone, Copy)]
struct Asker {
    node: NodeId,
    boot: u64,
    id: u64,
    asked: NodeId,
}

/// Something on its way.
enum Flight {
    Request(Asker, Request),
    Answer(Asker, CallResult),
}

pub struct World {
    pub hosts: BTreeMap<NodeId, Host>,
    pub checks: Checks,
    pub now: Instant,
    flights: Vec<Flight>,
    /// Requests that a node has not answered yet, by connection number.
    open: BTreeMap<u64, Asker>,
    /// Links on which nothing arrives: from, to.
    cut: BTreeSet<(NodeId, NodeId)>,
    connections: u64,
    values: u64,
    /// What the operator was answered; `None`: nothing came back.
    pub operator_told: Vec<Option<Response>>,
}

/// Who asks for changes of the voters.
const OPERATOR: NodeId = NodeId(-1);

/// A node's configuration in a quorum of `voters`.
pub fn config(node: NodeId, voters: &[NodeId]) -> NodeConfig {
    let is_voter = voters.contains(&node);
    NodeConfig {
        node_id: node,
        cluster_id: "model".into(),
        is_broker: !is_voter,
        is_controller: is_voter,
        host: format!("node-{node}").into(),
        voters: voters.iter().map(|v| (*v, Address::new(format!("node-{v}"), 9093))).collect(),
        rack: None,
        features: Default::default(),
        broker: BrokerConfig::default(),
        defects: DefectSet::none(),
    }
}

impl World {
    /// Boots `voters` voters and `observers` observers.
    pub fn new(voters: i32, observers: i32) -> World {
        World::with_defects(voters, observers, &[])
    }

    /// The same, with bugs.
    pub fn with_defects(voters: i32, observers: i32, defects: &[Defect]) -> World {
        World::with_spares(voters, observers, 0, defects)
    }

    /// The same with `spares`: controllers that do not vote as long as nobody lets them.
    pub fn with_spares(voters: i32, observers: i32, spares: i32, defects: &[Defect]) -> World {
        let ids: Vec<NodeId> = (1..=voters).map(NodeId).collect();
        let defects = DefectSet::of(defects.iter().copied());
        let hosts = (1..=voters + observers + spares).map(NodeId).map(|node| {
            let is_spare = node.0 > voters + observers;
            let config = config(node, &ids);
            let (is_broker, is_controller) =
                (config.is_broker && !is_spare, config.is_controller || is_spare);
            let config = NodeConfig { is_broker, is_controller, defects: defects.clone(), ..config };
            (node, Host { config, disk: MemoryDisk::new(), raft: None, boots: 0 })
        });
        let may_vote = |n: &i32| *n <= voters || *n > voters + observers;
        let controllers = (1..=voters + observers + spares).filter(may_vote).map(NodeId).collect();
        let mut world = World {
            hosts: hosts.collect(),
            checks: Checks::new(controllers, &ids),
            now: Instant::ZERO,
            flights: Vec::new(),
            open: BTreeMap::new(),
            cut: BTreeSet::new(),
            connections: 0,
            values: 0,
            operator_told: Vec::new(),
        };
        for node in world.nodes() {
            world.boot(node);
        }
        world
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.hosts.keys().copied().collect()
    }

    fn with(&mut self, node: NodeId, act: impl FnOnce(&mut Raft, Instant, &mut MemoryDisk, &mut Outbox)) {
        let mut out = Outbox::default();
        let host = self.hosts.get_mut(&node).unwrap();
        let Some(raft) = &mut host.raft else { return };
        act(raft, self.now, &mut host.disk, &mut out);
        self.carry_out(node, out);
    }

    pub fn boot(&mut self, node: NodeId) {
        let host = self.hosts.get_mut(&node).unwrap();
        if host.raft.is_some() {
            return;
        }
        host.boots += 1;
        let seed = host.boots * 1000 + node.0 as u64;
        let mut out = Outbox::default();
        host.raft = Some(Raft::boot(&host.config, seed, self.now, &mut host.disk, &mut out).unwrap());
        self.checks.rebooted(node);
        self.carry_out(node, out);
    }

    fn carry_out(&mut self, node: NodeId, out: Outbox) {
        let host = self.hosts.get_mut(&node).unwrap();
        let boot = host.boots;
        for outgoing in out.list {
            match outgoing {
                Outgoing::Fact(fact) => self.checks.fact(node, &fact),
                Outgoing::Call(call) => {
                    let asker = Asker { node, boot, id: call.id, asked: call.to };
                    self.flights.push(Flight::Request(asker, over_the_wire(call.request)));
                }
                Outgoing::Reply { to, response } => {
                    let asker = self.open.remove(&number(to)).expect("one answer per request");
                    let frame = wire::encode_response(&response, to.api_version, 1).unwrap();
                    let (_, response) = wire::decode_response(to.api_key, to.api_version, frame).unwrap();
                    self.flights.push(Flight::Answer(asker, Ok(response)));
                }
                Outgoing::Halt { reason } => panic!("node {node} halts: {reason}"),
                other => panic!("node {node} does {other:?}"),
            }
        }
        for event in host.raft.as_mut().map(Raft::take_events).unwrap_or_default() {
            self.checks.event(node, &event);
        }
    }

    /// How many messages are on their way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Delivers the `k`-th message on its way.
    pub fn deliver(&mut self, k: usize) {
        let (from, to, is_over) = match &self.flights[k] {
            Flight::Request(asker, _) => (asker.node, asker.asked, false),
            Flight::Answer(asker, result) => (asker.asked, asker.node, result.is_err()),
        };
        // That a call is over is known without the link.
        if !is_over && self.cut.contains(&(from, to)) {
            return self.lose(k);
        }
        match self.flights.remove(k) {
            Flight::Answer(asker, result) => self.answer(asker, result),
            Flight::Request(asker, request) => {
                let host = &self.hosts[&asker.asked];
                if host.raft.is_none() {
                    self.flights.push(Flight::Answer(asker, Err(CallError::Disconnected)));
                    return;
                }
                self.connections += 1;
                self.open.insert(self.connections, asker);
                let to = ReplyTo {
                    connection: ConnectionId::incoming(self.connections),
                    correlation_id: 1,
                    api_key: request.api_key(),
                    api_version: version(request.api_key()),
                    listener: Listener::Controller,
                };
                self.with(asker.asked, |raft, now, disk, out| {
                    raft.handle_request(to, request, now, disk, out)
                });
            }
        }
    }

    fn answer(&mut self, asker: Asker, result: CallResult) {
        if asker.node == OPERATOR {
            self.operator_told.push(result.ok());
            return;
        }
        if self.hosts[&asker.node].boots == asker.boot {
            self.with(asker.node, |raft, now, disk, out| {
                raft.handle_result(asker.id, asker.asked, result, now, disk, out);
            });
        }
    }

    /// Loses the `k`-th message; who waits for an answer gets a time-out at some point.
    pub fn lose(&mut self, k: usize) {
        let (Flight::Request(asker, _) | Flight::Answer(asker, _)) = self.flights.remove(k);
        self.flights.push(Flight::Answer(asker, Err(CallError::TimedOut)));
    }

    /// Delivers the `k`-th message, and a time-out for the same call too, before or after it.
    pub fn deliver_and_time_out(&mut self, k: usize) {
        let (Flight::Request(asker, _) | Flight::Answer(asker, _)) = &self.flights[k];
        let asker = *asker;
        self.flights.push(Flight::Answer(asker, Err(CallError::TimedOut)));
        self.deliver(k);
    }

    /// Finishes the `k`-th sync of a node, or all of them.
    pub fn sync(&mut self, node: NodeId, k: Option<usize>) {
        let host = self.hosts.get_mut(&node).unwrap();
        let pending = host.disk.pending_syncs();
        let tokens = match k {
            Some(k) if !pending.is_empty() => vec![pending[k % pending.len()]],
            _ => pending,
        };
        for token in tokens {
            self.hosts.get_mut(&node).unwrap().disk.complete(token);
            self.with(node, |raft, now, disk, out| {
                raft.handle_synced(token, &Ok(()), now, disk, out);
            });
        }
    }

    /// Lets the clock reach a node's deadline.
    pub fn tick(&mut self, node: NodeId) {
        let deadline = self.hosts[&node].raft.as_ref().and_then(Raft::next_deadline);
        if let Some(deadline) = deadline {
            self.now = self.now.max(deadline);
            self.with(node, |raft, now, disk, out| raft.handle_timer(now, disk, out));
        }
    }

    /// Ends a node's process; with `power`, its page cache too.
    pub fn crash(&mut self, node: NodeId, power: Option<&mut dyn FnMut(u64) -> u64>) {
        let host = self.hosts.get_mut(&node).unwrap();
        if host.raft.take().is_none() {
            return;
        }
        match power {
            Some(choose) => host.disk.power_loss(choose),
            None => host.disk.process_crash(),
        }
        let cut: Vec<u64> = self.open.iter().filter(|(_, a)| a.asked == node).map(|(n, _)| *n).collect();
        for asker in cut.iter().filter_map(|n| self.open.remove(n)) {
            self.flights.push(Flight::Answer(asker, Err(CallError::Disconnected)));
        }
    }

    /// Nothing that `from` sends arrives at `to` any more.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    /// Cuts `node` off from everybody, in both directions.
    pub fn isolate(&mut self, node: NodeId) {
        for other in self.nodes() {
            self.cut.extend([(node, other), (other, node)]);
        }
    }

    /// Every link works again.
    pub fn mend(&mut self) {
        self.cut.clear();
    }

    /// Who believes to lead.
    pub fn leaders(&self) -> Vec<NodeId> {
        let leads = |host: &Host| host.raft.as_ref().is_some_and(Raft::is_leader);
        self.hosts.iter().filter(|(_, host)| leads(host)).map(|(node, _)| *node).collect()
    }

    /// The highest epoch that a node knows.
    pub fn epoch(&self) -> i32 {
        self.hosts.values().filter_map(|h| h.raft.as_ref()).map(Raft::epoch).max().unwrap_or(0)
    }

    /// Lets a node resign in an orderly way.
    pub fn resign(&mut self, node: NodeId) {
        self.with(node, |raft, now, disk, out| raft.resign(now, disk, out));
    }

    /// Lets a node write a snapshot of what was handed up to it.
    pub fn snapshot(&mut self, node: NodeId) {
        if let Some(snapshot) = self.checks.snapshot(node) {
            self.with(node, |raft, now, disk, out| raft.write_snapshot(snapshot, now, disk, out));
        }
    }

    /// The controllers, voters or not.
    pub fn controllers(&self) -> Vec<NodeId> {
        self.hosts.iter().filter(|(_, host)| host.config.is_controller).map(|(node, _)| *node).collect()
    }

    /// The operator asks `asked` to let `voter` vote.
    pub fn add_voter(&mut self, asked: NodeId, voter: NodeId) {
        let listener = add_raft_voter_request::Listener::default()
            .with_host(StrBytes::from_string(format!("node-{voter}")))
            .with_port(9093);
        let request = AddRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_voter_id(voter.0)
            .with_listeners(vec![listener])
            .with_timeout_ms(60_000);
        self.operate(asked, request);
    }

    /// The operator asks `asked` to take the vote from `voter`.
    pub fn remove_voter(&mut self, asked: NodeId, voter: NodeId) {
        self.operate(asked, RemoveRaftVoterRequest::default().with_cluster_id(None).with_voter_id(voter.0));
    }

    fn operate(&mut self, asked: NodeId, request: impl Into<Request>) {
        let asker = Asker { node: OPERATOR, boot: 0, id: 0, asked };
        self.flights.push(Flight::Request(asker, over_the_wire(request.into())));
    }

    /// Appends one batch of two records at `node`, if it believes to lead. Returns the last record's offset.
    pub fn append(&mut self, node: NodeId) -> Option<Offset> {
        self.values += 1;
        let value = format!("value {}", self.values).into_bytes();
        let now = self.now;
        let raft = self.hosts.get_mut(&node)?.raft.as_mut()?;
        let epoch = raft.epoch();
        let records = vec![Bytes::from_static(b"first"), Bytes::from(value.clone())];
        let offset = raft.append(epoch, records, now).ok()?;
        self.checks.note_append(epoch, offset, value);
        Some(offset)
    }

    /// A healthy world for a while: syncs are quick, messages take one hop and arrive in order, timers fire in time.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration, None);
    }

    /// The same, but one node's disk finishes no sync.
    pub fn run_unsynced_for(&mut self, node: NodeId, duration: Duration) {
        self.run_until(self.now + duration, Some(node));
    }

    fn run_until(&mut self, end: Instant, unsynced: Option<NodeId>) {
        let mut rounds = 0;
        while self.now < end {
            rounds += 1;
            assert!(rounds < 200_000, "the world spins");
            for node in self.nodes().into_iter().filter(|node| Some(*node) != unsynced) {
                self.sync(node, None);
            }
            for _ in 0..self.flights.len() {
                self.deliver(0);
            }
            for node in self.nodes() {
                if self.hosts[&node]
                    .raft
                    .as_ref()
                    .and_then(Raft::next_deadline)
                    .is_some_and(|at| at <= self.now)
                {
                    self.with(node, |raft, now, disk, out| raft.handle_timer(now, disk, out));
                }
            }
            let is_busy = !self.flights.is_empty()
                || self.hosts.values().any(|h| h.raft.is_some() && !h.disk.pending_syncs().is_empty());
            let deadlines = self.hosts.values().filter_map(|h| h.raft.as_ref()?.next_deadline());
            let next = if is_busy { self.now + HOP } else { deadlines.min().unwrap_or(end) };
            self.now = self.now.max(next.min(end)).max(self.now + Duration::from_micros(1));
        }
    }

    /// The node that leads in the highest epoch.
    pub fn leader(&self) -> Option<NodeId> {
        let leaders = self.hosts.iter().filter_map(|(node, host)| {
            let raft = host.raft.as_ref().filter(|raft| raft.is_leader())?;
            Some((raft.epoch(), *node))
        });
        leaders.max().map(|(_, node)| node)
    }
}

fn version(api_key: ApiKey) -> i16 {
    wire::versions(api_key).unwrap().1
}

fn over_the_wire(request: Request) -> Request {
    let frame =
        wire::encode_request(&request, version(request.api_key()), 1, &StrBytes::from_static_str("model"))
            .unwrap();
    wire::decode_request(frame).unwrap().1
}

fn number(to: ReplyTo) -> u64 {
    let text = to.connection.to_string();
    text.trim_start_matches("in-").parse().unwrap()
}
