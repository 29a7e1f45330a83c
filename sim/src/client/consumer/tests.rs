//! The consumer in conversation with a scripted cluster.

use broker::log::BatchBuilder;
use broker::wire::messages::fetch_request::FetchPartition;
use broker::wire::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use broker::wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use broker::wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset as EpochEnd, OffsetForLeaderTopicResult,
};
use broker::wire::messages::{FetchResponse, ListOffsetsResponse, OffsetForLeaderEpochResponse};
use broker::wire::{ErrorCode, Request, StrBytes};
use bytes::{Bytes, BytesMut};

use super::Consumer;
use crate::client::ConsumerConfig;
use crate::client::testing::{Asked, FakeCluster, TOPIC_ID, bootstrap, topic, values};
use crate::history::{HistoryEvent, PositionReason, Value};

type Fake = FakeCluster<Consumer>;

/// A consumer of partition 0 that has asked its first question.
fn fake(configs: &[(&str, &str)]) -> Fake {
    let config = ConsumerConfig::from_map(&values(configs)).unwrap();
    FakeCluster::new(Consumer::new(config, "c-0", &bootstrap(), topic(), Some(vec![0]), 7))
}

/// A consumer that reads from offset 0 and has its first fetch under way.
fn reading(configs: &[(&str, &str)]) -> Fake {
    let mut configs = configs.to_vec();
    configs.push(("auto.offset.reset", "earliest"));
    let mut cluster = fake(&configs);
    let asked = cluster.next();
    offsets(&mut cluster, &asked, 0, 0);
    cluster
}

fn offsets(cluster: &mut Fake, asked: &Asked, error: i16, offset: i64) {
    let partition = ListOffsetsPartitionResponse::default().with_error_code(error).with_offset(offset);
    let answer = ListOffsetsTopicResponse::default().with_partitions(vec![partition]);
    cluster.answer(asked, ListOffsetsResponse::default().with_topics(vec![answer]));
}

fn fetch(asked: &Asked) -> FetchPartition {
    match &asked.request {
        Request::Fetch(request) => {
            assert_eq!((request.session_id, request.session_epoch), (0, -1));
            assert_eq!(request.topics[0].topic_id, TOPIC_ID);
            request.topics[0].partitions[0].clone()
        }
        other => panic!("expected a fetch request, got {other:?}"),
    }
}

/// Offsets `from..to` in one batch, each record's identity ten times its offset.
fn records(from: i64, to: i64, epoch: i32) -> Bytes {
    let mut builder = BatchBuilder::new().base_offset(from).leader_epoch(epoch);
    for offset in from..to {
        builder.push(0, None, Some(&(offset as u64 * 10).to_be_bytes()), &[]);
    }
    builder.build()
}

fn respond(cluster: &mut Fake, asked: &Asked, data: PartitionData) {
    let topic = FetchableTopicResponse::default().with_topic_id(TOPIC_ID).with_partitions(vec![data]);
    cluster.answer(asked, FetchResponse::default().with_responses(vec![topic]));
}

fn deliver(cluster: &mut Fake, asked: &Asked, bytes: Bytes, high_watermark: i64) {
    let data = PartitionData::default().with_records(Some(bytes)).with_high_watermark(high_watermark);
    respond(cluster, asked, data);
}

fn refuse(cluster: &mut Fake, asked: &Asked, error: ErrorCode) {
    respond(cluster, asked, PartitionData::default().with_error_code(error.code()));
}

fn polled(cluster: &Fake) -> Vec<(i64, u64)> {
    let mut all = Vec::new();
    for event in &cluster.history {
        if let HistoryEvent::Polled { records, .. } = event {
            all.extend(records.iter().map(|(offset, value)| (*offset, value.0)));
        }
    }
    all
}

fn positioned(cluster: &Fake) -> Vec<(i64, PositionReason)> {
    let mut all = Vec::new();
    for event in &cluster.history {
        if let HistoryEvent::Positioned { offset, reason, .. } = event {
            all.push((*offset, *reason));
        }
    }
    all
}

fn caught_up(cluster: &Fake) -> Vec<i64> {
    let at = |event: &HistoryEvent| match event {
        HistoryEvent::CaughtUp { offset, .. } => Some(*offset),
        _ => None,
    };
    cluster.history.iter().filter_map(at).collect()
}

