//! Segments on their way: never overtaking, repeated when lost, answered with a reset when nobody knows them.

use broker::io::{ConnectionId, Input};

use super::connection::{EndState, Segment};
use super::sim_net::{Around, RTO_MAX_US, RTO_MIN_US, SimNet};
use crate::world::agenda::{Event, NetEvent};

/// The sender gives up when nothing got through for this long. Source: ours (`tcp_retries2` gives about 15 minutes; a run
/// is shorter, and Kafka's `request.timeout.ms` of 30 s acts long before either).
const GIVE_UP_US: u64 = 60_000_000;

impl SimNet {
    /// Puts what waits on the wire, up to the first loss.
    pub(super) fn transmit(&mut self, around: &mut Around<'_>, slot: u32, from: usize) {
        let connection = &self.connections[slot as usize];
        if !connection.flows[from].held_by.is_empty() {
            return;
        }
        let (source, target, class) = connection.route(from);
        while self.connections[slot as usize].flows[from].in_flight
            < self.connections[slot as usize].flows[from].fifo.len()
        {
            let flow = &self.connections[slot as usize].flows[from];
            let bytes = flow.fifo[flow.in_flight].bytes();
            match self.links.carry(around.now, (source, target, class), bytes) {
                Some(latency) => self.launch(around, slot, from, latency),
                None => return self.retry_later(around, slot, from),
            }
        }
    }

    /// The first segment that is not on the wire goes there.
    pub(super) fn launch(&mut self, around: &mut Around<'_>, slot: u32, from: usize, latency: u64) {
        let tenant = self.tenant(slot);
        let flow = &mut self.connections[slot as usize].flows[from];
        flow.last_arrival = flow.last_arrival.max(around.now + latency);
        flow.in_flight += 1;
        let event = NetEvent::Arrive { from: from as u8, window: flow.window };
        around.agenda.schedule(flow.last_arrival, Event::Net(tenant, event));
    }

    /// The oldest segment in flight reaches the other machine.
    pub(super) fn arrive(&mut self, around: &mut Around<'_>, slot: u32, from: usize, window: u32) {
        let connection = &mut self.connections[slot as usize];
        let (source, target, class) = connection.route(from);
        let flow = &mut connection.flows[from];
        if flow.window != window || flow.in_flight == 0 {
            return;
        }
        if self.links.is_cut(source, target, class) || !around.hosts[target as usize].is_powered {
            return self.lose_window(around, slot, from);
        }
        if connection.ends[1 - from].state == EndState::Closed {
            return self.arrive_at_nobody(around, slot, from);
        }
        if self.is_intercepted(around, slot, from) {
            return;
        }
        let connection = &mut self.connections[slot as usize];
        let flow = &mut connection.flows[from];
        flow.in_flight -= 1;
        flow.blocked_since = None;
        flow.rto_us = RTO_MIN_US;
        let segment = flow.fifo.pop_front();
        let id = connection.ends[1 - from].id;
        match segment {
            Some(Segment::Frame { frame, .. }) => {
                if from == 1 {
                    connection.unanswered.answered(&frame);
                }
                around.hosts[target as usize].give(Input::FrameReceived { connection: id, frame });
            }
            Some(Segment::Open) => self.accept(around, slot),
            Some(Segment::Fin | Segment::Rst) => self.end_closed(around, slot, 1 - from),
            None => {}
        }
    }

    fn accept(&mut self, around: &mut Around<'_>, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let Some(listener) = connection.listener else { return };
        let host = connection.ends[1].host;
        let id = ConnectionId::incoming(self.accepted[host as usize]);
        self.accepted[host as usize] += 1;
        connection.ends[1].id = id;
        connection.ends[1].state = EndState::Open;
        self.remember_port(host, id, slot);
        around.hosts[host as usize].give(Input::ConnectionAccepted { connection: id, listener });
    }

    /// The receiving machine runs, but has no such connection (any more).
    fn arrive_at_nobody(&mut self, around: &mut Around<'_>, slot: u32, from: usize) {
        let tenant = self.tenant(slot);
        let connection = &mut self.connections[slot as usize];
        let (source, target, class) = connection.route(from);
        let is_goodbye = !connection.flows[1 - from].fifo.is_empty();
        let flow = &mut connection.flows[from];
        if is_goodbye {
            // The other direction carries the end of the connection; this segment comes too late to matter.
            flow.fifo.pop_front();
            flow.in_flight -= 1;
        } else if connection.ends[from].state == EndState::Closed {
            self.release(slot);
        } else if let Some(latency) = self.links.transmit(target, source, class) {
            flow.window += 1;
            flow.in_flight = 0;
            let at = connection.flows[1 - from].last_arrival.max(around.now + latency);
            around.agenda.schedule(at, Event::Net(tenant, NetEvent::Reset { at: from as u8 }));
        } else {
            self.lose_window(around, slot, from);
        }
    }

    /// The answer to a segment that nobody knew reaches its sender.
    pub(super) fn reset(&mut self, around: &mut Around<'_>, slot: u32, at: usize) {
        let (to, from, class) = self.connections[slot as usize].route(at);
        if self.links.is_cut(from, to, class) {
            return self.lose_window(around, slot, at);
        }
        self.end_closed(around, slot, at);
    }

    /// Everything in flight is lost: what follows a lost segment has to wait for it anyway.
    fn lose_window(&mut self, around: &mut Around<'_>, slot: u32, from: usize) {
        let flow = &mut self.connections[slot as usize].flows[from];
        flow.window += 1;
        flow.in_flight = 0;
        if flow.is_abandoned {
            flow.fifo.clear();
        } else {
            self.retry_later(around, slot, from);
        }
    }

    fn retry_later(&mut self, around: &mut Around<'_>, slot: u32, from: usize) {
        let tenant = self.tenant(slot);
        let flow = &mut self.connections[slot as usize].flows[from];
        flow.blocked_since.get_or_insert(around.now);
        if flow.will_retry {
            return;
        }
        flow.will_retry = true;
        around.agenda.schedule(
            around.now + flow.rto_us,
            Event::Net(tenant, NetEvent::Retransmit { from: from as u8 }),
        );
        flow.rto_us = (flow.rto_us * 2).min(RTO_MAX_US);
    }

    pub(super) fn retransmit(&mut self, around: &mut Around<'_>, slot: u32, from: usize) {
        let flow = &mut self.connections[slot as usize].flows[from];
        flow.will_retry = false;
        let gave_up = flow.blocked_since.is_some_and(|since| around.now >= since + GIVE_UP_US);
        if flow.is_abandoned || flow.in_flight == flow.fifo.len() {
            return;
        }
        if gave_up {
            flow.window += 1;
            flow.in_flight = 0;
            flow.fifo.clear();
            flow.is_abandoned = true;
            return self.end_closed(around, slot, from);
        }
        self.transmit(around, slot, from);
    }
}
