//! Accepted connections: one request at a time per connection, answered in order.
//!
//! Kafka mutes a channel from reading a request until its answer is sent (`SocketServer`, `RequestChannel`): pipelined
//! requests of one connection are therefore carried out strictly one after the other. So it is here.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::io::{ConnectionId, Effect, Effects, Listener};
use crate::rpc::ReplyTo;
use crate::wire::{self, ApiKey, Request, Response, WireError};

#[derive(Debug)]
struct Accepted {
    listener: Listener,
    /// The request in progress. While it is set the channel is muted.
    busy: Option<ReplyTo>,
    waiting: VecDeque<Bytes>,
}

/// What to do with the next frame of a connection.
#[derive(Debug)]
pub enum Next {
    /// Nothing to do: the channel is muted, unknown or empty.
    Nothing,
    /// Carry this out; the channel is muted until [`Server::reply`].
    Request { to: ReplyTo, request: Request },
}

/// The connections that peers opened to this node.
#[derive(Debug, Default)]
pub struct Server {
    connections: BTreeMap<ConnectionId, Accepted>,
}

impl Server {
    /// A peer connected.
    pub fn accepted(&mut self, connection: ConnectionId, listener: Listener) {
        self.connections.insert(connection, Accepted { listener, busy: None, waiting: VecDeque::new() });
    }

    /// A peer is gone. `true` if the connection was known.
    pub fn closed(&mut self, connection: ConnectionId) -> bool {
        self.connections.remove(&connection).is_some()
    }

    /// A frame arrived. Unreadable frames close the connection.
    pub fn received(&mut self, connection: ConnectionId, frame: Bytes, out: &mut Effects) -> Next {
        let Some(accepted) = self.connections.get_mut(&connection) else { return Next::Nothing };
        if accepted.busy.is_some() {
            accepted.waiting.push_back(frame);
            return Next::Nothing;
        }
        self.open(connection, frame, out)
    }

    /// Answers the request in progress and unmutes the channel. Answers to connections that are gone are dropped.
    pub fn reply(&mut self, to: ReplyTo, response: &Response, out: &mut Effects) {
        if !self.unmute(to) {
            return;
        }
        match wire::encode_response(response, to.api_version, to.correlation_id) {
            Ok(frame) => out.push(Effect::Send { connection: to.connection, frame }),
            Err(error) => {
                tracing::warn!(%error, api = ?to.api_key, version = to.api_version, "an answer does not fit its version");
                self.disconnect(to.connection, out);
            }
        }
    }

    /// Unmutes the channel of a request that has no answer (acks=0). `false` if the request is not in progress.
    pub fn unmute(&mut self, to: ReplyTo) -> bool {
        match self.connections.get_mut(&to.connection) {
            Some(accepted) if accepted.busy == Some(to) => {
                accepted.busy = None;
                true
            }
            _ => false,
        }
    }

    /// The next pipelined request of an unmuted channel.
    pub fn next(&mut self, connection: ConnectionId, out: &mut Effects) -> Next {
        let Some(accepted) = self.connections.get_mut(&connection) else { return Next::Nothing };
        if accepted.busy.is_some() {
            return Next::Nothing;
        }
        match accepted.waiting.pop_front() {
            Some(frame) => self.open(connection, frame, out),
            None => Next::Nothing,
        }
    }

    /// Closes a connection from this side.
    pub fn disconnect(&mut self, connection: ConnectionId, out: &mut Effects) {
        if self.connections.remove(&connection).is_some() {
            out.push(Effect::Close { connection });
        }
    }

    fn open(&mut self, connection: ConnectionId, frame: Bytes, out: &mut Effects) -> Next {
        let Some(accepted) = self.connections.get_mut(&connection) else { return Next::Nothing };
        match wire::decode_request(frame) {
            Ok((head, request)) => {
                let to = ReplyTo {
                    connection,
                    correlation_id: head.correlation_id,
                    api_key: head.api_key,
                    api_version: head.api_version,
                    listener: accepted.listener,
                };
                accepted.busy = Some(to);
                Next::Request { to, request }
            }
            Err(WireError::UnsupportedVersion { api_key: ApiKey::ApiVersions, correlation_id, .. }) => {
                match wire::unsupported_version_response(correlation_id) {
                    Ok(frame) => out.push(Effect::Send { connection, frame }),
                    Err(_) => self.disconnect(connection, out),
                }
                self.next(connection, out)
            }
            Err(error) => {
                tracing::debug!(%error, %connection, "closing a connection on an unreadable frame");
                self.disconnect(connection, out);
                Next::Nothing
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
    use bytes::BytesMut;

    fn frame(correlation: i32) -> Bytes {
        let client = wire::StrBytes::from_static_str("c");
        wire::encode_request(&ApiVersionsRequest::default().into(), 3, correlation, &client).unwrap()
    }

    fn server() -> (Server, ConnectionId) {
        let mut server = Server::default();
        let connection = ConnectionId::incoming(1);
        server.accepted(connection, Listener::Client);
        (server, connection)
    }

    #[test]
    fn pipelined_requests_wait_for_the_answer_before_them() {
        let (mut server, connection) = server();
        let mut out = Effects::default();
        let Next::Request { to, .. } = server.received(connection, frame(1), &mut out) else {
            panic!("first")
        };
        assert!(matches!(server.received(connection, frame(2), &mut out), Next::Nothing));
        assert!(matches!(server.next(connection, &mut out), Next::Nothing));
        server.reply(to, &ApiVersionsResponse::default().into(), &mut out);
        let Next::Request { to, .. } = server.next(connection, &mut out) else { panic!("second") };
        assert_eq!((to.correlation_id, out.list.len()), (2, 1));
    }

    #[test]
    fn an_unreadable_frame_closes_the_connection() {
        let (mut server, connection) = server();
        let mut out = Effects::default();
        let garbage = Bytes::from_static(&[0, 0, 0, 4, 0x7f, 0x7f, 0, 0]);
        assert!(matches!(server.received(connection, garbage, &mut out), Next::Nothing));
        assert!(matches!(out.list[..], [Effect::Close { .. }]));
    }

    #[test]
    fn an_unknown_version_of_api_versions_is_answered_in_the_v0_layout() {
        let (mut server, connection) = server();
        let mut out = Effects::default();
        let mut bytes = BytesMut::from(&frame(9)[..]);
        bytes[6..8].copy_from_slice(&77i16.to_be_bytes());
        assert!(matches!(server.received(connection, bytes.freeze(), &mut out), Next::Nothing));
        let [Effect::Send { frame, .. }] = &out.list[..] else { panic!("one answer") };
        let (correlation, response) = wire::decode_response(ApiKey::ApiVersions, 0, frame.clone()).unwrap();
        let Response::ApiVersions(response) = response else { panic!("ApiVersions") };
        assert_eq!((correlation, response.error_code), (9, 35));
    }
}
