//! Tests of everything that leaves this crate. One program, so that the hand-made reports are built once.
//!
//! | file | what it tests |
//! |---|---|
//! | `support.rs` | hand-made reports, one for each verdict |
//! | `terminal.rs` | what people read |
//! | `documents.rs` | what programs read |
//! | `files.rs` | how files appear |

mod documents;
mod files;
mod support;
mod terminal;
