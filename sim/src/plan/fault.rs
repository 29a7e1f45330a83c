//! One fault of a plan: when, what, how long, and with which dice.

/// What a node says about itself, at which a fault strikes.
pub use scenarios::model::Point as PlannedPoint;
use scenarios::model::{Condition, Verb};
use serde::{Deserialize, Serialize};

/// A scripted fault, or one random strike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// Unique: the id of the scenario, or `chaos-KIND-N`.
    pub id: String,
    /// Name of the random stream for what it decides when it strikes.
    pub stream: String,
    /// A random strike obeys [`super::ChaosLimits`]; when it cannot, it is skipped and not missed.
    pub is_chaos: bool,
    /// When it may strike, and from when its times count.
    pub scope: FaultScope,
    /// When it strikes.
    pub trigger: PlannedTrigger,
    /// What it does.
    pub verb: Verb,
    /// After how many microseconds it is undone by itself.
    pub hold_us: Option<u64>,
}

/// When a fault may strike, and from when its times count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultScope {
    /// In any phase between `start` and `settle`; times count from the start of the run.
    Run,
    /// In this phase; times count from its start.
    Phase(String),
    /// In any phase between `start` and `settle`; times count from the end of `start`.
    AfterStart,
}

/// When a fault strikes. All times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedTrigger {
    /// Once, at this time.
    At { at_us: u64 },
    /// After each period, each up to `jitter_us` later.
    Every { every_us: u64, jitter_us: u64, count: Option<u32> },
    /// When the condition becomes true.
    When { condition: Condition, once: bool, within_us: Option<u64> },
    /// When the other fault has completed, and the condition (if there is one) is true from then on.
    After { fault: String, condition: Option<Condition>, within_us: Option<u64> },
    /// When a node does what the point names; with `after` only once that fault has completed.
    On { point: PlannedPoint, after: Option<String>, within_us: Option<u64> },
}

impl std::fmt::Display for PlannedTrigger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use scenarios::model::Micros;
        match self {
            PlannedTrigger::At { at_us } => write!(f, "at {}", Micros(*at_us)),
            PlannedTrigger::Every { every_us, .. } => write!(f, "every {}", Micros(*every_us)),
            PlannedTrigger::When { condition, .. } => write!(f, "when {condition}"),
            PlannedTrigger::On { point, after, .. } => {
                write!(f, "on {}", point.point)?;
                if let Some(node) = &point.node {
                    write!(f, " of {node}")?;
                }
                if let Some(partition) = &point.partition {
                    write!(f, " {partition}")?;
                }
                if point.nth > 1 {
                    write!(f, " no. {}", point.nth)?;
                }
                after.as_ref().map_or(Ok(()), |after| write!(f, " after {after}"))
            }
            PlannedTrigger::After { fault, condition: None, .. } => write!(f, "after {fault}"),
            PlannedTrigger::After { fault, condition: Some(condition), .. } => {
                write!(f, "after {fault} when {condition}")
            }
        }
    }
}
