//! Types of config values. A value is kept as its canonical text, the one that Kafka prints.

use serde::Serialize;

/// The type of a config value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigKind {
    /// An integer in this range, both ends included.
    Int { min: i64, max: i64 },
    /// A decimal number, not negative.
    Decimal,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `acks`: `0`, `1` or `all` (`-1` is `all`).
    Acks,
    /// Comma-separated words; a list is joined.
    List,
    /// Any text.
    Text,
}

/// The unit of a config value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A word, a switch, a plain number.
    None,
    /// Milliseconds.
    Ms,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Bytes.
    Bytes,
    /// A count of records, messages, partitions, brokers.
    Count,
    /// Per cent.
    Percent,
}

/// Java's `int`, zero and up.
pub(super) const INT: ConfigKind = ConfigKind::Int { min: 0, max: i32::MAX as i64 };
/// Java's `int`, one and up.
pub(super) const POSITIVE: ConfigKind = ConfigKind::Int { min: 1, max: i32::MAX as i64 };
/// Java's `long`, zero and up.
pub(super) const LONG: ConfigKind = ConfigKind::Int { min: 0, max: i64::MAX };
/// Java's `long`, one and up.
pub(super) const LONG_POSITIVE: ConfigKind = ConfigKind::Int { min: 1, max: i64::MAX };
/// Java's `long`, with -1 for "no limit".
pub(super) const LONG_OR_NONE: ConfigKind = ConfigKind::Int { min: -1, max: i64::MAX };

impl ConfigKind {
    /// The canonical text of a value, or what would have been accepted.
    pub fn canonical(self, text: &str) -> Result<String, String> {
        let text = text.trim();
        match self {
            ConfigKind::Int { min, max } => match text.replace('_', "").parse::<i64>() {
                Ok(n) if (min..=max).contains(&n) => Ok(n.to_string()),
                _ => Err(format!("an integer from {min} to {max}")),
            },
            ConfigKind::Decimal => {
                let digits = text.bytes().filter(u8::is_ascii_digit).count();
                let dots = text.bytes().filter(|b| *b == b'.').count();
                if digits > 0 && dots <= 1 && digits + dots == text.len() {
                    Ok(text.to_owned())
                } else {
                    Err("a decimal number, not negative".to_owned())
                }
            }
            ConfigKind::Bool => match text.to_ascii_lowercase().as_str() {
                "true" => Ok("true".to_owned()),
                "false" => Ok("false".to_owned()),
                _ => Err("`true` or `false`".to_owned()),
            },
            ConfigKind::OneOf(words) => match words.iter().find(|word| **word == text) {
                Some(word) => Ok((*word).to_owned()),
                None => Err(format!("one of {}", words.join(", "))),
            },
            ConfigKind::Acks => match text {
                "all" | "-1" => Ok("all".to_owned()),
                "0" | "1" => Ok(text.to_owned()),
                _ => Err("`0`, `1` or `all`".to_owned()),
            },
            ConfigKind::List => {
                let words: Vec<&str> =
                    text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
                Ok(words.join(","))
            }
            ConfigKind::Text => Ok(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_canonical() {
        for (kind, text, expected) in [
            (ConfigKind::Acks, "-1", Some("all")),
            (ConfigKind::Acks, "1", Some("1")),
            (ConfigKind::Acks, "2", None),
            (ConfigKind::Bool, "TRUE", Some("true")),
            (ConfigKind::Bool, "1", None),
            (POSITIVE, "0", None),
            (POSITIVE, "2147483648", None),
            (LONG_OR_NONE, "-1", Some("-1")),
            (ConfigKind::OneOf(&["a", "b"]), "b", Some("b")),
            (ConfigKind::OneOf(&["a", "b"]), "c", None),
            (ConfigKind::List, " a, b ,", Some("a,b")),
            (ConfigKind::Decimal, "0.5", Some("0.5")),
            (ConfigKind::Decimal, "nan", None),
        ] {
            assert_eq!(kind.canonical(text).ok().as_deref(), expected, "{kind:?} {text}");
        }
    }
}
