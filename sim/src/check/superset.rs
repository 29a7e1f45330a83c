//! replication-quorum-superset (P-4): the leader waits for everybody whom the controller may elect.

use std::collections::BTreeSet;

use broker::ids::{LeaderEpoch, NodeId};
use broker::trace::{LeaderView, Observation, PartitionFact};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// What the leader of a partition said of its ISR.
#[derive(Debug, Clone, Default)]
struct Leading {
    epoch: LeaderEpoch,
    host: Option<HostId>,
    committed: Vec<NodeId>,
    /// Everybody whom it asked for since.
    proposed: Vec<NodeId>,
    asked: bool,
}

/// The leader of the newest epoch, while its ISR is not smaller than `min.insync.replicas`, counts every member of the ISR
/// and of the eligible leader replicas that the quorum has committed; and if it asked for no other ISR, exactly the
/// committed one. Source: P-4, KIP-497, KIP-966, VK 966 `ReplicationQuorumSuperset`, HK `ValidHighWatermark`.
#[derive(Debug, Default)]
pub struct QuorumSuperset {
    tally: Tally,
    /// By log.
    leading: Vec<Leading>,
    reported: BTreeSet<(usize, LeaderEpoch)>,
}

impl QuorumSuperset {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(QuorumSuperset::default())
    }

    fn leading(&mut self, log: usize) -> &mut Leading {
        if log >= self.leading.len() {
            self.leading.resize(log + 1, Leading::default());
        }
        &mut self.leading[log]
    }

    /// The controller commits another ISR while a broker leads: whom the leader does not count.
    fn committed(&mut self, log: usize, state: &PartitionFact) -> Option<String> {
        let leading = self.leading.get(log).filter(|leading| leading.host.is_some())?;
        if leading.epoch != state.leader_epoch || leading.committed.len() < min_isr(state) {
            return None;
        }
        self.tally.evaluations += 1;
        let counts =
            |member: &NodeId| leading.committed.contains(member) || leading.proposed.contains(member);
        let strangers: Vec<i32> =
            candidates(state).filter(|member| !counts(member)).map(|node| node.0).collect();
        (!strangers.is_empty()).then(|| {
            format!("the controller commits members {strangers:?}, for whom the leader does not wait")
        })
    }

    fn moved(&mut self, log: usize, view: &LeaderView, state: Option<&PartitionFact>) -> Option<String> {
        if (view.isr.len() as i64) < i64::from(view.min_isr) {
            return None;
        }
        self.tally.evaluations += 1;
        let lacking: Vec<i32> = state
            .filter(|state| state.leader_epoch == view.leader_epoch)
            .into_iter()
            .flat_map(candidates)
            .chain(view.isr.iter().copied())
            .filter(|member| !view.maximal_isr.contains(member))
            .map(|node| node.0)
            .collect();
        if !lacking.is_empty() {
            return Some(format!("the leader's maximal isr {:?} lacks {lacking:?}", ids(&view.maximal_isr)));
        }
        let leading = self.leading.get(log).filter(|leading| leading.epoch == view.leader_epoch)?;
        let is_more = view.maximal_isr.iter().any(|member| !view.isr.contains(member));
        (is_more && !leading.asked).then(|| {
            let (isr, maximal) = (ids(&view.isr), ids(&view.maximal_isr));
            format!(
                "the leader's maximal isr is {maximal:?} and its isr {isr:?}, though it asked for no other"
            )
        })
    }
}

/// Whom the controller may elect.
fn candidates(state: &PartitionFact) -> impl Iterator<Item = NodeId> {
    state.isr.iter().chain(&state.elr).copied()
}

fn min_isr(state: &PartitionFact) -> usize {
    usize::try_from(state.min_isr).unwrap_or(0).min(state.replicas.len())
}

