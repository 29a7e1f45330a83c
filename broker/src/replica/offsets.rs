//! ListOffsets and OffsetForLeaderEpoch: where things are in a log (KIP-79, KIP-207, KIP-320).

use crate::defects::{Defect, DefectSet};
use crate::ids::{LeaderEpoch, NO_EPOCH, Offset, TopicId};
use crate::io::Disk;
use crate::metadata::MetadataImage;
use crate::replica::manager::ReplicaManager;
use crate::replica::partition::Partition;
use crate::rpc::{Outbox, ReplyTo};
use crate::wire::ErrorCode;
use crate::wire::messages::list_offsets_request::ListOffsetsPartition;
use crate::wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use crate::wire::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use crate::wire::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use crate::wire::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

/// The timestamps of ListOffsets that are not times. Source: Kafka's `ListOffsetsRequest`.
mod special {
    /// One past the last readable record.
    pub const LATEST: i64 = -1;
    /// The first record.
    pub const EARLIEST: i64 = -2;
    /// The record with the largest timestamp (KIP-734).
    pub const MAX_TIMESTAMP: i64 = -3;
    /// The first record on local disk (KIP-405): the first record, there is no other disk.
    pub const EARLIEST_LOCAL: i64 = -4;
    /// The last record on remote disk (KIP-1005): there is none.
    pub const LATEST_TIERED: i64 = -5;
}

/// From this version on the answer has a field for the offset's leader epoch (KIP-320).
const LEADER_EPOCH_VERSION: i16 = 4;
/// From this version on OFFSET_NOT_AVAILABLE is understood (KIP-207).
const OFFSET_NOT_AVAILABLE_VERSION: i16 = 5;

/// A found position: timestamp (-1 if it is not a record's), offset, epoch of the offset.
type Found = (i64, Offset, LeaderEpoch);
const NOTHING: Found = (-1, -1, NO_EPOCH);

impl ReplicaManager {
    /// Answers where a partition begins, ends, or reaches a time.
    pub fn list_offsets(
        &mut self,
        to: ReplyTo,
        request: ListOffsetsRequest,
        image: &MetadataImage,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let is_client = request.replica_id.0 < 0;
        let is_read_committed = request.isolation_level == 1;
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let id = image.topic_id(topic.name.0.as_str());
            let answers = topic.partitions.iter().map(|asked| {
                let found = self.led(id, asked.partition_index, asked.current_leader_epoch, image).and_then(
                    |found| {
                        find_offset(found, asked, is_client, is_read_committed, &self.rules.defects, disk)
                    },
                );
                let answer =
                    ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
                match found {
                    Ok((timestamp, offset, epoch)) => {
                        let epoch = if to.api_version >= LEADER_EPOCH_VERSION { epoch } else { NO_EPOCH };
                        answer.with_timestamp(timestamp).with_offset(offset).with_leader_epoch(epoch)
                    }
                    Err(error) => answer.with_error_code(for_version(error, to.api_version).code()),
                }
            });
            let answers = answers.collect();
            topics.push(
                ListOffsetsTopicResponse::default().with_partitions(answers).with_name(topic.name.clone()),
            );
        }
        out.reply(to, ListOffsetsResponse::default().with_topics(topics));
    }

    /// Answers where the log ends the largest epoch that is not larger than the one asked for (LOG-2).
    pub fn offset_for_leader_epoch(
        &mut self,
        to: ReplyTo,
        request: OffsetForLeaderEpochRequest,
        image: &MetadataImage,
        out: &mut Outbox,
    ) {
        let answer_one = |id: Option<TopicId>, asked: &OffsetForLeaderPartition| {
            let answer = EpochEndOffset::default().with_partition(asked.partition);
            match self.led(id, asked.partition, asked.current_leader_epoch, image) {
                Err(error) => answer.with_error_code(error.code()),
                Ok(partition) => match partition.log.end_offset_for_epoch(asked.leader_epoch) {
                    Some(end) => answer.with_leader_epoch(end.epoch).with_end_offset(end.end_offset),
                    None => answer,
                },
            }
        };
        let topics = request.topics.into_iter().map(|topic| {
            let id = image.topic_id(topic.topic.0.as_str());
            let answers = topic.partitions.iter().map(|asked| answer_one(id, asked)).collect();
            OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(answers)
        });
        let topics = topics.collect();
        out.reply(to, OffsetForLeaderEpochResponse::default().with_topics(topics));
    }

    /// A partition that this broker leads in the epoch that the request believes in.
    fn led(
        &self,
        id: Option<TopicId>,
        partition: i32,
        epoch: LeaderEpoch,
        image: &MetadataImage,
    ) -> Result<&Partition, ErrorCode> {
        let id = id.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        image.partition(&id, partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let partition = self.partitions.get(&(id, partition)).ok_or(ErrorCode::NotLeaderOrFollower)?;
        partition.check_epoch(epoch)?;
        if partition.is_leader() { Ok(partition) } else { Err(ErrorCode::NotLeaderOrFollower) }
    }
}

/// Where `asked` points to in a log that this broker leads.
fn find_offset(
    partition: &Partition,
    asked: &ListOffsetsPartition,
    is_client: bool,
    is_read_committed: bool,
    defects: &DefectSet,
    disk: &dyn Disk,
) -> Result<Found, ErrorCode> {
    let log = &partition.log;
    let epoch_of = |offset| log.epoch_of(offset).unwrap_or(NO_EPOCH);
    let end = match (is_client, is_read_committed) {
        (false, _) => log.log_end_offset(),
        (true, true) => log.last_stable_offset(),
        (true, false) => log.high_watermark(),
    };
    // After an election the own high watermark may be older than what the former leader showed to clients (KIP-207).
    let epoch_start = partition.leadership().map_or(0, |leadership| leadership.epoch_start);
    let is_end_reliable =
        !is_client || log.high_watermark() >= epoch_start || defects.has(Defect::ListOffsetsBelowEpochStart);
    let found = match asked.timestamp {
        special::LATEST if is_end_reliable => return Ok((-1, end, partition.leader_epoch())),
        special::LATEST => return Err(ErrorCode::OffsetNotAvailable),
        special::EARLIEST | special::EARLIEST_LOCAL => {
            let start = log.log_start_offset();
            return Ok((-1, start, epoch_of(start)));
        }
        special::LATEST_TIERED => return Ok(NOTHING),
        special::MAX_TIMESTAMP => log.max_timestamp(disk),
        timestamp => log.offset_for_timestamp(timestamp, disk),
    };
    match found.map_err(|error| error.code())? {
        Some((timestamp, offset)) if offset < end => Ok((timestamp, offset, epoch_of(offset))),
        _ if is_end_reliable => Ok(NOTHING),
        _ => Err(ErrorCode::OffsetNotAvailable),
    }
}

fn for_version(error: ErrorCode, version: i16) -> ErrorCode {
    match error {
        ErrorCode::OffsetNotAvailable if version < OFFSET_NOT_AVAILABLE_VERSION => {
            ErrorCode::LeaderNotAvailable
        }
        other => other,
    }
}
