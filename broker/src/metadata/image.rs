//! What the committed records add up to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::broker_records::{BrokerRegistrationChangeRecord, RegisterBrokerRecord};
use super::committed::CommittedBatch;
use super::delta::MetadataDelta;
use super::record::{MetadataRecord, RecordError};
use super::registration::{BrokerRegistration, PartitionRegistration};
use super::topic_records::{ConfigRecord, ResourceType};
use crate::ids::{LeaderEpoch, NodeId, Offset, ProducerId, TopicId};
use crate::invariant;

static NO_CONFIGS: BTreeMap<String, String> = BTreeMap::new();

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// The topic's name.
    pub name: Arc<str>,
    /// This incarnation of it.
    pub id: TopicId,
    /// Its partitions by number.
    pub partitions: BTreeMap<i32, PartitionRegistration>,
}

/// The state of the cluster: a pure fold of metadata records. Source: KIP-500, KIP-631.
///
/// *Invariant:* two images that applied the same records are equal. A record that contradicts the image (an unknown
/// topic, an unregistered broker) can only come from a bug of the controller: it is an invariant, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataImage {
    /// Registered brokers.
    pub brokers: BTreeMap<NodeId, BrokerRegistration>,
    /// Topics by id.
    pub topics: BTreeMap<TopicId, TopicImage>,
    /// Ids of the topics by name.
    pub topic_ids: BTreeMap<Arc<str>, TopicId>,
    /// Dynamic configs by resource; a topic's own values are under (Topic, name).
    pub configs: BTreeMap<(ResourceType, String), BTreeMap<String, String>>,
    /// Finalized feature levels.
    pub features: BTreeMap<String, i16>,
    /// Where the next block of producer ids begins.
    pub next_producer_id: ProducerId,
    /// Offset of the last applied record, -1 at first.
    pub applied_offset: Offset,
    /// Epoch of the last applied batch, -1 at first.
    pub applied_epoch: LeaderEpoch,
}

impl Default for MetadataImage {
    fn default() -> Self {
        MetadataImage {
            brokers: BTreeMap::new(),
            topics: BTreeMap::new(),
            topic_ids: BTreeMap::new(),
            configs: BTreeMap::new(),
            features: BTreeMap::new(),
            next_producer_id: 0,
            applied_offset: -1,
            applied_epoch: -1,
        }
    }
}

impl MetadataImage {
    /// Applies a whole committed batch. Errors: a record cannot be read; the image then stands before that record.
    pub fn apply_batch(
        &mut self,
        batch: &CommittedBatch,
        delta: &mut MetadataDelta,
    ) -> Result<(), RecordError> {
        for (offset, bytes) in &batch.records {
            let record = MetadataRecord::decode(bytes.clone())?;
            self.apply(*offset, &record, delta);
        }
        self.applied_to(batch.last_offset, batch.epoch);
        Ok(())
    }

    /// Notes that everything up to `offset` was applied and came from `epoch`, control records included.
    pub fn applied_to(&mut self, offset: Offset, epoch: LeaderEpoch) {
        self.applied_offset = self.applied_offset.max(offset);
        self.applied_epoch = self.applied_epoch.max(epoch);
    }

    /// Applies one record in place and notes in `delta` what it touched.
    pub fn apply(&mut self, offset: Offset, record: &MetadataRecord, delta: &mut MetadataDelta) {
        match record {
            MetadataRecord::RegisterBroker(r) => self.register(offset, r, delta),
            MetadataRecord::UnregisterBroker(r) => {
                self.brokers.remove(&r.broker_id);
                delta.changed_brokers.insert(r.broker_id);
            }
            MetadataRecord::BrokerRegistrationChange(r) => self.change_broker(offset, r, delta),
            MetadataRecord::Topic(r) => {
                let name: Arc<str> = r.name.as_str().into();
                let old = self.topic_ids.insert(name.clone(), r.topic_id);
                invariant!(old.is_none(), "offset {offset}: topic {name} created twice");
                self.topics
                    .insert(r.topic_id, TopicImage { name, id: r.topic_id, partitions: BTreeMap::new() });
            }
            MetadataRecord::Partition(r) => {
                let topic = self.topics.get_mut(&r.topic_id);
                invariant!(topic.is_some(), "offset {offset}: partition of unknown topic {}", r.topic_id);
                if let Some(topic) = topic {
                    topic.partitions.insert(r.partition, PartitionRegistration::new(r));
                }
                delta.changed_partitions.insert((r.topic_id, r.partition));
            }
            MetadataRecord::PartitionChange(r) => {
                let partition =
                    self.topics.get_mut(&r.topic_id).and_then(|t| t.partitions.get_mut(&r.partition));
                invariant!(
                    partition.is_some(),
                    "offset {offset}: change of unknown partition {}/{}",
                    r.topic_id,
                    r.partition
                );
                if let Some(partition) = partition {
                    partition.merge(r);
                }
                delta.changed_partitions.insert((r.topic_id, r.partition));
            }
            MetadataRecord::RemoveTopic(r) => self.remove_topic(offset, &r.topic_id, delta),
            MetadataRecord::Config(r) => self.configure(r, delta),
            MetadataRecord::FeatureLevel(r) => {
                if r.level == 0 {
                    self.features.remove(&r.name);
                } else {
                    self.features.insert(r.name.clone(), r.level);
                }
                delta.changed_cluster = true;
            }
            MetadataRecord::ProducerIds(r) => {
                invariant!(
                    r.next_producer_id > self.next_producer_id,
                    "offset {offset}: producer ids handed out twice (IDM-5)"
                );
                self.next_producer_id = r.next_producer_id;
                delta.changed_cluster = true;
            }
            MetadataRecord::NoOp(_) => {}
        }
        self.applied_offset = self.applied_offset.max(offset);
    }

