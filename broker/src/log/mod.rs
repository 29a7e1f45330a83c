//! The log of one partition: record batches, segments, leader epochs, producer state, recovery.
//!
//! A [`PartitionLog`] is told the time and is lent the disk for each call; it never waits. Batches are kept as the bytes
//! in which they came and never encoded again: three header fields are stamped by the leader, nothing else changes.
//! Everything held in memory (index, epoch cache, producer state) is a function of the bytes on the disk (IDM-4, D-3),
//! therefore recovery, truncation and replication cannot disagree.
//!
//! | file | what is inside |
//! |---|---|
//! | [`BatchHeader`], [`Batch`], [`batches`], [`stamp`] (`batch.rs`) | record batch v2: header, checks, stamping |
//! | [`Record`], [`Records`] (`record.rs`) | one record, and the lazy iterator over a batch; both borrow its bytes |
//! | [`BatchBuilder`] (`batch_builder.rs`) | builds a batch from records |
//! | [`PartitionLog`] (`partition_log.rs`) | what a log holds: offsets, epochs, high watermark |
//! | `loader.rs` | opening a log: recovery after a crash (LOG-4) |
//! | `append.rs`, `read.rs`, `truncate.rs`, `flush.rs` | the verbs of [`PartitionLog`] |
//! | `retention.rs` | which old segments may go (RET-1) |
//! | `start.rs` | moving a log's start up, and removing what lies below |
//! | `segment.rs` | one segment file and its index in memory |
//! | [`LeaderEpochCache`] (`leader_epochs.rs`) | which epoch began where (LOG-2) |
//! | [`ProducerStates`] (`producers.rs`) | the last five batches of each producer (IDM-1..4) |
//! | [`read_offset_checkpoint`], [`write_offset_checkpoint`] (`checkpoint.rs`) | offsets of all partitions of a node |
//! | [`list_partitions`] (`partition_metadata.rs`) | names of log directories, and `partition.metadata` (KIP-516) |
//! | [`AppendError`], [`LogError`] (`error.rs`) | what can go wrong |
//! | [`MemoryDisk`] (`memory_disk.rs`) | a disk for tests and models that can lose power |
//!
//! Deliberately absent: compression (batches pass through unopened), compaction, transactions.

mod append;
mod batch;
mod batch_builder;
mod checkpoint;
mod error;
#[cfg(test)]
mod fixture;
mod flush;
mod leader_epochs;
mod loader;
mod memory_disk;
mod partition_log;
mod partition_metadata;
mod producers;
mod read;
mod record;
mod retention;
mod segment;
mod start;
mod truncate;

pub use batch::{Batch, BatchError, BatchHeader, Batches, HEADER_BYTES, batches, stamp};
pub use batch_builder::BatchBuilder;
pub use checkpoint::{read_offset_checkpoint, write_offset_checkpoint};
pub use error::{AppendError, LogError};
pub use leader_epochs::{EpochEnd, EpochEntry, LeaderEpochCache};
pub use memory_disk::MemoryDisk;
pub use partition_log::{AppendInfo, LogSettings, PartitionLog, RecoveryHints};
pub use partition_metadata::list_partitions;
pub use producers::{ProducerBatch, ProducerState, ProducerStates, SequenceCheck, next_sequence};
pub use record::{Header, Record, Records};
