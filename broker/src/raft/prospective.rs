//! Asking whether one would be elected, before anybody's epoch is raised (KIP-996).
//!
//! A voter that is cut off from a healthy leader hears "no" here and disturbs nobody when it returns. The role lives in
//! memory only: nothing is recorded, neither by who asks nor by who consents.

use super::election::Election;
use super::machine::Raft;
use super::roles::Role;
use crate::defects::Defect;
use crate::time::{Instant, earliest};

/// A voter that asks in advance; it keeps its epoch, its vote and the leader that it knows of.
#[derive(Debug, Clone)]
pub struct Prospective {
    /// Who consents.
    pub election: Election,
    /// How many elections were lost in a row before.
    pub retries: u32,
    /// When too few have consented in time.
    pub election_deadline: Instant,
}

impl Prospective {
    /// When it wants to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        earliest(Some(self.election_deadline), self.election.next_deadline())
    }
}

impl Raft {
    /// A voter has waited long enough for a leader: it asks in advance, and becomes a candidate by the consent of a majority.
    pub(super) fn stand_for_election(&mut self, retries: u32, now: Instant) {
        if self.defects.has(Defect::NoPreVote) {
            return self.become_candidate(retries, now);
        }
        self.become_prospective(retries, now);
    }

    /// Sends what is still to be asked. A majority consents (a lone voter's own is one): asks for votes.
    pub(super) fn drive_prospective(&mut self, now: Instant) {
        let Role::Prospective(prospective) = &self.role else { return };
        if prospective.election.is_won() {
            let retries = prospective.retries;
            return self.become_candidate(retries, now);
        }
        self.ask_for_votes(true, now);
    }

    /// No majority consents: back to the leader that is known, else on waiting for one. Either way the next attempt is a
    /// whole time-out away, so that nobody flips between two roles (KAFKA-16164).
    pub(super) fn pre_vote_lost(&mut self, now: Instant) {
        match self.quorum.leader {
            Some(leader) => self.become_follower(self.quorum.epoch, leader, now),
            None => {
                let election_deadline = Some(now + self.timing.election_timeout());
                self.wait_for_leader(election_deadline, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::{begin_request, read_vote_request};
    use super::super::testing::{Rig, THREE, TWO, calls};
    use super::*;
    use crate::ids::NodeId;
    use crate::rpc::{Call, Outgoing};
    use crate::trace::{Observation, QuorumRole};
    use crate::wire::Request;

    fn is_pre_vote(call: &Call) -> bool {
        matches!(&call.request, Request::Vote(r) if read_vote_request(r).is_some_and(|asked| asked.pre_vote))
    }

    /// A follower of 2 in epoch 5 whose leader fell silent, and what it asks.
    fn abandoned(defects: impl IntoIterator<Item = Defect>) -> (Rig, Vec<Call>) {
        let mut rig = Rig::with_defects(1, defects);
        rig.answer(begin_request("c", NodeId(1), TWO, 5));
        let mut asked = calls(&rig.tick());
        asked.extend(calls(&rig.sync()));
        (rig, asked)
    }

    #[test]
    fn nothing_is_recorded_by_asking_and_a_majority_makes_a_candidate() {
        let (mut rig, asked) = abandoned([]);
        assert!(asked.iter().all(is_pre_vote) && asked.len() == 2);
        assert!(rig.disk.pending_syncs().is_empty(), "the role lives in memory only");
        assert_eq!((rig.raft.epoch(), rig.raft.leader()), (5, Some(TWO)));
        let list = rig.voted(&asked[1], 5, true);
        assert!(calls(&list).is_empty(), "the own vote is not durable yet");
        let asked = calls(&rig.sync());
        assert!(asked.len() == 2 && !asked.iter().any(is_pre_vote));
        assert_eq!((rig.raft.epoch(), rig.raft.leader()), (6, None));
    }

    #[test]
    fn a_voter_that_is_refused_follows_on_and_asks_again_a_whole_time_out_later() {
        let (mut rig, asked) = abandoned([]);
        rig.voted(&asked[0], 5, false);
        let list = rig.voted(&asked[1], 5, false);
        let role = |o: &Outgoing| match o {
            Outgoing::Fact(Observation::QuorumRoleChanged { role, .. }) => Some(*role),
            _ => None,
        };
        assert_eq!(list.iter().filter_map(role).collect::<Vec<_>>(), [QuorumRole::Follower]);
        let refused_at = rig.now;
        let mut roles = Vec::new();
        while roles.is_empty() {
            roles.extend(rig.tick().iter().filter_map(role));
        }
        assert_eq!(roles, [QuorumRole::Prospective]);
        assert_eq!(rig.now.saturating_since(refused_at).as_millis(), 2_000);
        assert_eq!(rig.raft.epoch(), 5);
    }

    #[test]
    fn a_voter_that_nobody_answers_is_not_stuck() {
        let mut rig = Rig::new(1);
        let mut asked = 0;
        for _ in 0..20 {
            asked += calls(&rig.tick()).len();
        }
        assert!(asked >= 6, "it asks again and again: {asked}");
        assert_eq!(rig.raft.epoch(), 0);
    }

    #[test]
    fn a_prospective_voter_still_votes_and_consents() {
        let mut rig = Rig::new(1);
        rig.tick();
        assert!(rig.pre_vote(TWO, 0, 0, 0) && rig.pre_vote(THREE, 0, 0, 0), "consent binds nobody");
        assert!(rig.vote(TWO, 1, 0, 0));
    }

    #[test]
    fn k06_raises_the_epoch_without_asking() {
        let (rig, asked) = abandoned([Defect::NoPreVote]);
        assert!(!asked.iter().any(is_pre_vote));
        assert_eq!((rig.raft.epoch(), rig.raft.leader()), (6, None));
    }
}
