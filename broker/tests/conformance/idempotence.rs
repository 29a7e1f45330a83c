//! Idempotence over the wire (KIP-98, IDM-1..4): what a retrying producer is told, whoever leads.

use broker::ids::NodeId;
use broker::log::BatchBuilder;
use broker::time::{Duration, WORLD_BEGINS_UNIX_MS};
use broker::wire::{ErrorCode, Response};
use bytes::Bytes;

use crate::net::init_producer_id;
use crate::samples::Bench;

/// Records per batch.
const RECORDS: i32 = 2;

fn batch(producer_id: i64, epoch: i16, sequence: i32) -> Bytes {
    let mut batch = BatchBuilder::new().producer(producer_id, epoch, sequence);
    for _ in 0..RECORDS {
        batch.push(WORLD_BEGINS_UNIX_MS, None, Some(b"x"), &[]);
    }
    batch.build()
}

/// A bench and a producer whose seven batches in `epoch` are in the log.
fn produced(epoch: i16) -> (Bench, i64) {
    let mut bench = Bench::new();
    let Some(Response::InitProducerId(response)) = bench.cluster.ask(NodeId(0), init_producer_id()) else {
        panic!("a producer id")
    };
    let producer_id = response.producer_id.0;
    for number in 0..7 {
        let answer = bench.produce(batch(producer_id, epoch, number * RECORDS));
        assert_eq!(answer, (0, i64::from(number * RECORDS)));
    }
    (bench, producer_id)
}

/// Everything that the log has to know of the producer, without changing it; then the next batch.
fn check(bench: &mut Bench, producer_id: i64, epoch: i16, end: i32) {
    for number in 2..7 {
        let sequence = number * RECORDS;
        let answer = bench.produce(batch(producer_id, epoch, sequence));
        assert_eq!(answer, (0, i64::from(sequence)), "the original offset of a duplicate");
    }
    let refused = |error: ErrorCode| (error.code(), -1);
    let out_of_order = refused(ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(bench.produce(batch(producer_id, epoch, 0)), out_of_order, "older than five batches");
    assert_eq!(bench.produce(batch(producer_id, epoch, end + RECORDS)), out_of_order, "a gap");
    let fenced = refused(ErrorCode::InvalidProducerEpoch);
    assert_eq!(bench.produce(batch(producer_id, epoch - 1, end)), fenced, "an older epoch");
    assert_eq!(bench.produce(batch(producer_id, epoch + 1, end)), out_of_order, "a new epoch begins at 0");
}

#[test]
fn a_leader_knows_the_last_five_batches() {
    let (mut bench, producer_id) = produced(3);
    check(&mut bench, producer_id, 3, 7 * RECORDS);
    assert_eq!(bench.produce(batch(producer_id, 3, 7 * RECORDS)), (0, i64::from(7 * RECORDS)));
    assert_eq!(bench.produce(batch(producer_id, 4, 0)), (0, i64::from(8 * RECORDS)));
}

#[test]
fn a_new_leader_knows_them_too() {
    let (mut bench, producer_id) = produced(3);
    let old = bench.leader;
    bench.cluster.crash(old);
    bench.cluster.run_for(Duration::from_secs(15));
    bench.refresh(bench.follower);
    assert_ne!(bench.leader, old);
    check(&mut bench, producer_id, 3, 7 * RECORDS);
    assert_eq!(bench.produce(batch(producer_id, 3, 7 * RECORDS)), (0, i64::from(7 * RECORDS)));
}

#[test]
fn brokers_that_all_restarted_know_them_too() {
    let (mut bench, producer_id) = produced(3);
    for broker in 0..3 {
        bench.cluster.crash(NodeId(broker));
    }
    for broker in 0..3 {
        bench.cluster.restart(NodeId(broker));
    }
    bench.cluster.run_for(Duration::from_secs(30));
    bench.refresh(NodeId(0));
    check(&mut bench, producer_id, 3, 7 * RECORDS);
    assert_eq!(bench.produce(batch(producer_id, 3, 7 * RECORDS)), (0, i64::from(7 * RECORDS)));
}

#[test]
fn the_old_leader_knows_what_it_missed_after_it_comes_back() {
    let (mut bench, producer_id) = produced(3);
    let old = bench.leader;
    bench.cluster.crash(old);
    bench.cluster.run_for(Duration::from_secs(15));
    bench.refresh(bench.follower);
    assert_eq!(bench.produce(batch(producer_id, 3, 7 * RECORDS)), (0, i64::from(7 * RECORDS)));
    bench.cluster.restart(old);
    bench.cluster.run_for(Duration::from_secs(15));
    bench.cluster.crash(bench.leader);
    bench.cluster.run_for(Duration::from_secs(15));
    bench.refresh(old);
    let again = bench.produce(batch(producer_id, 3, 7 * RECORDS));
    assert_eq!(again, (0, i64::from(7 * RECORDS)), "led by {}", bench.leader);
}
