//! Variants and `--set`: the tree is changed before it is walked, so that what is wrong with a new value is reported
//! like any other mistake, with its place.
//!
//! A path is the dotted way to a key. Elements of arrays of tables are addressed by their `name` or `id`, by the name
//! that they have by default (`p`, `c`, `fault-1`), or by their number from 0. Below a `config` table the rest of the
//! path is one Kafka name.

use crate::diagnostic::Diagnostic;
use crate::model::Span;
use crate::names::nearest;
use crate::spec::{self, Kind, TableSpec};
use crate::syntax::toml;
use crate::syntax::tree::{Entry, Node, Table, Val};

/// Replaces what stands at `path`; `at` is the place of the path in the text.
pub(crate) fn set(root: &mut Node, path: &str, value: Node, at: Span) -> Result<(), Diagnostic> {
    let Val::Table(table) = &mut root.value else {
        return Err(bad_path("the file is not a table", at));
    };
    descend(table, Some(&spec::ROOT), path, value, at)
}

fn bad_path(message: impl Into<String>, at: Span) -> Diagnostic {
    Diagnostic::error("scn::bad_path", message).at(at, "")
}

fn descend(
    table: &mut Table,
    spec: Option<&'static TableSpec>,
    path: &str,
    value: Node,
    at: Span,
) -> Result<(), Diagnostic> {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let kind = spec.and_then(|spec| spec.key(key)).map(|key| key.kind);
    if key.is_empty() || (spec.is_some() && kind.is_none()) {
        let known: Vec<&str> =
            spec.map(|spec| spec.keys.iter().map(|key| key.name).collect()).unwrap_or_default();
        let finding =
            bad_path(format!("`{key}` is not a key of {}", spec.map_or("this table", |spec| spec.name)), at);
        return Err(match nearest(key, known) {
            Some(name) => finding.help(format!("did you mean `{name}`?")),
            None => finding,
        });
    }
    let Some(rest) = rest else {
        put(table, key, value, at);
        return Ok(());
    };
    match kind {
        Some(Kind::Tables(spec)) => {
            let items = match table.get_mut(key).map(|entry| &mut entry.node.value) {
                Some(Val::Array(items)) => items,
                _ => return Err(bad_path(format!("the file has no {}", spec.name), at)),
            };
            let (index, rest) = element(items, key, rest, at)?;
            match &mut items[index].value {
                Val::Table(table) => descend(table, Some(spec), rest, value, at),
                _ => Err(bad_path(format!("{} is not a table", spec.name), at)),
            }
        }
        Some(Kind::Config(_)) => {
            let table = child(table, key, at)?;
            remove_config(table, "", rest);
            put(table, rest, value, at);
            Ok(())
        }
        Some(Kind::Table(spec) | Kind::TargetOr(spec)) => {
            descend(child(table, key, at)?, Some(spec), rest, value, at)
        }
        _ => descend(child(table, key, at)?, None, rest, value, at),
    }
}

/// Sets a key, whether it exists or not.
fn put(table: &mut Table, key: &str, value: Node, at: Span) {
    match table.get_mut(key) {
        Some(entry) => {
            entry.node = value;
            entry.key_span = at;
        }
        None => table.entries.push(Entry { key: key.to_owned(), key_span: at, node: value }),
    }
}

/// The table under a key; made if the key does not exist.
fn child<'t>(table: &'t mut Table, key: &str, at: Span) -> Result<&'t mut Table, Diagnostic> {
    if table.get(key).is_none() {
        let node = Node { span: at, value: Val::Table(Table::default()) };
        table.entries.push(Entry { key: key.to_owned(), key_span: at, node });
    }
    match table.get_mut(key).map(|entry| &mut entry.node.value) {
        Some(Val::Table(inner)) => Ok(inner),
        _ => Err(bad_path(format!("`{key}` is not a table"), at)),
    }
}

/// Which element the rest of the path begins with, and what follows. The longest matching name wins: names may hold
/// dots.
fn element<'p>(items: &[Node], key: &str, rest: &'p str, at: Span) -> Result<(usize, &'p str), Diagnostic> {
    let names: Vec<String> =
        items.iter().enumerate().map(|(index, node)| element_name(node, key, index)).collect();
    let after = |name: &str| rest.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
    let by_name = names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| after(name).map(|rest| (name.len(), index, rest)))
        .max_by_key(|(length, _, _)| *length);
    if let Some((_, index, rest)) = by_name {
        return Ok((index, rest));
    }
    let (word, tail) = rest.split_once('.').unwrap_or((rest, ""));
    match word.parse::<usize>() {
        Ok(index) if index < items.len() && !tail.is_empty() => Ok((index, tail)),
        _ => {
            let finding = bad_path(format!("no [[{key}]] is called `{word}`"), at);
            Err(finding.help(format!("there are: {}", names.join(", "))))
        }
    }
}

