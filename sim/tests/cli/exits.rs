//! Every exit code that a user can meet.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use reports::SuiteReport;

use super::support::{TINY, command, directory, kafkasim, read, root};

#[test]
fn as_expected_is_0() {
    let dir = directory(&[("tiny.toml", TINY)]);
    let ended = kafkasim(dir.path(), &["run", "tiny.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.starts_with("PASS  tiny   seed 1"), "{ended:?}");
}

#[test]
fn an_expected_violation_that_is_absent_is_1() {
    let text = format!("{TINY}\n[expect]\nverdict = \"violation\"\ncheck = \"leader-complete\"\n");
    let dir = directory(&[("tiny.toml", &text)]);
    let ended = kafkasim(dir.path(), &["run", "tiny.toml"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.starts_with("FAIL"), "{ended:?}");
}

#[test]
fn faults_that_do_nothing_are_2() {
    let dir = directory(&[("tiny.toml", TINY)]);
    let ended = kafkasim(dir.path(), &["run", "tiny.toml", "--inert-faults"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.out.starts_with("INCONCLUSIVE"), "{ended:?}");
}

#[test]
fn a_suite_without_faults_that_strike_is_2() {
    let dir = directory(&[("s/tiny.toml", TINY)]);
    let ended = kafkasim(dir.path(), &["suite", "s", "--seeds", "1..2", "--inert-faults"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn a_run_that_was_cut_short_is_2() {
    let dir = directory(&[("tiny.toml", TINY)]);
    let ended = kafkasim(dir.path(), &["run", "tiny.toml", "--until", "3s"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn nothing_selected_is_4() {
    let dir = directory(&[]);
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let ended = kafkasim(dir.path(), &["suite", "empty"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("nothing selected"), "{ended:?}");
    assert_eq!(kafkasim(dir.path(), &["bench", "--only", "no such figure"]).code, Some(4));
}

#[test]
fn a_command_line_that_makes_no_sense_is_64() {
    let dir = directory(&[("tiny.toml", TINY)]);
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["run"],
        &["run", "tiny.toml", "--seeds", "5..3"],
        &["run", "tiny.toml", "--seed", "1", "--seeds", "1..2"],
        &["run", "tiny.toml", "--until", "later"],
        &["run", "tiny.toml", "--set", "cluster.brokers"],
        &["list", "everything"],
    ] {
        let ended = kafkasim(dir.path(), arguments);
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert_eq!(ended.out, "", "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_0() {
    let dir = directory(&[]);
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"], &["help", "suite"]] {
        assert_eq!(kafkasim(dir.path(), arguments).code, Some(0), "{arguments:?}");
    }
}

#[test]
fn ten_mistakes_are_listed_and_are_65() {
    let text = read(&root(), "scenarios/tests/rejects/01-ten-mistakes.toml");
    let dir = directory(&[("ten.toml", &text)]);
    let ended = kafkasim(dir.path(), &["run", "ten.toml"]);
    assert_eq!(ended.code, Some(65), "{ended:?}");
    assert!(ended.err.contains("10 mistakes in ten.toml"), "{}", ended.err);
    assert!(ended.err.contains("did you mean"), "{}", ended.err);
    assert!(!dir.path().join("kafkasim-out").exists(), "nothing ran, so nothing is written");
}

#[test]
fn an_unknown_variant_is_65_and_an_unknown_path_too() {
    let dir = directory(&[("tiny.toml", TINY)]);
    for arguments in [["--variant", "nope"], ["--set", "cluster.brokrs=1"]] {
        let ended = kafkasim(dir.path(), &["run", "tiny.toml", arguments[0], arguments[1]]);
        assert_eq!(ended.code, Some(65), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn a_suite_tells_the_mistakes_of_all_files_before_it_runs() {
    let dir = directory(&[
        ("s/a.toml", "format = 1\nname = \"a\"\nx = 1\n"),
        ("s/b.toml", "format = 1\nname = \"b\"\ny = 1\n"),
        ("s/tiny.toml", TINY),
    ]);
    let ended = kafkasim(dir.path(), &["suite", "s"]);
    assert_eq!(ended.code, Some(65), "{ended:?}");
    assert!(ended.err.contains("a.toml") && ended.err.contains("b.toml"), "{}", ended.err);
    assert!(!dir.path().join("kafkasim-out").exists());
}

#[test]
fn what_cannot_be_read_is_74_in_one_sentence() {
    let dir = directory(&[]);
    for arguments in [
        ["run", "missing.toml"],
        ["run", "no-such-scenario"],
        ["suite", "missing"],
        ["replay", "missing/report.json"],
        ["list", "scenarios"],
    ] {
        let ended = kafkasim(dir.path(), &arguments);
        assert_eq!(ended.code, Some(74), "{arguments:?}: {ended:?}");
        assert_eq!(ended.err.trim_end().lines().count(), 1, "{arguments:?}: {ended:?}");
    }
}

#[test]
fn an_output_directory_that_is_a_file_is_74_and_stays_a_file() {
    let dir = directory(&[("tiny.toml", TINY), ("results", "mine\n")]);
    for arguments in [&["run", "tiny.toml", "--out", "results"][..], &["suite", ".", "--out", "results/x"]] {
        let ended = kafkasim(dir.path(), arguments);
        assert_eq!(ended.code, Some(74), "{ended:?}");
        assert_eq!((ended.out.as_str(), ended.err.trim_end().lines().count()), ("", 1), "{ended:?}");
    }
    assert_eq!(read(dir.path(), "results"), "mine\n");
    let names = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 2, "nothing half-written is left");
}

#[test]
fn an_interrupted_suite_is_130_and_tells_what_it_did() {
    let dir = directory(&[("s/tiny.toml", TINY)]);
    let mut child = command(dir.path(), &["suite", "s", "--seeds", "1..100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    // The first line comes when Ctrl-C is listened to.
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    assert_eq!(line, "kafkasim: 0/100000 runs\n");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    progress.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    let suite: SuiteReport = reports::json::read(&read(dir.path(), "kafkasim-out/suite.json")).unwrap();
    assert!(!suite.complete);
    assert!(suite.counts.total < 100_000, "{:?}", suite.counts);
    for item in &suite.items {
        let report = read(dir.path(), &format!("kafkasim-out/{}/report.json", item.key));
        assert_eq!(item.report_digest, Some(reports::digest::of_bytes(report.as_bytes())));
    }
}

#[test]
fn an_interrupted_run_is_130_and_says_that_there_is_no_report() {
    let long = TINY.replace("for  = \"6s\"", "for  = \"10h\"").replacen(
        "\n[cluster]",
        "time_limit = \"20h\"\n[cluster]",
        1,
    );
    let dir = directory(&[("long.toml", &long)]);
    let mut child = command(dir.path(), &["run", "long.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // The directory is made after Ctrl-C is listened to, before the run.
    let out = dir.path().join("kafkasim-out");
    while !out.exists() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{err}");
    assert_eq!(err, "kafkasim: interrupted; a part of a run is no result, so no report is written\n");
}
