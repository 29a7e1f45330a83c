//! quorum-epoch-monotone: epochs of the metadata quorum never fall.

use std::collections::BTreeMap;

use broker::ids::LeaderEpoch;
use broker::trace::{Observation, QuorumRole};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// The epoch in a node's `quorum-state` never falls, nor does the epoch that it acts in; and it leads, follows or stands for
/// election only in an epoch that is durable there. Source: Q-3, AK `MonotonicEpoch`.
///
/// A node whose disk was replaced begins anew.
#[derive(Debug, Default)]
pub struct QuorumEpochMonotone {
    tally: Tally,
    /// By host and its disk.
    durable: BTreeMap<(HostId, u32), LeaderEpoch>,
}

impl QuorumEpochMonotone {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(QuorumEpochMonotone::default())
    }

    fn acts(
        &self,
        host: HostId,
        epoch: LeaderEpoch,
        role: QuorumRole,
        step: &Step,
        ghost: &Ghost,
    ) -> Option<String> {
        let durable = self.durable.get(&(host, ghost.disk(host))).copied();
        let before = step.stance_before.map(|before| before.epoch);
        if let Some(newest) = before.max(durable).filter(|newest| *newest > epoch) {
            return Some(format!("goes back to epoch {epoch} from epoch {newest}"));
        }
        let binds = matches!(role, QuorumRole::Leader | QuorumRole::Candidate | QuorumRole::Follower);
        (binds && durable != Some(epoch)).then(|| {
            let durable = durable.map_or("nothing".to_owned(), |epoch| format!("epoch {epoch}"));
            format!("is {role:?} in epoch {epoch}, but has {durable} on disk")
        })
    }
}

impl Check for QuorumEpochMonotone {
    fn interest(&self) -> Interest {
        Interest::QUORUM_STATE.and(Interest::QUORUM_ROLE)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Fact::Node(observation), Some(host)) = (&event.fact, event.host) else { return };
        let wrong = match observation {
            Observation::QuorumStatePersisted { epoch, .. } => {
                let before = self.durable.insert((host, ghost.disk(host)), *epoch);
                let fallen = before.filter(|before| before > epoch);
                fallen.map(|before| format!("writes epoch {epoch} over epoch {before}"))
            }
            Observation::QuorumRoleChanged { epoch, role, .. } => self.acts(host, *epoch, *role, step, ghost),
            _ => return,
        };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if let Some(what) = wrong {
            let summary = format!("{} {what} (metadata quorum)", ghost.name(host));
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
    use crate::trace::{CrashMode, WorldFact};

    fn persisted(epoch: LeaderEpoch) -> Observation {
        Observation::QuorumStatePersisted { epoch, voted_for: None, leader: None }
    }

    fn is(epoch: LeaderEpoch, role: QuorumRole) -> Observation {
        Observation::QuorumRoleChanged { epoch, role, leader: None }
    }

    fn outcome(facts: &[Observation]) -> CheckOutcome {
        let mut paper = Paper::with(quorum());
        facts.iter().for_each(|fact| {
            paper.node(1, fact.clone());
        });
        paper.outcome("quorum-epoch-monotone")
    }

    #[test]
    fn epochs_that_rise_on_disk_first_are_accepted() {
        let facts = [
            is(0, QuorumRole::Unattached),
            persisted(1),
            is(1, QuorumRole::Candidate),
            is(1, QuorumRole::Leader),
            persisted(3),
            is(3, QuorumRole::Follower),
            is(3, QuorumRole::Prospective),
        ];
        assert_eq!(outcome(&facts), CheckOutcome::Held);
    }

    #[test]
    fn q_3_epochs_that_fall_are_rejected() {
        assert_eq!(outcome(&[persisted(3), persisted(2)]), CheckOutcome::Violated);
        let fallen = [persisted(3), is(3, QuorumRole::Follower), is(2, QuorumRole::Unattached)];
        assert_eq!(outcome(&fallen), CheckOutcome::Violated);
    }

    #[test]
    fn q_3_an_epoch_that_is_not_durable_binds_nobody() {
        assert_eq!(outcome(&[persisted(1), is(2, QuorumRole::Candidate)]), CheckOutcome::Violated);
    }

    #[test]
    fn q_3_a_boot_does_not_forget() {
        let mut paper = Paper::with(quorum());
        paper.node(1, persisted(4)).crash(1, CrashMode::Power);
        paper.world(1, WorldFact::Started { incarnation: 1 }).node(1, is(2, QuorumRole::Unattached));
        assert_eq!(paper.outcome("quorum-epoch-monotone"), CheckOutcome::Violated);
    }
}
