//! Reads partitions to the end and on.

use std::sync::Arc;

use broker::io::{Address, Disk, Input};
use broker::time::Instant;

use crate::client::{Consumer, ConsumerConfig};
use crate::host::{Boot, Machine, Outputs, Program};

/// The program of a machine that reads. It goes on reading when it is asked to shut down: a run drains its producers
/// and waits until consumers have caught up.
#[derive(Debug, Clone)]
pub struct ConsumeLoad {
    /// `client.id`.
    pub name: String,
    /// `bootstrap.servers`.
    pub bootstrap: Vec<Address>,
    /// Settings of the consumer.
    pub config: ConsumerConfig,
    /// What to read.
    pub topic: Arc<str>,
    /// Which partitions; `None`: all of them.
    pub partitions: Option<Vec<i32>>,
}

impl Program for ConsumeLoad {
    fn boot(&self, boot: Boot<'_>) -> Result<Box<dyn Machine>, String> {
        let (config, topic) = (self.config.clone(), self.topic.clone());
        let mut consumer =
            Consumer::new(config, &self.name, &self.bootstrap, topic, self.partitions.clone(), boot.seed);
        consumer.pump(boot.now, boot.out);
        Ok(Box::new(ConsumeMachine { consumer }))
    }
}

struct ConsumeMachine {
    consumer: Consumer,
}

impl Machine for ConsumeMachine {
    fn step(&mut self, now: Instant, input: Input, _disk: &mut dyn Disk, out: &mut Outputs) {
        self.consumer.step(now, input, out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.consumer.next_deadline()
    }
}
