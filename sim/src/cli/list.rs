//! `kafkasim list`: what exists, as a table or as one JSON document.

use std::path::Path;

use broker::defects::Defect;
use scenarios::catalogue::{ConfigSpec, Effect, Section};
use scenarios::model::ExpectedVerdict;
use scenarios::{names, shipped};
use serde::Serialize;

use super::args::{Format, ListArgs, Listable};
use super::screen::Screen;
use super::{Exit, Failure, select};
use crate::check::{CHECKS, CheckKind};
use crate::nemesis::FAMILIES;

/// Prints one list.
pub fn list(args: &ListArgs, screen: &Screen) -> Result<Exit, Failure> {
    match args.what {
        Listable::Scenarios => show("scenarios", &scenario_rows()?, args.format, screen),
        Listable::Checks => show("checks", &check_rows(), args.format, screen),
        Listable::Faults => show("faults", &fault_rows(), args.format, screen),
        Listable::Points => show("points", &point_rows(), args.format, screen),
        Listable::Defects => show("defects", &defect_rows(), args.format, screen),
        Listable::Configs => show("configs", &config_rows(), args.format, screen),
    }
}

/// One row, for people: a head of short cells and a sentence below or beside it.
trait Row: Serialize {
    /// The short cells.
    fn cells(&self) -> Vec<String>;
    /// The sentence.
    fn about(&self) -> String;
}

fn show<T: Row>(name: &str, rows: &[T], format: Format, screen: &Screen) -> Result<Exit, Failure> {
    if format == Format::Json {
        let document = std::collections::BTreeMap::from([(name, rows)]);
        return screen.print(&reports::json::to_canonical_json(&document));
    }
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (row, cells) in rows.iter().zip(&cells) {
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(&row.about());
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    screen.print(&text)
}

#[derive(Debug, Serialize)]
struct ScenarioRow {
    name: String,
    path: String,
    about: String,
    expect: &'static str,
    variants: Vec<String>,
    tags: Vec<String>,
}

fn word(verdict: ExpectedVerdict) -> &'static str {
    match verdict {
        ExpectedVerdict::Pass => "pass",
        ExpectedVerdict::Violation => "violation",
        ExpectedVerdict::PermittedLoss => "permitted-loss",
        ExpectedVerdict::Inconclusive => "inconclusive",
    }
}

fn scenario_rows() -> Result<Vec<ScenarioRow>, Failure> {
    let files = shipped::files(Path::new(select::SHIPPED))?;
    let row = |file: &shipped::ScenarioFile| {
        let parsed = scenarios::load(&file.path)?;
        let scenario = parsed.scenario;
        Ok(ScenarioRow {
            name: file.name.clone(),
            path: file.path.display().to_string(),
            about: scenario.about,
            expect: word(scenario.expect.verdict),
            variants: scenario.variants.into_iter().map(|variant| variant.name).collect(),
            tags: scenario.tags,
        })
    };
    files.iter().map(row).collect()
}

impl Row for ScenarioRow {
    fn cells(&self) -> Vec<String> {
        let variants: Vec<String> = self.variants.iter().map(|name| format!("@{name}")).collect();
        vec![self.name.clone(), self.expect.to_owned(), variants.join(" ")]
    }

    fn about(&self) -> String {
        let words: Vec<&str> = self.about.split_whitespace().collect();
        let text = words.join(" ");
        // The first sentence: the whole story is in the file.
        text.split_once(". ").map_or(text.clone(), |(first, _)| format!("{first}."))
    }
}

#[derive(Debug, Serialize)]
struct CheckRow {
    name: &'static str,
    kind: &'static str,
    claim: &'static str,
    source: &'static str,
}

fn check_rows() -> Vec<CheckRow> {
    let row = |row: &crate::check::CheckRow| CheckRow {
        name: row.name,
        kind: match row.kind {
            CheckKind::State => "state",
            CheckKind::History => "history",
            CheckKind::Liveness => "liveness",
        },
        claim: row.claim,
        source: row.source,
    };
    CHECKS.iter().map(row).collect()
}

impl Row for CheckRow {
    fn cells(&self) -> Vec<String> {
        vec![self.name.to_owned(), self.kind.to_owned()]
    }

    fn about(&self) -> String {
        format!("{} ({})", self.claim, self.source)
    }
}

