//! no-duplicates (D-4, D-5): an idempotent producer's record is in the log once.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{Offset, ProducerEpoch, ProducerId, TopicPartition};
use broker::trace::{AppendRole, BatchFact, Observation};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::table::Table;
use super::topics::TopicGone;
use crate::history::{HistoryEvent, Value};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

#[derive(Debug, Clone, Copy)]
struct Sequence {
    epoch: ProducerEpoch,
    last: i32,
    end: Offset,
}

impl Sequence {
    fn of(batch: &BatchFact) -> Sequence {
        let records = batch.last_offset - batch.base_offset;
        let last = (i64::from(batch.base_sequence) + records) & i64::from(i32::MAX);
        Sequence { epoch: batch.producer_epoch, last: last as i32, end: batch.last_offset + 1 }
    }

    /// Why `batch` must not follow.
    fn refuses(&self, batch: &BatchFact) -> Option<String> {
        if batch.producer_epoch < self.epoch {
            return Some(format!("epoch {} after epoch {}", batch.producer_epoch, self.epoch));
        }
        let expected = match batch.producer_epoch > self.epoch {
            true => 0,
            false => self.last.wrapping_add(1) & i32::MAX,
        };
        (batch.base_sequence != expected)
            .then(|| format!("sequence {} where {expected} is due", batch.base_sequence))
    }
}

/// In what leaders append, each idempotent producer's sequence numbers follow each other, each once (D-4); to clients no
/// record of such a producer is known at two offsets (D-5). Source: KIP-98, IDM-1 to IDM-4.
#[derive(Debug, Default)]
pub struct NoDuplicates {
    tally: Tally,
    sequences: BTreeMap<(usize, HostId), BTreeMap<ProducerId, Sequence>>,
    /// The loads whose producers are idempotent.
    idempotent: BTreeSet<u32>,
    /// Per idempotent producer: record number to partition (upper 16 bits) and offset.
    places: BTreeMap<u32, Table>,
    /// `None`: the partition went with its topic.
    partitions: Vec<Option<TopicPartition>>,
}

impl NoDuplicates {
    const OFFSET_BITS: u32 = 48;

    /// The check, before anything happened.
    pub fn boxed(config: &JudgeConfig) -> Box<dyn Check> {
        let idempotent = config.producers.iter().filter(|producer| producer.is_idempotent);
        let idempotent = idempotent.map(|producer| producer.number).collect();
        Box::new(NoDuplicates { idempotent, ..NoDuplicates::default() })
    }

    fn appended(&mut self, log: usize, host: HostId, role: AppendRole, batch: &BatchFact) -> Option<String> {
        if batch.producer_id < 0 || batch.is_control {
            return None;
        }
        let last =
            self.sequences.entry((log, host)).or_default().insert(batch.producer_id, Sequence::of(batch));
        if role == AppendRole::Follower {
            return None;
        }
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        last?.refuses(batch)
    }

    fn node(&mut self, event: &TraceEvent, log: usize, host: HostId, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(observation) = &event.fact else { return };
        match observation {
            Observation::Appended { role, batch, .. } => {
                if let Some(what) = self.appended(log, host, *role, batch) {
                    let id = &ghost.log(log).id;
                    let summary = format!(
                        "{id}: producer {} at offset {}: {what}",
                        batch.producer_id, batch.base_offset
                    );
                    let violation = Violation::seen_at(event, ghost, Some(log), summary);
                    found.violation(violation.with_offsets(batch.base_offset, batch.last_offset + 1));
                }
            }
            Observation::Truncated { to, .. } => {
                // What came before the cut is not known any more: the next sequence is taken as it is.
                if let Some(producers) = self.sequences.get_mut(&(log, host)) {
                    producers.retain(|_, sequence| sequence.end <= *to);
                }
            }
            Observation::LogOpened { batches, .. } => {
                let idempotent = batches.iter().filter(|batch| batch.producer_id >= 0 && !batch.is_control);
                let folded = idempotent.map(|batch| (batch.producer_id, Sequence::of(batch))).collect();
                self.sequences.insert((log, host), folded);
            }
            Observation::LogCreated { .. } | Observation::LogDeleted { .. } => {
                self.sequences.remove(&(log, host));
            }
            _ => {}
        }
    }

