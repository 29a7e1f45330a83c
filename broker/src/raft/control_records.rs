//! Control records of the metadata log and of its snapshots, written and read (KIP-595, KIP-630, KIP-853).

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    BrokerId, KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord,
    VotersRecord, leader_change_message, voters_record,
};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::voters::{Voter, VoterSet};
use crate::ids::NodeId;
use crate::io::{Address, Listener};
use crate::log::{Batch, BatchBuilder};
use crate::metadata::listener_name;
use crate::wire::StrBytes;

/// Version of the LeaderChange record's schema that is written (KIP-853 added voters' directory ids in version 1).
const LEADER_CHANGE_VERSION: i16 = 0;
/// The only version of the other records' schemas.
const VERSION: i16 = 0;
/// `ControlRecordType`: the second number of a control record's key.
mod kind {
    pub const LEADER_CHANGE: i16 = 2;
    pub const SNAPSHOT_HEADER: i16 = 3;
    pub const SNAPSHOT_FOOTER: i16 = 4;
    pub const KRAFT_VERSION: i16 = 5;
    pub const KRAFT_VOTERS: i16 = 6;
}

/// A record that the quorum writes for itself.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlRecord {
    /// A leader's first record: who leads, of which voters, by whose votes (KIP-595).
    LeaderChange(LeaderChangeMessage),
    /// The first record of a snapshot (KIP-630).
    SnapshotHeader,
    /// The last record of a snapshot (KIP-630).
    SnapshotFooter,
    /// The level of `kraft.version` (KIP-853).
    KRaftVersion(i16),
    /// Who votes from here on (KIP-853).
    Voters(VoterSet),
    /// A record that this version does not know; it is passed over.
    Unknown(i16),
}

/// What a leader's first record says.
pub fn leader_change(
    leader: NodeId,
    voters: impl IntoIterator<Item = NodeId>,
    granting: impl IntoIterator<Item = NodeId>,
) -> ControlRecord {
    let voter = |n: NodeId| leader_change_message::Voter::default().with_voter_id(n.0);
    ControlRecord::LeaderChange(
        LeaderChangeMessage::default()
            .with_version(LEADER_CHANGE_VERSION)
            .with_leader_id(BrokerId(leader.0))
            .with_voters(voters.into_iter().map(voter).collect())
            .with_granting_voters(granting.into_iter().map(voter).collect()),
    )
}

impl ControlRecord {
    fn kind(&self) -> i16 {
        match self {
            ControlRecord::LeaderChange(_) => kind::LEADER_CHANGE,
            ControlRecord::SnapshotHeader => kind::SNAPSHOT_HEADER,
            ControlRecord::SnapshotFooter => kind::SNAPSHOT_FOOTER,
            ControlRecord::KRaftVersion(_) => kind::KRAFT_VERSION,
            ControlRecord::Voters(_) => kind::KRAFT_VOTERS,
            ControlRecord::Unknown(kind) => *kind,
        }
    }

    fn value(&self) -> Bytes {
        let mut out = BytesMut::new();
        let written = match self {
            ControlRecord::LeaderChange(message) => message.encode(&mut out, LEADER_CHANGE_VERSION),
            ControlRecord::SnapshotHeader => SnapshotHeaderRecord::default()
                .with_last_contained_log_timestamp(-1)
                .encode(&mut out, VERSION),
            ControlRecord::SnapshotFooter => SnapshotFooterRecord::default().encode(&mut out, VERSION),
            ControlRecord::KRaftVersion(level) => {
                KRaftVersionRecord::default().with_k_raft_version(*level).encode(&mut out, VERSION)
            }
            ControlRecord::Voters(set) => voters_message(set).encode(&mut out, VERSION),
            ControlRecord::Unknown(_) => Ok(()),
        };
        written.expect("every field exists in the version that is written");
        out.freeze()
    }

