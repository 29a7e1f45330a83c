//! What the language means: values, defaults, variants, overrides.

use scenarios::model::*;
use scenarios::{Parsed, parse};

const HEAD: &str = "format = 1\nname = \"x\"\n";

fn scenario(text: &str) -> Scenario {
    read(&format!("{HEAD}{text}")).scenario
}

fn read(text: &str) -> Parsed {
    parse("test.toml", text).unwrap_or_else(|report| panic!("{}", report.render_plain(100)))
}

fn all_keys() -> Parsed {
    read(include_str!("all-keys.toml"))
}

#[test]
fn an_almost_empty_file_has_the_documented_defaults() {
    let scenario = scenario(
        "[[topic]]\nname = \"t\"\n[[producer]]\ntopic = \"t\"\n[[producer]]\ntopic = \"t\"\n[[consumer]]\ntopic = \"t\"",
    );
    assert_eq!(scenario.time_limit, Micros::from_secs(600));
    assert_eq!(scenario.cluster.brokers, Value::Fixed(3));
    assert_eq!(scenario.cluster.controllers, None);
    assert_eq!((controllers_by_default(1), controllers_by_default(5)), (1, 3));
    assert_eq!(scenario.cluster.mode, Value::Fixed(Mode::Combined));
    assert_eq!(scenario.topics[0].partitions, Value::Fixed(1));
    assert_eq!(scenario.topics[0].replication_factor, Value::Fixed(1));
    assert_eq!(scenario.producers[0].rate, Value::Fixed(Rate(50_000)));
    let names: Vec<&str> = scenario.producers.iter().map(|p| p.name.as_str()).collect();
    assert_eq!((names, scenario.consumers[0].name.as_str()), (vec!["p", "p2"], "c"));
    assert_eq!(scenario.checks.level("liveness"), Level::Error);
    assert_eq!(scenario.expect.verdict, ExpectedVerdict::Pass);
    assert_eq!(scenario.network, Network::default());
    let kinds: Vec<PhaseKind> = scenario.phases.iter().map(|phase| phase.kind).collect();
    assert_eq!(kinds, [PhaseKind::Start, PhaseKind::Run, PhaseKind::Settle]);
    assert_eq!(scenario.phases[2].heal, Some(Heal::All));
}

#[test]
fn the_default_run_phase_outlasts_the_last_scripted_fault() {
    for (faults, at_most) in [
        ("", 30),
        ("[[fault]]\nat = \"10s\"\ncrash = \"broker(0)\"\nfor = \"20s\"", 60),
        ("[[fault]]\nevery = \"10s\"\njitter = \"1s\"\ncount = 3\ncrash = \"broker(0)\"\nfor = \"5s\"", 68),
        (
            "[[fault]]\nid = \"b\"\nafter = \"a\"\nrestart = \"brokers\"\n[[fault]]\nid = \"a\"\nwhen = \"drained\"\nwithin = \"40s\"\npause = \"brokers\"\nfor = \"9s\"",
            79,
        ),
    ] {
        let expected =
            PhaseEnd::AfterFaults { quiet: Micros::from_secs(30), at_most: Micros::from_secs(at_most) };
        assert_eq!(scenario(faults).phases[1].end, expected, "{faults}");
    }
}

#[test]
fn phases_of_the_file_get_a_start_and_a_settle() {
    let phases = all_keys().scenario.phases;
    let names: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(names, ["start", "warmup", "chase", "settle"]);
    assert_eq!(phases[1].end, PhaseEnd::For { length: Micros::from_secs(10) });
    assert_eq!(phases[2].heal, Some(Heal::Faults(vec!["cut".to_owned()])));
}

