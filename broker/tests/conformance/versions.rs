//! Every API in every version is answered in that version.

use std::collections::BTreeSet;

use broker::ids::NodeId;
use broker::io::Listener;
use broker::wire::messages::*;
use broker::wire::{self, ApiKey, ErrorCode, Request, Response};

use crate::net::{self, init_producer_id};
use crate::samples::*;

/// The one error code of an answer to a sample.
fn error_of(response: &Response) -> i16 {
    match response {
        Response::Produce(r) => r.responses[0].partition_responses[0].error_code,
        Response::Fetch(r) if r.responses.is_empty() => r.error_code,
        Response::Fetch(r) => r.responses[0].partitions[0].error_code,
        Response::ListOffsets(r) => r.topics[0].partitions[0].error_code,
        Response::Metadata(r) => r.topics[0].error_code,
        Response::ApiVersions(r) => r.error_code,
        Response::CreateTopics(r) => r.topics[0].error_code,
        Response::DeleteTopics(r) => r.responses[0].error_code,
        Response::InitProducerId(r) => r.error_code,
        Response::OffsetForLeaderEpoch(r) => r.topics[0].partitions[0].error_code,
        Response::DescribeCluster(r) => r.error_code,
        Response::Vote(r) => r.topics[0].partitions[0].error_code,
        Response::BeginQuorumEpoch(r) => r.topics[0].partitions[0].error_code,
        Response::EndQuorumEpoch(r) => r.topics[0].partitions[0].error_code,
        Response::DescribeQuorum(r) => r.error_code,
        Response::AddRaftVoter(r) => r.error_code,
        Response::RemoveRaftVoter(r) => r.error_code,
        Response::UpdateRaftVoter(r) => r.error_code,
        Response::FetchSnapshot(r) => r.topics[0].partitions[0].error_code,
        Response::ElectLeaders(r) => r.replica_election_results[0].partition_result[0].error_code,
        Response::AlterPartition(r) => r.error_code,
        Response::BrokerRegistration(r) => r.error_code,
        Response::BrokerHeartbeat(r) => r.error_code,
        Response::AllocateProducerIds(r) => r.error_code,
        Response::AlterPartitionReassignments(r) => r.responses[0].partitions[0].error_code,
        Response::DeleteRecords(r) => r.topics[0].partitions[0].error_code,
        Response::CreatePartitions(r) => r.results[0].error_code,
        Response::UnregisterBroker(r) => r.error_code,
        Response::IncrementalAlterConfigs(r) => r.responses[0].error_code,
        Response::DescribeConfigs(r) => r.results[0].error_code,
        Response::UpdateFeatures(r) => r.error_code,
        Response::ListPartitionReassignments(r) => r.error_code,
    }
}

/// What a sample is answered with; `None` is no error.
fn expected(listener: Listener, api_key: ApiKey, version: i16) -> Option<ErrorCode> {
    match api_key {
        // The quorum refuses the whole request, and before version 7 there is no field to say so.
        ApiKey::Fetch if listener == Listener::Controller && version < 7 => None,
        // The quorum wants epochs of both kinds; before version 12 there is no field for them, as in Kafka.
        ApiKey::Fetch if listener == Listener::Controller && version < 12 => Some(ErrorCode::InvalidRequest),
        ApiKey::Fetch if listener == Listener::Controller => Some(ErrorCode::FencedLeaderEpoch),
        ApiKey::CreatePartitions => Some(ErrorCode::InvalidPartitions),
        ApiKey::UnregisterBroker => Some(ErrorCode::BrokerIdNotRegistered),
        ApiKey::AlterPartitionReassignments => Some(ErrorCode::NoReassignmentInProgress),
        ApiKey::DeleteTopics => Some(ErrorCode::UnknownTopicOrPartition),
        ApiKey::ElectLeaders => Some(ErrorCode::UnknownTopicOrPartition),
        // A vote of the current epoch: no error, and not granted, since there is a leader.
        ApiKey::Vote => None,
        // Nobody fetches as 77, and it does not vote.
        ApiKey::AddRaftVoter => Some(ErrorCode::RequestTimedOut),
        ApiKey::RemoveRaftVoter => Some(ErrorCode::VoterNotFound),
        ApiKey::UpdateRaftVoter => Some(ErrorCode::FencedLeaderEpoch),
        ApiKey::BeginQuorumEpoch | ApiKey::EndQuorumEpoch | ApiKey::FetchSnapshot => {
            Some(ErrorCode::FencedLeaderEpoch)
        }
        ApiKey::AlterPartition | ApiKey::BrokerHeartbeat | ApiKey::AllocateProducerIds => {
            Some(ErrorCode::StaleBrokerEpoch)
        }
        ApiKey::BrokerRegistration => Some(ErrorCode::DuplicateBrokerRegistration),
        _ => None,
    }
}

