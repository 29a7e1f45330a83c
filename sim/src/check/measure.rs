//! Takes the measurements of [`super::failover`].

use std::collections::BTreeMap;

use broker::ids::{NodeId, Offset, TopicPartition};
use broker::time::Instant;
use broker::trace::{Election, MetadataFact, Observation, PartitionFact, TruncationReason};

use super::config::EndOfRun;
use super::failover::{ControllerElection, Failover, IsrChange, Measurements, Window};
use super::ghost::{Ghost, PartitionStep, Step};
use crate::history::{Acks, HistoryEvent};
use crate::plan::HostId;
use crate::trace::{Fact, StopKind, TraceEvent, WorldFact};

/// What is under way on one partition.
#[derive(Debug, Clone, Default)]
struct Now {
    /// Since when no running broker leads it.
    leaderless: Option<Instant>,
    /// The leader's last proposal of an ISR.
    proposed: Vec<NodeId>,
    /// The last failover, as an index, until it is complete.
    open: Option<usize>,
    /// Where the log of the new leader began its epoch.
    epoch_start: Offset,
}

/// Takes measurements, event by event.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    taken: Measurements,
    now: BTreeMap<TopicPartition, Now>,
    fenced_at: BTreeMap<NodeId, Instant>,
}

impl Meter {
    /// Takes one event in.
    pub fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost) {
        match (&event.fact, event.host) {
            (Fact::Node(observation), Some(host)) => self.node(event, host, observation, step, ghost),
            (Fact::Client(fact), _) => self.client(event.at, fact),
            (Fact::World(WorldFact::Stopped { kind }), Some(host)) if *kind != StopKind::End => {
                self.stopped(event.at, host, ghost)
            }
            _ => {}
        }
    }

    fn node(
        &mut self,
        event: &TraceEvent,
        host: HostId,
        observation: &Observation,
        step: &Step,
        ghost: &Ghost,
    ) {
        match observation {
            Observation::MetadataCommitted { fact, .. } if step.is_first => match fact {
                MetadataFact::BrokerFenced { broker } => self.fenced(event.at, *broker),
                MetadataFact::PartitionChanged { log, state, .. } => {
                    if let Some(change) = &step.partition {
                        self.changed(event, &log.partition, state, change, ghost);
                    }
                }
                _ => {}
            },
            Observation::IsrProposed { log, to, .. } => {
                self.now.entry(log.partition.clone()).or_default().proposed.clone_from(to);
            }
            Observation::BecameLeader { log, leader_epoch, epoch_start, .. } if step.took_over.is_some() => {
                let now = self.now.entry(log.partition.clone()).or_default();
                now.epoch_start = *epoch_start;
                if let Some(since) = now.leaderless.take() {
                    let availability = self.taken.availability.entry(log.partition.clone()).or_default();
                    availability.leaderless += event.at - since;
                }
                if let Some(open) = now.open.and_then(|open| self.taken.failovers.get_mut(open))
                    && open.new_epoch == *leader_epoch
                {
                    open.active = Some(event.at);
                }
            }
            Observation::Truncated { log, from, to, reason } if *reason != TruncationReason::Recovery => {
                let last = self
                    .taken
                    .failovers
                    .iter_mut()
                    .rev()
                    .find(|failover| failover.partition == log.partition);
                if let Some(failover) = last {
                    failover.truncated_records += (from - to).max(0) as u64;
                }
            }
            Observation::ControllerActive { epoch, active: true } => {
                if let Some(leader) = ghost.node_of(host) {
                    let election =
                        ControllerElection { at: event.at, epoch: *epoch, leader, event: event.event };
                    self.taken.controller_elections.push(election);
                }
            }
            _ => {}
        }
    }

    /// The fencing may be committed after the elections that it causes, in the same batch.
    fn fenced(&mut self, at: Instant, broker: NodeId) {
        self.fenced_at.insert(broker, at);
        let just_elected =
            self.taken.failovers.iter_mut().rev().take_while(|failover| failover.elected == at);
        for failover in just_elected.filter(|failover| failover.old_leader == Some(broker)) {
            failover.detected.get_or_insert(at);
        }
    }

    fn changed(
        &mut self,
        event: &TraceEvent,
        partition: &TopicPartition,
        state: &PartitionFact,
        change: &PartitionStep,
        ghost: &Ghost,
    ) {
        self.taken.availability.entry(partition.clone()).or_default();
        let now = self.now.entry(partition.clone()).or_default();
        let Some(before) = &change.before else { return };
        if before.isr != state.isr {
            let is_proposed = now.proposed == state.isr;
            let reason = match (is_proposed, change.election) {
                (_, Election::Unclean) => "unclean election",
                (true, _) if state.isr.len() > before.isr.len() => "caught up",
                (true, _) => "replica.lag.time.max.ms",
                (false, _) => "fenced",
            };
            let (from, to) = (before.isr.clone(), state.isr.clone());
            let (at, partition, event) = (event.at, partition.clone(), event.event);
            self.taken.isr_changes.push(IsrChange { at, partition, from, to, reason, event });
        }
        if state.leader.is_none() {
            now.leaderless.get_or_insert(event.at);
        }
        let Some(new_leader) = state.leader.filter(|leader| Some(*leader) != change.last_leader) else {
            return;
        };
        let old_host = change.last_leader.and_then(|leader| ghost.host_of(leader));
        let elections = self.taken.failovers.iter().rev().filter(|failover| failover.partition == *partition);
        let last_election = elections.map(|failover| failover.event).next().unwrap_or(0);
        let fault = old_host
            .and_then(|host| ghost.fault_at(host, event.event))
            .filter(|fault| fault.event > last_election);
        let since = fault.as_ref().map(|fault| fault.at);
        let detected = change.last_leader.and_then(|leader| self.fenced_at.get(&leader)).copied();
        now.open = Some(self.taken.failovers.len());
        self.taken.failovers.push(Failover {
            partition: partition.clone(),
            cause: fault.and_then(|fault| fault.fault),
            old_leader: change.last_leader,
            new_leader,
            old_epoch: before.leader_epoch,
            new_epoch: state.leader_epoch,
            is_unclean: change.election == Election::Unclean,
            fault: since,
            detected: detected.filter(|detected| since.is_some_and(|since| *detected >= since)),
            elected: event.at,
            active: None,
            first_ack: None,
            first_read: None,
            blocked_since: since.or(Some(event.at)),
            isr_before: before.isr.clone(),
            isr_after: state.isr.clone(),
            truncated_records: 0,
            event: event.event,
        });
    }

    fn client(&mut self, at: Instant, fact: &HistoryEvent) {
        let (partition, newest, is_ack) = match fact {
            HistoryEvent::Acked { partition, acks: Acks::All, base_offset: Some(base), values, .. } => {
                (partition, base + values.len() as Offset - 1, true)
            }
            HistoryEvent::Polled { partition, records } => match records.last() {
                Some((offset, _)) => (partition, *offset, false),
                None => return,
            },
            _ => return,
        };
        let Some(now) = self.now.get_mut(partition) else { return };
        let Some(failover) = now.open.and_then(|open| self.taken.failovers.get_mut(open)) else { return };
        // Late words about records of the old leader do not count.
        if failover.active.is_none() || newest < now.epoch_start {
            return;
        }
        if !is_ack {
            failover.first_read.get_or_insert(at);
        } else if failover.first_ack.is_none() {
            failover.first_ack = Some(at);
            if let Some(from) = failover.blocked_since {
                let why = if failover.fault.is_some() { "leader down" } else { "leader moved" };
                let availability = self.taken.availability.entry(partition.clone()).or_default();
                availability.unwritable += at - from;
                availability.windows.push(Window { from, to: at, why });
            }
        }
        if failover.first_ack.is_some() && failover.first_read.is_some() {
            now.open = None;
        }
    }

    fn stopped(&mut self, at: Instant, host: HostId, ghost: &Ghost) {
        let Some(node) = ghost.node_of(host) else { return };
        for (_, log) in ghost.logs() {
            if log.partition.as_ref().is_some_and(|partition| partition.leader == Some(node)) {
                self.now.entry(log.id.partition.clone()).or_default().leaderless.get_or_insert(at);
            }
        }
    }

    /// The run is over.
    pub fn finish(mut self, end: &EndOfRun, _ghost: &Ghost) -> Measurements {
        for (partition, now) in &self.now {
            if let Some(since) = now.leaderless {
                self.taken.availability.entry(partition.clone()).or_default().leaderless += end.at - since;
            }
        }
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use broker::time::Duration;

    use super::super::fixture::*;
    use super::*;
    use crate::trace::CrashMode;

    /// Broker 0 dies, is fenced, and broker 1 takes over: one event is one millisecond.
    fn failover() -> Paper {
        let mut paper = Paper::started(config());
        paper
            .write(0, &[1, 2], batch(0, 2, 0, 1))
            .commit(0, 0, 0, 2)
            .ack(0, values(1..3))
            .poll(0, values(1..3));
        paper.crash(0, CrashMode::Process);
        paper.meta(MetadataFact::BrokerFenced { broker: NodeId(0) }).elect(Some(1), 1, &[1, 2]).lead(1, 1, 2);
        paper
    }

    #[test]
    fn the_moments_of_a_failover_are_taken() {
        let mut paper = failover();
        let active = paper.at();
        paper.poll(1, values(2..3));
        paper.write(1, &[2], batch(2, 1, 1, 5)).ack(2, values(3..4)).poll(2, values(3..4));
        let end = paper.at();
        let taken = paper.finish().measurements;
        let [failover] = &taken.failovers[..] else { panic!("{:?}", taken.failovers) };
        assert_eq!((failover.cause.as_deref(), failover.old_leader), (Some("crash-0#1"), Some(NodeId(0))));
        assert_eq!((failover.new_leader, failover.old_epoch, failover.new_epoch), (NodeId(1), 0, 1));
        let before = |events: u64| Some(Instant(active.0 - events * 1_000));
        assert_eq!((failover.fault, failover.detected), (before(4), before(2)));
        assert_eq!((Some(failover.elected), failover.active), (before(1), Some(active)));
        assert_eq!(failover.first_ack, Some(Instant(end.0 - 1_000)));
        assert_eq!(failover.first_read, Some(end), "a late word about an old record does not count");
        let availability = &taken.availability[&partition()];
        assert_eq!(availability.leaderless, Duration::from_millis(3));
        assert_eq!(availability.unwritable, end - Instant(active.0 - 4_000) - Duration::from_millis(1));
    }

    #[test]
    fn isr_changes_have_a_reason() {
        let mut paper = Paper::started(config());
        let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
        let propose = |to: &[i32]| Observation::IsrProposed {
            log: log(),
            leader_epoch: 0,
            from: Vec::new(),
            to: nodes(to),
        };
        paper.node(0, propose(&[0, 1])).elect(Some(0), 0, &[0, 1]);
        paper.node(0, propose(&[0, 1, 2])).elect(Some(0), 0, &[0, 1, 2]);
        paper.elect(Some(1), 1, &[1, 2]);
        let reasons: Vec<_> =
            paper.finish().measurements.isr_changes.iter().map(|change| change.reason).collect();
        assert_eq!(reasons, ["replica.lag.time.max.ms", "caught up", "fenced"]);
    }

    #[test]
    fn a_partition_that_nobody_leads_is_leaderless_to_the_end() {
        let mut paper = Paper::started(config());
        paper.elect(None, 1, &[0]);
        let since = paper.at();
        paper.register(2);
        let end = paper.at();
        let taken = paper.finish().measurements;
        assert_eq!(taken.availability[&partition()].leaderless, end - since);
        assert!(taken.failovers.is_empty());
    }
}
