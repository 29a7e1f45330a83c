//! reassignment-completes (L-P6): every reassignment comes to its end.

use std::collections::BTreeMap;

use broker::time::Instant;

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::{Looked, judge};
use crate::trace::TraceEvent;

/// At the end no partition adds or removes replicas any more. Source: L-P6, KIP-455, CTL-7, VK 966
/// `ReassignmentCompletes`.
#[derive(Debug, Default)]
pub struct ReassignmentCompletes {
    tally: Tally,
    /// Those under way, by log, and since when.
    open: BTreeMap<usize, Instant>,
    completed: u64,
}

impl ReassignmentCompletes {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(ReassignmentCompletes::default())
    }
}

impl Check for ReassignmentCompletes {
    fn interest(&self) -> Interest {
        Interest::METADATA
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, _found: &mut Findings) {
        let Some(change) = &step.partition else { return };
        let Some(now) = &ghost.log(change.log).partition else { return };
        if !now.adding.is_empty() || !now.removing.is_empty() {
            self.open.entry(change.log).or_insert(event.at);
        } else if self.open.remove(&change.log).is_some() {
            self.completed += 1;
        }
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let open = self.open.iter().filter(|(log, _)| !ghost.log(**log).is_deleted);
        let mut looked: Vec<Looked> = open
            .map(|(log, since)| {
                let state = ghost.log(*log).partition.as_ref();
                let ids =
                    |nodes: &[broker::ids::NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
                let (adding, removing) =
                    state.map_or_else(Default::default, |state| (ids(&state.adding), ids(&state.removing)));
                let id = &ghost.log(*log).id;
                let what = format!("{id} still adds replicas {adding:?} and removes {removing:?}");
                Looked { log: Some(*log), wrong: Some((*since, what)) }
            })
            .collect();
        looked.extend((0..self.completed).map(|_| Looked::right(None)));
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

    const NAME: &str = "reassignment-completes";

    fn moving() -> Paper {
        let mut paper = Paper::started(config());
        paper.register_partition(|state| (state.adding, state.removing) = (nodes(&[2]), nodes(&[1])));
        paper
    }

    #[test]
    fn a_reassignment_that_ends_is_accepted() {
        let mut paper = moving();
        paper.register_partition(|state| (state.adding, state.removing) = (vec![], vec![]));
        assert_eq!(paper.verdict_after(60_000, NAME).result, CheckOutcome::Held);
        assert_eq!(Paper::started(config()).outcome(NAME), CheckOutcome::Vacuous);
    }

    #[test]
    fn l_p6_a_reassignment_that_goes_on_for_ever_is_rejected() {
        assert_eq!(moving().verdict_after(60_000, NAME).result, CheckOutcome::Violated);
    }
}
