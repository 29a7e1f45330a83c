//! Records at a rate, each with an identity.

use std::sync::Arc;

use broker::io::{Address, Disk, Input};
use broker::time::{Duration, Instant, earliest};
use bytes::Bytes;
use rand::Rng;

use super::gauge::Gauge;
use super::keys::{KeyDraw, Keys};
use crate::client::{Producer, ProducerConfig};
use crate::history::Value;
use crate::host::{Boot, Machine, Outputs, Program};
use crate::seed::{ChaCha8Rng, Seed};

/// The program of a machine that produces.
///
/// A record's value is its identity in eight bytes, big-endian, then zeros. `ShutdownRequested` stops the load: what was
/// handed over is brought to its end, then [`Gauge::is_done`].
#[derive(Debug, Clone)]
pub struct ProduceLoad {
    /// `client.id`.
    pub name: String,
    /// Unique among the producers of a run; see [`ProduceLoad::producer_number`].
    pub number: u32,
    /// `bootstrap.servers`.
    pub bootstrap: Vec<Address>,
    /// Settings of the producer.
    pub config: ProducerConfig,
    /// Where to.
    pub topic: Arc<str>,
    /// Between two records; zero: as fast as `max.in.flight.requests.per.connection` and `buffer.memory` allow.
    pub interval: Duration,
    /// How records get keys.
    pub keys: Keys,
    /// Smallest and largest value, both included; at least 8, the identity.
    pub value_bytes: (u32, u32),
    /// Stop after this many records of one incarnation.
    pub total: Option<u64>,
    /// Not before this, by the machine's own clock.
    pub start_at: Instant,
    /// Read by the run.
    pub gauge: Gauge,
}

impl ProduceLoad {
    /// The producer number in the values of one incarnation, so that no two producers of a run, dead or alive, hand over
    /// the same value. `None` if it does not fit into a [`Value`].
    pub fn producer_number(&self, incarnation: u32) -> Option<u32> {
        Value::producer_number(self.number, incarnation)
    }
}

impl Program for ProduceLoad {
    fn boot(&self, boot: Boot<'_>) -> Result<Box<dyn Machine>, String> {
        let number = self
            .producer_number(boot.incarnation)
            .ok_or_else(|| format!("{}: no producer number left for boot {}", self.name, boot.incarnation))?;
        let mut producer =
            Producer::new(self.config.clone(), &self.name, &self.bootstrap, boot.seed, boot.now);
        producer.want(&self.topic);
        self.gauge.set_done(false);
        let mut machine = ProduceMachine {
            producer,
            number,
            keys: KeyDraw::new(&self.keys),
            rng: Seed(boot.seed).stream("workload/produce"),
            count: 0,
            next_at: self.start_at.max(boot.now),
            pending: None,
            value: Vec::new(),
            is_stopped: false,
            load: self.clone(),
        };
        machine.go_on(boot.now, boot.out);
        Ok(Box::new(machine))
    }
}

/// A record that the producer has not taken yet.
struct Pending {
    id: Value,
    key: Option<Bytes>,
    value_bytes: usize,
    since: Instant,
}

struct ProduceMachine {
    load: ProduceLoad,
    producer: Producer,
    number: u32,
    keys: KeyDraw,
    rng: ChaCha8Rng,
    count: u64,
    next_at: Instant,
    /// While there is one, the application is blocked in `send`.
    pending: Option<Pending>,
    /// The value that is being handed over: one buffer for all.
    value: Vec<u8>,
    is_stopped: bool,
}

impl ProduceMachine {
    /// Hands over what is due, lets the producer send it.
    fn go_on(&mut self, now: Instant, out: &mut Outputs) {
        while let Some(record) = self.pending.take().or_else(|| self.draw(now)) {
            if !self.hand_over(record, now, out) {
                break;
            }
        }
        if self.is_at_end() {
            self.producer.close();
        }
        self.producer.pump(now, out);
        self.load.gauge.set_done(self.is_at_end() && self.producer.is_idle());
    }

