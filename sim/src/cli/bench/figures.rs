//! Every figure: what it means, its bar, how it is measured.

use std::process::Command;

use reports::model::{Bar, Figure, Limit};
use scenarios::model::Level;

use super::scenes::{self, Scene};
use crate::check::CHECKS;
use crate::cli::screen::Screen;
use crate::cli::stopwatch::Stopwatch;
use crate::cli::{Exit, Failure};
use crate::host::bench::{bare_loop, messages};
use crate::plan::Plan;
use crate::run::{Outcome, RunOptions, Stage, simulate};

/// Messages in the two loops without a subject.
const LOOP_MESSAGES: u64 = 2_000_000;
/// Runs of the failover figure.
const FAILOVER_SEEDS: u64 = 40;
/// How many times slower than the bare loop the simulator may be.
const LOOP_RATIO: u64 = 25;

/// One figure.
pub struct Row {
    /// Its stable name.
    pub name: &'static str,
    unit: &'static str,
    definition: &'static str,
    bar: Option<Bar>,
    value: fn() -> Result<u64, Failure>,
}

impl Row {
    /// Measures it.
    pub fn measure(&self) -> Result<Figure, Failure> {
        Ok(Figure {
            name: self.name.to_owned(),
            value: (self.value)()?,
            unit: self.unit.to_owned(),
            definition: self.definition.to_owned(),
            bar: self.bar,
        })
    }
}

const fn at_most(value: u64) -> Option<Bar> {
    Some(Bar { limit: Limit::AtMost, value })
}

const fn at_least(value: u64) -> Option<Bar> {
    Some(Bar { limit: Limit::AtLeast, value })
}

/// Every figure, in the order in which they are measured.
pub const FIGURES: &[Row] = &[
    Row {
        name: "bare_loop_events_per_cpu_s",
        unit: "1/cpu_s",
        definition: "messages taken out of a binary heap and put back at a random later time, 100 under way: the limit \
                     that no simulator passes",
        bar: None,
        value: bare,
    },
    Row {
        name: "messages_per_cpu_s",
        unit: "1/cpu_s",
        definition: "frames of 200 bytes delivered by the simulated network among 3 hosts, 100 in flight, no faults",
        bar: at_least(1_500_000),
        value: network,
    },
    Row {
        name: "bare_loop_per_message",
        unit: "ratio",
        definition: "bare_loop_events_per_cpu_s divided by messages_per_cpu_s, both measured now, rounded up",
        bar: at_most(LOOP_RATIO),
        value: ratio,
    },
    Row {
        name: "acked_requests_per_cpu_s",
        unit: "1/cpu_s",
        definition: "acknowledged produce requests of 1 record of 100 bytes: 3 brokers, 3 controllers, RF 3, acks=all, \
                     idempotent, 3 producers with 5 requests in flight each, a consumer, 3 leader crashes, checks on",
        bar: at_least(10_000),
        value: requests,
    },
    Row {
        name: "records_per_cpu_s",
        unit: "1/cpu_s",
        definition: "acknowledged records of 100 bytes in batches of about 100; otherwise the same cluster, faults and \
                     checks as acked_requests_per_cpu_s",
        bar: at_least(500_000),
        value: records,
    },
    Row {
        name: "failover_seeds_per_cpu_min",
        unit: "1/cpu_min",
        definition: "whole runs, one after the other: 3 brokers, 3 controllers, 100 requests, one crash of a leader, \
                     settled, checks on",
        bar: at_least(1_500),
        value: seeds,
    },
    Row {
        name: "peak_rss_bytes_per_seed",
        unit: "bytes",
        definition: "VmHWM in /proc/self/status of a process of its own after one run of failover_seeds_per_cpu_min, the \
                     program itself included",
        bar: at_most(50_000_000),
        value: memory,
    },
    Row {
        name: "check_overhead_ratio",
        unit: "percent",
        definition: "CPU time of acked_requests_per_cpu_s's run with every check on, in percent of the same run with every \
                     check off; both measured now",
        bar: at_most(200),
        value: check_overhead,
    },
    Row {
        name: "cluster_10x1000_cpu_ms",
        unit: "cpu_ms",
        definition: "10 brokers, 1,000 partitions, RF 3, no clients: boot, one broker lost for 14 s and back, until every \
                     partition has a leader and a full ISR; checks on",
        bar: at_most(1_000),
        value: small_cluster,
    },
    Row {
        name: "cluster_100x10000_cpu_s",
        unit: "cpu_s",
        definition: "the same with 100 brokers and 10,000 partitions, rounded up",
        bar: at_most(10),
        value: large_cluster,
    },
    Row {
        name: "cluster_100x10000_peak_rss_bytes",
        unit: "bytes",
        definition: "VmHWM of a process of its own after the run of cluster_100x10000_cpu_s",
        bar: at_most(4_000_000_000),
        value: large_cluster_memory,
    },
];

