//! From bytes to a spanned tree, and from strings to the small languages inside it.
//!
//! TOML and JSON become the same [`tree::Node`], so that one walker validates both. Nothing here knows which keys
//! exist.
//!
//! | file | turns |
//! |---|---|
//! | `tree.rs` | (the tree: values with byte spans) |
//! | `toml.rs` | TOML text into the tree, with every syntax error |
//! | `json.rs` | JSON text into the tree |
//! | `scalar.rs` | `"250ms"`, `"50/s"`, `0.05`, `">= 5"` into integers |
//! | `scanner.rs` | (a cursor over an expression, with its errors and the names it refers to) |
//! | `target.rs` | `"leader(orders/0)"` into a target |
//! | `condition.rs` | `"isr_size(orders/0) == 2"` into a condition |

pub(crate) mod condition;
pub(crate) mod json;
pub(crate) mod scalar;
pub(crate) mod scanner;
pub(crate) mod target;
pub(crate) mod toml;
pub(crate) mod tree;
