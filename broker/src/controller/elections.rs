//! Who leads and who is in sync after something changed.

use super::configs::effective_broker;
use super::reassignment::{Assignment, completed};
use super::{View, elr};
use crate::config::{BrokerConfig, TopicConfig};
use crate::defects::Defect;
use crate::ids::{NodeId, TopicId};
use crate::metadata::{
    LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionChangeRecord, PartitionRegistration,
    TopicImage,
};

/// A topic's effective settings. Values are checked on creation; one that cannot be used falls back to the broker's.
pub(super) fn topic_settings(image: &MetadataImage, settings: &BrokerConfig, topic: &str) -> TopicConfig {
    let broker = effective_broker(image, settings);
    TopicConfig::over(&broker, image.topic_config(topic)).unwrap_or_else(|_| TopicConfig {
        min_insync_replicas: broker.min_insync_replicas,
        unclean_leader_election: broker.unclean_leader_election,
        ..TopicConfig::default()
    })
}

/// Who may be elected (`PartitionChangeBuilder.Election`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Election {
    /// The present leader stays if it can; else the first replica of the ISR that can lead.
    Online,
    /// The preferred replica if it can, even if the present leader could stay.
    Preferred,
    /// As online, and as the last resort any replica that can lead (`unclean.leader.election.enable`).
    Unclean,
}

/// Where an elected leader comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The ISR.
    Isr,
    /// The eligible leader replicas: it has everything that was acknowledged, and becomes the ISR.
    Eligible,
    /// Elsewhere: it becomes the ISR and may miss acknowledged records.
    Outside,
}

/// What is wanted of a partition; [`PartitionChange::build`] finds the record that brings it about
/// (`PartitionChangeBuilder`). Source: CTL-5.
#[derive(Debug)]
pub(super) struct PartitionChange<'a> {
    topic_id: TopicId,
    number: i32,
    partition: &'a PartitionRegistration,
    target: Assignment,
    target_isr: Vec<NodeId>,
    target_recovery: LeaderRecoveryState,
    election: Election,
    /// `min.insync.replicas` of the topic.
    min_isr: usize,
    /// Eligible leader replicas are kept.
    keeps_eligible: bool,
    /// A replica that may have lost its tail.
    lost: Option<NodeId>,
    /// R12b: the last known leader is elected even if it cannot lead.
    trusts_last_leader: bool,
    /// R12: who may have lost its tail stays eligible.
    trusts_lost: bool,
}

impl<'a> PartitionChange<'a> {
    /// No change yet; elections are online or unclean, as the topic has it.
    pub(super) fn new(
        view: View<'_>,
        topic: &TopicImage,
        number: i32,
        partition: &'a PartitionRegistration,
    ) -> Self {
        let settings = topic_settings(view.image, view.settings, &topic.name);
        PartitionChange {
            topic_id: topic.id,
            number,
            partition,
            target: Assignment::of(partition),
            target_isr: partition.isr.clone(),
            target_recovery: partition.leader_recovery_state,
            min_isr: usize::try_from(settings.min_insync_replicas).unwrap_or(1).max(1),
            keeps_eligible: elr::is_enabled(view),
            lost: None,
            trusts_last_leader: view.defects.has(Defect::FencedLastKnownLeader),
            trusts_lost: view.defects.has(Defect::UncleanBrokerStaysEligible),
            election: if settings.unclean_leader_election { Election::Unclean } else { Election::Online },
        }
    }

    /// The ISR that is wanted.
    pub(super) fn target_isr(mut self, isr: Vec<NodeId>) -> Self {
        self.target_isr = isr;
        self
    }

    /// A replica whose broker may have lost the tail of its log: it leaves the ISR and is not eligible (KIP-966).
    pub(super) fn lost(mut self, replica: Option<NodeId>) -> Self {
        self.lost = replica.filter(|_| !self.trusts_lost);
        self
    }

    /// The replicas that are wanted, and which of them come and go.
    pub(super) fn target_assignment(mut self, assignment: Assignment) -> Self {
        self.target = assignment;
        self
    }

    /// The recovery state that is wanted.
    pub(super) fn target_recovery(mut self, state: LeaderRecoveryState) -> Self {
        self.target_recovery = state;
        self
    }

    /// Who may be elected, whatever the topic has.
    pub(super) fn election(mut self, election: Election) -> Self {
        self.election = election;
        self
    }

