//! Asking for votes (KIP-595, Raft §5.2).

use std::collections::{BTreeMap, BTreeSet};

use super::RaftError;
use super::machine::{Raft, majority};
use super::messages::{Candidacy, read_vote_response, vote_request};
use super::peer_calls::PeerCalls;
use super::roles::Role;
use crate::ids::NodeId;
use crate::rpc::CallResult;
use crate::time::{Instant, earliest};
use crate::wire::Response;

/// A node that asks for votes in the current epoch.
#[derive(Debug, Clone)]
pub struct Candidate {
    votes: BTreeMap<NodeId, bool>,
    voters: usize,
    calls: PeerCalls,
    /// How many elections were lost in a row before this one.
    pub retries: u32,
    /// When the election counts as lost.
    pub election_deadline: Instant,
    /// Set once the election is lost: when the next one begins.
    pub backing_off_until: Option<Instant>,
}

impl Candidate {
    /// A candidate that has only its own vote.
    pub fn new(
        me: NodeId,
        voters: &BTreeSet<NodeId>,
        retries: u32,
        election_deadline: Instant,
        now: Instant,
    ) -> Self {
        Candidate {
            votes: BTreeMap::from([(me, true)]),
            voters: voters.len(),
            calls: PeerCalls::to_all(voters.iter().copied().filter(|n| *n != me), now),
            retries,
            election_deadline,
            backing_off_until: None,
        }
    }

    /// Who voted for it.
    pub fn granting(&self) -> Vec<NodeId> {
        self.votes.iter().filter(|(_, granted)| **granted).map(|(voter, _)| *voter).collect()
    }

    /// Does it have a majority?
    pub fn is_elected(&self) -> bool {
        self.granting().len() >= majority(self.voters)
    }

    /// Can it no longer get a majority?
    pub fn is_rejected(&self) -> bool {
        let rejected = self.votes.values().filter(|granted| !**granted).count();
        self.voters - rejected < majority(self.voters)
    }

    /// When it wants to be called next.
    pub fn next_deadline(&self) -> Instant {
        let waits_for = self.backing_off_until.unwrap_or(self.election_deadline);
        let calls = if self.backing_off_until.is_some() { None } else { self.calls.next_deadline() };
        earliest(Some(waits_for), calls).unwrap_or(waits_for)
    }

    /// Is call `id` to `peer` one of its own?
    pub fn is_waiting_for(&self, id: u64, peer: NodeId) -> bool {
        self.calls.is_waiting_for(id, peer)
    }
}

impl Raft {
    /// Sends what votes are still to be asked for. Elected already (a lone voter): leads.
    pub(super) fn drive_candidate(&mut self, now: Instant) {
        let Role::Candidate(candidate) = &self.role else { return };
        if candidate.is_elected() {
            let granting = candidate.granting();
            return self.become_leader(granting, now);
        }
        if candidate.backing_off_until.is_some() {
            return;
        }
        let candidacy = Candidacy {
            candidate: self.me,
            epoch: self.quorum.epoch,
            last_epoch: self.log.last_epoch(),
            end_offset: self.log.end(),
        };
        for voter in candidate.calls.due(now) {
            let request = vote_request(&self.cluster_id, voter, &candidacy);
            let id = self.call(voter, request);
            if let Role::Candidate(candidate) = &mut self.role {
                candidate.calls.sent(voter, id);
            }
        }
    }

    /// Takes a vote.
    pub(super) fn on_vote_result(
        &mut self,
        from: NodeId,
        result: CallResult,
        now: Instant,
    ) -> Result<(), RaftError> {
        let answer = match &result {
            Ok(Response::Vote(response)) => read_vote_response(response),
            _ => None,
        };
        let told = answer.and_then(|(head, _)| head.leadership);
        if let Some(told) = told
            && self.learn(told, now)?
        {
            return Ok(());
        }
        let retry_at = now + self.timing.retry_backoff;
        let epoch = self.quorum.epoch;
        let Role::Candidate(candidate) = &mut self.role else { return Ok(()) };
        match answer {
            // Only an answer of this epoch counts; a node that refused the request as a whole may do better later.
            Some((head, granted))
                if told.is_some_and(|t| t.epoch == epoch) && (granted || head.error == 0) =>
            {
                candidate.votes.insert(from, granted);
                candidate.calls.done(from);
            }
            _ => candidate.calls.again(from, retry_at),
        }
        if candidate.is_rejected() && candidate.backing_off_until.is_none() {
            let backoff = self.timing.election_backoff(candidate.retries + 1);
            candidate.backing_off_until = Some(now + backoff);
        }
        Ok(())
    }

    /// The election's clock: lost after its time-out, repeated in the next epoch after the back-off.
    pub(super) fn on_candidate_timer(&mut self, now: Instant) {
        let Role::Candidate(candidate) = &mut self.role else { return };
        match candidate.backing_off_until {
            Some(at) if at <= now => {
                let retries = candidate.retries + 1;
                self.become_candidate(retries, now);
            }
            None if candidate.election_deadline <= now => {
                let backoff = self.timing.election_backoff(candidate.retries + 1);
                candidate.backing_off_until = Some(now + backoff);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_elects_and_a_majority_rejects() {
        let voters = BTreeSet::from([1, 2, 3, 4, 5].map(NodeId));
        let mut candidate = Candidate::new(NodeId(1), &voters, 0, Instant(9), Instant(0));
        candidate.votes.insert(NodeId(2), true);
        assert!(!candidate.is_elected() && !candidate.is_rejected());
        candidate.votes.insert(NodeId(3), false);
        candidate.votes.insert(NodeId(4), false);
        assert!(!candidate.is_elected() && !candidate.is_rejected());
        let mut loser = candidate.clone();
        loser.votes.insert(NodeId(5), false);
        assert!(loser.is_rejected());
        candidate.votes.insert(NodeId(5), true);
        assert!(candidate.is_elected());
        assert_eq!(candidate.granting(), [1, 2, 5].map(NodeId));
    }
}
