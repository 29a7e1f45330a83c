//! What must hold after every step, read from facts and events alone (semantics: Q-1..Q-10, D-1, D-2).

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{LeaderEpoch, NodeId, Offset};
use broker::metadata::{CommittedBatch, MetadataSnapshot};
use broker::raft::RaftEvent;
use broker::trace::{AppendRole, BatchFact, LeaderView, Observation, QuorumRole, TruncationReason};

/// One batch with the hash of everything up to it: equal hashes stand for equal prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    base_offset: Offset,
    last_offset: Offset,
    epoch: LeaderEpoch,
    chain: u64,
}

/// What the facts say about one node.
#[derive(Debug, Default)]
struct Seen {
    log: Vec<Link>,
    /// Where the log begins, and the hash of what was before.
    log_start: Offset,
    chain_before: u64,
    flushed: Offset,
    high_watermark: Offset,
    persisted_epoch: LeaderEpoch,
    handed_up_to: Offset,
    announced: Option<LeaderEpoch>,
    /// Role and epoch in this boot.
    role: Option<(QuorumRole, LeaderEpoch)>,
    /// Who consented to the node's candidacy, and in which epoch, since it asked.
    consents: BTreeSet<(NodeId, LeaderEpoch)>,
    /// The state machine: a hash of all values handed up, and the epoch of the last batch.
    state: (u64, LeaderEpoch),
}

impl Seen {
    fn log_end(&self) -> Offset {
        self.log.last().map_or(self.log_start, |link| link.last_offset + 1)
    }

    fn push(&mut self, batch: &BatchFact) {
        let before = self.log.last().map_or(self.chain_before, |link| link.chain);
        let mut chain = before ^ 0xcbf2_9ce4_8422_2325;
        for word in
            [batch.base_offset, batch.last_offset, i64::from(batch.leader_epoch), i64::from(batch.crc)]
        {
            chain = (chain ^ word as u64).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        }
        let (base_offset, last_offset, epoch) = (batch.base_offset, batch.last_offset, batch.leader_epoch);
        assert_eq!(base_offset, self.log_end(), "a gap in the log");
        self.log.push(Link { base_offset, last_offset, epoch, chain });
    }

    fn prefix(&self, end: Offset) -> &[Link] {
        &self.log[..self.log.partition_point(|link| link.last_offset < end)]
    }
}

/// Ghost state: everything ever seen.
#[derive(Debug, Default)]
pub struct Checks {
    nodes: BTreeMap<NodeId, Seen>,
    /// Who votes as long as no record says otherwise.
    configured: BTreeSet<NodeId>,
    /// Who may vote at some time: the controllers.
    controllers: Vec<NodeId>,
    leaders: BTreeMap<LeaderEpoch, NodeId>,
    votes: BTreeMap<(NodeId, LeaderEpoch), NodeId>,
    chains: BTreeMap<(Offset, LeaderEpoch), u64>,
    committed: Vec<Link>,
    /// In which epoch each of them was committed.
    committed_in: Vec<LeaderEpoch>,
    /// What was appended where, by epoch and offset of the last record.
    appended: BTreeMap<(LeaderEpoch, Offset), Vec<u8>>,
    /// What the values of all batches up to an offset hash to.
    states: BTreeMap<Offset, u64>,
    /// Each node's newest set of voters.
    sets: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// How often a leader changed the voters.
    pub changes: usize,
    /// How often a snapshot took the place of a log.
    pub installed: usize,
    /// How many records of `appended` were handed up as committed somewhere.
    pub confirmed: usize,
}

impl Checks {
    pub fn new(controllers: Vec<NodeId>, configured: &[NodeId]) -> Self {
        Checks { controllers, configured: configured.iter().copied().collect(), ..Checks::default() }
    }

    pub fn rebooted(&mut self, node: NodeId) {
        let seen = self.nodes.entry(node).or_default();
        (seen.high_watermark, seen.handed_up_to, seen.announced, seen.role) = (0, 0, None, None);
        seen.state = (0, 0);
        self.sets.remove(&node);
    }

    pub fn note_append(&mut self, epoch: LeaderEpoch, last: Offset, value: Vec<u8>) {
        self.appended.insert((epoch, last), value);
    }

    fn elected(&mut self, epoch: LeaderEpoch, leader: NodeId) {
        let known = *self.leaders.entry(epoch).or_insert(leader);
        assert_eq!(known, leader, "Q-1: two leaders in epoch {epoch}");
    }

