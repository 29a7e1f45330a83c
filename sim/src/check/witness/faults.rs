//! Which faults were in effect at a moment, and whom they touched.

use std::collections::BTreeSet;

use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent, WorldFact};

/// Verbs whose effect lasts until it is taken back. The others act once.
const LASTING: [&str; 6] = ["partition", "link", "pause", "crash", "disk", "clock"];

/// Verbs that only give back what was taken.
const RETURNS: [&str; 2] = ["heal", "restart"];

/// One firing of a fault.
#[derive(Debug, Clone)]
pub(super) struct Strike<'a> {
    pub id: &'a str,
    pub n: u32,
    pub kind: &'a str,
    pub targets: &'a [HostId],
    pub at: usize,
    /// Where in the trace it ended.
    pub end: Option<usize>,
}

impl Strike<'_> {
    /// Did it still act at this place of the trace?
    pub fn is_in_effect(&self, place: usize) -> bool {
        LASTING.contains(&self.kind) && self.at < place && self.end.is_none_or(|end| end > place)
    }

    /// Does it concern any of these machines, or everybody?
    pub fn touches(&self, hosts: &BTreeSet<HostId>) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|target| hosts.contains(target))
    }

    /// Does it only give back what was taken?
    pub fn is_return(&self) -> bool {
        RETURNS.contains(&self.kind)
    }

    /// Is its end an event worth telling? That a crashed machine starts again tells itself.
    pub fn has_telling_end(&self) -> bool {
        LASTING.contains(&self.kind) && self.kind != "crash"
    }
}

/// Every firing in the trace, in order.
pub(super) fn strikes(trace: &[TraceEvent]) -> Vec<Strike<'_>> {
    let mut strikes: Vec<Strike<'_>> = Vec::new();
    for (at, event) in trace.iter().enumerate() {
        match &event.fact {
            Fact::World(WorldFact::FaultFired { id, n, kind, targets, .. }) => {
                strikes.push(Strike { id, n: *n, kind, targets, at, end: None });
            }
            Fact::World(WorldFact::FaultHealed { id, n }) => {
                let ended = strikes.iter_mut().rev().find(|strike| strike.id == id && strike.n == *n);
                if let Some(strike) = ended {
                    strike.end.get_or_insert(at);
                }
            }
            Fact::World(WorldFact::Started { .. }) => {
                let Some(host) = event.host else { continue };
                let crashes = strikes.iter_mut().filter(|strike| strike.kind == "crash");
                for strike in crashes.filter(|strike| strike.targets.contains(&host)) {
                    strike.end.get_or_insert(at);
                }
            }
            _ => {}
        }
    }
    strikes
}

#[cfg(test)]
mod tests {
    use broker::time::Instant;

    use super::*;

    fn trace(facts: Vec<(Option<u32>, WorldFact)>) -> Vec<TraceEvent> {
        let event = |(number, (host, fact)): (usize, (Option<u32>, WorldFact))| TraceEvent {
            event: number as u64 + 1,
            at: Instant(number as u64 * 1_000),
            host: host.map(HostId),
            fact: Fact::World(fact),
        };
        facts.into_iter().enumerate().map(event).collect()
    }

    fn fired(id: &str, kind: &str, target: u32) -> WorldFact {
        let (id, kind, what) = (id.to_owned(), kind.to_owned(), String::new());
        WorldFact::FaultFired { id, n: 1, kind, what, targets: vec![HostId(target)] }
    }

    fn phase() -> WorldFact {
        WorldFact::PhaseStarted { name: "run".to_owned() }
    }

    #[test]
    fn a_fault_is_in_effect_until_it_is_taken_back() {
        let healed = WorldFact::FaultHealed { id: "cut".to_owned(), n: 1 };
        let trace = trace(vec![(None, fired("cut", "partition", 0)), (None, phase()), (None, healed)]);
        let strikes = strikes(&trace);
        assert!(strikes[0].is_in_effect(1) && !strikes[0].is_in_effect(2));
    }

    #[test]
    fn a_crash_is_in_effect_until_the_machine_is_back() {
        let back = WorldFact::Started { incarnation: 1 };
        let trace = trace(vec![
            (Some(0), fired("kill", "crash", 0)),
            (Some(1), back.clone()),
            (Some(0), back),
            (None, fired("again", "restart", 0)),
        ]);
        let strikes = strikes(&trace);
        assert!(strikes[0].is_in_effect(1) && !strikes[0].is_in_effect(2), "only its own machine ends it");
        assert!(!strikes[1].is_in_effect(4), "it acts once");
    }

    #[test]
    fn a_fault_concerns_its_targets_or_everybody() {
        let strike = |targets| Strike { id: "a", n: 1, kind: "pause", targets, at: 0, end: None };
        let replicas = BTreeSet::from([HostId(1)]);
        assert!(strike(&[HostId(1)]).touches(&replicas) && strike(&[]).touches(&replicas));
        assert!(!strike(&[HostId(2)]).touches(&replicas));
    }
}
