//! What conditions and targets can see, folded from facts.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{LogId, NodeId, Offset, TopicPartition};
use broker::trace::{MetadataFact, Observation, PartitionFact};
use scenarios::model::NodeState;

use super::Change;
use crate::history::HistoryEvent;
use crate::plan::{HostId, HostKind, Plan};
use crate::trace::{CrashMode, Fact, StopKind, WorldFact};
use crate::world::{Control, HostState};

/// One partition, as committed.
#[derive(Debug, Clone)]
struct Partition {
    log: LogId,
    state: PartitionFact,
}

/// One replica's log.
#[derive(Debug, Clone, Copy, Default)]
struct Replica {
    high_watermark: Offset,
    log_end: Offset,
}

/// What became of one task of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Id of the fault.
    pub fault: String,
    /// Kafka's error, if it was refused.
    pub refused: Option<String>,
}

/// Who reads what, as the plan says.
#[derive(Debug, Clone)]
struct Reads {
    host: HostId,
    topic: String,
    partitions: Option<Vec<u32>>,
}

/// What conditions and targets can see. Cluster state is what the quorum has committed: the first controller that applies
/// a record counts.
#[derive(Debug, Clone)]
pub struct ClusterView {
    node_hosts: BTreeMap<NodeId, HostId>,
    /// Every partition that there should be, with its number of replicas: those of the plan, and what the operator has
    /// made of them since.
    wanted: BTreeMap<TopicPartition, usize>,
    topics: BTreeSet<String>,
    reads: Vec<Reads>,
    readers: Vec<(HostId, TopicPartition)>,
    operated: Vec<Report>,
    idle: BTreeSet<HostId>,
    applied: Option<(Offset, HostId)>,
    partitions: BTreeMap<TopicPartition, Partition>,
    fenced: BTreeMap<NodeId, bool>,
    /// Brokers that boot again and are not registered since: what the metadata says of them is about their last life.
    returning: BTreeSet<NodeId>,
    /// Brokers that crashed and are not yet back in the ISR of all their partitions; true: they may have lost something.
    shaken: BTreeMap<NodeId, bool>,
    controller: Option<(i32, NodeId)>,
    replicas: BTreeMap<TopicPartition, Vec<Replica>>,
    hosts: Vec<HostState>,
    acked: BTreeMap<String, u64>,
    acked_total: u64,
    marks: BTreeMap<String, u64>,
    /// Messages that a fault has caught.
    caught: BTreeMap<String, u64>,
    in_flight: BTreeMap<HostId, u64>,
    caught_up: BTreeMap<(HostId, TopicPartition), Offset>,
    /// Who stood in the way last, and is asked first: conditions about everybody are looked at after every change, and of
    /// ten thousand partitions the same one mostly is the last.
    late: Late,
    change: Change,
}

impl Reads {
    fn covers(&self, partition: &TopicPartition) -> bool {
        let listed = |list: &Vec<u32>| list.contains(&(partition.partition as u32));
        *partition.topic == *self.topic && self.partitions.as_ref().is_none_or(listed)
    }
}

/// The first partition, of those asked, that was not ready: for its ISR, its high watermark, and its readers.
#[derive(Debug, Clone, Default)]
struct Late {
    isr: RefCell<Option<TopicPartition>>,
    committed: RefCell<Option<TopicPartition>>,
    reader: Cell<usize>,
}

/// Is everybody ready? Asks the one who was not ready last time before all the others; `is_ready` must call one who is
/// not wanted any more ready.
fn all_ready<'a>(
    late: &RefCell<Option<TopicPartition>>,
    mut everybody: impl Iterator<Item = &'a TopicPartition>,
    is_ready: impl Fn(&TopicPartition) -> bool,
) -> bool {
    let is_still_late = late.borrow().as_ref().is_some_and(|partition| !is_ready(partition));
    if !is_still_late {
        *late.borrow_mut() = everybody.find(|partition| !is_ready(partition)).cloned();
    }
    late.borrow().is_none()
}

