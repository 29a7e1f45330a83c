//! Following: fetch from the leader, truncate where the logs differ, append, learn what is committed (KIP-595).

use super::fetch_messages::{Fetched, ReplicaFetch, fetch_request, read_endpoints, read_fetch_response};
use super::machine::Raft;
use super::roles::Role;
use super::snapshot_fetch::Download;
use super::snapshot_file::SnapshotId;
use super::timing::{MAX_FETCH_SIZE_BYTES, MAX_FETCH_WAIT};
use super::{RaftError, RaftEvent};
use crate::defects::Defect;
use crate::ids::{NodeId, Offset};
use crate::io::Disk;
use crate::log::{AppendError, Batch, batches};
use crate::rpc::CallResult;
use crate::time::Instant;
use crate::trace::Observation;
use crate::wire::{NO_ERROR, Response};

/// The one fetch that a node may have under way.
#[derive(Debug, Clone, Default)]
pub struct Fetcher {
    pub(super) in_flight: Option<(u64, Offset)>,
    pub(super) not_before: Instant,
    /// A snapshot is being fetched instead of records.
    pub(super) download: Option<Download>,
    /// A snapshot of the leader that is being written; it takes the log's place once it is durable.
    pub(super) installs: Option<SnapshotId>,
    /// The leader did not answer for a whole fetch time-out: an observer asks any voter who leads.
    asks_anyone: bool,
}

impl Fetcher {
    /// Forgets the fetch under way; its answer will be ignored.
    pub fn reset(&mut self, now: Instant) {
        *self = Fetcher { not_before: now, ..Fetcher::default() };
    }

    /// Is call `id` the fetch under way?
    pub fn is_waiting_for(&self, id: u64) -> bool {
        self.in_flight.is_some_and(|(mine, _)| mine == id)
    }
}

impl Raft {
    /// When the next fetch may go out: never while one is under way, nor before the log of a voter (or of who may
    /// become one) is flushed: its fetch offset promises that everything below is on its disk.
    pub(super) fn fetch_ready_at(&self) -> Option<Instant> {
        let may_fetch = match self.role {
            Role::Follower { .. } => true,
            Role::Unattached { .. } => !self.is_voter,
            Role::Prospective(_) | Role::Candidate(_) | Role::Leader(_) | Role::Resigned(_) => false,
        };
        let is_flushed = !self.is_controller
            || self.log.flushed() == self.log.end()
            || self.defects.has(Defect::UnsyncedFetchCounts);
        let is_idle = self.fetcher.in_flight.is_none() && self.fetcher.installs.is_none();
        (may_fetch && is_flushed && is_idle).then_some(self.fetcher.not_before)
    }

    /// Flushes what a voter must flush, and fetches if it is time.
    pub(super) fn drive_follower(&mut self, now: Instant, disk: &mut dyn Disk) {
        if self.is_controller {
            self.log.request_flush(disk);
        }
        if self.fetch_ready_at().is_none_or(|at| at > now) {
            return;
        }
        let leader = self.leader().filter(|_| !self.fetcher.asks_anyone);
        let Some(target) = leader.or_else(|| self.any_other_voter()) else { return };
        if self.fetcher.download.is_some() {
            return self.fetch_snapshot_part(target);
        }
        let fetch = ReplicaFetch {
            replica: self.me,
            directory_id: self.directory_id,
            epoch: self.quorum.epoch,
            offset: self.log.end(),
            last_epoch: self.log.last_epoch(),
            high_watermark: Some(self.log.high_watermark()),
            max_wait: MAX_FETCH_WAIT,
            max_bytes: MAX_FETCH_SIZE_BYTES,
        };
        let id = self.call(target, fetch_request(&self.cluster_id, &fetch));
        self.fetcher.in_flight = Some((id, fetch.offset));
        if self.is_voter {
            self.held.fact(Observation::QuorumFetched { epoch: fetch.epoch, offset: fetch.offset });
        }
    }

    fn any_other_voter(&mut self) -> Option<NodeId> {
        let others: Vec<NodeId> = self.voters.iter().copied().filter(|n| *n != self.me).collect();
        self.timing.pick(&others)
    }

