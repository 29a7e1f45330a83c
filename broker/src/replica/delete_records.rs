//! DeleteRecords: the operator lets go what is below an offset (KIP-107, RET-2).

use crate::ids::{Offset, TopicId};
use crate::io::{ConnectionId, Disk};
use crate::log::LogError;
use crate::metadata::MetadataImage;
use crate::replica::PartitionKey;
use crate::replica::manager::{Event, ReplicaManager};
use crate::replica::partition::Partition;
use crate::rpc::{Outbox, ReplyTo};
use crate::time::{Duration, Instant};
use crate::wire::ErrorCode;
use crate::wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use crate::wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

/// The offset that stands for the high watermark (`DeleteRecordsRequest.HIGH_WATERMARK`).
const UP_TO_HIGH_WATERMARK: Offset = -1;
/// The low watermark of a partition that was refused (`DeleteRecordsResponse.INVALID_LOW_WATERMARK`).
const NO_LOW_WATERMARK: Offset = -1;

/// One partition that a request waits for: every live replica must begin at `required` or above.
#[derive(Debug)]
struct Awaited {
    key: PartitionKey,
    required: Offset,
    /// Where its answer is: topic, then partition.
    at: (usize, usize),
}

/// A DeleteRecords that the leader has carried out and not every replica has followed.
#[derive(Debug)]
struct DelayedDelete {
    to: ReplyTo,
    response: DeleteRecordsResponse,
    awaited: Vec<Awaited>,
    deadline: Instant,
}

/// Every DeleteRecords that waits, in order of arrival (`DelayedDeleteRecords`). There are few of them.
#[derive(Debug, Default)]
pub(super) struct DelayedDeletes {
    waiting: Vec<DelayedDelete>,
}

impl DelayedDeletes {
    /// The earliest time at which one of them is answered as it is.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|delete| delete.deadline).min()
    }

    /// Does somebody wait?
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The partitions that somebody waits for.
    pub fn keys(&self) -> Vec<PartitionKey> {
        self.waiting.iter().flat_map(|delete| delete.awaited.iter().map(|awaited| awaited.key)).collect()
    }

    /// Drops what waits for a connection that ended.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.waiting.retain(|delete| delete.to.connection != connection);
    }

    /// The low watermark of a partition is known, or why there is none here any more.
    pub fn settle(&mut self, key: &PartitionKey, low: Result<Offset, ErrorCode>, out: &mut Outbox) {
        for delete in &mut self.waiting {
            let response = &mut delete.response;
            delete.awaited.retain(|awaited| {
                if awaited.key != *key || low.is_ok_and(|low| low < awaited.required) {
                    return true;
                }
                set_result(response, awaited.at, low);
                false
            });
        }
        self.answer(out, |delete| delete.awaited.is_empty());
    }

    /// Answers those whose time is up with REQUEST_TIMED_OUT.
    pub fn expire(&mut self, now: Instant, out: &mut Outbox) {
        for delete in self.waiting.iter_mut().filter(|delete| delete.deadline <= now) {
            for awaited in &delete.awaited {
                set_result(&mut delete.response, awaited.at, Err(ErrorCode::RequestTimedOut));
            }
        }
        self.answer(out, |delete| delete.deadline <= now);
    }

    fn answer(&mut self, out: &mut Outbox, is_done: impl Fn(&DelayedDelete) -> bool) {
        let (done, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|delete| is_done(delete));
        self.waiting = waiting;
        let done: Vec<DelayedDelete> = done;
        for delete in done {
            out.reply(delete.to, delete.response);
        }
    }
}

fn set_result(response: &mut DeleteRecordsResponse, at: (usize, usize), low: Result<Offset, ErrorCode>) {
    let answer = response.topics.get_mut(at.0).and_then(|topic| topic.partitions.get_mut(at.1));
    if let Some(answer) = answer {
        answer.error_code = low.err().map_or(0, |error| error.code());
        answer.low_watermark = low.unwrap_or(NO_LOW_WATERMARK);
    }
}

