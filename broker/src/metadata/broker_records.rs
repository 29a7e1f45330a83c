//! Records about brokers and the cluster as a whole.

use std::collections::BTreeMap;

use super::codec::{Reader, Tags, Writer, tagged, untag};
use super::record::RecordError;
use super::registration::{Endpoint, SupportedLevels};
use crate::ids::{BrokerEpoch, NodeId, ProducerId, Uuid};

/// Kafka's `RegisterBrokerRecord`, version 3 (KIP-631, KIP-858).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterBrokerRecord {
    /// `node.id`.
    pub broker_id: NodeId,
    /// The registering process.
    pub incarnation_id: Uuid,
    /// Given by the controller.
    pub broker_epoch: BrokerEpoch,
    /// Its listeners.
    pub endpoints: Vec<Endpoint>,
    /// What it supports.
    pub features: BTreeMap<String, SupportedLevels>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// True for a new incarnation.
    pub fenced: bool,
    /// True only when a registration is amended during a controlled shutdown.
    pub in_controlled_shutdown: bool,
    /// Ids of its log directories.
    pub log_dirs: Vec<Uuid>,
}

impl RegisterBrokerRecord {
    pub(super) fn write(&self, w: &mut Writer) {
        w.i32(self.broker_id.0);
        w.bool(false); // IsMigratingZkBroker
        w.uuid(self.incarnation_id);
        w.i64(self.broker_epoch);
        w.length(self.endpoints.len());
        for endpoint in &self.endpoints {
            w.string(&endpoint.name);
            w.string(&endpoint.host);
            w.u16(endpoint.port);
            w.i16(endpoint.security_protocol);
            w.tags(&Tags::new());
        }
        w.length(self.features.len());
        for (name, levels) in &self.features {
            w.string(name);
            w.i16(levels.min);
            w.i16(levels.max);
            w.tags(&Tags::new());
        }
        w.nullable_string(self.rack.as_deref());
        w.bool(self.fenced);
        w.bool(self.in_controlled_shutdown);
        let mut tags = Tags::new();
        if !self.log_dirs.is_empty() {
            tags.insert(0, tagged(|w| w.uuids(&self.log_dirs)));
        }
        w.tags(&tags);
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        let broker_id = r.node()?;
        let _is_migrating_zk_broker = r.bool()?;
        let (incarnation_id, broker_epoch) = (r.uuid()?, r.i64()?);
        let endpoints = r.array(|r| {
            let (name, host, port) = (r.string()?, r.string()?.into(), r.u16()?);
            let security_protocol = r.i16()?;
            r.tags()?;
            Ok(Endpoint { name, host, port, security_protocol })
        })?;
        let features = r.array(|r| {
            let feature = (r.string()?, SupportedLevels { min: r.i16()?, max: r.i16()? });
            r.tags()?;
            Ok(feature)
        })?;
        let (rack, fenced, in_controlled_shutdown) = (r.nullable_string()?, r.bool()?, r.bool()?);
        let tags = r.tags()?;
        Ok(RegisterBrokerRecord {
            broker_id,
            incarnation_id,
            broker_epoch,
            endpoints,
            features: features.into_iter().collect(),
            rack,
            fenced,
            in_controlled_shutdown,
            log_dirs: untag(&tags, 0, |r| r.array(Reader::uuid))?.unwrap_or_default(),
        })
    }
}

/// Kafka's `UnregisterBrokerRecord`, version 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnregisterBrokerRecord {
    /// Who is gone.
    pub broker_id: NodeId,
    /// Its epoch.
    pub broker_epoch: BrokerEpoch,
}

impl UnregisterBrokerRecord {
    pub(super) fn write(&self, w: &mut Writer) {
        w.i32(self.broker_id.0);
        w.i64(self.broker_epoch);
        w.tags(&Tags::new());
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        let record = UnregisterBrokerRecord { broker_id: r.node()?, broker_epoch: r.i64()? };
        r.tags()?;
        Ok(record)
    }
}

