//! A finding explains itself: out of everything that happened, the few events without which it cannot be understood, in
//! order of time, each with the epochs and offsets of that moment.
//!
//! A check notices *that* something is wrong, often seconds after the event that made it so. The story is looked for
//! afterwards, in the trace up to the finding: which record it is about, who appended and acknowledged it, which faults
//! were in effect then or struck later, how leader and ISR changed, who cut, lost or overwrote it.
//!
//! | file | what |
//! |---|---|
//! | `question.rs` | [`Question`]: what is to be explained |
//! | `recipe.rs` | which kinds of events each check needs |
//! | `state.rs` | high watermark, log end and epochs of every replica, event by event |
//! | `faults.rs` | which faults were in effect, and whom they touched |
//! | `window.rs` | where the story begins |
//! | `story.rs` | [`explain`]: picks the steps |
//! | `words.rs` | what a step says |

mod faults;
mod question;
mod recipe;
mod state;
mod story;
mod window;
mod words;

pub use question::Question;
pub use story::{Story, explain};
pub use words::record_name;
