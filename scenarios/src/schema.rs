//! The JSON Schema of the language, printed from the tables that the walker uses. Draft 7: the newest that editors
//! for TOML understand.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::catalogue::{ConfigKind, ConfigSpec, Effect, Section};
use crate::names::{CHECKS, DEFECTS, REACH};
use crate::spec::{Kind, Need, ROOT, TableSpec};

/// The schema of a scenario file, version 1.
pub fn schema() -> Json {
    let mut definitions = Map::new();
    let root = table(&ROOT, &mut definitions);
    for (name, definition) in shared() {
        definitions.insert(name.to_owned(), definition);
    }
    for section in Section::ALL {
        definitions.insert(config_name(section), configs(section));
    }
    let mut schema = match root {
        Json::Object(map) => map,
        _ => Map::new(),
    };
    schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".to_owned(), json!("kafkasim scenario, format 1"));
    schema.insert("definitions".to_owned(), Json::Object(definitions));
    Json::Object(schema)
}

/// The schema as the text that is committed: two spaces, keys sorted, a newline at the end.
pub fn schema_text() -> String {
    // Building it cannot fail: every key is a string. Sorting does not depend on how `serde_json` keeps maps.
    format!("{:#}\n", sorted(&schema()))
}

fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let entries: BTreeMap<&String, Json> =
                map.iter().map(|(key, value)| (key, sorted(value))).collect();
            Json::Object(entries.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// What a parameter may stand for.
fn or_param(schema: Json) -> Json {
    json!({ "anyOf": [schema, reference("param")] })
}

fn table(spec: &'static TableSpec, definitions: &mut Map<String, Json>) -> Json {
    let mut properties = Map::new();
    for key in spec.keys {
        let mut schema = kind(key.kind, definitions);
        if let Json::Object(map) = &mut schema {
            let text = match key.need {
                Need::Optional(default) => format!("{} Default: {default}.", key.doc),
                Need::Required | Need::NotYet => key.doc.to_owned(),
            };
            // Draft 7 ignores what stands beside a `$ref`.
            if let Some(target) = map.remove("$ref") {
                map.insert("allOf".to_owned(), json!([{ "$ref": target }]));
            }
            map.insert("description".to_owned(), json!(text));
            if key.need == Need::NotYet {
                map.insert("not".to_owned(), json!({}));
            }
        }
        properties.insert(key.name.to_owned(), schema);
    }
    let required: Vec<&str> =
        spec.keys.iter().filter(|key| key.need == Need::Required).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": spec.about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// Puts a table among the definitions and refers to it.
fn table_reference(spec: &'static TableSpec, definitions: &mut Map<String, Json>) -> Json {
    let name: String = spec
        .name
        .chars()
        .filter(|c| !matches!(c, '[' | ']'))
        .map(|c| if c == '.' { '_' } else { c })
        .collect();
    let name = if spec.name.starts_with('[') { name } else { format!("{name}_table") };
    if !definitions.contains_key(&name) {
        // Reserves the name: no table contains itself, but two may contain the same third.
        definitions.insert(name.clone(), Json::Null);
        let schema = table(spec, definitions);
        definitions.insert(name.clone(), schema);
    }
    reference(&name)
}

fn kind(kind: Kind, definitions: &mut Map<String, Json>) -> Json {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Int => or_param(json!({ "type": "integer", "minimum": 0 })),
        Kind::Bool => or_param(json!({ "type": "boolean" })),
        Kind::Probability => or_param(json!({ "type": "number", "minimum": 0, "maximum": 1 })),
        Kind::Duration => reference("duration"),
        Kind::DurationDraw => draw(reference("duration")),
        Kind::IntDraw => draw(json!({ "type": "integer", "minimum": 0 })),
        Kind::DecimalDraw => draw(json!({ "type": "number", "exclusiveMinimum": 0 })),
        Kind::RateDraw => draw(json!({ "type": ["string", "number"] })),
        Kind::WordDraw(words) => draw(json!({ "enum": words })),
        Kind::Word(words) => or_param(json!({ "enum": words })),
        Kind::Distribution => reference("distribution"),
        Kind::Size => or_param(json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, reference("ints")] })),
        Kind::Keys => reference("keys"),
        Kind::Seed => json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string" }] }),
        Kind::Target => reference("target"),
        Kind::TwoTargets => reference("two_targets"),
        Kind::TargetOrTwo => json!({ "anyOf": [reference("target"), reference("two_targets")] }),
        Kind::TargetOr(spec) => {
            let table = table_reference(spec, definitions);
            json!({ "anyOf": [reference("target"), table] })
        }
        Kind::TargetOrInts => json!({ "anyOf": [reference("target"), reference("ints")] }),
        Kind::Partition => json!({ "type": "string", "pattern": "^.+/([0-9]+|\\*)$" }),
        Kind::Offset => or_param(json!({ "type": "integer", "minimum": -1 })),
        Kind::Condition => reference("condition"),
        Kind::Message => {
            or_param(json!({ "type": "string", "pattern": "^\\s*\\S+\\s+(request|response)\\s*$" }))
        }
        Kind::Point => {
            let names: Vec<&str> = crate::points::POINTS.iter().map(|(name, _)| *name).collect();
            or_param(json!({ "enum": names }))
        }
        Kind::Targets => json!({ "type": "array", "items": reference("target"), "minItems": 2 }),
        Kind::Bandwidth => {
            or_param(json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?(bit|kbit|Mbit|Gbit)$" }))
        }
        Kind::Ints => reference("ints"),
        Kind::IntLists => json!({ "type": "array", "items": reference("ints") }),
        Kind::Ids | Kind::Comparisons => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
        }
        Kind::Weights(words) => weights(json!({ "enum": words })),
        Kind::MessageWeights => weights(json!({ "type": "string" })),
        Kind::TargetWeights => weights(reference("target")),
        Kind::MaxDown => draw(json!({ "type": ["integer", "string"] })),
        Kind::Table(spec) => table_reference(spec, definitions),
        Kind::Tables(spec) => {
            let table = table_reference(spec, definitions);
            json!({ "type": "array", "items": table })
        }
        Kind::Config(section) => reference(&config_name(section)),
        Kind::AlteredConfig => json!({
            "anyOf": [reference(&config_name(Section::Topic)), reference(&config_name(Section::Broker))]
        }),
        Kind::Map => json!({ "type": "object" }),
        Kind::Checks => checks(),
        Kind::Reach => {
            let one = json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] });
            let goals: Map<String, Json> =
                REACH.iter().map(|goal| ((*goal).to_owned(), one.clone())).collect();
            json!({ "type": "object", "properties": goals, "additionalProperties": false })
        }
        Kind::Anything => json!({}),
    }
}

