//! Who leads instead (KIP-951): a refused produce or fetch names the leader, its epoch and where it is reached, so that
//! the client need not ask for metadata before it goes there.

use crate::ids::{LeaderEpoch, NO_EPOCH, NodeId};
use crate::io::{Address, Listener};
use crate::metadata::{BrokerRegistration, MetadataImage};
use crate::replica::PartitionKey;
use crate::replica::manager::ReplicaManager;
use crate::rpc::ReplyTo;
use crate::wire::messages::produce_response::PartitionProduceResponse;
use crate::wire::messages::{FetchResponse, ProduceResponse, fetch_response, produce_response};
use crate::wire::{ErrorCode, StrBytes};

/// From this version on a Produce answer names the leader.
const PRODUCE_VERSION: i16 = 10;
/// From this version on a Fetch answer does.
const FETCH_VERSION: i16 = 16;
/// "Nobody" in a field for a node.
const NOBODY: NodeId = NodeId(-1);

/// The leader of a partition as this broker knows it; nobody if it knows none.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeaderHint<'a> {
    leader: NodeId,
    leader_epoch: LeaderEpoch,
    /// Its registration, if it is alive: only then its address is told.
    broker: Option<&'a BrokerRegistration>,
}

impl ReplicaManager {
    /// Who leads a partition: by its replica here, or by the metadata if there is none (`KafkaApis.getCurrentLeader`).
    pub(super) fn leader_hint<'a>(&self, key: &PartitionKey, image: &'a MetadataImage) -> LeaderHint<'a> {
        let (leader, leader_epoch) = match (self.partitions.get(key), image.partition(&key.0, key.1)) {
            (Some(partition), _) => (partition.leader(), partition.leader_epoch()),
            (None, Some(registration)) => (registration.leader, registration.leader_epoch),
            (None, None) => return LeaderHint::nobody(),
        };
        let broker = leader.and_then(|id| image.broker(id)).filter(|broker| !broker.fenced);
        LeaderHint { leader: leader.unwrap_or(NOBODY), leader_epoch, broker }
    }
}

impl LeaderHint<'_> {
    /// No leader is known.
    pub(super) fn nobody() -> Self {
        LeaderHint { leader: NOBODY, leader_epoch: NO_EPOCH, broker: None }
    }

    fn endpoint(&self, listener: Listener) -> Option<(Address, Option<StrBytes>)> {
        let broker = self.broker?;
        Some((broker.address(listener)?, broker.rack.clone().map(StrBytes::from_string)))
    }

    /// Puts the leader into the answer for one partition, which is at `at` (topic, partition) of a produce response.
    /// Nothing is said of other errors than NOT_LEADER_OR_FOLLOWER, or to a client that is too old.
    pub(super) fn tell_producer(&self, response: &mut ProduceResponse, at: (usize, usize), to: &ReplyTo) {
        let partitions = response.responses.get_mut(at.0).map(|topic| &mut topic.partition_responses);
        if let Some(answer) = partitions.and_then(|partitions| partitions.get_mut(at.1))
            && self.mark_produced(answer, to)
        {
            self.add_produce_endpoint(&mut response.node_endpoints, to);
        }
    }

    fn mark_produced(&self, answer: &mut PartitionProduceResponse, to: &ReplyTo) -> bool {
        let is_told =
            to.api_version >= PRODUCE_VERSION && answer.error_code == ErrorCode::NotLeaderOrFollower.code();
        if is_told {
            answer.current_leader = produce_response::LeaderIdAndEpoch::default()
                .with_leader_id(self.leader.0.into())
                .with_leader_epoch(self.leader_epoch);
        }
        is_told
    }

    fn add_produce_endpoint(&self, endpoints: &mut Vec<produce_response::NodeEndpoint>, to: &ReplyTo) {
        if endpoints.iter().any(|known| known.node_id.0 == self.leader.0) {
            return;
        }
        let endpoint = self.endpoint(to.listener).map(|(address, rack)| {
            produce_response::NodeEndpoint::default()
                .with_node_id(self.leader.0.into())
                .with_host(StrBytes::from_string(address.host.to_string()))
                .with_port(i32::from(address.port))
                .with_rack(rack)
        });
        endpoints.extend(endpoint);
    }

    /// Puts the leader into the answer for one partition of a fetch, its address into the response. Nothing is said of
    /// other errors than NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH, or to a reader that is too old.
    pub(super) fn tell_reader(
        &self,
        data: &mut fetch_response::PartitionData,
        response: &mut FetchResponse,
        to: &ReplyTo,
    ) {
        let is_told = matches!(
            ErrorCode::try_from_code(data.error_code),
            Some(ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch)
        );
        if to.api_version < FETCH_VERSION || !is_told {
            return;
        }
        data.current_leader = fetch_response::LeaderIdAndEpoch::default()
            .with_leader_id(self.leader.0.into())
            .with_leader_epoch(self.leader_epoch);
        if response.node_endpoints.iter().any(|known| known.node_id.0 == self.leader.0) {
            return;
        }
        let endpoint = self.endpoint(to.listener).map(|(address, rack)| {
            fetch_response::NodeEndpoint::default()
                .with_node_id(self.leader.0.into())
                .with_host(StrBytes::from_string(address.host.to_string()))
                .with_port(i32::from(address.port))
                .with_rack(rack)
        });
        response.node_endpoints.extend(endpoint);
    }
}
