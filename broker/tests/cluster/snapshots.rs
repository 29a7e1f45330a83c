//! Snapshots of the metadata in whole nodes (KIP-630): what is cleaned is not lost, for whoever comes late.

use broker::config::BrokerConfig;
use broker::ids::NodeId;
use broker::time::Duration;
use broker::wire::Response;

use crate::leader_of;
use crate::net::{Cluster, create_topic, metadata};

const SECOND: Duration = Duration::from_secs(1);

/// Three controllers that are brokers too, one more broker; snapshots every few records, segments of a few batches.
fn cluster() -> Cluster {
    let settings =
        BrokerConfig { snapshot_max_bytes: 600, metadata_segment_bytes: 2_000, ..BrokerConfig::default() };
    let mut cluster = Cluster::configured(4, 3, &settings);
    cluster.run_for(SECOND * 10);
    cluster
}

fn create(cluster: &mut Cluster, topics: std::ops::Range<usize>) {
    for number in topics {
        let Some(Response::CreateTopics(created)) =
            cluster.ask(NodeId(0), create_topic(&format!("topic-{number}"), 3, 2))
        else {
            panic!("an answer");
        };
        assert_eq!(created.topics[0].error_code, 0);
        cluster.run_for(SECOND);
    }
}

fn snapshots(cluster: &Cluster, node: NodeId) -> usize {
    cluster
        .metadata_files(node)
        .iter()
        .filter(|name| name.ends_with(".checkpoint") && name.len() == 42)
        .count()
}

/// whoever speaks of the same offset speaks of the same state.
fn agrees(cluster: &Cluster) {
    assert!(cluster.digests.len() >= 3, "{:?}", cluster.digests);
    for (offset, digests) in &cluster.digests {
        assert_eq!(digests.len(), 1, "states at {offset}");
    }
}

#[test]
fn old_metadata_go_and_what_they_said_stays() {
    let mut cluster = cluster();
    create(&mut cluster, 0..12);
    for node in (0..4).map(NodeId) {
        assert_eq!(snapshots(&cluster, node), 2, "{:?}", cluster.metadata_files(node));
        let names = cluster.metadata_files(node);
        assert!(!names.iter().any(|name| name == "00000000000000000000.log"), "{names:?}");
    }
    agrees(&cluster);
}

#[test]
fn a_broker_that_was_away_during_cleaning_gets_a_snapshot() {
    let mut cluster = cluster();
    create(&mut cluster, 0..1);
    cluster.crash(NodeId(3));
    create(&mut cluster, 1..8);
    cluster.loaded.clear();
    cluster.restart(NodeId(3));
    cluster.run_for(SECOND * 15);
    assert!(cluster.loaded.contains(&NodeId(3)));
    for number in 0..8 {
        assert!(leader_of(&mut cluster, NodeId(3), &format!("topic-{number}")).is_some(), "topic {number}");
    }
    let Some(Response::Metadata(response)) = cluster.ask(NodeId(3), metadata("topic-7")) else { panic!() };
    assert_eq!(response.brokers.len(), 4);
    agrees(&cluster);
}

#[test]
fn a_new_broker_learns_everything_from_a_snapshot() {
    let mut cluster = cluster();
    create(&mut cluster, 0..6);
    let new = cluster.add_broker();
    cluster.run_for(SECOND * 15);
    assert!(cluster.loaded.contains(&new));
    for number in 0..6 {
        assert!(leader_of(&mut cluster, new, &format!("topic-{number}")).is_some(), "topic {number}");
    }
    agrees(&cluster);
}

#[test]
fn a_cluster_that_restarts_as_a_whole_knows_everything() {
    let mut cluster = cluster();
    create(&mut cluster, 0..6);
    let logs = cluster.logs(NodeId(0));
    for node in (0..4).map(NodeId) {
        cluster.crash(node);
    }
    (0..4).map(NodeId).for_each(|node| cluster.restart(node));
    cluster.run_for(SECOND * 30);
    for number in 0..6 {
        assert!(leader_of(&mut cluster, NodeId(1), &format!("topic-{number}")).is_some(), "topic {number}");
    }
    assert_eq!(cluster.logs(NodeId(0)), logs, "no log was taken for a stray one");
    create(&mut cluster, 6..8);
    agrees(&cluster);
}
