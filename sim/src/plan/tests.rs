//! Stories of drawing: what a seed decides, and what an edit leaves alone.

use std::collections::BTreeMap;

use scenarios::model::*;

use super::*;
use crate::seed::Seed;

/// Three combined nodes, one topic, one producer, one consumer.
pub(crate) fn scenario() -> Scenario {
    let span = Span::default();
    let target = || vec![(Target::Random { count: 1, of: Box::new(Target::Brokers) }, 1)];
    let minutes = |n: u64| Micros::from_secs(60 * n);
    Scenario {
        name: "test/plan".into(),
        about: String::new(),
        tags: Vec::new(),
        refs: Vec::new(),
        seed: None,
        time_limit: minutes(10),
        defects: Vec::new(),
        params: BTreeMap::new(),
        cluster: Cluster {
            brokers: Value::Fixed(3),
            controllers: None,
            mode: Value::Fixed(Mode::Combined),
            racks: BTreeMap::from([("a".to_string(), vec![0, 1])]),
            features: BTreeMap::new(),
            standby: Value::Fixed(0),
            observers: Value::Fixed(0),
        },
        broker_config: ConfigMap::from([("replica.lag.time.max.ms".to_string(), "6000".to_string())]),
        broker_overrides: Vec::new(),
        controller_config: ConfigMap::new(),
        topics: vec![Topic {
            name: "orders".into(),
            partitions: Value::Fixed(2),
            replication_factor: Value::Fixed(3),
            assignment: None,
            config: ConfigMap::new(),
            span,
        }],
        network: Network::default(),
        disk: Disk::default(),
        producers: vec![Producer {
            name: "p".into(),
            count: Value::Fixed(2),
            topic: "orders".into(),
            rate: Value::Uniform { min: Rate(10_000), max: Rate(90_000) },
            keys: Keys::None,
            value_bytes: SizeRange { min: 100, max: 100 },
            records: None,
            config: ConfigMap::new(),
            span,
        }],
        consumers: Vec::new(),
        phases: vec![
            phase("start", PhaseKind::Start, Condition::AllIsrFull),
            Phase {
                name: "run".into(),
                kind: PhaseKind::Run,
                end: PhaseEnd::For { length: minutes(2) },
                heal: None,
                span: None,
            },
            phase(
                "settle",
                PhaseKind::Settle,
                Condition::And(vec![Condition::Drained, Condition::AllIsrFull]),
            ),
        ],
        faults: vec![fault("kill", Value::Uniform { min: Micros(1), max: Micros(1 << 40) })],
        swarm: Swarm::default(),
        chaos: Chaos {
            crash: Some(ChaosCrash {
                targets: target(),
                mean_every: Micros::from_secs(10),
                mode: vec![(CrashMode::Process, 1)],
                down: Distribution::Exponential { mean: Micros::from_secs(5) },
                span,
            }),
            ..Chaos::default()
        },
        checks: ChecksConfig::default(),
        expect: Expect::default(),
        variants: Vec::new(),
        sweep: Sweep::default(),
        variant: None,
    }
}

fn phase(name: &str, kind: PhaseKind, condition: Condition) -> Phase {
    let end = PhaseEnd::Until { condition, within: Some(Micros::from_secs(60)) };
    let heal = (kind == PhaseKind::Settle).then_some(Heal::All);
    Phase { name: name.into(), kind, end, heal, span: None }
}

fn fault(id: &str, at: Value<Micros>) -> Fault {
    let span = Span::default();
    Fault {
        id: id.into(),
        phase: None,
        trigger: Trigger::At { at },
        verb: Verb::Crash { target: Target::Broker(0), mode: CrashMode::Process, bind: None },
        duration: None,
        span,
        trigger_span: span,
        verb_span: span,
    }
}

fn plan(scenario: &Scenario, seed: u64) -> Plan {
    Plan::draw_scenario(scenario, "blake3:0", Seed(seed)).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
    assert_eq!(plan(&scenario(), 1), plan(&scenario(), 1));
    assert_eq!(plan(&scenario(), 1).digest(), plan(&scenario(), 1).digest());
    assert_ne!(plan(&scenario(), 1).faults, plan(&scenario(), 2).faults);
}

