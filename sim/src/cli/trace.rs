//! One line per fact.
