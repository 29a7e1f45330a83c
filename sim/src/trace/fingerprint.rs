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

/// Collects what is hashed into blocks: a derived `Hash` writes a few bytes at a time, and BLAKE3 is several times faster
/// with whole blocks. The digest is that of all bytes in a row, however they came.
#[derive(Debug, Clone, Default)]
struct Sink {
    hasher: blake3::Hasher,
    /// Shorter than [`Sink::BLOCK`].
    waiting: Vec<u8>,
}

impl Sink {
    /// Sixteen chunks of BLAKE3: as many as it takes at once.
    const BLOCK: usize = 16 * blake3::CHUNK_LEN;

    fn digest(&self) -> blake3::Hash {
        self.hasher.clone().update(&self.waiting).finalize()
    }
}

impl Hasher for Sink {
    fn write(&mut self, mut bytes: &[u8]) {
        while self.waiting.len() + bytes.len() >= Self::BLOCK {
            let (now, later) = bytes.split_at(Self::BLOCK - self.waiting.len());
            self.waiting.extend_from_slice(now);
            self.hasher.update(&self.waiting);
            self.waiting.clear();
            bytes = later;
        }
        self.waiting.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        u64::from_le_bytes(self.digest().as_bytes()[..8].try_into().expect("a digest has 32 bytes"))
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
        format!("b3:{}", self.sink.digest().to_hex())
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
    fn how_bytes_are_cut_does_not_matter() {
        let bytes: Vec<u8> = (0..3 * Sink::BLOCK + 5).map(|i| (i % 251) as u8).collect();
        for cut in [1, 8, 1_000, Sink::BLOCK - 1, Sink::BLOCK, Sink::BLOCK + 1, bytes.len()] {
            let mut sink = Sink::default();
            for (i, part) in bytes.chunks(cut).enumerate() {
                sink.write(part);
                let so_far = bytes.len().min((i + 1) * cut);
                if i % 999 == 0 {
                    assert_eq!(
                        sink.digest(),
                        blake3::hash(&bytes[..so_far]),
                        "after part {i} of {cut} bytes"
                    );
                }
            }
            assert_eq!(sink.digest(), blake3::hash(&bytes), "in parts of {cut} bytes");
        }
    }

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
