//! The features whose levels a cluster agrees on (KIP-584).

use super::registration::SupportedLevels;

/// The feature whose level stands for the format of the metadata (KIP-778).
pub const METADATA_VERSION: &str = "metadata.version";
/// Eligible leader replicas (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS: &str = "eligible.leader.replicas.version";

/// A feature that a node of ours knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Kafka's name.
    pub name: &'static str,
    /// The levels that a node supports; level 0 means that the feature is off.
    pub supported: SupportedLevels,
    /// The level with which a new cluster begins, see `NodeConfig::features`.
    pub initial: i16,
}

impl Feature {
    /// Does a node support this level?
    pub fn supports(&self, level: i16) -> bool {
        (self.supported.min..=self.supported.max).contains(&level)
    }
}

const fn feature(name: &'static str, min: i16, max: i16, initial: i16) -> Feature {
    Feature { name, supported: SupportedLevels { min, max }, initial }
}

/// Every feature that has a level in the metadata, `metadata.version` first, with the initial levels of a Kafka 4.1
/// cluster. Sources: Kafka's `MetadataVersion` (7 is 3.3-IV3, 27 is 4.1-IV1), `Feature`.
///
/// Differs from Kafka: `share.version` and `streams.version` do not exist, and `kraft.version` lives in the quorum's log
/// only (KIP-853).
pub const FEATURES: [Feature; 4] = [
    feature(METADATA_VERSION, 7, 27, 27),
    feature("transaction.version", 0, 2, 2),
    feature("group.version", 0, 1, 1),
    feature(ELIGIBLE_LEADER_REPLICAS, 0, 1, 1),
];

/// The feature of this name.
pub fn find_feature(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name == name)
}
