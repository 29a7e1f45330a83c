//! The one way to write and to read a document as JSON.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{BenchReport, MuseumReport, Report, RunMeta, SuiteReport};

/// A document with a versioned schema name as its first field.
pub trait Document: Serialize + DeserializeOwned {
    /// Name and major version, e.g. `kafkasim.report/1`.
    const SCHEMA: &'static str;
    /// The name under which the document lies in its directory.
    const FILE_NAME: &'static str;
}

impl Document for Report {
    const SCHEMA: &'static str = "kafkasim.report/1";
    const FILE_NAME: &'static str = "report.json";
}

impl Document for SuiteReport {
    const SCHEMA: &'static str = "kafkasim.suite/1";
    const FILE_NAME: &'static str = "suite.json";
}

impl Document for RunMeta {
    const SCHEMA: &'static str = "kafkasim.run-meta/1";
    const FILE_NAME: &'static str = "run-meta.json";
}

impl Document for BenchReport {
    const SCHEMA: &'static str = "kafkasim.bench/1";
    const FILE_NAME: &'static str = "bench.json";
}

impl Document for MuseumReport {
    const SCHEMA: &'static str = "kafkasim.museum/1";
    const FILE_NAME: &'static str = "museum.json";
}

/// Why a text is not the document that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not JSON, or JSON without the fields of the document.
    #[error("not a {expected} document: {source}")]
    Malformed {
        /// The schema that was asked for.
        expected: &'static str,
        /// What serde_json says, with line and column.
        source: serde_json::Error,
    },
    /// A document of another kind or of another major version.
    #[error("expected a {expected} document, found `{found}`")]
    OtherSchema {
        /// The schema that was asked for.
        expected: &'static str,
        /// The schema that the text names.
        found: String,
    },
}

/// JSON of `value`: two spaces of indentation, fields in declared order, a newline at the end. The same value gives
/// the same bytes everywhere.
///
/// It never goes through `serde_json::Value`, whose field order depends on the features of the whole build.
pub fn to_canonical_json<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string_pretty(value)
        .expect("documents have string keys and derived Serialize, which cannot fail");
    text.push('\n');
    text
}

/// Reads a document and verifies its schema name. Fields that this version does not know are ignored.
///
/// # Errors
/// [`ReadError::OtherSchema`] when the text names another schema, [`ReadError::Malformed`] when it is not JSON or
/// lacks a field.
pub fn read<T: Document>(text: &str) -> Result<T, ReadError> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let malformed = |source| ReadError::Malformed { expected: T::SCHEMA, source };
    let head: Head = serde_json::from_str(text).map_err(malformed)?;
    if head.schema != T::SCHEMA {
        return Err(ReadError::OtherSchema { expected: T::SCHEMA, found: head.schema });
    }
    serde_json::from_str(text).map_err(malformed)
}
