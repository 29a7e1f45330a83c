//! DescribeQuorum: who leads, who votes, who watches, and how far each of them is (KIP-595, KIP-836, KIP-853).

use std::collections::BTreeMap;

use super::machine::Raft;
use super::messages::{metadata_topic, wire_id};
use super::roles::Role;
use crate::ids::{METADATA_TOPIC, NodeId, Offset, Uuid};
use crate::io::{Address, Listener};
use crate::metadata::listener_name;
use crate::time::{Duration, Instant};
use crate::wire::messages::describe_quorum_response::{
    Listener as WireListener, Node, PartitionData, ReplicaState, TopicData,
};
use crate::wire::messages::{BrokerId, DescribeQuorumRequest, DescribeQuorumResponse};
use crate::wire::{ErrorCode, StrBytes};

/// An observer that did not fetch for so long is forgotten (`LeaderState.OBSERVER_SESSION_TIMEOUT_MS`).
const OBSERVER_SESSION: Duration = Duration::from_secs(300);

/// What a leader knows of one replica, voter or observer.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Its disk.
    pub directory_id: Uuid,
    /// Where its log ended.
    pub end: Offset,
    fetched_at: Instant,
    leader_end_then: Offset,
    /// When it last had everything.
    pub caught_up_at: Option<Instant>,
}

/// What a leader knows of the replicas that fetched in its epoch.
#[derive(Debug, Clone, Default)]
pub struct ReplicaProgress {
    replicas: BTreeMap<NodeId, Progress>,
}

impl ReplicaProgress {
    /// A replica fetched at `offset`, its log being a prefix of the leader's, which ends at `leader_end`.
    ///
    /// It was caught up now if it has everything, and at its fetch before if it has what there was then (KIP-836).
    pub fn fetched(
        &mut self,
        replica: NodeId,
        directory_id: Uuid,
        offset: Offset,
        leader_end: Offset,
        now: Instant,
    ) {
        // What another disk had, this one need not have.
        let before = self.replicas.get(&replica).filter(|before| before.directory_id == directory_id);
        let caught_up_at = if offset >= leader_end {
            Some(now)
        } else {
            let had_all = before.filter(|b| offset >= b.leader_end_then).map(|b| b.fetched_at);
            had_all.max(before.and_then(|b| b.caught_up_at))
        };
        let progress = Progress {
            directory_id,
            end: offset,
            fetched_at: now,
            leader_end_then: leader_end,
            caught_up_at,
        };
        self.replicas.insert(replica, progress);
    }

    /// What is known of a replica.
    pub fn of(&self, replica: NodeId) -> Option<&Progress> {
        self.replicas.get(&replica)
    }

    fn describe(&self, replica: NodeId) -> ReplicaState {
        let Some(progress) = self.replicas.get(&replica) else { return state(replica, -1) };
        state(replica, progress.end)
            .with_replica_directory_id(progress.directory_id)
            .with_last_fetch_timestamp(progress.fetched_at.as_unix_ms())
            .with_last_caught_up_timestamp(progress.caught_up_at.map_or(-1, Instant::as_unix_ms))
    }
}

fn state(replica: NodeId, end: Offset) -> ReplicaState {
    ReplicaState::default()
        .with_replica_id(BrokerId(replica.0))
        .with_log_end_offset(end)
        .with_last_fetch_timestamp(-1)
        .with_last_caught_up_timestamp(-1)
}

fn is_about_the_quorum(request: &DescribeQuorumRequest) -> bool {
    let [topic] = request.topics.as_slice() else { return false };
    let [partition] = topic.partitions.as_slice() else { return false };
    topic.topic_name.0.as_str() == METADATA_TOPIC && partition.partition_index == 0
}

impl Raft {
    /// Answers DescribeQuorum; `endpoints` are the voters' controller listeners. Only the leader knows: others say
    /// NOT_LEADER_OR_FOLLOWER. Anything but the one partition of the metadata topic: UNKNOWN_TOPIC_OR_PARTITION.
    pub fn describe_quorum(
        &self,
        request: &DescribeQuorumRequest,
        endpoints: &BTreeMap<NodeId, Address>,
        now: Instant,
    ) -> DescribeQuorumResponse {
        if !is_about_the_quorum(request) {
            return unknown_partitions(request);
        }
        let Role::Leader(leader) = &self.role else {
            return DescribeQuorumResponse::default()
                .with_error_code(ErrorCode::NotLeaderOrFollower.code())
                .with_error_message(None);
        };
        let voter = |voter: &NodeId| match *voter == self.me {
            true => state(self.me, self.log.end())
                .with_last_fetch_timestamp(now.as_unix_ms())
                .with_last_caught_up_timestamp(now.as_unix_ms()),
            false => leader.progress.describe(*voter),
        };
        let seen = leader.progress.replicas.iter();
        let observers = seen.filter(|(replica, progress)| {
            !self.voters.contains(*replica) && now.saturating_since(progress.fetched_at) <= OBSERVER_SESSION
        });
        let partition = PartitionData::default()
            .with_partition_index(0)
            .with_error_message(None)
            .with_leader_id(wire_id(Some(self.me)))
            .with_leader_epoch(self.quorum.epoch)
            .with_high_watermark(leader.high_watermark.unwrap_or(-1))
            .with_current_voters(self.voters.iter().map(voter).collect())
            .with_observers(observers.map(|(replica, _)| leader.progress.describe(*replica)).collect());
        let nodes = self.voters.iter().filter_map(|voter| Some(node(*voter, endpoints.get(voter)?)));
        DescribeQuorumResponse::default()
            .with_error_message(None)
            .with_topics(vec![
                TopicData::default().with_topic_name(metadata_topic()).with_partitions(vec![partition]),
            ])
            .with_nodes(nodes.collect())
    }
}

