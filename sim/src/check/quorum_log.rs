//! quorum-log-matching: the metadata log is one, and what is committed stays.

use std::collections::BTreeSet;

use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::log_matching::agrees_below_high_watermark;
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// In the metadata log equal offset and epoch mean equal history, equal below the high watermarks; what a leader
/// commits is durable on a majority and contains all that was committed before; nobody cuts below its high
/// watermark. Source: KIP-595, VK `NoLogDivergence`.
#[derive(Debug, Default)]
pub struct QuorumLogMatching {
    tally: Tally,
    reported: BTreeSet<(&'static str, HostId)>,
}

impl QuorumLogMatching {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(QuorumLogMatching::default())
    }
}

/// What is wrong, and the offset from which on.
fn wrong(
    step: &Step,
    ghost: &Ghost,
    index: usize,
    host: HostId,
    observation: &Observation,
) -> Option<&'static str> {
    let log = ghost.log(index);
    match observation {
        Observation::Appended { .. } => {
            let differs = step.matches_leader == Some(false) || step.rival.is_some();
            differs.then_some("a batch differs from the one that the leader of its epoch wrote there")
        }
        Observation::Truncated { to, .. } => {
            let is_below = step.cut_from_high_watermark.is_some_and(|mark| *to < mark);
            is_below.then_some("the log is cut below its high watermark")
        }
        Observation::HighWatermark { to, leader, .. } => {
            if step.conflict.is_some() {
                return Some("a leader commits another history than the one that was committed");
            }
            if agrees_below_high_watermark(log, host) == Some(false) {
                return Some("the log differs from the committed one below its high watermark");
            }
            let view = leader.as_ref().filter(|_| step.is_current_leader)?;
            let leader = log.replica(host)?;
            let border = leader.chain.border(*to);
            let hash = leader.chain.hash_at(border);
            let is_durable = |voter: &HostId| {
                let replica = log.replica(*voter);
                // It had it on the disk that was replaced.
                let is_wiped = ghost.lost_disk(*voter)
                    && replica.is_some_and(|replica| replica.power.is_some() || replica.lost.is_some());
                if is_wiped {
                    return true;
                }
                replica.is_some_and(|replica| {
                    replica.flushed >= border
                        && (!replica.chain.is_anchored() || replica.chain.hash_at(border) == hash)
                })
            };
            let voters = view.isr.iter().filter_map(|voter| ghost.host_of(*voter));
            let durable = voters.filter(is_durable).count();
            (2 * durable <= view.isr.len())
                .then_some("a leader commits what no majority of voters has on disk")
        }
        _ => None,
    }
}

impl Check for QuorumLogMatching {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Some(index), Some(host), Fact::Node(observation)) = (step.log, event.host, &event.fact) else {
            return;
        };
        if !ghost.log(index).id.is_metadata() {
            return;
        }
        let is_judged = matches!(
            observation,
            Observation::Appended { .. } | Observation::Truncated { .. } | Observation::HighWatermark { .. }
        );
        if !is_judged {
            return;
        }
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if let Some(what) = wrong(step, ghost, index, host, observation)
            && self.reported.insert((what, host))
        {
            let summary = format!("{}: {what} (metadata log)", ghost.name(host));
            found.violation(Violation::seen_at(event, ghost, Some(index), summary));
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::{LogId, NodeId};
    use broker::trace::{AppendRole, BatchFact, LeaderView, TruncationReason};

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;

    const NAME: &str = "quorum-log-matching";

    fn append(role: AppendRole, batch: BatchFact) -> Observation {
        Observation::Appended { log: LogId::metadata(), role, batch }
    }

    fn flushed(up_to: i64) -> Observation {
        Observation::Flushed { log: LogId::metadata(), up_to }
    }

    fn mark(to: i64, epoch: Option<i32>) -> Observation {
        let voters: Vec<NodeId> = (0..3).map(NodeId).collect();
        let leader = epoch.map(|leader_epoch| LeaderView {
            leader_epoch,
            isr: voters.clone(),
            maximal_isr: voters,
            min_isr: 2,
        });
        Observation::HighWatermark { log: LogId::metadata(), from: 0, to, log_start: 0, log_end: to, leader }
    }

    /// Node 0 leads epoch 1; nodes 0 and 1 have one batch, on disk.
    fn replicated() -> Paper {
        let mut paper = Paper::new();
        paper.node(0, append(AppendRole::Leader(1), batch(0, 1, 1, 1))).node(0, flushed(1));
        paper.node(1, append(AppendRole::Follower, batch(0, 1, 1, 1))).node(1, flushed(1));
        paper
    }

    #[test]
    fn a_majority_on_disk_is_accepted() {
        let mut paper = replicated();
        paper.node(0, mark(1, Some(1))).node(1, mark(1, None));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn q_5_other_content_in_the_same_epoch_is_rejected() {
        let mut paper = replicated();
        paper.node(2, append(AppendRole::Follower, batch(0, 1, 1, 9)));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn q_7_a_commit_without_a_durable_majority_is_rejected() {
        let mut paper = Paper::new();
        paper.node(0, append(AppendRole::Leader(1), batch(0, 1, 1, 1))).node(0, flushed(1));
        paper.node(1, append(AppendRole::Follower, batch(0, 1, 1, 1))).node(0, mark(1, Some(1)));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn q_4_another_committed_history_is_rejected() {
        let mut paper = replicated();
        paper.node(0, mark(1, Some(1)));
        for host in [1, 2] {
            let cut = TruncationReason::DivergingEpoch;
            paper.node(host, Observation::Truncated { log: LogId::metadata(), from: 1, to: 0, reason: cut });
        }
        paper.node(2, append(AppendRole::Leader(2), batch(0, 1, 2, 5))).node(2, flushed(1));
        paper.node(1, append(AppendRole::Follower, batch(0, 1, 2, 5))).node(1, flushed(1));
        paper.node(2, mark(1, Some(2)));
        let result = paper.verdict(NAME);
        assert!(result.violations.iter().any(|violation| violation.summary.contains("another history")));
    }

    #[test]
    fn q_9_a_cut_below_the_high_watermark_is_rejected() {
        let mut paper = replicated();
        paper.node(0, mark(1, Some(1))).node(1, mark(1, None));
        let reason = TruncationReason::DivergingEpoch;
        paper.node(1, Observation::Truncated { log: LogId::metadata(), from: 1, to: 0, reason });
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
