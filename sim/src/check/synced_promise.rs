//! synced-before-promised (D-2): a voter promises only what its disk has confirmed.

use std::collections::BTreeSet;

use broker::ids::Offset;
use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// A voter that fetches the metadata log at an offset promises to have everything below: its disk must have reported the
/// sync of that, or the leader commits what a power loss takes. Source: D-2, K04, KIP-595, VK `RaftFsync`.
///
/// The other promises are judged elsewhere: votes by `one-vote`, what a leader counts of its own by
/// `quorum-commit-on-majority`. An acknowledgement with `acks=all` promises copies, not syncs (Kafka's default).
#[derive(Debug, Default)]
pub struct SyncedBeforePromised {
    tally: Tally,
    voters: BTreeSet<HostId>,
    /// Said once per node.
    reported: BTreeSet<HostId>,
}

impl SyncedBeforePromised {
    /// The check, before anything happened.
    pub fn boxed(config: &JudgeConfig) -> Box<dyn Check> {
        let voters = Ghost::new(config.clone()).controllers().collect();
        Box::new(SyncedBeforePromised { voters, ..SyncedBeforePromised::default() })
    }
}

impl Check for SyncedBeforePromised {
    fn interest(&self) -> Interest {
        Interest::QUORUM_FETCHED
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(Observation::QuorumFetched { offset, .. }) = &event.fact else { return };
        let (Some(host), Some((index, log))) = (event.host, ghost.metadata_log()) else { return };
        if !self.voters.contains(&host) {
            return;
        }
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        let flushed: Offset = log.replica(host).map_or(0, |replica| replica.flushed);
        if *offset > flushed && self.reported.insert(host) {
            let name = ghost.name(host);
            let summary =
                format!("{name} fetches the metadata log at {offset}, and only {flushed} are on its disk");
            let violation = Violation::seen_at(event, ghost, Some(index), summary);
            found.violation(violation.with_offsets(flushed, *offset));
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::AppendRole;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;

    fn outcome(config: JudgeConfig, is_synced: bool) -> CheckOutcome {
        let mut paper = Paper::with(config);
        paper.quorum_append(1, AppendRole::Follower, batch(0, 1, 1, 1));
        if is_synced {
            paper.quorum_flush(1, 1);
        }
        paper.node(1, Observation::QuorumFetched { epoch: 1, offset: 1 });
        paper.outcome("synced-before-promised")
    }

    #[test]
    fn a_voter_that_synced_is_accepted() {
        assert_eq!(outcome(quorum(), true), CheckOutcome::Held);
    }

    #[test]
    fn k04_a_voter_that_did_not_sync_is_rejected() {
        assert_eq!(outcome(quorum(), false), CheckOutcome::Violated);
    }

    #[test]
    fn an_observer_promises_nothing() {
        assert_eq!(outcome(config(), false), CheckOutcome::Vacuous);
    }
}
