//! `kafkasim museum`.

use reports::model::MuseumReport;

use super::support::{directory, kafkasim, root};

#[test]
fn a_defect_that_is_caught_is_0_and_says_so() {
    let ended = kafkasim(&root(), &["museum", "--campaigns", "0", "--only", "R06", "--seeds", "1..2"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.starts_with("PASS  1 of 1 historic defects caught\n"), "{ended:?}");
}

#[test]
fn campaigns_say_how_soon_and_by_what() {
    let args = "museum --campaigns 1 --only R01 --seeds 1..1 --seed-limit 20 --format json";
    let ended = kafkasim(&root(), &args.split(' ').collect::<Vec<_>>());
    let report: MuseumReport =
        reports::json::read(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let piece = report.pieces.first().expect("it was asked for");
    assert!(piece.is_caught(), "{piece:?}");
    assert_eq!(piece.campaigns_red, 1, "{piece:?}");
    assert!(piece.seeds_to_red_median.is_some_and(|seeds| (1..=20).contains(&seeds)), "{piece:?}");
    assert!(piece.cpu_s_to_red_median.is_some() && piece.first_check.is_some(), "{piece:?}");
}

#[test]
fn a_defect_without_a_directed_scenario_is_1() {
    let dir = directory(&[("scenarios/museum/readme.txt", "")]);
    let ended = kafkasim(dir.path(), &["museum", "--campaigns", "0", "--only", "R06"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.starts_with("FAIL  0 of 1 historic defects caught\n"), "{ended:?}");
    assert!(ended.out.contains("MISSING"), "{ended:?}");
}

#[test]
fn no_such_defect_is_4() {
    let ended = kafkasim(&root(), &["museum", "--only", "no such defect"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
}
