//! Whole runs of shipped scenarios with Kafka nodes and Kafka clients.

use std::path::Path;

use reports::model::{CheckResult, EndReason, Verdict};
use sim::plan::Plan;
use sim::run::determinism::{self, Comparison};
use sim::run::{Outcome, RunOptions, Stage, simulate, simulate_and_explain};
use sim::seed::Seed;

fn plan(file: &str, seed: u64) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(file);
    let parsed = scenarios::load(&path).unwrap_or_else(|error| panic!("{error}"));
    Plan::draw(&parsed, Seed(seed)).unwrap()
}

fn run(file: &str, seed: u64) -> Outcome {
    simulate(&plan(file, seed), &Stage::kafka(), RunOptions::default())
}

fn assert_lively(outcome: &Outcome) {
    let story = format!(
        "{}\n{:?} {:?} at {}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        outcome.key(),
        outcome.end_reason,
        outcome.failure,
        outcome.at,
        (&outcome.unsettled, outcome.tally.acked, outcome.tally.consumed),
        outcome.tally.faults,
        outcome.tally.panics,
        outcome.tally.halts,
        outcome.unfired,
    );
    assert_eq!(outcome.end_reason, EndReason::Settled, "{story}");
    assert!(outcome.phases.iter().all(|phase| phase.is_met), "{story}");
    assert!(outcome.tally.panics.is_empty(), "{story}");
    assert!(!outcome.judgement.coverage.is_empty(), "{story}");
    assert!(outcome.tally.acked > 0 && outcome.tally.consumed > 0, "{story}");
}

#[test]
fn the_quickstart_runs() {
    let outcome = run("quickstart.toml", 1);
    assert_lively(&outcome);
    assert_eq!(outcome.unfired, []);
    assert_eq!(outcome.conclusion.verdict, Verdict::Pass, "{:#?}", outcome.conclusion);
}

#[test]
fn a_leader_crash_is_survived() {
    let outcome = run("failover/leader-crash.toml", 1);
    assert_lively(&outcome);
    assert_eq!(outcome.unfired, []);
}

#[test]
fn a_run_with_clients_is_the_same_twice() {
    match determinism::check(&plan("quickstart.toml", 2), &Stage::kafka(), RunOptions::default()) {
        Comparison::Same { .. } => {}
        Comparison::Differs(divergence) => panic!("{divergence:#?}"),
    }
}

#[test]
fn a_museum_piece_is_explained_by_the_same_run_and_proves_nothing_without_its_faults() {
    let plan = plan("museum/R01-truncate-to-high-watermark.toml", 1);
    let explained = simulate_and_explain(&plan, &Stage::kafka(), RunOptions::default());
    let is_violated =
        explained.judgement.findings.iter().any(|finding| finding.result == CheckResult::Violated);
    assert_eq!(is_violated, explained.trace.is_some());
    assert_eq!(explained.warnings, [""; 0]);
    let inert = simulate(&plan, &Stage::kafka(), RunOptions { inert_faults: true, ..RunOptions::default() });
    assert_eq!(inert.conclusion.verdict, Verdict::Inconclusive, "{:#?}", inert.conclusion);
    assert_eq!(inert.tally.faults, []);
}
