//! Checks, expectations, variants, sweeps.

use std::collections::BTreeMap;

use super::{Fields, Walk};
use crate::diagnostic::Diagnostic;
use crate::model::{
    Bound, CheckConfig, ChecksConfig, Comparison, Expect, ExpectedVerdict, Level, SeedQuantifier, Sweep,
    Variant,
};
use crate::names::{CHECKS, CHECKS_NOT_YET, CheckName, REACH};
use crate::spec;
use crate::syntax::tree::{Entry, Node, Val};

impl Walk<'_> {
    pub(super) fn checks(&mut self, node: Option<&Node>) -> ChecksConfig {
        let mut checks = ChecksConfig::default();
        let Some(node) = node else { return checks };
        let Some(table) = node.as_table() else {
            self.wrong_type(node, "[checks] is a table of check names");
            return checks;
        };
        for entry in &table.entries {
            if entry.key == "default" {
                checks.default = self.level(&entry.node).unwrap_or_default();
            } else if let Some(check) = self.check(&entry.key, entry.key_span)
                && let Some(config) = self.check_config(check, entry)
            {
                checks.checks.insert(entry.key.clone(), config);
            }
        }
        checks
    }

    fn check(&mut self, name: &str, span: crate::model::Span) -> Option<&'static CheckName> {
        let check = CHECKS.iter().find(|check| check.id == name);
        if check.is_none() {
            if CHECKS_NOT_YET.contains(&name) {
                self.not_modelled_yet(&format!("the check `{name}`"), span);
            } else {
                let known: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
                self.unknown_word("scn::unknown_check", "check", name, &known, span);
            }
        }
        check
    }

    fn level(&mut self, node: &Node) -> Option<Level> {
        self.word(node, spec::LEVELS).map(|word| match word {
            "warn" => Level::Warn,
            "off" => Level::Off,
            _ => Level::Error,
        })
    }

    fn check_config(&mut self, check: &CheckName, entry: &Entry) -> Option<CheckConfig> {
        let span = crate::model::Span::new(entry.key_span.start, entry.node.span.end.max(entry.key_span.end));
        let mut config = CheckConfig { level: Level::Error, bounds: BTreeMap::new(), span };
        let Val::Table(table) = &entry.node.value else {
            config.level = self.level(&entry.node)?;
            return Some(config);
        };
        for entry in &table.entries {
            if entry.key == "level" {
                config.level = self.level(&entry.node).unwrap_or_default();
                continue;
            }
            let Some((name, is_duration)) = check.bounds.iter().find(|(name, _)| *name == entry.key) else {
                let mut known: Vec<&str> = check.bounds.iter().map(|(name, _)| *name).collect();
                known.push("level");
                self.unknown_word(
                    "scn::unknown_bound",
                    &format!("bound of `{}`", check.id),
                    &entry.key,
                    &known,
                    entry.key_span,
                );
                continue;
            };
            let bound = if *is_duration {
                self.duration(&entry.node).map(Bound::Duration)
            } else {
                self.int(&entry.node, 0, u64::MAX).map(Bound::Count)
            };
            config.bounds.extend(bound.map(|bound| ((*name).to_owned(), bound)));
        }
        Some(config)
    }

    pub(super) fn expect(&mut self, node: Option<&Node>) -> Expect {
        let Some(fields) = node.and_then(|node| self.open_node(&spec::EXPECT, node)) else {
            return Expect::default();
        };
        let verdict = fields.node("verdict").and_then(|node| self.verdict(node)).unwrap_or_default();
        let check = fields.get("check").and_then(|entry| {
            let name = self.text(&entry.node)?;
            self.check(&name, entry.node.span).map(|check| check.id.to_owned())
        });
        let expect = Expect {
            verdict,
            check,
            partition: fields.node("partition").and_then(|node| self.partition(node)),
            count: fields.node("count").map(|node| self.comparisons(node)).unwrap_or_default(),
            seeds: fields.node("seeds").and_then(|node| self.quantifier(node)).unwrap_or_default(),
            reach: fields.node("reach").map(|node| self.reach(node)).unwrap_or_default(),
        };
        self.expect_rules(&fields, verdict);
        fields.close();
        expect
    }

    fn expect_rules(&mut self, fields: &Fields<'_>, verdict: ExpectedVerdict) {
        let names_check = matches!(verdict, ExpectedVerdict::Violation | ExpectedVerdict::PermittedLoss);
        match fields.table.get("check") {
            None if names_check => {
                let finding = Diagnostic::error("scn::missing_key", "this expectation names no check")
                    .at(fields.span, "");
                self.report(
                    finding
                        .help("say which one: a run that fails another check does not meet the expectation"),
                );
            }
            Some(entry) if !names_check => {
                let message = "`check` goes with `verdict = \"violation\"` or `\"permitted-loss\"`";
                self.report(Diagnostic::error("scn::stray_key", message).at(entry.key_span, ""));
            }
            _ => {}
        }
    }

    fn verdict(&mut self, node: &Node) -> Option<ExpectedVerdict> {
        self.word(node, spec::VERDICTS).map(|word| match word {
            "violation" => ExpectedVerdict::Violation,
            "permitted-loss" => ExpectedVerdict::PermittedLoss,
            "inconclusive" => ExpectedVerdict::Inconclusive,
            _ => ExpectedVerdict::Pass,
        })
    }

    fn quantifier(&mut self, node: &Node) -> Option<SeedQuantifier> {
        let word = self.word(node, spec::QUANTIFIERS)?;
        Some(if word == "some" { SeedQuantifier::Some } else { SeedQuantifier::Every })
    }

    fn reach(&mut self, node: &Node) -> BTreeMap<String, Vec<Comparison>> {
        let Some(table) = node.as_table() else {
            self.wrong_type(node, "`reach` is a table of goals");
            return BTreeMap::new();
        };
        let mut goals = BTreeMap::new();
        for entry in &table.entries {
            if REACH.contains(&entry.key.as_str()) {
                goals.insert(entry.key.clone(), self.comparisons(&entry.node));
            } else {
                self.unknown_word("scn::unknown_goal", "goal", &entry.key, REACH, entry.key_span);
            }
        }
        goals
    }

    pub(super) fn variant(&mut self, node: &Node) -> Option<Variant> {
        let fields = self.open_node(&spec::VARIANT, node)?;
        let name = fields.node("name").and_then(|node| self.name(node));
        let mut set = BTreeMap::new();
        if let Some(node) = fields.node("set") {
            match node.as_table() {
                Some(_) => crate::overrides::flat_set(node, "", &mut |path, _, value| {
                    set.insert(path.to_owned(), value.to_json());
                }),
                None => self.wrong_type(node, "`set` is a table of paths and values"),
            }
        }
        let expect = fields.node("expect").map(|node| self.expect(Some(node)));
        let span = fields.whole();
        fields.close();
        Some(Variant { name: name?, set, expect, span })
    }

    pub(super) fn sweep(&mut self, node: Option<&Node>) -> Sweep {
        let Some(fields) = node.and_then(|node| self.open_node(&spec::SWEEP, node)) else {
            return Sweep::default();
        };
        let sweep = Sweep { seeds: fields.node("seeds").and_then(|node| self.small_int(node, 1, u32::MAX)) };
        fields.close();
        sweep
    }
}