    pub fn fact(&mut self, node: NodeId, fact: &Observation) {
        match fact {
            Observation::LogOpened { log_start, log_end, high_watermark, batches, .. } => {
                let chain_before = self.chain_before(*log_start);
                let seen = self.nodes.entry(node).or_default();
                assert!(
                    *log_end >= seen.flushed,
                    "D-1: node {node} lost flushed records: {log_end} < {}",
                    seen.flushed
                );
                seen.log.clear();
                (seen.log_start, seen.chain_before, seen.high_watermark) =
                    (*log_start, chain_before, *high_watermark);
                batches.iter().for_each(|batch| seen.push(batch));
                assert_eq!(*log_end, seen.log_end());
                self.log_matching(node);
            }
            Observation::Appended { role, batch, .. } => {
                if let AppendRole::Leader(epoch) = role {
                    assert_eq!(self.leaders.get(epoch), Some(&node), "append without leadership");
                }
                self.nodes.entry(node).or_default().push(batch);
                self.log_matching(node);
            }
            Observation::LogCreated { .. } => {
                let seen = self.nodes.entry(node).or_default();
                assert_eq!(seen.flushed, 0, "D-1: node {node} lost its log");
                seen.log.clear();
                (seen.log_start, seen.chain_before) = (0, 0);
            }
            // `LogOpened` follows and says all. A power failure may also undo a cut that was not synced: the log then ends
            // behind the end that was known, with records of an older epoch that nobody counted.
            Observation::Truncated { reason: TruncationReason::Recovery, .. } => {}
            Observation::Truncated { to, reason: TruncationReason::Snapshot, .. } => {
                let chain_before = self.chain_before(*to);
                let seen = self.nodes.entry(node).or_default();
                assert!(*to >= seen.high_watermark, "Q-9: node {node} starts anew at {to}");
                self.installed += 1;
                seen.log.clear();
                (seen.log_start, seen.chain_before) = (*to, chain_before);
                (seen.flushed, seen.high_watermark) = (seen.flushed.min(*to), *to);
            }
            Observation::LogStartAdvanced { to, .. } => {
                let chain_before = self.chain_before(*to);
                let seen = self.nodes.entry(node).or_default();
                assert!(*to <= seen.high_watermark, "P-8: node {node} forgets what is not committed");
                seen.log.retain(|link| link.last_offset >= *to);
                (seen.log_start, seen.chain_before) = (*to, chain_before);
            }
            Observation::SnapshotWritten { offset, .. } => {
                let committed = self.committed.last().map_or(0, |link| link.last_offset + 1);
                assert!(*offset <= committed, "Q-14: a snapshot of what is not committed");
            }
            Observation::Truncated { to, .. } => {
                let seen = self.nodes.entry(node).or_default();
                assert!(
                    *to >= seen.high_watermark,
                    "Q-9: node {node} cuts to {to} < {}",
                    seen.high_watermark
                );
                seen.log.retain(|link| link.last_offset < *to);
                seen.flushed = seen.flushed.min(*to);
                assert_eq!(seen.log_end(), *to, "a cut within a batch");
            }
            Observation::Flushed { up_to, .. } => self.nodes.entry(node).or_default().flushed = *up_to,
            Observation::HighWatermark { to, leader, .. } => self.high_watermark(node, *to, leader.as_ref()),
            Observation::VotersChanged { voters, .. } => {
                let leads = self.nodes.get(&node).is_some_and(|seen| seen.announced.is_some());
                let now: BTreeSet<NodeId> = voters.iter().copied().collect();
                let before = self.sets.insert(node, now.clone());
                if let (true, Some(before)) = (leads, before) {
                    let changed = before.symmetric_difference(&now).count();
                    assert!(changed <= 1, "Q-16: leader {node} goes from {before:?} to {now:?}");
                }
                self.changes += usize::from(leads);
            }
            Observation::QuorumStatePersisted { epoch, voted_for, leader } => {
                let seen = self.nodes.entry(node).or_default();
                assert!(*epoch >= seen.persisted_epoch, "Q-3: node {node} went back to epoch {epoch}");
                seen.persisted_epoch = *epoch;
                if let Some(leader) = leader {
                    self.elected(*epoch, *leader);
                }
                if let Some(candidate) = voted_for {
                    let known = *self.votes.entry((node, *epoch)).or_insert(*candidate);
                    assert_eq!(known, *candidate, "Q-2: node {node} votes twice in epoch {epoch}");
                }
            }
            Observation::VoteGranted { epoch, candidate } => {
                assert_eq!(
                    self.votes.get(&(node, *epoch)),
                    Some(candidate),
                    "Q-2: a vote left before it was durable"
                );
            }
            Observation::PreVoteGranted { epoch, candidate } => {
                let role = self.nodes[&node].role.map(|(role, _)| role);
                assert_ne!(role, Some(QuorumRole::Leader), "Q-18: leader {node} would vote for {candidate}");
                self.nodes.entry(*candidate).or_default().consents.insert((node, *epoch));
            }
            Observation::QuorumRoleChanged { epoch, role, .. } => {
                self.asks_first(node, *epoch, *role);
                assert_eq!(
                    self.nodes[&node].persisted_epoch, *epoch,
                    "Q-3: a role before its epoch is durable"
                );
                assert!(
                    self.controllers.contains(&node)
                        || matches!(role, QuorumRole::Unattached | QuorumRole::Follower),
                    "Q-12: observer {node} is {role:?}"
                );
                if *role == QuorumRole::Leader {
                    self.elected(*epoch, node);
                    // An epoch's leader may be elected after a later epoch has committed: it knows nothing of that.
                    let earlier = self.committed_in.partition_point(|committed| committed <= epoch);
                    let end = earlier.checked_sub(1).map_or(0, |at| self.committed[at].last_offset + 1);
                    let seen = &self.nodes[&node];
                    let known = self.committed_from(seen.log_start);
                    let known = &known[..known.partition_point(|link| link.last_offset < end)];
                    assert_eq!(
                        seen.prefix(end),
                        known,
                        "Q-6: leader {node} of epoch {epoch} lacks committed records"
                    );
                }
            }
            _ => {}
        }
    }

