//! true-high-watermark-monotone (P-7): what is committed stays committed.

use std::collections::BTreeSet;

use broker::ids::{LeaderEpoch, Offset};
use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// What the last leader said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Said {
    by: Option<HostId>,
    epoch: LeaderEpoch,
    mark: Offset,
}

/// Once the high watermark of the newest leader has reached the start of its epoch, it is not below what an earlier leader
/// committed; and within one epoch it never falls. Source: P-7, KIP-207, VK 966 §6.4.
///
/// Before that a new leader's high watermark may be older than what was acknowledged: it learned it as a follower.
#[derive(Debug, Default)]
pub struct TrueHighWatermarkMonotone {
    tally: Tally,
    /// By log.
    said: Vec<Said>,
    reported: BTreeSet<(usize, LeaderEpoch)>,
}

impl TrueHighWatermarkMonotone {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(TrueHighWatermarkMonotone::default())
    }
}

impl Check for TrueHighWatermarkMonotone {
    fn interest(&self) -> Interest {
        Interest::HIGH_WATERMARK
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(Observation::HighWatermark { to, leader: Some(view), .. }) = &event.fact else {
            return;
        };
        let Some(index) = step.log.filter(|_| step.is_current_leader) else { return };
        let log = ghost.log(index);
        if log.id.is_metadata() {
            return;
        }
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if index >= self.said.len() {
            self.said.resize(index + 1, Said::default());
        }
        let now = Said { by: event.host, epoch: view.leader_epoch, mark: *to };
        let before = std::mem::replace(&mut self.said[index], now);
        let committed = log.committed.end();
        let is_applied = log.epoch_start.is_some_and(|start| *to >= start);
        let what = if before.by == now.by && before.epoch == now.epoch && *to < before.mark {
            format!("falls from {} to {to} within epoch {}", before.mark, now.epoch)
        } else if is_applied && *to < committed {
            format!("is {to} in epoch {}, after {committed} were committed", now.epoch)
        } else {
            return;
        };
        if self.reported.insert((index, now.epoch)) {
            let summary = format!("the leader's high watermark of {} {what}", log.id);
            let violation = Violation::seen_at(event, ghost, Some(index), summary);
            found.violation(violation.with_offsets(*to, committed.max(before.mark)));
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

    const NAME: &str = "true-high-watermark-monotone";

    /// Broker 1 leads epoch 1 after four offsets were committed, and says `to`; its epoch begins at `start`.
    fn outcome(start: i64, to: i64) -> CheckOutcome {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).write(0, &[1, 2], batch(2, 2, 0, 2)).commit(0, 0, 0, 4);
        paper.elect(Some(1), 1, &[1, 2]).lead(1, 1, start).commit(1, 1, 0, to);
        paper.outcome(NAME)
    }

    #[test]
    fn an_old_mark_below_the_start_of_the_epoch_is_accepted() {
        assert_eq!(outcome(4, 2), CheckOutcome::Held);
        assert_eq!(outcome(4, 4), CheckOutcome::Held);
    }

    #[test]
    fn p_7_an_applied_mark_below_what_is_committed_is_rejected() {
        assert_eq!(outcome(2, 2), CheckOutcome::Violated);
    }

    #[test]
    fn p_7_a_mark_that_falls_within_an_epoch_is_rejected() {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).write(0, &[1, 2], batch(2, 2, 0, 2));
        paper.commit(0, 0, 0, 4).commit(0, 0, 4, 2);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
