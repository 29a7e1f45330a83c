//! What happened against what was expected. The only place that decides a verdict.

use broker::ids::TopicPartition;
use reports::model::{CheckResult, EndReason, Outcome, Verdict};
use scenarios::model::{Expect, ExpectedVerdict, Level, PartitionIndex, PartitionRef};

use super::outcome::ReachRecord;
use super::{Finding, NodePanic};
use crate::nemesis::{PhaseRecord, Unfired};

/// Everything that a verdict depends on.
pub struct Evidence<'a> {
    /// What the scenario expects.
    pub expect: &'a Expect,
    /// Checks that the scenario names: they must have been exercised.
    pub named_checks: &'a [String],
    /// What the judge found.
    pub findings: &'a [Finding],
    /// Faults that never struck.
    pub unfired: &'a [Unfired],
    /// Goals.
    pub reach: &'a [ReachRecord],
    /// Phases.
    pub phases: &'a [PhaseRecord],
    /// Panics.
    pub panics: &'a [NodePanic],
    /// Why the run ended.
    pub end_reason: EndReason,
    /// The simulator itself could not go on.
    pub is_internal_error: bool,
}

/// What happened, what that means, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    /// What happened.
    pub verdict: Verdict,
    /// Against what was expected.
    pub outcome: Outcome,
    /// The exit code that this run alone gives.
    pub exit_code: u8,
    /// Why it is not simply green, one sentence each.
    pub reasons: Vec<String>,
    /// The one thing wrong is that an expected finding is absent: another seed may show it.
    pub is_absence: bool,
}

/// Exit code for an internal error, or a panic that no invariant of ours raised.
const INTERNAL: u8 = 70;
/// Exit code for two runs of one plan that differ.
const NONDETERMINISM: u8 = 3;
/// Exit code for an unexpected verdict.
const UNEXPECTED: u8 = 1;
/// Exit code for a run that proves nothing.
const INCONCLUSIVE: u8 = 2;

/// The exit code of an outcome.
pub fn exit_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::AsExpected => 0,
        Outcome::Unexpected => UNEXPECTED,
        Outcome::Inconclusive => INCONCLUSIVE,
    }
}

/// The exit code of several: 70 before 3 before 1 before 2 before 0; others (never given by runs) after 70.
pub fn worst_exit_code(codes: impl IntoIterator<Item = u8>) -> u8 {
    let rank = |code: &u8| match *code {
        INTERNAL => 5,
        NONDETERMINISM => 3,
        UNEXPECTED => 2,
        INCONCLUSIVE => 1,
        0 => 0,
        _ => 4,
    };
    codes.into_iter().max_by_key(rank).unwrap_or(0)
}

/// Judges a run. A violation is a violation whatever else is missing; without one, anything that is missing makes the
/// run inconclusive: never a lucky green (DESIGN decision 7).
pub fn judge_run(evidence: &Evidence<'_>) -> Conclusion {
    let is_weighty = |finding: &&Finding| finding.level == Level::Error;
    let weighty = || evidence.findings.iter().filter(is_weighty);
    let violated: Vec<&Finding> = weighty().filter(|f| f.result == CheckResult::Violated).collect();
    let permitted: Vec<&Finding> = weighty().filter(|f| f.result == CheckResult::PermittedLoss).collect();
    let missing = missing(evidence);
    let mut reasons: Vec<String> = evidence
        .panics
        .iter()
        .map(|panic| format!("{} panicked: {}", panic.host, panic.message.lines().next().unwrap_or_default()))
        .collect();
    reasons.extend(violated.iter().map(|finding| describe(finding, "is violated")));
    let verdict = if !reasons.is_empty() {
        Verdict::Violation
    } else if !missing.is_empty() {
        Verdict::Inconclusive
    } else if !permitted.is_empty() {
        reasons.extend(permitted.iter().map(|finding| describe(finding, "finds a permitted loss")));
        Verdict::PermittedLoss
    } else {
        Verdict::Pass
    };
    reasons.extend(missing);
    let (outcome, is_absence) = compare(evidence, verdict, &violated, &permitted, &mut reasons);
    let is_internal = evidence.is_internal_error || evidence.panics.iter().any(|panic| !panic.is_asserted());
    let exit_code = if is_internal { INTERNAL } else { exit_code(outcome) };
    Conclusion { verdict, outcome, exit_code, reasons, is_absence }
}

