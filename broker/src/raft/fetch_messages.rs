//! Fetch of the metadata log, built and read (KIP-595, KIP-516 topic ids, KIP-903 replica state).

use bytes::Bytes;

use super::Leadership;
use super::messages::{AnswerHead, code, metadata_topic, node, wire_id};
use super::snapshot_file::SnapshotId;
use super::timing::{MAX_FETCH_SIZE_BYTES, MAX_FETCH_WAIT};
use crate::ids::{LeaderEpoch, METADATA_TOPIC, METADATA_TOPIC_ID, NodeId, Offset, Uuid};
use crate::io::Address;
use crate::time::Duration;
use crate::wire::messages::{BrokerId, FetchRequest, FetchResponse, fetch_request, fetch_response};
use crate::wire::{ErrorCode, NO_ERROR, StrBytes};

/// What a replica of the metadata log asks its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaFetch {
    /// Who asks.
    pub replica: NodeId,
    /// With which disk (KIP-853, v17); nil if its version of the API does not tell.
    pub directory_id: Uuid,
    /// The epoch that the replica is in.
    pub epoch: LeaderEpoch,
    /// The replica's log end; if it is a voter, everything below is on its disk.
    pub offset: Offset,
    /// Epoch of the replica's last record, 0 if its log is empty.
    pub last_epoch: LeaderEpoch,
    /// The replica's high watermark, if its version of the API tells (KIP-1166, v18).
    pub high_watermark: Option<Offset>,
    /// How long the leader may hold the request.
    pub max_wait: Duration,
    /// The most bytes wanted.
    pub max_bytes: i32,
}

/// Builds a fetch of the metadata log.
pub fn fetch_request(cluster_id: &str, fetch: &ReplicaFetch) -> FetchRequest {
    let partition = fetch_request::FetchPartition::default()
        .with_partition(0)
        .with_current_leader_epoch(fetch.epoch)
        .with_fetch_offset(fetch.offset)
        .with_last_fetched_epoch(fetch.last_epoch)
        .with_log_start_offset(0)
        .with_partition_max_bytes(fetch.max_bytes)
        .with_high_watermark(fetch.high_watermark.unwrap_or(i64::MAX))
        .with_replica_directory_id(fetch.directory_id);
    let topic = fetch_request::FetchTopic::default()
        .with_topic(metadata_topic())
        .with_topic_id(METADATA_TOPIC_ID)
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_cluster_id(Some(StrBytes::from_string(cluster_id.to_string())))
        .with_replica_state(
            fetch_request::ReplicaState::default()
                .with_replica_id(BrokerId(fetch.replica.0))
                .with_replica_epoch(-1),
        )
        .with_max_wait_ms(i32::try_from(fetch.max_wait.as_millis()).unwrap_or(i32::MAX))
        .with_max_bytes(fetch.max_bytes)
        .with_topics(vec![topic])
}

/// Reads a fetch of the metadata log. `None`: malformed, or not from a replica (consumers have no business here).
pub fn read_fetch_request(request: &FetchRequest) -> Option<ReplicaFetch> {
    let [topic] = request.topics.as_slice() else { return None };
    if topic.topic_id != METADATA_TOPIC_ID && topic.topic.0.as_str() != METADATA_TOPIC {
        return None;
    }
    let [p] = topic.partitions.as_slice() else { return None };
    let is_sane =
        p.partition == 0 && p.fetch_offset >= 0 && p.current_leader_epoch >= 0 && p.last_fetched_epoch >= 0;
    let max_bytes = request.max_bytes.min(p.partition_max_bytes);
    if !is_sane || request.max_wait_ms < 0 || max_bytes < 0 {
        return None;
    }
    Some(ReplicaFetch {
        replica: node(request.replica_state.replica_id.0).or_else(|| node(request.replica_id.0))?,
        directory_id: p.replica_directory_id,
        epoch: p.current_leader_epoch,
        offset: p.fetch_offset,
        last_epoch: p.last_fetched_epoch,
        high_watermark: (p.high_watermark != i64::MAX).then_some(p.high_watermark),
        max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(MAX_FETCH_WAIT),
        max_bytes: max_bytes.min(MAX_FETCH_SIZE_BYTES),
    })
}

/// What a leader (or a node that does not lead) answers to a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchAnswer {
    /// No records: the sender is in another epoch, or asked the wrong node.
    Refused(ErrorCode),
    /// The replica's log is not a prefix of the leader's: it ends (or its last epoch ends) at this point.
    Diverging {
        /// The largest epoch of the leader that is not above the replica's.
        epoch: LeaderEpoch,
        /// Where that epoch ends on the leader.
        end_offset: Offset,
    },
    /// The replica needs what is only in this snapshot (KIP-630).
    Snapshot(SnapshotId),
    /// Records from the fetch offset on; possibly none.
    Records(Bytes),
}

