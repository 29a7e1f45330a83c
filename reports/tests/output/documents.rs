//! What programs read: JSON that comes back, committed schemas, old and foreign documents.

use super::support;
use reports::digest;
use reports::json::{self, Document, ReadError, to_canonical_json};
use reports::model::{
    Bar, BenchReport, CheckResult, EndReason, Figure, Host, Limit, Outcome, Panic, PermittedLoss, Report,
    RunMeta, SuiteReport,
};
use reports::schema::SCHEMAS;

fn round_trip<T: Document + PartialEq + std::fmt::Debug>(document: &T) {
    let text = to_canonical_json(document);
    let back: T = json::read(&text).unwrap();
    assert_eq!(&back, document);
    assert_eq!(to_canonical_json(&back), text);
    assert!(text.ends_with("}\n") && !text.contains('\r'));
    assert!(text.starts_with(&format!("{{\n  \"schema\": \"{}\",\n", T::SCHEMA)), "{text}");
}

fn bench() -> BenchReport {
    BenchReport::new(vec![
        Figure {
            name: "messages_per_cpu_s".into(),
            value: 2_700_000,
            unit: "1/cpu_s".into(),
            definition: "frames delivered between 3 hosts, 100 in flight, 200 B each".into(),
            bar: Some(Bar { limit: Limit::AtLeast, value: 1_500_000 }),
        },
        Figure { name: "bare_loop_events_per_cpu_s".into(), ..Figure::default() },
    ])
}

fn meta() -> RunMeta {
    RunMeta {
        wall_us: 410_000,
        cpu_us: 400_000,
        host: Host { os: "linux".into(), arch: "x86_64".into() },
        rustc: "1.95.0".into(),
        version: "0.1.0".into(),
        workers: 2,
        ..RunMeta::new()
    }
}

#[test]
fn every_document_comes_back() {
    for report in [support::pass(), support::violation(), support::permitted_loss(), support::inconclusive()]
    {
        round_trip(&report);
    }
    round_trip(&support::suite());
    round_trip(&bench());
    round_trip(&meta());
}

#[test]
fn the_reports_do_not_contradict_themselves() {
    for report in [support::pass(), support::violation(), support::permitted_loss(), support::inconclusive()]
    {
        assert_eq!(report.contradictions(), Vec::<String>::new(), "{}", report.key());
    }
}

/// A lucky green, each time made in another way from the same good report.
#[test]
fn a_green_that_was_not_earned_is_a_contradiction() {
    type Spoil = fn(&mut Report);
    let bad = support::inconclusive;
    let spoils: [Spoil; 9] = [
        |report| report.checks[0].result = CheckResult::Violated,
        |report| report.checks.iter_mut().for_each(|check| check.result = CheckResult::Vacuous),
        |report| report.checks[0].evaluations = 0,
        |report| report.checks.clear(),
        |report| report.reach[0].ok = false,
        |report| report.panics = vec![Panic::default()],
        |report| report.permitted_losses = vec![PermittedLoss::default()],
        |report| report.end_reason = EndReason::WallWatchdog,
        |report| report.exit_code = 1,
    ];
    for (index, spoil) in spoils.into_iter().enumerate() {
        let mut report = support::pass();
        spoil(&mut report);
        assert!(!report.contradictions().is_empty(), "spoil {index} went unnoticed");
    }
    let mut report = support::pass();
    report.unfired_faults = bad().unfired_faults;
    assert!(report.contradictions().iter().any(|line| line.contains("did nothing")));
}

#[test]
fn an_outcome_that_does_not_follow_is_a_contradiction() {
    let mut report = support::violation();
    report.outcome = Outcome::AsExpected;
    report.exit_code = 0;
    assert!(!report.contradictions().is_empty());
    let mut report = support::permitted_loss();
    report.permitted_losses[0].responsible.clear();
    assert!(!report.contradictions().is_empty());
    let mut report = support::violation();
    report.checks[1].result = CheckResult::Held;
    assert!(!report.contradictions().is_empty());
}

