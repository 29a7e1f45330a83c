//! Connections that end although both machines live.

use super::connection::{EndState, Phase};
use super::sim_net::{Around, SimNet};
use crate::plan::HostId;
use crate::world::agenda::{Event, NetEvent};

impl SimNet {
    /// Ends the open connections between machines of `from` and of `to`. Returns how many there were.
    pub(crate) fn reset_between(
        &mut self,
        around: &mut Around<'_>,
        from: &[HostId],
        to: &[HostId],
        is_told: bool,
    ) -> usize {
        let mut count = 0;
        for slot in 0..self.connections.len() as u32 {
            let connection = &self.connections[slot as usize];
            let host = |end: usize| HostId(connection.ends[end].host);
            let is_it = |end: &usize| {
                from.contains(&host(*end))
                    && to.contains(&host(1 - end))
                    && connection.ends[*end].state == EndState::Open
            };
            let end = (0..2).find(is_it).filter(|_| connection.phase == Phase::Established);
            let Some(end) = end else { continue };
            count += 1;
            if is_told {
                self.reset_both(around, slot, end);
            } else {
                self.forget_segments(slot);
                self.end_closed(around, slot, end);
            }
        }
        count
    }

    /// What was under way in either direction is lost.
    fn forget_segments(&mut self, slot: u32) {
        for flow in &mut self.connections[slot as usize].flows {
            flow.window += 1;
            flow.in_flight = 0;
            flow.held_len = 0;
            flow.held_by.clear();
            flow.fifo.clear();
        }
    }

    /// Both ends of a connection learn that it is over: `first` now, the other after a trip. What was under way is lost.
    pub(super) fn reset_both(&mut self, around: &mut Around<'_>, slot: u32, first: usize) {
        let tenant = self.tenant(slot);
        self.forget_segments(slot);
        let (source, target, class) = self.connections[slot as usize].route(first);
        self.end_closed(around, slot, first);
        if let Some(latency) = self.links.transmit(source, target, class) {
            let event = NetEvent::Reset { at: 1 - first as u8 };
            around.agenda.schedule(around.now + latency, Event::Net(tenant, event));
        }
    }
}
