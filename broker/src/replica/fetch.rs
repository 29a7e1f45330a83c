//! Fetch: what followers and consumers read (REP-3, REP-4, REP-11).

use bytes::Bytes;

use crate::defects::{Defect, DefectSet};
use crate::ids::{BrokerEpoch, NO_EPOCH, NodeId, Offset, TopicId};
use crate::io::Disk;
use crate::log::{EpochEnd, LogError};
use crate::metadata::MetadataImage;
use crate::replica::PartitionKey;
use crate::replica::manager::{Event, ReplicaManager};
use crate::replica::partition::Partition;
use crate::replica::purgatory::Watch;
use crate::rpc::{Outbox, ReplyTo};
use crate::time::{Duration, Instant};
use crate::wire::ErrorCode;
use crate::wire::messages::fetch_request::{FetchPartition, FetchTopic};
use crate::wire::messages::fetch_response::{EpochEndOffset, FetchableTopicResponse, PartitionData};
use crate::wire::messages::{FetchRequest, FetchResponse};

/// From this version on topics are named by id (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;
/// From this version on a consumer may read from a follower (KIP-392).
const READ_FROM_FOLLOWER_VERSION: i16 = 11;
/// From this version on a follower names itself and its broker epoch in `replica_state` (KIP-903).
const REPLICA_STATE_VERSION: i16 = 15;

/// The broker epoch of a follower that does not tell it.
const NO_BROKER_EPOCH: BrokerEpoch = -1;

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Another replica: reads to the log end, and its progress counts.
    Follower {
        /// The broker.
        id: NodeId,
        /// Under which registration it fetches; -1 if the request's version does not tell.
        broker_epoch: BrokerEpoch,
    },
    /// A client: reads what is committed.
    Consumer {
        /// Only up to the last stable offset.
        is_read_committed: bool,
        /// May be served by a follower.
        may_read_follower: bool,
    },
}

/// One fetch request, with its topics resolved.
#[derive(Debug)]
pub struct FetchJob {
    /// Who asked.
    pub to: ReplyTo,
    reader: Reader,
    min_bytes: usize,
    max_bytes: usize,
    topics: Vec<(FetchTopic, Result<TopicId, ErrorCode>)>,
}

/// One pass over the partitions of a fetch.
struct Pass {
    response: FetchResponse,
    bytes: usize,
    /// An error or a diverging epoch: the reader must hear of it at once.
    is_urgent: bool,
}

/// What one partition answers: its data, and the log end and offset for a follower's bookkeeping.
struct Read {
    data: PartitionData,
    leader_end: Offset,
    is_diverging: bool,
}

impl FetchJob {
    fn new(to: ReplyTo, request: FetchRequest, image: &MetadataImage, fetch_max_bytes: i32) -> Self {
        let replica = if to.api_version >= REPLICA_STATE_VERSION {
            (request.replica_state.replica_id.0, request.replica_state.replica_epoch)
        } else {
            (request.replica_id.0, NO_BROKER_EPOCH)
        };
        let (reader, max_bytes) = if replica.0 >= 0 {
            (Reader::Follower { id: NodeId(replica.0), broker_epoch: replica.1 }, request.max_bytes)
        } else {
            let reader = Reader::Consumer {
                is_read_committed: request.isolation_level == 1,
                may_read_follower: to.api_version >= READ_FROM_FOLLOWER_VERSION,
            };
            (reader, request.max_bytes.min(fetch_max_bytes))
        };
        let resolve = |topic: FetchTopic| {
            let id = if to.api_version >= TOPIC_ID_VERSION {
                image.topic(&topic.topic_id).map(|_| topic.topic_id).ok_or(ErrorCode::UnknownTopicId)
            } else {
                image.topic_id(topic.topic.0.as_str()).ok_or(ErrorCode::UnknownTopicOrPartition)
            };
            (topic, id)
        };
        FetchJob {
            to,
            reader,
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
            max_bytes: usize::try_from(max_bytes).unwrap_or(0),
            topics: request.topics.into_iter().map(resolve).collect(),
        }
    }

