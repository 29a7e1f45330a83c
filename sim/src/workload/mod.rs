//! What the clients do: machines that hosts run, made of the clients of [`crate::client`].
//!
//! | file | what |
//! |---|---|
//! | `operator.rs` | [`OperatorDesk`]: where the operator of cluster verbs sits |
//! | `setup.rs` | [`Setup`]: creates the scenario's topics |
//! | `produce.rs` | [`ProduceLoad`]: records at a rate, each with an identity |
//! | `consume.rs` | [`ConsumeLoad`]: reads partitions to the end and on |
//! | `keys.rs` | [`Keys`]: none, even or skewed keys |
//! | `gauge.rs` | [`Gauge`]: what a run can read from outside while a load runs |
//! | `end_to_end.rs` | a test: loads against real nodes that crash and come back |
//!
//! Loads start at once and try until the cluster lets them. A load that is killed comes back as a new client: new
//! connections, a new producer id, a new number in its values.
//!
//! To add a workload: one file with a `Program`, and one row here.

mod consume;
#[cfg(test)]
mod end_to_end;
mod gauge;
mod keys;
mod operator;
mod produce;
mod setup;

pub use consume::ConsumeLoad;
pub use gauge::Gauge;
pub use keys::Keys;
pub use operator::OperatorDesk;
pub use produce::ProduceLoad;
pub use setup::Setup;
