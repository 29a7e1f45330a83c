//! Integers that JSON readers would round: written as decimal strings.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A string that should hold a decimal integer and does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a decimal integer as a string, found `{found}`")]
pub struct ParseNumberError {
    /// What was found instead.
    pub found: String,
}

/// Declares one newtype that reads and writes itself as a decimal string.
macro_rules! decimal_string {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $pattern:literal, $about:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseNumberError;
            fn from_str(text: &str) -> Result<Self, ParseNumberError> {
                text.parse().map($name).map_err(|_| ParseNumberError { found: text.to_owned() })
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                $name(value)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "description": $about, "type": "string", "pattern": $pattern })
            }
        }
    };
}

decimal_string! {
    /// The seed of a run: any `u64`.
    Seed, u64, "^[0-9]+$", "The seed of a run: a u64 as a decimal string."
}

decimal_string! {
    /// A position in a partition's log. Signed because Kafka's offsets are (`-1` is "none").
    Offset, i64, "^-?[0-9]+$", "A position in a partition's log: an i64 as a decimal string."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_seed_survives_json() {
        let text = serde_json::to_string(&Seed(u64::MAX)).unwrap();
        assert_eq!(text, "\"18446744073709551615\"");
        assert_eq!(serde_json::from_str::<Seed>(&text).unwrap(), Seed(u64::MAX));
    }

    #[test]
    fn offsets_may_be_negative() {
        assert_eq!("-1".parse::<Offset>().unwrap(), Offset(-1));
        assert_eq!(serde_json::to_string(&Offset(-1)).unwrap(), "\"-1\"");
    }

    #[test]
    fn what_is_no_decimal_string_is_refused() {
        for bad in ["\"\"", "\"1.5\"", "\"-1\"", "\"0x7\"", "7", "\"18446744073709551616\""] {
            assert!(serde_json::from_str::<Seed>(bad).is_err(), "{bad} was accepted");
        }
    }
}
