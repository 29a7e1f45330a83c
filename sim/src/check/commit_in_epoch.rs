//! commit-in-own-epoch: a leader of the quorum commits first what it wrote itself.

use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::trace::{Fact, TraceEvent};

/// Whenever a leader moves the high watermark of the metadata log, the record below it is one of its own epoch: records of
/// earlier epochs are committed only together with one of the leader's own, never by counting copies of them.
/// Source: Q-10, Raft §5.4.2 (figure 8), AK `LeaderState.maybeUpdateHighWatermark`.
#[derive(Debug, Default)]
pub struct CommitInOwnEpoch {
    tally: Tally,
}

impl CommitInOwnEpoch {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(CommitInOwnEpoch::default())
    }
}

impl Check for CommitInOwnEpoch {
    fn interest(&self) -> Interest {
        Interest::HIGH_WATERMARK
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(Observation::HighWatermark { log, to, leader: Some(view), .. }) = &event.fact else {
            return;
        };
        let (Some(index), Some(host)) = (step.log, event.host) else { return };
        if !log.is_metadata() {
            return;
        }
        let Some(replica) = ghost.log(index).replica(host) else { return };
        let Some(epoch) = replica.chain.epoch_at(to - 1) else { return };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if epoch == view.leader_epoch {
            return;
        }
        let summary = format!(
            "{} leads epoch {} and commits the metadata log to {to}, a record of epoch {epoch}",
            ghost.name(host),
            view.leader_epoch
        );
        found.violation(Violation::seen_at(event, ghost, Some(index), summary).with_offsets(to - 1, *to));
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

    /// Node 0 leads epoch 2 after epoch 1; it commits to `to`.
    fn outcome(to: i64) -> CheckOutcome {
        let mut paper = Paper::with(quorum());
        paper.quorum_append(0, AppendRole::Leader(1), batch(0, 1, 1, 1));
        paper.quorum_append(0, AppendRole::Leader(2), batch(1, 1, 2, 2)).quorum_commit(0, 2, to);
        paper.outcome("commit-in-own-epoch")
    }

    #[test]
    fn a_commit_of_an_own_record_is_accepted() {
        assert_eq!(outcome(2), CheckOutcome::Held);
    }

    #[test]
    fn q_10_a_commit_of_an_earlier_epoch_alone_is_rejected() {
        assert_eq!(outcome(1), CheckOutcome::Violated);
    }
}
