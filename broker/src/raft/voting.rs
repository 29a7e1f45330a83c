//! Answers Vote, BeginQuorumEpoch and EndQuorumEpoch (KIP-595).

use super::machine::Raft;
use super::messages::{
    Candidacy, begin_response, end_response, read_begin_request, read_end_request, read_leader_endpoint,
    read_vote_request, read_voter_directory, vote_response,
};
use super::roles::Role;
use super::{Leadership, RaftError};
use crate::ids::NodeId;
use crate::rpc::ReplyTo;
use crate::time::Instant;
use crate::trace::Observation;
use crate::wire::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, BrokerId, EndQuorumEpochRequest,
    EndQuorumEpochResponse, VoteRequest, VoteResponse,
};
use crate::wire::{ErrorCode, StrBytes};

impl Raft {
    /// Is the request meant for this cluster and this node? A node that does not say is believed (KIP-595).
    pub(super) fn misdirected(&self, cluster_id: Option<&StrBytes>, voter_id: BrokerId) -> Option<ErrorCode> {
        if cluster_id.is_some_and(|id| id.as_str() != self.cluster_id) {
            Some(ErrorCode::InconsistentClusterId)
        } else if voter_id.0 >= 0 && voter_id.0 != self.me.0 {
            Some(ErrorCode::InvalidVoterKey)
        } else {
            None
        }
    }

