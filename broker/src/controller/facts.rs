//! What a committed record means.

use super::elections::topic_settings;
use crate::config::BrokerConfig;
use crate::ids::{LogId, Offset, TopicId, TopicPartition};
use crate::metadata::{
    LeaderRecoveryState, MetadataDelta, MetadataImage, MetadataRecord, PartitionRegistration, ResourceType,
};
use crate::trace::{Election, MetadataFact, PartitionFact};

/// Applies a record and says what it means; `None` for records that mean nothing to an observer: no-ops, amended
/// registrations.
pub(super) fn apply(
    image: &mut MetadataImage,
    offset: Offset,
    record: &MetadataRecord,
    delta: &mut MetadataDelta,
    settings: &BrokerConfig,
) -> Option<MetadataFact> {
    let before = Before::of(image, record);
    image.apply(offset, record, delta);
    match record {
        MetadataRecord::RegisterBroker(r) => before
            .registers_anew
            .then_some(MetadataFact::BrokerRegistered { broker: r.broker_id, broker_epoch: r.broker_epoch }),
        MetadataRecord::UnregisterBroker(r) => Some(MetadataFact::BrokerUnregistered { broker: r.broker_id }),
        MetadataRecord::BrokerRegistrationChange(r) => match (r.fenced, r.in_controlled_shutdown) {
            (Some(true), _) => Some(MetadataFact::BrokerFenced { broker: r.broker_id }),
            (Some(false), _) => Some(MetadataFact::BrokerUnfenced { broker: r.broker_id }),
            (None, true) => Some(MetadataFact::BrokerShuttingDown { broker: r.broker_id }),
            (None, false) => None,
        },
        MetadataRecord::Topic(r) => {
            Some(MetadataFact::TopicCreated { topic: r.name.clone(), topic_id: r.topic_id })
        }
        MetadataRecord::RemoveTopic(r) => {
            Some(MetadataFact::TopicDeleted { topic: before.topic?, topic_id: r.topic_id })
        }
        MetadataRecord::Partition(r) => partition_changed(image, settings, &r.topic_id, r.partition, None),
        MetadataRecord::PartitionChange(r) => {
            partition_changed(image, settings, &r.topic_id, r.partition, before.partition.as_ref())
        }
        MetadataRecord::ProducerIds(r) => Some(MetadataFact::ProducerIdsAllocated {
            broker: r.broker_id,
            first: before.next_producer_id,
            size: i32::try_from(r.next_producer_id - before.next_producer_id).unwrap_or(i32::MAX),
        }),
        MetadataRecord::Config(r) => Some(MetadataFact::ConfigChanged {
            resource: match (r.resource_type, r.resource_name.as_str()) {
                (ResourceType::Topic, name) => format!("topic {name}"),
                (ResourceType::Broker, "") => "broker".into(),
                (ResourceType::Broker, id) => format!("broker {id}"),
            },
            name: r.name.clone(),
            value: r.value.clone(),
        }),
        MetadataRecord::FeatureLevel(r) => {
            Some(MetadataFact::FeatureChanged { name: r.name.clone(), level: r.level })
        }
        MetadataRecord::NoOp(_) => None,
    }
}

/// What must be remembered from before a record is applied.
struct Before {
    registers_anew: bool,
    topic: Option<String>,
    partition: Option<PartitionRegistration>,
    next_producer_id: i64,
}

impl Before {
    fn of(image: &MetadataImage, record: &MetadataRecord) -> Before {
        let (mut registers_anew, mut topic, mut partition) = (false, None, None);
        match record {
            MetadataRecord::RegisterBroker(r) => {
                registers_anew = image.broker(r.broker_id).is_none_or(|b| b.broker_epoch != r.broker_epoch);
            }
            MetadataRecord::RemoveTopic(r) => topic = image.topic(&r.topic_id).map(|t| t.name.to_string()),
            MetadataRecord::PartitionChange(r) => {
                partition = image.partition(&r.topic_id, r.partition).cloned();
            }
            _ => {}
        }
        Before { registers_anew, topic, partition, next_producer_id: image.next_producer_id }
    }
}

/// How the partition got its leader: one that was neither in the ISR nor eligible (KIP-966) before is an unclean one, and
/// so is one that has to recover: the last known leader. The record that ends a reassignment may bring a replica into the
/// ISR and let it lead at once (CTL-7).
fn election(before: Option<&PartitionRegistration>, after: &PartitionRegistration) -> Election {
    let Some(leader) = after.leader else { return Election::None };
    let is_recovered = after.leader_recovery_state == LeaderRecoveryState::Recovered;
    let is_settled = after.adding.is_empty() && after.removing.is_empty();
    let joins =
        |before: &PartitionRegistration| before.adding.contains(&leader) && is_settled && is_recovered;
    match before {
        Some(before) if before.leader == Some(leader) => Election::None,
        Some(before) if joins(before) => Election::Clean,
        Some(before) if !before.isr.contains(&leader) && !before.elr.contains(&leader) => Election::Unclean,
        Some(before) if before.leader_recovery_state != after.leader_recovery_state => Election::Unclean,
        _ => Election::Clean,
    }
}

fn partition_changed(
    image: &MetadataImage,
    settings: &BrokerConfig,
    topic_id: &TopicId,
    number: i32,
    before: Option<&PartitionRegistration>,
) -> Option<MetadataFact> {
    let topic = image.topic(topic_id)?;
    let after = topic.partitions.get(&number)?;
    Some(MetadataFact::PartitionChanged {
        log: LogId { partition: TopicPartition::new(topic.name.clone(), number), topic_id: *topic_id },
        election: election(before, after),
        state: PartitionFact {
            leader: after.leader,
            leader_epoch: after.leader_epoch,
            partition_epoch: after.partition_epoch,
            replicas: after.replicas.clone(),
            isr: after.isr.clone(),
            min_isr: topic_settings(image, settings, &topic.name).min_insync_replicas,
            elr: after.elr.clone(),
            last_known_elr: after.last_known_elr.clone(),
            adding: after.adding.clone(),
            removing: after.removing.clone(),
            is_recovering: after.leader_recovery_state == LeaderRecoveryState::Recovering,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::elections::registration;
    use super::*;
    use crate::ids::NodeId;

    #[test]
    fn ctl_7_who_joins_the_isr_as_a_reassignment_ends_may_lead_cleanly() {
        let mut before = registration(&[1, 4], &[1], Some(1));
        (before.adding, before.removing) = (vec![NodeId(4)], vec![NodeId(1)]);
        let after = registration(&[4], &[4], Some(4));
        assert_eq!(election(Some(&before), &after), Election::Clean);
        let mut under_way = after.clone();
        under_way.removing = vec![NodeId(1)];
        assert_eq!(election(Some(&before), &under_way), Election::Unclean);
        let mut recovers = after.clone();
        recovers.leader_recovery_state = LeaderRecoveryState::Recovering;
        assert_eq!(election(Some(&before), &recovers), Election::Unclean);
        before.adding.clear();
        assert_eq!(election(Some(&before), &after), Election::Unclean, "it was not on its way in");
    }
}
