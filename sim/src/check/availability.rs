//! availability: no partition is out of service for longer than the scenario allows.

use broker::time::{Duration, Instant};

use super::config::{EndOfRun, JudgeConfig};
use super::findings::{EvidenceStep, Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use super::replica::LogGhost;
use crate::trace::{Fact, StopKind, TraceEvent, WorldFact};

/// The name that scenarios use.
pub const NAME: &str = "availability";

/// Two ways of being out of service, each with the bound that a scenario may set. Source: ours; the definitions are those
/// of the report's availability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outage {
    /// No broker leads that runs and is registered.
    Leaderless,
    /// Nobody leads, or the ISR is smaller than `min.insync.replicas`: `acks=all` is refused.
    Unavailable,
}

impl Outage {
    const ALL: [Outage; 2] = [Outage::Leaderless, Outage::Unavailable];

    fn bound(self) -> &'static str {
        match self {
            Outage::Leaderless => "max_leaderless",
            Outage::Unavailable => "max_unavailable",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Outage::Leaderless => "has no leader",
            Outage::Unavailable => "takes no writes with acks=all",
        }
    }

    fn holds(self, log: &LogGhost, ghost: &Ghost) -> bool {
        let Some(state) = &log.partition else { return false };
        let runs = |node: &broker::ids::NodeId| {
            let host = ghost.host_of(*node).and_then(|host| ghost.host(host));
            ghost.is_serving(*node) && host.is_some_and(|host| !host.is_paused)
        };
        let is_leaderless = !state.leader.as_ref().is_some_and(runs);
        let min_isr = usize::try_from(state.min_isr).unwrap_or(0).min(state.replicas.len());
        is_leaderless || (self == Outage::Unavailable && state.isr.len() < min_isr)
    }
}

/// No partition has no leader for longer than `max_leaderless`, nor takes no writes with `acks=all` for longer than
/// `max_unavailable`. What is not bounded is not judged.
#[derive(Debug, Default)]
pub struct Availability {
    tally: Tally,
    bounds: [Option<Duration>; 2],
    /// By log: since when, and the event.
    since: Vec<[Option<(Instant, u64)>; 2]>,
}

impl Availability {
    /// The check, before anything happened.
    pub fn boxed(config: &JudgeConfig) -> Box<dyn Check> {
        let bounds = Outage::ALL.map(|outage| config.bound(NAME, outage.bound()).map(Duration::from_micros));
        Box::new(Availability { bounds, ..Availability::default() })
    }

    /// Does the scenario bound anything?
    pub fn is_bounded(config: &JudgeConfig) -> bool {
        Outage::ALL.iter().any(|outage| config.bound(NAME, outage.bound()).is_some())
    }

    fn look(&mut self, log: usize, event: &TraceEvent, ghost: &Ghost, found: &mut Findings) {
        if self.since.len() <= log {
            self.since.resize(log + 1, [None; 2]);
        }
        self.tally.evaluations += 1;
        for (index, outage) in Outage::ALL.into_iter().enumerate() {
            let is_out = outage.holds(ghost.log(log), ghost);
            match (is_out, self.since[log][index]) {
                (true, None) => self.since[log][index] = Some((event.at, event.event)),
                (false, Some(_)) => {
                    if let Some((since, summary)) = self.over(log, index, event.at, ghost) {
                        found.violation(begun(Violation::seen_at(event, ghost, Some(log), summary), since));
                    }
                    self.since[log][index] = None;
                }
                _ => {}
            }
        }
    }

    /// What is wrong about the outage that ends now.
    fn over(
        &self,
        log: usize,
        index: usize,
        now: Instant,
        ghost: &Ghost,
    ) -> Option<((Instant, u64), String)> {
        let since = self.since.get(log)?[index]?;
        let (lasted, bound) = (now - since.0, self.bounds[index]?);
        (lasted > bound).then(|| {
            let (partition, words) = (&ghost.log(log).id.partition, Outage::ALL[index].words());
            let (ms, allowed) = (lasted.as_millis(), bound.as_millis());
            (since, format!("{partition} {words} for {ms} ms ({allowed} ms are allowed)"))
        })
    }
}

