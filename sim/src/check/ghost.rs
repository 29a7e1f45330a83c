//! The judge's own picture of the cluster, folded once per event from the trace and shared by all checks.
//!
//! Everything here costs O(log n) per event at most (opening a log costs its length, as the fact itself does).

use std::collections::{BTreeMap, VecDeque};

use broker::ids::{LeaderEpoch, LogId, NodeId, Offset, TopicPartition};
use broker::trace::{AppendRole, BatchFact, LeaderView, Observation, TruncationReason};

mod cluster;
mod step;
mod unclean;

use super::budget;
use super::chain::Chain;
use super::config::JudgeConfig;
use super::findings::{EvidenceStep, Responsible};
use super::replica::{Line, LogGhost, Loss, Lost, Placed, Replica};
use crate::history::HistoryEvent;
use crate::plan::{HostId, HostKind};
use crate::trace::{Fact, TraceEvent};

use unclean::UncleanRules;

pub use step::{Broker, Host, PartitionStep, Reopened, Stance, Step};

/// The judge's picture.
#[derive(Debug, Clone)]
pub struct Ghost {
    config: JudgeConfig,
    nodes: Vec<Option<NodeId>>,
    host_of: BTreeMap<NodeId, HostId>,
    hosts: Vec<Host>,
    brokers: BTreeMap<NodeId, Broker>,
    logs: Vec<LogGhost>,
    index: BTreeMap<LogId, usize>,
    newest: BTreeMap<TopicPartition, usize>,
    applied: Option<Offset>,
    features: BTreeMap<String, i16>,
    controller: Option<(LeaderEpoch, HostId)>,
    unclean: UncleanRules,
    story: VecDeque<(Option<usize>, EvidenceStep)>,
}

impl Ghost {
    /// Events kept for evidence.
    const STORY: usize = 256;

    /// The picture before anything happened.
    pub fn new(config: JudgeConfig) -> Ghost {
        let count = config.hosts.len();
        let nodes: Vec<Option<NodeId>> = (0..count).map(|i| config.node_of(HostId(i as u32))).collect();
        let with_node = nodes.iter().enumerate();
        let host_of = with_node.filter_map(|(i, node)| Some(((*node)?, HostId(i as u32)))).collect();
        Ghost {
            config,
            nodes,
            host_of,
            hosts: vec![Host::default(); count],
            brokers: BTreeMap::new(),
            logs: Vec::new(),
            index: BTreeMap::new(),
            newest: BTreeMap::new(),
            applied: None,
            features: BTreeMap::new(),
            controller: None,
            unclean: UncleanRules::default(),
            story: VecDeque::new(),
        }
    }

    /// What the judge was told of the run.
    pub fn config(&self) -> &JudgeConfig {
        &self.config
    }

    /// The node on a host.
    pub fn node_of(&self, host: HostId) -> Option<NodeId> {
        self.nodes.get(host.0 as usize).copied().flatten()
    }

    /// The host of a node.
    pub fn host_of(&self, node: NodeId) -> Option<HostId> {
        self.host_of.get(&node).copied()
    }

    /// One machine.
    pub fn host(&self, host: HostId) -> Option<&Host> {
        self.hosts.get(host.0 as usize)
    }

    /// A host's name, for people.
    pub fn name(&self, host: HostId) -> String {
        if let Some(name) = self.config.names.get(host.0 as usize) {
            return name.clone();
        }
        match self.node_of(host) {
            Some(node) => format!("node {node}"),
            None => format!("host {}", host.0),
        }
    }

    /// One broker.
    pub fn broker(&self, node: NodeId) -> Option<&Broker> {
        self.brokers.get(&node)
    }

    /// One log.
    pub fn log(&self, index: usize) -> &LogGhost {
        &self.logs[index]
    }

    /// Every log that exists.
    pub fn logs(&self) -> impl Iterator<Item = (usize, &LogGhost)> {
        self.logs.iter().enumerate().filter(|(_, log)| !log.is_deleted)
    }

    /// Was there a topic of this name, and is there none any more?
    pub fn is_topic_deleted(&self, topic: &str) -> bool {
        let mut newest = self.newest.iter().filter(|(partition, _)| *partition.topic == *topic).peekable();
        newest.peek().is_some() && newest.all(|(_, log)| self.logs[*log].is_deleted)
    }

    /// The newest log of a partition.
    pub fn log_of(&self, partition: &TopicPartition) -> Option<usize> {
        self.newest.get(partition).copied()
    }

    /// The active controller, if it lives.
    pub fn active_controller(&self) -> Option<HostId> {
        self.controller.map(|(_, host)| host)
    }

    /// Are eligible leader replicas on (KIP-966)? Not before the feature's level is committed.
    pub fn has_elr(&self) -> bool {
        self.features.get("eligible.leader.replicas.version").is_some_and(|level| *level > 0)
    }

