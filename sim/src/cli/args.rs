//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit::Exit;

const ABOUT: &str = "A deterministic cluster simulator of Apache Kafka";
const LONG_ABOUT: &str = "\
A deterministic cluster simulator of Apache Kafka: brokers, controllers, producers and consumers run in one process under a \
simulated network, clock and disk that are a pure function of a seed. A scenario file says what the cluster is and what \
breaks; checkers watch every step; the report says what held, what broke and how to see it again.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "kafkasim", version, about = ABOUT, long_about = LONG_ABOUT, after_long_help = Exit::table(), propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Colours on the terminal [NO_COLOR is respected].
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    pub color: Colour,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// If standard output is a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// Exactly one JSON document on standard output and nothing else.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one scenario: one seed, or a range of seeds.
    #[command(
        after_help = "Examples:\n  kafkasim run scenarios/quickstart.toml\n  kafkasim run quickstart --seeds 1..20\n  kafkasim run recipes/P05-unclean-election --variant safe --seed 7 --format json"
    )]
    Run(RunArgs),
    /// Run every scenario of a directory, all variants, over a range of seeds.
    #[command(after_help = "Example:\n  kafkasim suite scenarios --seeds 1..3 -j 2")]
    Suite(SuiteArgs),
    /// See a run again: from its report, or from a scenario and a seed.
    #[command(
        after_help = "Examples:\n  kafkasim replay kafkasim-out/quickstart/seed-1/report.json\n  kafkasim replay quickstart --seed 1 --until 12s --trace info"
    )]
    Replay(ReplayArgs),
    /// List what exists: scenarios, checks, faults, defects, configs.
    List(ListArgs),
    /// Print a JSON Schema: of scenario files or of reports.
    Schema(SchemaArgs),
    /// Plant every historic Kafka bug: is each caught, and how soon by random faults?
    #[command(
        after_help = "Examples:\n  kafkasim museum --campaigns 0\n  kafkasim museum --only R06 --format json -j 2"
    )]
    Museum(MuseumArgs),
    /// Measure speed: figures per CPU-second, as ratios within one run.
    Bench(BenchArgs),
}

/// How a scenario is chosen and changed.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// A scenario file, or the name of a shipped one such as `failover/leader-crash`.
    pub scenario: String,
    /// Run this variant of the scenario.
    #[arg(long)]
    pub variant: Option<String>,
    /// Override one value, e.g. `topic.orders.config.min.insync.replicas=1` (repeatable).
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// The seed [default: the scenario's own, else 1].
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub seed: Option<u64>,
    /// A range of seeds, both ends included.
    #[arg(long, value_name = "A..B")]
    pub seeds: Option<SeedRange>,
    /// Stop at this simulated time, e.g. `12s`.
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Where reports go: `<DIR>/<scenario>[@variant]/seed-<N>/`.
    #[arg(long, value_name = "DIR", default_value = "kafkasim-out")]
    pub out: PathBuf,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Run every seed twice and compare the fingerprints; the first diverging event is shown.
    #[arg(long)]
    pub determinism_check: bool,
    /// How many seeds run at once.
    #[arg(short = 'j', long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// Faults are planned but never delivered: every run must then be inconclusive.
    #[arg(long, hide = true)]
    pub inert_faults: bool,
}

/// `suite`.
#[derive(Debug, Args)]
pub struct SuiteArgs {
    /// The directory with scenario files.
    #[arg(default_value = "scenarios")]
    pub dir: PathBuf,
    /// Seeds for each scenario, both ends included [default: the scenario's own, else 1].
    #[arg(long, value_name = "A..B")]
    pub seeds: Option<SeedRange>,
    /// How many runs at once.
    #[arg(short = 'j', long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// Where reports go.
    #[arg(long, value_name = "DIR", default_value = "kafkasim-out")]
    pub out: PathBuf,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Run every item twice and compare the fingerprints.
    #[arg(long)]
    pub determinism_check: bool,
    /// Faults are planned but never delivered: every run with faults must then be inconclusive.
    #[arg(long, hide = true)]
    pub inert_faults: bool,
}

