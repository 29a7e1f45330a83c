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
