//! Sinks: one model, several readers.
//!
//! A sink turns a document into text and does nothing else: whoever calls it says how wide the screen is and whether
//! colours are wanted, and prints. So every sink is a pure function with snapshots.
//!
//! | sink | function | for whom |
//! |---|---|---|
//! | terminal | [`run`] in `terminal.rs` | a person who has just run one seed |
//! | terminal | [`suite`] in `suite.rs` | a person who has just run many |
//! | terminal | [`museum`] in `museum.rs` | a person who wonders how good the judge is |
//! | JSON | [`to_canonical_json`](crate::json::to_canonical_json) | programs |
//!
//! | helper | what it does |
//! |---|---|
//! | `style.rs` | [`Style`]: width, the ANSI switch, wrapping, columns |
//! | `story.rs` | the steps of a witness, under the sentence that says what is wrong |
//! | `timeline.rs` | what else happened, merged by time |
//!
//! JUnit, HTML and Markdown are not here yet; each will be one file and one row.

mod museum;
mod story;
mod style;
mod suite;
mod terminal;
mod timeline;

pub use museum::museum;
pub use style::Style;
pub use suite::suite;
pub use terminal::run;
