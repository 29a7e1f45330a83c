//! Changing who votes, one voter at a time: AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter (KIP-853).
//!
//! A change is a record that counts from the moment at which it is in the log. Two rules make that safe: the leader has
//! committed a record of its own epoch, and the change before is committed. Then every majority of the old voters meets
//! every majority of the new ones (Ongaro, raft-dev 2015).
//!
//! Differs from Kafka: a change that must wait is refused with REQUEST_TIMED_OUT at once, and the operator asks again; the
//! new voter is not asked for its versions; an AddRaftVoter that does not name the disk means the one that fetches.

use super::RaftError;
use super::control_records::ControlRecord;
use super::machine::Raft;
use super::roles::Role;
use super::voters::{Voter, VoterSet};
use crate::defects::Defect;
use crate::ids::{NodeId, Offset, Uuid};
use crate::io::{Address, Disk};
use crate::rpc::ReplyTo;
use crate::time::{Duration, Instant};
use crate::wire::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
    UpdateRaftVoterRequest, UpdateRaftVoterResponse,
};
use crate::wire::{ErrorCode, Response, StrBytes};

/// How long ago an observer may have been at the end of the log to be let in (`LeaderState.isReplicaCaughtUp`).
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(3_600);
/// How long a removal may take; the request does not say (`controller.quorum.request.timeout.ms` by and large).
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(30);
/// The feature level at which records name the voters.
const KRAFT_VERSION: i16 = 1;

/// Which request a change answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// AddRaftVoter.
    Add,
    /// RemoveRaftVoter.
    Remove,
    /// UpdateRaftVoter.
    Update,
}

/// A change that is in the log and not committed yet.
#[derive(Debug, Clone)]
pub struct PendingChange {
    change: Change,
    to: ReplyTo,
    offset: Offset,
    /// When the operator is told that it takes too long; the change goes on.
    pub deadline: Instant,
}

fn answer(change: Change, error: Option<ErrorCode>) -> Response {
    let code = error.map_or(0, |error| error.code());
    match change {
        Change::Add => AddRaftVoterResponse::default().with_error_code(code).with_error_message(None).into(),
        Change::Remove => {
            RemoveRaftVoterResponse::default().with_error_code(code).with_error_message(None).into()
        }
        Change::Update => UpdateRaftVoterResponse::default().with_error_code(code).into(),
    }
}

impl Raft {
    /// Lets a caught-up observer vote.
    pub(super) fn on_add_voter(
        &mut self,
        to: ReplyTo,
        request: &AddRaftVoterRequest,
        now: Instant,
        disk: &mut dyn Disk,
    ) -> Result<(), RaftError> {
        let asked = self.check_request(request.cluster_id.as_ref(), request.voter_id).and_then(|id| {
            let listener = request.listeners.first().ok_or(ErrorCode::InvalidRequest)?;
            self.may_change()?;
            if self.voters.contains(&id) {
                return Err(ErrorCode::DuplicateVoter);
            }
            let directory_id = self.caught_up(id, request.voter_directory_id, now)?;
            let mut set = self.voter_sets.latest().clone();
            let address = Some(Address::new(listener.host.as_str(), listener.port));
            set.insert(id, Voter { directory_id, address });
            Ok(set)
        });
        let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        self.carry_out(Change::Add, to, asked, now + timeout, now, disk)
    }

    /// Takes the vote from a voter, be it the leader.
    pub(super) fn on_remove_voter(
        &mut self,
        to: ReplyTo,
        request: &RemoveRaftVoterRequest,
        now: Instant,
        disk: &mut dyn Disk,
    ) -> Result<(), RaftError> {
        let asked = self.check_request(request.cluster_id.as_ref(), request.voter_id).and_then(|id| {
            self.may_change()?;
            let mut set = self.voter_sets.latest().clone();
            let is_there = set.get(&id).is_some_and(|voter| voter.has_disk(request.voter_directory_id));
            if !is_there {
                return Err(ErrorCode::VoterNotFound);
            }
            set.remove(&id);
            // Somebody has to vote.
            if set.is_empty() { Err(ErrorCode::InvalidRequest) } else { Ok(set) }
        });
        self.carry_out(Change::Remove, to, asked, now + REMOVAL_TIMEOUT, now, disk)
    }

