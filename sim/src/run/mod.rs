//! One plan to one outcome; suites; determinism.
//!
//! The [`recorder`](self) sits between the world and everything that watches it: it numbers every event, feeds the
//! fingerprint, the view, the nemesis and the judge in one order, and keeps what the report will say. Wall clock, files
//! and signals stay outside.
//!
//! | file | what |
//! |---|---|
//! | `simulate.rs` | [`simulate`], [`simulate_and_explain`], [`RunOptions`]: runs a plan |
//! | `recorder.rs` | the observer that ties fingerprint, view, nemesis and judge together |
//! | `hashing.rs` | what of an input goes into the fingerprint |
//! | `judging.rs` | [`Judging`]: what a run needs of a judge, and what it gets back |
//! | `judge.rs` | [`KafkaJudge`]: the judge of the room `check`, as a run uses it |
//! | `tally.rs` | [`Tally`]: faults, panics, clients, in numbers |
//! | `under_way.rs` | records whose fate is open |
//! | `outcome.rs` | [`Outcome`]: everything that a report is made of |
//! | `verdict.rs` | [`judge_run`]: what happened against what was expected; exit codes |
//! | `world_spec.rs` | the world of a plan |
//! | `cast.rs` | [`Cast`]: which program plays which host |
//! | `programs.rs` | Kafka nodes as programs |
//! | `determinism.rs` | [`determinism::check`]: two runs of one plan, and their first difference |
//! | `campaign.rs` | [`campaign`]: random seeds until one is red |
//! | `suite.rs` | [`suite::run`]: many plans on several workers, results in order |

mod campaign;
mod cast;
pub mod determinism;
mod hashing;
mod judge;
mod judging;
mod outcome;
mod programs;
mod recorder;
mod simulate;
pub mod suite;
mod tally;
mod under_way;
mod verdict;
#[cfg(test)]
mod verdict_tests;
mod world_spec;

pub use campaign::{Campaign, campaign, median};
pub use cast::{Cast, KafkaCast};
pub use judge::KafkaJudge;
pub use judging::{Ending, Finding, Judgement, Judging, Unjudged};
pub use outcome::{Outcome, ReachRecord};
pub use programs::node_program;
pub use recorder::{EventLine, Until};
pub use simulate::{RunOptions, Stage, replay, simulate, simulate_and_explain};
pub use tally::{FaultRecord, NodePanic, Tally};
pub use verdict::{Conclusion, Evidence, exit_code, judge_run, worst_exit_code};
