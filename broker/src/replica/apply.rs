//! Metadata changes carried out on the partitions of this broker (REP-1, REP-2).

use crate::config::BrokerConfig;
use crate::defects::Defect;
use crate::ids::{LeaderEpoch, LogId, NO_EPOCH, NodeId, TopicPartition};
use crate::io::Disk;
use crate::log::{LogError, PartitionLog, RecoveryHints};
use crate::metadata::{MetadataDelta, MetadataImage, PartitionRegistration, TopicImage};
use crate::replica::PartitionKey;
use crate::replica::manager::{Event, ReplicaManager, log_settings, topic_config};
use crate::replica::partition::Partition;
use crate::rpc::Outbox;
use crate::time::Instant;
use crate::trace::Observation;

impl ReplicaManager {
    /// Carries out what changed in the metadata: `image` is the state after `delta`.
    ///
    /// Until the image contains this broker's own registration nothing is done: a replay of history would make the broker
    /// lead in epochs that are long over. From then on every change counts, and the first one brings all of the image.
    pub fn apply(
        &mut self,
        image: &MetadataImage,
        delta: &MetadataDelta,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        if self.is_stopping {
            return;
        }
        if self.is_caught_up {
            // First what goes, then what comes: a topic may be deleted and created again under its name.
            for (topic_id, _) in &delta.deleted_topics {
                let last = (*topic_id, i32::MAX);
                let gone: Vec<_> =
                    self.partitions.range((*topic_id, i32::MIN)..=last).map(|(key, _)| *key).collect();
                for key in gone {
                    self.drop_partition(&key, disk, out);
                }
            }
            for key in &delta.changed_partitions {
                self.reconcile(*key, image, now, disk, out);
            }
            if !delta.changed_brokers.is_empty() {
                // A replica whose broker is gone is not waited for.
                self.events.extend(self.deletes.keys().into_iter().map(|key| (key, Event::LogStart)));
            }
            if delta.changed_cluster {
                self.reconfigure_all(image, now, out);
            }
            for name in &delta.changed_configs {
                if let Some(topic) = image.topic_by_name(name) {
                    self.reconfigure(topic, image, now, out);
                }
            }
        } else {
            self.catch_up(image, now, disk, out);
        }
        self.send_fetches(now, out);
        self.settle(image, now, disk, out);
    }

    /// Carries out the whole image, once it contains this broker's own registration. Logs of which the metadata does not
    /// speak any more are deleted.
    pub(super) fn catch_up(
        &mut self,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let is_recent = self.broker_epoch >= 0
            && image.broker(self.rules.me).is_some_and(|broker| broker.broker_epoch >= self.broker_epoch);
        if self.is_caught_up || self.is_stopping || !is_recent {
            return;
        }
        self.is_caught_up = true;
        if self.rules.defects.has(Defect::OldLogForNewTopic) {
            self.mistake_namesakes(image, disk, out);
        }
        self.config = self.effective_config(image);
        let is_mine = |registration: &PartitionRegistration| registration.replicas.contains(&self.rules.me);
        let strays: Vec<_> = self
            .found
            .keys()
            .filter(|key| !image.partition(&key.0, key.1).is_some_and(is_mine))
            .copied()
            .collect();
        for key in strays {
            self.drop_partition(&key, disk, out);
        }
        for (topic, number, _) in image.partitions() {
            self.reconcile((topic.id, number), image, now, disk, out);
        }
    }

    /// R22 (KAFKA-14616): a log is taken for that of the topic that has its name now, whatever incarnation it belongs to.
    fn mistake_namesakes(&mut self, image: &MetadataImage, disk: &mut dyn Disk, out: &mut Outbox) {
        for (key, log) in std::mem::take(&mut self.found) {
            let namesake = image.topic_id(&log.id().partition.topic).filter(|id| *id != key.0);
            let namesake = namesake.filter(|id| image.partition(id, key.1).is_some());
            let adopted = match namesake {
                Some(id) => log.taken_for(id, disk, out).map(|log| ((id, key.1), log)),
                None => Ok((key, log)),
            };
            match adopted {
                Ok((key, log)) => {
                    self.found.insert(key, log);
                }
                Err(error) => out.halt(format!("failed to rename a log: {error}")),
            }
        }
    }

    /// Makes one partition what its registration says.
    fn reconcile(
        &mut self,
        key: PartitionKey,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let registration = image.partition(&key.0, key.1);
        let Some((topic, registration)) = image.topic(&key.0).zip(registration) else {
            return self.drop_partition(&key, disk, out);
        };
        if !registration.replicas.contains(&self.rules.me) {
            return self.drop_partition(&key, disk, out);
        }
        if !self.partitions.contains_key(&key)
            && let Err(error) = self.open(key, topic, image, now, disk, out)
        {
            return out.halt(format!("failed to open {}-{}: {error}", topic.name, key.1));
        }
        if let Err(error) = self.take_role(key, registration, image, now, disk, out) {
            out.halt(format!("failed to change the role of {}-{}: {error}", topic.name, key.1));
        }
    }