impl ClusterView {
    /// The view of a world in which nothing has happened yet.
    pub fn new(plan: &Plan) -> ClusterView {
        let mut wanted = BTreeMap::new();
        for topic in &plan.topics {
            for partition in 0..topic.partitions {
                let assigned = topic.assignment.as_ref().and_then(|lists| lists.get(partition as usize));
                let replicas = assigned.map_or(topic.replication_factor as usize, Vec::len);
                wanted.insert(TopicPartition::new(topic.name.as_str(), partition as i32), replicas);
            }
        }
        let reads: Vec<Reads> = plan
            .consumers
            .iter()
            .map(|consumer| Reads {
                host: consumer.host,
                topic: consumer.topic.clone(),
                partitions: consumer.partitions.clone(),
            })
            .collect();
        let mut readers = Vec::new();
        for own in &reads {
            let of_it = wanted.keys().filter(|partition| own.covers(partition));
            readers.extend(of_it.map(|partition| (own.host, partition.clone())));
        }
        let node_hosts = plan.hosts().filter_map(|(id, host)| match host.kind {
            HostKind::Node { node_id, .. } => Some((node_id, id)),
            HostKind::Client { .. } => None,
        });
        ClusterView {
            node_hosts: node_hosts.collect(),
            wanted,
            topics: plan.topics.iter().map(|topic| topic.name.clone()).collect(),
            reads,
            readers,
            operated: Vec::new(),
            idle: plan.standby.iter().copied().collect(),
            applied: None,
            partitions: BTreeMap::new(),
            fenced: BTreeMap::new(),
            returning: BTreeSet::new(),
            shaken: BTreeMap::new(),
            controller: None,
            replicas: BTreeMap::new(),
            hosts: vec![HostState::Down; plan.hosts.len()],
            acked: BTreeMap::new(),
            acked_total: 0,
            marks: BTreeMap::new(),
            caught: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            caught_up: BTreeMap::new(),
            late: Late::default(),
            change: Change::ALL,
        }
    }

    /// What changed since the last call.
    pub fn take_change(&mut self) -> Change {
        std::mem::take(&mut self.change)
    }

    /// Takes one fact in.
    pub fn observe(&mut self, host: Option<HostId>, fact: &Fact) {
        let change = match (fact, host) {
            (Fact::Node(observation), Some(host)) => self.node(host, observation),
            (Fact::Client(event), Some(host)) => self.client(host, event),
            (Fact::World(fact), _) => self.world(host, fact),
            _ => Change::NONE,
        };
        self.change = self.change.and(change);
    }

    fn replica(&mut self, host: HostId, log: &LogId) -> &mut Replica {
        let hosts = self.hosts.len();
        // `get_mut` first: an entry would clone the name for every batch.
        if !self.replicas.contains_key(&log.partition) {
            self.replicas.insert(log.partition.clone(), vec![Replica::default(); hosts]);
        }
        let replicas = self.replicas.get_mut(&log.partition).expect("inserted above");
        &mut replicas[host.0 as usize]
    }

    fn node(&mut self, host: HostId, observation: &Observation) -> Change {
        match observation {
            Observation::LogOpened { log, log_end, high_watermark, .. } => {
                *self.replica(host, log) = Replica { high_watermark: *high_watermark, log_end: *log_end };
            }
            // The log of a topic that was created anew is not the one that goes.
            Observation::LogDeleted { log } if self.is_replaced(log) => return Change::NONE,
            Observation::LogCreated { log } | Observation::LogDeleted { log } => {
                *self.replica(host, log) = Replica::default();
            }
            Observation::Appended { log, batch, .. } => {
                self.replica(host, log).log_end = batch.last_offset + 1
            }
            Observation::Truncated { log, to, .. } => {
                let replica = self.replica(host, log);
                replica.log_end = *to;
                replica.high_watermark = replica.high_watermark.min(*to);
            }
            Observation::HighWatermark { log, to, log_end, .. } => {
                *self.replica(host, log) = Replica { high_watermark: *to, log_end: *log_end };
            }
            Observation::ControllerActive { epoch, active } => return self.controller(host, *epoch, *active),
            Observation::MetadataCommitted { offset, fact } => return self.metadata(host, *offset, fact),
            _ => return Change::NONE,
        }
        Change::OFFSETS
    }

