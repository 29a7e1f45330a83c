//! The output of kafkasim: what a run says, for people and for programs.
//!
//! This crate is a public promise with its own version (`kafkasim.report/1`) and knows nobody else in the
//! workspace: `sim` fills the model, whoever reads a report needs only this crate or the committed schemas.
//! *Invariant:* nothing here reads a clock, the environment, or the terminal; the same model gives the same bytes.
//!
//! | room | what is inside |
//! |---|---|
//! | [`model`] | the documents: run report, suite report, run meta, bench report |
//! | [`json`] | the one way to write and to read a document as JSON |
//! | [`digest`] | `b3:` digests of bytes and documents |
//! | [`write`](mod@write) | where files lie, and how they appear whole or not at all |
//! | [`render`] | sinks for people: the terminal, today |
//! | [`stats`] | exact quantiles over integers |
//! | [`time`] | microseconds as seconds, without floats |
//! | [`schema`] | JSON Schemas of the documents, committed under `schema/` |

pub mod digest;
pub mod json;
pub mod model;
pub mod render;
pub mod schema;
pub mod stats;
pub mod time;
pub mod write;

pub use model::{BenchReport, Report, RunMeta, SuiteReport};
