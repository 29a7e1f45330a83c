//! Lists, schemas, help.

use serde_json::Value;

use super::support::{kafkasim, root};

fn list(what: &str) -> Vec<Value> {
    let ended = kafkasim(&root(), &["list", what, "--format", "json"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{what}");
    let document: Value = serde_json::from_str(&ended.out).unwrap();
    document[what].as_array().unwrap_or_else(|| panic!("{what}: {document}")).clone()
}

fn words(rows: &[Value], key: &str) -> Vec<String> {
    rows.iter()
        .map(|row| row[key].as_str().unwrap_or_else(|| panic!("{row} has no {key}")).to_owned())
        .collect()
}

#[test]
fn every_list_is_complete() {
    let scenarios = words(&list("scenarios"), "name");
    let files = scenarios::shipped::files(&root().join("scenarios")).unwrap();
    let names: Vec<String> = files.into_iter().map(|file| file.name).collect();
    assert_eq!(scenarios, names);
    let checks = words(&list("checks"), "name");
    assert_eq!(checks, sim::check::CHECKS.iter().map(|row| row.name).collect::<Vec<_>>());
    assert!(list("checks").iter().all(|row| row["claim"].is_string() && row["source"].is_string()));
    let defects = words(&list("defects"), "id");
    assert_eq!(defects, broker::defects::Defect::ALL.iter().map(|defect| defect.id()).collect::<Vec<_>>());
    assert!(list("faults").len() > 10);
    let configs = list("configs");
    for name in ["min.insync.replicas", "replica.lag.time.max.ms", "acks", "auto.offset.reset"] {
        assert!(words(&configs, "name").iter().any(|config| config == name), "{name}");
    }
}

#[test]
fn every_list_has_a_line_per_row_for_people() {
    for what in ["scenarios", "checks", "faults", "defects", "configs"] {
        let ended = kafkasim(&root(), &["list", what]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.out.lines().count(), list(what).len(), "{what}");
    }
}

#[test]
fn schemas_are_the_committed_ones() {
    for (name, file) in [
        ("scenario", "scenarios/schema/scenario.v1.json"),
        ("report", "reports/schema/report.v1.json"),
        ("suite", "reports/schema/suite.v1.json"),
        ("run-meta", "reports/schema/run-meta.v1.json"),
        ("bench", "reports/schema/bench.v1.json"),
    ] {
        let ended = kafkasim(&root(), &["schema", name]);
        assert_eq!(ended.out, std::fs::read_to_string(root().join(file)).unwrap(), "{name}");
    }
}

#[test]
fn the_help_of_run_teaches() {
    let ended = kafkasim(&root(), &["run", "--help"]);
    insta::assert_snapshot!(ended.out);
}

#[test]
fn the_help_names_every_exit_code() {
    let ended = kafkasim(&root(), &["--help"]);
    for exit in sim::cli::Exit::ALL {
        assert!(ended.out.contains(exit.meaning()), "{exit}: {}", ended.out);
    }
}
