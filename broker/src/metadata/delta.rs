//! What a run of records touched, for who must act on it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::{NodeId, TopicId};

/// The things that changed between two images. The image holds what they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataDelta {
    /// Partitions created or changed; those of a topic deleted later in the same run are left out.
    pub changed_partitions: BTreeSet<(TopicId, i32)>,
    /// Topics that are gone, in order of deletion.
    pub deleted_topics: Vec<(TopicId, Arc<str>)>,
    /// Brokers registered, unregistered, fenced, unfenced or shutting down.
    pub changed_brokers: BTreeSet<NodeId>,
    /// Topics whose own configs changed.
    pub changed_configs: BTreeSet<Arc<str>>,
    /// Did a broker's or the cluster's dynamic config, a feature or the next producer id change?
    pub changed_cluster: bool,
}

impl MetadataDelta {
    /// Did nothing change?
    pub fn is_empty(&self) -> bool {
        *self == MetadataDelta::default()
    }
}