fn unknown_partitions(request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
                .with_error_message(None)
        });
        TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(partitions.collect())
    });
    DescribeQuorumResponse::default().with_error_message(None).with_topics(topics.collect())
}

fn node(voter: NodeId, address: &Address) -> Node {
    let listener = WireListener::default()
        .with_name(StrBytes::from_static_str(listener_name(Listener::Controller)))
        .with_host(StrBytes::from_string(address.host.to_string()))
        .with_port(address.port);
    Node::default().with_node_id(BrokerId(voter.0)).with_listeners(vec![listener])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, config};
    use super::*;
    use crate::wire::messages::{TopicName, describe_quorum_request as request};

    fn about(topic: &str, partition: i32) -> DescribeQuorumRequest {
        let partition = request::PartitionData::default().with_partition_index(partition);
        let topic = request::TopicData::default()
            .with_topic_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partitions(vec![partition]);
        DescribeQuorumRequest::default().with_topics(vec![topic])
    }

    fn describe(rig: &Rig, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
        rig.raft.describe_quorum(request, &config(1).voters, rig.now)
    }

    #[test]
    fn a_leader_tells_how_far_everybody_is() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        rig.fetch(4, epoch, 0, 0);
        rig.fetch(2, epoch, 1, epoch);
        let told = describe(&rig, &about(METADATA_TOPIC, 0));
        let partition = &told.topics[0].partitions[0];
        assert_eq!((told.error_code, partition.error_code), (0, 0));
        assert_eq!((partition.leader_id.0, partition.leader_epoch, partition.high_watermark), (1, epoch, 1));
        let now = rig.now.as_unix_ms();
        let row = |r: &ReplicaState| {
            (r.replica_id.0, r.log_end_offset, r.last_fetch_timestamp, r.last_caught_up_timestamp)
        };
        let voters: Vec<_> = partition.current_voters.iter().map(row).collect();
        assert_eq!(voters, [(1, 1, now, now), (2, 1, now, now), (3, -1, -1, -1)]);
        let observers: Vec<_> = partition.observers.iter().map(row).collect();
        assert_eq!(observers, [(4, 0, now, -1)]);
        assert_eq!(told.nodes.iter().map(|n| n.node_id.0).collect::<Vec<_>>(), [1, 2, 3]);
        rig.now = rig.now + OBSERVER_SESSION + Duration::from_millis(1);
        assert!(describe(&rig, &about(METADATA_TOPIC, 0)).topics[0].partitions[0].observers.is_empty());
    }

    #[test]
    fn whoever_has_what_there_was_at_its_last_fetch_was_caught_up_then() {
        let mut progress = ReplicaProgress::default();
        let two = NodeId(2);
        let caught_up = |p: &ReplicaProgress| p.replicas[&two].caught_up_at;
        progress.fetched(two, Uuid::nil(), 3, 9, Instant(1));
        assert_eq!(caught_up(&progress), None);
        progress.fetched(two, Uuid::nil(), 9, 12, Instant(2));
        assert_eq!(caught_up(&progress), Some(Instant(1)));
        progress.fetched(two, Uuid::nil(), 10, 12, Instant(3));
        assert_eq!(caught_up(&progress), Some(Instant(1)), "what was reached is not unsaid");
        progress.fetched(two, Uuid::nil(), 12, 12, Instant(4));
        assert_eq!(caught_up(&progress), Some(Instant(4)));
    }

    #[test]
    fn others_do_not_know_and_other_topics_are_unknown() {
        let rig = Rig::new(1);
        let not_leader = ErrorCode::NotLeaderOrFollower.code();
        assert_eq!(describe(&rig, &about(METADATA_TOPIC, 0)).error_code, not_leader);
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        for asked in [about("orders", 0), about(METADATA_TOPIC, 1)] {
            let told = describe(&rig, &asked);
            assert_eq!((told.error_code, told.topics[0].partitions[0].error_code), (0, unknown));
        }
        assert_eq!(describe(&rig, &DescribeQuorumRequest::default()).topics, []);
    }
}
