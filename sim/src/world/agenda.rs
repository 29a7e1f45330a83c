//! What is going to happen, and when: one heap for the whole world.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A connection's slot, and the generation of its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenant {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// Something on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetEvent {
    /// The first segment in flight from end `from` arrives, unless the window was given up since.
    Arrive { from: u8, window: u32 },
    /// The sender tries again what was not acknowledged.
    Retransmit { from: u8 },
    /// The answer "no such connection" reaches the end `at`.
    Reset { at: u8 },
    /// A connection attempt arrives at its target.
    Syn,
    /// The target's answer arrives back; `incarnation` of the target at that time.
    SynAck { incarnation: u32 },
    /// The opener tries again.
    SynRetry,
    /// The target said no (or there is no such target).
    Refused,
    /// The opener gives up.
    ConnectTimeout,
}

/// Something that will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Net(Tenant, NetEvent),
    /// A sync of this incarnation is through.
    Disk {
        host: u32,
        incarnation: u32,
        token: u64,
    },
    /// The deadline of this incarnation may have come.
    Deadline {
        host: u32,
        incarnation: u32,
    },
    /// The observer wants to be called.
    Alarm,
}

struct Entry {
    at: u64,
    sequence: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// Reversed: the heap's greatest entry is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// Events by world time (microseconds), ties in order of scheduling.
#[derive(Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Entry>,
    sequence: u64,
}

impl Agenda {
    /// Later than any run lives: such an event never comes.
    pub(crate) const NEVER: u64 = 1 << 53;

    pub(crate) fn schedule(&mut self, at: u64, event: Event) {
        if at < Self::NEVER {
            self.sequence += 1;
            self.heap.push(Entry { at, sequence: self.sequence, event });
        }
    }

    /// Time of the next event.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Takes the next event if its time has come.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<Event> {
        if self.heap.peek()?.at > now {
            return None;
        }
        self.heap.pop().map(|entry| entry.event)
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_first_and_ties_in_order_of_scheduling() {
        let mut agenda = Agenda::default();
        let deadline = |host| Event::Deadline { host, incarnation: 0 };
        for (at, host) in [(20, 0), (10, 1), (10, 2), (u64::MAX, 3)] {
            agenda.schedule(at, deadline(host));
        }
        assert_eq!(agenda.pop_due(9), None);
        let order: Vec<_> = std::iter::from_fn(|| agenda.pop_due(1 << 60)).collect();
        assert_eq!(order, [deadline(1), deadline(2), deadline(0)]);
    }
}
