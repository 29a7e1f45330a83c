//! Binary, scenario and seed decide a run, down to the bytes of its report: whatever ran before, however many workers
//! there are, and in whatever profile it was built.
//!
//! `PROOF_SEEDS=200 cargo test --release -p sim --test determinism` widens the comparison of repeated runs. Two
//! profiles are compared by comparing what their binaries write:
//!
//! ```text
//! target/release/kafkasim run chaos/random-faults --seeds 1..200 -j 2 --out out-release
//! target/debug/kafkasim   run chaos/random-faults --seeds 1..200 -j 2 --out out-debug
//! diff -r -x run-meta.json out-release out-debug
//! ```
//!
//! `golden.json` holds fingerprints of ten runs. **Change it only when you can say which event moved**: that every run
//! differs from yesterday's is news to whoever kept a seed. `UPDATE_GOLDEN=1 cargo test -p sim --test determinism`
//! writes it anew.

mod proof;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use broker::io::{Address, ConnectionId, Disk, Effect, Input, Listener};
use broker::time::{Duration, Instant};
use bytes::Bytes;
use proof::{Piece, pieces, run_all, scenario};
use reports::json::to_canonical_json;
use scenarios::Overrides;
use sim::plan::{HostId, Plan};
use sim::report::report;
use sim::run::determinism::{self, Comparison, Divergence};
use sim::run::{Cast, KafkaCast, KafkaJudge, Outcome, RunOptions, Stage, simulate};
use sim::trace::Fingerprint;
use sim::world::{Boot, Machine, Outputs, Program};

/// How many seeds are compared when nobody asks for more.
const SEEDS: u64 = 24;

fn chaos(seeds: u64) -> Vec<Piece> {
    pieces(&scenario("chaos/random-faults.toml", &Overrides::default()), 1..=seeds)
}

/// What people and programs see of a run.
fn seen(piece: &Piece, outcome: &Outcome) -> (String, String) {
    let report = report(outcome, &piece.origin);
    let contradictions = report.contradictions();
    assert!(contradictions.is_empty(), "{}: {contradictions:#?}", outcome.key());
    (outcome.fingerprint.clone(), to_canonical_json(&report))
}

#[test]
fn a_seed_gives_the_same_bytes_again_and_with_more_workers() {
    let seeds = std::env::var("PROOF_SEEDS").ok().map_or(SEEDS, |text| text.parse().expect("a number"));
    let pieces = chaos(seeds);
    let pass = |workers| run_all(&pieces, workers, RunOptions::default(), seen);
    let first = pass(1);
    for (pass_number, workers) in [(2, 1), (3, 2), (4, 2)] {
        for (index, (one, other)) in first.iter().zip(pass(workers)).enumerate() {
            let what = format!("seed {}, pass {pass_number} with {workers} workers", index + 1);
            assert_eq!(one.0, other.0, "{what}: another fingerprint");
            assert!(one.1 == other.1, "{what}: another report\n{}\n---\n{}", one.1, other.1);
        }
    }
    let mut fingerprints: Vec<&String> = first.iter().map(|(fingerprint, _)| fingerprint).collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len() as u64, seeds, "two seeds are one run");
    let all: String = first.iter().map(|(_, report)| report.as_str()).collect();
    println!("{seeds} seeds: reports {}", reports::digest::of_bytes(all.as_bytes()));
}

/// What no run may know: how many runs of this process came before.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// Kafka, but the client that creates the topics also tells a broker a number, in one frame, at some time.
struct Telltale {
    at: Instant,
    number: fn() -> u64,
}

struct TelltaleProgram {
    inner: Box<dyn Program>,
    at: Instant,
    number: fn() -> u64,
    to: Address,
}

struct TelltaleMachine {
    inner: Box<dyn Machine>,
    /// When it connects; `None` once it has.
    at: Option<Instant>,
    number: fn() -> u64,
    to: Address,
}

/// Far from the numbers that the client itself gives away.
const TELLTALE: u64 = 1 << 40;

impl Cast for Telltale {
    fn program(&self, plan: &Plan, host: HostId) -> Result<Box<dyn Program>, String> {
        let inner = KafkaCast.program(plan, host)?;
        if host != plan.setup {
            return Ok(inner);
        }
        let to = Address::new(Arc::from(plan.host_name(plan.brokers()[0])), Listener::Client.port());
        Ok(Box::new(TelltaleProgram { inner, at: self.at, number: self.number, to }))
    }
}

impl Program for TelltaleProgram {
    fn boot(&self, boot: Boot<'_>) -> Result<Box<dyn Machine>, String> {
        let inner = self.inner.boot(boot)?;
        let (at, number, to) = (Some(self.at), self.number, self.to.clone());
        Ok(Box::new(TelltaleMachine { inner, at, number, to }))
    }
}