    /// nobody raises the epoch to be elected unless a majority would elect it. A candidacy that goes on after a boot is
    /// not a new one.
    fn asks_first(&mut self, node: NodeId, epoch: LeaderEpoch, role: QuorumRole) {
        let voters = self.sets.get(&node).unwrap_or(&self.configured);
        let (majority, own) = (voters.len() / 2 + 1, usize::from(voters.contains(&node)));
        let seen = self.nodes.entry(node).or_default();
        let before = seen.role.replace((role, epoch));
        match (role, before) {
            (QuorumRole::Prospective, _) => seen.consents.clear(),
            (QuorumRole::Candidate, Some((_, asked_in))) => {
                let yes = seen.consents.iter().filter(|(_, epoch)| *epoch == asked_in).count() + own;
                assert!(yes >= majority, "Q-18: {node} raises the epoch to {epoch} with {yes} consents");
            }
            _ => {}
        }
    }

    /// the same (offset, epoch) stands for the same prefix, on any node, at any time.
    fn log_matching(&mut self, node: NodeId) {
        for link in &self.nodes[&node].log {
            let known = *self.chains.entry((link.last_offset, link.epoch)).or_insert(link.chain);
            assert_eq!(
                known, link.chain,
                "Q-5: node {node} differs below ({}, {})",
                link.last_offset, link.epoch
            );
        }
    }

    fn committed_from(&self, start: Offset) -> &[Link] {
        &self.committed[self.committed.partition_point(|link| link.last_offset < start)..]
    }

    /// The hash of everything below `offset`, which is committed.
    fn chain_before(&self, offset: Offset) -> u64 {
        let below = self.committed.partition_point(|link| link.last_offset < offset);
        let last = below.checked_sub(1).map(|at| self.committed[at]);
        assert_eq!(last.map_or(0, |link| link.last_offset + 1), offset, "no batch ends at {offset}");
        last.map_or(0, |link| link.chain)
    }

    /// The state of a node as a snapshot of it.
    pub fn snapshot(&self, node: NodeId) -> Option<MetadataSnapshot> {
        let seen = self.nodes.get(&node)?;
        let (state, epoch) = seen.state;
        let records = vec![state.to_be_bytes().to_vec().into()];
        Some(MetadataSnapshot { end_offset: seen.handed_up_to, epoch, records })
    }

