//! Historic Kafka bugs as switches, all off by default. The judge is judged with them.
//!
//! A switch is read in exactly one place: the guard that it disables. A scenario turns it on with a top-level
//! `defects = ["..."]` (name or museum id) and the report records it.

use serde::Serialize;

/// One historic bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Defect {
    /// R01: a follower truncates to its own high watermark before it asks the leader (KAFKA-1211, KIP-101 scenario 1).
    TruncateToHighWatermark,
    /// R05: the ISR expands on the leader's possibly stale high watermark, without the epoch start (KAFKA-7128).
    IsrExpandIgnoresEpochStart,
    /// R06: the high watermark waits for the committed ISR only, not for the proposed one (KIP-497, KAFKA-8836).
    NoMaximalIsr,
}

impl Defect {
    /// Every switch, in order of museum id.
    pub const ALL: [Defect; 3] =
        [Defect::TruncateToHighWatermark, Defect::IsrExpandIgnoresEpochStart, Defect::NoMaximalIsr];

    /// The id in the museum catalogue.
    pub fn id(self) -> &'static str {
        match self {
            Defect::TruncateToHighWatermark => "R01",
            Defect::IsrExpandIgnoresEpochStart => "R05",
            Defect::NoMaximalIsr => "R06",
        }
    }

    /// The name used in scenario files.
    pub fn name(self) -> &'static str {
        match self {
            Defect::TruncateToHighWatermark => "truncate-to-high-watermark",
            Defect::IsrExpandIgnoresEpochStart => "isr-expand-ignores-epoch-start",
            Defect::NoMaximalIsr => "no-maximal-isr",
        }
    }

    /// What was wrong and where it is told.
    pub fn about(self) -> &'static str {
        match self {
            Defect::TruncateToHighWatermark => {
                "a follower truncates to its own stale high watermark before asking the leader (KAFKA-1211, KIP-101)"
            }
            Defect::IsrExpandIgnoresEpochStart => {
                "an out-of-sync follower joins the ISR on the leader's stale high watermark (KAFKA-7128)"
            }
            Defect::NoMaximalIsr => {
                "the high watermark ignores a proposed ISR that the controller may have committed (KIP-497)"
            }
        }
    }

    /// Finds a switch by name or museum id.
    pub fn find(name_or_id: &str) -> Option<Defect> {
        Defect::ALL.into_iter().find(|d| d.name() == name_or_id || d.id().eq_ignore_ascii_case(name_or_id))
    }
}

/// The switches that are on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DefectSet(Vec<Defect>);

impl DefectSet {
    /// The production path.
    pub fn none() -> Self {
        Self::default()
    }

    /// Exactly these.
    pub fn of(defects: impl IntoIterator<Item = Defect>) -> Self {
        let mut list: Vec<Defect> = defects.into_iter().collect();
        list.sort();
        list.dedup();
        DefectSet(list)
    }

    /// Is this bug present?
    pub fn has(&self, defect: Defect) -> bool {
        self.0.contains(&defect)
    }

    /// The bugs that are present, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = Defect> + '_ {
        self.0.iter().copied()
    }
}