impl Machine for TelltaleMachine {
    fn step(&mut self, now: Instant, input: Input, disk: &mut dyn Disk, out: &mut Outputs) {
        let connection = ConnectionId::outgoing(TELLTALE);
        match input {
            Input::ConnectionOpened { connection: of } if of == connection => {
                let mut frame = 8_u32.to_be_bytes().to_vec();
                frame.extend((self.number)().to_be_bytes());
                out.effects.push(Effect::Send { connection, frame: Bytes::from(frame) });
            }
            Input::ConnectionClosed { connection: of } if of == connection => {}
            input => self.inner.step(now, input, disk, out),
        }
        if self.at.is_some_and(|at| at <= now) {
            self.at = None;
            out.effects.push(Effect::Connect { connection, to: self.to.clone() });
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.inner.next_deadline().into_iter().chain(self.at).min()
    }
}

fn compare(plan: &Plan, at: Instant, number: fn() -> u64) -> Comparison {
    let stage = Stage { cast: &Telltale { at, number }, judge: &KafkaJudge::boxed };
    determinism::check(plan, &stage, RunOptions::default())
}

fn count_runs() -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed)
}

/// The two first events that differ, after the usual assertions.
fn divergence(plan: &Plan, at: Instant) -> Divergence {
    let Comparison::Differs(divergence) = compare(plan, at, count_runs) else {
        panic!("a run that knows how many came before it goes unnoticed");
    };
    assert_ne!(divergence.fingerprints[0], divergence.fingerprints[1]);
    let Some([Some(one), Some(other)]) = &divergence.first else {
        panic!("the first diverging event is not named: {divergence:#?}");
    };
    assert_eq!((one.event, one.at, &one.host), (other.event, other.at, &other.host));
    assert_eq!(one.host, plan.host_name(plan.brokers()[0]), "{divergence:#?}");
    assert!(one.at >= at && one.what.starts_with("frame of 12 bytes"), "{divergence:#?}");
    assert_ne!(one.what, other.what);
    *divergence
}

#[test]
fn a_planted_nondeterminism_is_caught_and_its_first_event_is_named() {
    let plan = pieces(&scenario("quickstart.toml", &Overrides::default()), [1]).remove(0).plan;
    let at = Instant(3_000_000);
    // The same wrapper with the same number is the same run: it is the number that is caught.
    assert!(matches!(compare(&plan, at, || 7), Comparison::Same { .. }));
    assert_eq!(divergence(&plan, at).agree_up_to, 0);
}

#[test]
fn a_late_divergence_is_found_behind_the_checkpoints_that_agree() {
    let overrides = Overrides { variant: Some("control".to_owned()), ..Overrides::default() };
    let parsed = scenario("museum/R06-no-maximal-isr.toml", &overrides);
    let plan = pieces(&parsed, [1]).remove(0).plan;
    let whole = simulate(&plan, &Stage::kafka(), RunOptions::default());
    let checkpoint = whole.checkpoints.first().expect("the run is longer than one interval");
    let at = checkpoint.at + Duration::from_secs(1);
    assert!(at + Duration::from_secs(1) < whole.at, "the run is over before anything can be told");
    let found = divergence(&plan, at);
    assert_eq!(found.agree_up_to, Fingerprint::INTERVAL);
}

/// Scenario, variant, seed: what `golden.json` holds.
const GOLDEN: [(&str, Option<&str>, u64); 10] = [
    ("quickstart.toml", None, 1),
    ("failover/leader-crash.toml", None, 1),
    ("failover/leader-pause.toml", None, 1),
    ("failover/controller-crash.toml", None, 1),
    ("durability/power-loss-one-broker.toml", None, 1),
    ("museum/R06-no-maximal-isr.toml", Some("control"), 1),
    ("recipes/P05-unclean-election.toml", None, 1),
    ("chaos/random-faults.toml", None, 1),
    ("chaos/random-faults.toml", None, 2),
    ("chaos/random-faults.toml", None, 3),
];

#[test]
fn ten_runs_are_what_they_were() {
    let piece = |(file, variant, seed): (&str, Option<&str>, u64)| {
        let overrides = Overrides { variant: variant.map(str::to_owned), ..Overrides::default() };
        pieces(&scenario(file, &overrides), [seed]).remove(0)
    };
    let pieces: Vec<Piece> = GOLDEN.into_iter().map(piece).collect();
    let keep = |_: &Piece, outcome: &Outcome| (outcome.key(), outcome.fingerprint.clone());
    let now: BTreeMap<String, String> =
        run_all(&pieces, 2, RunOptions::default(), keep).into_iter().collect();
    assert_eq!(now.len(), GOLDEN.len());
    let path = proof::root().join("sim/tests/golden.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, to_canonical_json(&now)).unwrap_or_else(|error| panic!("{error}"));
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let golden: BTreeMap<String, String> = serde_json::from_str(&text).expect("it holds names and digests");
    let moved: Vec<&String> = now.keys().filter(|key| golden.get(*key) != now.get(*key)).collect();
    assert!(
        moved.is_empty(),
        "other runs than before: {moved:?}. Which event moved? See the head of this file"
    );
    assert_eq!(golden.len(), now.len(), "golden.json holds runs that nobody compares");
}
