//! A cluster on paper: three brokers on hosts 0-2, a controller on host 3, a producer on host 4, a consumer on host 5.

use std::collections::BTreeMap;

use broker::ids::{LogId, NodeId, Offset, TopicId, TopicPartition};
use broker::time::{Duration, Instant};
use broker::trace::{
    AppendRole, BatchFact, Election, LeaderView, MetadataFact, Observation, PartitionFact, TruncationReason,
};

use super::config::{ConsumerFacts, EndOfRun, JudgeConfig, ProducerFacts, TopicFacts};
use super::findings::{CheckOutcome, CheckResult};
use super::judge::{Judge, Judgement};
use crate::history::{Acks, HistoryEvent, Value};
use crate::plan::{HostId, HostKind};
use crate::trace::{CrashMode, Fact, StopKind, TraceEvent, WorldFact};

pub const CONTROLLER: u32 = 3;
pub const PRODUCER: u32 = 4;
pub const CONSUMER: u32 = 5;

pub fn batch(base: Offset, records: i64, epoch: i32, crc: u32) -> BatchFact {
    BatchFact {
        base_offset: base,
        last_offset: base + records - 1,
        leader_epoch: epoch,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        crc,
        is_control: false,
    }
}

pub fn log() -> LogId {
    LogId { partition: partition(), topic_id: TopicId::from_u128(77) }
}

pub fn partition() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

/// The producer number of the fixture's load 1, third incarnation: checks must tell the two numbers apart.
pub const PRODUCER_NUMBER: u32 = Value::INCARNATIONS + 2;

pub fn values(range: std::ops::Range<u64>) -> Vec<Value> {
    range.map(|n| Value::new(PRODUCER_NUMBER, n)).collect()
}

pub fn config() -> JudgeConfig {
    let node = |id: i32, is_broker: bool| HostKind::Node {
        node_id: NodeId(id),
        is_broker,
        is_controller: !is_broker,
    };
    let client = |name: &str| HostKind::Client { name: name.to_owned() };
    let topic = TopicFacts { unclean_elections: false, min_isr: 2, replication_factor: 3, partitions: 1 };
    JudgeConfig {
        hosts: vec![
            node(0, true),
            node(1, true),
            node(2, true),
            node(3000, false),
            client("p-0"),
            client("c-0"),
        ],
        names: Vec::new(),
        levels: BTreeMap::new(),
        topics: BTreeMap::from([("orders".to_owned(), topic)]),
        producers: vec![ProducerFacts {
            number: 1,
            host: HostId(PRODUCER),
            topic: "orders".to_owned(),
            acks: Acks::All,
            is_idempotent: true,
        }],
        consumers: vec![ConsumerFacts {
            host: HostId(CONSUMER),
            topic: "orders".to_owned(),
            partitions: None,
        }],
        deletions: BTreeMap::new(),
        unclean_requests: BTreeMap::new(),
        quorum_fetch_timeout: Duration::from_secs(2),
        replica_lag_time: Duration::from_secs(10),
        bounds: BTreeMap::new(),
    }
}

/// As [`config`], but the three brokers are the voters of the metadata quorum too, and host 3 is nobody.
pub fn quorum() -> JudgeConfig {
    let mut config = config();
    for (id, kind) in config.hosts.iter_mut().enumerate().take(3) {
        *kind = HostKind::Node { node_id: NodeId(id as i32), is_broker: true, is_controller: true };
    }
    config.hosts[CONTROLLER as usize] = HostKind::Client { name: "nobody".to_owned() };
    config
}

