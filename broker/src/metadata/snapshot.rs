//! The image as records, and back: what a snapshot of the metadata holds (KIP-630).
//!
//! *Invariant:* `from_snapshot(to_records(image))` is the image again, but for two things that no record carries: which
//! record registered a broker last (it becomes the last record that the snapshot covers, as in Kafka), and who got the
//! last block of producer ids. Two images that applied the same records give the same bytes, however they came about.

use super::broker_records::{FeatureLevelRecord, ProducerIdsRecord, RegisterBrokerRecord};
use super::delta::MetadataDelta;
use super::image::{MetadataImage, TopicImage};
use super::record::{MetadataRecord, RecordError};
use super::registration::{BrokerRegistration, PartitionRegistration};
use super::topic_records::{ConfigRecord, PartitionRecord, TopicRecord};
use crate::ids::{LeaderEpoch, NodeId, Offset, TopicId};
use bytes::Bytes;

/// A committed state of the metadata as encoded records: everything below `end_offset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataSnapshot {
    /// The offset after the last record that it covers.
    pub end_offset: Offset,
    /// The epoch of that record.
    pub epoch: LeaderEpoch,
    /// The encoded records of the state, in the order of [`MetadataImage::to_records`].
    pub records: Vec<Bytes>,
}

impl MetadataSnapshot {
    /// Stands for the content: the same for equal states, wherever the snapshot was made.
    pub fn digest(&self) -> u64 {
        digest(self.records.iter())
    }
}

/// FNV-1a over all records.
fn digest<'a>(records: impl Iterator<Item = &'a Bytes>) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    records.flat_map(|record| record.iter()).fold(0xcbf2_9ce4_8422_2325, step)
}

impl MetadataImage {
    /// The state as records. In order: features, brokers, topics with their partitions, configs, producer ids.
    /// Source: `MetadataImage.write`.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        // Named one by one: who adds to the image must add it here, or a snapshot loses it.
        let MetadataImage {
            brokers,
            topics,
            topic_ids: _,
            configs,
            features,
            next_producer_id,
            applied_offset: _,
            applied_epoch: _,
        } = self;
        let mut records: Vec<MetadataRecord> = Vec::new();
        let feature =
            |(name, level): (&String, &i16)| FeatureLevelRecord { name: name.clone(), level: *level };
        records.extend(features.iter().map(feature).map(MetadataRecord::from));
        records.extend(brokers.values().map(register_record).map(MetadataRecord::from));
        for topic in topics.values() {
            let TopicImage { name, id, partitions } = topic;
            records.push(TopicRecord { name: name.to_string(), topic_id: *id }.into());
            let partition = |(number, registration)| partition_record(*id, number, registration).into();
            records.extend(
                partitions.iter().map(|(number, registration)| (*number, registration)).map(partition),
            );
        }
        for ((resource_type, resource_name), values) in configs {
            let (resource_type, resource_name) = (*resource_type, resource_name.clone());
            records.extend(values.iter().map(|(name, value)| {
                let (name, value) = (name.clone(), Some(value.clone()));
                ConfigRecord { resource_type, resource_name: resource_name.clone(), name, value }.into()
            }));
        }
        if *next_producer_id > 0 {
            // Nobody's block: only where the next one begins is of the state.
            let (broker_id, broker_epoch) = (NodeId(-1), -1);
            let next_producer_id = *next_producer_id;
            records.push(ProducerIdsRecord { broker_id, broker_epoch, next_producer_id }.into());
        }
        records
    }

    /// The state as a snapshot of everything that was applied.
    pub fn to_snapshot(&self) -> MetadataSnapshot {
        MetadataSnapshot {
            end_offset: self.applied_offset + 1,
            epoch: self.applied_epoch,
            records: self.to_records().iter().map(MetadataRecord::encode).collect(),
        }
    }

    /// The state that a snapshot holds. Errors: a record cannot be read.
    pub fn from_snapshot(snapshot: &MetadataSnapshot) -> Result<MetadataImage, RecordError> {
        let (mut image, mut delta) = (MetadataImage::default(), MetadataDelta::default());
        let last = snapshot.end_offset - 1;
        for record in &snapshot.records {
            image.apply(last, &MetadataRecord::decode(record.clone())?, &mut delta);
        }
        image.applied_to(last, snapshot.epoch);
        Ok(image)
    }

    /// Stands for the whole state: equal on every node at equal offsets, whether the state came from the log or from
    /// a snapshot and the rest of the log.
    pub fn digest(&self) -> u64 {
        let records: Vec<Bytes> = self.to_records().iter().map(MetadataRecord::encode).collect();
        digest(records.iter())
    }
}

fn register_record(broker: &BrokerRegistration) -> RegisterBrokerRecord {
    let BrokerRegistration {
        id,
        broker_epoch,
        registration_offset: _,
        incarnation_id,
        fenced,
        in_controlled_shutdown,
        rack,
        endpoints,
        features,
        log_dirs,
    } = broker.clone();
    RegisterBrokerRecord {
        broker_id: id,
        incarnation_id,
        broker_epoch,
        endpoints,
        features,
        rack,
        fenced,
        in_controlled_shutdown,
        log_dirs,
    }
}