fn ids(nodes: &[NodeId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

impl Check for QuorumSuperset {
    fn interest(&self) -> Interest {
        Interest::HIGH_WATERMARK
            .and(Interest::METADATA)
            .and(Interest::BECAME_LEADER)
            .and(Interest::BECAME_FOLLOWER)
            .and(Interest::ISR_PROPOSED)
            .and(Interest::ISR_COMMITTED)
            .and(Interest::STOPPED)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(observation) = &event.fact else {
            let stopped = event.host;
            self.leading.iter_mut().filter(|leading| leading.host == stopped).for_each(|l| l.host = None);
            return;
        };
        let (Some(index), host) = (step.log, event.host) else { return };
        let log = ghost.log(index);
        if log.id.is_metadata() {
            return;
        }
        let wrong = match observation {
            Observation::BecameLeader { leader_epoch, .. } if *leader_epoch == log.newest_epoch => {
                *self.leading(index) = Leading { epoch: *leader_epoch, host: None, ..Leading::default() };
                None
            }
            Observation::IsrCommitted { leader_epoch, isr, .. } if *leader_epoch == log.newest_epoch => {
                let (epoch, committed) = (*leader_epoch, isr.clone());
                *self.leading(index) = Leading { epoch, host, committed, ..Leading::default() };
                None
            }
            Observation::IsrProposed { leader_epoch, to, .. } if *leader_epoch == log.newest_epoch => {
                let leading = self.leading(index);
                leading.proposed.extend(to);
                leading.asked = true;
                None
            }
            Observation::HighWatermark { leader: Some(view), .. } if step.is_current_leader => {
                self.moved(index, view, log.partition.as_ref())
            }
            Observation::MetadataCommitted { .. } => log
                .partition
                .as_ref()
                .filter(|_| step.partition.is_some())
                .and_then(|now| self.committed(index, now)),
            _ => None,
        };
        self.tally.examined += 1;
        if let Some(what) = wrong
            && self.reported.insert((index, log.newest_epoch))
        {
            let summary = format!("{} (epoch {}): {what}", log.id, log.newest_epoch);
            found.violation(Violation::seen_at(event, ghost, Some(index), summary));
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

    const NAME: &str = "replication-quorum-superset";

    fn proposed(paper: &mut Paper, from: &[i32], to: &[i32]) {
        let (from, to) = (nodes(from), nodes(to));
        paper.node(0, Observation::IsrProposed { log: log(), leader_epoch: 0, from, to });
    }

    fn moved(paper: &mut Paper, isr: &[i32], maximal: &[i32]) {
        let view = LeaderView { leader_epoch: 0, isr: nodes(isr), maximal_isr: nodes(maximal), min_isr: 2 };
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).high_watermark(0, 0, 2, 2, Some(view));
    }

    #[test]
    fn a_leader_that_waits_for_whom_it_asked_is_accepted() {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0, 1]).isr_committed(0, 0, &[0, 1]);
        proposed(&mut paper, &[0, 1], &[0, 1, 2]);
        paper.elect(Some(0), 0, &[0, 1, 2]);
        moved(&mut paper, &[0, 1], &[0, 1, 2]);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn p_4_a_leader_that_does_not_wait_for_a_committed_member_is_rejected() {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0, 1]).isr_committed(0, 0, &[0, 1]);
        proposed(&mut paper, &[0, 1], &[0, 1, 2]);
        paper.elect(Some(0), 0, &[0, 1, 2]);
        moved(&mut paper, &[0, 1], &[0, 1]);
        assert_eq!(paper.verdict(NAME).count, 1);
    }

    #[test]
    fn p_4_a_member_that_nobody_asked_for_is_rejected() {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0, 1]).isr_committed(0, 0, &[0, 1]).elect(Some(0), 0, &[0, 1, 2]);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0, 1]).isr_committed(0, 0, &[0, 1]);
        moved(&mut paper, &[0, 1], &[0, 1, 2]);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated, "asked for nobody");
    }

    #[test]
    fn p_4_an_eligible_leader_replica_counts_while_the_isr_is_large_enough() {
        let with_elr = |isr: &[i32]| {
            let mut paper = Paper::started(config());
            paper.elect(Some(0), 0, isr).isr_committed(0, 0, isr);
            paper.register_partition(|state| state.elr = nodes(&[2]));
            paper.outcome(NAME)
        };
        assert_eq!(with_elr(&[0, 1]), CheckOutcome::Violated);
        assert_eq!(with_elr(&[0]), CheckOutcome::Vacuous, "nothing can be committed");
    }
}
