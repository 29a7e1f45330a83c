//! What a fault or a phase waits for. Evaluated on every change of state, so that it hits one-event windows.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Micros, PartitionRef, Target};

/// A condition. `Display` prints it as it is written in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// `a && b && ...`
    And(Vec<Condition>),
    /// `a || b || ...`
    Or(Vec<Condition>),
    /// `!a`
    Not(Box<Condition>),
    /// `left op right`; the two sides have comparable types (checked by the parser). With wildcards or with a
    /// target of several nodes it must hold for each.
    Compare { left: Operand, op: Compare, right: Operand },
    /// `drained`: producers have nothing buffered or in flight and consumers have read up to the high watermark.
    Drained,
    /// `all_isr_full`: every partition has a leader and all its replicas in the committed ISR.
    AllIsrFull,
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Compare {
    /// As written.
    pub fn symbol(self) -> &'static str {
        match self {
            Compare::Equal => "==",
            Compare::NotEqual => "!=",
            Compare::Less => "<",
            Compare::LessOrEqual => "<=",
            Compare::Greater => ">",
            Compare::GreaterOrEqual => ">=",
        }
    }

    /// Whether `left op right` holds.
    pub fn holds<T: Ord>(self, left: &T, right: &T) -> bool {
        match self {
            Compare::Equal => left == right,
            Compare::NotEqual => left != right,
            Compare::Less => left < right,
            Compare::LessOrEqual => left <= right,
            Compare::Greater => left > right,
            Compare::GreaterOrEqual => left >= right,
        }
    }
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// Something that is looked up.
    Measure(Measure),
    /// `2`
    Int(i64),
    /// `[0, 1]`: a set of node ids, sorted, without repetition.
    Set(Vec<u32>),
    /// `none`: no leader.
    None,
    /// `10s`, in microseconds.
    Duration(Micros),
    /// A state of a node.
    State(NodeState),
}

/// What can be looked up. Cluster state is what the active controller has committed; offsets are of the current
/// leader's log unless a node is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// `isr_size(orders/0)`: integer.
    IsrSize(PartitionRef),
    /// `isr(orders/0)`: set of broker ids.
    Isr(PartitionRef),
    /// `leader(orders/0)`: broker id, or `none`.
    Leader(PartitionRef),
    /// `hw(orders/0)` or `hw(orders/0, broker(1))`: high watermark, an offset.
    HighWatermark(PartitionRef, Option<Target>),
    /// `leo(orders/0)` or `leo(orders/0, broker(1))`: log end offset.
    LogEndOffset(PartitionRef, Option<Target>),
    /// `lso(orders/0)` or `lso(orders/0, broker(1))`: last stable offset.
    LastStableOffset(PartitionRef, Option<Target>),
    /// `epoch(orders/0)`: leader epoch, integer.
    LeaderEpoch(PartitionRef),
    /// `state(broker(1))`: a [`NodeState`].
    State(Target),
    /// `acked(orders)`: records acknowledged to producers so far.
    Acked(String),
    /// `acked_since(starve)`: records acknowledged since this fault first fired; 0 until then.
    AckedSince(String),
    /// `caught(stall)`: messages that this hold, drop, metadata lag or fence has caught so far.
    Caught(String),
    /// `time()`: simulated time since the run began, a duration.
    Time,
}

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// `running`: its process runs and the controller does not fence it.
    Running,
    /// `fenced`: its process runs and the controller fences it.
    Fenced,
    /// `paused`: its process is stopped and keeps its memory.
    Paused,
    /// `down`: it has no process.
    Down,
}

impl NodeState {
    /// Every state with its word.
    pub const ALL: [(&'static str, NodeState); 4] = [
        ("running", NodeState::Running),
        ("fenced", NodeState::Fenced),
        ("paused", NodeState::Paused),
        ("down", NodeState::Down),
    ];

    /// As written.
    pub fn word(self) -> &'static str {
        match self {
            NodeState::Running => "running",
            NodeState::Fenced => "fenced",
            NodeState::Paused => "paused",
            NodeState::Down => "down",
        }
    }
}

impl Condition {
    /// Calls `visit` for every measure in the condition.
    pub fn measures(&self, visit: &mut dyn FnMut(&Measure)) {
        match self {
            Condition::And(parts) | Condition::Or(parts) => {
                parts.iter().for_each(|part| part.measures(visit))
            }
            Condition::Not(inner) => inner.measures(visit),
            Condition::Compare { left, right, .. } => {
                for side in [left, right] {
                    if let Operand::Measure(measure) = side {
                        visit(measure);
                    }
                }
            }
            Condition::Drained | Condition::AllIsrFull => {}
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Condition], sign: &str| {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(f, " {sign} ")?;
                }
                match part {
                    Condition::And(_) | Condition::Or(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Condition::And(parts) => joined(f, parts, "&&"),
            Condition::Or(parts) => joined(f, parts, "||"),
            Condition::Not(inner) => match **inner {
                Condition::Drained | Condition::AllIsrFull => write!(f, "!{inner}"),
                _ => write!(f, "!({inner})"),
            },
            Condition::Compare { left, op, right } => write!(f, "{left} {} {right}", op.symbol()),
            Condition::Drained => write!(f, "drained"),
            Condition::AllIsrFull => write!(f, "all_isr_full"),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Measure(measure) => write!(f, "{measure}"),
            Operand::Int(n) => write!(f, "{n}"),
            Operand::Set(ids) => {
                let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
                write!(f, "[{}]", ids.join(", "))
            }
            Operand::None => write!(f, "none"),
            Operand::Duration(time) => write!(f, "{time}"),
            Operand::State(state) => write!(f, "{}", state.word()),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset =
            |f: &mut fmt::Formatter<'_>, name: &str, p: &PartitionRef, node: &Option<Target>| match node {
                Some(node) => write!(f, "{name}({p}, {node})"),
                None => write!(f, "{name}({p})"),
            };
        match self {
            Measure::IsrSize(p) => write!(f, "isr_size({p})"),
            Measure::Isr(p) => write!(f, "isr({p})"),
            Measure::Leader(p) => write!(f, "leader({p})"),
            Measure::HighWatermark(p, node) => offset(f, "hw", p, node),
            Measure::LogEndOffset(p, node) => offset(f, "leo", p, node),
            Measure::LastStableOffset(p, node) => offset(f, "lso", p, node),
            Measure::LeaderEpoch(p) => write!(f, "epoch({p})"),
            Measure::State(node) => write!(f, "state({node})"),
            Measure::Acked(topic) => write!(f, "acked({topic})"),
            Measure::AckedSince(fault) => write!(f, "acked_since({fault})"),
            Measure::Caught(fault) => write!(f, "caught({fault})"),
            Measure::Time => write!(f, "time()"),
        }
    }
}