fn draw(one: Json) -> Json {
    let many = json!({ "type": "array", "items": one.clone(), "minItems": 1 });
    let by = |word: &str| json!({ "type": "object", "properties": { word: many.clone() }, "required": [word], "additionalProperties": false });
    json!({ "anyOf": [one, by("uniform"), by("log_uniform"), by("choice"), reference("param")] })
}

fn weights(one: Json) -> Json {
    let weight = json!({ "type": "integer", "minimum": 0 });
    json!({ "anyOf": [
        one.clone(),
        { "type": "array", "items": one.clone(), "minItems": 1 },
        { "type": "object", "additionalProperties": weight, "minProperties": 1 },
    ] })
}

fn checks() -> Json {
    let level = json!({ "enum": crate::spec::LEVELS });
    let mut properties = Map::new();
    properties.insert("default".to_owned(), level.clone());
    for check in CHECKS {
        let mut bounds = Map::new();
        bounds.insert("level".to_owned(), level.clone());
        for (name, is_duration) in check.bounds {
            let bound =
                if *is_duration { reference("duration") } else { json!({ "type": "integer", "minimum": 0 }) };
            bounds.insert((*name).to_owned(), bound);
        }
        let table = json!({ "type": "object", "properties": bounds, "additionalProperties": false });
        properties.insert(check.id.to_owned(), json!({ "anyOf": [level.clone(), table] }));
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn shared() -> Vec<(&'static str, Json)> {
    let defects: Vec<&str> = DEFECTS.iter().flat_map(|defect| [defect.id, defect.name]).collect();
    vec![
        ("param", json!({ "type": "string", "pattern": "^\\$\\{[^}]+\\}$", "description": "A parameter." })),
        (
            "duration",
            json!({
                "type": "string",
                "pattern": "^([0-9]+(\\.[0-9]+)? ?(us|ms|s|m|h)|\\$\\{[^}]+\\})$",
                "description": "A number and a unit: 250ms, 1.5s, 10m.",
            }),
        ),
        (
            "distribution",
            json!({ "anyOf": [
                reference("duration"),
                {
                    "type": "object",
                    "properties": {
                        "dist": { "enum": ["constant", "uniform", "exp", "normal", "lognormal", "pareto"] },
                        "value": reference("duration"),
                        "min": reference("duration"),
                        "max": reference("duration"),
                        "mean": reference("duration"),
                        "stddev": reference("duration"),
                        "median": reference("duration"),
                        "p99": reference("duration"),
                        "alpha": { "type": "number", "exclusiveMinimum": 0 },
                    },
                    "required": ["dist"],
                    "additionalProperties": false,
                },
            ] }),
        ),
        (
            "keys",
            json!({ "anyOf": [
                { "enum": ["none"] },
                {
                    "type": "object",
                    "properties": {
                        "dist": { "enum": ["uniform", "zipf", "none"] },
                        "n": { "type": "integer", "minimum": 1 },
                        "s": { "type": "number", "exclusiveMinimum": 0 },
                    },
                    "required": ["dist"],
                    "additionalProperties": false,
                },
            ] }),
        ),
        (
            "target",
            json!({ "type": "string", "description": "Such as leader(orders/0), brokers - $victim." }),
        ),
        (
            "two_targets",
            json!({ "type": "array", "items": reference("target"), "minItems": 2, "maxItems": 2 }),
        ),
        (
            "condition",
            json!({ "type": "string", "description": "Such as isr_size(orders/0) == 2 && drained." }),
        ),
        ("ints", json!({ "type": "array", "items": { "type": "integer", "minimum": 0 } })),
        ("defect", json!({ "enum": defects })),
    ]
}

fn config_name(section: Section) -> String {
    format!("{}_config", section.word())
}

/// The configs of a section twice: with flat names for quoted keys and JSON, and nested for dotted keys.
fn configs(section: Section) -> Json {
    let mut properties = Map::new();
    let usable = section.configs().iter().filter(|config| !matches!(config.effect, Effect::OwnedByLayout(_)));
    for config in usable {
        insert_nested(&mut properties, config.name, config);
        if config.name.contains('.') {
            properties.insert(config.name.to_owned(), config_value(config));
        }
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn insert_nested(properties: &mut Map<String, Json>, path: &str, config: &ConfigSpec) {
    let Some((head, rest)) = path.split_once('.') else {
        match properties.get_mut(path) {
            // The name is also the beginning of a longer one.
            Some(nested) => *nested = json!({ "anyOf": [nested.clone(), config_value(config)] }),
            None => drop(properties.insert(path.to_owned(), config_value(config))),
        }
        return;
    };
    let slot = properties
        .entry(head)
        .or_insert_with(|| json!({ "type": "object", "properties": {}, "additionalProperties": false }));
    if slot.get("properties").is_none() {
        let value = slot.clone();
        *slot = json!({ "anyOf": [value], "properties": {}, "additionalProperties": false });
    }
    if let Some(Json::Object(inner)) = slot.get_mut("properties") {
        insert_nested(inner, rest, config);
    }
}

fn config_value(config: &ConfigSpec) -> Json {
    let value = match config.kind {
        ConfigKind::Int { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        ConfigKind::Decimal => json!({ "type": "number", "minimum": 0 }),
        ConfigKind::Bool => json!({ "type": "boolean" }),
        ConfigKind::OneOf(words) => json!({ "enum": words }),
        ConfigKind::Acks => json!({ "enum": ["all", "0", "1", "-1", 0, 1, -1] }),
        ConfigKind::List => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
        }
        ConfigKind::Text => json!({ "type": "string" }),
    };
    let effect = if config.effect == Effect::NoEffect { " Accepted, no effect yet." } else { "" };
    let text = format!("{} Kafka's default: {}.{effect}", config.doc, config.default);
    let mut schema = or_param(value);
    schema["description"] = json!(text);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/scenario.v1.json");

    #[test]
    fn the_committed_schema_is_fresh() {
        let text = schema_text();
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(COMMITTED, &text).unwrap();
        }
        let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
        assert!(committed == text, "run the tests with UPDATE_SCHEMAS=1 to write {COMMITTED}");
    }

    /// Every table of the language, reached from the root, with the schema that describes it.
    fn tables() -> Vec<(&'static TableSpec, Json)> {
        let schema = schema();
        let mut found: Vec<(&'static TableSpec, Json)> = vec![(&ROOT, schema.clone())];
        let mut at = 0;
        while at < found.len() {
            for key in found[at].0.keys {
                if let Kind::Table(spec) | Kind::Tables(spec) | Kind::TargetOr(spec) = key.kind
                    && !found.iter().any(|(known, _)| std::ptr::eq(*known, spec))
                {
                    let mut ignored = Map::new();
                    let reference = table_reference(spec, &mut ignored);
                    let pointer = reference["$ref"].as_str().unwrap().trim_start_matches('#').to_owned();
                    found.push((spec, schema.pointer(&pointer).unwrap().clone()));
                }
            }
            at += 1;
        }
        found
    }

    #[test]
    fn schema_properties_are_the_keys_that_the_walker_accepts() {
        let tables = tables();
        assert!(tables.len() > 25, "{}", tables.len());
        for (spec, schema) in tables {
            let mut keys: Vec<&str> = spec.keys.iter().map(|key| key.name).collect();
            keys.sort_unstable();
            let mut properties: Vec<&str> =
                schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            properties.sort_unstable();
            assert_eq!(properties, keys, "{}", spec.name);
        }
    }

    #[test]
    fn every_reference_in_the_schema_leads_somewhere() {
        fn visit(value: &Json, root: &Json) {
            match value {
                Json::Object(map) => {
                    if let Some(Json::String(target)) = map.get("$ref") {
                        assert!(
                            root.pointer(target.trim_start_matches('#')).is_some_and(|v| !v.is_null()),
                            "{target}"
                        );
                    }
                    map.values().for_each(|value| visit(value, root));
                }
                Json::Array(items) => items.iter().for_each(|value| visit(value, root)),
                _ => {}
            }
        }
        let schema = schema();
        visit(&schema, &schema);
    }
}
