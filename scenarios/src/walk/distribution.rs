//! Distributions: `"5ms"` or `{ dist = "exp", mean = "5s" }`.

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::model::Distribution;
use crate::syntax::tree::{Node, Table, Val};

impl Walk<'_> {
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
}
