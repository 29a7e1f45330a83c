//! high-watermark-visible (HWMONO): no client sees a partition end before what it has read.

use std::collections::BTreeMap;

use broker::ids::{Offset, TopicPartition};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use super::topics::TopicGone;
use crate::history::{HistoryEvent, PositionReason};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// Whoever has read up to an offset, or was told that a partition ends there, is never told later that it ends before: not
/// by ListOffsets, nor by a truncation below what was read. Source: KIP-207, museum `HWMONO`, P-7.
///
/// High watermarks in the answers to fetches are not judged: a new leader may tell an older one there (Kafka protects
/// ListOffsets alone). What was lost with permission may be missing.
#[derive(Debug, Default)]
pub struct HighWatermarkVisible {
    tally: Tally,
    /// The furthest end that each client knows of.
    seen: BTreeMap<(HostId, TopicPartition), Offset>,
}

impl HighWatermarkVisible {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(HighWatermarkVisible::default())
    }

    fn raise(&mut self, host: HostId, partition: &TopicPartition, end: Offset) {
        // Nearly every time it is there already: no name has to be copied.
        match self.seen.get_mut(&(host, partition.clone())) {
            Some(seen) => *seen = end.max(*seen),
            None => drop(self.seen.insert((host, partition.clone()), end)),
        }
    }
}

impl Check for HighWatermarkVisible {
    fn interest(&self) -> Interest {
        Interest::POLLED.and(Interest::POSITIONED)
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Fact::Client(fact), Some(host)) = (&event.fact, event.host) else { return };
        let (partition, end) = match fact {
            HistoryEvent::Polled { partition, records } => {
                if let Some((last, _)) = records.last() {
                    self.raise(host, partition, last + 1);
                }
                return;
            }
            HistoryEvent::EndOffset { partition, offset } => (partition, *offset),
            HistoryEvent::Positioned { partition, offset, reason: PositionReason::TruncationDetected } => {
                (partition, *offset)
            }
            _ => return,
        };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        let seen = self.seen.get(&(host, partition.clone())).copied().unwrap_or(0);
        self.raise(host, partition, end);
        let log = ghost.log_of(partition);
        if end >= seen || log.is_some_and(|log| ghost.log(log).is_excused(end)) {
            return;
        }
        let name = ghost.name(host);
        let summary =
            format!("{name} is told that {partition} ends at {end}, after it saw offset {}", seen - 1);
        found.violation(Violation::seen_at(event, ghost, log, summary).with_offsets(end, seen));
    }

    fn topic_gone(&mut self, gone: &TopicGone, _event: &TraceEvent, _ghost: &Ghost, _found: &mut Findings) {
        self.seen.retain(|(_, partition), _| !gone.had(partition));
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

    const NAME: &str = "high-watermark-visible";

    fn told(offset: Offset) -> HistoryEvent {
        HistoryEvent::EndOffset { partition: partition(), offset }
    }

    #[test]
    fn ends_that_only_grow_are_accepted() {
        let mut paper = Paper::new();
        paper
            .client(CONSUMER, told(2))
            .poll(0, values(1..4))
            .client(CONSUMER, told(3))
            .client(PRODUCER, told(1));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held, "each client for itself");
    }

    #[test]
    fn r17_an_end_below_what_was_read_or_told_is_rejected() {
        let mut paper = Paper::new();
        paper.poll(0, values(1..4)).client(CONSUMER, told(2));
        assert_eq!(paper.verdict(NAME).violations[0].offsets, Some((2, 2)));
        let mut paper = Paper::new();
        paper.client(CONSUMER, told(5)).client(CONSUMER, told(4));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn a_truncation_below_what_was_read_is_rejected() {
        let mut paper = Paper::new();
        let reason = PositionReason::TruncationDetected;
        paper.poll(0, values(1..4));
        paper.client(CONSUMER, HistoryEvent::Positioned { partition: partition(), offset: 1, reason });
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
