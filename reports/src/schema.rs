//! JSON Schemas (draft-07) of the documents, generated from the types and committed under `schema/`.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::model::{BenchReport, MuseumReport, Report, RunMeta, SuiteReport};

/// A committed schema: the name that `kafkasim schema NAME` takes, its file under `schema/`, and how to make it.
#[derive(Debug, Clone, Copy)]
pub struct SchemaEntry {
    /// `report`, `suite`, `run-meta`, `bench` or `museum`.
    pub name: &'static str,
    /// File name under `reports/schema/`.
    pub file: &'static str,
    /// The schema as JSON text, with a newline at the end.
    pub generate: fn() -> String,
}

/// All schemas of this crate.
pub const SCHEMAS: [SchemaEntry; 5] = [
    SchemaEntry { name: "report", file: "report.v1.json", generate: text_of::<Report> },
    SchemaEntry { name: "suite", file: "suite.v1.json", generate: text_of::<SuiteReport> },
    SchemaEntry { name: "run-meta", file: "run-meta.v1.json", generate: text_of::<RunMeta> },
    SchemaEntry { name: "bench", file: "bench.v1.json", generate: text_of::<BenchReport> },
    SchemaEntry { name: "museum", file: "museum.v1.json", generate: text_of::<MuseumReport> },
];

/// The schema of `T` as it is written: a field that may be null is still required to be there.
fn text_of<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft07().for_serialize().into_generator().into_root_schema_for::<T>();
    crate::json::to_canonical_json(&sorted(schema.to_value()))
}

/// The same value with keys inserted in sorted order, so that the text does not depend on which map
/// `serde_json` was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().map(|(key, inner)| (key, sorted(inner))).collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        leaf => leaf,
    }
}
