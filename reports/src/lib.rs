//! The output model.
