//! One connection: two ends, two flows.

use std::collections::VecDeque;

use broker::io::{ConnectionId, Listener};
use bytes::Bytes;

use super::intercept::Unanswered;
use crate::world::control::{CutId, TrafficClass};

/// What one end's kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndState {
    /// Will be handed to the application when the opener's first segment arrives.
    Pending,
    /// The application has it.
    Open,
    /// Nobody has it.
    Closed,
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) host: u32,
    /// What this end's machine calls the connection.
    pub(super) id: ConnectionId,
    pub(super) state: EndState,
}

#[derive(Debug)]
pub(super) enum Segment {
    /// The end of the handshake: the acceptor learns of the connection.
    Open,
    /// `ruled`: the youngest rule of interception that has looked at it.
    Frame { frame: Bytes, ruled: u64 },
    /// Orderly end of this direction.
    Fin,
    /// The sender's process died.
    Rst,
}

impl Segment {
    /// What it takes of a link's bandwidth. Source: ours (40 bytes of headers, one frame as one segment).
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Segment::Frame { frame, .. } => frame.len() as u64 + 40,
            Segment::Open | Segment::Fin | Segment::Rst => 40,
        }
    }
}

/// Segments from one end to the other, oldest first; the first `in_flight` of them are on the wire.
#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) fifo: VecDeque<Segment>,
    pub(super) in_flight: usize,
    /// Counts the times when everything in flight was given up: arrivals of older windows mean nothing.
    pub(super) window: u32,
    /// Nothing arrives before this.
    pub(super) last_arrival: u64,
    /// The next retransmission timeout.
    pub(super) rto_us: u64,
    /// Is a retransmission scheduled?
    pub(super) will_retry: bool,
    /// Since when nothing got through.
    pub(super) blocked_since: Option<u64>,
    /// The oldest segment is held back by these rules, and all others behind it.
    pub(super) held_by: Vec<CutId>,
    /// How many segments had left the sender when it was held back: they outlive it.
    pub(super) held_len: usize,
    /// No kernel is left to repeat what gets lost.
    pub(super) is_abandoned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    Connecting,
    Established,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) generation: u32,
    pub(super) phase: Phase,
    pub(super) class: TrafficClass,
    /// `None`: no listener has this port.
    pub(super) listener: Option<Listener>,
    /// The opener, the acceptor.
    pub(super) ends: [End; 2],
    /// What the opener asked and was not answered.
    pub(super) unanswered: Unanswered,
    /// From the opener, from the acceptor.
    pub(super) flows: [Flow; 2],
    /// The next timeout of a connection attempt.
    pub(super) syn_rto_us: u64,
}

impl Connection {
    pub(super) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.state == EndState::Closed)
    }

    /// The machines that segments from this end leave and reach.
    pub(super) fn route(&self, from: usize) -> (u32, u32, TrafficClass) {
        (self.ends[from].host, self.ends[1 - from].host, self.class)
    }
}

/// The class of traffic of a listener.
pub(super) fn class_of(listener: Listener) -> TrafficClass {
    match listener {
        Listener::Client => TrafficClass::Client,
        Listener::Replication => TrafficClass::Replication,
        Listener::Controller => TrafficClass::Controller,
    }
}
