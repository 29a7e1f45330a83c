//! The producer in conversation with a scripted cluster.

use broker::log::{Batch, BatchHeader, batches};
use broker::wire::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use broker::wire::messages::{ProduceRequest, ProduceResponse};
use broker::wire::{ErrorCode, Request, StrBytes};

use super::{Producer, SendError};
use crate::client::ProducerConfig;
use crate::client::testing::{Asked, FakeCluster, TOPIC_ID, bootstrap, topic, values};
use crate::history::{Acks, HistoryEvent, Value};

type Fake = FakeCluster<Producer>;

fn fake(configs: &[(&str, &str)]) -> Fake {
    let config = ProducerConfig::from_map(&values(configs)).unwrap();
    let now = broker::time::Instant(1_000_000);
    let mut cluster = FakeCluster::new(Producer::new(config, "p-0", &bootstrap(), 7, now));
    cluster.act(|producer, now, out| {
        producer.want(&topic());
        producer.pump(now, out);
    });
    cluster.pass_ms(300);
    cluster
}

/// Sends record `n` with a value of `size` bytes.
fn send_sized(cluster: &mut Fake, n: u64, size: usize) -> Result<(), SendError> {
    cluster.act(|producer, now, out| {
        let mut value = n.to_be_bytes().to_vec();
        value.resize(size, 0);
        let sent = producer.send(now, &topic(), None, &value, Value(n), out);
        producer.pump(now, out);
        sent.map(|_| ())
    })
}

fn send(cluster: &mut Fake, n: u64) {
    send_sized(cluster, n, 8).unwrap();
}

fn produce(asked: &Asked) -> &ProduceRequest {
    match &asked.request {
        Request::Produce(request) => request,
        other => panic!("expected a produce request, got {other:?}"),
    }
}

fn batch(asked: &Asked) -> Batch {
    let records = produce(asked).topic_data[0].partition_data[0].records.clone().unwrap();
    let batch = batches(records).next().unwrap().unwrap();
    batch.validate().unwrap();
    batch
}

fn header(asked: &Asked) -> BatchHeader {
    batch(asked).header
}

fn answer(cluster: &mut Fake, asked: &Asked, error: i16, base_offset: i64) {
    let topics = produce(asked).topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|data| {
            PartitionProduceResponse::default()
                .with_index(data.index)
                .with_error_code(error)
                .with_base_offset(base_offset)
        });
        TopicProduceResponse::default().with_topic_id(TOPIC_ID).with_partition_responses(partitions.collect())
    });
    let response = ProduceResponse::default().with_responses(topics.collect());
    cluster.answer(asked, response);
}

fn accept(cluster: &mut Fake, asked: &Asked, base_offset: i64) {
    answer(cluster, asked, 0, base_offset);
}

fn refuse(cluster: &mut Fake, asked: &Asked, error: ErrorCode) {
    answer(cluster, asked, error.code(), -1);
}

fn acked(cluster: &Fake) -> Vec<(u64, Option<i64>)> {
    let mut all = Vec::new();
    for event in &cluster.history {
        if let HistoryEvent::Acked { base_offset, values, .. } = event {
            all.extend(
                values.iter().enumerate().map(|(i, v)| (v.0, base_offset.map(|base| base + i as i64))),
            );
        }
    }
    all
}

fn failed(cluster: &Fake) -> Vec<(u64, bool)> {
    let mut all = Vec::new();
    for event in &cluster.history {
        if let HistoryEvent::Failed { is_definite, values, .. } = event {
            all.extend(values.iter().map(|v| (v.0, *is_definite)));
        }
    }
    all
}

#[test]
fn records_linger_and_travel_as_one_batch() {
    let mut cluster = fake(&[]);
    for n in 1..=3 {
        send(&mut cluster, n);
    }
    assert!(cluster.asked.is_empty(), "sent before linger.ms");
    cluster.pass_ms(4);
    assert!(cluster.asked.is_empty(), "sent before linger.ms");
    cluster.pass_ms(1);
    let asked = cluster.next();
    assert_eq!(produce(&asked).acks, -1);
    let header = header(&asked);
    assert_eq!((header.record_count, header.producer_epoch, header.base_sequence), (3, 0, 0));
    let batch = batch(&asked);
    let ids: Vec<_> = batch.records().map(|r| r.unwrap().value.unwrap()).collect();
    assert_eq!(ids[2][..8], 3u64.to_be_bytes());
    accept(&mut cluster, &asked, 40);
    assert_eq!(acked(&cluster), [(1, Some(40)), (2, Some(41)), (3, Some(42))]);
    assert!(cluster.client.is_idle());
}

