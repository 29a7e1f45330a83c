//! SimDisk: one machine's disk, with a page cache that a power loss takes away.
//!
//! Reads and writes act on the cache at once. What is durable moves only when a sync completes, and then to what the cache
//! held when the sync was asked for. A process crash loses nothing; a power loss keeps of each file the durable part
//! and whatever the kernel happened to have written back, and of the un-synced directory entries any subset.
//! Absent on purpose so far: a full disk, slow or failing syncs, bit rot.
//!
//! | file | what |
//! |---|---|
//! | `content.rs` | [`Content`]: bytes of one file as extents |
//! | `namespace.rs` | [`Namespace`]: which path is which file, cached and durable |
//! | `sim_disk.rs` | [`SimDisk`]: the disk that a machine sees |
//! | `power_loss.rs` | what survives |

mod content;
mod namespace;
mod power_loss;
mod sim_disk;

pub(crate) use sim_disk::SimDisk;