#[test]
fn the_first_position_comes_from_the_reset_policy() {
    for (policy, timestamp) in [("earliest", -2), ("latest", -1)] {
        let mut cluster = fake(&[("auto.offset.reset", policy)]);
        let asked = cluster.next();
        let Request::ListOffsets(request) = &asked.request else { panic!("{:?}", asked.request) };
        let partition = &request.topics[0].partitions[0];
        assert_eq!((partition.timestamp, partition.current_leader_epoch), (timestamp, 1));
        offsets(&mut cluster, &asked, 0, 33);
        assert_eq!(positioned(&cluster), [(33, PositionReason::Start)]);
        let asked = cluster.next();
        let partition = fetch(&asked);
        assert_eq!((partition.fetch_offset, partition.current_leader_epoch), (33, 1));
        assert_eq!(partition.last_fetched_epoch, -1);
    }
}

#[test]
fn without_a_policy_the_application_starts_at_zero_and_stops_out_of_range() {
    let mut cluster = fake(&[("auto.offset.reset", "none")]);
    assert_eq!(positioned(&cluster), [(0, PositionReason::Start)]);
    let asked = cluster.next();
    assert_eq!(fetch(&asked).fetch_offset, 0);
    refuse(&mut cluster, &asked, ErrorCode::OffsetOutOfRange);
    cluster.pass_ms(10_000);
    assert!(cluster.asked.is_empty());
}

