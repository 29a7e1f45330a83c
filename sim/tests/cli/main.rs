//! The command line, as a user has it: the real binary, its exit codes, its files, what it prints.

mod exits;
mod museum;
mod output;
mod support;
mod tables;
mod witness;
