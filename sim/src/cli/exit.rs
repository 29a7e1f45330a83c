//! Every exit code, in one place. They are a promise: scripts and CI systems rely on them.
//!
//! Codes of verdicts stay below 126 (a shell uses the codes from there for its own); 64 and up follow `sysexits.h`.

use std::fmt;

/// Why the process ends. When several apply, the first of `INTERNAL > NONDETERMINISM > UNEXPECTED > INCONCLUSIVE` wins. An
/// interruption outweighs what the runs so far found: a part of a suite is no verdict on the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything as expected.
    AsExpected,
    /// An unexpected violation, or an expected one that is absent.
    Unexpected,
    /// A fault never fired, a goal was never reached, a budget ran out.
    Inconclusive,
    /// The same binary, scenario and seed gave two different runs.
    Nondeterminism,
    /// Nothing was selected to run.
    NothingSelected,
    /// The command line makes no sense.
    Usage,
    /// The scenario file is invalid.
    ScenarioInvalid,
    /// A file or directory could not be read or written.
    Io,
    /// A bug of kafkasim, or a panic outside of an asserted invariant.
    Internal,
    /// Ctrl-C: what was done so far is reported.
    Interrupted,
}

impl Exit {
    /// Every code, in numerical order.
    pub const ALL: [Exit; 10] = [
        Exit::AsExpected,
        Exit::Unexpected,
        Exit::Inconclusive,
        Exit::Nondeterminism,
        Exit::NothingSelected,
        Exit::Usage,
        Exit::ScenarioInvalid,
        Exit::Internal,
        Exit::Io,
        Exit::Interrupted,
    ];

    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::AsExpected => 0,
            Exit::Unexpected => 1,
            Exit::Inconclusive => 2,
            Exit::Nondeterminism => 3,
            Exit::NothingSelected => 4,
            Exit::Usage => 64,
            Exit::ScenarioInvalid => 65,
            Exit::Internal => 70,
            Exit::Io => 74,
            Exit::Interrupted => 130,
        }
    }

    /// What the code means, for the help text.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::AsExpected => "everything as expected",
            Exit::Unexpected => "an unexpected violation, or an expected one that is absent",
            Exit::Inconclusive => {
                "inconclusive: a fault never fired, a goal was not reached, a budget ran out"
            }
            Exit::Nondeterminism => "nondeterminism: the same seed gave two different runs",
            Exit::NothingSelected => "nothing selected to run",
            Exit::Usage => "usage: the command line makes no sense",
            Exit::ScenarioInvalid => "the scenario file is invalid",
            Exit::Internal => "a bug of kafkasim itself",
            Exit::Io => "a file or directory could not be read or written",
            Exit::Interrupted => "interrupted; partial results are written",
        }
    }

    /// The exit for a code found in a report.
    pub fn of_code(code: i32) -> Exit {
        Exit::ALL.into_iter().find(|e| i32::from(e.code()) == code).unwrap_or(Exit::Internal)
    }

    /// How bad: the worst of several runs decides.
    fn rank(self) -> u8 {
        match self {
            Exit::AsExpected => 0,
            Exit::Inconclusive => 1,
            Exit::Unexpected => 2,
            Exit::Nondeterminism => 3,
            Exit::NothingSelected => 4,
            Exit::Interrupted => 5,
            Exit::Usage => 6,
            Exit::ScenarioInvalid => 7,
            Exit::Io => 8,
            Exit::Internal => 9,
        }
    }

    /// The exit of two things done together.
    pub fn and(self, other: Exit) -> Exit {
        if other.rank() > self.rank() { other } else { self }
    }

    /// The table for `--help`.
    pub fn table() -> String {
        let rows = Exit::ALL.map(|e| format!("  {:>3}  {}", e.code(), e.meaning()));
        format!("Exit codes:\n{}", rows.join("\n"))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.meaning())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_wins() {
        assert_eq!(Exit::Inconclusive.and(Exit::Unexpected), Exit::Unexpected);
        assert_eq!(Exit::Nondeterminism.and(Exit::Unexpected), Exit::Nondeterminism);
        assert_eq!(Exit::Internal.and(Exit::Nondeterminism), Exit::Internal);
        assert_eq!(Exit::AsExpected.and(Exit::AsExpected), Exit::AsExpected);
    }

    #[test]
    fn an_interrupted_suite_has_no_verdict() {
        assert_eq!(Exit::Unexpected.and(Exit::Interrupted), Exit::Interrupted);
        assert_eq!(Exit::Interrupted.and(Exit::Internal), Exit::Internal);
    }

    #[test]
    fn what_no_report_should_hold_is_an_internal_error() {
        assert_eq!(Exit::of_code(3), Exit::Nondeterminism);
        assert_eq!(Exit::of_code(70), Exit::Internal);
        assert_eq!(Exit::of_code(99), Exit::Internal);
    }

    #[test]
    fn codes_are_unique_and_round_trip() {
        for exit in Exit::ALL {
            assert_eq!(Exit::of_code(i32::from(exit.code())), exit);
        }
        assert!(Exit::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
    }
}
