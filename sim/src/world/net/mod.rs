//! SimNet: what the machines' kernels and the wires between them do, at the level of whole frames.
//!
//! Like TCP: frames of one connection and direction arrive in order or not at all; a lost or cut transmission is repeated
//! with a growing timeout, so that trouble shows as delay first and as a closed connection much later; a machine without
//! power says nothing; a machine that does not know a connection says so (RST). Acknowledgements are not modelled: a cut
//! of one direction leaves the other direction whole.
//!
//! | file | what |
//! |---|---|
//! | `links.rs` | [`Links`]: latency, loss and cuts of each directed pair of machines |
//! | `connection.rs` | [`Connection`]: two ends, two flows of segments |
//! | `handshake.rs` | opening a connection |
//! | `flow.rs` | segments on their way, retransmission, reset |
//! | `intercept.rs` | messages of a kind held back, swallowed, or cut off |
//! | `reset.rs` | connections that end although both machines live |
//! | `sim_net.rs` | [`SimNet`]: all connections; what machines and faults do to them |

mod connection;
mod flow;
mod handshake;
mod intercept;
mod links;
mod reset;
mod sim_net;

pub(crate) use links::Links;
pub(crate) use sim_net::{Around, Leaving, SimNet};