#[test]
fn records_are_delivered_once_and_the_next_fetch_follows_at_once() {
    let mut cluster = reading(&[("max.poll.records", "2")]);
    let asked = cluster.next();
    deliver(&mut cluster, &asked, records(0, 5, 1), 7);
    assert_eq!(polled(&cluster), [(0, 0), (1, 10), (2, 20), (3, 30), (4, 40)]);
    let sizes: Vec<_> = cluster
        .history
        .iter()
        .filter_map(|event| match event {
            HistoryEvent::Polled { records, .. } => Some(records.len()),
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [2, 2, 1]);
    assert!(caught_up(&cluster).is_empty());
    let asked = cluster.next();
    assert_eq!((fetch(&asked).fetch_offset, fetch(&asked).last_fetched_epoch), (5, 1));
    deliver(&mut cluster, &asked, records(5, 7, 1), 7);
    let asked = cluster.next();
    deliver(&mut cluster, &asked, Bytes::new(), 7);
    assert_eq!(caught_up(&cluster), [7], "said once");
}

#[test]
fn records_below_the_position_are_skipped() {
    let mut cluster = fake(&[("auto.offset.reset", "latest")]);
    let asked = cluster.next();
    offsets(&mut cluster, &asked, 0, 3);
    let asked = cluster.next();
    // The batch that holds offset 3 begins at 1; before it comes one that ends below the position.
    let mut bytes = BytesMut::from(&records(0, 1, 1)[..]);
    bytes.extend_from_slice(&records(1, 5, 1));
    deliver(&mut cluster, &asked, bytes.freeze(), 5);
    assert_eq!(polled(&cluster), [(3, 30), (4, 40)]);
}

#[test]
fn a_torn_tail_is_asked_for_again() {
    let mut cluster = reading(&[]);
    let asked = cluster.next();
    let mut bytes = BytesMut::from(&records(0, 2, 1)[..]);
    bytes.extend_from_slice(&records(2, 4, 1)[..40]);
    deliver(&mut cluster, &asked, bytes.freeze(), 4);
    assert_eq!(polled(&cluster).len(), 2);
    let asked = cluster.next();
    assert_eq!(fetch(&asked).fetch_offset, 2);
}

#[test]
fn damaged_records_are_not_delivered_while_checksums_are_checked() {
    let mut damaged = BytesMut::from(&records(0, 2, 1)[..]);
    let last = damaged.len() - 2;
    damaged[last] ^= 0xff;
    for (check, delivered, found) in [("true", 0, 1), ("false", 2, 0)] {
        let mut cluster = reading(&[("check.crcs", check)]);
        let asked = cluster.next();
        deliver(&mut cluster, &asked, damaged.clone().freeze(), 2);
        assert_eq!((polled(&cluster).len(), cluster.client.damaged_answers()), (delivered, found));
        cluster.pass_ms(1_500);
        let asked = cluster.next();
        assert_eq!(fetch(&asked).fetch_offset, delivered as i64, "asked for again after the back-off");
    }
}

#[test]
fn out_of_range_resets_by_policy() {
    let mut cluster = reading(&[]);
    let asked = cluster.next();
    refuse(&mut cluster, &asked, ErrorCode::OffsetOutOfRange);
    let asked = cluster.next();
    offsets(&mut cluster, &asked, 0, 50);
    assert_eq!(positioned(&cluster)[1..], [(50, PositionReason::Reset)]);
}

#[test]
fn an_error_refreshes_metadata_and_backs_off() {
    let mut cluster = reading(&[]);
    let asked = cluster.next();
    cluster.leaders.insert(0, (3, 2));
    let before = cluster.metadata_requests;
    refuse(&mut cluster, &asked, ErrorCode::NotLeaderOrFollower);
    assert!(cluster.asked.is_empty(), "no request before the back-off is over");
    cluster.pass_ms(2_000);
    assert!(cluster.metadata_requests > before);
    // Nothing was read yet, so there is nothing to validate.
    let asked = cluster.next();
    assert_eq!((asked.broker, fetch(&asked).current_leader_epoch), (3, 2));
}

/// Reads offsets 0 to 5 in epoch 1, then learns of a leader in epoch 2 and asks it where epoch 1 ended.
fn after_leader_change() -> (Fake, Asked) {
    let mut cluster = reading(&[]);
    let asked = cluster.next();
    deliver(&mut cluster, &asked, records(0, 5, 1), 5);
    let asked = cluster.next();
    cluster.leaders.insert(0, (2, 2));
    refuse(&mut cluster, &asked, ErrorCode::FencedLeaderEpoch);
    cluster.pass_ms(2_000);
    let asked = cluster.next();
    let Request::OffsetForLeaderEpoch(request) = &asked.request else { panic!("{:?}", asked.request) };
    let partition = &request.topics[0].partitions[0];
    assert_eq!((request.replica_id.0, asked.broker), (-1, 2));
    assert_eq!((partition.leader_epoch, partition.current_leader_epoch), (1, 2));
    (cluster, asked)
}

fn epoch_end(cluster: &mut Fake, asked: &Asked, epoch: i32, end_offset: i64) {
    let end = EpochEnd::default().with_leader_epoch(epoch).with_end_offset(end_offset);
    let answer = OffsetForLeaderTopicResult::default().with_partitions(vec![end]);
    cluster.answer(asked, OffsetForLeaderEpochResponse::default().with_topics(vec![answer]));
}

#[test]
fn a_new_leader_with_the_same_history_changes_nothing() {
    let (mut cluster, asked) = after_leader_change();
    epoch_end(&mut cluster, &asked, 1, 5);
    assert_eq!(positioned(&cluster).len(), 1);
    let asked = cluster.next();
    assert_eq!((fetch(&asked).fetch_offset, fetch(&asked).current_leader_epoch), (5, 2));
}

#[test]
fn a_truncation_below_the_position_is_detected() {
    let (mut cluster, asked) = after_leader_change();
    epoch_end(&mut cluster, &asked, 1, 3);
    assert_eq!(positioned(&cluster)[1..], [(3, PositionReason::TruncationDetected)]);
    let asked = cluster.next();
    assert_eq!((fetch(&asked).fetch_offset, fetch(&asked).last_fetched_epoch), (3, 1));
    deliver(&mut cluster, &asked, records(3, 4, 2), 4);
    assert_eq!(polled(&cluster).last(), Some(&(3, 30)), "offset 3 is read again, from the new history");
}

#[test]
fn a_leader_that_knows_nothing_as_old_resets_the_position() {
    let (mut cluster, asked) = after_leader_change();
    epoch_end(&mut cluster, &asked, -1, -1);
    let asked = cluster.next();
    offsets(&mut cluster, &asked, 0, 9);
    assert_eq!(positioned(&cluster)[1..], [(9, PositionReason::Reset)]);
}

#[test]
fn a_divergence_that_the_fetch_answer_shows_is_taken() {
    let mut cluster = reading(&[]);
    let asked = cluster.next();
    deliver(&mut cluster, &asked, records(0, 5, 1), 5);
    let asked = cluster.next();
    let diverging = EpochEndOffset::default().with_epoch(1).with_end_offset(2);
    respond(&mut cluster, &asked, PartitionData::default().with_diverging_epoch(diverging));
    assert_eq!(positioned(&cluster)[1..], [(2, PositionReason::TruncationDetected)]);
}

#[test]
fn a_lost_connection_is_opened_again_and_reading_goes_on() {
    let mut cluster = reading(&[]);
    let asked = cluster.next();
    cluster.hang_up(&asked);
    cluster.pass_ms(2_000);
    let asked = cluster.next();
    deliver(&mut cluster, &asked, records(0, 1, 1), 1);
    assert_eq!(polled(&cluster), [(0, 0)]);
}

#[test]
fn an_answer_to_an_older_question_is_ignored() {
    let mut cluster = reading(&[]);
    let old = cluster.next();
    deliver(&mut cluster, &old, records(0, 2, 1), 2);
    let from_old_leader = cluster.next();
    // While the fetch is parked the consumer learns of a newer leader.
    cluster.act(|consumer, _, _| consumer.positions.get_mut(&0).unwrap().on_leader_epoch(2));
    deliver(&mut cluster, &from_old_leader, records(2, 4, 1), 4);
    assert_eq!(polled(&cluster).len(), 2, "the deposed leader's records are not delivered");
}

#[test]
fn a_short_value_counts_as_no_identity() {
    let mut cluster = reading(&[]);
    let asked = cluster.next();
    let mut builder = BatchBuilder::new().base_offset(0).leader_epoch(1);
    builder.push(0, None, Some(b"short"), &[]).push(0, None, None, &[]);
    deliver(&mut cluster, &asked, builder.build(), 2);
    assert_eq!(polled(&cluster), [(0, Value(u64::MAX).0), (1, u64::MAX)]);
}

/// Refuses with `error` and says that `leader` leads in `epoch`.
fn redirect(cluster: &mut Fake, asked: &Asked, error: ErrorCode, leader: i32, epoch: i32) {
    let told = LeaderIdAndEpoch::default().with_leader_id(leader.into()).with_leader_epoch(epoch);
    let data = PartitionData::default().with_error_code(error.code()).with_current_leader(told);
    let topic = FetchableTopicResponse::default().with_topic_id(TOPIC_ID).with_partitions(vec![data]);
    let endpoint = NodeEndpoint::default()
        .with_node_id(leader.into())
        .with_host(StrBytes::from_string(format!("b{leader}")))
        .with_port(9092);
    let response = FetchResponse::default().with_responses(vec![topic]).with_node_endpoints(vec![endpoint]);
    cluster.answer(asked, response);
}

#[test]
fn kip_951_a_refusal_that_names_the_leader_is_followed_at_once() {
    for error in [ErrorCode::NotLeaderOrFollower, ErrorCode::FencedLeaderEpoch] {
        let mut cluster = reading(&[]);
        let asked = cluster.next();
        assert_eq!(asked.broker, 1);
        redirect(&mut cluster, &asked, error, 3, 2);
        let asked = cluster.next();
        assert_eq!((asked.broker, fetch(&asked).current_leader_epoch), (3, 2), "{error:?}");
    }
}

#[test]
fn kip_951_a_position_that_was_read_is_validated_with_the_leader_that_was_named() {
    let mut cluster = reading(&[]);
    let asked = cluster.next();
    deliver(&mut cluster, &asked, records(0, 2, 1), 2);
    let asked = cluster.next();
    redirect(&mut cluster, &asked, ErrorCode::NotLeaderOrFollower, 2, 2);
    let asked = cluster.next();
    assert!(matches!(asked.request, Request::OffsetForLeaderEpoch(_)), "{:?}", asked.request);
    assert_eq!(asked.broker, 2);
}

#[test]
fn kip_951_what_is_not_newer_is_passed_over() {
    let mut cluster = reading(&[]);
    let asked = cluster.next();
    redirect(&mut cluster, &asked, ErrorCode::NotLeaderOrFollower, 2, 1);
    assert!(cluster.asked.is_empty());
    cluster.pass_ms(200);
    assert_eq!(cluster.next().broker, 1);
}