    /// A voter says which disk it has, and where it is reached.
    pub(super) fn on_update_voter(
        &mut self,
        to: ReplyTo,
        request: &UpdateRaftVoterRequest,
        now: Instant,
        disk: &mut dyn Disk,
    ) -> Result<(), RaftError> {
        let asked = self.check_request(request.cluster_id.as_ref(), request.voter_id).and_then(|id| {
            if request.current_leader_epoch < self.quorum.epoch {
                return Err(ErrorCode::FencedLeaderEpoch);
            }
            if request.current_leader_epoch > self.quorum.epoch {
                return Err(ErrorCode::UnknownLeaderEpoch);
            }
            let listener = request.listeners.first().ok_or(ErrorCode::InvalidRequest)?;
            self.may_change()?;
            let mut set = self.voter_sets.latest().clone();
            let voter = set.get_mut(&id).filter(|voter| voter.has_disk(request.voter_directory_id));
            let Some(voter) = voter else { return Err(ErrorCode::VoterNotFound) };
            if !request.voter_directory_id.is_nil() {
                voter.directory_id = request.voter_directory_id;
            }
            voter.address = Some(Address::new(listener.host.as_str(), listener.port));
            Ok(set)
        });
        self.carry_out(Change::Update, to, asked, now + REMOVAL_TIMEOUT, now, disk)
    }

    fn check_request(&self, cluster_id: Option<&StrBytes>, voter: i32) -> Result<NodeId, ErrorCode> {
        if cluster_id.is_some_and(|id| id.as_str() != self.cluster_id) {
            Err(ErrorCode::InconsistentClusterId)
        } else if !matches!(self.role, Role::Leader(_)) {
            Err(ErrorCode::NotLeaderOrFollower)
        } else if voter < 0 {
            Err(ErrorCode::InvalidRequest)
        } else {
            Ok(NodeId(voter))
        }
    }

    /// May a change begin now? Only in a term whose first record is committed, and one after the other.
    fn may_change(&self) -> Result<(), ErrorCode> {
        let Role::Leader(leader) = &self.role else { return Err(ErrorCode::NotLeaderOrFollower) };
        let has_committed =
            leader.high_watermark.is_some() || self.defects.has(Defect::VotersChangeBeforeOwnEpoch);
        let committed = leader.high_watermark.unwrap_or(0);
        let is_alone = self.voter_sets.latest_offset().is_none_or(|offset| offset < committed)
            || self.defects.has(Defect::ConcurrentVoterChanges);
        if leader.has_started && has_committed && is_alone { Ok(()) } else { Err(ErrorCode::RequestTimedOut) }
    }

    /// The disk of an observer that has everything, or had a while ago: a new voter must not be what a majority waits for.
    fn caught_up(&self, id: NodeId, asked: Uuid, now: Instant) -> Result<Uuid, ErrorCode> {
        let Role::Leader(leader) = &self.role else { return Err(ErrorCode::NotLeaderOrFollower) };
        let observer = leader.progress.of(id).filter(|o| asked.is_nil() || o.directory_id == asked);
        observer
            .filter(|o| o.caught_up_at.is_some_and(|at| now.saturating_since(at) < CAUGHT_UP_WITHIN))
            .map(|observer| observer.directory_id)
            .ok_or(ErrorCode::RequestTimedOut)
    }

    /// Writes the set, if it may be; the answer comes when it is committed.
    fn carry_out(
        &mut self,
        change: Change,
        to: ReplyTo,
        asked: Result<VoterSet, ErrorCode>,
        deadline: Instant,
        now: Instant,
        disk: &mut dyn Disk,
    ) -> Result<(), RaftError> {
        let set = match asked {
            Ok(set) => set,
            Err(error) => {
                self.held.reply(to, answer(change, Some(error)));
                return Ok(());
            }
        };
        // What was promised an offset before comes before.
        self.append_queued(now, disk)?;
        let mut records = vec![ControlRecord::Voters(set.clone())];
        if self.voter_sets.latest_offset().is_none() {
            records.insert(0, ControlRecord::KRaftVersion(KRAFT_VERSION));
        }
        let out = &mut self.held.outbox;
        let first = self.log.append_control(self.quorum.epoch, &records, now, disk, out)?;
        let offset = first + records.len() as Offset - 1;
        self.voter_sets.note(offset, set);
        self.voters_changed(now);
        if let Role::Leader(leader) = &mut self.role {
            leader.changes.push(PendingChange { change, to, offset, deadline });
        }
        Ok(())
    }

