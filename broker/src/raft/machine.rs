//! The quorum's public face: routes inputs to the roles, and holds back what is not durable yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::directory::Directory;
use super::follower::Fetcher;
use super::metadata_log::{MetadataLog, Synced};
use super::quorum_state::{QuorumState, QuorumStateFile};
use super::roles::Role;
use super::snapshot_making::SnapshotPolicy;
use super::timing::Timing;
use super::voters::VoterSets;
use super::{Leadership, RaftError, RaftEvent};
use crate::config::NodeConfig;
use crate::defects::{Defect, DefectSet};
use crate::ids::{LeaderEpoch, NodeId, Offset, Uuid};
use crate::io::{Address, Disk, DiskError, Listener, SyncToken};
use crate::rpc::{Call, CallResult, Caller, Outbox, Outgoing, ReplyTo};
use crate::time::{Instant, earliest};
use crate::trace::Observation;
use crate::wire::{Request, Response};

/// How many of `voters` are a majority.
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// What waits for the quorum state to become durable: messages, facts, events, in order.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub outbox: Outbox,
    pub events: Vec<RaftEvent>,
}

impl Held {
    pub fn fact(&mut self, fact: Observation) {
        self.outbox.fact(fact);
    }

    pub fn reply(&mut self, to: ReplyTo, response: impl Into<Response>) {
        self.outbox.reply(to, response);
    }
}

/// An input that came while the quorum state was being written.
#[derive(Debug)]
enum Received {
    Request(ReplyTo, Request),
    Result(u64, NodeId, CallResult),
}

/// One node's part in the metadata quorum. See the room's door.
#[derive(Debug)]
pub struct Raft {
    pub(super) me: NodeId,
    pub(super) cluster_id: String,
    /// May it vote and stand for election? See `voters.rs`.
    pub(super) is_voter: bool,
    /// The ids of the newest set in `voter_sets`.
    pub(super) voters: BTreeSet<NodeId>,
    pub(super) voter_sets: VoterSets,
    pub(super) is_controller: bool,
    pub(super) own_address: Address,
    /// Where leaders that no set names are reached, as they said.
    pub(super) told_addresses: BTreeMap<NodeId, Address>,
    pub(super) timing: Timing,
    pub(super) quorum: QuorumState,
    pub(super) role: Role,
    pub(super) log: MetadataLog,
    pub(super) fetcher: Fetcher,
    pub(super) held: Held,
    pub(super) events: Vec<RaftEvent>,
    pub(super) handed_up_to: Offset,
    pub(super) snapshot_policy: SnapshotPolicy,
    /// Which disk this is (KIP-853).
    pub(super) directory_id: Uuid,
    pub(super) halted: bool,
    /// Set when the node shuts down in an orderly way: until when it waits for somebody else to lead.
    pub(super) shutdown_deadline: Option<Instant>,
    pub(super) defects: DefectSet,
    directory: Directory,
    file: QuorumStateFile,
    told: Leadership,
    inbox: VecDeque<Received>,
    next_call: u64,
}

