//! What the components of one node exchange with [`crate::node::Node`]: replies, calls, facts.
//!
//! A component never touches a connection. It answers a [`ReplyTo`], or asks another node with a [`Call`] and later gets
//! a [`CallResult`] with the same id. `Node` owns connections, correlation ids, time-outs and reconnecting.

use crate::ids::NodeId;
use crate::io::{ConnectionId, Listener};
use crate::time::Duration;
use crate::trace::Observation;
use crate::wire::{ApiKey, Request, Response};

/// Where the answer to one received request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// The connection on which the request came.
    pub connection: ConnectionId,
    /// The request's correlation id.
    pub correlation_id: i32,
    /// The request's API.
    pub api_key: ApiKey,
    /// The request's version: the answer is encoded in it.
    pub api_version: i16,
    /// The listener on which the request came.
    pub listener: Listener,
}

/// Who asks. Each caller has its own connection per peer, as Kafka's channel managers do; a parked fetch of one caller
/// never delays another caller's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// The metadata quorum (`KafkaNetworkChannel`).
    Raft,
    /// A follower's fetcher (`ReplicaFetcherThread`).
    Fetcher,
    /// AlterPartition (`AlterPartitionManager`).
    AlterPartition,
    /// Registration and heartbeats (`BrokerLifecycleManager`).
    Lifecycle,
    /// Requests relayed to the active controller, and producer-id blocks.
    Forward,
}

/// A request to another node.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who asks.
    pub caller: Caller,
    /// The caller's own number for this call; comes back with the result.
    pub id: u64,
    /// The node asked.
    pub to: NodeId,
    /// The listener to reach.
    pub listener: Listener,
    /// The question.
    pub request: Request,
    /// Answered `TimedOut` after this long; the connection is then closed (`request.timeout.ms`).
    pub timeout: Duration,
}

/// Why a call has no answer. The request may or may not have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The connection could not be opened or ended.
    #[error("disconnected")]
    Disconnected,
    /// No answer within the call's time-out.
    #[error("timed out")]
    TimedOut,
    /// The peer's answer could not be decoded.
    #[error("unreadable answer")]
    Unreadable,
}

/// The answer to a [`Call`].
pub type CallResult = Result<Response, CallError>;

/// One thing that a component wants done.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// Answer a request.
    Reply { to: ReplyTo, response: Response },
    /// A request without an answer (acks=0) was dealt with: the connection's next request may be read.
    NoReply { to: ReplyTo },
    /// The request cannot be answered in its own format: close the connection.
    Disconnect { to: ReplyTo },
    /// Ask another node.
    Call(Call),
    /// A fact for observers.
    Fact(Observation),
    /// The node cannot go on (disk failure, inconsistent quorum).
    Halt { reason: String },
}

/// Everything that one call of a component wants done, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    /// In order.
    pub list: Vec<Outgoing>,
}

impl Outbox {
    /// Answers a request.
    pub fn reply(&mut self, to: ReplyTo, response: impl Into<Response>) {
        self.list.push(Outgoing::Reply { to, response: response.into() });
    }

    /// Asks another node.
    pub fn call(&mut self, call: Call) {
        self.list.push(Outgoing::Call(call));
    }

    /// States a fact.
    pub fn fact(&mut self, fact: Observation) {
        self.list.push(Outgoing::Fact(fact));
    }

    /// Ends the node.
    pub fn halt(&mut self, reason: impl Into<String>) {
        self.list.push(Outgoing::Halt { reason: reason.into() });
    }
}
