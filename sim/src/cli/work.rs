//! Runs plans on workers and writes each report.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reports::model::{Host, Report, RunMeta, SuiteItem, SuiteReport};
use reports::write;

use super::progress::Progress;
use super::stopwatch::Stopwatch;
use super::{Exit, Failure, select};
use crate::plan::Plan;
use crate::report::{Origin, report, tool};
use crate::run::determinism::{self, Comparison, Divergence};
use crate::run::{Outcome, RunOptions, Stage, simulate_and_explain, suite};

/// One thing to run.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its scenario.
    pub origin: Arc<Origin>,
    /// Its plan.
    pub plan: Plan,
}

impl Item {
    /// A scenario with a seed.
    pub fn new(origin: &Arc<Origin>, seed: u64) -> Result<Item, Failure> {
        Ok(Item { plan: select::plan(origin, seed)?, origin: origin.clone() })
    }
}

/// How a batch is run.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// How each plan is run.
    pub options: RunOptions,
    /// Run each plan twice and compare first.
    pub is_compared: bool,
    /// How many at once.
    pub workers: usize,
    /// Where reports go.
    pub out: &'a Path,
    /// Set by Ctrl-C.
    pub interrupted: &'a AtomicBool,
}

/// What is left of one run.
#[derive(Debug, Clone)]
pub struct Done {
    /// For the suite's report.
    pub item: SuiteItem,
    /// For the suite's exit code.
    pub verdict: suite::SuiteItem,
    /// The report, if it was asked for.
    pub report: Option<Report>,
}

impl Batch<'_> {
    /// Runs all items; results in their order, `None` for what an interruption prevented. `keeps_reports`: reports stay
    /// in memory too. Errors: a report could not be written (the rest is not run).
    pub fn run(&self, items: &[Item], keeps_reports: bool) -> Result<Vec<Option<Done>>, Failure> {
        self.prepare(items)?;
        let progress = Progress::start(items.len());
        let failure = Mutex::new(None);
        let has_failed = AtomicBool::new(false);
        let work = |index: usize| {
            if has_failed.load(Ordering::Relaxed) {
                return None;
            }
            match self.one(&items[index], keeps_reports) {
                Ok(done) => {
                    progress.done(done.item.exit_code == 0);
                    Some(done)
                }
                Err(error) => {
                    has_failed.store(true, Ordering::Relaxed);
                    failure.lock().expect("nobody panics while holding it").get_or_insert(error);
                    None
                }
            }
        };
        let results = suite::spread(items.len(), self.workers, self.interrupted, work);
        progress.finish();
        match failure.into_inner().expect("nobody panics while holding it") {
            Some(failure) => Err(failure),
            None => Ok(results.into_iter().map(Option::flatten).collect()),
        }
    }

    /// Finds out before hours of work whether the results will have a place.
    fn prepare(&self, items: &[Item]) -> Result<(), Failure> {
        for item in items {
            let scenario = &item.origin.parsed.scenario;
            let named = reports::model::Scenario {
                name: scenario.name.clone(),
                variant: scenario.variant.clone(),
                ..Default::default()
            };
            write::run_dir(self.out, &named, reports::model::Seed(item.plan.seed.0))?;
        }
        std::fs::create_dir_all(self.out)
            .map_err(|source| write::WriteError::Directory { dir: self.out.to_owned(), source }.into())
    }

    fn one(&self, item: &Item, keeps_report: bool) -> Result<Done, Failure> {
        let clock = Stopwatch::start();
        let (outcome, report) = self.judged(item);
        let dir = write::run_dir(self.out, &report.scenario, report.seed)?;
        let (_, digest) = write::write_document(&dir, &report)?;
        write::write_document(&dir, &self.meta(&clock))?;
        let mut verdict = suite::SuiteItem::of(&outcome);
        verdict.exit_code = report.exit_code;
        let item = SuiteItem::of(&report, digest);
        Ok(Done { item, verdict, report: keeps_report.then_some(report) })
    }

    fn judged(&self, item: &Item) -> (Outcome, Report) {
        let stage = Stage::kafka();
        let comparison = self.is_compared.then(|| determinism::check(&item.plan, &stage, self.options));
        let outcome = simulate_and_explain(&item.plan, &stage, self.options);
        let mut report = coherent(report(&outcome, &item.origin));
        match comparison {
            Some(Comparison::Differs(divergence)) => differs(&mut report, describe(&divergence)),
            Some(Comparison::Same { fingerprint }) if fingerprint != outcome.fingerprint => {
                differs(&mut report, "a third run differs from two equal ones".to_owned());
            }
            _ => {}
        }
        (outcome, report)
    }

    fn meta(&self, clock: &Stopwatch) -> RunMeta {
        RunMeta {
            wall_us: clock.wall_us(),
            // The process has one CPU clock: with several workers it says nothing about one run.
            cpu_us: if self.workers <= 1 { clock.cpu_us() } else { 0 },
            host: Host { os: std::env::consts::OS.to_owned(), arch: std::env::consts::ARCH.to_owned() },
            rustc: env!("CARGO_PKG_RUST_VERSION").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            workers: self.workers as u64,
            ..RunMeta::new()
        }
    }
}

