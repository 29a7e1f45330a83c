//! The controller as the node sees it.

use super::facts;
use super::refusals;
use super::term::Term;
use crate::config::NodeConfig;
use crate::defects::Defect;
use crate::ids::LeaderEpoch;
use crate::metadata::{
    CommittedBatch, MetadataDelta, MetadataImage, MetadataLog, MetadataRecord, MetadataSnapshot,
};
use crate::rpc::{Outbox, Outgoing, ReplyTo};
use crate::time::Instant;
use crate::trace::Observation;
use crate::wire::Request;

/// The controller of one node, active or standing by (`QuorumController`). Source: KIP-500, KIP-631, CTL-1.
#[derive(Debug)]
pub struct Controller {
    config: NodeConfig,
    seed: u64,
    committed: MetadataImage,
    term: Option<Term>,
    /// K12: what the last term ended with, committed or not, and everything committed since.
    unreverted: Option<MetadataImage>,
}

impl Controller {
    /// A controller that knows nothing yet and is not active. `seed` feeds topic ids and placement.
    pub fn new(config: &NodeConfig, seed: u64) -> Controller {
        Controller {
            config: config.clone(),
            seed,
            committed: MetadataImage::default(),
            term: None,
            unreverted: None,
        }
    }

    /// Folds one committed batch, states what it means and gives the answers that waited for it. A record that cannot
    /// be read halts the node: it would fold another state than its peers (`FaultHandler`).
    ///
    /// A batch of a later epoch ends the term, even if nobody said so yet: its offsets may be those of what this
    /// controller wrote and lost, and nobody may be told that it is committed.
    pub fn committed(&mut self, batch: &CommittedBatch, now: Instant, out: &mut Outbox) {
        if self.term.as_ref().is_some_and(|term| term.epoch() < batch.epoch) {
            self.resigned(now, out);
        }
        let mut delta = MetadataDelta::default();
        for (offset, bytes) in &batch.records {
            let record = match MetadataRecord::decode(bytes.clone()) {
                Ok(record) => record,
                Err(error) => return out.halt(format!("metadata log at offset {offset}: {error}")),
            };
            let settings = &self.config.broker;
            if let Some(kept) = &mut self.unreverted {
                kept.apply(*offset, &record, &mut MetadataDelta::default());
            }
            let fact = facts::apply(&mut self.committed, *offset, &record, &mut delta, settings);
            if let Some(fact) = fact {
                out.fact(Observation::MetadataCommitted { offset: *offset, fact });
            }
        }
        self.committed.applied_to(batch.last_offset, batch.epoch);
        if let Some(term) = &mut self.term {
            term.committed_to(batch.last_offset, out);
        }
    }

    /// Takes a snapshot in the place of everything committed so far. It comes from another leader, so a term is over. A
    /// record that cannot be read halts the node.
    pub fn load_snapshot(&mut self, snapshot: &MetadataSnapshot, now: Instant, out: &mut Outbox) {
        self.resigned(now, out);
        match MetadataImage::from_snapshot(snapshot) {
            Ok(image) => self.committed = image,
            Err(error) => out.halt(format!("metadata snapshot at offset {}: {error}", snapshot.end_offset)),
        }
    }

    /// The node leads the quorum, and everything that earlier leaders wrote was handed to [`Controller::committed`].
    pub fn became_leader(
        &mut self,
        epoch: LeaderEpoch,
        now: Instant,
        log: &mut dyn MetadataLog,
        out: &mut Outbox,
    ) {
        self.resigned(now, out);
        let base = self.unreverted.as_ref().unwrap_or(&self.committed);
        // A refused first write means that leadership is already lost: there was no term.
        if let Ok(term) = Term::begin(&self.config, self.seed, base, epoch, now, log) {
            self.term = Some(term);
            out.fact(Observation::ControllerActive { epoch, active: true });
        }
    }

    /// The node does not lead any more: what is not committed is forgotten, and who waits is told (CTL-1).
    pub fn resigned(&mut self, _now: Instant, out: &mut Outbox) {
        if let Some(term) = self.term.take() {
            let epoch = term.epoch();
            let ahead = term.end(out);
            self.unreverted = self.config.defects.has(Defect::NoRevertOnResign).then_some(ahead);
            out.fact(Observation::ControllerActive { epoch, active: false });
        }
    }

    /// Deals with every request of `refusals`: of brokers, and of operators through brokers. NOT_CONTROLLER if this is not the active controller; any other request ends the connection.
    pub fn handle_request(
        &mut self,
        to: ReplyTo,
        request: Request,
        now: Instant,
        log: &mut dyn MetadataLog,
        out: &mut Outbox,
    ) {
        let Some(refusal) = refusals::not_controller(to.api_version, &request) else {
            out.list.push(Outgoing::Disconnect { to });
            return;
        };
        match &mut self.term {
            Some(term) => term.handle_request(to, request, refusal, now, log, out),
            None => out.reply(to, refusal),
        }
    }

    /// Fences brokers whose session ran out and writes the no-op record when they are due.
    pub fn handle_timer(&mut self, now: Instant, log: &mut dyn MetadataLog, _out: &mut Outbox) {
        if let Some(term) = &mut self.term {
            term.handle_timer(now, log);
        }
    }

    /// When [`Controller::handle_timer`] wants to be called next; never while not active.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.term.as_ref().and_then(Term::next_deadline)
    }

    /// Is this the active controller, as far as it knows?
    pub fn is_active(&self) -> bool {
        self.term.is_some()
    }

    /// The committed state.
    pub fn image(&self) -> &MetadataImage {
        &self.committed
    }

    /// The state ahead of the committed one, `None` while not active. For tests and diagnosis; nothing of it may be told.
    pub fn uncommitted_image(&self) -> Option<&MetadataImage> {
        self.term.as_ref().map(Term::image)
    }
}