    fn controller(&mut self, host: HostId, epoch: i32, active: bool) -> Change {
        let Some(node) = self.node_of(host) else { return Change::NONE };
        let newest = self.controller.map_or(i32::MIN, |(epoch, _)| epoch);
        if active && epoch >= newest {
            self.controller = Some((epoch, node));
        } else if !active && self.controller.is_some_and(|(_, leader)| leader == node) {
            self.controller = None;
        }
        Change::METADATA
    }

    fn metadata(&mut self, host: HostId, offset: Offset, fact: &MetadataFact) -> Change {
        // Every controller says it, and says it again after a restart: the first one counts. One record may mean several
        // things, so the one that was first may go on with the same offset.
        if self.applied.is_some_and(|(last, by)| offset < last || (offset == last && by != host)) {
            return Change::NONE;
        }
        self.applied = Some((offset, host));
        match fact {
            MetadataFact::BrokerRegistered { broker, .. } => {
                self.fenced.insert(*broker, true);
                self.returning.remove(broker);
            }
            MetadataFact::BrokerFenced { broker } => {
                self.fenced.insert(*broker, true);
            }
            MetadataFact::BrokerUnfenced { broker } => {
                self.fenced.insert(*broker, false);
            }
            MetadataFact::BrokerUnregistered { broker } => {
                self.fenced.insert(*broker, true);
            }
            MetadataFact::TopicDeleted { topic, topic_id } => {
                self.partitions.retain(|_, partition| partition.log.topic_id != *topic_id);
                self.wanted.retain(|partition, _| *partition.topic != **topic);
                self.readers.retain(|(_, partition)| *partition.topic != **topic);
                self.caught_up.retain(|(_, partition), _| *partition.topic != **topic);
            }
            MetadataFact::PartitionChanged { log, state, .. } => {
                self.want(&log.partition, state.replicas.len());
                let partition = Partition { log: log.clone(), state: state.clone() };
                self.partitions.insert(log.partition.clone(), partition);
                self.calm();
            }
            MetadataFact::TopicCreated { .. }
            | MetadataFact::ProducerIdsAllocated { .. }
            | MetadataFact::BrokerShuttingDown { .. }
            | MetadataFact::ConfigChanged { .. }
            | MetadataFact::FeatureChanged { .. } => {}
        }
        Change::METADATA
    }

    /// Was this node the first to state what is newest in the metadata?
    pub fn is_first(&self, host: HostId, offset: Offset) -> bool {
        self.applied == Some((offset, host))
    }

    fn client(&mut self, host: HostId, event: &HistoryEvent) -> Change {
        match event {
            HistoryEvent::Sent { .. } => *self.in_flight.entry(host).or_default() += 1,
            HistoryEvent::Acked { partition, values, .. } => {
                self.resolved(host, values.len() as u64);
                self.acked_total += values.len() as u64;
                match self.acked.get_mut(&*partition.topic) {
                    Some(count) => *count += values.len() as u64,
                    None => {
                        self.acked.insert(partition.topic.to_string(), values.len() as u64);
                    }
                }
            }
            HistoryEvent::Failed { values, .. } => self.resolved(host, values.len() as u64),
            HistoryEvent::CaughtUp { partition, offset } => {
                self.caught_up.insert((host, partition.clone()), *offset);
            }
            HistoryEvent::TopicReplaced { topic, .. } => {
                let is_about = |reader: HostId, partition: &TopicPartition| {
                    reader == host && *partition.topic == **topic
                };
                self.caught_up.retain(|(reader, partition), _| !is_about(*reader, partition));
            }
            HistoryEvent::Operated { fault, refused, .. } => {
                self.operated.push(Report { fault: fault.clone(), refused: refused.clone() });
            }
            HistoryEvent::Polled { .. }
            | HistoryEvent::Positioned { .. }
            | HistoryEvent::EndOffset { .. } => return Change::NONE,
        }
        Change::CLIENTS
    }