/// Builds the answer. `high_watermark` is `None` while a new leader knows none (KIP-595).
pub fn fetch_response(answer: FetchAnswer, at: Leadership, high_watermark: Option<Offset>) -> FetchResponse {
    let mut partition = fetch_response::PartitionData::default()
        .with_partition_index(0)
        .with_log_start_offset(0)
        .with_high_watermark(high_watermark.unwrap_or(-1))
        .with_current_leader(
            fetch_response::LeaderIdAndEpoch::default()
                .with_leader_id(wire_id(at.leader))
                .with_leader_epoch(at.epoch),
        );
    match answer {
        FetchAnswer::Refused(error) => partition.error_code = code(Some(error)),
        FetchAnswer::Diverging { epoch, end_offset } => {
            partition.diverging_epoch =
                fetch_response::EpochEndOffset::default().with_epoch(epoch).with_end_offset(end_offset);
        }
        FetchAnswer::Snapshot(id) => {
            partition.snapshot_id =
                fetch_response::SnapshotId::default().with_end_offset(id.end_offset).with_epoch(id.epoch);
        }
        FetchAnswer::Records(records) => partition.records = Some(records),
    }
    let topic = fetch_response::FetchableTopicResponse::default()
        .with_topic(metadata_topic())
        .with_topic_id(METADATA_TOPIC_ID)
        .with_partitions(vec![partition]);
    FetchResponse::default().with_responses(vec![topic])
}

/// Says where the leader is reached, for replicas that cannot know it (KIP-853, v16).
pub fn with_endpoint(response: FetchResponse, leader: NodeId, address: &Address) -> FetchResponse {
    let endpoint = fetch_response::NodeEndpoint::default()
        .with_node_id(BrokerId(leader.0))
        .with_host(StrBytes::from_string(address.host.to_string()))
        .with_port(i32::from(address.port));
    response.with_node_endpoints(vec![endpoint])
}

/// Where nodes are reached, as an answer says.
pub fn read_endpoints(response: &FetchResponse) -> impl Iterator<Item = (NodeId, Address)> {
    response.node_endpoints.iter().filter_map(|endpoint| {
        let port = u16::try_from(endpoint.port).ok()?;
        Some((node(endpoint.node_id.0)?, Address::new(endpoint.host.as_str(), port)))
    })
}

/// A fetch that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Error, epoch and leader.
    pub head: AnswerHead,
    /// The leader's high watermark, if it knows one.
    pub high_watermark: Option<Offset>,
    /// Set if the logs differ: epoch and end offset.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// Set if only this snapshot has what the replica needs.
    pub snapshot: Option<SnapshotId>,
    /// Whole batches.
    pub records: Bytes,
}

/// Reads the answer to a fetch of the metadata log. `None`: malformed.
pub fn read_fetch_response(response: &FetchResponse) -> Option<Fetched> {
    if response.error_code != NO_ERROR {
        let head = AnswerHead::refused(response.error_code);
        return Some(Fetched {
            head,
            high_watermark: None,
            diverging: None,
            snapshot: None,
            records: Bytes::new(),
        });
    }
    let [topic] = response.responses.as_slice() else { return None };
    if topic.topic_id != METADATA_TOPIC_ID && topic.topic.0.as_str() != METADATA_TOPIC {
        return None;
    }
    let [p] = topic.partitions.as_slice() else { return None };
    let (d, id) = (&p.diverging_epoch, &p.snapshot_id);
    Some(Fetched {
        head: AnswerHead::new(p.error_code, p.current_leader.leader_epoch, p.current_leader.leader_id.0),
        high_watermark: (p.high_watermark >= 0).then_some(p.high_watermark),
        diverging: (d.epoch >= 0 && d.end_offset >= 0).then_some((d.epoch, d.end_offset)),
        snapshot: (id.epoch >= 0 && id.end_offset >= 0)
            .then_some(SnapshotId { end_offset: id.end_offset, epoch: id.epoch }),
        records: p.records.clone().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FETCH: ReplicaFetch = ReplicaFetch {
        replica: NodeId(4),
        directory_id: Uuid::from_u128(6),
        epoch: 3,
        offset: 9,
        last_epoch: 2,
        high_watermark: Some(8),
        max_wait: MAX_FETCH_WAIT,
        max_bytes: 1024,
    };

    #[test]
    fn what_is_asked_is_what_is_read() {
        assert_eq!(read_fetch_request(&fetch_request("c", &FETCH)), Some(FETCH));
    }

    #[test]
    fn a_consumer_or_a_foreign_topic_is_malformed() {
        let mut consumer = fetch_request("c", &FETCH);
        consumer.replica_state.replica_id = BrokerId(-1);
        assert_eq!(read_fetch_request(&consumer), None);
        let mut foreign = fetch_request("c", &FETCH);
        foreign.topics[0].topic_id = crate::ids::Uuid::from_u128(77);
        foreign.topics[0].topic = Default::default();
        assert_eq!(read_fetch_request(&foreign), None);
        assert_eq!(read_fetch_request(&FetchRequest::default()), None);
    }

    #[test]
    fn every_answer_is_read_as_it_was_meant() {
        let at = Leadership { epoch: 3, leader: Some(NodeId(1)) };
        let read = |answer, hw| read_fetch_response(&fetch_response(answer, at, hw)).unwrap();
        let head = AnswerHead { error: 0, leadership: Some(at) };
        let records = Bytes::from_static(b"r");
        let got = read(FetchAnswer::Records(records.clone()), None);
        assert_eq!(got, Fetched { head, high_watermark: None, diverging: None, snapshot: None, records });
        let got = read(FetchAnswer::Diverging { epoch: 2, end_offset: 0 }, Some(5));
        assert_eq!((got.diverging, got.high_watermark), (Some((2, 0)), Some(5)));
        let id = SnapshotId { end_offset: 7, epoch: 2 };
        assert_eq!(read(FetchAnswer::Snapshot(id), Some(9)).snapshot, Some(id));
        let got = read(FetchAnswer::Refused(ErrorCode::FencedLeaderEpoch), None);
        assert_eq!(got.head.error, ErrorCode::FencedLeaderEpoch.code());
    }
}