/// A report that contradicts itself is an internal error; it says so itself, and is written all the same.
pub fn coherent(mut report: Report) -> Report {
    let contradictions = report.contradictions();
    if !contradictions.is_empty() {
        report.exit_code = Exit::Internal.code();
        for contradiction in contradictions {
            let sentence = format!("internal error, the report contradicts itself: {contradiction}");
            eprintln!("kafkasim: {}: {sentence}", report.key());
            report.warnings.push(sentence);
        }
    }
    report
}

fn differs(report: &mut Report, how: String) {
    eprintln!("kafkasim: {}: two runs of this plan differ: {how}", report.key());
    report.exit_code = worst([report.exit_code, Exit::Nondeterminism.code()]);
    report.warnings.push(format!("two runs of this plan differ: {how}"));
}

/// The worst of these exit codes of runs.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    crate::run::worst_exit_code(codes)
}

fn describe(divergence: &Divergence) -> String {
    let line = |line: &Option<crate::run::EventLine>| match line {
        Some(line) => format!("event {} at {} us on {}: {}", line.event, line.at.0, line.host, line.what),
        None => "nothing, it was over".to_owned(),
    };
    match &divergence.first {
        Some([one, other]) => format!("one saw {}; the other saw {}", line(one), line(other)),
        None => format!(
            "fingerprints {} and {}, equal up to event {}",
            divergence.fingerprints[0], divergence.fingerprints[1], divergence.agree_up_to
        ),
    }
}

/// The report of a batch, written to `<out>/suite.json`; and its exit code.
pub fn conclude(
    out: &Path,
    items: &[Item],
    results: &[Option<Done>],
) -> Result<(SuiteReport, PathBuf, Exit), Failure> {
    let keys: Vec<String> = items.iter().map(key).collect();
    let mut sorted: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    sorted.sort_unstable();
    let plan_digest = reports::digest::of_parts(sorted);
    let is_complete = results.iter().all(Option::is_some);
    let done: Vec<&Done> = results.iter().flatten().collect();
    let verdicts: Vec<suite::SuiteItem> = done.iter().map(|done| done.verdict.clone()).collect();
    let forgiven = suite::forgiven(&verdicts);
    let judged =
        done.iter().zip(forgiven).map(|(done, forgiven)| SuiteItem { forgiven, ..done.item.clone() });
    let suite_items = judged.collect();
    let suite = SuiteReport::assemble(tool(), plan_digest, is_complete, suite_items);
    let (path, _) = write::write_document(out, &suite)?;
    let exit = Exit::of_code(i32::from(suite::exit_code(&verdicts)));
    let exit = if is_complete { exit } else { exit.and(Exit::Interrupted) };
    Ok((suite, path, exit))
}

