//! What a report must never say: a green that was not earned, an outcome that does not follow.

use super::{CheckLevel, CheckResult, EndReason, Outcome, Report, Verdict};

impl Report {
    /// Sentences of the report that contradict each other; empty for every report that kafkasim should write.
    ///
    /// A second, independent reading of the rules by which a verdict is made (a pass needs that every fault fired,
    /// every goal was reached, something was checked, the cluster settled): whoever writes a report asserts this first.
    pub fn contradictions(&self) -> Vec<String> {
        let mut out = Vec::new();
        for check in &self.checks {
            if check.result == CheckResult::Held && check.evaluations == 0 {
                out.push(format!("check {} held without one evaluation", check.name));
            }
        }
        for loss in self.permitted_losses.iter().filter(|loss| loss.responsible.is_empty()) {
            out.push(format!("nothing is responsible for the permitted loss on {}", loss.partition));
        }
        let broken = self.is_broken();
        if self.verdict == Verdict::Violation && !broken {
            out.push("a violation without a violated check or a panic".to_owned());
        }
        if matches!(self.verdict, Verdict::Pass | Verdict::PermittedLoss) {
            if broken {
                out.push(format!("verdict {} with a violated check or a panic", self.verdict));
            }
            out.extend(self.gaps().into_iter().map(|gap| format!("verdict {}, but {gap}", self.verdict)));
        }
        if (self.verdict == Verdict::PermittedLoss) == self.permitted_losses.is_empty() && !broken {
            // An inconclusive run may have lost records too.
            if self.verdict != Verdict::Inconclusive {
                out.push(format!(
                    "verdict {} with {} permitted losses",
                    self.verdict,
                    self.permitted_losses.len()
                ));
            }
        }
        out.extend(self.outcome_contradiction());
        out
    }

    /// Whether something was found that no configuration allows.
    fn is_broken(&self) -> bool {
        let violated = self.violated().any(|check| check.level == CheckLevel::Error);
        violated || !self.panics.is_empty()
    }

    /// Everything for which the run proves less than a pass says.
    fn gaps(&self) -> Vec<String> {
        let mut gaps: Vec<String> =
            self.unfired_faults.iter().map(|fault| format!("fault {} did nothing", fault.id)).collect();
        gaps.extend(
            self.reach.iter().filter(|goal| !goal.ok).map(|goal| format!("goal {} was missed", goal.name)),
        );
        let exercised = |result| matches!(result, CheckResult::Held | CheckResult::PermittedLoss);
        if !self.checks.iter().any(|check| exercised(check.result)) {
            gaps.push("no check was exercised".to_owned());
        }
        if self.end_reason != EndReason::Settled {
            gaps.push(format!("the run ended by {}", self.end_reason));
        }
        gaps
    }

    /// Whether outcome and exit code follow from verdict and expectation. Nondeterminism (3) and internal errors (70)
    /// are found outside of the run and may replace its exit code.
    fn outcome_contradiction(&self) -> Option<String> {
        let follows = match (self.verdict, self.outcome) {
            (Verdict::Inconclusive, outcome) => outcome == Outcome::Inconclusive,
            // A scenario that expects a pass may take a loss that its configuration permits.
            (Verdict::PermittedLoss, Outcome::AsExpected) => self.expected.verdict != Verdict::Violation,
            (verdict, Outcome::AsExpected) => verdict == self.expected.verdict,
            (_, Outcome::Unexpected) => true,
            (_, Outcome::Inconclusive) => false,
        };
        let code = match self.outcome {
            Outcome::AsExpected => 0,
            Outcome::Unexpected => 1,
            Outcome::Inconclusive => 2,
        };
        if !follows {
            return Some(format!(
                "outcome {} does not follow from verdict {}, expected {}",
                self.outcome, self.verdict, self.expected.verdict
            ));
        }
        let agrees = self.exit_code == code || matches!(self.exit_code, 3 | 70);
        (!agrees).then(|| format!("outcome {} with exit code {}", self.outcome, self.exit_code))
    }
}
