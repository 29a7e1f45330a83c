//! Leading: counting the voters' flushed ends, appending, telling everybody (KIP-595).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::control_records::leader_change;
use super::describe::ReplicaProgress;
use super::leader_fetch::Parked;
use super::machine::{Raft, majority};
use super::messages::{AnswerHead, begin_request, read_begin_response, with_leader_endpoint};
use super::peer_calls::PeerCalls;
use super::roles::Role;
use super::voter_changes::PendingChange;
use super::{RaftError, RaftEvent};
use crate::defects::{Defect, DefectSet};
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::io::Disk;
use crate::metadata::NotLeader;
use crate::rpc::CallResult;
use crate::time::{Duration, Instant, earliest};
use crate::trace::LeaderView;
use crate::wire::Response;

/// Whom a leader heard from since it last had a majority together (KAFKA-15489).
#[derive(Debug, Clone)]
struct QuorumCheck {
    timeout: Duration,
    deadline: Instant,
    heard: BTreeSet<NodeId>,
}

/// A leader's view of its quorum.
#[derive(Debug, Clone)]
pub struct Leader {
    /// Ends of the other voters' logs, flushed there; `None` until they fetch in this epoch.
    ends: BTreeMap<NodeId, Option<Offset>>,
    /// Does the leader vote itself? One that was removed leads on until that is committed (KIP-853).
    is_voter: bool,
    always_counts: bool,
    /// Changes of the voters that are not committed yet.
    pub changes: Vec<PendingChange>,
    granting: Vec<NodeId>,
    /// The epoch that it leads; set with its first record.
    pub epoch: LeaderEpoch,
    /// Where its epoch begins: the offset of its LeaderChange record.
    pub epoch_start: Offset,
    /// Is the LeaderChange record written?
    pub has_started: bool,
    /// Does the node know that it leads?
    pub is_announced: bool,
    /// `None` until the LeaderChange record is committed: a new leader forgets what it knew as a follower and exposes none.
    pub high_watermark: Option<Offset>,
    /// How far each replica is that fetched in this epoch.
    pub progress: ReplicaProgress,
    /// Fetches that wait for something new.
    pub parked: Vec<Parked>,
    /// What each replica was told last about the high watermark.
    pub told_high_watermarks: BTreeMap<NodeId, Option<Offset>>,
    begin: PeerCalls,
    quorum_check: Option<QuorumCheck>,
    commits_old_epochs: bool,
    queue: VecDeque<Vec<Bytes>>,
    queued_records: Offset,
    append_deadline: Option<Instant>,
}

impl Leader {
    /// A leader that was just elected by `granting`; `log_end` is where its epoch begins, `check_quorum_timeout` how long it
    /// goes on without hearing from a majority.
    pub fn new(
        me: NodeId,
        voters: &BTreeSet<NodeId>,
        granting: Vec<NodeId>,
        log_end: Offset,
        check_quorum_timeout: Duration,
        defects: &DefectSet,
        now: Instant,
    ) -> Self {
        let others = || voters.iter().copied().filter(|n| *n != me);
        let checks_quorum = !defects.has(Defect::NoCheckQuorum);
        let quorum_check = checks_quorum.then(|| QuorumCheck {
            timeout: check_quorum_timeout,
            deadline: now + check_quorum_timeout,
            heard: BTreeSet::new(),
        });
        Leader {
            ends: others().map(|n| (n, None)).collect(),
            is_voter: voters.contains(&me),
            always_counts: defects.has(Defect::LeaderAlwaysCounts),
            changes: Vec::new(),
            granting,
            epoch: -1,
            epoch_start: log_end,
            has_started: false,
            is_announced: false,
            high_watermark: None,
            progress: ReplicaProgress::default(),
            parked: Vec::new(),
            told_high_watermarks: BTreeMap::new(),
            begin: PeerCalls::to_all(others(), now),
            quorum_check,
            commits_old_epochs: defects.has(Defect::CommitByCountingOldEpochs),
            queue: VecDeque::new(),
            queued_records: 0,
            append_deadline: None,
        }
    }

    /// A voter fetched at `offset`: everything below is on its disk. Observers do not count.
    ///
    /// The latest fetch wins even if it is lower: a voter that lost its disk must not be counted for what it had.
    pub fn record_fetch(&mut self, replica: NodeId, offset: Offset) {
        if let Some(end) = self.ends.get_mut(&replica) {
            *end = Some(offset);
        }
    }