/// `<scenario>[@variant]/seed-<N>`.
pub fn key(item: &Item) -> String {
    let scenario = &item.origin.parsed.scenario;
    let variant = scenario.variant.as_ref().map(|variant| format!("@{variant}")).unwrap_or_default();
    format!("{}{variant}/seed-{}", scenario.name, item.plan.seed)
}

#[cfg(test)]
mod tests {
    use reports::model::{Expected, Outcome, Seed, Verdict};
    use scenarios::model::SeedQuantifier;

    use super::*;

    fn a_report() -> Report {
        let expected = Expected { verdict: Verdict::Pass, check: None };
        Report::unjudged(tool(), reports::model::Scenario::default(), Seed(1), expected)
    }

    #[test]
    fn a_report_that_contradicts_itself_is_an_internal_error() {
        assert_eq!(coherent(a_report()).exit_code, Exit::Inconclusive.code());
        let mut report = a_report();
        report.verdict = Verdict::Pass;
        let report = coherent(report);
        assert_eq!(report.exit_code, Exit::Internal.code());
        assert!(report.warnings.iter().any(|warning| warning.starts_with("internal error")), "{report:?}");
    }

    #[test]
    fn two_runs_that_differ_are_nondeterminism_unless_it_is_worse() {
        let mut report = a_report();
        differs(&mut report, "one saw more".to_owned());
        assert_eq!(report.exit_code, Exit::Nondeterminism.code());
        report.exit_code = Exit::Internal.code();
        differs(&mut report, "one saw more".to_owned());
        assert_eq!(report.exit_code, Exit::Internal.code());
    }

    fn done(exit_code: u8, outcome: Outcome) -> Done {
        let item = SuiteItem { exit_code, outcome, ..SuiteItem::new("a", None, Seed(1)) };
        let (key, group) = (item.key.clone(), "a".to_owned());
        let (seeds, is_absence) = (SeedQuantifier::Every, false);
        let verdict = suite::SuiteItem { key, group, seeds, outcome, exit_code, is_absence };
        Done { item, verdict, report: None }
    }

    #[test]
    fn what_some_other_seed_shows_is_forgiven_in_the_report_too() {
        let out = tempfile::tempdir().unwrap();
        let mut absent = done(1, Outcome::Unexpected);
        (absent.verdict.seeds, absent.verdict.is_absence) = (SeedQuantifier::Some, true);
        let (alone, _, exit) = conclude(out.path(), &[], &[Some(absent.clone())]).unwrap();
        assert_eq!((alone.counts.unexpected, exit), (1, Exit::Unexpected));
        let results = [Some(absent), Some(done(0, Outcome::AsExpected))];
        let (suite, _, exit) = conclude(out.path(), &[], &results).unwrap();
        assert_eq!((suite.counts.unexpected, suite.counts.as_expected, exit), (0, 2, Exit::AsExpected));
        let text = reports::render::suite(&suite, "out", &reports::render::Style::default());
        assert!(text.starts_with("PASS  2 runs") && text.contains("1 run did not show"), "{text}");
    }

    #[test]
    fn a_part_of_a_suite_is_interrupted_whatever_it_found() {
        let out = tempfile::tempdir().unwrap();
        let exit = |results: &[Option<Done>]| conclude(out.path(), &[], results).unwrap().2;
        let (good, bad) = (done(0, Outcome::AsExpected), done(1, Outcome::Unexpected));
        assert_eq!(exit(&[Some(good.clone())]), Exit::AsExpected);
        assert_eq!(exit(&[Some(good.clone()), Some(bad.clone())]), Exit::Unexpected);
        assert_eq!(exit(&[Some(bad), None]), Exit::Interrupted);
        assert_eq!(exit(&[Some(good), Some(done(70, Outcome::Unexpected)), None]), Exit::Internal);
    }
}