#[test]
fn a_full_batch_does_not_linger() {
    let mut cluster = fake(&[("batch.size", "300"), ("linger.ms", "1000")]);
    for n in 1..=4 {
        send_sized(&mut cluster, n, 100).unwrap();
    }
    // Two fit into a batch: the first is full, the second waits for more.
    let asked = cluster.next();
    assert_eq!(header(&asked).record_count, 1);
    assert!(cluster.asked.len() <= 3);
    accept(&mut cluster, &asked, 0);
    cluster.pass_ms(1_000);
    assert_eq!(cluster.asked.iter().map(|a| header(a).record_count).sum::<i32>(), 3);
}

/// Sends `n` batches of one record each.
fn fill(cluster: &mut Fake, n: u64) {
    for i in 1..=n {
        send_sized(cluster, i, 60).unwrap();
    }
    cluster.pass_ms(5);
}

const ONE_RECORD_EACH: (&str, &str) = ("batch.size", "1");

#[test]
fn no_more_requests_are_in_flight_than_allowed() {
    let mut cluster = fake(&[ONE_RECORD_EACH]);
    fill(&mut cluster, 7);
    assert_eq!(cluster.asked.len(), 5);
    let sequences: Vec<_> = cluster.asked.iter().map(|a| header(a).base_sequence).collect();
    assert_eq!(sequences, [0, 1, 2, 3, 4]);
    let first = cluster.next();
    accept(&mut cluster, &first, 0);
    assert_eq!(cluster.asked.len(), 5);
    assert_eq!(header(&cluster.asked[4]).base_sequence, 5);
}

#[test]
fn retries_keep_the_order_of_sequences() {
    let mut cluster = fake(&[ONE_RECORD_EACH]);
    fill(&mut cluster, 3);
    let lost = cluster.next();
    refuse(&mut cluster, &lost, ErrorCode::NotEnoughReplicas);
    for _ in 0..2 {
        let behind = cluster.next();
        refuse(&mut cluster, &behind, ErrorCode::OutOfOrderSequenceNumber);
    }
    send_sized(&mut cluster, 4, 60).unwrap();
    for (sequence, offset) in [(0, 10), (1, 11), (2, 12), (3, 13)] {
        cluster.pass_ms(2_000);
        let again = cluster.next();
        let header = header(&again);
        assert_eq!((header.base_sequence, header.producer_epoch), (sequence, 0), "no new epoch is needed");
        assert!(sequence >= 2 || cluster.asked.is_empty(), "one retry at a time");
        accept(&mut cluster, &again, offset);
    }
    assert_eq!(acked(&cluster).len(), 4);
    assert!(failed(&cluster).is_empty());
}

#[test]
fn a_record_that_never_arrived_raises_the_epoch() {
    let mut cluster = fake(&[ONE_RECORD_EACH]);
    fill(&mut cluster, 3);
    let too_large = cluster.next();
    refuse(&mut cluster, &too_large, ErrorCode::MessageTooLarge);
    assert_eq!(failed(&cluster), [(1, true)]);
    for _ in 0..2 {
        let behind = cluster.next();
        refuse(&mut cluster, &behind, ErrorCode::OutOfOrderSequenceNumber);
    }
    for (sequence, n) in [(0, 2), (1, 3)] {
        cluster.pass_ms(2_000);
        let again = cluster.next();
        let header = header(&again);
        assert_eq!((header.producer_epoch, header.base_sequence), (1, sequence));
        accept(&mut cluster, &again, 100 + sequence as i64);
        assert_eq!(acked(&cluster).last(), Some(&(n, Some(100 + i64::from(sequence)))));
    }
    fill(&mut cluster, 1);
    assert_eq!((header(&cluster.asked[0]).producer_epoch, header(&cluster.asked[0]).base_sequence), (1, 2));
}

#[test]
fn a_gap_after_an_expired_batch_raises_the_epoch() {
    let mut cluster = fake(&[
        ONE_RECORD_EACH,
        ("delivery.timeout.ms", "2000"),
        ("request.timeout.ms", "1000"),
        ("linger.ms", "0"),
    ]);
    fill(&mut cluster, 1);
    let lost = cluster.next();
    cluster.hang_up(&lost);
    // The retry stays unanswered until the batch is too old; only then is its loss settled.
    cluster.pass_ms(2_500);
    assert_eq!(failed(&cluster), [(1, false)]);
    cluster.asked.clear();
    send(&mut cluster, 2);
    cluster.pass_ms(1_500);
    let next = cluster.next();
    assert_eq!((header(&next).producer_epoch, header(&next).base_sequence), (1, 0));
}

