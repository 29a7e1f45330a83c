//! See the crate's door.