#[test]
fn the_report_as_json() {
    insta::assert_snapshot!(to_canonical_json(&support::violation()));
}

#[test]
fn seeds_and_offsets_are_strings_and_absent_values_null() {
    let text = to_canonical_json(&support::inconclusive());
    assert!(text.contains("\"seed\": \"18446744073709551615\""), "{text}");
    assert!(text.contains("\"variant\": null"), "{text}");
    let text = to_canonical_json(&support::violation());
    assert!(text.contains("\"offset\": \"1204\""), "{text}");
}

#[test]
fn no_number_is_a_float() {
    fn walk(value: &serde_json::Value) {
        match value {
            serde_json::Value::Number(number) => assert!(!number.is_f64(), "{number}"),
            serde_json::Value::Array(values) => values.iter().for_each(walk),
            serde_json::Value::Object(map) => map.values().for_each(walk),
            _ => {}
        }
    }
    for report in [support::pass(), support::violation(), support::permitted_loss(), support::inconclusive()]
    {
        walk(&serde_json::to_value(&report).unwrap());
    }
}

#[test]
fn a_reader_ignores_what_a_newer_writer_adds() {
    let text = to_canonical_json(&meta()).replacen("{", "{ \"added\": [1, {}],", 1);
    assert_eq!(json::read::<RunMeta>(&text).unwrap(), meta());
}

#[test]
fn an_absent_optional_field_reads_as_null() {
    let text = to_canonical_json(&support::pass());
    let older = text.replace("      \"healed_at_us\": null,\n", "");
    assert_ne!(older, text);
    assert_eq!(json::read::<Report>(&older).unwrap(), support::pass());
}

#[test]
fn another_document_is_refused_by_name() {
    let suite = to_canonical_json(&support::suite());
    let error = json::read::<Report>(&suite).unwrap_err();
    assert_eq!(error.to_string(), "expected a kafkasim.report/1 document, found `kafkasim.suite/1`");
    let newer = to_canonical_json(&support::pass()).replace("kafkasim.report/1", "kafkasim.report/2");
    assert!(matches!(json::read::<Report>(&newer), Err(ReadError::OtherSchema { .. })));
}

#[test]
fn what_is_no_document_is_malformed() {
    for bad in ["", "[]", "{}", "{\"schema\": 1}", "{\"schema\": \"kafkasim.report/1\"}"] {
        assert!(matches!(json::read::<Report>(bad), Err(ReadError::Malformed { .. })), "{bad}");
    }
}

#[test]
fn an_item_holds_the_digest_of_the_file() {
    let suite: SuiteReport = support::suite();
    let item = suite.items.iter().find(|item| item.scenario == "chaos/soak").unwrap();
    let bytes = to_canonical_json(&support::inconclusive());
    assert_eq!(item.report_digest.as_deref(), Some(digest::of_bytes(bytes.as_bytes()).as_str()));
    assert_eq!(item.key, support::inconclusive().key());
}

/// `UPDATE_SCHEMAS=1 cargo test -p reports schemas` writes them anew.
#[test]
fn the_committed_schemas_are_fresh() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for entry in SCHEMAS {
        let path = dir.join(entry.file);
        let fresh = (entry.generate)();
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&path, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == fresh,
            "{} is stale: UPDATE_SCHEMAS=1 cargo test -p reports schemas",
            entry.file
        );
    }
}

#[test]
fn schemas_name_the_version_and_require_what_is_always_written() {
    let report: serde_json::Value = serde_json::from_str(&(SCHEMAS[0].generate)()).unwrap();
    assert_eq!(report["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(report["properties"]["schema"]["const"], "kafkasim.report/1");
    let required: Vec<&str> =
        report["required"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    let written = serde_json::to_value(support::pass()).unwrap();
    for field in written.as_object().unwrap().keys() {
        assert!(required.contains(&field.as_str()), "{field} is written and not required");
    }
    let fault = report["definitions"]["Fault"]["required"].as_array().unwrap();
    assert!(fault.iter().any(|name| name == "healed_at_us"), "a null field is still there");
}
