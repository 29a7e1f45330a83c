//! Connections of one client to brokers (`NetworkClient`).
//!
//! One connection per node, opened when first needed; answers come in the order of the questions. A request that is not
//! answered within `request.timeout.ms` ends its connection, and with it every other request on it.
//!
//! Differs from Kafka: no ApiVersions handshake. Every request goes out in the newest version that
//! [`broker::wire::versions`] knows; the brokers of one run all speak it.

use std::collections::{BTreeMap, VecDeque};

use broker::ids::NodeId;
use broker::io::{Address, ConnectionId, Effect, Input};
use broker::time::{Duration, Instant, earliest};
use broker::wire::{ApiKey, Request, Response, StrBytes, decode_response, encode_request, versions};
use bytes::Bytes;
use rand::Rng;

use super::backoff::Backoff;
use crate::host::Outputs;
use crate::seed::ChaCha8Rng;

/// `socket.connection.setup.timeout.ms` (KIP-601).
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// `socket.connection.setup.timeout.max.ms` (KIP-601).
const SETUP_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// What the connections of one client have in common.
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    /// `client.id`.
    pub client_id: String,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `reconnect.backoff.ms` and its maximum.
    pub reconnect: Backoff,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: usize,
}

/// Why a request has no answer. It may or may not have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The connection ended.
    #[error("disconnected before an answer came")]
    Disconnected,
    /// No answer within `request.timeout.ms`.
    #[error("request timed out")]
    TimedOut,
    /// The answer was not one to this question.
    #[error("unreadable answer")]
    Unreadable,
}

/// The end of one request, or of a connection.
#[derive(Debug)]
pub enum NetworkEvent<T> {
    /// A request was answered or given up; `tag` is what the asker gave with it.
    Finished {
        /// Who was asked.
        node: NodeId,
        /// The asker's own note.
        tag: T,
        /// The answer.
        result: Result<Response, Lost>,
    },
    /// A connection ended or could not be opened; its requests were reported before.
    Disconnected {
        /// To whom.
        node: NodeId,
    },
}

#[derive(Debug)]
struct InFlight<T> {
    correlation_id: i32,
    api_key: ApiKey,
    version: i16,
    deadline: Instant,
    tag: T,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Down { retry_at: Instant },
    Connecting { connection: ConnectionId, deadline: Instant },
    Up { connection: ConnectionId },
}

#[derive(Debug)]
struct Peer<T> {
    address: Address,
    state: State,
    failures: u32,
    is_wanted: bool,
    in_flight: VecDeque<InFlight<T>>,
}

/// All connections of one client. `T` is the asker's note on each request.
#[derive(Debug)]
pub struct Network<T> {
    settings: NetworkSettings,
    client_id: StrBytes,
    peers: BTreeMap<NodeId, Peer<T>>,
    by_connection: BTreeMap<ConnectionId, NodeId>,
    next_connection: u64,
    next_correlation: i32,
    rng: ChaCha8Rng,
}

impl<T> Network<T> {
    /// No connections yet; nothing happens before the first request.
    pub fn new(settings: NetworkSettings, rng: ChaCha8Rng) -> Self {
        let client_id = StrBytes::from_string(settings.client_id.clone());
        Network {
            settings,
            client_id,
            peers: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            next_connection: 0,
            next_correlation: 0,
            rng,
        }
    }

    /// Where a node is reached from its next connection on.
    pub fn set_address(&mut self, node: NodeId, address: Address) {
        self.peers.entry(node).and_modify(|peer| peer.address = address.clone()).or_insert_with(|| Peer {
            address,
            state: State::Down { retry_at: Instant::ZERO },
            failures: 0,
            is_wanted: false,
            in_flight: VecDeque::new(),
        });
    }

    /// May a request be sent to this node now? Starts to connect if there is no connection and the back-off is over.
    pub fn ready(&mut self, node: NodeId, now: Instant, out: &mut Outputs) -> bool {
        let Some(peer) = self.peers.get_mut(&node) else { return false };
        match peer.state {
            State::Up { .. } => peer.in_flight.len() < self.settings.max_in_flight,
            State::Connecting { .. } => false,
            State::Down { retry_at } if retry_at > now => {
                peer.is_wanted = true;
                false
            }
            State::Down { .. } => {
                let connection = ConnectionId::outgoing(self.next_connection);
                self.next_connection += 1;
                let patience = SETUP_TIMEOUT.saturating_mul(1 << peer.failures.min(4)).min(SETUP_TIMEOUT_MAX);
                peer.state = State::Connecting { connection, deadline: now + patience };
                peer.is_wanted = false;
                self.by_connection.insert(connection, node);
                out.effects.push(Effect::Connect { connection, to: peer.address.clone() });
                false
            }
        }
    }

