//! What a node with the broker role owns beside the quorum: the applied metadata, the replicas, its registration.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::channels::Finished;
use super::forward::Forwarder;
use super::lifecycle::{Lifecycle, LifecycleEvent};
use super::producer_ids::ProducerIds;
use crate::config::NodeConfig;
use crate::ids::{NodeId, Uuid};
use crate::io::{ConnectionId, Disk};
use crate::log::LogError;
use crate::metadata::{CommittedBatch, MetadataDelta, MetadataImage, MetadataSnapshot};
use crate::replica::ReplicaManager;
use crate::rpc::{Caller, Outbox};
use crate::time::{Instant, earliest};

/// The broker role of a node.
pub(super) struct BrokerRole {
    pub image: MetadataImage,
    /// What changed in the image and was not acted upon yet.
    news: MetadataDelta,
    has_news: bool,
    pub replica: ReplicaManager,
    pub lifecycle: Lifecycle,
    pub producer_ids: ProducerIds,
    pub forwarder: Forwarder,
    pub controller: Option<NodeId>,
}

impl BrokerRole {
    pub fn boot(
        config: &NodeConfig,
        seed: u64,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<BrokerRole, LogError> {
        let replica = ReplicaManager::boot(config, now, disk, out)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let incarnation_id = Uuid::from_bytes(id);
        let lifecycle = Lifecycle::new(config, incarnation_id, replica.previous_broker_epoch(), now);
        Ok(BrokerRole {
            image: MetadataImage::default(),
            news: MetadataDelta::default(),
            has_news: false,
            replica,
            lifecycle,
            producer_ids: ProducerIds::new(config.node_id, config.broker.request_timeout),
            forwarder: Forwarder::new(config.broker.request_timeout),
            controller: None,
        })
    }

    /// Takes a committed batch into the image: brokers see nothing else of the metadata (semantics 3, rule 9). Nothing is
    /// done about it before [`BrokerRole::publish`]. Errors: the record cannot be read, which ends the node.
    pub fn load(&mut self, batch: &CommittedBatch) -> Result<(), String> {
        self.has_news = true;
        self.image
            .apply_batch(batch, &mut self.news)
            .map_err(|error| format!("metadata batch at offset {} is unreadable: {error}", batch.base_offset))
    }

    /// Carries out everything that was loaded since the last time as one change: a broker that was cut off for a while may
    /// see a partition's leader epoch jump. Source: `MetadataLoader.handleCommit`, which publishes once for all batches
    /// that became committed together.
    pub fn publish(&mut self, now: Instant, disk: &mut dyn Disk, out: &mut Outbox) {
        if !std::mem::take(&mut self.has_news) {
            return;
        }
        let delta = std::mem::take(&mut self.news);
        if !delta.is_empty() {
            self.replica.apply(&self.image, &delta, now, disk, out);
        }
        self.lifecycle.metadata_applied(self.image.applied_offset, now, out);
    }

    /// Takes a snapshot in the place of everything applied so far. Errors: a record cannot be read, which ends the node.
    pub fn load_snapshot(
        &mut self,
        snapshot: &MetadataSnapshot,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let image = MetadataImage::from_snapshot(snapshot).map_err(|error| {
            format!("metadata snapshot at offset {} is unreadable: {error}", snapshot.end_offset)
        })?;
        self.publish(now, disk, out);
        let delta = MetadataDelta::between(&self.image, &image);
        self.image = image;
        if !delta.is_empty() {
            self.replica.apply(&self.image, &delta, now, disk, out);
        }
        self.lifecycle.metadata_applied(self.image.applied_offset, now, out);
        Ok(())
    }

    pub fn set_controller(&mut self, controller: Option<NodeId>, now: Instant, out: &mut Outbox) {
        self.controller = controller;
        self.lifecycle.set_controller(controller, now);
        self.replica.set_controller(controller, now, out);
        self.poll(now, out);
    }

    /// The answer to a call of one of this role's components. `true`: the controller lets the broker shut down.
    pub fn handle_result(
        &mut self,
        finished: Finished,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> bool {
        let Finished { caller, id, from, result } = finished;
        match caller {
            Caller::Fetcher | Caller::AlterPartition => {
                self.replica.handle_result(caller, id, from, result, &self.image, now, disk, out);
            }
            Caller::Lifecycle => match self.lifecycle.handle_result(id, result, now, out) {
                LifecycleEvent::None => {}
                LifecycleEvent::Registered(epoch) => {
                    self.replica.set_broker_epoch(epoch);
                    self.lifecycle.metadata_applied(self.image.applied_offset, now, out);
                }
                LifecycleEvent::ShutDownNow => return true,
            },
            Caller::Forward if ProducerIds::owns(id) => self.producer_ids.handle_result(id, result, now, out),
            Caller::Forward => self.forwarder.handle_result(id, result, out),
            Caller::Raft => {}
        }
        self.poll(now, out);
        false
    }

    pub fn connection_closed(&mut self, connection: ConnectionId) {
        self.replica.connection_closed(connection);
        self.producer_ids.connection_closed(connection);
        self.forwarder.connection_closed(connection);
    }

    pub fn handle_timer(&mut self, now: Instant, disk: &mut dyn Disk, out: &mut Outbox) {
        if self.replica.next_deadline().is_some_and(|at| at <= now) {
            self.replica.handle_timer(&self.image, now, disk, out);
        }
        self.lifecycle.handle_timer(self.image.applied_offset, now, out);
        self.poll(now, out);
    }

    /// Asks for producer ids if somebody waits for one.
    pub fn poll(&mut self, now: Instant, out: &mut Outbox) {
        self.producer_ids.poll(self.controller, self.lifecycle.broker_epoch(), now, out);
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let own = earliest(self.lifecycle.next_deadline(), self.producer_ids.next_deadline());
        earliest(own, self.replica.next_deadline())
    }
}
