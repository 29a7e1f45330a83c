//! quorum-commit-durable: what the metadata quorum has committed stays.

use std::collections::BTreeSet;

use broker::trace::{Observation, QuorumRole};

use super::budget;
use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use super::log_matching::agrees_below_high_watermark;
use super::replica::{LogGhost, Replica};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent, WorldFact};

/// No leader of the newest epoch lacks a committed record or commits another history; below its high watermark
/// every node has what is committed; and the newest committed record is always on the disk of some voter.
/// Source: KIP-595, VK `NoLogDivergence`, `LeaderHasAllAckedValues`, `AckedValueNotLost`.
///
/// Any number of power losses is allowed: what is committed is synced on a majority. Only replaced disks may take it.
#[derive(Debug, Default)]
pub struct QuorumCommitDurable {
    tally: Tally,
    reported: BTreeSet<(&'static str, HostId)>,
}

impl QuorumCommitDurable {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(QuorumCommitDurable::default())
    }
}

/// Would this replica still have the newest committed record if its power failed now?
fn keeps(replica: &Replica, log: &LogGhost) -> bool {
    let border = log.committed.end();
    let has_it =
        !replica.chain.is_anchored() || replica.chain.hash_at(border) == log.committed.hash_at(border);
    let is_behind = replica.chain.end() < border;
    !is_behind && has_it && (replica.power.is_none() || replica.flushed >= border)
}

fn is_gone(log: &LogGhost, ghost: &Ghost) -> bool {
    log.committed.end() > 0
        && !ghost.controllers().any(|host| log.replica(host).is_some_and(|replica| keeps(replica, log)))
}

fn wrong(
    step: &Step,
    ghost: &Ghost,
    log: &LogGhost,
    host: HostId,
    observation: &Observation,
) -> Option<&'static str> {
    match observation {
        Observation::HighWatermark { .. } if step.conflict.is_some() => {
            Some("a leader commits another history than the one that was committed")
        }
        Observation::HighWatermark { .. } => (agrees_below_high_watermark(log, host) == Some(false))
            .then_some("the log differs from the committed one below its high watermark"),
        Observation::QuorumRoleChanged { epoch, role: QuorumRole::Leader, .. } => {
            let lacks = log.replica(host).is_none_or(|replica| !replica.chain.contains(&log.committed));
            (*epoch >= log.newest_epoch && log.committed.end() > 0 && lacks)
                .then_some("a leader of the quorum lacks committed records")
        }
        _ => is_gone(log, ghost).then_some("no voter has the newest committed record any more"),
    }
}

impl Check for QuorumCommitDurable {
    fn interest(&self) -> Interest {
        Interest::HIGH_WATERMARK
            .and(Interest::QUORUM_ROLE)
            .and(Interest::LOG_OPENED)
            .and(Interest::TRUNCATED)
            .and(Interest::STOPPED)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Some((index, log)), Some(host)) = (ghost.metadata_log(), event.host) else { return };
        let what = match &event.fact {
            Fact::World(WorldFact::Stopped { .. }) => {
                is_gone(log, ghost).then_some("no voter has the newest committed record any more")
            }
            Fact::Node(Observation::QuorumRoleChanged { role, .. }) if *role != QuorumRole::Leader => return,
            Fact::Node(observation @ Observation::QuorumRoleChanged { .. }) => {
                wrong(step, ghost, log, host, observation)
            }
            Fact::Node(observation) if step.log == Some(index) => wrong(step, ghost, log, host, observation),
            _ => return,
        };
        self.tally.evaluations += u64::from(log.committed.end() > 0);
        self.tally.examined += 1;
        // Whoever lost its disk forgot what it promised: what follows from that is allowed (KIP-853).
        if let Some(what) = what
            && budget::permit(ghost, index, host, 0).is_none()
            && self.reported.insert((what, host))
        {
            let summary = format!("{}: {what} (metadata log)", ghost.name(host));
            found.violation(Violation::seen_at(event, ghost, Some(index), summary));
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::{LogId, NodeId};
    use broker::trace::{AppendRole, BatchFact, TruncationReason};

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;
    use crate::trace::{CrashMode, WorldFact};

    const NAME: &str = "quorum-commit-durable";

    fn reopened(host: u32, paper: &mut Paper, batches: &[BatchFact]) {
        paper.world(host, WorldFact::Started { incarnation: 1 });
        let log_end = batches.last().map_or(0, |batch| batch.last_offset + 1);
        let (log, batches) = (LogId::metadata(), batches.to_vec());
        paper.node(host, Observation::LogOpened { log, log_start: 0, log_end, high_watermark: 0, batches });
    }

    fn leads(epoch: i32, leader: i32) -> Observation {
        Observation::QuorumRoleChanged { epoch, role: QuorumRole::Leader, leader: Some(NodeId(leader)) }
    }

    #[test]
    fn a_power_loss_of_everybody_takes_nothing_that_was_synced() {
        let mut paper = committed_quorum();
        (0..3).for_each(|host| {
            paper.crash(host, CrashMode::Power);
        });
        reopened(0, &mut paper, &[batch(0, 1, 1, 1)]);
        reopened(2, &mut paper, &[]);
        paper.node(0, leads(2, 0));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn q_11_a_committed_record_that_no_disk_has_is_rejected() {
        let mut paper = Paper::with(quorum());
        for (host, role) in [(0, AppendRole::Leader(1)), (1, AppendRole::Follower)] {
            paper.quorum_append(host, role, batch(0, 1, 1, 1));
        }
        paper.quorum_commit(0, 1, 1);
        (0..2).for_each(|host| {
            paper.crash(host, CrashMode::Power);
        });
        reopened(1, &mut paper, &[]);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn q_6_a_leader_that_lacks_a_committed_record_is_rejected() {
        let mut paper = committed_quorum();
        paper.node(2, leads(2, 2));
        assert_eq!(paper.verdict(NAME).count, 1);
        let mut paper = committed_quorum();
        paper.node(1, leads(2, 1));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn q_4_another_committed_history_is_rejected() {
        let mut paper = committed_quorum();
        for host in [1, 2] {
            let reason = TruncationReason::DivergingEpoch;
            paper.node(host, Observation::Truncated { log: LogId::metadata(), from: 1, to: 0, reason });
        }
        paper.quorum_append(2, AppendRole::Leader(2), batch(0, 1, 2, 5));
        paper.quorum_append(1, AppendRole::Follower, batch(0, 1, 2, 5));
        paper.quorum_commit(2, 2, 1);
        let result = paper.verdict(NAME);
        assert!(result.violations.iter().any(|violation| violation.summary.contains("another history")));
    }
}