    /// Is there an open connection to this node?
    pub fn is_up(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| matches!(peer.state, State::Up { .. }))
    }

    /// Requests on all connections that wait for their answers.
    pub fn in_flight(&self) -> usize {
        self.peers.values().map(|peer| peer.in_flight.len()).sum()
    }

    /// Sends a request to a node that is [`Network::ready`]; its end comes as [`NetworkEvent::Finished`].
    pub fn ask(&mut self, node: NodeId, request: &Request, tag: T, now: Instant, out: &mut Outputs) {
        self.write(node, request, Some(tag), now, out);
    }

    /// Sends a request that has no answer (acks=0).
    pub fn tell(&mut self, node: NodeId, request: &Request, now: Instant, out: &mut Outputs) {
        self.write(node, request, None, now, out);
    }

    fn write(&mut self, node: NodeId, request: &Request, tag: Option<T>, now: Instant, out: &mut Outputs) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let State::Up { connection } = peer.state else { return };
        let api_key = request.api_key();
        let (_, version) =
            versions(api_key).expect("every variant of Request has versions: one macro makes both");
        let correlation_id = self.next_correlation;
        self.next_correlation = self.next_correlation.wrapping_add(1) & i32::MAX;
        let frame = encode_request(request, version, correlation_id, &self.client_id)
            .expect("clients fill only fields that the newest version has");
        if let Some(tag) = tag {
            let deadline = now + self.settings.request_timeout;
            peer.in_flight.push_back(InFlight { correlation_id, api_key, version, deadline, tag });
        }
        out.effects.push(Effect::Send { connection, frame });
    }

    /// Takes one input and says which requests and connections it ended.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) -> Vec<NetworkEvent<T>> {
        let mut events = Vec::new();
        match input {
            Input::ConnectionOpened { connection } => {
                if let Some(peer) = self.peer_of(connection) {
                    peer.state = State::Up { connection };
                    peer.failures = 0;
                }
            }
            Input::ConnectionClosed { connection } => {
                if let Some(&node) = self.by_connection.get(&connection) {
                    self.end(node, Lost::Disconnected, now, &mut events);
                }
            }
            Input::FrameReceived { connection, frame } => {
                if let Some(&node) = self.by_connection.get(&connection) {
                    self.answer(node, frame, now, out, &mut events);
                }
            }
            Input::TimerDue => self.time_out(now, out, &mut events),
            Input::ConnectionAccepted { .. } | Input::DiskSynced { .. } | Input::ShutdownRequested => {}
        }
        events
    }

    fn peer_of(&mut self, connection: ConnectionId) -> Option<&mut Peer<T>> {
        let node = self.by_connection.get(&connection)?;
        self.peers.get_mut(node)
    }

    fn answer(
        &mut self,
        node: NodeId,
        frame: Bytes,
        now: Instant,
        out: &mut Outputs,
        events: &mut Vec<NetworkEvent<T>>,
    ) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let Some(asked) = peer.in_flight.pop_front() else {
            return self.hang_up(node, Lost::Unreadable, now, out, events);
        };
        match decode_response(asked.api_key, asked.version, frame) {
            Ok((correlation_id, response)) if correlation_id == asked.correlation_id => {
                events.push(NetworkEvent::Finished { node, tag: asked.tag, result: Ok(response) });
            }
            _ => {
                events.push(NetworkEvent::Finished { node, tag: asked.tag, result: Err(Lost::Unreadable) });
                self.hang_up(node, Lost::Disconnected, now, out, events);
            }
        }
    }

    fn time_out(&mut self, now: Instant, out: &mut Outputs, events: &mut Vec<NetworkEvent<T>>) {
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            match peer.state {
                State::Down { retry_at } if retry_at <= now => peer.is_wanted = false,
                State::Connecting { deadline, .. } if deadline <= now => {
                    self.hang_up(node, Lost::Disconnected, now, out, events);
                }
                State::Up { .. } if peer.in_flight.front().is_some_and(|asked| asked.deadline <= now) => {
                    self.hang_up(node, Lost::TimedOut, now, out, events);
                }
                _ => {}
            }
        }
    }

    fn hang_up(
        &mut self,
        node: NodeId,
        why: Lost,
        now: Instant,
        out: &mut Outputs,
        events: &mut Vec<NetworkEvent<T>>,
    ) {
        if let Some(peer) = self.peers.get(&node)
            && let State::Up { connection } | State::Connecting { connection, .. } = peer.state
        {
            out.effects.push(Effect::Close { connection });
        }
        self.end(node, why, now, events);
    }

    fn end(&mut self, node: NodeId, why: Lost, now: Instant, events: &mut Vec<NetworkEvent<T>>) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let (State::Up { connection } | State::Connecting { connection, .. }) = peer.state else { return };
        self.by_connection.remove(&connection);
        peer.failures = peer.failures.saturating_add(1);
        peer.state =
            State::Down { retry_at: now + self.settings.reconnect.after(peer.failures, &mut self.rng) };
        for asked in peer.in_flight.drain(..) {
            events.push(NetworkEvent::Finished { node, tag: asked.tag, result: Err(why) });
        }
        events.push(NetworkEvent::Disconnected { node });
    }

    /// When a request or a connection attempt runs out of time, or a wanted node may be connected to again.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.peers.values().fold(None, |soonest, peer| {
            let own = match peer.state {
                State::Down { retry_at } => peer.is_wanted.then_some(retry_at),
                State::Connecting { deadline, .. } => Some(deadline),
                State::Up { .. } => peer.in_flight.front().map(|asked| asked.deadline),
            };
            earliest(soonest, own)
        })
    }

    /// The node to ask a question that any node can answer (`leastLoadedNode`): a connected one with the fewest requests
    /// in flight, else one that is being connected to, else one that may be connected to; ties are drawn.
    pub fn least_loaded(&mut self, nodes: &[NodeId], now: Instant) -> Option<NodeId> {
        let start = if nodes.is_empty() { 0 } else { self.rng.gen_range(0..nodes.len()) };
        let mut best: Option<((u8, usize), NodeId)> = None;
        for i in 0..nodes.len() {
            let node = nodes[(start + i) % nodes.len()];
            let Some(peer) = self.peers.get(&node) else { continue };
            let rank = match peer.state {
                State::Up { .. } if peer.in_flight.len() < self.settings.max_in_flight => {
                    (0, peer.in_flight.len())
                }
                State::Up { .. } => continue,
                State::Connecting { .. } => (1, 0),
                State::Down { retry_at } if retry_at <= now => (2, 0),
                State::Down { .. } => (3, 0),
            };
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, node));
            }
        }
        best.map(|(_, node)| node)
    }
}
