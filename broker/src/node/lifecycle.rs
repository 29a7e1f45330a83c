//! A broker's life as the controller sees it: registration, heartbeats, unfencing, controlled shutdown
//! (`BrokerLifecycleManager`, KIP-631; CTL-2, CTL-3).
//!
//! ```text
//! Starting ──registered──▶ Recovery ──caught up──▶ Unfencing ──heartbeat says so──▶ Running ──▶ ShuttingDown
//!     ▲                        └───────────── registration lost ◀──────────────────────┘
//! ```

use crate::config::NodeConfig;
use crate::ids::{BrokerEpoch, NodeId, Offset, Uuid};
use crate::io::Listener;
use crate::metadata::{FEATURES, listener_name};
use crate::rpc::{Call, CallResult, Caller, Outbox};
use crate::time::{Duration, Instant};
use crate::trace::Observation;
use crate::wire::messages::broker_registration_request::{
    BrokerRegistrationRequest, Feature, Listener as WireListener,
};
use crate::wire::messages::{BrokerHeartbeatRequest, BrokerId};
use crate::wire::{ErrorCode, NO_ERROR, Request, Response, StrBytes};

/// Where a broker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not registered.
    Starting,
    /// Registered; metadata up to the own registration is not applied yet.
    Recovery,
    /// Caught up; asks to be unfenced.
    Unfencing,
    /// Unfenced.
    Running,
    /// Asks to be relieved of its leaderships.
    ShuttingDown,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Recovery => "recovery",
            State::Unfencing => "fenced",
            State::Running => "running",
            State::ShuttingDown => "shutting-down",
        }
    }
}

/// What the lifecycle tells the node after a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// Nothing new.
    None,
    /// Registered with this broker epoch.
    Registered(BrokerEpoch),
    /// The controller lets the broker go: stop now.
    ShutDownNow,
}

/// Registration and heartbeats of one broker.
#[derive(Debug)]
pub struct Lifecycle {
    node_id: NodeId,
    cluster_id: StrBytes,
    incarnation_id: Uuid,
    host: StrBytes,
    rack: Option<StrBytes>,
    heartbeat_interval: Duration,
    request_timeout: Duration,
    previous_broker_epoch: BrokerEpoch,
    state: State,
    broker_epoch: BrokerEpoch,
    controller: Option<NodeId>,
    /// The one call in flight.
    waiting_for: Option<u64>,
    next_call: u64,
    next_at: Instant,
}

impl Lifecycle {
    /// A broker that just booted. `previous_broker_epoch` is that of its last clean shutdown, -1 if it was not clean.
    pub fn new(
        config: &NodeConfig,
        incarnation_id: Uuid,
        previous_broker_epoch: BrokerEpoch,
        now: Instant,
    ) -> Self {
        Lifecycle {
            node_id: config.node_id,
            cluster_id: StrBytes::from_string(config.cluster_id.clone()),
            incarnation_id,
            host: StrBytes::from_string(config.host.to_string()),
            rack: config.rack.clone().map(StrBytes::from_string),
            heartbeat_interval: config.broker.heartbeat_interval,
            request_timeout: config.broker.session_timeout / 2,
            previous_broker_epoch,
            state: State::Starting,
            broker_epoch: -1,
            controller: None,
            waiting_for: None,
            next_call: 0,
            next_at: now,
        }
    }