    fn register(&mut self, offset: Offset, r: &RegisterBrokerRecord, delta: &mut MetadataDelta) {
        self.brokers.insert(
            r.broker_id,
            BrokerRegistration {
                id: r.broker_id,
                broker_epoch: r.broker_epoch,
                registration_offset: offset,
                incarnation_id: r.incarnation_id,
                fenced: r.fenced,
                in_controlled_shutdown: r.in_controlled_shutdown,
                rack: r.rack.clone(),
                endpoints: r.endpoints.clone(),
                features: r.features.clone(),
                log_dirs: r.log_dirs.clone(),
            },
        );
        delta.changed_brokers.insert(r.broker_id);
    }

    fn change_broker(
        &mut self,
        offset: Offset,
        r: &BrokerRegistrationChangeRecord,
        delta: &mut MetadataDelta,
    ) {
        let broker = self.brokers.get_mut(&r.broker_id);
        invariant!(
            broker.as_ref().is_some_and(|b| b.broker_epoch == r.broker_epoch),
            "offset {offset}: change of a registration that broker {} does not have",
            r.broker_id
        );
        if let Some(broker) = broker {
            broker.fenced = r.fenced.unwrap_or(broker.fenced);
            broker.in_controlled_shutdown |= r.in_controlled_shutdown;
            if !r.log_dirs.is_empty() {
                broker.log_dirs.clone_from(&r.log_dirs);
            }
        }
        delta.changed_brokers.insert(r.broker_id);
    }

    fn remove_topic(&mut self, offset: Offset, id: &TopicId, delta: &mut MetadataDelta) {
        let topic = self.topics.remove(id);
        invariant!(topic.is_some(), "offset {offset}: removal of unknown topic {id}");
        let Some(topic) = topic else { return };
        self.topic_ids.remove(&topic.name);
        self.configs.remove(&(ResourceType::Topic, topic.name.to_string()));
        for partition in topic.partitions.keys() {
            delta.changed_partitions.remove(&(*id, *partition));
        }
        delta.changed_configs.remove(&topic.name);
        delta.deleted_topics.push((*id, topic.name));
    }

    fn configure(&mut self, r: &ConfigRecord, delta: &mut MetadataDelta) {
        let key = (r.resource_type, r.resource_name.clone());
        let values = self.configs.entry(key.clone()).or_default();
        match &r.value {
            Some(value) => values.insert(r.name.clone(), value.clone()),
            None => values.remove(&r.name),
        };
        if values.is_empty() {
            self.configs.remove(&key);
        }
        match r.resource_type {
            ResourceType::Topic => {
                delta.changed_configs.insert(r.resource_name.as_str().into());
            }
            ResourceType::Broker => delta.changed_cluster = true,
        }
    }

    /// A registered broker.
    pub fn broker(&self, id: NodeId) -> Option<&BrokerRegistration> {
        self.brokers.get(&id)
    }

    /// May the broker lead and join an ISR? False if it is not registered.
    pub fn is_active(&self, id: NodeId) -> bool {
        self.broker(id).is_some_and(BrokerRegistration::is_active)
    }

