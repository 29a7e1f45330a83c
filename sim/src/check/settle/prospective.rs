//! prospective-leaves (L-Q4): nobody asks for ever whether it would be elected.

use broker::trace::{Observation, QuorumRole};

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::{Looked, judge, running_nodes};
use crate::trace::{Fact, TraceEvent};

/// At the end no node of the quorum that runs has been asking for pre-votes for long: it follows, leads, or stands for
/// election. Source: L-Q4, KIP-996, VK 996 `NotStuckInProspective`.
#[derive(Debug, Default)]
pub struct ProspectiveLeaves {
    tally: Tally,
    /// How often somebody ceased to ask.
    left: u64,
}

impl ProspectiveLeaves {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(ProspectiveLeaves::default())
    }
}

impl Check for ProspectiveLeaves {
    fn interest(&self) -> Interest {
        Interest::QUORUM_ROLE
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, _ghost: &Ghost, _found: &mut Findings) {
        if let Fact::Node(Observation::QuorumRoleChanged { role, .. }) = &event.fact {
            let asked = step.stance_before.is_some_and(|before| before.role == QuorumRole::Prospective);
            self.left += u64::from(asked && *role != QuorumRole::Prospective);
        }
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let stances = running_nodes(ghost).filter_map(|(host, _)| Some((host, ghost.stance(host)?)));
        let asking = stances.filter(|(_, stance)| stance.role == QuorumRole::Prospective);
        let mut looked: Vec<Looked> = asking
            .map(|(host, stance)| {
                let what = format!("{} still asks for pre-votes in epoch {}", ghost.name(host), stance.epoch);
                Looked { log: None, wrong: Some((stance.since, what)) }
            })
            .collect();
        looked.extend((0..self.left).map(|_| Looked::right(None)));
        judge(looked, end, ghost, &mut self.tally, found);
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::NodeId;

    use super::super::super::findings::CheckOutcome;
    use super::super::super::fixture::*;
    use super::*;
    use crate::trace::WorldFact;

    fn asking() -> Paper {
        let mut paper = Paper::with(quorum());
        paper.world(1, WorldFact::Started { incarnation: 0 });
        paper.node(
            1,
            Observation::QuorumRoleChanged { epoch: 2, role: QuorumRole::Prospective, leader: None },
        );
        paper
    }

    #[test]
    fn a_node_that_finds_its_leader_is_accepted() {
        let mut paper = asking();
        let leader = Some(NodeId(0));
        paper.node(1, Observation::QuorumRoleChanged { epoch: 2, role: QuorumRole::Follower, leader });
        assert_eq!(paper.verdict_after(60_000, "prospective-leaves").result, CheckOutcome::Held);
    }

    #[test]
    fn l_q4_a_node_that_asks_for_ever_is_rejected() {
        assert_eq!(asking().verdict_after(60_000, "prospective-leaves").result, CheckOutcome::Violated);
    }
}
