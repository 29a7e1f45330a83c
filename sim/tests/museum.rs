//! What the judge can be trusted with: a planted defect turns the run red by the check that the scenario names, the
//! same run without the defect stays green, a permitted loss is counted exactly, and without faults nothing is proven.
//!
//! Scenarios are found by walking the directories: a new piece is covered the moment it is there.

mod proof;

use std::sync::atomic::{AtomicBool, Ordering};

use proof::{Piece, pieces, run_all, scenario};
use reports::model::{CheckResult, Outcome as Word, Verdict};
use scenarios::model::ExpectedVerdict;
use scenarios::{Overrides, Parsed};
use sim::plan::Plan;
use sim::report::report;
use sim::run::suite::{self, SuiteOptions};
use sim::run::{Outcome, RunOptions, Stage};

/// Every piece is shown on these seeds.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=20;
const WORKERS: usize = 2;

/// Paths below `scenarios/` of all scenarios in a directory of it; of all, if it is empty.
fn files(directory: &str) -> Vec<String> {
    let shipped = proof::root().join("scenarios");
    let found = scenarios::shipped::files(&shipped).unwrap_or_else(|error| panic!("{error}"));
    let below = |path: &std::path::Path| {
        let path = path.strip_prefix(&shipped).expect("found below it");
        path.to_str().expect("shipped names are plain").to_owned()
    };
    let found: Vec<String> = found.iter().map(|file| below(&file.path)).collect();
    let found: Vec<String> = found.into_iter().filter(|file| file.starts_with(directory)).collect();
    assert!(!found.is_empty(), "no scenario was found in scenarios/{directory}");
    found
}

fn variant(file: &str, name: &str) -> Parsed {
    scenario(file, &Overrides { variant: Some(name.to_owned()), ..Overrides::default() })
}

/// What the file's own `[expect]` names: the check, and how it must have ended.
fn expected(parsed: &Parsed) -> String {
    let check = parsed.scenario.expect.check.clone();
    check.unwrap_or_else(|| panic!("{} names no check", parsed.file_name))
}

fn result_of(outcome: &Outcome, check: &str) -> Option<CheckResult> {
    outcome.judgement.findings.iter().find(|finding| finding.check == check).map(|finding| finding.result)
}

/// One line for each run that is not what it must be, or whose report contradicts itself.
fn failures(parsed: &Parsed, want: Verdict, extra: impl Fn(&Outcome) -> bool + Sync) -> Vec<String> {
    let judge = |piece: &Piece, outcome: &Outcome| {
        let got = &outcome.conclusion;
        let is_right = got.verdict == want && got.outcome == Word::AsExpected && got.exit_code == 0;
        let contradictions = report(outcome, &piece.origin).contradictions();
        (!is_right || !extra(outcome) || !contradictions.is_empty()).then(|| {
            let (word, reasons) = (got.outcome, &got.reasons);
            format!("{}: {} {word:?} {reasons:?} {contradictions:?}", outcome.key(), got.verdict)
        })
    };
    let pieces = pieces(parsed, SEEDS);
    run_all(&pieces, WORKERS, RunOptions::default(), judge).into_iter().flatten().collect()
}

#[test]
fn every_defect_has_its_piece() {
    let pieces: Vec<String> = files("museum/");
    for defect in broker::defects::Defect::ALL {
        let file = format!("museum/{}-{}.toml", defect.id(), defect.name());
        assert!(pieces.contains(&file), "{file} is missing");
    }
}

