//! All connections, and what machines and faults do to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::io::{ConnectionId, Input};
use bytes::Bytes;

use super::connection::{Connection, EndState, Flow, Phase, Segment};
use super::intercept::Intercepts;
use super::links::Links;
use crate::plan::HostId;
use crate::trace::Fact;
use crate::world::agenda::{Agenda, NetEvent, Tenant};
use crate::world::host_slot::HostSlot;

/// The first retransmission timeout. Source: Linux TCP_RTO_MIN.
pub(super) const RTO_MIN_US: u64 = 200_000;
/// The longest retransmission timeout. Source: ours (Linux: 120 s).
pub(super) const RTO_MAX_US: u64 = 10_000_000;

/// What the network needs of the world while it works.
pub(crate) struct Around<'a> {
    pub(crate) now: u64,
    pub(crate) agenda: &'a mut Agenda,
    pub(crate) hosts: &'a mut [HostSlot],
    /// What is to be told to the observer.
    pub(crate) facts: &'a mut Vec<(Option<HostId>, Fact)>,
}

/// How a process left its connections behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// The process ended itself: what it wrote is still delivered, then the end.
    Exit,
    /// The process died: the kernel resets.
    Death,
    /// The kernel died too.
    PowerLoss,
}

/// The network.
pub(crate) struct SimNet {
    pub(crate) links: Links,
    pub(super) intercepts: Intercepts,
    pub(super) names: BTreeMap<Arc<str>, u32>,
    pub(super) connections: Vec<Connection>,
    free: Vec<u32>,
    /// Per machine, sorted: what it calls its connections.
    ports: Vec<Vec<(ConnectionId, u32)>>,
    /// Per machine: how many connections it ever accepted.
    pub(super) accepted: Vec<u64>,
}

impl SimNet {
    pub(crate) fn new(links: Links, names: BTreeMap<Arc<str>, u32>, hosts: usize) -> SimNet {
        let ports = (0..hosts).map(|_| Vec::new()).collect();
        SimNet {
            links,
            intercepts: Intercepts::default(),
            names,
            connections: Vec::new(),
            free: Vec::new(),
            ports,
            accepted: vec![0; hosts],
        }
    }

    /// A machine sends a frame. Nothing happens on a connection that it does not have (it was told or will be).
    pub(crate) fn send(&mut self, around: &mut Around<'_>, host: u32, id: ConnectionId, frame: Bytes) {
        let Some(slot) = self.find(host, id) else { return };
        let connection = &mut self.connections[slot as usize];
        let from = usize::from(!id.is_outgoing());
        if from == 0 {
            connection.unanswered.ask(&frame);
        }
        let flow = &mut connection.flows[from];
        let is_blocked = flow.in_flight < flow.fifo.len();
        flow.fifo.push_back(Segment::Frame { frame, ruled: 0 });
        if !is_blocked && connection.phase == Phase::Established {
            self.transmit(around, slot, from);
        }
    }

    /// A machine closes a connection: the peer is told after everything that was sent.
    pub(crate) fn close(&mut self, around: &mut Around<'_>, host: u32, id: ConnectionId) {
        let Some(slot) = self.find(host, id) else { return };
        self.forget_port(host, id);
        self.end_orderly(around, slot, usize::from(!id.is_outgoing()));
    }

    /// A process or a whole machine is gone.
    pub(crate) fn host_stopped(&mut self, around: &mut Around<'_>, host: u32, leaving: Leaving) {
        self.ports[host as usize].clear();
        for slot in 0..self.connections.len() as u32 {
            for end in 0..2 {
                let connection = &self.connections[slot as usize];
                if connection.ends[end].host != host {
                    continue;
                }
                match connection.phase {
                    Phase::Free => {}
                    Phase::Connecting if end == 0 => self.release(slot),
                    Phase::Connecting => {}
                    Phase::Established => self.end_stopped(around, slot, end, leaving),
                }
            }
        }
    }

    /// Something arrives, or a timeout is over.
    pub(crate) fn on(&mut self, around: &mut Around<'_>, tenant: Tenant, event: NetEvent) {
        let connection = &self.connections[tenant.slot as usize];
        if connection.generation != tenant.generation {
            return;
        }
        let slot = tenant.slot;
        match (connection.phase, event) {
            (Phase::Established, NetEvent::Arrive { from, window }) => {
                self.arrive(around, slot, usize::from(from), window)
            }
            (Phase::Established, NetEvent::Retransmit { from }) => {
                self.retransmit(around, slot, usize::from(from))
            }
            (Phase::Established, NetEvent::Reset { at }) => self.reset(around, slot, usize::from(at)),
            (Phase::Connecting, NetEvent::Syn) => self.syn(around, slot),
            (Phase::Connecting, NetEvent::SynRetry) => self.send_syn(around, slot),
            (Phase::Connecting, NetEvent::SynAck { incarnation }) => self.syn_ack(around, slot, incarnation),
            (Phase::Connecting, NetEvent::Refused) => self.refused(around, slot),
            (Phase::Connecting, NetEvent::ConnectTimeout) => self.give_up_connecting(around, slot),
            _ => {}
        }
    }

