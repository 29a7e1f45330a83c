//! high-watermark-on-quorum (P-9): nothing is committed that a member of the maximal ISR lacks.

use std::collections::BTreeSet;

use broker::ids::NodeId;
use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use crate::trace::{Fact, TraceEvent};

/// When the leader of the newest epoch moves its high watermark, every member of its maximal ISR and of the ISR that the
/// quorum has committed has everything below, and the ISR is not smaller than `min.insync.replicas`.
/// Source: P-9, P-4, REP-5, KIP-497.
///
/// A stale leader is passed over: what it calls committed is covered by the members' promise to their new leader.
#[derive(Debug, Default)]
pub struct HighWatermarkOnQuorum {
    tally: Tally,
    reported: BTreeSet<(usize, i32)>,
}

impl HighWatermarkOnQuorum {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(HighWatermarkOnQuorum::default())
    }
}

impl Check for HighWatermarkOnQuorum {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(Observation::HighWatermark { from, to, leader: Some(view), .. }) = &event.fact else {
            return;
        };
        let (Some(index), Some(host)) = (step.log, event.host) else { return };
        let log = ghost.log(index);
        if log.id.is_metadata() || !step.is_current_leader || to <= from {
            return;
        }
        let Some(leader) = log.replica(host) else { return };
        self.tally.evaluations += 1;
        let border = leader.chain.border(*to);
        let hash = leader.chain.hash_at(border);
        let committed = log.partition.iter().flat_map(|partition| partition.isr.iter().copied());
        let members: BTreeSet<NodeId> = view.maximal_isr.iter().copied().chain(committed).collect();
        let lacks = |member: &NodeId| {
            let Some(at) = ghost.host_of(*member) else { return false };
            let Some(replica) = log.replica(at) else { return border > 0 };
            // Whoever lost power had the records when it fetched; the controller will hear of it.
            let is_lossy = replica.power.is_some() || replica.lost.is_some();
            !is_lossy && replica.chain.is_anchored() && replica.chain.hash_at(border) != hash
        };
        self.tally.examined += members.len() as u64;
        let missing: Vec<i32> =
            members.iter().filter(|member| lacks(member)).map(|member| member.0).collect();
        let summary = if !missing.is_empty() {
            format!(
                "high watermark of {} moves to {to}, but members {missing:?} of the isr do not have that",
                log.id
            )
        } else if (view.isr.len() as i64) < i64::from(view.min_isr) {
            let (isr, min_isr) = (view.isr.len(), view.min_isr);
            format!(
                "high watermark of {} moves to {to} with {isr} in sync and min.insync.replicas={min_isr}",
                log.id
            )
        } else {
            return;
        };
        if self.reported.insert((index, view.leader_epoch)) {
            found.violation(Violation::seen_at(event, ghost, Some(index), summary).with_offsets(*from, *to));
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::LeaderView;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;

    fn view(isr: &[i32], maximal: &[i32]) -> Option<LeaderView> {
        let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect();
        Some(LeaderView { leader_epoch: 0, isr: nodes(isr), maximal_isr: nodes(maximal), min_isr: 2 })
    }

    #[test]
    fn a_mark_that_everybody_reached_is_accepted() {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).commit(0, 0, 0, 2);
        assert_eq!(paper.outcome("high-watermark-on-quorum"), CheckOutcome::Held);
    }

    #[test]
    fn p_9_a_mark_above_a_member_is_rejected() {
        let mut paper = Paper::started(config());
        paper.write(0, &[1], batch(0, 2, 0, 1)).commit(0, 0, 0, 2);
        let result = paper.verdict("high-watermark-on-quorum");
        assert_eq!(result.result, CheckOutcome::Violated);
        assert!(result.violations[0].summary.contains("[2]"));
    }

    #[test]
    fn p_4_a_member_that_the_controller_has_committed_counts_even_if_the_leader_does_not_know() {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0, 1]).elect(Some(0), 0, &[0, 1, 2]).write(0, &[1], batch(0, 2, 0, 1));
        paper.high_watermark(0, 0, 2, 2, view(&[0, 1], &[0, 1]));
        assert_eq!(paper.outcome("high-watermark-on-quorum"), CheckOutcome::Violated);
    }

    #[test]
    fn rep_5_a_mark_below_min_isr_is_rejected() {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0]).write(0, &[], batch(0, 2, 0, 1));
        paper.high_watermark(0, 0, 2, 2, view(&[0], &[0]));
        assert_eq!(paper.outcome("high-watermark-on-quorum"), CheckOutcome::Violated);
    }

    #[test]
    fn a_stale_leader_is_passed_over() {
        let mut paper = Paper::started(config());
        paper.elect(Some(1), 1, &[1, 2]).write(0, &[], batch(0, 2, 0, 1)).commit(0, 0, 0, 2);
        assert_eq!(paper.outcome("high-watermark-on-quorum"), CheckOutcome::Vacuous);
    }
}
