//! Which messages a fault picks out of the traffic.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Target;

/// `"AlterPartition response"`: requests or responses of one Kafka API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The API's name ([`crate::apis::APIS`]).
    pub api: String,
    /// The API's key.
    pub key: i16,
    /// Responses, otherwise requests.
    pub is_response: bool,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.api, if self.is_response { "response" } else { "request" })
    }
}

/// Messages of a kind between some machines. Senders and receivers are those of the message itself: a response comes
/// from the node that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageFilter {
    /// The kind.
    pub message: Message,
    /// `from`: its senders. Default: anybody.
    pub from: Option<Target>,
    /// `to`: its receivers. Default: anybody.
    pub to: Option<Target>,
    /// `nth`: only that one of those which match after the strike, counted from 1. Default: every one.
    pub nth: Option<u32>,
}
