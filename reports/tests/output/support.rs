//! Hand-made reports, one for each verdict.

use std::collections::BTreeMap;

use reports::model::*;
use reports::stats::Quantiles;

pub fn tool() -> Tool {
    Tool { name: "kafkasim".into(), version: "0.1.0".into(), source_digest: Some("b3:5d0c".into()) }
}

fn draft(name: &str, seed: u64, expected: Verdict, check: Option<&str>) -> Report {
    let path = format!("scenarios/{name}.toml");
    let scenario = Scenario {
        name: name.into(),
        digest: "b3:91ab".into(),
        resolved_digest: "b3:77e0".into(),
        path: path.clone(),
        ..Scenario::default()
    };
    let expected = Expected { verdict: expected, check: check.map(Into::into) };
    let mut report = Report::unjudged(tool(), scenario, Seed(seed), expected);
    report.plan_digest = "b3:0a11".into();
    report.end_reason = EndReason::Settled;
    report.reproduce.command = format!("kafkasim run {path} --seed {seed}");
    report.fingerprint = Fingerprint {
        algo: "blake3-chain/1".into(),
        events: 184_211,
        last: "b3:0f64aa10".into(),
        checkpoints: vec![Checkpoint { event: 65_536, t_us: 9_120_011, hash: "b3:aa10".into() }],
    };
    report.time = TimeSpan {
        end_us: 61_220_144,
        phases: vec![Phase { name: "run".into(), start_us: 0, end_us: 51_220_144 }],
    };
    report.elections.controller = vec![ControllerElection {
        t_us: 210_455,
        epoch: 1,
        leader: 1,
        node: "controller-1".into(),
        event: Some(1_204),
    }];
    report.clients = Clients {
        produced: 2_871,
        acked: 2_810,
        failed: 61,
        indeterminate: 0,
        ack_latency_us: Some(Quantiles { p50: 1_203, p99: 9_022_331, max: 9_091_010 }),
    };
    report.coverage = Coverage { probes_hit: 41, probes_total: 63, missed: vec!["txn.fence".into()] };
    report.config.defaults_digest = "b3:1c9e".into();
    report
}

fn check(name: &str, result: CheckResult, evaluations: u64, examined: u64) -> Check {
    Check {
        name: name.into(),
        level: CheckLevel::Error,
        result,
        count: 0,
        examined,
        evaluations,
        summary: None,
        witness: None,
    }
}

fn crash() -> Fault {
    Fault {
        id: "kill-leader".into(),
        n: 1,
        kind: "crash".into(),
        mode: Some("process".into()),
        trigger: Some("isr(orders/0) == [0] && acked_since(starve) >= 50".into()),
        fired_at_us: 40_511_230,
        healed_at_us: None,
        targets: vec!["broker-0".into()],
        event: 151_002,
    }
}

fn cut() -> Fault {
    Fault {
        id: "starve".into(),
        n: 1,
        kind: "partition".into(),
        fired_at_us: 10_000_000,
        healed_at_us: Some(51_220_144),
        targets: vec!["broker-0".into()],
        event: 70_110,
        ..Fault::default()
    }
}

fn failover(unclean: bool) -> Failover {
    Failover {
        partition: "orders/0".into(),
        cause: Some("kill-leader#1".into()),
        old_leader: Some(0),
        new_leader: Some(1),
        old_epoch: 3,
        new_epoch: 4,
        unclean,
        fault_us: Some(40_511_230),
        detected_us: Some(49_511_400),
        elected_us: Some(49_520_033),
        leader_active_us: Some(49_531_871),
        first_ack_us: Some(49_602_240),
        first_read_us: Some(49_640_900),
        detect_us: Some(9_000_170),
        elect_us: Some(8_633),
        unavailable_us: Some(9_091_010),
        isr_before: vec![0],
        isr_after: vec![1],
        truncated_records: if unclean { 61 } else { 0 },
        event: Some(153_377),
    }
}

fn shrink() -> IsrChange {
    IsrChange {
        t_us: 40_001_874,
        partition: "orders/0".into(),
        from: vec![0, 1, 2],
        to: vec![0],
        reason: "replica.lag.time.max.ms".into(),
        event: Some(129_880),
    }
}