    /// Other voters count from here on (KIP-853). What is known of a replica stays known.
    pub fn adopt_voters(&mut self, me: NodeId, voters: &BTreeSet<NodeId>, now: Instant) {
        let known = std::mem::take(&mut self.ends);
        let end_of = |n: &NodeId| {
            known.get(n).copied().unwrap_or_else(|| self.progress.of(*n).map(|replica| replica.end))
        };
        self.ends = voters.iter().filter(|n| **n != me).map(|n| (*n, end_of(n))).collect();
        self.is_voter = voters.contains(&me);
        self.begin.keep_only(self.ends.keys().copied(), now);
        if let Some(check) = &mut self.quorum_check {
            check.heard.retain(|n| self.ends.contains_key(n));
            check.deadline = check.deadline.max(now + check.timeout);
        }
    }

    /// How many voters there are.
    fn voter_count(&self) -> usize {
        self.ends.len() + usize::from(self.is_voter)
    }

    /// How many other voters a majority takes.
    fn others_needed(&self) -> usize {
        majority(self.voter_count()) - usize::from(self.is_voter)
    }

    /// A replica asked in this epoch. Once a majority did, counting the leader, the wait for the next one begins.
    pub fn heard_from(&mut self, replica: NodeId, now: Instant) {
        if !self.ends.contains_key(&replica) {
            return;
        }
        self.begin.done(replica);
        let enough = self.others_needed();
        if let Some(check) = &mut self.quorum_check {
            check.heard.insert(replica);
            if check.heard.len() >= enough {
                check.heard.clear();
                check.deadline = now + check.timeout;
            }
        }
    }

    /// Did too few voters ask for too long? Whoever leads a minority must not pretend to lead (KAFKA-15489).
    pub fn has_lost_quorum(&self, now: Instant) -> bool {
        self.check_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// When too few voters have asked for too long; never for who needs nobody else.
    fn check_deadline(&self) -> Option<Instant> {
        self.quorum_check.as_ref().filter(|_| self.others_needed() > 0).map(|check| check.deadline)
    }

    /// The high watermark that follows from the voters' ends and the own flushed end: the highest offset that a majority
    /// has, if it is above the epoch's start and above the old one (Raft §5.4.2, Q-10).
    pub fn next_high_watermark(&self, own_flushed: Offset) -> Option<Offset> {
        let mut ends: Vec<Offset> = self.ends.values().map(|end| end.unwrap_or(-1)).collect();
        if self.is_voter || self.always_counts {
            ends.push(own_flushed);
        }
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let reached = ends[majority(self.voter_count()) - 1];
        let is_of_this_epoch = reached > self.epoch_start || (self.commits_old_epochs && reached >= 0);
        (is_of_this_epoch && Some(reached) > self.high_watermark).then_some(reached)
    }

    /// The other voters, the one with the longest log first: the order in which they should follow (KIP-595).
    pub fn successors(&self) -> Vec<NodeId> {
        let mut voters: Vec<_> = self.ends.iter().map(|(n, end)| (end.unwrap_or(-1), *n)).collect();
        voters.sort_by_key(|(end, n)| (std::cmp::Reverse(*end), *n));
        voters.into_iter().map(|(_, n)| n).collect()
    }

    /// When it wants to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let parked = self.parked.iter().map(|p| p.deadline).min();
        let changes = self.changes.iter().map(|change| change.deadline).min();
        let check = earliest(changes, self.check_deadline());
        earliest(earliest(self.append_deadline, self.begin.next_deadline()), earliest(parked, check))
    }

    /// Is call `id` to `peer` one of its own?
    pub fn is_waiting_for(&self, id: u64, peer: NodeId) -> bool {
        self.begin.is_waiting_for(id, peer)
    }
}

impl Raft {
    /// Queues `records` as one atomic batch and returns the offset that the last of them will have. They are written by the
    /// first timer after `controller.quorum.append.linger.ms`. Errors: the node does not lead `epoch` (any more).
    pub fn append(
        &mut self,
        epoch: LeaderEpoch,
        records: Vec<Bytes>,
        now: Instant,
    ) -> Result<Offset, NotLeader> {
        let refusal = NotLeader { epoch: self.quorum.epoch, leader: self.leader() };
        let (log_end, linger) = (self.log.end(), self.timing.append_linger);
        let Role::Leader(leader) = &mut self.role else { return Err(refusal) };
        if epoch != self.quorum.epoch || !leader.has_started || self.halted {
            return Err(refusal);
        }
        leader.queued_records += records.len() as Offset;
        if !records.is_empty() {
            leader.queue.push_back(records);
            leader.append_deadline.get_or_insert(now + linger);
        }
        Ok(log_end + leader.queued_records - 1)
    }