    fn is_at_end(&self) -> bool {
        let is_complete = self.load.total.is_some_and(|total| self.count >= total);
        self.pending.is_none() && (self.is_stopped || is_complete)
    }

    /// The next record, if one is due.
    fn draw(&mut self, now: Instant) -> Option<Pending> {
        if self.is_at_end() || self.next_at > now {
            return None;
        }
        if self.load.interval.is_zero() {
            if self.producer.is_saturated(&self.load.topic) {
                return None;
            }
        } else {
            self.next_at += self.load.interval;
        }
        let id = Value::new(self.number, self.count);
        self.count += 1;
        let (min, max) = self.load.value_bytes;
        let min = min.max(8);
        let value_bytes = self.rng.gen_range(min..=max.max(min)) as usize;
        Some(Pending { id, key: self.keys.next(&mut self.rng), value_bytes, since: now })
    }

    /// Gives a record to the producer. `false`: the application is blocked now.
    fn hand_over(&mut self, record: Pending, now: Instant, out: &mut Outputs) -> bool {
        // Behind the identity the buffer never holds anything but zeros.
        self.value.resize(record.value_bytes, 0);
        self.value[..8].copy_from_slice(&record.id.0.to_be_bytes());
        let (topic, key) = (&self.load.topic, record.key.as_deref());
        let sent = self.producer.send(now, topic, key, &self.value, record.id, out);
        let is_blocked = sent.as_ref().is_err_and(|refusal| refusal.is_worth_waiting());
        if is_blocked && !self.is_stopped && now - record.since < self.load.config.max_block {
            self.pending = Some(record);
            return false;
        }
        match sent {
            Ok(_) => self.load.gauge.count_accepted(),
            Err(_) => self.load.gauge.count_refused(),
        }
        // A blocked application does not make up for the time that it lost.
        if !self.load.interval.is_zero() && record.since < now {
            self.next_at = self.next_at.max(now);
        }
        true
    }
}

