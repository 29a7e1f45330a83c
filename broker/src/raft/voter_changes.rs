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
        Change::Add => AddRaftVoterResponse::default().with_error_code(code).into(),
        Change::Remove => RemoveRaftVoterResponse::default().with_error_code(code).into(),
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
