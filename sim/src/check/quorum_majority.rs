//! quorum-commit-on-majority: what a leader commits is on the disks of a majority of voters.

use std::collections::BTreeSet;

use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// When the leader of the newest epoch moves the high watermark of the metadata log, more than half of the voters have the
/// same log up to there, synced. A leader that is no voter does not count itself (KIP-853). Source: Q-7, KIP-595,
/// VR `CommittedEntriesReachMajority`, VK `RaftFsync`.
///
/// Voters that lost their disk are waived: the leader counted what they had.
#[derive(Debug, Default)]
pub struct QuorumCommitOnMajority {
    tally: Tally,
    reported: BTreeSet<HostId>,
}

impl QuorumCommitOnMajority {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(QuorumCommitOnMajority::default())
    }
}

impl Check for QuorumCommitOnMajority {
    fn interest(&self) -> Interest {
        Interest::HIGH_WATERMARK
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(Observation::HighWatermark { to, leader: Some(view), .. }) = &event.fact else {
            return;
        };
        let (Some(index), Some(host)) = (step.log, event.host) else { return };
        let log = ghost.log(index);
        if !log.id.is_metadata() || !step.is_current_leader {
            return;
        }
        let Some(leader) = log.replica(host) else { return };
        let border = leader.chain.border(*to);
        let hash = leader.chain.hash_at(border);
        let has_it = |voter: &HostId| {
            let is_same = log.replica(*voter).is_some_and(|replica| {
                let is_equal = !replica.chain.is_anchored() || replica.chain.hash_at(border) == hash;
                replica.flushed >= border && is_equal
            });
            is_same || ghost.lost_disk(*voter)
        };
        let hosts = view.isr.iter().filter_map(|voter| ghost.host_of(*voter));
        let durable = hosts.filter(has_it).count();
        self.tally.evaluations += 1;
        self.tally.examined += view.isr.len() as u64;
        if 2 * durable > view.isr.len() || !self.reported.insert(host) {
            return;
        }
        let (name, voters) = (ghost.name(host), view.isr.len());
        let summary = format!(
            "{name} commits the metadata log to {to}, which is durable on {durable} of {voters} voters"
        );
        found.violation(Violation::seen_at(event, ghost, Some(index), summary));
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::NodeId;
    use broker::trace::{AppendRole, LeaderView};

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;

    const NAME: &str = "quorum-commit-on-majority";

    #[test]
    fn a_majority_on_disk_is_accepted() {
        assert_eq!(committed_quorum().outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn q_7_a_copy_that_is_not_synced_does_not_count() {
        let mut paper = Paper::with(quorum());
        paper.quorum_append(0, AppendRole::Leader(1), batch(0, 1, 1, 1)).quorum_flush(0, 1);
        paper.quorum_append(1, AppendRole::Follower, batch(0, 1, 1, 1)).quorum_commit(0, 1, 1);
        assert!(paper.verdict(NAME).violations[0].summary.contains("1 of 3 voters"));
    }

    #[test]
    fn k10_a_leader_that_is_no_voter_does_not_count_itself() {
        let mut paper = Paper::with(quorum());
        for (host, role) in [(0, AppendRole::Leader(1)), (1, AppendRole::Follower)] {
            paper.quorum_append(host, role, batch(0, 1, 1, 1)).quorum_flush(host, 1);
        }
        let voters = vec![NodeId(1), NodeId(2)];
        let view = LeaderView { leader_epoch: 1, isr: voters.clone(), maximal_isr: voters, min_isr: 2 };
        paper.quorum_high_watermark(0, 0, 1, Some(view));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
