//! One term as the active controller.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::alter_partition::alter_partition;
use super::brokers::{self, Heartbeat};
use super::deferred::Deferred;
use super::elect_leaders::elect_leaders;
use super::preferred::balance_leaders;
use super::producer_ids::allocate_producer_ids;
use super::sessions::Sessions;
use super::unclean::elect_unclean_leaders;
use super::{Decision, View, configs, features, partitions, reassignment, topics, unregister};
use crate::config::{BrokerConfig, NodeConfig};
use crate::defects::{Defect, DefectSet};
use crate::ids::{LeaderEpoch, Offset};
use crate::invariant;
use crate::metadata::{
    METADATA_VERSION, MetadataDelta, MetadataImage, MetadataLog, MetadataRecord, NoOpRecord, NotLeader,
};
use crate::rpc::{Outbox, ReplyTo};
use crate::time::{Duration, Instant, earliest};
use crate::wire::messages::{BrokerHeartbeatRequest, BrokerRegistrationRequest};
use crate::wire::{Request, Response};

/// What the active controller knows beyond the committed metadata (CTL-1).
///
/// *Invariant:* `current` is the committed image plus every batch written in this term, applied in order; `next_offset`
/// is where the log will put the next record.
#[derive(Debug)]
pub(super) struct Term {
    cluster_id: String,
    settings: BrokerConfig,
    defects: DefectSet,
    epoch: LeaderEpoch,
    current: MetadataImage,
    next_offset: Offset,
    sessions: Sessions,
    deferred: Deferred,
    next_noop: Option<Instant>,
    next_balance: Option<Instant>,
    next_unclean: Instant,
    rng: ChaCha8Rng,
}

/// When the next no-op record is due after `now`; never if `metadata.max.idle.interval.ms` is 0. Source: KIP-835.
fn next_noop(settings: &BrokerConfig, now: Instant) -> Option<Instant> {
    let interval = settings.metadata_max_idle_interval;
    (!interval.is_zero()).then(|| now + interval)
}

/// When leaders are next balanced after `now`; never if `auto.leader.rebalance.enable` is off.
fn next_balance(settings: &BrokerConfig, now: Instant) -> Option<Instant> {
    let interval = settings.leader_imbalance_check_interval.max(Duration::from_secs(1));
    settings.auto_leader_rebalance.then(|| now + interval)
}

/// When partitions without a leader are next looked for after `now`.
fn next_unclean(settings: &BrokerConfig, now: Instant) -> Instant {
    now + settings.unclean_leader_election_interval.max(Duration::from_millis(1))
}

impl Term {
    /// Begins a term on top of the committed image. Its first batch says where the log stands: the first term ever
    /// finalizes the features' levels, later ones write a no-op. All sessions begin anew (CTL-3).
    /// Errors: the node does not lead any more.
    pub(super) fn begin(
        config: &NodeConfig,
        seed: u64,
        committed: &MetadataImage,
        epoch: LeaderEpoch,
        now: Instant,
        log: &mut dyn MetadataLog,
    ) -> Result<Term, NotLeader> {
        let first = if committed.features.contains_key(METADATA_VERSION) {
            vec![NoOpRecord.into()]
        } else {
            features::initial_levels(&config.features)
        };
        let last = log.append(epoch, first.iter().map(MetadataRecord::encode).collect(), now)?;
        let mut current = committed.clone();
        for (offset, record) in (last + 1 - first.len() as i64..).zip(&first) {
            current.apply(offset, record, &mut MetadataDelta::default());
        }
        current.applied_to(last, epoch);
        // A stream per term: a node that boots twice with the same seed never draws a topic id twice.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::from(epoch.unsigned_abs()));
        Ok(Term {
            cluster_id: config.cluster_id.clone(),
            settings: config.broker.clone(),
            defects: config.defects.clone(),
            epoch,
            sessions: Sessions::begin(config.broker.session_timeout, &current, now),
            current,
            next_offset: last + 1,
            deferred: Deferred::new(committed.applied_offset),
            next_noop: next_noop(&config.broker, now),
            next_balance: next_balance(&config.broker, now),
            next_unclean: next_unclean(&config.broker, now),
            rng,
        })
    }

    /// The quorum epoch of the term.
    pub(super) fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// The image ahead.
    pub(super) fn image(&self) -> &MetadataImage {
        &self.current
    }

