//! Where a run came from, and how to see it again.

use std::path::{Component, Path, PathBuf};

use reports::model::{Reproduce, Scenario, Seed};
use scenarios::Parsed;

/// The scenario file of a run and what was changed in it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The scenario, changes applied.
    pub parsed: Parsed,
    /// The file, relative to the working directory, with `/`.
    pub path: String,
    /// `--until`, as given: part of the command.
    pub until: Option<String>,
}

impl Origin {
    /// Of a parsed scenario; its path is told relative to `directory`, so that no report holds an absolute path.
    pub fn new(parsed: Parsed, directory: &Path) -> Origin {
        let path = relative(Path::new(&parsed.file_name), directory);
        Origin { parsed, path, until: None }
    }

    pub(super) fn scenario(&self) -> Scenario {
        let scenario = &self.parsed.scenario;
        Scenario {
            name: scenario.name.clone(),
            path: self.path.clone(),
            digest: self.digest(),
            variant: scenario.variant.clone(),
            params: self.parsed.overrides.set.iter().cloned().collect(),
            resolved_digest: reports::digest::of_json(scenario),
        }
    }

    /// Digest of the file's bytes, in the spelling of reports.
    pub fn digest(&self) -> String {
        let digest = &self.parsed.source_digest;
        format!("b3:{}", digest.split_once(':').map_or(digest.as_str(), |(_, hex)| hex))
    }

    /// Commands that show the run again; `moment` is the event of interest.
    pub(super) fn reproduce(&self, seed: Seed, moment: Option<u64>) -> Reproduce {
        let choice = self.choice(seed);
        let until =
            self.until.as_ref().map(|until| format!(" --until {}", quoted(until))).unwrap_or_default();
        // A run stops after the step with this event: the moment itself is seen.
        let window = moment.map(|event| format!("kafkasim replay {choice} --until {event} --trace debug"));
        Reproduce { command: format!("kafkasim run {choice}{until}"), window, plan: None }
    }

    fn choice(&self, seed: Seed) -> String {
        let mut words = vec![quoted(&self.path)];
        if let Some(variant) = &self.parsed.scenario.variant {
            words.push(format!("--variant {}", quoted(variant)));
        }
        for (path, value) in &self.parsed.overrides.set {
            words.push(format!("--set {}", quoted(&format!("{path}={value}"))));
        }
        words.push(format!("--seed {seed}"));
        words.join(" ")
    }
}

/// One word for a shell: quoted only where it must be.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `path` as seen from `directory`. A relative path stays as it was given, but for `./` and the direction of slashes.
fn relative(path: &Path, directory: &Path) -> String {
    let path = if path.is_absolute() { from(path, directory) } else { path.to_owned() };
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let parts: Vec<String> = parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    parts.join("/")
}

fn from(path: &Path, directory: &Path) -> PathBuf {
    let common = path.components().zip(directory.components()).take_while(|(a, b)| a == b).count();
    let up = directory.components().skip(common).map(|_| Component::ParentDir);
    up.chain(path.components().skip(common)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(file: &str) -> Origin {
        let text = "format = 1\nname = \"a/b\"\n[cluster]\nbrokers = 1\n[[topic]]\nname = \"t\"\n";
        let parsed = scenarios::parse(file, text).unwrap_or_else(|report| panic!("{report}"));
        Origin::new(parsed, Path::new("/home/me"))
    }

    #[test]
    fn no_report_holds_an_absolute_path() {
        for (given, shown) in [
            ("scenarios/a.toml", "scenarios/a.toml"),
            ("./a.toml", "a.toml"),
            ("../a.toml", "../a.toml"),
            ("/home/me/x/a.toml", "x/a.toml"),
            ("/srv/a.toml", "../../srv/a.toml"),
        ] {
            assert_eq!(origin(given).path, shown);
        }
    }

    #[test]
    fn commands_can_be_pasted_into_a_shell() {
        let mut origin = origin("it's here/a.toml");
        origin.parsed.overrides.set.push(("cluster.brokers".to_owned(), "{ min = 1 }".to_owned()));
        let reproduce = origin.reproduce(Seed(7), Some(41));
        let words = r"'it'\''s here/a.toml' --set 'cluster.brokers={ min = 1 }' --seed 7";
        assert_eq!(reproduce.command, format!("kafkasim run {words}"));
        assert_eq!(reproduce.window, Some(format!("kafkasim replay {words} --until 41 --trace debug")));
    }

    #[test]
    fn digests_have_one_spelling() {
        let origin = origin("a.toml");
        assert_eq!(origin.digest(), reports::digest::of_bytes(origin.parsed.text.as_bytes()));
    }
}
