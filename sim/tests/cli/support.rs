//! Starts the real binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A cluster that is quick to run: three brokers, one fault, a few seconds.
pub const TINY: &str = r#"
format = 1
name   = "tiny"

[cluster]
brokers = 3

[[topic]]
name               = "t"
partitions         = 1
replication_factor = 3

[[producer]]
topic = "t"
rate  = "20/s"

[[phase]]
name = "run"
for  = "6s"

[[fault]]
id    = "stop"
at    = "4s"
pause = "leader(t/0)"
for   = "1s"
"#;

/// What a command left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the binary prints UTF-8");
        Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// The directory of the workspace: where the README tells people to stand.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// The binary, to be started in a directory.
pub fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kafkasim"));
    command.current_dir(directory).args(arguments).stdin(Stdio::null());
    for name in ["NO_COLOR", "COLUMNS", "MADSIM_TEST_SEED"] {
        command.env_remove(name);
    }
    command
}

/// Runs the binary to its end.
pub fn kafkasim(directory: &Path, arguments: &[&str]) -> Ended {
    command(directory, arguments).output().expect("the binary starts").into()
}

/// A directory with these files.
pub fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("there is room for temporary files");
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

/// The only file below a directory with this name.
pub fn read(directory: &Path, name: &str) -> String {
    let path = directory.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
