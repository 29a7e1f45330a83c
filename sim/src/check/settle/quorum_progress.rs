//! quorum-progress (L-Q2): what the leader of the quorum writes is committed.

use broker::time::Instant;
use broker::trace::QuorumRole;

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::{Looked, judge, running_nodes};
use crate::trace::TraceEvent;

/// At the end the leader of the metadata quorum has nothing in its log that has waited long for its commit.
/// Source: L-Q2, VK 853 `ValuesEventuallyAcked`.
#[derive(Debug, Default)]
pub struct QuorumProgress {
    tally: Tally,
    /// When something was committed last.
    committed_at: Option<Instant>,
}

impl QuorumProgress {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(QuorumProgress::default())
    }
}

impl Check for QuorumProgress {
    fn interest(&self) -> Interest {
        Interest::HIGH_WATERMARK
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, _found: &mut Findings) {
        let is_quorum = step.log.is_some_and(|log| ghost.log(log).id.is_metadata());
        if is_quorum && step.is_current_leader {
            self.committed_at = Some(event.at);
        }
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let Some((index, log)) = ghost.metadata_log() else { return };
        let leads = |host: crate::plan::HostId| {
            ghost.stance(host).is_some_and(|s| s.role == QuorumRole::Leader && s.epoch >= log.newest_epoch)
        };
        let leader = running_nodes(ghost).map(|(host, _)| host).find(|host| leads(*host));
        let Some(leader) = leader else { return };
        let written = log.replica(leader).map_or(0, |replica| replica.chain.end());
        let committed = log.committed.end();
        let name = ghost.name(leader);
        let what = format!("{name} has written the metadata log to {written}, and {committed} are committed");
        let since = self.committed_at.unwrap_or(Instant::ZERO);
        let wrong = (written > committed).then_some((since, what));
        judge([Looked { log: Some(index), wrong }], end, ghost, &mut self.tally, found);
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::NodeId;
    use broker::trace::{AppendRole, Observation};

    use super::super::super::findings::CheckOutcome;
    use super::super::super::fixture::*;
    use super::*;
    use crate::trace::WorldFact;

    /// Node 0 leads and has committed everything; then it writes more, or not.
    fn outcome(writes_more: bool) -> CheckOutcome {
        let mut paper = committed_quorum();
        paper.world(0, WorldFact::Started { incarnation: 0 });
        let leader = Some(NodeId(0));
        paper.node(0, Observation::QuorumRoleChanged { epoch: 1, role: QuorumRole::Leader, leader });
        if writes_more {
            paper.quorum_append(0, AppendRole::Leader(1), batch(1, 1, 1, 2));
        }
        paper.verdict_after(60_000, "quorum-progress").result
    }

    #[test]
    fn a_log_that_is_committed_is_accepted() {
        assert_eq!(outcome(false), CheckOutcome::Held);
    }

    #[test]
    fn l_q2_a_record_that_waits_for_ever_is_rejected() {
        assert_eq!(outcome(true), CheckOutcome::Violated);
    }
}
