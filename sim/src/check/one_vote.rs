//! one-vote: one vote per epoch, on disk before it is given.

use std::collections::BTreeMap;

use broker::ids::{LeaderEpoch, NodeId};
use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// A node of the metadata quorum votes for one candidate at most in each epoch, whatever happens to it in between, and its
/// vote is durable before anybody hears of it. Source: Q-2, KIP-595, AK `QuorumState`.
///
/// A node whose disk was replaced knows nothing of its votes: it begins anew.
#[derive(Debug, Default)]
pub struct OneVote {
    tally: Tally,
    /// By host, its disk and the epoch.
    durable: BTreeMap<(HostId, u32, LeaderEpoch), NodeId>,
    given: BTreeMap<(HostId, u32, LeaderEpoch), NodeId>,
}

impl OneVote {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(OneVote::default())
    }
}

/// Two votes in one epoch, if these are.
fn twice(known: NodeId, vote: NodeId, epoch: LeaderEpoch) -> Option<String> {
    (known != vote).then(|| format!("votes for {known} and then for {vote} in epoch {epoch}"))
}

impl Check for OneVote {
    fn interest(&self) -> Interest {
        Interest::QUORUM_STATE.and(Interest::VOTE)
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Fact::Node(observation), Some(host)) = (&event.fact, event.host) else { return };
        let disk = ghost.disk(host);
        let wrong = match observation {
            Observation::QuorumStatePersisted { epoch, voted_for: Some(vote), .. } => {
                twice(*self.durable.entry((host, disk, *epoch)).or_insert(*vote), *vote, *epoch)
            }
            Observation::VoteGranted { epoch, candidate } => {
                let key = (host, disk, *epoch);
                let known = *self.given.entry(key).or_insert(*candidate);
                let is_durable = self.durable.get(&key) == Some(candidate);
                let early = (!is_durable)
                    .then(|| format!("gives its vote of epoch {epoch} to {candidate} before it is durable"));
                twice(known, *candidate, *epoch).or(early)
            }
            _ => return,
        };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if let Some(what) = wrong {
            let summary = format!("{} {what}", ghost.name(host));
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
    use crate::trace::{CrashMode, WorldFact};

    const NAME: &str = "one-vote";

    fn persisted(epoch: LeaderEpoch, vote: i32) -> Observation {
        Observation::QuorumStatePersisted { epoch, voted_for: Some(NodeId(vote)), leader: None }
    }

    fn granted(epoch: LeaderEpoch, candidate: i32) -> Observation {
        Observation::VoteGranted { epoch, candidate: NodeId(candidate) }
    }

    #[test]
    fn a_durable_vote_that_is_repeated_is_accepted() {
        let mut paper = Paper::with(quorum());
        paper.node(1, persisted(1, 0)).node(1, granted(1, 0)).crash(1, CrashMode::Process);
        paper.world(1, WorldFact::Started { incarnation: 1 }).node(1, granted(1, 0)).node(1, persisted(2, 2));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn q_2_a_second_vote_is_rejected_across_restarts() {
        let mut paper = Paper::with(quorum());
        paper.node(1, persisted(1, 0)).node(1, granted(1, 0)).crash(1, CrashMode::Power);
        paper.world(1, WorldFact::Started { incarnation: 1 }).node(1, persisted(1, 2));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn q_2_a_vote_that_is_given_before_it_is_durable_is_rejected() {
        let mut paper = Paper::with(quorum());
        paper.node(1, granted(1, 0)).node(1, persisted(1, 0));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
