//! Every way in which a produced batch can be wrong: the error that Kafka gives, and nothing appended.

use broker::ids::NodeId;
use broker::io::Listener;
use broker::log::{BatchBuilder, HEADER_BYTES, batches};
use broker::time::Duration;
use broker::wire::messages::*;
use broker::wire::{ErrorCode, Response};
use bytes::Bytes;

use crate::net::{self, list_end_offset};
use crate::samples::{Bench, TOPIC, create_topics, topic_name};

const AT_BATCH_LENGTH: usize = 8;
const AT_MAGIC: usize = 16;
const AT_CRC: usize = 17;
const AT_ATTRIBUTES: usize = 21;
const AT_LAST_OFFSET_DELTA: usize = 23;
const AT_RECORD_COUNT: usize = 57;

fn records(count: usize) -> BatchBuilder {
    let mut batch = BatchBuilder::new();
    for _ in 0..count {
        batch.push(0, Some(b"key"), Some(b"value"), &[]);
    }
    batch
}

/// A batch of two records with some bytes replaced, and its checksum made right again.
fn changed(changes: &[(usize, &[u8])]) -> Bytes {
    let mut bytes = records(2).build().to_vec();
    for (at, new) in changes {
        bytes[*at..*at + new.len()].copy_from_slice(new);
    }
    sealed(bytes)
}

fn sealed(mut bytes: Vec<u8>) -> Bytes {
    let crc = crc32c::crc32c(&bytes[AT_ATTRIBUTES..]).to_be_bytes();
    bytes[AT_CRC..AT_ATTRIBUTES].copy_from_slice(&crc);
    bytes.into()
}

/// A batch whose body is `body`, claiming `count` records.
fn with_body(attributes: i16, count: i32, body: &[u8]) -> Bytes {
    let mut bytes = records(1).build()[..HEADER_BYTES].to_vec();
    bytes.extend_from_slice(body);
    let length = (bytes.len() - 12) as i32;
    bytes[AT_BATCH_LENGTH..12].copy_from_slice(&length.to_be_bytes());
    bytes[AT_ATTRIBUTES..AT_ATTRIBUTES + 2].copy_from_slice(&attributes.to_be_bytes());
    bytes[AT_LAST_OFFSET_DELTA..AT_LAST_OFFSET_DELTA + 4].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[AT_RECORD_COUNT..AT_RECORD_COUNT + 4].copy_from_slice(&count.to_be_bytes());
    sealed(bytes)
}

fn wrong_crc() -> Bytes {
    let mut bytes = records(2).build().to_vec();
    *bytes.last_mut().expect("not empty") ^= 1;
    bytes.into()
}

fn twice(batch: Bytes) -> Bytes {
    [batch.clone(), batch].concat().into()
}

fn too_large() -> Bytes {
    let mut batch = BatchBuilder::new();
    batch.push(0, None, Some(&[7; 1_048_588]), &[]);
    batch.build()
}