    fn told(
        &mut self,
        event: &TraceEvent,
        partition: &TopicPartition,
        records: impl Iterator<Item = (Offset, Value)>,
        ghost: &Ghost,
        found: &mut Findings,
    ) {
        let known = self.partitions.iter().position(|known| known.as_ref() == Some(partition));
        let number = known.unwrap_or_else(|| {
            self.partitions.push(Some(partition.clone()));
            self.partitions.len() - 1
        });
        let log = ghost.log_of(partition);
        for (offset, value) in records {
            if !self.idempotent.contains(&value.load()) {
                continue;
            }
            let places = self.places.entry(value.producer()).or_default();
            self.tally.examined += 1;
            let place = ((number as u64) << Self::OFFSET_BITS) | offset as u64;
            let Some(old) = places.set(value.n(), place) else { continue };
            self.tally.evaluations += 1;
            let old_offset = (old & ((1 << Self::OFFSET_BITS) - 1)) as Offset;
            let is_excused = |at: Offset| log.is_some_and(|log| ghost.log(log).is_excused(at));
            if old == place || is_excused(offset) || is_excused(old_offset) {
                continue;
            }
            // What was read of a topic that is gone may have been sent again.
            let Some(old_partition) = &self.partitions[(old >> Self::OFFSET_BITS) as usize] else { continue };
            let (n, producer) = (value.n(), value.producer());
            let summary = format!(
                "record {n} of idempotent producer {producer} is at {old_partition}:{old_offset} and at {partition}:{offset}"
            );
            found.violation(Violation::seen_at(event, ghost, log, summary).with_offsets(offset, offset + 1));
        }
    }
}

impl Check for NoDuplicates {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        match &event.fact {
            Fact::Node(_) => {
                let Some((log, host)) = step.log.zip(event.host) else { return };
                if !ghost.log(log).id.is_metadata() {
                    self.node(event, log, host, ghost, found);
                }
            }
            Fact::Client(HistoryEvent::Acked {
                partition,
                is_idempotent: true,
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
        for known in &mut self.partitions {
            known.take_if(|partition| gone.had(partition));
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

    const NAME: &str = "no-duplicates";

    fn produced(base: i64, epoch: i16, base_sequence: i32) -> BatchFact {
        BatchFact { producer_id: 9, producer_epoch: epoch, base_sequence, ..batch(base, 2, 0, 1) }
    }

    fn outcome(batches: &[BatchFact]) -> CheckOutcome {
        let mut paper = Paper::started(config());
        for batch in batches {
            paper.write(0, &[1], *batch);
        }
        paper.outcome(NAME)
    }

    #[test]
    fn sequences_that_follow_each_other_are_accepted() {
        let wrapped = [produced(0, 0, i32::MAX - 1), produced(2, 0, 0)];
        assert_eq!(outcome(&wrapped), CheckOutcome::Held);
        assert_eq!(outcome(&[produced(0, 0, 0), produced(2, 0, 2), produced(4, 1, 0)]), CheckOutcome::Held);
    }

    #[test]
    fn d_4_a_sequence_twice_a_hole_and_an_old_epoch_are_rejected() {
        for second in [produced(2, 0, 0), produced(2, 0, 5), produced(2, 1, 3)] {
            assert_eq!(outcome(&[produced(0, 0, 0), second]), CheckOutcome::Violated, "{second:?}");
        }
        assert_eq!(outcome(&[produced(0, 1, 0), produced(2, 0, 2)]), CheckOutcome::Violated);
    }

    #[test]
    fn a_cut_takes_sequences_back() {
        let mut paper = Paper::started(config());
        paper.write(0, &[], produced(0, 0, 0)).write(0, &[], produced(2, 0, 2)).cut(0, 4, 2);
        paper.write(0, &[], produced(2, 0, 2));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn d_5_a_record_at_two_offsets_is_rejected_for_idempotent_producers_only() {
        let twice = |config| {
            let mut paper = Paper::with(config);
            paper.poll(0, values(1..3)).poll(2, values(2..3));
            paper.outcome(NAME)
        };
        assert_eq!(twice(config()), CheckOutcome::Violated);
        let mut loose = config();
        loose.producers[0].is_idempotent = false;
        assert_eq!(twice(loose), CheckOutcome::NotApplicable);
    }
}
