//! reads-monotonic (H-3): a consumer reads on, and skips nothing.

use std::collections::BTreeMap;

use broker::ids::{Offset, TopicPartition};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::topics::TopicGone;
use crate::history::HistoryEvent;
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent, WorldFact};

/// Between two changes of position, offsets delivered to a consumer rise strictly, and every gap holds no committed record.
/// Source: H-3, Jepsen's `nonmonotonic-poll` and `poll-skip`.
#[derive(Debug, Default)]
pub struct ReadsMonotonic {
    tally: Tally,
    /// The next offset to be read.
    positions: BTreeMap<(HostId, TopicPartition), Offset>,
}

impl ReadsMonotonic {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(ReadsMonotonic::default())
    }

    fn wrong(partition: &TopicPartition, next: Offset, offset: Offset, ghost: &Ghost) -> Option<String> {
        if offset == next {
            return None; // nearly every record: no log has to be searched
        }
        if offset < next {
            return Some(format!(
                "offset {offset} of {partition} is delivered where {next} or higher is due"
            ));
        }
        let log = ghost.log(ghost.log_of(partition)?);
        let end = offset.min(log.committed.end());
        let skipped = log.committed.first_data(next, end).filter(|_| next < end)?;
        (!log.is_excused(skipped))
            .then(|| format!("offset {skipped} of {partition} is skipped: {offset} comes next"))
    }
}

impl Check for ReadsMonotonic {
    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Some(host) = event.host else { return };
        match &event.fact {
            Fact::Client(HistoryEvent::Polled { partition, records }) => {
                let mut next = self.positions.get(&(host, partition.clone())).copied();
                for (offset, _) in records {
                    self.tally.examined += 1;
                    if let Some(next) = next {
                        self.tally.evaluations += 1;
                        if let Some(summary) = Self::wrong(partition, next, *offset, ghost) {
                            let log = ghost.log_of(partition);
                            let violation = Violation::seen_at(event, ghost, log, summary);
                            found.violation(violation.with_offsets(next.min(*offset), *offset + 1));
                        }
                    }
                    next = Some(offset + 1);
                }
                if let Some(next) = next {
                    self.positions.insert((host, partition.clone()), next);
                }
            }
            Fact::Client(HistoryEvent::Positioned { partition, offset, .. }) => {
                self.positions.insert((host, partition.clone()), *offset);
            }
            Fact::World(WorldFact::Started { .. }) => self.positions.retain(|(reader, _), _| *reader != host),
            _ => {}
        }
    }

    fn topic_gone(&mut self, gone: &TopicGone, _event: &TraceEvent, _ghost: &Ghost, _found: &mut Findings) {
        self.positions.retain(|(_, partition), _| !gone.had(partition));
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::BatchFact;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use crate::history::{HistoryEvent, PositionReason};

    const NAME: &str = "reads-monotonic";

    fn committed() -> Paper {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1));
        paper.write(0, &[1, 2], BatchFact { is_control: true, ..batch(2, 1, 0, 2) });
        paper.write(0, &[1, 2], batch(3, 2, 0, 3)).commit(0, 0, 0, 5);
        paper
    }

    #[test]
    fn reading_on_over_a_control_batch_and_back_after_a_reset_is_accepted() {
        let mut paper = committed();
        paper.poll(0, values(1..3)).poll(3, values(3..5));
        let reason = PositionReason::Reset;
        paper.client(CONSUMER, HistoryEvent::Positioned { partition: partition(), offset: 0, reason });
        paper.poll(0, values(1..3));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn h_3_the_same_record_again_is_rejected() {
        let mut paper = committed();
        paper.poll(0, values(1..3)).poll(1, values(2..3));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn h_3_a_record_that_is_passed_over_is_rejected() {
        let mut paper = committed();
        paper.poll(0, values(1..3)).poll(4, values(4..5));
        let result = paper.verdict(NAME);
        assert!(result.violations[0].summary.contains("offset 3"), "{}", result.violations[0].summary);
    }
}