/// What is wrong, the bytes, the error.
fn table() -> Vec<(&'static str, Bytes, ErrorCode)> {
    let good = records(2).build();
    let four = |n: i32| n.to_be_bytes();
    vec![
        ("nothing at all", Bytes::new(), ErrorCode::InvalidRecord),
        ("wrong checksum", wrong_crc(), ErrorCode::CorruptMessage),
        ("magic 0", changed(&[(AT_MAGIC, &[0])]), ErrorCode::InvalidRecord),
        ("magic 1", changed(&[(AT_MAGIC, &[1])]), ErrorCode::InvalidRecord),
        ("magic 3", changed(&[(AT_MAGIC, &[3])]), ErrorCode::CorruptMessage),
        ("a header cut short", good.slice(..HEADER_BYTES - 1), ErrorCode::CorruptMessage),
        ("a body cut short", good.slice(..good.len() - 1), ErrorCode::CorruptMessage),
        ("bytes behind the batch", [&good[..], b"xyz"].concat().into(), ErrorCode::CorruptMessage),
        ("a negative length", changed(&[(AT_BATCH_LENGTH, &four(-5))]), ErrorCode::CorruptMessage),
        ("two batches", twice(good.clone()), ErrorCode::InvalidRecord),
        ("more records claimed", changed(&[(AT_RECORD_COUNT, &four(3))]), ErrorCode::InvalidRecord),
        ("fewer records claimed", changed(&[(AT_RECORD_COUNT, &four(1))]), ErrorCode::InvalidRecord),
        ("a negative count", changed(&[(AT_RECORD_COUNT, &four(-1))]), ErrorCode::InvalidRecord),
        ("more offsets than records", changed(&[(AT_LAST_OFFSET_DELTA, &four(5))]), ErrorCode::InvalidRecord),
        (
            "fewer offsets than records",
            changed(&[(AT_LAST_OFFSET_DELTA, &four(0))]),
            ErrorCode::InvalidRecord,
        ),
        ("no records", records(0).build(), ErrorCode::InvalidRecord),
        ("a body that is no record", with_body(0, 1, &[0xff; 20]), ErrorCode::InvalidRecord),
        ("a control batch", records(1).control().build(), ErrorCode::InvalidRecord),
        (
            "a transaction that nobody began",
            records(1).producer(1, 0, 0).transactional().build(),
            ErrorCode::InvalidTxnState,
        ),
        ("offsets of its own", changed(&[(0, &9i64.to_be_bytes())]), ErrorCode::InvalidRecord),
        ("a negative offset", changed(&[(0, &(-1i64).to_be_bytes())]), ErrorCode::InvalidRecord),
        ("an unknown codec", with_body(7, 1, &[0xff; 20]), ErrorCode::UnsupportedCompressionType),
        ("too large", too_large(), ErrorCode::MessageTooLarge),
    ]
}

fn end(bench: &mut Bench) -> Option<i64> {
    let leader = bench.leader;
    bench.cluster.ask(leader, list_end_offset("orders")).and_then(net::listed_offset)
}

#[test]
fn every_bad_batch_has_its_error_and_leaves_no_trace() {
    let mut bench = Bench::new();
    assert_eq!(bench.produce(records(2).build()), (0, 0));
    let mut wrong = Vec::new();
    for (what, bytes, expected) in table() {
        let (code, base_offset) = bench.produce(bytes);
        if (code, base_offset) != (expected.code(), -1) {
            wrong.push(format!("{what}: error {code} offset {base_offset}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(end(&mut bench), Some(2), "nothing was appended");
    assert_eq!(bench.produce(records(1).build()), (0, 2), "and the next good batch goes right there");
}

/// There are no codecs here: as the broker gives offsets without looking inside, it need not. The checksum is checked.
#[test]
fn compressed_records_are_taken_unseen_but_not_damaged() {
    let mut bench = Bench::new();
    let compressed = with_body(4, 3, b"zstd, they say");
    assert_eq!(bench.produce(compressed.clone()), (0, 0));
    let mut damaged = compressed.to_vec();
    *damaged.last_mut().expect("not empty") ^= 1;
    assert_eq!(bench.produce(damaged.into()), (ErrorCode::CorruptMessage.code(), -1));
    assert_eq!(end(&mut bench), Some(3));
}

#[test]
fn one_bad_batch_does_not_spoil_its_neighbours() {
    let mut bench = Bench::new();
    let made = bench.ask(NodeId(0), Listener::Client, &create_topics("wide", 2), 7);
    let Some(Response::CreateTopics(made)) = made else { panic!("a topic") };
    bench.cluster.run_for(Duration::from_secs(1));
    let data = |index: i32, records: Bytes| {
        produce_request::PartitionProduceData::default().with_index(index).with_records(Some(records))
    };
    let topic = produce_request::TopicProduceData::default().with_topic_id(made.topics[0].topic_id);
    let request: broker::wire::Request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![
            topic.with_partition_data(vec![data(0, records(1).build()), data(1, wrong_crc())]),
        ])
        .into();
    let mut seen = Vec::new();
    for broker in 0..3 {
        let Some(Response::Produce(r)) = bench.ask(NodeId(broker), Listener::Client, &request, 13) else {
            panic!("an answer")
        };
        seen.push(r.responses[0].partition_responses.iter().map(|p| p.error_code).collect::<Vec<_>>());
    }
    assert!(seen.iter().any(|codes| codes[0] == 0), "{seen:?}");
    assert!(seen.iter().any(|codes| codes[1] == ErrorCode::CorruptMessage.code()), "{seen:?}");
}

/// Timestamps that a client may ask for: real ones, special ones, impossible ones.
const TIMESTAMPS: [i64; 9] = [-5, -4, -3, -2, -1, 0, 1_767_225_600_000, i64::MAX, i64::MIN];

fn list_offsets(bench: &mut Bench, timestamp: i64) {
    let partition = list_offsets_request::ListOffsetsPartition::default()
        .with_timestamp(timestamp)
        .with_current_leader_epoch(-1);
    let topic = list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic_name(TOPIC))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]).into();
    let leader = bench.leader;
    let answer = bench.ask(leader, Listener::Client, &request, 10);
    assert!(matches!(answer, Some(Response::ListOffsets(_))), "timestamp {timestamp}: {answer:?}");
}

