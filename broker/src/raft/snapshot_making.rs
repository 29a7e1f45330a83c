//! When a node writes a snapshot, and what happens once one is durable (KIP-630).

use super::machine::Raft;
use super::snapshot_file::SnapshotContent;
use super::{RaftError, RaftEvent};
use crate::config::BrokerConfig;
use crate::io::Disk;
use crate::metadata::{CommittedBatch, MetadataSnapshot};
use crate::rpc::Outbox;
use crate::time::{Duration, Instant};
use crate::trace::Observation;

/// When the next snapshot is due. Source: `SnapshotGenerator`.
#[derive(Debug, Clone)]
pub struct SnapshotPolicy {
    max_bytes: i64,
    interval: Duration,
    bytes_since: i64,
    last_at: Instant,
}

impl SnapshotPolicy {
    /// The settings of a node that boots.
    pub fn new(config: &BrokerConfig, now: Instant) -> Self {
        SnapshotPolicy {
            max_bytes: config.snapshot_max_bytes,
            interval: config.snapshot_interval,
            bytes_since: 0,
            last_at: now,
        }
    }

    /// A batch was handed up.
    pub fn committed(&mut self, batch: &CommittedBatch) {
        self.bytes_since += batch.records.iter().map(|(_, record)| record.len() as i64).sum::<i64>();
    }

    /// A snapshot was begun, or loaded.
    pub fn begun(&mut self, now: Instant) {
        (self.bytes_since, self.last_at) = (0, now);
    }

    /// `metadata.log.max.record.bytes.between.snapshots` or `metadata.log.max.snapshot.interval.ms` is exceeded (0: never
    /// by time), and there is something new.
    pub fn is_due(&self, now: Instant) -> bool {
        let is_late = !self.interval.is_zero() && now.saturating_since(self.last_at) >= self.interval;
        self.bytes_since > 0 && (self.bytes_since >= self.max_bytes || is_late)
    }
}

impl Raft {
    /// Is it time for a snapshot? Asked after each committed batch was applied.
    pub fn wants_snapshot(&self, now: Instant) -> bool {
        self.snapshot_policy.is_due(now) && !self.halted && !self.log.snapshots().is_writing()
    }

    /// Writes the state of the metadata as a snapshot. Nothing happens if it is not newer than what is there, or not
    /// committed as far as this node knows.
    pub fn write_snapshot(
        &mut self,
        metadata: MetadataSnapshot,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let latest = self.log.snapshots().latest().map_or(0, |id| id.end_offset);
        let is_committed = metadata.end_offset <= self.log.high_watermark();
        if self.halted || self.log.snapshots().is_writing() || metadata.end_offset <= latest || !is_committed
        {
            return;
        }
        self.snapshot_policy.begun(now);
        let voters = self.voters_at(metadata.end_offset);
        let written =
            self.log.write_snapshot(&SnapshotContent { metadata, voters }, disk, &mut self.held.outbox);
        self.settle(written, now, disk, out);
    }

    /// A snapshot is durable: the log behind it may go, or it takes the log's place.
    pub(super) fn on_snapshot_durable(
        &mut self,
        content: SnapshotContent,
        now: Instant,
        disk: &mut dyn Disk,
    ) -> Result<(), RaftError> {
        let MetadataSnapshot { end_offset: offset, epoch, .. } = content.metadata;
        let digest = content.metadata.digest();
        self.held.fact(Observation::SnapshotWritten { offset, epoch, digest });
        if self.fetcher.installs.take_if(|id| *id == content.id()).is_some() {
            self.install_snapshot(content, now, disk)?;
        }
        self.log.clean_up(disk, &mut self.held.outbox)
    }

    /// The log starts anew behind a snapshot of the leader; everything in it is committed.
    /// Errors: it ends below what is known to be committed here; the disk's.
    pub(super) fn install_snapshot(
        &mut self,
        content: SnapshotContent,
        now: Instant,
        disk: &mut dyn Disk,
    ) -> Result<(), RaftError> {
        let end_offset = content.metadata.end_offset;
        let high_watermark = self.log.high_watermark();
        if end_offset < high_watermark {
            return Err(RaftError::TruncationBelowHighWatermark { to: end_offset, high_watermark });
        }
        self.log.start_anew(content.id(), disk, &mut self.held.outbox)?;
        self.adopt_voters_of(&content, now);
        self.load(content);
        Ok(())
    }

    /// Hands a snapshot up: what comes next continues at its end.
    pub(super) fn load(&mut self, content: SnapshotContent) {
        let metadata = content.metadata;
        let (offset, epoch, digest) = (metadata.end_offset, metadata.epoch, metadata.digest());
        self.handed_up_to = offset;
        self.held.fact(Observation::SnapshotLoaded { offset, epoch, digest });
        self.held.events.push(RaftEvent::SnapshotLoaded(metadata));
    }
}