    /// Everything that a leader does on its own account.
    pub(super) fn drive_leader(&mut self, now: Instant, disk: &mut dyn Disk) -> Result<(), RaftError> {
        let Role::Leader(leader) = &mut self.role else { return Ok(()) };
        if !leader.has_started {
            leader.has_started = true;
            leader.epoch = self.quorum.epoch;
            leader.epoch_start = self.log.end();
            let message =
                leader_change(self.me, self.voters.iter().copied(), leader.granting.iter().copied());
            self.log.append_control(self.quorum.epoch, &[message], now, disk, &mut self.held.outbox)?;
        }
        if leader.append_deadline.is_some_and(|at| at <= now) {
            self.append_queued(now, disk)?;
        }
        self.log.request_flush(disk);
        self.advance_high_watermark(disk)?;
        self.wake_parked(now, disk)?;
        self.send_begin_quorum_epoch(now);
        self.settle_changes(now);
        Ok(())
    }

    /// Writes what waits for the linger to end.
    pub(super) fn append_queued(&mut self, now: Instant, disk: &mut dyn Disk) -> Result<(), RaftError> {
        let Role::Leader(leader) = &mut self.role else { return Ok(()) };
        leader.append_deadline = None;
        leader.queued_records = 0;
        for records in leader.queue.drain(..) {
            self.log.append(self.quorum.epoch, &records, now, disk, &mut self.held.outbox)?;
        }
        Ok(())
    }

    /// Where the log will put the next record; `None` if the node does not lead.
    pub fn next_offset(&self) -> Option<Offset> {
        match &self.role {
            Role::Leader(leader) => Some(self.log.end() + leader.queued_records),
            _ => None,
        }
    }

    fn send_begin_quorum_epoch(&mut self, now: Instant) {
        let Role::Leader(leader) = &self.role else { return };
        for voter in leader.begin.due(now) {
            let request = begin_request(&self.cluster_id, voter, self.me, self.quorum.epoch);
            let id = self.call(voter, with_leader_endpoint(request, self.address_to_tell()));
            if let Role::Leader(leader) = &mut self.role {
                leader.begin.sent(voter, id);
            }
        }
    }

    /// Moves the high watermark as far as a majority allows, and hands up what became committed.
    pub(super) fn advance_high_watermark(&mut self, disk: &dyn Disk) -> Result<(), RaftError> {
        let Role::Leader(leader) = &mut self.role else { return Ok(()) };
        // Differs from Kafka: the own end counts once it is on the disk, not once it is written.
        let own_end = match self.defects.has(Defect::LeaderCountsUnsynced) {
            true => self.log.end(),
            false => self.log.flushed(),
        };
        if leader.has_started
            && let Some(reached) = leader.next_high_watermark(own_end)
        {
            leader.high_watermark = Some(reached);
            let voters: Vec<NodeId> = self.voters.iter().copied().collect();
            let view = LeaderView {
                leader_epoch: self.quorum.epoch,
                min_isr: i32::try_from(majority(voters.len())).unwrap_or(i32::MAX),
                isr: voters.clone(),
                maximal_isr: voters,
            };
            self.log.raise_high_watermark(reached, Some(view), &mut self.held.outbox);
        }
        self.hand_up_committed(disk)?;
        if let Role::Leader(leader) = &mut self.role
            && !leader.is_announced
            && leader.high_watermark.is_some()
        {
            leader.is_announced = true;
            self.held.events.push(RaftEvent::BecameLeader { epoch: leader.epoch });
        }
        Ok(())
    }

    /// Takes the answer to BeginQuorumEpoch. Repeated until the voter fetches (KIP-595): one that agreed and forgot, or never
    /// came to fetch, hears of its leader again.
    pub(super) fn on_begin_result(
        &mut self,
        from: NodeId,
        result: CallResult,
        now: Instant,
    ) -> Result<(), RaftError> {
        let head = match &result {
            Ok(Response::BeginQuorumEpoch(response)) => read_begin_response(response),
            _ => None,
        };
        if self.learn_from(head, now)? {
            return Ok(());
        }
        let resend_at = now + self.timing.fetch_timeout / 2;
        if let Role::Leader(leader) = &mut self.role {
            leader.begin.again(from, resend_at);
        }
        Ok(())
    }

