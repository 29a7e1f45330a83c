//! All partitions of one broker, and what goes on between them and the rest of the node (`ReplicaManager`).

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{BrokerConfig, NodeConfig, TopicConfig};
use crate::defects::DefectSet;
use crate::ids::{BrokerEpoch, NodeId, Offset, TopicId, TopicPartition};
use crate::io::{ConnectionId, Disk, DiskError, SyncToken};
use crate::log::{LogError, LogSettings, PartitionLog, list_partitions};
use crate::metadata::MetadataImage;
use crate::replica::PartitionKey;
use crate::replica::alter_partition::AlterPartitions;
use crate::replica::checkpoints::{Checkpoint, HIGH_WATERMARKS, Left, RECOVERY_POINTS, write_marker};
use crate::replica::delete_records::DelayedDeletes;
use crate::replica::follower::Fetcher;
use crate::replica::partition::{Partition, Rules, Settled};
use crate::replica::purgatory::{Purgatory, Watch};
use crate::rpc::{CallResult, Caller, Outbox};
use crate::time::{Instant, TimerQueue, earliest};
use crate::trace::Observation;

/// What happened to a partition that somebody may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The leader's log grew.
    Appended,
    /// The high watermark moved.
    HighWatermark,
    /// The log of a replica begins higher.
    LogStart,
    /// The role or the epoch changed, or the partition is gone.
    Changed,
}

/// What a broker does by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A paused fetch from this leader may go on.
    Fetcher(NodeId),
    /// Proposals may be asked again.
    AlterPartition,
    /// Look for members of ISRs that fell behind.
    IsrShrink,
    /// Write the high watermarks down.
    HighWatermarkCheckpoint,
    /// Flush, then write the durable ends down.
    RecoveryPointCheckpoint,
    /// Let go what is too old.
    Retention,
    /// The broker learned its epoch: see whether the metadata is recent enough to act upon.
    CatchUp,
}

/// The partitions of one broker.
///
/// *Invariant:* a partition is fetched from exactly one leader if it follows one, and from none if it leads (P-17).
#[derive(Debug)]
pub struct ReplicaManager {
    /// The settings in force.
    pub(super) config: BrokerConfig,
    /// Those given at boot, on which the dynamic ones lie.
    pub(super) static_config: BrokerConfig,
    pub(super) rules: Rules,
    pub(super) broker_epoch: BrokerEpoch,
    previous_broker_epoch: BrokerEpoch,
    pub(super) is_caught_up: bool,
    pub(super) is_stopping: bool,
    has_stopped: bool,
    /// Logs found at boot that no metadata spoke of yet.
    pub(super) found: BTreeMap<PartitionKey, PartitionLog>,
    pub(super) partitions: BTreeMap<PartitionKey, Partition>,
    pub(super) fetchers: BTreeMap<NodeId, Fetcher>,
    pub(super) fetch_calls: u64,
    pub(super) alter: AlterPartitions,
    pub(super) purgatory: Purgatory,
    pub(super) deletes: DelayedDeletes,
    pub(super) events: Vec<(PartitionKey, Event)>,
    pub(super) timers: TimerQueue<Timer>,
    high_watermarks: Checkpoint,
    recovery_points: Checkpoint,
    /// Syncs of checkpoints and of the marker.
    file_syncs: BTreeSet<SyncToken>,
    /// Logs being flushed, and the end that must become durable before the recovery points are written down.
    flushing: BTreeMap<PartitionKey, Offset>,
}

