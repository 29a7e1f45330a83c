//! Whom a fault strikes. A target is a set of nodes, resolved when the fault fires and then pinned.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A target expression. `Display` prints it as it is written in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `broker(2)`.
    Broker(u32),
    /// `controller(0)`.
    Controller(u32),
    /// `client(p-1)`.
    Client(String),
    /// `rack(a)`: the brokers of a rack.
    Rack(String),
    /// `leader(orders/0)`; empty while there is none.
    Leader(PartitionRef),
    /// `follower(orders/0)`: replicas that do not lead.
    Follower(PartitionRef),
    /// `isr_follower(orders/0)`: followers in the committed ISR.
    IsrFollower(PartitionRef),
    /// `non_isr(orders/0)`: replicas outside of the committed ISR.
    NonIsr(PartitionRef),
    /// `replica(orders/0, 1)`: the replica at this place of the assignment, counted from 0.
    Replica(PartitionRef, u32),
    /// `preferred_leader(orders/0)`: the first replica of the assignment.
    PreferredLeader(PartitionRef),
    /// `active_controller`: the leader of the metadata quorum; empty while there is none.
    ActiveController,
    /// `brokers` (also `broker`): all of them.
    Brokers,
    /// `controllers` (also `controller`): all of them.
    Controllers,
    /// `clients` (also `client`): all of them.
    Clients,
    /// `random(EXPR)` (`count` 1) or `random(n, EXPR)`: so many distinct members, or all if there are fewer.
    Random { count: u32, of: Box<Target> },
    /// `a + b`: in either.
    Union(Box<Target>, Box<Target>),
    /// `a - b`: in `a` and not in `b`.
    Minus(Box<Target>, Box<Target>),
    /// `a & b`: in both.
    Intersection(Box<Target>, Box<Target>),
    /// `$victim`: what a fault bound with `as = "victim"`; empty until then.
    Bound(String),
}

impl Target {
    /// Calls `visit` for this target and for every target inside it.
    pub fn walk(&self, visit: &mut dyn FnMut(&Target)) {
        visit(self);
        match self {
            Target::Random { of, .. } => of.walk(visit),
            Target::Union(a, b) | Target::Minus(a, b) | Target::Intersection(a, b) => {
                a.walk(visit);
                b.walk(visit);
            }
            _ => {}
        }
    }

    /// The partition that this target is about, if it is about one.
    pub fn partition(&self) -> Option<&PartitionRef> {
        match self {
            Target::Leader(p)
            | Target::Follower(p)
            | Target::IsrFollower(p)
            | Target::NonIsr(p)
            | Target::Replica(p, _)
            | Target::PreferredLeader(p) => Some(p),
            _ => None,
        }
    }

    /// Whether the members are known from the file alone: no role, no binding, no draw.
    pub fn is_static(&self) -> bool {
        let mut is_static = true;
        self.walk(&mut |target| {
            is_static &= target.partition().is_none()
                && !matches!(target, Target::ActiveController | Target::Random { .. } | Target::Bound(_));
        });
        is_static
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Broker(id) => write!(f, "broker({id})"),
            Target::Controller(id) => write!(f, "controller({id})"),
            Target::Client(name) => write!(f, "client({name})"),
            Target::Rack(name) => write!(f, "rack({name})"),
            Target::Leader(p) => write!(f, "leader({p})"),
            Target::Follower(p) => write!(f, "follower({p})"),
            Target::IsrFollower(p) => write!(f, "isr_follower({p})"),
            Target::NonIsr(p) => write!(f, "non_isr({p})"),
            Target::Replica(p, index) => write!(f, "replica({p}, {index})"),
            Target::PreferredLeader(p) => write!(f, "preferred_leader({p})"),
            Target::ActiveController => write!(f, "active_controller"),
            Target::Brokers => write!(f, "brokers"),
            Target::Controllers => write!(f, "controllers"),
            Target::Clients => write!(f, "clients"),
            Target::Random { count: 1, of } => write!(f, "random({of})"),
            Target::Random { count, of } => write!(f, "random({count}, {of})"),
            Target::Union(a, b) => write!(f, "{a} + {}", Operand(b)),
            Target::Minus(a, b) => write!(f, "{a} - {}", Operand(b)),
            Target::Intersection(a, b) => write!(f, "{} & {}", Operand(a), Operand(b)),
            Target::Bound(name) => write!(f, "${name}"),
        }
    }
}

/// A set expression inside another one, in parentheses where it needs them.
struct Operand<'a>(&'a Target);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Target::Union(..) | Target::Minus(..) | Target::Intersection(..) => write!(f, "({})", self.0),
            plain => write!(f, "{plain}"),
        }
    }
}

/// `orders/0`, or `orders/*` for all partitions of the topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartitionRef {
    /// Topic name.
    pub topic: String,
    /// Which partitions of it.
    pub partition: PartitionIndex,
}

/// One partition or all of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionIndex {
    /// `/3`.
    One(u32),
    /// `/*`. In a target: the union. In a condition: it must hold for every partition.
    All,
}

impl fmt::Display for PartitionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            PartitionIndex::One(index) => write!(f, "{}/{index}", self.topic),
            PartitionIndex::All => write!(f, "{}/*", self.topic),
        }
    }
}
