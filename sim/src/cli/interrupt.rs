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