    pub(super) fn learn_from(&mut self, head: Option<AnswerHead>, now: Instant) -> Result<bool, RaftError> {
        match head.and_then(|h| h.leadership) {
            Some(told) => self.learn(told, now),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Leadership;
    use super::super::messages::begin_response;
    use super::super::testing::{Rig, calls};
    use super::*;
    use crate::rpc::{Call, Outgoing};
    use crate::trace::Observation;
    use crate::wire::Request;

    const PATIENCE: Duration = Duration::from_secs(3);

    fn leader_with(voters: i32, epoch_start: Offset, defects: &DefectSet) -> Leader {
        let voters = (1..=voters).map(NodeId).collect();
        Leader::new(NodeId(1), &voters, vec![NodeId(1)], epoch_start, PATIENCE, defects, Instant(0))
    }

    fn leader(voters: i32, epoch_start: Offset) -> Leader {
        leader_with(voters, epoch_start, &DefectSet::none())
    }

    #[test]
    fn a_leader_that_too_few_ask_has_lost_its_quorum() {
        let mut leader = leader(5, 0);
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        leader.heard_from(NodeId(2), at(1));
        leader.heard_from(NodeId(2), at(2));
        leader.heard_from(NodeId(99), at(2));
        assert!(!leader.has_lost_quorum(at(2)) && leader.has_lost_quorum(at(3)));
        leader.heard_from(NodeId(5), at(2));
        assert!(!leader.has_lost_quorum(at(4)) && leader.has_lost_quorum(at(5)));
        assert!(!super::tests::leader(1, 0).has_lost_quorum(at(1_000)), "a lone voter hears itself");
    }

    #[test]
    fn k05_never_asks_itself_whether_anybody_follows() {
        let leader = leader_with(3, 0, &DefectSet::of([Defect::NoCheckQuorum]));
        assert!(!leader.has_lost_quorum(Instant::ZERO + PATIENCE * 1_000));
    }

    #[test]
    fn k03_commits_what_an_earlier_epoch_left() {
        let mut leader = leader_with(3, 5, &DefectSet::of([Defect::CommitByCountingOldEpochs]));
        leader.record_fetch(NodeId(2), 4);
        assert_eq!(leader.next_high_watermark(5), Some(4));
    }

    #[test]
    fn k04b_commits_what_the_leader_has_not_synced() {
        for (defects, committed) in [(vec![], 0), (vec![Defect::LeaderCountsUnsynced], 1)] {
            let mut rig = Rig::with_defects(1, defects);
            rig.elect_unsynced();
            rig.fetch_unsynced(2, 1, 1, 1);
            assert_eq!(rig.raft.high_watermark(), committed);
        }
    }

    #[test]
    fn a_leader_without_a_majority_resigns_and_leaves_its_epoch() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        rig.fetch(2, epoch, 1, epoch);
        let heard_at = rig.now;
        while rig.raft.is_leader() {
            rig.tick();
        }
        assert_eq!(rig.now.saturating_since(heard_at), Duration::from_secs(3));
        assert_eq!((rig.raft.epoch(), rig.raft.leader()), (epoch, None));
        assert!(rig.events.contains(&RaftEvent::Resigned { epoch }));
        while rig.raft.epoch() == epoch {
            rig.tick();
        }
        rig.sync();
        assert_eq!((rig.raft.epoch(), rig.raft.is_leader()), (epoch + 1, false));
    }

    #[test]
    fn a_voter_hears_of_its_leader_until_it_fetches() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        let is_begin = |c: &Call| c.to == NodeId(3) && matches!(c.request, Request::BeginQuorumEpoch(_));
        let mut told = 0;
        for _ in 0..40 {
            for call in std::mem::take(&mut rig.asked).into_iter().filter(is_begin) {
                told += 1;
                let at = Leadership { epoch, leader: Some(NodeId(1)) };
                rig.result(&call, Ok(begin_response(None, at).into()));
            }
            rig.fetch(2, epoch, 1, epoch);
            rig.tick();
        }
        assert!(told > 2, "agreed is not fetched: {told}");
        rig.fetch(3, epoch, 1, epoch);
        for _ in 0..40 {
            rig.fetch(2, epoch, 1, epoch);
            assert!(!calls(&rig.tick()).iter().any(is_begin));
        }
    }

