//! Whole runs: a plan, a world of Kafka nodes, faults, an outcome.

use std::sync::atomic::AtomicBool;

use broker::io::{Disk, Input};
use broker::time::Instant;
use reports::model::{EndReason, Verdict};
use sim::plan::{HostId, Plan};
use sim::run::determinism::{self, Comparison};
use sim::run::suite::{self, SuiteOptions};
use sim::run::{Cast, Outcome, RunOptions, Stage, Unjudged, Until, node_program, simulate};
use sim::seed::Seed;
use sim::trace::{Fact, WorldFact};
use sim::world::{Boot, Machine, Outputs, Program};

/// Kafka nodes; clients that do nothing.
struct Nodes;

struct Idle;

impl Machine for Idle {
    fn step(&mut self, _now: Instant, _input: Input, _disk: &mut dyn Disk, _out: &mut Outputs) {}
    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

impl Program for Idle {
    fn boot(&self, _boot: Boot<'_>) -> Result<Box<dyn Machine>, String> {
        Ok(Box::new(Idle))
    }
}

impl Cast for Nodes {
    fn program(&self, plan: &Plan, host: HostId) -> Result<Box<dyn Program>, String> {
        match plan.node_id(host) {
            Some(_) => node_program(plan, host),
            None => Ok(Box::new(Idle)),
        }
    }
}

const SCENARIO: &str = r#"
format = 1
name = "test/controllers"

[cluster]
brokers = 3

[[phase]]
name = "run"
for = "15s"

[[fault]]
id = "kill"
at = "6s"
crash = "active_controller"
for = "3s"
"#;

fn plan(seed: u64) -> Plan {
    let parsed = scenarios::parse("test.toml", SCENARIO).unwrap_or_else(|report| panic!("{report}"));
    let mut plan = Plan::draw(&parsed, Seed(seed)).unwrap();
    // Nobody creates topics here.
    plan.topics.clear();
    plan.consumers.clear();
    plan.producers.clear();
    plan
}

fn stage() -> Stage<'static> {
    Stage { cast: &Nodes, judge: &|_| Box::new(Unjudged) }
}

fn run(plan: &Plan, options: RunOptions) -> Outcome {
    simulate(plan, &stage(), options)
}

#[test]
fn a_run_goes_through_its_phases_and_strikes_by_role() {
    let outcome = run(&plan(1), RunOptions { trace_until: Some(u64::MAX), ..RunOptions::default() });
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.end_reason, EndReason::Settled, "{:?}", outcome.phases);
    let phases: Vec<&str> = outcome.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["start", "run", "settle"]);
    assert_eq!(outcome.unfired, []);
    assert_eq!(outcome.tally.panics, []);
    let strike = &outcome.tally.faults[0];
    assert_eq!((strike.fired_at, strike.targets.len()), (Instant(6_000_000), 1));
    assert_eq!(strike.healed_at, Some(Instant(9_000_000)));
    let trace = outcome.trace.expect("asked for");
    let stopped = |fact: &Fact| matches!(fact, Fact::World(WorldFact::Stopped { .. }));
    assert!(trace.iter().any(|event| stopped(&event.fact) && event.at == strike.fired_at));
    assert!(trace.windows(2).all(|pair| pair[0].event < pair[1].event && pair[0].at <= pair[1].at));
}

#[test]
fn a_run_that_nobody_judges_is_inconclusive() {
    let outcome = run(&plan(1), RunOptions::default());
    assert_eq!((outcome.conclusion.verdict, outcome.conclusion.exit_code), (Verdict::Inconclusive, 2));
    assert_eq!(outcome.conclusion.reasons, ["no check was ever evaluated"]);
}

#[test]
fn two_runs_of_one_plan_are_one_run_and_two_seeds_are_two() {
    let fingerprint = |seed| match determinism::check(&plan(seed), &stage(), RunOptions::default()) {
        Comparison::Same { fingerprint } => fingerprint,
        Comparison::Differs(divergence) => panic!("seed {seed}: {divergence:#?}"),
    };
    assert_ne!(fingerprint(1), fingerprint(2));
}

#[test]
fn workers_change_nothing() {
    let plans: Vec<Plan> = (1..=6).map(plan).collect();
    let go = AtomicBool::new(false);
    let fingerprints = |workers| {
        let options = SuiteOptions { workers, run: RunOptions::default(), interrupted: &go };
        suite::run(&plans, &stage(), &options, |_, outcome| outcome.fingerprint)
    };
    assert_eq!(fingerprints(1), fingerprints(3));
}

#[test]
fn a_run_stops_where_it_is_asked_to_and_is_the_same_until_there() {
    let whole = run(&plan(3), RunOptions { trace_until: Some(u64::MAX), ..RunOptions::default() });
    let until = Some(Until::Time(Instant(7_000_000)));
    let part = run(&plan(3), RunOptions { until, trace_until: Some(u64::MAX), ..RunOptions::default() });
    assert_eq!(part.conclusion.verdict, Verdict::Inconclusive);
    assert!(part.events < whole.events);
    let (whole, part) = (whole.trace.unwrap(), part.trace.unwrap());
    let common = part.iter().take_while(|event| event.at < Instant(7_000_000)).count();
    assert!(common > 0);
    assert_eq!(part[..common], whole[..common]);
}

#[test]
fn inert_faults_leave_the_run_inconclusive_and_nobody_down() {
    let outcome = run(&plan(1), RunOptions { inert_faults: true, ..RunOptions::default() });
    assert_eq!(outcome.tally.faults, []);
    assert_eq!(outcome.unfired.len(), 1);
    assert_eq!(outcome.conclusion.verdict, Verdict::Inconclusive);
}