fn element_name(node: &Node, key: &str, index: usize) -> String {
    let table = node.as_table();
    let given = |name: &str| table.and_then(|table| table.get(name)?.node.as_str().map(str::to_owned));
    given("name").or_else(|| given("id")).unwrap_or_else(|| match (key, index) {
        ("producer", 0) => "p".to_owned(),
        ("consumer", 0) => "c".to_owned(),
        ("producer", _) => format!("p{}", index + 1),
        ("consumer", _) => format!("c{}", index + 1),
        ("fault", _) => format!("fault-{}", index + 1),
        _ => index.to_string(),
    })
}

/// Removes a Kafka name from nested tables, however its dots were written, and the tables that this empties.
fn remove_config(table: &mut Table, prefix: &str, name: &str) {
    table.entries.retain_mut(|entry| {
        let full = format!("{prefix}{}", entry.key);
        match &mut entry.node.value {
            Val::Table(inner) if name.starts_with(&format!("{full}.")) => {
                remove_config(inner, &format!("{full}."), name);
                !inner.entries.is_empty()
            }
            _ => full != name,
        }
    });
}

/// Calls `visit` with every path of a variant's `set`, quoted or dotted, the place of the path, and the value.
pub(crate) fn flat_set(node: &Node, prefix: &str, visit: &mut dyn FnMut(&str, Span, &Node)) {
    let Val::Table(table) = &node.value else { return };
    for entry in &table.entries {
        let path = format!("{prefix}{}", entry.key);
        let is_dotted = !entry.key.contains('.') && matches!(entry.node.value, Val::Table(_));
        if is_dotted {
            flat_set(&entry.node, &format!("{path}."), visit);
        } else {
            visit(&path, entry.key_span, &entry.node);
        }
    }
}

/// Applies the variant of this name; its expectation replaces that of the file.
pub(crate) fn apply_variant(root: &mut Node, name: &str) -> Vec<Diagnostic> {
    let variants =
        root.as_table().and_then(|table| table.get("variant")?.node.as_array()).unwrap_or_default();
    let name_of = |node: &Node| node.as_table()?.get("name")?.node.as_str().map(str::to_owned);
    let names: Vec<String> = variants.iter().filter_map(name_of).collect();
    let Some(variant) = variants.iter().find(|node| name_of(node).as_deref() == Some(name)).cloned() else {
        let finding =
            Diagnostic::error("scn::unknown_variant", format!("this scenario has no variant `{name}`"));
        let near = nearest(name, names.iter().map(String::as_str));
        return vec![finding.help(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "it has no variants".to_owned(),
            None => format!("it has: {}", names.join(", ")),
        })];
    };
    let mut findings = Vec::new();
    let table = variant.as_table();
    if let Some(node) = table.and_then(|table| table.get("set")).map(|entry| &entry.node) {
        let mut changes = Vec::new();
        flat_set(node, "", &mut |path, at, value| changes.push((path.to_owned(), at, value.clone())));
        for (path, at, value) in changes {
            findings.extend(set(root, &path, value, at).err());
        }
    }
    if let (Some(expect), Val::Table(root)) = (table.and_then(|table| table.get("expect")), &mut root.value) {
        put(root, "expect", expect.node.clone(), expect.key_span);
    }
    findings
}

/// Applies `PATH=VALUE` pairs of the command line. They are appended to `source`, so that findings about them have a
/// place like all others.
pub(crate) fn apply_sets(root: &mut Node, source: &mut String, sets: &[(String, String)]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (path, text) in sets {
        if !source.is_empty() && !source.ends_with('\n') {
            source.push('\n');
        }
        source.push_str("--set ");
        let at = Span::new(source.len(), source.len() + path.len());
        source.push_str(&format!("{path}={text}\n"));
        let start = at.end + 1;
        let mut value = toml::parse_value(text)
            .unwrap_or_else(|| Node { span: Span::new(0, text.len()), value: Val::Str(text.clone()) });
        toml::shift(&mut value, start);
        findings.extend(set(root, path, value, at).err());
    }
    findings
}
