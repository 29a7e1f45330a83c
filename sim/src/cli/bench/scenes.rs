//! The clusters that are measured, as scenarios. They are text so that anybody can run them from a file.

use crate::cli::{Exit, Failure};
use crate::plan::Plan;
use crate::seed::Seed;

/// A cluster to measure.
pub struct Scene {
    /// Its file name, if it were one.
    pub name: &'static str,
    text: &'static str,
    /// Producers send as fast as their window of requests allows.
    is_full_speed: bool,
}

impl Scene {
    /// The plan of this cluster for a seed.
    pub fn plan(&self, seed: u64) -> Result<Plan, Failure> {
        let internal = |error: String| Failure::new(Exit::Internal, format!("bench {}: {error}", self.name));
        let parsed = scenarios::parse(self.name, self.text).map_err(|report| internal(report.to_string()))?;
        let mut plan = Plan::draw(&parsed, Seed(seed)).map_err(|error| internal(error.to_string()))?;
        if self.is_full_speed {
            plan.producers.iter_mut().for_each(|producer| producer.interval_us = 0);
        }
        Ok(plan)
    }
}

/// One record a request, three leader crashes.
pub const REQUESTS: Scene = Scene {
    name: "requests.toml",
    is_full_speed: true,
    text: r#"
format = 1
name   = "bench/requests"

[cluster]
brokers     = 3
controllers = 3
mode        = "isolated"

[broker.config]
broker.session.timeout.ms    = 2000
broker.heartbeat.interval.ms = 500

[[topic]]
name               = "orders"
partitions         = 3
replication_factor = 3
config             = { min.insync.replicas = 2 }

[[producer]]
topic       = "orders"
count       = 3
value_bytes = 100
config      = { acks = "all", enable.idempotence = true, linger.ms = 0, batch.size = 0 }

[[consumer]]
topic  = "orders"
config = { auto.offset.reset = "earliest" }

[[phase]]
name = "run"
for  = "30s"

[[fault]]
id    = "chase-leader"
every = "8s"
count = 3
crash = "leader(orders/0)"
for   = "4s"
"#,
};

/// About a hundred records a request, three leader crashes.
pub const RECORDS: Scene = Scene {
    name: "records.toml",
    is_full_speed: true,
    text: r#"
format = 1
name   = "bench/records"

[cluster]
brokers     = 3
controllers = 3
mode        = "isolated"

[broker.config]
broker.session.timeout.ms    = 2000
broker.heartbeat.interval.ms = 500

[[topic]]
name               = "orders"
partitions         = 3
replication_factor = 3
config             = { min.insync.replicas = 2 }

[[producer]]
topic       = "orders"
count       = 3
value_bytes = 100
# A hundred records of 100 bytes with what the format adds.
config      = { acks = "all", enable.idempotence = true, linger.ms = 5, batch.size = 11000 }

[[consumer]]
topic  = "orders"
config = { auto.offset.reset = "earliest" }

[[phase]]
name = "run"
for  = "30s"

[[fault]]
id    = "chase-leader"
every = "8s"
count = 3
crash = "leader(orders/0)"
for   = "4s"
"#,
};

/// A hundred requests, one leader crash.
pub const FAILOVER: Scene = Scene {
    name: "failover.toml",
    is_full_speed: false,
    text: r#"
format = 1
name   = "bench/failover"

[cluster]
brokers     = 3
controllers = 3
mode        = "isolated"

[[topic]]
name               = "orders"
partitions         = 1
replication_factor = 3
config             = { min.insync.replicas = 2 }

[[producer]]
topic       = "orders"
rate        = "10/s"
records     = 100
value_bytes = 100
config      = { acks = "all", enable.idempotence = true, linger.ms = 0, batch.size = 0 }

[[consumer]]
topic  = "orders"
config = { auto.offset.reset = "earliest" }

[[phase]]
name = "run"
for  = "20s"

[[fault]]
id    = "kill-leader"
at    = "6s"
crash = "leader(orders/0)"
for   = "12s"
"#,
};

/// A hundred brokers, ten thousand partitions, one broker lost and back.
pub const LARGE_CLUSTER: Scene = Scene {
    name: "cluster-100x10000.toml",
    is_full_speed: false,
    text: r#"
format     = 1
name       = "bench/cluster-100x10000"
time_limit = "2m"

[cluster]
brokers     = 100
controllers = 3
mode        = "isolated"

[[topic]]
name               = "orders"
partitions         = 10000
replication_factor = 3
config             = { min.insync.replicas = 2 }

[[phase]]
name = "run"
for  = "20s"

[[fault]]
id    = "lose-a-broker"
at    = "6s"
crash = "broker(7)"

[[phase]]
name   = "settle"
heal   = "all"
until  = "all_isr_full"
within = "1m"
"#,
};

/// The same, ten times smaller.
pub const SMALL_CLUSTER: Scene = Scene {
    name: "cluster-10x1000.toml",
    is_full_speed: false,
    text: r#"
format     = 1
name       = "bench/cluster-10x1000"
time_limit = "2m"

[cluster]
brokers     = 10
controllers = 3
mode        = "isolated"

[[topic]]
name               = "orders"
partitions         = 1000
replication_factor = 3
config             = { min.insync.replicas = 2 }

[[phase]]
name = "run"
for  = "20s"

[[fault]]
id    = "lose-a-broker"
at    = "6s"
crash = "broker(7)"

[[phase]]
name   = "settle"
heal   = "all"
until  = "all_isr_full"
within = "1m"
"#,
};

/// Every scene.
pub const SCENES: [Scene; 5] = [REQUESTS, RECORDS, FAILOVER, LARGE_CLUSTER, SMALL_CLUSTER];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scene_is_a_scenario() {
        for scene in SCENES {
            let plan = scene.plan(1).unwrap();
            let is_full_speed = plan.producers.first().is_some_and(|producer| producer.interval_us == 0);
            assert_eq!(is_full_speed, scene.is_full_speed, "{}", scene.name);
        }
    }
}
