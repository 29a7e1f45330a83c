//! Files appear whole or not at all.

use super::support;
use std::fs;
use std::path::Path;

use reports::json::{self, to_canonical_json};
use reports::model::Report;
use reports::write::{WriteError, run_dir, write_atomically, write_document};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_missing_directory_is_made() {
    let out = tempfile::tempdir().unwrap();
    let report = support::pass();
    let dir = run_dir(out.path(), &report.scenario, report.seed).unwrap();
    let (path, digest) = write_document(&dir, &report).unwrap();
    assert_eq!(path, out.path().join("failover/leader-crash@two-consumers/seed-7/report.json"));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, to_canonical_json(&report));
    assert_eq!(digest, reports::digest::of_bytes(text.as_bytes()));
    assert_eq!(json::read::<Report>(&text).unwrap(), report);
    assert_eq!(names(&dir), ["report.json"]);
}

#[test]
fn a_second_write_replaces_the_first() {
    let out = tempfile::tempdir().unwrap();
    write_atomically(out.path(), "a.json", b"a longer first text").unwrap();
    let path = write_atomically(out.path(), "a.json", b"second").unwrap();
    assert_eq!(fs::read(path).unwrap(), b"second");
    assert_eq!(names(out.path()), ["a.json"]);
}

#[test]
fn a_file_in_the_way_of_the_directory_is_one_sentence() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("file");
    fs::write(&file, "kept").unwrap();
    for dir in [file.clone(), file.join("below")] {
        let error = write_atomically(&dir, "report.json", b"{}").unwrap_err();
        assert!(matches!(error, WriteError::Directory { .. }));
        let want = format!(
            "failed to make the directory {}: a file is in the way; move it away or choose another directory",
            dir.display()
        );
        assert_eq!(error.to_string(), want);
    }
    assert_eq!(fs::read(&file).unwrap(), b"kept");
}

#[test]
fn a_failed_rename_leaves_nothing_behind() {
    let out = tempfile::tempdir().unwrap();
    let in_the_way = out.path().join("report.json");
    fs::create_dir(&in_the_way).unwrap();
    fs::write(in_the_way.join("inside"), "kept").unwrap();
    let error = write_atomically(out.path(), "report.json", b"{}").unwrap_err();
    assert!(matches!(error, WriteError::File { .. }));
    assert!(error.to_string().starts_with(&format!("failed to write {}: ", in_the_way.display())), "{error}");
    assert_eq!(names(out.path()), ["report.json"]);
    assert_eq!(names(&in_the_way), ["inside"]);
}

#[test]
fn a_failed_write_keeps_what_was_there() {
    let out = tempfile::tempdir().unwrap();
    write_atomically(out.path(), "report.json", b"old").unwrap();
    // The temporary name is taken by a directory: the write cannot even begin.
    fs::create_dir(out.path().join(format!(".report.json.{}.tmp", std::process::id()))).unwrap();
    let error = write_atomically(out.path(), "report.json", b"new").unwrap_err();
    assert!(error.to_string().contains("a directory is in the way"), "{error}");
    assert_eq!(fs::read(out.path().join("report.json")).unwrap(), b"old");
}

#[cfg(unix)]
#[test]
fn an_unwritable_directory_is_one_sentence() {
    use std::os::unix::fs::PermissionsExt;
    let out = tempfile::tempdir().unwrap();
    fs::set_permissions(out.path(), fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write everywhere; the other cases above hold for everyone.
    if fs::write(out.path().join("probe"), "").is_ok() {
        return;
    }
    let error = write_atomically(out.path(), "report.json", b"{}").unwrap_err();
    assert!(
        error.to_string().ends_with(": permission denied; choose a directory that you may write to"),
        "{error}"
    );
}
