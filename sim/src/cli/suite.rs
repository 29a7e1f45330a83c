//! `kafkasim suite`: every scenario of a directory, all variants, over a range of seeds.

use std::collections::BTreeMap;
use std::sync::Arc;

use scenarios::load::Overrides;
use scenarios::shipped;

use super::args::{Format, SuiteArgs};
use super::screen::Screen;
use super::work::{self, Batch, Item};
use super::{Exit, Failure, interrupt, select};
use crate::report::Origin;
use crate::run::RunOptions;

/// Runs all, writes reports and `suite.json`, prints the suite report.
pub fn suite(args: &SuiteArgs, screen: &Screen) -> Result<Exit, Failure> {
    let origins = origins(args)?;
    let mut items = Vec::new();
    for origin in &origins {
        match args.seeds {
            Some(range) => {
                for seed in range.seeds() {
                    items.push(Item::new(origin, seed)?);
                }
            }
            None => items.push(Item::new(origin, select::own_seed(origin))?),
        }
    }
    let batch = Batch {
        options: RunOptions { inert_faults: args.inert_faults, ..RunOptions::default() },
        is_compared: args.determinism_check,
        workers: args.jobs.max(1),
        out: &args.out,
        interrupted: interrupt::listen(),
    };
    let results = batch.run(&items, false)?;
    let (suite, _, exit) = work::conclude(&args.out, &items, &results)?;
    match args.format {
        Format::Json => screen.print_document(&suite)?,
        Format::Human => {
            screen.print(&reports::render::suite(&suite, &args.out.display().to_string(), &screen.style))?
        }
    };
    Ok(exit)
}

/// Every scenario of the directory, each alone and with each of its variants. All mistakes of all files are told at
/// once, before anything runs.
fn origins(args: &SuiteArgs) -> Result<Vec<Arc<Origin>>, Failure> {
    let files = shipped::files(&args.dir)?;
    if files.is_empty() {
        let sentence = format!("nothing selected: no scenario file below {}", args.dir.display());
        return Err(Failure::new(Exit::NothingSelected, sentence));
    }
    let directory = select::directory()?;
    let (mut origins, mut mistakes) = (Vec::new(), Vec::new());
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        match scenarios::load::load_with(&file.path, &Overrides::default()) {
            Err(scenarios::LoadError::Invalid(report)) => mistakes.push(report),
            Err(error) => return Err(error.into()),
            Ok(parsed) => {
                let place = parsed.file_name.clone();
                if let Some(other) = names.insert(parsed.scenario.name.clone(), place.clone()) {
                    let name = &parsed.scenario.name;
                    let sentence = format!(
                        "{other} and {place} are both called {name}: reports would share a directory"
                    );
                    return Err(Failure::new(Exit::ScenarioInvalid, sentence));
                }
                for variant in &parsed.scenario.variants {
                    match parsed.apply_variant(&variant.name) {
                        Ok(changed) => origins.push(Arc::new(Origin::new(changed, &directory))),
                        Err(report) => mistakes.push(report),
                    }
                }
                origins.push(Arc::new(Origin::new(parsed, &directory)));
            }
        }
    }
    if mistakes.is_empty() { Ok(origins) } else { Err(Failure::findings(mistakes)) }
}
