//! One run on the terminal: verdict first, then why, then the numbers, then how to see it again.

use super::style::{Style, Tone, columns, counted, left, printable, right};
use super::{story, timeline};
use crate::model::{
    Check, CheckLevel, CheckResult, EndReason, Failover, Outcome, Report, UnfiredReason, Verdict,
};
use crate::time::seconds;

/// The report as text, each line ended by a newline. Sections without content are left out.
pub fn run(report: &Report, style: &Style) -> String {
    let mut out = verdict(report, style);
    out.push_str(&reasons(report, style));
    for section in [
        timeline_section(report, style),
        losses(report, style),
        unfired(report, style),
        goals(report, style),
        checks(&report.checks, style),
        failovers(report, style),
        traffic(report, style),
        warnings(report, style),
    ] {
        if !section.is_empty() {
            out.push('\n');
            out.push_str(&section);
        }
    }
    out.push('\n');
    out.push_str(&footer(report, style));
    out
}

/// `FAIL  leader-failover-acks-all@variant   seed 7   61.220s simulated`.
fn verdict(report: &Report, style: &Style) -> String {
    let (word, tone) = match (report.verdict, report.outcome) {
        (_, Outcome::Unexpected) => ("FAIL", Tone::Bad),
        (Verdict::Inconclusive, _) | (_, Outcome::Inconclusive) => ("INCONCLUSIVE", Tone::Doubt),
        (Verdict::Pass, Outcome::AsExpected) => ("PASS", Tone::Good),
        (Verdict::Violation, Outcome::AsExpected) => ("PASS, violation as expected", Tone::Good),
        (Verdict::PermittedLoss, Outcome::AsExpected) => ("PASS, with permitted loss", Tone::Doubt),
    };
    let variant = report.scenario.variant.as_ref().map(|name| format!("@{name}")).unwrap_or_default();
    format!(
        "{}  {}{}   seed {}   {} simulated\n",
        style.paint(tone, word),
        printable(&report.scenario.name),
        printable(&variant),
        report.seed,
        seconds(report.time.end_us),
    )
}

/// One line for each thing that decided the verdict.
fn reasons(report: &Report, style: &Style) -> String {
    let mut out = String::new();
    for (name, story) in story::of(report, style) {
        let Some(check) = report.violated().find(|check| check.name == name) else { continue };
        let fallback = || counted(check.count, "violation");
        let note = if check.level == CheckLevel::Error { "" } else { " (decides nothing here)" };
        let text = format!("{name}{note}   {}", check.summary.clone().unwrap_or_else(fallback));
        out.push_str(&style.wrapped("  x ", Tone::Bad, &text));
        out.push_str(&story);
    }
    for panic in &report.panics {
        let place = panic.location.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
        let text = format!("{} panicked{place}: {}", panic.node, panic.message);
        out.push_str(&style.wrapped("  x ", Tone::Bad, &text));
    }
    for loss in &report.permitted_losses {
        let text = format!(
            "{} of {} lost, which {} permits",
            counted(loss.count, "acked record"),
            loss.partition,
            loss.reason
        );
        out.push_str(&style.wrapped("  ~ ", Tone::Doubt, &text));
    }
    if let Some(text) = missed_expectation(report) {
        out.push_str(&style.wrapped("  x ", Tone::Bad, &text));
    }
    for text in doubts(report) {
        out.push_str(&style.wrapped("  ? ", Tone::Doubt, &text));
    }
    out
}

/// What was expected and is not there.
fn missed_expectation(report: &Report) -> Option<String> {
    if report.outcome != Outcome::Unexpected {
        return None;
    }
    let expected = &report.expected;
    match (expected.verdict, &expected.check) {
        (Verdict::Pass, _) => None,
        (verdict, Some(check)) => {
            Some(format!("expected {verdict} by {check}, but the verdict is {}", report.verdict))
        }
        (verdict, None) => Some(format!("expected {verdict}, but the verdict is {}", report.verdict)),
    }
}

