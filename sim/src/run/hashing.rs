//! What of an input goes into the fingerprint: its kind, its connection, every byte of its frame.

use std::hash::{Hash, Hasher};

use broker::io::Input;

use crate::plan::HostId;
use crate::trace::Fact;

/// An input of a host, as the fingerprint takes it in.
pub(super) struct HashedInput<'a>(pub HostId, pub &'a Input);

/// A fact of a host, as the fingerprint takes it in.
pub(super) struct HashedFact<'a>(pub Option<HostId>, pub &'a Fact);

impl Hash for HashedInput<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        1_u8.hash(state);
        self.0.hash(state);
        match self.1 {
            Input::ConnectionAccepted { connection, listener } => (1_u8, connection, listener).hash(state),
            Input::ConnectionOpened { connection } => (2_u8, connection).hash(state),
            Input::ConnectionClosed { connection } => (3_u8, connection).hash(state),
            Input::FrameReceived { connection, frame } => (4_u8, connection, frame.as_ref()).hash(state),
            Input::TimerDue => 5_u8.hash(state),
            Input::DiskSynced { token, result } => (6_u8, token, result.is_ok()).hash(state),
            Input::ShutdownRequested => 7_u8.hash(state),
        }
    }
}

impl Hash for HashedFact<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        2_u8.hash(state);
        self.0.hash(state);
        self.1.hash(state);
    }
}

/// One line about an input, for people.
pub(super) fn describe(input: &Input) -> String {
    match input {
        Input::FrameReceived { connection, frame } => {
            let digest = blake3::hash(frame).to_hex();
            format!("frame of {} bytes on {connection}, {}", frame.len(), &digest[..12])
        }
        other => format!("{other:?}"),
    }
}
