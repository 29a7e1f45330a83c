//! Asking for votes (KIP-595, Raft §5.2), and what comes back to a candidate or to a prospective one.

use super::RaftError;
use super::election::Election;
use super::machine::Raft;
use super::messages::{Candidacy, read_vote_response, vote_request, with_voter_directory};
use super::roles::Role;
use crate::ids::{NodeId, Uuid};
use crate::rpc::CallResult;
use crate::time::{Instant, earliest};
use crate::wire::Response;

/// A node that asks for votes in the current epoch.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Who voted how.
    pub election: Election,
    /// How many elections were lost in a row before this one.
    pub retries: u32,
    /// When the election counts as lost.
    pub election_deadline: Instant,
    /// Set once the election is lost: when the node goes on.
    pub backing_off_until: Option<Instant>,
}

impl Candidate {
    /// When it wants to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.backing_off_until {
            Some(at) => Some(at),
            None => earliest(Some(self.election_deadline), self.election.next_deadline()),
        }
    }
}

impl Raft {
    /// Sends what votes are still to be asked for. Elected already (a lone voter): leads.
    pub(super) fn drive_candidate(&mut self, now: Instant) {
        let Role::Candidate(candidate) = &self.role else { return };
        if candidate.election.is_won() {
            let granting = candidate.election.granting();
            self.become_leader(granting, now);
        } else if candidate.backing_off_until.is_none() {
            self.ask_for_votes(false, now);
        }
    }

    /// Asks every voter that is due.
    pub(super) fn ask_for_votes(&mut self, pre_vote: bool, now: Instant) {
        let Some(election) = self.role.election() else { return };
        let candidacy = Candidacy {
            candidate: self.me,
            epoch: self.quorum.epoch,
            last_epoch: self.log.last_epoch(),
            end_offset: self.log.end(),
            pre_vote,
        };
        for voter in election.due(now) {
            let set = self.voter_sets.latest();
            let directory_id = set.get(&voter).map_or(Uuid::nil(), |voter| voter.directory_id);
            let request = vote_request(&self.cluster_id, voter, &candidacy);
            let id = self.call(voter, with_voter_directory(request, directory_id));
            if let Some(election) = self.role.election_mut() {
                election.sent(voter, id);
            }
        }
    }

    /// Takes a vote, given in advance or for good.
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
        let Some(election) = self.role.election_mut() else { return Ok(()) };
        match answer {
            // Only an answer of this epoch counts; a node that refused the request as a whole may do better later.
            Some((head, granted))
                if told.is_some_and(|t| t.epoch == epoch) && (granted || head.error == 0) =>
            {
                election.record(from, granted);
            }
            _ => election.ask_again(from, retry_at),
        }
        if election.is_lost() {
            self.election_lost(now);
        }
        Ok(())
    }

    /// Too many said no, or time is over. A candidate rests before it asks again.
    fn election_lost(&mut self, now: Instant) {
        match &mut self.role {
            Role::Candidate(candidate) if candidate.backing_off_until.is_none() => {
                let backoff = self.timing.election_backoff(candidate.retries + 1);
                candidate.backing_off_until = Some(now + backoff);
            }
            Role::Prospective(_) => self.pre_vote_lost(now),
            _ => {}
        }
    }

    /// The clock of an election: lost after its time-out. A candidate that has rested asks first whether it would be elected
    /// at all (KIP-996).
    pub(super) fn on_election_timer(&mut self, now: Instant) {
        match &self.role {
            Role::Candidate(candidate) => match candidate.backing_off_until {
                Some(at) if at <= now => self.stand_for_election(candidate.retries + 1, now),
                None if candidate.election_deadline <= now => self.election_lost(now),
                _ => {}
            },
            Role::Prospective(prospective) if prospective.election_deadline <= now => self.pre_vote_lost(now),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::vote_response;
    use super::super::testing::{Rig, THREE, TWO, calls};
    use super::super::{Leadership, RaftEvent};
    use super::*;

    /// Node 1, candidate in its first epoch by the consent of 2, and what it asks.
    fn candidate() -> (Rig, Vec<crate::rpc::Call>) {
        let mut rig = Rig::new(1);
        let asked = calls(&rig.tick());
        rig.voted(&asked[0], 0, true);
        let asked = calls(&rig.sync());
        (rig, asked)
    }

    #[test]
    fn a_candidate_that_loses_rests_and_asks_in_its_own_epoch() {
        let (mut rig, asked) = candidate();
        assert_eq!((rig.raft.epoch(), asked.len()), (1, 2));
        rig.voted(&asked[0], 1, false);
        rig.voted(&asked[1], 1, false);
        let again = calls(&rig.tick());
        assert_eq!(again.iter().map(|c| c.to).collect::<Vec<_>>(), [TWO, THREE]);
        assert_eq!(rig.raft.epoch(), 1, "nobody's epoch grows by asking");
        rig.voted(&again[1], 1, true);
        rig.sync();
        assert_eq!(rig.raft.epoch(), 2);
    }

    #[test]
    fn an_answer_of_another_epoch_is_no_vote() {
        let (mut rig, asked) = candidate();
        let at = Leadership { epoch: 0, leader: None };
        rig.result(&asked[0], Ok(vote_response(None, at, true).into()));
        assert!(!rig.raft.is_leader());
        rig.voted(&asked[1], 1, true);
        rig.sync();
        assert!(rig.raft.is_leader());
        let led = RaftEvent::LeaderChanged { leader: Some(NodeId(1)), epoch: 1 };
        assert!(rig.events.contains(&led));
    }
}
