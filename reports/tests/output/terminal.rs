//! What people read: snapshots of the terminal sinks.

use super::support;
use reports::model::{Fault, IsrChange, Panic, SuiteReport, Verdict};
use reports::render::{self, Style};

fn narrow() -> Style {
    Style { colour: false, width: 80, ..Style::default() }
}

#[test]
fn pass() {
    insta::assert_snapshot!(render::run(&support::pass(), &narrow()));
}

#[test]
fn violation() {
    insta::assert_snapshot!(render::run(&support::violation(), &narrow()));
}

#[test]
fn permitted_loss() {
    insta::assert_snapshot!(render::run(&support::permitted_loss(), &narrow()));
}

#[test]
fn inconclusive() {
    insta::assert_snapshot!(render::run(&support::inconclusive(), &narrow()));
}

#[test]
fn suite() {
    insta::assert_snapshot!(render::suite(&support::suite(), "kafkasim-out/", &narrow()));
}

#[test]
fn an_interrupted_suite_says_so() {
    let whole = support::suite();
    let items = whole.items.into_iter().filter(|item| item.exit_code == 0).collect();
    let partial = SuiteReport::assemble(whole.tool, whole.plan_digest, false, items);
    let text = render::suite(&partial, "out", &narrow());
    assert!(text.starts_with("INTERRUPTED  3 runs: 3 as expected (interrupted"), "{text}");
}

#[test]
fn colours_change_nothing_but_colours() {
    for report in [support::pass(), support::violation(), support::permitted_loss(), support::inconclusive()]
    {
        let coloured = render::run(&report, &Style { colour: true, ..narrow() });
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(without_ansi(&coloured), render::run(&report, &narrow()));
    }
}

fn without_ansi(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        match (inside, c) {
            (false, '\u{1b}') => inside = true,
            (false, c) => out.push(c),
            (true, 'm') => inside = false,
            (true, _) => {}
        }
    }
    out
}

#[test]
fn an_unfired_fault_is_never_a_pass() {
    let text = render::run(&support::inconclusive(), &narrow());
    assert!(text.starts_with("INCONCLUSIVE"), "{text}");
}

#[test]
fn an_absent_violation_is_named() {
    let mut report = support::pass();
    report.expected.verdict = Verdict::Violation;
    report.expected.check = Some("log-matching".into());
    report.outcome = reports::model::Outcome::Unexpected;
    let text = render::run(&report, &narrow());
    assert!(text.starts_with("FAIL"), "{text}");
    assert!(text.contains("expected violation by log-matching, but the verdict is pass"), "{text}");
}

#[test]
fn a_panic_is_in_the_reasons_and_in_the_timeline() {
    let mut report = support::violation();
    report.panics = vec![Panic {
        node: "broker-2".into(),
        event: 99,
        t_us: 5_000_000,
        message: "high watermark moved back".into(),
        location: Some("broker/src/replica/partition.rs:77".into()),
        asserted: true,
    }];
    let text = render::run(&report, &narrow());
    assert!(text.contains("x broker-2 panicked at broker/src/replica/partition.rs:77:"), "{text}");
    assert!(text.contains("5.000s  broker-2      PANIC high watermark moved back"), "{text}");
}

#[test]
fn a_long_timeline_keeps_the_evidence_and_says_what_it_left_out() {
    let mut report = support::violation();
    let change = |t_us| IsrChange { t_us, partition: "orders/0".into(), ..IsrChange::default() };
    report.isr_changes.extend((0..500).map(change));
    let text = render::run(&report, &Style { timeline_lines: 10, ..narrow() });
    assert!(text.contains("offset 1204 overwritten"), "{text}");
    assert!(text.contains("fault kill-leader"), "{text}");
    assert!(text.contains("more moments of less weight left out, all are in report.json"), "{text}");
    assert!(text.lines().count() < 50, "{text}");
}

#[test]
fn the_replay_command_is_one_line_on_any_screen() {
    let report = support::violation();
    let command = report.reproduce.window.clone().unwrap();
    for width in [0, 20, 80, 200] {
        let text = render::run(&report, &Style { width, ..narrow() });
        assert!(text.lines().any(|line| line.ends_with(&command)), "{text}");
    }
}

#[test]
fn text_from_outside_cannot_steer_the_terminal() {
    let mut report = support::pass();
    report.scenario.name = "a\u{1b}]0;title\u{7}".into();
    report.warnings = vec!["b\u{1b}[2J".into()];
    report.faults =
        vec![Fault { id: "c\u{1b}[1m".into(), targets: vec!["\u{1b}n".into()], ..Fault::default() }];
    report.checks[0].name.push('\u{1b}');
    report.reach[0].want.push('\u{1b}');
    report.failovers[0].cause = Some("\u{1b}d".into());
    report.fingerprint.last.push('\u{9b}');
    let text = render::run(&report, &narrow());
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}
