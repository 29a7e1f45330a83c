//! What is printed and what is written.

use reports::model::{Outcome, Verdict};
use reports::{Report, RunMeta, SuiteReport, json};

use super::support::{TINY, command, directory, kafkasim, read, root};

#[test]
fn json_is_one_document_and_the_file_has_the_same_bytes() {
    let dir = directory(&[("tiny.toml", TINY)]);
    let ended = kafkasim(dir.path(), &["run", "tiny.toml", "--seed", "7", "--format", "json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.err, "");
    let report: Report = json::read(&ended.out).unwrap();
    assert_eq!((report.verdict, report.outcome), (Verdict::Pass, Outcome::AsExpected));
    assert_eq!(report.contradictions(), Vec::<String>::new());
    assert_eq!(json::to_canonical_json(&report), ended.out, "the model holds every field");
    assert_eq!(read(dir.path(), "kafkasim-out/tiny/seed-7/report.json"), ended.out);
    assert_eq!(report.reproduce.command, "kafkasim run tiny.toml --seed 7");
    assert!(report.clients.acked > 0 && report.clients.ack_latency_us.is_some());
    assert_eq!(report.faults.len(), 1);
    let meta: RunMeta = json::read(&read(dir.path(), "kafkasim-out/tiny/seed-7/run-meta.json")).unwrap();
    assert!(meta.wall_us > 0 && !meta.host.os.is_empty());
}

#[test]
fn the_same_seed_gives_the_same_bytes_whoever_runs_it() {
    let dir = directory(&[("s/tiny.toml", TINY)]);
    let run = |out: &str, jobs: &str| {
        let arguments = ["suite", "s", "--seeds", "1..4", "-j", jobs, "--out", out, "--format", "json"];
        let ended = kafkasim(dir.path(), &arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let reports: Vec<String> =
            (1..=4).map(|seed| read(dir.path(), &format!("{out}/tiny/seed-{seed}/report.json"))).collect();
        assert_eq!(read(dir.path(), &format!("{out}/suite.json")), ended.out);
        (ended.out, reports)
    };
    let one = run("one", "1");
    assert_eq!(one, run("other", "3"));
    let suite: SuiteReport = json::read(&one.0).unwrap();
    assert!(suite.complete);
    assert_eq!((suite.counts.total, suite.counts.as_expected), (4, 4));
    let direct = kafkasim(
        dir.path(),
        &["run", "s/tiny.toml", "--seed", "3", "--format", "json", "--determinism-check"],
    );
    assert_eq!(direct.out, one.1[2]);
}

#[test]
fn no_report_holds_an_absolute_path() {
    let dir = directory(&[("tiny.toml", TINY)]);
    let file = dir.path().join("tiny.toml");
    let ended = kafkasim(dir.path(), &["run", &file.display().to_string(), "--format", "json"]);
    let report: Report = json::read(&ended.out).unwrap();
    // On some systems the temporary directory is behind a link: then the way leads through `..`.
    assert!(
        report.scenario.path.ends_with("tiny.toml") && !report.scenario.path.starts_with('/'),
        "{report:?}"
    );
}

#[test]
fn a_range_of_seeds_prints_the_suite_report() {
    let dir = directory(&[("tiny.toml", TINY)]);
    let ended = kafkasim(dir.path(), &["run", "tiny.toml", "--seeds", "2..3", "--format", "json"]);
    let suite: SuiteReport = json::read(&ended.out).unwrap();
    let keys: Vec<&str> = suite.items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["tiny/seed-2", "tiny/seed-3"]);
}

#[test]
fn a_suite_runs_each_variant_too() {
    let text = format!("{TINY}\n[[variant]]\nname = \"more\"\nset = {{ cluster.brokers = 4 }}\n");
    let dir = directory(&[("s/tiny.toml", &text)]);
    let ended = kafkasim(dir.path(), &["suite", "s", "--format", "json"]);
    let suite: SuiteReport = json::read(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let keys: Vec<&str> = suite.items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["tiny/seed-1", "tiny@more/seed-1"]);
}

#[test]
fn a_report_is_replayed() {
    let dir = directory(&[("tiny.toml", TINY)]);
    kafkasim(dir.path(), &["run", "tiny.toml", "--seed", "5", "--set", "cluster.brokers=4"]);
    let report = "kafkasim-out/tiny/seed-5/report.json";
    let ended = kafkasim(dir.path(), &["replay", report, "--format", "json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.out, read(dir.path(), report));
    assert!(ended.err.contains("the same run as in the report"), "{ended:?}");

    let text = read(dir.path(), report);
    let old: Report = json::read(&text).unwrap();
    let foreign = text.replace(&old.fingerprint.last, "b3:0");
    std::fs::write(dir.path().join("foreign.json"), foreign).unwrap();
    let ended = kafkasim(dir.path(), &["replay", "foreign.json", "--trace", "off"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("another run than in the report"), "{ended:?}");

    let changed = format!("{TINY}\n# A remark changes the file and nothing else.\n");
    std::fs::write(dir.path().join("tiny.toml"), changed).unwrap();
    let ended = kafkasim(dir.path(), &["replay", report]);
    assert!(ended.err.contains("tiny.toml has changed since the report was written"), "{ended:?}");
    let ended = kafkasim(dir.path(), &["replay", report, "--seed", "1"]);
    assert_eq!(ended.code, Some(64), "{ended:?}");
}

#[test]
fn a_trace_shows_what_happened_up_to_the_moment() {
    let dir = directory(&[("tiny.toml", TINY)]);
    let trace = |level: &str, until: &str| {
        kafkasim(dir.path(), &["replay", "tiny.toml", "--seed", "1", "--until", until, "--trace", level]).out
    };
    let info = trace("info", "4500ms");
    assert!(info.contains("FAULT stop#1") && info.contains("t/0 leads"), "{info}");
    assert!(!info.contains("fault stop#1 is over"), "it ends later");
    let debug = trace("debug", "4500ms");
    assert!(debug.contains("acked p-0#") && debug.lines().count() > info.lines().count(), "{debug}");
    assert!(trace("off", "100").starts_with("INCONCLUSIVE"));
    assert!(!dir.path().join("kafkasim-out").exists(), "a replay writes nothing");
}

#[test]
fn foreign_variables_are_ignored_aloud() {
    let dir = directory(&[("tiny.toml", TINY)]);
    let run = |name: &str| {
        let output = command(dir.path(), &["run", "tiny.toml", "--format", "json"]).env(name, "99").output();
        let output = output.expect("the binary starts");
        (output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    let (plain, silence) = run("SOMETHING_ELSE");
    let (ignored, warning) = run("MADSIM_TEST_SEED");
    assert_eq!((plain, silence.as_str()), (ignored, ""));
    assert_eq!(warning, "kafkasim: ignored: MADSIM_TEST_SEED (a run depends on scenario and seed alone)\n");
}

#[test]
fn the_quickstart_prints_what_the_readme_shows() {
    let out = directory(&[]);
    let out = out.path().display().to_string();
    let ended = kafkasim(&root(), &["run", "scenarios/quickstart.toml", "--out", &out]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let first = ended.out.lines().next().unwrap_or_default();
    let (verdict, _) = first.split_once(" simulated").unwrap_or((first, ""));
    assert!(verdict.starts_with("PASS  quickstart   seed 1"), "{ended:?}");
    assert!(
        ended.out.contains("= replay:      kafkasim run scenarios/quickstart.toml --seed 1"),
        "{ended:?}"
    );
    if let Ok(readme) = std::fs::read_to_string(root().join("README.md")) {
        assert!(readme.contains(first), "the README shows another verdict than `{first}`");
    }
}
