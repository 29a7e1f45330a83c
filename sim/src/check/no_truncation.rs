//! no-truncation-below-commit: nobody cuts off metadata that it knows to be committed.

use broker::trace::{Observation, TruncationReason};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::trace::{Fact, TraceEvent};

/// No node of the metadata quorum cuts its log below its own high watermark; and a snapshot that takes the log's place ends
/// above it. Source: Q-9, AK `KafkaRaftClient.handleFetchResponse`, KIP-630.
#[derive(Debug, Default)]
pub struct NoTruncationBelowCommit {
    tally: Tally,
}

impl NoTruncationBelowCommit {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(NoTruncationBelowCommit::default())
    }
}

impl Check for NoTruncationBelowCommit {
    fn interest(&self) -> Interest {
        Interest::TRUNCATED
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(Observation::Truncated { log, to, reason, .. }) = &event.fact else { return };
        let (Some(mark), Some(host)) = (step.cut_from_high_watermark, event.host) else { return };
        if !log.is_metadata() {
            return;
        }
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if *to >= mark {
            return;
        }
        let how =
            if *reason == TruncationReason::Snapshot { "takes a snapshot up to" } else { "cuts its log to" };
        let summary =
            format!("{} {how} {to}, below its high watermark {mark} (metadata log)", ghost.name(host));
        found.violation(Violation::seen_at(event, ghost, step.log, summary).with_offsets(*to, mark));
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::{LogId, Offset};
    use broker::trace::AppendRole;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;

    /// Node 1 has two batches, knows that the first is committed, and cuts.
    fn outcome(to: Offset, reason: TruncationReason) -> CheckOutcome {
        let mut paper = committed_quorum();
        paper.quorum_high_watermark(1, 0, 1, None).quorum_append(1, AppendRole::Follower, batch(1, 1, 1, 2));
        paper.node(1, Observation::Truncated { log: LogId::metadata(), from: 2, to, reason });
        paper.outcome("no-truncation-below-commit")
    }

    #[test]
    fn a_cut_above_the_mark_is_accepted() {
        assert_eq!(outcome(1, TruncationReason::DivergingEpoch), CheckOutcome::Held);
        assert_eq!(outcome(5, TruncationReason::Snapshot), CheckOutcome::Held);
    }

    #[test]
    fn q_9_a_cut_below_the_mark_is_rejected() {
        assert_eq!(outcome(0, TruncationReason::DivergingEpoch), CheckOutcome::Violated);
        assert_eq!(outcome(0, TruncationReason::Snapshot), CheckOutcome::Violated);
    }
}
