//! Readers of single values. Each reports what is wrong and returns `None`, or returns the value.

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::model::{Comparison, Micros, Milli, Ppm, Rate, Value};
use crate::syntax::scalar;
use crate::syntax::tree::{Node, Val};

impl Walk<'_> {
    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        match node.as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong_type(node, "this is a string");
                None
            }
        }
    }

    /// A name that expressions can refer to.
    pub(super) fn name(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node)?;
        if name.is_empty()
            || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        {
            self.bad_value(node.span, "a name has letters, digits, dots, dashes and underscores");
            return None;
        }
        Some(name)
    }

    pub(super) fn boolean(&mut self, node: &Node) -> Option<bool> {
        match node.value {
            Val::Bool(b) => Some(b),
            _ => {
                self.wrong_type(node, "this is `true` or `false`");
                None
            }
        }
    }

    pub(super) fn int(&mut self, node: &Node, min: u64, max: u64) -> Option<u64> {
        match &node.value {
            Val::Int(n) => match u64::try_from(*n) {
                Ok(n) if (min..=max).contains(&n) => Some(n),
                _ => {
                    self.bad_value(node.span, format!("{n} is out of range: {min} to {max}"));
                    None
                }
            },
            _ => {
                self.wrong_type(node, "this is an integer");
                None
            }
        }
    }

    pub(super) fn small_int(&mut self, node: &Node, min: u32, max: u32) -> Option<u32> {
        self.int(node, u64::from(min), u64::from(max)).and_then(|n| u32::try_from(n).ok())
    }

    pub(super) fn word<'w>(&mut self, node: &Node, words: &[&'w str]) -> Option<&'w str> {
        let text = self.text(node)?;
        let found = words.iter().find(|word| **word == text);
        if found.is_none() {
            self.unknown_word("scn::unknown_word", "word", &text, words, node.span);
        }
        found.copied()
    }

    pub(super) fn list<'t>(&mut self, node: &'t Node, what: &str) -> Option<&'t [Node]> {
        let items = node.as_array();
        if items.is_none() {
            self.wrong_type(node, what);
        }
        items
    }

    pub(super) fn texts(&mut self, node: &Node) -> Vec<String> {
        let items = self.list(node, "this is a list of strings").unwrap_or_default();
        items.iter().filter_map(|item| self.text(item)).collect()
    }

    pub(super) fn ints(&mut self, node: &Node) -> Option<Vec<u32>> {
        let items = self.list(node, "this is a list of integers")?;
        items.iter().map(|item| self.small_int(item, 0, u32::MAX)).collect()
    }

    pub(super) fn duration(&mut self, node: &Node) -> Option<Micros> {
        match &node.value {
            Val::Str(text) => match scalar::duration(text) {
                Ok(duration) => Some(duration),
                Err(message) => {
                    let finding = Diagnostic::error("scn::bad_duration", message).at(node.span, "");
                    self.report(
                        finding.help("write a number and a unit: us, ms, s, m or h, as in \"250ms\""),
                    );
                    None
                }
            },
            Val::Int(n) => {
                let finding =
                    Diagnostic::error("scn::bare_number", "a duration has a unit: seconds or milliseconds?");
                self.report(finding.at(node.span, "").help(format!("write \"{n}s\" or \"{n}ms\"")));
                None
            }
            _ => {
                self.wrong_type(node, "a duration is a string such as \"250ms\"");
                None
            }
        }
    }

    /// A decimal scaled by `10^digits`.
    fn decimal(&mut self, node: &Node, digits: u32, what: &str) -> Option<u64> {
        let text = match &node.value {
            Val::Decimal(text) => text.clone(),
            Val::Int(n) => n.to_string(),
            _ => {
                self.wrong_type(node, what);
                return None;
            }
        };
        let scaled = scalar::decimal(&text, digits);
        if scaled.is_none() {
            let message = format!("`{text}` is not {what} with at most {digits} decimals");
            self.bad_value(node.span, message);
        }
        scaled
    }

    pub(super) fn probability(&mut self, node: &Node) -> Option<Ppm> {
        let ppm = self.decimal(node, 6, "a probability")?;
        match u32::try_from(ppm) {
            Ok(ppm) if ppm <= Ppm::ONE.0 => Some(Ppm(ppm)),
            _ => {
                self.bad_value(node.span, "a probability lies between 0 and 1");
                None
            }
        }
    }

    pub(super) fn factor(&mut self, node: &Node) -> Option<Milli> {
        let milli = self.decimal(node, 3, "a positive number")?;
        if milli == 0 {
            self.bad_value(node.span, "this is greater than 0");
            return None;
        }
        Some(Milli(milli))
    }

    pub(super) fn rate(&mut self, node: &Node) -> Option<Rate> {
        match &node.value {
            Val::Str(text) => match scalar::rate(text) {
                Ok(rate) => Some(rate),
                Err(message) => {
                    self.report(
                        Diagnostic::error("scn::bad_rate", message)
                            .at(node.span, "")
                            .help("write it as \"50/s\""),
                    );
                    None
                }
            },
            Val::Int(_) | Val::Decimal(_) => self.decimal(node, 3, "a rate per second").map(Rate),
            _ => {
                self.wrong_type(node, "a rate is a string such as \"50/s\"");
                None
            }
        }
    }

    /// A rate, or a range of rates; inside a range plain numbers are per second.
    pub(super) fn rate_draw(&mut self, node: &Node) -> Option<Value<Rate>> {
        if let Val::Int(n) = node.value {
            let finding =
                Diagnostic::error("scn::bare_number", "a rate has a unit: per second or per minute?");
            self.report(finding.at(node.span, "").help(format!("write \"{n}/s\"")));
            return None;
        }
        self.draw(node, Walk::rate)
    }

    /// A value, or `{ uniform = [a, b] }`, `{ log_uniform = [a, b] }`, `{ choice = [...] }`.
    pub(super) fn draw<T: PartialOrd>(
        &mut self,
        node: &Node,
        one: impl Fn(&mut Self, &Node) -> Option<T>,
    ) -> Option<Value<T>> {
        let Val::Table(table) = &node.value else {
            return one(self, node).map(Value::Fixed);
        };
        let [entry] = table.entries.as_slice() else {
            let message = "a draw has one key: uniform, log_uniform or choice";
            self.report(Diagnostic::error("scn::bad_draw", message).at(node.span, ""));
            return None;
        };
        let items = self.list(&entry.node, "a draw has a list of values")?;
        let values: Vec<T> = items.iter().filter_map(|item| one(self, item)).collect();
        if values.len() != items.len() {
            return None;
        }
        match entry.key.as_str() {
            "choice" if values.is_empty() => {
                self.bad_value(entry.node.span, "a choice has at least one value")
            }
            "choice" => return Some(Value::Choice(values)),
            "uniform" | "log_uniform" => {
                let Ok([min, max]) = <[T; 2]>::try_from(values) else {
                    self.bad_value(entry.node.span, "a range has two values: the smallest and the largest");
                    return None;
                };
                if min > max {
                    self.bad_value(entry.node.span, "the smallest value comes first");
                    return None;
                }
                return Some(match entry.key.as_str() {
                    "uniform" => Value::Uniform { min, max },
                    _ => Value::LogUniform { min, max },
                });
            }
            word => {
                self.unknown_word(
                    "scn::bad_draw",
                    "draw",
                    word,
                    &["uniform", "log_uniform", "choice"],
                    entry.key_span,
                );
            }
        }
        None
    }

    pub(super) fn int_draw(&mut self, node: &Node, min: u32, max: u32) -> Option<Value<u32>> {
        let value = self.draw(node, |walk, node| walk.small_int(node, min, max))?;
        if matches!(value, Value::LogUniform { min: 0, .. }) {
            self.bad_value(node.span, "a log_uniform range begins above 0");
            return None;
        }
        Some(value)
    }

    /// `{ a = 3, b = 1 }`, `["a", "b"]` or `"a"`.
    pub(super) fn weights<T>(
        &mut self,
        node: &Node,
        one: impl Fn(&mut Self, &Node) -> Option<T>,
    ) -> Option<Vec<(T, u32)>> {
        let mut pairs = Vec::new();
        match &node.value {
            Val::Table(table) => {
                for entry in &table.entries {
                    // The key is read as if it were a string at its place.
                    let key = Node { span: entry.key_span, value: Val::Str(entry.key.clone()) };
                    let weight = self.small_int(&entry.node, 0, 1_000_000);
                    pairs.extend(one(self, &key).zip(weight));
                }
            }
            Val::Array(items) => {
                pairs.extend(items.iter().filter_map(|item| one(self, item)).map(|value| (value, 1)))
            }
            _ => pairs.extend(one(self, node).map(|value| (value, 1))),
        }
        if pairs.is_empty() || pairs.iter().all(|(_, weight)| *weight == 0) {
            self.bad_value(self.first_line(node.span), "nothing is left to choose from");
            return None;
        }
        Some(pairs)
    }

    /// `">= 5"`, or a list of them.
    pub(super) fn comparisons(&mut self, node: &Node) -> Vec<Comparison> {
        let nodes = match &node.value {
            Val::Array(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut found = Vec::new();
        for node in nodes {
            let comparison = match &node.value {
                Val::Str(text) => scalar::comparison(text),
                _ => None,
            };
            if comparison.is_none() {
                let finding =
                    Diagnostic::error("scn::bad_comparison", "this is a comparison").at(node.span, "");
                self.report(finding.help("write an operator and a number, as in \">= 5\""));
            }
            found.extend(comparison);
        }
        found
    }
}
