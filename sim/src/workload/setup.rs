//! Creates the scenario's topics, then falls silent.

use broker::io::{Address, Disk, Input};
use broker::time::Instant;

use super::gauge::Gauge;
use crate::client::{Admin, AdminConfig, NewTopic};
use crate::host::{Boot, Machine, Outputs, Program};

/// The program of the machine that creates topics. [`Setup::gauge`] says when they exist and have leaders.
#[derive(Debug, Clone)]
pub struct Setup {
    /// `client.id`.
    pub name: String,
    /// `bootstrap.servers`.
    pub bootstrap: Vec<Address>,
    /// Settings of the admin client.
    pub config: AdminConfig,
    /// What to create.
    pub topics: Vec<NewTopic>,
    /// Read by the run.
    pub gauge: Gauge,
}

impl Program for Setup {
    fn boot(&self, boot: Boot<'_>) -> Result<Box<dyn Machine>, String> {
        let topics = self.topics.clone();
        let mut admin = Admin::new(self.config.clone(), &self.name, &self.bootstrap, topics, boot.seed);
        self.gauge.set_done(admin.is_done());
        admin.pump(boot.now, boot.out);
        Ok(Box::new(SetupMachine { admin, gauge: self.gauge.clone() }))
    }
}

struct SetupMachine {
    admin: Admin,
    gauge: Gauge,
}

impl Machine for SetupMachine {
    fn step(&mut self, now: Instant, input: Input, _disk: &mut dyn Disk, out: &mut Outputs) {
        if self.gauge.is_done() {
            return;
        }
        self.admin.step(now, input, out);
        self.gauge.set_done(self.admin.is_done());
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.admin.next_deadline()
    }
}
