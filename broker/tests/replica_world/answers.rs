//! What the leader and the controller answer to the broker's calls.

use broker::ids::NodeId;
use broker::rpc::{CallResult, Caller, Outbox};
use broker::wire::Response;
use broker::wire::messages::*;

use super::{CONTROLLER, ME, Words, World, batch};

impl World {
    pub(super) fn fetch_answer(&self, words: &Words) -> Response {
        let (topic, number) = words.partition(1);
        let mut data = fetch_response::PartitionData::default()
            .with_partition_index(number)
            .with_error_code(words.error())
            .with_high_watermark(words.or("hw", 0))
            .with_log_start_offset(words.or("start", 0));
        if let Some(records) = words.named.get("records") {
            let at = words.number("at").expect("at: the first record's offset");
            data.records = Some(batch(records, at, words.number("in").expect("in: epoch") as i32, self.now));
        }
        if let Some((epoch, end)) = words.named.get("diverging").and_then(|d| d.split_once('@')) {
            data.diverging_epoch = fetch_response::EpochEndOffset::default()
                .with_epoch(epoch.parse().expect("epoch"))
                .with_end_offset(end.parse().expect("end"));
        }
        let topic = fetch_response::FetchableTopicResponse::default()
            .with_topic_id(self.topic_id(topic))
            .with_partitions(vec![data]);
        FetchResponse::default().with_responses(vec![topic]).into()
    }

    pub(super) fn leader(&mut self, result: CallResult, words: &Words, out: &mut Outbox) {
        let (last, to) = self.last_fetch.expect("a fetch was sent");
        let id = last.wrapping_add_signed(words.or("call", 0));
        let from = words.number("from").map_or(to, |id| NodeId(id as i32));
        self.with(out, |b, image, now, disk, out| {
            b.handle_result(Caller::Fetcher, id, from, result, image, now, disk, out);
        });
    }

    pub(super) fn isr_answer(&self, words: &Words) -> Response {
        let (topic, number) = words.partition(1);
        let isr = words.nodes("isr").unwrap_or_default();
        let data = alter_partition_response::PartitionData::default()
            .with_partition_index(number)
            .with_error_code(words.error())
            .with_leader_id(ME.0.into())
            .with_leader_epoch(words.or("epoch", 1) as i32)
            .with_isr(isr.iter().map(|id| id.0.into()).collect())
            .with_partition_epoch(words.or("version", 0) as i32);
        let topic = alter_partition_response::TopicData::default()
            .with_topic_id(self.topic_id(topic))
            .with_partitions(vec![data]);
        AlterPartitionResponse::default().with_topics(vec![topic]).into()
    }

    pub(super) fn controller(&mut self, result: CallResult, out: &mut Outbox) {
        let id = self.last_proposal;
        self.with(out, |b, image, now, disk, out| {
            b.handle_result(Caller::AlterPartition, id, CONTROLLER, result, image, now, disk, out);
        });
    }
}
