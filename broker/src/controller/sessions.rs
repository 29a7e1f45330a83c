//! When each broker was heard of last.

use std::collections::BTreeMap;

use super::brokers::BrokerState;
use crate::ids::{BrokerEpoch, NodeId, Offset};
use crate::metadata::MetadataImage;
use crate::time::{Duration, Instant, TimerQueue};

#[derive(Debug, Clone, Copy)]
struct Contact {
    broker_epoch: BrokerEpoch,
    /// What the broker last said it had applied, -1 if nothing yet.
    metadata_offset: Offset,
    /// The offset that every active broker must have applied before this broker may go; set while it is shutting down.
    shutdown_offset: Option<Offset>,
}

/// Soft state about brokers: it lives as long as one term (`BrokerHeartbeatManager`, `BrokerHeartbeatTracker`). Source: CTL-3.
#[derive(Debug)]
pub(super) struct Sessions {
    timeout: Duration,
    contacts: BTreeMap<NodeId, Contact>,
    expiry: TimerQueue<NodeId>,
}

impl Sessions {
    /// Every registered broker gets a fresh session: the earlier controller's clock is not known here.
    pub(super) fn begin(timeout: Duration, image: &MetadataImage, now: Instant) -> Self {
        let mut sessions = Sessions { timeout, contacts: BTreeMap::new(), expiry: TimerQueue::default() };
        for broker in image.brokers.values() {
            sessions.register(broker.id, broker.broker_epoch, now);
        }
        sessions
    }

    /// Does a session of this registration run? True for fenced brokers as well, while they keep in touch.
    pub(super) fn is_valid(&self, broker: NodeId, epoch: BrokerEpoch, now: Instant) -> bool {
        self.contacts.get(&broker).is_some_and(|c| c.broker_epoch == epoch)
            && self.expiry.deadline(&broker).is_some_and(|at| at > now)
    }

    /// The broker registered: a new session, whatever there was before.
    pub(super) fn register(&mut self, broker: NodeId, epoch: BrokerEpoch, now: Instant) {
        self.contacts
            .insert(broker, Contact { broker_epoch: epoch, metadata_offset: -1, shutdown_offset: None });
        self.expiry.schedule(broker, now + self.timeout);
    }

    /// A heartbeat was dealt with and the broker is now in state `next`; `written` is the last offset of the log. A
    /// broker that may go loses its session at once, so that its next incarnation need not wait for the old one.
    pub(super) fn touch(
        &mut self,
        broker: NodeId,
        next: BrokerState,
        metadata_offset: Offset,
        written: Offset,
        now: Instant,
    ) {
        let Some(contact) = self.contacts.get_mut(&broker) else { return };
        contact.metadata_offset = metadata_offset;
        match next {
            BrokerState::Fenced | BrokerState::ShutdownNow => contact.shutdown_offset = None,
            BrokerState::ControlledShutdown => {
                contact.shutdown_offset.get_or_insert(written);
            }
            BrokerState::Unfenced => {}
        }
        if next == BrokerState::ShutdownNow {
            self.expiry.cancel(&broker);
        } else {
            self.expiry.schedule(broker, now + self.timeout);
        }
    }

    /// The offset at which the broker's controlled shutdown is complete; `None` if it is not shutting down in this term.
    pub(super) fn shutdown_offset(&self, broker: NodeId) -> Option<Offset> {
        self.contacts.get(&broker)?.shutdown_offset
    }

    /// The lowest metadata offset that an active broker said it had applied; the highest number if there is none.
    pub(super) fn lowest_active_offset(&self, image: &MetadataImage) -> Offset {
        self.contacts
            .iter()
            .filter(|(id, c)| c.shutdown_offset.is_none() && image.broker(**id).is_some_and(|b| !b.fenced))
            .map(|(_, c)| c.metadata_offset)
            .min()
            .unwrap_or(Offset::MAX)
    }

    /// Takes one broker whose session ran out.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(NodeId, BrokerEpoch)> {
        while let Some(broker) = self.expiry.pop_due(now) {
            if let Some(contact) = self.contacts.get_mut(&broker) {
                contact.shutdown_offset = None;
                return Some((broker, contact.broker_epoch));
            }
        }
        None
    }

    /// When the next session runs out.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.expiry.next_deadline()
    }
}