#[test]
fn every_api_in_every_version_is_answered_on_every_listener_that_offers_it() {
    let mut bench = Bench::new();
    let mut seen = BTreeSet::new();
    for listener in LISTENERS {
        for (api_key, version) in all_on(listener) {
            let request = sample(&bench, listener, api_key, version);
            let target = bench.target(listener);
            let Some(response) = bench.ask(target, listener, &request, version) else {
                panic!("{api_key:?} v{version} on {listener:?} has no answer")
            };
            let code = expected(listener, api_key, version).map_or(0, |error| error.code());
            assert_eq!(error_of(&response), code, "{api_key:?} v{version} on {listener:?}: {response:?}");
            seen.insert(api_key as i16);
        }
    }
    let supported: BTreeSet<i16> = wire::SUPPORTED.iter().map(|key| *key as i16).collect();
    assert_eq!(seen, supported, "every API is offered somewhere");
    bench.still_works();
}

#[test]
fn what_a_listener_does_not_offer_closes_the_connection() {
    let mut bench = Bench::new();
    for listener in LISTENERS {
        for &api_key in wire::SUPPORTED.iter().filter(|key| !offered(listener).contains(key)) {
            let (_, version) = wire::versions(api_key).expect("an API of ours");
            let frame = encode(&sample(&bench, Listener::Client, api_key, version), version);
            let connection = bench.cluster.dial(bench.target(listener), listener);
            bench.cluster.send(connection, frame);
            assert_eq!(bench.cluster.answer(connection, PATIENCE), None);
            assert!(bench.cluster.closed.contains(&connection), "{api_key:?} on {listener:?}");
        }
    }
}

#[test]
fn api_versions_lists_exactly_what_the_listener_answers() {
    let mut bench = Bench::new();
    for listener in LISTENERS {
        for version in 0..=4 {
            let target = bench.target(listener);
            let request = sample(&bench, listener, ApiKey::ApiVersions, version);
            let Some(Response::ApiVersions(response)) = bench.ask(target, listener, &request, version) else {
                panic!("ApiVersions v{version}")
            };
            let listed: BTreeSet<(i16, i16, i16)> =
                response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
            let ours = offered(listener).into_iter().map(|key| {
                let (min, max) = wire::versions(key).expect("an API of ours");
                (key as i16, min, max)
            });
            assert_eq!(listed, ours.collect(), "{listener:?}");
        }
    }
}

#[test]
fn produce_takes_every_kind_of_acks_in_every_version() {
    let mut bench = Bench::new();
    let (min, max) = wire::versions(ApiKey::Produce).expect("an API of ours");
    let mut offset = 0;
    for version in min..=max {
        for acks in [-1, 1] {
            let request = produce_request(bench.topic_id, version, acks, batch());
            let leader = bench.leader;
            let Some(Response::Produce(r)) = bench.ask(leader, Listener::Client, &request, version) else {
                panic!("Produce v{version}")
            };
            let partition = &r.responses[0].partition_responses[0];
            assert_eq!((partition.error_code, partition.base_offset), (0, offset), "v{version} acks {acks}");
            match version {
                13.. => assert_eq!(r.responses[0].topic_id, bench.topic_id),
                _ => assert_eq!(r.responses[0].name.0.as_str(), TOPIC),
            }
            offset += 1;
        }
        let connection = bench.cluster.dial(bench.leader, Listener::Client);
        let silent = encode(&produce_request(bench.topic_id, version, 0, batch()), version);
        bench.cluster.send(connection, silent);
        assert_eq!(bench.cluster.answer(connection, broker::time::Duration::from_secs(1)), None);
        offset += 1;
        let next = encode(&produce_request(bench.topic_id, version, 1, batch()), version);
        bench.cluster.send(connection, next);
        let answer = bench.cluster.answer(connection, PATIENCE).expect("acks=0 leaves the connection open");
        let Ok((_, Response::Produce(r))) = wire::decode_response(ApiKey::Produce, version, answer) else {
            panic!("Produce")
        };
        assert_eq!(r.responses[0].partition_responses[0].base_offset, offset, "v{version} after acks=0");
        offset += 1;
    }
}