#[test]
fn values_keep_their_ranges_and_configs_are_canonical() {
    let scenario = all_keys().scenario;
    assert_eq!(scenario.seed, Some(u64::MAX));
    assert_eq!(scenario.defects, ["no-maximal-isr", "truncate-to-high-watermark"]);
    assert_eq!(scenario.cluster.brokers, Value::Uniform { min: 5, max: 7 });
    assert_eq!(scenario.topics[0].partitions, Value::LogUniform { min: 1, max: 8 });
    assert_eq!(scenario.topics[0].config["min.insync.replicas"], "2", "a parameter keeps its type");
    assert_eq!(
        (&scenario.topics[1].partitions, &scenario.topics[1].replication_factor),
        (&Value::Fixed(2), &Value::Fixed(3))
    );
    assert_eq!(
        (&scenario.topics[2].partitions, &scenario.topics[2].replication_factor),
        (&Value::Fixed(4), &Value::Fixed(3))
    );
    let acks: Vec<&str> = scenario.producers.iter().map(|p| p.config["acks"].as_str()).collect();
    assert_eq!(acks, ["all", "all", "1"]);
    assert_eq!(scenario.broker_config["broker.heartbeat.interval.ms"], "1000");
    assert_eq!(scenario.producers[1].rate, Value::Uniform { min: Rate(20_000), max: Rate(50_500) });
    assert_eq!(scenario.producers[0].keys, Keys::Zipf { n: 1_000, s: Milli(1_100) });
    assert_eq!(scenario.network.loss, Ppm(100));
    assert_eq!(scenario.swarm.enable_each, Ppm(500_000));
    assert_eq!(scenario.swarm.rate_scale, Value::LogUniform { min: Milli(100), max: Milli(10_000) });
    assert_eq!(scenario.expect.count.len(), 2);
    assert_eq!(
        scenario.checks.bound("liveness", "settle_within"),
        Some(Bound::Duration(Micros::from_secs(300)))
    );
    assert_eq!(scenario.checks.level("log-bounds"), Level::Warn);
}

#[test]
fn spans_point_at_faults_triggers_verbs_and_checks() {
    let parsed = all_keys();
    let text = |span: Span| &parsed.text[span.start..span.end];
    let fault = parsed.scenario.fault("chase-leader").unwrap();
    assert!(text(fault.span).starts_with("[[fault]]") && text(fault.span).ends_with("\"15s\""));
    assert_eq!(text(fault.trigger_span), "every  = { uniform = [\"20s\", \"30s\"] }");
    assert!(text(fault.verb_span).starts_with("crash  = { target"));
    assert!(text(parsed.scenario.checks.checks["liveness"].span).starts_with("liveness "));
    assert!(parsed.scenario.fault("fault-3").is_some(), "faults without an id are numbered");
}

#[test]
fn a_variant_replaces_values_and_the_expectation() {
    let parsed = all_keys();
    let safe = parsed.apply_variant("safe").unwrap();
    assert_eq!(safe.scenario.topics[1].config["min.insync.replicas"], "2");
    assert_eq!(safe.scenario.topics[1].config["message.timestamp.type"], "LogAppendTime");
    assert!(safe.scenario.defects.is_empty());
    assert_eq!(safe.scenario.checks.level("log-bounds"), Level::Error);
    assert_eq!(safe.scenario.expect, Expect::default());
    assert_eq!(safe.source_digest, parsed.source_digest);
    let report = parsed.apply_variant("saef").unwrap_err();
    assert_eq!(report.diagnostics[0].help.as_deref(), Some("did you mean `safe`?"));
}