/// Each reason for which the run proves less than it should, one line each, with what helps.
fn doubts(report: &Report) -> Vec<String> {
    let mut out = Vec::new();
    for fault in &report.unfired_faults {
        let remedy = match fault.reason {
            UnfiredReason::ConditionUnmet => "change its trigger, or give it more time",
            UnfiredReason::NoTarget => "aim it at a node that exists then",
            UnfiredReason::NoEffect => "let it strike while there is something to break",
            UnfiredReason::Refused => "ask for what the cluster can do then, or expect it with `refused`",
            UnfiredReason::Unfinished => "ask earlier, or heal what it waits for",
        };
        out.push(format!("fault {} did nothing ({}): {remedy}", fault.id, fault.reason));
    }
    for goal in report.reach.iter().filter(|goal| !goal.ok) {
        out.push(format!(
            "goal {} {} not reached, got {}: run longer, or ask for less in [expect]",
            goal.name, goal.want, goal.got
        ));
    }
    let vacuous: Vec<&str> = named(&report.checks, CheckResult::Vacuous);
    if !vacuous.is_empty() {
        out.push(format!(
            "never exercised: {}: give it something to look at, or switch it off in [checks]",
            vacuous.join(", ")
        ));
    }
    let cut_short = match report.end_reason {
        EndReason::Settled | EndReason::Panic => None,
        EndReason::TimeLimit => {
            Some("the time limit came before the cluster settled: raise time_limit, or see what never ended")
        }
        EndReason::EventBudget => {
            Some("the event budget was used up before the cluster settled: a livelock, or shorten the run")
        }
        EndReason::WallWatchdog => {
            Some("the wall watchdog stopped the run; this depends on the machine: try again on an idle one")
        }
        EndReason::Fatal => Some("the run was stopped before its end: see the warnings below"),
    };
    out.extend(cut_short.map(str::to_owned));
    out
}

fn named(checks: &[Check], result: CheckResult) -> Vec<&str> {
    checks.iter().filter(|check| check.result == result).map(|check| check.name.as_str()).collect()
}

fn timeline_section(report: &Report, style: &Style) -> String {
    let (moments, omitted) = timeline::of(report, style.timeline_lines);
    if moments.is_empty() {
        return String::new();
    }
    let title = if story::told(report).is_empty() { "what mattered" } else { "what else happened" };
    let mut out = heading(title, style);
    // A fault on many nodes must not push every other line to the right.
    let node_width = moments.iter().map(|moment| columns(&moment.node)).filter(|width| *width <= 24).max();
    for moment in &moments {
        let node = left(&printable(&moment.node), node_width.unwrap_or(0));
        let first = format!("  {}  {node}  ", right(&seconds(moment.t_us), 10));
        out.push_str(&style.wrapped(&first, moment.tone, &moment.what));
    }
    if omitted > 0 {
        let text = format!(
            "{} of less weight left out, all are in report.json",
            counted(omitted as u64, "more moment")
        );
        out.push_str(&style.wrapped("  ... ", Tone::Faint, &text));
    }
    out
}

fn losses(report: &Report, style: &Style) -> String {
    let mut out = String::new();
    for loss in &report.permitted_losses {
        let [first, last] = loss.offsets;
        let text = format!(
            "{} offsets {first}..={last}: {} lost, permitted by {}",
            loss.partition,
            counted(loss.count, "acked record"),
            loss.reason
        );
        out.push_str(&style.wrapped("  ", Tone::Doubt, &text));
        for cause in &loss.responsible {
            let fault = cause.fault.as_ref().map(|id| format!(" (fault {id})")).unwrap_or_default();
            let first = format!("    {}  ", right(&seconds(cause.t_us), 10));
            out.push_str(&style.wrapped(&first, Tone::Plain, &format!("{}{fault}", cause.what)));
        }
    }
    titled("permitted losses, and what is responsible", out, style)
}

fn unfired(report: &Report, style: &Style) -> String {
    let mut out = String::new();
    for fault in &report.unfired_faults {
        let first = format!("  {} ({})  ", printable(&fault.id), printable(&fault.kind));
        out.push_str(&style.wrapped(&first, Tone::Doubt, &format!("{}: {}", fault.reason, fault.detail)));
        if let Some(trigger) = &fault.trigger {
            out.push_str(&style.wrapped("    trigger  ", Tone::Faint, trigger));
        }
    }
    titled("faults that did nothing", out, style)
}

fn goals(report: &Report, style: &Style) -> String {
    let width = report.reach.iter().map(|goal| columns(&goal.name)).max().unwrap_or(0);
    let mut out = String::new();
    for goal in &report.reach {
        let (word, tone) = if goal.ok { ("reached", Tone::Good) } else { ("missed ", Tone::Doubt) };
        let name = left(&printable(&goal.name), width);
        out.push_str(&format!(
            "  {}  {name}  {}, got {}\n",
            style.paint(tone, word),
            printable(&goal.want),
            goal.got
        ));
    }
    titled("goals", out, style)
}

