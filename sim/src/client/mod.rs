//! Producer, consumer and admin as sans-IO state machines, with the behaviour, config names and defaults of the Java
//! client 4.1. They are part of the system under test: half of Kafka's famous bugs are in the conversation between
//! client and broker.
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | [`ProducerConfig`], [`ConsumerConfig`], [`AdminConfig`]: Kafka's names and defaults |
//! | `backoff.rs` | [`Backoff`]: exponential with jitter (KIP-580) |
//! | `network.rs` | [`Network`]: connections, correlation ids, time-outs |
//! | `metadata.rs` | [`Metadata`]: brokers, topics, leaders; epochs never go back (KIP-320) |
//! | `cluster.rs` | [`Cluster`]: connections and metadata together, what all three clients stand on |
//! | `errors.rs` | what error codes mean to a client |
//! | `producer/` | [`Producer`]: batching, retries in order, idempotence |
//! | `consumer/` | [`Consumer`]: positions, long-polling, truncation detection (KIP-320) |
//! | `admin/` | [`Admin`]: creates topics; [`Operator`]: carries out what an operator is asked to do |
//!
//! *Invariant:* nothing here reads a clock, opens a socket or knows the simulator. Deliberately absent: ApiVersions
//! negotiation, compression, transactions, consumer groups, fetch sessions.

mod admin;
mod backoff;
mod cluster;
mod config;
mod consumer;
mod errors;
mod metadata;
mod network;
mod producer;
#[cfg(test)]
pub(crate) mod testing;

pub use admin::{Admin, AdminStep, AdminTask, ConfigOwner, NewTopic, Operator};
pub use backoff::Backoff;
pub use cluster::{Answer, Cluster, ClusterSettings};
pub use config::{AdminConfig, ConsumerConfig, OffsetReset, ProducerConfig};
pub use consumer::Consumer;
pub use errors::{means_stale_metadata, refused_before_append};
pub use metadata::{Metadata, PartitionMetadata, TopicMetadata};
pub use network::{Lost, Network, NetworkEvent, NetworkSettings};
pub use producer::{Producer, SendError};
