//! What a whole node promises to whoever speaks to it: every API in every version, and no harm from any bytes.
//!
//! | file | what |
//! |---|---|
//! | `samples.rs` | a sensible request for every API, version and listener |
//! | `versions.rs` | each is answered in its version, with what Kafka would say |
//! | `hostile.rs` | cut, changed and lying frames: answered, refused or parked, never a panic |
//! | `bad_batches.rs` | every way in which a produced batch can be wrong, and its error |
//! | `idempotence.rs` | duplicates, gaps and old epochs, also after a failover and a restart (IDM-1..4) |
//!
//! *Invariant:* everything goes over connections, as frames; nothing looks into a node.

mod bad_batches;
mod configs;
mod hostile;
mod idempotence;
#[path = "../cluster/net.rs"]
#[expect(dead_code, reason = "the toy network is shared; this suite shuts nobody down politely")]
mod net;
mod records_deleted;
mod samples;
mod versions;
