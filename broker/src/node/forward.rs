//! Client requests that only the active controller can answer: relayed, and the answer relayed back.
//!
//! `Differs from Kafka:` no Envelope request (KIP-590): it carries the client's principal, and there is no authentication
//! here. A request that cannot be relayed is answered NOT_CONTROLLER, which clients retry.

use std::collections::BTreeMap;

use crate::controller::refusals::not_controller;
use crate::ids::{NodeId, Uuid};
use crate::io::{ConnectionId, Listener};
use crate::rpc::{Call, CallResult, Caller, Outbox, Outgoing, ReplyTo};
use crate::time::Duration;
use crate::wire::messages::DescribeQuorumResponse;
use crate::wire::messages::delete_topics_request::DeleteTopicState;
use crate::wire::messages::update_features_request::FeatureUpdateKey;
use crate::wire::messages::update_features_response::UpdatableFeatureResult;
use crate::wire::{NO_ERROR, Request, Response};

/// Any version of a request after its latest change of layout.
const LATEST: i16 = i16::MAX;

#[derive(Debug)]
struct Relayed {
    to: ReplyTo,
    request: Request,
}

/// Requests under way to the active controller.
#[derive(Debug)]
pub struct Forwarder {
    request_timeout: Duration,
    next_call: u64,
    relayed: BTreeMap<u64, Relayed>,
}

impl Forwarder {
    /// Nothing under way.
    pub fn new(request_timeout: Duration) -> Self {
        Forwarder { request_timeout, next_call: 0, relayed: BTreeMap::new() }
    }

    /// Relays a client's request.
    pub fn relay(&mut self, to: ReplyTo, request: Request, controller: Option<NodeId>, out: &mut Outbox) {
        let request = in_latest_layout(request, to.api_version);
        let Some(controller) = controller else { return refuse(to, &request, out) };
        self.next_call += 1;
        out.call(Call {
            caller: Caller::Forward,
            id: self.next_call,
            to: controller,
            listener: Listener::Controller,
            request: request.clone(),
            timeout: self.request_timeout,
        });
        self.relayed.insert(self.next_call, Relayed { to, request });
    }

    /// The controller answered, or did not.
    pub fn handle_result(&mut self, id: u64, result: CallResult, out: &mut Outbox) {
        let Some(relayed) = self.relayed.remove(&id) else { return };
        match result {
            Ok(response) => {
                out.reply(relayed.to, in_layout_of(relayed.to.api_version, &relayed.request, response));
            }
            Err(_) => refuse(relayed.to, &relayed.request, out),
        }
    }

    /// The client is gone.
    pub fn connection_closed(&mut self, connection: ConnectionId) {
        self.relayed.retain(|_, relayed| relayed.to.connection != connection);
    }
}

/// The request with its content where the latest version keeps it, as it is relayed in that version: DeleteTopics named
/// topics in a list of their own before KIP-516, UpdateFeatures allowed downgrades by another word before KIP-778.
fn in_latest_layout(request: Request, version: i16) -> Request {
    match request {
        Request::DeleteTopics(mut request) => {
            let names = std::mem::take(&mut request.topic_names);
            let by_name = |name| DeleteTopicState::default().with_name(Some(name));
            request.topics.extend(names.into_iter().map(by_name));
            Request::DeleteTopics(request)
        }
        Request::UpdateFeatures(mut request) if version == 0 => {
            for update in &mut request.feature_updates {
                update.upgrade_type = if std::mem::take(&mut update.allow_downgrade) { 2 } else { 1 };
            }
            Request::UpdateFeatures(request)
        }
        other => other,
    }
}

/// DescribeQuorum as it was before version 2 (KIP-853): fields that did not exist must be empty.
pub(super) fn without_disks_and_listeners(answer: &mut DescribeQuorumResponse) {
    answer.nodes.clear();
    for partition in answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        for replica in partition.current_voters.iter_mut().chain(&mut partition.observers) {
            replica.replica_directory_id = Uuid::nil();
        }
    }
}

/// The answer with its content where the client's version looks for it: before version 2 UpdateFeatures was answered per
/// feature, and DescribeQuorum told neither disks nor listeners; ElectLeaders had no error of the whole answer before
/// version 1, each partition tells it as well.
fn in_layout_of(version: i16, request: &Request, response: Response) -> Response {
    match (request, response) {
        (Request::UpdateFeatures(asked), Response::UpdateFeatures(mut answer)) if version < 2 => {
            let (code, message) = (answer.error_code, answer.error_message.clone());
            let result = |update: &FeatureUpdateKey| {
                UpdatableFeatureResult::default()
                    .with_feature(update.feature.clone())
                    .with_error_code(code)
                    .with_error_message(message.clone())
            };
            answer.results = asked.feature_updates.iter().map(result).collect();
            Response::UpdateFeatures(answer)
        }
        (_, Response::DescribeQuorum(mut answer)) if version < 2 => {
            without_disks_and_listeners(&mut answer);
            Response::DescribeQuorum(answer)
        }
        (_, Response::ElectLeaders(mut answer)) if version < 1 => {
            answer.error_code = NO_ERROR;
            Response::ElectLeaders(answer)
        }
        (_, other) => other,
    }
}

/// NOT_CONTROLLER in the request's own answer. What is relayed is what a controller answers; should something else come
/// here, its connection ends.
fn refuse(to: ReplyTo, request: &Request, out: &mut Outbox) {
    match not_controller(LATEST, request) {
        Some(refusal) => out.reply(to, in_layout_of(to.api_version, request, refusal)),
        None => out.list.push(Outgoing::Disconnect { to }),
    }
}
