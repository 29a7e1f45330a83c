//! fetch-session-equivalence (P-18): both ends of a fetch session mean the same partitions.

use std::collections::BTreeMap;

use broker::ids::NodeId;
use broker::trace::{FetchSessionPartition, Observation};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::trace::{Fact, TraceEvent};

/// Leader, follower and session.
type Session = (NodeId, NodeId, i32);

/// What the leader makes of an incremental fetch is what the follower would have asked for with a full one: the same
/// partitions, at the same offsets, in the same epochs. Source: P-18, KIP-227.
#[derive(Debug, Default)]
pub struct FetchSessionEquivalence {
    tally: Tally,
    /// What each follower means with its last fetch: the session's epoch, and the partitions.
    meant: BTreeMap<Session, (i32, Vec<FetchSessionPartition>)>,
}

impl FetchSessionEquivalence {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(FetchSessionEquivalence::default())
    }
}

/// The first partition of which the two sides think differently.
fn differs(meant: &[FetchSessionPartition], made: &[FetchSessionPartition]) -> Option<String> {
    let missing = meant.iter().find(|one| !made.contains(one));
    let surplus = made.iter().find(|one| !meant.contains(one));
    let words = |one: &FetchSessionPartition| {
        format!("{} at {} in epoch {}", one.log.partition, one.fetch_offset, one.leader_epoch)
    };
    let what = match (missing, surplus) {
        (Some(missing), Some(surplus)) => format!("{} and not {}", words(missing), words(surplus)),
        (Some(missing), None) => format!("{}, which the leader leaves out", words(missing)),
        (None, Some(surplus)) => format!("nothing of {}, which the leader adds", words(surplus)),
        (None, None) => return None,
    };
    Some(what)
}

impl Check for FetchSessionEquivalence {
    fn interest(&self) -> Interest {
        Interest::FETCH_SESSION
    }

    fn observe(&mut self, event: &TraceEvent, _step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(Observation::FetchSessionPartitions {
            peer,
            session_id,
            session_epoch,
            is_leader,
            partitions,
        }) = &event.fact
        else {
            return;
        };
        let Some(node) = event.host.and_then(|host| ghost.node_of(host)) else { return };
        self.tally.examined += partitions.len() as u64;
        if !is_leader {
            self.meant.insert((*peer, node, *session_id), (*session_epoch, partitions.clone()));
            return;
        }
        let meant = self.meant.get(&(node, *peer, *session_id));
        let Some((_, meant)) = meant.filter(|(epoch, _)| epoch == session_epoch) else { return };
        self.tally.evaluations += 1;
        if let Some(what) = differs(meant, partitions) {
            let summary = format!(
                "in fetch {session_epoch} of session {session_id} broker {peer} asks {node} for {what}"
            );
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

    fn says(is_leader: bool, session_epoch: i32, offsets: &[i64]) -> Observation {
        let one = |offset: &i64| FetchSessionPartition { log: log(), fetch_offset: *offset, leader_epoch: 0 };
        let peer = NodeId(if is_leader { 1 } else { 0 });
        let partitions = offsets.iter().map(one).collect();
        Observation::FetchSessionPartitions { peer, session_id: 9, session_epoch, is_leader, partitions }
    }

    /// Broker 1 fetches from broker 0.
    fn outcome(meant: &[i64], epoch: i32, made: &[i64]) -> CheckOutcome {
        let mut paper = Paper::started(config());
        paper.node(1, says(false, 4, meant)).node(0, says(true, epoch, made));
        paper.outcome("fetch-session-equivalence")
    }

    #[test]
    fn both_ends_that_agree_are_accepted() {
        assert_eq!(outcome(&[5], 4, &[5]), CheckOutcome::Held);
        assert_eq!(outcome(&[5], 3, &[4]), CheckOutcome::Vacuous, "a fetch before it");
    }

    #[test]
    fn p_18_a_partition_more_or_less_or_at_another_offset_is_rejected() {
        for made in [&[][..], &[4], &[5, 6]] {
            assert_eq!(outcome(&[5], 4, made), CheckOutcome::Violated, "{made:?}");
        }
    }
}
