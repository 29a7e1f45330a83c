//! Standard output, colours, width.

use std::io::{ErrorKind, IsTerminal, Write};

use reports::json::{Document, to_canonical_json};
use reports::render::Style;

use super::args::Colour;
use super::{Exit, Failure};

/// What is known about the terminal.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// How reports are laid out.
    pub style: Style,
    /// Colours on standard error.
    has_colour_on_errors: bool,
}

impl Screen {
    /// Looks at the terminal. `NO_COLOR` (no-color.org) counts only where the choice is ours.
    pub fn new(colour: Colour) -> Screen {
        let may = |is_terminal: bool| match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let style = Style { colour: may(std::io::stdout().is_terminal()), ..Style::default() };
        Screen {
            style: Style { width: width.unwrap_or(style.width).clamp(60, 160), ..style },
            has_colour_on_errors: may(std::io::stderr().is_terminal()),
        }
    }

    /// Writes text to standard output. A reader who has seen enough (`| head`) is no error.
    pub fn print(&self, text: &str) -> Result<Exit, Failure> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::new(Exit::Io, format!("failed to write to standard output: {error}")))
            }
            _ => Ok(Exit::AsExpected),
        }
    }

    /// Writes a document to standard output.
    pub fn print_document(&self, document: &impl Document) -> Result<Exit, Failure> {
        self.print(&to_canonical_json(document))
    }

    /// Findings about a scenario file, for standard error.
    pub fn findings(&self, report: &scenarios::Report) -> String {
        if self.has_colour_on_errors {
            report.render_colored(self.style.width)
        } else {
            report.render_plain(self.style.width)
        }
    }
}