    /// What the reader waits for.
    pub fn watch(&self) -> Watch {
        match self.reader {
            Reader::Follower { .. } => Watch::LogEnd,
            Reader::Consumer { .. } => Watch::HighWatermark,
        }
    }

    /// The partitions that are read.
    pub fn keys(&self) -> impl Iterator<Item = PartitionKey> + '_ {
        self.topics
            .iter()
            .filter_map(|(topic, id)| Some((topic, *id.as_ref().ok()?)))
            .flat_map(|(topic, id)| topic.partitions.iter().map(move |asked| (id, asked.partition)))
    }

    fn wants(&self, key: &PartitionKey) -> Option<&FetchPartition> {
        let of_topic = self.topics.iter().filter(|(_, id)| *id == Ok(key.0));
        of_topic.flat_map(|(topic, _)| &topic.partitions).find(|asked| asked.partition == key.1)
    }
}

impl ReplicaManager {
    /// Reads for a consumer or a follower. Answers at once if there is enough to read or something to report, otherwise
    /// the request waits for data, a state change or its own time limit.
    pub fn fetch(
        &mut self,
        to: ReplyTo,
        request: FetchRequest,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let job = FetchJob::new(to, request, image, self.config.fetch_max_bytes);
        let pass = self.read_all(&job, Some((now, out)), image, disk);
        if pass.is_urgent || pass.bytes >= job.min_bytes || max_wait.is_zero() || job.topics.is_empty() {
            out.reply(to, pass.response);
        } else {
            self.purgatory.park_fetch(job, now + max_wait);
        }
        self.settle(image, now, disk, out);
    }

    /// Answers a waiting fetch if it has enough to read by now; `key` is the partition that has news.
    pub(super) fn try_waiting_fetch(
        &mut self,
        id: u64,
        key: &PartitionKey,
        image: &MetadataImage,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let Some(job) = self.purgatory.fetch(id) else { return };
        let (Some(asked), Some(partition)) = (job.wants(key), self.partitions.get(key)) else { return };
        if readable_end(partition, job.reader) <= asked.fetch_offset {
            return;
        }
        if job.min_bytes > 1 {
            let (min_bytes, pass) = (job.min_bytes, self.peek(id, image, disk));
            if pass.is_none_or(|pass| !pass.is_urgent && pass.bytes < min_bytes) {
                return;
            }
        }
        self.answer_waiting_fetch(id, image, disk, out);
    }

    fn peek(&mut self, id: u64, image: &MetadataImage, disk: &mut dyn Disk) -> Option<Pass> {
        let mut purgatory = std::mem::take(&mut self.purgatory);
        let pass = purgatory.fetch(id).map(|job| self.read_all(job, None, image, disk));
        std::mem::swap(&mut self.purgatory, &mut purgatory);
        pass
    }

    /// Answers a waiting fetch with what there is.
    pub(super) fn answer_waiting_fetch(
        &mut self,
        id: u64,
        image: &MetadataImage,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        if let Some(job) = self.purgatory.take_fetch(id) {
            let pass = self.read_all(&job, None, image, disk);
            out.reply(job.to, pass.response);
        }
    }

