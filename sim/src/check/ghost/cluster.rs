//! How the picture follows the quorum's records and the world.

use broker::ids::{BrokerEpoch, LogId, NodeId};
use broker::trace::{Election, MetadataFact, PartitionFact};

use super::super::findings::Responsible;
use super::super::replica::Unclean;
use super::{Broker, Ghost, PartitionStep, Step};
use crate::plan::HostId;
use crate::trace::{CrashMode, StopKind, TraceEvent, WorldFact};

impl Ghost {
    pub(super) fn metadata(&mut self, event: &TraceEvent, fact: &MetadataFact, step: &mut Step) {
        match fact {
            MetadataFact::BrokerRegistered { broker, broker_epoch } => {
                self.registered(*broker, *broker_epoch)
            }
            MetadataFact::BrokerUnregistered { broker } => {
                self.brokers.remove(broker);
            }
            MetadataFact::BrokerFenced { broker } => {
                self.brokers.entry(*broker).or_default().is_fenced = true;
                self.tell(event, None, format!("broker {broker} is fenced"));
            }
            MetadataFact::BrokerShuttingDown { broker } => {
                self.brokers.entry(*broker).or_default().is_shutting_down = true;
                self.tell(event, None, format!("broker {broker} is shutting down"));
            }
            MetadataFact::FeatureChanged { name, level } => {
                self.features.insert(name.clone(), *level);
                self.tell(event, None, format!("feature {name} is at level {level}"));
            }
            MetadataFact::BrokerUnfenced { broker } => {
                self.brokers.entry(*broker).or_default().is_fenced = false;
                self.tell(event, None, format!("broker {broker} is unfenced"));
            }
            MetadataFact::TopicDeleted { topic_id, .. } => {
                let of_it = self.logs.iter_mut().filter(|log| log.id.topic_id == *topic_id);
                of_it.for_each(|log| log.is_deleted = true);
            }
            MetadataFact::PartitionChanged { log, election, state } => {
                self.partition_changed(event, log, *election, state, step);
            }
            MetadataFact::ConfigChanged { resource, name, value } => {
                self.config_changed(resource, name, value.as_deref());
            }
            MetadataFact::TopicCreated { .. } | MetadataFact::ProducerIdsAllocated { .. } => {}
        }
    }

    fn registered(&mut self, broker: NodeId, epoch: BrokerEpoch) {
        let host = self.host_of(broker);
        let incarnation = host.and_then(|host| self.host(host)).map_or(0, |host| host.incarnation);
        self.brokers.insert(broker, Broker { epoch, is_fenced: true, is_shutting_down: false, incarnation });
        let Some(host) = host else { return };
        for log in &mut self.logs {
            let is_last = log.partition.as_ref().is_some_and(|partition| partition.isr == [broker]);
            let replica = log.replicas.get_mut(host.0 as usize).and_then(Option::as_mut);
            if let Some(lost) = replica.and_then(|replica| replica.lost.as_mut()) {
                lost.is_last_in_sync.get_or_insert(is_last);
            }
        }
    }

    fn partition_changed(
        &mut self,
        event: &TraceEvent,
        id: &LogId,
        election: Election,
        state: &PartitionFact,
        step: &mut Step,
    ) {
        let index = self.index(id);
        step.log = Some(index);
        self.newest.insert(id.partition.clone(), index);
        let log = &mut self.logs[index];
        let (before, last_leader) = (log.partition.replace(state.clone()), log.last_leader);
        if state.leader_epoch != log.newest_epoch {
            log.epoch_start = None;
        }
        log.newest_epoch = state.leader_epoch;
        if let Some(leader) = state.leader {
            log.leaders.entry(state.leader_epoch).or_insert(leader);
            log.last_leader = Some(leader);
            if election == Election::Unclean {
                let (epoch, event, at) = (state.leader_epoch, event.event, event.at);
                log.unclean = Some(Unclean { epoch, event, at, leader });
            }
        }
        let how = if election == Election::Unclean { "unclean election: " } else { "" };
        let leader = state.leader.map_or("none".to_owned(), |leader| leader.to_string());
        let isr: Vec<i32> = state.isr.iter().map(|member| member.0).collect();
        let mut what = format!("{how}{id}: leader {leader}, epoch {}, isr {isr:?}", state.leader_epoch);
        for (word, members) in [("elr", &state.elr), ("last known leader", &state.last_known_elr)] {
            if !members.is_empty() {
                let members: Vec<i32> = members.iter().map(|member| member.0).collect();
                what.push_str(&format!(", {word} {members:?}"));
            }
        }
        self.tell(event, Some(index), what);
        step.partition = Some(PartitionStep { log: index, before, last_leader, election });
    }

    pub(super) fn world(&mut self, event: &TraceEvent, host: Option<HostId>, fact: &WorldFact) {
        self.election_asked(fact);
        if let WorldFact::FaultFired { id, n, what, targets, .. } = fact {
            let what = format!("fault {id}: {what}");
            let fault = Some(format!("{id}#{n}"));
            let cause = Responsible { fault, event: event.event, at: event.at, what: what.clone() };
            for target in targets {
                if let Some(host) = self.hosts.get_mut(target.0 as usize) {
                    host.faults.push(cause.clone());
                }
            }
            self.tell(event, None, what);
        }
        let Some(id) = host else { return };
        let Some(host) = self.hosts.get_mut(id.0 as usize) else { return };
        match fact {
            WorldFact::Started { incarnation } => {
                (host.is_up, host.is_paused, host.incarnation) = (true, false, *incarnation);
                self.tell(event, None, format!("{} starts", self.name(id)));
            }
            // The end of the run stops everybody: what is judged at the end is the state before.
            WorldFact::Stopped { kind: StopKind::End } => {}
            WorldFact::Stopped { kind } => {
                (host.is_up, host.is_paused, host.stance) = (false, false, None);
                host.was_halted = matches!(kind, StopKind::Halt { .. });
                if self.controller.is_some_and(|(_, leader)| leader == id) {
                    self.controller = None;
                }
                let is_wipe = *kind == StopKind::Crash(CrashMode::Wipe);
                host.lost_disks += u32::from(is_wipe);
                if is_wipe || *kind == StopKind::Crash(CrashMode::Power) {
                    for log in &mut self.logs {
                        if let Some(replica) = log.replicas.get_mut(id.0 as usize).and_then(Option::as_mut) {
                            replica.power = Some((event.event, event.at));
                            if is_wipe {
                                // A new disk owes nothing that the old one had synced.
                                replica.flushed = 0;
                            }
                        }
                    }
                }
                self.tell(event, None, format!("{} stops: {}", self.name(id), stop_words(kind)));
            }
            WorldFact::Paused => host.is_paused = true,
            WorldFact::Resumed => host.is_paused = false,
            _ => {}
        }
    }
}

fn stop_words(kind: &StopKind) -> String {
    match kind {
        StopKind::Crash(CrashMode::Process) => "process crash".to_owned(),
        StopKind::Crash(CrashMode::Power) => "power loss".to_owned(),
        StopKind::Crash(CrashMode::Wipe) => "disk replaced".to_owned(),
        StopKind::Halt { reason } => format!("halt: {reason}"),
        StopKind::Panic { message } => format!("panic: {message}"),
        StopKind::End => "end".to_owned(),
    }
}
