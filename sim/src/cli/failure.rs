//! Why a command could not do what it was asked for.

use std::fmt;

use reports::write::WriteError;
use scenarios::shipped::FindError;
use scenarios::{LoadError, Report};

use super::Exit;
use super::screen::Screen;
use crate::plan::PlanError;

/// An exit code, and what to tell the user.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    what: What,
}

#[derive(Debug)]
enum What {
    Sentence(String),
    /// Findings about scenario files.
    Findings(Vec<Report>),
}

impl Failure {
    /// One sentence.
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Failure {
        Failure { exit, what: What::Sentence(sentence.into()) }
    }

    /// Mistakes in scenario files (exit code 65).
    pub fn findings(reports: Vec<Report>) -> Failure {
        Failure { exit: Exit::ScenarioInvalid, what: What::Findings(reports) }
    }

    /// A plan that cannot be made of this scenario and seed (exit code 65).
    pub fn plan(file: &str, error: &PlanError) -> Failure {
        Failure::new(Exit::ScenarioInvalid, format!("{file}: {error}"))
    }

    /// To standard error.
    pub fn print(&self, screen: &Screen) {
        match &self.what {
            What::Sentence(sentence) => eprintln!("kafkasim: {sentence}"),
            What::Findings(reports) => {
                for report in reports {
                    eprint!("{}", screen.findings(report));
                }
                let count: usize = reports.iter().map(Report::error_count).sum();
                let plural = if count == 1 { "" } else { "s" };
                let names: Vec<&str> = reports.iter().map(|report| report.name.as_str()).collect();
                eprintln!("kafkasim: {count} mistake{plural} in {}", names.join(", "));
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Sentence(sentence) => f.write_str(sentence),
            What::Findings(reports) => reports.iter().try_for_each(|report| report.fmt(f)),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        match error {
            LoadError::Invalid(report) => Failure::findings(vec![report]),
            LoadError::Io { .. } => Failure::new(Exit::Io, error.to_string()),
        }
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Failure {
        match error {
            FindError::Io(error) => error.into(),
            FindError::NotFound { .. } => Failure::new(Exit::Io, error.to_string()),
            FindError::Ambiguous { .. } => Failure::new(Exit::Usage, error.to_string()),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Failure {
        let exit = match error {
            WriteError::Name { .. } => Exit::ScenarioInvalid,
            WriteError::Directory { .. } | WriteError::File { .. } => Exit::Io,
        };
        Failure::new(exit, error.to_string())
    }
}