impl Raft {
    /// Boots from what is on the disk. A node with the controller role that is among the voters votes; all others observe.
    /// `seed` feeds the node's election dice. Errors: no voters, a damaged `quorum-state`, the disk.
    pub fn boot(
        config: &NodeConfig,
        seed: u64,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<Raft, RaftError> {
        let voters: BTreeSet<NodeId> = config.voters.keys().copied().collect();
        if voters.is_empty() {
            return Err(RaftError::NoVoters);
        }
        let (file, recorded) = QuorumStateFile::open(disk)?;
        let (log, snapshot) = MetadataLog::open(config, now, disk, out)?;
        let directory = Directory::open(seed, disk)?;
        let mut raft = Raft {
            me: config.node_id,
            cluster_id: config.cluster_id.clone(),
            is_voter: config.is_controller && voters.contains(&config.node_id),
            voters,
            voter_sets: VoterSets::new(&config.voters),
            is_controller: config.is_controller,
            own_address: Address::new(config.host.clone(), Listener::Controller.port()),
            told_addresses: BTreeMap::new(),
            timing: Timing::new(&config.broker, &config.defects, seed),
            quorum: QuorumState::default(),
            role: Role::Unattached { election_deadline: None },
            log,
            fetcher: Fetcher::default(),
            held: Held::default(),
            events: Vec::new(),
            handed_up_to: 0,
            snapshot_policy: SnapshotPolicy::new(&config.broker, now),
            directory_id: directory.id,
            directory,
            halted: false,
            shutdown_deadline: None,
            defects: config.defects.clone(),
            file,
            told: Leadership { epoch: -1, leader: None },
            inbox: VecDeque::new(),
            next_call: 0,
        };
        if let Some(content) = snapshot {
            raft.adopt_voters_of(&content, now);
            raft.load(content);
        }
        let (from, unread) = (raft.handed_up_to, raft.log.control_batches(raft.handed_up_to, disk)?);
        raft.note_appended(from, unread, now);
        raft.enter_boot_role(recorded, now);
        raft.drive_until_quiet(now, disk, out)?;
        Ok(raft)
    }

    /// Answers a request: Vote, BeginQuorumEpoch, EndQuorumEpoch, Fetch of the metadata log, FetchSnapshot. Another request closes its
    /// connection.
    pub fn handle_request(
        &mut self,
        to: ReplyTo,
        request: Request,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        self.inbox.push_back(Received::Request(to, request));
        self.settle(Ok(()), now, disk, out);
    }

    /// Takes the answer to a call of [`Caller::Raft`]. An answer that nobody waits for (any more) is ignored.
    pub fn handle_result(
        &mut self,
        id: u64,
        from: NodeId,
        result: CallResult,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        self.inbox.push_back(Received::Result(id, from, result));
        self.settle(Ok(()), now, disk, out);
    }

    /// Takes a sync's completion; `false`: not one of the quorum's. A failed sync halts the node: what is durable is then
    /// unknown, and a retry would lie about it.
    pub fn handle_synced(
        &mut self,
        token: SyncToken,
        result: &Result<(), DiskError>,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> bool {
        let outcome = if let Some(written) = self.file.on_synced(token, result) {
            written.map_err(RaftError::from).map(|state| {
                let QuorumState { epoch, voted_for, leader } = state;
                out.fact(Observation::QuorumStatePersisted { epoch, voted_for, leader });
            })
        } else if self.directory.on_synced(token) {
            result.clone().map_err(RaftError::from)
        } else {
            match self.log.on_synced(token, result, disk, out) {
                Ok(Synced::NotMine) => return false,
                Ok(Synced::Log) => self.advance_high_watermark(disk),
                Ok(Synced::Snapshot(content)) => self.on_snapshot_durable(content, now, disk),
                Err(error) => Err(error),
            }
        };
        self.settle(outcome, now, disk, out);
        true
    }

    /// Does what is due.
    pub fn handle_timer(&mut self, now: Instant, disk: &mut dyn Disk, out: &mut Outbox) {
        if self.halted || self.waits_for_disk() {
            return;
        }
        let may_stand = self.shutdown_deadline.is_none();
        match &self.role {
            Role::Unattached { election_deadline: Some(at) } if *at <= now && may_stand => {
                self.stand_for_election(0, now);
            }
            Role::Resigned(resigned) if resigned.election_deadline <= now => self.leave_led_epoch(now),
            Role::Follower { fetch_deadline, .. } if *fetch_deadline <= now && may_stand => {
                self.on_fetch_timeout(now);
            }
            Role::Prospective(_) | Role::Candidate(_) if may_stand => self.on_election_timer(now),
            Role::Leader(leader) if leader.has_lost_quorum(now) => self.give_up_leading(now),
            _ => {}
        }
        self.settle(Ok(()), now, disk, out);
    }

    /// When [`Raft::handle_timer`] wants to be called; `None` while a sync of the quorum state is awaited.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.halted || self.waits_for_disk() {
            return None;
        }
        let has_duties = matches!(self.role, Role::Leader(_) | Role::Resigned(_));
        let role =
            if self.shutdown_deadline.is_none() || has_duties { self.role.next_deadline() } else { None };
        earliest(earliest(role, self.shutdown_deadline), self.fetch_ready_at())
    }

    /// Is everything held back until the quorum state is durable? What a node says binds it.
    fn waits_for_disk(&self) -> bool {
        // Which disk this is (KIP-853) is promised with every message too.
        let has_no_name = self.directory.is_writing();
        has_no_name || self.file.is_writing() && !self.defects.has(Defect::VoteNotDurable)
    }

