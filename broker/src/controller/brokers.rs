//! Brokers register, send heartbeats, and are fenced when they do not.

use super::elections::{broker_comes, broker_goes, broker_lost};
use super::sessions::Sessions;
use super::{Decision, View};
use crate::defects::Defect;
use crate::ids::{BrokerEpoch, NodeId, Offset};
use crate::metadata::{
    BrokerRegistration, BrokerRegistrationChangeRecord, Endpoint, MetadataImage, MetadataRecord,
    RegisterBrokerRecord, SupportedLevels,
};
use crate::time::Instant;
use crate::wire::messages::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest, BrokerRegistrationResponse,
};
use crate::wire::{ErrorCode, NO_ERROR};

/// What a registration is judged against.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    pub(super) id: &'a str,
    pub(super) view: View<'a>,
    pub(super) sessions: &'a Sessions,
}

/// A decided registration; `registered` begins a session once it is written.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) decision: Decision,
    pub(super) registered: Option<(NodeId, BrokerEpoch)>,
}

/// The registration that a request speaks for. Errors: STALE_BROKER_EPOCH if there is none or another.
pub(super) fn check_broker_epoch(
    image: &MetadataImage,
    broker: NodeId,
    epoch: BrokerEpoch,
) -> Result<&BrokerRegistration, ErrorCode> {
    image.broker(broker).filter(|b| b.broker_epoch == epoch).ok_or(ErrorCode::StaleBrokerEpoch)
}

/// Decides about a BrokerRegistration; `next_offset` is where the log will put the next record. Source: CTL-2, KIP-631.
///
/// A new incarnation is refused while the old one's session runs. Otherwise the old one leaves every ISR first, as if
/// it had been fenced, and the new one begins fenced with a new broker epoch. The same incarnation only amends its
/// registration and keeps its epoch.
///
/// If the old one did not shut down cleanly, the new one may lack the tails of its logs and is eligible to lead nowhere.
/// It did if the new one found its broker epoch in the clean-shutdown file and sends it (KIP-966). Without ELR there is
/// no difference: the last member of an ISR stays in it (CTL-6).
///
/// Differs from Kafka: the broker epoch is the offset of the register record itself. In Kafka it is the offset of the
/// first record of the batch, which is lower if the broker has ISRs to leave. Both rise with every registration.
pub(super) fn register(
    cluster: &Cluster<'_>,
    next_offset: Offset,
    request: &BrokerRegistrationRequest,
    now: Instant,
) -> Registration {
    let refuse = |code: ErrorCode| Registration {
        decision: Decision {
            records: Vec::new(),
            response: BrokerRegistrationResponse::default()
                .with_error_code(code.code())
                .with_broker_epoch(-1)
                .into(),
        },
        registered: None,
    };
    if request.cluster_id.as_str() != cluster.id {
        return refuse(ErrorCode::InconsistentClusterId);
    }
    let id = NodeId(request.broker_id.0);
    let existing = cluster.view.image.broker(id);
    let same = existing.filter(|b| b.incarnation_id == request.incarnation_id);
    let unnoticed = cluster.view.defects.has(Defect::RegisterWithoutFencing);
    let replaced = existing.filter(|_| same.is_none() && !unnoticed);
    if replaced.is_some_and(|old| cluster.sessions.is_valid(id, old.broker_epoch, now)) {
        return refuse(ErrorCode::DuplicateBrokerRegistration);
    }
    let mut records = match replaced {
        Some(old) if old.broker_epoch == request.previous_broker_epoch => broker_goes(cluster.view, id),
        Some(_) => broker_lost(cluster.view, id),
        None => Vec::new(),
    };
    let broker_epoch = same.map_or(next_offset + records.len() as i64, |b| b.broker_epoch);
    let mut record = register_record(request, broker_epoch);
    if let Some(same) = same {
        record.fenced = same.fenced;
        record.in_controlled_shutdown = same.in_controlled_shutdown;
    }
    records.push(record.into());
    Registration {
        decision: Decision {
            records,
            response: BrokerRegistrationResponse::default()
                .with_error_code(NO_ERROR)
                .with_broker_epoch(broker_epoch)
                .into(),
        },
        registered: Some((id, broker_epoch)),
    }
}

fn register_record(request: &BrokerRegistrationRequest, broker_epoch: BrokerEpoch) -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker_id: NodeId(request.broker_id.0),
        incarnation_id: request.incarnation_id,
        broker_epoch,
        endpoints: request
            .listeners
            .iter()
            .map(|l| Endpoint {
                name: l.name.to_string(),
                host: l.host.as_str().into(),
                port: l.port,
                security_protocol: l.security_protocol,
            })
            .collect(),
        features: request
            .features
            .iter()
            .map(|f| {
                let levels = SupportedLevels { min: f.min_supported_version, max: f.max_supported_version };
                (f.name.to_string(), levels)
            })
            .collect(),
        rack: request.rack.as_ref().map(|r| r.to_string()).filter(|r| !r.is_empty()),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: request.log_dirs.clone(),
    }
}

