//! Phases, and those that the language adds: `start` first, `settle` last, one run phase if the file has none.

use super::{Walk, fault::longest};
use crate::diagnostic::Diagnostic;
use crate::model::{Condition, Fault, Heal, Micros, Phase, PhaseEnd, PhaseKind, Trigger, Verb};
use crate::spec;
use crate::syntax::tree::Node;

/// Default bound of `start` and of `settle`.
const BOUND: Micros = Micros::from_secs(60);
/// How long the default run phase goes on after the last scripted fault has completed.
const QUIET: Micros = Micros::from_secs(30);
/// What a rolling restart may take.
const ROLLING: Micros = Micros::from_secs(300);

impl Walk<'_> {
    pub(super) fn phase(&mut self, node: &Node) -> Option<Phase> {
        let fields = self.open_node(&spec::PHASE, node)?;
        let name = fields.node("name").and_then(|node| self.name(node));
        let length = fields.node("for").and_then(|node| self.duration(node));
        let until = fields.node("until").map(|node| self.condition(node));
        let within = fields.node("within").and_then(|node| self.duration(node));
        let heal = fields.node("heal").and_then(|node| self.heal(node));
        match (fields.get("for"), fields.get("until")) {
            (Some(length), Some(until)) => {
                let finding = Diagnostic::error("scn::two_ends", "a phase ends in one way");
                self.report(
                    finding.at(length.key_span, "after this long").at(until.key_span, "or when this holds"),
                );
            }
            (None, None) => {
                let finding =
                    Diagnostic::error("scn::missing_key", "this phase never ends").at(fields.span, "");
                self.report(finding.help("give `for`, or `until` with `within`"));
            }
            _ => {}
        }
        if let (Some(entry), None) = (fields.get("within"), fields.get("until")) {
            self.report(
                Diagnostic::error("scn::stray_key", "`within` goes with `until`").at(entry.key_span, ""),
            );
        }
        let span = Some(fields.whole());
        fields.close();
        let end = match until {
            Some(condition) => PhaseEnd::Until { condition: condition?, within },
            None => PhaseEnd::For { length: length? },
        };
        let name = name?;
        let kind = match name.as_str() {
            "start" => PhaseKind::Start,
            "settle" => PhaseKind::Settle,
            _ => PhaseKind::Run,
        };
        let heal = heal.or((kind == PhaseKind::Settle).then_some(Heal::All));
        Some(Phase { name, kind, end, heal, span })
    }

    /// Adds the phases that the file leaves out and checks the places of those that it has.
    pub(super) fn complete_phases(&mut self, mut phases: Vec<Phase>, faults: &[Fault]) -> Vec<Phase> {
        let last = phases.len().saturating_sub(1);
        for (index, phase) in phases.iter().enumerate() {
            let misplaced = match phase.kind {
                PhaseKind::Start => index != 0,
                PhaseKind::Settle => index != last,
                PhaseKind::Run => false,
            };
            if let (true, Some(span)) = (misplaced, phase.span) {
                let span = self.first_line(span);
                let message = format!("the phase `{}` is not in its place", phase.name);
                let finding = Diagnostic::error("scn::phase_order", message).at(span, "");
                self.report(finding.help("`start` is the first phase, `settle` the last"));
            }
        }
        let phase =
            |name: &str, kind, end, heal| Phase { name: name.to_owned(), kind, end, heal, span: None };
        if !phases.iter().any(|phase| phase.kind == PhaseKind::Start) {
            let end = PhaseEnd::Until { condition: Condition::AllIsrFull, within: Some(BOUND) };
            phases.insert(0, phase("start", PhaseKind::Start, end, None));
        }
        if !phases.iter().any(|phase| phase.kind == PhaseKind::Run) {
            let at_most = last_fault_end(faults).saturating_add(QUIET);
            phases.insert(
                1,
                phase("run", PhaseKind::Run, PhaseEnd::AfterFaults { quiet: QUIET, at_most }, None),
            );
        }
        if !phases.iter().any(|phase| phase.kind == PhaseKind::Settle) {
            let condition = Condition::And(vec![Condition::Drained, Condition::AllIsrFull]);
            let end = PhaseEnd::Until { condition, within: Some(BOUND) };
            phases.push(phase("settle", PhaseKind::Settle, end, Some(Heal::All)));
        }
        phases
    }
}

/// The latest simulated time at which the last scripted fault can have completed, if phases do not move them. A
/// wait without `within` counts as one minute.
fn last_fault_end(faults: &[Fault]) -> Micros {
    // `after` may refer to a fault further down: as many rounds as there are faults reach every chain.
    let mut ends: Vec<Micros> = faults.iter().map(|_| Micros(0)).collect();
    for _ in 0..faults.len() {
        for (index, fault) in faults.iter().enumerate() {
            let wait = |within: &Option<Micros>| within.unwrap_or(Micros::from_secs(60));
            let fired = match &fault.trigger {
                Trigger::At { at } => at.max().unwrap_or_default(),
                Trigger::Every { every, jitter, count } => {
                    let period = every.max().unwrap_or_default().saturating_add(*jitter);
                    period.saturating_mul(u64::from(count.unwrap_or(1)))
                }
                Trigger::When { within, .. } | Trigger::On { after: None, within, .. } => wait(within),
                Trigger::On { after: Some(fault), within, .. } => {
                    let before =
                        faults.iter().position(|other| other.id == *fault).map_or(Micros(0), |at| ends[at]);
                    before.saturating_add(wait(within))
                }
                Trigger::After { fault, condition, within } => {
                    let before =
                        faults.iter().position(|other| other.id == *fault).map_or(Micros(0), |at| ends[at]);
                    if condition.is_some() { before.saturating_add(wait(within)) } else { before }
                }
            };
            // Waits for the cluster after each node; the phase ends earlier if it is over earlier.
            let rolls = match &fault.verb {
                Verb::RollingRestart { .. } => ROLLING,
                _ => Micros(0),
            };
            ends[index] = fired.saturating_add(longest(&fault.duration)).saturating_add(rolls);
        }
    }
    ends.into_iter().max().unwrap_or_default()
}
