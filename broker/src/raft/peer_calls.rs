//! Asking every voter the same question until each has answered.

use std::collections::BTreeMap;

use crate::ids::NodeId;
use crate::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeerCall {
    Due(Instant),
    InFlight(u64),
    Done,
}

/// One question to a set of peers: at most one call per peer at a time, repeated after a back-off until it is done.
#[derive(Debug, Clone, Default)]
pub struct PeerCalls {
    peers: BTreeMap<NodeId, PeerCall>,
}

impl PeerCalls {
    /// Everybody is to be asked at `now`.
    pub fn to_all(peers: impl IntoIterator<Item = NodeId>, now: Instant) -> Self {
        PeerCalls { peers: peers.into_iter().map(|peer| (peer, PeerCall::Due(now))).collect() }
    }

    /// Who is to be asked by `now`, in order of id.
    pub fn due(&self, now: Instant) -> Vec<NodeId> {
        let is_due = |call: &PeerCall| matches!(call, PeerCall::Due(at) if *at <= now);
        self.peers.iter().filter(|(_, call)| is_due(call)).map(|(peer, _)| *peer).collect()
    }

    /// The earliest moment at which somebody is to be asked.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.peers
            .values()
            .filter_map(|call| if let PeerCall::Due(at) = call { Some(*at) } else { None })
            .min()
    }

    /// Call `id` went out to `peer`.
    pub fn sent(&mut self, peer: NodeId, id: u64) {
        self.peers.insert(peer, PeerCall::InFlight(id));
    }

    /// Is call `id` to `peer` one of ours, and still unanswered?
    pub fn is_waiting_for(&self, id: u64, peer: NodeId) -> bool {
        self.peers.get(&peer) == Some(&PeerCall::InFlight(id))
    }

    /// Other peers count: who is new is to be asked at `now`, who is gone not any more.
    pub fn keep_only(&mut self, peers: impl IntoIterator<Item = NodeId>, now: Instant) {
        let old = std::mem::take(&mut self.peers);
        let call = |peer: NodeId| (peer, old.get(&peer).copied().unwrap_or(PeerCall::Due(now)));
        self.peers = peers.into_iter().map(call).collect();
    }

    /// Ask `peer` again at `at`.
    pub fn again(&mut self, peer: NodeId, at: Instant) {
        self.peers.insert(peer, PeerCall::Due(at));
    }

    /// Nothing more to ask of `peer`; nothing happens if it is not one of the peers.
    pub fn done(&mut self, peer: NodeId) {
        if let Some(call) = self.peers.get_mut(&peer) {
            *call = PeerCall::Done;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_asked_once_at_a_time_and_again_after_a_failure() {
        let mut calls = PeerCalls::to_all([NodeId(1), NodeId(2)], Instant(0));
        assert_eq!(calls.due(Instant(0)), [NodeId(1), NodeId(2)]);
        calls.sent(NodeId(1), 7);
        calls.done(NodeId(2));
        assert_eq!(calls.due(Instant(9)), []);
        assert!(calls.is_waiting_for(7, NodeId(1)) && !calls.is_waiting_for(7, NodeId(2)));
        calls.again(NodeId(1), Instant(5));
        assert!(!calls.is_waiting_for(7, NodeId(1)));
        assert_eq!(
            (calls.next_deadline(), calls.due(Instant(4)), calls.due(Instant(5))),
            (Some(Instant(5)), vec![], vec![NodeId(1)])
        );
    }
}
