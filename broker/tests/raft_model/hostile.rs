//! Peers that say anything: no field of a request or an answer may panic a node. It may halt, with one of two reasons.

use broker::ids::{METADATA_TOPIC, METADATA_TOPIC_ID, NodeId};
use broker::io::{ConnectionId, Listener};
use broker::log::{BatchBuilder, MemoryDisk};
use broker::raft::Raft;
use broker::rpc::{Call, Outbox, Outgoing, ReplyTo};
use broker::time::Instant;
use broker::wire::messages::*;
use broker::wire::{ApiKey, Request, Response, StrBytes};
use bytes::Bytes;
use proptest::prelude::*;

use crate::world::config;

/// One message's worth of numbers.
#[derive(Debug, Clone)]
pub struct Words {
    kind: u8,
    a: i32,
    b: i32,
    c: i64,
    d: i64,
    error: i16,
    sane_topic: bool,
}

fn small() -> impl Strategy<Value = i32> {
    prop_oneof![8 => -1..9i32, 1 => Just(i32::MAX), 1 => Just(i32::MIN), 1 => any::<i32>()]
}

fn long() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -1..9i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN), 1 => any::<i64>()]
}

pub fn words() -> impl Strategy<Value = Words> {
    let error = prop_oneof![4 => Just(0i16), 1 => -1..120i16];
    (any::<u8>(), small(), small(), long(), long(), error, prop::bool::weighted(0.9))
        .prop_map(|(kind, a, b, c, d, error, sane_topic)| Words { kind, a, b, c, d, error, sane_topic })
}

fn topic(w: &Words) -> TopicName {
    TopicName(StrBytes::from_static_str(if w.sane_topic { METADATA_TOPIC } else { "other" }))
}

macro_rules! one {
    ($module:ident, $w:expr, $partition:expr) => {
        vec![$module::TopicData::default().with_topic_name(topic($w)).with_partitions(vec![$partition])]
    };
}

fn request(w: &Words) -> Request {
    let (a, b) = (w.a, BrokerId(w.b));
    match w.kind % 5 {
        0 => VoteRequest::default()
            .with_topics(one!(
                vote_request,
                w,
                vote_request::PartitionData::default()
                    .with_replica_epoch(a)
                    .with_replica_id(b)
                    .with_last_offset(w.c)
                    .with_last_offset_epoch(w.d as i32)
                    .with_pre_vote(w.kind & 8 != 0)
            ))
            .into(),
        1 => BeginQuorumEpochRequest::default()
            .with_topics(one!(
                begin_quorum_epoch_request,
                w,
                begin_quorum_epoch_request::PartitionData::default().with_leader_epoch(a).with_leader_id(b)
            ))
            .into(),
        2 => EndQuorumEpochRequest::default()
            .with_topics(one!(
                end_quorum_epoch_request,
                w,
                end_quorum_epoch_request::PartitionData::default()
                    .with_leader_epoch(a)
                    .with_leader_id(b)
                    .with_preferred_successors(vec![w.c as i32, 1, w.d as i32])
            ))
            .into(),
        3 => {
            let id =
                fetch_snapshot_request::SnapshotId::default().with_end_offset(w.c).with_epoch(w.d as i32);
            let partition = fetch_snapshot_request::PartitionSnapshot::default()
                .with_current_leader_epoch(a)
                .with_snapshot_id(id)
                .with_position(w.d);
            let topic = fetch_snapshot_request::TopicSnapshot::default()
                .with_name(topic(w))
                .with_partitions(vec![partition]);
            FetchSnapshotRequest::default()
                .with_replica_id(b)
                .with_max_bytes(w.c as i32)
                .with_topics(vec![topic])
                .into()
        }
        _ => {
            let partition = fetch_request::FetchPartition::default()
                .with_current_leader_epoch(a)
                .with_fetch_offset(w.c)
                .with_last_fetched_epoch(w.d as i32)
                .with_high_watermark(w.d)
                .with_partition_max_bytes(w.c as i32);
            let topic =
                fetch_request::FetchTopic::default().with_topic(topic(w)).with_partitions(vec![partition]);
            FetchRequest::default()
                .with_replica_state(fetch_request::ReplicaState::default().with_replica_id(b))
                .with_max_wait_ms(w.d as i32)
                .with_topics(vec![topic])
                .into()
        }
    }
}

fn records(w: &Words) -> Bytes {
    let mut batch = BatchBuilder::new().base_offset(w.c).leader_epoch(w.d as i32);
    batch.push(w.d, None, Some(b"v"), &[]);
    let mut bytes = batch.build().to_vec();
    if w.kind & 64 != 0 {
        let at = (w.kind as usize * 7) % bytes.len();
        bytes[at] ^= w.kind;
    }
    bytes.into()
}