/// A leader crash that the cluster survives.
pub fn pass() -> Report {
    let mut report = draft("failover/leader-crash", 7, Verdict::Pass, None);
    report.verdict = Verdict::Pass;
    report.outcome = Outcome::AsExpected;
    report.exit_code = 0;
    report.scenario.variant = Some("two-consumers".into());
    report.reproduce.command.push_str(" --variant two-consumers --set cluster.brokers=5");
    report.scenario.params.insert("cluster.brokers".into(), "5".into());
    report.faults = vec![crash()];
    report.failovers =
        vec![failover(false), Failover { partition: "orders/1".into(), ..Failover::default() }];
    report.isr_changes = vec![shrink()];
    report.elections.partition_clean = 1;
    report.reach = vec![Reach { name: "elections".into(), want: ">= 1".into(), got: 1, ok: true }];
    report.checks = vec![
        check("acked-writes-durable", CheckResult::Held, 2_810, 2_810),
        check("one-leader-per-epoch", CheckResult::Held, 184_211, 4),
        check("no-duplicates", CheckResult::NotApplicable, 0, 0),
        check("isr-legal", CheckResult::NotApplicable, 0, 0),
    ];
    report.groups.insert("reader".into(), Group { rebalances: 1, ..Group::default() });
    report.warnings = vec!["broker config `log.dirs` is known and has no effect here".into()];
    report.config.unmodelled = vec!["log.dirs".into()];
    report
}

/// Acked records lost by an unclean election that the scenario did not expect.
pub fn violation() -> Report {
    let mut report = draft("museum/unclean-election-loses-acked-writes", 20_251, Verdict::Pass, None);
    report.verdict = Verdict::Violation;
    report.outcome = Outcome::Unexpected;
    report.exit_code = 1;
    report.defects = vec!["isr-expand-ignores-epoch-start".into()];
    report.faults = vec![cut(), crash()];
    report.isr_changes = vec![shrink()];
    report.failovers = vec![failover(true)];
    report.elections.partition_unclean = 1;
    report.reproduce.window = Some(
        "kafkasim replay scenarios/museum/unclean-election-loses-acked-writes.toml --seed 20251 --until 50.1s".into(),
    );
    report.checks = vec![
        check("reads-monotonic", CheckResult::Held, 2_749, 2_749),
        Check {
            count: 61,
            summary: Some(
                "61 records acked to p-0 by broker 0 (epoch 3) are not in the log of orders/0 led by broker 1 (epoch 4)"
                    .into(),
            ),
            witness: Some(witness()),
            ..check("acked-writes-durable", CheckResult::Violated, 2_810, 2_810)
        },
    ];
    let window = Window { from_us: 40_511_230, to_us: 49_602_240, why: "leader down".into() };
    let availability =
        Availability { leaderless_us: 9_008_803, unwritable_us: 9_091_010, windows: vec![window] };
    report.availability = BTreeMap::from([("orders/0".to_owned(), availability)]);
    report
}

fn witness() -> Witness {
    let step = |event, t_us, node: &str, what: &str| Step {
        event,
        t_us,
        node: node.into(),
        what: what.into(),
        ..Step::default()
    };
    Witness {
        partition: Some("orders/0".into()),
        offsets: Some([Offset(1_204), Offset(1_264)]),
        keys_sample: vec!["k-17".into(), "k-3".into()],
        steps: vec![
            step(70_110, 10_000_000, "broker-0", "fault starve: replication links cut"),
            Step {
                leader_epoch: Some(3),
                partition_epoch: Some(7),
                ..step(129_880, 40_001_874, "controller-1", "isr [0,1,2] -> [0]")
            },
            Step {
                offset: Some(Offset(1_204)),
                leader_epoch: Some(3),
                hw: Some(Offset(1_205)),
                leo: Some(Offset(1_205)),
                ..step(139_001, 40_120_551, "broker-0", "produce acked")
            },
            Step {
                leader_epoch: Some(4),
                leo: Some(Offset(1_204)),
                ..step(153_377, 49_520_033, "controller-1", "unclean election: leader 1")
            },
            Step {
                leader_epoch: Some(4),
                offset: Some(Offset(1_204)),
                ..step(160_442, 50_011_200, "broker-1", "offset 1204 overwritten by another record")
            },
        ],
        spec: Some("KIP-101; KAFKA-4623".into()),
        first_bad_event: Some(153_377),
        final_bad_event: Some(160_442),
    }
}

