//! What bad scenario files are answered with. Each file of `rejects/` has a snapshot of everything that is said about
//! it, without colour, 100 columns wide. A change of a snapshot is a change of the product: read it.

use std::path::Path;

use scenarios::{Severity, parse};

fn cases() -> Vec<(String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects");
    let mut cases: Vec<(String, String)> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    cases.sort();
    cases
}

#[test]
fn bad_files_are_answered_with_place_and_help() {
    let cases = cases();
    assert!(cases.len() >= 15);
    for (name, text) in cases {
        let report = match parse(&name, &text) {
            Ok(parsed) => parsed.warnings,
            Err(report) => report,
        };
        assert!(!report.diagnostics.is_empty(), "{name} is fine");
        let is_sorted = report.diagnostics.is_sorted_by_key(|diagnostic| diagnostic.start());
        assert!(is_sorted, "{name}: findings follow the file");
        insta::assert_snapshot!(name, report.render_plain(100));
    }
}

#[test]
fn ten_mistakes_are_ten_errors_in_one_pass() {
    let (name, text) = cases().into_iter().find(|(name, _)| name == "01-ten-mistakes.toml").unwrap();
    let report = parse(&name, &text).unwrap_err();
    assert_eq!(report.error_count(), 10, "{report}");
}

#[test]
fn warnings_do_not_refuse_a_file() {
    let (name, text) = cases().into_iter().find(|(name, _)| name == "18-warnings-only.toml").unwrap();
    let parsed = parse(&name, &text).unwrap_or_else(|report| panic!("{report}"));
    assert!(parsed.warnings.diagnostics.iter().all(|warning| warning.severity == Severity::Warning));
    assert_eq!(
        parsed.unmodelled_configs,
        ["broker: num.io.threads", "broker: offsets.topic.replication.factor"]
    );
}

#[test]
fn no_prefix_of_a_file_makes_the_reader_panic() {
    for (name, text) in cases() {
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)).step_by(7) {
            if let Err(report) = parse(&name, &text[..end]) {
                assert!(report.error_count() > 0, "{name} cut at {end} is refused for no reason");
            }
        }
    }
}

/// Every line of the file with all keys is dropped once, and every value is replaced by values of other types: the
/// reader may accept or refuse what comes out, it may not panic, and a refusal has a place inside the text.
#[test]
fn no_wrong_type_makes_the_reader_panic() {
    let text = include_str!("all-keys.toml");
    let lines: Vec<&str> = text.lines().collect();
    for index in 0..lines.len() {
        let mut mutants = vec![String::new()];
        if let Some((key, _)) = lines[index].split_once('=') {
            let values = [
                "1",
                "-1",
                "0.5",
                "nan",
                "true",
                "\"x\"",
                "\"\"",
                "[]",
                "[1]",
                "[[]]",
                "{}",
                "{ uniform = [] }",
                "{ dist = \"exp\" }",
                "1979-05-27",
                "99999999999999999999",
            ];
            // A third of them for each line, another third for the next: enough, and fast.
            let some = values.iter().enumerate().filter(|(at, _)| (at + index) % 3 == 0);
            mutants.extend(some.map(|(_, value)| format!("{key}= {value}")));
        }
        for mutant in mutants {
            let mut changed = lines.clone();
            changed[index] = &mutant;
            let changed = changed.join("\n");
            if let Err(report) = parse("mutant.toml", &changed) {
                assert!(report.error_count() > 0);
                let spans = report.diagnostics.iter().flat_map(|finding| &finding.labels);
                for (span, _) in spans {
                    let is_inside = report.source.get(span.start..span.end).is_some();
                    assert!(is_inside, "{mutant}: {span:?}\n{report}");
                }
            }
        }
    }
}
