//! Opening a connection: a round trip, a refusal, or silence until `socket.connection.setup.timeout.ms`.

use broker::io::{Address, ConnectionId, Input, Listener};

use super::connection::{Connection, End, EndState, Flow, Phase, Segment, class_of};
use super::sim_net::{Around, RTO_MAX_US, RTO_MIN_US, SimNet};
use crate::world::agenda::{Event, NetEvent};
use crate::world::control::{HostState, TrafficClass};

/// `socket.connection.setup.timeout.ms` of Kafka's clients.
const CONNECT_TIMEOUT_US: u64 = 10_000_000;

impl SimNet {
    /// A machine wants a connection. Errors: a bug of the machine.
    pub(crate) fn connect(
        &mut self,
        around: &mut Around<'_>,
        host: u32,
        id: ConnectionId,
        to: &Address,
    ) -> Result<(), String> {
        if !id.is_outgoing() || self.find(host, id).is_some() {
            return Err(format!("asked for connection {id}, which is not free or not its own to open"));
        }
        let target = self.names.get(&to.host).copied();
        let listener = Listener::of_port(to.port);
        let class = listener.map_or(TrafficClass::Client, class_of);
        let flow = || Flow { rto_us: RTO_MIN_US, ..Flow::default() };
        let tenant = self.lease(|generation| Connection {
            generation,
            phase: Phase::Connecting,
            class,
            listener,
            ends: [
                End { host, id, state: EndState::Open },
                End { host: target.unwrap_or(host), id: ConnectionId::incoming(0), state: EndState::Closed },
            ],
            unanswered: Default::default(),
            flows: [flow(), flow()],
            syn_rto_us: RTO_MIN_US,
        });
        self.remember_port(host, id, tenant.slot);
        if target.is_none() {
            around.agenda.schedule(around.now, Event::Net(tenant, NetEvent::Refused));
            return Ok(());
        }
        around.agenda.schedule(around.now + CONNECT_TIMEOUT_US, Event::Net(tenant, NetEvent::ConnectTimeout));
        self.send_syn(around, tenant.slot);
        Ok(())
    }

    pub(super) fn send_syn(&mut self, around: &mut Around<'_>, slot: u32) {
        let tenant = self.tenant(slot);
        let connection = &mut self.connections[slot as usize];
        let rto_us = connection.syn_rto_us;
        connection.syn_rto_us = (rto_us * 2).min(RTO_MAX_US);
        around.agenda.schedule(around.now + rto_us, Event::Net(tenant, NetEvent::SynRetry));
        let (from, to, class) = connection.route(0);
        if let Some(latency) = self.links.transmit(from, to, class) {
            around.agenda.schedule(around.now + latency, Event::Net(tenant, NetEvent::Syn));
        }
    }

    pub(super) fn syn(&mut self, around: &mut Around<'_>, slot: u32) {
        let connection = &self.connections[slot as usize];
        let (opener, target, class) = connection.route(0);
        let host = &around.hosts[target as usize];
        if self.links.is_cut(opener, target, class) || !host.is_powered || host.state == HostState::Paused {
            return;
        }
        let accepts = host.state == HostState::Up && host.is_node && connection.listener.is_some();
        let answer = match accepts {
            true => NetEvent::SynAck { incarnation: host.incarnation },
            false => NetEvent::Refused,
        };
        if let Some(latency) = self.links.transmit(target, opener, class) {
            around.agenda.schedule(around.now + latency, Event::Net(self.tenant(slot), answer));
        }
    }

    pub(super) fn syn_ack(&mut self, around: &mut Around<'_>, slot: u32, incarnation: u32) {
        let connection = &mut self.connections[slot as usize];
        let (opener, target, class) = connection.route(0);
        if self.links.is_cut(target, opener, class) {
            return;
        }
        connection.phase = Phase::Established;
        let host = &around.hosts[target as usize];
        if host.state != HostState::Down && host.incarnation == incarnation {
            connection.ends[1].state = EndState::Pending;
        }
        connection.flows[0].fifo.push_front(Segment::Open);
        let id = connection.ends[0].id;
        around.hosts[opener as usize].give(Input::ConnectionOpened { connection: id });
        self.transmit(around, slot, 0);
    }

    pub(super) fn refused(&mut self, around: &mut Around<'_>, slot: u32) {
        let (opener, target, class) = self.connections[slot as usize].route(0);
        if !self.links.is_cut(target, opener, class) {
            self.give_up_connecting(around, slot);
        }
    }

    pub(super) fn give_up_connecting(&mut self, around: &mut Around<'_>, slot: u32) {
        self.end_closed(around, slot, 0);
    }
}