impl ReplicaManager {
    /// Moves the start of logs that this broker leads, at most to the high watermark, and answers when every live replica
    /// has followed. Errors per partition: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, OFFSET_OUT_OF_RANGE,
    /// REQUEST_TIMED_OUT (the leader has moved, somebody has not). Source: `ReplicaManager.deleteRecords`.
    pub fn delete_records(
        &mut self,
        to: ReplyTo,
        request: DeleteRecordsRequest,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let (mut topics, mut awaited) = (Vec::with_capacity(request.topics.len()), Vec::new());
        for topic in request.topics {
            let id = image.topic_id(topic.name.as_str());
            let mut answers = Vec::with_capacity(topic.partitions.len());
            for asked in topic.partitions {
                let answer =
                    DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
                let moved = self.delete_below(id, asked.partition_index, asked.offset, image, disk, out);
                answers.push(match moved {
                    Ok((key, required)) => {
                        awaited.push(Awaited { key, required, at: (topics.len(), answers.len()) });
                        answer.with_low_watermark(required)
                    }
                    Err(error) => answer.with_error_code(error.code()).with_low_watermark(NO_LOW_WATERMARK),
                });
            }
            topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(answers));
        }
        let response = DeleteRecordsResponse::default().with_topics(topics);
        self.events.extend(awaited.iter().map(|awaited| (awaited.key, Event::LogStart)));
        if awaited.is_empty() {
            out.reply(to, response);
        } else {
            let delete = DelayedDelete { to, response, awaited, deadline: now + timeout };
            self.deletes.waiting.push(delete);
        }
        self.settle(image, now, disk, out);
    }

    fn delete_below(
        &mut self,
        id: Option<TopicId>,
        partition: i32,
        before: Offset,
        image: &MetadataImage,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(PartitionKey, Offset), ErrorCode> {
        let id = id.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        image.partition(&id, partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let key = (id, partition);
        let led = self.partitions.get_mut(&key).filter(|partition| partition.is_leader());
        let Some(partition) = led.filter(|_| !self.is_stopping) else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        let log = &mut partition.log;
        let before = if before == UP_TO_HIGH_WATERMARK { log.high_watermark() } else { before };
        if before < 0 {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        match log.advance_log_start(before, disk, out) {
            Ok(()) => Ok((key, before)),
            Err(error) => {
                if let LogError::Disk(error) = &error {
                    out.halt(format!("failed to move the start of {}: {error}", log.id()));
                }
                Err(error.code())
            }
        }
    }

    /// Somebody's log start moved: tells who waits for it.
    pub(super) fn settle_deletes(&mut self, key: &PartitionKey, image: &MetadataImage, out: &mut Outbox) {
        if self.deletes.is_empty() {
            return;
        }
        let led = self.partitions.get(key).filter(|partition| partition.is_leader());
        let low = led.map(|partition| low_watermark(partition, image)).ok_or(ErrorCode::NotLeaderOrFollower);
        self.deletes.settle(key, low, out);
    }

    /// Applies retention to every log; a disk that fails ends the broker.
    pub(super) fn apply_retention(&mut self, now: Instant, disk: &mut dyn Disk, out: &mut Outbox) {
        for (key, partition) in &mut self.partitions {
            let before = partition.log.log_start_offset();
            if let Err(error) = partition.log.apply_retention(now, disk, out) {
                out.halt(format!("failed to apply retention to {}: {error}", partition.log.id()));
            }
            if partition.log.log_start_offset() != before {
                self.events.push((*key, Event::LogStart));
            }
        }
    }
}

/// The lowest start among the leader and every follower whose broker lives (`Partition.lowWatermarkIfLeader`).
fn low_watermark(partition: &Partition, image: &MetadataImage) -> Offset {
    let remotes = partition.leadership().map_or(&[][..], |leadership| &leadership.remotes);
    let live = remotes.iter().filter(|remote| image.broker(remote.id).is_some_and(|broker| !broker.fenced));
    let starts = live.map(|remote| remote.log_start.unwrap_or(-1));
    starts.chain([partition.log.log_start_offset()]).min().unwrap_or(-1)
}