/// `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A `report.json`, a scenario file, or the name of a shipped scenario.
    pub source: String,
    /// The seed, when the source is a scenario.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Run this variant, when the source is a scenario.
    #[arg(long)]
    pub variant: Option<String>,
    /// Override one value, when the source is a scenario (repeatable).
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Stop at a simulated time (`12s`) or at an event number (`151002`).
    #[arg(long, value_name = "T|EVENT")]
    pub until: Option<String>,
    /// How much of the trace to print.
    #[arg(long, value_enum, default_value_t = TraceLevel::Info)]
    pub trace: TraceLevel,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// How much of a trace is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum TraceLevel {
    /// Nothing but the result.
    Off,
    /// Faults, elections, ISR changes, truncations, client failures.
    Info,
    /// Also every append, high-watermark move and acknowledgement.
    Debug,
}

/// `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// What to list.
    #[arg(value_enum)]
    pub what: Listable,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Listable {
    /// Shipped scenarios with their variants.
    Scenarios,
    /// Properties that are checked, each with its source.
    Checks,
    /// Faults that a scenario can inject.
    Faults,
    /// Facts of nodes at which a fault can strike (`on`).
    Points,
    /// Historic Kafka bugs that a scenario can turn on.
    Defects,
    /// Kafka configs: default, type, unit, effect.
    Configs,
}

/// `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Which schema.
    #[arg(value_enum)]
    pub what: SchemaKind,
}

/// Which JSON Schema to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaKind {
    /// Scenario files.
    Scenario,
    /// `report.json`.
    Report,
    /// `suite.json`.
    Suite,
    /// `run-meta.json`.
    RunMeta,
    /// The output of `bench --json`.
    Bench,
    /// The output of `museum --format json`.
    Museum,
}

/// `museum`.
#[derive(Debug, Args)]
pub struct MuseumArgs {
    /// Campaigns of random faults for each defect; 0: directed scenarios only.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub campaigns: u64,
    /// Seeds after which a campaign gives up.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub seed_limit: u64,
    /// Seeds on which each directed scenario must be red and its control green, both ends included.
    #[arg(long, value_name = "A..B", default_value = "1..20")]
    pub seeds: SeedRange,
    /// Only defects whose id begins with this or whose name contains it.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// How many runs at once.
    #[arg(short = 'j', long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    /// Only figures whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Used by the memory figures: run one seed of this scene in this process, print its peak of memory, and exit.
    #[arg(long, hide = true, value_name = "SCENE")]
    pub one_run_of: Option<String>,
}

/// A range of seeds, both ends included: `1..20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedRange {
    /// First seed.
    pub first: u64,
    /// Last seed.
    pub last: u64,
}

impl SeedRange {
    /// The seeds, in order.
    pub fn seeds(self) -> std::ops::RangeInclusive<u64> {
        self.first..=self.last
    }
}

impl std::str::FromStr for SeedRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = "expected A..B with A <= B, both ends included, such as 1..20";
        let (first, last) = text.split_once("..").ok_or(help)?;
        let last = last.strip_prefix('=').unwrap_or(last);
        let number = |s: &str| s.trim().parse::<u64>().map_err(|_| format!("{s:?} is not a seed: {help}"));
        let range = SeedRange { first: number(first)?, last: number(last)? };
        if range.first > range.last { Err(help.into()) } else { Ok(range) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seed_ranges_include_both_ends() {
        let range: SeedRange = "3..5".parse().unwrap();
        assert_eq!(range.seeds().collect::<Vec<_>>(), [3, 4, 5]);
        assert!("5..3".parse::<SeedRange>().is_err());
        assert!("x..3".parse::<SeedRange>().unwrap_err().contains("\"x\" is not a seed"));
    }
}