impl Machine for ProduceMachine {
    fn step(&mut self, now: Instant, input: Input, _disk: &mut dyn Disk, out: &mut Outputs) {
        match input {
            Input::ShutdownRequested => self.is_stopped = true,
            other => self.producer.step(now, other, out),
        }
        self.go_on(now, out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let own = match &self.pending {
            Some(record) => Some(record.since + self.load.config.max_block),
            None if self.is_at_end() => None,
            // At full speed the producer's answers say when to go on.
            None if self.load.interval.is_zero() => (self.count == 0).then_some(self.next_at),
            None => Some(self.next_at),
        };
        earliest(own, self.producer.next_deadline())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use broker::log::MemoryDisk;
    use broker::wire::messages::ProduceResponse;
    use broker::wire::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
    use broker::wire::{ErrorCode, Request};

    use super::*;
    use crate::client::testing::{Asked, Client, FakeCluster, TOPIC_ID, bootstrap, topic};
    use crate::history::HistoryEvent;

    /// A machine on a disk that it does not use.
    struct OnHost(Box<dyn Machine>);

    impl Client for OnHost {
        fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) {
            self.0.step(now, input, &mut MemoryDisk::new(), out);
        }
        fn next_deadline(&self) -> Option<Instant> {
            self.0.next_deadline()
        }
    }

    fn load(configs: &[(&str, &str)], interval_ms: u64) -> ProduceLoad {
        let configs: BTreeMap<_, _> = configs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        ProduceLoad {
            name: "p-0".to_string(),
            number: 2,
            bootstrap: bootstrap(),
            config: ProducerConfig::from_map(&configs).unwrap(),
            topic: topic(),
            interval: Duration::from_millis(interval_ms),
            keys: Keys::None,
            value_bytes: (8, 40),
            total: None,
            start_at: Instant(2_000_000),
            gauge: Gauge::default(),
        }
    }

    fn boot_at(load: &ProduceLoad, is_topic_known: bool) -> FakeCluster<OnHost> {
        let (mut disk, mut out) = (MemoryDisk::new(), Outputs::default());
        let now = Instant(1_000_000);
        let machine =
            load.boot(Boot { now, disk: &mut disk, seed: 9, incarnation: 1, out: &mut out }).unwrap();
        let mut cluster = FakeCluster::resting(OnHost(machine));
        cluster.is_topic_known = is_topic_known;
        cluster.take(out);
        cluster
    }

    fn boot(load: &ProduceLoad) -> FakeCluster<OnHost> {
        boot_at(load, true)
    }

    fn accept(cluster: &mut FakeCluster<OnHost>, asked: &Asked, error: i16) {
        assert!(matches!(asked.request, Request::Produce(_)));
        let partition = PartitionProduceResponse::default().with_error_code(error).with_base_offset(0);
        let topic =
            TopicProduceResponse::default().with_topic_id(TOPIC_ID).with_partition_responses(vec![partition]);
        cluster.answer(asked, ProduceResponse::default().with_responses(vec![topic]));
    }

    fn sent(cluster: &FakeCluster<OnHost>) -> Vec<Value> {
        let value = |event: &HistoryEvent| match event {
            HistoryEvent::Sent { value, .. } => Some(*value),
            _ => None,
        };
        cluster.history.iter().filter_map(value).collect()
    }

    #[test]
    fn records_come_at_their_rate_from_the_start_on() {
        let load = load(&[], 10);
        let mut cluster = boot(&load);
        cluster.pass_ms(999);
        assert!(sent(&cluster).is_empty());
        cluster.pass_ms(100);
        let values = sent(&cluster);
        assert_eq!(values.len(), 10);
        let number = load.producer_number(1).unwrap();
        assert_eq!((number, values[0], values[9]), (129, Value::new(129, 0), Value::new(129, 9)));
    }

    #[test]
    fn a_shutdown_drains() {
        let load = load(&[], 10);
        let mut cluster = boot(&load);
        cluster.pass_ms(1_004);
        cluster.input(Input::ShutdownRequested);
        assert!(!load.gauge.is_done());
        let asked = cluster.next();
        accept(&mut cluster, &asked, 0);
        assert!(load.gauge.is_done());
        cluster.pass_ms(1_000);
        assert_eq!((sent(&cluster).len(), load.gauge.accepted()), (1, 1));
    }

    #[test]
    fn full_speed_is_bounded_by_the_window() {
        let load = load(&[("batch.size", "1000")], 0);
        let mut cluster = boot(&load);
        cluster.pass_ms(1_010);
        let first = sent(&cluster).len();
        assert!((50..500).contains(&first), "{first}");
        assert_eq!(cluster.asked.len(), 5);
        let asked = cluster.next();
        accept(&mut cluster, &asked, 0);
        assert!(sent(&cluster).len() > first);
    }

    #[test]
    fn a_total_ends_the_load() {
        let load = ProduceLoad { total: Some(3), ..load(&[], 0) };
        let mut cluster = boot(&load);
        cluster.pass_ms(1_010);
        let asked = cluster.next();
        accept(&mut cluster, &asked, ErrorCode::MessageTooLarge.code());
        assert_eq!(sent(&cluster).len(), 3);
        assert!(load.gauge.is_done());
    }

    #[test]
    fn a_blocked_application_gives_a_record_up_after_max_block() {
        let load = load(&[("max.block.ms", "500")], 10);
        let mut cluster = boot_at(&load, false);
        cluster.pass_ms(3_100);
        assert!(sent(&cluster).is_empty());
        assert!((3..=5).contains(&load.gauge.refused()), "{}", load.gauge.refused());
    }

    #[test]
    fn every_incarnation_has_a_number_of_its_own() {
        let load = load(&[], 10);
        assert_eq!(load.producer_number(63), Some(191));
        assert_eq!(load.producer_number(64), None);
        assert_eq!(ProduceLoad { number: 1 << 20, ..load }.producer_number(0), None);
    }
}