/// The life of a registered broker as the controller steers it (`BrokerControlState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokerState {
    /// May not lead.
    Fenced,
    /// May lead.
    Unfenced,
    /// Its leaderships are being moved away.
    ControlledShutdown,
    /// May stop at once.
    ShutdownNow,
}

/// A decided heartbeat; `next` is `None` if it was refused.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pub(super) decision: Decision,
    pub(super) broker: NodeId,
    pub(super) next: Option<BrokerState>,
}

/// Decides about a BrokerHeartbeat. Errors in the answer: STALE_BROKER_EPOCH. Source: CTL-3, KIP-631.
pub(super) fn heartbeat(view: View<'_>, sessions: &Sessions, request: &BrokerHeartbeatRequest) -> Heartbeat {
    let id = NodeId(request.broker_id.0);
    let broker = match check_broker_epoch(view.image, id, request.broker_epoch) {
        Ok(broker) => broker,
        Err(code) => {
            let response = BrokerHeartbeatResponse::default().with_error_code(code.code());
            let decision = Decision { records: Vec::new(), response: response.into() };
            return Heartbeat { decision, broker: id, next: None };
        }
    };
    let next = next_state(view.image, sessions, broker, request);
    let response = BrokerHeartbeatResponse::default()
        .with_error_code(NO_ERROR)
        .with_is_caught_up(request.current_metadata_offset >= broker.registration_offset)
        .with_is_fenced(matches!(next, BrokerState::Fenced | BrokerState::ShutdownNow))
        .with_should_shut_down(next == BrokerState::ShutdownNow);
    let records = transition(view, broker, next);
    Heartbeat { decision: Decision { records, response: response.into() }, broker: id, next: Some(next) }
}

/// Where a heartbeat takes the broker (`BrokerHeartbeatManager.calculateNextBrokerState`).
fn next_state(
    image: &MetadataImage,
    sessions: &Sessions,
    broker: &BrokerRegistration,
    request: &BrokerHeartbeatRequest,
) -> BrokerState {
    let leads = || image.partitions().any(|(_, _, p)| p.leader == Some(broker.id));
    if let Some(shutdown_offset) = sessions.shutdown_offset(broker.id) {
        let all_know = shutdown_offset <= sessions.lowest_active_offset(image);
        return if !leads() && all_know { BrokerState::ShutdownNow } else { BrokerState::ControlledShutdown };
    }
    match (broker.fenced, request.want_fence, request.want_shut_down) {
        (true, _, true) | (false, true, true) => BrokerState::ShutdownNow,
        (true, true, false) | (false, true, false) => BrokerState::Fenced,
        (true, false, false) if request.current_metadata_offset < broker.registration_offset => {
            BrokerState::Fenced
        }
        (true, false, false) | (false, false, false) => BrokerState::Unfenced,
        (false, false, true) if leads() => BrokerState::ControlledShutdown,
        (false, false, true) => BrokerState::ShutdownNow,
    }
}

/// The records that bring the broker into its next state; none if it is there already.
fn transition(view: View<'_>, broker: &BrokerRegistration, next: BrokerState) -> Vec<MetadataRecord> {
    let (id, epoch) = (broker.id, broker.broker_epoch);
    match next {
        BrokerState::Fenced | BrokerState::ShutdownNow if !broker.fenced => fence(view, broker),
        BrokerState::Unfenced if broker.fenced => {
            let mut records = vec![BrokerRegistrationChangeRecord::fenced(id, epoch, false).into()];
            records.extend(broker_comes(view, id));
            records
        }
        BrokerState::ControlledShutdown => {
            let mut records = Vec::new();
            if !broker.in_controlled_shutdown {
                records.push(BrokerRegistrationChangeRecord::controlled_shutdown(id, epoch).into());
            }
            records.extend(broker_goes(view, id));
            records
        }
        BrokerState::Fenced | BrokerState::ShutdownNow | BrokerState::Unfenced => Vec::new(),
    }
}

fn fence(view: View<'_>, broker: &BrokerRegistration) -> Vec<MetadataRecord> {
    let mut records = broker_goes(view, broker.id);
    records.push(BrokerRegistrationChangeRecord::fenced(broker.id, broker.broker_epoch, true).into());
    records
}

/// The records that fence a broker whose session ran out; none if it is fenced already or registered anew.
pub(super) fn fence_expired(view: View<'_>, broker: NodeId, epoch: BrokerEpoch) -> Vec<MetadataRecord> {
    match check_broker_epoch(view.image, broker, epoch) {
        Ok(broker) if !broker.fenced => fence(view, broker),
        _ => Vec::new(),
    }
}
