//! Which program plays which host.

use crate::plan::{HostId, Plan};
use crate::world::Program;

/// Gives each host of a plan its program. A run of Kafka nodes and clients is one cast; a test may bring another.
pub trait Cast: Send + Sync {
    /// What runs on this host. Errors: why this host cannot be played, for the operator.
    fn program(&self, plan: &Plan, host: HostId) -> Result<Box<dyn Program>, String>;
}
