//! voter-changes-complete (L-Q3): every change of the voters comes to its end.

use std::collections::BTreeMap;

use broker::ids::{NodeId, Offset};
use broker::time::Instant;
use broker::trace::Observation;

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::{Looked, judge, runs};
use crate::plan::HostId;
use crate::trace::{Fact, StopKind, TraceEvent, WorldFact};

/// What a node takes for the voters.
#[derive(Debug, Clone)]
struct Known {
    offset: Offset,
    voters: Vec<NodeId>,
    since: Instant,
}

/// At the end the newest set of voters that any running node knows is committed, and every node that runs and knows voters
/// at all knows this set. Source: L-Q3, KIP-853, VK 853 `ReconfigurationNotStuck`.
#[derive(Debug, Default)]
pub struct VoterChangesComplete {
    tally: Tally,
    known: BTreeMap<HostId, Known>,
    has_changed: bool,
}

impl VoterChangesComplete {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(VoterChangesComplete::default())
    }
}

impl Check for VoterChangesComplete {
    fn interest(&self) -> Interest {
        Interest::VOTERS.and(Interest::STOPPED)
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, _ghost: &Ghost, _found: &mut Findings) {
        let Some(host) = event.host else { return };
        match &event.fact {
            Fact::Node(Observation::VotersChanged { offset, voters }) => {
                let now = Known { offset: *offset, voters: voters.clone(), since: event.at };
                let before = self.known.insert(host, now);
                self.has_changed |= before.is_some_and(|before| before.voters != *voters);
            }
            Fact::World(WorldFact::Stopped { kind }) if *kind != StopKind::End => {
                self.known.remove(&host);
            }
            _ => {}
        }
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        if !self.has_changed {
            return;
        }
        let known = || self.known.iter().filter(|(host, _)| runs(ghost, **host));
        let Some((_, newest)) = known().max_by_key(|(_, known)| known.offset) else { return };
        let ids = |voters: &[NodeId]| voters.iter().map(|voter| voter.0).collect::<Vec<i32>>();
        let committed = ghost.metadata_log().map_or(0, |(_, log)| log.committed.end());
        let open = format!("the voters {:?} at {} are not committed", ids(&newest.voters), newest.offset);
        let mut looked =
            vec![Looked { log: None, wrong: (newest.offset >= committed).then_some((newest.since, open)) }];
        looked.extend(known().map(|(host, known)| {
            let (name, own) = (ghost.name(*host), ids(&known.voters));
            let what = format!("{name} takes {own:?} for the voters instead of {:?}", ids(&newest.voters));
            Looked { log: None, wrong: (known.voters != newest.voters).then_some((newest.since, what)) }
        }));
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

    /// Nodes 0 and 1 vote, and one offset is committed; then node 2 is added at `offset`, and these hear of it.
    fn outcome(offset: Offset, hear: &[u32]) -> CheckOutcome {
        let mut paper = committed_quorum();
        for host in 0..3 {
            paper.world(host, WorldFact::Started { incarnation: 0 });
            paper.node(host, Observation::VotersChanged { offset: -1, voters: nodes(&[0, 1]) });
        }
        for host in hear {
            paper.node(*host, Observation::VotersChanged { offset, voters: nodes(&[0, 1, 2]) });
        }
        paper.verdict_after(60_000, "voter-changes-complete").result
    }

    #[test]
    fn a_committed_change_that_everybody_knows_is_accepted() {
        assert_eq!(outcome(0, &[0, 1, 2]), CheckOutcome::Held);
        assert_eq!(outcome(0, &[]), CheckOutcome::Vacuous);
    }

    #[test]
    fn l_q3_a_change_that_is_stuck_or_unknown_to_somebody_is_rejected() {
        assert_eq!(outcome(1, &[0, 1, 2]), CheckOutcome::Violated);
        assert_eq!(outcome(0, &[0, 1]), CheckOutcome::Violated);
    }
}
