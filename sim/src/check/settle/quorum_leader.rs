//! quorum-leader-elected (L-Q1): the metadata quorum has a leader.

use broker::trace::QuorumRole;

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Stance, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::{Looked, judge, runs};
use crate::trace::TraceEvent;

/// At the end a node that runs leads the metadata quorum, in the newest epoch that anybody knows, and every other voter that
/// runs follows it. Source: L-Q1, VK 853, VK 996 `EventuallyLeaderElected`.
#[derive(Debug, Default)]
pub struct QuorumLeaderElected {
    tally: Tally,
}

impl QuorumLeaderElected {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(QuorumLeaderElected::default())
    }
}

impl Check for QuorumLeaderElected {
    fn interest(&self) -> Interest {
        Interest::NOTHING
    }

    fn observe(&mut self, _event: &TraceEvent, _step: &Step, _ghost: &Ghost, _found: &mut Findings) {}

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let voters: Vec<_> = ghost.controllers().filter(|host| runs(ghost, *host)).collect();
        let stances: Vec<&Stance> = voters.iter().filter_map(|host| ghost.stance(*host)).collect();
        let Some(newest) = stances.iter().map(|stance| stance.epoch).max() else { return };
        let is_leader = |stance: &&&Stance| stance.role == QuorumRole::Leader && stance.epoch == newest;
        let Some(leader) = stances.iter().find(is_leader) else {
            let what = format!("nobody leads the metadata quorum in its newest epoch {newest}");
            return judge([Looked::wrong(None, what)], end, ghost, &mut self.tally, found);
        };
        let looked = voters.iter().filter_map(|host| {
            let stance = ghost.stance(*host)?;
            let is_with_it = stance.epoch == newest && stance.leader == leader.leader;
            let name = ghost.name(*host);
            let what = format!(
                "{name} is {:?} in epoch {} of the quorum, not in {newest}",
                stance.role, stance.epoch
            );
            Some(Looked { log: None, wrong: (!is_with_it).then_some((stance.since, what)) })
        });
        let looked: Vec<Looked> = looked.collect();
        judge(looked, end, ghost, &mut self.tally, found);
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::NodeId;
    use broker::trace::Observation;

    use super::super::super::findings::CheckOutcome;
    use super::super::super::fixture::*;
    use super::*;
    use crate::trace::WorldFact;

    fn outcome(stances: &[(i32, QuorumRole, Option<i32>)]) -> CheckOutcome {
        let mut paper = Paper::with(quorum());
        for (host, (epoch, role, leader)) in stances.iter().enumerate() {
            paper.world(host as u32, WorldFact::Started { incarnation: 0 });
            let (epoch, role, leader) = (*epoch, *role, leader.map(NodeId));
            paper.node(host as u32, Observation::QuorumRoleChanged { epoch, role, leader });
        }
        paper.verdict_after(60_000, "quorum-leader-elected").result
    }

    #[test]
    fn a_leader_that_everybody_follows_is_accepted() {
        let follows = (2, QuorumRole::Follower, Some(0));
        assert_eq!(outcome(&[(2, QuorumRole::Leader, Some(0)), follows, follows]), CheckOutcome::Held);
    }

    #[test]
    fn l_q1_a_quorum_without_a_leader_or_with_a_voter_apart_is_rejected() {
        let unattached = (2, QuorumRole::Unattached, None);
        assert_eq!(outcome(&[unattached, unattached, unattached]), CheckOutcome::Violated);
        let follows = (2, QuorumRole::Follower, Some(0));
        assert_eq!(outcome(&[(2, QuorumRole::Leader, Some(0)), follows, unattached]), CheckOutcome::Violated);
        let stale = (1, QuorumRole::Leader, Some(2));
        assert_eq!(outcome(&[(2, QuorumRole::Leader, Some(0)), follows, stale]), CheckOutcome::Violated);
    }
}
