//! Which component answers which request, per listener.

use super::api;
use super::describe_configs::describe_configs;
use super::node::Node;
use crate::controller::Controller;
use crate::io::{Disk, Listener};
use crate::metadata::{MetadataImage, MetadataLog, NotLeader};
use crate::raft::Raft;
use crate::rpc::{Outbox, Outgoing, ReplyTo};
use crate::time::Instant;
use crate::wire::{ApiKey, Request};
use bytes::Bytes;

impl MetadataLog for Raft {
    fn append(&mut self, epoch: i32, records: Vec<Bytes>, now: Instant) -> Result<i64, NotLeader> {
        Raft::append(self, epoch, records, now)
    }

    fn next_offset(&self) -> Option<i64> {
        Raft::next_offset(self)
    }
}

/// Does this listener offer this API? (`listeners` of Kafka's message schemas.)
pub(super) fn is_offered(listener: Listener, api_key: ApiKey) -> bool {
    use ApiKey::*;
    match listener {
        Listener::Client => matches!(
            api_key,
            Produce
                | Fetch
                | ListOffsets
                | Metadata
                | ApiVersions
                | CreateTopics
                | DeleteTopics
                | AlterPartitionReassignments
                | DeleteRecords
                | CreatePartitions
                | UnregisterBroker
                | IncrementalAlterConfigs
                | DescribeConfigs
                | UpdateFeatures
                | ListPartitionReassignments
                | InitProducerId
                | OffsetForLeaderEpoch
                | ElectLeaders
                | AddRaftVoter
                | RemoveRaftVoter
                | DescribeCluster
                | DescribeQuorum
        ),
        Listener::Replication => matches!(api_key, Fetch | ListOffsets | OffsetForLeaderEpoch | ApiVersions),
        Listener::Controller => matches!(
            api_key,
            Vote | BeginQuorumEpoch
                | EndQuorumEpoch
                | DescribeQuorum
                | FetchSnapshot
                | AddRaftVoter
                | RemoveRaftVoter
                | UpdateRaftVoter
                | Fetch
                | AlterPartition
                | BrokerRegistration
                | BrokerHeartbeat
                | AllocateProducerIds
                | CreateTopics
                | DeleteTopics
                | AlterPartitionReassignments
                | CreatePartitions
                | UnregisterBroker
                | IncrementalAlterConfigs
                | UpdateFeatures
                | ListPartitionReassignments
                | ElectLeaders
                | ApiVersions
        ),
    }
}

impl Node {
    /// Hands a request to the component that answers it. A request that its listener does not offer, or whose component
    /// this node lacks, closes the connection (as Kafka's `SocketServer` does).
    pub(super) fn route(
        &mut self,
        to: ReplyTo,
        request: Request,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        if !is_offered(to.listener, to.api_key) {
            return out.list.push(Outgoing::Disconnect { to });
        }
        match to.listener {
            Listener::Controller => self.route_to_controller(to, request, now, disk, out),
            Listener::Client | Listener::Replication => self.route_to_broker(to, request, now, disk, out),
        }
    }

    fn route_to_controller(
        &mut self,
        to: ReplyTo,
        request: Request,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        match request {
            Request::ApiVersions(_) => {
                out.reply(to, api::api_versions(to.listener, to.api_version, self.image()))
            }
            Request::Vote(_)
            | Request::BeginQuorumEpoch(_)
            | Request::EndQuorumEpoch(_)
            | Request::FetchSnapshot(_)
            | Request::AddRaftVoter(_)
            | Request::RemoveRaftVoter(_)
            | Request::UpdateRaftVoter(_)
            | Request::Fetch(_) => {
                self.raft.handle_request(to, request, now, disk, out);
            }
            Request::DescribeQuorum(request) => {
                let mut answer = self.raft.describe_quorum(&request, &self.config.voters, now);
                if to.api_version < 2 {
                    super::forward::without_disks_and_listeners(&mut answer);
                }
                out.reply(to, answer);
            }
            _ => match &mut self.controller {
                Some(controller) => {
                    Controller::handle_request(controller, to, request, now, &mut self.raft, out)
                }
                None => out.list.push(Outgoing::Disconnect { to }),
            },
        }
    }

    /// The committed metadata, as far as this node knows them.
    pub(super) fn image(&self) -> Option<&MetadataImage> {
        self.controller.as_ref().map(Controller::image).or_else(|| self.broker.as_ref().map(|b| &b.image))
    }

    fn route_to_broker(
        &mut self,
        to: ReplyTo,
        request: Request,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) {
        let Some(broker) = &mut self.broker else { return out.list.push(Outgoing::Disconnect { to }) };
        match request {
            Request::Produce(request) => broker.replica.produce(to, *request, &broker.image, now, disk, out),
            Request::Fetch(request) => broker.replica.fetch(to, *request, &broker.image, now, disk, out),
            Request::ListOffsets(request) => {
                broker.replica.list_offsets(to, *request, &broker.image, disk, out)
            }
            Request::OffsetForLeaderEpoch(request) => {
                broker.replica.offset_for_leader_epoch(to, *request, &broker.image, out);
            }
            Request::ApiVersions(_) => {
                out.reply(to, api::api_versions(to.listener, to.api_version, Some(&broker.image)));
            }
            Request::Metadata(request) => {
                out.reply(
                    to,
                    api::metadata(&request, to.api_version, &self.config.cluster_id, &broker.image),
                );
            }
            Request::DescribeCluster(request) => {
                out.reply(
                    to,
                    api::describe_cluster(&request, &self.config, &broker.image, broker.controller),
                );
            }
            Request::DeleteRecords(request) => {
                broker.replica.delete_records(to, *request, &broker.image, now, disk, out);
            }
            Request::DescribeConfigs(request) => {
                out.reply(to, describe_configs(&request, &self.config, &broker.image));
            }
            Request::InitProducerId(request) => {
                broker.producer_ids.init(to, &request, out);
                broker.poll(now, out);
            }
            Request::CreateTopics(_)
            | Request::DeleteTopics(_)
            | Request::DescribeQuorum(_)
            | Request::ElectLeaders(_)
            | Request::AddRaftVoter(_)
            | Request::RemoveRaftVoter(_)
            | Request::AlterPartitionReassignments(_)
            | Request::CreatePartitions(_)
            | Request::UnregisterBroker(_)
            | Request::IncrementalAlterConfigs(_)
            | Request::UpdateFeatures(_)
            | Request::ListPartitionReassignments(_) => {
                let controller = broker.controller;
                broker.forwarder.relay(to, request, controller, out);
            }
            _ => out.list.push(Outgoing::Disconnect { to }),
        }
    }
}
