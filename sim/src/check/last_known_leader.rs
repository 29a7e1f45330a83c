//! last-known-leader-kept (P-16): a partition without candidates remembers whom it may wait for.

use broker::ids::NodeId;
use broker::trace::PartitionFact;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, PartitionStep, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::trace::TraceEvent;

/// While neither the ISR nor the eligible leader replicas have a member, the last leader stays recorded; it is nobody else;
/// and if it is elected in the end, it is not fenced. As soon as there is a candidate again, nothing is remembered.
/// Source: P-16, KIP-966, ELR-4, KAFKA-19522.
#[derive(Debug, Default)]
pub struct LastKnownLeaderKept {
    tally: Tally,
}

impl LastKnownLeaderKept {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(LastKnownLeaderKept::default())
    }
}

fn has_no_candidate(state: &PartitionFact) -> bool {
    state.isr.is_empty() && state.elr.is_empty()
}

fn wrong(ghost: &Ghost, change: &PartitionStep, now: &PartitionFact) -> Option<String> {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
    let before = change.before.as_ref();
    if has_no_candidate(now) {
        let expected: Vec<NodeId> = match before.filter(|before| has_no_candidate(before)) {
            Some(before) => before.last_known_elr.clone(),
            None => change.last_leader.into_iter().collect(),
        };
        return (now.last_known_elr != expected).then(|| {
            let (known, expected) = (ids(&now.last_known_elr), ids(&expected));
            format!("has no candidate and remembers {known:?} as its last leader instead of {expected:?}")
        });
    }
    let leader = now
        .leader
        .filter(|leader| before.is_some_and(|b| has_no_candidate(b) && b.last_known_elr.contains(leader)));
    if let Some(leader) = leader.filter(|leader| ghost.broker(*leader).is_none_or(|broker| broker.is_fenced))
    {
        return Some(format!("elects its last known leader {leader}, which is fenced"));
    }
    let is_enough = now.isr.len() as i64 >= i64::from(now.min_isr).min(now.replicas.len() as i64);
    (is_enough && !now.last_known_elr.is_empty())
        .then(|| format!("still remembers {:?} though enough replicas are in sync", ids(&now.last_known_elr)))
}

impl Check for LastKnownLeaderKept {
    fn interest(&self) -> Interest {
        Interest::METADATA
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Some(change) = &step.partition else { return };
        let log = ghost.log(change.log);
        let Some(now) = &log.partition else { return };
        self.tally.examined += 1;
        let concerns = |state: &PartitionFact| has_no_candidate(state) || !state.last_known_elr.is_empty();
        if !concerns(now) && !change.before.as_ref().is_some_and(concerns) {
            return;
        }
        self.tally.evaluations += 1;
        if let Some(what) = wrong(ghost, change, now) {
            let summary = format!("{} {what}", log.id);
            found.violation(Violation::seen_at(event, ghost, Some(change.log), summary));
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::MetadataFact;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;

    const NAME: &str = "last-known-leader-kept";

    /// Broker 0 was the last leader; there is no candidate, and `known` is remembered.
    fn without_candidates(known: &[i32]) -> Paper {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0]).register_partition(|state| {
            (state.leader, state.isr, state.last_known_elr) = (None, vec![], nodes(known));
        });
        paper
    }

    fn elected(paper: &mut Paper) {
        paper.register_partition(|state| {
            state.leader = Some(NodeId(0));
            (state.isr, state.last_known_elr) = (nodes(&[0]), vec![]);
        });
    }

    #[test]
    fn a_last_leader_that_is_kept_and_elected_is_accepted() {
        let mut paper = without_candidates(&[0]);
        paper.register_partition(|state| state.leader_epoch += 1);
        elected(&mut paper);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn p_16_a_last_leader_that_is_forgotten_or_mistaken_is_rejected() {
        assert_eq!(without_candidates(&[]).outcome(NAME), CheckOutcome::Violated);
        assert_eq!(without_candidates(&[1]).outcome(NAME), CheckOutcome::Violated);
        let mut paper = without_candidates(&[0]);
        paper.register_partition(|state| state.last_known_elr.clear());
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn r12b_a_fenced_last_leader_that_is_elected_is_rejected() {
        let mut paper = without_candidates(&[0]);
        paper.meta(MetadataFact::BrokerFenced { broker: NodeId(0) });
        elected(&mut paper);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn without_the_feature_there_is_nothing_to_say() {
        let mut paper = Paper::started(config());
        paper.elect(None, 1, &[0]);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Vacuous);
    }
}
