//! The follower's side of replication (REP-2, REP-4).
//!
//! A follower asks the leader for what comes after its own log end, names the epoch of its last record, and does what the
//! answer says: append, or cut back to where the histories agree. It never cuts on its own account.
//!
//! | item | job |
//! |---|---|
//! | [`Fetcher`] | the conversation with one leader: one fetch at a time, pauses after errors |
//! | `copy` | one partition's answer carried out on its log |

mod copy;
mod fetcher;

pub use copy::{Copied, copy};
pub use fetcher::{Fetcher, Requested};