    /// The metadata log.
    pub fn metadata_log(&self) -> Option<(usize, &LogGhost)> {
        let index = *self.index.get(&LogId::metadata())?;
        Some((index, &self.logs[index]))
    }

    /// A node's place in the metadata quorum, as long as it lives.
    pub fn stance(&self, host: HostId) -> Option<&Stance> {
        self.host(host)?.stance.as_ref()
    }

    /// Was the machine's disk ever replaced by an empty one?
    pub fn lost_disk(&self, host: HostId) -> bool {
        self.disk(host) > 0
    }

    /// Which disk the machine has, counted from 0: what the node knew before is not on a new one.
    pub fn disk(&self, host: HostId) -> u32 {
        self.host(host).map_or(0, |host| host.lost_disks)
    }

    /// The machines that can be voters of the metadata quorum.
    pub fn controllers(&self) -> impl Iterator<Item = HostId> {
        let hosts = self.config.hosts.iter().enumerate();
        let is_one = |kind: &HostKind| matches!(kind, HostKind::Node { is_controller: true, .. });
        hosts.filter(move |(_, kind)| is_one(kind)).map(|(index, _)| HostId(index as u32))
    }

    /// Runs, registered in this boot, and not fenced: what it says counts (museum 1.1 c).
    pub fn is_serving(&self, node: NodeId) -> bool {
        let Some(host) = self.host_of(node).and_then(|host| self.host(host)) else { return false };
        let is_known = |broker: &Broker| !broker.is_fenced && broker.incarnation == host.incarnation;
        host.is_up && self.brokers.get(&node).is_some_and(is_known)
    }

    /// The last fault that named the host at or before `event`.
    pub fn fault_at(&self, host: HostId, event: u64) -> Option<Responsible> {
        let faults = &self.hosts.get(host.0 as usize)?.faults;
        faults.iter().rev().find(|fault| fault.event <= event).or(faults.first()).cloned()
    }

    /// The last notable events of a log and of the world, oldest first, at most `count`.
    pub fn evidence(&self, log: Option<usize>, count: usize) -> Vec<EvidenceStep> {
        let is_about = |of: &Option<usize>| of.is_none() || *of == log;
        let about = self.story.iter().rev().filter(|(of, _)| is_about(of)).take(count);
        let mut steps: Vec<EvidenceStep> = about.map(|(_, step)| step.clone()).collect();
        steps.reverse();
        steps
    }

    /// Takes one event in and says what it meant.
    pub fn observe(&mut self, event: &TraceEvent) -> Step {
        let mut step = Step::default();
        match (&event.fact, event.host) {
            (Fact::Node(observation), Some(host)) => self.node(event, host, observation, &mut step),
            (Fact::World(fact), host) => self.world(event, host, fact),
            (Fact::Client(HistoryEvent::Operated { fault, .. }), _) => self.election_answered(fault),
            (Fact::Node(_), None) | (Fact::Client(_), _) => {}
        }
        step
    }

    fn index(&mut self, id: &LogId) -> usize {
        if let Some(index) = self.index.get(id) {
            return *index;
        }
        let index = self.logs.len();
        self.logs.push(LogGhost::new(id.clone(), self.hosts.len()));
        self.index.insert(id.clone(), index);
        self.newest.entry(id.partition.clone()).or_insert(index);
        index
    }

    fn tell(&mut self, event: &TraceEvent, log: Option<usize>, what: String) {
        if self.story.len() == Self::STORY {
            self.story.pop_front();
        }
        let step = EvidenceStep::new(event.event, event.at, event.host, what);
        self.story.push_back((log, step));
    }

