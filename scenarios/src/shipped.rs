//! Scenario files in a directory: which there are, and the one that a name means.

use std::path::{Path, PathBuf};

use crate::load::LoadError;
use crate::names::nearest;

/// Directories of this crate that hold no scenarios, and those of stored plans.
const SKIPPED: &[&str] = &["src", "tests", "schema", "target", "plans"];

/// A scenario file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScenarioFile {
    /// Its path below the directory, without the extension, with `/`: `museum/R06-no-maximal-isr`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Why a name means no file.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The directory cannot be read.
    #[error(transparent)]
    Io(LoadError),
    /// There is no such file (exit code 74).
    #[error("there is no scenario `{name}`{}", hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default())]
    NotFound {
        /// What was asked for.
        name: String,
        /// The name that was probably meant.
        hint: Option<String>,
    },
    /// Several files could be meant.
    #[error("`{name}` could be any of {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// Names of those files.
        candidates: Vec<String>,
    },
}

/// Every scenario file below `dir`, sorted by name. Files are not opened: `.toml` and `.json`, except `Cargo.toml`.
pub fn files(dir: &Path) -> Result<Vec<ScenarioFile>, LoadError> {
    let mut found = Vec::new();
    collect(dir, "", &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(dir: &Path, prefix: &str, found: &mut Vec<ScenarioFile>) -> Result<(), LoadError> {
    let failed = |source| LoadError::Io { path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if file_name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            let is_skipped =
                prefix.is_empty() && SKIPPED.contains(&file_name.as_str()) || file_name == "plans";
            if !is_skipped {
                collect(&path, &format!("{prefix}{file_name}/"), found)?;
            }
        } else if let Some(stem) = file_name.strip_suffix(".toml").or(file_name.strip_suffix(".json"))
            && !(prefix.is_empty() && file_name == "Cargo.toml")
        {
            found.push(ScenarioFile { name: format!("{prefix}{stem}"), path });
        }
    }
    Ok(())
}

/// The file that `name` means: a path that exists, the name of a file below `dir`, or the last part of one name (or
/// its beginning, as `R06`).
pub fn find(dir: &Path, name: &str) -> Result<PathBuf, FindError> {
    if Path::new(name).is_file() {
        return Ok(PathBuf::from(name));
    }
    // Something that looks like a path and is not there deserves the system's own words, when it is opened.
    if name.ends_with(".toml") || name.ends_with(".json") {
        return Ok(PathBuf::from(name));
    }
    let files = files(dir).map_err(FindError::Io)?;
    if let Some(file) = files.iter().find(|file| file.name == name) {
        return Ok(file.path.clone());
    }
    let last = |file: &ScenarioFile| file.name.rsplit('/').next().unwrap_or_default().to_owned();
    let by = |test: &dyn Fn(&str) -> bool| files.iter().filter(|file| test(&last(file))).collect::<Vec<_>>();
    let exact = by(&|stem| stem == name);
    let matches = if exact.is_empty() { by(&|stem| stem.starts_with(&format!("{name}-"))) } else { exact };
    match matches.as_slice() {
        [file] => Ok(file.path.clone()),
        [] => {
            let stems: Vec<String> = files.iter().map(last).collect();
            let near = nearest(name, files.iter().map(|file| file.name.as_str()))
                .or_else(|| nearest(name, stems.iter().map(String::as_str)));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            Err(FindError::NotFound { name: name.to_owned(), hint })
        }
        several => {
            let candidates = several.iter().map(|file| file.name.clone()).collect();
            Err(FindError::Ambiguous { name: name.to_owned(), candidates })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "Cargo.toml",
            "quickstart.toml",
            "museum/R01-a.toml",
            "museum/R06-b.toml",
            "x/R06-b.json",
            "src/no.toml",
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names: Vec<String> = files(dir.path()).unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["museum/R01-a", "museum/R06-b", "quickstart", "x/R06-b"]);
        assert!(find(dir.path(), "R01").unwrap().ends_with("museum/R01-a.toml"));
        assert!(find(dir.path(), "museum/R06-b").unwrap().ends_with("museum/R06-b.toml"));
        assert!(matches!(find(dir.path(), "R06-b"), Err(FindError::Ambiguous { .. })));
        let error = find(dir.path(), "quickstrat").unwrap_err();
        assert_eq!(error.to_string(), "there is no scenario `quickstrat`: did you mean `quickstart`?");
        assert!(matches!(files(&dir.path().join("nowhere")), Err(LoadError::Io { .. })));
    }
}
