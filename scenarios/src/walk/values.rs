//! Readers of single values. Each reports what is wrong and returns `None`, or returns the value.

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Comparison, Condition, Distribution, Micros, Milli, PartitionIndex, PartitionRef, Ppm, Rate, Target,
    Value,
};
use crate::syntax::scanner::{Parsed, Reference, Scanner};
use crate::syntax::tree::{Node, Table, Val};
use crate::syntax::{condition, scalar, target};

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

    pub(super) fn distribution(&mut self, node: &Node) -> Option<Distribution> {
        let Val::Table(table) = &node.value else {
            return self.duration(node).map(Distribution::constant);
        };
        let known: &[(&str, &[&str])] = &[
            ("constant", &["value"]),
            ("uniform", &["min", "max"]),
            ("exp", &["mean"]),
            ("normal", &["mean", "stddev"]),
            ("lognormal", &["median", "p99"]),
            ("pareto", &["min", "alpha"]),
        ];
        let Some(dist) = table.get("dist") else {
            let finding = Diagnostic::error("scn::bad_distribution", "a distribution has a key `dist`")
                .at(node.span, "");
            self.report(finding.help("as in { dist = \"exp\", mean = \"5s\" }"));
            return None;
        };
        if dist.node.as_str() == Some("empirical") {
            self.not_modelled_yet("the distribution `empirical`", dist.node.span);
            return None;
        }
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let word = self.word(&dist.node, &words)?;
        let keys = known.iter().find(|(name, _)| *name == word).map(|(_, keys)| *keys)?;
        for entry in table.entries.iter().filter(|entry| entry.key != "dist") {
            if !keys.contains(&entry.key.as_str()) {
                self.unknown_word(
                    "scn::bad_distribution",
                    &format!("key of `{word}`"),
                    &entry.key,
                    keys,
                    entry.key_span,
                );
            }
        }
        for key in keys.iter().filter(|key| table.get(key).is_none()) {
            let message = format!("the distribution `{word}` has no `{key}`");
            self.report(Diagnostic::error("scn::bad_distribution", message).at(node.span, ""));
        }
        let built = self.build_distribution(word, table)?;
        let problem = match &built {
            Distribution::Uniform { min, max } if min > max => "`min` is at most `max`",
            Distribution::LogNormal { median, p99 } if median > p99 || median.0 == 0 => {
                "`median` is above 0 and at most `p99`"
            }
            _ => return Some(built),
        };
        self.bad_value(node.span, problem);
        None
    }

    fn build_distribution(&mut self, word: &str, table: &Table) -> Option<Distribution> {
        let mut time = |key: &str| table.get(key).and_then(|entry| self.duration(&entry.node));
        Some(match word {
            "constant" => Distribution::Constant { value: time("value")? },
            "uniform" => {
                let (min, max) = (time("min"), time("max"));
                Distribution::Uniform { min: min?, max: max? }
            }
            "exp" => Distribution::Exponential { mean: time("mean")? },
            "normal" => {
                let (mean, stddev) = (time("mean"), time("stddev"));
                Distribution::Normal { mean: mean?, stddev: stddev? }
            }
            "lognormal" => {
                let (median, p99) = (time("median"), time("p99"));
                Distribution::LogNormal { median: median?, p99: p99? }
            }
            _ => {
                let min = time("min");
                let alpha = table.get("alpha").and_then(|entry| self.factor(&entry.node));
                Distribution::Pareto { min: min?, alpha: alpha? }
            }
        })
    }

    pub(super) fn target(&mut self, node: &Node) -> Option<Target> {
        self.expression(node, "a target is a string such as \"leader(orders/0)\"", target::target)
    }

    pub(super) fn condition(&mut self, node: &Node) -> Option<Condition> {
        self.expression(
            node,
            "a condition is a string such as \"isr_size(orders/0) == 2\"",
            condition::condition,
        )
    }

    /// Two targets.
    pub(super) fn two_targets(&mut self, node: &Node) -> Option<(Target, Target)> {
        let items = self.list(node, "this is a list of two targets")?;
        let [one, other] = items else {
            self.bad_value(node.span, "this is a list of two targets");
            return None;
        };
        let (one, other) = (self.target(one), self.target(other));
        one.zip(other)
    }

    fn expression<T>(
        &mut self,
        node: &Node,
        what: &str,
        parse: fn(&mut Scanner<'_>) -> Parsed<T>,
    ) -> Option<T> {
        let Val::Str(content) = &node.value else {
            self.wrong_type(node, what);
            return None;
        };
        let mut scanner = Scanner::new(content);
        let result = parse(&mut scanner);
        for (reference, range) in std::mem::take(&mut scanner.references) {
            let span = self.inner_span(node, content, range);
            self.references.push((reference, span));
        }
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let span = self.inner_span(node, content, error.range);
                let mut finding = Diagnostic::error(error.code, error.message).at(span, "");
                finding.help = error.help;
                self.report(finding);
                None
            }
        }
    }

    /// `orders/0` as a value of its own.
    pub(super) fn partition(&mut self, node: &Node) -> Option<PartitionRef> {
        self.expression(node, "a partition is a string such as \"orders/0\"", |scanner| {
            let partition = scanner.partition()?;
            scanner.end()?;
            Ok(partition)
        })
    }

    /// `">= 5"`, `5`, or a list of them.
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

    /// Remembers that the file names a topic here.
    pub(super) fn refer_topic(&mut self, topic: &str, node: &Node) {
        self.references.push((Reference::Topic(topic.to_owned()), node.span));
    }

    /// Remembers that the file names a partition here.
    pub(super) fn refer_partition(&mut self, topic: &str, partition: u32, node: &Node) {
        let partition = PartitionRef { topic: topic.to_owned(), partition: PartitionIndex::One(partition) };
        self.references.push((Reference::Partition(partition), node.span));
    }

    /// Remembers that the file names a broker here.
    pub(super) fn refer_broker(&mut self, id: u32, node: &Node) {
        self.references.push((Reference::Broker(id), node.span));
    }

    /// Remembers that the file names a fault here.
    pub(super) fn refer_fault(&mut self, id: &str, node: &Node) {
        self.references.push((Reference::Fault(id.to_owned()), node.span));
    }
}
