//! TOML into the tree. The parser recovers, so one pass finds several syntax errors.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::tree::{Entry, Node, Table, Val};
use crate::diagnostic::Diagnostic;
use crate::model::Span;

/// The tree (as much of it as could be read) and the syntax errors.
pub(crate) fn parse(text: &str) -> (Node, Vec<Diagnostic>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let findings = errors.iter().map(|error| syntax_error(text, error)).collect();
    let span = root.span().into();
    (Node { span, value: Val::Table(table(root.get_ref())) }, findings)
}

/// A single value, as on the right of an equals sign.
pub(crate) fn parse_value(text: &str) -> Option<Node> {
    DeValue::parse(text).ok().map(|value| node(&value))
}

/// Moves every span by `offset`, for a value that stands in a longer text.
pub(crate) fn shift(node: &mut Node, offset: usize) {
    node.span = Span::new(node.span.start + offset, node.span.end + offset);
    match &mut node.value {
        Val::Array(items) => items.iter_mut().for_each(|item| shift(item, offset)),
        Val::Table(table) => {
            for entry in &mut table.entries {
                entry.key_span = Span::new(entry.key_span.start + offset, entry.key_span.end + offset);
                shift(&mut entry.node, offset);
            }
        }
        _ => {}
    }
}

fn table(source: &DeTable<'_>) -> Table {
    let mut entries: Vec<Entry> = source
        .iter()
        .map(|(key, value): (&Spanned<DeString<'_>>, _)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span().into(),
            node: node(value),
        })
        .collect();
    // The library iterates in the order of the keys; findings and file order need that of the text.
    entries.sort_by_key(|entry| entry.key_span);
    Table { entries }
}

fn node(source: &Spanned<DeValue<'_>>) -> Node {
    let value = match source.get_ref() {
        DeValue::String(text) => Val::Str(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            match i128::from_str_radix(&digits, number.radix()) {
                Ok(n) => Val::Int(n),
                Err(_) => Val::Decimal(digits),
            }
        }
        DeValue::Float(number) => Val::Decimal(number.as_str().replace('_', "")),
        DeValue::Boolean(b) => Val::Bool(*b),
        DeValue::Datetime(_) => Val::Date,
        DeValue::Array(items) => Val::Array(items.iter().map(node).collect()),
        DeValue::Table(inner) => Val::Table(table(inner)),
    };
    Node { span: source.span().into(), value }
}

fn syntax_error(text: &str, error: &toml::de::Error) -> Diagnostic {
    let message = error.message().trim_end_matches('.').replace('\n', ", ");
    let span: Span = error.span().map_or(Span::new(0, 0), Into::into);
    let span = Span::new(span.start.min(text.len()), span.end.min(text.len()));
    let finding = Diagnostic::error("scn::syntax", message.clone()).at(span, "");
    if message.contains("must be quoted") {
        finding.help("put the value in quotes; a line of server.properties becomes `name = \"value\"`")
    } else if message.contains("cannot extend value") && !message.contains("table") {
        finding.help("one config name is the beginning of the other: put both names in quotes")
    } else {
        finding
    }
}

/// Inline tables that span lines: TOML 1.1, which other readers of these files may refuse.
pub(crate) fn multi_line_inline_tables(text: &str, node: &Node, found: &mut Vec<Span>) {
    match &node.value {
        Val::Array(items) => items.iter().for_each(|item| multi_line_inline_tables(text, item, found)),
        Val::Table(table) => {
            let source = text.get(node.span.start..node.span.end).unwrap_or("");
            if source.starts_with('{') && source.contains('\n') {
                found.push(node.span);
            }
            table.entries.iter().for_each(|entry| multi_line_inline_tables(text, &entry.node, found));
        }
        _ => {}
    }
}
