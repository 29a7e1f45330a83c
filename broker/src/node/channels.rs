//! Connections that this node opens: one per (caller, peer), with correlation ids and time-outs.
//!
//! `Differs from Kafka:` there is no reconnect back-off here; a call over a connection that cannot be opened fails at
//! once and its caller backs off (every caller has a retry back-off of its own).

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::ids::NodeId;
use crate::io::{Address, ConnectionId, Effect, Effects};
use crate::rpc::{Call, CallError, CallResult, Caller};
use crate::time::{Instant, TimerQueue};
use crate::wire::{self, ApiKey, StrBytes};

/// One caller's connection to one peer.
type ChannelKey = (Caller, NodeId);

#[derive(Debug)]
struct InFlight {
    correlation_id: i32,
    id: u64,
    api_key: ApiKey,
    version: i16,
}

#[derive(Debug)]
struct Channel {
    connection: ConnectionId,
    is_open: bool,
    /// Frames that wait for the connection to open.
    unsent: Vec<Bytes>,
    in_flight: VecDeque<InFlight>,
}

/// A call that is over.
#[derive(Debug)]
pub struct Finished {
    /// Who asked.
    pub caller: Caller,
    /// The caller's number for the call.
    pub id: u64,
    /// Who was asked.
    pub from: NodeId,
    /// The answer.
    pub result: CallResult,
}

/// Every connection that this node opened.
#[derive(Debug)]
pub struct Channels {
    client_id: StrBytes,
    channels: BTreeMap<ChannelKey, Channel>,
    by_connection: BTreeMap<ConnectionId, ChannelKey>,
    deadlines: TimerQueue<(ChannelKey, i32)>,
    next_connection: u64,
    next_correlation: i32,
}

impl Channels {
    /// No connections yet. `client_id` names this node in its requests.
    pub fn new(client_id: String) -> Self {
        Channels {
            client_id: StrBytes::from_string(client_id),
            channels: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            deadlines: TimerQueue::default(),
            next_connection: 0,
            next_correlation: 0,
        }
    }

