//! One node on a memory disk, asked by hand: the rig of the room's tests.

use bytes::Bytes;

use super::fetch_messages::FetchAnswer;
use super::fetch_messages::{Fetched, ReplicaFetch, fetch_request, fetch_response, read_fetch_response};
use super::messages::{Candidacy, vote_request, vote_response};
use super::{Leadership, Raft, RaftEvent};
use crate::config::{BrokerConfig, NodeConfig};
use crate::defects::{Defect, DefectSet};
use crate::ids::{LeaderEpoch, NodeId, Offset, Uuid};
use crate::io::{Address, ConnectionId, Listener};
use crate::log::{BatchBuilder, MemoryDisk};
use crate::rpc::{Call, CallResult, Outbox, Outgoing, ReplyTo};
use crate::time::{Duration, Instant};
use crate::wire::{ApiKey, Request, Response};

/// A node with the id 1 in a quorum of the voters 1, 2 and 3.
pub struct Rig {
    pub raft: Raft,
    pub disk: MemoryDisk,
    pub now: Instant,
    pub events: Vec<RaftEvent>,
    /// Every call since the boot of the rig.
    pub asked: Vec<Call>,
    config: NodeConfig,
}

/// What a candidate or a leader named 2 may say.
pub const TWO: NodeId = NodeId(2);
pub const THREE: NodeId = NodeId(3);

pub fn config(node: i32) -> NodeConfig {
    NodeConfig {
        node_id: NodeId(node),
        cluster_id: "c".into(),
        is_broker: node > 3,
        is_controller: node <= 3,
        host: "h".into(),
        voters: (1..=3).map(|n| (NodeId(n), Address::new("h", 9093))).collect(),
        rack: None,
        features: Default::default(),
        broker: BrokerConfig::default(),
        defects: DefectSet::none(),
    }
}

fn reply_to(api_key: ApiKey) -> ReplyTo {
    let connection = ConnectionId::incoming(1);
    ReplyTo { connection, correlation_id: 1, api_key, api_version: 0, listener: Listener::Controller }
}

impl Rig {
    /// Booted, with everything synced.
    pub fn new(node: i32) -> Rig {
        Rig::with_defects(node, [])
    }

    /// The same, with bugs.
    pub fn with_defects(node: i32, defects: impl IntoIterator<Item = Defect>) -> Rig {
        let mut rig = Rig::boot(NodeConfig { defects: DefectSet::of(defects), ..config(node) });
        rig.sync();
        rig
    }

    /// Booted; no sync has come back yet.
    pub fn unsynced(node: i32) -> Rig {
        Rig::boot(config(node))
    }

    fn boot(config: NodeConfig) -> Rig {
        let (mut disk, now) = (MemoryDisk::new(), Instant(1_000));
        let raft = Raft::boot(&config, 1, now, &mut disk, &mut Outbox::default()).unwrap();
        Rig { raft, disk, now, events: Vec::new(), asked: Vec::new(), config }
    }

    /// Ends the process and boots again; the page cache survives. Nothing is synced.
    pub fn restart(&mut self) {
        self.disk.process_crash();
        self.raft = Raft::boot(&self.config, 2, self.now, &mut self.disk, &mut Outbox::default()).unwrap();
    }

    fn collect(&mut self, out: Outbox) -> Vec<Outgoing> {
        self.events.extend(self.raft.take_events());
        self.asked.extend(calls(&out.list));
        out.list
    }

    /// Finishes every sync until none is asked for any more.
    pub fn sync(&mut self) -> Vec<Outgoing> {
        let mut out = Outbox::default();
        loop {
            let tokens = self.disk.complete_all();
            if tokens.is_empty() {
                return self.collect(out);
            }
            for token in tokens {
                self.raft.handle_synced(token, &Ok(()), self.now, &mut self.disk, &mut out);
            }
        }
    }

    /// Sends a request; returns what leaves at once.
    pub fn ask(&mut self, request: impl Into<Request>) -> Vec<Outgoing> {
        let (request, mut out) = (request.into(), Outbox::default());
        let to = reply_to(request.api_key());
        self.raft.handle_request(to, request, self.now, &mut self.disk, &mut out);
        self.collect(out)
    }

    /// Sends a request, finishes the syncs, returns the answer.
    pub fn answer(&mut self, request: impl Into<Request>) -> Option<Response> {
        let mut all = self.ask(request);
        all.extend(self.sync());
        all.into_iter()
            .find_map(|o| if let Outgoing::Reply { response, .. } = o { Some(response) } else { None })
    }

