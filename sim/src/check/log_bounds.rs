//! log-bounds (P-8): log start <= high watermark <= log end, and logs have no holes.

use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use crate::trace::{Fact, TraceEvent};

/// Log start <= high watermark <= log end; each batch begins where the last one ended, and its leader epoch is not older.
/// Source: P-8, `UnifiedLog`.
#[derive(Debug, Default)]
pub struct LogBounds {
    tally: Tally,
}

impl LogBounds {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(LogBounds::default())
    }
}

impl Check for LogBounds {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(observation) = &event.fact else { return };
        let (offsets, wrong) = match observation {
            Observation::HighWatermark { log, to, log_start, log_end, .. }
            | Observation::LogOpened { log, high_watermark: to, log_start, log_end, .. } => {
                let is_in = log_start <= to && to <= log_end;
                let wrong = (!is_in)
                    .then(|| format!("high watermark {to} of {log} is not in {log_start}..={log_end}"));
                ((*to, *to), wrong)
            }
            Observation::LogStartAdvanced { log, from, to } => {
                let replica = step.log.zip(event.host).and_then(|(at, host)| ghost.log(at).replica(host));
                let high_watermark = replica.map_or(*to, |replica| replica.high_watermark);
                let wrong = (*to > high_watermark)
                    .then(|| format!("{log} begins at {to}, above its high watermark {high_watermark}"));
                ((*from, *to - 1), wrong)
            }
            Observation::Appended { log, batch, .. } => {
                let Some((end, epoch)) = step.appended_at else { return };
                let base = batch.base_offset;
                let wrong = if base != end || batch.last_offset < base {
                    Some(format!(
                        "batch {base}..={} is appended to {log}, which ends at {end}",
                        batch.last_offset
                    ))
                } else {
                    let newer = epoch.filter(|epoch| *epoch > batch.leader_epoch);
                    newer.map(|newer| {
                        format!("batch of epoch {} follows epoch {newer} in {log}", batch.leader_epoch)
                    })
                };
                ((base, batch.last_offset), wrong)
            }
            _ => return,
        };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if let Some(summary) = wrong {
            let violation = Violation::seen_at(event, ghost, step.log, summary);
            found.violation(violation.with_offsets(offsets.0, offsets.1 + 1));
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::Observation;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;

    #[test]
    fn a_mark_within_the_log_is_accepted() {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).commit(0, 0, 0, 2);
        assert_eq!(paper.outcome("log-bounds"), CheckOutcome::Held);
    }

    #[test]
    fn d_7_a_start_above_the_high_watermark_is_rejected() {
        for (to, outcome) in [(1, CheckOutcome::Held), (2, CheckOutcome::Violated)] {
            let mut paper = Paper::started(config());
            paper.write(0, &[], batch(0, 2, 0, 1)).high_watermark(0, 0, 1, 2, None);
            paper.node(0, Observation::LogStartAdvanced { log: log(), from: 0, to });
            assert_eq!(paper.outcome("log-bounds"), outcome, "{to}");
        }
    }

    #[test]
    fn p_8_a_mark_above_the_end_a_hole_and_an_older_epoch_are_rejected() {
        let mut paper = Paper::started(config());
        paper.high_watermark(0, 0, 3, 2, None);
        assert_eq!(paper.outcome("log-bounds"), CheckOutcome::Violated);
        for second in [batch(3, 1, 0, 2), batch(1, 2, 0, 2), batch(2, 1, -1, 2)] {
            let mut paper = Paper::started(config());
            paper.write(0, &[], batch(0, 2, 0, 1)).write(0, &[], second);
            assert_eq!(paper.outcome("log-bounds"), CheckOutcome::Violated, "{second:?}");
        }
    }
}
