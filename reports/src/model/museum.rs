//! How good the judge is: `kafkasim.museum/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `kafkasim museum` found: each historic defect, planted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MuseumReport {
    /// Always `kafkasim.museum/1`.
    #[schemars(extend("const" = "kafkasim.museum/1"))]
    pub schema: String,
    /// Campaigns of random faults for each defect; 0: directed scenarios only.
    pub campaigns: u64,
    /// Seeds after which a campaign gives up.
    pub seed_limit: u64,
    /// One per defect, in order of museum id.
    pub pieces: Vec<MuseumPiece>,
}

/// One historic defect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MuseumPiece {
    /// Its museum id, e.g. `R06`.
    pub defect: String,
    /// Its name, e.g. `no-maximal-isr`.
    pub name: String,
    /// The directed scenario; null if there is none.
    pub scenario: Option<String>,
    /// The directed scenario is red by the check that it names, on every seed that was run.
    pub directed_red: bool,
    /// The same scenario without the defect is green, on every seed that was run.
    pub control_green: bool,
    /// The check that random faults trip first, in most campaigns; if there were none, the one that the directed
    /// scenario names.
    pub first_check: Option<String>,
    /// Seeds of random faults until the first red one, the median of all campaigns; null if half of them or more
    /// never turned red.
    pub seeds_to_red_median: Option<u64>,
    /// Seconds of CPU until the first red seed, to the millisecond, the median of all campaigns; null as above. The
    /// CPU time of a defect's campaigns is shared out by the events that each simulated.
    pub cpu_s_to_red_median: Option<f64>,
    /// Campaigns that turned red.
    pub campaigns_red: u64,
    /// Campaigns that were run.
    pub campaigns_run: u64,
}

impl MuseumReport {
    /// A document of these pieces.
    pub fn new(campaigns: u64, seed_limit: u64, pieces: Vec<MuseumPiece>) -> MuseumReport {
        let schema = <Self as crate::json::Document>::SCHEMA.to_owned();
        MuseumReport { schema, campaigns, seed_limit, pieces }
    }

    /// Defects that their directed scenario catches, and whose control is green.
    pub fn caught(&self) -> usize {
        self.pieces.iter().filter(|piece| piece.is_caught()).count()
    }
}

impl MuseumPiece {
    /// Red with the defect, green without.
    pub fn is_caught(&self) -> bool {
        self.directed_red && self.control_green
    }
}