/// The checks, worst first; those that do not apply share a line.
fn checks(checks: &[Check], style: &Style) -> String {
    let severity = |check: &&Check| match check.result {
        CheckResult::Violated => 0,
        CheckResult::PermittedLoss => 1,
        CheckResult::Vacuous => 2,
        CheckResult::Held => 3,
        CheckResult::NotApplicable => 4,
    };
    let mut rows: Vec<&Check> = checks.iter().filter(|c| c.result != CheckResult::NotApplicable).collect();
    rows.sort_by_key(severity);
    let name_width = rows.iter().map(|check| columns(&check.name)).max().unwrap_or(0).max(5);
    let mut out = String::new();
    if !rows.is_empty() {
        let titles =
            format!("  {}  result          evaluations   examined   violations", left("check", name_width));
        out.push_str(&format!("{}\n", style.paint(Tone::Faint, &titles)));
    }
    for check in rows {
        let tone = match check.result {
            CheckResult::Held => Tone::Good,
            CheckResult::Violated => Tone::Bad,
            _ => Tone::Doubt,
        };
        out.push_str(&format!(
            "  {}  {}  {}  {}  {}\n",
            left(&printable(&check.name), name_width),
            style.paint(tone, &left(&check.result.to_string(), 14)),
            right(&check.evaluations.to_string(), 11),
            right(&check.examined.to_string(), 9),
            right(&check.count.to_string(), 11),
        ));
    }
    let elsewhere = named(checks, CheckResult::NotApplicable);
    if !elsewhere.is_empty() {
        out.push_str(&style.wrapped("  not applicable: ", Tone::Faint, &elsewhere.join(", ")));
    }
    titled("checks", out, style)
}

/// Failovers as a table of durations; `-` is a moment that did not come.
fn failovers(report: &Report, style: &Style) -> String {
    if report.failovers.is_empty() {
        return String::new();
    }
    let label = |failover: &Failover| failover.cause.clone().unwrap_or_else(|| "-".to_owned());
    let partition_width = report.failovers.iter().map(|f| columns(&f.partition)).max().unwrap_or(0).max(9);
    let cause_width = report.failovers.iter().map(|f| columns(&label(f))).max().unwrap_or(0).max(5);
    let titles = format!(
        "  {}  {}      detect       elect  unavailable   truncated",
        left("partition", partition_width),
        left("cause", cause_width)
    );
    let mut out = format!("{}{}\n", heading("failovers", style), style.paint(Tone::Faint, &titles));
    let duration = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), seconds);
    for failover in &report.failovers {
        out.push_str(&format!(
            "  {}  {}  {}  {}  {}  {}{}\n",
            left(&printable(&failover.partition), partition_width),
            left(&printable(&label(failover)), cause_width),
            right(&duration(failover.detect_us), 10),
            right(&duration(failover.elect_us), 10),
            right(&duration(failover.unavailable_us), 11),
            right(&failover.truncated_records.to_string(), 10),
            if failover.unclean { style.paint(Tone::Bad, "  unclean") } else { String::new() },
        ));
    }
    out
}

/// What producers saw, in two lines.
fn traffic(report: &Report, style: &Style) -> String {
    let clients = &report.clients;
    if clients.produced == 0 {
        return String::new();
    }
    let mut text = format!(
        "{} produced: {} acked, {} failed, {} indeterminate",
        counted(clients.produced, "record"),
        clients.acked,
        clients.failed,
        clients.indeterminate
    );
    if let Some(latency) = &clients.ack_latency_us {
        let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(seconds);
        text.push_str(&format!("; ack after {p50} (p50), {p99} (p99), {max} (max)"));
    }
    style.wrapped("  ", Tone::Plain, &text)
}

fn warnings(report: &Report, style: &Style) -> String {
    let lines: Vec<String> =
        report.warnings.iter().map(|text| style.wrapped("  ! ", Tone::Doubt, text)).collect();
    lines.concat()
}

/// The commands, never wrapped.
fn footer(report: &Report, style: &Style) -> String {
    let mut out = String::new();
    let mut line = |label: &str, text: &str| {
        let label = style.paint(Tone::Faint, &format!("  = {}", left(label, 13)));
        out.push_str(&format!("{label}{}\n", printable(text)));
    };
    if !report.defects.is_empty() {
        line("defects:", &report.defects.join(", "));
    }
    line(
        "fingerprint:",
        &format!("{} after {}", report.fingerprint.last, counted(report.fingerprint.events, "event")),
    );
    let replay = report.reproduce.window.as_ref().unwrap_or(&report.reproduce.command);
    line("replay:", replay);
    out
}

fn heading(text: &str, style: &Style) -> String {
    format!("{}\n", style.paint(Tone::Strong, text))
}

/// `body` under a heading, or nothing when there is no body.
fn titled(title: &str, body: String, style: &Style) -> String {
    if body.is_empty() { body } else { heading(title, style) + &body }
}
