//! quorum-election-safety: one controller leads an epoch, and votes are durable before they are given.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{LeaderEpoch, NodeId};
use broker::trace::{AppendRole, Observation, QuorumRole};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{CrashMode, Fact, StopKind, TraceEvent, WorldFact};

/// In every epoch of the metadata quorum at most one node leads, in memory, in `quorum-state` files and in the log;
/// a node gives one vote per epoch, and has it on disk first; durable epochs never fall.
/// Source: KIP-595, KIP-996 `ElectionSafety`.
#[derive(Debug, Default)]
pub struct QuorumElectionSafety {
    tally: Tally,
    leaders: BTreeMap<LeaderEpoch, NodeId>,
    votes: BTreeMap<(HostId, LeaderEpoch), NodeId>,
    durable: BTreeMap<HostId, LeaderEpoch>,
    reported: BTreeSet<LeaderEpoch>,
}

impl QuorumElectionSafety {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(QuorumElectionSafety::default())
    }

    fn leads(&mut self, epoch: LeaderEpoch, leader: NodeId) -> Option<String> {
        self.tally.evaluations += 1;
        let known = *self.leaders.entry(epoch).or_insert(leader);
        let is_wrong = known != leader && self.reported.insert(epoch);
        is_wrong.then(|| format!("nodes {known} and {leader} both lead the metadata quorum in epoch {epoch}"))
    }

    fn persisted(&mut self, host: HostId, epoch: LeaderEpoch, voted_for: Option<NodeId>) -> Option<String> {
        self.tally.evaluations += 1;
        let before = self.durable.insert(host, epoch);
        if let Some(before) = before.filter(|before| *before > epoch) {
            return Some(format!("the durable quorum epoch falls from {before} to {epoch}"));
        }
        let vote = voted_for?;
        let known = *self.votes.entry((host, epoch)).or_insert(vote);
        (known != vote).then(|| format!("votes for {known} and then for {vote} in epoch {epoch}"))
    }

    fn granted(&mut self, host: HostId, epoch: LeaderEpoch, candidate: NodeId) -> Option<String> {
        self.tally.evaluations += 1;
        let durable = self.votes.get(&(host, epoch)).copied();
        (durable != Some(candidate))
            .then(|| format!("gives its vote of epoch {epoch} to {candidate} before that is durable"))
    }
}

impl Check for QuorumElectionSafety {
    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        if let (Fact::World(WorldFact::Stopped { kind: StopKind::Crash(CrashMode::Wipe) }), Some(host)) =
            (&event.fact, event.host)
        {
            // What was on its disk is forgotten; that it may vote twice now is the operator's doing.
            self.durable.remove(&host);
            self.votes.retain(|(voter, _), _| *voter != host);
            return;
        }
        let (Fact::Node(observation), Some(host)) = (&event.fact, event.host) else { return };
        let node = ghost.node_of(host);
        let wrong = match observation {
            Observation::QuorumRoleChanged { epoch, role: QuorumRole::Leader, .. } => {
                node.and_then(|node| self.leads(*epoch, node))
            }
            Observation::Appended { log, role: AppendRole::Leader(epoch), .. } if log.is_metadata() => {
                node.and_then(|node| self.leads(*epoch, node))
            }
            Observation::QuorumRoleChanged { epoch, leader: Some(leader), .. } => self.leads(*epoch, *leader),
            Observation::QuorumStatePersisted { epoch, voted_for, leader } => {
                let named = leader.and_then(|leader| self.leads(*epoch, leader));
                self.persisted(host, *epoch, *voted_for).or(named)
            }
            Observation::VoteGranted { epoch, candidate } => self.granted(host, *epoch, *candidate),
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

    const NAME: &str = "quorum-election-safety";

    fn persisted(epoch: LeaderEpoch, vote: i32) -> Observation {
        Observation::QuorumStatePersisted { epoch, voted_for: Some(NodeId(vote)), leader: None }
    }

    fn granted(epoch: LeaderEpoch, candidate: i32) -> Observation {
        Observation::VoteGranted { epoch, candidate: NodeId(candidate) }
    }

    fn leads(epoch: LeaderEpoch, leader: i32) -> Observation {
        let leader = Some(NodeId(leader));
        Observation::QuorumRoleChanged { epoch, role: QuorumRole::Leader, leader }
    }

    #[test]
    fn a_durable_vote_and_one_leader_are_accepted() {
        let mut paper = Paper::new();
        paper.node(1, persisted(1, 0)).node(1, granted(1, 0)).node(0, leads(1, 0)).node(1, persisted(2, 1));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn q_1_two_leaders_of_one_epoch_are_rejected() {
        let mut paper = Paper::new();
        paper.node(0, leads(1, 0)).node(1, leads(1, 1));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn q_2_two_votes_or_a_vote_that_is_not_durable_are_rejected() {
        let mut paper = Paper::new();
        paper.node(1, persisted(1, 0)).node(1, persisted(1, 2));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
        let mut paper = Paper::new();
        paper.node(1, granted(1, 0)).node(1, persisted(1, 0));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn a_voter_with_a_new_disk_begins_anew() {
        let mut paper = Paper::new();
        paper
            .node(1, persisted(3, 0))
            .crash(1, CrashMode::Wipe)
            .node(1, persisted(2, 0))
            .node(1, granted(2, 0));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
        let mut paper = Paper::new();
        paper.node(1, persisted(3, 0)).crash(1, CrashMode::Power).node(1, persisted(2, 0));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn q_3_a_durable_epoch_that_falls_is_rejected() {
        let mut paper = Paper::new();
        paper.node(1, persisted(3, 0)).node(1, persisted(2, 0));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
