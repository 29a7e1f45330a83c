//! epochs-monotone (P-11): leader, partition and broker epochs only rise.

use std::collections::BTreeMap;

use broker::ids::{BrokerEpoch, LeaderEpoch, NodeId, PartitionEpoch};
use broker::trace::{MetadataFact, Observation};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent, WorldFact};

type Epochs = (LeaderEpoch, Option<PartitionEpoch>);

/// The epochs of a partition never fall, in what the quorum commits and on each broker in one boot, and with a new leader
/// epoch comes a new partition epoch; each registration of a broker has a higher broker epoch than the one before.
/// Source: P-11, CTL-2, CTL-5, KAFKA-6082, KIP-380.
#[derive(Debug, Default)]
pub struct EpochsMonotone {
    tally: Tally,
    brokers: BTreeMap<NodeId, BrokerEpoch>,
    /// What each broker obeys, by log.
    obeyed: BTreeMap<(HostId, usize), Epochs>,
}

impl EpochsMonotone {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(EpochsMonotone::default())
    }

    fn registered(&mut self, broker: NodeId, epoch: BrokerEpoch) -> Option<String> {
        self.tally.evaluations += 1;
        let before = self.brokers.insert(broker, epoch).filter(|before| *before >= epoch)?;
        Some(format!("broker {broker} registers with epoch {epoch}, after epoch {before}"))
    }

    fn obeys(&mut self, host: HostId, index: usize, now: Epochs, ghost: &Ghost) -> Option<String> {
        self.tally.evaluations += 1;
        let key = (host, index);
        let kept = self.obeyed.get(&key).and_then(|(_, partition)| *partition);
        let before = self.obeyed.insert(key, (now.0, now.1.or(kept)))?;
        let what = wrong(before, now)?;
        Some(format!("{} on {}: {what}", ghost.log(index).id, ghost.name(host)))
    }
}

/// What is wrong if these epochs follow each other. The partition epoch is not always told.
fn wrong(before: Epochs, now: Epochs) -> Option<String> {
    if now.0 < before.0 {
        return Some(format!("leader epoch {} follows {}", now.0, before.0));
    }
    let (old, new) = (before.1?, now.1?);
    if new < old {
        return Some(format!("partition epoch {new} follows {old}"));
    }
    (now.0 > before.0 && new == old).then(|| {
        format!("leader epoch {} comes with partition epoch {new}, that of leader epoch {}", now.0, before.0)
    })
}

impl Check for EpochsMonotone {
    fn interest(&self) -> Interest {
        Interest::METADATA
            .and(Interest::BECAME_LEADER)
            .and(Interest::BECAME_FOLLOWER)
            .and(Interest::ISR_COMMITTED)
            .and(Interest::LOG_OPENED)
            .and(Interest::STARTED)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Some(host) = event.host else { return };
        let Fact::Node(observation) = &event.fact else {
            if matches!(event.fact, Fact::World(WorldFact::Started { .. })) {
                self.obeyed.retain(|(obeying, _), _| *obeying != host);
            }
            return;
        };
        let wrong = match (observation, step.log) {
            (Observation::MetadataCommitted { fact, .. }, _) if step.is_first => match fact {
                MetadataFact::BrokerRegistered { broker, broker_epoch } => {
                    self.registered(*broker, *broker_epoch)
                }
                _ => step.partition.as_ref().and_then(|change| {
                    let log = ghost.log(change.log);
                    let (before, now) = (change.before.as_ref()?, log.partition.as_ref()?);
                    self.tally.evaluations += 1;
                    let old = (before.leader_epoch, Some(before.partition_epoch));
                    let what = wrong(old, (now.leader_epoch, Some(now.partition_epoch)))?;
                    Some(format!("{}: {what} (committed)", log.id))
                }),
            },
            (Observation::BecameLeader { leader_epoch, partition_epoch, .. }, Some(index))
            | (Observation::IsrCommitted { leader_epoch, partition_epoch, .. }, Some(index)) => {
                self.obeys(host, index, (*leader_epoch, Some(*partition_epoch)), ghost)
            }
            (Observation::BecameFollower { leader_epoch, .. }, Some(index)) => {
                self.obeys(host, index, (*leader_epoch, None), ghost)
            }
            (Observation::LogDeleted { .. } | Observation::LogCreated { .. }, Some(index)) => {
                self.obeyed.remove(&(host, index));
                return;
            }
            _ => return,
        };
        self.tally.examined += 1;
        if let Some(summary) = wrong {
            found.violation(Violation::seen_at(event, ghost, step.log, summary));
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
    use crate::trace::CrashMode;

    const NAME: &str = "epochs-monotone";

    fn follows(paper: &mut Paper, leader_epoch: i32) {
        let leader = Some(NodeId(0));
        paper.node(1, Observation::BecameFollower { log: log(), leader_epoch, leader });
    }

    #[test]
    fn epochs_that_rise_and_a_new_boot_are_accepted() {
        let mut paper = Paper::started(config());
        follows(&mut paper, 0);
        paper.elect(Some(1), 1, &[0, 1]).lead(1, 1, 0).isr_committed(1, 1, &[0, 1]);
        paper.crash(1, CrashMode::Process).open(1, 1, &[]).register(1);
        follows(&mut paper, 0);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn k14_a_broker_that_obeys_an_older_leader_epoch_is_rejected() {
        let mut paper = Paper::started(config());
        follows(&mut paper, 3);
        follows(&mut paper, 2);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn p_11_a_new_leader_without_a_new_partition_epoch_is_rejected() {
        let mut paper = Paper::started(config());
        paper.register_partition(|state| {
            state.partition_epoch -= 1;
            state.leader_epoch += 1;
        });
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn p_11_a_broker_epoch_twice_is_rejected() {
        let mut paper = Paper::started(config());
        let again = |broker_epoch| MetadataFact::BrokerRegistered { broker: NodeId(1), broker_epoch };
        paper.meta(again(50)).meta(MetadataFact::BrokerUnregistered { broker: NodeId(1) }).meta(again(50));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