    /// The leader and where it comes from: the present one if it still can, else the first replica in order that is in
    /// the ISR, or among the eligible if the ISR is empty; else the last known leader, and as the last resort, where
    /// that is allowed, the first replica that can lead at all. A preferred replica goes before all of them.
    fn elect(&self, eligible: &[NodeId], can_lead: &impl Fn(NodeId) -> bool) -> Option<(NodeId, Origin)> {
        let in_sync = |n: &NodeId| self.target_isr.contains(n) && can_lead(*n);
        let is_eligible = |n: &NodeId| self.target_isr.is_empty() && eligible.contains(n) && can_lead(*n);
        let clean = |n: NodeId| match () {
            () if in_sync(&n) => Some((n, Origin::Isr)),
            () if is_eligible(&n) => Some((n, Origin::Eligible)),
            () => None,
        };
        let replicas = &self.target.replicas;
        let preferred = replicas.first().copied().filter(|_| self.election == Election::Preferred);
        preferred
            .and_then(clean)
            .or_else(|| self.partition.leader.and_then(clean))
            .or_else(|| replicas.iter().copied().find_map(clean))
            .or_else(|| self.last_known_leader(eligible, can_lead).map(|n| (n, Origin::Outside)))
            .or_else(|| {
                let any = replicas.iter().copied().find(|n| can_lead(*n));
                any.filter(|_| self.election == Election::Unclean).map(|n| (n, Origin::Outside))
            })
    }

    /// Nobody is in sync and nobody eligible: the last leader may lead again, if it can. It may have lost its tail, so
    /// that this counts as an unclean election. Up to 4.0 Kafka elected it even if it could not lead (KAFKA-19522).
    fn last_known_leader(&self, eligible: &[NodeId], can_lead: &impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let [last] = self.partition.last_known_elr[..] else { return None };
        let is_needed = self.keeps_eligible && self.target_isr.is_empty() && eligible.is_empty();
        (is_needed && (can_lead(last) || self.trusts_last_leader)).then_some(last)
    }

    /// The record that is needed, `None` if there is nothing to change. Without ELR the ISR never becomes empty: the
    /// last member stays, even if it cannot lead (CTL-6). A change that brings the last replica of a reassignment into
    /// the ISR completes the reassignment (CTL-7).
    pub(super) fn build(mut self, can_lead: impl Fn(NodeId) -> bool) -> Option<PartitionChangeRecord> {
        if let Some((replicas, isr)) = completed(&self.target, &self.target_isr) {
            (self.target, self.target_isr) = (Assignment::settled(replicas), isr);
        }
        let before = self.partition;
        let mut eligible = Vec::new();
        if self.keeps_eligible {
            let (replicas, isr) = (&self.target.replicas, &self.target_isr);
            eligible = elr::eligible_after(before, replicas, isr, self.min_isr, self.lost);
        }
        let elected = self.elect(&eligible, &can_lead);
        let leader = elected.map(|(leader, _)| leader);
        let mut record = PartitionChangeRecord::new(self.topic_id, self.number);
        if leader != before.leader {
            record.leader = Some(leader);
        }
        self.target.note_changes(before, &mut record);
        let (mut isr, mut recovery) = (self.target_isr, self.target_recovery);
        match elected {
            Some((leader, Origin::Eligible)) => {
                isr = vec![leader];
                eligible.retain(|n| *n != leader);
            }
            Some((leader, Origin::Outside)) => {
                (isr, recovery) = (vec![leader], LeaderRecoveryState::Recovering);
                eligible.clear();
            }
            Some((_, Origin::Isr)) | None => {}
        }
        if isr.is_empty() && !self.keeps_eligible {
            isr.clone_from(&before.isr);
        }
        let last_known = match self.keeps_eligible {
            true => elr::last_known_after(before, &self.target.replicas, &isr, leader),
            false => Vec::new(),
        };
        let unless_same = |now: Vec<NodeId>, then: &[NodeId]| (now != then).then_some(now);
        record.isr = unless_same(isr, &before.isr);
        record.elr = unless_same(eligible, &before.elr);
        record.last_known_elr = unless_same(last_known, &before.last_known_elr);
        if recovery != before.leader_recovery_state {
            record.leader_recovery_state = Some(recovery);
        }
        (!record.is_noop()).then_some(record)
    }
}

/// What happens to a broker.
#[derive(Debug, Clone, Copy)]
enum Move {
    /// It leaves each ISR and may not lead.
    Goes(NodeId),
    /// It may have lost the tails of its logs: it leaves each ISR, is not eligible and may not lead.
    Lost(NodeId),
    /// It may lead, although the image still has it fenced.
    Comes(NodeId),
}

