//! voters-one-at-a-time: the voters of the metadata quorum change one by one.

use std::collections::BTreeMap;

use broker::ids::{NodeId, Offset};
use broker::trace::{Observation, QuorumRole};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent, WorldFact};

/// A leader writes a new set of voters only if the one before is committed and a record of its own epoch is, and the two
/// sets differ in one voter: then every majority of the one meets every majority of the other. Source: Q-16, KIP-853,
/// VK 853.
#[derive(Debug, Default)]
pub struct VotersOneAtATime {
    tally: Tally,
    /// Each node's newest set, and the offset of its record.
    known: BTreeMap<HostId, (Offset, Vec<NodeId>)>,
}

impl VotersOneAtATime {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(VotersOneAtATime::default())
    }
}

fn wrong(
    ghost: &Ghost,
    host: HostId,
    offset: Offset,
    (old_offset, old): (Offset, &[NodeId]),
    new: &[NodeId],
) -> Option<String> {
    let gone = old.iter().filter(|voter| !new.contains(voter)).count();
    let came = new.iter().filter(|voter| !old.contains(voter)).count();
    let ids = |voters: &[NodeId]| voters.iter().map(|voter| voter.0).collect::<Vec<i32>>();
    if gone + came > 1 {
        return Some(format!("the voters change from {:?} to {:?} at once", ids(old), ids(new)));
    }
    let (_, log) = ghost.metadata_log()?;
    let replica = log.replica(host)?;
    let mark = replica.high_watermark;
    if gone + came == 1 && old_offset >= mark {
        return Some(format!(
            "the voters change at {offset} while their change at {old_offset} is not committed"
        ));
    }
    let epoch = ghost.stance(host)?.epoch;
    let committed = replica.chain.epoch_at(mark - 1);
    (gone + came == 1 && committed != Some(epoch))
        .then(|| format!("the voters change before anything of epoch {epoch} is committed"))
}

impl Check for VotersOneAtATime {
    fn interest(&self) -> Interest {
        Interest::VOTERS.and(Interest::STARTED)
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Some(host) = event.host else { return };
        let (offset, voters) = match &event.fact {
            Fact::Node(Observation::VotersChanged { offset, voters }) => (*offset, voters),
            Fact::World(WorldFact::Started { .. }) => {
                self.known.remove(&host);
                return;
            }
            _ => return,
        };
        let before = self.known.insert(host, (offset, voters.clone()));
        let Some((old_offset, old)) = before else { return };
        // Followers may learn of several changes with one fetch, and forget them together.
        let leads = ghost.stance(host).is_some_and(|stance| stance.role == QuorumRole::Leader);
        if !leads || offset <= old_offset {
            return;
        }
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if let Some(what) = wrong(ghost, host, offset, (old_offset, &old), voters) {
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
    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;

    const NAME: &str = "voters-one-at-a-time";

    fn voters(offset: Offset, ids: &[i32]) -> Observation {
        Observation::VotersChanged { offset, voters: nodes(ids) }
    }

    /// Node 0 leads `epoch`; a record of epoch 1 is committed; three nodes vote.
    fn leading(epoch: i32) -> Paper {
        let mut paper = committed_quorum();
        let leader = Some(NodeId(0));
        paper.node(0, Observation::QuorumRoleChanged { epoch, role: QuorumRole::Leader, leader });
        paper.node(0, voters(0, &[0, 1, 2]));
        paper
    }

    #[test]
    fn one_change_that_waits_for_the_one_before_is_accepted() {
        let mut paper = leading(1);
        paper.node(0, voters(1, &[0, 1, 2, 3]));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn q_16_two_voters_at_once_are_rejected() {
        let mut paper = leading(1);
        paper.node(0, voters(1, &[0, 1, 3]));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn k09b_a_second_change_before_the_first_is_committed_is_rejected() {
        let mut paper = leading(1);
        paper.node(0, voters(1, &[0, 1, 2, 3])).node(0, voters(2, &[0, 1, 2]));
        assert_eq!(paper.verdict(NAME).count, 1);
    }

    #[test]
    fn k09_a_change_before_anything_of_the_epoch_is_committed_is_rejected() {
        let mut paper = leading(2);
        paper.node(0, voters(1, &[0, 1, 2, 3]));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
