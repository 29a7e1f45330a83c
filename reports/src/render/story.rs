//! The story of a violation: the steps of its witness, one line each, under the sentence that says what is wrong.

use std::collections::BTreeSet;

use super::style::{Style, Tone, columns, left, printable, right};
use crate::model::{Check, CheckLevel, Report, Step, Witness};
use crate::time::seconds;

/// Events that the stories of a report tell: no other list needs to tell them again.
pub(super) fn told(report: &Report) -> BTreeSet<u64> {
    let witnesses = report.violated().filter_map(|check| check.witness.as_ref());
    witnesses.flat_map(|witness| witness.steps.iter().map(|step| step.event)).collect()
}

/// The checks that are violated, those that decide the verdict first. Each story leaves out what an earlier one told.
pub(super) fn of(report: &Report, style: &Style) -> Vec<(String, String)> {
    let mut checks: Vec<&Check> = report.violated().collect();
    checks.sort_by_key(|check| check.level);
    let mut known = BTreeSet::new();
    let mut stories = Vec::new();
    for check in checks {
        // One cause trips several checks: what decides nothing may point at it, not tell it again.
        let has_place = check.level == CheckLevel::Error || known.is_empty();
        let story = check.witness.as_ref().filter(|_| has_place).map(|witness| lines(witness, &known, style));
        known.extend(check.witness.iter().flat_map(|witness| &witness.steps).map(|step| step.event));
        stories.push((check.name.clone(), story.unwrap_or_default()));
    }
    stories
}

/// `   3115     3.371s  p-0   acked p-0#100 at orders/0@100   epoch 0, hw 101, leo 101`.
fn lines(witness: &Witness, known: &BTreeSet<u64>, style: &Style) -> String {
    let steps: Vec<&Step> = witness.steps.iter().filter(|step| !known.contains(&step.event)).collect();
    let node_width = steps.iter().map(|step| columns(&step.node)).max().unwrap_or(0);
    let event_width = steps.iter().map(|step| step.event.to_string().len()).max().unwrap_or(0).max(5);
    let mut out = String::new();
    if !steps.is_empty() {
        let titles = format!(
            "    {}  {}  {}  what",
            right("event", event_width),
            right("time", 10),
            left("node", node_width)
        );
        out.push_str(&format!("{}\n", style.paint(Tone::Faint, &titles)));
    }
    for step in steps {
        let is_bad = [witness.first_bad_event, witness.final_bad_event].contains(&Some(step.event));
        let first = format!(
            "    {}  {}  {}  ",
            right(&step.event.to_string(), event_width),
            right(&seconds(step.t_us), 10),
            left(&printable(&step.node), node_width)
        );
        let facts = facts(step);
        let what = if facts.is_empty() { step.what.clone() } else { format!("{}  [{facts}]", step.what) };
        out.push_str(&style.wrapped(&first, if is_bad { Tone::Bad } else { Tone::Plain }, &what));
    }
    out
}

fn facts(step: &Step) -> String {
    // The bare number is only worth its place when the sentence does not say it.
    let offset = step.offset.filter(|offset| !step.what.contains(&offset.to_string()));
    let facts = [
        offset.map(|offset| format!("offset {offset}")),
        step.leader_epoch.map(|epoch| format!("epoch {epoch}")),
        step.partition_epoch.map(|epoch| format!("partition epoch {epoch}")),
        step.hw.map(|hw| format!("hw {hw}")),
        step.leo.map(|leo| format!("leo {leo}")),
    ];
    facts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
