//! FetchSnapshot, built and read (KIP-630).

use bytes::Bytes;

use super::Leadership;
use super::messages::{AnswerHead, code, metadata_topic, node, wire_id};
use super::snapshot_file::SnapshotId;
use crate::ids::{LeaderEpoch, METADATA_TOPIC, NodeId, Uuid};
use crate::wire::messages::{
    BrokerId, FetchSnapshotRequest, FetchSnapshotResponse, fetch_snapshot_request, fetch_snapshot_response,
};
use crate::wire::{ErrorCode, NO_ERROR, StrBytes};

/// What a replica asks about a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotFetch {
    /// Who asks.
    pub replica: NodeId,
    /// With which disk (KIP-853).
    pub directory_id: Uuid,
    /// The epoch that the replica is in.
    pub epoch: LeaderEpoch,
    /// Which snapshot.
    pub id: SnapshotId,
    /// From which byte on.
    pub position: i64,
    /// The most bytes wanted.
    pub max_bytes: i32,
}

/// Builds the question.
pub fn snapshot_request(cluster_id: &str, fetch: &SnapshotFetch) -> FetchSnapshotRequest {
    let id = fetch_snapshot_request::SnapshotId::default()
        .with_end_offset(fetch.id.end_offset)
        .with_epoch(fetch.id.epoch);
    let partition = fetch_snapshot_request::PartitionSnapshot::default()
        .with_partition(0)
        .with_current_leader_epoch(fetch.epoch)
        .with_snapshot_id(id)
        .with_position(fetch.position)
        .with_replica_directory_id(fetch.directory_id);
    let topic = fetch_snapshot_request::TopicSnapshot::default()
        .with_name(metadata_topic())
        .with_partitions(vec![partition]);
    FetchSnapshotRequest::default()
        .with_cluster_id(Some(StrBytes::from_string(cluster_id.to_string())))
        .with_replica_id(BrokerId(fetch.replica.0))
        .with_max_bytes(fetch.max_bytes)
        .with_topics(vec![topic])
}

/// Reads the question. `None`: malformed. A position out of range is not: it has its own error.
pub fn read_snapshot_request(request: &FetchSnapshotRequest) -> Option<SnapshotFetch> {
    let [topic] = request.topics.as_slice() else { return None };
    let [p] = topic.partitions.as_slice() else { return None };
    let is_sane = topic.name.0.as_str() == METADATA_TOPIC
        && p.partition == 0
        && p.current_leader_epoch >= 0
        && request.max_bytes >= 0;
    is_sane.then_some(SnapshotFetch {
        replica: node(request.replica_id.0)?,
        directory_id: p.replica_directory_id,
        epoch: p.current_leader_epoch,
        id: SnapshotId { end_offset: p.snapshot_id.end_offset, epoch: p.snapshot_id.epoch },
        position: p.position,
        max_bytes: request.max_bytes,
    })
}

/// A part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPart {
    /// Of which snapshot.
    pub id: SnapshotId,
    /// Size of the whole file in bytes.
    pub size: i64,
    /// Where the part begins.
    pub position: i64,
    /// Its bytes; batches may be torn at both ends.
    pub bytes: Bytes,
}

/// Builds the answer: a part, or why there is none.
pub fn snapshot_response(answer: Result<SnapshotPart, ErrorCode>, at: Leadership) -> FetchSnapshotResponse {
    let leader = fetch_snapshot_response::LeaderIdAndEpoch::default()
        .with_leader_id(wire_id(at.leader))
        .with_leader_epoch(at.epoch);
    let mut partition =
        fetch_snapshot_response::PartitionSnapshot::default().with_index(0).with_current_leader(leader);
    match answer {
        Err(error) => partition.error_code = code(Some(error)),
        Ok(part) => {
            partition.snapshot_id = fetch_snapshot_response::SnapshotId::default()
                .with_end_offset(part.id.end_offset)
                .with_epoch(part.id.epoch);
            (partition.size, partition.position) = (part.size, part.position);
            partition.unaligned_records = part.bytes;
        }
    }
    let topic = fetch_snapshot_response::TopicSnapshot::default()
        .with_name(metadata_topic())
        .with_partitions(vec![partition]);
    FetchSnapshotResponse::default().with_topics(vec![topic])
}

/// Reads the answer. `None`: malformed. The part is of no use if the head has an error.
pub fn read_snapshot_response(response: &FetchSnapshotResponse) -> Option<(AnswerHead, SnapshotPart)> {
    let nothing = SnapshotPart {
        id: SnapshotId { end_offset: -1, epoch: -1 },
        size: -1,
        position: -1,
        bytes: Bytes::new(),
    };
    if response.error_code != NO_ERROR {
        return Some((AnswerHead::refused(response.error_code), nothing));
    }
    let [topic] = response.topics.as_slice() else { return None };
    let [p] = topic.partitions.as_slice() else { return None };
    let head = AnswerHead::new(p.error_code, p.current_leader.leader_epoch, p.current_leader.leader_id.0);
    let part = SnapshotPart {
        id: SnapshotId { end_offset: p.snapshot_id.end_offset, epoch: p.snapshot_id.epoch },
        size: p.size,
        position: p.position,
        bytes: p.unaligned_records.clone(),
    };
    Some((head, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SnapshotId = SnapshotId { end_offset: 9, epoch: 2 };

    #[test]
    fn what_is_asked_is_what_is_read() {
        let asked = SnapshotFetch {
            replica: NodeId(4),
            directory_id: Uuid::from_u128(8),
            epoch: 3,
            id: ID,
            position: 5,
            max_bytes: 70,
        };
        assert_eq!(read_snapshot_request(&snapshot_request("c", &asked)), Some(asked));
        let nobody = SnapshotFetch { replica: NodeId(-1), ..asked };
        assert_eq!(read_snapshot_request(&snapshot_request("c", &nobody)), None);
        assert_eq!(read_snapshot_request(&FetchSnapshotRequest::default()), None);
    }

    #[test]
    fn every_answer_is_read_as_it_was_meant() {
        let at = Leadership { epoch: 3, leader: Some(NodeId(1)) };
        let part = SnapshotPart { id: ID, size: 7, position: 5, bytes: Bytes::from_static(b"ab") };
        let head = AnswerHead { error: 0, leadership: Some(at) };
        assert_eq!(read_snapshot_response(&snapshot_response(Ok(part.clone()), at)), Some((head, part)));
        let refused = snapshot_response(Err(ErrorCode::SnapshotNotFound), at);
        let head = read_snapshot_response(&refused).map(|(head, _)| head.error);
        assert_eq!(head, Some(ErrorCode::SnapshotNotFound.code()));
    }
}
