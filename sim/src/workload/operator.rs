//! The machine of the operator: does nothing until a fault gives it a task.

use broker::io::{Address, Disk, Input};
use broker::time::Instant;

use crate::client::{AdminConfig, NewTopic, Operator};
use crate::host::{Boot, Machine, Outputs, Program};

/// The program of the machine at which the operator sits. It exists only in runs with cluster verbs.
#[derive(Debug, Clone)]
pub struct OperatorDesk {
    /// `client.id`.
    pub name: String,
    /// `bootstrap.servers`.
    pub bootstrap: Vec<Address>,
    /// Settings of the admin client.
    pub config: AdminConfig,
    /// The topics as the scenario declares them, to create them again.
    pub topics: Vec<NewTopic>,
}

impl Program for OperatorDesk {
    fn boot(&self, boot: Boot<'_>) -> Result<Box<dyn Machine>, String> {
        let topics = self.topics.clone();
        let operator = Operator::new(self.config.clone(), &self.name, &self.bootstrap, topics, boot.seed);
        Ok(Box::new(OperatorMachine { operator }))
    }
}

struct OperatorMachine {
    operator: Operator,
}

impl Machine for OperatorMachine {
    fn step(&mut self, now: Instant, input: Input, _disk: &mut dyn Disk, out: &mut Outputs) {
        self.operator.step(now, input, out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.operator.next_deadline()
    }
}
