//! The roles of a node in the quorum, and every transition between them.

use super::candidate::Candidate;
use super::election::Election;
use super::leader::Leader;
use super::machine::Raft;
use super::peer_calls::PeerCalls;
use super::prospective::Prospective;
use super::quorum_state::QuorumState;
use super::resigned::Resigned;
use super::{Leadership, RaftError, RaftEvent};
use crate::defects::Defect;
use crate::ids::{LeaderEpoch, NodeId};
use crate::time::{Instant, earliest};
use crate::trace::{Observation, QuorumRole};

/// What a node is in the current epoch.
#[derive(Debug, Clone)]
pub enum Role {
    /// Knows no leader. Observers never have a deadline.
    Unattached {
        /// When a voter stands for election.
        election_deadline: Option<Instant>,
    },
    /// Fetches from the leader.
    Follower {
        /// When the leader counts as gone, unless a fetch succeeds before.
        fetch_deadline: Instant,
        /// Did the leader answer a fetch in this epoch? Then it lives, as far as this node knows.
        has_fetched: bool,
    },
    /// Asks whether it would be elected.
    Prospective(Prospective),
    /// Asks for votes.
    Candidate(Candidate),
    /// Leads.
    Leader(Box<Leader>),
    /// Led.
    Resigned(Resigned),
}

impl Role {
    /// The role's name in the trace.
    pub fn fact(&self) -> QuorumRole {
        match self {
            Role::Unattached { .. } => QuorumRole::Unattached,
            Role::Follower { .. } => QuorumRole::Follower,
            Role::Prospective(_) => QuorumRole::Prospective,
            Role::Candidate(_) => QuorumRole::Candidate,
            Role::Leader(_) => QuorumRole::Leader,
            Role::Resigned(_) => QuorumRole::Resigned,
        }
    }

    /// When the role wants to be called next, calls to peers aside.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self {
            Role::Unattached { election_deadline } => *election_deadline,
            Role::Follower { fetch_deadline, .. } => Some(*fetch_deadline),
            Role::Prospective(prospective) => prospective.next_deadline(),
            Role::Candidate(candidate) => candidate.next_deadline(),
            Role::Leader(leader) => leader.next_deadline(),
            Role::Resigned(r) => earliest(Some(r.election_deadline), r.calls.next_deadline()),
        }
    }

    /// What is left of the role's wait for an election; a transition to another epoch does not prolong it, so that nodes
    /// with a poor log cannot starve the others (KIP-595).
    fn election_deadline(&self) -> Option<Instant> {
        match self {
            Role::Unattached { election_deadline } => *election_deadline,
            Role::Follower { fetch_deadline, .. } => Some(*fetch_deadline),
            Role::Prospective(prospective) => Some(prospective.election_deadline),
            Role::Candidate(candidate) => Some(candidate.election_deadline),
            Role::Leader(_) => None,
            Role::Resigned(resigned) => Some(resigned.election_deadline),
        }
    }

    /// The votes that are being asked for.
    pub(super) fn election(&self) -> Option<&Election> {
        match self {
            Role::Prospective(prospective) => Some(&prospective.election),
            Role::Candidate(candidate) => Some(&candidate.election),
            _ => None,
        }
    }

    /// The same, to be counted.
    pub(super) fn election_mut(&mut self) -> Option<&mut Election> {
        match self {
            Role::Prospective(prospective) => Some(&mut prospective.election),
            Role::Candidate(candidate) => Some(&mut candidate.election),
            _ => None,
        }
    }
}

