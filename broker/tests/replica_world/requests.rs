//! What clients and followers ask the broker.

use broker::ids::{TopicId, Uuid};
use broker::io::Listener;
use broker::rpc::{Outbox, ReplyTo};
use broker::time::WORLD_BEGINS_UNIX_MS;
use broker::wire::messages::*;
use broker::wire::{ApiKey, StrBytes};

use super::{Words, World, batch, client};

impl World {
    pub(super) fn reply_to(&mut self, api_key: ApiKey, api_version: i64, listener: Listener) -> ReplyTo {
        self.requests += 1;
        let (correlation_id, api_version) = (self.requests, api_version as i16);
        ReplyTo { connection: client(), correlation_id, api_key, api_version, listener }
    }

    pub(super) fn topic_id(&self, name: &str) -> TopicId {
        self.image.topic_id(name).unwrap_or(Uuid::from_u128(77))
    }

    pub(super) fn produce(&mut self, words: &Words, out: &mut Outbox) {
        let (topic, number) = words.partition(1);
        let to = self.reply_to(ApiKey::Produce, words.or("version", 12), Listener::Client);
        let records = batch(words.plain.get(2).unwrap_or(&""), 0, 0, self.now);
        let data =
            produce_request::PartitionProduceData::default().with_index(number).with_records(Some(records));
        let topic = produce_request::TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_string())))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(words.or("acks", -1) as i16)
            .with_timeout_ms(words.or("timeout", 30_000) as i32)
            .with_topic_data(vec![topic]);
        self.with(out, |b, image, now, disk, out| b.produce(to, request, image, now, disk, out));
    }

    pub(super) fn fetch_request(&self, words: &Words, at: usize) -> FetchRequest {
        let (topic, number) = words.partition(at);
        let asked = fetch_request::FetchPartition::default()
            .with_partition(number)
            .with_current_leader_epoch(words.or("epoch", -1) as i32)
            .with_fetch_offset(words.number("offset").expect("offset"))
            .with_last_fetched_epoch(words.or("last", -1) as i32)
            .with_partition_max_bytes(words.or("partition-max", 1 << 20) as i32);
        let topic = fetch_request::FetchTopic::default()
            .with_topic_id(self.topic_id(topic))
            .with_topic(TopicName(StrBytes::from_string(topic.to_string())))
            .with_partitions(vec![asked]);
        FetchRequest::default()
            .with_max_wait_ms(words.or("wait", 0) as i32)
            .with_min_bytes(words.or("min", 1) as i32)
            .with_max_bytes(words.or("max", 1 << 20) as i32)
            .with_topics(vec![topic])
    }

    pub(super) fn fetch(&mut self, words: &Words, out: &mut Outbox) {
        let follower: i32 = words.plain[1].parse().expect("a broker");
        let state = fetch_request::ReplicaState::default()
            .with_replica_id(follower.into())
            .with_replica_epoch(words.or("broker", i64::from(follower) + 100));
        let request = self.fetch_request(words, 2).with_replica_state(state);
        let to = self.reply_to(ApiKey::Fetch, 17, Listener::Replication);
        self.with(out, |b, image, now, disk, out| b.fetch(to, request, image, now, disk, out));
    }

    pub(super) fn consume(&mut self, words: &Words, out: &mut Outbox) {
        let request = self.fetch_request(words, 1);
        let to = self.reply_to(ApiKey::Fetch, words.or("version", 17), Listener::Client);
        self.with(out, |b, image, now, disk, out| b.fetch(to, request, image, now, disk, out));
    }

    pub(super) fn offsets(&mut self, words: &Words, out: &mut Outbox) {
        let (topic, number) = words.partition(1);
        let timestamp = match words.plain[2] {
            "latest" => -1,
            "earliest" => -2,
            "max-timestamp" => -3,
            ms => WORLD_BEGINS_UNIX_MS + ms.parse::<i64>().expect("milliseconds"),
        };
        let asked = list_offsets_request::ListOffsetsPartition::default()
            .with_partition_index(number)
            .with_current_leader_epoch(words.or("epoch", -1) as i32)
            .with_timestamp(timestamp);
        let topic = list_offsets_request::ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_string())))
            .with_partitions(vec![asked]);
        let replica = (words.or("replica", -1) as i32).into();
        let request = ListOffsetsRequest::default().with_replica_id(replica).with_topics(vec![topic]);
        let to = self.reply_to(ApiKey::ListOffsets, words.or("version", 9), Listener::Client);
        self.with(out, |b, image, _, disk, out| b.list_offsets(to, request, image, disk, out));
    }

    pub(super) fn end_of_epoch(&mut self, words: &Words, out: &mut Outbox) {
        let (topic, number) = words.partition(1);
        let asked = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
            .with_partition(number)
            .with_current_leader_epoch(words.or("epoch", -1) as i32)
            .with_leader_epoch(words.plain[2].parse().expect("an epoch"));
        let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
            .with_topic(TopicName(StrBytes::from_string(topic.to_string())))
            .with_partitions(vec![asked]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
        let to = self.reply_to(ApiKey::OffsetForLeaderEpoch, 4, Listener::Client);
        self.with(out, |b, image, _, _, out| b.offset_for_leader_epoch(to, request, image, out));
    }
}
