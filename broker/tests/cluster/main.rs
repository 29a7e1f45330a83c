//! Whole nodes talking real frames over a toy network: the rooms of the crate fit together.
//!
//! *Invariant:* no simulator here; a fixed latency and a queue are enough to boot a cluster, replicate and fail over.

mod net;
mod snapshots;

use broker::ids::NodeId;
use broker::time::Duration;
use broker::wire::Response;
use net::{Cluster, create_topic, fetch, init_producer_id, list_end_offset, metadata, produce, reassign};

const SECOND: Duration = Duration::from_secs(1);

/// Metadata from any broker until `topic` has a leader.
fn leader_of(cluster: &mut Cluster, asked: NodeId, topic: &str) -> Option<NodeId> {
    let Response::Metadata(response) = cluster.ask(asked, metadata(topic))? else { return None };
    let leader = response.topics.first()?.partitions.first()?.leader_id.0;
    (leader >= 0).then_some(NodeId(leader))
}

fn booted(brokers: i32, controllers: i32) -> Cluster {
    let mut cluster = Cluster::new(brokers, controllers);
    cluster.run_for(SECOND * 10);
    cluster
}

#[test]
fn a_cluster_boots_and_every_broker_is_unfenced() {
    for (brokers, controllers) in [(1, 1), (3, 3), (3, 1)] {
        let mut cluster = booted(brokers, controllers);
        let Some(Response::Metadata(response)) = cluster.ask(NodeId(0), metadata("none")) else {
            panic!("broker 0 answers");
        };
        assert_eq!(response.brokers.len() as i32, brokers, "{brokers} brokers, {controllers} controllers");
    }
}

#[test]
fn a_record_that_is_acknowledged_is_replicated_and_read_back() {
    let mut cluster = booted(3, 3);
    cluster.ask(NodeId(0), create_topic("orders", 3, 2)).expect("the topic is created");
    cluster.run_for(SECOND);
    let leader = leader_of(&mut cluster, NodeId(1), "orders").expect("a leader");
    let topic_id = cluster.topic_id(NodeId(1), "orders");
    let response = cluster.ask(leader, produce(topic_id, -1, b"hello")).expect("an answer");
    let Response::Produce(response) = response else { panic!("Produce") };
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!((partition.error_code, partition.base_offset), (0, 0));
    let Some(Response::Fetch(response)) = cluster.ask(leader, fetch(topic_id, 0)) else { panic!("Fetch") };
    let partition = &response.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.high_watermark), (0, 1));
    assert_eq!(net::values(partition.records.clone()), [b"hello".to_vec()]);
}

#[test]
fn an_acknowledged_record_survives_the_crash_of_its_leader() {
    let mut cluster = booted(3, 3);
    cluster.ask(NodeId(0), create_topic("orders", 3, 2)).expect("the topic is created");
    cluster.run_for(SECOND);
    let old = leader_of(&mut cluster, NodeId(0), "orders").expect("a leader");
    let topic_id = cluster.topic_id(old, "orders");
    for _ in 0..5 {
        let Some(Response::Produce(response)) = cluster.ask(old, produce(topic_id, -1, b"x")) else {
            panic!()
        };
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
    cluster.crash(old);
    cluster.run_for(SECOND * 15);
    let other = NodeId((old.0 + 1) % 3);
    let new = leader_of(&mut cluster, other, "orders").expect("a new leader");
    assert_ne!(new, old);
    assert_eq!(cluster.ask(new, list_end_offset("orders")).and_then(net::listed_offset), Some(5));
    let Some(Response::Produce(response)) = cluster.ask(new, produce(topic_id, -1, b"y")) else { panic!() };
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0, "two replicas are enough");
    cluster.restart(old);
    cluster.run_for(SECOND * 15);
    let Some(Response::Metadata(response)) = cluster.ask(new, metadata("orders")) else { panic!() };
    let mut isr: Vec<i32> = response.topics[0].partitions[0].isr_nodes.iter().map(|n| n.0).collect();
    isr.sort();
    assert_eq!(isr, [0, 1, 2], "the old leader is back in sync");
}

