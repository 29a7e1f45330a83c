//! single-active-controller (KAFKA-15489): two controllers are not active at the same time for long.

use broker::time::{Duration, Instant};
use broker::trace::Observation;

use super::config::{EndOfRun, JudgeConfig};
use super::findings::{EvidenceStep, Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, StopKind, TraceEvent, WorldFact};

/// A leader of the metadata quorum that is cut off gives up 1.5 fetch time-outs after a majority fetched last; a new one
/// cannot be elected earlier than one fetch time-out after that. So two running nodes may both be the active controller for
/// a moment, but not for longer than [`SingleActive::FETCH_TIMEOUTS`] fetch time-outs. Source: K05, KAFKA-15489, Q-1.
///
/// A machine that is paused does not count: it answers nobody.
#[derive(Debug, Default)]
pub struct SingleActive {
    tally: Tally,
    bound: Duration,
    /// By host: does it say that it is active?
    active: Vec<bool>,
    /// Since when two are.
    since: Option<(Instant, [HostId; 2])>,
}

impl SingleActive {
    /// How many fetch time-outs two controllers may both be active.
    const FETCH_TIMEOUTS: u32 = 3;

    /// The check, before anything happened.
    pub fn boxed(config: &JudgeConfig) -> Box<dyn Check> {
        let active = vec![false; config.hosts.len()];
        let bound = config.quorum_fetch_timeout * Self::FETCH_TIMEOUTS;
        Box::new(SingleActive { bound, active, ..SingleActive::default() })
    }

    /// Who is active and runs, if there are two.
    fn two(&self, ghost: &Ghost) -> Option<[HostId; 2]> {
        let runs = |host: &HostId| ghost.host(*host).is_some_and(|host| host.is_up && !host.is_paused);
        let said = self.active.iter().enumerate().filter(|(_, active)| **active);
        let mut both = said.map(|(index, _)| HostId(index as u32)).filter(runs);
        Some([both.next()?, both.next()?])
    }

    /// What is wrong about the time that ends now.
    fn over(&self, now: Instant, ghost: &Ghost) -> Option<(Instant, String)> {
        let (since, [one, other]) = self.since?;
        let lasted = now - since;
        (lasted > self.bound).then(|| {
            let (one, other) = (ghost.name(one), ghost.name(other));
            let (ms, bound) = (lasted.as_millis(), self.bound.as_millis());
            let what = format!(
                "{one} and {other} are both the active controller for {ms} ms ({bound} ms are allowed)"
            );
            (since, what)
        })
    }

    fn look(&mut self, event: &TraceEvent, ghost: &Ghost, found: &mut Findings) {
        match (self.two(ghost), self.since) {
            (Some(_), Some(_)) | (None, None) => {}
            (Some(both), None) => self.since = Some((event.at, both)),
            (None, Some(_)) => {
                if let Some((since, summary)) = self.over(event.at, ghost) {
                    found.violation(begun(Violation::seen_at(event, ghost, None, summary), since));
                }
                self.since = None;
            }
        }
    }
}

fn begun(mut violation: Violation, since: Instant) -> Violation {
    let what = "from here on two controllers are active".to_owned();
    violation.steps.push(EvidenceStep::new(violation.event, since, None, what));
    violation.steps.sort_by_key(|step| step.at);
    violation
}

impl Check for SingleActive {
    fn interest(&self) -> Interest {
        Interest::CONTROLLER.and(Interest::STARTED).and(Interest::STOPPED).and(Interest::PAUSED)
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Some(host) = event.host else { return };
        let Some(active) = self.active.get_mut(host.0 as usize) else { return };
        match &event.fact {
            Fact::Node(Observation::ControllerActive { active: says, .. }) => {
                *active = *says;
                self.tally.evaluations += u64::from(*says);
                self.tally.examined += 1;
            }
            // The end of the run stops everybody: that is judged with the rest of the end.
            Fact::World(WorldFact::Stopped { kind: StopKind::End }) => return,
            Fact::World(WorldFact::Stopped { .. } | WorldFact::Started { .. }) => *active = false,
            _ => {}
        }
        self.look(event, ghost, found);
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        if let Some((since, summary)) = self.over(end.at, ghost) {
            found.violation(begun(Violation::seen_at_end(end, ghost, None, summary), since));
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

    const NAME: &str = "single-active-controller";

    fn active(epoch: i32, active: bool) -> Observation {
        Observation::ControllerActive { epoch, active }
    }

    /// Node 0 is active, then node 1 too; node 0 gives up after so many milliseconds.
    fn overlap(ms: u64) -> Paper {
        let mut paper = Paper::with(quorum());
        (0..3).for_each(|host| {
            paper.world(host, WorldFact::Started { incarnation: 0 });
        });
        paper.node(0, active(1, true)).node(1, active(2, true)).wait(ms);
        paper
    }

    #[test]
    fn k05_a_short_overlap_is_accepted_and_a_long_one_rejected() {
        for (ms, expected) in [(5_000, CheckOutcome::Held), (7_000, CheckOutcome::Violated)] {
            let mut paper = overlap(ms);
            paper.node(0, active(1, false));
            assert_eq!(paper.outcome(NAME), expected, "{ms} ms");
        }
    }

    #[test]
    fn k05_an_overlap_to_the_end_is_rejected() {
        let result = overlap(7_000).verdict(NAME);
        assert_eq!(result.count, 1);
        assert!(result.violations[0].summary.contains("node 0 and node 1"), "{:?}", result.violations);
    }

    #[test]
    fn a_paused_or_dead_one_does_not_count() {
        for fact in [WorldFact::Paused, WorldFact::Stopped { kind: StopKind::Halt { reason: String::new() } }]
        {
            let mut paper = overlap(1_000);
            paper.world(0, fact).wait(60_000).node(1, active(2, false));
            assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
        }
    }
}
