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
    }
}

/// Writes a trace by hand. Each call is one event, one millisecond after the last.
pub struct Paper {
    judge: Judge,
    event: u64,
    metadata: Offset,
    partition_epoch: i32,
    isr: Vec<i32>,
}

impl Paper {
    pub fn new() -> Paper {
        Paper::with(config())
    }

    pub fn with(config: JudgeConfig) -> Paper {
        let judge = Judge::new(config);
        Paper { judge, event: 0, metadata: 0, partition_epoch: 0, isr: Vec::new() }
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
        Instant(self.event * 1_000)
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
        self.meta(MetadataFact::PartitionChanged { log: log(), election, state })
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
            settle_started: Some(Instant(self.event * 1_000)),
            settle_bound: Duration::from_secs(60),
            settled: true,
            reason: "ended".to_owned(),
        }
    }

    pub fn finish(self) -> Judgement {
        let end = self.end();
        self.judge.finish(&end)
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

    pub fn outcome(self, check: &str) -> CheckOutcome {
        self.verdict(check).result
    }
}
