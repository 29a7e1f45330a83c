//! What the judge found.

use reports::model as m;
use reports::model::Offset;
use scenarios::model::Level;

use crate::check::{self, CheckResult, EvidenceStep, Violation};
use crate::plan::{HostId, Plan};
use crate::run::{Finding, NodePanic, Outcome};

/// Shown in the place of a machine for what concerns the whole world.
const WORLD: &str = "world";

pub(super) fn checks(outcome: &Outcome) -> Vec<m::Check> {
    let results = &outcome.judgement.checks;
    let of = |finding: &Finding| {
        let result = results.iter().find(|result| result.name == finding.check);
        check(&outcome.plan, finding, result)
    };
    outcome.judgement.findings.iter().map(of).collect()
}

fn check(plan: &Plan, finding: &Finding, result: Option<&CheckResult>) -> m::Check {
    let violation = result.and_then(|result| result.violations.first());
    m::Check {
        name: finding.check.clone(),
        level: match finding.level {
            Level::Error => m::CheckLevel::Error,
            Level::Warn => m::CheckLevel::Warn,
            Level::Off => m::CheckLevel::Info,
        },
        result: finding.result,
        count: finding.count,
        examined: finding.examined,
        evaluations: finding.evaluations,
        summary: finding.summary.clone(),
        witness: violation.map(|violation| witness(plan, &finding.check, violation)),
    }
}

/// The first violation in full: it is the cause, later ones follow from it more often than not.
fn witness(plan: &Plan, check: &str, violation: &Violation) -> m::Witness {
    let row = check::CHECKS.iter().find(|row| row.name == check);
    let is_history = row.is_some_and(|row| row.kind == check::CheckKind::History);
    let seen = Some(violation.event);
    m::Witness {
        partition: violation.partition.as_ref().map(ToString::to_string),
        offsets: violation.offsets.map(|(first, last)| [Offset(first), Offset(last)]),
        keys_sample: Vec::new(),
        steps: violation.steps.iter().map(|step| self::step(plan, step)).collect(),
        spec: row.map(|row| row.source.to_owned()),
        // A state check sees it where it becomes inevitable, a history check where a client could see it.
        first_bad_event: if is_history { None } else { seen },
        final_bad_event: if is_history { seen } else { None },
    }
}

fn step(plan: &Plan, step: &EvidenceStep) -> m::Step {
    m::Step {
        event: step.event,
        t_us: step.at.0,
        node: node(plan, step.host),
        what: step.what.clone(),
        ..m::Step::default()
    }
}

fn node(plan: &Plan, host: Option<HostId>) -> String {
    host.map_or(WORLD, |host| plan.host_name(host)).to_owned()
}

/// Losses that the configuration allows, of checks that decide something.
pub(super) fn permitted_losses(outcome: &Outcome) -> Vec<m::PermittedLoss> {
    let decides = |result: &&CheckResult| outcome.plan.level(result.name) == Level::Error;
    let results = outcome.judgement.checks.iter().filter(decides);
    let mut losses: Vec<m::PermittedLoss> = Vec::new();
    for loss in results.flat_map(|result| &result.permitted).map(permitted_loss) {
        // Several checks may see the same records go.
        let is_known = |known: &m::PermittedLoss| {
            known.partition == loss.partition && known.offsets == loss.offsets && known.reason == loss.reason
        };
        if !losses.iter().any(is_known) {
            losses.push(loss);
        }
    }
    losses
}

fn permitted_loss(loss: &check::PermittedLoss) -> m::PermittedLoss {
    let responsible = loss.responsible.iter().map(|cause| m::Responsible {
        fault: cause.fault.clone(),
        event: cause.event,
        t_us: cause.at.0,
        what: cause.what.clone(),
    });
    m::PermittedLoss {
        partition: loss.partition.to_string(),
        offsets: [Offset(loss.offsets.0), Offset(loss.offsets.1)],
        count: loss.records,
        reason: loss.reason.clone(),
        responsible: responsible.collect(),
    }
}

pub(super) fn panics(outcome: &Outcome) -> Vec<m::Panic> {
    outcome.tally.panics.iter().map(panic).collect()
}

fn panic(panic: &NodePanic) -> m::Panic {
    let (message, location) = split_location(&panic.message);
    m::Panic {
        node: panic.host.clone(),
        event: panic.event,
        t_us: panic.at.0,
        message: message.to_owned(),
        location: location.map(str::to_owned),
        asserted: panic.is_asserted(),
    }
}

/// The message and the place at its end, `text (file:line:column)`.
fn split_location(text: &str) -> (&str, Option<&str>) {
    let place = text.strip_suffix(')').and_then(|text| text.rsplit_once(" ("));
    match place {
        Some((message, place)) if place.contains(".rs:") => (message, Some(place)),
        _ => (text, None),
    }
}

/// The goals of the language are the probes: what of them a run has seen.
pub(super) fn coverage(outcome: &Outcome) -> m::Coverage {
    let counts = &outcome.judgement.coverage;
    let missed = counts.iter().filter(|(_, count)| **count == 0).map(|(name, _)| name.clone());
    m::Coverage {
        probes_hit: counts.values().filter(|count| **count > 0).count() as u64,
        probes_total: counts.len() as u64,
        missed: missed.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_panic_is_told_apart_from_its_words() {
        let place = "broker/src/log/mod.rs:12:5";
        let text = format!("offsets (of a log) rise ({place})");
        assert_eq!(split_location(&text), ("offsets (of a log) rise", Some(place)));
        assert_eq!(split_location("no place (at all)"), ("no place (at all)", None));
    }
}
