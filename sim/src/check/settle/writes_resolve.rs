//! writes-resolve (L-P4): every record sent is acknowledged or given up.

use std::collections::BTreeMap;

use broker::time::Instant;

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::{Looked, judge};
use crate::history::HistoryEvent;
use crate::plan::HostId;
use crate::trace::{Fact, StopKind, TraceEvent, WorldFact};

/// What one producer waits for.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    records: i64,
    /// When it heard of anything last.
    since: Instant,
}

/// At the end no producer that runs waits for what became of a record. Source: L-P4, `delivery.timeout.ms`.
#[derive(Debug, Default)]
pub struct WritesResolve {
    tally: Tally,
    waiting: BTreeMap<HostId, Waiting>,
}

impl WritesResolve {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(WritesResolve::default())
    }
}

impl Check for WritesResolve {
    fn interest(&self) -> Interest {
        Interest::SENT.and(Interest::ACKED).and(Interest::FAILED).and(Interest::STOPPED)
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, _ghost: &Ghost, _found: &mut Findings) {
        let Some(host) = event.host else { return };
        let resolved = match &event.fact {
            Fact::Client(HistoryEvent::Sent { .. }) => -1,
            Fact::Client(HistoryEvent::Acked { values, .. } | HistoryEvent::Failed { values, .. }) => {
                values.len() as i64
            }
            Fact::World(WorldFact::Stopped { kind }) if *kind != StopKind::End => {
                self.waiting.remove(&host);
                return;
            }
            _ => return,
        };
        let waiting = self.waiting.entry(host).or_insert(Waiting { records: 0, since: event.at });
        waiting.records -= resolved;
        waiting.since = event.at;
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let looked: Vec<Looked> = self
            .waiting
            .iter()
            .map(|(host, Waiting { records, since })| {
                let what = format!("{} still waits for what became of {records} records", ghost.name(*host));
                Looked { log: None, wrong: (*records > 0).then_some((*since, what)) }
            })
            .collect();
        judge(looked, end, ghost, &mut self.tally, found);
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::findings::CheckOutcome;
    use super::super::super::fixture::*;
    use super::*;

    fn outcome(acked: u64) -> CheckOutcome {
        let mut paper = Paper::started(config());
        for value in values(1..4) {
            paper.client(PRODUCER, HistoryEvent::Sent { partition: partition(), value });
        }
        paper.ack(0, values(1..acked + 1));
        paper.verdict_after(60_000, "writes-resolve").result
    }

    #[test]
    fn records_of_which_something_is_known_are_accepted() {
        assert_eq!(outcome(3), CheckOutcome::Held);
    }

    #[test]
    fn l_p4_a_record_of_which_nothing_is_heard_is_rejected() {
        assert_eq!(outcome(2), CheckOutcome::Violated);
    }
}
