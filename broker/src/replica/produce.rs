//! Produce (REP-10): append as the leader, then wait for the in-sync replicas if the producer wants to know.

use crate::ids::{NO_EPOCH, Offset, TopicId};
use crate::io::Disk;
use crate::log::AppendError;
use crate::metadata::MetadataImage;
use crate::replica::PartitionKey;
use crate::replica::manager::{Event, ReplicaManager};
use crate::replica::purgatory::{Awaited, DelayedProduce};
use crate::rpc::{Outbox, Outgoing, ReplyTo};
use crate::time::{Duration, Instant};
use crate::wire::ErrorCode;
use crate::wire::messages::produce_request::PartitionProduceData;
use crate::wire::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use crate::wire::messages::{ProduceRequest, ProduceResponse, TopicName};

/// From this version on topics are named by id (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;

impl ReplicaManager {
    /// Appends what a producer sent. acks=all is answered when the high watermark has passed the last record, acks=1 at
    /// once, acks=0 never; a failed acks=0 closes the connection, which is all that its producer can notice.
    pub fn produce(
        &mut self,
        to: ReplyTo,
        request: ProduceRequest,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let acks = request.acks;
        let mut response = ProduceResponse::default();
        let mut awaited = Vec::new();
        let mut misdirected = Vec::new();
        let mut has_failed = false;
        for topic in request.topic_data {
            let topic_id = self.produced_topic(to.api_version, &topic.name, topic.topic_id, image);
            let mut answers = Vec::with_capacity(topic.partition_data.len());
            for data in topic.partition_data {
                let (at, number) = ((response.responses.len(), answers.len()), data.index);
                let mut answer = PartitionProduceResponse::default()
                    .with_index(data.index)
                    .with_base_offset(-1)
                    .with_log_append_time_ms(-1);
                let appended =
                    topic_id.and_then(|id| self.append(id, data, acks, &mut answer, image, now, disk, out));
                match appended {
                    Ok((key, required)) => awaited.push(Awaited { key, required, at }),
                    Err(error) => {
                        answer.error_code = error.code();
                        has_failed = true;
                        if let (ErrorCode::NotLeaderOrFollower, Ok(id)) = (error, topic_id) {
                            misdirected.push(((id, number), at));
                        }
                    }
                }
                answers.push(answer);
            }
            response.responses.push(
                TopicProduceResponse::default()
                    .with_name(topic.name)
                    .with_topic_id(topic.topic_id)
                    .with_partition_responses(answers),
            );
        }
        for (key, at) in misdirected {
            self.leader_hint(&key, image).tell_producer(&mut response, at, &to);
        }
        match acks {
            0 if has_failed => out.list.push(Outgoing::Disconnect { to }),
            0 => out.list.push(Outgoing::NoReply { to }),
            -1 if !awaited.is_empty() => {
                let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
                self.park_produce(DelayedProduce { to, response, awaited, deadline: now + timeout }, out);
            }
            _ => out.reply(to, response),
        }
        self.settle(image, now, disk, out);
    }

    fn produced_topic(
        &self,
        version: i16,
        name: &TopicName,
        id: TopicId,
        image: &MetadataImage,
    ) -> Result<TopicId, ErrorCode> {
        if version >= TOPIC_ID_VERSION {
            return image.topic(&id).map(|_| id).ok_or(ErrorCode::UnknownTopicId);
        }
        image.topic_id(name.0.as_str()).ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    /// Appends to one partition; answers where the high watermark must get to.
    #[expect(clippy::too_many_arguments, reason = "one partition of a produce has this many sides")]
    fn append(
        &mut self,
        topic_id: TopicId,
        data: PartitionProduceData,
        acks: i16,
        answer: &mut PartitionProduceResponse,
        image: &MetadataImage,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(PartitionKey, Offset), ErrorCode> {
        if !(-1..=1).contains(&acks) {
            return Err(ErrorCode::InvalidRequiredAcks);
        }
        let key = (topic_id, data.index);
        let Some(partition) = self.partitions.get_mut(&key) else {
            let error = if image.partition(&topic_id, data.index).is_some() {
                ErrorCode::NotLeaderOrFollower
            } else {
                ErrorCode::UnknownTopicOrPartition
            };
            return Err(error);
        };
        let Some(leadership) = partition.leadership().filter(|_| !self.is_stopping) else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        if acks == -1 && leadership.isr.committed().len() < partition.effective_min_isr() {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let epoch = partition.leader_epoch();
        crate::invariant!(epoch != NO_EPOCH, "{} leads without an epoch", partition.log.id());
        let records = data.records.unwrap_or_default();
        let info = match partition.log.append_as_leader(records, epoch, now, disk, out) {
            Ok(info) => info,
            Err(error) => {
                if let AppendError::Disk(error) = &error {
                    out.halt(format!("failed to append to {}: {error}", partition.log.id()));
                }
                return Err(error.code());
            }
        };
        partition.log.flush_if_wanted(disk);
        answer.base_offset = info.base_offset;
        answer.log_append_time_ms = info.log_append_time;
        answer.log_start_offset = partition.log.log_start_offset();
        self.events.push((key, Event::Appended));
        if partition.advance_high_watermark(image, &self.rules, now, out) {
            self.events.push((key, Event::HighWatermark));
        }
        Ok((key, info.last_offset + 1))
    }

    /// Parks a produce, unless all of it is replicated already.
    fn park_produce(&mut self, mut produce: DelayedProduce, out: &mut Outbox) {
        let mut awaited = std::mem::take(&mut produce.awaited);
        awaited.retain(|part| {
            let Some(partition) = self.partitions.get(&part.key) else { return true };
            if partition.log.high_watermark() < part.required {
                return true;
            }
            let answer = &mut produce.response.responses[part.at.0].partition_responses[part.at.1];
            answer.error_code = self.after_append(&part.key).map_or(0, |error| error.code());
            false
        });
        if awaited.is_empty() {
            out.reply(produce.to, produce.response);
        } else {
            self.purgatory.park_produce(DelayedProduce { awaited, ..produce });
        }
    }

    /// What a replicated produce is told: success, or that meanwhile too few are in sync to keep the promise (REP-10).
    pub(super) fn after_append(&self, key: &PartitionKey) -> Option<ErrorCode> {
        let partition = self.partitions.get(key)?;
        let members = partition.leadership()?.isr.maximal().len();
        (members < partition.effective_min_isr()).then_some(ErrorCode::NotEnoughReplicasAfterAppend)
    }
}
