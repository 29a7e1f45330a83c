//! metadata-converges (L-P3): every node knows the metadata.

use std::collections::VecDeque;

use broker::ids::Offset;
use broker::time::Instant;

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::{Looked, PATIENCE, judge, running_nodes};
use crate::trace::TraceEvent;

/// At the end every node that runs knows as committed what was committed some time before. Source: L-P3, VK 966
/// `MetadataConverges`.
#[derive(Debug, Default)]
pub struct MetadataConverges {
    tally: Tally,
    /// When the metadata log was committed how far, of late.
    committed: VecDeque<(Instant, Offset)>,
}

impl MetadataConverges {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(MetadataConverges::default())
    }

    /// How far it was committed at this moment, or at the first one that is remembered.
    fn committed_at(&self, at: Instant) -> Offset {
        let before = self.committed.iter().take_while(|(then, _)| *then <= at).last();
        before.map_or(0, |(_, end)| *end)
    }
}

impl Check for MetadataConverges {
    fn interest(&self) -> Interest {
        Interest::HIGH_WATERMARK
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, _found: &mut Findings) {
        let Some(log) = step.log.filter(|_| step.is_current_leader).map(|log| ghost.log(log)) else { return };
        if !log.id.is_metadata() {
            return;
        }
        self.committed.push_back((event.at, log.committed.end()));
        // One older than that is enough.
        while self.committed.get(1).is_some_and(|(then, _)| event.at.saturating_since(*then) > PATIENCE) {
            self.committed.pop_front();
        }
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let Some((index, log)) = ghost.metadata_log() else { return };
        let then = Instant(end.at.as_micros().saturating_sub(PATIENCE.as_micros() as u64));
        let wanted = self.committed_at(then);
        let looked: Vec<Looked> = running_nodes(ghost)
            .map(|(host, _)| {
                let known = log.replica(host).map_or(0, |replica| replica.high_watermark);
                if known >= wanted {
                    return Looked::right(Some(index));
                }
                let name = ghost.name(host);
                let what =
                    format!("{name} knows the metadata up to {known}, and {wanted} were committed long ago");
                Looked::wrong(Some(index), what)
            })
            .collect();
        judge(looked, end, ghost, &mut self.tally, found);
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::findings::CheckOutcome;
    use super::super::super::fixture::*;
    use crate::trace::WorldFact;

    const NAME: &str = "metadata-converges";

    /// Node 0 commits; of the others that run, these hear of it.
    fn outcome(hear: &[u32]) -> CheckOutcome {
        let mut paper = committed_quorum();
        for host in 0..3 {
            paper.world(host, WorldFact::Started { incarnation: 0 });
        }
        for host in hear {
            paper.quorum_high_watermark(*host, 0, 1, None);
        }
        paper.verdict_after(60_000, NAME).result
    }

    #[test]
    fn nodes_that_know_everything_are_accepted() {
        assert_eq!(outcome(&[1, 2]), CheckOutcome::Held);
    }

    #[test]
    fn l_p3_a_node_that_stays_behind_is_rejected() {
        assert_eq!(outcome(&[1]), CheckOutcome::Violated);
    }
}
