//! isr-legal (P-10, P-11): what the controller commits about a partition makes sense.

use std::collections::BTreeMap;

use broker::ids::{LeaderEpoch, NodeId};
use broker::trace::{Election, Observation, PartitionFact};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, PartitionStep, Step};
use super::judge::{Check, Tally};
use crate::trace::{Fact, TraceEvent};

/// The committed ISR is a part of the replicas, has no fenced member (unless it is the only one and there are no eligible
/// leader replicas to take its place: then the last member stays), and contains the leader. It is empty only if the
/// quorum remembers who may lead (KIP-966). Eligible leader replicas are replicas, not in the ISR, and none are kept
/// while the ISR is large enough. Epochs never fall; nobody is elected who is neither in sync, nor eligible, nor the last
/// known leader of a partition without either, unless the topic enables it. Two records do two things at once: one that ends a
/// reassignment may elect the replica that it brings into the ISR (CTL-7), if the leader proposed that; one that takes a
/// broker that lost its tail from the eligible replicas may elect the last known leader. Source: P-10, P-11, ELR-1, ELR-2,
/// CTL-5, CTL-6, VK `ValidControllerState` and `IsrAndElr`, HK `LeaderInIsr`.
#[derive(Debug, Default)]
pub struct IsrLegal {
    tally: Tally,
    /// What the leader of each log asked for last.
    proposed: BTreeMap<usize, Proposed>,
}

/// An ISR that a leader asked for.
#[derive(Debug)]
struct Proposed {
    by: Option<NodeId>,
    leader_epoch: LeaderEpoch,
    isr: Vec<NodeId>,
}

impl IsrLegal {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(IsrLegal::default())
    }
}

fn wrong(
    ghost: &Ghost,
    change: &PartitionStep,
    now: &PartitionFact,
    asked: Option<&Proposed>,
) -> Option<String> {
    wrong_isr(ghost, now).or_else(|| wrong_elr(now)).or_else(|| wrong_step(ghost, change, now, asked))
}