fn bare() -> Result<u64, Failure> {
    Ok(bare_loop(LOOP_MESSAGES).per_second())
}

fn network() -> Result<u64, Failure> {
    Ok(messages(LOOP_MESSAGES).per_second())
}

fn ratio() -> Result<u64, Failure> {
    Ok(bare()?.div_ceil(network()?.max(1)))
}

fn requests() -> Result<u64, Failure> {
    acked_per_second(&scenes::REQUESTS)
}

fn records() -> Result<u64, Failure> {
    acked_per_second(&scenes::RECORDS)
}

/// Acknowledged records per second of CPU time.
fn acked_per_second(scene: &Scene) -> Result<u64, Failure> {
    let plan = scene.plan(1)?;
    let clock = Stopwatch::start();
    let outcome = play(&plan);
    Ok(outcome.tally.acked.saturating_mul(1_000_000) / clock.cpu_us().max(1))
}

fn seeds() -> Result<u64, Failure> {
    let plans =
        (1..=FAILOVER_SEEDS).map(|seed| scenes::FAILOVER.plan(seed)).collect::<Result<Vec<_>, _>>()?;
    let clock = Stopwatch::start();
    plans.iter().for_each(|plan| {
        play(plan);
    });
    Ok(FAILOVER_SEEDS.saturating_mul(60_000_000) / clock.cpu_us().max(1))
}

/// Runs a plan. A run that is not as expected is still a run, but its speed means less: that is said aloud.
fn play(plan: &Plan) -> Outcome {
    let outcome = simulate(plan, &Stage::kafka(), RunOptions::default());
    if outcome.conclusion.exit_code != 0 {
        let reasons = outcome.conclusion.reasons.join("; ");
        eprintln!("kafkasim: {} is {}: {reasons}", outcome.key(), outcome.conclusion.verdict);
    }
    outcome
}

fn cpu_us(plan: &Plan) -> u64 {
    let clock = Stopwatch::start();
    play(plan);
    clock.cpu_us().max(1)
}

fn check_overhead() -> Result<u64, Failure> {
    let plan = scenes::REQUESTS.plan(1)?;
    let mut unchecked = plan.clone();
    unchecked.checks = CHECKS.iter().map(|check| (check.name.to_owned(), Level::Off)).collect();
    let without = {
        let clock = Stopwatch::start();
        // Nothing is judged, so the verdict is inconclusive by design: no complaint about that.
        simulate(&unchecked, &Stage::kafka(), RunOptions::default());
        clock.cpu_us().max(1)
    };
    Ok(cpu_us(&plan) * 100 / without)
}

fn small_cluster() -> Result<u64, Failure> {
    Ok(cpu_us(&scenes::SMALL_CLUSTER.plan(1)?).div_ceil(1_000))
}

fn large_cluster() -> Result<u64, Failure> {
    Ok(cpu_us(&scenes::LARGE_CLUSTER.plan(1)?).div_ceil(1_000_000))
}

fn memory() -> Result<u64, Failure> {
    peak_of(&scenes::FAILOVER)
}

fn large_cluster_memory() -> Result<u64, Failure> {
    peak_of(&scenes::LARGE_CLUSTER)
}

/// The most memory that a process of its own ever has while it runs one seed of a scene.
fn peak_of(scene: &Scene) -> Result<u64, Failure> {
    let failed = |what: String| {
        Failure::new(Exit::Io, format!("failed to measure memory in a process of its own: {what}"))
    };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let child = Command::new(program).args(["bench", "--one-run-of", scene.name]).output();
    let child = child.map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    text.trim().parse().map_err(|_| failed(format!("it printed {text:?}")))
}

/// The child of the memory figures: runs one seed of a scene and prints the most memory that it ever had, in bytes.
pub fn one_run_of(name: &str, screen: &Screen) -> Result<Exit, Failure> {
    let scene = scenes::SCENES.iter().find(|scene| scene.name == name);
    let scene = scene.ok_or_else(|| Failure::new(Exit::Usage, format!("there is no scene {name}")))?;
    play(&scene.plan(1)?);
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|error| Failure::new(Exit::Io, format!("failed to read /proc/self/status: {error}")))?;
    let peak = peak_rss(&status).ok_or_else(|| {
        Failure::new(Exit::Io, "/proc/self/status does not tell the peak of memory (VmHWM)")
    })?;
    screen.print(&format!("{peak}\n"))
}

fn peak_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(peak_rss("Name:\tx\nVmHWM:\t   12 kB\nVmRSS:\t 4 kB\n"), Some(12_288));
        assert_eq!(peak_rss("VmRSS:\t 4 kB\n"), None);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = FIGURES.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIGURES.len());
    }
}
