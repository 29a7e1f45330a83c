//! The command line. Everything that touches the real world (files, terminal, signals, threads) is here or in `reports`.
//!
//! Results go to standard output, progress and complaints to standard error. With `--format json` standard output is
//! exactly one document. What ends a command early is a failure: an exit code and one sentence.
//!
//! | file | what |
//! |---|---|
//! | `args.rs` | what can be typed |
//! | `exit.rs` | [`Exit`]: every exit code |
//! | `failure.rs` | why a command could not do what it was asked for |
//! | `select.rs` | from a name on the command line to a scenario and a plan |
//! | `until.rs` | `12s` or an event number |
//! | `work.rs` | runs plans on workers, writes each report |
//! | `run.rs`, `suite.rs`, `replay.rs` | the commands that run something |
//! | `museum.rs` | is every historic defect caught? |
//! | `trace.rs` | one line per fact |
//! | `list.rs` | what exists, as tables and as JSON |
//! | `bench/` | figures per CPU-second |
//! | `progress.rs` | how far it is, on standard error |
//! | `screen.rs` | standard output, colours |
//! | `interrupt.rs` | Ctrl-C |
//! | `stopwatch.rs` | wall and CPU time, for what stands beside a report |

pub mod args;
mod bench;
pub mod exit;
mod failure;
mod interrupt;
mod list;
mod museum;
mod progress;
mod replay;
mod run;
mod screen;
mod select;
mod stopwatch;
mod suite;
mod trace;
mod until;
mod work;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, SchemaKind};
pub use exit::Exit;
use failure::Failure;
use screen::Screen;

/// What the binary does: reads the command line, obeys, gives the exit code.
pub fn main() -> ExitCode {
    let exit = catch_unwind(AssertUnwindSafe(start)).unwrap_or_else(|_| {
        let words: Vec<String> = std::env::args().skip(1).collect();
        eprintln!(
            "kafkasim: internal error, a bug of kafkasim itself; please report it with the message above and this command \
             (without --seed it ran the scenario's own seed, else 1):\n  kafkasim {}",
            words.join(" ")
        );
        Exit::Internal
    });
    ExitCode::from(exit.code())
}

fn start() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody reads a usage message that cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::AsExpected };
        }
    };
    warn_of_ignored_variables();
    let screen = Screen::new(cli.color);
    match obey(&cli.command, &screen) {
        Ok(exit) => exit,
        Err(failure) => {
            failure.print(&screen);
            failure.exit
        }
    }
}

fn obey(command: &Command, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(args, screen),
        Command::Suite(args) => suite::suite(args, screen),
        Command::Replay(args) => replay::replay(args, screen),
        Command::List(args) => list::list(args, screen),
        Command::Schema(args) => schema(args.what, screen),
        Command::Museum(args) => museum::museum(args, screen),
        Command::Bench(args) => bench::bench(args, screen),
    }
}

fn schema(what: SchemaKind, screen: &Screen) -> Result<Exit, Failure> {
    let name = match what {
        SchemaKind::Scenario => return screen.print(&scenarios::schema_text()),
        SchemaKind::Report => "report",
        SchemaKind::Suite => "suite",
        SchemaKind::RunMeta => "run-meta",
        SchemaKind::Bench => "bench",
        SchemaKind::Museum => "museum",
    };
    let entry = reports::schema::SCHEMAS.iter().find(|entry| entry.name == name);
    screen.print(&(entry.expect("each document has its schema").generate)())
}

/// The scheduler's own test runner reads variables that would change every run; this binary does not, and says so.
fn warn_of_ignored_variables() {
    let names: Vec<String> = std::env::vars_os()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with("MADSIM_TEST_"))
        .collect();
    if !names.is_empty() {
        eprintln!("kafkasim: ignored: {} (a run depends on scenario and seed alone)", names.join(", "));
    }
}
