//! Points: at which facts of a node `on` lets a fault strike.

use broker::ids::LogId;
use broker::trace::{AppendRole, Election, MetadataFact, Observation, QuorumRole};
use scenarios::model::PartitionIndex;

use super::ClusterView;
use super::target::{Bindings, resolve};
use crate::plan::{HostId, Plan, PlannedPoint};

/// The points that a fact is, the most special one first.
fn points_of(fact: &Observation) -> [Option<&'static str>; 2] {
    let one = |point| [Some(point), None];
    match fact {
        Observation::LogCreated { .. } => one("log.created"),
        Observation::LogOpened { .. } => one("log.opened"),
        Observation::LogDeleted { .. } => one("log.deleted"),
        Observation::Appended { role: AppendRole::Leader(_), .. } => one("log.appended.leader"),
        Observation::Appended { role: AppendRole::Follower, .. } => one("log.appended.follower"),
        Observation::Truncated { .. } => one("log.truncated"),
        Observation::Flushed { .. } => one("log.flushed"),
        Observation::LogStartAdvanced { .. } => one("log.start_advanced"),
        Observation::HighWatermark { leader: Some(_), .. } => one("high_watermark.leader"),
        Observation::HighWatermark { leader: None, .. } => one("high_watermark.follower"),
        Observation::BecameLeader { .. } => one("replica.became_leader"),
        Observation::BecameFollower { .. } => one("replica.became_follower"),
        Observation::FetcherChanged { .. } => one("replica.fetcher_changed"),
        Observation::IsrProposed { from, to, .. } => {
            let shrinks = from.iter().any(|member| !to.contains(member));
            let point = if shrinks { "isr.shrink_proposed" } else { "isr.expand_proposed" };
            [Some(point), Some("isr.proposed")]
        }
        Observation::IsrCommitted { .. } => one("isr.committed"),
        Observation::QuorumRoleChanged { role, .. } => match role {
            QuorumRole::Prospective => one("quorum.became_prospective"),
            QuorumRole::Candidate => one("quorum.became_candidate"),
            QuorumRole::Leader => one("quorum.became_leader"),
            QuorumRole::Follower => one("quorum.became_follower"),
            QuorumRole::Resigned => one("quorum.resigned"),
            QuorumRole::Unattached => [None, None],
        },
        Observation::QuorumStatePersisted { .. } => one("quorum.state_persisted"),
        Observation::VoteGranted { .. } => one("quorum.vote_granted"),
        Observation::PreVoteGranted { .. } => one("quorum.pre_vote_granted"),
        Observation::QuorumFetched { .. } => one("quorum.fetched"),
        Observation::VotersChanged { .. } => one("quorum.voters_changed"),
        Observation::SnapshotWritten { .. } => one("snapshot.written"),
        Observation::SnapshotLoaded { .. } => one("snapshot.loaded"),
        Observation::ControllerActive { active: true, .. } => one("controller.active"),
        Observation::ControllerActive { active: false, .. } => one("controller.inactive"),
        Observation::BrokerState { .. } => one("broker.state"),
        Observation::MetadataCommitted { fact, .. } => match fact {
            MetadataFact::BrokerRegistered { .. } => one("broker.registered"),
            MetadataFact::BrokerUnregistered { .. } => one("broker.unregistered"),
            MetadataFact::BrokerFenced { .. } => one("broker.fenced"),
            MetadataFact::BrokerUnfenced { .. } => one("broker.unfenced"),
            MetadataFact::BrokerShuttingDown { .. } => one("broker.shutting_down"),
            MetadataFact::TopicCreated { .. } => one("topic.created"),
            MetadataFact::TopicDeleted { .. } => one("topic.deleted"),
            MetadataFact::ConfigChanged { .. } => one("config.changed"),
            MetadataFact::FeatureChanged { .. } => one("feature.changed"),
            MetadataFact::ProducerIdsAllocated { .. } => one("producer_ids.allocated"),
            MetadataFact::PartitionChanged { election, .. } => {
                let point = match election {
                    Election::None => None,
                    Election::Clean => Some("partition.elected"),
                    Election::Unclean => Some("partition.elected_unclean"),
                };
                [Some("partition.changed"), point]
            }
        },
        _ => [None, None],
    }
}

/// The log that a fact is about.
fn log_of(fact: &Observation) -> Option<&LogId> {
    match fact {
        Observation::LogCreated { log }
        | Observation::LogOpened { log, .. }
        | Observation::LogDeleted { log }
        | Observation::Appended { log, .. }
        | Observation::Truncated { log, .. }
        | Observation::Flushed { log, .. }
        | Observation::LogStartAdvanced { log, .. }
        | Observation::HighWatermark { log, .. }
        | Observation::BecameLeader { log, .. }
        | Observation::BecameFollower { log, .. }
        | Observation::FetcherChanged { log, .. }
        | Observation::IsrProposed { log, .. }
        | Observation::IsrCommitted { log, .. }
        | Observation::MetadataCommitted { fact: MetadataFact::PartitionChanged { log, .. }, .. } => {
            Some(log)
        }
        _ => None,
    }
}

/// One fact, and what is known when it is stated.
pub(super) struct Sight<'a> {
    pub host: HostId,
    pub fact: &'a Observation,
    pub plan: &'a Plan,
    pub view: &'a ClusterView,
    pub bindings: &'a Bindings,
}

impl Sight<'_> {
    /// Is it what the trigger waits for? Every controller states each committed record: without a node the first counts.
    pub fn is_at(&self, point: &PlannedPoint) -> bool {
        if !points_of(self.fact).contains(&Some(point.point.as_str())) {
            return false;
        }
        if let Some(wanted) = &point.partition {
            let is_it = log_of(self.fact).is_some_and(|log| {
                let index = match wanted.partition {
                    PartitionIndex::One(index) => log.partition.partition == index as i32,
                    PartitionIndex::All => true,
                };
                *log.partition.topic == *wanted.topic && index
            });
            if !is_it {
                return false;
            }
        }
        match &point.node {
            Some(target) => {
                // A role is one node; a draw means the same nodes every time.
                let mut dice = self.plan.seed.stream("point");
                resolve(target, self.plan, self.view, self.bindings, &mut dice).contains(&self.host)
            }
            None => match self.fact {
                Observation::MetadataCommitted { offset, .. } => self.view.is_first(self.host, *offset),
                _ => true,
            },
        }
    }
}