fn describe(finding: &Finding, what: &str) -> String {
    match &finding.summary {
        Some(summary) => format!("{} {what}: {summary}", finding.check),
        None => format!("{} {what} ({} times)", finding.check, finding.count),
    }
}

/// Everything without which a run proves nothing.
fn missing(evidence: &Evidence<'_>) -> Vec<String> {
    let mut missing = Vec::new();
    for fault in evidence.unfired {
        missing.push(format!("fault {} did nothing: {}", fault.id, fault.detail));
    }
    for goal in evidence.reach.iter().filter(|goal| !goal.is_met) {
        missing.push(format!("goal {} not reached: {} wanted, {} seen", goal.name, goal.want, goal.got));
    }
    for phase in evidence.phases.iter().filter(|phase| !phase.is_met) {
        missing.push(format!("phase {} ended without what it waited for", phase.name));
    }
    match evidence.end_reason {
        EndReason::Settled | EndReason::Panic => {}
        other => missing.push(format!("the run did not come to its end: {other}")),
    }
    let evaluated = evidence.findings.iter().any(|finding| finding.evaluations > 0);
    if !evaluated {
        missing.push("no check was ever evaluated".to_owned());
    }
    for name in evidence.named_checks {
        if !evidence.findings.iter().any(|finding| finding.check == *name) {
            missing.push(format!("check {name} is named by the scenario and is not evaluated by this judge"));
        }
    }
    for finding in evidence.findings {
        if finding.result == CheckResult::Vacuous
            && finding.level != Level::Off
            && evidence.named_checks.contains(&finding.check)
        {
            missing.push(format!("check {} is named by the scenario and was never exercised", finding.check));
        }
    }
    missing
}

fn compare(
    evidence: &Evidence<'_>,
    verdict: Verdict,
    violated: &[&Finding],
    permitted: &[&Finding],
    reasons: &mut Vec<String>,
) -> (Outcome, bool) {
    let expect = evidence.expect;
    let (wanted, found) = match expect.verdict {
        ExpectedVerdict::Pass => (Verdict::Pass, &[][..]),
        ExpectedVerdict::Inconclusive => (Verdict::Inconclusive, &[][..]),
        ExpectedVerdict::Violation => (Verdict::Violation, violated),
        ExpectedVerdict::PermittedLoss => (Verdict::PermittedLoss, permitted),
    };
    if verdict != wanted {
        if verdict == Verdict::Inconclusive {
            return (Outcome::Inconclusive, false);
        }
        reasons.push(format!("{wanted} was expected, {verdict} came"));
        let is_absence = verdict != Verdict::Violation && expect.verdict != ExpectedVerdict::Pass;
        return (Outcome::Unexpected, is_absence);
    }
    let Some(check) = &expect.check else { return (Outcome::AsExpected, false) };
    let Some(named) = found.iter().find(|finding| finding.check == *check) else {
        reasons.push(format!("{check} was expected to find it, and did not"));
        return (Outcome::Unexpected, false);
    };
    // A panic is what this check finds; for every other one it is something else.
    let is_panic_meant = named.check == "broker-invariants";
    let is_panic_extra = !evidence.panics.is_empty() && !is_panic_meant;
    let surplus = wanted == Verdict::Violation && (found.len() > 1 || is_panic_extra);
    if surplus {
        reasons.push(format!("more than {check} is violated"));
        return (Outcome::Unexpected, false);
    }
    if let Some(place) = &expect.partition
        && !named.partitions.iter().any(|partition| is_at(place, partition))
    {
        reasons.push(format!(
            "{check} was expected at {place}, and found it at {}",
            named.partitions.join(", ")
        ));
        return (Outcome::Unexpected, false);
    }
    match expect.count.iter().find(|wanted| !wanted.holds(named.count)) {
        Some(wanted) => {
            reasons.push(format!("{check} was expected to count {wanted}, and counts {}", named.count));
            (Outcome::Unexpected, false)
        }
        None => (Outcome::AsExpected, false),
    }
}

fn is_at(place: &PartitionRef, partition: &str) -> bool {
    match place.partition {
        PartitionIndex::One(index) => {
            partition == TopicPartition::new(place.topic.as_str(), index as i32).to_string()
        }
        PartitionIndex::All => partition.rsplit_once('/').is_some_and(|(topic, _)| topic == place.topic),
    }
}
