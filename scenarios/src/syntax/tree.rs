//! The intermediate tree: what TOML and JSON have in common, with the place of every key and value.

use crate::model::Span;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub span: Span,
    pub value: Val,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Val {
    Str(String),
    Int(i128),
    /// A number with a fraction or exponent, or `nan`/`inf`, as text: it never becomes a float.
    Decimal(String),
    Bool(bool),
    /// A TOML date or time. No key takes one.
    Date,
    Array(Vec<Node>),
    Table(Table),
}

/// Key-value pairs in source order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Table {
    pub entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub node: Node,
}

impl Table {
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }
}

impl Node {
    /// What it is, for messages: "a string", "a table".
    pub fn kind(&self) -> &'static str {
        match self.value {
            Val::Str(_) => "a string",
            Val::Int(_) => "an integer",
            Val::Decimal(_) => "a decimal number",
            Val::Bool(_) => "a boolean",
            Val::Date => "a date",
            Val::Array(_) => "a list",
            Val::Table(_) => "a table",
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Val::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Val::Table(table) => Some(table),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Node]> {
        match &self.value {
            Val::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The same value as JSON; decimals become strings, since they have no exact JSON number here.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Val::Str(text) | Val::Decimal(text) => Json::String(text.clone()),
            Val::Int(n) => i64::try_from(*n)
                .map(Json::from)
                .or_else(|_| u64::try_from(*n).map(Json::from))
                .unwrap_or_else(|_| Json::String(n.to_string())),
            Val::Bool(b) => Json::Bool(*b),
            Val::Date => Json::Null,
            Val::Array(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Val::Table(table) => Json::Object(
                table.entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
            ),
        }
    }

    /// The value as one would write it, for messages and for `params`.
    pub fn to_text(&self) -> String {
        match &self.value {
            Val::Str(text) | Val::Decimal(text) => text.clone(),
            Val::Int(n) => n.to_string(),
            Val::Bool(b) => b.to_string(),
            _ => self.to_json().to_string(),
        }
    }
}
