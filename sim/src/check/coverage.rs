//! How much a run went through: the goals of `[expect] reach`.

use std::collections::BTreeSet;

use broker::ids::LeaderEpoch;
use broker::trace::{Election, Observation, TruncationReason};

use super::ghost::{Ghost, Step};
use crate::history::HistoryEvent;
use crate::trace::{CrashMode, Fact, StopKind, TraceEvent, WorldFact};

/// What a node says that ends because it was told to (`broker::node`).
const SHUTDOWN: &str = "controlled shutdown";

/// Counters of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Committed changes from one leader to another.
    pub leader_changes: u64,
    /// Of those, to a leader from outside of the ISR.
    pub unclean_elections: u64,
    /// Committed ISRs that lost a member (unclean elections left out: they replace it).
    pub isr_shrinks: u64,
    /// Committed ISRs that gained a member (unclean elections left out).
    pub isr_expands: u64,
    /// Records acknowledged to producers (any `acks` but 0).
    pub acked_records: u64,
    /// Records delivered to consumers.
    pub consumed_records: u64,
    /// Machines stopped by a fault, power losses included.
    pub crashes: u64,
    /// Of those, with loss of power.
    pub power_losses: u64,
    /// Network partitions that struck.
    pub partitions: u64,
    /// Machines paused.
    pub pauses: u64,
    /// Epochs of the metadata quorum in which a controller became active.
    pub controller_elections: u64,
    /// Logs of partitions cut (recovery after a crash left out).
    pub truncations: u64,
    /// Records cut by those.
    pub truncated_records: u64,
    /// Messages that a fault held back.
    pub held_messages: u64,
    /// Messages that a fault kept from arriving at all.
    pub dropped_messages: u64,
    /// Disks replaced.
    pub wipes: u64,
    /// Nodes that ended by a controlled shutdown, alone or one after another.
    pub shutdowns: u64,
    controller_epochs: BTreeSet<LeaderEpoch>,
}

impl Coverage {
    /// The counter of a goal; `None`: no such goal.
    pub fn get(&self, goal: &str) -> Option<u64> {
        self.all().into_iter().find(|(name, _)| *name == goal).map(|(_, count)| count)
    }

    /// Every counter with its name.
    pub fn all(&self) -> [(&'static str, u64); 17] {
        [
            ("leader_changes", self.leader_changes),
            ("unclean_elections", self.unclean_elections),
            ("isr_shrinks", self.isr_shrinks),
            ("isr_expands", self.isr_expands),
            ("acked_records", self.acked_records),
            ("consumed_records", self.consumed_records),
            ("crashes", self.crashes),
            ("power_losses", self.power_losses),
            ("partitions", self.partitions),
            ("pauses", self.pauses),
            ("controller_elections", self.controller_elections),
            ("truncations", self.truncations),
            ("truncated_records", self.truncated_records),
            ("held_messages", self.held_messages),
            ("dropped_messages", self.dropped_messages),
            ("wipes", self.wipes),
            ("shutdowns", self.shutdowns),
        ]
    }

    pub(super) fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost) {
        match &event.fact {
            Fact::Node(Observation::ControllerActive { epoch, active: true }) => {
                self.controller_elections += u64::from(self.controller_epochs.insert(*epoch));
            }
            Fact::Node(Observation::Truncated { log, from, to, reason })
                if !log.is_metadata() && *reason != TruncationReason::Recovery && from > to =>
            {
                self.truncations += 1;
                self.truncated_records += (from - to) as u64;
            }
            Fact::Client(HistoryEvent::Acked { values, base_offset: Some(_), .. }) => {
                self.acked_records += values.len() as u64;
            }
            Fact::Client(HistoryEvent::Polled { records, .. }) => {
                self.consumed_records += records.len() as u64;
            }
            Fact::World(WorldFact::Stopped { kind: StopKind::Crash(mode) }) => {
                self.crashes += 1;
                self.power_losses += u64::from(*mode == CrashMode::Power);
                self.wipes += u64::from(*mode == CrashMode::Wipe);
            }
            Fact::World(WorldFact::Paused) => self.pauses += 1,
            Fact::World(WorldFact::MessageHeld { .. }) => self.held_messages += 1,
            Fact::World(WorldFact::MessageDropped { .. }) => self.dropped_messages += 1,
            Fact::World(WorldFact::Stopped { kind: StopKind::Halt { reason } }) if reason == SHUTDOWN => {
                self.shutdowns += 1;
            }
            Fact::World(WorldFact::FaultFired { kind, .. }) if kind == "partition" => self.partitions += 1,
            _ => {}
        }
        self.partition(step, ghost);
    }

    fn partition(&mut self, step: &Step, ghost: &Ghost) {
        let Some(change) = &step.partition else { return };
        let Some(now) = ghost.log(change.log).partition.as_ref() else { return };
        let Some(before) = &change.before else { return };
        if now.leader.is_some() && now.leader != change.last_leader {
            self.leader_changes += 1;
            self.unclean_elections += u64::from(change.election == Election::Unclean);
        }
        let lost = before.isr.iter().any(|member| !now.isr.contains(member));
        let gained = now.isr.iter().any(|member| !before.isr.contains(member));
        if change.election != Election::Unclean {
            self.isr_shrinks += u64::from(lost);
            self.isr_expands += u64::from(gained);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::*;
    use crate::plan::HostId;

    #[test]
    fn every_goal_of_the_language_is_counted() {
        let coverage = Coverage::default();
        for goal in scenarios::names::REACH {
            assert_eq!(coverage.get(goal), Some(0), "{goal}");
        }
        assert_eq!(coverage.get("miracles"), None);
    }

    #[test]
    fn what_happens_is_counted() {
        let mut paper = Paper::started(config());
        paper
            .write(0, &[1, 2], batch(0, 2, 0, 1))
            .commit(0, 0, 0, 2)
            .ack(0, values(1..3))
            .poll(0, values(1..3));
        paper.elect(Some(0), 0, &[0]).elect(Some(1), 1, &[1]).elect(Some(1), 1, &[1, 2]);
        paper
            .cut(0, 2, 0)
            .crash(0, CrashMode::Power)
            .crash(2, CrashMode::Process)
            .world(1, WorldFact::Paused);
        let fired = WorldFact::FaultFired {
            id: "f".to_owned(),
            n: 1,
            kind: "partition".to_owned(),
            what: String::new(),
            targets: vec![HostId(0)],
        };
        paper.fact(None, Fact::World(fired));
        let (fault, message) = ("f".to_owned(), "Fetch response".to_owned());
        let (from, to) = (HostId(0), HostId(1));
        paper.world(1, WorldFact::MessageHeld { fault: fault.clone(), message: message.clone(), from, to });
        paper.world(1, WorldFact::MessageDropped { fault, message, from, to });
        for reason in [SHUTDOWN, "disk failure"] {
            paper.world(0, WorldFact::Stopped { kind: StopKind::Halt { reason: reason.to_owned() } });
        }
        let coverage = paper.finish().coverage;
        let got: Vec<u64> = coverage.all().into_iter().map(|(_, count)| count).collect();
        assert_eq!(got, [1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 2, 1, 1, 0, 1], "{:?}", coverage.all());
    }
}
