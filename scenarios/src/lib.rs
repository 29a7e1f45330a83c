//! The scenario language of kafkasim: what a scenario file may say, and what is wrong with one.
//!
//! A scenario is a TOML (or JSON) file that describes a cluster, its clients, what breaks, and what must hold. This
//! crate turns it into plain data ([`model::Scenario`]) or into a list of all its mistakes ([`Report`]). It knows
//! nobody else in the workspace: the language is a public promise.
//!
//! | door | what is behind it |
//! |---|---|
//! | [`apis`] | Kafka's APIs by name |
//! | [`catalogue`] | Kafka's configs: default, type, unit, effect |
//! | [`model`] | the typed scenario, nothing drawn yet |
//! | [`load()`], [`parse`], [`Parsed`] | from a path or a text to a scenario |
//! | [`diagnostic`] | findings with code, places and help; plain and coloured rendering |
//! | [`names`] | checks, goals and defects that files may name |
//! | [`points`] | facts of nodes at which `on` lets a fault strike |
//! | [`schema()`] | the JSON Schema of the language |
//! | [`shipped`] | scenario files in a directory, by name |
//! | `spec/` | every key of the language: what the walker accepts and the schema prints |
//! | `syntax/` | TOML, JSON, and the small languages inside strings |
//! | `walk/` | from the spanned tree to the typed scenario |
//! | `overrides.rs` | variants and `--set` |

pub mod apis;
pub mod catalogue;
pub mod diagnostic;
pub mod load;
pub mod model;
pub mod names;
mod overrides;
pub mod points;
pub mod schema;
pub mod shipped;
mod spec;
mod syntax;
mod walk;

pub use diagnostic::{Diagnostic, Report, Severity};
pub use load::{LoadError, Overrides, Parsed, load, load_with, parse, parse_with};
pub use schema::{schema, schema_text};