#[test]
fn an_added_fault_moves_no_other_draw() {
    let mut more = scenario();
    more.faults.insert(0, fault("another", Value::Uniform { min: Micros(1), max: Micros(1 << 40) }));
    more.chaos.pause = Some(ChaosPause {
        targets: vec![(Target::Brokers, 1)],
        mean_every: Micros::from_secs(9),
        hold: Distribution::constant(Micros::from_secs(1)),
        span: Span::default(),
    });
    let (before, after) = (plan(&scenario(), 5), plan(&more, 5));
    for fault in &before.faults {
        assert_eq!(after.faults.iter().find(|f| f.id == fault.id), Some(fault));
    }
    assert_eq!((before.hosts, before.producers), (after.hosts, after.producers));
}

#[test]
fn a_changed_strike_keeps_its_time() {
    let mut power = scenario();
    power.chaos.crash.as_mut().unwrap().mode = vec![(CrashMode::Power, 1), (CrashMode::Process, 1)];
    let times = |plan: &Plan| plan.faults.iter().map(|f| f.trigger.clone()).collect::<Vec<_>>();
    assert_eq!(times(&plan(&scenario(), 3)), times(&plan(&power, 3)));
}

#[test]
fn strikes_fall_into_the_run_and_about_as_often_as_asked() {
    let strikes: usize = (0..50).map(|seed| plan(&scenario(), seed).faults.len() - 1).sum();
    assert!((500..700).contains(&strikes), "{strikes} strikes in 50 x 120 s at one in 10 s");
    for fault in plan(&scenario(), 1).faults.iter().filter(|fault| fault.is_chaos) {
        assert!(matches!(fault.trigger, PlannedTrigger::At { at_us } if at_us < 120_000_000), "{fault:?}");
    }
}

#[test]
fn a_swarm_that_enables_nothing_strikes_never() {
    let mut calm = scenario();
    calm.swarm.enable_each = Ppm(0);
    assert!(plan(&calm, 1).faults.iter().all(|fault| !fault.is_chaos));
}

#[test]
fn a_plan_survives_json() {
    let plan = plan(&scenario(), 9);
    let back: Plan = serde_json::from_str(&plan.to_json()).unwrap();
    assert_eq!(back, plan);
    assert_eq!(back.digest(), plan.digest());
}

#[test]
fn hosts_have_names_and_places() {
    let mut isolated = scenario();
    isolated.cluster.mode = Value::Fixed(Mode::Isolated);
    let plan = plan(&isolated, 1);
    let names: Vec<&str> = plan.hosts.iter().map(|host| host.name.as_str()).collect();
    let nodes = ["broker-0", "broker-1", "broker-2", "controller-0", "controller-1", "controller-2"];
    assert_eq!(names[..6], nodes);
    assert_eq!(names[6..], ["setup", "p-0", "p-1", "verifier-orders"]);
    assert_eq!(plan.node(broker::ids::NodeId(3001)), Some(HostId(4)));
    assert_eq!(plan.racks["a"], [HostId(0), HostId(1)]);
    assert_eq!(plan.hosts[1].rack.as_deref(), Some("a"));
    assert_eq!(plan.hosts[4].config, ConfigMap::new());
}

#[test]
fn what_cannot_be_is_refused_with_names() {
    let refuse = |change: fn(&mut Scenario)| {
        let mut scenario = scenario();
        change(&mut scenario);
        Plan::draw_scenario(&scenario, "", Seed(1)).unwrap_err().to_string()
    };
    let error = refuse(|s| s.topics[0].replication_factor = Value::Fixed(4));
    assert_eq!(error, "topic orders wants 4 replicas and there are 3 brokers");
    let error = refuse(|s| s.topics[0].assignment = Some(vec![vec![0, 7]]));
    assert_eq!(error, "topic orders is assigned to broker 7, which this seed's cluster does not have");
    let error = refuse(|s| s.defects = vec!["nonsense".into()]);
    assert_eq!(error, "there is no defect called nonsense");
    let error = refuse(|s| s.cluster.controllers = Some(Value::Fixed(4)));
    assert!(error.contains("isolated"), "{error}");
}
