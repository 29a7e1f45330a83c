//! offsets-consistent (H-4, P-14): one offset, one record, for everybody and for ever.

use std::collections::BTreeMap;

use broker::ids::{Offset, TopicPartition};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::table::Table;
use super::topics::TopicGone;
use crate::history::{Acks, HistoryEvent, Value};
use crate::trace::{Fact, TraceEvent};

/// Whatever clients were told about an offset of a partition (by an `acks=all` acknowledgement or a delivery) names the
/// same record. Source: H-4, P-14, Jepsen's `inconsistent-offsets`.
///
/// Above the lowest offset of a loss that was reported or permitted, two histories exist legally, and both may still be
/// told; there the newest word counts.
#[derive(Debug, Default)]
pub struct OffsetsConsistent {
    tally: Tally,
    values: BTreeMap<TopicPartition, Table>,
}

impl OffsetsConsistent {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(OffsetsConsistent::default())
    }

    fn told(
        &mut self,
        event: &TraceEvent,
        partition: &TopicPartition,
        records: impl Iterator<Item = (Offset, Value)>,
        ghost: &Ghost,
        found: &mut Findings,
    ) {
        if !self.values.contains_key(partition) {
            self.values.insert(partition.clone(), Table::default());
        }
        let Some(table) = self.values.get_mut(partition) else { return };
        let log = ghost.log_of(partition);
        for (offset, value) in records {
            self.tally.examined += 1;
            let Some(old) = table.set(offset as u64, value.0) else { continue };
            self.tally.evaluations += 1;
            if old == value.0 || log.is_some_and(|log| ghost.log(log).is_excused(offset)) {
                continue;
            }
            let old = Value(old);
            let summary = format!(
                "offset {offset} of {partition} is record {} of producer {} and record {} of producer {}",
                old.n(),
                old.producer(),
                value.n(),
                value.producer()
            );
            found.violation(Violation::seen_at(event, ghost, log, summary).with_offsets(offset, offset + 1));
        }
    }
}

impl Check for OffsetsConsistent {
    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        match &event.fact {
            Fact::Client(HistoryEvent::Acked {
                partition,
                acks: Acks::All,
                base_offset: Some(base),
                values,
                ..
            }) => {
                let records = values.iter().enumerate().map(|(i, value)| (base + i as Offset, *value));
                self.told(event, partition, records, ghost, found);
            }
            Fact::Client(HistoryEvent::Polled { partition, records }) => {
                self.told(event, partition, records.iter().copied(), ghost, found);
            }
            _ => {}
        }
    }

    fn topic_gone(&mut self, gone: &TopicGone, _event: &TraceEvent, _ghost: &Ghost, _found: &mut Findings) {
        self.values.retain(|partition, _| !gone.had(partition));
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;

    #[test]
    fn what_was_acknowledged_is_what_is_read() {
        let mut paper = Paper::new();
        paper.ack(0, values(1..4)).poll(0, values(1..4));
        let result = paper.verdict("offsets-consistent");
        assert_eq!((result.result, result.evaluations), (CheckOutcome::Held, 3));
    }

    #[test]
    fn h_4_two_records_at_one_offset_are_rejected() {
        let mut paper = Paper::new();
        paper.ack(0, values(1..4)).poll(1, values(7..8));
        assert_eq!(paper.verdict("offsets-consistent").violations[0].offsets, Some((1, 1)));
    }

    #[test]
    fn without_two_words_about_one_offset_nothing_is_said() {
        let mut paper = Paper::new();
        paper.ack(0, values(1..4));
        assert_eq!(paper.outcome("offsets-consistent"), CheckOutcome::Vacuous);
    }
}
