//! The report of one run: `kafkasim.report/1`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Availability, Check, CheckResult, Clients, Config, Coverage, Elections, EndReason, Expected, Failover,
    Fault, Fingerprint, Group, IsrChange, Outcome, Panic, PermittedLoss, Reach, Reproduce, Scenario, Seed,
    TimeSpan, Tool, UnfiredFault, Verdict,
};

/// Everything that is known about one run. Its bytes are a function of binary, scenario and seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always `kafkasim.report/1`.
    #[schemars(extend("const" = "kafkasim.report/1"))]
    pub schema: String,
    /// The program.
    pub tool: Tool,
    /// The scenario.
    pub scenario: Scenario,
    /// The seed.
    pub seed: Seed,
    /// Digest of the plan that scenario and seed gave.
    pub plan_digest: String,
    /// What happened.
    pub verdict: Verdict,
    /// What the scenario expects.
    pub expected: Expected,
    /// The two compared.
    pub outcome: Outcome,
    /// The exit code that this run alone gives the process.
    pub exit_code: u8,
    /// Why the run ended.
    pub end_reason: EndReason,
    /// How to see it again.
    pub reproduce: Reproduce,
    /// The hash of everything that happened.
    pub fingerprint: Fingerprint,
    /// Simulated time.
    pub time: TimeSpan,
    /// Historic defects that were switched on, by name, sorted.
    pub defects: Vec<String>,
    /// Faults that struck, in order of time.
    pub faults: Vec<Fault>,
    /// Faults that did not do what they were there for.
    pub unfired_faults: Vec<UnfiredFault>,
    /// Goals of the scenario.
    pub reach: Vec<Reach>,
    /// Every check, in the order of `kafkasim list checks`.
    pub checks: Vec<Check>,
    /// Losses that the configuration allows.
    pub permitted_losses: Vec<PermittedLoss>,
    /// Panics of nodes.
    pub panics: Vec<Panic>,
    /// Changes of leader after a failure, in order of time.
    pub failovers: Vec<Failover>,
    /// Time without leader or writes, by `topic/index`.
    pub availability: BTreeMap<String, Availability>,
    /// Changes of in-sync replicas, in order of time.
    pub isr_changes: Vec<IsrChange>,
    /// Elections.
    pub elections: Elections,
    /// Consumer groups, by id.
    pub groups: BTreeMap<String, Group>,
    /// All producers together.
    pub clients: Clients,
    /// Probes seen.
    pub coverage: Coverage,
    /// About the configuration.
    pub config: Config,
    /// What the user should know, e.g. a config name without effect.
    pub warnings: Vec<String>,
}

impl Report {
    /// The report of a run of which nothing is known yet. It is inconclusive with the exit code of that, so a field
    /// that somebody forgets to fill never turns green.
    pub fn unjudged(tool: Tool, scenario: Scenario, seed: Seed, expected: Expected) -> Report {
        Report {
            schema: <Self as crate::json::Document>::SCHEMA.to_owned(),
            tool,
            scenario,
            seed,
            plan_digest: String::new(),
            verdict: Verdict::Inconclusive,
            expected,
            outcome: Outcome::Inconclusive,
            exit_code: 2,
            end_reason: EndReason::Fatal,
            reproduce: Reproduce::default(),
            fingerprint: Fingerprint::default(),
            time: TimeSpan::default(),
            defects: Vec::new(),
            faults: Vec::new(),
            unfired_faults: Vec::new(),
            reach: Vec::new(),
            checks: Vec::new(),
            permitted_losses: Vec::new(),
            panics: Vec::new(),
            failovers: Vec::new(),
            availability: BTreeMap::new(),
            isr_changes: Vec::new(),
            elections: Elections::default(),
            groups: BTreeMap::new(),
            clients: Clients::default(),
            coverage: Coverage::default(),
            config: Config::default(),
            warnings: Vec::new(),
        }
    }

    /// Checks that are violated, in report order.
    pub fn violated(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.result == CheckResult::Violated)
    }

    /// `<scenario>[@variant]/seed-<N>`: the key of this run in a suite, and its directory under `<out>`.
    pub fn key(&self) -> String {
        self.scenario.run_key(self.seed)
    }
}