    fn end_orderly(&mut self, around: &mut Around<'_>, slot: u32, end: usize) {
        let connection = &mut self.connections[slot as usize];
        if connection.phase == Phase::Connecting {
            self.release(slot);
            return;
        }
        connection.ends[end].state = EndState::Closed;
        if connection.is_over() {
            self.release(slot);
            return;
        }
        let flow = &mut connection.flows[end];
        let is_blocked = flow.in_flight < flow.fifo.len();
        flow.fifo.push_back(Segment::Fin);
        if !is_blocked {
            self.transmit(around, slot, end);
        }
    }

    fn end_stopped(&mut self, around: &mut Around<'_>, slot: u32, end: usize, leaving: Leaving) {
        let connection = &mut self.connections[slot as usize];
        let state = connection.ends[end].state;
        if leaving == Leaving::Exit && state == EndState::Open {
            return self.end_orderly(around, slot, end);
        }
        if leaving != Leaving::PowerLoss && state == EndState::Closed {
            return; // its kernel lives and goes on telling the peer
        }
        connection.ends[end].state = EndState::Closed;
        let (from, to, class) = connection.route(end);
        let flow = &mut connection.flows[end];
        flow.fifo.truncate(flow.in_flight.max(flow.held_len));
        flow.is_abandoned = true;
        let is_held = !flow.held_by.is_empty();
        if connection.is_over() {
            self.release(slot);
        } else if leaving != Leaving::PowerLoss && is_held {
            self.connections[slot as usize].flows[end].fifo.push_back(Segment::Rst);
        } else if leaving != Leaving::PowerLoss
            && let Some(latency) = self.links.transmit(from, to, class)
        {
            self.connections[slot as usize].flows[end].fifo.push_back(Segment::Rst);
            self.launch(around, slot, end, latency);
        }
    }

    /// Tells an end's machine that the connection is closed, and frees it if the other end is closed too.
    pub(super) fn end_closed(&mut self, around: &mut Around<'_>, slot: u32, end: usize) {
        let connection = &mut self.connections[slot as usize];
        let (host, id, state) =
            (connection.ends[end].host, connection.ends[end].id, connection.ends[end].state);
        connection.ends[end].state = EndState::Closed;
        if state == EndState::Open {
            self.forget_port(host, id);
            around.hosts[host as usize].give(Input::ConnectionClosed { connection: id });
        }
        if self.connections[slot as usize].is_over() {
            self.release(slot);
        }
    }

    /// Takes a free slot for a new connection.
    pub(super) fn lease(&mut self, make: impl FnOnce(u32) -> Connection) -> Tenant {
        let slot = self.free.pop().unwrap_or(self.connections.len() as u32);
        if (slot as usize) < self.connections.len() {
            let generation = self.connections[slot as usize].generation + 1;
            self.connections[slot as usize] = make(generation);
            Tenant { slot, generation }
        } else {
            self.connections.push(make(0));
            Tenant { slot, generation: 0 }
        }
    }

    pub(super) fn release(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if connection.phase == Phase::Free {
            return;
        }
        connection.phase = Phase::Free;
        connection.flows = [Flow::default(), Flow::default()];
        self.free.push(slot);
    }

    pub(super) fn tenant(&self, slot: u32) -> Tenant {
        Tenant { slot, generation: self.connections[slot as usize].generation }
    }

    pub(super) fn find(&self, host: u32, id: ConnectionId) -> Option<u32> {
        let ports = &self.ports[host as usize];
        ports.binary_search_by_key(&id, |port| port.0).ok().map(|i| ports[i].1)
    }

    pub(super) fn remember_port(&mut self, host: u32, id: ConnectionId, slot: u32) {
        let ports = &mut self.ports[host as usize];
        if let Err(i) = ports.binary_search_by_key(&id, |port| port.0) {
            ports.insert(i, (id, slot));
        }
    }

    pub(super) fn forget_port(&mut self, host: u32, id: ConnectionId) {
        let ports = &mut self.ports[host as usize];
        if let Ok(i) = ports.binary_search_by_key(&id, |port| port.0) {
            ports.remove(i);
        }
    }
}