impl Raft {
    /// The role in which a node boots (KIP-595): what the log knows wins over an older file; a recorded leader has resigned;
    /// a recorded vote for itself is a candidacy that goes on.
    pub(super) fn enter_boot_role(&mut self, recorded: QuorumState, now: Instant) {
        let log_epoch = self.log.last_epoch();
        self.quorum = recorded;
        if log_epoch > recorded.epoch {
            self.become_unattached(log_epoch, now);
        } else if recorded.leader == Some(self.me) {
            match self.defects.has(Defect::LeaderResumesItsEpoch) {
                true => self.become_leader(vec![self.me], now),
                false => self.become_resigned(Vec::new(), now),
            }
        } else if self.is_voter && recorded.leader.is_none() && recorded.voted_for == Some(self.me) {
            self.enter_candidacy(0, now);
        } else if let Some(leader) = recorded.leader.filter(|l| self.voters.contains(l)) {
            self.become_follower(recorded.epoch, leader, now);
        } else {
            let election_deadline = self.is_voter.then(|| self.election_deadline(now));
            self.wait_for_leader(election_deadline, now);
        }
    }

    /// Takes in what a peer says about epoch and leader (KIP-595). Returns whether the node changed its role.
    /// Errors: a second leader for the current epoch.
    pub(super) fn learn(&mut self, told: Leadership, now: Instant) -> Result<bool, RaftError> {
        // This node in an epoch that it does not lead (a lost disk) helps nobody. A leader need not be a voter as far as this
        // node knows: the record that names it may still be on its way (KIP-853).
        let leader = told.leader.filter(|l| *l != self.me);
        if told.epoch > self.quorum.epoch {
            match leader {
                Some(leader) => self.become_follower(told.epoch, leader, now),
                None => self.become_unattached(told.epoch, now),
            }
            return Ok(true);
        }
        if told.epoch < self.quorum.epoch {
            return Ok(false);
        }
        match (self.quorum.leader, leader) {
            (Some(known), Some(claimed)) if known != claimed => {
                Err(RaftError::InconsistentLeader { epoch: told.epoch, known, claimed })
            }
            (None, Some(leader)) => {
                self.become_follower(told.epoch, leader, now);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Enters `epoch` without a leader and without a vote.
    pub(super) fn become_unattached(&mut self, epoch: LeaderEpoch, now: Instant) {
        let left = self.role.election_deadline();
        let election_deadline = match left {
            _ if !self.is_voter => None,
            Some(deadline) => Some(deadline),
            None => Some(self.election_deadline(now)),
        };
        self.quorum = QuorumState { epoch, leader: None, voted_for: None };
        self.set_role(Role::Unattached { election_deadline }, now);
    }

    /// Goes on in the current epoch without a leader.
    pub(super) fn wait_for_leader(&mut self, election_deadline: Option<Instant>, now: Instant) {
        self.quorum.leader = None;
        self.set_role(Role::Unattached { election_deadline }, now);
    }

    /// Records the vote of the current epoch; the election has begun, so the wait for it begins anew.
    pub(super) fn become_voted(&mut self, candidate: NodeId, now: Instant) {
        let election_deadline = self.is_voter.then(|| now + self.timing.election_timeout());
        self.quorum.voted_for = Some(candidate);
        self.set_role(Role::Unattached { election_deadline }, now);
    }

    /// Follows `leader` in `epoch`.
    pub(super) fn become_follower(&mut self, epoch: LeaderEpoch, leader: NodeId, now: Instant) {
        let voted_for = if epoch == self.quorum.epoch { self.quorum.voted_for } else { None };
        self.quorum = QuorumState { epoch, leader: Some(leader), voted_for };
        let fetch_deadline = now + self.timing.fetch_timeout;
        self.set_role(Role::Follower { fetch_deadline, has_fetched: false }, now);
    }

    /// Asks in the current epoch whether it would be elected; epoch, vote and leader stay as they are (KIP-996).
    pub(super) fn become_prospective(&mut self, retries: u32, now: Instant) {
        let election_deadline = now + self.timing.election_timeout();
        let election = Election::new(self.me, &self.voters, now);
        self.set_role(Role::Prospective(Prospective { election, retries, election_deadline }), now);
    }

    /// Stands for election in the next epoch; `retries` elections were lost in a row before.
    pub(super) fn become_candidate(&mut self, retries: u32, now: Instant) {
        let Some(epoch) = self.quorum.epoch.checked_add(1) else {
            // A peer claimed the last epoch there is: nobody can be elected any more, and nobody must panic over it.
            return self.wait_for_leader(None, now);
        };
        self.quorum = QuorumState { epoch, leader: None, voted_for: Some(self.me) };
        self.enter_candidacy(retries, now);
    }

    fn enter_candidacy(&mut self, retries: u32, now: Instant) {
        let election_deadline = now + self.timing.election_timeout();
        let election = Election::new(self.me, &self.voters, now);
        let candidate = Candidate { election, retries, election_deadline, backing_off_until: None };
        self.set_role(Role::Candidate(candidate), now);
    }

    /// Leads the current epoch, elected by `granting`. The log is touched only once the election is durable.
    pub(super) fn become_leader(&mut self, granting: Vec<NodeId>, now: Instant) {
        self.quorum.leader = Some(self.me);
        let patience = self.timing.check_quorum_timeout();
        let (end, defects) = (self.log.end(), &self.defects);
        let leader = Leader::new(self.me, &self.voters, granting, end, patience, defects, now);
        self.set_role(Role::Leader(Box::new(leader)), now);
    }

    /// Gives up leading within the epoch. Memory only: the file still names this node as the leader, and that is what makes
    /// it resign again after a restart.
    pub(super) fn become_resigned(&mut self, successors: Vec<NodeId>, now: Instant) {
        let others = self.voters.iter().copied().filter(|n| *n != self.me);
        let calls = PeerCalls::to_all(others, now);
        let election_deadline = self.election_deadline(now);
        self.set_role(Role::Resigned(Resigned { election_deadline, calls, successors }), now);
    }

    /// When a voter that knows no leader stands for election. A lone voter has nobody to wait for.
    fn election_deadline(&mut self, now: Instant) -> Instant {
        if self.voters.len() == 1 { now } else { now + self.timing.election_timeout() }
    }

    /// Leaves the old role (its fetches, its parked requests, its leadership) and states the new one.
    fn set_role(&mut self, role: Role, now: Instant) {
        let old = std::mem::replace(&mut self.role, role);
        self.fetcher.reset(now);
        let (epoch, leader) = (self.quorum.epoch, self.leader());
        self.held.fact(Observation::QuorumRoleChanged { epoch, role: self.role.fact(), leader });
        if let Role::Leader(old) = old {
            self.refuse_parked(old.parked.into_iter());
            self.refuse_changes(old.changes.into_iter());
            if old.is_announced {
                // At once: whoever acts on the leadership should stop as early as possible.
                self.events.push(RaftEvent::Resigned { epoch: old.epoch });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Rig;
    use super::*;

    #[test]
    fn a_leader_that_hears_of_a_higher_epoch_resigns_at_once() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        rig.fetch(2, epoch, 1, epoch);
        assert!(rig.vote(NodeId(3), epoch + 1, epoch, 1));
        assert!(rig.events.contains(&RaftEvent::Resigned { epoch }));
        assert_eq!(rig.events.last(), Some(&RaftEvent::LeaderChanged { leader: None, epoch: epoch + 1 }));
    }

    #[test]
    fn k02_leads_the_epoch_again_that_it_led_before_the_restart() {
        let mut rig = Rig::with_defects(1, [Defect::LeaderResumesItsEpoch]);
        let epoch = rig.elect();
        rig.restart();
        rig.sync();
        assert_eq!((rig.raft.epoch(), rig.raft.is_leader()), (epoch, true));
        assert_eq!(rig.raft.log_end_offset(), 2, "a second LeaderChange of the same epoch");
    }

    #[test]
    fn a_recorded_leader_boots_resigned() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        rig.restart();
        rig.sync();
        assert_eq!((rig.raft.epoch(), rig.raft.is_leader(), rig.raft.leader()), (epoch, false, None));
        assert!(!rig.vote(NodeId(2), epoch, 0, 0));
        rig.tick();
        rig.sync();
        assert_eq!(rig.raft.epoch(), epoch + 1);
    }
}