/// The same loss where the configuration permits it and the scenario says so.
pub fn permitted_loss() -> Report {
    let check_name = "acked-writes-durable";
    let mut report = draft("recipes/unclean-election", 3, Verdict::PermittedLoss, Some(check_name));
    report.verdict = Verdict::PermittedLoss;
    report.outcome = Outcome::AsExpected;
    report.exit_code = 0;
    report.faults = vec![cut(), crash()];
    report.failovers = vec![failover(true)];
    report.elections.partition_unclean = 1;
    report.checks = vec![
        check("offsets-consistent", CheckResult::Held, 2_810, 2_810),
        Check { count: 61, ..check(check_name, CheckResult::PermittedLoss, 2_810, 2_810) },
    ];
    let cause = |fault: Option<&str>, event, t_us, what: &str| Responsible {
        fault: fault.map(Into::into),
        event,
        t_us,
        what: what.into(),
    };
    report.permitted_losses = vec![PermittedLoss {
        partition: "orders/0".into(),
        offsets: [Offset(1_204), Offset(1_264)],
        count: 61,
        reason: "unclean.leader.election.enable=true".into(),
        responsible: vec![
            cause(Some("starve#1"), 70_110, 10_000_000, "replication links of broker-0 cut"),
            cause(Some("kill-leader#1"), 151_002, 40_511_230, "crash of broker-0, process"),
            cause(None, 153_377, 49_520_033, "unclean election of broker 1, epoch 4"),
        ],
    }];
    report
}

/// A run in which nothing struck and little was exercised.
pub fn inconclusive() -> Report {
    let mut report = draft("chaos/soak", 18_446_744_073_709_551_615, Verdict::Pass, None);
    report.end_reason = EndReason::EventBudget;
    let unfired = |id: &str, kind: &str, trigger: Option<&str>, reason, detail: &str| UnfiredFault {
        id: id.into(),
        kind: kind.into(),
        trigger: trigger.map(Into::into),
        reason,
        detail: detail.into(),
    };
    report.unfired_faults = vec![
        unfired(
            "kill-lone-leader",
            "crash",
            Some("isr(orders/0) == [0] && acked_since(starve) >= 50"),
            UnfiredReason::ConditionUnmet,
            "isr(orders/0) was [0,1,2] until the end, acked_since(starve) was 0 because starve never fired",
        ),
        unfired("stop", "pause", None, UnfiredReason::NoTarget, "no active_controller at 12.000s"),
        unfired("cut", "partition", None, UnfiredReason::NoEffect, "no frame was dropped"),
    ];
    report.reach = vec![Reach { name: "unclean_elections".into(), want: ">= 1".into(), got: 0, ok: false }];
    report.checks = vec![
        check("log-matching", CheckResult::Held, 184_211, 12),
        check("recovery-is-prefix", CheckResult::Vacuous, 0, 0),
    ];
    report.clients = Clients::default();
    report
}

/// A suite with one run of every kind.
pub fn suite() -> SuiteReport {
    let run = |report: Report| SuiteItem::of(&report, reports::digest::of_json(&report));
    let other = |seed, outcome, verdict, exit_code| SuiteItem {
        outcome,
        verdict,
        exit_code,
        ..SuiteItem::new("failover/leader-crash", None, Seed(seed))
    };
    let items = vec![
        run(violation()),
        run(inconclusive()),
        run(pass()),
        run(permitted_loss()),
        other(10, Outcome::AsExpected, Verdict::Pass, 3),
        other(9, Outcome::Unexpected, Verdict::Violation, 70),
        other(2, Outcome::AsExpected, Verdict::Pass, 0),
    ];
    SuiteReport::assemble(tool(), "b3:71a2".into(), true, items)
}
