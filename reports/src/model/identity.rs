//! What ran, what was expected of it, and how to see it again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Seed, Verdict};

/// The program that wrote the document. Its version is part of what a report's bytes are a function of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `kafkasim`.
    pub name: String,
    /// Version of the crate, e.g. `0.1.0`.
    pub version: String,
    /// Digest of the sources that the binary was built from, when known.
    pub source_digest: Option<String>,
}

/// The scenario file and the choices made for this run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scenario {
    /// The scenario's `name`, also the directory of its results.
    pub name: String,
    /// Path as given, relative to the working directory; never absolute.
    pub path: String,
    /// Digest of the file's bytes.
    pub digest: String,
    /// The `[[variant]]` that ran, if one was chosen.
    pub variant: Option<String>,
    /// `--set PATH=VALUE` overrides, as text.
    pub params: BTreeMap<String, String>,
    /// Digest of the scenario after variant and overrides.
    pub resolved_digest: String,
}

/// What the scenario's `[expect]` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expected {
    /// The verdict that makes the run as expected.
    pub verdict: Verdict,
    /// The check that must be the one to go red, when a violation is expected.
    pub check: Option<String>,
}

/// How to see the run again. Commands are one line each and can be pasted into a shell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reproduce {
    /// Runs the same scenario with the same seed.
    pub command: String,
    /// Replays up to just after the interesting moment, with more trace; null when nothing is of interest.
    pub window: Option<String>,
    /// Path of the saved plan, when one was written.
    pub plan: Option<String>,
}

/// Rolling hash over every delivered frame, disk completion, timer and observation.
/// Two runs are the same run when their fingerprints are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fingerprint {
    /// How the hash is made, e.g. `blake3-chain/1`.
    pub algo: String,
    /// Number of events hashed.
    pub events: u64,
    /// The hash after the last event.
    #[serde(rename = "final")]
    pub last: String,
    /// Hashes on the way, every 65,536 events: they bisect the first event in which two runs differ.
    pub checkpoints: Vec<Checkpoint>,
}

/// The fingerprint at one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoint {
    /// Event id.
    pub event: u64,
    /// Simulated time of the event.
    pub t_us: u64,
    /// The hash after it.
    pub hash: String,
}

/// Simulated time of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeSpan {
    /// When the run ended.
    pub end_us: u64,
    /// The phases it went through, in order.
    pub phases: Vec<Phase>,
}

/// One phase: `start`, `run` or `settle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// Name of the phase.
    pub name: String,
    /// First moment of the phase.
    pub start_us: u64,
    /// First moment after it.
    pub end_us: u64,
}

impl Scenario {
    /// `<scenario>[@variant]/seed-<N>`: the key of a run in a suite, and its directory under `<out>`.
    pub fn run_key(&self, seed: Seed) -> String {
        super::suite::key(&self.name, self.variant.as_deref(), seed)
    }
}