/// Everything in the log from `offset` on is whole, in order and readable; returns its end.
fn readable_end(bench: &mut Bench) -> i64 {
    let end = end(bench).expect("a log end");
    let (leader, topic_id) = (bench.leader, bench.topic_id);
    let mut offset = 0;
    while offset < end {
        let Some(Response::Fetch(r)) = bench.cluster.ask(leader, net::fetch(topic_id, offset)) else {
            panic!("no answer to a fetch from {offset}")
        };
        let data = &r.responses[0].partitions[0];
        assert_eq!(data.error_code, 0, "fetch from {offset}");
        for batch in batches(data.records.clone().unwrap_or_default()) {
            let batch = batch.expect("whole batches");
            assert_eq!(batch.header.base_offset, offset);
            batch.validate().expect("a good checksum");
            if batch.header.compression() == 0 {
                assert!(batch.records().all(|record| record.is_ok()), "unreadable records at {offset}");
            }
            offset = batch.header.next_offset();
        }
    }
    offset
}

/// Numbers at the edge in every field of a batch, under a good checksum. What is taken can be read, copied and recovered.
#[test]
fn whatever_is_taken_is_readable_replicated_and_recovered() {
    let mut bench = Bench::new();
    let producer = records(2).producer(5, 1, 0).build();
    let numbers: [&[u8]; 8] = [
        &i64::MAX.to_be_bytes(),
        &i64::MIN.to_be_bytes(),
        &i32::MAX.to_be_bytes(),
        &i32::MIN.to_be_bytes(),
        &[0xff, 0xff, 0xff, 0xff],
        &[0x7f, 0xff],
        &[0x80, 0],
        &[0],
    ];
    let (mut taken, mut refused) = (0, 0);
    for batch in [records(2).build(), producer] {
        for at in AT_ATTRIBUTES..batch.len() {
            for number in numbers.iter().filter(|number| at + number.len() <= batch.len()) {
                let mut bytes = batch.to_vec();
                bytes[at..at + number.len()].copy_from_slice(number);
                match bench.produce(sealed(bytes)) {
                    (0, _) => taken += 1,
                    _ => refused += 1,
                }
            }
        }
    }
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
    TIMESTAMPS.into_iter().for_each(|timestamp| list_offsets(&mut bench, timestamp));
    let before = readable_end(&mut bench);
    for broker in 0..3 {
        bench.cluster.crash(NodeId(broker));
    }
    for broker in 0..3 {
        bench.cluster.restart(NodeId(broker));
    }
    bench.cluster.run_for(Duration::from_secs(30));
    bench.refresh(NodeId(0));
    assert_eq!(readable_end(&mut bench), before);
    TIMESTAMPS.into_iter().for_each(|timestamp| list_offsets(&mut bench, timestamp));
    bench.still_works();
}
