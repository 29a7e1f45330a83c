//! Every shipped scenario has a plan for every seed that is tried.

use std::path::{Path, PathBuf};

use sim::plan::Plan;
use sim::seed::Seed;

fn scenario_files(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !["src", "tests", "schema"].contains(&name) {
            scenario_files(&path, found);
        } else if name.ends_with(".toml") && name != "Cargo.toml" {
            found.push(path);
        }
    }
}

#[test]
fn every_shipped_scenario_has_a_plan() {
    let mut files = Vec::new();
    scenario_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios"), &mut files);
    assert!(files.len() >= 9, "the scenarios were not found");
    for file in &files {
        let parsed = scenarios::load(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for seed in 1..=20 {
            let plan =
                Plan::draw(&parsed, Seed(seed)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let back: Plan = serde_json::from_str(&plan.to_json()).unwrap();
            assert_eq!(back, plan, "{}", file.display());
            for fault in &parsed.scenario.faults {
                assert!(plan.faults.iter().any(|planned| planned.id == fault.id), "{}", fault.id);
            }
        }
    }
}
