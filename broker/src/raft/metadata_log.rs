//! The metadata log in the quorum's terms: an ordinary log, its flushed end, and what is committed.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::leader_change_message::Voter;
use kafka_protocol::messages::{BrokerId, LeaderChangeMessage};
use kafka_protocol::protocol::Encodable;

use super::RaftError;
use super::timing::MAX_FETCH_SIZE_BYTES;
use crate::defects::DefectSet;
use crate::ids::{LeaderEpoch, LogId, NodeId, Offset};
use crate::io::{Disk, DiskError, SyncToken};
use crate::log::{AppendError, BatchBuilder, LogError, LogSettings, PartitionLog, RecoveryHints, batches};
use crate::metadata::CommittedBatch;
use crate::rpc::Outbox;
use crate::time::{Duration, Instant};
use crate::trace::{LeaderView, TruncationReason};

/// Version of the LeaderChange record's schema that is written (KIP-853 added voters' directory ids in version 1).
const LEADER_CHANGE_VERSION: i16 = 0;
/// `ControlRecordType.LEADER_CHANGE`.
const LEADER_CHANGE_TYPE: i16 = 2;

/// What a leader's first record says: who leads, of which voters, by whose votes.
pub fn leader_change(
    leader: NodeId,
    voters: impl IntoIterator<Item = NodeId>,
    granting: impl IntoIterator<Item = NodeId>,
) -> LeaderChangeMessage {
    let voter = |n: NodeId| Voter::default().with_voter_id(n.0);
    LeaderChangeMessage::default()
        .with_version(LEADER_CHANGE_VERSION)
        .with_leader_id(BrokerId(leader.0))
        .with_voters(voters.into_iter().map(voter).collect())
        .with_granting_voters(granting.into_iter().map(voter).collect())
}

/// The log of `__cluster_metadata` and which of its syncs is under way.
#[derive(Debug)]
pub struct MetadataLog {
    log: PartitionLog,
    sync_requested_to: Offset,
}

impl MetadataLog {
    /// Opens or creates the log. Everything is checked again from the start: a node that crashed may have lost what it had
    /// not flushed. Errors: the disk.
    pub fn open(now: Instant, disk: &mut dyn Disk, out: &mut Outbox) -> Result<Self, LogError> {
        let settings = LogSettings {
            segment_bytes: i32::MAX,
            max_message_bytes: i32::MAX,
            flush_messages: i64::MAX,
            producer_id_expiration: Duration::from_secs(86_400),
            log_append_time: false,
            defects: DefectSet::none(),
        };
        let hints = RecoveryHints { clean_shutdown: false, recovery_point: 0, high_watermark: 0 };
        let log = PartitionLog::open(LogId::metadata(), settings, hints, now, disk, out)?;
        let sync_requested_to = log.recovery_point();
        Ok(MetadataLog { log, sync_requested_to })
    }

    /// The log end offset.
    pub fn end(&self) -> Offset {
        self.log.log_end_offset()
    }

    /// Everything below is on the disk.
    pub fn flushed(&self) -> Offset {
        self.log.recovery_point().min(self.end())
    }

    /// Everything below is committed, as far as this node knows.
    pub fn high_watermark(&self) -> Offset {
        self.log.high_watermark()
    }

    /// Epoch of the last record; 0 for an empty log.
    pub fn last_epoch(&self) -> LeaderEpoch {
        self.log.latest_epoch().unwrap_or(0)
    }

    /// The largest epoch in the log that is not above `epoch`, and where it ends. Beyond the log's last epoch: the log's end.
    fn end_of_epoch(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        match self.log.end_offset_for_epoch(epoch) {
            Some(found) => (found.epoch, found.end_offset),
            None => (self.last_epoch(), self.end()),
        }
    }

    /// Is a log that ends at `offset` with `last_epoch` a prefix of this one? If not: from where it may differ, as the
    /// answer of a leader (KIP-595 "diverging epoch"). A prefix that begins at 0 is always one.
    pub fn divergence(&self, offset: Offset, last_epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        if offset == 0 {
            return None;
        }
        let (epoch, end_offset) = self.end_of_epoch(last_epoch);
        (epoch != last_epoch || end_offset < offset).then_some((epoch, end_offset))
    }