pub fn nodes(ids: &[i32]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

/// Three voters; node 0 leads epoch 1 and has committed one batch, which nodes 0 and 1 have on disk.
pub fn committed_quorum() -> Paper {
    let mut paper = Paper::with(quorum());
    for (host, role) in [(0, AppendRole::Leader(1)), (1, AppendRole::Follower)] {
        paper.quorum_append(host, role, batch(0, 1, 1, 1)).quorum_flush(host, 1);
    }
    paper.quorum_commit(0, 1, 1);
    paper
}

/// Writes a trace by hand. Each call is one event, one millisecond after the last.
pub struct Paper {
    judge: Judge,
    event: u64,
    metadata: Offset,
    partition_epoch: i32,
    isr: Vec<i32>,
    waited_us: u64,
    registration: Option<PartitionFact>,
}

impl Paper {
    pub fn new() -> Paper {
        Paper::with(config())
    }

    pub fn with(config: JudgeConfig) -> Paper {
        let judge = Judge::new(config);
        let (isr, registration) = (Vec::new(), None);
        Paper { judge, event: 0, metadata: 0, partition_epoch: 0, isr, waited_us: 0, registration }
    }

    /// Everybody runs and is registered; broker 0 leads epoch 0 with a full ISR.
    pub fn started(config: JudgeConfig) -> Paper {
        let mut paper = Paper::with(config);
        for host in 0..=CONSUMER {
            paper.world(host, WorldFact::Started { incarnation: 0 });
        }
        paper.node(CONTROLLER, Observation::ControllerActive { epoch: 1, active: true });
        for broker in 0..3 {
            paper.register(broker);
        }
        for broker in 0..3 {
            paper.node(broker, Observation::LogCreated { log: log() });
        }
        paper.elect(Some(0), 0, &[0, 1, 2]);
        paper.lead(0, 0, 0);
        paper
    }

    pub fn at(&self) -> Instant {
        Instant(self.event * 1_000 + self.waited_us)
    }

    /// Nothing happens for so many milliseconds.
    pub fn wait(&mut self, ms: u64) -> &mut Paper {
        self.waited_us += ms * 1_000;
        self
    }

    pub fn fact(&mut self, host: Option<u32>, fact: Fact) -> &mut Paper {
        self.event += 1;
        let event = TraceEvent { event: self.event, at: self.at(), host: host.map(HostId), fact };
        self.judge.observe(&event);
        self
    }

    pub fn node(&mut self, host: u32, observation: Observation) -> &mut Paper {
        self.fact(Some(host), Fact::Node(observation))
    }

    pub fn client(&mut self, host: u32, event: HistoryEvent) -> &mut Paper {
        self.fact(Some(host), Fact::Client(event))
    }

    pub fn world(&mut self, host: u32, fact: WorldFact) -> &mut Paper {
        self.fact(Some(host), Fact::World(fact))
    }

    pub fn meta(&mut self, fact: MetadataFact) -> &mut Paper {
        self.metadata += 1;
        let offset = self.metadata;
        self.node(CONTROLLER, Observation::MetadataCommitted { offset, fact })
    }

    pub fn register(&mut self, broker: u32) -> &mut Paper {
        let node = NodeId(broker as i32);
        let broker_epoch = self.metadata;
        self.meta(MetadataFact::BrokerRegistered { broker: node, broker_epoch });
        self.meta(MetadataFact::BrokerUnfenced { broker: node })
    }

    pub fn elect(&mut self, leader: Option<i32>, epoch: i32, isr: &[i32]) -> &mut Paper {
        let is_in = leader.is_none_or(|leader| self.isr.is_empty() || self.isr.contains(&leader));
        self.change(if is_in { Election::Clean } else { Election::Unclean }, leader, epoch, isr)
    }

    pub fn change(&mut self, election: Election, leader: Option<i32>, epoch: i32, isr: &[i32]) -> &mut Paper {
        self.partition_epoch += 1;
        self.isr = isr.to_vec();
        let state = PartitionFact {
            leader: leader.map(NodeId),
            leader_epoch: epoch,
            partition_epoch: self.partition_epoch,
            replicas: vec![NodeId(0), NodeId(1), NodeId(2)],
            isr: isr.iter().copied().map(NodeId).collect(),
            min_isr: 2,
            elr: vec![],
            last_known_elr: vec![],
            adding: vec![],
            removing: vec![],
            is_recovering: false,
        };
        self.registration = Some(state.clone());
        self.meta(MetadataFact::PartitionChanged { log: log(), election, state })
    }

    /// The registration changes in some other way; the leader stays.
    pub fn register_partition(&mut self, change: impl FnOnce(&mut PartitionFact)) -> &mut Paper {
        let mut state = self.registration.clone().expect("elect somebody first");
        self.partition_epoch += 1;
        state.partition_epoch = self.partition_epoch;
        change(&mut state);
        self.registration = Some(state.clone());
        self.meta(MetadataFact::PartitionChanged { log: log(), election: Election::None, state })
    }

    pub fn feature(&mut self, name: &str, level: i16) -> &mut Paper {
        self.meta(MetadataFact::FeatureChanged { name: name.to_owned(), level })
    }

    pub fn isr_committed(&mut self, host: u32, leader_epoch: i32, isr: &[i32]) -> &mut Paper {
        let (partition_epoch, isr) = (self.partition_epoch, nodes(isr));
        self.node(host, Observation::IsrCommitted { log: log(), leader_epoch, partition_epoch, isr })
    }

    pub fn quorum_append(&mut self, host: u32, role: AppendRole, batch: BatchFact) -> &mut Paper {
        self.node(host, Observation::Appended { log: LogId::metadata(), role, batch })
    }

    pub fn quorum_flush(&mut self, host: u32, up_to: Offset) -> &mut Paper {
        self.node(host, Observation::Flushed { log: LogId::metadata(), up_to })
    }

    pub fn quorum_high_watermark(
        &mut self,
        host: u32,
        from: Offset,
        to: Offset,
        leader: Option<LeaderView>,
    ) -> &mut Paper {
        let log = LogId::metadata();
        self.node(
            host,
            Observation::HighWatermark { log, from, to, log_start: 0, log_end: to.max(from), leader },
        )
    }

    /// The leader of the metadata quorum moves its high watermark; nodes 0 to 2 are the voters.
    pub fn quorum_commit(&mut self, host: u32, leader_epoch: i32, to: Offset) -> &mut Paper {
        let voters = nodes(&[0, 1, 2]);
        let view = LeaderView { leader_epoch, isr: voters.clone(), maximal_isr: voters, min_isr: 2 };
        self.quorum_high_watermark(host, 0, to, Some(view))
    }

    pub fn lead(&mut self, host: u32, leader_epoch: i32, epoch_start: Offset) -> &mut Paper {
        let partition_epoch = self.partition_epoch;
        self.node(host, Observation::BecameLeader { log: log(), leader_epoch, partition_epoch, epoch_start })
    }

    pub fn append(&mut self, host: u32, role: AppendRole, batch: BatchFact) -> &mut Paper {
        self.node(host, Observation::Appended { log: log(), role, batch })
    }

    /// The leader of `epoch` appends, and so do the followers.
    pub fn write(&mut self, leader: u32, followers: &[u32], batch: BatchFact) -> &mut Paper {
        self.append(leader, AppendRole::Leader(batch.leader_epoch), batch);
        for follower in followers {
            self.append(*follower, AppendRole::Follower, batch);
        }
        self
    }

    /// The leader's high watermark moves.
    pub fn commit(&mut self, host: u32, epoch: i32, from: Offset, to: Offset) -> &mut Paper {
        let isr: Vec<NodeId> = self.isr.iter().copied().map(NodeId).collect();
        let view = LeaderView { leader_epoch: epoch, isr: isr.clone(), maximal_isr: isr, min_isr: 2 };
        self.high_watermark(host, from, to, to.max(from), Some(view))
    }

    pub fn high_watermark(
        &mut self,
        host: u32,
        from: Offset,
        to: Offset,
        log_end: Offset,
        leader: Option<LeaderView>,
    ) -> &mut Paper {
        let observation = Observation::HighWatermark { log: log(), from, to, log_start: 0, log_end, leader };
        self.node(host, observation)
    }

    pub fn cut(&mut self, host: u32, from: Offset, to: Offset) -> &mut Paper {
        let reason = TruncationReason::DivergingEpoch;
        self.node(host, Observation::Truncated { log: log(), from, to, reason })
    }

    pub fn crash(&mut self, host: u32, mode: CrashMode) -> &mut Paper {
        let fired = WorldFact::FaultFired {
            id: format!("crash-{host}"),
            n: 1,
            kind: "crash".to_owned(),
            what: format!("{mode:?} crash"),
            targets: vec![HostId(host)],
        };
        self.fact(None, Fact::World(fired));
        self.world(host, WorldFact::Stopped { kind: StopKind::Crash(mode) })
    }

    pub fn open(&mut self, host: u32, incarnation: u32, batches: &[BatchFact]) -> &mut Paper {
        self.world(host, WorldFact::Started { incarnation });
        let log_end = batches.last().map_or(0, |batch| batch.last_offset + 1);
        let batches = batches.to_vec();
        self.node(
            host,
            Observation::LogOpened { log: log(), log_start: 0, log_end, high_watermark: 0, batches },
        )
    }

    pub fn ack(&mut self, base: Offset, values: Vec<Value>) -> &mut Paper {
        self.ack_as(Acks::All, base, values)
    }

    pub fn ack_as(&mut self, acks: Acks, base: Offset, values: Vec<Value>) -> &mut Paper {
        let event = HistoryEvent::Acked {
            partition: partition(),
            acks,
            is_idempotent: true,
            base_offset: Some(base),
            values,
        };
        self.client(PRODUCER, event)
    }

    pub fn poll(&mut self, base: Offset, values: Vec<Value>) -> &mut Paper {
        let records = values.into_iter().enumerate().map(|(i, value)| (base + i as i64, value)).collect();
        self.client(CONSUMER, HistoryEvent::Polled { partition: partition(), records })
    }

    pub fn end(&self) -> EndOfRun {
        EndOfRun {
            event: self.event,
            at: self.at(),
            settle_started: Some(self.at()),
            settle_bound: Duration::from_secs(60),
            settled: true,
            reason: "ended".to_owned(),
        }
    }

    pub fn finish(self) -> Judgement {
        let end = self.end();
        self.finish_at(&end)
    }

    pub fn finish_at(self, end: &EndOfRun) -> Judgement {
        self.judge.finish(end)
    }

    /// The result of one check.
    pub fn verdict(self, check: &str) -> CheckResult {
        let end = self.end();
        self.verdict_at(&end, check)
    }

    pub fn verdict_at(self, end: &EndOfRun, check: &str) -> CheckResult {
        let found = self.judge.finish(end).checks.into_iter().find(|result| result.name == check);
        found.unwrap_or_else(|| panic!("no check {check}"))
    }

    /// The result of one check, if the settle phase begins now and the run ends so many milliseconds later.
    pub fn verdict_after(self, ms: u64, check: &str) -> CheckResult {
        let mut end = self.end();
        end.at = Instant(end.at.as_micros() + ms * 1_000);
        self.verdict_at(&end, check)
    }

    pub fn outcome(self, check: &str) -> CheckOutcome {
        self.verdict(check).result
    }
}