fn partition_record(topic_id: TopicId, partition: i32, state: &PartitionRegistration) -> PartitionRecord {
    let PartitionRegistration {
        replicas,
        isr,
        leader,
        leader_epoch,
        partition_epoch,
        leader_recovery_state,
        adding,
        removing,
        elr,
        last_known_elr,
    } = state.clone();
    PartitionRecord {
        partition,
        topic_id,
        replicas,
        isr,
        leader,
        leader_epoch,
        partition_epoch,
        leader_recovery_state,
        adding,
        removing,
        elr,
        last_known_elr,
    }
}

impl MetadataDelta {
    /// What changed between two states: for who gets a whole new image instead of records.
    pub fn between(before: &MetadataImage, after: &MetadataImage) -> MetadataDelta {
        let mut delta = MetadataDelta::default();
        for (topic, number, registration) in after.partitions() {
            if before.partition(&topic.id, number) != Some(registration) {
                delta.changed_partitions.insert((topic.id, number));
            }
        }
        let gone = before.topics.values().filter(|topic| !after.topics.contains_key(&topic.id));
        delta.deleted_topics = gone.map(|topic| (topic.id, topic.name.clone())).collect();
        let brokers = before.brokers.keys().chain(after.brokers.keys());
        delta.changed_brokers =
            brokers.filter(|id| before.broker(**id) != after.broker(**id)).copied().collect();
        let configured =
            |topic: &&TopicImage| before.topic_config(&topic.name) != after.topic_config(&topic.name);
        delta.changed_configs = after.topics.values().filter(configured).map(|t| t.name.clone()).collect();
        let resource = |kind: super::ResourceType| kind == super::ResourceType::Broker;
        let of_brokers = |image: &MetadataImage| -> Vec<_> {
            image
                .configs
                .iter()
                .filter(|((kind, _), _)| resource(*kind))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect()
        };
        delta.changed_cluster = before.features != after.features
            || before.next_producer_id != after.next_producer_id
            || of_brokers(before) != of_brokers(after);
        delta
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        BrokerRegistrationChangeRecord, LeaderRecoveryState, NoOpRecord, PartitionChangeRecord,
        RemoveTopicRecord, ResourceType, UnregisterBrokerRecord,
    };
    use super::*;
    use crate::ids::Uuid;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// A random history that contradicts itself nowhere.
    fn history(choices: &[(u8, u8, u8)]) -> Vec<MetadataRecord> {
        let mut image = MetadataImage::default();
        let mut records = Vec::new();
        for (offset, (what, a, b)) in (0..).zip(choices) {
            let record = next_record(&image, offset, *what, i32::from(*a % 4), i32::from(*b));
            image.apply(offset, &record, &mut MetadataDelta::default());
            records.push(record);
        }
        records
    }

    fn next_record(image: &MetadataImage, offset: Offset, what: u8, a: i32, b: i32) -> MetadataRecord {
        let (node, topic_id) = (NodeId(a), Uuid::from_u128(a as u128 + 100));
        let name = format!("topic-{a}");
        match what % 9 {
            0 => RegisterBrokerRecord {
                broker_id: node,
                incarnation_id: Uuid::from_u128(b as u128),
                broker_epoch: offset,
                endpoints: vec![],
                features: Default::default(),
                rack: (b % 2 == 0).then(|| format!("rack-{b}")),
                fenced: b % 3 == 0,
                in_controlled_shutdown: false,
                log_dirs: vec![Uuid::from_u128(9)],
            }
            .into(),
            1 => match image.broker(node) {
                Some(broker) if b % 4 == 0 => {
                    UnregisterBrokerRecord { broker_id: node, broker_epoch: broker.broker_epoch }.into()
                }
                Some(broker) => {
                    BrokerRegistrationChangeRecord::fenced(node, broker.broker_epoch, b % 2 == 0).into()
                }
                None => NoOpRecord.into(),
            },
            2 if image.topic_id(&name).is_none() => TopicRecord { name, topic_id }.into(),
            3 if image.topic(&topic_id).is_some() && image.partition(&topic_id, b % 3).is_none() => {
                PartitionRecord {
                    partition: b % 3,
                    topic_id,
                    replicas: vec![NodeId(b), NodeId(b + 1)],
                    isr: vec![NodeId(b)],
                    leader: (b % 2 == 0).then_some(NodeId(b)),
                    leader_epoch: b,
                    partition_epoch: a,
                    leader_recovery_state: LeaderRecoveryState::Recovering,
                    adding: vec![],
                    removing: vec![NodeId(b)],
                    elr: vec![NodeId(b + 1)],
                    last_known_elr: vec![NodeId(b)],
                }
                .into()
            }
            4 if image.partition(&topic_id, b % 3).is_some() => PartitionChangeRecord {
                isr: Some(vec![NodeId(b)]),
                leader: (b % 2 == 0).then_some(Some(NodeId(b))),
                ..PartitionChangeRecord::new(topic_id, b % 3)
            }
            .into(),
            5 if image.topic(&topic_id).is_some() && b % 3 == 0 => RemoveTopicRecord { topic_id }.into(),
            6 => {
                let resource_type = if b % 2 == 0 { ResourceType::Topic } else { ResourceType::Broker };
                let value = (b % 3 > 0).then(|| b.to_string());
                let resource_name = if b % 2 == 0 { name } else { a.to_string() };
                ConfigRecord { resource_type, resource_name, name: format!("config-{}", b % 5), value }.into()
            }
            7 => FeatureLevelRecord { name: format!("feature-{a}"), level: (b % 3) as i16 }.into(),
            8 => ProducerIdsRecord {
                broker_id: node,
                broker_epoch: 1,
                next_producer_id: image.next_producer_id + 1_000,
            }
            .into(),
            _ => NoOpRecord.into(),
        }
    }