    /// There should be this partition, with so many replicas. One that is new is read by whoever reads its topic.
    fn want(&mut self, partition: &TopicPartition, replicas: usize) {
        if let Some(wanted) = self.wanted.get_mut(partition) {
            *wanted = replicas;
        } else if self.topics.contains(&*partition.topic) {
            self.wanted.insert(partition.clone(), replicas);
            let readers = self.reads.iter().filter(|reads| reads.covers(partition));
            self.readers.extend(readers.map(|reads| (reads.host, partition.clone())));
        }
    }

    /// Is there another topic of the same name now?
    fn is_replaced(&self, log: &LogId) -> bool {
        self.partitions.get(&log.partition).is_some_and(|known| known.log.topic_id != log.topic_id)
    }

    /// What became of the operator's tasks, in order.
    pub fn operated(&self) -> &[Report] {
        &self.operated
    }

    fn resolved(&mut self, host: HostId, records: u64) {
        let waiting = self.in_flight.entry(host).or_default();
        *waiting = waiting.saturating_sub(records);
    }

    fn world(&mut self, host: Option<HostId>, fact: &WorldFact) -> Change {
        if let (WorldFact::Started { .. }, Some(node)) = (fact, host.and_then(|host| self.node_of(host)))
            && self.fenced.contains_key(&node)
        {
            self.returning.insert(node);
        }
        if let (WorldFact::Started { .. }, Some(host)) = (fact, host)
            && self.idle.remove(&host)
            && let Some(node) = self.node_of(host)
        {
            // It is news to the controller: until it is registered and unfenced it does nothing for anybody.
            self.fenced.insert(node, true);
        }
        if let (WorldFact::Stopped { kind: StopKind::Crash(mode) }, Some(host)) = (fact, host)
            && let Some(node) = self.node_of(host)
        {
            *self.shaken.entry(node).or_default() |= *mode != CrashMode::Process;
        }
        let state = match fact {
            WorldFact::Started { .. } | WorldFact::Resumed => HostState::Up,
            WorldFact::Paused => HostState::Paused,
            // Every machine stops when the run is over: that says nothing about the cluster.
            WorldFact::Stopped { kind: StopKind::End } => return Change::NONE,
            WorldFact::Stopped { .. } => HostState::Down,
            WorldFact::FaultFired { id, n: 1, .. } => {
                self.marks.insert(id.clone(), self.acked_total);
                return Change::CLIENTS.and(Change::HOSTS);
            }
            WorldFact::MessageHeld { fault, .. } | WorldFact::MessageDropped { fault, .. } => {
                *self.caught.entry(fault.clone()).or_default() += 1;
                return Change::HOSTS;
            }
            WorldFact::FaultFired { .. }
            | WorldFact::FaultHealed { .. }
            | WorldFact::PhaseStarted { .. }
            | WorldFact::DiskLost { .. } => return Change::HOSTS,
        };
        match host {
            Some(host) => self.set_host(host, state),
            None => Change::NONE,
        }
    }

    fn set_host(&mut self, host: HostId, state: HostState) -> Change {
        self.hosts[host.0 as usize] = state;
        if state == HostState::Down {
            // Nobody waits any more for what a dead client had under way.
            self.in_flight.remove(&host);
            self.caught_up.retain(|(reader, _), _| *reader != host);
            if self.controller.map(|(_, node)| node) == self.node_of(host) {
                self.controller = None;
            }
        }
        Change::HOSTS.and(Change::METADATA).and(Change::CLIENTS)
    }

    /// Looks at the machines themselves. What the nemesis does to them takes effect at once, the facts about it come
    /// later: a fault that strikes in the same event must not take a dead leader for a running one.
    pub fn look_at_hosts(&mut self, control: &dyn Control) {
        for index in 0..self.hosts.len() {
            let host = HostId(index as u32);
            let state = control.state(host);
            if state != self.hosts[index] {
                let change = self.set_host(host, state);
                self.change = self.change.and(change);
            }
        }
    }

