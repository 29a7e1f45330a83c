//! From a path to a scenario.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Report, Severity};
use crate::model::Scenario;
use crate::overrides;
use crate::syntax::tree::Node;
use crate::syntax::{json, toml};
use crate::walk::{self, Walk};

/// An accepted scenario with everything that a report says about its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The scenario.
    pub scenario: Scenario,
    /// Warnings, with their places; empty if there are none.
    pub warnings: Report,
    /// `blake3:` and the hexadecimal digest of the file's bytes (without variant and overrides).
    pub source_digest: String,
    /// Kafka configs that the file sets and that have no effect, `section: name`, sorted.
    pub unmodelled_configs: Vec<String>,
    /// The file's text, as it was read.
    pub text: String,
    /// The file's name, as it was given.
    pub file_name: String,
    /// What was changed before the file was read as a scenario.
    pub overrides: Overrides,
}

/// Changes of the parsed file before it is read as a scenario: first the variant, then each `set`, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Name of a `[[variant]]` of the file.
    pub variant: Option<String>,
    /// Dotted path and new value (TOML syntax; what is not TOML is taken as a string).
    pub set: Vec<(String, String)>,
}

/// Why a scenario could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read (exit code 74).
    #[error("cannot read the scenario {path}: {source}")]
    Io {
        /// The path, as given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a valid scenario (exit code 65).
    #[error("{0}")]
    Invalid(Report),
}

/// Reads and parses the file at `path`; `.json` files are JSON, others TOML.
pub fn load(path: &Path) -> Result<Parsed, LoadError> {
    load_with(path, &Overrides::default())
}

/// As [`load`], with changes applied.
pub fn load_with(path: &Path, overrides: &Overrides) -> Result<Parsed, LoadError> {
    let bytes = std::fs::read(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    let name = path.display().to_string();
    match String::from_utf8(bytes) {
        Ok(text) => parse_with(&name, &text, overrides).map_err(LoadError::Invalid),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let finding =
                Diagnostic::error("scn::not_utf8", format!("the file is not UTF-8 text: byte {at} is not"));
            Err(LoadError::Invalid(Report::new(name, "", vec![finding])))
        }
    }
}

/// Parses `text`; `name` is shown in diagnostics, and decides the syntax (JSON if it ends in `.json`).
pub fn parse(name: &str, text: &str) -> Result<Parsed, Report> {
    parse_with(name, text, &Overrides::default())
}

/// As [`parse`], with changes applied.
pub fn parse_with(name: &str, text: &str, overrides: &Overrides) -> Result<Parsed, Report> {
    let digest = blake3::hash(text.as_bytes());
    // A byte order mark is not part of the language; without it the spans stay right.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_json = name.ends_with(".json");
    let (mut root, syntax_errors) = if is_json { json::parse(text) } else { toml::parse(text) };
    let original = root.clone();
    let mut source = text.to_owned();
    let mut findings = Vec::new();
    if let Some(variant) = &overrides.variant {
        findings.extend(overrides::apply_variant(&mut root, variant));
    }
    findings.extend(overrides::apply_sets(&mut root, &mut source, &overrides.set));
    let (scenario, walked, unmodelled_configs) = walk_tree(&source, root, overrides.variant.clone());
    findings.extend(walked);
    if is_json {
        findings.retain(|finding| finding.code != "scn::toml_1_1");
    } else {
        findings.extend(toml_1_1(text, &original));
    }
    if overrides.variant.is_none() && syntax_errors.is_empty() {
        findings.extend(variant_findings(&source, &original, &findings));
    }
    let findings = without_echoes(text, syntax_errors, findings);
    let report = Report::new(name, source, findings);
    match scenario {
        Some(scenario) if report.error_count() == 0 => Ok(Parsed {
            scenario,
            warnings: report,
            source_digest: format!("blake3:{}", digest.to_hex()),
            unmodelled_configs: unmodelled_configs.into_iter().collect(),
            text: text.to_owned(),
            file_name: name.to_owned(),
            overrides: overrides.clone(),
        }),
        _ => Err(report),
    }
}

