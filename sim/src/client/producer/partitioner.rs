//! Which partition a record goes to (`BuiltInPartitioner`, KIP-794).
//!
//! With a key: murmur2 of the key, as every Java producer does it, so that the same key meets the same partition.
//! Without: stay with one partition for `batch.size` bytes, then draw another.
//!
//! Differs from Kafka: `partitioner.adaptive.partitioning.enable` is as if false; partitions are drawn evenly.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;

use crate::client::metadata::TopicMetadata;
use crate::seed::ChaCha8Rng;

#[derive(Debug)]
struct Sticky {
    partition: i32,
    bytes: usize,
}

/// Chooses partitions for one producer.
#[derive(Debug)]
pub(super) struct Partitioner {
    batch_size: usize,
    sticky: BTreeMap<Arc<str>, Sticky>,
    rng: ChaCha8Rng,
}

impl Partitioner {
    pub(super) fn new(batch_size: usize, rng: ChaCha8Rng) -> Self {
        Partitioner { batch_size, sticky: BTreeMap::new(), rng }
    }

    /// The partition for a record; `None` if the topic has none.
    pub(super) fn choose(
        &mut self,
        name: &Arc<str>,
        topic: &TopicMetadata,
        key: Option<&[u8]>,
    ) -> Option<i32> {
        if topic.partitions.is_empty() {
            return None;
        }
        if let Some(key) = key {
            return Some((murmur2(key) & 0x7fff_ffff) as i32 % topic.partitions.len() as i32);
        }
        if let Some(sticky) = self.sticky.get(name) {
            return Some(sticky.partition);
        }
        let partition = self.draw(topic);
        self.sticky.insert(name.clone(), Sticky { partition, bytes: 0 });
        Some(partition)
    }

    /// Notes that a record without a key went out. `is_batch_full`: nothing more fits into the partition's last batch.
    pub(super) fn appended(&mut self, name: &Arc<str>, bytes: usize, is_batch_full: bool) {
        let Some(sticky) = self.sticky.get_mut(name) else { return };
        sticky.bytes += bytes;
        let is_enough = sticky.bytes >= self.batch_size && is_batch_full;
        if is_enough || sticky.bytes >= self.batch_size.saturating_mul(2) {
            self.sticky.remove(name);
        }
    }

    fn draw(&mut self, topic: &TopicMetadata) -> i32 {
        let available: Vec<i32> =
            topic.partitions.iter().filter(|(_, p)| p.leader.is_some()).map(|(n, _)| *n).collect();
        let all = || topic.partitions.keys().copied().collect();
        let candidates: Vec<i32> = if available.is_empty() { all() } else { available };
        candidates[self.rng.gen_range(0..candidates.len())]
    }
}

/// Kafka's 32-bit murmur2 (`Utils.murmur2`), seed 0x9747b28c.
pub(super) fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::metadata::PartitionMetadata;
    use crate::seed::Seed;
    use broker::ids::{NodeId, TopicId};

    fn topic(partitions: i32) -> TopicMetadata {
        let known = PartitionMetadata { leader: Some(NodeId(1)), leader_epoch: 0 };
        TopicMetadata { topic_id: TopicId::nil(), partitions: (0..partitions).map(|p| (p, known)).collect() }
    }

    #[test]
    fn murmur2_agrees_with_the_java_client() {
        // The vectors of Kafka's own UtilsTest.
        for (text, expected) in [
            ("21", -973_932_308i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, expected, "{text}");
        }
    }

    #[test]
    fn without_a_key_a_partition_is_kept_for_a_batch() {
        let name: Arc<str> = Arc::from("t");
        let mut partitioner = Partitioner::new(100, Seed(3).stream("test"));
        let mut chosen = Vec::new();
        for _ in 0..400 {
            let partition = partitioner.choose(&name, &topic(4), None).unwrap();
            chosen.push(partition);
            partitioner.appended(&name, 50, true);
        }
        assert!(chosen.chunks(2).all(|pair| pair[0] == pair[1]));
        let used: std::collections::BTreeSet<_> = chosen.iter().collect();
        assert_eq!(used.len(), 4);
    }
}
