//! A metadata record and its frame.

use bytes::Bytes;

use super::broker_records::*;
use super::codec::{Reader, Writer};
use super::topic_records::*;

/// Version of the frame around a record (`MetadataRecordSerde`).
const FRAME_VERSION: u32 = 1;

/// Why bytes are not a metadata record that this node understands. A node that meets one cannot go on: it would fold
/// another state than its peers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The frame's version is not 1.
    #[error("unknown metadata frame version {0}")]
    UnknownFrame(u32),
    /// The record's kind is unknown.
    #[error("unknown metadata record type {0}")]
    UnknownRecord(u32),
    /// The record's kind is known, its version is not.
    #[error("unknown version {version} of metadata record type {api_key}")]
    UnknownVersion { api_key: u32, version: u32 },
    /// The bytes do not follow the format.
    #[error("malformed metadata record: {0}")]
    Malformed(&'static str),
}

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident($body:ident) = $key:literal, $version:literal;)+) => {
        /// A record of the metadata log, in Kafka's own binary format: frame version, type, version (all unsigned
        /// varints), then the message with flexible fields (KIP-482, KIP-746).
        ///
        /// Differs from Kafka: each record is written and read in one version, the one named in the table of the
        /// room's door; there is no `metadata.version` to choose by.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum MetadataRecord { $($(#[$doc])* $name($body),)+ }

        impl MetadataRecord {
            /// The bytes that go into the metadata log as a record's value.
            pub fn encode(&self) -> Bytes {
                let mut w = Writer::default();
                w.varint(FRAME_VERSION);
                match self {
                    $(MetadataRecord::$name(body) => {
                        w.varint($key);
                        w.varint($version);
                        body.write(&mut w);
                    })+
                }
                w.finish()
            }

            /// Reads a record. Errors: see [`RecordError`].
            pub fn decode(bytes: Bytes) -> Result<MetadataRecord, RecordError> {
                let mut r = Reader::new(bytes);
                let frame = r.varint()?;
                if frame != FRAME_VERSION {
                    return Err(RecordError::UnknownFrame(frame));
                }
                let (api_key, version) = (r.varint()?, r.varint()?);
                let record = match (api_key, version) {
                    $(($key, $version) => MetadataRecord::$name($body::read(&mut r)?),)+
                    $(($key, _) => return Err(RecordError::UnknownVersion { api_key, version }),)+
                    _ => return Err(RecordError::UnknownRecord(api_key)),
                };
                r.finish()?;
                Ok(record)
            }
        }

        $(impl From<$body> for MetadataRecord { fn from(body: $body) -> Self { MetadataRecord::$name(body) } })+
    };
}

