//! retry-same-offset (D-5): an idempotent producer is told where its batch really is, however often it asked.

use broker::ids::{Offset, TopicPartition};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use super::replica::Placed;
use crate::history::HistoryEvent;
use crate::trace::{Fact, TraceEvent};

/// The offset in an acknowledgement to an idempotent producer is that of a batch of as many records of an idempotent
/// producer that some leader appended there: the answer to a retry names the place of the first append.
/// Source: D-5, IDM-2, KIP-98.
#[derive(Debug, Default)]
pub struct RetrySameOffset {
    tally: Tally,
}

impl RetrySameOffset {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(RetrySameOffset::default())
    }
}

/// Batches that leaders appended at this offset, the newest epoch first.
fn appended_at<'a>(
    ghost: &'a Ghost,
    partition: &'a TopicPartition,
    base: Offset,
) -> impl Iterator<Item = &'a Placed> {
    let newest = ghost.log_of(partition).map(|log| ghost.log(log));
    let lines = newest.into_iter().flat_map(|log| log.lines.values().rev());
    lines.filter_map(move |line| line.at(base))
}

impl Check for RetrySameOffset {
    fn interest(&self) -> Interest {
        Interest::ACKED
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Client(HistoryEvent::Acked {
            partition,
            is_idempotent: true,
            base_offset: Some(base),
            values,
            ..
        }) = &event.fact
        else {
            return;
        };
        // A partition that was deleted and made again has another log: what it acknowledged before is gone.
        let Some(log) = ghost.log_of(partition).filter(|log| !ghost.log(*log).lines.is_empty()) else {
            return;
        };
        self.tally.evaluations += 1;
        self.tally.examined += values.len() as u64;
        let is_it = |placed: &Placed| placed.producer_id >= 0 && placed.records as usize == values.len();
        if appended_at(ghost, partition, *base).any(is_it) {
            return;
        }
        let end = base + values.len() as Offset;
        let summary = format!(
            "offsets {base}..{end} of {partition} are acknowledged to an idempotent producer, and no leader appended \
             such a batch there"
        );
        found.violation(Violation::seen_at(event, ghost, Some(log), summary).with_offsets(*base, end));
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

    fn outcome(batch: BatchFact, told: i64) -> CheckOutcome {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch).commit(0, 0, 0, 2).ack(told, values(1..3));
        paper.outcome("retry-same-offset")
    }

    #[test]
    fn the_place_of_the_batch_is_accepted() {
        let batch = BatchFact { producer_id: 9, producer_epoch: 0, base_sequence: 0, ..batch(0, 2, 0, 1) };
        assert_eq!(outcome(batch, 0), CheckOutcome::Held);
    }

    #[test]
    fn d_5_another_place_another_size_or_anothers_batch_is_rejected() {
        let own = BatchFact { producer_id: 9, producer_epoch: 0, base_sequence: 0, ..batch(0, 2, 0, 1) };
        assert_eq!(outcome(own, 1), CheckOutcome::Violated);
        assert_eq!(outcome(BatchFact { last_offset: 2, ..own }, 0), CheckOutcome::Violated);
        assert_eq!(outcome(BatchFact { producer_id: -1, ..own }, 0), CheckOutcome::Violated);
    }
}