#[test]
fn a_batch_that_was_never_sent_fails_definitely() {
    let mut cluster = fake(&[("delivery.timeout.ms", "31000")]);
    cluster.leaders.insert(0, (-1, 2));
    send(&mut cluster, 1);
    cluster.pass_ms(5);
    let asked = cluster.next();
    refuse(&mut cluster, &asked, ErrorCode::NotLeaderOrFollower);
    cluster.pass_ms(1_000);
    for n in 2..=4 {
        send(&mut cluster, n);
        cluster.pass_ms(10);
    }
    cluster.pass_ms(40_000);
    let outcomes = failed(&cluster);
    assert_eq!(outcomes, [(1, false), (2, true), (3, true), (4, true)]);
    assert!(cluster.client.is_idle());
}

#[test]
fn an_unanswered_request_ends_its_connection_and_is_sent_again() {
    let mut cluster = fake(&[("request.timeout.ms", "1000"), ("acks", "1")]);
    send(&mut cluster, 1);
    cluster.pass_ms(5);
    let first = cluster.next();
    assert_eq!((produce(&first).acks, header(&first).producer_id), (1, -1));
    cluster.pass_ms(3_000);
    let again = cluster.next();
    assert_ne!(again.connection, first.connection);
    accept(&mut cluster, &again, 5);
    assert_eq!(acked(&cluster), [(1, Some(5))]);
}

#[test]
fn a_moved_leader_is_followed_and_an_older_epoch_is_not_believed() {
    let mut cluster = fake(&[]);
    send(&mut cluster, 1);
    cluster.pass_ms(5);
    let asked = cluster.next();
    assert_eq!(asked.broker, 1);
    cluster.leaders.insert(0, (2, 2));
    let before = cluster.metadata_requests;
    refuse(&mut cluster, &asked, ErrorCode::NotLeaderOrFollower);
    cluster.pass_ms(1_000);
    assert!(cluster.metadata_requests > before);
    let again = cluster.next();
    assert_eq!(again.broker, 2);
    // A broker that lags behind still names the deposed leader.
    cluster.leaders.insert(0, (1, 1));
    refuse(&mut cluster, &again, ErrorCode::NotLeaderOrFollower);
    cluster.pass_ms(1_000);
    assert_eq!(cluster.next().broker, 2);
}

#[test]
fn acks_zero_promises_nothing_and_waits_for_nothing() {
    let mut cluster = fake(&[("acks", "0")]);
    send(&mut cluster, 9);
    cluster.pass_ms(5);
    assert_eq!(produce(&cluster.next()).acks, 0);
    let expected = |event: &HistoryEvent| matches!(event, HistoryEvent::Acked { acks: Acks::None, .. });
    assert!(cluster.history.iter().any(expected));
    assert_eq!(acked(&cluster), [(9, None)]);
    assert!(cluster.client.is_idle());
}

#[test]
fn a_duplicate_sequence_is_a_success_without_an_offset() {
    let mut cluster = fake(&[]);
    send(&mut cluster, 1);
    cluster.pass_ms(5);
    let asked = cluster.next();
    refuse(&mut cluster, &asked, ErrorCode::DuplicateSequenceNumber);
    assert_eq!(acked(&cluster), [(1, None)]);
}

#[test]
fn an_error_after_the_append_is_not_definite() {
    let mut cluster = fake(&[("retries", "1"), ("enable.idempotence", "false")]);
    send(&mut cluster, 1);
    cluster.pass_ms(5);
    let asked = cluster.next();
    refuse(&mut cluster, &asked, ErrorCode::NotEnoughReplicasAfterAppend);
    cluster.pass_ms(1_000);
    let asked = cluster.next();
    refuse(&mut cluster, &asked, ErrorCode::NotEnoughReplicas);
    assert_eq!(failed(&cluster), [(1, false)]);
}