fn wrong_isr(ghost: &Ghost, now: &PartitionFact) -> Option<String> {
    let stranger = now.isr.iter().find(|member| !now.replicas.contains(member));
    let is_fenced = |member: &&NodeId| ghost.broker(**member).is_none_or(|broker| broker.is_fenced);
    let fenced = now.isr.iter().find(is_fenced).filter(|_| now.isr.len() > 1);
    if now.isr.is_empty() && now.elr.is_empty() && now.last_known_elr.is_empty() {
        return Some("the isr is empty, and nobody remembers who may lead".to_owned());
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
    let leader = now.leader?;
    if is_fenced(&&leader) {
        return Some(format!("leader {leader} is fenced"));
    }
    (!now.isr.contains(&leader)).then(|| format!("leader {leader} is not in the isr"))
}

fn wrong_elr(now: &PartitionFact) -> Option<String> {
    if let Some(stranger) = now.elr.iter().find(|member| !now.replicas.contains(member)) {
        return Some(format!("broker {stranger} is an eligible leader replica but is no replica"));
    }
    if let Some(both) = now.elr.iter().find(|member| now.isr.contains(member)) {
        return Some(format!("broker {both} is in the isr and an eligible leader replica"));
    }
    let min_isr = usize::try_from(now.min_isr).unwrap_or(0).min(now.replicas.len());
    let is_large_enough = !now.isr.is_empty() && now.isr.len() >= min_isr;
    (is_large_enough && !now.elr.is_empty())
        .then(|| "eligible leader replicas are kept although the isr is large enough".to_owned())
}

fn wrong_step(
    ghost: &Ghost,
    change: &PartitionStep,
    now: &PartitionFact,
    asked: Option<&Proposed>,
) -> Option<String> {
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
    let is_last_known = |leader: &NodeId| {
        before.last_known_elr == [*leader] && (knows_nobody(before) || forgets_lost(ghost, before, now))
    };
    let may_lead = |leader: &NodeId| {
        let has_all = before.isr.contains(leader) || before.elr.contains(leader);
        has_all || is_last_known(leader) || completes(before, now, *leader, asked)
    };
    let leader = now.leader.filter(|leader| now.leader != before.leader && !may_lead(leader));
    let is_unclean = change.election == Election::Unclean && !now.leader.as_ref().is_some_and(is_last_known);
    ((leader.is_some() || is_unclean) && !ghost.may_elect_unclean(&ghost.log(change.log).id.partition.topic))
        .then(|| format!("the leader of epoch {} is elected although it may lack records", now.leader_epoch))
}

/// Ends this record a reassignment in which the new leader is on its way in, and did the old leader ask for it in the ISR?
fn completes(before: &PartitionFact, now: &PartitionFact, leader: NodeId, asked: Option<&Proposed>) -> bool {
    let is_last = before.adding.contains(&leader) && now.adding.is_empty() && now.removing.is_empty();
    let is_asked = asked.is_some_and(|asked| {
        let is_by_leader = asked.by == before.leader && asked.leader_epoch == before.leader_epoch;
        is_by_leader && asked.isr.contains(&leader)
    });
    is_last && is_asked && now.isr.contains(&leader)
}

/// Was the only eligible replica one whose broker is not at work, and is it forgotten by this very record?
fn forgets_lost(ghost: &Ghost, before: &PartitionFact, now: &PartitionFact) -> bool {
    let [lost] = before.elr[..] else { return false };
    let is_away = ghost.broker(lost).is_none_or(|broker| broker.is_fenced);
    before.isr.is_empty() && is_away && !now.elr.contains(&lost) && !now.isr.contains(&lost)
}

fn knows_nobody(before: &PartitionFact) -> bool {
    before.isr.is_empty() && before.elr.is_empty()
}

impl Check for IsrLegal {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        if let (Fact::Node(Observation::IsrProposed { leader_epoch, to, .. }), Some(index)) =
            (&event.fact, step.log)
        {
            let by = event.host.and_then(|host| ghost.node_of(host));
            self.proposed.insert(index, Proposed { by, leader_epoch: *leader_epoch, isr: to.clone() });
            return;
        }
        let Some(change) = &step.partition else { return };
        let log = ghost.log(change.log);
        let Some(now) = &log.partition else { return };
        self.tally.evaluations += 1;
        self.tally.examined += now.isr.len() as u64;
        if let Some(what) = wrong(ghost, change, now, self.proposed.get(&change.log)) {
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

    fn with_elr(isr: &[i32], elr: &[i32], last_known: &[i32]) -> CheckOutcome {
        let mut paper = Paper::started(config());
        let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
        paper.register_partition(|state| {
            (state.isr, state.elr, state.last_known_elr) = (nodes(isr), nodes(elr), nodes(last_known));
            state.leader = state.leader.filter(|leader| isr.contains(&leader.0));
        });
        paper.outcome("isr-legal")
    }

    #[test]
    fn elr_1_an_isr_that_is_too_small_or_empty_has_eligible_replicas_beside_it() {
        for (isr, elr, last_known) in [(&[0][..], &[1, 2][..], &[][..]), (&[], &[1], &[0]), (&[], &[], &[0])]
        {
            assert_eq!(with_elr(isr, elr, last_known), CheckOutcome::Held, "{isr:?} {elr:?} {last_known:?}");
        }
    }

    #[test]
    fn elr_2_illegal_eligible_replicas_are_rejected() {
        for (isr, elr) in [(&[0][..], &[7][..]), (&[0], &[0]), (&[0, 1], &[2]), (&[], &[])] {
            assert_eq!(with_elr(isr, elr, &[]), CheckOutcome::Violated, "{isr:?} {elr:?}");
        }
    }

    /// Broker 2 is on its way in for broker 0, which leads; `asked` is what broker 0 asked for, and `change` the record.
    fn reassigned(asked: &[i32], change: impl FnOnce(&mut PartitionFact)) -> CheckOutcome {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0, 1]).register_partition(|state| {
            (state.adding, state.removing) = (nodes(&[2]), nodes(&[0]));
        });
        let (from, to) = (nodes(&[0, 1]), nodes(asked));
        paper.node(0, Observation::IsrProposed { log: log(), leader_epoch: 0, from, to });
        paper.register_partition(|state| {
            (state.leader, state.leader_epoch) = (Some(NodeId(2)), 1);
            (state.replicas, state.isr) = (nodes(&[2, 1]), nodes(&[1, 2]));
            (state.adding, state.removing) = (vec![], vec![]);
            change(state);
        });
        paper.outcome("isr-legal")
    }

    #[test]
    fn ctl_7_the_replica_that_ends_a_reassignment_may_lead_at_once() {
        assert_eq!(reassigned(&[0, 1, 2], |_| ()), CheckOutcome::Held);
    }

    #[test]
    fn ctl_7_who_is_still_on_its_way_or_was_not_asked_for_may_not_lead() {
        assert_eq!(reassigned(&[0, 1], |_| ()), CheckOutcome::Violated, "nobody said that it is in sync");
        let goes_on = |state: &mut PartitionFact| state.removing = nodes(&[1]);
        assert_eq!(reassigned(&[0, 1, 2], goes_on), CheckOutcome::Violated);
    }

    /// Broker 1 is eligible, broker 2 led last; one record forgets `gone` and elects broker 2.
    fn last_leader(is_back: bool, stays: &[i32]) -> CheckOutcome {
        let mut paper = Paper::started(config());
        paper.register_partition(|state| {
            (state.isr, state.elr, state.last_known_elr) = (vec![], nodes(&[1]), nodes(&[2]));
            state.leader = None;
        });
        if !is_back {
            paper.meta(MetadataFact::BrokerFenced { broker: NodeId(1) });
        }
        paper.register_partition(|state| {
            (state.leader, state.leader_epoch) = (Some(NodeId(2)), 1);
            (state.isr, state.elr, state.last_known_elr) = (nodes(&[2]), nodes(stays), vec![]);
        });
        paper.outcome("isr-legal")
    }

    #[test]
    fn elr_4_the_last_leader_follows_the_lost_eligible_replica_in_one_record() {
        assert_eq!(last_leader(false, &[]), CheckOutcome::Held);
        assert_eq!(last_leader(false, &[1]), CheckOutcome::Violated, "broker 1 has what was acknowledged");
        assert_eq!(last_leader(true, &[]), CheckOutcome::Violated, "broker 1 is at work and has everything");
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