    fn view(&self) -> View<'_> {
        View { image: &self.current, settings: &self.settings, defects: &self.defects }
    }

    /// Ends the term: everyone who waits is told NOT_CONTROLLER. Returns the image ahead: what is in it beyond the
    /// committed one never happened.
    pub(super) fn end(self, out: &mut Outbox) -> MetadataImage {
        self.deferred.refuse_all(out);
        self.current
    }

    /// Everything up to `offset` is committed.
    pub(super) fn committed_to(&mut self, offset: Offset, out: &mut Outbox) {
        self.deferred.committed_to(offset, out);
    }

    /// The quorum may have written records of its own meanwhile (KIP-853): what comes next comes behind them.
    fn catch_up_with(&mut self, log: &dyn MetadataLog) {
        self.next_offset = log.next_offset().map_or(self.next_offset, |next| next.max(self.next_offset));
    }

    /// Appends a batch and applies it at once. Errors: the node does not lead any more; nothing changed.
    fn write(
        &mut self,
        records: &[MetadataRecord],
        now: Instant,
        log: &mut dyn MetadataLog,
    ) -> Result<(), NotLeader> {
        if records.is_empty() {
            return Ok(());
        }
        let last = log.append(self.epoch, records.iter().map(MetadataRecord::encode).collect(), now)?;
        invariant!(
            last + 1 == self.next_offset + records.len() as i64,
            "{} metadata records expected from offset {} on end at {last}",
            records.len(),
            self.next_offset
        );
        let mut delta = MetadataDelta::default();
        for (offset, record) in (self.next_offset..).zip(records) {
            self.current.apply(offset, record, &mut delta);
        }
        self.current.applied_to(last, self.epoch);
        self.next_offset = last + 1;
        Ok(())
    }

    /// Writes a decision and answers when it is committed. A decision without records was a read, and may have read what
    /// is not committed yet: it waits as well (`QuorumController.ControllerWriteEvent`). False: the write was refused.
    fn carry_out(
        &mut self,
        to: ReplyTo,
        decision: Decision,
        refusal: Response,
        now: Instant,
        log: &mut dyn MetadataLog,
        out: &mut Outbox,
    ) -> bool {
        if self.write(&decision.records, now, log).is_err() {
            out.reply(to, refusal);
            return false;
        }
        let offset = match self.defects.has(Defect::UncommittedReads) {
            true => self.deferred.committed(),
            false => self.next_offset - 1,
        };
        self.deferred.answer_at(offset, to, decision.response, refusal, out);
        true
    }

    /// Decides about one request. `refusal` is its NOT_CONTROLLER answer.
    pub(super) fn handle_request(
        &mut self,
        to: ReplyTo,
        request: Request,
        refusal: Response,
        now: Instant,
        log: &mut dyn MetadataLog,
        out: &mut Outbox,
    ) {
        self.catch_up_with(log);
        let decision = match &request {
            Request::BrokerRegistration(r) => return self.register(to, r, refusal, now, log, out),
            Request::BrokerHeartbeat(r) => return self.heartbeat(to, r, refusal, now, log, out),
            Request::AlterPartition(r) => alter_partition(self.view(), to.api_version, r),
            Request::ElectLeaders(r) => elect_leaders(self.view(), to.api_version, r),
            Request::CreateTopics(r) => {
                topics::create_topics(&self.current, &self.settings, &mut self.rng, r)
            }
            Request::DeleteTopics(r) => topics::delete_topics(&self.current, to.api_version, r),
            Request::CreatePartitions(r) => {
                let view = View { image: &self.current, settings: &self.settings, defects: &self.defects };
                partitions::create_partitions(view, &mut self.rng, r)
            }
            Request::UnregisterBroker(r) => unregister::unregister_broker(self.view(), r),
            Request::IncrementalAlterConfigs(r) => configs::alter_configs(self.view(), r),
            Request::UpdateFeatures(r) => features::update_features(&self.current, to.api_version, r),
            Request::AlterPartitionReassignments(r) => reassignment::alter_reassignments(self.view(), r),
            Request::ListPartitionReassignments(r) => reassignment::list_reassignments(&self.current, r),
            Request::AllocateProducerIds(r) => allocate_producer_ids(&self.current, r),
            _ => return out.reply(to, refusal),
        };
        self.carry_out(to, decision, refusal, now, log, out);
    }

    fn register(
        &mut self,
        to: ReplyTo,
        request: &BrokerRegistrationRequest,
        refusal: Response,
        now: Instant,
        log: &mut dyn MetadataLog,
        out: &mut Outbox,
    ) {
        let cluster = brokers::Cluster { id: &self.cluster_id, view: self.view(), sessions: &self.sessions };
        let registration = brokers::register(&cluster, self.next_offset, request, now);
        let written = self.carry_out(to, registration.decision, refusal, now, log, out);
        if let (true, Some((broker, epoch))) = (written, registration.registered) {
            self.sessions.register(broker, epoch, now);
        }
    }

    fn heartbeat(
        &mut self,
        to: ReplyTo,
        request: &BrokerHeartbeatRequest,
        refusal: Response,
        now: Instant,
        log: &mut dyn MetadataLog,
        out: &mut Outbox,
    ) {
        let Heartbeat { decision, broker, next } = brokers::heartbeat(self.view(), &self.sessions, request);
        if !self.carry_out(to, decision, refusal, now, log, out) {
            return;
        }
        if let Some(next) = next {
            self.sessions.touch(broker, next, request.current_metadata_offset, self.next_offset - 1, now);
        }
    }

    /// Fences brokers whose session ran out (one batch each, as Kafka does), writes the no-op record and holds elections,
    /// each when it is due.
    pub(super) fn handle_timer(&mut self, now: Instant, log: &mut dyn MetadataLog) {
        self.catch_up_with(log);
        while let Some((broker, epoch)) = self.sessions.pop_expired(now) {
            let records = brokers::fence_expired(self.view(), broker, epoch);
            // A refusal means that the term is over; the resignation is on its way.
            if self.write(&records, now, log).is_err() {
                return;
            }
        }
        if self.next_noop.is_some_and(|at| at <= now) {
            self.next_noop = next_noop(&self.settings, now);
            // As above: a refusal is followed by the resignation.
            let _ = self.write(&[NoOpRecord.into()], now, log);
        }
        if self.next_balance.is_some_and(|at| at <= now) {
            self.next_balance = next_balance(&self.settings, now);
            let records = balance_leaders(self.view());
            let _ = self.write(&records, now, log);
        }
        if self.next_unclean <= now {
            self.next_unclean = next_unclean(&self.settings, now);
            let records = elect_unclean_leaders(self.view());
            let _ = self.write(&records, now, log);
        }
    }

    /// The earliest of the next session's end, the next no-op record and the next elections that are due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let elections = earliest(self.next_balance, Some(self.next_unclean));
        earliest(elections, earliest(self.next_noop, self.sessions.next_deadline()))
    }
}
