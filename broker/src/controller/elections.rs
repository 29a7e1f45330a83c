//! Who leads and who is in sync after something changed.

use super::View;
use super::reassignment::{Assignment, completed};
use crate::config::{BrokerConfig, TopicConfig};
use crate::ids::{NodeId, TopicId};
use crate::metadata::{
    LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionChangeRecord, PartitionRegistration,
    TopicImage,
};

/// A topic's effective settings. Values are checked on creation; one that cannot be used falls back to the broker's.
pub(super) fn topic_settings(image: &MetadataImage, settings: &BrokerConfig, topic: &str) -> TopicConfig {
    TopicConfig::over(settings, image.topic_config(topic)).unwrap_or_else(|_| TopicConfig {
        min_insync_replicas: settings.min_insync_replicas,
        unclean_leader_election: settings.unclean_leader_election,
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
            election: if settings.unclean_leader_election { Election::Unclean } else { Election::Online },
        }
    }

    /// The ISR that is wanted.
    pub(super) fn target_isr(mut self, isr: Vec<NodeId>) -> Self {
        self.target_isr = isr;
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

    /// The leader, and whether it comes from outside of the ISR: the present one if it still can, else the first
    /// replica in order that is in the ISR, else, if allowed, the first that can lead at all.
    fn elect(&self, can_lead: &impl Fn(NodeId) -> bool) -> (Option<NodeId>, bool) {
        let clean = |n: &NodeId| self.target_isr.contains(n) && can_lead(*n);
        if self.election == Election::Preferred
            && let Some(leader) = self.target.replicas.first().copied().filter(clean)
        {
            return (Some(leader), false);
        }
        if let Some(leader) = self.partition.leader.filter(clean) {
            return (Some(leader), false);
        }
        if let Some(leader) = self.target.replicas.iter().copied().find(clean) {
            return (Some(leader), false);
        }
        if self.election != Election::Unclean {
            return (None, false);
        }
        let any = self.target.replicas.iter().copied().find(|n| can_lead(*n));
        (any, any.is_some())
    }

    /// The record that is needed, `None` if there is nothing to change. The ISR never becomes empty: without ELR the
    /// last member stays, even if it cannot lead (CTL-6). A change that brings the last replica of a reassignment into
    /// the ISR completes the reassignment (CTL-7).
    pub(super) fn build(mut self, can_lead: impl Fn(NodeId) -> bool) -> Option<PartitionChangeRecord> {
        if let Some((replicas, isr)) = completed(&self.target, &self.target_isr) {
            (self.target, self.target_isr) = (Assignment::settled(replicas), isr);
        }
        let (leader, unclean) = self.elect(&can_lead);
        let mut record = PartitionChangeRecord::new(self.topic_id, self.number);
        if leader != self.partition.leader {
            record.leader = Some(leader);
        }
        self.target.note_changes(self.partition, &mut record);
        let (mut isr, mut recovery) = (self.target_isr, self.target_recovery);
        if unclean {
            isr = leader.into_iter().collect();
            recovery = LeaderRecoveryState::Recovering;
        }
        if !isr.is_empty() && isr != self.partition.isr {
            record.isr = Some(isr);
        }
        if recovery != self.partition.leader_recovery_state {
            record.leader_recovery_state = Some(recovery);
        }
        (!record.is_noop()).then_some(record)
    }
}

/// The changes of every partition in `which` when `remove` goes (it leaves each ISR and may not lead) or `add` comes
/// (it may lead, although `image` still has it fenced). Source: `ReplicationControlManager.generateLeaderAndIsrUpdates`.
///
/// Differs from Kafka: a broker that is unfenced in the middle of its controlled shutdown may not lead. Kafka lets it,
/// since its brokers never ask for that.
fn leader_and_isr_updates(
    view: View<'_>,
    remove: Option<NodeId>,
    add: Option<NodeId>,
    which: impl Fn(&PartitionRegistration) -> bool,
) -> Vec<MetadataRecord> {
    let image = view.image;
    let comes = |n| Some(n) == add && image.broker(n).is_some_and(|b| !b.in_controlled_shutdown);
    let can_lead = |n: NodeId| Some(n) != remove && (comes(n) || image.is_active(n));
    image
        .partitions()
        .filter(|(_, _, partition)| which(partition))
        .filter_map(|(topic, number, partition)| {
            let isr = partition.isr.iter().copied().filter(|n| Some(*n) != remove).collect();
            PartitionChange::new(view, topic, number, partition).target_isr(isr).build(can_lead)
        })
        .map(MetadataRecord::from)
        .collect()
}

/// A broker goes (fenced, shutting down, or replaced by a new incarnation): it leaves every ISR, and what it led gets
/// another leader or none (CTL-6).
pub(super) fn broker_goes(view: View<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    leader_and_isr_updates(view, Some(broker), None, |p| p.isr.contains(&broker))
}

/// A broker comes: partitions without a leader may get one, uncleanly where that is allowed.
pub(super) fn broker_comes(view: View<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    leader_and_isr_updates(view, None, Some(broker), |p| p.leader.is_none())
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

    fn partition(replicas: &[i32], isr: &[i32], leader: Option<i32>) -> PartitionRegistration {
        PartitionRegistration {
            replicas: nodes(replicas),
            isr: nodes(isr),
            leader: leader.map(NodeId),
            leader_epoch: 1,
            partition_epoch: 1,
            leader_recovery_state: LeaderRecoveryState::Recovered,
            adding: vec![],
            removing: vec![],
        }
    }

    #[test]
    fn a_leader_that_can_stay_stays_even_if_it_is_not_preferred() {
        let p = partition(&[1, 2, 3], &[1, 2, 3], Some(3));
        assert_eq!(change_of(&p).election(Election::Unclean).build(|_| true), None);
    }

    #[test]
    fn a_new_leader_is_the_first_replica_of_the_isr_that_can_lead() {
        let p = partition(&[3, 1, 2], &[1, 2, 3], Some(3));
        let record = change_of(&p).target_isr(nodes(&[1, 2])).build(|n| n != NodeId(3));
        let record = record.unwrap();
        assert_eq!((record.leader, record.isr), (Some(Some(NodeId(1))), Some(nodes(&[1, 2]))));
        assert_eq!(record.leader_recovery_state, None);
    }

    #[test]
    fn the_last_member_of_the_isr_stays_and_the_leader_goes() {
        let p = partition(&[1, 2], &[1], Some(1));
        let record = change_of(&p).target_isr(vec![]).build(|n| n == NodeId(2)).unwrap();
        assert_eq!((record.leader, record.isr), (Some(None), None));
    }

    #[test]
    fn an_unclean_leader_is_the_whole_isr_and_recovers() {
        let p = partition(&[1, 2], &[1], Some(1));
        let record = change_of(&p).target_isr(vec![]).election(Election::Unclean);
        let record = record.build(|n| n == NodeId(2)).unwrap();
        assert_eq!((record.leader, record.isr), (Some(Some(NodeId(2))), Some(nodes(&[2]))));
        assert_eq!(record.leader_recovery_state, Some(LeaderRecoveryState::Recovering));
    }

    #[test]
    fn unclean_is_the_last_resort() {
        let p = partition(&[1, 2, 3], &[3], None);
        let record = change_of(&p).election(Election::Unclean).build(|_| true).unwrap();
        assert_eq!((record.leader, record.leader_recovery_state), (Some(Some(NodeId(3))), None));
    }

    #[test]
    fn a_preferred_election_takes_the_lead_from_one_that_could_stay() {
        let p = partition(&[1, 2, 3], &[1, 2, 3], Some(3));
        let preferred =
            |can_lead: fn(NodeId) -> bool| change_of(&p).election(Election::Preferred).build(can_lead);
        assert_eq!(preferred(|_| true).unwrap().leader, Some(Some(NodeId(1))));
        // Broker 1 cannot lead: broker 3 goes on, broker 2 is no better.
        assert_eq!(preferred(|n| n != NodeId(1)), None);
    }
}
