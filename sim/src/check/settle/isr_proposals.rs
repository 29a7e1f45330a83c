//! isr-proposals-resolve (L-P2): every ISR that a leader asked for is answered.

use broker::ids::{LeaderEpoch, NodeId};
use broker::time::Instant;
use broker::trace::Observation;

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::{Looked, judge};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// A proposal that nobody has answered yet.
#[derive(Debug, Clone)]
struct Open {
    host: HostId,
    epoch: LeaderEpoch,
    to: Vec<NodeId>,
    at: Instant,
}

/// At the end no leader waits for the answer to an ISR that it asked for long ago: it was committed, or it leads no longer,
/// or it asked for another one. Source: L-P2, REP-9, VK 966 `AlterPartitionResolves`.
#[derive(Debug, Default)]
pub struct IsrProposalsResolve {
    tally: Tally,
    /// By log.
    open: Vec<Option<Open>>,
    answered: u64,
}

impl IsrProposalsResolve {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(IsrProposalsResolve::default())
    }

    fn close(&mut self, log: usize, is_over: impl Fn(&Open) -> bool) {
        if let Some(open) = self.open.get_mut(log)
            && open.take_if(|open| is_over(open)).is_some()
        {
            self.answered += 1;
        }
    }
}

impl Check for IsrProposalsResolve {
    fn interest(&self) -> Interest {
        Interest::ISR_PROPOSED
            .and(Interest::ISR_COMMITTED)
            .and(Interest::BECAME_LEADER)
            .and(Interest::BECAME_FOLLOWER)
            .and(Interest::METADATA)
            .and(Interest::STOPPED)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, _found: &mut Findings) {
        let Some(host) = event.host else { return };
        let Fact::Node(observation) = &event.fact else {
            (0..self.open.len()).for_each(|log| self.close(log, |open| open.host == host));
            return;
        };
        let Some(index) = step.log else { return };
        match observation {
            Observation::IsrProposed { leader_epoch, to, .. } => {
                self.open.resize(self.open.len().max(index + 1), None);
                let open = Open { host, epoch: *leader_epoch, to: to.clone(), at: event.at };
                if self.open[index].replace(open).is_some() {
                    self.answered += 1;
                }
            }
            Observation::IsrCommitted { .. }
            | Observation::BecameLeader { .. }
            | Observation::BecameFollower { .. } => self.close(index, |open| open.host == host),
            Observation::MetadataCommitted { .. } => {
                let epoch = ghost.log(index).newest_epoch;
                self.close(index, |open| open.epoch < epoch);
            }
            _ => {}
        }
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let open = self.open.iter().enumerate().filter_map(|(log, open)| Some((log, open.as_ref()?)));
        let is_committed = |log: usize, open: &Open| {
            let state = ghost.log(log).partition.as_ref();
            ghost.log(log).is_deleted
                || state.is_some_and(|state| {
                    state.isr.len() == open.to.len() && open.to.iter().all(|node| state.isr.contains(node))
                })
        };
        let mut looked: Vec<Looked> = open
            .map(|(log, open)| {
                let ids: Vec<i32> = open.to.iter().map(|node| node.0).collect();
                let (name, id) = (ghost.name(open.host), &ghost.log(log).id);
                let what =
                    format!("{name} still waits for isr {ids:?} of {id}, as leader of epoch {}", open.epoch);
                let wrong = (!is_committed(log, open)).then_some((open.at, what));
                Looked { log: Some(log), wrong }
            })
            .collect();
        looked.extend((0..self.answered).map(|_| Looked::right(None)));
        judge(looked, end, ghost, &mut self.tally, found);
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::findings::CheckOutcome;
    use super::super::super::fixture::*;
    use super::*;

    const NAME: &str = "isr-proposals-resolve";

    fn proposed() -> Paper {
        let mut paper = Paper::started(config());
        let (from, to) = (nodes(&[0, 1, 2]), nodes(&[0, 1]));
        paper.node(0, Observation::IsrProposed { log: log(), leader_epoch: 0, from, to });
        paper
    }

    #[test]
    fn proposals_that_are_answered_or_overtaken_are_accepted() {
        let mut paper = proposed();
        paper.elect(Some(0), 0, &[0, 1]).isr_committed(0, 0, &[0, 1]);
        assert_eq!(paper.verdict_after(60_000, NAME).result, CheckOutcome::Held);
        let mut paper = proposed();
        paper.elect(Some(1), 1, &[0, 1, 2]);
        assert_eq!(paper.verdict_after(60_000, NAME).result, CheckOutcome::Held);
    }

    #[test]
    fn l_p2_a_proposal_that_stays_open_is_rejected() {
        assert_eq!(proposed().verdict_after(60_000, NAME).result, CheckOutcome::Violated);
    }
}