#[test]
fn the_cluster_survives_the_crash_of_the_active_controller() {
    let mut cluster = booted(3, 3);
    let active = cluster.active_controller().expect("an active controller");
    cluster.crash(active);
    cluster.run_for(SECOND * 5);
    let other = NodeId((0..3).find(|id| NodeId(*id) != active).expect("three brokers"));
    cluster.ask(other, create_topic("late", 2, 1)).expect("an answer");
    cluster.run_for(SECOND);
    assert!(leader_of(&mut cluster, other, "late").is_some());
    assert_ne!(cluster.active_controller(), Some(active));
}

#[test]
fn producer_ids_are_unique_over_brokers() {
    let mut cluster = booted(3, 1);
    let mut seen = Vec::new();
    for broker in [0, 1, 2, 0] {
        let Some(Response::InitProducerId(response)) = cluster.ask(NodeId(broker), init_producer_id()) else {
            panic!("broker {broker} answers")
        };
        assert_eq!(response.error_code, 0);
        seen.push(response.producer_id.0);
    }
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), seen.len(), "{seen:?}");
}

#[test]
fn a_controlled_shutdown_hands_leadership_over_and_ends_by_itself() {
    let mut cluster = booted(3, 3);
    cluster.ask(NodeId(0), create_topic("orders", 3, 2)).expect("the topic is created");
    cluster.run_for(SECOND);
    let old = leader_of(&mut cluster, NodeId(0), "orders").expect("a leader");
    cluster.shut_down(old);
    cluster.run_for(SECOND * 5);
    assert_eq!(cluster.halted(), [old]);
    let other = NodeId((old.0 + 1) % 3);
    let new =
        leader_of(&mut cluster, other, "orders").expect("a leader, without waiting for a session to expire");
    assert_ne!(new, old);
}

/// CTL-7: two brokers that join take a partition over, with everything in it; the old replicas delete theirs.
#[test]
fn brokers_that_join_take_a_partition_over() {
    let mut cluster = booted(3, 3);
    cluster.ask(NodeId(0), create_topic("orders", 2, 2)).expect("the topic is created");
    cluster.run_for(SECOND);
    let old = leader_of(&mut cluster, NodeId(0), "orders").expect("a leader");
    let topic_id = cluster.topic_id(old, "orders");
    for _ in 0..5 {
        assert_eq!(acknowledged(&mut cluster, old, topic_id), 0);
    }
    let (a, b) = (cluster.add_broker(), cluster.add_broker());
    cluster.run_for(SECOND * 5);
    let Some(Response::AlterPartitionReassignments(answer)) =
        cluster.ask(NodeId(0), reassign("orders", &[a.0, b.0]))
    else {
        panic!("an answer")
    };
    assert_eq!(answer.responses[0].partitions[0].error_code, 0);
    cluster.run_for(SECOND * 5);
    assert_eq!(leader_of(&mut cluster, old, "orders"), Some(a), "the first of the new ones leads");
    for id in 0..3 {
        assert_eq!(cluster.logs(NodeId(id)), ["__cluster_metadata/0"], "{id} has nothing any more");
    }
    assert_eq!(cluster.ask(a, list_end_offset("orders")).and_then(net::listed_offset), Some(5));
    assert_eq!(acknowledged(&mut cluster, a, topic_id), 0, "both are in sync");
}

/// Produces with acks=all; the error code of the answer.
fn acknowledged(cluster: &mut Cluster, leader: NodeId, topic_id: broker::ids::TopicId) -> i16 {
    match cluster.ask(leader, produce(topic_id, -1, b"x")) {
        Some(Response::Produce(response)) => response.responses[0].partition_responses[0].error_code,
        other => panic!("no answer to a produce: {other:?}"),
    }
}