/// The changes of every partition that a broker's move concerns.
/// Source: `ReplicationControlManager.generateLeaderAndIsrUpdates`.
///
/// Differs from Kafka: a broker that is unfenced in the middle of its controlled shutdown may not lead. Kafka lets it,
/// since its brokers never ask for that.
fn leader_and_isr_updates(view: View<'_>, what: Move) -> Vec<MetadataRecord> {
    let image = view.image;
    let (leaves, lost, comes) = match what {
        Move::Goes(broker) => (Some(broker), None, None),
        Move::Lost(broker) => (Some(broker), Some(broker), None),
        Move::Comes(broker) => (None, None, Some(broker)),
    };
    let stays = |n: NodeId| image.broker(n).is_some_and(|b| !b.in_controlled_shutdown);
    let can_lead = |n: NodeId| Some(n) != leaves && (image.is_active(n) || Some(n) == comes && stays(n));
    let is_concerned = |p: &PartitionRegistration| match what {
        Move::Goes(broker) => p.isr.contains(&broker),
        Move::Lost(broker) => p.isr.contains(&broker) || p.elr.contains(&broker),
        Move::Comes(_) => p.leader.is_none(),
    };
    image
        .partitions()
        .filter(|(_, _, partition)| is_concerned(partition))
        .filter_map(|(topic, number, partition)| {
            let isr = partition.isr.iter().copied().filter(|n| Some(*n) != leaves).collect();
            PartitionChange::new(view, topic, number, partition).target_isr(isr).lost(lost).build(can_lead)
        })
        .map(MetadataRecord::from)
        .collect()
}

/// A broker goes (fenced, shutting down, or replaced by a new incarnation after a clean shutdown): it leaves every ISR,
/// and what it led gets another leader or none (CTL-6).
pub(super) fn broker_goes(view: View<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    leader_and_isr_updates(view, Move::Goes(broker))
}

/// A broker comes back from an unclean shutdown and may have lost the tails of its logs: it leaves every ISR and is
/// eligible nowhere (KIP-966).
pub(super) fn broker_lost(view: View<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    leader_and_isr_updates(view, Move::Lost(broker))
}

/// A broker comes: partitions without a leader may get one, uncleanly where that is allowed.
pub(super) fn broker_comes(view: View<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    leader_and_isr_updates(view, Move::Comes(broker))
}

/// A recovered partition in its second epoch, without eligible replicas.
#[cfg(test)]
pub(super) fn registration(replicas: &[i32], isr: &[i32], leader: Option<i32>) -> PartitionRegistration {
    let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect();
    PartitionRegistration {
        replicas: nodes(replicas),
        isr: nodes(isr),
        leader: leader.map(NodeId),
        leader_epoch: 1,
        partition_epoch: 1,
        leader_recovery_state: LeaderRecoveryState::Recovered,
        adding: vec![],
        removing: vec![],
        elr: vec![],
        last_known_elr: vec![],
    }
}

