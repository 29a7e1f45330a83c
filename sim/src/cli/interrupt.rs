//! Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Exit;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C sets the flag, so that no run is begun any more and what is done is reported; the second
/// ends the process at once.
pub fn listen() -> &'static AtomicBool {
    let handler = || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
        eprintln!("kafkasim: interrupted; runs under way come to their end (again: stop at once)");
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        eprintln!("kafkasim: Ctrl-C will not leave partial results: {error}");
    }
    &INTERRUPTED
}

/// From now on Ctrl-C ends the process with one sentence: a part of one run is no result. Gives back the flag, which
/// nobody sets.
pub fn stop_at_once(flag: &AtomicBool) -> &AtomicBool {
    let handler = || {
        eprintln!("kafkasim: interrupted; a part of a run is no result, so no report is written");
        std::process::exit(i32::from(Exit::Interrupted.code()));
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        eprintln!("kafkasim: Ctrl-C will end the process without a word: {error}");
    }
    flag
}
