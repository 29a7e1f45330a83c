//! Where files lie, and how they appear whole or not at all.
//!
//! ```text
//! <out>/suite.json
//! <out>/<scenario name>[@variant]/seed-<N>/report.json
//! <out>/<scenario name>[@variant]/seed-<N>/run-meta.json
//! ```
//!
//! A file is written under a temporary name in its own directory, synced, and renamed: under its final name there is
//! the old content or the new one, never a part. *Invariant:* a failed write leaves no temporary file behind, unless
//! removing it fails too.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use crate::json::{Document, to_canonical_json};
use crate::model::{Scenario, Seed};

/// Why a file could not be written. One sentence, with the path and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The directory is missing and could not be made.
    #[error("failed to make the directory {}: {}; {}", dir.display(), reason(source), remedy(source))]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file could not be written, synced, or renamed. What lay under its name before still does.
    #[error("failed to write {}: {}; {}", path.display(), reason(source), remedy(source))]
    File {
        /// The file's final name.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A scenario or variant name that would leave the output directory.
    #[error(
        "failed to name a directory after {name:?}: only plain names separated by `/` stay inside of the output directory; rename the scenario or its variant"
    )]
    Name {
        /// The name as the scenario has it.
        name: String,
    },
}

/// What the system says, in words that do not depend on its language or error number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "no space left".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "a file is in the way".to_owned(),
        ErrorKind::IsADirectory => "a directory is in the way".to_owned(),
        _ => error.to_string(),
    }
}

/// What the user can do about it.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "choose a directory that you may write to"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space or choose another directory",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::IsADirectory => {
            "move it away or choose another directory"
        }
        _ => "choose another directory",
    }
}

/// The directory of one run: `<out>/<scenario name>[@variant]/seed-<N>`. A `/` in the scenario's name is a directory.
///
/// # Errors
/// [`WriteError::Name`] when a name is empty, absolute, has `.` or `..` as a part, or a `\`.
pub fn run_dir(out: &Path, scenario: &Scenario, seed: Seed) -> Result<PathBuf, WriteError> {
    for name in [Some(&scenario.name), scenario.variant.as_ref()].into_iter().flatten() {
        if !stays_inside(name) {
            return Err(WriteError::Name { name: name.clone() });
        }
    }
    Ok(out.join(scenario.run_key(seed)))
}

/// Whether every part of `name` is a plain file name on every system.
fn stays_inside(name: &str) -> bool {
    let plain = name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    let foreign = name.contains(['\\', '\0', ':']);
    plain && !foreign && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Writes `document` into `dir` under its own file name. Returns the path and the digest of the bytes.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_document<T: Document>(dir: &Path, document: &T) -> Result<(PathBuf, String), WriteError> {
    let text = to_canonical_json(document);
    let path = write_atomically(dir, T::FILE_NAME, text.as_bytes())?;
    Ok((path, crate::digest::of_bytes(text.as_bytes())))
}

/// Writes `bytes` as `dir/file_name`, whole or not at all, and durably. A missing `dir` is made. Returns the path.
///
/// # Errors
/// [`WriteError::Directory`] when `dir` cannot be made, [`WriteError::File`] when a later step fails; what lay under
/// the name before is then untouched.
pub fn write_atomically(dir: &Path, file_name: &str, bytes: &[u8]) -> Result<PathBuf, WriteError> {
    fs::create_dir_all(dir).map_err(|source| WriteError::Directory { dir: dir.to_owned(), source })?;
    let path = dir.join(file_name);
    // The process id keeps two programs apart that write into one directory; within one program a run has its own.
    let temporary = dir.join(format!(".{file_name}.{}.tmp", std::process::id()));
    write_then_rename(&temporary, &path, dir, bytes).map_err(|source| {
        // The first error is the one to report; the leftover has a name that nobody reads.
        let _ = fs::remove_file(&temporary);
        WriteError::File { path: path.clone(), source }
    })?;
    Ok(path)
}

fn write_then_rename(temporary: &Path, path: &Path, dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(temporary, path)?;
    sync_directory(dir)
}

/// Makes the rename itself durable.
#[cfg(unix)]
fn sync_directory(dir: &Path) -> io::Result<()> {
    match File::open(dir).and_then(|handle| handle.sync_all()) {
        // Some file systems (FUSE, network) cannot sync a directory; the content is synced, which is what matters.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// Elsewhere a directory cannot be opened as a file; the rename is as durable as the system makes it.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(name: &str, variant: Option<&str>) -> Scenario {
        Scenario { name: name.to_owned(), variant: variant.map(str::to_owned), ..Scenario::default() }
    }

    #[test]
    fn a_run_has_its_own_directory() {
        let out = Path::new("out");
        let plain = run_dir(out, &scenario("museum/r01", None), Seed(7)).unwrap();
        assert_eq!(plain, Path::new("out/museum/r01/seed-7"));
        let variant = run_dir(out, &scenario("museum/r01", Some("fixed")), Seed(7)).unwrap();
        assert_eq!(variant, Path::new("out/museum/r01@fixed/seed-7"));
    }

    #[test]
    fn no_name_leaves_the_output_directory() {
        for bad in ["", "/etc", "..", "a/../../b", "./a", "a//b", "a/", "a\\..\\b", "c:x"] {
            let error = run_dir(Path::new("out"), &scenario(bad, None), Seed(1)).unwrap_err();
            assert!(matches!(error, WriteError::Name { .. }), "{bad:?}: {error}");
            assert!(
                run_dir(Path::new("out"), &scenario("a", Some(bad)), Seed(1)).is_err(),
                "variant {bad:?}"
            );
        }
    }

    #[test]
    fn a_full_disk_is_one_clear_sentence() {
        let error = WriteError::File {
            path: "out/x/seed-1/report.json".into(),
            source: io::Error::from(ErrorKind::StorageFull),
        };
        let want = "failed to write out/x/seed-1/report.json: no space left; free some space or choose another directory";
        assert_eq!(error.to_string(), want);
    }
}
