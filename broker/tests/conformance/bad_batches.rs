//! Every way in which a produced batch can be wrong: the error that Kafka gives, and nothing appended.

use broker::log::{BatchBuilder, HEADER_BYTES};
use broker::time::Duration;
use broker::wire::ErrorCode;
use bytes::Bytes;

use crate::net::{self, list_end_offset};
use crate::samples::{Bench, create_topics};

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
    use broker::ids::NodeId;
    use broker::io::Listener;
    use broker::wire::Response;
    use broker::wire::messages::*;

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
