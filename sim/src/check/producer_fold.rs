//! producer-state-is-fold (D-3): what a broker remembers of producers is what its log says.

use std::collections::BTreeMap;

use broker::ids::{Offset, ProducerId};
use broker::trace::{BatchFact, Observation, ProducerFact};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// What one replica's log says, in order of offsets.
#[derive(Debug, Clone, Default)]
struct Written {
    start: Offset,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    state: ProducerFact,
    /// A marker: it ends a transaction and carries no sequence.
    is_control: bool,
}

impl Entry {
    fn of(batch: &BatchFact) -> Option<Entry> {
        let records = batch.last_offset - batch.base_offset;
        // Sequences wrap to 0 after the largest one (`DefaultRecordBatch.incrementSequence`).
        let last = (i64::from(batch.base_sequence) + records) & i64::from(i32::MAX);
        let state = ProducerFact {
            producer_id: batch.producer_id,
            producer_epoch: batch.producer_epoch,
            last_sequence: i32::try_from(last).unwrap_or(0),
            last_offset: batch.last_offset,
        };
        (batch.producer_id >= 0).then_some(Entry { state, is_control: batch.is_control })
    }
}

/// Whenever a broker rebuilds its memory of idempotent producers (boot, truncation, a new leadership), it is the fold of its
/// log: each producer's last epoch, sequence and offset. Source: D-3, IDM-1, IDM-4, KIP-98.
///
/// What retention has deleted may still be remembered or not. Producers with transaction markers are passed over: a marker
/// changes the epoch without a sequence.
#[derive(Debug, Default)]
pub struct ProducerStateIsFold {
    tally: Tally,
    /// By log, then by host.
    written: Vec<Vec<Written>>,
}

impl ProducerStateIsFold {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(ProducerStateIsFold::default())
    }

    fn written(&mut self, log: usize, host: HostId) -> &mut Written {
        let host = host.0 as usize;
        if log >= self.written.len() {
            self.written.resize(log + 1, Vec::new());
        }
        let row = &mut self.written[log];
        if host >= row.len() {
            row.resize(host + 1, Written::default());
        }
        &mut row[host]
    }
}

/// The producers of a log below `log_end`; `None` for those that are passed over.
fn fold(written: &Written, log_end: Offset) -> BTreeMap<ProducerId, Option<ProducerFact>> {
    let mut folded = BTreeMap::new();
    for Entry { state, is_control } in
        written.entries.iter().filter(|entry| entry.state.last_offset < log_end)
    {
        let known = folded.entry(state.producer_id).or_insert(Some(*state));
        if *is_control || known.is_none() {
            *known = None;
        } else {
            *known = Some(*state);
        }
    }
    folded
}

fn differs(written: &Written, log_end: Offset, stated: &[ProducerFact]) -> Option<String> {
    let folded = fold(written, log_end);
    for state in stated {
        let expected = folded.get(&state.producer_id);
        let is_right = match expected {
            Some(None) => true,
            Some(Some(expected)) => expected == state,
            None => state.last_offset < written.start,
        };
        if !is_right {
            let in_log = expected.copied().flatten().map_or("nothing".to_owned(), |state| words(&state));
            return Some(format!("remembers {}, and its log says {in_log}", words(state)));
        }
    }
    let is_stated = |id: ProducerId| stated.iter().any(|state| state.producer_id == id);
    let forgotten = folded
        .into_values()
        .flatten()
        .find(|expected| expected.last_offset >= written.start && !is_stated(expected.producer_id))?;
    Some(format!("has forgotten {}", words(&forgotten)))
}

fn words(state: &ProducerFact) -> String {
    let ProducerFact { producer_id, producer_epoch, last_sequence, last_offset } = state;
    format!(
        "sequence {last_sequence} of producer {producer_id} (epoch {producer_epoch}) at offset {last_offset}"
    )
}

