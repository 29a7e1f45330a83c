//! Configs are set and read back while the cluster runs, and take effect.

use broker::ids::NodeId;
use broker::io::Listener;
use broker::time::Duration;
use broker::wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use broker::wire::messages::*;
use broker::wire::{ErrorCode, Request, Response};

use crate::samples::*;

fn ask(bench: &mut Bench, node: NodeId, request: &Request, version: i16) -> Response {
    bench.ask(node, Listener::Client, request, version).expect("an answer")
}

fn described(bench: &mut Bench, node: NodeId, kind: i8, name: &str, version: i16) -> DescribeConfigsResult {
    let Response::DescribeConfigs(r) = ask(bench, node, &describe_configs(kind, name), version) else {
        panic!("DescribeConfigs")
    };
    r.results.into_iter().next().expect("one resource")
}

use describe_configs_response::DescribeConfigsResult;

fn find<'a>(result: &'a DescribeConfigsResult, name: &str) -> &'a DescribeConfigsResourceResult {
    result.configs.iter().find(|config| config.name.as_str() == name).unwrap_or_else(|| panic!("{name}"))
}

fn value(config: &DescribeConfigsResourceResult) -> (Option<&str>, i8) {
    (config.value.as_ref().map(|value| value.as_str()), config.config_source)
}

/// Sets one config and waits until every broker knows.
fn set(bench: &mut Bench, kind: i8, resource: &str, name: &str, value: Option<&str>) -> i16 {
    let config = incremental_alter_configs_request::AlterableConfig::default()
        .with_name(text(name))
        .with_config_operation(i8::from(value.is_none()))
        .with_value(value.map(text));
    let resource = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).into();
    let response = ask(bench, NodeId(1), &request, 1);
    bench.cluster.run_for(Duration::from_secs(1));
    let Response::IncrementalAlterConfigs(r) = response else { panic!("IncrementalAlterConfigs") };
    r.responses[0].error_code
}

#[test]
fn a_value_is_told_with_its_origin_in_every_version() {
    let mut bench = Bench::new();
    for version in 1..=4 {
        let result = described(&mut bench, NodeId(2), TOPIC_RESOURCE, TOPIC, version);
        assert_eq!(value(find(&result, "min.insync.replicas")), (Some("2"), 1), "the topic's own");
        assert_eq!(value(find(&result, "retention.ms")), (Some("604800000"), 5), "the default");
        assert_eq!(find(&result, "retention.ms").config_type, if version >= 3 { 5 } else { 0 });
    }
    assert_eq!(set(&mut bench, BROKER_RESOURCE, "", "log.retention.ms", Some("7")), 0);
    assert_eq!(set(&mut bench, BROKER_RESOURCE, "2", "log.retention.ms", Some("8")), 0);
    let result = described(&mut bench, NodeId(2), TOPIC_RESOURCE, TOPIC, 4);
    let retention = find(&result, "retention.ms");
    assert_eq!(value(retention), (Some("8"), 2), "this broker's");
    let synonyms: Vec<_> = retention.synonyms.iter().map(|s| (s.name.as_str(), s.source)).collect();
    assert_eq!(synonyms, [("log.retention.ms", 2), ("log.retention.ms", 3), ("log.retention.ms", 5)]);
    let result = described(&mut bench, NodeId(1), TOPIC_RESOURCE, TOPIC, 4);
    assert_eq!(value(find(&result, "retention.ms")), (Some("7"), 3), "that of all brokers");
    let all = described(&mut bench, NodeId(1), BROKER_RESOURCE, "", 4);
    assert_eq!(all.configs.len(), 1);
    let own = described(&mut bench, NodeId(1), BROKER_RESOURCE, "1", 4);
    assert!(find(&own, "replica.lag.time.max.ms").read_only && !find(&own, "log.retention.ms").read_only);
    assert_eq!(set(&mut bench, BROKER_RESOURCE, "2", "log.retention.ms", None), 0);
    let result = described(&mut bench, NodeId(2), TOPIC_RESOURCE, TOPIC, 4);
    assert_eq!(value(find(&result, "retention.ms")), (Some("7"), 3), "taken away");
}

#[test]
fn who_is_not_there_or_somebody_else_is_not_described() {
    let mut bench = Bench::new();
    let code = |bench: &mut Bench, kind, name| described(bench, NodeId(1), kind, name, 4).error_code;
    assert_eq!(code(&mut bench, TOPIC_RESOURCE, "nowhere"), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(code(&mut bench, BROKER_RESOURCE, "2"), ErrorCode::InvalidRequest.code());
    assert_eq!(code(&mut bench, 16, "x"), ErrorCode::InvalidRequest.code());
}

#[test]
fn a_changed_value_takes_effect_at_once() {
    let mut bench = Bench::new();
    let leader = bench.leader;
    assert_eq!(set(&mut bench, TOPIC_RESOURCE, TOPIC, "max.message.bytes", Some("10")), 0);
    assert_eq!(bench.produce(batch()).0, ErrorCode::MessageTooLarge.code());
    assert_eq!(set(&mut bench, TOPIC_RESOURCE, TOPIC, "max.message.bytes", None), 0);
    assert_eq!(bench.produce(batch()), (0, 0));
    assert_eq!(set(&mut bench, TOPIC_RESOURCE, TOPIC, "min.insync.replicas", Some("3")), 0);
    let gone = bench.follower;
    bench.cluster.crash(gone);
    bench.cluster.run_for(Duration::from_secs(12));
    bench.refresh(leader);
    assert_eq!(bench.produce(batch()).0, ErrorCode::NotEnoughReplicas.code());
    let alive = (0..3).map(NodeId).find(|n| *n != gone).expect("two live");
    let request = alter_config(TOPIC, "min.insync.replicas", "2");
    assert!(bench.ask(alive, Listener::Client, &request, 1).is_some());
    bench.cluster.run_for(Duration::from_secs(1));
    assert_eq!(bench.produce(batch()).0, 0);
}
