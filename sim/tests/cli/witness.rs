//! A failing seed explains itself. The museum pieces are the failures: their stories are known.
//!
//! `INSTA_UPDATE=always cargo test -p sim --test cli witness` writes the snapshots anew; dev and release give the same.

use std::sync::OnceLock;

use reports::model::Witness;
use reports::{Report, json};

use super::support::{Ended, directory, kafkasim, read, root};

const R01: &str = "scenarios/museum/R01-truncate-to-high-watermark.toml";

fn run(arguments: &[&str]) -> (Ended, String) {
    let dir = directory(&[]);
    let out = dir.path().display().to_string();
    let ended = kafkasim(&root(), &[arguments, &["--out", &out]].concat());
    let name =
        ended.out.split_whitespace().find(|word| word.contains('/')).expect("the verdict names the run");
    let seed = arguments.last().expect("a seed");
    let report = read(dir.path(), &format!("{name}/seed-{seed}/report.json"));
    (ended, report)
}

fn r01() -> &'static (Ended, String) {
    static R01_RUN: OnceLock<(Ended, String)> = OnceLock::new();
    R01_RUN.get_or_init(|| run(&["run", R01, "--seed", "1"]))
}

fn witness_of(report: &str, check: &str) -> Witness {
    let report: Report = json::read(report).unwrap();
    let found = report.checks.into_iter().find(|row| row.name == check);
    found.and_then(|check| check.witness).expect("it is violated")
}

#[test]
fn the_terminal_tells_the_story() {
    // What a hash says of the whole run is no part of the story.
    let lines = r01().0.out.lines().filter(|line| !line.contains("= fingerprint:"));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_report_tells_the_story() {
    let witness = witness_of(&r01().1, "acked-writes-durable");
    insta::assert_snapshot!(serde_json::to_string_pretty(&witness).unwrap());
}

/// The words of the steps that a story cannot do without, in their order.
fn tells(file: &str, words: &[&str]) {
    let (_, report) = run(&["run", file, "--seed", "1"]);
    let witness = witness_of(&report, "acked-writes-durable");
    let moments: Vec<(u64, u64)> = witness.steps.iter().map(|step| (step.event, step.t_us)).collect();
    assert!(moments.is_sorted() && moments.len() <= 16, "{moments:?}");
    let mut steps = witness.steps.iter();
    for word in words {
        assert!(steps.any(|step| step.what.contains(word)), "{word} is not told, or too early: {witness:#?}");
    }
    assert!(witness.keys_sample.iter().all(|key| key.starts_with("p-0#")), "{:?}", witness.keys_sample);
    assert!(
        !witness.keys_sample.is_empty() && witness.final_bad_event == moments.last().map(|moment| moment.0)
    );
}

#[test]
fn r05_is_told_from_the_fault_to_the_loss() {
    tells(
        "scenarios/museum/R05-isr-expand-ignores-epoch-start.toml",
        &[
            "(fault kill-third)",
            "appends orders/0@",
            "isr(orders/0) [2,0,1] -> [2,1]",
            "acked p-0#",
            "(fault kill-first)",
            "leader(orders/0) broker-2 -> broker-1",
            "isr(orders/0) [1] -> [0,1]",
            "(fault kill-second)",
            "leader(orders/0) broker-1 -> broker-0",
            "not in the log of broker-0",
        ],
    );
}

#[test]
fn r06_is_told_from_the_fault_to_the_loss() {
    tells(
        "scenarios/museum/R06-no-maximal-isr.toml",
        &[
            "(fault mute-controllers)",
            "(fault starve-again)",
            "held by broker-1, broker-2",
            "(fault kill-second)",
            "leader(orders/0) broker-2 -> broker-0",
            "not in the log of broker-0",
        ],
    );
}

#[test]
fn a_permitted_loss_names_every_fault_behind_it() {
    let (_, report) = run(&["run", "scenarios/recipes/P05-unclean-election.toml", "--seed", "1"]);
    let report: Report = json::read(&report).unwrap();
    let loss = report.permitted_losses.first().expect("something is lost");
    let faults: Vec<&str> = loss.responsible.iter().filter_map(|cause| cause.fault.as_deref()).collect();
    assert_eq!(faults, ["starve#1", "kill-lone-leader#1"]);
    let what: Vec<&str> = loss.responsible.iter().map(|cause| cause.what.as_str()).collect();
    assert!(what.iter().any(|what| what.contains("UNCLEAN leader(orders/0)")), "{what:?}");
}

#[test]
fn the_command_of_a_report_shows_the_run_again() {
    let report: Report = json::read(&r01().1).unwrap();
    let words: Vec<&str> = report.reproduce.command.split(' ').skip(1).collect();
    assert_eq!(run(&words).1, r01().1);
}

#[test]
fn the_window_of_a_report_shows_every_step_of_the_witness() {
    let report: Report = json::read(&r01().1).unwrap();
    let window = report.reproduce.window.expect("there is something to see");
    let ended = kafkasim(&root(), &window.split(' ').skip(1).collect::<Vec<_>>());
    let shown: Vec<&str> = ended.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let witness = witness_of(&r01().1, "acked-writes-durable");
    for step in &witness.steps {
        assert!(shown.contains(&step.event.to_string().as_str()), "{step:?} is not in {window}");
    }
    let trace = ended.out.lines().take_while(|line| !line.is_empty());
    let last = trace.last().and_then(|line| line.split_whitespace().next());
    assert_eq!(last, witness.final_bad_event.map(|event| event.to_string()).as_deref());
}
