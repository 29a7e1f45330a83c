//! Kafka's configuration names: default, type, unit, and whether the simulator acts upon them.
//!
//! A name that is known and has no effect is accepted with a warning that the report repeats; a name that nobody
//! knows is an error. Defaults are those of Kafka 4.x as Kafka prints them.
//!
//! | file | holds |
//! |---|---|
//! | `server.rs` | brokers and controllers (`server.properties`) |
//! | `topic.rs` | topics |
//! | `producer.rs` | producers |
//! | `consumer.rs` | consumers |
//! | `value.rs` | types of values and their canonical text |

mod consumer;
mod producer;
mod server;
mod topic;
mod value;

use serde::Serialize;

pub use value::{ConfigKind, Unit};

use crate::names::nearest;

/// Whose configuration a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// `[broker.config]` and `[[broker.override]]`.
    Broker,
    /// `[controller.config]`.
    Controller,
    /// `[topic.config]`.
    Topic,
    /// `[producer.config]`.
    Producer,
    /// `[consumer.config]`.
    Consumer,
}

impl Section {
    /// Every section.
    pub const ALL: [Section; 5] =
        [Section::Broker, Section::Controller, Section::Topic, Section::Producer, Section::Consumer];

    /// As written in a file and in messages.
    pub fn word(self) -> &'static str {
        match self {
            Section::Broker => "broker",
            Section::Controller => "controller",
            Section::Topic => "topic",
            Section::Producer => "producer",
            Section::Consumer => "consumer",
        }
    }

    /// Every config of the section, sorted by name. Brokers and controllers share one list, as in Kafka.
    pub fn configs(self) -> &'static [ConfigSpec] {
        match self {
            Section::Broker | Section::Controller => server::CONFIGS,
            Section::Topic => topic::CONFIGS,
            Section::Producer => producer::CONFIGS,
            Section::Consumer => consumer::CONFIGS,
        }
    }

    /// The config with this name.
    pub fn config(self, name: &str) -> Option<&'static ConfigSpec> {
        self.configs().iter().find(|config| config.name == name)
    }
}

/// One config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ConfigSpec {
    /// Kafka's name.
    pub name: &'static str,
    /// Kafka's default, as Kafka prints it; `null` if it has none.
    pub default: &'static str,
    /// Type of the value.
    pub kind: ConfigKind,
    /// Unit of the value.
    pub unit: Unit,
    /// One line.
    pub doc: &'static str,
    /// What the simulator does with it.
    pub effect: Effect,
}

/// What the simulator does with a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It acts upon it.
    Modelled,
    /// It accepts it and says that it has no effect.
    NoEffect,
    /// The scenario says it elsewhere; the text is the key to use.
    OwnedByLayout(&'static str),
}

/// The default of a config as text; `None` if the section has no such name.
pub fn default(section: Section, name: &str) -> Option<&'static str> {
    section.config(name).map(|config| config.default)
}

/// Help for a name that `section` does not have: where it belongs, or what was probably meant.
pub fn help_for_unknown(section: Section, name: &str) -> String {
    let elsewhere = Section::ALL.into_iter().find(|other| other.config(name).is_some());
    if let Some(other) = elsewhere {
        let kind = if matches!(other, Section::Broker) { "broker" } else { other.word() };
        return format!("`{name}` is a {kind} config: move it to the config of the {kind}");
    }
    let names = |section: Section| section.configs().iter().map(|config| config.name);
    if let Some(near) = nearest(name, names(section)) {
        return format!("did you mean `{near}`?");
    }
    for other in Section::ALL {
        if let Some(near) = nearest(name, names(other)) {
            return format!("did you mean `{near}`? that is a {} config", other.word());
        }
    }
    "only names from Kafka's documentation are accepted here; `kafkasim list configs` prints them".to_owned()
}

const fn modelled(
    name: &'static str,
    default: &'static str,
    kind: ConfigKind,
    unit: Unit,
    doc: &'static str,
) -> ConfigSpec {
    ConfigSpec { name, default, kind, unit, doc, effect: Effect::Modelled }
}

const fn no_effect(
    name: &'static str,
    default: &'static str,
    kind: ConfigKind,
    unit: Unit,
    doc: &'static str,
) -> ConfigSpec {
    ConfigSpec { name, default, kind, unit, doc, effect: Effect::NoEffect }
}

const fn layout(name: &'static str, key: &'static str) -> ConfigSpec {
    ConfigSpec {
        name,
        default: "null",
        kind: ConfigKind::Text,
        unit: Unit::None,
        doc: "Decided by the layout of the scenario.",
        effect: Effect::OwnedByLayout(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique_and_defaults_have_their_type() {
        for section in Section::ALL {
            for pair in section.configs().windows(2) {
                assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
            }
            for config in section.configs() {
                assert!(!config.doc.is_empty());
                if config.default != "null" {
                    let canonical = config.kind.canonical(config.default);
                    assert_eq!(canonical.as_deref(), Ok(config.default), "{}", config.name);
                }
            }
        }
    }

    #[test]
    fn help_names_the_section_or_the_neighbour() {
        for (section, name, help) in [
            (Section::Broker, "segment.bytes", "`segment.bytes` is a topic config"),
            (Section::Topic, "linger.ms", "`linger.ms` is a producer config"),
            (Section::Topic, "min.insync.replica", "did you mean `min.insync.replicas`?"),
            (
                Section::Producer,
                "isolation.lvel",
                "did you mean `isolation.level`? that is a consumer config",
            ),
            (Section::Producer, "zzz.zzz.zzz", "only names from"),
        ] {
            let got = help_for_unknown(section, name);
            assert!(got.starts_with(help), "{name}: {got}");
        }
    }

    #[test]
    fn what_the_simulator_needs_is_modelled() {
        for (section, names) in [
            (
                Section::Broker,
                "broker.session.timeout.ms min.insync.replicas replica.lag.time.max.ms log.segment.bytes",
            ),
            (Section::Controller, "controller.quorum.election.timeout.ms controller.quorum.fetch.timeout.ms"),
            (
                Section::Topic,
                "min.insync.replicas unclean.leader.election.enable segment.bytes flush.messages",
            ),
            (Section::Producer, "acks enable.idempotence linger.ms delivery.timeout.ms"),
            (Section::Consumer, "auto.offset.reset isolation.level fetch.min.bytes"),
        ] {
            for name in names.split(' ') {
                assert_eq!(
                    section.config(name).map(|config| config.effect),
                    Some(Effect::Modelled),
                    "{name}"
                );
            }
        }
    }
}
