//! What the judge found.

use reports::model as m;
use reports::model::Offset;
use scenarios::model::Level;

use crate::check::{self, CheckResult, EvidenceStep, Question, Story, Violation, explain};
use crate::plan::{HostId, Plan};
use crate::run::{Finding, NodePanic, Outcome};

/// Shown in the place of a machine for what concerns the whole world.
const WORLD: &str = "world";

pub(super) fn checks(outcome: &Outcome) -> Vec<m::Check> {
    let results = &outcome.judgement.checks;
    let of = |finding: &Finding| {
        let result = results.iter().find(|result| result.name == finding.check);
        check(outcome, finding, result)
    };
    outcome.judgement.findings.iter().map(of).collect()
}

fn check(outcome: &Outcome, finding: &Finding, result: Option<&CheckResult>) -> m::Check {
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
        witness: violation.map(|violation| witness(outcome, &finding.check, violation)),
    }
}

/// The first violation in full: it is the cause, later ones follow from it more often than not.
fn witness(outcome: &Outcome, check: &str, violation: &Violation) -> m::Witness {
    let plan = &outcome.plan;
    let told = story(outcome, &Question::of_violation(check, violation));
    let Story { steps, records } =
        told.unwrap_or_else(|| Story { steps: violation.steps.clone(), ..Story::default() });
    let row = check::CHECKS.iter().find(|row| row.name == check);
    let is_history = row.is_some_and(|row| row.kind == check::CheckKind::History);
    let seen = Some(violation.event);
    m::Witness {
        partition: violation.partition.as_ref().map(ToString::to_string),
        offsets: violation.offsets.map(|(first, last)| [Offset(first), Offset(last)]),
        keys_sample: records,
        steps: steps.iter().map(|step| self::step(plan, step)).collect(),
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
        offset: step.facts.offset.map(Offset),
        leader_epoch: step.facts.leader_epoch,
        partition_epoch: step.facts.partition_epoch,
        hw: step.facts.high_watermark.map(Offset),
        leo: step.facts.log_end.map(Offset),
    }
}

/// The story of a finding, if the trace was kept and reaches so far.
fn story(outcome: &Outcome, question: &Question<'_>) -> Option<Story> {
    explain(&outcome.plan, outcome.trace.as_deref()?, question)
}

fn node(plan: &Plan, host: Option<HostId>) -> String {
    host.map_or(WORLD, |host| plan.host_name(host)).to_owned()
}

/// Losses that the configuration allows, of checks that decide something.
pub(super) fn permitted_losses(outcome: &Outcome) -> Vec<m::PermittedLoss> {
    let decides = |result: &&CheckResult| outcome.plan.level(result.name) == Level::Error;
    let results = outcome.judgement.checks.iter().filter(decides);
    let mut losses: Vec<m::PermittedLoss> = Vec::new();
    let all = results.flat_map(|result| result.permitted.iter().map(|loss| (result.name, loss)));
    for loss in all.map(|(check, loss)| permitted_loss(outcome, check, loss)) {
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

fn permitted_loss(outcome: &Outcome, check: &str, loss: &check::PermittedLoss) -> m::PermittedLoss {
    let known = loss.responsible.iter().map(|cause| m::Responsible {
        fault: cause.fault.clone(),
        event: cause.event,
        t_us: cause.at.0,
        what: cause.what.clone(),
    });
    let mut responsible: Vec<m::Responsible> = match story(outcome, &Question::of_loss(check, loss)) {
        // The last step is the clause that allows it, which the loss says itself.
        Some(story) => {
            story.steps.iter().rev().skip(1).rev().map(|step| cause(&outcome.plan, step)).collect()
        }
        None => Vec::new(),
    };
    // The clause names who is responsible; the story tells how it came to that.
    for cause in known {
        if !responsible.iter().any(|told| told.event == cause.event) {
            responsible.push(cause);
        }
    }
    responsible.sort_by_key(|cause| cause.event);
    m::PermittedLoss {
        partition: loss.partition.to_string(),
        offsets: [Offset(loss.offsets.0), Offset(loss.offsets.1)],
        count: loss.records,
        reason: loss.reason.clone(),
        responsible,
    }
}

/// One step as a cause; a fault says itself whom it strikes.
fn cause(plan: &Plan, step: &EvidenceStep) -> m::Responsible {
    let what = match &step.fault {
        // Who is responsible has its own field.
        Some(_) => step.what.split(" (fault ").next().unwrap_or(&step.what).to_owned(),
        None => format!("{}: {}", node(plan, step.host), step.what),
    };
    m::Responsible { fault: step.fault.clone(), event: step.event, t_us: step.at.0, what }
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
