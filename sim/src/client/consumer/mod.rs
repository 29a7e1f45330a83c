//! The consumer with assigned partitions: finds a position, reads on, notices when the log was cut below it
//! (`KafkaConsumer.assign`, `Fetcher`).
//!
//! | file | what |
//! |---|---|
//! | `fetcher.rs` | [`Consumer`]: the door, and what is asked of whom |
//! | `answers.rs` | what answers do to positions |
//! | `position.rs` | one partition: its position and what it needs next |
//! | `reader.rs` | record batches to delivered records |
//!
//! Differs from Kafka:
//! - `auto.offset.reset=none` raises an exception in Java and the application decides; the application here starts at
//!   offset 0, goes on at the diverging offset after a truncation, and stops reading a partition whose position is out
//!   of range.
//! - A batch with a wrong checksum raises an exception at each poll; here it is asked for again after the back-off.
//! - The Java client sends no `last_fetched_epoch`; this one does, so that a leader can point out a divergence at once.
//! - No fetch sessions (KIP-227), no fetching from followers (KIP-392). Fetched records are delivered at once.

mod answers;
mod fetcher;
mod position;
mod reader;
#[cfg(test)]
mod tests;

pub use fetcher::Consumer;
