//! log-matching (P-5, P-6): equal offset and epoch, equal history.

use std::collections::BTreeSet;

use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::replica::LogGhost;
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// Whatever a replica appends with some offset and leader epoch, and everything below it, is what the leader of that
/// epoch had there (P-6); below its high watermark it is what is committed (P-5). Source: KIP-101, KIP-279, KIP-320.
#[derive(Debug, Default)]
pub struct LogMatching {
    tally: Tally,
    /// Said once per replica: everything above a difference differs too.
    reported: BTreeSet<(usize, HostId)>,
}

impl LogMatching {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(LogMatching::default())
    }
}

/// Does the replica agree with what is committed below its high watermark? `None`: nothing to compare, or a loss
/// already explains a difference.
pub(super) fn agrees_below_high_watermark(log: &LogGhost, host: HostId) -> Option<bool> {
    let replica = log.replica(host)?;
    let below = log.committed.border(replica.high_watermark.min(log.committed.end()));
    if below == log.committed.start() || !(replica.chain.is_anchored() && log.committed.is_anchored()) {
        return None;
    }
    if replica.chain.hash_at(below) == log.committed.hash_at(below) {
        return Some(true);
    }
    if log.is_excused(replica.chain.common_end(&log.committed)) { None } else { Some(false) }
}

impl Check for LogMatching {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Some(index), Some(host), Fact::Node(observation)) = (step.log, event.host, &event.fact) else {
            return;
        };
        let log = ghost.log(index);
        if log.id.is_metadata() {
            return;
        }
        let (agrees, why) = match observation {
            Observation::Appended { .. } => (step.matches_leader, "of its epoch's leader"),
            Observation::HighWatermark { .. } => {
                (agrees_below_high_watermark(log, host), "that is committed")
            }
            _ => return,
        };
        let Some(agrees) = agrees else { return };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if agrees || !self.reported.insert((index, host)) {
            return;
        }
        let Some(replica) = log.replica(host) else { return };
        let common = replica.chain.common_end(&log.committed);
        let name = ghost.name(host);
        let summary = format!("the log of {} on {name} is not the one {why}", log.id);
        let violation = Violation::seen_at(event, ghost, Some(index), summary);
        found.violation(violation.with_offsets(common, replica.chain.end()));
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::AppendRole;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;

    #[test]
    fn copies_are_accepted() {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).write(0, &[1, 2], batch(2, 2, 0, 2)).commit(0, 0, 0, 4);
        paper.high_watermark(1, 0, 4, 4, None);
        let result = paper.verdict("log-matching");
        assert_eq!(result.result, CheckOutcome::Held);
        assert!(result.evaluations >= 5, "{}", result.evaluations);
    }

    #[test]
    fn p_6_other_content_at_the_same_offset_and_epoch_is_rejected_once() {
        let mut paper = Paper::started(config());
        paper.write(0, &[], batch(0, 2, 0, 1)).append(1, AppendRole::Follower, batch(0, 2, 0, 9));
        paper.write(0, &[1], batch(2, 2, 0, 2));
        assert_eq!(paper.verdict("log-matching").count, 1);
    }

    #[test]
    fn p_6_another_past_below_the_same_batch_is_rejected() {
        let mut paper = Paper::started(config());
        paper.write(0, &[], batch(0, 2, 0, 1)).write(1, &[], batch(0, 2, 1, 7));
        paper.append(1, AppendRole::Follower, batch(2, 2, 0, 2)).append(
            0,
            AppendRole::Leader(0),
            batch(2, 2, 0, 2),
        );
        paper.append(2, AppendRole::Follower, batch(0, 2, 1, 7)).append(
            2,
            AppendRole::Follower,
            batch(2, 2, 0, 2),
        );
        assert_eq!(paper.outcome("log-matching"), CheckOutcome::Violated);
    }

    #[test]
    fn p_5_a_replica_that_calls_something_else_committed_is_rejected() {
        let mut paper = Paper::started(config());
        paper.write(0, &[2], batch(0, 2, 0, 1)).commit(0, 0, 0, 2);
        paper.append(1, AppendRole::Leader(5), batch(0, 2, 5, 8)).high_watermark(1, 0, 2, 2, None);
        assert_eq!(paper.verdict("log-matching").violations[0].offsets, Some((0, 1)));
    }
}
