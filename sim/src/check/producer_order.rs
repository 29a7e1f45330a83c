//! producer-order (H-5): an idempotent producer's records stand in the order in which they were sent.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{Offset, TopicPartition};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::topics::TopicGone;
use crate::history::{Acks, HistoryEvent, Value};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent, WorldFact};

/// Producer number to its highest offset and the record there.
type Newest = BTreeMap<u32, (Offset, u64)>;

/// Per partition and idempotent producer, higher offsets hold later records, in what was acknowledged (`acks=all`) and in
/// what each consumer reads. Source: H-5, KIP-98, `max.in.flight.requests.per.connection` <= 5.
#[derive(Debug, Default)]
pub struct ProducerOrder {
    tally: Tally,
    idempotent: BTreeSet<u32>,
    /// The highest offset known of a producer, from acknowledgements (`None`) or from one consumer's reading.
    last: BTreeMap<(Option<HostId>, TopicPartition), Newest>,
}

impl ProducerOrder {
    /// The check, before anything happened.
    pub fn boxed(config: &JudgeConfig) -> Box<dyn Check> {
        let idempotent = config.producers.iter().filter(|producer| producer.is_idempotent);
        let idempotent = idempotent.map(|producer| producer.number).collect();
        Box::new(ProducerOrder { idempotent, ..ProducerOrder::default() })
    }

    fn told(
        &mut self,
        event: &TraceEvent,
        reader: Option<HostId>,
        partition: &TopicPartition,
        records: impl Iterator<Item = (Offset, Value)>,
        ghost: &Ghost,
        found: &mut Findings,
    ) {
        let log = ghost.log_of(partition);
        let last = self.last.entry((reader, partition.clone())).or_default();
        for (offset, value) in records {
            if !self.idempotent.contains(&value.load()) {
                continue;
            }
            self.tally.examined += 1;
            let Some(known) = last.get_mut(&value.producer()) else {
                last.insert(value.producer(), (offset, value.n()));
                continue;
            };
            self.tally.evaluations += 1;
            let (old_offset, old_n) = *known;
            let is_in_order = (offset > old_offset) == (value.n() > old_n);
            let is_excused = log.is_some_and(|log| ghost.log(log).is_excused(offset.max(old_offset)));
            if offset > old_offset || is_excused {
                *known = (offset, value.n());
            }
            if is_in_order || is_excused {
                continue;
            }
            let (n, producer) = (value.n(), value.producer());
            let summary = format!(
                "{partition}: record {n} of producer {producer} is at {offset}, record {old_n} at {old_offset}"
            );
            let (low, high) = (offset.min(old_offset), offset.max(old_offset));
            found.violation(Violation::seen_at(event, ghost, log, summary).with_offsets(low, high + 1));
        }
    }
}

impl Check for ProducerOrder {
    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        match &event.fact {
            Fact::Client(HistoryEvent::Acked {
                partition,
                acks: Acks::All,
                is_idempotent: true,
                base_offset: Some(base),
                values,
            }) => {
                let records = values.iter().enumerate().map(|(i, value)| (base + i as Offset, *value));
                self.told(event, None, partition, records, ghost, found);
            }
            Fact::Client(HistoryEvent::Polled { partition, records }) => {
                self.told(event, event.host, partition, records.iter().copied(), ghost, found);
            }
            Fact::Client(HistoryEvent::Positioned { partition, .. }) => {
                self.last.remove(&(event.host, partition.clone()));
            }
            Fact::World(WorldFact::Started { .. }) => {
                self.last.retain(|(reader, _), _| reader.is_none() || *reader != event.host);
            }
            _ => {}
        }
    }

    fn topic_gone(&mut self, gone: &TopicGone, _event: &TraceEvent, _ghost: &Ghost, _found: &mut Findings) {
        self.last.retain(|(_, partition), _| !gone.had(partition));
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;

    const NAME: &str = "producer-order";

    #[test]
    fn acknowledgements_may_come_late_but_in_their_place() {
        let mut paper = Paper::new();
        paper.ack(2, values(3..5)).ack(0, values(1..3)).poll(0, values(1..5));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn h_5_a_later_record_below_an_earlier_one_is_rejected() {
        let mut paper = Paper::new();
        paper.ack(0, values(3..5)).ack(2, values(1..3));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
        let mut paper = Paper::new();
        paper.poll(0, values(3..5)).poll(2, values(1..3));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