    /// The id of the topic that has this name now.
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topic_ids.get(name).copied()
    }

    /// A topic.
    pub fn topic(&self, id: &TopicId) -> Option<&TopicImage> {
        self.topics.get(id)
    }

    /// The topic that has this name now.
    pub fn topic_by_name(&self, name: &str) -> Option<&TopicImage> {
        self.topics.get(self.topic_ids.get(name)?)
    }

    /// A partition's registration.
    pub fn partition(&self, id: &TopicId, partition: i32) -> Option<&PartitionRegistration> {
        self.topics.get(id)?.partitions.get(&partition)
    }

    /// A topic's own config values, empty if it has none (or does not exist).
    pub fn topic_config(&self, name: &str) -> &BTreeMap<String, String> {
        self.configs.get(&(ResourceType::Topic, name.to_string())).unwrap_or(&NO_CONFIGS)
    }

    /// The dynamic values of a broker, or (`None`) those for all brokers; empty if there are none (KIP-226).
    pub fn broker_config(&self, broker: Option<NodeId>) -> &BTreeMap<String, String> {
        let name = broker.map_or_else(String::new, |id| id.to_string());
        self.configs.get(&(ResourceType::Broker, name)).unwrap_or(&NO_CONFIGS)
    }

    /// Every partition of every topic, in order of topic id and number.
    pub fn partitions(&self) -> impl Iterator<Item = (&TopicImage, i32, &PartitionRegistration)> {
        self.topics.values().flat_map(|t| t.partitions.iter().map(move |(n, p)| (t, *n, p)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uuid;
    use crate::metadata::{
        LeaderRecoveryState, NoOpRecord, PartitionChangeRecord, PartitionRecord, ProducerIdsRecord,
        RemoveTopicRecord, TopicRecord,
    };

    const T: TopicId = Uuid::from_u128(9);

    fn partition(number: i32) -> MetadataRecord {
        PartitionRecord {
            partition: number,
            topic_id: T,
            replicas: vec![NodeId(1)],
            isr: vec![NodeId(1)],
            leader: Some(NodeId(1)),
            leader_epoch: 0,
            partition_epoch: 0,
            leader_recovery_state: LeaderRecoveryState::Recovered,
            adding: vec![],
            removing: vec![],
            elr: vec![],
            last_known_elr: vec![],
        }
        .into()
    }

    fn orders() -> Vec<MetadataRecord> {
        vec![
            TopicRecord { name: "orders".into(), topic_id: T }.into(),
            ConfigRecord::topic("orders", "min.insync.replicas", Some("2")).into(),
            partition(0),
            partition(1),
        ]
    }

    fn fold(records: Vec<MetadataRecord>) -> (MetadataImage, MetadataDelta) {
        let (mut image, mut delta) = (MetadataImage::default(), MetadataDelta::default());
        for (offset, record) in (0..).zip(&records) {
            image.apply(offset, record, &mut delta);
        }
        (image, delta)
    }

    #[test]
    fn a_batch_is_applied_up_to_its_end_even_without_records() {
        let (mut image, mut delta) = fold(vec![]);
        let records = (3..).zip(orders().iter().map(MetadataRecord::encode)).collect();
        let batch = CommittedBatch { base_offset: 3, last_offset: 6, epoch: 2, records };
        assert_eq!(image.apply_batch(&batch, &mut delta), Ok(()));
        assert_eq!((image.applied_offset, image.applied_epoch), (6, 2));
        let control = CommittedBatch { base_offset: 7, last_offset: 7, epoch: 3, records: vec![] };
        assert_eq!(image.apply_batch(&control, &mut delta), Ok(()));
        assert_eq!((image.applied_offset, image.applied_epoch), (7, 3));
        assert_eq!(delta.changed_partitions.len(), 2);
    }

    #[test]
    fn a_record_that_cannot_be_read_stops_the_batch_before_it() {
        let (mut image, mut delta) = fold(vec![]);
        let records = vec![(0, orders()[0].encode()), (1, bytes::Bytes::from_static(&[1, 99, 0]))];
        let batch = CommittedBatch { base_offset: 0, last_offset: 1, epoch: 1, records };
        assert_eq!(image.apply_batch(&batch, &mut delta), Err(RecordError::UnknownRecord(99)));
        assert_eq!(image.applied_offset, 0);
    }

    #[test]
    fn a_deleted_topic_takes_its_configs_along_and_its_partitions_out_of_the_delta() {
        let mut records = orders();
        records.push(RemoveTopicRecord { topic_id: T }.into());
        let (image, delta) = fold(records);
        assert!(image.topics.is_empty() && image.topic_ids.is_empty() && image.configs.is_empty());
        assert!(delta.changed_partitions.is_empty() && delta.changed_configs.is_empty());
        assert_eq!(delta.deleted_topics, vec![(T, "orders".into())]);
    }

    #[test]
    fn a_config_taken_away_leaves_nothing_behind() {
        let mut records = orders();
        records.push(ConfigRecord::topic("orders", "min.insync.replicas", None).into());
        let (image, delta) = fold(records);
        assert!(image.topic_config("orders").is_empty() && image.configs.is_empty());
        assert_eq!(delta.changed_configs, ["orders".into()].into());
    }

    #[test]
    fn a_no_op_moves_the_offset_and_nothing_else() {
        let (before, _) = fold(orders());
        let mut records = orders();
        records.push(NoOpRecord.into());
        let (after, _) = fold(records);
        assert_eq!(after, MetadataImage { applied_offset: 4, ..before });
    }

    #[test]
    #[should_panic(expected = "producer ids handed out twice")]
    fn producer_ids_never_run_backwards() {
        let block =
            |next| ProducerIdsRecord { broker_id: NodeId(1), broker_epoch: 1, next_producer_id: next };
        fold(vec![block(2000).into(), block(2000).into()]);
    }

    #[test]
    #[should_panic(expected = "change of unknown partition")]
    fn a_change_of_what_does_not_exist_is_a_bug() {
        fold(vec![PartitionChangeRecord::new(T, 0).into()]);
    }

    #[test]
    #[should_panic(expected = "created twice")]
    fn two_topics_of_one_name_are_a_bug() {
        let mut records = orders();
        records.push(TopicRecord { name: "orders".into(), topic_id: Uuid::from_u128(10) }.into());
        fold(records);
    }
}
