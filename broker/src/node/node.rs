//! One Kafka process.

use bytes::Bytes;

use super::broker_role::BrokerRole;
use super::channels::{Channels, Finished};
use super::server::{Next, Server};
use crate::config::NodeConfig;
use crate::controller::Controller;
use crate::ids::NodeId;
use crate::io::{Address, ConnectionId, Disk, DiskError, Effect, Effects, Input, Listener, SyncToken};
use crate::log::LogError;
use crate::raft::{Raft, RaftError, RaftEvent};
use crate::rpc::{Caller, Outbox, Outgoing};
use crate::time::{Instant, earliest};

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The metadata quorum's state cannot be read.
    #[error("failed to open the metadata log: {0}")]
    Raft(#[from] RaftError),
    /// A partition's log cannot be read.
    #[error("failed to open the partition logs: {0}")]
    Log(#[from] LogError),
}

/// A Kafka node: broker, controller or both, as a state machine (decision 1).
pub struct Node {
    pub(super) config: NodeConfig,
    pub(super) server: Server,
    pub(super) channels: Channels,
    pub(super) raft: Raft,
    pub(super) controller: Option<Controller>,
    pub(super) broker: Option<BrokerRole>,
    pub(super) outbox: Outbox,
    is_halted: bool,
}

impl Node {
    /// Boots from what the disk holds. Errors: the disk's content cannot be read.
    pub fn boot(
        config: NodeConfig,
        disk: &mut dyn Disk,
        now: Instant,
        seed: u64,
        out: &mut Effects,
    ) -> Result<Node, BootError> {
        let mut outbox = Outbox::default();
        let raft = Raft::boot(&config, seed, now, disk, &mut outbox)?;
        let controller = config.is_controller.then(|| Controller::new(&config, seed));
        let broker = match config.is_broker {
            true => Some(BrokerRole::boot(&config, seed, now, disk, &mut outbox)?),
            false => None,
        };
        let channels = Channels::new(format!("node-{}", config.node_id));
        let mut node = Node {
            config,
            server: Server::default(),
            channels,
            raft,
            controller,
            broker,
            outbox,
            is_halted: false,
        };
        node.drain(now, disk, out);
        Ok(node)
    }

    /// Takes one input. A halted node ignores everything.
    pub fn step(&mut self, now: Instant, input: Input, disk: &mut dyn Disk, out: &mut Effects) {
        if self.is_halted {
            return;
        }
        match input {
            Input::ConnectionAccepted { connection, listener } => self.server.accepted(connection, listener),
            Input::ConnectionOpened { connection } => self.channels.opened(connection, out),
            Input::ConnectionClosed { connection } => self.connection_closed(connection, now, disk),
            Input::FrameReceived { connection, frame } if connection.is_outgoing() => {
                let finished = self.channels.received(connection, frame, out);
                self.finish_calls(finished, now, disk);
            }
            Input::FrameReceived { connection, frame } => {
                self.request_received(connection, frame, now, disk, out)
            }
            Input::TimerDue => self.timer_due(now, disk, out),
            Input::DiskSynced { token, result } => self.disk_synced(token, &result, now, disk),
            Input::ShutdownRequested => {
                // Brokers first: a controlled shutdown needs a controller, perhaps this one.
                match &mut self.broker {
                    Some(broker) => broker.lifecycle.shut_down(now, &mut self.outbox),
                    None => self.raft.shut_down(now, disk, &mut self.outbox),
                }
            }
        }
        self.halt_if_stopped(now, disk);
        self.drain(now, disk, out);
    }

    /// When this node next wants `Input::TimerDue`.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.is_halted {
            return None;
        }
        let controller = self.controller.as_ref().and_then(Controller::next_deadline);
        let broker = self.broker.as_ref().and_then(BrokerRole::next_deadline);
        let own = earliest(self.raft.next_deadline(), self.channels.next_deadline());
        earliest(own, earliest(controller, broker))
    }

    fn request_received(
        &mut self,
        connection: ConnectionId,
        frame: Bytes,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Effects,
    ) {
        let next = self.server.received(connection, frame, out);
        self.carry_out(next, now, disk);
    }

    fn carry_out(&mut self, next: Next, now: Instant, disk: &mut dyn Disk) {
        if let Next::Request { to, request } = next {
            let mut outbox = std::mem::take(&mut self.outbox);
            self.route(to, request, now, disk, &mut outbox);
            self.outbox = outbox;
        }
    }

    fn connection_closed(&mut self, connection: ConnectionId, now: Instant, disk: &mut dyn Disk) {
        if connection.is_outgoing() {
            let finished = self.channels.closed(connection);
            self.finish_calls(finished, now, disk);
        } else if self.server.closed(connection)
            && let Some(broker) = &mut self.broker
        {
            broker.connection_closed(connection);
        }
    }

    fn timer_due(&mut self, now: Instant, disk: &mut dyn Disk, out: &mut Effects) {
        let late = self.channels.expire(now, out);
        self.finish_calls(late, now, disk);
        if self.raft.next_deadline().is_some_and(|at| at <= now) {
            self.raft.handle_timer(now, disk, &mut self.outbox);
        }
        if let Some(controller) = &mut self.controller
            && controller.next_deadline().is_some_and(|at| at <= now)
        {
            controller.handle_timer(now, &mut self.raft, &mut self.outbox);
        }
        if let Some(broker) = &mut self.broker
            && broker.next_deadline().is_some_and(|at| at <= now)
        {
            broker.handle_timer(now, disk, &mut self.outbox);
        }
    }

    fn disk_synced(
        &mut self,
        token: SyncToken,
        result: &Result<(), DiskError>,
        now: Instant,
        disk: &mut dyn Disk,
    ) {
        if self.raft.handle_synced(token, result, now, disk, &mut self.outbox) {
            return;
        }
        if let Some(broker) = &mut self.broker {
            broker.replica.handle_synced(token, result, &broker.image, now, disk, &mut self.outbox);
        }
    }

    /// A broker that was let go ends once its checkpoints and its clean-shutdown marker are durable, a controller once
    /// somebody else leads the quorum.
    fn halt_if_stopped(&mut self, now: Instant, disk: &mut dyn Disk) {
        if self.broker.as_ref().is_some_and(|broker| broker.replica.is_stopped()) {
            self.raft.shut_down(now, disk, &mut self.outbox);
        }
        if self.raft.is_shut_down(now) {
            self.outbox.halt("controlled shutdown");
        }
    }

    fn finish_calls(&mut self, finished: Vec<Finished>, now: Instant, disk: &mut dyn Disk) {
        for over in finished {
            if over.caller == Caller::Raft {
                self.raft.handle_result(over.id, over.from, over.result, now, disk, &mut self.outbox);
            } else if let Some(broker) = &mut self.broker
                && broker.handle_result(over, now, disk, &mut self.outbox)
            {
                broker.replica.shutdown(now, disk, &mut self.outbox);
            }
        }
    }

    /// Carries out what components want, until nothing is left: first what they wrote, in order, then what the quorum
    /// has to say. Each round may cause another.
    fn drain(&mut self, now: Instant, disk: &mut dyn Disk, out: &mut Effects) {
        loop {
            let outbox = std::mem::take(&mut self.outbox);
            let was_quiet = outbox.list.is_empty();
            for outgoing in outbox.list {
                self.send(outgoing, now, disk, out);
            }
            let events = self.raft.take_events();
            if was_quiet && events.is_empty() {
                return;
            }
            for event in events {
                self.quorum_says(event, now, disk);
            }
            self.publish(now, disk);
        }
    }

    fn send(&mut self, outgoing: Outgoing, now: Instant, disk: &mut dyn Disk, out: &mut Effects) {
        match outgoing {
            Outgoing::Fact(fact) => out.observe(fact),
            Outgoing::Reply { to, response } => {
                self.server.reply(to, &response, out);
                let next = self.server.next(to.connection, out);
                self.carry_out(next, now, disk);
            }
            Outgoing::NoReply { to } => {
                self.server.unmute(to);
                let next = self.server.next(to.connection, out);
                self.carry_out(next, now, disk);
            }
            Outgoing::Disconnect { to } => {
                self.server.disconnect(to.connection, out);
                if let Some(broker) = &mut self.broker {
                    broker.connection_closed(to.connection);
                }
            }
            Outgoing::Call(call) => {
                let address = self.address(call.to, call.listener);
                if let Some(failed) = self.channels.call(call, address, now, out) {
                    self.finish_calls(vec![failed], now, disk);
                }
            }
            Outgoing::Halt { reason } => {
                self.is_halted = true;
                out.push(Effect::Halt { reason });
            }
        }
    }

    fn quorum_says(&mut self, event: RaftEvent, now: Instant, disk: &mut dyn Disk) {
        match event {
            RaftEvent::Committed(batch) => self.committed(&batch, now, disk),
            RaftEvent::SnapshotLoaded(snapshot) => self.snapshot_loaded(&snapshot, now, disk),
            RaftEvent::BecameLeader { epoch } => {
                if let Some(controller) = &mut self.controller {
                    controller.became_leader(epoch, now, &mut self.raft, &mut self.outbox);
                }
            }
            RaftEvent::Resigned { .. } => {
                if let Some(controller) = &mut self.controller {
                    controller.resigned(now, &mut self.outbox);
                }
            }
            RaftEvent::LeaderChanged { leader, .. } => {
                if let Some(broker) = &mut self.broker {
                    broker.set_controller(leader, now, &mut self.outbox);
                }
            }
        }
    }

    /// Where a peer's listener is: the log or the configuration names voters, brokers are registered.
    fn address(&self, to: NodeId, listener: Listener) -> Option<Address> {
        if listener == Listener::Controller {
            return self.raft.address_of(to).or_else(|| self.config.voters.get(&to)).cloned();
        }
        self.broker.as_ref()?.image.broker(to)?.address(listener)
    }
}
