//! `kafkasim replay`.

use super::args::ReplayArgs;
use super::screen::Screen;
use super::{Exit, Failure};

/// See a run again.
pub fn replay(_args: &ReplayArgs, _screen: &Screen) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Internal, "replay is not there yet"))
}