    /// The node on a host, if one runs there.
    pub fn node_of(&self, host: HostId) -> Option<NodeId> {
        self.node_hosts.iter().find(|(_, h)| **h == host).map(|(node, _)| *node)
    }

    /// The host of a node.
    pub fn host_of(&self, node: NodeId) -> Option<HostId> {
        self.node_hosts.get(&node).copied()
    }

    /// Partitions of a topic that exist, or that the plan wants.
    pub fn partitions_of(&self, topic: &str) -> Vec<TopicPartition> {
        self.wanted.keys().filter(|partition| *partition.topic == *topic).cloned().collect()
    }

    /// The committed state of a partition.
    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionFact> {
        self.partitions.get(partition).map(|partition| &partition.state)
    }

    /// The committed state of every partition.
    pub fn partitions(&self) -> impl Iterator<Item = &PartitionFact> {
        self.partitions.values().map(|partition| &partition.state)
    }

    /// Forgets the crashes of brokers that are whole again.
    fn calm(&mut self) {
        let is_whole = |view: &ClusterView, node: NodeId| {
            let is_in = |state: &PartitionFact| !state.replicas.contains(&node) || state.isr.contains(&node);
            view.host_of(node).is_some_and(|host| view.is_at_work(host)) && view.partitions().all(is_in)
        };
        let whole: Vec<NodeId> = self.shaken.keys().copied().filter(|node| is_whole(self, *node)).collect();
        whole.iter().for_each(|node| {
            self.shaken.remove(node);
        });
    }

    /// Brokers that crashed and are not yet back in the ISR of all their partitions; true: they may have lost something.
    pub fn shaken(&self) -> &BTreeMap<NodeId, bool> {
        &self.shaken
    }

    /// The active controller.
    pub fn active_controller(&self) -> Option<NodeId> {
        self.controller.map(|(_, node)| node)
    }

    fn replica_at(&self, partition: &TopicPartition, host: HostId) -> Option<Replica> {
        self.replicas.get(partition)?.get(host.0 as usize).copied()
    }

    fn leader_host(&self, partition: &TopicPartition) -> Option<HostId> {
        self.host_of(self.partition(partition)?.leader?)
    }

    /// The high watermark at a host, or at the leader.
    pub fn high_watermark(&self, partition: &TopicPartition, host: Option<HostId>) -> Option<Offset> {
        let host = host.or_else(|| self.leader_host(partition))?;
        Some(self.replica_at(partition, host)?.high_watermark)
    }

    /// The log end offset at a host, or at the leader.
    pub fn log_end(&self, partition: &TopicPartition, host: Option<HostId>) -> Option<Offset> {
        let host = host.or_else(|| self.leader_host(partition))?;
        Some(self.replica_at(partition, host)?.log_end)
    }

    /// What a machine is doing, as the world and the controller see it. A broker that is not registered, because it was
    /// in standby or because somebody unregistered it, is fenced.
    pub fn state(&self, host: HostId) -> NodeState {
        match self.hosts[host.0 as usize] {
            HostState::Down => NodeState::Down,
            HostState::Paused => NodeState::Paused,
            HostState::Up => {
                let node = self.node_of(host);
                let is_known = |node| self.fenced.get(&node).copied();
                // Whoever boots for the first time is nobody's broker yet, even before its start is a fact.
                let is_fenced = node.is_some_and(|node| is_known(node).unwrap_or(self.is_idle(host)));
                if is_fenced { NodeState::Fenced } else { NodeState::Running }
            }
        }
    }

    /// Has the machine never been in service?
    fn is_idle(&self, host: HostId) -> bool {
        self.idle.contains(&host)
    }

