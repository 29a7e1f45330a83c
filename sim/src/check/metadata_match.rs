//! metadata-log-matching (P-12, Q-17): the same offset of the metadata log means the same to everybody.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::Offset;
use broker::trace::{MetadataFact, Observation};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// Every controller that applies a committed record says the same of it; every node that states a digest of its metadata at
/// an offset states the same one, whether it replayed the log or began with a snapshot. Source: P-12, Q-17,
/// VK `MetadataLogMatching`.
#[derive(Debug, Default)]
pub struct MetadataLogMatching {
    tally: Tally,
    facts: BTreeMap<Offset, (HostId, MetadataFact)>,
    applied: BTreeMap<Offset, (HostId, u64)>,
    snapshots: BTreeMap<Offset, (HostId, u64)>,
    /// Said once per node: whoever differs goes on to differ.
    reported: BTreeSet<HostId>,
}

impl MetadataLogMatching {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(MetadataLogMatching::default())
    }
}

/// Who said something else about `offset` before; `None` as the inner value: it is the first to speak.
fn differs<T: PartialEq + Clone>(
    known: &mut BTreeMap<Offset, (HostId, T)>,
    offset: Offset,
    host: HostId,
    said: &T,
) -> Option<Option<HostId>> {
    match known.get(&offset) {
        None => {
            known.insert(offset, (host, said.clone()));
            None
        }
        Some((other, known)) => Some((known != said).then_some(*other)),
    }
}

impl Check for MetadataLogMatching {
    fn interest(&self) -> Interest {
        Interest::METADATA.and(Interest::METADATA_APPLIED).and(Interest::SNAPSHOT)
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Fact::Node(observation), Some(host)) = (&event.fact, event.host) else { return };
        let (offset, compared, what) = match observation {
            Observation::MetadataCommitted { offset, fact } => {
                (*offset, differs(&mut self.facts, *offset, host, fact), "the record at")
            }
            Observation::MetadataApplied { offset, digest } => {
                (*offset, differs(&mut self.applied, *offset, host, digest), "its metadata below")
            }
            Observation::SnapshotWritten { offset, digest, .. }
            | Observation::SnapshotLoaded { offset, digest, .. } => {
                (*offset, differs(&mut self.snapshots, *offset, host, digest), "its snapshot below")
            }
            _ => return,
        };
        self.tally.examined += 1;
        let Some(other) = compared else { return };
        self.tally.evaluations += 1;
        let Some(other) = other.filter(|_| self.reported.insert(host)) else { return };
        let (name, other) = (ghost.name(host), ghost.name(other));
        let summary =
            format!("{name}: {what} offset {offset} of the metadata log is not what {other} has there");
        let log = ghost.metadata_log().map(|(log, _)| log);
        found.violation(Violation::seen_at(event, ghost, log, summary));
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::NodeId;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;

    fn outcome(facts: &[(u32, Observation)]) -> CheckOutcome {
        let mut paper = Paper::with(quorum());
        facts.iter().for_each(|(host, fact)| {
            paper.node(*host, fact.clone());
        });
        paper.outcome("metadata-log-matching")
    }

    fn fenced(broker: i32) -> Observation {
        let fact = MetadataFact::BrokerFenced { broker: NodeId(broker) };
        Observation::MetadataCommitted { offset: 4, fact }
    }

    fn applied(digest: u64) -> Observation {
        Observation::MetadataApplied { offset: 256, digest }
    }

    fn loaded(digest: u64) -> Observation {
        Observation::SnapshotLoaded { offset: 256, epoch: 1, digest }
    }

    #[test]
    fn nodes_that_agree_are_accepted() {
        let said = [
            (0, fenced(1)),
            (1, fenced(1)),
            (0, applied(7)),
            (2, applied(7)),
            (0, loaded(9)),
            (1, loaded(9)),
        ];
        assert_eq!(outcome(&said), CheckOutcome::Held);
        assert_eq!(outcome(&said[..1]), CheckOutcome::Vacuous, "nobody to compare with");
    }

    #[test]
    fn q_17_nodes_that_differ_are_rejected() {
        assert_eq!(outcome(&[(0, fenced(1)), (1, fenced(2))]), CheckOutcome::Violated);
        assert_eq!(outcome(&[(0, applied(7)), (1, applied(8))]), CheckOutcome::Violated);
        assert_eq!(outcome(&[(0, loaded(7)), (1, loaded(8))]), CheckOutcome::Violated);
    }
}