    /// Reads every partition of a fetch. `progress` is given on arrival only: a follower's progress counts once.
    fn read_all(
        &mut self,
        job: &FetchJob,
        mut progress: Option<(Instant, &mut Outbox)>,
        image: &MetadataImage,
        disk: &mut dyn Disk,
    ) -> Pass {
        let mut pass = Pass { response: FetchResponse::default(), bytes: 0, is_urgent: false };
        for (topic, id) in &job.topics {
            let mut answers = Vec::with_capacity(topic.partitions.len());
            for asked in &topic.partitions {
                let budget = job.max_bytes.saturating_sub(pass.bytes);
                let at_least_one = pass.bytes == 0;
                let read = id.and_then(|id| {
                    self.read_one((id, asked.partition), asked, job, budget, at_least_one, image, disk)
                });
                let data = match read {
                    Ok(read) => {
                        pass.bytes += read.data.records.as_ref().map_or(0, Bytes::len);
                        pass.is_urgent |= read.is_diverging;
                        // What a follower has above the place where the histories part is not of this log.
                        let counts =
                            !read.is_diverging || self.rules.defects.has(Defect::FetchStateOnDivergence);
                        if let (Some((now, out)), Ok(id), true) = (&mut progress, id, counts) {
                            let key = (*id, asked.partition);
                            self.note_progress(key, job.reader, asked, &read, image, *now, out);
                        }
                        read.data
                    }
                    Err(error) => {
                        pass.is_urgent = true;
                        let key = id.ok().map(|id| (id, asked.partition));
                        let mut data = self.refusal(key, asked, error);
                        if let Some(key) = key {
                            let leader = self.leader_hint(&key, image);
                            leader.tell_reader(&mut data, &mut pass.response, &job.to);
                        }
                        data
                    }
                };
                answers.push(data);
            }
            pass.response.responses.push(
                FetchableTopicResponse::default()
                    .with_topic(topic.topic.clone())
                    .with_topic_id(topic.topic_id)
                    .with_partitions(answers),
            );
        }
        pass
    }

