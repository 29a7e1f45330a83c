//! Outcome to report.
//!
//! The only room that knows both sides: what a run leaves behind ([`crate::run::Outcome`]) and what the document says
//! ([`reports::Report`]). It adds nothing and judges nothing; every field is a function of outcome and origin, so that
//! the bytes are a function of binary, scenario and seed.
//!
//! | file | what |
//! |---|---|
//! | `origin.rs` | [`Origin`]: the scenario file and what was changed in it; the commands that show the run again |
//! | `findings.rs` | checks with their evidence, permitted losses, panics, coverage |
//! | `events.rs` | faults, phases, goals, fingerprint |
//! | `cluster.rs` | failovers, availability, ISR changes, elections |
//! | `words.rs` | what the user should know, one sentence each |

mod cluster;
mod events;
mod findings;
mod origin;
mod words;

use std::collections::BTreeMap;

use reports::model::{Check, Clients, Config, Expected, Report, Seed, Tool, Verdict};
use reports::stats::Quantiles;
use scenarios::catalogue::Section;
use scenarios::model::ExpectedVerdict;

pub use origin::Origin;

use crate::run::Outcome;

/// The program that writes reports.
pub fn tool() -> Tool {
    Tool { name: "kafkasim".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), source_digest: None }
}

/// The report of one run.
pub fn report(outcome: &Outcome, origin: &Origin) -> Report {
    let plan = &outcome.plan;
    let seed = Seed(plan.seed.0);
    let mut report = Report::unjudged(tool(), origin.scenario(), seed, expected(outcome));
    report.plan_digest = plan.digest();
    report.verdict = outcome.conclusion.verdict;
    report.outcome = outcome.conclusion.outcome;
    report.exit_code = outcome.conclusion.exit_code;
    report.end_reason = outcome.end_reason;
    report.fingerprint = events::fingerprint(outcome);
    report.time = events::time(outcome);
    report.defects = plan.defects.clone();
    report.faults = events::faults(outcome);
    report.unfired_faults = events::unfired(outcome);
    report.reach = events::reach(outcome);
    report.checks = findings::checks(outcome);
    report.permitted_losses = findings::permitted_losses(outcome);
    report.panics = findings::panics(outcome);
    report.failovers = cluster::failovers(outcome);
    report.availability = cluster::availability(outcome);
    report.isr_changes = cluster::isr_changes(outcome);
    report.elections = cluster::elections(outcome);
    report.clients = clients(outcome);
    report.coverage = findings::coverage(outcome);
    report.config = config(origin);
    report.warnings = words::warnings(outcome, origin);
    report.reproduce = origin.reproduce(seed, moment(&report));
    report
}

fn expected(outcome: &Outcome) -> Expected {
    let expect = &outcome.plan.expect;
    let verdict = match expect.verdict {
        ExpectedVerdict::Pass => Verdict::Pass,
        ExpectedVerdict::Violation => Verdict::Violation,
        ExpectedVerdict::PermittedLoss => Verdict::PermittedLoss,
        ExpectedVerdict::Inconclusive => Verdict::Inconclusive,
    };
    Expected { verdict, check: expect.check.clone() }
}

/// The moment that a reader wants to see, with all that led to it: where the violation that decides shows itself, or a
/// panic before it, or else the last cause of a loss.
fn moment(report: &Report) -> Option<u64> {
    let mut violated: Vec<&Check> = report.violated().collect();
    violated.sort_by_key(|check| check.level);
    let seen = violated
        .iter()
        .filter_map(|check| check.witness.as_ref())
        .find_map(|witness| witness.final_bad_event.or(witness.first_bad_event));
    let panic = report.panics.iter().map(|panic| panic.event).min();
    let lost =
        report.permitted_losses.iter().flat_map(|loss| &loss.responsible).map(|cause| cause.event).max();
    seen.into_iter().chain(panic).min().or(lost)
}

fn clients(outcome: &Outcome) -> Clients {
    let tally = &outcome.tally;
    Clients {
        produced: tally.produced,
        acked: tally.acked,
        failed: tally.failed,
        indeterminate: tally.indeterminate,
        ack_latency_us: Quantiles::of(&mut tally.ack_latencies_us.clone()),
    }
}

fn config(origin: &Origin) -> Config {
    let section = |section: Section| section.configs().iter().map(move |config| (section.word(), config));
    let all = Section::ALL.into_iter().flat_map(section);
    let defaults: BTreeMap<String, &str> =
        all.map(|(section, config)| (format!("{section}: {}", config.name), config.default)).collect();
    Config {
        unmodelled: origin.parsed.unmodelled_configs.clone(),
        defaults_digest: reports::digest::of_json(&defaults),
    }
}
