//! The producer: records in, batches out, acknowledgements back (`KafkaProducer`, `Sender`).
//!
//! | file | what |
//! |---|---|
//! | `sender.rs` | [`Producer`]: the door and the loop that sends what is ready |
//! | `completion.rs` | what an answer, an error or the passing of time does to a batch |
//! | `accumulator.rs` | queues of batches per partition, `buffer.memory` |
//! | `batch.rs` | one batch on its way |
//! | `sequences.rs` | idempotence: producer id, epoch, sequences (`TransactionManager`) |
//! | `partitioner.rs` | which partition a record goes to |
//!
//! Differs from Kafka: `send` refuses where `KafkaProducer.send` blocks for `max.block.ms`; the caller tries again. A
//! batch that is too large for the broker fails whole; the Java client splits it.

mod accumulator;
mod batch;
mod completion;
mod partitioner;
mod sender;
mod sequences;
#[cfg(test)]
mod tests;

pub use sender::{Producer, SendError};
