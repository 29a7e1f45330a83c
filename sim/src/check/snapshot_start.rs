//! snapshot-at-log-start: the metadata log is cut at its beginning only behind a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{LeaderEpoch, Offset};
use broker::trace::{Observation, QuorumRole, TruncationReason};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// Where a node's metadata log begins, there is a snapshot of everything below on its disk; a snapshot covers nothing
/// that is not committed, and its epoch is that of the last record that it covers; a leader never loads one.
/// Source: KIP-630, AK `SnapshotAtLogStart`.
#[derive(Debug, Default)]
pub struct SnapshotAtLogStart {
    tally: Tally,
    /// Ends of the snapshots of each host and disk.
    ends: BTreeMap<(HostId, u32), BTreeSet<Offset>>,
}

impl SnapshotAtLogStart {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(SnapshotAtLogStart::default())
    }

    fn begins(&self, key: (HostId, u32), start: Offset) -> Option<String> {
        let has_one = start == 0 || self.ends.get(&key).is_some_and(|ends| ends.contains(&start));
        (!has_one).then(|| format!("its metadata log begins at {start}, and no snapshot ends there"))
    }

    fn written(&mut self, host: HostId, offset: Offset, epoch: LeaderEpoch, ghost: &Ghost) -> Option<String> {
        self.ends.entry((host, ghost.disk(host))).or_default().insert(offset);
        let (_, log) = ghost.metadata_log()?;
        let committed = log.committed.end();
        if offset > committed {
            return Some(format!("its snapshot ends at {offset}, and only {committed} are committed"));
        }
        let found = log.committed.epoch_at(offset - 1)?;
        (found != epoch)
            .then(|| format!("its snapshot up to {offset} names epoch {epoch} instead of {found}"))
    }
}

impl Check for SnapshotAtLogStart {
    fn interest(&self) -> Interest {
        Interest::SNAPSHOT.and(Interest::LOG_START).and(Interest::LOG_OPENED).and(Interest::TRUNCATED)
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Fact::Node(observation), Some(host)) = (&event.fact, event.host) else { return };
        let key = (host, ghost.disk(host));
        let wrong = match observation {
            Observation::SnapshotWritten { offset, epoch, .. } => self.written(host, *offset, *epoch, ghost),
            Observation::SnapshotLoaded { offset, .. } => {
                self.ends.entry(key).or_default().insert(*offset);
                let leads = ghost.stance(host).is_some_and(|stance| stance.role == QuorumRole::Leader);
                leads.then(|| format!("it leads the quorum and loads a snapshot up to {offset}"))
            }
            Observation::Truncated { log, to, reason: TruncationReason::Snapshot, .. }
                if log.is_metadata() =>
            {
                self.ends.entry(key).or_default().insert(*to);
                return;
            }
            Observation::LogStartAdvanced { log, to, .. } if log.is_metadata() => self.begins(key, *to),
            Observation::LogOpened { log, log_start, .. } if log.is_metadata() && *log_start > 0 => {
                self.begins(key, *log_start)
            }
            _ => return,
        };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if let Some(what) = wrong {
            let summary = format!("{}: {what}", ghost.name(host));
            let log = ghost.metadata_log().map(|(log, _)| log);
            found.violation(Violation::seen_at(event, ghost, log, summary));
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::{LogId, NodeId};

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;

    fn written(offset: Offset, epoch: LeaderEpoch) -> Observation {
        Observation::SnapshotWritten { offset, epoch, digest: 7 }
    }

    fn starts(to: Offset) -> Observation {
        Observation::LogStartAdvanced { log: LogId::metadata(), from: 0, to }
    }

    fn outcome(facts: &[Observation]) -> CheckOutcome {
        let mut paper = committed_quorum();
        facts.iter().for_each(|fact| {
            paper.node(0, fact.clone());
        });
        paper.outcome("snapshot-at-log-start")
    }

    #[test]
    fn a_log_that_begins_behind_a_snapshot_is_accepted() {
        assert_eq!(outcome(&[written(1, 1), starts(1)]), CheckOutcome::Held);
    }

    #[test]
    fn q_14_a_start_without_a_snapshot_is_rejected() {
        assert_eq!(outcome(&[starts(1)]), CheckOutcome::Violated);
        let opened = Observation::LogOpened {
            log: LogId::metadata(),
            log_start: 1,
            log_end: 1,
            high_watermark: 1,
            batches: vec![],
        };
        assert_eq!(outcome(&[opened]), CheckOutcome::Violated);
    }

    #[test]
    fn q_14_a_snapshot_of_what_is_not_committed_or_of_another_epoch_is_rejected() {
        assert_eq!(outcome(&[written(2, 1)]), CheckOutcome::Violated);
        assert_eq!(outcome(&[written(1, 3)]), CheckOutcome::Violated);
    }

    #[test]
    fn q_15_a_leader_that_loads_a_snapshot_is_rejected() {
        let leads =
            Observation::QuorumRoleChanged { epoch: 1, role: QuorumRole::Leader, leader: Some(NodeId(0)) };
        let loaded = Observation::SnapshotLoaded { offset: 1, epoch: 1, digest: 7 };
        assert_eq!(outcome(std::slice::from_ref(&loaded)), CheckOutcome::Held);
        assert_eq!(outcome(&[leads, loaded]), CheckOutcome::Violated);
    }
}
