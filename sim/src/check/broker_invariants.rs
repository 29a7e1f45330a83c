//! broker-invariants: nobody's own assertions fail.

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::trace::{Fact, StopKind, TraceEvent, WorldFact};

/// No machine panics: neither by an `invariant!` of the broker, which states what its code relies on, nor by an error that
/// nobody thought of. Evaluated once per boot. Source: ours (DESIGN: a panic in a node is itself a violation).
#[derive(Debug, Default)]
pub struct BrokerInvariants {
    tally: Tally,
}

impl BrokerInvariants {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(BrokerInvariants::default())
    }
}

impl Check for BrokerInvariants {
    fn interest(&self) -> Interest {
        Interest::STARTED.and(Interest::STOPPED)
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        match &event.fact {
            Fact::World(WorldFact::Started { .. }) => {
                self.tally.evaluations += 1;
                self.tally.examined += 1;
            }
            Fact::World(WorldFact::Stopped { kind: StopKind::Panic { message } }) => {
                let name = event.host.map_or("a machine".to_owned(), |host| ghost.name(host));
                let message = message.lines().next().unwrap_or_default();
                let summary = format!("{name} panics: {message}");
                found.violation(Violation::seen_at(event, ghost, None, summary));
            }
            _ => {}
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

    #[test]
    fn a_crash_is_no_panic() {
        let mut paper = Paper::started(config());
        paper.crash(1, CrashMode::Process);
        assert_eq!(paper.outcome("broker-invariants"), CheckOutcome::Held);
    }

    #[test]
    fn a_panic_is_rejected_with_its_node_and_moment() {
        let mut paper = Paper::started(config());
        let message = "broker invariant broken: isr is empty (isr.rs:7:1)".to_owned();
        paper.world(1, WorldFact::Stopped { kind: StopKind::Panic { message } });
        let (at, result) = (paper.at(), paper.verdict("broker-invariants"));
        let violation = &result.violations[0];
        assert_eq!((result.count, violation.host, violation.at), (1, Some(HostId(1)), at));
        assert!(
            violation.summary.contains("node 1 panics: broker invariant broken"),
            "{}",
            violation.summary
        );
    }
}