/// Kafka's `BrokerRegistrationChangeRecord`, version 2: what Kafka 4 writes instead of Fence/UnfenceBrokerRecord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistrationChangeRecord {
    /// Whose registration changes.
    pub broker_id: NodeId,
    /// Its epoch.
    pub broker_epoch: BrokerEpoch,
    /// Fenced (`true`), unfenced (`false`) or as before.
    pub fenced: Option<bool>,
    /// It begins its controlled shutdown. There is no way back but a new registration.
    pub in_controlled_shutdown: bool,
    /// The log directories that are now available, if that changed.
    pub log_dirs: Vec<Uuid>,
}

impl BrokerRegistrationChangeRecord {
    /// The broker is fenced or unfenced.
    pub fn fenced(broker_id: NodeId, broker_epoch: BrokerEpoch, fenced: bool) -> Self {
        let fenced = Some(fenced);
        Self { broker_id, broker_epoch, fenced, in_controlled_shutdown: false, log_dirs: Vec::new() }
    }

    /// The broker begins its controlled shutdown.
    pub fn controlled_shutdown(broker_id: NodeId, broker_epoch: BrokerEpoch) -> Self {
        Self { broker_id, broker_epoch, fenced: None, in_controlled_shutdown: true, log_dirs: Vec::new() }
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.i32(self.broker_id.0);
        w.i64(self.broker_epoch);
        let mut tags = Tags::new();
        if let Some(fenced) = self.fenced {
            tags.insert(0, tagged(|w| w.i8(if fenced { 1 } else { -1 })));
        }
        if self.in_controlled_shutdown {
            tags.insert(1, tagged(|w| w.i8(1)));
        }
        if !self.log_dirs.is_empty() {
            tags.insert(2, tagged(|w| w.uuids(&self.log_dirs)));
        }
        w.tags(&tags);
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        let (broker_id, broker_epoch) = (r.node()?, r.i64()?);
        let tags = r.tags()?;
        let fenced = match untag(&tags, 0, Reader::i8)? {
            None | Some(0) => None,
            Some(1) => Some(true),
            Some(-1) => Some(false),
            Some(_) => return Err(RecordError::Malformed("fencing change out of range")),
        };
        let in_controlled_shutdown = match untag(&tags, 1, Reader::i8)? {
            None | Some(0) => false,
            Some(1) => true,
            Some(_) => return Err(RecordError::Malformed("shutdown change out of range")),
        };
        let log_dirs = untag(&tags, 2, |r| r.array(Reader::uuid))?.unwrap_or_default();
        Ok(Self { broker_id, broker_epoch, fenced, in_controlled_shutdown, log_dirs })
    }
}

/// Kafka's `FeatureLevelRecord`, version 0 (KIP-584).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureLevelRecord {
    /// The feature's name.
    pub name: String,
    /// The finalized level; 0 takes the feature away.
    pub level: i16,
}

impl FeatureLevelRecord {
    pub(super) fn write(&self, w: &mut Writer) {
        w.string(&self.name);
        w.i16(self.level);
        w.tags(&Tags::new());
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        let record = FeatureLevelRecord { name: r.string()?, level: r.i16()? };
        r.tags()?;
        Ok(record)
    }
}

/// Kafka's `ProducerIdsRecord`, version 0 (KIP-730).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerIdsRecord {
    /// Who got the block.
    pub broker_id: NodeId,
    /// Its epoch.
    pub broker_epoch: BrokerEpoch,
    /// The first id after the block: where the next block begins.
    pub next_producer_id: ProducerId,
}

impl ProducerIdsRecord {
    pub(super) fn write(&self, w: &mut Writer) {
        w.i32(self.broker_id.0);
        w.i64(self.broker_epoch);
        w.i64(self.next_producer_id);
        w.tags(&Tags::new());
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        let record =
            ProducerIdsRecord { broker_id: r.node()?, broker_epoch: r.i64()?, next_producer_id: r.i64()? };
        r.tags()?;
        Ok(record)
    }
}

/// Kafka's `NoOpRecord`, version 0 (KIP-835).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoOpRecord;

impl NoOpRecord {
    pub(super) fn write(&self, w: &mut Writer) {
        w.tags(&Tags::new());
    }

    pub(super) fn read(r: &mut Reader) -> Result<Self, RecordError> {
        r.tags()?;
        Ok(NoOpRecord)
    }
}
