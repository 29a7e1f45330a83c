//! The rolling digest of a run: every delivered input and every fact goes in, in order.

use std::hash::{Hash, Hasher};

use broker::time::Instant;
use serde::{Deserialize, Serialize};

/// The digest after a number of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// How many events went in.
    pub event: u64,
    /// World time of the last of them.
    pub at: Instant,
    /// `b3:` and 64 hexadecimal digits.
    pub hash: String,
}

/// A rolling digest with a checkpoint every [`Fingerprint::INTERVAL`] events. Source: ours (DESIGN decision 10).
#[derive(Debug, Clone, Default)]
pub struct Fingerprint {
    sink: Sink,
    events: u64,
    last_at: Instant,
    checkpoints: Vec<Checkpoint>,
}

#[derive(Debug, Clone, Default)]
struct Sink(blake3::Hasher);

impl Hasher for Sink {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.finalize();
        u64::from_le_bytes(digest.as_bytes()[..8].try_into().expect("a digest has 32 bytes"))
    }
}

impl Fingerprint {
    /// Events between two checkpoints.
    pub const INTERVAL: u64 = 65_536;

    /// Takes one event in; returns its number, from 1.
    pub fn event(&mut self, at: Instant, what: &impl Hash) -> u64 {
        at.0.hash(&mut self.sink);
        what.hash(&mut self.sink);
        self.events += 1;
        self.last_at = at;
        if self.events.is_multiple_of(Self::INTERVAL) {
            let checkpoint = Checkpoint { event: self.events, at, hash: self.digest() };
            self.checkpoints.push(checkpoint);
        }
        self.events
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// World time of the last event.
    pub fn last_at(&self) -> Instant {
        self.last_at
    }

    /// The digest now.
    pub fn digest(&self) -> String {
        format!("b3:{}", self.sink.0.finalize().to_hex())
    }

    /// The checkpoints so far.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_content_both_count() {
        let digest = |events: &[(u64, u32)]| {
            let mut fingerprint = Fingerprint::default();
            for (at, what) in events {
                fingerprint.event(Instant(*at), what);
            }
            fingerprint.digest()
        };
        assert_eq!(digest(&[(1, 7), (2, 8)]), digest(&[(1, 7), (2, 8)]));
        assert_ne!(digest(&[(1, 7), (2, 8)]), digest(&[(1, 8), (2, 7)]));
        assert_ne!(digest(&[(1, 7)]), digest(&[(2, 7)]));
    }
}