#[test]
fn every_museum_piece_turns_red_by_its_check_and_its_control_stays_green() {
    let mut wrong = Vec::new();
    for file in files("museum/").iter().filter(|file| !file.contains("/swarm-")) {
        let directed = scenario(file, &Overrides::default());
        let check = expected(&directed);
        let is_caught = |outcome: &Outcome| result_of(outcome, &check) == Some(CheckResult::Violated);
        wrong.extend(failures(&directed, Verdict::Violation, is_caught));
        let is_clean = |outcome: &Outcome| {
            let findings = &outcome.judgement.findings;
            findings.iter().all(|finding| finding.result != CheckResult::Violated)
        };
        // Records of a topic that the schedule deletes are gone by request, with or without the defect.
        let control = variant(file, "control");
        let green = match control.scenario.expect.verdict {
            ExpectedVerdict::PermittedLoss => Verdict::PermittedLoss,
            _ => Verdict::Pass,
        };
        wrong.extend(failures(&control, green, is_clean));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_recipe_shows_exactly_what_it_permits_and_its_safe_variant_nothing() {
    let mut wrong = Vec::new();
    for file in files("recipes/") {
        let (recipe, safe) = (scenario(&file, &Overrides::default()), variant(&file, "safe"));
        let expect = &recipe.scenario.expect;
        match expect.verdict {
            // Nothing was promised: how much is gone is a goal of its own.
            ExpectedVerdict::Pass => {
                assert!(!expect.reach.is_empty(), "{file} does not say what comes of it");
                wrong.extend(failures(&recipe, Verdict::Pass, |_| true));
                wrong.extend(failures(&safe, Verdict::Pass, |_| true));
            }
            ExpectedVerdict::PermittedLoss => {
                let (check, counts) = (expected(&recipe), &expect.count);
                assert!(!counts.is_empty(), "{file} does not say how much it loses");
                let is_exact = |outcome: &Outcome| {
                    let found = outcome.judgement.findings.iter().find(|finding| finding.check == check);
                    found.is_some_and(|finding| {
                        finding.result == CheckResult::PermittedLoss
                            && counts.iter().all(|wanted| wanted.holds(finding.count))
                    })
                };
                wrong.extend(failures(&recipe, Verdict::PermittedLoss, is_exact));
                let is_kept = |outcome: &Outcome| result_of(outcome, &check) == Some(CheckResult::Held);
                wrong.extend(failures(&safe, Verdict::Pass, is_kept));
            }
            // An outage that is longer than the recipe's own bound.
            _ => {
                let check = expected(&recipe);
                let is =
                    |result| move |outcome: &Outcome, check: &str| result_of(outcome, check) == Some(result);
                let (is_out, is_kept) = (is(CheckResult::Violated), is(CheckResult::Held));
                wrong.extend(failures(&recipe, Verdict::Violation, |outcome| is_out(outcome, &check)));
                wrong.extend(failures(&safe, Verdict::Pass, |outcome| is_kept(outcome, &check)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Checks that a lost acknowledged record trips, the earliest first.
const LOSS_CHECKS: [&str; 3] = ["candidates-complete", "leader-complete", "acked-writes-durable"];

/// The lowest seed on which random faults show a planted defect, among those that ran before one did.
fn shown_by_random_faults(defect: &str, seeds: u64) -> Option<u64> {
    let set = vec![("defects".to_owned(), format!("[\"{defect}\"]"))];
    let parsed = scenario("chaos/random-faults.toml", &Overrides { set, ..Overrides::default() });
    let plans: Vec<Plan> = pieces(&parsed, 1..=seeds).into_iter().map(|piece| piece.plan).collect();
    let is_shown = AtomicBool::new(false);
    let options = SuiteOptions { workers: WORKERS, run: RunOptions::default(), interrupted: &is_shown };
    let results = suite::run(&plans, &Stage::kafka(), &options, |_, outcome| {
        let is_violated = |check: &&str| result_of(&outcome, check) == Some(CheckResult::Violated);
        let seed = LOSS_CHECKS.iter().any(is_violated).then_some(outcome.plan.seed.0);
        is_shown.fetch_or(seed.is_some(), Ordering::Relaxed);
        seed
    });
    results.into_iter().flatten().flatten().min()
}

#[test]
fn random_faults_find_planted_defects_too() {
    // Measured over seeds 1..200: R01 is shown by 99 of them (first by seed 3), R06 by 16 (first by seed 2). R05 is
    // shown by none: its leader must die while a follower that joined too early still lacks what was acknowledged,
    // and one broker at a time rarely leaves that window. Its directed scenario is what shows it.
    for defect in ["R01", "R06"] {
        let shown = shown_by_random_faults(defect, 200);
        assert!(shown.is_some(), "{defect} went unnoticed on 200 seeds of random faults");
    }
}

/// Planted defects that break something in every run, whether a fault strikes or not: their controls are what tells.
const NEED_NO_FAULT: [&str; 3] =
    ["museum/K01-vote-not-durable", "museum/K06-no-pre-vote", "museum/K07-fixed-election-timeout"];

#[test]
fn nothing_is_proven_without_faults() {
    let mut plans = Vec::new();
    for file in files("") {
        let parsed = scenario(&file, &Overrides::default());
        let variants = parsed.scenario.variants.iter().map(|known| variant(&file, &known.name));
        let all: Vec<Parsed> = variants.chain([parsed.clone()]).collect();
        plans.extend(all.iter().flat_map(|parsed| pieces(parsed, [1])));
    }
    plans.retain(|piece| !piece.plan.faults.is_empty());
    assert!(plans.len() > 10, "the shipped scenarios break nothing any more");
    let inert = RunOptions { inert_faults: true, ..RunOptions::default() };
    let wrong = run_all(&plans, WORKERS, inert, |_, outcome| {
        let got = &outcome.conclusion;
        if NEED_NO_FAULT.contains(&outcome.plan.scenario.as_str()) && outcome.plan.variant.is_none() {
            return None;
        }
        (got.verdict != Verdict::Inconclusive || got.exit_code != 2 || !outcome.tally.faults.is_empty())
            .then(|| format!("{}: {} {:?}", outcome.key(), got.verdict, got.reasons))
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
