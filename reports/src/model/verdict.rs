//! The words a run is judged with.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened in a run, whatever the scenario expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every check held, every fault fired, every goal was reached.
    Pass,
    /// A check found something that the configuration does not allow.
    Violation,
    /// Records were lost in a way that the configuration allows; the report names the events responsible.
    PermittedLoss,
    /// The run proves nothing: a fault did not fire, a goal was not reached, nothing was checked, or the run
    /// was cut short. Never green.
    Inconclusive,
}

/// Verdict against expectation: what a CI reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The verdict is the one that the scenario expects.
    AsExpected,
    /// A violation that nobody expected, or an expected one that is absent.
    Unexpected,
    /// The verdict is inconclusive, so the expectation cannot be judged.
    Inconclusive,
}

/// Why the run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Phases done, faults healed, queues drained: the normal end.
    Settled,
    /// The scenario's `time_limit` of simulated time was reached before the cluster settled.
    TimeLimit,
    /// The event budget was used up: likely a livelock.
    EventBudget,
    /// The wall watchdog stopped the run. The only end that depends on the machine.
    WallWatchdog,
    /// A node panicked.
    Panic,
    /// A check asked for the end of the run, or the world could not go on.
    Fatal,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Pass => "pass",
            Verdict::Violation => "violation",
            Verdict::PermittedLoss => "permitted-loss",
            Verdict::Inconclusive => "inconclusive",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::AsExpected => "as-expected",
            Outcome::Unexpected => "unexpected",
            Outcome::Inconclusive => "inconclusive",
        })
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            EndReason::Settled => "settled",
            EndReason::TimeLimit => "time-limit",
            EndReason::EventBudget => "event-budget",
            EndReason::WallWatchdog => "wall-watchdog",
            EndReason::Panic => "panic",
            EndReason::Fatal => "fatal",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_on_the_terminal_are_the_words_in_json() {
        for verdict in [Verdict::Pass, Verdict::Violation, Verdict::PermittedLoss, Verdict::Inconclusive] {
            assert_eq!(serde_json::to_string(&verdict).unwrap(), format!("\"{verdict}\""));
        }
        for outcome in [Outcome::AsExpected, Outcome::Unexpected, Outcome::Inconclusive] {
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{outcome}\""));
        }
        for end in [
            EndReason::Settled,
            EndReason::TimeLimit,
            EndReason::EventBudget,
            EndReason::WallWatchdog,
            EndReason::Panic,
            EndReason::Fatal,
        ] {
            assert_eq!(serde_json::to_string(&end).unwrap(), format!("\"{end}\""));
        }
    }
}
