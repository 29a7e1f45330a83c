//! What the user should know, one sentence each.

use super::Origin;
use crate::run::Outcome;

pub(super) fn warnings(outcome: &Outcome, origin: &Origin) -> Vec<String> {
    let findings = &origin.parsed.warnings;
    let of_file = findings.diagnostics.iter().map(|finding| {
        let (line, _) = findings.position(finding.start());
        format!("line {line}: {}", finding.message)
    });
    let mut words: Vec<String> = of_file.collect();
    words.extend(outcome.warnings.iter().cloned());
    words.extend(outcome.failure.clone());
    for (host, at, reason) in &outcome.tally.halts {
        words.push(format!("{host} ended itself at {}: {reason}", reports::time::seconds(at.0)));
    }
    for phase in outcome.phases.iter().filter(|phase| phase.end.is_some() && !phase.is_met) {
        words.push(format!("phase {} ended without what it waited for", phase.name));
    }
    if outcome.skipped_strikes > 0 {
        let strikes = outcome.skipped_strikes;
        words.push(format!(
            "{strikes} random faults were left out: they would have broken more than [chaos] allows"
        ));
    }
    words
}