records! {
    /// A broker registered.
    RegisterBroker(RegisterBrokerRecord) = 0, 3;
    /// A broker is gone for good.
    UnregisterBroker(UnregisterBrokerRecord) = 1, 0;
    /// A topic exists.
    Topic(TopicRecord) = 2, 0;
    /// A partition exists.
    Partition(PartitionRecord) = 3, 2;
    /// A config value was set or taken away.
    Config(ConfigRecord) = 4, 0;
    /// A partition changed.
    PartitionChange(PartitionChangeRecord) = 5, 2;
    /// A topic and its partitions are gone.
    RemoveTopic(RemoveTopicRecord) = 9, 0;
    /// A feature's finalized level.
    FeatureLevel(FeatureLevelRecord) = 12, 0;
    /// A block of producer ids was handed out.
    ProducerIds(ProducerIdsRecord) = 15, 0;
    /// A broker was fenced, unfenced or began its controlled shutdown.
    BrokerRegistrationChange(BrokerRegistrationChangeRecord) = 17, 2;
    /// Nothing; keeps the log moving (KIP-835).
    NoOp(NoOpRecord) = 20, 0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{NodeId, Uuid};
    use crate::metadata::registration::{Endpoint, LeaderRecoveryState, SupportedLevels};

    fn samples() -> Vec<MetadataRecord> {
        let topic_id = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
        vec![
            RegisterBrokerRecord {
                broker_id: NodeId(3),
                incarnation_id: Uuid::from_u128(5),
                broker_epoch: 77,
                endpoints: vec![Endpoint {
                    name: "CLIENT".into(),
                    host: "b3".into(),
                    port: 60_000,
                    security_protocol: 0,
                }],
                features: [("metadata.version".to_string(), SupportedLevels { min: 7, max: 25 })].into(),
                rack: Some("r1".into()),
                fenced: true,
                in_controlled_shutdown: false,
                log_dirs: vec![Uuid::from_u128(9)],
            }
            .into(),
            UnregisterBrokerRecord { broker_id: NodeId(3), broker_epoch: 77 }.into(),
            TopicRecord { name: "orders".into(), topic_id }.into(),
            PartitionRecord {
                partition: 1,
                topic_id,
                replicas: vec![NodeId(1), NodeId(2)],
                isr: vec![NodeId(2)],
                leader: None,
                leader_epoch: 3,
                partition_epoch: 4,
                leader_recovery_state: LeaderRecoveryState::Recovering,
                adding: vec![],
                removing: vec![],
                elr: vec![NodeId(1)],
                last_known_elr: vec![NodeId(2)],
            }
            .into(),
            ConfigRecord::topic("orders", "min.insync.replicas", Some("2")).into(),
            ConfigRecord::topic("orders", "min.insync.replicas", None).into(),
            PartitionChangeRecord::new(topic_id, 1).into(),
            PartitionChangeRecord {
                isr: Some(vec![NodeId(2)]),
                leader: Some(None),
                replicas: Some(vec![NodeId(2), NodeId(3)]),
                removing: Some(vec![]),
                adding: Some(vec![NodeId(3)]),
                leader_recovery_state: Some(LeaderRecoveryState::Recovered),
                elr: Some(vec![]),
                last_known_elr: Some(vec![NodeId(1)]),
                ..PartitionChangeRecord::new(topic_id, 1)
            }
            .into(),
            RemoveTopicRecord { topic_id }.into(),
            FeatureLevelRecord { name: "metadata.version".into(), level: 25 }.into(),
            ProducerIdsRecord { broker_id: NodeId(1), broker_epoch: 6, next_producer_id: 3000 }.into(),
            BrokerRegistrationChangeRecord::fenced(NodeId(1), 6, true).into(),
            BrokerRegistrationChangeRecord::fenced(NodeId(1), 6, false).into(),
            BrokerRegistrationChangeRecord::controlled_shutdown(NodeId(1), 6).into(),
            NoOpRecord.into(),
        ]
    }

    #[test]
    fn every_record_survives_the_round_trip() {
        for record in samples() {
            assert_eq!(MetadataRecord::decode(record.encode()), Ok(record));
        }
    }

    #[test]
    fn every_prefix_of_a_record_is_an_error_and_never_a_panic() {
        for record in samples() {
            let bytes = record.encode();
            for n in 0..bytes.len() {
                assert!(MetadataRecord::decode(bytes.slice(..n)).is_err(), "{record:?} cut to {n}");
            }
        }
    }

    #[test]
    fn the_bytes_are_kafkas() {
        let noop = MetadataRecord::from(NoOpRecord).encode();
        assert_eq!(noop, [1u8, 20, 0, 0].as_slice());
        let ids = ProducerIdsRecord { broker_id: NodeId(1), broker_epoch: 6, next_producer_id: 3000 };
        let expected = [1u8, 15, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 11, 184, 0];
        assert_eq!(MetadataRecord::from(ids).encode(), expected.as_slice());
        let change = PartitionChangeRecord {
            isr: Some(vec![NodeId(2)]),
            leader: Some(Some(NodeId(2))),
            ..PartitionChangeRecord::new(Uuid::from_u128(1), 0)
        };
        let mut expected = vec![1u8, 5, 2, 0, 0, 0, 0];
        expected.extend([0; 15]);
        expected.push(1); // the topic id ends
        expected.extend([2, 0, 5, 2, 0, 0, 0, 2, 1, 4, 0, 0, 0, 2]); // two tags: ISR, leader
        assert_eq!(MetadataRecord::from(change).encode(), expected);
    }

    #[test]
    fn what_is_unknown_has_a_name() {
        let decode = |bytes: &'static [u8]| MetadataRecord::decode(Bytes::from_static(bytes));
        assert_eq!(decode(&[0, 20, 0, 0]), Err(RecordError::UnknownFrame(0)));
        assert_eq!(decode(&[1, 99, 0, 0]), Err(RecordError::UnknownRecord(99)));
        assert_eq!(decode(&[1, 20, 1, 0]), Err(RecordError::UnknownVersion { api_key: 20, version: 1 }));
        assert_eq!(decode(&[1, 20, 0, 0, 7]), Err(RecordError::Malformed("bytes after the record")));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(key in 0u8..24, version in 0u8..4, body: Vec<u8>) {
            let _ = MetadataRecord::decode([vec![1, key, version], body].concat().into());
        }

        #[test]
        fn what_is_read_is_what_was_written(at in 0usize..200, byte: u8, which in 0usize..15) {
            // One wrong byte is an error or another record, and that one reads back as itself.
            let mut bytes = samples()[which].encode().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(record) = MetadataRecord::decode(bytes.into()) {
                proptest::prop_assert_eq!(MetadataRecord::decode(record.encode()), Ok(record));
            }
        }
    }
}