/// An answer of the right kind to `call`, with wild content.
fn response(call: &Call, w: &Words) -> Response {
    let (epoch, leader) = (w.a, BrokerId(w.b));
    match call.request.api_key() {
        ApiKey::Vote => VoteResponse::default()
            .with_topics(one!(
                vote_response,
                w,
                vote_response::PartitionData::default()
                    .with_leader_epoch(epoch)
                    .with_leader_id(leader)
                    .with_error_code(w.error)
                    .with_vote_granted(w.kind & 1 != 0)
            ))
            .into(),
        ApiKey::BeginQuorumEpoch => BeginQuorumEpochResponse::default()
            .with_topics(one!(
                begin_quorum_epoch_response,
                w,
                begin_quorum_epoch_response::PartitionData::default()
                    .with_leader_epoch(epoch)
                    .with_leader_id(leader)
                    .with_error_code(w.error)
            ))
            .into(),
        ApiKey::Fetch if w.kind & 2 != 0 => {
            let mut partition = fetch_response::PartitionData::default()
                .with_error_code(w.error)
                .with_high_watermark(w.d)
                .with_current_leader(
                    fetch_response::LeaderIdAndEpoch::default()
                        .with_leader_epoch(epoch)
                        .with_leader_id(leader),
                )
                .with_records(Some(records(w)));
            if w.kind & 32 != 0 {
                partition.diverging_epoch =
                    fetch_response::EpochEndOffset::default().with_epoch(w.d as i32).with_end_offset(w.c);
            }
            if w.kind & 16 != 0 {
                partition.snapshot_id =
                    fetch_response::SnapshotId::default().with_epoch(w.d as i32).with_end_offset(w.c);
            }
            let topic = fetch_response::FetchableTopicResponse::default()
                .with_topic(topic(w))
                .with_topic_id(METADATA_TOPIC_ID)
                .with_partitions(vec![partition]);
            FetchResponse::default().with_responses(vec![topic]).into()
        }
        ApiKey::FetchSnapshot => {
            let leader = fetch_snapshot_response::LeaderIdAndEpoch::default()
                .with_leader_epoch(epoch)
                .with_leader_id(leader);
            let id =
                fetch_snapshot_response::SnapshotId::default().with_end_offset(w.c).with_epoch(w.d as i32);
            let partition = fetch_snapshot_response::PartitionSnapshot::default()
                .with_error_code(w.error)
                .with_current_leader(leader)
                .with_snapshot_id(id)
                .with_size(w.d)
                .with_position(w.c)
                .with_unaligned_records(records(w));
            let topic = fetch_snapshot_response::TopicSnapshot::default()
                .with_name(topic(w))
                .with_partitions(vec![partition]);
            FetchSnapshotResponse::default().with_topics(vec![topic]).into()
        }
        _ => FetchResponse::default().with_error_code(w.error).into(),
    }
}

/// One node among liars. Even numbers answer a call, odd ones ask; in between disks sync and timers fire.
pub fn converse(node: NodeId, said: &[Words]) {
    let voters: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let (mut disk, mut out, mut now) = (MemoryDisk::new(), Outbox::default(), Instant::ZERO);
    let mut raft = Raft::boot(&config(node, &voters), 1, now, &mut disk, &mut out).unwrap();
    let mut calls: Vec<Call> = Vec::new();
    for w in said {
        for token in disk.complete_all() {
            raft.handle_synced(token, &Ok(()), now, &mut disk, &mut out);
        }
        match w.kind % 5 {
            0 | 1 => {
                let request = request(w);
                let to = ReplyTo {
                    connection: ConnectionId::incoming(1),
                    correlation_id: 1,
                    api_key: request.api_key(),
                    api_version: 0,
                    listener: Listener::Controller,
                };
                raft.handle_request(to, request, now, &mut disk, &mut out);
            }
            2 | 3 if !calls.is_empty() => {
                let call = calls.remove(w.kind as usize % calls.len());
                raft.handle_result(call.id, call.to, Ok(response(&call, w)), now, &mut disk, &mut out);
            }
            _ => {
                now = now.max(raft.next_deadline().unwrap_or(now));
                raft.handle_timer(now, &mut disk, &mut out);
            }
        }
        raft.take_events();
        for outgoing in out.list.drain(..) {
            match outgoing {
                Outgoing::Call(call) => calls.push(call),
                Outgoing::Halt { reason } => {
                    assert!(reason.contains("two leaders") || reason.contains("high watermark"), "{reason}");
                    return;
                }
                _ => {}
            }
        }
    }
}
