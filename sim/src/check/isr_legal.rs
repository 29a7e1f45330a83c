//! isr-legal (P-10, P-11): what the controller commits about a partition makes sense.

use broker::ids::NodeId;
use broker::trace::{Election, PartitionFact};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, PartitionStep, Step};
use super::judge::{Check, Tally};
use crate::trace::TraceEvent;

/// The committed ISR is a non-empty part of the replicas, has no fenced member (unless it is the only one: without
/// eligible leader replicas the last member stays), contains the leader; epochs never fall; nobody is elected from outside
/// of the ISR unless the topic enables it. Source: P-10, P-11, VK `ValidControllerState`, HK `LeaderInIsr`.
#[derive(Debug, Default)]
pub struct IsrLegal {
    tally: Tally,
}

impl IsrLegal {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(IsrLegal::default())
    }
}

fn wrong(ghost: &Ghost, change: &PartitionStep, now: &PartitionFact) -> Option<String> {
    let stranger = now.isr.iter().find(|member| !now.replicas.contains(member));
    let is_fenced = |member: &&NodeId| ghost.broker(**member).is_none_or(|broker| broker.is_fenced);
    let fenced = now.isr.iter().find(is_fenced).filter(|_| now.isr.len() > 1);
    if now.isr.is_empty() {
        return Some("the isr is empty".to_owned());
    }
    if let Some(stranger) = stranger {
        return Some(format!("broker {stranger} is in the isr but is no replica"));
    }
    if let Some(fenced) = fenced {
        return Some(format!("fenced broker {fenced} is in the isr"));
    }
    if now.isr.iter().enumerate().any(|(i, member)| now.isr[..i].contains(member)) {
        return Some("a broker is in the isr twice".to_owned());
    }
    if let Some(leader) = now.leader.filter(|leader| !now.isr.contains(leader)) {
        return Some(format!("leader {leader} is not in the isr"));
    }
    let before = change.before.as_ref()?;
    if now.leader_epoch < before.leader_epoch || now.partition_epoch <= before.partition_epoch {
        return Some(format!(
            "epochs (leader, partition) go from ({}, {}) to ({}, {})",
            before.leader_epoch, before.partition_epoch, now.leader_epoch, now.partition_epoch
        ));
    }
    if now.leader.is_some() && now.leader != before.leader && now.leader_epoch == before.leader_epoch {
        return Some(format!("the leader changes within epoch {}", now.leader_epoch));
    }
    let leader = now.leader.filter(|leader| now.leader != before.leader && !before.isr.contains(leader));
    if (leader.is_some() || change.election == Election::Unclean)
        && !ghost.allows_unclean(&ghost.log(change.log).id.partition.topic)
    {
        return Some(format!("the leader of epoch {} is elected from outside of the isr", now.leader_epoch));
    }
    None
}

impl Check for IsrLegal {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Some(change) = &step.partition else { return };
        let log = ghost.log(change.log);
        let Some(now) = &log.partition else { return };
        self.tally.evaluations += 1;
        self.tally.examined += now.isr.len() as u64;
        if let Some(what) = wrong(ghost, change, now) {
            let summary = format!("{}: {what}", log.id);
            found.violation(Violation::seen_at(event, ghost, Some(change.log), summary));
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::MetadataFact;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;

    #[test]
    fn shrinking_expanding_and_electing_is_accepted() {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0, 1]).elect(Some(1), 1, &[1]).elect(Some(1), 1, &[1, 2]);
        paper.meta(MetadataFact::BrokerFenced { broker: NodeId(2) }).elect(None, 2, &[1]);
        assert_eq!(paper.outcome("isr-legal"), CheckOutcome::Held);
    }

    #[test]
    fn the_last_member_may_be_fenced() {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0]).meta(MetadataFact::BrokerFenced { broker: NodeId(0) }).elect(
            None,
            1,
            &[0],
        );
        assert_eq!(paper.outcome("isr-legal"), CheckOutcome::Held);
    }

    #[test]
    fn p_10_illegal_registrations_are_rejected() {
        for (leader, epoch, isr) in [
            (Some(0), 0, &[][..]),
            (Some(0), 0, &[0, 7]),
            (Some(0), 0, &[0, 1, 1]),
            (Some(2), 1, &[0, 1]),
            (Some(1), 0, &[0, 1]),
            (Some(0), -1, &[0, 1]),
        ] {
            let mut paper = Paper::started(config());
            paper.change(Election::Clean, leader, epoch, isr);
            assert_eq!(paper.outcome("isr-legal"), CheckOutcome::Violated, "{leader:?} {epoch} {isr:?}");
        }
    }

    #[test]
    fn p_10_a_fenced_member_and_a_forbidden_unclean_election_are_rejected() {
        let mut paper = Paper::started(config());
        paper.meta(MetadataFact::BrokerFenced { broker: NodeId(2) }).elect(Some(0), 0, &[0, 2]);
        assert_eq!(paper.outcome("isr-legal"), CheckOutcome::Violated);
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0]).elect(Some(1), 1, &[1]);
        assert_eq!(paper.outcome("isr-legal"), CheckOutcome::Violated);
    }
}
