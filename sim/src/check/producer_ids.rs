//! producer-id-unique (D-6): no producer id is handed out twice.

use std::collections::BTreeMap;

use broker::ids::{NodeId, Offset, ProducerId};
use broker::trace::{AppendRole, MetadataFact, Observation};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::history::HistoryEvent;
use crate::trace::{Fact, TraceEvent};

/// The blocks of producer ids that the quorum gives to brokers do not overlap (D-6); every id in a log is from such a block;
/// and batches of one id are acknowledged to one producer only. Source: D-6, KIP-730, VK
/// `ClientsHaveDifferentProducerEpochs`.
#[derive(Debug, Default)]
pub struct ProducerIdUnique {
    tally: Tally,
    /// By first id.
    blocks: BTreeMap<ProducerId, (ProducerId, NodeId)>,
    /// First id, and the first one that was never handed out.
    range: Option<(ProducerId, ProducerId)>,
    /// Whose batches of this id were acknowledged: the producer's number in the history.
    owners: BTreeMap<ProducerId, u32>,
}

impl ProducerIdUnique {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(ProducerIdUnique::default())
    }

    fn allocated(&mut self, broker: NodeId, first: ProducerId, size: i32) -> Option<String> {
        self.tally.evaluations += 1;
        let end = first + i64::from(size);
        let below = self.blocks.range(..end).next_back().filter(|(_, (other_end, _))| *other_end > first);
        let wrong = below.map(|(other, (other_end, owner))| {
            format!("ids {first}..{end} go to broker {broker}, and ids {other}..{other_end} went to broker {owner}")
        });
        self.blocks.insert(first, (end, broker));
        let (low, high) = self.range.unwrap_or((first, end));
        self.range = Some((low.min(first), high.max(end)));
        wrong
    }

    fn owned(&mut self, id: ProducerId, producer: u32, offset: Offset) -> Option<String> {
        self.tally.evaluations += 1;
        let owner = *self.owners.entry(id).or_insert(producer);
        (owner != producer)
            .then(|| format!("producers {owner} and {producer} both write with id {id} (offset {offset})"))
    }
}

impl Check for ProducerIdUnique {
    fn interest(&self) -> Interest {
        Interest::METADATA.and(Interest::APPENDED).and(Interest::ACKED)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let wrong = match &event.fact {
            Fact::Node(Observation::MetadataCommitted {
                fact: MetadataFact::ProducerIdsAllocated { broker, first, size },
                ..
            }) if step.is_first => self.allocated(*broker, *first, *size),
            Fact::Node(Observation::Appended { role: AppendRole::Leader(_), batch, .. })
                if batch.producer_id >= 0 =>
            {
                let Some((low, high)) = self.range else { return };
                let id = batch.producer_id;
                let is_known = (low..high).contains(&id);
                (!is_known).then(|| format!("id {id} is in a log, and ids {low}..{high} were handed out"))
            }
            Fact::Client(HistoryEvent::Acked {
                partition,
                is_idempotent: true,
                base_offset: Some(base),
                values,
                ..
            }) => {
                let log = ghost.log_of(partition).map(|log| ghost.log(log));
                let line = log.and_then(|log| log.lines.get(&log.newest_epoch));
                let batch = line.and_then(|line| line.at(*base)).filter(|batch| batch.producer_id >= 0);
                let (Some(batch), Some(value)) = (batch, values.first()) else { return };
                self.owned(batch.producer_id, value.producer(), *base)
            }
            _ => return,
        };
        self.tally.examined += 1;
        if let Some(summary) = wrong {
            found.violation(Violation::seen_at(event, ghost, step.log, summary));
        }
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
    use super::*;
    use crate::history::Value;

    const NAME: &str = "producer-id-unique";

    fn allocated(broker: i32, first: ProducerId) -> MetadataFact {
        MetadataFact::ProducerIdsAllocated { broker: NodeId(broker), first, size: 1_000 }
    }

    fn produced(base: Offset, producer_id: ProducerId) -> BatchFact {
        BatchFact { producer_id, producer_epoch: 0, base_sequence: 0, ..batch(base, 2, 0, 1) }
    }

    fn started() -> Paper {
        let mut paper = Paper::started(config());
        paper.meta(allocated(0, 0)).meta(allocated(1, 1_000));
        paper
    }

    #[test]
    fn blocks_side_by_side_and_ids_from_them_are_accepted() {
        let mut paper = started();
        paper
            .write(0, &[], produced(0, 5))
            .ack(0, values(1..3))
            .write(0, &[], produced(2, 5))
            .ack(2, values(3..5));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn d_6_blocks_that_overlap_are_rejected() {
        for first in [0, 500, 1_999] {
            let mut paper = started();
            paper.meta(allocated(2, first));
            assert_eq!(paper.outcome(NAME), CheckOutcome::Violated, "{first}");
        }
    }

    #[test]
    fn d_6_an_id_from_nowhere_or_of_two_producers_is_rejected() {
        let mut paper = started();
        paper.write(0, &[], produced(0, 2_000));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
        let mut paper = started();
        paper.write(0, &[], produced(0, 5)).ack(0, values(1..3)).write(0, &[], produced(2, 5));
        paper.ack(2, vec![Value::new(7, 1), Value::new(7, 2)]);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
