//! pre-vote-quiet: nobody disturbs a quorum that works.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{LeaderEpoch, NodeId};
use broker::trace::{Observation, QuorumRole};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// A node raises the epoch and stands for election only after a majority of voters said, in the epoch before, that it would
/// be elected; and a leader never says so of somebody else. Therefore the epoch does not change as long as a majority
/// hears of its leader. Source: Q-18, KIP-996, KAFKA-16164.
///
/// A node that boots with its own vote on disk takes its candidacy up again without asking: the epoch is not new.
#[derive(Debug, Default)]
pub struct PreVoteQuiet {
    tally: Tally,
    /// Who said yes, by candidate, in the candidate's epoch.
    granted: BTreeMap<NodeId, (LeaderEpoch, BTreeSet<HostId>)>,
}

impl PreVoteQuiet {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(PreVoteQuiet::default())
    }

    fn said_yes(
        &mut self,
        host: HostId,
        epoch: LeaderEpoch,
        candidate: NodeId,
        ghost: &Ghost,
    ) -> Option<String> {
        self.tally.evaluations += 1;
        let (in_epoch, hosts) = self.granted.entry(candidate).or_default();
        if *in_epoch != epoch {
            (*in_epoch, *hosts) = (epoch, BTreeSet::new());
        }
        hosts.insert(host);
        let leads = ghost.stance(host).is_some_and(|stance| stance.role == QuorumRole::Leader);
        leads.then(|| format!("leads epoch {epoch} and would vote for {candidate}"))
    }

    /// A node stands for election in `epoch`.
    fn stands(&mut self, host: HostId, epoch: LeaderEpoch, step: &Step, ghost: &Ghost) -> Option<String> {
        let before = step.stance_before.filter(|before| before.epoch < epoch)?;
        self.tally.evaluations += 1;
        let voters = ghost.controllers().count();
        let node = ghost.node_of(host)?;
        let others = self.granted.get(&node).filter(|(asked, _)| *asked == before.epoch);
        let yes = 1 + others.map_or(0, |(_, hosts)| hosts.iter().filter(|other| **other != host).count());
        (2 * yes <= voters).then(|| {
            format!("raises the epoch to {epoch} although {yes} of {voters} voters would vote for it")
        })
    }
}

impl Check for PreVoteQuiet {
    fn interest(&self) -> Interest {
        Interest::PRE_VOTE.and(Interest::QUORUM_ROLE)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Fact::Node(observation), Some(host)) = (&event.fact, event.host) else { return };
        let wrong = match observation {
            Observation::PreVoteGranted { epoch, candidate } => {
                self.said_yes(host, *epoch, *candidate, ghost)
            }
            Observation::QuorumRoleChanged { epoch, role: QuorumRole::Candidate, .. } => {
                self.stands(host, *epoch, step, ghost)
            }
            Observation::QuorumRoleChanged { role, .. } => {
                if *role == QuorumRole::Prospective {
                    // A new question: what was said to an earlier one does not count.
                    self.granted.extend(ghost.node_of(host).map(|node| (node, Default::default())));
                }
                return;
            }
            _ => return,
        };
        self.tally.examined += 1;
        if let Some(what) = wrong {
            let summary = format!("{}: {what}", ghost.name(host));
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

    const NAME: &str = "pre-vote-quiet";

    fn role(epoch: i32, role: QuorumRole) -> Observation {
        Observation::QuorumRoleChanged { epoch, role, leader: None }
    }

    fn yes(epoch: i32, candidate: i32) -> Observation {
        Observation::PreVoteGranted { epoch, candidate: NodeId(candidate) }
    }

    /// Node 1 lost its leader in epoch 3 and asks.
    fn asking() -> Paper {
        let mut paper = Paper::with(quorum());
        paper.node(0, role(3, QuorumRole::Leader)).node(2, role(3, QuorumRole::Unattached));
        paper.node(1, role(3, QuorumRole::Follower)).node(1, role(3, QuorumRole::Prospective));
        paper
    }

    #[test]
    fn a_candidate_that_a_majority_would_elect_is_accepted() {
        let mut paper = asking();
        paper.node(2, yes(3, 1)).node(1, role(4, QuorumRole::Candidate));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn q_18_a_candidate_that_nobody_or_an_earlier_question_supports_is_rejected() {
        let mut paper = asking();
        paper.node(1, role(4, QuorumRole::Candidate));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
        let mut paper = asking();
        paper
            .node(2, yes(3, 1))
            .node(1, role(3, QuorumRole::Follower))
            .node(1, role(3, QuorumRole::Prospective));
        paper.node(1, role(4, QuorumRole::Candidate));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn q_18_a_candidate_in_a_quorum_where_nobody_asks_first_is_rejected() {
        let mut paper = Paper::with(quorum());
        paper.node(1, role(3, QuorumRole::Follower)).node(1, role(4, QuorumRole::Candidate));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn q_18_a_leader_that_would_vote_for_another_is_rejected() {
        let mut paper = asking();
        paper.node(0, yes(3, 1));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn a_candidacy_taken_up_again_at_boot_is_accepted() {
        let mut paper = asking();
        paper.node(2, yes(3, 1)).node(0, role(4, QuorumRole::Candidate));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated, "it was the leader");
        let mut paper = Paper::with(quorum());
        paper.node(1, yes(3, 2)).node(0, role(4, QuorumRole::Candidate));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }
}