#[test]
fn set_reaches_every_kind_of_table() {
    let parsed = all_keys();
    let set = |path: &str, value: &str| {
        let result = parsed.apply_set(path, value);
        result.unwrap_or_else(|report| panic!("{path}: {}", report.render_plain(100))).scenario
    };
    assert_eq!(set("cluster.brokers", "6").cluster.brokers, Value::Fixed(6));
    assert_eq!(
        set("topic.orders.config.unclean.leader.election.enable", "true").topics[0].config["unclean.leader.election.enable"],
        "true"
    );
    assert_eq!(
        set("topic.audit.v1.config.min.insync.replicas", "3").topics[1].config["min.insync.replicas"],
        "3"
    );
    assert_eq!(set("topic.1.config.min.insync.replicas", "3").topics[1].config["min.insync.replicas"], "3");
    assert_eq!(set("producer.p2.count", "9").producers[1].count, Value::Fixed(9));
    assert_eq!(
        set("fault.chase-leader.crash.mode", "process").fault("chase-leader").unwrap().verb,
        Verb::Crash {
            target: Target::Leader(PartitionRef {
                topic: "orders".to_owned(),
                partition: PartitionIndex::One(0)
            }),
            mode: CrashMode::Process,
            bind: Some("victim".to_owned()),
        }
    );
    assert_eq!(
        set("fault.fault-9.at", "7s").fault("fault-9").unwrap().trigger,
        Trigger::At { at: Value::Fixed(Micros::from_secs(7)) }
    );
    assert_eq!(set("params.min_isr", "1").topics[0].config["min.insync.replicas"], "1");
    assert_eq!(set("chaos.crash.mean_every", "\"1s\"").chaos.crash.unwrap().mean_every, Micros::from_secs(1));
    assert_eq!(set("controller.config.controller.quorum.append.linger.ms", "1").controller_config.len(), 2);
    assert_eq!(set("defects", "[]").defects, [""; 0]);
    assert_eq!(set("time_limit", "30m").time_limit, Micros::from_secs(1_800));
}

#[test]
fn a_bad_set_has_a_place_like_any_other_mistake() {
    let parsed = read(&format!("{HEAD}[[topic]]\nname = \"orders\"\n"));
    for (path, value, code, underlined) in [
        (
            "topic.orders.config.segment.bytez",
            "1",
            "scn::unknown_config",
            "topic.orders.config.segment.bytez",
        ),
        ("cluster.brokers", "\"many\"", "scn::wrong_type", "\"many\""),
        ("topic.order.partitions", "1", "scn::bad_path", "topic.order.partitions"),
        ("clutser.brokers", "1", "scn::bad_path", "clutser.brokers"),
        ("time_limit", "soon", "scn::bad_duration", "soon"),
        ("name.x", "1", "scn::bad_path", "name.x"),
        ("", "1", "scn::bad_path", ""),
    ] {
        let report = parsed.apply_set(path, value).unwrap_err();
        let finding = &report.diagnostics[0];
        let span = finding.labels[0].0;
        assert_eq!((finding.code, &report.source[span.start..span.end]), (code, underlined), "{path}");
        assert!(report.render_plain(100).contains("--set"));
    }
}

#[test]
fn json_is_the_same_language() {
    let toml =
        read("format = 1\nname = \"x\"\n[[topic]]\nname = \"t\"\nconfig = { min.insync.replicas = 1 }\n");
    let json =
        r#"{"format": 1, "name": "x", "topic": [{"name": "t", "config": {"min.insync.replicas": 1}}]}"#;
    let mut json = parse("x.json", json).unwrap().scenario;
    json.topics[0].span = toml.scenario.topics[0].span;
    assert_eq!(json, toml.scenario);
}

#[test]
fn files_that_cannot_be_read_say_so_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let missing = scenarios::load(&dir.path().join("missing.toml")).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read the scenario "), "{missing}");
    assert!(matches!(scenarios::load(dir.path()), Err(scenarios::LoadError::Io { .. })));
    let path = dir.path().join("latin1.toml");
    std::fs::write(&path, [b'#', 0xe9]).unwrap();
    let Err(scenarios::LoadError::Invalid(report)) = scenarios::load(&path) else {
        panic!("not UTF-8 is invalid")
    };
    assert_eq!(report.diagnostics[0].code, "scn::not_utf8");
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_language() {
    let plain = format!("{HEAD}# é\n");
    assert_eq!(read(&format!("\u{feff}{plain}")).scenario, read(&plain).scenario);
}
