//! DeleteRecords and retention over the wire: what is let go is let go everywhere.

use broker::ids::NodeId;
use broker::io::Listener;
use broker::time::Duration;
use broker::wire::messages::*;
use broker::wire::{ErrorCode, Response};

use crate::samples::*;

/// Error and low watermark.
fn delete(bench: &mut Bench, node: NodeId, before: i64, version: i16) -> (i16, i64) {
    match bench.ask(node, Listener::Client, &delete_records(TOPIC, before), version) {
        Some(Response::DeleteRecords(r)) => {
            let partition = &r.topics[0].partitions[0];
            (partition.error_code, partition.low_watermark)
        }
        other => panic!("DeleteRecords v{version}: {other:?}"),
    }
}

fn earliest(bench: &mut Bench) -> i64 {
    let partition = list_offsets_request::ListOffsetsPartition::default()
        .with_timestamp(-2)
        .with_current_leader_epoch(-1);
    let topic = list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic_name(TOPIC))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]).into();
    let leader = bench.leader;
    match bench.ask(leader, Listener::Client, &request, 7) {
        Some(Response::ListOffsets(r)) => r.topics[0].partitions[0].offset,
        other => panic!("ListOffsets: {other:?}"),
    }
}

#[test]
fn kip_107_records_are_deleted_when_every_live_replica_has_let_them_go() {
    let mut bench = Bench::new();
    for offset in 0..6 {
        assert_eq!(bench.produce(batch()), (0, offset));
    }
    let (leader, follower) = (bench.leader, bench.follower);
    assert_eq!(delete(&mut bench, leader, 7, 2), (ErrorCode::OffsetOutOfRange.code(), -1), "beyond the end");
    assert_eq!(delete(&mut bench, leader, -2, 2), (ErrorCode::OffsetOutOfRange.code(), -1));
    assert_eq!(delete(&mut bench, follower, 1, 2), (ErrorCode::NotLeaderOrFollower.code(), -1));
    for (version, before) in [(0, 1), (1, 2), (2, 3)] {
        assert_eq!(delete(&mut bench, leader, before, version), (0, before));
        assert_eq!(earliest(&mut bench), before);
    }
    assert_eq!(delete(&mut bench, leader, 1, 2), (0, 3), "it is gone already");
    let third = (0..3).map(NodeId).find(|n| *n != leader && *n != follower).expect("three nodes");
    bench.cluster.crash(third);
    bench.cluster.run_for(Duration::from_secs(12));
    assert_eq!(delete(&mut bench, leader, -1, 2), (0, 6), "-1 is the high watermark; the dead do not count");
    assert_eq!(earliest(&mut bench), 6);
    bench.cluster.crash(leader);
    bench.cluster.restart(third);
    bench.cluster.run_for(Duration::from_secs(20));
    bench.refresh(follower);
    assert_eq!(earliest(&mut bench), 6, "whoever leads next begins there, too");
    assert_eq!(bench.produce(batch()), (0, 6));
}

#[test]
fn a_replica_that_is_alive_and_does_not_follow_times_the_request_out() {
    let mut bench = Bench::new();
    assert_eq!(bench.produce(batch()), (0, 0));
    let (leader, follower) = (bench.leader, bench.follower);
    bench.cluster.crash(follower);
    assert_eq!(delete(&mut bench, leader, 1, 2), (ErrorCode::RequestTimedOut.code(), -1));
    assert_eq!(earliest(&mut bench), 1, "the leader has done its part");
}

#[test]
fn topics_grow_by_whole_partitions() {
    let mut bench = Bench::new();
    for (version, count) in [(0, 2), (1, 3), (2, 5), (3, 6)] {
        let request = create_partitions(TOPIC, count);
        let Some(Response::CreatePartitions(r)) = bench.ask(NodeId(1), Listener::Client, &request, version)
        else {
            panic!("CreatePartitions v{version}")
        };
        assert_eq!(r.results[0].error_code, 0, "{:?}", r.results[0].error_message);
        bench.cluster.run_for(Duration::from_secs(1));
        let Some(Response::Metadata(r)) = bench.cluster.ask(NodeId(2), crate::net::metadata(TOPIC)) else {
            panic!("Metadata")
        };
        let partitions = &r.topics[0].partitions;
        assert_eq!(partitions.len(), count as usize);
        assert!(partitions.iter().all(|p| p.leader_id.0 >= 0 && p.replica_nodes.len() == 3));
    }
    bench.still_works();
}

/// The old log is longer than the new one: served by mistake, it would show records of the deleted topic (R22).
#[test]
fn kip_516_a_broker_that_missed_a_topics_re_creation_deletes_the_old_log() {
    let mut bench = Bench::new();
    for offset in 0..5 {
        assert_eq!(bench.produce(batch()), (0, offset));
    }
    let (leader, follower) = (bench.leader, bench.follower);
    bench.cluster.crash(follower);
    bench.cluster.run_for(Duration::from_secs(12));
    bench.ask(leader, Listener::Client, &delete_topics(TOPIC, 6), 6).expect("an answer");
    bench.cluster.run_for(Duration::from_secs(1));
    bench.ask(leader, Listener::Client, &create_topics(TOPIC, 1), 7).expect("an answer");
    bench.cluster.run_for(Duration::from_secs(1));
    bench.topic_id = bench.cluster.topic_id(leader, TOPIC);
    bench.refresh(leader);
    assert_eq!(bench.produce(batch()), (0, 0), "a new topic begins at 0");
    bench.cluster.restart(follower);
    bench.cluster.run_for(Duration::from_secs(10));
    let leader = bench.leader;
    bench.cluster.crash(leader);
    bench.cluster.run_for(Duration::from_secs(15));
    bench.refresh((0..3).map(NodeId).find(|n| *n != leader).expect("two live"));
    assert_eq!(bench.produce(batch()), (0, 1), "nobody remembers the old one");
}