    /// The broker epoch of the current registration, -1 before.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.broker_epoch
    }

    /// Another controller is active: talk to it at once.
    pub fn set_controller(&mut self, controller: Option<NodeId>, now: Instant) {
        if controller != self.controller {
            self.controller = controller;
            self.waiting_for = None;
            self.next_at = now;
        }
    }

    /// The metadata up to `applied` (inclusive) is applied: a broker past its own registration asks to be unfenced.
    pub fn metadata_applied(&mut self, applied: Offset, now: Instant, out: &mut Outbox) {
        if self.state == State::Recovery && applied >= self.broker_epoch {
            self.enter(State::Unfencing, out);
            self.next_at = now;
        }
    }

    /// The operator wants a controlled shutdown.
    pub fn shut_down(&mut self, now: Instant, out: &mut Outbox) {
        self.enter(State::ShuttingDown, out);
        self.next_at = now;
    }

    /// When it next wants to talk.
    pub fn next_deadline(&self) -> Option<Instant> {
        (self.waiting_for.is_none() && self.controller.is_some()).then_some(self.next_at)
    }

    /// Talks to the controller if it is time. `applied` is the last metadata offset applied.
    pub fn handle_timer(&mut self, applied: Offset, now: Instant, out: &mut Outbox) {
        let Some(controller) = self.controller else { return };
        if self.waiting_for.is_some() || now < self.next_at {
            return;
        }
        let request = match self.state {
            State::Starting => self.registration(),
            _ => self.heartbeat(applied),
        };
        self.next_call += 1;
        self.waiting_for = Some(self.next_call);
        out.call(Call {
            caller: Caller::Lifecycle,
            id: self.next_call,
            to: controller,
            listener: Listener::Controller,
            request,
            timeout: self.request_timeout,
        });
    }

    /// The controller answered, or did not.
    pub fn handle_result(
        &mut self,
        id: u64,
        result: CallResult,
        now: Instant,
        out: &mut Outbox,
    ) -> LifecycleEvent {
        if self.waiting_for != Some(id) {
            return LifecycleEvent::None;
        }
        self.waiting_for = None;
        self.next_at = now + self.heartbeat_interval;
        match result {
            Ok(Response::BrokerRegistration(response)) if response.error_code == NO_ERROR => {
                self.broker_epoch = response.broker_epoch;
                self.enter(State::Recovery, out);
                LifecycleEvent::Registered(response.broker_epoch)
            }
            Ok(Response::BrokerRegistration(_)) => {
                // Another incarnation's session is still valid, or the controller moved: try again soon.
                self.next_at = now + self.heartbeat_interval / 4;
                LifecycleEvent::None
            }
            Ok(Response::BrokerHeartbeat(response)) => self.heartbeat_answered(
                response.error_code,
                response.is_fenced,
                response.should_shut_down,
                now,
                out,
            ),
            Ok(_) | Err(_) => {
                self.next_at = now + self.heartbeat_interval / 4;
                LifecycleEvent::None
            }
        }
    }

    fn heartbeat_answered(
        &mut self,
        error_code: i16,
        is_fenced: bool,
        should_shut_down: bool,
        now: Instant,
        out: &mut Outbox,
    ) -> LifecycleEvent {
        if error_code != NO_ERROR {
            let lost = [ErrorCode::BrokerIdNotRegistered.code(), ErrorCode::StaleBrokerEpoch.code()];
            if lost.contains(&error_code) && self.state != State::ShuttingDown {
                self.enter(State::Starting, out);
                self.next_at = now;
            }
            return LifecycleEvent::None;
        }
        match self.state {
            State::ShuttingDown if should_shut_down => return LifecycleEvent::ShutDownNow,
            State::Unfencing if !is_fenced => self.enter(State::Running, out),
            State::Running if is_fenced => {
                self.enter(State::Unfencing, out);
                self.next_at = now;
            }
            _ => {}
        }
        LifecycleEvent::None
    }

    fn enter(&mut self, state: State, out: &mut Outbox) {
        if self.state != state {
            self.state = state;
            out.fact(Observation::BrokerState { state: state.name() });
        }
    }

    fn registration(&self) -> Request {
        let listener = |listener: Listener| {
            WireListener::default()
                .with_name(StrBytes::from_static_str(listener_name(listener)))
                .with_host(self.host.clone())
                .with_port(listener.port())
                .with_security_protocol(0)
        };
        BrokerRegistrationRequest::default()
            .with_broker_id(BrokerId(self.node_id.0))
            .with_cluster_id(self.cluster_id.clone())
            .with_incarnation_id(self.incarnation_id)
            .with_listeners(vec![listener(Listener::Client), listener(Listener::Replication)])
            .with_features(
                FEATURES
                    .iter()
                    .map(|feature| {
                        Feature::default()
                            .with_name(StrBytes::from_static_str(feature.name))
                            .with_min_supported_version(feature.supported.min)
                            .with_max_supported_version(feature.supported.max)
                    })
                    .collect(),
            )
            .with_rack(self.rack.clone())
            .with_previous_broker_epoch(self.previous_broker_epoch)
            .into()
    }

    fn heartbeat(&self, applied: Offset) -> Request {
        BrokerHeartbeatRequest::default()
            .with_broker_id(BrokerId(self.node_id.0))
            .with_broker_epoch(self.broker_epoch)
            .with_current_metadata_offset(applied)
            .with_want_fence(self.state == State::Recovery)
            .with_want_shut_down(self.state == State::ShuttingDown)
            .into()
    }
}
