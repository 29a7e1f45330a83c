//! `[params]` and `"${x}"`: a string that is nothing but a reference becomes the parameter's value, with its type.

use std::collections::BTreeMap;

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::syntax::tree::{Node, Table, Val};

/// Replaces every reference in `root` and returns the parameters as text.
pub(super) fn resolve(walk: &mut Walk<'_>, root: &mut Table) -> BTreeMap<String, String> {
    let Some(entry) = root.get("params") else {
        let none = Table::default();
        substitute_all(walk, root, &none);
        return BTreeMap::new();
    };
    let Some(params) = entry.node.as_table().cloned() else {
        let node = entry.node.clone();
        walk.wrong_type(&node, "[params] is a table");
        return BTreeMap::new();
    };
    substitute_all(walk, root, &params);
    params.entries.iter().map(|entry| (entry.key.clone(), entry.node.to_text())).collect()
}

/// Tables that are refused as a whole keep their references: one finding about them is enough.
fn substitute_all(walk: &mut Walk<'_>, root: &mut Table, params: &Table) {
    for entry in &mut root.entries {
        if !matches!(entry.key.as_str(), "params" | "group" | "transform") {
            substitute(walk, &mut entry.node, params);
        }
    }
}

fn substitute(walk: &mut Walk<'_>, node: &mut Node, params: &Table) {
    match &mut node.value {
        Val::Array(items) => items.iter_mut().for_each(|item| substitute(walk, item, params)),
        Val::Table(table) => {
            table.entries.iter_mut().for_each(|entry| substitute(walk, &mut entry.node, params))
        }
        Val::Str(text) => {
            let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
                if text.contains("${") {
                    let message = "a parameter replaces a whole value, not a part of it";
                    walk.report(Diagnostic::error("scn::partial_param", message).at(node.span, ""));
                }
                return;
            };
            match params.get(name) {
                Some(param) => node.value = param.node.value.clone(),
                None => {
                    let known: Vec<&str> = params.entries.iter().map(|entry| entry.key.as_str()).collect();
                    walk.unknown_word("scn::unknown_param", "parameter", name, &known, node.span);
                }
            }
        }
        _ => {}
    }
}
