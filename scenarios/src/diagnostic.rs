//! What is wrong with a scenario file, and how it is shown: code, message, underlined places, help.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use crate::model::Span;

/// Whether a finding refuses the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted; `--deny warnings` refuses it.
    Warning,
}

/// One finding about a scenario file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, `scn::unknown_key`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, a lower-case sentence without a full stop.
    pub message: String,
    /// The places, the first one the cause, each with a few words (or none).
    pub labels: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: None,
        }
    }

    /// A warning without a place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.labels.push((span, label.into()));
        self
    }

    /// Sets the help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The earliest place, by which findings are sorted.
    pub fn start(&self) -> usize {
        self.labels.iter().map(|(span, _)| span.start).min().unwrap_or(0)
    }
}

/// All findings about one file, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The file's name, as shown.
    pub name: String,
    /// The text in which the spans lie: the file's, followed by the overrides of the command line if there are any.
    pub source: String,
    /// The findings, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Sorts the findings by place.
    pub fn new(name: impl Into<String>, source: impl Into<String>, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|diagnostic| (diagnostic.start(), diagnostic.severity));
        Report { name: name.into(), source: source.into(), diagnostics }
    }

    /// How many of the findings refuse the file.
    pub fn error_count(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// Every finding as text without colour, wrapped at `width` columns.
    pub fn render_plain(&self, width: usize) -> String {
        self.render(GraphicalTheme::unicode_nocolor(), width)
    }

    /// Every finding as text for a terminal with colours, wrapped at `width` columns.
    pub fn render_colored(&self, width: usize) -> String {
        self.render(GraphicalTheme::unicode(), width)
    }

    /// The line and column (counted from 1, columns in characters) of the byte at `offset`.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.source.len());
        while !self.source.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.source[..end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    fn render(&self, theme: GraphicalTheme, width: usize) -> String {
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width)
            .with_links(false)
            .with_context_lines(1);
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            let shown = Shown { diagnostic, source: NamedSource::new(&self.name, self.source.clone()) };
            // A `String` takes every write; a finding that cannot be drawn is still told in words.
            if handler.render_report(&mut text, &shown).is_err() {
                text.push_str(&format!("{}: {}\n", diagnostic.code, diagnostic.message));
            }
            text.push('\n');
        }
        text
    }
}

impl fmt::Display for Report {
    /// One line per finding: `file.toml:3:1: error scn::unknown_key: ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.diagnostics {
            let (line, column) = self.position(diagnostic.start());
            let severity = match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            writeln!(
                f,
                "{}:{line}:{column}: {severity} {}: {}",
                self.name, diagnostic.code, diagnostic.message
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// One finding together with its source, in the shape that miette draws.
#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    source: NamedSource<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.diagnostic.labels.iter().map(|(span, label)| {
            let label = (!label.is_empty()).then(|| label.clone());
            LabeledSpan::new(label, span.start, span.end.saturating_sub(span.start))
        });
        Some(Box::new(labels))
    }
}