/// A change of partition 0 of a topic without configs.
#[cfg(test)]
pub(super) fn change_of(partition: &PartitionRegistration) -> PartitionChange<'_> {
    let (image, settings) = (MetadataImage::default(), BrokerConfig::default());
    let topic =
        TopicImage { name: "t".into(), id: crate::ids::Uuid::from_u128(5), partitions: Default::default() };
    let view = View { image: &image, settings: &settings, defects: &crate::defects::DefectSet::none() };
    PartitionChange::new(view, &topic, 0, partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: &[i32]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn a_leader_that_can_stay_stays_even_if_it_is_not_preferred() {
        let p = registration(&[1, 2, 3], &[1, 2, 3], Some(3));
        assert_eq!(change_of(&p).election(Election::Unclean).build(|_| true), None);
    }

    #[test]
    fn a_new_leader_is_the_first_replica_of_the_isr_that_can_lead() {
        let p = registration(&[3, 1, 2], &[1, 2, 3], Some(3));
        let record = change_of(&p).target_isr(nodes(&[1, 2])).build(|n| n != NodeId(3));
        let record = record.unwrap();
        assert_eq!((record.leader, record.isr), (Some(Some(NodeId(1))), Some(nodes(&[1, 2]))));
        assert_eq!(record.leader_recovery_state, None);
    }

    #[test]
    fn the_last_member_of_the_isr_stays_and_the_leader_goes() {
        let p = registration(&[1, 2], &[1], Some(1));
        let record = change_of(&p).target_isr(vec![]).build(|n| n == NodeId(2)).unwrap();
        assert_eq!((record.leader, record.isr), (Some(None), None));
    }

    #[test]
    fn an_unclean_leader_is_the_whole_isr_and_recovers() {
        let p = registration(&[1, 2], &[1], Some(1));
        let record = change_of(&p).target_isr(vec![]).election(Election::Unclean);
        let record = record.build(|n| n == NodeId(2)).unwrap();
        assert_eq!((record.leader, record.isr), (Some(Some(NodeId(2))), Some(nodes(&[2]))));
        assert_eq!(record.leader_recovery_state, Some(LeaderRecoveryState::Recovering));
    }

    #[test]
    fn unclean_is_the_last_resort() {
        let p = registration(&[1, 2, 3], &[3], None);
        let record = change_of(&p).election(Election::Unclean).build(|_| true).unwrap();
        assert_eq!((record.leader, record.leader_recovery_state), (Some(Some(NodeId(3))), None));
    }

    #[test]
    fn a_preferred_election_takes_the_lead_from_one_that_could_stay() {
        let p = registration(&[1, 2, 3], &[1, 2, 3], Some(3));
        let preferred =
            |can_lead: fn(NodeId) -> bool| change_of(&p).election(Election::Preferred).build(can_lead);
        assert_eq!(preferred(|_| true).unwrap().leader, Some(Some(NodeId(1))));
        // Broker 1 cannot lead: broker 3 goes on, broker 2 is no better.
        assert_eq!(preferred(|n| n != NodeId(1)), None);
    }

    /// A change of a partition with min.insync.replicas=2 in a cluster that keeps eligible replicas.
    fn eligible(p: &PartitionRegistration) -> PartitionChange<'_> {
        PartitionChange { min_isr: 2, keeps_eligible: true, ..change_of(p) }
    }

    #[test]
    fn elr_1_with_eligible_replicas_the_isr_may_become_empty() {
        let p = registration(&[1, 2, 3], &[1], Some(1));
        let record = eligible(&p).target_isr(vec![]).build(|n| n != NodeId(1)).unwrap();
        assert_eq!((record.leader, record.isr), (Some(None), Some(vec![])));
        assert_eq!((record.elr, record.last_known_elr), (Some(nodes(&[1])), Some(nodes(&[1]))));
    }

    #[test]
    fn an_eligible_replica_leads_and_becomes_the_isr() {
        let mut p = registration(&[1, 2, 3], &[], None);
        (p.elr, p.last_known_elr) = (nodes(&[2, 1]), nodes(&[1]));
        let record = eligible(&p).build(|n| n != NodeId(1)).unwrap();
        assert_eq!((record.leader, record.isr), (Some(Some(NodeId(2))), Some(nodes(&[2]))));
        assert_eq!((record.elr, record.last_known_elr), (Some(nodes(&[1])), Some(vec![])));
        assert_eq!(record.leader_recovery_state, None, "nothing is lost");
    }

    #[test]
    fn nobody_is_elected_from_the_eligible_while_somebody_is_in_sync() {
        let mut p = registration(&[1, 2, 3], &[2], None);
        p.elr = nodes(&[1]);
        assert_eq!(eligible(&p).build(|n| n == NodeId(1)), None);
    }

    #[test]
    fn the_last_known_leader_leads_only_if_it_can() {
        let mut p = registration(&[1, 2, 3], &[], None);
        p.last_known_elr = nodes(&[1]);
        assert_eq!(eligible(&p).build(|n| n == NodeId(2)), None, "KAFKA-19522");
        let record = eligible(&p).build(|_| true).unwrap();
        assert_eq!((record.leader, record.isr), (Some(Some(NodeId(1))), Some(nodes(&[1]))));
        assert_eq!(record.leader_recovery_state, Some(LeaderRecoveryState::Recovering));
        let trusting = PartitionChange { trusts_last_leader: true, ..eligible(&p) };
        assert_eq!(trusting.build(|_| false).unwrap().leader, Some(Some(NodeId(1))), "R12b");
    }

    #[test]
    fn who_may_have_lost_its_tail_is_neither_in_sync_nor_eligible() {
        let p = registration(&[1, 2, 3], &[1], Some(1));
        let gone = |p| eligible(p).target_isr(vec![]).lost(Some(NodeId(1))).build(|_| false).unwrap();
        let record = gone(&p);
        assert_eq!((record.isr, record.elr, record.last_known_elr), (Some(vec![]), None, Some(nodes(&[1]))));
        let trusting = PartitionChange { trusts_lost: true, ..eligible(&p) };
        let record = trusting.target_isr(vec![]).lost(Some(NodeId(1))).build(|_| false).unwrap();
        assert_eq!(record.elr, Some(nodes(&[1])), "R12");
    }

    #[test]
    fn an_unclean_election_leaves_nobody_eligible() {
        let mut p = registration(&[1, 2, 3], &[], None);
        (p.elr, p.last_known_elr) = (nodes(&[1]), nodes(&[1]));
        let record = eligible(&p).election(Election::Unclean).build(|n| n == NodeId(3)).unwrap();
        assert_eq!(
            (record.isr, record.elr, record.last_known_elr),
            (Some(nodes(&[3])), Some(vec![]), Some(vec![]))
        );
        assert_eq!(record.leader_recovery_state, Some(LeaderRecoveryState::Recovering));
    }
}