    /// Sends a call, opening its connection if there is none. `address` is where the peer's listener is, `None` if
    /// unknown. Returns the call as finished if it cannot even be tried.
    pub fn call(
        &mut self,
        call: Call,
        address: Option<Address>,
        now: Instant,
        out: &mut Effects,
    ) -> Option<Finished> {
        let key = (call.caller, call.to);
        let give_up =
            |error| Some(Finished { caller: call.caller, id: call.id, from: call.to, result: Err(error) });
        let api_key = call.request.api_key();
        let Some((_, version)) = wire::versions(api_key) else { return give_up(CallError::Unreadable) };
        self.next_correlation = self.next_correlation.wrapping_add(1) & i32::MAX;
        let correlation_id = self.next_correlation;
        let frame = match wire::encode_request(&call.request, version, correlation_id, &self.client_id) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(%error, ?api_key, "a request does not fit its version");
                return give_up(CallError::Unreadable);
            }
        };
        if !self.channels.contains_key(&key) {
            let Some(to) = address else { return give_up(CallError::Disconnected) };
            self.open(key, to, out);
        }
        let channel = self.channels.get_mut(&key)?;
        channel.in_flight.push_back(InFlight { correlation_id, id: call.id, api_key, version });
        self.deadlines.schedule((key, correlation_id), now + call.timeout);
        if channel.is_open {
            out.push(Effect::Send { connection: channel.connection, frame });
        } else {
            channel.unsent.push(frame);
        }
        None
    }

    fn open(&mut self, key: ChannelKey, to: Address, out: &mut Effects) {
        self.next_connection += 1;
        let connection = ConnectionId::outgoing(self.next_connection);
        let channel = Channel { connection, is_open: false, unsent: Vec::new(), in_flight: VecDeque::new() };
        self.channels.insert(key, channel);
        self.by_connection.insert(connection, key);
        out.push(Effect::Connect { connection, to });
    }

    /// A connection is established: what waited for it is sent.
    pub fn opened(&mut self, connection: ConnectionId, out: &mut Effects) {
        let Some(channel) = self.by_connection.get(&connection).and_then(|key| self.channels.get_mut(key))
        else {
            return;
        };
        channel.is_open = true;
        for frame in channel.unsent.drain(..) {
            out.push(Effect::Send { connection, frame });
        }
    }

    /// A connection ended: every call on it is over.
    pub fn closed(&mut self, connection: ConnectionId) -> Vec<Finished> {
        match self.by_connection.get(&connection) {
            Some(&key) => self.drop_channel(key, CallError::Disconnected),
            None => Vec::new(),
        }
    }

    /// An answer arrived. An unreadable one ends the connection.
    pub fn received(&mut self, connection: ConnectionId, frame: Bytes, out: &mut Effects) -> Vec<Finished> {
        let Some(&key) = self.by_connection.get(&connection) else { return Vec::new() };
        let Some(channel) = self.channels.get_mut(&key) else { return Vec::new() };
        let Some(asked) = channel.in_flight.pop_front() else {
            return self.close(key, CallError::Unreadable, out);
        };
        self.deadlines.cancel(&(key, asked.correlation_id));
        let finished = |result| Finished { caller: key.0, id: asked.id, from: key.1, result };
        match wire::decode_response(asked.api_key, asked.version, frame) {
            Ok((correlation_id, response)) if correlation_id == asked.correlation_id => {
                vec![finished(Ok(response))]
            }
            _ => {
                let mut over = vec![finished(Err(CallError::Unreadable))];
                over.extend(self.close(key, CallError::Disconnected, out));
                over
            }
        }
    }

    /// Calls whose time is over. As in Kafka's `NetworkClient`, a call that times out takes its connection with it.
    pub fn expire(&mut self, now: Instant, out: &mut Effects) -> Vec<Finished> {
        let mut over = Vec::new();
        while let Some((key, correlation_id)) = self.deadlines.pop_due(now) {
            let late = self
                .channels
                .get(&key)
                .and_then(|c| c.in_flight.iter().find(|f| f.correlation_id == correlation_id));
            let late = late.map(|f| f.id);
            for mut finished in self.close(key, CallError::Disconnected, out) {
                if Some(finished.id) == late {
                    finished.result = Err(CallError::TimedOut);
                }
                over.push(finished);
            }
        }
        over
    }

    /// The earliest time-out.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next_deadline()
    }

    fn close(&mut self, key: ChannelKey, error: CallError, out: &mut Effects) -> Vec<Finished> {
        if let Some(channel) = self.channels.get(&key) {
            out.push(Effect::Close { connection: channel.connection });
        }
        self.drop_channel(key, error)
    }

    fn drop_channel(&mut self, key: ChannelKey, error: CallError) -> Vec<Finished> {
        let Some(channel) = self.channels.remove(&key) else { return Vec::new() };
        self.by_connection.remove(&channel.connection);
        let mut over = Vec::with_capacity(channel.in_flight.len());
        for call in channel.in_flight {
            self.deadlines.cancel(&(key, call.correlation_id));
            over.push(Finished { caller: key.0, id: call.id, from: key.1, result: Err(error) });
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Listener;
    use crate::time::Duration;
    use crate::wire::messages::VoteRequest;

    fn call(id: u64) -> Call {
        Call {
            caller: Caller::Raft,
            id,
            to: NodeId(2),
            listener: Listener::Controller,
            request: VoteRequest::default().into(),
            timeout: Duration::from_millis(10),
        }
    }

    fn address() -> Option<Address> {
        Some(Address::new("b", 9093))
    }

    #[test]
    fn calls_wait_for_the_connection_and_share_it() {
        let mut channels = Channels::new("n".into());
        let mut out = Effects::default();
        assert!(channels.call(call(1), address(), Instant(0), &mut out).is_none());
        assert!(channels.call(call(2), address(), Instant(0), &mut out).is_none());
        let [Effect::Connect { connection, .. }] = out.list[..] else { panic!("one connection") };
        channels.opened(connection, &mut out);
        assert_eq!(out.list.len(), 3);
    }

    #[test]
    fn a_time_out_ends_every_call_on_the_connection() {
        let mut channels = Channels::new("n".into());
        let mut out = Effects::default();
        channels.call(call(1), address(), Instant(0), &mut out);
        channels.call(call(2), address(), Instant(5_000), &mut out);
        assert_eq!(channels.next_deadline(), Some(Instant(10_000)));
        let over = channels.expire(Instant(10_000), &mut out);
        let results: Vec<_> = over.iter().map(|f| (f.id, f.result.clone().unwrap_err())).collect();
        assert_eq!(results, [(1, CallError::TimedOut), (2, CallError::Disconnected)]);
        assert_eq!(channels.next_deadline(), None);
    }

    #[test]
    fn an_unknown_address_fails_at_once() {
        let mut channels = Channels::new("n".into());
        let over = channels.call(call(1), None, Instant(0), &mut Effects::default()).unwrap();
        assert_eq!(over.result, Err(CallError::Disconnected));
    }
}