impl Check for ProducerStateIsFold {
    fn interest(&self) -> Interest {
        Interest::APPENDED
            .and(Interest::TRUNCATED)
            .and(Interest::LOG_OPENED)
            .and(Interest::LOG_START)
            .and(Interest::PRODUCER_STATES)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Fact::Node(observation), Some(index), Some(host)) = (&event.fact, step.log, event.host) else {
            return;
        };
        if ghost.log(index).id.is_metadata() {
            return;
        }
        let written = self.written(index, host);
        match observation {
            Observation::Appended { batch, .. } => written.entries.extend(Entry::of(batch)),
            Observation::Truncated { to, .. } => {
                let keep = written.entries.partition_point(|entry| entry.state.last_offset < *to);
                written.entries.truncate(keep);
                // A log that starts anew there forgets everything below.
                written.start = written.start.min(*to);
            }
            Observation::LogOpened { log_start, batches, .. } => {
                written.start = *log_start;
                written.entries.clear();
                written.entries.extend(batches.iter().filter_map(Entry::of));
            }
            Observation::LogCreated { .. } | Observation::LogDeleted { .. } => *written = Written::default(),
            Observation::LogStartAdvanced { to, .. } => written.start = *to,
            Observation::ProducerStates { log_end, states, .. } => {
                let wrong = differs(written, *log_end, states);
                self.tally.evaluations += u64::from(!states.is_empty() || wrong.is_some());
                self.tally.examined += states.len() as u64;
                if let Some(what) = wrong {
                    let summary = format!("{} {what} ({})", ghost.name(host), ghost.log(index).id);
                    found.violation(Violation::seen_at(event, ghost, Some(index), summary));
                }
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

    fn produced(base: Offset, producer_id: ProducerId, base_sequence: i32) -> BatchFact {
        BatchFact { producer_id, producer_epoch: 0, base_sequence, ..batch(base, 2, 0, 1) }
    }

    fn state(producer_id: ProducerId, last_sequence: i32, last_offset: Offset) -> ProducerFact {
        ProducerFact { producer_id, producer_epoch: 0, last_sequence, last_offset }
    }

    /// Two batches of producer 9 and one of producer 4; what is above `cut` is cut, and `states` stated.
    fn outcome(cut: Offset, states: &[ProducerFact]) -> CheckOutcome {
        let mut paper = Paper::started(config());
        for batch in [produced(0, 9, 0), produced(2, 4, i32::MAX), produced(4, 9, 2)] {
            paper.write(0, &[], batch);
        }
        paper.cut(0, 6, cut);
        let states = states.to_vec();
        paper.node(0, Observation::ProducerStates { log: log(), log_end: cut, states });
        paper.outcome("producer-state-is-fold")
    }

    #[test]
    fn a_fold_is_accepted_and_sequences_wrap() {
        assert_eq!(outcome(6, &[state(4, 0, 3), state(9, 3, 5)]), CheckOutcome::Held);
        assert_eq!(outcome(4, &[state(4, 0, 3), state(9, 1, 1)]), CheckOutcome::Held);
    }

    #[test]
    fn d_3_states_that_outlive_a_cut_or_are_forgotten_are_rejected() {
        assert_eq!(outcome(4, &[state(4, 0, 3), state(9, 3, 5)]), CheckOutcome::Violated);
        assert_eq!(outcome(6, &[state(9, 3, 5)]), CheckOutcome::Violated);
        assert_eq!(outcome(6, &[state(4, 0, 3), state(7, 0, 2), state(9, 3, 5)]), CheckOutcome::Violated);
    }

    #[test]
    fn what_retention_deleted_may_be_remembered_or_not() {
        for states in [&[state(4, 0, 3), state(9, 3, 5)][..], &[state(9, 3, 5)]] {
            let mut paper = Paper::started(config());
            for batch in [produced(0, 9, 0), produced(2, 4, i32::MAX), produced(4, 9, 2)] {
                paper.write(0, &[], batch);
            }
            paper.node(0, Observation::LogStartAdvanced { log: log(), from: 0, to: 4 });
            let states = states.to_vec();
            paper.node(0, Observation::ProducerStates { log: log(), log_end: 6, states });
            assert_eq!(paper.outcome("producer-state-is-fold"), CheckOutcome::Held);
        }
    }
}