    #[expect(clippy::too_many_arguments, reason = "one partition of a fetch has this many sides")]
    fn read_one(
        &self,
        key: PartitionKey,
        asked: &FetchPartition,
        job: &FetchJob,
        budget: usize,
        at_least_one: bool,
        image: &MetadataImage,
        disk: &dyn Disk,
    ) -> Result<Read, ErrorCode> {
        let Some(partition) = self.partitions.get(&key) else {
            return Err(match image.partition(&key.0, key.1) {
                Some(_) => ErrorCode::NotLeaderOrFollower,
                None => ErrorCode::UnknownTopicOrPartition,
            });
        };
        check_reader(partition, asked, job.reader, image)?;
        let log = &partition.log;
        let (offset, leader_end) = (asked.fetch_offset, log.log_end_offset());
        let mut data = PartitionData::default()
            .with_partition_index(asked.partition)
            .with_high_watermark(log.high_watermark())
            .with_last_stable_offset(log.last_stable_offset())
            .with_log_start_offset(log.log_start_offset())
            .with_preferred_read_replica((-1).into())
            .with_records(Some(Bytes::new()));
        if !matches!(job.reader, Reader::Consumer { is_read_committed: true, .. }) {
            data.aborted_transactions = None;
        }
        if let Some(diverging) = divergence(partition, asked, &self.rules.defects)? {
            data.diverging_epoch = diverging;
            return Ok(Read { data, leader_end, is_diverging: true });
        }
        if offset < log.log_start_offset() || offset > leader_end {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let until = readable_end(partition, job.reader);
        if offset < until {
            let max_bytes = budget.min(usize::try_from(asked.partition_max_bytes).unwrap_or(0));
            let records = log
                .read(offset, until, max_bytes, at_least_one, disk)
                .map_err(|error: LogError| error.code())?;
            data.records = Some(records);
        }
        Ok(Read { data, leader_end, is_diverging: false })
    }

    /// A follower's accepted fetch says how far it is (REP-5): it may join the ISR, the high watermark may move. The
    /// answer to this very fetch still carries the high watermark from before, as in Kafka.
    #[expect(clippy::too_many_arguments, reason = "one accepted fetch has this many sides")]
    fn note_progress(
        &mut self,
        key: PartitionKey,
        reader: Reader,
        asked: &FetchPartition,
        read: &Read,
        image: &MetadataImage,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Reader::Follower { id, broker_epoch } = reader else { return };
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let (offset, end) = (asked.fetch_offset, read.leader_end);
        if partition.follower_begins_at(id, asked.log_start_offset) && !self.deletes.is_empty() {
            self.events.push((key, Event::LogStart));
        }
        let proposal =
            partition.follower_fetched(id, broker_epoch, offset, end, image, &self.rules, now, out);
        if let Some(proposal) = proposal {
            self.alter.submit(key, proposal);
        }
        if partition.advance_high_watermark(image, &self.rules, now, out) {
            self.events.push((key, Event::HighWatermark));
        }
    }

    /// The answer for a partition that cannot be read.
    ///
    /// Differs from Kafka: OFFSET_OUT_OF_RANGE carries the log start, so that a follower needs no ListOffsets to find it.
    fn refusal(&self, key: Option<PartitionKey>, asked: &FetchPartition, error: ErrorCode) -> PartitionData {
        let mut data = PartitionData::default()
            .with_partition_index(asked.partition)
            .with_error_code(error.code())
            .with_high_watermark(-1)
            .with_last_stable_offset(-1)
            .with_log_start_offset(-1)
            .with_aborted_transactions(None)
            .with_preferred_read_replica((-1).into())
            .with_records(Some(Bytes::new()));
        let partition = key.and_then(|key| self.partitions.get(&key));
        if let (ErrorCode::OffsetOutOfRange, Some(partition)) = (error, partition) {
            data.log_start_offset = partition.log.log_start_offset();
        }
        data
    }
}

/// May this reader read here (REP-3)?
fn check_reader(
    partition: &Partition,
    asked: &FetchPartition,
    reader: Reader,
    image: &MetadataImage,
) -> Result<(), ErrorCode> {
    partition.check_epoch(asked.current_leader_epoch)?;
    match reader {
        Reader::Consumer { may_read_follower, .. } => {
            if !partition.is_leader() && !may_read_follower {
                return Err(ErrorCode::NotLeaderOrFollower);
            }
        }
        Reader::Follower { id, broker_epoch } => {
            if !partition.is_leader() {
                return Err(ErrorCode::NotLeaderOrFollower);
            }
            if !partition.has_replica(id) {
                return Err(ErrorCode::UnknownLeaderEpoch);
            }
            // A request that has no field for the broker epoch is not from a past incarnation for that (KIP-903).
            let is_told = broker_epoch != NO_BROKER_EPOCH;
            if is_told && image.broker(id).is_some_and(|broker| broker_epoch < broker.broker_epoch) {
                return Err(ErrorCode::NotLeaderOrFollower);
            }
        }
    }
    Ok(())
}

/// The exclusive end of what the reader may see (REP-11).
fn readable_end(partition: &Partition, reader: Reader) -> Offset {
    match reader {
        Reader::Follower { .. } => partition.log.log_end_offset(),
        Reader::Consumer { is_read_committed: true, .. } => partition.log.last_stable_offset(),
        Reader::Consumer { is_read_committed: false, .. } => partition.log.high_watermark(),
    }
}

/// Does the reader's history differ from this log (REP-4, KIP-595)? Then where this log ends that epoch, or the largest
/// one below it: the reader may hold records of an epoch that never was in this log (KIP-279).
fn divergence(
    partition: &Partition,
    asked: &FetchPartition,
    defects: &DefectSet,
) -> Result<Option<EpochEndOffset>, ErrorCode> {
    if asked.last_fetched_epoch == NO_EPOCH {
        return Ok(None);
    }
    let found = if defects.has(Defect::OffsetOnlyDivergence) {
        EpochEnd { epoch: asked.last_fetched_epoch, end_offset: partition.log.log_end_offset() }
    } else {
        let found = partition.log.end_offset_for_epoch(asked.last_fetched_epoch);
        found.ok_or(ErrorCode::OffsetOutOfRange)?
    };
    let found = if defects.has(Defect::NextEpochLookup) {
        EpochEnd { epoch: asked.last_fetched_epoch, ..found }
    } else {
        found
    };
    if asked.fetch_offset < partition.log.log_start_offset() {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let is_diverging = found.epoch < asked.last_fetched_epoch || found.end_offset < asked.fetch_offset;
    Ok(is_diverging
        .then(|| EpochEndOffset::default().with_epoch(found.epoch).with_end_offset(found.end_offset)))
}