    /// Answers changes that are committed or take too long, and ends the leadership of a leader that is no voter any more
    /// once that is committed.
    pub(super) fn settle_changes(&mut self, now: Instant) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(committed) = leader.high_watermark else { return };
        for pending in std::mem::take(&mut leader.changes) {
            if pending.offset < committed {
                self.held.reply(pending.to, answer(pending.change, None));
            } else if pending.deadline <= now {
                self.held.reply(pending.to, answer(pending.change, Some(ErrorCode::RequestTimedOut)));
            } else {
                leader.changes.push(pending);
            }
        }
        let is_removed = !self.voters.contains(&self.me);
        if is_removed && self.voter_sets.latest_offset().is_some_and(|offset| offset < committed) {
            self.give_up_leading(now);
        }
    }

    /// The node leads no longer: whether the changes will be committed, somebody else decides.
    pub(super) fn refuse_changes(&mut self, changes: impl Iterator<Item = PendingChange>) {
        for pending in changes {
            self.held.reply(pending.to, answer(pending.change, Some(ErrorCode::NotLeaderOrFollower)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Rig;
    use super::*;
    use crate::ids::LeaderEpoch;
    use crate::trace::Observation;
    use crate::wire::messages::add_raft_voter_request::Listener;

    fn add(voter: i32) -> AddRaftVoterRequest {
        let listener = Listener::default().with_host(StrBytes::from_static_str("h4")).with_port(9093);
        AddRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_voter_id(voter)
            .with_listeners(vec![listener])
            .with_timeout_ms(1_000)
    }

    fn remove(voter: i32) -> RemoveRaftVoterRequest {
        RemoveRaftVoterRequest::default().with_cluster_id(None).with_voter_id(voter)
    }

    fn code(response: Option<Response>) -> Option<i16> {
        match response? {
            Response::AddRaftVoter(r) => Some(r.error_code),
            Response::RemoveRaftVoter(r) => Some(r.error_code),
            other => panic!("{other:?}"),
        }
    }

    fn refused(error: ErrorCode) -> Option<i16> {
        Some(error.code())
    }

    /// A leader that has committed its first record; 4 watches, with everything.
    fn leader(defects: &[Defect]) -> (Rig, LeaderEpoch) {
        let mut rig = Rig::with_defects(1, defects.iter().copied());
        let epoch = rig.elect();
        rig.fetch(2, epoch, 1, epoch);
        rig.fetch(4, epoch, 1, epoch);
        (rig, epoch)
    }

    fn voters(rig: &Rig) -> Vec<i32> {
        rig.raft.voters.iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_change_counts_at_once_and_is_answered_when_it_is_committed() {
        let (mut rig, epoch) = leader(&[]);
        assert_eq!(code(rig.answer(add(4))), None);
        assert_eq!(voters(&rig), [1, 2, 3, 4]);
        rig.fetch(2, epoch, 3, epoch);
        assert_eq!(rig.raft.high_watermark(), 1, "two of four are no majority");
        let asked = rig.fetch(4, epoch, 3, epoch);
        assert!(asked.is_some() && rig.raft.high_watermark() == 3);
    }

    #[test]
    fn what_may_not_be_changed_is_refused_and_nothing_is_written() {
        let (mut rig, _) = leader(&[]);
        let end = rig.raft.log_end_offset();
        let foreign = add(4).with_cluster_id(Some(StrBytes::from_static_str("other")));
        assert_eq!(code(rig.answer(foreign)), refused(ErrorCode::InconsistentClusterId));
        assert_eq!(code(rig.answer(add(2))), refused(ErrorCode::DuplicateVoter));
        assert_eq!(code(rig.answer(add(5))), refused(ErrorCode::RequestTimedOut), "nobody fetches as 5");
        assert_eq!(code(rig.answer(add(4).with_listeners(vec![]))), refused(ErrorCode::InvalidRequest));
        assert_eq!(code(rig.answer(remove(9))), refused(ErrorCode::VoterNotFound));
        let other_disk = add(4).with_voter_directory_id(Uuid::from_u128(99));
        assert_eq!(code(rig.answer(other_disk)), refused(ErrorCode::RequestTimedOut));
        assert_eq!((rig.raft.log_end_offset(), voters(&rig)), (end, vec![1, 2, 3]));
        let mut follower = Rig::new(1);
        assert_eq!(code(follower.answer(add(4))), refused(ErrorCode::NotLeaderOrFollower));
    }

    #[test]
    fn k09_changes_the_voters_before_the_own_epoch_has_committed() {
        for (defects, expected) in
            [(vec![], refused(ErrorCode::RequestTimedOut)), (vec![Defect::VotersChangeBeforeOwnEpoch], None)]
        {
            let mut rig = Rig::with_defects(1, defects);
            rig.elect();
            assert_eq!(code(rig.answer(remove(3))), expected);
        }
    }

    #[test]
    fn k09b_changes_the_voters_twice_before_anything_is_committed() {
        for (defects, expected) in
            [(vec![], vec![1, 2, 3, 4]), (vec![Defect::ConcurrentVoterChanges], vec![1, 2, 4])]
        {
            let (mut rig, _) = leader(&defects);
            rig.answer(add(4));
            rig.answer(remove(3));
            assert_eq!(voters(&rig), expected);
        }
    }

    #[test]
    fn k10_counts_a_leader_that_was_removed() {
        for (defects, committed) in [(vec![], 1), (vec![Defect::LeaderAlwaysCounts], 3)] {
            let (mut rig, epoch) = leader(&defects);
            rig.answer(remove(1));
            assert_eq!(voters(&rig), [2, 3]);
            rig.fetch(2, epoch, 3, epoch);
            assert_eq!(rig.raft.high_watermark(), committed, "{defects:?}");
        }
    }

    #[test]
    fn a_removed_leader_leads_until_that_is_committed() {
        let (mut rig, epoch) = leader(&[]);
        rig.answer(remove(1));
        rig.fetch(2, epoch, 3, epoch);
        assert!(rig.raft.is_leader());
        rig.fetch(3, epoch, 3, epoch);
        assert!(!rig.raft.is_leader());
        assert_eq!(rig.raft.high_watermark(), 3);
    }

    #[test]
    fn k11_does_not_serve_who_was_removed() {
        for (defects, expected) in
            [(vec![], 0), (vec![Defect::FetchOfNonVoterRefused], ErrorCode::InconsistentVoterSet.code())]
        {
            let (mut rig, epoch) = leader(&defects);
            rig.answer(remove(3));
            let told = rig.fetch(3, epoch, 1, epoch).expect("an answer");
            assert_eq!(told.head.error, expected);
        }
    }

    #[test]
    fn a_set_whose_record_is_cut_counts_no_more() {
        let (mut rig, epoch) = leader(&[]);
        rig.answer(remove(3));
        rig.restart();
        rig.sync();
        assert_eq!(voters(&rig), [1, 2], "it is in the log");
        let facts = rig.ask(super::super::messages::begin_request("c", NodeId(1), NodeId(2), epoch + 1));
        let mut all = facts;
        all.extend(rig.sync());
        let fetch = super::super::testing::calls(&all).pop().expect("a fetch");
        let diverging = super::super::fetch_messages::FetchAnswer::Diverging { epoch, end_offset: 1 };
        let list = rig.fetched(&fetch, epoch + 1, diverging, Some(0));
        assert_eq!(voters(&rig), [1, 2, 3]);
        let changed = |o: &crate::rpc::Outgoing| {
            matches!(o, crate::rpc::Outgoing::Fact(Observation::VotersChanged { offset: -1, .. }))
        };
        assert!(list.iter().any(changed), "{list:?}");
    }
}
