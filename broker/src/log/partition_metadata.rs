//! Names of log directories, and `partition.metadata`: which incarnation of a topic a directory belongs to (KIP-516).

use bytes::Bytes;

use crate::ids::*;
use crate::io::Disk;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The directory of a partition's log.
pub(super) fn directory(partition: &TopicPartition) -> String {
    format!("{}-{}", partition.topic, partition.partition)
}

/// The path of a log's `partition.metadata`.
pub(super) fn metadata_path(dir: &str) -> String {
    format!("{dir}/partition.metadata")
}

/// The content of `partition.metadata`, in Kafka's text format.
pub(super) fn metadata_text(topic_id: TopicId) -> Bytes {
    format!("version: 0\ntopic_id: {}\n", encode_id(topic_id)).into()
}

/// Reads the content of `partition.metadata`; `None` if it is malformed.
pub(super) fn parse_metadata(content: &[u8]) -> Option<TopicId> {
    let text = std::str::from_utf8(content).ok()?;
    let mut lines = text.lines();
    if lines.next()? != "version: 0" {
        return None;
    }
    decode_id(lines.next()?.strip_prefix("topic_id: ")?)
}

/// Every log on the disk, in order of directory name: what a broker finds at boot. A directory without a readable
/// `partition.metadata` is passed over: nothing in it was ever promised to be durable.
pub fn list_partitions(disk: &dyn Disk) -> Vec<LogId> {
    disk.list("").iter().filter_map(|dir| log_in(dir, disk)).collect()
}

fn log_in(dir: &str, disk: &dyn Disk) -> Option<LogId> {
    let (topic, number) = dir.rsplit_once('-')?;
    let partition = TopicPartition::new(topic, number.parse().ok()?);
    let content = disk.read_file(&metadata_path(dir)).ok()??;
    Some(LogId { partition, topic_id: parse_metadata(&content)? })
}

/// Kafka writes ids in URL-safe base64 without padding: 22 characters, the last one holding two bits.
fn encode_id(id: TopicId) -> String {
    let bits = id.as_u128();
    let digits = (0..21).map(|i| (bits >> (122 - 6 * i)) as usize & 63).chain([(bits as usize & 3) << 4]);
    digits.map(|digit| char::from(ALPHABET[digit])).collect()
}

fn decode_id(text: &str) -> Option<TopicId> {
    if text.len() != 22 {
        return None;
    }
    let mut bits = 0u128;
    for (i, character) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|c| *c == character)? as u128;
        bits = if i < 21 { bits << 6 | digit } else { bits << 2 | digit >> 4 };
    }
    Some(TopicId::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MemoryDisk;
    use super::*;

    #[test]
    fn ids_are_written_as_kafka_writes_them() {
        assert_eq!(encode_id(METADATA_TOPIC_ID), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(encode_id(Uuid::from_u128(u128::MAX)), "_____________________w");
        assert_eq!(decode_id("AAAA"), None);
        assert_eq!(decode_id("AAAAAAAAAAAAAAAAAAAA!Q"), None);
    }

    #[test]
    fn logs_are_found_by_their_identity() {
        let mut disk = MemoryDisk::new();
        let id = Uuid::from_u128(5);
        for dir in ["with-dash-12", "plain-0", "nothing", "bad-x"] {
            disk.replace(&metadata_path(dir), metadata_text(id)).unwrap();
        }
        disk.open("remains-0/00000000000000000000.log", true).unwrap();
        disk.replace(&metadata_path("torn-0"), "version: 0\n".into()).unwrap();
        let found: Vec<String> = list_partitions(&disk).iter().map(|log| log.to_string()).collect();
        assert_eq!(found, ["plain/0", "with-dash/12"]);
    }

    proptest! {
        #[test]
        fn ids_come_back(bits in any::<u128>()) {
            let id = Uuid::from_u128(bits);
            prop_assert_eq!(parse_metadata(&metadata_text(id)), Some(id));
        }
    }
}
