//! The table of verdicts: what was seen, what was expected, what that means.

use broker::time::Instant;
use reports::model::{CheckResult, EndReason, Outcome, Verdict};
use scenarios::model::*;

use super::outcome::ReachRecord;
use super::verdict::{Conclusion, Evidence, judge_run};
use super::{Finding, NodePanic};
use crate::nemesis::{PhaseRecord, Unfired, UnfiredReason};

/// What a run looked like; the default is a good one.
struct Seen {
    expect: Expect,
    findings: Vec<Finding>,
    unfired: Vec<Unfired>,
    reach: Vec<ReachRecord>,
    phases: Vec<PhaseRecord>,
    panics: Vec<NodePanic>,
    end_reason: EndReason,
}

const DURABLE: &str = "acked-writes-durable";

fn finding(check: &str, result: CheckResult) -> Finding {
    Finding {
        check: check.into(),
        level: Level::Error,
        result,
        count: 3,
        evaluations: 10,
        examined: 10,
        partitions: vec!["orders/0".into()],
        summary: None,
        last_event: None,
    }
}

fn good() -> Seen {
    Seen {
        expect: Expect::default(),
        findings: vec![finding(DURABLE, CheckResult::Held), finding("log-matching", CheckResult::Held)],
        unfired: Vec::new(),
        reach: Vec::new(),
        phases: Vec::new(),
        panics: Vec::new(),
        end_reason: EndReason::Settled,
    }
}

fn judge(seen: &Seen) -> Conclusion {
    judge_run(&Evidence {
        expect: &seen.expect,
        named_checks: &[DURABLE.to_owned()],
        findings: &seen.findings,
        unfired: &seen.unfired,
        reach: &seen.reach,
        phases: &seen.phases,
        panics: &seen.panics,
        end_reason: seen.end_reason,
        is_internal_error: false,
    })
}

fn assert_judged(change: impl Fn(&mut Seen), verdict: Verdict, outcome: Outcome, exit_code: u8) {
    let mut seen = good();
    change(&mut seen);
    let judged = judge(&seen);
    assert_eq!(
        (judged.verdict, judged.outcome, judged.exit_code),
        (verdict, outcome, exit_code),
        "{judged:?}"
    );
}

fn violated(seen: &mut Seen) {
    seen.findings[0].result = CheckResult::Violated;
}

fn expects(seen: &mut Seen, verdict: ExpectedVerdict) {
    seen.expect.verdict = verdict;
    seen.expect.check = Some(DURABLE.into());
}

fn unfired() -> Unfired {
    Unfired {
        id: "kill".into(),
        kind: "crash".into(),
        trigger: "at 1s".into(),
        reason: UnfiredReason::NoTarget,
        detail: String::new(),
    }
}

#[test]
fn a_good_run_passes() {
    assert_judged(|_| {}, Verdict::Pass, Outcome::AsExpected, 0);
}

#[test]
fn a_violation_that_nobody_expected() {
    assert_judged(violated, Verdict::Violation, Outcome::Unexpected, 1);
    let as_warning = |seen: &mut Seen| {
        violated(seen);
        seen.findings[0].level = Level::Warn;
    };
    assert_judged(as_warning, Verdict::Pass, Outcome::AsExpected, 0);
}

#[test]
fn an_expected_violation_must_be_the_named_one_there_and_as_often_and_alone() {
    let expected = |seen: &mut Seen| {
        violated(seen);
        expects(seen, ExpectedVerdict::Violation);
    };
    assert_judged(expected, Verdict::Violation, Outcome::AsExpected, 0);
    let absent = |seen: &mut Seen| expects(seen, ExpectedVerdict::Violation);
    assert_judged(absent, Verdict::Pass, Outcome::Unexpected, 1);
    let other = |seen: &mut Seen| {
        expects(seen, ExpectedVerdict::Violation);
        seen.findings[1].result = CheckResult::Violated;
    };
    assert_judged(other, Verdict::Violation, Outcome::Unexpected, 1);
    let both = |seen: &mut Seen| {
        expected(seen);
        seen.findings[1].result = CheckResult::Violated;
    };
    assert_judged(both, Verdict::Violation, Outcome::Unexpected, 1);
    let at = |index| {
        move |seen: &mut Seen| {
            expected(seen);
            let partition = PartitionIndex::One(index);
            seen.expect.partition = Some(PartitionRef { topic: "orders".into(), partition });
        }
    };
    assert_judged(at(0), Verdict::Violation, Outcome::AsExpected, 0);
    assert_judged(at(1), Verdict::Violation, Outcome::Unexpected, 1);
    let counted = |value| {
        move |seen: &mut Seen| {
            expected(seen);
            seen.expect.count = vec![Comparison { op: Compare::GreaterOrEqual, value }];
        }
    };
    assert_judged(counted(3), Verdict::Violation, Outcome::AsExpected, 0);
    assert_judged(counted(4), Verdict::Violation, Outcome::Unexpected, 1);
}

