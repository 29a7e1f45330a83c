//! What the proofs share: shipped scenarios as plans with their origin, run by two workers.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use scenarios::{Overrides, Parsed};
use sim::plan::Plan;
use sim::report::Origin;
use sim::run::suite::{self, SuiteOptions};
use sim::run::{Outcome, RunOptions, Stage};
use sim::seed::Seed;

/// A scenario file with what was changed in it, and its plan for one seed.
pub struct Piece {
    pub plan: Plan,
    pub origin: Origin,
}

/// Where people stand when they run the commands of the README.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// A scenario of `scenarios/`, by its path below it.
pub fn scenario(file: &str, overrides: &Overrides) -> Parsed {
    let path = root().join("scenarios").join(file);
    scenarios::load_with(&path, overrides).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// One plan per seed.
pub fn pieces(parsed: &Parsed, seeds: impl IntoIterator<Item = u64>) -> Vec<Piece> {
    let piece = |seed| Piece {
        plan: Plan::draw(parsed, Seed(seed)).unwrap_or_else(|error| panic!("seed {seed}: {error}")),
        origin: Origin::new(parsed.clone(), &root()),
    };
    seeds.into_iter().map(piece).collect()
}

/// Runs every piece on so many workers, and makes something of each outcome; in order.
pub fn run_all<T: Send>(
    pieces: &[Piece],
    workers: usize,
    run: RunOptions,
    keep: impl Fn(&Piece, &Outcome) -> T + Sync,
) -> Vec<T> {
    let plans: Vec<Plan> = pieces.iter().map(|piece| piece.plan.clone()).collect();
    let never = AtomicBool::new(false);
    let options = SuiteOptions { workers, run, interrupted: &never };
    let keep = |index: usize, outcome: Outcome| keep(&pieces[index], &outcome);
    let results = suite::run(&plans, &Stage::kafka(), &options, keep);
    results.into_iter().map(|result| result.expect("nobody interrupts")).collect()
}