    fn read(key: &[u8], value: &Bytes) -> Option<ControlRecord> {
        let kind = i16::from_be_bytes(key.get(2..4)?.try_into().ok()?);
        let mut bytes = value.clone();
        Some(match kind {
            kind::LEADER_CHANGE => ControlRecord::LeaderChange(
                LeaderChangeMessage::decode(&mut bytes, LEADER_CHANGE_VERSION).ok()?,
            ),
            kind::SNAPSHOT_HEADER => {
                SnapshotHeaderRecord::decode(&mut bytes, VERSION).ok()?;
                ControlRecord::SnapshotHeader
            }
            kind::SNAPSHOT_FOOTER => {
                SnapshotFooterRecord::decode(&mut bytes, VERSION).ok()?;
                ControlRecord::SnapshotFooter
            }
            kind::KRAFT_VERSION => ControlRecord::KRaftVersion(
                KRaftVersionRecord::decode(&mut bytes, VERSION).ok()?.k_raft_version,
            ),
            kind::KRAFT_VOTERS => {
                ControlRecord::Voters(voter_set(&VotersRecord::decode(&mut bytes, VERSION).ok()?)?)
            }
            other => ControlRecord::Unknown(other),
        })
    }
}

/// One control batch of these records.
pub fn control_batch(records: &[ControlRecord], timestamp_ms: i64) -> BatchBuilder {
    let mut batch = BatchBuilder::new().control();
    for record in records {
        let key = [0i16.to_be_bytes(), record.kind().to_be_bytes()].concat();
        batch.push(timestamp_ms, Some(&key), Some(&record.value()), &[]);
    }
    batch
}

/// The records of a control batch. `None`: malformed.
pub fn read_control_batch(batch: &Batch) -> Option<Vec<ControlRecord>> {
    let read = |record: Result<crate::log::Record<'_>, _>| {
        let record = record.ok()?;
        ControlRecord::read(record.key?, &batch.bytes.slice_ref(record.value?))
    };
    batch.records().map(read).collect()
}

fn voters_message(set: &VoterSet) -> VotersRecord {
    let voter = |(id, voter): (&NodeId, &Voter)| {
        let endpoint = |address: &Address| {
            voters_record::Endpoint::default()
                .with_name(StrBytes::from_static_str(listener_name(Listener::Controller)))
                .with_host(StrBytes::from_string(address.host.to_string()))
                .with_port(address.port)
        };
        let levels = voters_record::KRaftVersionFeature::default()
            .with_min_supported_version(0)
            .with_max_supported_version(1);
        voters_record::Voter::default()
            .with_voter_id(BrokerId(id.0))
            .with_voter_directory_id(voter.directory_id)
            .with_endpoints(voter.address.iter().map(endpoint).collect())
            .with_k_raft_version_feature(levels)
    };
    VotersRecord::default().with_version(VERSION).with_voters(set.iter().map(voter).collect())
}

/// `None`: a voter with an impossible id, or nobody at all.
fn voter_set(message: &VotersRecord) -> Option<VoterSet> {
    let mut set = VoterSet::default();
    for voter in &message.voters {
        let endpoint = voter.endpoints.first();
        let address = endpoint.map(|e| Address::new(e.host.as_str(), e.port));
        let id = (voter.voter_id.0 >= 0).then_some(NodeId(voter.voter_id.0))?;
        set.insert(id, Voter { directory_id: voter.voter_directory_id, address });
    }
    (!set.is_empty()).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uuid;
    use crate::log::batches;

    fn samples() -> Vec<ControlRecord> {
        let known = Voter { directory_id: Uuid::from_u128(7), address: Some(Address::new("c1", 9093)) };
        let unknown = Voter { directory_id: Uuid::nil(), address: None };
        vec![
            leader_change(NodeId(1), [NodeId(1), NodeId(2)], [NodeId(1)]),
            ControlRecord::SnapshotHeader,
            ControlRecord::KRaftVersion(1),
            ControlRecord::Voters([(NodeId(1), known), (NodeId(2), unknown)].into()),
            ControlRecord::SnapshotFooter,
        ]
    }

    fn read(batch: Bytes) -> Option<Vec<ControlRecord>> {
        read_control_batch(&batches(batch).next()?.ok()?)
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(control_batch(&samples(), 5).build()), Some(samples()));
        let unknown = vec![ControlRecord::Unknown(77)];
        assert_eq!(read(control_batch(&unknown, 5).build()), Some(unknown));
    }

    #[test]
    fn a_record_without_a_key_or_of_nobody_is_malformed() {
        let mut keyless = BatchBuilder::new().control();
        keyless.push(1, None, Some(b"v"), &[]);
        assert_eq!(read(keyless.build()), None);
        assert_eq!(read(control_batch(&[ControlRecord::Voters(VoterSet::default())], 5).build()), None);
    }
}