    fn fold(image: &mut MetadataImage, from: usize, records: &[MetadataRecord]) {
        for (offset, record) in (from as Offset..).zip(records) {
            image.apply(offset, record, &mut MetadataDelta::default());
        }
        image.applied_to((from + records.len()) as Offset - 1, 3);
    }

    /// What a snapshot cannot say: which record registered a broker last.
    fn comparable(mut image: MetadataImage) -> MetadataImage {
        image.brokers.values_mut().for_each(|broker| broker.registration_offset = 0);
        image
    }

    proptest! {
        #[test]
        fn q_17_a_snapshot_and_the_rest_of_the_log_are_the_whole_log(
            choices in prop::collection::vec(any::<(u8, u8, u8)>(), 1..120),
            cut in any::<prop::sample::Index>(),
        ) {
            let (records, mut whole) = (history(&choices), MetadataImage::default());
            fold(&mut whole, 0, &records);
            let cut = cut.index(records.len()) + 1;
            let mut first = MetadataImage::default();
            fold(&mut first, 0, &records[..cut]);
            let snapshot = first.to_snapshot();
            prop_assert_eq!(snapshot.digest(), first.digest());
            let mut image = MetadataImage::from_snapshot(&snapshot).unwrap();
            prop_assert_eq!(comparable(image.clone()), comparable(first));
            fold(&mut image, cut, &records[cut..]);
            prop_assert_eq!(image.digest(), whole.digest());
            prop_assert_eq!(comparable(image), comparable(whole));
        }

        #[test]
        fn a_delta_between_two_states_names_what_the_records_touched(
            choices in prop::collection::vec(any::<(u8, u8, u8)>(), 1..120),
            cut in any::<prop::sample::Index>(),
        ) {
            let records = history(&choices);
            let cut = cut.index(records.len());
            let mut before = MetadataImage::default();
            fold(&mut before, 0, &records[..cut]);
            let (mut after, mut noted) = (before.clone(), MetadataDelta::default());
            for (offset, record) in (cut as Offset..).zip(&records[cut..]) {
                after.apply(offset, record, &mut noted);
            }
            let between = MetadataDelta::between(&before, &after);
            prop_assert!(between.changed_partitions.is_subset(&noted.changed_partitions));
            prop_assert!(between.changed_brokers.is_subset(&noted.changed_brokers));
            for (topic, number, registration) in after.partitions() {
                let is_same = before.partition(&topic.id, number) == Some(registration);
                prop_assert_eq!(between.changed_partitions.contains(&(topic.id, number)), !is_same);
            }
            let gone: Vec<_> = noted.deleted_topics.iter().filter(|(id, _)| {
                before.topics.contains_key(id) && !after.topics.contains_key(id)
            }).map(|(id, _)| *id).collect();
            for (id, _) in &between.deleted_topics {
                prop_assert!(gone.contains(id));
            }
            prop_assert_eq!(MetadataDelta::between(&after, &after), MetadataDelta::default());
        }
    }

    #[test]
    fn different_states_have_different_digests() {
        let digest = |records: Vec<MetadataRecord>| {
            let mut image = MetadataImage::default();
            fold(&mut image, 0, &records);
            image.digest()
        };
        let feature = |level| FeatureLevelRecord { name: "f".into(), level }.into();
        let topic = TopicRecord { name: Arc::<str>::from("t").to_string(), topic_id: Uuid::from_u128(1) };
        let all =
            [digest(vec![]), digest(vec![feature(1)]), digest(vec![feature(2)]), digest(vec![topic.into()])];
        assert!(all.iter().enumerate().all(|(i, a)| all[..i].iter().all(|b| a != b)), "{all:?}");
        assert_eq!(digest(vec![feature(1), feature(2)]), digest(vec![feature(2)]));
    }
}
