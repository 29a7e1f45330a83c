//! Producers and consumers.

use super::Walk;
use crate::catalogue::{self, Section};
use crate::diagnostic::Diagnostic;
use crate::model::{ConfigMap, Consumer, Keys, Producer, Rate, SizeRange, Span, Value};
use crate::spec;
use crate::syntax::tree::{Node, Val};

/// Most clients of one table.
const CLIENTS_MAX: u32 = 10_000;
/// Largest value in bytes; Kafka's own limits are configs.
const VALUE_BYTES_MAX: u32 = 100 * 1024 * 1024;

impl Walk<'_> {
    pub(super) fn producer(&mut self, node: &Node, default_name: &str) -> Option<Producer> {
        let fields = self.open_node(&spec::PRODUCER, node)?;
        let name = match fields.node("name") {
            Some(node) => self.name(node),
            None => Some(default_name.to_owned()),
        };
        let topic = fields.node("topic").and_then(|node| {
            let topic = self.name(node)?;
            self.refer_topic(&topic, node);
            Some(topic)
        });
        let count = fields.node("count").and_then(|node| self.int_draw(node, 0, CLIENTS_MAX));
        let rate = fields.node("rate").and_then(|node| self.rate_draw(node));
        let keys = fields.node("keys").and_then(|node| self.keys(node));
        let value_bytes = fields.node("value_bytes").and_then(|node| self.size(node));
        let records = fields.node("records").and_then(|node| self.int(node, 1, 1 << 53));
        let config = self.config(fields.node("config"), Section::Producer);
        let config_span = fields.get("config").map_or(fields.span, |entry| entry.key_span);
        self.producer_rules(&config, config_span);
        let span = fields.whole();
        fields.close();
        Some(Producer {
            name: name?,
            count: count.unwrap_or(Value::Fixed(1)),
            topic: topic?,
            rate: rate.unwrap_or(Value::Fixed(Rate(50_000))),
            keys: keys.unwrap_or(Keys::None),
            value_bytes: value_bytes.unwrap_or(SizeRange { min: 100, max: 100 }),
            records,
            config,
            span,
        })
    }

    /// What Kafka's producer refuses at start (`ConfigException`).
    fn producer_rules(&mut self, config: &ConfigMap, span: Span) {
        let conflict = |message: &str, help: &str| {
            Diagnostic::error("scn::config_conflict", message).at(span, "").help(help)
        };
        let number = |name: &str| -> i64 {
            let text = config.get(name).map(String::as_str).or(catalogue::default(Section::Producer, name));
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        if config.get("enable.idempotence").is_some_and(|on| on == "true") {
            if config.get("acks").is_some_and(|acks| acks != "all") {
                self.report(conflict(
                    "an idempotent producer needs `acks = \"all\"`",
                    "Kafka refuses to start this producer",
                ));
            }
            if number("max.in.flight.requests.per.connection") > 5 || number("retries") == 0 {
                let message = "an idempotent producer needs retries and at most 5 requests in flight";
                self.report(conflict(message, "Kafka refuses to start this producer"));
            }
        }
        let least = number("linger.ms").saturating_add(number("request.timeout.ms"));
        if config.contains_key("delivery.timeout.ms") && number("delivery.timeout.ms") < least {
            let message = "`delivery.timeout.ms` is at least `linger.ms` + `request.timeout.ms`";
            self.report(conflict(
                message,
                "Kafka refuses to start this producer: lower `request.timeout.ms` too",
            ));
        }
    }

    fn keys(&mut self, node: &Node) -> Option<Keys> {
        let Val::Table(table) = &node.value else {
            return self.word(node, &["none"]).map(|_| Keys::None);
        };
        let dist = match table.get("dist") {
            Some(entry) => self.word(&entry.node, &["uniform", "zipf", "none"])?,
            None => {
                let finding =
                    Diagnostic::error("scn::bad_distribution", "keys have a `dist`").at(node.span, "");
                self.report(finding.help("as in { dist = \"uniform\", n = 100 }"));
                return None;
            }
        };
        let known: &[&str] = match dist {
            "uniform" => &["dist", "n"],
            "zipf" => &["dist", "n", "s"],
            _ => &["dist"],
        };
        for entry in table.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            self.unknown_word(
                "scn::bad_distribution",
                &format!("key of `{dist}`"),
                &entry.key,
                known,
                entry.key_span,
            );
        }
        for key in known.iter().filter(|key| table.get(key).is_none()) {
            self.report(
                Diagnostic::error("scn::bad_distribution", format!("`{dist}` has no `{key}`"))
                    .at(node.span, ""),
            );
        }
        let n = table.get("n").and_then(|entry| self.small_int(&entry.node, 1, 10_000_000));
        match dist {
            "uniform" => Some(Keys::Uniform { n: n? }),
            "zipf" => {
                let s = table.get("s").and_then(|entry| self.factor(&entry.node));
                Some(Keys::Zipf { n: n?, s: s? })
            }
            _ => Some(Keys::None),
        }
    }

    fn size(&mut self, node: &Node) -> Option<SizeRange> {
        let Val::Array(items) = &node.value else {
            let size = self.small_int(node, 0, VALUE_BYTES_MAX)?;
            return Some(SizeRange { min: size, max: size });
        };
        let [min, max] = items.as_slice() else {
            self.bad_value(node.span, "a range of sizes has two values: the smallest and the largest");
            return None;
        };
        let (min, max) = (self.small_int(min, 0, VALUE_BYTES_MAX)?, self.small_int(max, 0, VALUE_BYTES_MAX)?);
        if min > max {
            self.bad_value(node.span, "the smallest size comes first");
            return None;
        }
        Some(SizeRange { min, max })
    }

    pub(super) fn consumer(&mut self, node: &Node, default_name: &str) -> Option<Consumer> {
        let fields = self.open_node(&spec::CONSUMER, node)?;
        let name = match fields.node("name") {
            Some(node) => self.name(node),
            None => Some(default_name.to_owned()),
        };
        let topic = fields.node("topic").and_then(|node| {
            let topic = self.name(node)?;
            self.refer_topic(&topic, node);
            Some(topic)
        });
        let count = fields.node("count").and_then(|node| self.int_draw(node, 0, CLIENTS_MAX));
        let partitions = fields.node("partitions").and_then(|node| {
            let partitions = self.ints(node)?;
            for (index, item) in partitions.iter().zip(node.as_array().unwrap_or_default()) {
                self.refer_partition(topic.as_deref().unwrap_or_default(), *index, item);
            }
            Some(partitions)
        });
        let config = self.config(fields.node("config"), Section::Consumer);
        let span = fields.whole();
        fields.close();
        let count = count.unwrap_or(Value::Fixed(1));
        Some(Consumer { name: name?, count, topic: topic?, partitions, config, span })
    }
}