    #[test]
    fn the_high_watermark_is_what_a_majority_flushed() {
        for (voters, fetched, own, expected) in [
            (1, vec![], 6, Some(6)),
            (3, vec![], 6, None),
            (3, vec![(2, 6)], 6, Some(6)),
            (3, vec![(2, 9), (3, 9)], 6, Some(9)),
            (3, vec![(2, 6), (3, 8)], 9, Some(8)),
            (5, vec![(2, 9), (3, 7)], 8, Some(7)),
            (5, vec![(2, 9)], 9, None),
        ] {
            let mut leader = leader(voters, 5);
            for (voter, offset) in &fetched {
                leader.record_fetch(NodeId(*voter), *offset);
            }
            assert_eq!(leader.next_high_watermark(own), expected, "{voters} voters, {fetched:?}, own {own}");
        }
    }

    #[test]
    fn nothing_is_committed_at_or_below_the_epochs_start() {
        let mut leader = leader(3, 5);
        leader.record_fetch(NodeId(2), 5);
        assert_eq!(leader.next_high_watermark(9), None);
        leader.record_fetch(NodeId(2), 6);
        assert_eq!(leader.next_high_watermark(9), Some(6));
    }

    #[test]
    fn the_high_watermark_never_falls_and_observers_do_not_count() {
        let mut leader = leader(3, 5);
        leader.high_watermark = Some(8);
        leader.record_fetch(NodeId(2), 7);
        leader.record_fetch(NodeId(99), 9);
        assert_eq!(leader.next_high_watermark(9), None);
    }

    #[test]
    fn the_voter_with_the_longest_log_follows_first() {
        let mut leader = leader(4, 5);
        leader.record_fetch(NodeId(3), 9);
        leader.record_fetch(NodeId(4), 9);
        assert_eq!(leader.successors(), [3, 4, 2].map(NodeId));
    }

    #[test]
    fn a_leader_leads_for_others_only_after_its_first_record_is_committed() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        let announced = |rig: &Rig| rig.events.contains(&RaftEvent::BecameLeader { epoch });
        assert!(!announced(&rig));
        rig.fetch(2, epoch, 1, epoch);
        assert!(announced(&rig));
        let before =
            rig.events.iter().position(|e| matches!(e, RaftEvent::Committed(b) if b.last_offset == 0));
        assert!(before < rig.events.iter().position(|e| *e == RaftEvent::BecameLeader { epoch }));
    }

    #[test]
    fn appends_linger_and_each_is_one_batch_with_the_promised_offset() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        let now = rig.now;
        let value = |v: &'static str| Bytes::from_static(v.as_bytes());
        assert_eq!(rig.raft.append(epoch, vec![value("a"), value("b")], now), Ok(2));
        assert_eq!(rig.raft.append(epoch, vec![value("c")], now), Ok(3));
        assert_eq!(rig.raft.log_end_offset(), 1);
        let facts = rig.tick();
        assert_eq!((rig.raft.log_end_offset(), rig.now.saturating_since(now).as_millis()), (4, 25));
        let appended = |o: &&Outgoing| matches!(o, Outgoing::Fact(Observation::Appended { .. }));
        assert_eq!(facts.iter().filter(appended).count(), 2);
        rig.sync();
        rig.fetch(2, epoch, 4, epoch);
        let committed: Vec<_> = rig
            .events
            .iter()
            .filter_map(
                |e| if let RaftEvent::Committed(batch) = e { Some(batch.records.clone()) } else { None },
            )
            .collect();
        assert_eq!(committed, [vec![], vec![(1, value("a")), (2, value("b"))], vec![(3, value("c"))]]);
    }

    #[test]
    fn only_the_leader_of_the_epoch_appends() {
        let mut rig = Rig::new(1);
        let now = rig.now;
        assert_eq!(rig.raft.append(0, vec![Bytes::new()], now), Err(NotLeader { epoch: 0, leader: None }));
        let epoch = rig.elect();
        let refusal = Err(NotLeader { epoch, leader: Some(NodeId(1)) });
        assert_eq!(rig.raft.append(epoch - 1, vec![Bytes::new()], now), refusal);
        assert!(rig.raft.append(epoch, vec![Bytes::new()], now).is_ok());
    }
}
