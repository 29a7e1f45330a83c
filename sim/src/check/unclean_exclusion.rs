//! unclean-exclusion (P-15): a broker that lost its tail is trusted again only when it has caught up.

use std::collections::BTreeSet;

use broker::ids::NodeId;
use broker::trace::{Election, MetadataFact, Observation};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, PartitionStep, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// A broker whose log came back shorter than it was is in no committed ISR, is no eligible leader replica and does not lead,
/// until it has everything that is committed and everything up to the start of the current leader's epoch, in the boot in
/// which it is registered. Source: P-15, KIP-966, KIP-903, VK 966 §6.5.
///
/// Not judged while it is down or not registered in its new boot: the controller does not know yet. Without eligible leader
/// replicas the last member of an ISR stays there whatever it lost (a permitted loss), and so does whom an unclean election
/// chooses.
#[derive(Debug, Default)]
pub struct UncleanExclusion {
    tally: Tally,
    /// Replicas that lost something and have not been trusted again since.
    lossy: BTreeSet<(usize, HostId)>,
}

impl UncleanExclusion {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(UncleanExclusion::default())
    }

    /// Judges one broker's place in one partition. `change`: the commit that gave it to it.
    fn judge(
        &mut self,
        index: usize,
        node: NodeId,
        change: Option<&PartitionStep>,
        ghost: &Ghost,
    ) -> Option<String> {
        let host = ghost.host_of(node)?;
        if !self.lossy.contains(&(index, host)) || !is_known(ghost, node, host) {
            return None;
        }
        let log = ghost.log(index);
        let state = log.partition.as_ref()?;
        let is_last_one = state.isr == [node] && state.elr.is_empty() && !ghost.has_elr();
        let is_chosen = change.is_some_and(|change| change.election == Election::Unclean)
            && ghost.allows_unclean(&log.id.partition.topic);
        // Nobody was in sync or eligible: the last known leader leads again, whatever it lost (KIP-966).
        let is_last_known = change.is_some_and(|change| {
            let before = change.before.as_ref();
            change.election == Election::Unclean
                && ghost.has_elr()
                && state.isr == [node]
                && before.is_some_and(|before| before.last_known_elr == [node])
        });
        if is_last_one || is_chosen || is_last_known {
            self.lossy.remove(&(index, host));
            return None;
        }
        let place = match () {
            () if state.leader == Some(node) => "leads",
            () if state.isr.contains(&node) => "is in the isr of",
            () if state.elr.contains(&node) => "is an eligible leader replica of",
            () => return None,
        };
        self.tally.evaluations += 1;
        let start = log.epoch_start.unwrap_or(0);
        let replica = log.replica(host);
        let end = replica.map_or(0, |replica| replica.chain.end());
        let has_all = replica.is_some_and(|replica| replica.chain.contains(&log.committed)) && end >= start;
        // Said once, or trusted again: either way this is over.
        self.lossy.remove(&(index, host));
        (!has_all).then(|| {
            let committed = log.committed.end();
            format!(
                "broker {node} lost its tail and {place} {} with offsets below {end} only, where {committed} are \
                 committed and the leader's epoch begins at {start}",
                log.id
            )
        })
    }
}

/// Has the controller heard of the boot in which the broker is now?
fn is_known(ghost: &Ghost, node: NodeId, host: HostId) -> bool {
    let boot = ghost.host(host).filter(|host| host.is_up).map(|host| host.incarnation);
    boot.is_some() && ghost.broker(node).map(|broker| broker.incarnation) == boot
}

impl Check for UncleanExclusion {
    fn interest(&self) -> Interest {
        Interest::LOG_OPENED.and(Interest::METADATA)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Fact::Node(observation) = &event.fact else { return };
        self.tally.examined += 1;
        let mut wrong = Vec::new();
        match (observation, step.log.zip(event.host)) {
            (Observation::MetadataCommitted { fact, .. }, _) if step.is_first => {
                if let Some(change) = &step.partition {
                    let state = ghost.log(change.log).partition.iter();
                    let members: Vec<NodeId> =
                        state.flat_map(|state| state.isr.iter().chain(&state.elr).copied()).collect();
                    let judged =
                        members.into_iter().map(|node| self.judge(change.log, node, Some(change), ghost));
                    wrong.extend(judged.flatten().map(|what| (change.log, what)));
                } else if let MetadataFact::BrokerUnfenced { broker } = fact {
                    let host = ghost.host_of(*broker);
                    let of_it = self.lossy.iter().filter(|(_, lossy)| Some(*lossy) == host);
                    let logs: Vec<usize> = of_it.map(|(log, _)| *log).collect();
                    for log in logs {
                        wrong.extend(self.judge(log, *broker, None, ghost).map(|what| (log, what)));
                    }
                }
            }
            (_, Some((index, host))) if !ghost.log(index).id.is_metadata() => {
                let lost = step.reopened.as_ref().is_some_and(|log| log.same_as_before < log.before_end);
                if lost {
                    self.lossy.insert((index, host));
                }
            }
            _ => {}
        }
        for (index, summary) in wrong {
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
    use crate::trace::CrashMode;

    const NAME: &str = "unclean-exclusion";

    /// Broker 2 loses committed records with its power, and registers again, outside of the ISR.
    fn lossy() -> Paper {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).commit(0, 0, 0, 2);
        paper.crash(2, CrashMode::Power).elect(Some(0), 0, &[0, 1]).open(2, 1, &[]);
        paper
    }

    #[test]
    fn a_broker_that_caught_up_is_accepted() {
        let mut paper = lossy();
        paper.register(2).append(2, broker::trace::AppendRole::Follower, batch(0, 2, 0, 1));
        paper.elect(Some(0), 0, &[0, 1, 2]);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn p_15_a_broker_that_comes_back_too_early_is_rejected() {
        let mut paper = lossy();
        paper.register(2).elect(Some(0), 0, &[0, 1, 2]);
        assert_eq!(paper.verdict(NAME).count, 1);
    }

    #[test]
    fn p_15_a_broker_below_the_start_of_the_epoch_is_rejected() {
        let mut paper = lossy();
        paper.register(2).append(2, broker::trace::AppendRole::Follower, batch(0, 2, 0, 1));
        paper.write(0, &[1], batch(2, 2, 0, 2)).elect(Some(1), 1, &[0, 1]).lead(1, 1, 4);
        paper.elect(Some(1), 1, &[0, 1, 2]);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn r12_a_broker_that_stays_eligible_is_rejected_when_it_is_unfenced() {
        let mut paper = lossy();
        paper.register_partition(|state| state.elr = nodes(&[2])).register(2);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn r10_the_last_member_may_stay_only_without_eligible_leader_replicas() {
        for (level, expected) in [(0, CheckOutcome::Vacuous), (1, CheckOutcome::Violated)] {
            let mut paper = Paper::started(config());
            paper.feature("eligible.leader.replicas.version", level);
            paper.write(0, &[1, 2], batch(0, 2, 0, 1)).commit(0, 0, 0, 2).elect(Some(0), 0, &[0]);
            paper.crash(0, CrashMode::Power).elect(None, 1, &[0]).open(0, 1, &[]).register(0);
            paper.elect(Some(0), 2, &[0]);
            assert_eq!(paper.outcome(NAME), expected, "level {level}");
        }
    }
}