#[derive(Debug, Serialize)]
struct FaultRow {
    kind: &'static str,
    name: &'static str,
    about: String,
}

/// Verbs, triggers and random faults: what a `[[fault]]` and `[chaos]` are made of.
fn fault_rows() -> Vec<FaultRow> {
    let verbs = FAMILIES.iter().map(|family| FaultRow {
        kind: "verb",
        name: family.verb,
        about: family.about.to_owned(),
    });
    let triggers = names::triggers().into_iter();
    let triggers = triggers.map(|(name, about)| FaultRow { kind: "trigger", name, about: about.to_owned() });
    let chaos = names::chaos_kinds().into_iter();
    let chaos = chaos.map(|(name, about)| FaultRow { kind: "chaos", name, about: about.to_owned() });
    verbs.chain(triggers).chain(chaos).collect()
}

impl Row for FaultRow {
    fn cells(&self) -> Vec<String> {
        vec![self.kind.to_owned(), self.name.to_owned()]
    }

    fn about(&self) -> String {
        self.about.clone()
    }
}

#[derive(Debug, Serialize)]
struct PointRow {
    name: &'static str,
    about: &'static str,
}

fn point_rows() -> Vec<PointRow> {
    scenarios::points::POINTS.iter().map(|(name, about)| PointRow { name, about }).collect()
}

impl Row for PointRow {
    fn cells(&self) -> Vec<String> {
        vec![self.name.to_owned()]
    }

    fn about(&self) -> String {
        self.about.to_owned()
    }
}

#[derive(Debug, Serialize)]
struct DefectRow {
    id: &'static str,
    name: &'static str,
    about: &'static str,
}

fn defect_rows() -> Vec<DefectRow> {
    let row = |defect: Defect| DefectRow { id: defect.id(), name: defect.name(), about: defect.about() };
    Defect::ALL.iter().copied().map(row).collect()
}

impl Row for DefectRow {
    fn cells(&self) -> Vec<String> {
        vec![self.id.to_owned(), self.name.to_owned()]
    }

    fn about(&self) -> String {
        self.about.to_owned()
    }
}

#[derive(Debug, Serialize)]
struct ConfigRow {
    section: &'static str,
    #[serde(flatten)]
    config: ConfigSpec,
}

fn config_rows() -> Vec<ConfigRow> {
    // Brokers and controllers share one list.
    let sections = Section::ALL.into_iter().filter(|section| *section != Section::Controller);
    let rows = sections.flat_map(|section| {
        section.configs().iter().map(move |config| ConfigRow { section: section.word(), config: *config })
    });
    rows.collect()
}

impl Row for ConfigRow {
    fn cells(&self) -> Vec<String> {
        let effect = match self.config.effect {
            Effect::Modelled => "modelled".to_owned(),
            Effect::NoEffect => "no effect".to_owned(),
            Effect::OwnedByLayout(key) => format!("see {key}"),
        };
        let default = self.config.default;
        let shown: String = default.chars().take(24).collect();
        let name = format!("{}: {}", self.section, self.config.name);
        vec![name, shown, format!("{:?}", self.config.unit).to_lowercase(), effect]
    }

    fn about(&self) -> String {
        self.config.doc.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_that_files_may_name_is_in_the_table() {
        let rows = check_rows();
        let known: Vec<&str> = names::CHECKS.iter().map(|check| check.id).collect();
        assert!(rows.iter().all(|row| known.contains(&row.name)), "{rows:?}");
        assert!(rows.iter().all(|row| !row.claim.is_empty() && !row.source.is_empty()));
    }

    #[test]
    fn every_verb_that_files_may_use_is_in_the_table() {
        let mut verbs: Vec<&str> =
            fault_rows().iter().filter(|row| row.kind == "verb").map(|row| row.name).collect();
        let mut known: Vec<&str> = names::verbs().into_iter().map(|(name, _)| name).collect();
        verbs.sort_unstable();
        known.sort_unstable();
        assert_eq!(verbs, known);
    }

    #[test]
    fn every_defect_that_files_may_name_is_in_the_table() {
        let rows: Vec<_> = defect_rows().into_iter().map(|row| (row.id, row.name)).collect();
        let known: Vec<_> = names::DEFECTS.iter().map(|defect| (defect.id, defect.name)).collect();
        assert_eq!(rows, known);
    }
}