impl ReplicaManager {
    /// Opens every log on the disk, with recovery unless the last run ended cleanly. Acts on no metadata yet.
    /// Errors: a log cannot be opened.
    pub fn boot(
        config: &NodeConfig,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<ReplicaManager, LogError> {
        let left = Left::take(disk)?;
        let settings =
            log_settings(&config.broker, &topic_config(&config.broker, &BTreeMap::new()), &config.defects);
        let mut found = BTreeMap::new();
        for id in list_partitions(disk).into_iter().filter(|id| !id.is_metadata()) {
            let key = (id.topic_id, id.partition.partition);
            let hints = left.hints(&id.partition);
            found.insert(key, PartitionLog::open(id, settings.clone(), hints, now, disk, out)?);
        }
        let mut timers = TimerQueue::default();
        timers.schedule(Timer::IsrShrink, now + config.broker.replica_lag_time_max / 2);
        timers
            .schedule(Timer::HighWatermarkCheckpoint, now + config.broker.high_watermark_checkpoint_interval);
        timers.schedule(Timer::RecoveryPointCheckpoint, now + config.broker.flush_offset_checkpoint_interval);
        timers.schedule(Timer::Retention, now + config.broker.retention_check_interval);
        Ok(ReplicaManager {
            rules: Rules {
                me: config.node_id,
                lag_time_max: config.broker.replica_lag_time_max,
                defects: config.defects.clone(),
            },
            config: config.broker.clone(),
            static_config: config.broker.clone(),
            broker_epoch: -1,
            previous_broker_epoch: left.clean_shutdown.unwrap_or(-1),
            is_caught_up: false,
            is_stopping: false,
            has_stopped: false,
            found,
            partitions: BTreeMap::new(),
            fetchers: BTreeMap::new(),
            fetch_calls: 0,
            alter: AlterPartitions::new(&config.defects),
            purgatory: Purgatory::default(),
            deletes: DelayedDeletes::default(),
            events: Vec::new(),
            timers,
            high_watermarks: Checkpoint::new(HIGH_WATERMARKS),
            recovery_points: Checkpoint::new(RECOVERY_POINTS),
            file_syncs: BTreeSet::new(),
            flushing: BTreeMap::new(),
        })
    }

    /// The broker epoch of the former run if that ended cleanly, else -1: what registration reports (CTL-2).
    pub fn previous_broker_epoch(&self) -> BrokerEpoch {
        self.previous_broker_epoch
    }

    /// A partition on this broker.
    pub fn partition(&self, topic: &TopicId, partition: i32) -> Option<&Partition> {
        self.partitions.get(&(*topic, partition))
    }

    /// How many partitions this broker leads.
    pub fn leader_count(&self) -> usize {
        self.partitions.values().filter(|partition| partition.is_leader()).count()
    }

    /// How many requests wait: produces, fetches.
    pub fn waiting(&self) -> (usize, usize) {
        self.purgatory.len()
    }

    /// Another controller is active, or none.
    pub fn set_controller(&mut self, controller: Option<NodeId>, now: Instant, out: &mut Outbox) {
        self.alter.set_controller(controller);
        self.send_proposals(now, out);
    }

    /// The broker is registered under this epoch. Fetches and proposals carry it; nothing is sent before.
    pub fn set_broker_epoch(&mut self, broker_epoch: BrokerEpoch) {
        self.broker_epoch = broker_epoch;
        self.timers.schedule(Timer::CatchUp, Instant::ZERO);
    }

    /// Drops what waits for a connection that ended.
    pub fn connection_closed(&mut self, connection: ConnectionId) {
        self.purgatory.forget(connection);
        self.deletes.forget(connection);
    }

    /// When to call [`ReplicaManager::handle_timer`] next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waiting = earliest(self.purgatory.next_deadline(), self.deletes.next_deadline());
        earliest(self.timers.next_deadline(), waiting)
    }