#[test]
fn a_permitted_loss_is_neither_pass_nor_violation() {
    let lost = |seen: &mut Seen| seen.findings[0].result = CheckResult::PermittedLoss;
    assert_judged(lost, Verdict::PermittedLoss, Outcome::Unexpected, 1);
    let expected = |seen: &mut Seen| {
        lost(seen);
        expects(seen, ExpectedVerdict::PermittedLoss);
    };
    assert_judged(expected, Verdict::PermittedLoss, Outcome::AsExpected, 0);
}

#[test]
fn whatever_is_missing_makes_a_run_inconclusive() {
    type Change = fn(&mut Seen);
    let all: [(&str, Change); 7] = [
        ("a named check that the judge does not have", |seen| {
            seen.findings.retain(|finding| finding.check != DURABLE)
        }),
        ("an unfired fault", |seen| seen.unfired = vec![unfired()]),
        ("an unmet goal", |seen| {
            let (name, want) = ("crashes".to_owned(), ">= 1".to_owned());
            seen.reach = vec![ReachRecord { name, want, got: 0, is_met: false }];
        }),
        ("a phase that waited in vain", |seen| {
            let (name, kind) = ("start".to_owned(), PhaseKind::Start);
            let start = Instant::ZERO;
            seen.phases = vec![PhaseRecord { name, kind, start, end: None, is_met: false }];
        }),
        ("a run cut short", |seen| seen.end_reason = EndReason::EventBudget),
        ("nothing evaluated", |seen| seen.findings.iter_mut().for_each(|finding| finding.evaluations = 0)),
        ("a vacuous check that is named", |seen| seen.findings[0].result = CheckResult::Vacuous),
    ];
    for (what, change) in all {
        let mut seen = good();
        change(&mut seen);
        let judged = judge(&seen);
        assert_eq!((judged.verdict, judged.exit_code), (Verdict::Inconclusive, 2), "{what}");
        assert_eq!(judged.reasons.len(), 1, "{what}: {:?}", judged.reasons);
    }
    let unnamed = |seen: &mut Seen| seen.findings[1].result = CheckResult::Vacuous;
    assert_judged(unnamed, Verdict::Pass, Outcome::AsExpected, 0);
}

#[test]
fn an_unfired_fault_hides_no_violation_and_excuses_no_absence() {
    let red = |seen: &mut Seen| {
        violated(seen);
        seen.unfired = vec![unfired()];
    };
    assert_judged(red, Verdict::Violation, Outcome::Unexpected, 1);
    let absent = |seen: &mut Seen| {
        expects(seen, ExpectedVerdict::Violation);
        seen.unfired = vec![unfired()];
    };
    assert_judged(absent, Verdict::Inconclusive, Outcome::Inconclusive, 2);
}

#[test]
fn a_panic_is_a_violation_and_an_unasserted_one_an_internal_error() {
    let panic = |message: &'static str| {
        move |seen: &mut Seen| {
            let (host, message) = ("broker-0".to_owned(), message.to_owned());
            seen.panics = vec![NodePanic { host, at: Instant::ZERO, event: 1, message }];
        }
    };
    assert_judged(panic("broker invariant broken: x"), Verdict::Violation, Outcome::Unexpected, 1);
    assert_judged(panic("index out of bounds"), Verdict::Violation, Outcome::Unexpected, 70);
}

#[test]
fn only_an_absence_can_be_made_good_by_another_seed() {
    let mut seen = good();
    expects(&mut seen, ExpectedVerdict::Violation);
    assert!(judge(&seen).is_absence);
    violated(&mut seen);
    seen.findings[1].result = CheckResult::Violated;
    assert!(!judge(&seen).is_absence);
}
