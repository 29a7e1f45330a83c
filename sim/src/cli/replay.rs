//! `kafkasim replay`: a run again, from its report or from a scenario and a seed. Writes no file.

use std::path::Path;

use reports::Report;
use reports::json::{self, ReadError};
use serde::Deserialize;

use super::args::{Format, ReplayArgs, TraceLevel};
use super::screen::Screen;
use super::{Exit, Failure, select, trace, until, work};
use crate::report::{Origin, report, tool};
use crate::run::{RunOptions, Stage, Until, simulate_and_explain};

/// Runs again, prints the trace and the report.
pub fn replay(args: &ReplayArgs, screen: &Screen) -> Result<Exit, Failure> {
    let stop = args.until.as_deref().map(until::parse).transpose()?;
    let old = read_report(args)?;
    let (mut origin, seed) = match &old {
        Some(old) => of_report(old)?,
        None => {
            let origin = select::scenario(&args.source, args.variant.as_deref(), &args.set)?;
            let seed = args.seed.unwrap_or_else(|| select::own_seed(&origin));
            (origin, seed)
        }
    };
    origin.until.clone_from(&args.until);
    let plan = select::plan(&origin, seed)?;
    let has_trace = args.trace != TraceLevel::Off && args.format == Format::Human;
    let options =
        RunOptions { until: stop, trace_until: has_trace.then_some(u64::MAX), ..RunOptions::default() };
    let outcome = simulate_and_explain(&plan, &Stage::kafka(), options);
    let mut new = work::coherent(report(&outcome, &origin));
    if stop.is_none()
        && let Some(old) = &old
    {
        compare(old, &mut new);
    }
    if args.format == Format::Json {
        screen.print_document(&new)?;
    } else {
        let facts = outcome.trace.iter().flatten();
        // The step of the moment may have said more: the moment asked for is the last line.
        let last = if let Some(Until::Event(event)) = stop { event } else { u64::MAX };
        let mut printer = trace::Printer::new(&plan, args.trace);
        let shown = facts.take_while(|event| event.event <= last);
        let mut text: String = shown.filter_map(|event| printer.line(event)).collect();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&reports::render::run(&new, &screen.style));
        screen.print(&text)?;
    }
    Ok(Exit::of_code(i32::from(new.exit_code)))
}

/// The report, if the source is one.
fn read_report(args: &ReplayArgs) -> Result<Option<Report>, Failure> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    if !args.source.ends_with(".json") {
        return Ok(None);
    }
    let text = std::fs::read_to_string(Path::new(&args.source))
        .map_err(|error| Failure::new(Exit::Io, format!("failed to read {}: {error}", args.source)))?;
    let head: Option<Head> = serde_json::from_str(&text).ok();
    // A scenario may be JSON too; only reports name their schema this way.
    if !head.and_then(|head| head.schema).is_some_and(|schema| schema.starts_with("kafkasim.")) {
        return Ok(None);
    }
    if args.seed.is_some() || args.variant.is_some() || !args.set.is_empty() {
        let sentence = "a report names its own scenario, variant, overrides and seed: leave --seed, --variant and --set away";
        return Err(Failure::new(Exit::Usage, sentence));
    }
    json::read(&text)
        .map(Some)
        .map_err(|error: ReadError| Failure::new(Exit::Io, format!("{}: {error}", args.source)))
}

fn of_report(old: &Report) -> Result<(Origin, u64), Failure> {
    let set: Vec<String> =
        old.scenario.params.iter().map(|(path, value)| format!("{path}={value}")).collect();
    let origin = select::scenario(&old.scenario.path, old.scenario.variant.as_deref(), &set)?;
    if origin.digest() != old.scenario.digest {
        eprintln!(
            "kafkasim: {} has changed since the report was written: this may be another run",
            old.scenario.path
        );
    }
    let now = tool().version;
    if now != old.tool.version {
        eprintln!(
            "kafkasim: the report is of version {}, this is {now}: this may be another run",
            old.tool.version
        );
    }
    Ok((origin, old.seed.0))
}

/// Says whether the replay is the run of the report. A different run of the same plan and version is nondeterminism, or
/// another build.
fn compare(old: &Report, new: &mut Report) {
    if old.fingerprint == new.fingerprint {
        eprintln!("kafkasim: the same run as in the report (fingerprint {})", new.fingerprint.last);
        return;
    }
    if old.plan_digest != new.plan_digest || old.tool != new.tool {
        eprintln!("kafkasim: another run than in the report: scenario or version differ");
        return;
    }
    let sentence = "another run than in the report, of the same plan and version: another build, or nondeterminism \
                    (see `kafkasim run --determinism-check`)";
    eprintln!("kafkasim: {sentence}");
    new.warnings.push(sentence.to_owned());
    new.exit_code = work::worst([new.exit_code, Exit::Nondeterminism.code()]);
}
