//! recovery-is-prefix (D-1): a log that comes back is what it was, or the beginning of it.

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use crate::trace::TraceEvent;

/// After a power loss a log is a prefix of what it was (or of what it was before a cut that was not synced), and has
/// everything that was synced; after any other end it is exactly what it was: the page cache survives. Source: D-1, LOG-4.
#[derive(Debug, Default)]
pub struct RecoveryIsPrefix {
    tally: Tally,
}

impl RecoveryIsPrefix {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(RecoveryIsPrefix::default())
    }
}

impl Check for RecoveryIsPrefix {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Some(reopened), Some(index), Some(host)) = (&step.reopened, step.log, event.host) else {
            return;
        };
        let log = ghost.log(index);
        let Some(replica) = log.replica(host).filter(|replica| replica.chain.is_anchored()) else { return };
        self.tally.evaluations += 1;
        self.tally.examined += replica.chain.batches() as u64;
        let end = replica.chain.end();
        let must_have = if reopened.is_power { reopened.flushed } else { reopened.before_end };
        let (what, from, to) = if reopened.common_end < end {
            ("comes back with other content", reopened.common_end, end)
        } else if reopened.same_as_before < must_have {
            let what =
                if reopened.is_power { "lost synced records" } else { "lost records without a power loss" };
            (what, reopened.same_as_before, must_have)
        } else {
            return;
        };
        let summary = format!("{} on {} {what}: offsets {from}..{to}", log.id, ghost.name(host));
        found.violation(Violation::seen_at(event, ghost, Some(index), summary).with_offsets(from, to));
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::{BatchFact, Observation};

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use crate::trace::CrashMode;

    fn outcome(mode: CrashMode, left: &[BatchFact]) -> CheckOutcome {
        let mut paper = Paper::started(config());
        paper.write(0, &[], batch(0, 2, 0, 1)).node(0, Observation::Flushed { log: log(), up_to: 2 });
        paper.write(0, &[], batch(2, 2, 0, 2)).crash(0, mode).open(0, 1, left);
        paper.outcome("recovery-is-prefix")
    }

    #[test]
    fn d_1_a_prefix_with_everything_synced_is_accepted() {
        let all = [batch(0, 2, 0, 1), batch(2, 2, 0, 2)];
        assert_eq!(outcome(CrashMode::Process, &all), CheckOutcome::Held);
        assert_eq!(outcome(CrashMode::Power, &all), CheckOutcome::Held);
        assert_eq!(outcome(CrashMode::Power, &all[..1]), CheckOutcome::Held);
        assert_eq!(outcome(CrashMode::Wipe, &[]), CheckOutcome::Held, "a new disk is empty");
    }

    #[test]
    fn d_1_anything_else_is_rejected() {
        let all = [batch(0, 2, 0, 1), batch(2, 2, 0, 9)];
        assert_eq!(outcome(CrashMode::Process, &all), CheckOutcome::Violated, "other content");
        assert_eq!(
            outcome(CrashMode::Process, &all[..1]),
            CheckOutcome::Violated,
            "a process crash loses nothing"
        );
        assert_eq!(outcome(CrashMode::Power, &[]), CheckOutcome::Violated, "synced");
    }

    #[test]
    fn a_cut_that_was_not_synced_may_come_back() {
        let mut paper = Paper::started(config());
        paper.write(0, &[], batch(0, 2, 0, 1)).write(0, &[], batch(2, 2, 0, 2)).cut(0, 4, 2);
        paper.crash(0, CrashMode::Power).open(0, 1, &[batch(0, 2, 0, 1), batch(2, 2, 0, 2)]);
        assert_eq!(paper.outcome("recovery-is-prefix"), CheckOutcome::Held);
    }
}
