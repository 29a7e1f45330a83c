//! `kafkasim run`: one scenario, one seed or a range.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::{Format, RunArgs};
use super::screen::Screen;
use super::work::{self, Batch, Item};
use super::{Exit, Failure, interrupt, select, until};
use crate::run::RunOptions;

/// Runs, writes reports, prints the report of the one seed or the suite report of the range.
pub fn run(args: &RunArgs, screen: &Screen) -> Result<Exit, Failure> {
    let stop = args.until.as_deref().map(until::parse).transpose()?;
    let selection = &args.selection;
    let mut origin = select::scenario(&selection.scenario, selection.variant.as_deref(), &selection.set)?;
    origin.until.clone_from(&args.until);
    let origin = Arc::new(origin);
    let options = RunOptions { until: stop, inert_faults: args.inert_faults, ..RunOptions::default() };
    let never = AtomicBool::new(false);
    let batch = Batch {
        options,
        is_compared: args.determinism_check,
        workers: args.jobs.max(1),
        out: &args.out,
        interrupted: if args.seeds.is_some() { interrupt::listen() } else { interrupt::stop_at_once(&never) },
    };
    let Some(range) = args.seeds else {
        let seed = args.seed.unwrap_or_else(|| select::own_seed(&origin));
        return one(&batch, Item::new(&origin, seed)?, args.format, screen);
    };
    let items = range.seeds().map(|seed| Item::new(&origin, seed)).collect::<Result<Vec<_>, _>>()?;
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

fn one(batch: &Batch<'_>, item: Item, format: Format, screen: &Screen) -> Result<Exit, Failure> {
    let results = batch.run(&[item], true)?;
    let report = results.into_iter().flatten().find_map(|done| done.report);
    let report = report.expect("nothing interrupts a single run, and its report is kept");
    match format {
        Format::Json => screen.print_document(&report)?,
        Format::Human => screen.print(&reports::render::run(&report, &screen.style))?,
    };
    Ok(Exit::of_code(i32::from(report.exit_code)))
}