    /// Takes what happened since the last call, in order.
    pub fn take_events(&mut self) -> Vec<RaftEvent> {
        std::mem::take(&mut self.events)
    }

    /// The leader of the current epoch, if known. A node that has resigned names nobody.
    pub fn leader(&self) -> Option<NodeId> {
        if matches!(self.role, Role::Resigned(_)) { None } else { self.quorum.leader }
    }

    /// The current epoch.
    pub fn epoch(&self) -> LeaderEpoch {
        self.quorum.epoch
    }

    /// Does this node lead? It may not know yet what of its log is committed: see [`RaftEvent::BecameLeader`].
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Everything below is committed, as far as this node knows.
    pub fn high_watermark(&self) -> Offset {
        self.log.high_watermark()
    }

    /// The end of this node's metadata log.
    pub fn log_end_offset(&self) -> Offset {
        self.log.end()
    }

    /// Epoch and leader as one value.
    pub(super) fn leadership(&self) -> Leadership {
        Leadership { epoch: self.epoch(), leader: self.leader() }
    }

    /// Asks `to`; returns the call's id.
    pub(super) fn call(&mut self, to: NodeId, request: impl Into<Request>) -> u64 {
        self.next_call += 1;
        let timeout = self.timing.request_timeout;
        let (id, request) = (self.next_call, request.into());
        let call = Call { caller: Caller::Raft, id, to, listener: Listener::Controller, request, timeout };
        self.held.outbox.call(call);
        id
    }

    /// Ends every input: a failure halts the node, otherwise the machine runs until it has nothing to do or has to wait for
    /// the disk.
    pub(super) fn settle(
        &mut self,
        outcome: Result<(), RaftError>,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        if self.halted {
            self.inbox.clear();
            return;
        }
        if let Err(error) = outcome.and_then(|()| self.drive_until_quiet(now, disk, out)) {
            self.halted = true;
            out.halt(format!("metadata quorum: {error}"));
        }
    }

    fn drive_until_quiet(
        &mut self,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), RaftError> {
        loop {
            if self.file.needs(&self.quorum) {
                self.file.write(self.quorum, disk)?;
            }
            if self.waits_for_disk() {
                return Ok(());
            }
            self.release(out);
            self.drive_role(now, disk)?;
            if self.file.needs(&self.quorum) {
                continue;
            }
            self.release(out);
            let Some(received) = self.inbox.pop_front() else { return Ok(()) };
            self.process(received, now, disk)?;
        }
    }

    /// Lets go what was held back: everything that it promises is durable.
    fn release(&mut self, out: &mut Outbox) {
        out.list.append(&mut self.held.outbox.list);
        let now_told = self.leadership();
        if now_told != self.told {
            self.told = now_told;
            self.events.push(RaftEvent::LeaderChanged { leader: now_told.leader, epoch: now_told.epoch });
        }
        self.events.append(&mut self.held.events);
    }

    /// What a role does on its own account.
    fn drive_role(&mut self, now: Instant, disk: &mut dyn Disk) -> Result<(), RaftError> {
        match &self.role {
            Role::Prospective(_) => self.drive_prospective(now),
            Role::Candidate(_) => self.drive_candidate(now),
            Role::Leader(_) => self.drive_leader(now, disk)?,
            Role::Resigned(_) => self.drive_resigned(now),
            Role::Follower { .. } | Role::Unattached { .. } => self.drive_follower(now, disk),
        }
        Ok(())
    }

    fn process(&mut self, received: Received, now: Instant, disk: &mut dyn Disk) -> Result<(), RaftError> {
        match received {
            Received::Request(to, Request::Vote(request)) => self.on_vote_request(to, &request, now),
            Received::Request(to, Request::BeginQuorumEpoch(r)) => self.on_begin_request(to, &r, now),
            Received::Request(to, Request::EndQuorumEpoch(request)) => self.on_end_request(to, &request, now),
            Received::Request(to, Request::Fetch(request)) => self.on_fetch_request(to, &request, now, disk),
            Received::Request(to, Request::FetchSnapshot(r)) => self.on_snapshot_request(to, &r, now, disk),
            Received::Request(to, Request::AddRaftVoter(r)) => self.on_add_voter(to, &r, now, disk),
            Received::Request(to, Request::RemoveRaftVoter(r)) => self.on_remove_voter(to, &r, now, disk),
            Received::Request(to, Request::UpdateRaftVoter(r)) => self.on_update_voter(to, &r, now, disk),
            Received::Request(to, _) => {
                self.held.outbox.list.push(Outgoing::Disconnect { to });
                Ok(())
            }
            Received::Result(id, from, result) => self.on_result(id, from, result, now, disk),
        }
    }

