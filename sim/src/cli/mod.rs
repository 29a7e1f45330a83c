//! The command line. Everything that touches the real world (files, terminal, signals, threads) is here or in `reports`.
//!
//! | file | what |
//! |---|---|
//! | `args.rs` | what can be typed |
//! | `exit.rs` | every exit code |

pub mod args;
pub mod exit;

pub use exit::Exit;