    /// Does what is due.
    pub fn handle_timer(
        &mut self,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Fetcher(source) => self.send_fetch(source, now, out),
                Timer::AlterPartition => {} // settling sends
                Timer::IsrShrink => {
                    self.shrink_isrs(image, now, out);
                    self.timers.schedule(timer, now + self.rules.lag_time_max / 2);
                }
                Timer::HighWatermarkCheckpoint => {
                    self.write_high_watermarks(disk, out);
                    self.timers.schedule(timer, now + self.config.high_watermark_checkpoint_interval);
                }
                Timer::RecoveryPointCheckpoint => {
                    self.flush_all(disk, out);
                    self.timers.schedule(timer, now + self.config.flush_offset_checkpoint_interval);
                }
                Timer::Retention => {
                    self.apply_retention(now, disk, out);
                    self.timers.schedule(timer, now + self.config.retention_check_interval);
                }
                Timer::CatchUp => {
                    self.catch_up(image, now, disk, out);
                    self.send_fetches(now, out);
                }
            }
        }
        self.deletes.expire(now, out);
        for id in self.purgatory.expire(now, out) {
            self.answer_waiting_fetch(id, image, disk, out);
        }
        self.settle(image, now, disk, out);
    }

    /// The answer to a call of the fetchers or of AlterPartition.
    #[expect(clippy::too_many_arguments, reason = "an answer and the world it arrives in")]
    pub fn handle_result(
        &mut self,
        caller: Caller,
        id: u64,
        from: NodeId,
        result: CallResult,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        match caller {
            Caller::Fetcher => self.fetch_answered(id, from, result, now, disk, out),
            Caller::AlterPartition => self.proposals_answered(id, result, image, now, out),
            Caller::Raft | Caller::Lifecycle | Caller::Forward => {}
        }
        self.settle(image, now, disk, out);
    }

    fn proposals_answered(
        &mut self,
        id: u64,
        result: CallResult,
        image: &MetadataImage,
        now: Instant,
        out: &mut Outbox,
    ) {
        for (key, number, answer) in self.alter.answered(id, result, now) {
            let settled = match self.partitions.get_mut(&key) {
                Some(partition) => partition.isr_answered(number, answer, out),
                None => Settled::Ignored,
            };
            match settled {
                Settled::Retry => self.alter.pause(now),
                Settled::Ignored | Settled::RolledBack | Settled::StaysPending => {
                    self.alter.withdraw(&key, Some(number));
                }
                Settled::Committed => {
                    self.alter.withdraw(&key, Some(number));
                    let partition = self.partitions.get_mut(&key).expect("it answered just now");
                    if partition.advance_high_watermark(image, &self.rules, now, out) {
                        self.events.push((key, Event::HighWatermark));
                    }
                }
            }
        }
    }

    fn shrink_isrs(&mut self, image: &MetadataImage, now: Instant, out: &mut Outbox) {
        for (key, partition) in &mut self.partitions {
            if let Some(proposal) = partition.shrink(image, &self.rules, now, out) {
                self.alter.submit(*key, proposal);
            }
        }
    }

    /// Wakes whoever waits for what has just happened, then asks the controller what is to be asked.
    pub(super) fn settle(
        &mut self,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        for (key, event) in std::mem::take(&mut self.events) {
            let watch = match event {
                Event::Appended => Some(Watch::LogEnd),
                Event::HighWatermark => {
                    let reached = self.partitions.get(&key).map(|p| p.log.high_watermark());
                    let error = self.after_append(&key);
                    self.purgatory.replicated(&key, reached.unwrap_or(0), error, out);
                    Some(Watch::HighWatermark)
                }
                Event::LogStart => {
                    self.settle_deletes(&key, image, out);
                    continue;
                }
                Event::Changed => {
                    self.settle_deletes(&key, image, out);
                    if !self.partitions.get(&key).is_some_and(Partition::is_leader) {
                        let leader = self.leader_hint(&key, image);
                        self.purgatory.fail_produces(&key, &leader, out);
                    }
                    None
                }
            };
            for id in self.purgatory.fetches_waiting_for(&key, watch) {
                match watch {
                    Some(_) => self.try_waiting_fetch(id, &key, image, disk, out),
                    None => self.answer_waiting_fetch(id, image, disk, out),
                }
            }
        }
        self.send_proposals(now, out);
    }

    fn send_proposals(&mut self, now: Instant, out: &mut Outbox) {
        let timeout = self.config.request_timeout;
        if let Some(again) = self.alter.send(self.rules.me, self.broker_epoch, timeout, now, out) {
            self.timers.schedule(Timer::AlterPartition, again);
        }
    }

    // ---- disk ----

    /// A sync finished; false if it was not asked for by this component. A disk that cannot sync ends the broker, as the
    /// failure of Kafka's last log directory does.
    pub fn handle_synced(
        &mut self,
        token: SyncToken,
        result: &Result<(), DiskError>,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> bool {
        let mut was_mine = self.file_syncs.remove(&token);
        let mut waited = None;
        let live = self.partitions.iter_mut().map(|(key, partition)| (key, &mut partition.log));
        for (key, log) in live.chain(&mut self.found) {
            if was_mine {
                break;
            }
            let was_awaited = log.awaits_flush();
            was_mine = log.on_synced(token, result, out);
            waited = (was_mine && was_awaited).then_some(*key);
            if was_mine && let Err(error) = log.remove_dead_segments(disk) {
                out.halt(format!("failed to remove old segments of {}: {error}", log.id()));
            }
            let target = self.flushing.get(key).map(|end| (*end).min(log.log_end_offset()));
            // A clean shutdown also waits for what moves no recovery point: truncations, directory entries.
            let is_done = |log: &mut PartitionLog, disk: &mut dyn Disk| {
                target.is_some_and(|end| log.recovery_point() >= end)
                    && (!self.is_stopping || log.flush(disk).is_none())
            };
            if was_mine && is_done(log, disk) {
                self.flushing.remove(key);
                if self.flushing.is_empty() {
                    self.flushed_all(disk, out);
                    return true;
                }
                break;
            }
        }
        if let (true, Err(error)) = (was_mine, result) {
            out.halt(format!("failed to sync the log directory: {error}"));
        }
        if let Some(key) = waited {
            self.go_on(key, image, now, disk, out);
        }
        was_mine
    }

    /// What `flush.messages` asked for is durable: the leader counts on it, a follower fetches on.
    fn go_on(
        &mut self,
        key: PartitionKey,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        if partition.advance_high_watermark(image, &self.rules, now, out) {
            self.events.push((key, Event::HighWatermark));
            self.settle(image, now, disk, out);
        }
        self.send_fetches(now, out);
    }

    /// Asks for every log to be made durable; the recovery points are written down when that is done.
    fn flush_all(&mut self, disk: &mut dyn Disk, out: &mut Outbox) {
        self.flushing.clear();
        let live = self.partitions.iter_mut().map(|(key, partition)| (key, &mut partition.log));
        for (key, log) in live.chain(&mut self.found) {
            if log.flush(disk).is_some() {
                self.flushing.insert(*key, log.log_end_offset());
            }
        }
        if self.flushing.is_empty() {
            self.flushed_all(disk, out);
        }
    }

    fn flushed_all(&mut self, disk: &mut dyn Disk, out: &mut Outbox) {
        let points = self.offsets(PartitionLog::recovery_point);
        let written = self.recovery_points.write(points, disk);
        self.note_file(written, out);
        if self.is_stopping && !self.has_stopped {
            self.has_stopped = true;
            self.write_high_watermarks(disk, out);
            let marker = write_marker(self.broker_epoch, disk).map(Some);
            self.note_file(marker, out);
        }
    }

    fn write_high_watermarks(&mut self, disk: &mut dyn Disk, out: &mut Outbox) {
        let offsets = self.offsets(PartitionLog::high_watermark);
        let written = self.high_watermarks.write(offsets, disk);
        self.note_file(written, out);
    }

    fn offsets(&self, of: impl Fn(&PartitionLog) -> Offset) -> BTreeMap<TopicPartition, Offset> {
        let live = self.partitions.values().map(|partition| &partition.log);
        live.chain(self.found.values()).map(|log| (log.id().partition.clone(), of(log))).collect()
    }

    fn note_file(&mut self, written: Result<Option<SyncToken>, DiskError>, out: &mut Outbox) {
        match written {
            Ok(token) => self.file_syncs.extend(token),
            Err(error) => out.halt(format!("failed to write a checkpoint: {error}")),
        }
    }

    /// Ends cleanly: takes and copies nothing more, flushes everything, and when that is durable writes the checkpoints
    /// and the marker. See [`ReplicaManager::is_stopped`].
    ///
    /// Differs from Kafka: the marker waits for the flush to be durable, since syncs are asynchronous here.
    pub fn shutdown(&mut self, _now: Instant, disk: &mut dyn Disk, out: &mut Outbox) {
        if !self.is_stopping {
            self.is_stopping = true;
            for key in std::mem::take(&mut self.fetchers).values().flat_map(Fetcher::keys) {
                let partition = &self.partitions[key];
                let (log, leader_epoch) = (partition.log.id().clone(), partition.leader_epoch());
                out.fact(Observation::FetcherChanged { log, leader_epoch, leader: None });
            }
            self.flush_all(disk, out);
        }
    }

    /// After [`ReplicaManager::shutdown`]: is everything, the marker included, durable?
    pub fn is_stopped(&self) -> bool {
        self.has_stopped && self.file_syncs.is_empty()
    }
}

/// The effective settings of a topic. Values that cannot be used do not reach the metadata; should one do so, the
/// broker's own apply.
pub(super) fn topic_config(broker: &BrokerConfig, own: &BTreeMap<String, String>) -> TopicConfig {
    TopicConfig::over(broker, own).unwrap_or_else(|_| {
        TopicConfig::over(broker, &BTreeMap::new()).expect("without own values nothing is parsed")
    })
}

/// The settings of a topic's logs.
pub(super) fn log_settings(broker: &BrokerConfig, topic: &TopicConfig, defects: &DefectSet) -> LogSettings {
    LogSettings {
        segment_bytes: topic.segment_bytes,
        max_message_bytes: topic.max_message_bytes,
        flush_messages: topic.flush_messages,
        producer_id_expiration: broker.producer_id_expiration,
        log_append_time: topic.log_append_time,
        defects: defects.clone(),
        timestamp_before_max_ms: topic.timestamp_before_max_ms,
        timestamp_after_max_ms: topic.timestamp_after_max_ms,
        segment_ms: topic.segment_ms,
        retention_ms: topic.retention_ms,
        retention_bytes: topic.retention_bytes,
    }
}