    /// Answers a vote request.
    pub(super) fn on_vote_request(
        &mut self,
        to: ReplyTo,
        request: &VoteRequest,
        now: Instant,
    ) -> Result<(), RaftError> {
        let refuse = |error: ErrorCode| VoteResponse::default().with_error_code(error.code());
        if let Some(error) = self.misdirected(request.cluster_id.as_ref(), request.voter_id) {
            self.held.reply(to, refuse(error));
            return Ok(());
        }
        let Some(asked) = read_vote_request(request) else {
            self.held.reply(to, refuse(ErrorCode::InvalidRequest));
            return Ok(());
        };
        let error = if asked.epoch < self.quorum.epoch {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if !read_voter_directory(request).is_nil()
            && read_voter_directory(request) != self.directory_id
        {
            // The id has another disk by now: this one never promised anything (KIP-853).
            Some(ErrorCode::InvalidVoterKey)
        } else {
            None
        };
        let mut granted = false;
        if error.is_none() {
            if asked.epoch > self.quorum.epoch {
                self.become_unattached(asked.epoch, now);
            }
            granted = if asked.pre_vote { self.consents(&asked) } else { self.grants(&asked) };
            if granted && !asked.pre_vote && self.quorum.voted_for.is_none() {
                self.become_voted(asked.candidate, now);
            }
        }
        if granted {
            let (epoch, candidate) = (asked.epoch, asked.candidate);
            self.held.fact(match asked.pre_vote {
                true => Observation::PreVoteGranted { epoch, candidate },
                false => Observation::VoteGranted { epoch, candidate },
            });
        }
        self.held.reply(to, vote_response(error, self.leadership(), granted));
        Ok(())
    }

    /// Does the candidate of the current epoch get the vote? Whoever has voted keeps to it; whoever knows a leader refuses;
    /// else the candidate's log must be at least as good as this one (Raft §5.4.1).
    fn grants(&self, asked: &Candidacy) -> bool {
        if let Some(voted_for) = self.quorum.voted_for {
            return voted_for == asked.candidate && self.quorum.leader.is_none();
        }
        self.quorum.leader.is_none() && self.is_up_to_date(asked)
    }

    /// Would the candidate get the vote in the next epoch (KIP-996)? Not while there is a leader that answers: a leader itself,
    /// and whoever has fetched from one, refuses. Consent is not recorded; it binds nobody and resets no timer.
    fn consents(&self, asked: &Candidacy) -> bool {
        let has_leader = matches!(self.role, Role::Leader(_) | Role::Follower { has_fetched: true, .. });
        !has_leader && self.is_up_to_date(asked)
    }

    fn is_up_to_date(&self, asked: &Candidacy) -> bool {
        (asked.last_epoch, asked.end_offset) >= (self.log.last_epoch(), self.log.end())
    }

    /// Answers a leader that announces itself.
    pub(super) fn on_begin_request(
        &mut self,
        to: ReplyTo,
        request: &BeginQuorumEpochRequest,
        now: Instant,
    ) -> Result<(), RaftError> {
        let refuse = |error: ErrorCode| BeginQuorumEpochResponse::default().with_error_code(error.code());
        if let Some(error) = self.misdirected(request.cluster_id.as_ref(), request.voter_id) {
            self.held.reply(to, refuse(error));
            return Ok(());
        }
        let Some((epoch, leader)) = read_begin_request(request) else {
            self.held.reply(to, refuse(ErrorCode::InvalidRequest));
            return Ok(());
        };
        let error = self.claim_error(epoch, leader);
        if error.is_none() {
            if let Some(address) = read_leader_endpoint(request) {
                self.told_addresses.insert(leader, address);
            }
            self.learn(Leadership { epoch, leader: Some(leader) }, now)?;
        }
        self.held.reply(to, begin_response(error, self.leadership()));
        Ok(())
    }

    /// Answers a leader that gives up: a follower stands for election without waiting for its fetch time-out, the first of
    /// the successors at once.
    pub(super) fn on_end_request(
        &mut self,
        to: ReplyTo,
        request: &EndQuorumEpochRequest,
        now: Instant,
    ) -> Result<(), RaftError> {
        let refuse = |error: ErrorCode| EndQuorumEpochResponse::default().with_error_code(error.code());
        if let Some(error) = self.misdirected(request.cluster_id.as_ref(), BrokerId(-1)) {
            self.held.reply(to, refuse(error));
            return Ok(());
        }
        let Some((epoch, leader, successors)) = read_end_request(request) else {
            self.held.reply(to, refuse(ErrorCode::InvalidRequest));
            return Ok(());
        };
        let error = self.claim_error(epoch, leader);
        if error.is_none() {
            self.learn(Leadership { epoch, leader: Some(leader) }, now)?;
            if let Role::Follower { fetch_deadline, .. } = &mut self.role
                && self.is_voter
            {
                let position = successors.iter().position(|n| *n == self.me);
                let wait = self.timing.succession_backoff(position, successors.len());
                *fetch_deadline = (*fetch_deadline).min(now + wait);
            }
        }
        self.held.reply(to, end_response(error, self.leadership()));
        Ok(())
    }

    /// What is wrong with a claim to lead `epoch`. A second leader of one epoch is a lie, or a broken quorum; the peer is
    /// told, and this node keeps to what it knows.
    fn claim_error(&self, epoch: i32, leader: NodeId) -> Option<ErrorCode> {
        if epoch < self.quorum.epoch {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if leader == self.me
            || (epoch == self.quorum.epoch && self.quorum.leader.is_some_and(|l| l != leader))
        {
            Some(ErrorCode::InvalidRequest)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fetch_messages::FetchAnswer;
    use super::super::messages::{begin_request, end_request, vote_request, with_voter_directory};
    use super::super::testing::{Rig, THREE, TWO, batch, calls};
    use super::*;
    use crate::ids::Uuid;
    use crate::rpc::Outgoing;
    use crate::wire::Response;

    #[test]
    fn one_vote_per_epoch_and_the_same_again_for_the_same_candidate() {
        let mut rig = Rig::new(1);
        assert!(rig.vote(TWO, 5, 0, 0));
        assert!(rig.vote(TWO, 5, 0, 0), "a repeated request gets the same answer");
        assert!(!rig.vote(THREE, 5, 0, 0));
        assert!(rig.vote(THREE, 6, 0, 0), "a new epoch is a new vote");
    }

    #[test]
    fn a_vote_leaves_only_when_it_is_durable_and_survives_a_restart() {
        let mut rig = Rig::new(1);
        let asked = Candidacy { candidate: TWO, epoch: 5, last_epoch: 0, end_offset: 0, pre_vote: false };
        assert!(rig.ask(vote_request("c", NodeId(1), &asked)).is_empty());
        let released = rig.sync();
        let names: Vec<_> = released
            .iter()
            .map(|o| match o {
                Outgoing::Fact(Observation::QuorumStatePersisted { .. }) => "persisted",
                Outgoing::Fact(Observation::VoteGranted { .. }) => "granted",
                Outgoing::Reply { .. } => "reply",
                _ => "other",
            })
            .filter(|name| *name != "other")
            .collect();
        assert_eq!(names, ["persisted", "granted", "reply"]);
        rig.restart();
        rig.sync();
        assert!(!rig.vote(THREE, 5, 0, 0));
        assert!(rig.vote(TWO, 5, 0, 0));
    }

    #[test]
    fn what_was_read_at_boot_is_not_trusted_before_it_is_durable() {
        let mut rig = Rig::unsynced(1);
        assert_eq!(rig.raft.next_deadline(), None);
        let asked = Candidacy { candidate: TWO, epoch: 5, last_epoch: 0, end_offset: 0, pre_vote: false };
        assert!(rig.ask(vote_request("c", NodeId(1), &asked)).is_empty());
    }

    #[test]
    fn a_poorer_log_gets_no_vote() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        assert_eq!(rig.raft.log_end_offset(), 1);
        assert!(!rig.vote(TWO, epoch + 1, epoch - 1, 9), "an older last epoch, however long");
        assert!(!rig.vote(TWO, epoch + 2, epoch, 0), "a shorter log of the same epoch");
        assert!(rig.vote(TWO, epoch + 3, epoch, 1));
    }

    #[test]
    fn who_knows_a_leader_does_not_vote_in_its_epoch() {
        let mut rig = Rig::new(1);
        assert!(rig.answer(begin_request("c", NodeId(1), TWO, 5)).is_some());
        assert_eq!(rig.raft.leader(), Some(TWO));
        assert!(!rig.vote(THREE, 5, 4, 99));
        assert!(rig.vote(THREE, 6, 4, 99));
        assert_eq!((rig.raft.leader(), rig.raft.epoch()), (None, 6));
    }

    fn begin_error(rig: &mut Rig, request: BeginQuorumEpochRequest) -> (i16, i16) {
        match rig.answer(request) {
            Some(Response::BeginQuorumEpoch(r)) => {
                (r.error_code, r.topics.first().map_or(0, |t| t.partitions[0].error_code))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn claims_to_lead_are_judged() {
        let mut rig = Rig::new(1);
        let me = NodeId(1);
        assert_eq!(begin_error(&mut rig, begin_request("c", me, TWO, 5)), (0, 0));
        for (request, expected) in [
            (begin_request("c", me, TWO, 5), (0, 0)),
            (begin_request("c", me, THREE, 5), (0, ErrorCode::InvalidRequest.code())),
            (begin_request("c", me, me, 6), (0, ErrorCode::InvalidRequest.code())),
            (begin_request("c", me, THREE, 4), (0, ErrorCode::FencedLeaderEpoch.code())),
            (begin_request("other", me, TWO, 6), (ErrorCode::InconsistentClusterId.code(), 0)),
            (begin_request("c", THREE, TWO, 6), (ErrorCode::InvalidVoterKey.code(), 0)),
            (BeginQuorumEpochRequest::default(), (ErrorCode::InvalidRequest.code(), 0)),
        ] {
            assert_eq!(begin_error(&mut rig, request.clone()), expected, "{request:?}");
        }
        assert_eq!((rig.raft.leader(), rig.raft.epoch()), (Some(TWO), 5));
    }

    #[test]
    fn a_vote_of_another_disk_is_not_given() {
        let mut rig = Rig::new(1);
        let asked = Candidacy { candidate: TWO, epoch: 5, last_epoch: 0, end_offset: 0, pre_vote: false };
        let request = vote_request("c", NodeId(1), &asked);
        let of_disk = |id| with_voter_directory(request.clone(), id);
        let error = |rig: &mut Rig, request| match rig.answer(request) {
            Some(Response::Vote(r)) => r.topics[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        };
        assert_eq!(error(&mut rig, of_disk(Uuid::from_u128(4))), ErrorCode::InvalidVoterKey.code());
        let own = rig.raft.directory_id;
        assert_eq!(error(&mut rig, of_disk(own)), 0);
    }

    #[test]
    fn a_node_that_does_not_know_the_candidate_yet_votes_for_it() {
        let mut rig = Rig::new(1);
        assert!(rig.vote(NodeId(9), 5, 0, 0));
        rig.answer(begin_request("c", NodeId(1), NodeId(9), 5));
        assert_eq!(rig.raft.leader(), Some(NodeId(9)));
    }

    #[test]
    fn the_first_successor_stands_for_election_at_once() {
        let mut rig = Rig::new(1);
        rig.answer(begin_request("c", NodeId(1), TWO, 5));
        rig.answer(end_request("c", TWO, 5, &[NodeId(1), THREE]));
        let began = rig.now;
        assert_eq!(calls(&rig.tick()).len(), 2);
        assert_eq!(rig.now, began);
    }

    #[test]
    fn consent_is_given_to_a_good_log_unless_there_is_a_leader_that_answers() {
        let mut rig = Rig::new(1);
        assert!(rig.pre_vote(TWO, 0, 0, 0));
        let list = rig.ask(begin_request("c", NodeId(1), TWO, 5));
        assert!(calls(&list).is_empty());
        let fetch = calls(&rig.sync()).pop().unwrap();
        assert!(rig.pre_vote(THREE, 5, 5, 0), "a leader that was only announced");
        rig.fetched(&fetch, 5, FetchAnswer::Records(batch(0, 5)), Some(0));
        let before = (rig.raft.epoch(), rig.raft.leader(), rig.disk.pending_syncs());
        assert!(!rig.pre_vote(THREE, 5, 5, 1), "the leader answered a fetch");
        assert_eq!((rig.raft.epoch(), rig.raft.leader()), (before.0, before.1));
        assert!(!rig.vote(THREE, 6, 4, 9), "a shorter log");
        assert!(rig.pre_vote(THREE, 6, 5, 1), "a higher epoch: nobody leads it yet");
        let mut leader = Rig::new(1);
        let epoch = leader.elect();
        assert!(!leader.pre_vote(TWO, epoch, epoch, 9) && leader.raft.is_leader());
    }
}
