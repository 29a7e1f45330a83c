//! Metadata records and the image that they fold into.
//!
//! The quorum stores bytes; this room says what they mean. Records are Kafka's own, in Kafka's own binary format.
//! [`MetadataImage`] is a pure fold of them, the same on every node that applied the same log, and [`MetadataDelta`]
//! names what a run of records touched. Nobody decides anything here: that is [`crate::controller`].
//!
//! | item | job |
//! |---|---|
//! | [`CommittedBatch`], [`MetadataLog`], [`NotLeader`] | the seam between the quorum and who reads or writes metadata |
//! | [`MetadataRecord`] | one record, encoded and decoded with its frame |
//! | [`MetadataImage`], [`TopicImage`] | the state of the cluster |
//! | [`BrokerRegistration`], [`PartitionRegistration`] | one broker, one partition |
//! | [`MetadataDelta`] | what changed |
//! | [`FEATURES`] | the features whose levels a cluster agrees on |
//! | [`MetadataSnapshot`] | the image as records, and back (KIP-630) |
//!
//! Records and the version in which they are written: RegisterBroker 3, UnregisterBroker 0, Topic 0, Partition 2,
//! Config 0, PartitionChange 2, RemoveTopic 0, FeatureLevel 0, ProducerIds 0, BrokerRegistrationChange 2, NoOp 0.

mod broker_records;
mod codec;
mod committed;
mod delta;
mod features;
mod image;
mod record;
mod registration;
mod snapshot;
mod topic_records;

pub use broker_records::{
    BrokerRegistrationChangeRecord, FeatureLevelRecord, NoOpRecord, ProducerIdsRecord, RegisterBrokerRecord,
    UnregisterBrokerRecord,
};
pub use committed::{CommittedBatch, MetadataLog, NotLeader};
pub use delta::MetadataDelta;
pub use features::{ELIGIBLE_LEADER_REPLICAS, FEATURES, Feature, METADATA_VERSION, find_feature};
pub use image::{MetadataImage, TopicImage};
pub use record::{MetadataRecord, RecordError};
pub use registration::{
    BrokerRegistration, Endpoint, LeaderRecoveryState, PartitionRegistration, SupportedLevels, listener_name,
};
pub use snapshot::MetadataSnapshot;
pub use topic_records::{
    ConfigRecord, PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, ResourceType, TopicRecord,
};
