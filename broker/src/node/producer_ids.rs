//! Producer ids: handed out one by one from blocks that the controller allocates (IDM-5, KIP-730).

use std::collections::VecDeque;

use crate::ids::{BrokerEpoch, NodeId, ProducerId};
use crate::io::Listener;
use crate::rpc::{Call, CallResult, Caller, Outbox, ReplyTo};
use crate::time::{Duration, Instant};
use crate::wire::messages::{
    AllocateProducerIdsRequest, BrokerId, InitProducerIdRequest, InitProducerIdResponse,
};
use crate::wire::{ErrorCode, NO_ERROR, Response};

/// Calls of this room count upwards from here, so that they differ from other calls of [`Caller::Forward`].
const FIRST_CALL: u64 = 1 << 63;
const RETRY: Duration = Duration::from_millis(50);

/// The producer ids that this broker may hand out, and who waits for one.
#[derive(Debug)]
pub struct ProducerIds {
    node_id: NodeId,
    request_timeout: Duration,
    next: ProducerId,
    end: ProducerId,
    waiting: VecDeque<ReplyTo>,
    in_flight: Option<u64>,
    next_call: u64,
    retry_at: Option<Instant>,
}

impl ProducerIds {
    /// No block yet.
    pub fn new(node_id: NodeId, request_timeout: Duration) -> Self {
        ProducerIds {
            node_id,
            request_timeout,
            next: 0,
            end: 0,
            waiting: VecDeque::new(),
            in_flight: None,
            next_call: FIRST_CALL,
            retry_at: None,
        }
    }

    /// Is this the id of a call of this room?
    pub fn owns(id: u64) -> bool {
        id >= FIRST_CALL
    }

    /// InitProducerId of an idempotent producer: a fresh id, epoch 0. Transactional ids are not coordinated yet.
    pub fn init(&mut self, to: ReplyTo, request: &InitProducerIdRequest, out: &mut Outbox) {
        if request.transactional_id.is_some() {
            return out.reply(to, failure(ErrorCode::CoordinatorNotAvailable));
        }
        self.waiting.push_back(to);
        self.serve(out);
    }

    /// The client is gone.
    pub fn connection_closed(&mut self, connection: crate::io::ConnectionId) {
        self.waiting.retain(|to| to.connection != connection);
    }

    /// Asks for a block if somebody waits and none is on its way.
    pub fn poll(&mut self, controller: Option<NodeId>, epoch: BrokerEpoch, now: Instant, out: &mut Outbox) {
        let is_late = self.retry_at.is_none_or(|at| at <= now);
        let (Some(to), false, None, true) = (controller, self.waiting.is_empty(), self.in_flight, is_late)
        else {
            return;
        };
        self.next_call += 1;
        self.in_flight = Some(self.next_call);
        self.retry_at = None;
        let request = AllocateProducerIdsRequest::default()
            .with_broker_id(BrokerId(self.node_id.0))
            .with_broker_epoch(epoch);
        out.call(Call {
            caller: Caller::Forward,
            id: self.next_call,
            to,
            listener: Listener::Controller,
            request: request.into(),
            timeout: self.request_timeout,
        });
    }

    /// The controller answered, or did not: then it is asked again after a pause.
    pub fn handle_result(&mut self, id: u64, result: CallResult, now: Instant, out: &mut Outbox) {
        if self.in_flight != Some(id) {
            return;
        }
        self.in_flight = None;
        match result {
            Ok(Response::AllocateProducerIds(block))
                if block.error_code == NO_ERROR && block.producer_id_len > 0 =>
            {
                self.next = block.producer_id_start.0;
                self.end = self.next + i64::from(block.producer_id_len);
                self.serve(out);
            }
            _ => self.retry_at = Some(now + RETRY),
        }
    }

    /// When to ask again.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.waiting.is_empty() { None } else { self.retry_at }
    }

    fn serve(&mut self, out: &mut Outbox) {
        while self.next < self.end {
            let Some(to) = self.waiting.pop_front() else { return };
            let response =
                InitProducerIdResponse::default().with_producer_id(self.next.into()).with_producer_epoch(0);
            self.next += 1;
            out.reply(to, response);
        }
    }
}

fn failure(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(code.code())
        .with_producer_id((-1).into())
        .with_producer_epoch(-1)
}