    /// Cuts the log where the leader's differs: at the end of the epoch in the shorter of the two logs. Returns whether
    /// anything was cut. Errors: the disk; a cut below the high watermark.
    pub fn truncate_diverging(
        &mut self,
        epoch: LeaderEpoch,
        end_offset: Offset,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<bool, RaftError> {
        let (own_epoch, own_end) = self.end_of_epoch(epoch);
        let to = if own_epoch == epoch { own_end.min(end_offset) } else { own_end }.min(self.end());
        if to < self.high_watermark() {
            return Err(RaftError::TruncationBelowHighWatermark {
                to,
                high_watermark: self.high_watermark(),
            });
        }
        let before = self.end();
        self.log.truncate_to(to, TruncationReason::DivergingEpoch, disk, out)?;
        self.sync_requested_to = self.sync_requested_to.min(self.end());
        Ok(self.end() < before)
    }

    /// Appends a leader's first record (KIP-595): it commits everything before it, and says who leads by whose votes.
    pub fn append_leader_change(
        &mut self,
        epoch: LeaderEpoch,
        message: &LeaderChangeMessage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), AppendError> {
        let mut value = BytesMut::new();
        message
            .encode(&mut value, LEADER_CHANGE_VERSION)
            .map_err(|_| AppendError::InvalidRecord("LeaderChange cannot be encoded"))?;
        let key = [0i16.to_be_bytes(), LEADER_CHANGE_TYPE.to_be_bytes()].concat();
        let mut batch = BatchBuilder::new().control();
        batch.push(now.as_unix_ms(), Some(&key), Some(&value), &[]);
        self.log.append_as_leader(batch.build(), epoch, now, disk, out).map(|_| ())
    }

    /// Appends `records` as one batch of `epoch`.
    pub fn append(
        &mut self,
        epoch: LeaderEpoch,
        records: &[Bytes],
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), AppendError> {
        let mut batch = BatchBuilder::new();
        for record in records {
            batch.push(now.as_unix_ms(), None, Some(record), &[]);
        }
        self.log.append_as_leader(batch.build(), epoch, now, disk, out).map(|_| ())
    }

    /// Appends what the leader sent.
    pub fn append_fetched(
        &mut self,
        records: Bytes,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), AppendError> {
        self.log.append_as_follower(records, now, disk, out).map(|_| ())
    }

    /// Asks for a sync if something is neither durable nor about to be.
    pub fn request_flush(&mut self, disk: &mut dyn Disk) {
        if self.flushed() < self.end() && self.sync_requested_to < self.end() {
            // Refused: the disk did not even take the request. The next input tries again.
            if self.log.flush(disk).is_some() {
                self.sync_requested_to = self.end();
            }
        }
    }

    /// Takes a sync's completion; `false`: not one of this log. A failure leaves the flushed end where it was.
    pub fn on_synced(&mut self, token: SyncToken, result: &Result<(), DiskError>, out: &mut Outbox) -> bool {
        self.log.on_synced(token, result, out)
    }

    /// Moves the high watermark up; a lower one is passed over, since what is committed stays committed.
    pub fn raise_high_watermark(&mut self, to: Offset, leader: Option<LeaderView>, out: &mut Outbox) {
        if to > self.high_watermark() {
            self.log.set_high_watermark(to, leader, out);
        }
    }

    /// Whole batches from `from` to the end of the log, about `max_bytes`, at least one.
    pub fn read(&self, from: Offset, max_bytes: usize, disk: &dyn Disk) -> Result<Bytes, LogError> {
        if from >= self.end() {
            return Ok(Bytes::new());
        }
        self.log.read(from, self.end(), max_bytes, true, disk)
    }

    /// The committed batches from `from` on. Errors: the log cannot be read.
    pub fn committed_from(&self, from: Offset, disk: &dyn Disk) -> Result<Vec<CommittedBatch>, RaftError> {
        let mut found = Vec::new();
        let mut at = from;
        while at < self.high_watermark() {
            let chunk =
                self.log.read(at, self.high_watermark(), MAX_FETCH_SIZE_BYTES as usize, true, disk)?;
            if chunk.is_empty() {
                break;
            }
            for batch in batches(chunk) {
                let batch = batch.map_err(|e| RaftError::DamagedLog { at, reason: e.to_string() })?;
                let mut records = Vec::new();
                if !batch.header.is_control() {
                    for record in batch.records() {
                        let record =
                            record.map_err(|e| RaftError::DamagedLog { at, reason: e.to_string() })?;
                        let value = record.value.map(|value| batch.bytes.slice_ref(value));
                        records.push((record.offset, value.unwrap_or_default()));
                    }
                }
                at = batch.header.last_offset() + 1;
                found.push(CommittedBatch {
                    base_offset: batch.header.base_offset,
                    last_offset: batch.header.last_offset(),
                    epoch: batch.header.leader_epoch,
                    records,
                });
            }
        }
        Ok(found)
    }
}