    /// The fetch time-out: a voter stands for election, an observer asks somebody else.
    pub(super) fn on_fetch_timeout(&mut self, now: Instant) {
        if self.is_voter {
            return self.stand_for_election(0, now);
        }
        self.fetcher = Fetcher { not_before: now, asks_anyone: true, ..Fetcher::default() };
        if let Role::Follower { fetch_deadline, .. } = &mut self.role {
            *fetch_deadline = now + self.timing.fetch_timeout;
        }
    }

    /// Takes the answer to the fetch under way.
    pub(super) fn on_fetch_result(
        &mut self,
        from: NodeId,
        result: CallResult,
        now: Instant,
        disk: &mut dyn Disk,
    ) -> Result<(), RaftError> {
        if self.fetcher.download.is_some() {
            return self.on_snapshot_result(from, result, now, disk);
        }
        let Some((_, offset)) = self.fetcher.in_flight.take() else { return Ok(()) };
        self.fetcher.not_before = now + self.timing.retry_backoff;
        let fetched = match &result {
            Ok(Response::Fetch(response)) => {
                self.told_addresses.extend(read_endpoints(response));
                read_fetch_response(response)
            }
            _ => None,
        };
        let Some(fetched) = fetched else { return Ok(()) };
        if let Some(told) = fetched.head.leadership
            && self.learn(told, now)?
        {
            return Ok(());
        }
        let is_of_this_epoch = fetched.head.leadership.is_none_or(|told| told.epoch == self.quorum.epoch);
        let is_from_leader = self.leader() == Some(from);
        if fetched.head.error != NO_ERROR || !is_of_this_epoch || !is_from_leader || offset != self.log.end()
        {
            return Ok(());
        }
        if let Role::Follower { fetch_deadline, has_fetched } = &mut self.role {
            *fetch_deadline = now + self.timing.fetch_timeout;
            *has_fetched = true;
        }
        self.fetcher.asks_anyone = false;
        if self.take_in(fetched, now, disk)? {
            self.fetcher.not_before = now;
        }
        self.hand_up_committed(disk)
    }

    /// Brings the log in line with the leader's. Returns whether the next fetch may go out at once: not after an answer that
    /// cannot be used, which would only come again.
    fn take_in(&mut self, fetched: Fetched, now: Instant, disk: &mut dyn Disk) -> Result<bool, RaftError> {
        if let Some((epoch, end_offset)) = fetched.diverging {
            let was_cut = self.log.truncate_diverging(epoch, end_offset, disk, &mut self.held.outbox)?;
            self.note_truncated(now);
            return Ok(was_cut);
        }
        if let Some(id) = fetched.snapshot {
            self.begin_snapshot(id, now, disk)?;
            return Ok(id.epoch <= self.quorum.epoch);
        }
        if !fetched.records.is_empty() {
            // A batch of an epoch that has not begun is damage, or a lie (KAFKA-18723).
            let is_later = |batch: Batch| batch.header.leader_epoch > self.quorum.epoch;
            if batches(fetched.records.clone()).any(|batch| batch.is_ok_and(is_later)) {
                return Ok(false);
            }
            let (from, records) = (self.log.end(), fetched.records);
            let appended = self.log.append_fetched(records.clone(), now, disk, &mut self.held.outbox);
            self.note_appended(from, records, now);
            match appended {
                Ok(()) => {}
                Err(AppendError::Disk(error)) => return Err(error.into()),
                Err(_) => return Ok(false),
            }
        }
        if let Some(high_watermark) = fetched.high_watermark {
            let known = high_watermark.min(self.log.end());
            self.log.raise_high_watermark(known, None, &mut self.held.outbox);
        }
        Ok(true)
    }