#[test]
fn produce_refuses_other_acks_and_unknown_topics() {
    let mut bench = Bench::new();
    let code = |bench: &mut Bench, request: Request, version| {
        let leader = bench.leader;
        bench.ask(leader, Listener::Client, &request, version).map(|r| error_of(&r))
    };
    let odd = produce_request(bench.topic_id, 9, 2, batch());
    assert_eq!(code(&mut bench, odd, 9), Some(ErrorCode::InvalidRequiredAcks.code()));
    let nobody = produce_request(broker::ids::TopicId::from_u128(5), 13, -1, batch());
    assert_eq!(code(&mut bench, nobody, 13), Some(ErrorCode::UnknownTopicId.code()));
    let follower = bench.follower;
    let request = produce_request(bench.topic_id, 13, -1, batch());
    let Some(response) = bench.ask(follower, Listener::Client, &request, 13) else { panic!("an answer") };
    assert_eq!(error_of(&response), ErrorCode::NotLeaderOrFollower.code());
}

#[test]
fn refusals_fit_every_version_too() {
    let mut bench = Bench::new();
    for (api_key, version) in all_on(Listener::Client) {
        let of_partitions =
            [ApiKey::Produce, ApiKey::Fetch, ApiKey::ListOffsets, ApiKey::OffsetForLeaderEpoch];
        if !of_partitions.contains(&api_key) {
            continue;
        }
        let request = sample(&bench, Listener::Client, api_key, version);
        let follower = bench.follower;
        let response = bench.ask(follower, Listener::Client, &request, version).expect("an answer");
        let code = match api_key {
            // Consumers may read from followers since version 11 (KIP-392).
            ApiKey::Fetch if version >= 11 => 0,
            _ => ErrorCode::NotLeaderOrFollower.code(),
        };
        assert_eq!(error_of(&response), code, "{api_key:?} v{version}");
    }
}

#[test]
fn fetch_returns_the_records_and_names_topics_as_its_version_does() {
    let mut bench = Bench::new();
    assert_eq!(bench.produce(batch()), (0, 0));
    let (min, max) = wire::versions(ApiKey::Fetch).expect("an API of ours");
    for version in min..=max {
        for listener in [Listener::Client, Listener::Replication] {
            if listener == Listener::Replication && version < 9 {
                continue;
            }
            let request = sample(&bench, listener, ApiKey::Fetch, version);
            let leader = bench.leader;
            let Some(Response::Fetch(r)) = bench.ask(leader, listener, &request, version) else {
                panic!("Fetch v{version}")
            };
            let (topic, partition) = (&r.responses[0], &r.responses[0].partitions[0]);
            assert_eq!(partition.high_watermark, 1, "v{version}");
            assert_eq!(net::values(partition.records.clone()), [b"value".to_vec()], "v{version}");
            match version {
                13.. => assert_eq!(topic.topic_id, bench.topic_id),
                _ => assert_eq!(topic.topic.0.as_str(), TOPIC),
            }
        }
    }
}

