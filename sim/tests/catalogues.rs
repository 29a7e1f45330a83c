//! What the scenario language promises is what the other rooms know: configs, checks, defects, goals.
//!
//! The language keeps tables of its own, since it depends on nobody; this is where they are held against the truth.

use std::collections::{BTreeMap, BTreeSet};

use broker::config::{BrokerConfig, TopicConfig};
use broker::defects::Defect;
use scenarios::catalogue::{Effect, Section};
use scenarios::names;
use sim::check::{CHECKS, Coverage};
use sim::client::{ConsumerConfig, ProducerConfig};

type Table = BTreeMap<&'static str, &'static str>;

/// What the language says is acted upon, with its default.
fn modelled(section: Section) -> Table {
    let configs = section.configs().iter().filter(|config| config.effect == Effect::Modelled);
    configs.map(|config| (config.name, config.default)).collect()
}

/// Every difference, in words. There are no exceptions today; one that comes belongs here, with its reason.
fn differences(section: Section, acted_upon: &[(&'static str, &'static str)]) -> Vec<String> {
    let (language, code) = (modelled(section), acted_upon.iter().copied().collect::<Table>());
    let mut found = Vec::new();
    for name in language.keys().chain(code.keys()).collect::<BTreeSet<_>>() {
        let (said, done) = (language.get(name), code.get(name));
        if said != done {
            found.push(format!("{} {name}: catalogue {said:?}, code {done:?}", section.word()));
        }
    }
    found
}

#[test]
fn the_catalogue_models_what_the_code_acts_upon() {
    let found: Vec<String> = [
        differences(Section::Broker, BrokerConfig::NAMES),
        differences(Section::Topic, TopicConfig::NAMES),
        differences(Section::Producer, ProducerConfig::NAMES),
        differences(Section::Consumer, ConsumerConfig::NAMES),
    ]
    .concat();
    assert!(found.is_empty(), "{found:#?}");
}

/// The catalogue accepts a default exactly if the code does: nobody is offered a value that is refused later.
#[test]
fn every_default_of_the_catalogue_is_a_value_for_the_code() {
    let mut broker = BrokerConfig::default();
    let mut topic = TopicConfig::default();
    for (name, default) in modelled(Section::Broker) {
        assert_eq!(broker.set(name, default), Ok(true), "{name}");
    }
    for (name, default) in modelled(Section::Topic) {
        assert_eq!(topic.set(name, default), Ok(true), "{name}");
    }
    // That they were given is all that tells them from defaults.
    broker.given.clear();
    topic.given.clear();
    assert_eq!((broker, topic), (BrokerConfig::default(), TopicConfig::default()));
}

#[test]
fn checks_are_named_alike() {
    let language: Vec<&str> = names::CHECKS.iter().map(|check| check.id).collect();
    let code: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(language, code);
    for later in names::CHECKS_NOT_YET {
        assert!(!code.contains(later), "{later} is evaluated: the language may offer it");
    }
}

#[test]
fn defects_are_named_alike() {
    let language: Vec<(&str, &str)> = names::DEFECTS.iter().map(|defect| (defect.id, defect.name)).collect();
    let code: Vec<(&str, &str)> = Defect::ALL.iter().map(|defect| (defect.id(), defect.name())).collect();
    assert_eq!(language, code);
}

#[test]
fn every_goal_is_counted_and_every_counter_is_a_goal() {
    let language: BTreeSet<&str> = names::REACH.iter().copied().collect();
    let code: BTreeSet<&str> = Coverage::default().all().into_iter().map(|(name, _)| name).collect();
    assert_eq!(language, code);
    for goal in names::REACH {
        assert_eq!(Coverage::default().get(goal), Some(0), "{goal}");
    }
}

#[test]
fn apis_are_named_alike() {
    for api in broker::wire::SUPPORTED {
        assert_eq!(scenarios::apis::key_of(&format!("{api:?}")), Some(*api as i16), "{api:?}");
    }
}
