//! The content of a log, without its payload: which batch stands where, and a hash over everything up to it.

use broker::ids::{LeaderEpoch, Offset};
use broker::trace::BatchFact;

const CONTROL: u32 = 1 << 31;

/// One batch: 24 bytes, since every replica of every log has one per batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    base: Offset,
    /// Number of offsets; the top bit marks control batches.
    span: u32,
    epoch: LeaderEpoch,
    /// Over this batch and everything below it.
    hash: u64,
}

impl Link {
    fn end(&self) -> Offset {
        self.base + i64::from(self.span & !CONTROL)
    }

    fn is_control(&self) -> bool {
        self.span & CONTROL != 0
    }
}

/// The batches of one log. Equal hashes at one offset mean equal content below it, so that comparing two logs is one
/// comparison, and finding where they part is a binary search. Source: semantics of P-5, P-6, Q-5.
#[derive(Debug, Clone)]
pub struct Chain {
    links: Vec<Link>,
    start: Offset,
    seed: u64,
    is_anchored: bool,
}

impl Default for Chain {
    fn default() -> Self {
        Chain { links: Vec::new(), start: 0, seed: 0, is_anchored: true }
    }
}

impl Chain {
    /// An empty log that begins at `start`. `hash` is the hash of what lies below, if it is known.
    pub fn starting_at(start: Offset, hash: Option<u64>) -> Chain {
        let is_anchored = start == 0 || hash.is_some();
        Chain { links: Vec::new(), start, seed: hash.unwrap_or(0), is_anchored }
    }

    /// Does the hash stand for everything from offset 0?
    pub fn is_anchored(&self) -> bool {
        self.is_anchored
    }

    /// First offset.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// First offset above the last batch.
    pub fn end(&self) -> Offset {
        self.links.last().map_or(self.start, Link::end)
    }

    /// Hash over the whole log.
    pub fn hash(&self) -> u64 {
        self.links.last().map_or(self.seed, |link| link.hash)
    }

    /// Number of batches.
    pub fn batches(&self) -> usize {
        self.links.len()
    }

    /// Epoch of the last batch.
    pub fn last_epoch(&self) -> Option<LeaderEpoch> {
        self.links.last().map(|link| link.epoch)
    }

    /// Adds a batch; returns the hash up to its end.
    pub fn push(&mut self, batch: &BatchFact) -> u64 {
        let mut hash = self.hash();
        for word in [
            batch.base_offset as u64,
            batch.last_offset as u64,
            (u64::from(batch.leader_epoch as u32) << 32) | u64::from(batch.crc),
        ] {
            hash = mix(hash, word);
        }
        let span = u32::try_from(batch.last_offset + 1 - batch.base_offset).unwrap_or(0) & !CONTROL;
        let span = if batch.is_control { span | CONTROL } else { span };
        self.links.push(Link { base: batch.base_offset, span, epoch: batch.leader_epoch, hash });
        hash
    }

    /// Drops every batch that reaches above `to`; returns how many records went.
    pub fn truncate(&mut self, to: Offset) -> u64 {
        let keep = self.links.partition_point(|link| link.end() <= to);
        let gone = self.links[keep..].iter().map(|link| u64::from(link.span & !CONTROL)).sum();
        self.links.truncate(keep);
        gone
    }

    /// Hash over everything below `offset`, if a batch ends (or the log begins) there.
    pub fn hash_at(&self, offset: Offset) -> Option<u64> {
        if offset == self.start {
            return Some(self.seed);
        }
        let index = self.links.partition_point(|link| link.end() < offset);
        self.links.get(index).filter(|link| link.end() == offset).map(|link| link.hash)
    }

    /// Largest batch border at or below `offset`.
    pub fn border(&self, offset: Offset) -> Offset {
        let index = self.links.partition_point(|link| link.end() <= offset);
        index.checked_sub(1).map_or(self.start, |index| self.links[index].end())
    }

    /// Epoch of the batch that holds `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let index = self.links.partition_point(|link| link.end() <= offset);
        self.links.get(index).filter(|link| link.base <= offset).map(|link| link.epoch)
    }

    /// Does this log hold all of `other`?
    pub fn contains(&self, other: &Chain) -> bool {
        self.holds(other.end(), other.hash()) || !(self.is_anchored && other.is_anchored)
    }

    /// Does this log have exactly this content below `offset`?
    pub fn holds(&self, offset: Offset, hash: u64) -> bool {
        self.hash_at(offset) == Some(hash)
    }

    /// Where this log and `other` part: everything below is equal in both.
    pub fn common_end(&self, other: &Chain) -> Offset {
        let is_shared = |link: &Link| other.holds(link.end(), link.hash);
        let shared = self.links.partition_point(is_shared);
        shared.checked_sub(1).map_or(self.start.max(other.start), |index| self.links[index].end())
    }

    /// First record for readers in `[from, to)`, control batches left out.
    pub fn first_data(&self, from: Offset, to: Offset) -> Option<Offset> {
        let index = self.links.partition_point(|link| link.end() <= from);
        let data =
            self.links[index..].iter().take_while(|link| link.base < to).find(|link| !link.is_control())?;
        Some(data.base.max(from))
    }

    /// Appends the batches of `other` that lie in `[self.end(), to)`. Both must agree below.
    pub fn extend_from(&mut self, other: &Chain, to: Offset) {
        let end = self.end();
        let from = other.links.partition_point(|link| link.end() <= end);
        let rest = other.links[from..].iter().take_while(|link| link.end() <= to);
        self.links.extend(rest.copied());
    }
}

/// One round of a 64-bit mixer (MurmurHash3's finalizer over a running state).
fn mix(state: u64, word: u64) -> u64 {
    let mut x = state.rotate_left(23) ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::batch;
    use super::*;

    fn chain(batches: &[(i64, i32, u32)]) -> Chain {
        let mut chain = Chain::default();
        for (base, epoch, crc) in batches {
            chain.push(&batch(*base, 2, *epoch, *crc));
        }
        chain
    }

    #[test]
    fn logs_part_where_their_content_does() {
        let a = chain(&[(0, 0, 1), (2, 0, 2), (4, 1, 3), (6, 1, 4)]);
        let b = chain(&[(0, 0, 1), (2, 0, 2), (4, 1, 9), (6, 1, 4)]);
        assert_eq!(a.common_end(&b), 4);
        assert_eq!(b.common_end(&a), 4);
        assert!(!a.contains(&b) && a.contains(&chain(&[(0, 0, 1), (2, 0, 2)])));
        assert_ne!(a.hash_at(8), b.hash_at(8), "a difference below shows above");
        assert_eq!(a.hash_at(3), None, "not a border");
    }

    #[test]
    fn a_cut_and_the_same_batches_again_give_the_same_log() {
        let mut a = chain(&[(0, 0, 1), (2, 0, 2), (4, 1, 3)]);
        let before = a.hash();
        assert_eq!(a.truncate(2), 4);
        a.push(&batch(2, 2, 0, 2));
        a.push(&batch(4, 2, 1, 3));
        assert_eq!((a.hash(), a.end()), (before, 6));
    }

    #[test]
    fn control_batches_are_nothing_to_read() {
        let mut a = chain(&[(0, 0, 1)]);
        a.push(&BatchFact { is_control: true, ..batch(2, 1, 0, 5) });
        a.push(&batch(3, 2, 0, 6));
        assert_eq!(a.first_data(2, 3), None);
        assert_eq!(a.first_data(2, 9), Some(3));
        assert_eq!(a.epoch_at(2), Some(0));
    }
}