    fn node(&mut self, event: &TraceEvent, host: HostId, observation: &Observation, step: &mut Step) {
        match observation {
            Observation::LogOpened { log, log_start, log_end, high_watermark, batches } => {
                let index = self.index(log);
                step.log = Some(index);
                self.opened(index, host, (*log_start, *log_end, *high_watermark), batches, step);
            }
            Observation::LogCreated { log } => {
                let index = self.index(log);
                step.log = Some(index);
                self.opened(index, host, (0, 0, 0), &[], step);
            }
            Observation::LogDeleted { log } => {
                let index = self.index(log);
                step.log = Some(index);
                self.logs[index].replicas[host.0 as usize] = None;
            }
            Observation::Appended { log, role, batch } => {
                let index = self.index(log);
                step.log = Some(index);
                self.appended(event, index, host, *role, batch, step);
            }
            Observation::Truncated { log, from, to, reason } => {
                let index = self.index(log);
                step.log = Some(index);
                if *reason != TruncationReason::Recovery {
                    step.cut_from_high_watermark =
                        self.logs[index].replica(host).map(|replica| replica.high_watermark);
                    self.truncated(index, host, *to, *reason);
                    let what = format!("{} cuts {log} from {from} to {to} ({reason:?})", self.name(host));
                    self.tell(event, Some(index), what);
                }
            }
            Observation::Flushed { log, up_to } => {
                let index = self.index(log);
                step.log = Some(index);
                let replica = self.logs[index].replica_mut(host);
                replica.flushed = replica.flushed.max(*up_to);
            }
            Observation::HighWatermark { log, to, leader, .. } => {
                let index = self.index(log);
                step.log = Some(index);
                self.logs[index].replica_mut(host).high_watermark = *to;
                if let Some(view) = leader {
                    self.committed(index, host, *to, view, step);
                }
            }
            Observation::BecameLeader { log, leader_epoch, epoch_start, .. } => {
                let index = self.index(log);
                step.log = Some(index);
                let what =
                    format!("{} leads {log} in epoch {leader_epoch} from {epoch_start}", self.name(host));
                self.tell(event, Some(index), what);
                let log = &mut self.logs[index];
                if *leader_epoch == log.newest_epoch {
                    log.epoch_start = Some(*epoch_start);
                }
                self.took_over(index, host, *leader_epoch, step);
            }
            Observation::BecameFollower { log, .. }
            | Observation::LogStartAdvanced { log, .. }
            | Observation::ProducerStates { log, .. }
            | Observation::FetcherChanged { log, .. }
            | Observation::IsrProposed { log, .. }
            | Observation::IsrCommitted { log, .. } => step.log = Some(self.index(log)),
            Observation::ControllerActive { epoch, active } => {
                let newest = self.controller.map_or(LeaderEpoch::MIN, |(epoch, _)| epoch);
                if *active && *epoch >= newest {
                    self.controller = Some((*epoch, host));
                } else if !*active && self.controller.is_some_and(|(_, leader)| leader == host) {
                    self.controller = None;
                }
            }
            Observation::MetadataCommitted { offset, fact } => {
                // Every controller says it, and says it again after a restart: the first one counts.
                if self.applied.is_some_and(|last| *offset <= last) {
                    return;
                }
                self.applied = Some(*offset);
                step.is_first = true;
                self.metadata(event, fact, step);
            }
            Observation::QuorumRoleChanged { epoch, role, leader } => {
                let stance = Stance { epoch: *epoch, role: *role, leader: *leader, since: event.at };
                if let Some(host) = self.hosts.get_mut(host.0 as usize) {
                    step.stance_before = host.stance.replace(stance);
                }
            }
            Observation::QuorumStatePersisted { .. }
            | Observation::VoteGranted { .. }
            | Observation::PreVoteGranted { .. }
            | Observation::QuorumFetched { .. }
            | Observation::VotersChanged { .. }
            | Observation::SnapshotWritten { .. }
            | Observation::SnapshotLoaded { .. }
            | Observation::MetadataApplied { .. }
            | Observation::FetchSessionPartitions { .. }
            | Observation::BrokerState { .. } => {}
        }
    }

    fn opened(
        &mut self,
        index: usize,
        host: HostId,
        (log_start, log_end, high_watermark): (Offset, Offset, Offset),
        batches: &[BatchFact],
        step: &mut Step,
    ) {
        let was_halted = self.hosts[host.0 as usize].was_halted;
        let log = &mut self.logs[index];
        let mut chain = Chain::starting_at(log_start, log.committed.hash_at(log_start));
        for batch in batches {
            chain.push(batch);
        }
        let known = log.replicas.get(host.0 as usize).is_some_and(Option::is_some);
        let replica = log.replica_mut(host);
        if !known {
            *replica = Replica { chain, high_watermark, flushed: log_end, ..Replica::default() };
            return;
        }
        let (before_end, flushed) = (replica.chain.end(), replica.flushed);
        let power = replica.power.take();
        let same_as_before = chain.common_end(&replica.chain);
        // A cut is durable only once it is synced: power may bring back what was cut.
        let former = replica.before_cuts.drain(..).filter(|_| power.is_some());
        let common_end = former.map(|before| chain.common_end(&before)).fold(same_as_before, Offset::max);
        step.reopened =
            Some(Reopened { before_end, flushed, same_as_before, common_end, is_power: power.is_some() });
        if let Some((event, at)) = power
            && same_as_before < before_end
        {
            let from = replica.lost.as_ref().map_or(same_as_before, |lost| lost.from.min(same_as_before));
            replica.lost = Some(Lost { from, to: before_end, event, at, is_last_in_sync: None });
        }
        // What is there after a power loss, or after an orderly end, is durable.
        replica.flushed = if power.is_some() || was_halted { log_end } else { flushed.min(log_end) };
        replica.chain = chain;
        replica.high_watermark = high_watermark;
    }