fn begun(mut violation: Violation, (at, event): (Instant, u64)) -> Violation {
    violation.steps.push(EvidenceStep::new(event, at, None, "from here on it is out of service".to_owned()));
    violation.steps.sort_by_key(|step| step.event);
    violation
}

impl Check for Availability {
    fn interest(&self) -> Interest {
        Interest::METADATA.and(Interest::STARTED).and(Interest::STOPPED).and(Interest::PAUSED)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        match (&event.fact, &step.partition) {
            // The end of the run stops everybody: that is judged with the rest of the end.
            (Fact::World(WorldFact::Stopped { kind: StopKind::End }), _) => {}
            (_, Some(change)) => self.look(change.log, event, ghost, found),
            (Fact::Node(_), None) if !step.is_first => {}
            _ => {
                let logs: Vec<usize> = ghost.logs().map(|(index, _)| index).collect();
                logs.into_iter().for_each(|log| self.look(log, event, ghost, found));
            }
        }
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let logs: Vec<usize> = ghost.logs().map(|(index, _)| index).collect();
        for (log, index) in logs.into_iter().flat_map(|log| [(log, 0), (log, 1)]) {
            if let Some((since, summary)) = self.over(log, index, end.at, ghost) {
                found.violation(begun(Violation::seen_at_end(end, ghost, Some(log), summary), since));
            }
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;
    use crate::trace::CrashMode;

    fn bounded(bound: &str, ms: u64) -> JudgeConfig {
        let bounds = BTreeMap::from([(bound.to_owned(), ms * 1_000)]);
        JudgeConfig { bounds: BTreeMap::from([(NAME.to_owned(), bounds)]), ..config() }
    }

    /// The leader dies; after so many milliseconds another one leads.
    fn failover(config: JudgeConfig, ms: u64) -> Paper {
        let mut paper = Paper::started(config);
        paper.crash(0, CrashMode::Process).wait(ms).elect(Some(1), 1, &[1, 2]);
        paper
    }

    #[test]
    fn a_short_time_without_a_leader_is_accepted_and_a_long_one_rejected() {
        for (ms, expected) in [(8_000, CheckOutcome::Held), (11_000, CheckOutcome::Violated)] {
            let outcome = failover(bounded("max_leaderless", 10_000), ms).outcome(NAME);
            assert_eq!(outcome, expected, "{ms} ms");
        }
    }

    #[test]
    fn a_time_without_a_leader_that_never_ends_is_rejected() {
        let mut paper = Paper::started(bounded("max_leaderless", 10_000));
        paper.crash(0, CrashMode::Process).wait(11_000);
        let result = paper.verdict(NAME);
        assert_eq!(result.count, 1);
        assert!(
            result.violations[0].summary.starts_with("orders/0 has no leader for"),
            "{:?}",
            result.violations
        );
    }

    #[test]
    fn an_isr_that_is_too_small_takes_no_writes() {
        for (isr, expected) in [(&[0, 1][..], CheckOutcome::Held), (&[0][..], CheckOutcome::Violated)] {
            let mut paper = Paper::started(bounded("max_unavailable", 5_000));
            paper.elect(Some(0), 0, isr).wait(6_000).elect(Some(0), 0, &[0, 1, 2]);
            assert_eq!(paper.outcome(NAME), expected, "{isr:?}");
        }
    }

    #[test]
    fn what_is_not_bounded_is_not_judged() {
        assert_eq!(failover(config(), 60_000).outcome(NAME), CheckOutcome::NotApplicable);
        assert_eq!(failover(bounded("max_unavailable", 90_000), 60_000).outcome(NAME), CheckOutcome::Held);
    }
}
