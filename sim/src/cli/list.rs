//! `kafkasim list`.

use super::args::ListArgs;
use super::screen::Screen;
use super::{Exit, Failure};

/// Prints a table.
pub fn list(_args: &ListArgs, _screen: &Screen) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Internal, "list is not there yet"))
}
