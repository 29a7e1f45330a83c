//! Tables of Kafka configs. TOML reads `min.insync.replicas = 2` as nested tables; here the names are put together
//! again, checked against the catalogue, and their values made canonical.

use super::Walk;
use crate::catalogue::{ConfigKind, Effect, Section, help_for_unknown};
use crate::diagnostic::Diagnostic;
use crate::model::{ConfigMap, Span};
use crate::syntax::tree::{Node, Table, Val};

impl Walk<'_> {
    /// The configs of a `config` table; an absent one is empty.
    pub(super) fn config(&mut self, node: Option<&Node>, section: Section) -> ConfigMap {
        let Some(node) = node else { return ConfigMap::new() };
        let Some(table) = node.as_table() else {
            self.wrong_type(node, "configs are a table of Kafka names");
            return ConfigMap::new();
        };
        let mut flat = Vec::new();
        self.flatten(table, "", &mut flat);
        flat.sort_by_key(|(_, span, _)| *span);
        let mut seen: Vec<(&str, Span)> = Vec::new();
        let mut configs = ConfigMap::new();
        for (name, span, node) in &flat {
            if let Some((_, first)) = seen.iter().find(|(other, _)| other == name) {
                let finding = Diagnostic::error(
                    "scn::duplicate_config",
                    format!("`{name}` is set twice in one config table"),
                );
                self.report(finding.at(*first, "first set here").at(*span, "set again here").help(
                    "a quoted key and a dotted key with the same name are the same Kafka config; keep one",
                ));
                continue;
            }
            seen.push((name, *span));
            if let Some(value) = self.config_value(section, name, *span, node) {
                configs.insert(name.clone(), value);
            }
        }
        configs
    }

    pub(super) fn flatten<'t>(
        &self,
        table: &'t Table,
        prefix: &str,
        flat: &mut Vec<(String, Span, &'t Node)>,
    ) {
        for entry in &table.entries {
            let name = format!("{prefix}{}", entry.key);
            match &entry.node.value {
                Val::Table(inner) if !inner.entries.is_empty() => {
                    self.flatten(inner, &format!("{name}."), flat)
                }
                _ => {
                    let span = if prefix.is_empty() { entry.key_span } else { self.widen(entry.key_span) };
                    flat.push((name, span, &entry.node));
                }
            }
        }
    }

    /// From the last segment of a dotted key back to its first.
    fn widen(&self, span: Span) -> Span {
        let before = self.text.get(..span.start).unwrap_or("");
        let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '"' | '\'');
        let start = before.rfind(|c: char| !is_key(c)).map_or(0, |at| at + 1);
        let spaces = before[start..].len() - before[start..].trim_start().len();
        Span::new(start + spaces, span.end)
    }

    fn config_value(&mut self, section: Section, name: &str, span: Span, node: &Node) -> Option<String> {
        let Some(spec) = section.config(name) else {
            let message = format!("unknown {} config `{name}`", section.word());
            let finding = Diagnostic::error("scn::unknown_config", message).at(span, "");
            self.report(finding.help(help_for_unknown(section, name)));
            return None;
        };
        match spec.effect {
            Effect::Modelled => {}
            Effect::NoEffect => {
                self.unmodelled_configs.insert(format!("{}: {name}", section.word()));
                let message = format!("`{name}` is accepted and has no effect yet");
                self.report(Diagnostic::warning("scn::unmodelled_config", message).at(span, ""));
            }
            Effect::OwnedByLayout(key) => {
                let message = format!("`{name}` is decided by the layout of the scenario");
                self.report(
                    Diagnostic::error("scn::owned_by_layout", message)
                        .at(span, "")
                        .help(format!("use {key}")),
                );
                return None;
            }
        }
        let text = match &node.value {
            Val::Str(text) | Val::Decimal(text) => text.clone(),
            Val::Int(n) => n.to_string(),
            Val::Bool(b) => b.to_string(),
            Val::Array(items) if spec.kind == ConfigKind::List => {
                items.iter().map(Node::to_text).collect::<Vec<_>>().join(",")
            }
            _ => {
                self.wrong_type(node, &format!("`{name}` is one value"));
                return None;
            }
        };
        match spec.kind.canonical(&text) {
            Ok(canonical) => Some(canonical),
            Err(wanted) => {
                let finding =
                    Diagnostic::error("scn::bad_config_value", format!("`{name}` cannot be `{text}`"));
                let finding = finding
                    .at(node.span, "")
                    .help(format!("it is {wanted}; Kafka's default is {}", spec.default));
                self.report(finding);
                None
            }
        }
    }
}