    pub fn vote(
        &mut self,
        candidate: NodeId,
        epoch: LeaderEpoch,
        last_epoch: LeaderEpoch,
        end_offset: Offset,
    ) -> bool {
        self.ask_vote(Candidacy { candidate, epoch, last_epoch, end_offset, pre_vote: false })
    }

    /// Does the node consent to a candidacy?
    pub fn pre_vote(
        &mut self,
        candidate: NodeId,
        epoch: LeaderEpoch,
        last_epoch: LeaderEpoch,
        end_offset: Offset,
    ) -> bool {
        self.ask_vote(Candidacy { candidate, epoch, last_epoch, end_offset, pre_vote: true })
    }

    fn ask_vote(&mut self, asked: Candidacy) -> bool {
        match self.answer(vote_request("c", NodeId(1), &asked)) {
            Some(Response::Vote(v)) => v.topics[0].partitions[0].vote_granted,
            other => panic!("{other:?}"),
        }
    }

    pub fn fetch(
        &mut self,
        replica: i32,
        epoch: LeaderEpoch,
        offset: Offset,
        last_epoch: LeaderEpoch,
    ) -> Option<Fetched> {
        match self.answer(fetch_of(replica, epoch, offset, last_epoch))? {
            Response::Fetch(response) => read_fetch_response(&response),
            other => panic!("{other:?}"),
        }
    }

    /// The same; nothing is synced.
    pub fn fetch_unsynced(
        &mut self,
        replica: i32,
        epoch: LeaderEpoch,
        offset: Offset,
        last_epoch: LeaderEpoch,
    ) {
        self.ask(fetch_of(replica, epoch, offset, last_epoch));
    }

    /// Fires the timer at the node's deadline; nothing is synced.
    pub fn tick(&mut self) -> Vec<Outgoing> {
        self.now = self.now.max(self.raft.next_deadline().expect("a deadline"));
        let mut out = Outbox::default();
        self.raft.handle_timer(self.now, &mut self.disk, &mut out);
        self.collect(out)
    }

    pub fn result(&mut self, call: &Call, result: CallResult) -> Vec<Outgoing> {
        let mut out = Outbox::default();
        self.raft.handle_result(call.id, call.to, result, self.now, &mut self.disk, &mut out);
        self.collect(out)
    }

    /// A voter that is in `epoch` and knows no leader answers a request for its vote.
    pub fn voted(&mut self, call: &Call, epoch: LeaderEpoch, granted: bool) -> Vec<Outgoing> {
        let at = Leadership { epoch, leader: None };
        self.result(call, Ok(vote_response(None, at, granted).into()))
    }

    /// Makes the node lead, by the votes of 2.
    pub fn elect(&mut self) -> LeaderEpoch {
        let epoch = self.elect_unsynced();
        self.sync();
        epoch
    }

    /// The same; its election is durable, its first record is not.
    pub fn elect_unsynced(&mut self) -> LeaderEpoch {
        let asked = calls(&self.tick());
        self.voted(&asked[0], self.raft.epoch(), true);
        let asked = calls(&self.sync());
        self.voted(&asked[0], self.raft.epoch(), true);
        let mut out = Outbox::default();
        for token in self.disk.complete_all() {
            self.raft.handle_synced(token, &Ok(()), self.now, &mut self.disk, &mut out);
        }
        self.collect(out);
        assert!(self.raft.is_leader());
        self.raft.epoch()
    }

    /// What a leader answers to the fetch under way.
    pub fn fetched(
        &mut self,
        call: &Call,
        epoch: LeaderEpoch,
        answer: FetchAnswer,
        hw: Option<Offset>,
    ) -> Vec<Outgoing> {
        let at = Leadership { epoch, leader: Some(call.to) };
        self.result(call, Ok(fetch_response(answer, at, hw).into()))
    }
}

fn fetch_of(replica: i32, epoch: LeaderEpoch, offset: Offset, last_epoch: LeaderEpoch) -> Request {
    let fetch = ReplicaFetch {
        replica: NodeId(replica),
        directory_id: Uuid::from_u128(replica as u128),
        epoch,
        offset,
        last_epoch,
        high_watermark: None,
        max_wait: Duration::from_millis(500),
        max_bytes: 1 << 20,
    };
    fetch_request("c", &fetch).into()
}

/// The calls among what a node wants done.
pub fn calls(list: &[Outgoing]) -> Vec<Call> {
    list.iter().filter_map(|o| if let Outgoing::Call(call) = o { Some(call.clone()) } else { None }).collect()
}

/// A batch of one record at `offset`.
pub fn batch(offset: Offset, epoch: LeaderEpoch) -> Bytes {
    let mut batch = BatchBuilder::new().base_offset(offset).leader_epoch(epoch);
    batch.push(1, None, Some(b"v"), &[]);
    batch.build()
}