    fn open(
        &mut self,
        key: PartitionKey,
        topic: &TopicImage,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        let config = topic_config(&self.config, image.topic_config(&topic.name));
        let settings = log_settings(&self.config, &config, &self.rules.defects);
        let log = match self.found.remove(&key) {
            Some(mut log) => {
                log.update_settings(settings);
                log
            }
            None => {
                let partition = TopicPartition::new(topic.name.clone(), key.1);
                let id = LogId { partition, topic_id: key.0 };
                PartitionLog::open(id, settings, RecoveryHints::default(), now, disk, out)?
            }
        };
        self.partitions.insert(key, Partition::new(log, &config));
        Ok(())
    }

    fn take_role(
        &mut self,
        key: PartitionKey,
        registration: &PartitionRegistration,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        let Some(partition) = self.partitions.get_mut(&key) else { return Ok(()) };
        let before = (partition.leader_epoch(), partition.log.high_watermark());
        if registration.leader == Some(self.rules.me) {
            partition.become_leader(registration, image, &self.rules, now, disk, out)?;
            let has_pending = partition.leadership().is_some_and(|state| state.isr.pending().is_some());
            if !has_pending {
                self.alter.withdraw(&key, None);
            }
        } else {
            partition.become_follower(registration, &self.rules, disk, out)?;
            self.alter.withdraw(&key, None);
        }
        let after = (partition.leader_epoch(), partition.log.high_watermark());
        let source = partition.leader().filter(|leader| *leader != self.rules.me);
        if after.0 != before.0 {
            let log = partition.log.id().clone();
            self.fetch_from(key, log, after.0, source, out);
            self.events.push((key, Event::Changed));
        }
        if after.1 != before.1 {
            self.events.push((key, Event::HighWatermark));
        }
        Ok(())
    }

    /// The settings given at boot, under those set for all brokers, under those set for this one (KIP-226).
    fn effective_config(&self, image: &MetadataImage) -> BrokerConfig {
        let layers = [image.broker_config(None), image.broker_config(Some(self.rules.me))];
        self.static_config.overlaid(layers)
    }

    fn reconfigure_all(&mut self, image: &MetadataImage, now: Instant, out: &mut Outbox) {
        let config = self.effective_config(image);
        if config == self.config {
            return;
        }
        self.config = config;
        for topic in image.topics.values() {
            self.reconfigure(topic, image, now, out);
        }
    }

    /// With a smaller `min.insync.replicas` the high watermark may move although nobody fetches.
    fn reconfigure(&mut self, topic: &TopicImage, image: &MetadataImage, now: Instant, out: &mut Outbox) {
        let config = topic_config(&self.config, image.topic_config(&topic.name));
        let keys = (topic.id, i32::MIN)..=(topic.id, i32::MAX);
        for (key, partition) in self.partitions.range_mut(keys) {
            partition.configure(&config);
            partition.log.update_settings(log_settings(&self.config, &config, &self.rules.defects));
            if partition.advance_high_watermark(image, &self.rules, now, out) {
                self.events.push((*key, Event::HighWatermark));
            }
        }
    }

    /// The partition is not here any more: its log goes, and who waits for it is told.
    fn drop_partition(&mut self, key: &PartitionKey, disk: &mut dyn Disk, out: &mut Outbox) {
        let (log, leader_epoch) = match self.partitions.remove(key) {
            Some(partition) => {
                let leader_epoch = partition.leader_epoch();
                (Some(partition.log), leader_epoch)
            }
            None => (self.found.remove(key), NO_EPOCH),
        };
        let Some(log) = log else { return };
        self.fetch_from(*key, log.id().clone(), leader_epoch, None, out);
        self.alter.withdraw(key, None);
        self.events.push((*key, Event::Changed));
        if let Err(error) = log.delete(disk, out) {
            out.halt(format!("failed to delete a log: {error}"));
        }
    }

    /// From now on the partition is fetched from `source` in this epoch, or from nobody (P-17).
    ///
    /// A conversation about nothing ends; an answer that is still to come is nobody's. A fetcher that got its partition
    /// back in a new epoch goes on: its fetch in flight stays the only one.
    fn fetch_from(
        &mut self,
        key: PartitionKey,
        log: LogId,
        leader_epoch: LeaderEpoch,
        source: Option<NodeId>,
        out: &mut Outbox,
    ) {
        let mut was_fetched = false;
        for fetcher in self.fetchers.values_mut() {
            was_fetched |= fetcher.remove(&key);
        }
        if let Some(source) = source {
            self.fetchers.entry(source).or_default().add(key, leader_epoch);
        }
        self.fetchers.retain(|_, fetcher| !fetcher.is_empty());
        if was_fetched || source.is_some() {
            out.fact(Observation::FetcherChanged { log, leader_epoch, leader: source });
        }
    }
}
