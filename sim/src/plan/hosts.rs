//! Who exists in a run.

use broker::ids::NodeId;
use serde::{Deserialize, Serialize};

/// A machine of the world: its index in the plan's list of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostId(pub u32);

/// What runs on a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HostKind {
    /// A Kafka node: broker, controller or both.
    Node { node_id: NodeId, is_broker: bool, is_controller: bool },
    /// A client: producer, consumer or admin.
    Client { name: String },
}