impl Parsed {
    /// The same file with one of its variants applied (instead of the one that is applied now, if any).
    pub fn apply_variant(&self, variant: &str) -> Result<Parsed, Report> {
        let overrides = Overrides { variant: Some(variant.to_owned()), ..self.overrides.clone() };
        parse_with(&self.file_name, &self.text, &overrides)
    }

    /// The same file with one more value replaced, as by `--set PATH=VALUE`.
    pub fn apply_set(&self, path: &str, value: &str) -> Result<Parsed, Report> {
        let mut overrides = self.overrides.clone();
        overrides.set.push((path.to_owned(), value.to_owned()));
        parse_with(&self.file_name, &self.text, &overrides)
    }
}

fn walk_tree(
    source: &str,
    root: Node,
    variant: Option<String>,
) -> (Option<Scenario>, Vec<Diagnostic>, BTreeSet<String>) {
    let mut walk = Walk::new(source);
    let scenario = walk::walk(&mut walk, root, variant);
    // A parameter that is not there leaves a value of the wrong type behind: that is the same mistake.
    let is_param = |finding: &Diagnostic| matches!(finding.code, "scn::unknown_param" | "scn::partial_param");
    let places = |finding: &Diagnostic| finding.labels.iter().map(|(span, _)| *span).collect::<Vec<_>>();
    let params: Vec<_> = walk.findings.iter().filter(|finding| is_param(finding)).flat_map(places).collect();
    walk.findings
        .retain(|finding| is_param(finding) || !places(finding).iter().any(|place| params.contains(place)));
    (scenario, walk.findings, walk.unmodelled_configs)
}

fn toml_1_1(text: &str, root: &Node) -> Vec<Diagnostic> {
    let mut spans = Vec::new();
    toml::multi_line_inline_tables(text, root, &mut spans);
    let finding = |span: crate::model::Span| {
        let line = text[span.start..span.end].find('\n').unwrap_or(0);
        Diagnostic::warning("scn::toml_1_1", "an inline table over several lines is TOML 1.1")
            .at(crate::model::Span::new(span.start, span.start + line), "")
            .help("other readers of this file may refuse it: write it in one line, or as a [table]")
    };
    spans.into_iter().map(finding).collect()
}

/// What each variant of the file would be refused for, besides what the file is refused for itself.
fn variant_findings(source: &str, original: &Node, known: &[Diagnostic]) -> Vec<Diagnostic> {
    let variants =
        original.as_table().and_then(|table| table.get("variant")?.node.as_array()).unwrap_or_default();
    let mut findings: Vec<Diagnostic> = Vec::new();
    for name in variants.iter().filter_map(|node| node.as_table()?.get("name")?.node.as_str()) {
        let mut root = original.clone();
        let mut found = overrides::apply_variant(&mut root, name);
        found.extend(walk_tree(source, root, Some(name.to_owned())).1);
        let is_new = |finding: &Diagnostic, seen: &[Diagnostic]| !seen.contains(finding);
        for finding in found {
            // Warnings about a variant are given when it is run.
            if finding.severity == Severity::Error && is_new(&finding, known) && is_new(&finding, &findings) {
                findings.push(finding);
            }
        }
    }
    findings
}

/// After a syntax error the tree has holes: what is said about the same line, or about missing keys, is only an echo.
fn without_echoes(
    text: &str,
    syntax_errors: Vec<Diagnostic>,
    mut findings: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    // A JSON key that is set twice leaves no hole.
    let (doubled, syntax_errors): (Vec<_>, Vec<_>) =
        syntax_errors.into_iter().partition(|finding| finding.code == "scn::duplicate_key");
    findings.extend(doubled);
    if syntax_errors.is_empty() {
        return findings;
    }
    let line = |finding: &Diagnostic| text.get(..finding.start()).unwrap_or(text).matches('\n').count();
    let broken: BTreeSet<usize> = syntax_errors.iter().map(line).collect();
    let echoes = ["scn::missing_key", "scn::no_trigger", "scn::no_verb", "scn::toml_1_1"];
    findings.retain(|finding| !broken.contains(&line(finding)) && !echoes.contains(&finding.code));
    // One broken line is one mistake, however often the parser stumbles over it.
    let mut seen = BTreeSet::new();
    findings.extend(syntax_errors.into_iter().filter(|finding| seen.insert(line(finding))));
    findings
}