    fn appended(
        &mut self,
        event: &TraceEvent,
        index: usize,
        host: HostId,
        role: AppendRole,
        batch: &BatchFact,
        step: &mut Step,
    ) {
        let log = &mut self.logs[index];
        let replica = log.replica_mut(host);
        step.appended_at = Some((replica.chain.end(), replica.chain.last_epoch()));
        let hash = replica.chain.push(batch);
        let (end, is_anchored) = (replica.chain.end(), replica.chain.is_anchored());
        replica.lost.take_if(|lost| end >= lost.to);
        match role {
            AppendRole::Leader(epoch) => {
                let line = log.lines.entry(epoch).or_insert_with(|| Line {
                    leader: host,
                    event: event.event,
                    at: event.at,
                    batches: Vec::new(),
                });
                if line.leader != host {
                    step.rival = Some(line.leader);
                    return;
                }
                let (base, producer_id) = (batch.base_offset, batch.producer_id);
                let above = line.batches.partition_point(|placed| placed.base < base);
                if let Some(known) = line.batches.get(above) {
                    step.matches_leader = Some(known.base == base && known.hash == hash);
                    line.batches.truncate(above);
                }
                let records = u32::try_from(batch.last_offset + 1 - base).unwrap_or(0);
                line.batches.push(Placed { base, hash, records, producer_id });
            }
            AppendRole::Follower => {
                if let Some(line) = log.lines.get(&batch.leader_epoch).filter(|_| is_anchored) {
                    let found = line.at(batch.base_offset);
                    step.matches_leader = Some(found.is_some_and(|placed| placed.hash == hash));
                }
            }
        }
    }

    fn truncated(&mut self, index: usize, host: HostId, to: Offset, reason: TruncationReason) {
        let log = &mut self.logs[index];
        let below = log.committed.hash_at(to);
        let replica = log.replica_mut(host);
        if replica.before_cuts.len() < Replica::CUTS {
            replica.before_cuts.push(replica.chain.clone());
        }
        if matches!(reason, TruncationReason::OutOfRange | TruncationReason::Snapshot) {
            replica.chain = Chain::starting_at(to, below);
        } else {
            replica.chain.truncate(to);
        }
        // A snapshot is on disk and committed before it takes the log's place.
        let is_snapshot = reason == TruncationReason::Snapshot;
        replica.flushed = if is_snapshot { to } else { replica.flushed.min(to) };
        replica.high_watermark = if is_snapshot { to } else { replica.high_watermark.min(to) };
    }

    fn committed(&mut self, index: usize, host: HostId, to: Offset, view: &LeaderView, step: &mut Step) {
        let log = &mut self.logs[index];
        let is_metadata = log.id.is_metadata();
        let is_current = match is_metadata {
            true => view.leader_epoch >= log.newest_epoch,
            false => view.leader_epoch == log.newest_epoch,
        };
        if !is_current {
            return;
        }
        if is_metadata {
            log.newest_epoch = view.leader_epoch;
        }
        step.is_current_leader = true;
        let LogGhost { replicas, committed, .. } = log;
        let Some(replica) = replicas.get(host.0 as usize).and_then(Option::as_ref) else { return };
        let below = committed.border(to.min(committed.end()));
        let is_comparable = replica.chain.is_anchored() && committed.is_anchored();
        if is_comparable && replica.chain.hash_at(below) != committed.hash_at(below) {
            let common = replica.chain.common_end(committed);
            step.conflict = Some(common);
            committed.truncate(common);
            log.floor = Some(log.floor.map_or(common, |floor| floor.min(common)));
        }
        committed.extend_from(&replica.chain, to);
        if log.unclean.as_ref().is_some_and(|unclean| view.leader_epoch >= unclean.epoch) {
            log.unclean = None;
        }
    }

    fn took_over(&mut self, index: usize, host: HostId, epoch: LeaderEpoch, step: &mut Step) {
        let log = &self.logs[index];
        let is_newest = epoch == log.newest_epoch && log.leaders.get(&epoch).copied() == self.node_of(host);
        let Some(replica) = log.replica(host).filter(|_| is_newest) else { return };
        step.took_over = Some(None);
        let has_all = replica.chain.contains(&log.committed);
        if has_all && log.unclean.is_none() {
            return;
        }
        let to = log.committed.end();
        let from = if has_all { to } else { replica.chain.common_end(&log.committed) };
        let permit = budget::permit(self, index, host, from);
        let log = &mut self.logs[index];
        // One cause, one report: from here on the new leader's log is what counts. The old leader of an unclean election
        // may go on with a history of its own even if nothing is lost so far.
        log.committed.truncate(from);
        log.floor = Some(log.floor.map_or(from, |floor| floor.min(from)));
        if log.floor_permit.is_none() {
            log.floor_permit.clone_from(&permit);
        }
        if !has_all {
            step.took_over = Some(Some(Loss { log: index, host, epoch, from, to, permit }));
        }
    }
}
