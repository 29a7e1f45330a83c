//! Every shipped file is accepted, is called what its path says, and its variants are accepted too. The four example
//! files of the language's design are understood: what is not modelled yet is refused, nothing else.

use std::path::Path;

use scenarios::{Severity, load, parse, shipped};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_shipped_file_parses_without_a_warning() {
    let files = shipped::files(root()).unwrap();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let parsed = match load(&file.path) {
            Ok(parsed) => parsed,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(parsed.scenario.name, file.name);
        assert_eq!(parsed.warnings.to_string(), "", "{}", file.name);
        assert!(parsed.unmodelled_configs.is_empty());
        for variant in &parsed.scenario.variants {
            let varied = parsed.apply_variant(&variant.name).unwrap_or_else(|report| panic!("{report}"));
            assert_ne!(varied.scenario, parsed.scenario, "{}: {} changes nothing", file.name, variant.name);
            assert_eq!(varied.scenario.variant.as_deref(), Some(variant.name.as_str()));
        }
    }
}

/// A directed scenario; swarm files plant nothing by themselves.
fn is_piece(name: &str) -> bool {
    name.starts_with("museum/") && !name.starts_with("museum/swarm-")
}

#[test]
fn museum_pieces_plant_the_defect_of_their_name_and_have_a_control() {
    let files = shipped::files(root()).unwrap();
    let pieces: Vec<_> = files.iter().filter(|file| is_piece(&file.name)).collect();
    assert!(pieces.len() >= 3);
    for file in pieces {
        let parsed = load(&file.path).unwrap();
        let planted = &parsed.scenario.defects;
        let defect = scenarios::names::defect(&planted[0]).unwrap();
        assert_eq!(file.name, format!("museum/{}-{}", defect.id, defect.name));
        assert!(parsed.apply_variant("control").unwrap().scenario.defects.is_empty());
    }
}

#[test]
fn the_examples_are_refused_for_what_is_not_modelled_yet_and_for_nothing_else() {
    for (name, text) in [
        ("1-quickstart", include_str!("examples/1-quickstart.toml")),
        ("2-leader-failover", include_str!("examples/2-leader-failover.toml")),
        ("3-chaos-soak", include_str!("examples/3-chaos-soak.toml")),
        ("4-museum-unclean", include_str!("examples/4-museum-unclean.toml")),
    ] {
        let report = parse(name, text).expect_err("all four read with consumer groups");
        let errors: Vec<_> = report.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
        assert!(
            errors.iter().all(|error| error.code == "scn::not_modelled_yet"),
            "{}",
            report.render_plain(100)
        );
        insta::assert_snapshot!(format!("example_{name}"), report.to_string());
    }
}