    fn high_watermark(&mut self, node: NodeId, to: Offset, leads: Option<&LeaderView>) {
        let seen = self.nodes.entry(node).or_default();
        assert!(to >= seen.high_watermark, "node {node}: the high watermark fell to {to}");
        assert!(to <= seen.log_end());
        seen.high_watermark = to;
        let (own, start) = (seen.prefix(to).to_vec(), seen.log_start);
        // committed prefixes are prefixes of each other.
        let known = self.committed_from(start);
        let common = own.len().min(known.len());
        assert_eq!(own[..common], known[..common], "Q-4: node {node} committed something else");
        let Some(view) = leads else {
            assert!(own.len() <= known.len(), "a follower knows more than any leader committed");
            return;
        };
        let last = own.last().expect("a leader commits at least its own first record");
        assert_eq!(last.epoch, view.leader_epoch, "Q-10: committed by counting, but of an older epoch");
        let flushed = view.isr.iter().filter(|v| self.nodes.get(v).is_some_and(|s| s.flushed >= to));
        assert!(flushed.count() > view.isr.len() / 2, "Q-7: {to} is committed without a flushed majority");
        let added = own.len().saturating_sub(self.committed_from(start).len());
        self.committed.extend_from_slice(&own[own.len() - added..]);
        self.committed_in.resize(self.committed.len(), view.leader_epoch);
    }

    pub fn event(&mut self, node: NodeId, event: &RaftEvent) {
        let leader_of = |epoch: &LeaderEpoch| self.leaders.get(epoch).copied();
        match event {
            RaftEvent::Committed(batch) => self.handed_up(node, batch),
            RaftEvent::SnapshotLoaded(snapshot) => self.loaded(node, snapshot),
            RaftEvent::BecameLeader { epoch } => {
                assert_eq!(leader_of(epoch), Some(node));
                let seen = self.nodes.entry(node).or_default();
                let start =
                    seen.log.iter().find(|l| l.epoch == *epoch).expect("its LeaderChange").base_offset;
                assert!(seen.handed_up_to > start, "leads before its own first record was handed up");
                seen.announced = Some(*epoch);
            }
            RaftEvent::Resigned { epoch } => {
                let seen = self.nodes.entry(node).or_default();
                assert_eq!(seen.announced.take(), Some(*epoch), "resigned from what it never announced");
            }
            RaftEvent::LeaderChanged { leader, epoch } => {
                if let Some(leader) = leader {
                    self.elected(*epoch, *leader);
                }
            }
        }
    }

    /// Every batch once and in order; what is in it is what was appended.
    fn handed_up(&mut self, node: NodeId, batch: &CommittedBatch) {
        let seen = self.nodes.entry(node).or_default();
        assert_eq!(batch.base_offset, seen.handed_up_to, "node {node}: a gap or a repetition");
        seen.handed_up_to = batch.last_offset + 1;
        assert!(seen.handed_up_to <= seen.high_watermark);
        let values = batch.records.iter().flat_map(|(_, value)| value.iter());
        let state = values.fold(seen.state.0, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(9)
        });
        seen.state = (state, batch.epoch);
        let known = *self.states.entry(seen.handed_up_to).or_insert(state);
        assert_eq!(known, state, "Q-17: node {node} has another state at {}", seen.handed_up_to);
        if let Some(value) = self.appended.get(&(batch.epoch, batch.last_offset)) {
            let (offset, last) = batch.records.last().expect("a data batch");
            assert_eq!((*offset, &last[..]), (batch.last_offset, &value[..]));
            self.confirmed += 1;
        } else {
            assert!(batch.records.is_empty(), "records that nobody appended");
        }
    }

    /// a leader never loads a snapshot; Q-17: it is the state that its offset stands for.
    fn loaded(&mut self, node: NodeId, snapshot: &MetadataSnapshot) {
        let seen = self.nodes.entry(node).or_default();
        assert_eq!(seen.announced, None, "Q-15: leader {node} loads a snapshot");
        assert!(snapshot.end_offset >= seen.handed_up_to, "node {node} goes back");
        let state = u64::from_be_bytes(snapshot.records[0][..].try_into().expect("eight bytes"));
        assert_eq!(
            self.states.get(&snapshot.end_offset),
            Some(&state),
            "Q-17: node {node} loads another state"
        );
        (seen.handed_up_to, seen.state) = (snapshot.end_offset, (state, snapshot.epoch));
    }
}