    fn on_result(
        &mut self,
        id: u64,
        from: NodeId,
        result: CallResult,
        now: Instant,
        disk: &mut dyn Disk,
    ) -> Result<(), RaftError> {
        if self.fetcher.is_waiting_for(id) {
            return self.on_fetch_result(from, result, now, disk);
        }
        match &self.role {
            Role::Prospective(p) if p.election.is_waiting_for(id, from) => {
                self.on_vote_result(from, result, now)
            }
            Role::Candidate(c) if c.election.is_waiting_for(id, from) => {
                self.on_vote_result(from, result, now)
            }
            Role::Leader(l) if l.is_waiting_for(id, from) => self.on_begin_result(from, result, now),
            Role::Resigned(r) if r.calls.is_waiting_for(id, from) => self.on_end_result(from, result, now),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::QUORUM_STATE_PATH;
    use super::super::messages::{Candidacy, vote_request};
    use super::super::testing::{Rig, TWO, calls, config};
    use super::*;
    use crate::log::MemoryDisk;
    use crate::wire::messages::MetadataRequest;
    use bytes::Bytes;

    #[test]
    fn vote_requests_leave_only_when_the_own_vote_is_durable() {
        let mut rig = Rig::new(1);
        let asked = calls(&rig.tick());
        assert!(calls(&rig.voted(&asked[0], 0, true)).is_empty());
        assert_eq!(calls(&rig.sync()).iter().map(|c| c.to).collect::<Vec<_>>(), [NodeId(2), NodeId(3)]);
    }

    #[test]
    fn k01_votes_before_the_vote_is_on_the_disk() {
        for (defects, answers) in [(vec![], 0), (vec![Defect::VoteNotDurable], 1)] {
            let mut rig = Rig::with_defects(1, defects);
            let asked = Candidacy { candidate: TWO, epoch: 5, last_epoch: 0, end_offset: 0, pre_vote: false };
            let list = rig.ask(vote_request("c", NodeId(1), &asked));
            let replies = list.iter().filter(|o| matches!(o, Outgoing::Reply { .. }));
            assert_eq!(replies.count(), answers);
        }
    }

    #[test]
    fn a_failed_sync_halts_the_node() {
        let mut rig = Rig::new(1);
        let asked = calls(&rig.tick());
        rig.voted(&asked[0], 0, true);
        let token = rig.disk.pending_syncs()[0];
        let mut out = Outbox::default();
        let failed = Err(DiskError::Io("disk".into()));
        assert!(rig.raft.handle_synced(token, &failed, rig.now, &mut rig.disk, &mut out));
        assert!(matches!(&out.list[..], [Outgoing::Halt { .. }]), "{:?}", out.list);
        assert!(rig.ask(MetadataRequest::default()).is_empty());
    }

    #[test]
    fn a_request_of_another_room_closes_its_connection() {
        let mut rig = Rig::new(1);
        assert!(matches!(&rig.ask(MetadataRequest::default())[..], [Outgoing::Disconnect { .. }]));
    }

    #[test]
    fn a_boot_without_voters_or_with_a_damaged_file_is_refused() {
        let boot = |config: &NodeConfig, disk: &mut MemoryDisk| {
            Raft::boot(config, 1, Instant::ZERO, disk, &mut Outbox::default()).map(|_| ())
        };
        let lonely = NodeConfig { voters: Default::default(), ..config(1) };
        assert_eq!(boot(&lonely, &mut MemoryDisk::new()), Err(RaftError::NoVoters));
        let mut disk = MemoryDisk::new();
        disk.replace(QUORUM_STATE_PATH, Bytes::from_static(b"?")).unwrap();
        assert_eq!(boot(&config(1), &mut disk), Err(RaftError::CorruptQuorumState));
    }
}
