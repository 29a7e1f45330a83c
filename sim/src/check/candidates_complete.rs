//! candidates-complete (P-3): whoever may be elected has every committed record. The earliest alarm of all.

use std::collections::BTreeSet;

use broker::ids::NodeId;
use broker::trace::{MetadataFact, Observation, PartitionFact};

use super::budget;
use super::chain::Chain;
use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::replica::LogGhost;
use crate::trace::{Fact, TraceEvent};

/// Each member of the committed ISR, and each eligible leader replica (KIP-966), that runs, is registered and is not fenced
/// holds everything that is committed. Source: P-3, ELR-3, VK 966 `LeaderCandidateCompleteness`, HK `StrongIsr`.
///
/// Brokers that are down or have not come back are passed over (museum 1.1 c): after a legal power loss they are still in
/// the ISR, and the controller removes them before they count again.
#[derive(Debug, Default)]
pub struct CandidatesComplete {
    tally: Tally,
    incomplete: BTreeSet<(usize, NodeId)>,
}

impl CandidatesComplete {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(CandidatesComplete::default())
    }

    fn judge(&mut self, event: &TraceEvent, index: usize, node: NodeId, ghost: &Ghost, found: &mut Findings) {
        let log = ghost.log(index);
        let Some(host) = ghost.host_of(node).filter(|_| ghost.is_serving(node)) else { return };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        let empty = Chain::default();
        let chain = log.replica(host).map_or(&empty, |replica| &replica.chain);
        if chain.contains(&log.committed) {
            self.incomplete.remove(&(index, node));
            return;
        }
        let (from, to) = (chain.common_end(&log.committed), log.committed.end());
        // A permitted loss is reported once, when somebody leads without the records.
        if budget::permit(ghost, index, host, from).is_some() || !self.incomplete.insert((index, node)) {
            return;
        }
        let is_in_sync = log.partition.as_ref().is_none_or(|state| state.isr.contains(&node));
        let place = if is_in_sync { "isr" } else { "eligible leader replicas" };
        let summary = format!(
            "broker {node} is in the committed {place} of {} but lacks the committed offsets {from}..{to}",
            log.id
        );
        found.violation(Violation::seen_at(event, ghost, Some(index), summary).with_offsets(from, to));
    }

    fn judge_all(&mut self, event: &TraceEvent, index: usize, ghost: &Ghost, found: &mut Findings) {
        let candidates = |state: &'_ PartitionFact| state.isr.iter().chain(&state.elr).copied().collect();
        let members: Vec<NodeId> = ghost.log(index).partition.as_ref().map_or_else(Vec::new, candidates);
        for member in &members {
            self.judge(event, index, *member, ghost, found);
        }
    }
}

fn is_candidate(log: &LogGhost, node: NodeId) -> bool {
    log.partition.as_ref().is_some_and(|state| state.isr.contains(&node) || state.elr.contains(&node))
}

impl Check for CandidatesComplete {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(observation) = &event.fact else { return };
        if let Some(change) = &step.partition {
            return self.judge_all(event, change.log, ghost, found);
        }
        match observation {
            Observation::IsrCommitted { .. } => {
                if let Some(index) = step.log {
                    self.judge_all(event, index, ghost, found);
                }
            }
            Observation::Truncated { .. } | Observation::LogOpened { .. } => {
                let Some((index, node)) = step.log.zip(event.host.and_then(|host| ghost.node_of(host)))
                else {
                    return;
                };
                if is_candidate(ghost.log(index), node) {
                    self.judge(event, index, node, ghost, found);
                }
            }
            Observation::MetadataCommitted { fact: MetadataFact::BrokerUnfenced { broker }, .. }
                if step.is_first =>
            {
                for (index, log) in ghost.logs() {
                    if is_candidate(log, *broker) {
                        self.judge(event, index, *broker, ghost, found);
                    }
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
    use crate::trace::CrashMode;

    fn committed() -> Paper {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0, 1]).write(0, &[1], batch(0, 2, 0, 1)).commit(0, 0, 0, 2);
        paper
    }

    #[test]
    fn a_member_that_caught_up_is_accepted() {
        let mut paper = committed();
        paper.append(2, broker::trace::AppendRole::Follower, batch(0, 2, 0, 1)).elect(Some(0), 0, &[0, 1, 2]);
        assert_eq!(paper.outcome("candidates-complete"), CheckOutcome::Held);
    }

    #[test]
    fn p_3_a_member_that_lacks_a_committed_record_is_rejected_once() {
        let mut paper = committed();
        paper.elect(Some(0), 0, &[0, 1, 2]).elect(Some(0), 0, &[0, 2]);
        assert_eq!(paper.verdict("candidates-complete").count, 1);
    }

    #[test]
    fn p_3_a_member_that_cuts_a_committed_record_is_rejected() {
        let mut paper = committed();
        paper.cut(1, 2, 0);
        assert_eq!(paper.outcome("candidates-complete"), CheckOutcome::Violated);
    }

    #[test]
    fn p_3_an_eligible_leader_replica_that_lacks_a_committed_record_is_rejected() {
        for (cut, expected) in [(2, CheckOutcome::Held), (0, CheckOutcome::Violated)] {
            let mut paper = committed();
            paper.elect(Some(0), 0, &[0]).cut(1, 2, cut);
            paper.register_partition(|state| state.elr = nodes(&[1]));
            assert_eq!(paper.outcome("candidates-complete"), expected, "cut to {cut}");
        }
    }

    #[test]
    fn a_lossy_broker_that_has_not_registered_again_is_passed_over() {
        let mut paper = committed();
        paper.crash(1, CrashMode::Power).open(1, 1, &[]).elect(Some(0), 0, &[0, 1]);
        assert_eq!(paper.outcome("candidates-complete"), CheckOutcome::Held);
    }

    #[test]
    fn a_lossy_broker_that_registers_and_stays_in_the_isr_is_rejected() {
        let mut paper = committed();
        paper.crash(1, CrashMode::Power).open(1, 1, &[]).register(1);
        assert_eq!(paper.outcome("candidates-complete"), CheckOutcome::Violated);
    }
}
