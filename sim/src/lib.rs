//! The world and the judge: everything of kafkasim that is not the subject.
//!
//! Each room may use only what stands to its left; `check` uses only `history`, `trace`, `plan` and the broker's plain
//! types, so that checks also work on saved files. `tests/architecture.rs` holds the order.
//!
//! `seed < plan < history < trace < world < host < client < workload < nemesis < check < run < report < cli`
//!
//! | room | job |
//! |---|---|
//! | [`seed`] | one `u64`, any number of named random streams |
//! | [`plan`] | scenario + seed = plan, a value |
//! | [`history`] | what clients were told |
//! | [`trace`] | what nodes did, and the fingerprint of a run |
//! | [`world`] | simulated network, disks, clocks; start, stop, cut, heal |
//! | [`host`] | one task per machine: carries effects out, brings inputs in |
//! | [`client`] | producer, consumer and admin as state machines |
//! | [`workload`] | what the clients do |
//! | [`nemesis`] | which fault strikes when and whom |
//! | [`check`] | the judge |
//! | [`run`] | one plan to one outcome; suites; determinism |
//! | [`report`] | outcome to report |
//! | [`cli`] | the command line |

#[cfg(not(madsim))]
compile_error!(
    "build with --cfg madsim: run cargo from inside the repository (its .cargo/config.toml sets it) and leave RUSTFLAGS unset"
);

pub mod check;
pub mod cli;
pub mod client;
pub mod history;
pub mod host;
pub mod nemesis;
pub mod plan;
pub mod report;
pub mod run;
pub mod seed;
pub mod trace;
pub mod workload;
pub mod world;
