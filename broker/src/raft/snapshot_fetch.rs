//! Handing out snapshots, and fetching one in the place of a log that the leader does not have any more (KIP-630).
//!
//! Differs from Kafka: the parts are collected in memory and written as one file, so that there is never a partial file.

use bytes::BytesMut;

use super::RaftError;
use super::machine::Raft;
use super::roles::Role;
use super::snapshot_file::{SnapshotContent, SnapshotId};
use super::snapshot_messages::{
    SnapshotFetch, SnapshotPart, read_snapshot_request, read_snapshot_response, snapshot_request,
    snapshot_response,
};
use super::timing::MAX_FETCH_SIZE_BYTES;
use crate::ids::NodeId;
use crate::io::Disk;
use crate::rpc::{CallResult, ReplyTo};
use crate::time::Instant;
use crate::wire::messages::{BrokerId, FetchSnapshotRequest, FetchSnapshotResponse};
use crate::wire::{ErrorCode, NO_ERROR, Response};

/// A snapshot on its way from the leader.
#[derive(Debug, Clone)]
pub struct Download {
    id: SnapshotId,
    bytes: BytesMut,
}

impl Download {
    /// Nothing of it is here yet.
    pub fn new(id: SnapshotId) -> Self {
        Download { id, bytes: BytesMut::new() }
    }

    fn position(&self) -> i64 {
        self.bytes.len() as i64
    }

    /// Adds a part. Returns whether it is one that was asked for and brings the download on.
    fn take(&mut self, part: &SnapshotPart) -> bool {
        let fits = part.id == self.id
            && part.position == self.position()
            && !part.bytes.is_empty()
            && self.position() + part.bytes.len() as i64 <= part.size;
        if fits {
            self.bytes.extend_from_slice(&part.bytes);
        }
        fits
    }
}

impl Raft {
    /// Answers a replica that fetches a snapshot.
    pub(super) fn on_snapshot_request(
        &mut self,
        to: ReplyTo,
        request: &FetchSnapshotRequest,
        now: Instant,
        disk: &dyn Disk,
    ) -> Result<(), RaftError> {
        let refuse = |error: ErrorCode| FetchSnapshotResponse::default().with_error_code(error.code());
        if let Some(error) = self.misdirected(request.cluster_id.as_ref(), BrokerId(-1)) {
            self.held.reply(to, refuse(error));
            return Ok(());
        }
        let Some(fetch) = read_snapshot_request(request) else {
            self.held.reply(to, refuse(ErrorCode::InvalidRequest));
            return Ok(());
        };
        let answer = match self.fetch_error(fetch.epoch) {
            Some(error) => Err(error),
            None => self.snapshot_part(&fetch, disk)?,
        };
        if answer.is_ok() {
            self.replica_is_alive(fetch.replica, now);
        }
        let response = snapshot_response(answer, self.leadership());
        self.held.reply(to, response);
        Ok(())
    }

    fn snapshot_part(
        &self,
        fetch: &SnapshotFetch,
        disk: &dyn Disk,
    ) -> Result<Result<SnapshotPart, ErrorCode>, RaftError> {
        let Some(file) = self.log.snapshots().read(fetch.id, disk)? else {
            return Ok(Err(ErrorCode::SnapshotNotFound));
        };
        let position = usize::try_from(fetch.position).ok().filter(|at| *at < file.len());
        let Some(position) = position else { return Ok(Err(ErrorCode::PositionOutOfRange)) };
        let wanted = usize::try_from(fetch.max_bytes.min(MAX_FETCH_SIZE_BYTES)).unwrap_or(0);
        let end = position.saturating_add(wanted).min(file.len());
        Ok(Ok(SnapshotPart {
            id: fetch.id,
            size: file.len() as i64,
            position: fetch.position,
            bytes: file.slice(position..end),
        }))
    }

    /// The leader has only a snapshot for this node: fetches it, or takes it if it is here already.
    /// Errors: it ends below what is known to be committed here; the disk's.
    pub(super) fn begin_snapshot(
        &mut self,
        id: SnapshotId,
        now: Instant,
        disk: &mut dyn Disk,
    ) -> Result<(), RaftError> {
        if id.end_offset < self.log.high_watermark() {
            let high_watermark = self.log.high_watermark();
            return Err(RaftError::TruncationBelowHighWatermark { to: id.end_offset, high_watermark });
        }
        if id.epoch > self.quorum.epoch {
            // Of an epoch that has not begun: damage, or a lie. The next fetch comes after the back-off.
            return Ok(());
        }
        let file = self.log.snapshots().read(id, disk)?;
        match file.and_then(|file| SnapshotContent::decode(id, file)) {
            Some(content) => self.install_snapshot(content, now, disk),
            None => {
                self.fetcher.download = Some(Download::new(id));
                Ok(())
            }
        }
    }

    /// Asks `target` for the next part.
    pub(super) fn fetch_snapshot_part(&mut self, target: NodeId) {
        let Some(download) = &self.fetcher.download else { return };
        let fetch = SnapshotFetch {
            replica: self.me,
            directory_id: self.directory_id,
            epoch: self.quorum.epoch,
            id: download.id,
            position: download.position(),
            max_bytes: MAX_FETCH_SIZE_BYTES,
        };
        let id = self.call(target, snapshot_request(&self.cluster_id, &fetch));
        self.fetcher.in_flight = Some((id, self.log.end()));
    }

    /// Takes a part. When all are here the snapshot is written; it takes the log's place once it is durable.
    pub(super) fn on_snapshot_result(
        &mut self,
        from: NodeId,
        result: CallResult,
        now: Instant,
        disk: &mut dyn Disk,
    ) -> Result<(), RaftError> {
        self.fetcher.in_flight = None;
        self.fetcher.not_before = now + self.timing.retry_backoff;
        let answer = match &result {
            Ok(Response::FetchSnapshot(response)) => read_snapshot_response(response),
            _ => None,
        };
        let Some((head, part)) = answer else { return Ok(()) };
        if let Some(told) = head.leadership
            && self.learn(told, now)?
        {
            return Ok(());
        }
        let is_of_this_epoch = head.leadership.is_none_or(|told| told.epoch == self.quorum.epoch);
        if !is_of_this_epoch || self.leader() != Some(from) {
            return Ok(());
        }
        let Some(download) = &mut self.fetcher.download else { return Ok(()) };
        if head.error != NO_ERROR || !download.take(&part) {
            // The leader has another snapshot by now, or talks nonsense: an ordinary fetch finds out.
            self.fetcher.download = None;
            return Ok(());
        }
        let (is_complete, id) = (download.position() == part.size, download.id);
        if let Role::Follower { fetch_deadline, .. } = &mut self.role {
            *fetch_deadline = now + self.timing.fetch_timeout;
        }
        self.fetcher.not_before = now;
        if !is_complete {
            return Ok(());
        }
        let bytes = self.fetcher.download.take().map(|download| download.bytes.freeze()).unwrap_or_default();
        match SnapshotContent::decode(id, bytes) {
            Some(content) if !self.log.snapshots().is_writing() => {
                self.fetcher.installs = Some(id);
                self.log.write_snapshot(&content, disk, &mut self.held.outbox)
            }
            // Damaged on its way, or the own snapshot is still being written: once more, after the back-off.
            _ => {
                self.fetcher.not_before = now + self.timing.retry_backoff;
                Ok(())
            }
        }
    }
}
