//! Sinks: one model, several readers.
