//! isr-stable: when nothing is wrong, nobody leaves the ISR again and again.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::NodeId;
use broker::time::{Duration, Instant};
use broker::trace::Election;

use super::config::{EndOfRun, JudgeConfig};
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, PartitionStep, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::trace::{Fact, TraceEvent, WorldFact};

/// While no fault is in effect, and the last one is over long enough for every replica to have caught up, no broker is put
/// out of the ISR of a partition twice. Source: ours (ISR flapping; liveness of REP-6, REP-7).
///
/// *Calm* begins [`IsrStable::SETTLES`] after the last fault struck, ended, or a machine started, plus
/// `replica.lag.time.max.ms`.
#[derive(Debug, Default)]
pub struct IsrStable {
    tally: Tally,
    settles: Duration,
    /// Faults that have struck and are not taken back.
    active: BTreeSet<(String, u32)>,
    last_trouble: Instant,
    /// How often each member left in calm.
    left: BTreeMap<(usize, NodeId), u32>,
    was_calm: bool,
}

impl IsrStable {
    /// How long after the last fault the cluster may still be busy with it: sessions, registrations, elections.
    const SETTLES: Duration = Duration::from_secs(20);
    /// How often a member may leave in calm: once may be bad luck with a slow link.
    const FREE: u32 = 1;
    /// Faults that are over as soon as they have struck, as far as the cluster is concerned: machines that they stop are
    /// seen for themselves.
    const INSTANT: &[&str] = &[
        "crash",
        "restart",
        "pause",
        "shutdown",
        "rolling_restart",
        "heal",
        "reset",
        "half_open",
        "elect",
        "move_leader",
        "reassign",
        "alter",
        "admin",
    ];

    /// The check, before anything happened.
    pub fn boxed(config: &JudgeConfig) -> Box<dyn Check> {
        let settles = Self::SETTLES + config.replica_lag_time;
        Box::new(IsrStable { settles, ..IsrStable::default() })
    }

    fn is_calm(&self, now: Instant, ghost: &Ghost) -> bool {
        let hosts = 0..ghost.config().hosts.len() as u32;
        let mut nodes = hosts.map(crate::plan::HostId).filter(|host| ghost.node_of(*host).is_some());
        self.active.is_empty()
            && now - self.last_trouble >= self.settles
            && nodes.all(|node| ghost.host(node).is_some_and(|host| host.is_up && !host.is_paused))
    }

    fn world(&mut self, event: &TraceEvent, fact: &WorldFact) {
        match fact {
            WorldFact::FaultFired { id, n, kind, .. } if !Self::INSTANT.contains(&kind.as_str()) => {
                self.active.insert((id.clone(), *n));
            }
            WorldFact::FaultHealed { id, n } => {
                self.active.remove(&(id.clone(), *n));
            }
            _ => {}
        }
        self.last_trouble = event.at;
    }

    /// Who of those that leave now has left in calm too often.
    fn leaves(&mut self, change: &PartitionStep, ghost: &Ghost) -> Option<String> {
        let log = ghost.log(change.log);
        let (before, now) = (change.before.as_ref()?, log.partition.as_ref()?);
        if change.election == Election::Unclean {
            return None;
        }
        let gone =
            before.isr.iter().filter(|member| !now.isr.contains(member) && now.replicas.contains(member));
        let mut often = None;
        for member in gone {
            self.tally.evaluations += 1;
            let times = self.left.entry((change.log, *member)).or_default();
            *times += 1;
            if *times == Self::FREE + 1 {
                often = Some(*member);
            }
        }
        let member = often?;
        let times = Self::FREE + 1;
        Some(format!(
            "broker {member} leaves the isr of {} for the {times}nd time while nothing is wrong",
            log.id
        ))
    }
}

impl Check for IsrStable {
    fn interest(&self) -> Interest {
        Interest::METADATA
            .and(Interest::FAULT)
            .and(Interest::STARTED)
            .and(Interest::STOPPED)
            .and(Interest::PAUSED)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        if let Fact::World(fact) = &event.fact {
            return self.world(event, fact);
        }
        let Some(change) = &step.partition else { return };
        self.tally.examined += 1;
        if !self.is_calm(event.at, ghost) {
            return;
        }
        self.was_calm = true;
        if let Some(summary) = self.leaves(change, ghost) {
            found.violation(Violation::seen_at(event, ghost, Some(change.log), summary));
        }
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, _found: &mut Findings) {
        // Calm in which nobody left is what the property asks for.
        if self.was_calm || self.is_calm(end.at, ghost) {
            self.tally.evaluations += ghost.logs().filter(|(_, log)| log.partition.is_some()).count() as u64;
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;
    use crate::plan::HostId;
    use crate::trace::CrashMode;

    const NAME: &str = "isr-stable";

    fn flap(paper: &mut Paper, times: usize) {
        for _ in 0..times {
            paper.wait(1_000).elect(Some(0), 0, &[0, 1]).wait(1_000).elect(Some(0), 0, &[0, 1, 2]);
        }
    }

    #[test]
    fn a_member_that_leaves_once_is_accepted() {
        let mut paper = Paper::started(config());
        flap(paper.wait(60_000), 1);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn a_member_that_leaves_again_and_again_is_rejected_once() {
        let mut paper = Paper::started(config());
        flap(paper.wait(60_000), 5);
        assert_eq!(paper.verdict(NAME).count, 1);
    }

    #[test]
    fn under_faults_and_soon_after_them_nothing_is_said() {
        let mut paper = Paper::started(config());
        flap(&mut paper, 5);
        let fired = WorldFact::FaultFired {
            id: "slow".to_owned(),
            n: 1,
            kind: "link".to_owned(),
            what: String::new(),
            targets: vec![HostId(2)],
        };
        paper.fact(None, Fact::World(fired));
        flap(paper.wait(60_000), 5);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Vacuous);
    }

    #[test]
    fn a_machine_that_is_down_is_trouble() {
        let mut paper = Paper::started(config());
        paper.wait(60_000).crash(2, CrashMode::Process);
        flap(paper.wait(60_000), 5);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Vacuous);
    }
}
