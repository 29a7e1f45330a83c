//! What depends on the machine: `kafkasim.run-meta/1`, beside the report so that the report need not hold it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The circumstances of a run. Two runs of one seed differ here and nowhere else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunMeta {
    /// Always `kafkasim.run-meta/1`.
    #[schemars(extend("const" = "kafkasim.run-meta/1"))]
    pub schema: String,
    /// Wall time of the run.
    pub wall_us: u64,
    /// CPU time of the process meanwhile; 0 when several runs went on at the same time.
    pub cpu_us: u64,
    /// The machine.
    pub host: Host,
    /// The compiler that built the binary.
    pub rustc: String,
    /// The version of kafkasim.
    pub version: String,
    /// How many runs went on at the same time.
    pub workers: u64,
}

/// The machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Operating system, e.g. `linux`.
    pub os: String,
    /// Architecture, e.g. `x86_64`.
    pub arch: String,
}

impl RunMeta {
    /// A document with the right schema name and all else empty.
    pub fn new() -> RunMeta {
        RunMeta { schema: <Self as crate::json::Document>::SCHEMA.to_owned(), ..RunMeta::default() }
    }
}
