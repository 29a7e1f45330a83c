//! Partitions that wait for a leader get any (`unclean.leader.election.enable`).

use super::View;
use super::elections::{PartitionChange, topic_settings};
use crate::metadata::MetadataRecord;

/// The records that give partitions without a leader an unclean one where their topic allows it: those that were not
/// allowed it when their leader went. Source: `ReplicationControlManager.maybeElectUncleanLeaders`, KIP-966.
pub(super) fn elect_unclean_leaders(view: View<'_>) -> Vec<MetadataRecord> {
    let is_allowed = |topic: &str| topic_settings(view.image, view.settings, topic).unclean_leader_election;
    let leaderless = view.image.partitions().filter(|(_, _, p)| p.leader.is_none());
    leaderless
        .filter(|(topic, _, _)| is_allowed(&topic.name))
        .filter_map(|(topic, number, partition)| {
            PartitionChange::new(view, topic, number, partition).build(|n| view.image.is_active(n))
        })
        .map(MetadataRecord::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BrokerConfig;
    use crate::controller::elections::registration;
    use crate::defects::DefectSet;
    use crate::ids::{NodeId, Uuid};
    use crate::metadata::{
        Endpoint, MetadataDelta, MetadataImage, PartitionChangeRecord, RegisterBrokerRecord, TopicImage,
    };

    fn broker(id: i32) -> MetadataRecord {
        RegisterBrokerRecord {
            broker_id: NodeId(id),
            incarnation_id: Uuid::from_u128(1),
            broker_epoch: 1,
            endpoints: Vec::<Endpoint>::new(),
            features: Default::default(),
            rack: None,
            fenced: false,
            in_controlled_shutdown: false,
            log_dirs: vec![],
        }
        .into()
    }

    #[test]
    fn only_what_has_no_leader_gets_one_and_only_where_that_is_allowed() {
        let mut image = MetadataImage::default();
        image.apply(0, &broker(2), &mut MetadataDelta::default());
        let id = Uuid::from_u128(5);
        let partitions = [(0, registration(&[1, 2], &[1], None)), (1, registration(&[1, 2], &[2], Some(2)))];
        image.topics.insert(id, TopicImage { name: "t".into(), id, partitions: partitions.into() });
        let elected = |unclean_leader_election| {
            let settings = BrokerConfig { unclean_leader_election, ..BrokerConfig::default() };
            elect_unclean_leaders(View { image: &image, settings: &settings, defects: &DefectSet::none() })
        };
        assert_eq!(elected(false), []);
        let [MetadataRecord::PartitionChange(PartitionChangeRecord { partition: 0, leader, .. })] =
            &elected(true)[..]
        else {
            panic!("{:?}", elected(true))
        };
        assert_eq!(*leader, Some(Some(NodeId(2))));
    }
}
