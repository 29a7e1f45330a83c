//! quorum-roles-legal: nodes of the metadata quorum change their roles as the protocol allows.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{LeaderEpoch, NodeId};
use broker::trace::{Observation, QuorumRole};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Stance, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::{HostId, HostKind};
use crate::trace::{Fact, TraceEvent};

/// A pure broker only follows or looks for a leader; each role names the leader that belongs to it; nobody goes from one
/// role to another in a way that the protocol does not know (above all: nobody takes up an epoch that it led before it
/// booted); and no node hears of two leaders of one epoch. Source, K02, VK 996 `ValidRolesAndStates`,
/// AK `QuorumState`, `hasConsistentLeader`.
#[derive(Debug, Default)]
pub struct QuorumRolesLegal {
    tally: Tally,
    /// The leader of its newest epoch that each node has heard of.
    heard: BTreeMap<HostId, (LeaderEpoch, NodeId)>,
    reported: BTreeSet<HostId>,
}

impl QuorumRolesLegal {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(QuorumRolesLegal::default())
    }

    fn two_leaders(&mut self, host: HostId, now: &Stance) -> Option<String> {
        let leader = now.leader?;
        let (epoch, known) = self.heard.insert(host, (now.epoch, leader))?;
        (epoch == now.epoch && known != leader)
            .then(|| format!("takes {known} and then {leader} for the leader of epoch {epoch}"))
    }
}

/// Does the role name the leader that belongs to it?
fn names_its_leader(now: &Stance, node: NodeId) -> bool {
    match now.role {
        QuorumRole::Leader => now.leader == Some(node),
        QuorumRole::Follower => now.leader.is_some_and(|leader| leader != node),
        QuorumRole::Candidate | QuorumRole::Unattached => now.leader.is_none(),
        QuorumRole::Prospective | QuorumRole::Resigned => true,
    }
}

/// May a node go from `before` (`None`: it boots) to `now`?
fn is_known(before: Option<&Stance>, now: &Stance) -> bool {
    use QuorumRole::{Candidate, Follower, Leader, Prospective, Resigned, Unattached};
    let Some(before) = before else { return now.role != Leader };
    if now.epoch != before.epoch {
        // Whoever leads or gives up does so in the epoch in which it was a candidate, or led.
        return now.epoch > before.epoch && !matches!(now.role, Leader | Resigned);
    }
    match (before.role, now.role) {
        (_, Leader) => before.role == Candidate,
        (_, Resigned) => before.role == Leader,
        (Leader, _) => false,
        (Resigned, Follower | Candidate) => false,
        (Follower, Unattached | Candidate) => false,
        (Unattached | Prospective, Candidate) => false,
        (Candidate, Candidate) => false,
        _ => true,
    }
}

impl Check for QuorumRolesLegal {
    fn interest(&self) -> Interest {
        Interest::QUORUM_ROLE
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Fact::Node(Observation::QuorumRoleChanged { .. }), Some(host)) = (&event.fact, event.host)
        else {
            return;
        };
        let (Some(now), Some(node)) = (ghost.stance(host).copied(), ghost.node_of(host)) else { return };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        let kind = ghost.config().hosts.get(host.0 as usize);
        let may_vote = !matches!(kind, Some(HostKind::Node { is_controller: false, .. }));
        let role = now.role;
        let epoch = now.epoch;
        let twice = self.two_leaders(host, &now);
        let what = if !may_vote && !matches!(role, QuorumRole::Unattached | QuorumRole::Follower) {
            format!("is no voter and becomes {role:?}")
        } else if !names_its_leader(&now, node) {
            let leader = now.leader.map_or("nobody".to_owned(), |leader| leader.to_string());
            format!("becomes {role:?} in epoch {epoch} with {leader} as leader")
        } else if !is_known(step.stance_before.as_ref(), &now) {
            let before = step.stance_before;
            let from =
                before.map_or("at boot".to_owned(), |b| format!("from {:?} in epoch {}", b.role, b.epoch));
            format!("becomes {role:?} in epoch {epoch} {from}")
        } else if let Some(twice) = twice {
            twice
        } else {
            return;
        };
        if self.reported.insert(host) {
            let summary = format!("{} {what} (metadata quorum)", ghost.name(host));
            found.violation(Violation::seen_at(event, ghost, None, summary));
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
    use super::*;
    use QuorumRole::{Candidate, Follower, Leader, Prospective, Resigned, Unattached};

    fn outcome(config: JudgeConfig, host: u32, roles: &[(i32, QuorumRole, Option<i32>)]) -> CheckOutcome {
        let mut paper = Paper::with(config);
        for (epoch, role, leader) in roles {
            let (epoch, role, leader) = (*epoch, *role, leader.map(NodeId));
            paper.node(host, Observation::QuorumRoleChanged { epoch, role, leader });
        }
        paper.outcome("quorum-roles-legal")
    }

    #[test]
    fn a_life_of_a_voter_is_accepted() {
        let life = [
            (0, Unattached, None),
            (0, Prospective, None),
            (1, Candidate, None),
            (1, Prospective, None),
            (2, Candidate, None),
            (2, Leader, Some(1)),
            (2, Resigned, Some(1)),
            (3, Unattached, None),
            (3, Follower, Some(2)),
            (3, Prospective, Some(2)),
            (3, Follower, Some(2)),
            (5, Follower, Some(0)),
        ];
        assert_eq!(outcome(quorum(), 1, &life), CheckOutcome::Held);
    }

    #[test]
    fn q_13_steps_that_the_protocol_does_not_know_are_rejected() {
        for life in [
            &[(1, Leader, Some(1))][..],
            &[(1, Unattached, None), (2, Leader, Some(1))],
            &[(1, Candidate, None), (1, Leader, Some(1)), (1, Follower, Some(2))],
            &[(1, Follower, Some(2)), (1, Follower, Some(0))],
            &[(1, Follower, Some(2)), (1, Candidate, None)],
            &[(1, Follower, Some(1))],
            &[(1, Candidate, None), (1, Leader, Some(2))],
            &[(1, Follower, Some(2)), (0, Unattached, None)],
        ] {
            assert_eq!(outcome(quorum(), 1, life), CheckOutcome::Violated, "{life:?}");
        }
    }

    #[test]
    fn q_12_a_broker_that_stands_for_election_is_rejected() {
        assert_eq!(outcome(config(), 1, &[(1, Follower, Some(3000))]), CheckOutcome::Held);
        assert_eq!(outcome(config(), 1, &[(1, Prospective, None)]), CheckOutcome::Violated);
    }
}