    /// Runs, and the metadata knows it: it is neither fenced nor waiting to register again after a boot.
    pub fn is_at_work(&self, host: HostId) -> bool {
        let is_returning = self.node_of(host).is_some_and(|node| self.returning.contains(&node));
        self.state(host) == NodeState::Running && !is_returning
    }

    /// Records of a topic acknowledged so far.
    pub fn acked(&self, topic: &str) -> u64 {
        self.acked.get(topic).copied().unwrap_or(0)
    }

    /// Records acknowledged since this fault first struck; 0 until then.
    pub fn acked_since(&self, fault: &str) -> u64 {
        self.marks.get(fault).map_or(0, |mark| self.acked_total - mark)
    }

    /// Messages that this fault has held back or kept from arriving.
    pub fn caught(&self, fault: &str) -> u64 {
        self.caught.get(fault).copied().unwrap_or(0)
    }

    /// Every partition of the plan has a leader and all its replicas in the committed ISR.
    pub fn all_isr_full(&self) -> bool {
        all_ready(&self.late.isr, self.wanted.keys(), |partition| {
            let Some(&replicas) = self.wanted.get(partition) else { return true };
            self.partition(partition)
                .is_some_and(|state| state.leader.is_some() && state.isr.len() >= replicas)
        })
    }

    /// Producers have nothing under way, leaders' high watermarks are at their ends, consumers have read up to there.
    pub fn drained(&self) -> bool {
        let is_read = |(reader, partition): &(HostId, TopicPartition)| {
            let Some(end) = self.high_watermark(partition, None) else { return false };
            let read = self.caught_up.get(&(*reader, partition.clone())).copied().unwrap_or(0);
            read >= end
        };
        let is_committed = |partition: &TopicPartition| {
            if !self.wanted.contains_key(partition) {
                return true;
            }
            let end = self.log_end(partition, None);
            end.is_some() && end == self.high_watermark(partition, None)
        };
        let all_read = || {
            let is_still_late =
                self.readers.get(self.late.reader.get()).is_some_and(|reader| !is_read(reader));
            let late = if is_still_late {
                Some(self.late.reader.get())
            } else {
                self.readers.iter().position(|r| !is_read(r))
            };
            self.late.reader.set(late.unwrap_or(self.readers.len()));
            late.is_none()
        };
        self.in_flight.values().all(|records| *records == 0)
            && all_ready(&self.late.committed, self.wanted.keys(), is_committed)
            && all_read()
    }

    /// What keeps the cluster from being drained and whole, one line each.
    pub fn unsettled(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (partition, replicas) in &self.wanted {
            let ends = (self.high_watermark(partition, None), self.log_end(partition, None));
            match self.partition(partition) {
                None => lines.push(format!("{partition} does not exist")),
                Some(state) if state.leader.is_none() => lines.push(format!("{partition} has no leader")),
                Some(state) if state.isr.len() < *replicas => {
                    lines.push(format!(
                        "{partition}: {} of {replicas} replicas are in the ISR",
                        state.isr.len()
                    ));
                }
                Some(_) if ends.0 != ends.1 => {
                    lines.push(format!(
                        "{partition}: the high watermark is {:?}, the log ends at {:?}",
                        ends.0, ends.1
                    ));
                }
                Some(_) => {}
            }
        }
        for (host, records) in self.in_flight.iter().filter(|(_, records)| **records > 0) {
            lines.push(format!("host {}: {records} records are under way", host.0));
        }
        for (host, partition) in &self.readers {
            let end = self.high_watermark(partition, None).unwrap_or(0);
            let read = self.caught_up.get(&(*host, partition.clone())).copied().unwrap_or(0);
            if read < end {
                lines.push(format!("host {}: {partition} is read up to {read} of {end}", host.0));
            }
        }
        for (node, host) in self.node_hosts.iter().filter(|(_, host)| !self.is_idle(**host)) {
            let state = self.state(*host);
            if state != NodeState::Running {
                lines.push(format!("node {node} is {}", state.word()));
            } else if !self.is_at_work(*host) {
                lines.push(format!("node {node} has not registered since it booted"));
            }
        }
        lines
    }
}