    /// Hands up every committed batch that was not handed up yet.
    pub(super) fn hand_up_committed(&mut self, disk: &dyn Disk) -> Result<(), RaftError> {
        if self.handed_up_to < self.log.high_watermark() {
            self.note_committed();
            for batch in self.log.committed_from(self.handed_up_to, disk)? {
                self.handed_up_to = batch.last_offset + 1;
                self.snapshot_policy.committed(&batch);
                self.held.events.push(RaftEvent::Committed(batch));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fetch_messages::{FetchAnswer, read_fetch_request};
    use super::super::messages::begin_request;
    use super::super::testing::{Rig, TWO, batch, calls};
    use super::*;
    use crate::rpc::{Call, CallError, Outgoing};
    use crate::time::Duration;
    use crate::wire::{ErrorCode, Request};

    /// A follower of 2 in epoch 5, and its fetch.
    fn follower() -> (Rig, Call) {
        let mut rig = Rig::new(1);
        rig.ask(begin_request("c", NodeId(1), TWO, 5));
        let fetch = calls(&rig.sync()).pop().unwrap();
        (rig, fetch)
    }

    fn offset(call: &Call) -> Offset {
        let Request::Fetch(request) = &call.request else { panic!("{call:?}") };
        read_fetch_request(request).unwrap().offset
    }

    #[test]
    fn a_voter_fetches_on_only_when_what_it_got_is_on_its_disk() {
        let (mut rig, fetch) = follower();
        assert_eq!((fetch.to, offset(&fetch)), (TWO, 0));
        let list = rig.fetched(&fetch, 5, FetchAnswer::Records(batch(0, 5)), Some(0));
        assert!(calls(&list).is_empty());
        assert_eq!(rig.raft.log_end_offset(), 1);
        let next = calls(&rig.sync());
        assert_eq!(next.iter().map(offset).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn the_high_watermark_is_learned_and_batches_are_handed_up_once() {
        let (mut rig, fetch) = follower();
        rig.fetched(&fetch, 5, FetchAnswer::Records(batch(0, 5)), Some(9));
        assert_eq!(rig.raft.high_watermark(), 1, "not beyond the own end");
        let committed =
            |rig: &Rig| rig.events.iter().filter(|e| matches!(e, RaftEvent::Committed(_))).count();
        assert_eq!(committed(&rig), 1);
        let fetch = calls(&rig.sync()).pop().unwrap();
        rig.fetched(&fetch, 5, FetchAnswer::Records(Default::default()), Some(0));
        assert_eq!((rig.raft.high_watermark(), committed(&rig)), (1, 1));
    }

    #[test]
    fn a_diverging_log_is_cut_but_never_below_the_high_watermark() {
        let (mut rig, fetch) = follower();
        let records = [batch(0, 3), batch(1, 4)].concat();
        rig.fetched(&fetch, 5, FetchAnswer::Records(records.into()), Some(1));
        let fetch = calls(&rig.sync()).pop().unwrap();
        let list = rig.fetched(&fetch, 5, FetchAnswer::Diverging { epoch: 3, end_offset: 1 }, Some(1));
        assert_eq!(rig.raft.log_end_offset(), 1);
        let fetch = calls(&list).pop().expect("what is left is on the disk: fetch on");
        let list = rig.fetched(&fetch, 5, FetchAnswer::Diverging { epoch: 2, end_offset: 0 }, Some(1));
        assert!(
            matches!(&list[..], [.., Outgoing::Halt { reason }] if reason.contains("high watermark")),
            "{list:?}"
        );
    }

    #[test]
    fn records_that_do_not_fit_change_nothing() {
        let (mut rig, fetch) = follower();
        rig.fetched(&fetch, 5, FetchAnswer::Records(batch(7, 5)), Some(8));
        assert_eq!((rig.raft.log_end_offset(), rig.raft.high_watermark()), (0, 0));
        let fetch = calls(&rig.tick()).pop().unwrap();
        rig.fetched(&fetch, 5, FetchAnswer::Records(batch(0, 6)), Some(1));
        assert_eq!(rig.raft.log_end_offset(), 0, "a batch of an epoch that has not begun");
        let fetch = calls(&rig.tick()).pop().unwrap();
        let mut torn = batch(0, 5).to_vec();
        torn[30] ^= 1;
        rig.fetched(&fetch, 5, FetchAnswer::Records(torn.into()), Some(1));
        assert_eq!(rig.raft.log_end_offset(), 0);
    }

    #[test]
    fn an_answer_that_nobody_waits_for_is_ignored() {
        let (mut rig, fetch) = follower();
        let stranger = Call { id: 4711, ..fetch.clone() };
        assert!(rig.fetched(&stranger, 9, FetchAnswer::Records(batch(0, 9)), Some(1)).is_empty());
        rig.result(&fetch, Err(CallError::TimedOut));
        rig.fetched(&fetch, 5, FetchAnswer::Records(batch(0, 5)), Some(1));
        assert_eq!((rig.raft.epoch(), rig.raft.log_end_offset()), (5, 0));
    }

    #[test]
    fn a_higher_epoch_in_an_answer_is_followed_and_its_records_are_dropped() {
        let (mut rig, fetch) = follower();
        rig.fetched(&fetch, 6, FetchAnswer::Records(batch(0, 6)), Some(1));
        rig.sync();
        assert_eq!((rig.raft.epoch(), rig.raft.leader(), rig.raft.log_end_offset()), (6, Some(TWO), 0));
    }

    #[test]
    fn a_second_leader_of_the_epoch_halts_the_node() {
        let (mut rig, fetch) = follower();
        let at = super::super::Leadership { epoch: 5, leader: Some(NodeId(3)) };
        let answer = FetchAnswer::Refused(ErrorCode::NotLeaderOrFollower);
        let list =
            rig.result(&fetch, Ok(super::super::fetch_messages::fetch_response(answer, at, None).into()));
        assert!(
            matches!(&list[..], [Outgoing::Halt { reason }] if reason.contains("two leaders")),
            "{list:?}"
        );
        assert_eq!(rig.raft.next_deadline(), None);
    }

    #[test]
    fn a_voter_without_its_leader_asks_whether_it_would_be_elected() {
        let (mut rig, _) = follower();
        let began = rig.now;
        let asked = calls(&rig.tick());
        assert_eq!(rig.now.saturating_since(began), Duration::from_secs(2));
        assert_eq!((rig.raft.epoch(), rig.raft.leader()), (5, Some(TWO)));
        assert_eq!(asked.len(), 2);
    }

    #[test]
    fn a_voter_says_from_where_it_fetches() {
        let (mut rig, fetch) = follower();
        rig.fetched(&fetch, 5, FetchAnswer::Records(batch(0, 5)), Some(0));
        let said = rig.sync();
        let fetched =
            |o: &Outgoing| matches!(o, Outgoing::Fact(Observation::QuorumFetched { epoch: 5, offset: 1 }));
        assert!(said.iter().any(fetched), "{said:?}");
    }

    #[test]
    fn k04_fetches_on_before_what_it_got_is_on_its_disk() {
        let mut rig = Rig::with_defects(1, [Defect::UnsyncedFetchCounts]);
        rig.ask(begin_request("c", NodeId(1), TWO, 5));
        let fetch = calls(&rig.sync()).pop().unwrap();
        let list = rig.fetched(&fetch, 5, FetchAnswer::Records(batch(0, 5)), Some(0));
        assert_eq!(calls(&list).iter().map(offset).collect::<Vec<_>>(), [1], "nothing of it is synced");
    }

    #[test]
    fn an_observer_asks_around_and_never_stands_for_election() {
        let mut rig = Rig::unsynced(4);
        let asked = calls(&rig.sync()).pop().unwrap();
        let at = super::super::Leadership { epoch: 5, leader: Some(TWO) };
        let answer = FetchAnswer::Refused(ErrorCode::FencedLeaderEpoch);
        rig.result(&asked, Ok(super::super::fetch_messages::fetch_response(answer, at, None).into()));
        let fetch = calls(&rig.sync()).pop().unwrap();
        assert_eq!(fetch.to, TWO);
        let again = rig.tick();
        assert_eq!(calls(&again).len(), 1, "the leader is silent: somebody else may know");
        assert_eq!(rig.raft.epoch(), 5);
    }
}
