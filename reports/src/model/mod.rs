//! The documents that kafkasim writes, field by field.
//!
//! The types are the format: fields appear in the order in which they are declared, maps are sorted, numbers are
//! integers with the unit last (`_us` is simulated microseconds since the start of the run), and what may exceed
//! 2^53 (seeds, offsets) is a decimal string. An absent value is written as `null`, never left out; a reader
//! ignores fields that it does not know. Within a major version fields are only added, and each added field is an
//! `Option` or has a serde default, so that older reports still parse.
//!
//! | file | type | document or part |
//! |---|---|---|
//! | `run.rs` | [`Report`] | `kafkasim.report/1`, one per run |
//! | `suite.rs` | [`SuiteReport`] | `kafkasim.suite/1`, one per suite |
//! | `run_meta.rs` | [`RunMeta`] | `kafkasim.run-meta/1`: all that depends on the machine |
//! | `bench.rs` | [`BenchReport`] | `kafkasim.bench/1` |
//! | `museum.rs` | [`MuseumReport`] | `kafkasim.museum/1` |
//! | `verdict.rs` | [`Verdict`], [`Outcome`], [`EndReason`] | the words a run is judged with |
//! | `identity.rs` | [`Tool`], [`Scenario`], [`Reproduce`], [`Fingerprint`] | what ran, and how to see it again |
//! | `fault.rs` | [`Fault`], [`UnfiredFault`], [`Reach`] | what struck, what did not, which goals were met |
//! | `check.rs` | [`Check`], [`Witness`], [`PermittedLoss`] | what the checkers found |
//! | `cluster.rs` | [`Failover`], [`Availability`], [`IsrChange`], [`Elections`] | what the cluster went through |
//! | `traffic.rs` | [`Clients`], [`Group`], [`Coverage`], [`Config`] | what clients saw, what was exercised |
//! | `coherence.rs` | [`Report::contradictions`] | what a report must never say |
//! | `number.rs` | [`Seed`], [`Offset`] | integers that are strings in JSON |

mod bench;
mod check;
mod cluster;
mod coherence;
mod fault;
mod identity;
mod museum;
mod number;
mod run;
mod run_meta;
mod suite;
mod traffic;
mod verdict;

pub use bench::{Bar, BenchReport, Figure, Limit};
pub use check::{Check, CheckLevel, CheckResult, Panic, PermittedLoss, Responsible, Step, Witness};
pub use cluster::{Availability, ControllerElection, Elections, Failover, IsrChange, Window};
pub use fault::{Fault, Reach, UnfiredFault, UnfiredReason};
pub use identity::{Checkpoint, Expected, Fingerprint, Phase, Reproduce, Scenario, TimeSpan, Tool};
pub use museum::{MuseumPiece, MuseumReport};
pub use number::{Offset, ParseNumberError, Seed};
pub use run::Report;
pub use run_meta::{Host, RunMeta};
pub use suite::{ItemKind, SuiteCounts, SuiteItem, SuiteReport};
pub use traffic::{Clients, Config, Coverage, Group};
pub use verdict::{EndReason, Outcome, Verdict};
