//! A suite on the terminal: a line per scenario, then every run that is not as expected.

use std::collections::BTreeMap;

use super::style::{Style, Tone, columns, counted, left, printable, right};
use crate::model::{ItemKind, SuiteCounts, SuiteItem, SuiteReport};

/// Runs named one by one; the rest is counted. The whole list is in `suite.json`.
const NAMED_RUNS: usize = 20;

/// The suite as text, each line ended by a newline. `out` is the output directory as the user gave it; it makes the
/// replay commands complete.
pub fn suite(report: &SuiteReport, out: &str, style: &Style) -> String {
    let mut text = verdict(report, style);
    text.push('\n');
    text.push_str(&table(report, style));
    text.push_str(&forgiven(report));
    text.push_str(&not_as_expected(report, out, style));
    text
}

/// `FAIL  46 runs: 40 as expected, 4 unexpected, 2 inconclusive`.
fn verdict(report: &SuiteReport, style: &Style) -> String {
    let counts = &report.counts;
    let (word, tone) = match counts {
        SuiteCounts { internal: 1.., .. } => ("INTERNAL ERROR", Tone::Bad),
        SuiteCounts { nondeterministic: 1.., .. } => ("NONDETERMINISTIC", Tone::Bad),
        SuiteCounts { unexpected: 1.., .. } => ("FAIL", Tone::Bad),
        SuiteCounts { inconclusive: 1.., .. } => ("INCONCLUSIVE", Tone::Doubt),
        _ if !report.complete => ("INTERRUPTED", Tone::Doubt),
        SuiteCounts { total: 0, .. } => ("NOTHING RAN", Tone::Doubt),
        _ => ("PASS", Tone::Good),
    };
    let mut parts = vec![format!("{} as expected", counts.as_expected)];
    for (count, name) in [
        (counts.unexpected, "unexpected"),
        (counts.inconclusive, "inconclusive"),
        (counts.nondeterministic, "nondeterministic"),
        (counts.internal, "internal"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {name}"));
        }
    }
    let partial = if report.complete { "" } else { " (interrupted: not every run of the plan is here)" };
    let line = format!("{}: {}{partial}", counted(counts.total, "run"), parts.join(", "));
    format!("{}  {line}\n", style.paint(tone, word))
}

/// Items by scenario and variant.
fn table(report: &SuiteReport, style: &Style) -> String {
    let mut rows: BTreeMap<(&str, Option<&str>), Vec<SuiteItem>> = BTreeMap::new();
    for item in &report.items {
        rows.entry((&item.scenario, item.variant.as_deref())).or_default().push(item.clone());
    }
    let name = |row: &(&str, Option<&str>)| match row.1 {
        Some(variant) => printable(&format!("{}@{variant}", row.0)),
        None => printable(row.0),
    };
    let width = rows.keys().map(|row| columns(&name(row))).max().unwrap_or(0).max(8);
    let titles =
        format!("  {}    runs  as expected  unexpected  inconclusive  other", left("scenario", width));
    let mut out = format!("{}\n", style.paint(Tone::Faint, &titles));
    for (row, items) in &rows {
        let counts = SuiteCounts::of(items);
        let cell = |count: u64, width: usize, tone: Tone| {
            let text = right(&if count == 0 { "-".to_owned() } else { count.to_string() }, width);
            if count == 0 { text } else { style.paint(tone, &text) }
        };
        out.push_str(&format!(
            "  {}  {}  {}  {}  {}  {}\n",
            left(&name(row), width),
            right(&counts.total.to_string(), 6),
            cell(counts.as_expected, 11, Tone::Good),
            cell(counts.unexpected, 10, Tone::Bad),
            cell(counts.inconclusive, 12, Tone::Doubt),
            cell(counts.nondeterministic + counts.internal, 5, Tone::Bad),
        ));
    }
    out
}

/// How many runs count as expected only because another seed shows what is asked of some seed.
fn forgiven(report: &SuiteReport) -> String {
    let count = report.items.iter().filter(|item| item.forgiven).count() as u64;
    if count == 0 {
        return String::new();
    }
    let runs = counted(count, "run");
    format!("  {runs} did not show what is expected of some seed; another seed of the scenario did\n")
}

/// Every run that is not as expected, worst first, with the command that shows it again.
fn not_as_expected(report: &SuiteReport, out: &str, style: &Style) -> String {
    let mut items: Vec<&SuiteItem> =
        report.items.iter().filter(|item| item.kind() != ItemKind::AsExpected).collect();
    items.sort_by_key(|item| item.kind());
    if items.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", style.paint(Tone::Strong, "not as expected"));
    for item in items.iter().take(NAMED_RUNS) {
        let (word, tone) = match item.kind() {
            ItemKind::Internal => ("internal error", Tone::Bad),
            ItemKind::Nondeterministic => ("nondeterministic", Tone::Bad),
            ItemKind::Unexpected => ("unexpected", Tone::Bad),
            ItemKind::Inconclusive => ("inconclusive", Tone::Doubt),
            ItemKind::AsExpected => ("as expected", Tone::Good),
        };
        let (key, word) = (printable(&item.key), style.paint(tone, word));
        text.push_str(&format!("  {key}   {word}, verdict {}, exit code {}\n", item.verdict, item.exit_code));
        if item.report_digest.is_some() {
            let command = format!("kafkasim replay {}/{}/report.json", out.trim_end_matches('/'), item.key);
            text.push_str(&format!("    = replay: {}\n", printable(&command)));
        }
    }
    if items.len() > NAMED_RUNS {
        let rest = counted((items.len() - NAMED_RUNS) as u64, "more run");
        text.push_str(&format!("  ... and {rest}, all are in suite.json\n"));
    }
    text
}