#[test]
fn list_offsets_and_epoch_ends_agree_in_every_version() {
    let mut bench = Bench::new();
    assert_eq!(bench.produce(batch()), (0, 0));
    for listener in [Listener::Client, Listener::Replication] {
        for (api_key, version) in all_on(listener) {
            if !matches!(api_key, ApiKey::ListOffsets | ApiKey::OffsetForLeaderEpoch) {
                continue;
            }
            let request = sample(&bench, listener, api_key, version);
            let leader = bench.leader;
            let epoch_expected = if api_key == ApiKey::ListOffsets && version < 4 { -1 } else { 0 };
            let found = match bench.ask(leader, listener, &request, version) {
                Some(Response::ListOffsets(r)) => {
                    let p = &r.topics[0].partitions[0];
                    (p.error_code, p.offset, p.leader_epoch)
                }
                Some(Response::OffsetForLeaderEpoch(r)) => {
                    let p = &r.topics[0].partitions[0];
                    (p.error_code, p.end_offset, p.leader_epoch)
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(found, (0, 1, epoch_expected), "{api_key:?} v{version} on {listener:?}");
        }
    }
}

#[test]
fn metadata_lists_all_topics_as_its_version_asks_for_them() {
    let mut bench = Bench::new();
    let topics_of = |bench: &mut Bench, request: MetadataRequest, version| match bench.ask(
        NodeId(0),
        Listener::Client,
        &request.into(),
        version,
    ) {
        Some(Response::Metadata(r)) => {
            assert_eq!(r.brokers.len(), 3, "v{version}");
            r.topics
        }
        other => panic!("Metadata v{version}: {other:?}"),
    };
    let (min, max) = wire::versions(ApiKey::Metadata).expect("an API of ours");
    for version in min..=max {
        let none = topics_of(&mut bench, MetadataRequest::default().with_topics(Some(vec![])), version);
        assert_eq!(none.len(), usize::from(version == 0), "an empty list means all in v0 only");
        let everything = if version == 0 {
            none
        } else {
            topics_of(&mut bench, MetadataRequest::default().with_topics(None), version)
        };
        assert_eq!(everything.len(), 1, "v{version}");
        assert_eq!(everything[0].name.as_ref().map(|n| n.0.as_str()), Some(TOPIC));
        assert_eq!(everything[0].partitions[0].isr_nodes.len(), 3);
        if version >= 12 {
            let by_id = metadata_request::MetadataRequestTopic::default()
                .with_topic_id(bench.topic_id)
                .with_name(None);
            let request = MetadataRequest::default().with_topics(Some(vec![by_id.clone()]));
            assert_eq!(topics_of(&mut bench, request, version)[0].error_code, 0);
            let unknown = by_id.with_topic_id(broker::ids::TopicId::from_u128(5));
            let request = MetadataRequest::default().with_topics(Some(vec![unknown]));
            let found = topics_of(&mut bench, request, version);
            assert_eq!(found[0].error_code, ErrorCode::UnknownTopicId.code(), "v{version}");
        }
    }
}

#[test]
fn topics_are_made_and_deleted_in_every_version_by_name_and_by_id() {
    for listener in [Listener::Client, Listener::Controller] {
        let mut bench = Bench::new();
        for create_version in 2..=7 {
            for delete_version in 1..=6 {
                let name = format!("t-{create_version}-{delete_version}");
                let target = bench.target(listener);
                let create = create_topics(&name, 2);
                let Some(Response::CreateTopics(r)) = bench.ask(target, listener, &create, create_version)
                else {
                    panic!("CreateTopics v{create_version}")
                };
                assert_eq!((r.topics[0].error_code, r.topics[0].name.0.as_str()), (0, name.as_str()));
                if create_version >= 5 {
                    assert_eq!((r.topics[0].num_partitions, r.topics[0].replication_factor), (2, 3));
                }
                if create_version >= 7 {
                    assert!(!r.topics[0].topic_id.is_nil());
                }
                let delete = delete_topics(&name, delete_version);
                let Some(Response::DeleteTopics(r)) = bench.ask(target, listener, &delete, delete_version)
                else {
                    panic!("DeleteTopics v{delete_version} on {listener:?}")
                };
                assert_eq!(r.responses[0].error_code, 0, "v{delete_version} on {listener:?}");
                assert_eq!(r.responses[0].name.as_ref().map(|n| n.0.as_str()), Some(name.as_str()));
            }
        }
        let by_id = |id| {
            let topic = delete_topics_request::DeleteTopicState::default().with_topic_id(id).with_name(None);
            DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000).into()
        };
        let (target, delete) = (bench.target(listener), by_id(bench.topic_id));
        for code in [0, ErrorCode::UnknownTopicId.code()] {
            let response = bench.ask(target, listener, &delete, 6).expect("an answer");
            assert_eq!(error_of(&response), code);
            bench.cluster.run_for(broker::time::Duration::from_secs(1));
        }
    }
}

#[test]
fn producer_ids_are_fresh_in_every_version() {
    let mut bench = Bench::new();
    let mut seen = BTreeSet::new();
    let (min, max) = wire::versions(ApiKey::InitProducerId).expect("an API of ours");
    for version in min..=max {
        let leader = bench.leader;
        match bench.ask(leader, Listener::Client, &init_producer_id(), version) {
            Some(Response::InitProducerId(r)) => {
                assert_eq!((r.error_code, r.producer_epoch), (0, 0));
                assert!(seen.insert(r.producer_id.0), "{} twice", r.producer_id.0);
            }
            other => panic!("InitProducerId v{version}: {other:?}"),
        }
    }
}

#[test]
fn describe_cluster_names_brokers_and_refuses_controller_endpoints() {
    let mut bench = Bench::new();
    for version in 0..=2 {
        let request: Request = DescribeClusterRequest::default().into();
        let Some(Response::DescribeCluster(r)) = bench.ask(NodeId(0), Listener::Client, &request, version)
        else {
            panic!("DescribeCluster v{version}")
        };
        assert_eq!((r.error_code, r.brokers.len(), r.cluster_id.as_str()), (0, 3, "test-cluster"));
        if version >= 1 {
            let request = DescribeClusterRequest::default().with_endpoint_type(2).into();
            let response = bench.ask(NodeId(0), Listener::Client, &request, version).expect("an answer");
            assert_eq!(error_of(&response), ErrorCode::MismatchedEndpointType.code());
        }
    }
}

#[test]
fn features_are_listed_and_changed_in_every_version_that_can_say_so() {
    let mut bench = Bench::new();
    let levels = |bench: &mut Bench, listener, version| {
        let (target, request) =
            (bench.target(listener), sample(bench, listener, ApiKey::ApiVersions, version));
        let Some(Response::ApiVersions(r)) = bench.ask(target, listener, &request, version) else {
            panic!("ApiVersions v{version}")
        };
        let finalized = r.finalized_features.iter().find(|f| f.name.as_str() == "group.version");
        let supported = r.supported_features.iter().any(|f| f.name.as_str() == "group.version");
        assert_eq!(r.finalized_features_epoch >= 0, version >= 3);
        (finalized.map(|f| f.max_version_level), supported)
    };
    for listener in LISTENERS {
        assert_eq!(levels(&mut bench, listener, 2), (None, false), "no field for it");
        assert_eq!(
            levels(&mut bench, listener, 3),
            (Some(1), false),
            "KAFKA-17011: a level of 0 is not sayable"
        );
        assert_eq!(levels(&mut bench, listener, 4), (Some(1), true));
    }
    for version in 0..=2 {
        for (level, expected) in [(0, None), (1, Some(1))] {
            let request = update_features("group.version", level, version);
            let Some(Response::UpdateFeatures(r)) = bench.ask(NodeId(0), Listener::Client, &request, version)
            else {
                panic!("UpdateFeatures v{version}")
            };
            assert_eq!((r.error_code, r.results.len()), (0, usize::from(version < 2)), "v{version}");
            bench.cluster.run_for(broker::time::Duration::from_secs(1));
            let found = levels(&mut bench, Listener::Client, 4).0;
            assert_eq!(found, expected.filter(|_| level > 0), "v{version}");
        }
        let request = update_features("metadata.version", 99, version);
        let Some(Response::UpdateFeatures(r)) = bench.ask(NodeId(0), Listener::Client, &request, version)
        else {
            panic!("UpdateFeatures v{version}")
        };
        assert_eq!(r.error_code, ErrorCode::InvalidUpdateVersion.code());
        assert!(r.results.iter().all(|result| result.error_code == r.error_code));
    }
}
