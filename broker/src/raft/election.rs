//! Counting answers to one question, put to every voter: "do I get your vote?", in advance or for good.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::majority;
use super::peer_calls::PeerCalls;
use crate::ids::NodeId;
use crate::time::Instant;

/// The votes of one round, for a candidate (KIP-595) or for a prospective one (KIP-996).
#[derive(Debug, Clone)]
pub struct Election {
    votes: BTreeMap<NodeId, bool>,
    voters: usize,
    calls: PeerCalls,
}

impl Election {
    /// A round in which `me` has only its own vote; none if it is no voter any more (KIP-853).
    pub fn new(me: NodeId, voters: &BTreeSet<NodeId>, now: Instant) -> Self {
        Election {
            votes: voters.iter().filter(|n| **n == me).map(|n| (*n, true)).collect(),
            voters: voters.len(),
            calls: PeerCalls::to_all(voters.iter().copied().filter(|n| *n != me), now),
        }
    }

    /// Who said yes.
    pub fn granting(&self) -> Vec<NodeId> {
        self.votes.iter().filter(|(_, granted)| **granted).map(|(voter, _)| *voter).collect()
    }

    /// Did a majority say yes?
    pub fn is_won(&self) -> bool {
        self.granting().len() >= majority(self.voters)
    }

    /// Can no majority say yes any more?
    pub fn is_lost(&self) -> bool {
        let rejected = self.votes.values().filter(|granted| !**granted).count();
        self.voters.saturating_sub(rejected) < majority(self.voters)
    }

    /// `voter` answered.
    pub fn record(&mut self, voter: NodeId, granted: bool) {
        self.votes.insert(voter, granted);
        self.calls.done(voter);
    }

    /// `voter` gave no answer that counts: ask again at `at`.
    pub fn ask_again(&mut self, voter: NodeId, at: Instant) {
        self.calls.again(voter, at);
    }

    /// Who is to be asked by `now`.
    pub fn due(&self, now: Instant) -> Vec<NodeId> {
        self.calls.due(now)
    }

    /// Call `id` went out to `voter`.
    pub fn sent(&mut self, voter: NodeId, id: u64) {
        self.calls.sent(voter, id);
    }

    /// Is call `id` to `voter` one of its own, and unanswered?
    pub fn is_waiting_for(&self, id: u64, voter: NodeId) -> bool {
        self.calls.is_waiting_for(id, voter)
    }

    /// When somebody is to be asked next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.calls.next_deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_elects_and_a_majority_rejects() {
        let voters = BTreeSet::from([1, 2, 3, 4, 5].map(NodeId));
        let mut election = Election::new(NodeId(1), &voters, Instant(0));
        election.record(NodeId(2), true);
        assert!(!election.is_won() && !election.is_lost());
        election.record(NodeId(3), false);
        election.record(NodeId(4), false);
        assert!(!election.is_won() && !election.is_lost());
        let mut lost = election.clone();
        lost.record(NodeId(5), false);
        assert!(lost.is_lost());
        election.record(NodeId(5), true);
        assert!(election.is_won());
        assert_eq!(election.granting(), [1, 2, 5].map(NodeId));
    }

    #[test]
    fn a_lone_voter_wins_at_once() {
        assert!(Election::new(NodeId(1), &BTreeSet::from([NodeId(1)]), Instant(0)).is_won());
    }
}
