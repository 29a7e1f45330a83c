//! The quorum controller: who decides about brokers, topics and partitions.
//!
//! Every controller node folds the committed metadata log. The one that leads the quorum also holds a `term`: a second
//! image, ahead of the committed one by what it has written and not yet seen committed. A request is decided against
//! that second image, its records are appended as one atomic batch and applied to it at once, and the answer waits until
//! the batch is committed (CTL-1). When the term ends the second image is thrown away and everyone who waits is told
//! NOT_CONTROLLER: nothing uncommitted survives and nothing uncommitted was ever told.
//!
//! | file | job |
//! |---|---|
//! | `quorum_controller` | [`Controller`]: the door for the node; the committed image |
//! | `term` | one term as the active controller: the image ahead, writing, timers |
//! | `deferred` | answers that wait for an offset |
//! | `sessions` | when each broker was heard of last; soft state of one term |
//! | `brokers` | registration, heartbeats, fencing (CTL-2, CTL-3) |
//! | `elections` | who leads and who is in sync after a change (CTL-5, CTL-6) |
//! | `preferred`, `unclean` | elections that are due from time to time |
//! | `elr` | who may lead although it is not in sync (ELR-1..5) |
//! | `elect_leaders` | an operator wants other leaders (KIP-460) |
//! | `alter_partition` | a leader asks for another ISR (CTL-4) |
//! | `reassignment` | other replicas for a partition (CTL-7) |
//! | `configs` | configs of topics and brokers change (KIP-226, KIP-339) |
//! | `features` | what the cluster may do (KIP-584) |
//! | `topics`, `topic_rules`, `placement` | topics come and go; where their replicas are put |
//! | `partitions` | a topic gets more of them (KIP-195) |
//! | `unregister` | a broker is gone for good |
//! | `producer_ids` | blocks of producer ids (IDM-5) |
//! | `facts` | what a committed record means |
//! | `refusals` | NOT_CONTROLLER, in each answer's own field |

mod alter_partition;
mod brokers;
mod configs;
mod deferred;
mod elect_leaders;
mod elections;
mod elr;
mod facts;
mod features;
mod partitions;
mod placement;
mod preferred;
mod producer_ids;
mod quorum_controller;
mod reassignment;
pub(crate) mod refusals;
mod sessions;
mod term;
mod topic_rules;
mod topics;
mod unclean;
mod unregister;

pub use producer_ids::PRODUCER_ID_BLOCK;
pub use quorum_controller::Controller;

use crate::config::BrokerConfig;
use crate::defects::DefectSet;
use crate::metadata::{MetadataImage, MetadataRecord};
use crate::wire::Response;

/// What a decision is made on: the image ahead, the settings, the historic bugs that are present.
#[derive(Debug, Clone, Copy)]
struct View<'a> {
    image: &'a MetadataImage,
    settings: &'a BrokerConfig,
    defects: &'a DefectSet,
}

/// What a decision comes to: records to write, and what to say once they are committed.
#[derive(Debug)]
struct Decision {
    records: Vec<MetadataRecord>,
    response: Response,
}