#[test]
fn a_full_buffer_refuses_and_recovers() {
    let mut cluster = fake(&[("buffer.memory", "2000"), ("batch.size", "1000"), ("linger.ms", "1000")]);
    let mut taken = 0;
    let refusal = loop {
        match send_sized(&mut cluster, taken + 1, 400) {
            Ok(()) => taken += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!((taken, refusal), (4, SendError::BufferFull));
    assert!(refusal.is_worth_waiting());
    while let Some(asked) = cluster.asked.pop_front() {
        accept(&mut cluster, &asked, 0);
    }
    assert!(send_sized(&mut cluster, 9, 400).is_ok());
    assert!(matches!(send_sized(&mut cluster, 10, 5_000), Err(SendError::RecordTooLarge { .. })));
}

#[test]
fn an_unknown_topic_is_refused_until_metadata_knows_it() {
    let mut cluster = fake(&[]);
    cluster.is_topic_known = false;
    let config = ProducerConfig::default();
    cluster.client = Producer::new(config, "p-1", &bootstrap(), 8, cluster.now);
    assert_eq!(send_sized(&mut cluster, 1, 8), Err(SendError::NoMetadata));
    cluster.pass_ms(3_000);
    assert_eq!(send_sized(&mut cluster, 1, 8), Err(SendError::NoMetadata));
    cluster.is_topic_known = true;
    cluster.pass_ms(3_000);
    assert_eq!(send_sized(&mut cluster, 1, 8), Ok(()));
    assert_eq!(cluster.history.len(), 1, "refused records leave no trace");
}

#[test]
fn closing_sends_what_lingers() {
    let mut cluster = fake(&[("linger.ms", "10000")]);
    send(&mut cluster, 1);
    assert!(cluster.asked.is_empty());
    cluster.act(|producer, now, out| {
        producer.close();
        producer.pump(now, out);
    });
    let asked = cluster.next();
    accept(&mut cluster, &asked, 0);
    assert!(cluster.client.is_idle());
    assert_eq!(send_sized(&mut cluster, 2, 8), Err(SendError::Closed));
}

/// Refuses and says that `leader` leads in `epoch`.
fn redirect(cluster: &mut Fake, asked: &Asked, leader: i32, epoch: i32) {
    let told = LeaderIdAndEpoch::default().with_leader_id(leader.into()).with_leader_epoch(epoch);
    let data = PartitionProduceResponse::default()
        .with_error_code(ErrorCode::NotLeaderOrFollower.code())
        .with_base_offset(-1)
        .with_current_leader(told);
    let topic = TopicProduceResponse::default().with_topic_id(TOPIC_ID).with_partition_responses(vec![data]);
    let endpoint = NodeEndpoint::default()
        .with_node_id(leader.into())
        .with_host(StrBytes::from_string(format!("b{leader}")))
        .with_port(9092);
    let response = ProduceResponse::default().with_responses(vec![topic]).with_node_endpoints(vec![endpoint]);
    cluster.answer(asked, response);
}

#[test]
fn kip_951_a_refusal_that_names_the_leader_is_followed_at_once() {
    let mut cluster = fake(&[("linger.ms", "0")]);
    send(&mut cluster, 1);
    let first = cluster.next();
    assert_eq!(first.broker, 1);
    redirect(&mut cluster, &first, 2, 2);
    let second = cluster.next();
    assert_eq!((second.broker, header(&second).base_sequence), (2, 0), "no back-off, no metadata first");
    accept(&mut cluster, &second, 5);
    assert_eq!(acked(&cluster), [(1, Some(5))]);
}

#[test]
fn kip_951_what_is_not_newer_is_no_reason_to_hurry() {
    for (leader, epoch) in [(2, 1), (3, 0), (-1, 7)] {
        let mut cluster = fake(&[("linger.ms", "0")]);
        send(&mut cluster, 1);
        let first = cluster.next();
        redirect(&mut cluster, &first, leader, epoch);
        assert!(cluster.asked.is_empty(), "{leader} in epoch {epoch}");
        cluster.pass_ms(200);
        assert_eq!(cluster.next().broker, 1);
    }
}

#[test]
fn kip_951_metadata_that_names_another_leader_end_a_back_off() {
    let patience = [("linger.ms", "0"), ("retry.backoff.ms", "5000"), ("retry.backoff.max.ms", "5000")];
    for (leader, epoch, is_retried) in [(3, 2, true), (1, 1, false)] {
        let mut cluster = fake(&patience);
        cluster.pass_ms(10_000);
        send(&mut cluster, 1);
        let first = cluster.next();
        cluster.leaders.insert(0, (leader, epoch));
        refuse(&mut cluster, &first, ErrorCode::NotLeaderOrFollower);
        cluster.pass_ms(100);
        let brokers: Vec<i32> = cluster.asked.iter().map(|asked| asked.broker).collect();
        assert_eq!(brokers, if is_retried { vec![leader] } else { vec![] });
    }
}
