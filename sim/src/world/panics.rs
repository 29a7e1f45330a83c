//! Catches panics of machines together with where they happened.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Installs the hook that keeps a caught panic's message; others still go to the hook that was there before.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if CATCHING.try_with(Cell::get).unwrap_or(false) {
                MESSAGE.with(|message| *message.borrow_mut() = Some(describe(info)));
            } else {
                previous(info);
            }
        }));
    });
}

/// Runs `work`; a panic comes back as its message and source location.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(outer);
    result.map_err(|_| MESSAGE.take().unwrap_or_else(|| "panic without a message".to_owned()))
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let text = info.payload_as_str().unwrap_or("panic with a payload that is no text");
    match info.location() {
        Some(at) => format!("{text} ({}:{}:{})", portable(at.file()), at.line(), at.column()),
        None => text.to_owned(),
    }
}

/// The part of a source path that does not depend on who compiled it: it becomes part of the fingerprint.
fn portable(path: &str) -> &str {
    match path.split_once("/registry/src/") {
        Some((_, rest)) => rest.split_once('/').map_or(rest, |(_, file)| file),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_with_message_and_place() {
        install_hook();
        let message = caught(|| panic!("no leader {}", 7)).unwrap_err();
        assert!(message.starts_with("no leader 7 (") && message.contains("panics.rs:"), "{message}");
        assert_eq!(caught(|| 5), Ok(5));
    }

    #[test]
    fn paths_do_not_name_the_builder() {
        assert_eq!(
            portable("/home/x/.cargo/registry/src/index-1/bytes-1.12.0/src/lib.rs"),
            "bytes-1.12.0/src/lib.rs"
        );
        assert_eq!(portable("broker/src/raft/vote.rs"), "broker/src/raft/vote.rs");
    }
}
