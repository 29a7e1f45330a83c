//! `kafkasim bench`: figures per CPU-second. Never part of a test: a test must not depend on the machine.
//!
//! | file | what |
//! |---|---|
//! | `figures.rs` | [`FIGURES`](figures::FIGURES): every figure with its definition, its bar and how it is measured |
//! | `scenes.rs` | the clusters that are measured, as scenarios |
//!
//! To add a figure: a function and one row in `figures.rs`.

mod figures;
mod scenes;

use reports::BenchReport;
use reports::model::{Figure, Limit};

use super::args::BenchArgs;
use super::screen::Screen;
use super::{Exit, Failure};

/// Measures what was asked for and prints it.
pub fn bench(args: &BenchArgs, screen: &Screen) -> Result<Exit, Failure> {
    if let Some(scene) = &args.one_run_of {
        return figures::one_run_of(scene, screen);
    }
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only));
    let rows: Vec<_> = figures::FIGURES.iter().filter(|row| wanted(row.name)).collect();
    if rows.is_empty() {
        let names: Vec<&str> = figures::FIGURES.iter().map(|row| row.name).collect();
        let sentence = format!("nothing selected: the figures are {}", names.join(", "));
        return Err(Failure::new(Exit::NothingSelected, sentence));
    }
    let mut figures = Vec::new();
    for row in rows {
        eprintln!("kafkasim: measuring {}", row.name);
        figures.push(row.measure()?);
    }
    let report = BenchReport::new(figures);
    if args.json {
        screen.print_document(&report)
    } else {
        screen.print(&report.figures.iter().map(line).collect::<String>())
    }
}

fn line(figure: &Figure) -> String {
    let bar = match (figure.bar, figure.reaches_bar()) {
        (Some(bar), Some(is_reached)) => {
            let sign = if bar.limit == Limit::AtLeast { ">=" } else { "<=" };
            format!("bar {sign} {}: {}", bar.value, if is_reached { "reached" } else { "MISSED" })
        }
        _ => "no bar".to_owned(),
    };
    format!("{:<28} {:>14} {:<11} {bar}\n    {}\n", figure.name, figure.value, figure.unit, figure.definition)
}
