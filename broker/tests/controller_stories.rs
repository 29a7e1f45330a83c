//! Stories about the controller: conversations and what came of them (`stories/controller_*.txt`), and random walks.
//!
//! A story is read from top to bottom. `# ...` is for the reader. `> command` does something; `>> command` does it and
//! commits everything written so far. The lines that follow, up to an empty line, are everything that happened: `log`
//! is a record appended, `fact` a committed record's meaning, `reply #n` the answer to the n-th request.

use broker::config::BrokerConfig;
use broker::defects::{Defect, DefectSet};
use broker::ids::{NodeId, Uuid};
use broker::metadata::FEATURES;
use broker::metadata::{ELIGIBLE_LEADER_REPLICAS, find_feature};
use broker::time::Duration;
use broker::wire::StrBytes;
use broker::wire::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use broker::wire::messages::broker_registration_request::{Feature, Listener};
use broker::wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use broker::wire::messages::delete_topics_request::DeleteTopicState;
use broker::wire::messages::elect_leaders_request::TopicPartitions;
use broker::wire::messages::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[path = "stories/controller_world.rs"]
mod controller_world;

use controller_world::World;

/// A broker that knows no feature.
const OLD_BROKER: i32 = 9;

/// One command: its words, and those of the form `key=value`.
struct Command<'a> {
    words: Vec<&'a str>,
}

impl<'a> Command<'a> {
    fn word(&self, i: usize) -> &'a str {
        self.words.iter().filter(|w| !w.contains('=')).nth(i).unwrap_or_else(|| panic!("{:?}", self.words))
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn values(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.words.iter().filter_map(|w| w.split_once('='))
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.values().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    fn number<T: std::str::FromStr>(&self, key: &str, default: T) -> T {
        match self.value(key) {
            Some(v) => v.parse().unwrap_or_else(|_| panic!("{key} = {v:?} is not a number")),
            None => default,
        }
    }

    fn id(&self, i: usize) -> i32 {
        self.word(i).parse().unwrap_or_else(|_| panic!("{:?} is not an id", self.word(i)))
    }
}

fn ids<T>(list: &str, make: impl Fn(i32) -> T) -> Vec<T> {
    list.split(',').filter(|s| !s.is_empty()).map(|s| make(s.parse().unwrap())).collect()
}

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_string())
}

fn registering(broker: i32, incarnation: u128, cluster: &str, previous: i64) -> BrokerRegistrationRequest {
    let listener = Listener::default().with_name(text("CLIENT")).with_host(text("b")).with_port(9092);
    let supported = FEATURES.map(|feature| {
        Feature::default()
            .with_name(text(feature.name))
            .with_min_supported_version(feature.supported.min)
            .with_max_supported_version(if broker == OLD_BROKER { 0 } else { feature.supported.max })
    });
    BrokerRegistrationRequest::default()
        .with_features(supported.to_vec())
        .with_broker_id(BrokerId(broker))
        .with_cluster_id(text(cluster))
        .with_incarnation_id(Uuid::from_u128(incarnation))
        .with_listeners(vec![listener])
        .with_rack(None)
        .with_previous_broker_epoch(previous)
}

fn heartbeat(broker: i32, epoch: i64, offset: i64, fence: bool, shut_down: bool) -> BrokerHeartbeatRequest {
    BrokerHeartbeatRequest::default()
        .with_broker_id(BrokerId(broker))
        .with_broker_epoch(epoch)
        .with_current_metadata_offset(offset)
        .with_want_fence(fence)
        .with_want_shut_down(shut_down)
}

fn topic(name: &str, partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(TopicName(text(name)))
        .with_num_partitions(partitions)
        .with_replication_factor(replication_factor)
}

/// `create NAME [partitions=N] [rf=N] [assign=1,2;2,1] [validate] [config.name=value]...`
fn create(c: &Command<'_>) -> CreateTopicsRequest {
    let mut new = topic(c.word(1), c.number("partitions", -1), c.number("rf", -1));
    if let Some(assignments) = c.value("assign") {
        new.assignments = (0..)
            .zip(assignments.split(';'))
            .map(|(n, list)| {
                let assignment = CreatableReplicaAssignment::default().with_partition_index(n);
                assignment.with_broker_ids(ids(list, BrokerId))
            })
            .collect();
    }
    new.configs = c
        .values()
        .filter(|(k, _)| k.contains('.'))
        .map(|(k, v)| CreatableTopicConfig::default().with_name(text(k)).with_value(Some(text(v))))
        .collect();
    let topics = if c.has("twice") { vec![new.clone(), new] } else { vec![new] };
    CreateTopicsRequest::default().with_topics(topics).with_validate_only(c.has("validate"))
}

/// `alter TOPIC PARTITION by=BROKER epoch=N isr=1,2 [epochs=3,4] [leader-epoch=N] [partition-epoch=N] [recovering]`
fn alter(c: &Command<'_>, world: &World) -> AlterPartitionRequest {
    let number = c.id(2);
    let topic_id = world.topic_id(c.word(1));
    let now = world.current().partition(&topic_id, number);
    let epochs = now.map_or((0, 0), |p| (p.leader_epoch, p.partition_epoch));
    let isr = ids(c.value("isr").unwrap_or(""), BrokerId);
    let known = ids(c.value("epochs").unwrap_or(""), i64::from);
    let members = isr.iter().enumerate().map(|(i, b)| {
        BrokerState::default().with_broker_id(*b).with_broker_epoch(known.get(i).copied().unwrap_or(-1))
    });
    let partition = PartitionData::default()
        .with_partition_index(number)
        .with_leader_epoch(c.number("leader-epoch", epochs.0))
        .with_partition_epoch(c.number("partition-epoch", epochs.1))
        .with_new_isr_with_epochs(members.collect())
        .with_new_isr(isr)
        .with_leader_recovery_state(i8::from(c.has("recovering")));
    AlterPartitionRequest::default()
        .with_broker_id(BrokerId(c.number("by", 0)))
        .with_broker_epoch(c.number("epoch", -1))
        .with_topics(vec![TopicData::default().with_topic_id(topic_id).with_partitions(vec![partition])])
}

/// `config (topic NAME | broker [ID] | type=CODE) [name=value | name=] [append | subtract] [twice] [again] [validate]`:
/// no value takes it away.
fn alter_configs(c: &Command<'_>) -> IncrementalAlterConfigsRequest {
    let change = |(name, value): (&str, &str)| {
        let operation = match (value, c.has("append"), c.has("subtract")) {
            ("", ..) => 1,
            (_, true, _) => 2,
            (_, _, true) => 3,
            _ => 0,
        };
        incremental_alter_configs_request::AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(c.number("operation", operation))
            .with_value(Some(value).filter(|value| !value.is_empty()).map(text))
    };
    let mut configs: Vec<_> = c.values().filter(|(k, _)| k.contains('.')).map(change).collect();
    if c.has("twice") {
        configs.extend(configs.clone());
    }
    let kind = if c.word(1) == "broker" { 4 } else { 2 };
    let flags = ["append", "subtract", "twice", "again", "validate"];
    let name =
        c.words.iter().skip(2).find(|w| !w.contains('=') && !flags.contains(*w)).copied().unwrap_or("");
    let resource = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(c.number("type", kind))
        .with_resource_name(text(name))
        .with_configs(configs);
    let resources = if c.has("again") { vec![resource.clone(), resource] } else { vec![resource] };
    IncrementalAlterConfigsRequest::default().with_resources(resources).with_validate_only(c.has("validate"))
}

/// `features [NAME=LEVEL]... [twice] [safe | unsafe] [validate]`
fn feature_updates(c: &Command<'_>) -> UpdateFeaturesRequest {
    let kind = if c.has("safe") {
        2
    } else if c.has("unsafe") {
        3
    } else {
        1
    };
    let update = |(name, level): (&str, &str)| {
        update_features_request::FeatureUpdateKey::default()
            .with_feature(text(name))
            .with_max_version_level(level.parse().unwrap())
            .with_upgrade_type(kind)
    };
    let mut updates: Vec<_> = c.values().filter(|(name, _)| *name != "at").map(update).collect();
    if c.has("twice") {
        updates.extend(updates.clone());
    }
    UpdateFeaturesRequest::default().with_feature_updates(updates).with_validate_only(c.has("validate"))
}

/// `reassign TOPIC PARTITION (to=1,2 | cancel) [keep-count]`
fn reassign(c: &Command<'_>) -> AlterPartitionReassignmentsRequest {
    let replicas = (!c.has("cancel")).then(|| ids(c.value("to").unwrap_or(""), BrokerId));
    let partition = alter_partition_reassignments_request::ReassignablePartition::default()
        .with_partition_index(c.id(2))
        .with_replicas(replicas);
    let topic = alter_partition_reassignments_request::ReassignableTopic::default()
        .with_name(TopicName(text(c.word(1))))
        .with_partitions(vec![partition]);
    AlterPartitionReassignmentsRequest::default()
        .with_allow_replication_factor_change(!c.has("keep-count"))
        .with_topics(vec![topic])
}

fn delete(c: &Command<'_>, world: &World) -> DeleteTopicsRequest {
    let mut state = DeleteTopicState::default().with_name(None);
    if c.has("by-id") {
        state.topic_id = world.topic_id(c.word(1));
    } else {
        state.name = Some(TopicName(text(c.word(1))));
    }
    DeleteTopicsRequest::default().with_topics(vec![state])
}

/// `elect-leaders [TOPIC PARTITIONS] [unclean] [version=N]`
fn elect_leaders(c: &Command<'_>) -> ElectLeadersRequest {
    let named = c.words.iter().filter(|w| !w.contains('=')).nth(2).map(|_| {
        let partitions = ids(c.word(2), |n| n);
        let topic = TopicPartitions::default().with_topic(TopicName(text(c.word(1))));
        vec![topic.with_partitions(partitions)]
    });
    ElectLeadersRequest::default()
        .with_election_type(c.number("type", i8::from(c.has("unclean"))))
        .with_topic_partitions(named)
}

fn start(c: &Command<'_>) -> World {
    let (mut settings, mut features, mut defects) = (BrokerConfig::default(), Vec::new(), Vec::new());
    // No-op records would fill the stories; the one story about them asks for them.
    settings.set("metadata.max.idle.interval.ms", "3600000").unwrap();
    for (name, value) in c.values() {
        if find_feature(name).is_some() {
            features.push((name.to_string(), value.parse().unwrap()));
        } else if name == "defects" {
            defects.extend(value.split(',').map(|id| Defect::find(id).unwrap()));
        } else {
            assert!(settings.set(name, value).unwrap(), "{name} is not a setting");
        }
    }
    let controllers: Vec<i32> = c.words[1..].iter().filter_map(|w| w.parse().ok()).collect();
    World::with(&controllers, settings, &features, DefectSet::of(defects))
}

fn run(c: &Command<'_>, world: &mut World) {
    let broker_epoch = |w: &World, id: i32| w.current().broker(NodeId(id)).map_or(-1, |b| b.broker_epoch);
    match c.word(0) {
        "elect" => world.elect(c.id(1), !c.has("losing-the-tail")),
        "depose" => world.depose(),
        "overtake" => world.overtake(),
        "commit" => world.commit(),
        "sleep" => world.now += Duration::from_millis(c.id(1) as u64),
        "pass" => world.pass(Duration::from_millis(c.id(1) as u64)),
        "register" => {
            let incarnation = c.number("incarnation", 1) + 1000 * c.id(1) as u128;
            let cluster = c.value("cluster").unwrap_or("story");
            let at = c.number("at", world.active());
            world.ask(at, 4, registering(c.id(1), incarnation, cluster, c.number("previous", -1)));
        }
        "heartbeat" => {
            let epoch = c.number("epoch", broker_epoch(world, c.id(1)));
            let offset = c.number("offset", world.current().applied_offset);
            world.ask(
                c.number("at", world.active()),
                1,
                heartbeat(c.id(1), epoch, offset, c.has("fence"), c.has("shut-down")),
            );
        }
        "create" => world.ask(c.number("at", world.active()), 7, create(c)),
        "elect-leaders" => {
            world.ask(c.number("at", world.active()), c.number("version", 2), elect_leaders(c));
        }
        "delete" => world.ask(c.number("at", world.active()), 6, delete(c, world)),
        "reassign" => world.ask(c.number("at", world.active()), 1, reassign(c)),
        "config" => world.ask(c.number("at", world.active()), 1, alter_configs(c)),
        "features" => world.ask(c.number("at", world.active()), 2, feature_updates(c)),
        "list-reassignments" => {
            let request = ListPartitionReassignmentsRequest::default().with_topics(None);
            world.ask(c.number("at", world.active()), 0, request);
        }
        "alter" => {
            let mut request = alter(c, world);
            if c.value("epoch").is_none() {
                request.broker_epoch = broker_epoch(world, request.broker_id.0);
            }
            world.ask(c.number("at", world.active()), c.number("version", 3), request);
        }
        "producer-ids" => {
            let epoch = c.number("epoch", broker_epoch(world, c.id(1)));
            let request = AllocateProducerIdsRequest::default().with_broker_id(BrokerId(c.id(1)));
            world.ask(c.number("at", world.active()), 0, request.with_broker_epoch(epoch));
        }
        other => panic!("no such command: {other}"),
    }
}

/// Plays a story and gives it back with what really happened.
fn play(story: &str) -> String {
    let mut world: Option<World> = None;
    let mut told = String::new();
    for line in story.lines().filter(|l| l.starts_with(['#', '>']) || l.is_empty()) {
        if line.starts_with('>') {
            let commit = line.starts_with(">>");
            let c = Command { words: line.trim_start_matches('>').split_whitespace().collect() };
            told += &format!("{line}\n");
            if c.word(0) == "controllers" {
                world = Some(start(&c));
                continue;
            }
            let world = world.as_mut().expect("a story begins with its controllers");
            run(&c, world);
            if commit {
                world.commit();
            }
            for line in world.take_lines() {
                told += &format!("{line}\n");
            }
        } else {
            told += &format!("{line}\n");
        }
    }
    told
}

fn tell(name: &str, story: &str) {
    let told = play(story);
    if told == story {
        return;
    }
    let differs = told.lines().zip(story.lines()).position(|(a, b)| a != b);
    let at = differs.unwrap_or_else(|| told.lines().count().min(story.lines().count()));
    let line = |s: &str| s.lines().nth(at).unwrap_or("(the end)").to_string();
    panic!(
        "stories/controller_{name}.txt, line {}:\n  told:     {}\n  happened: {}\n\nWhat happened:\n{told}",
        at + 1,
        line(story),
        line(&told)
    );
}

macro_rules! stories {
    ($($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                tell(stringify!($name), include_str!(concat!("stories/controller_", stringify!($name), ".txt")));
            }
        )+
    };
}

stories! {
    elr, elr_defects, balance, defects, registration,
    sessions,
    failover,
    unclean,
    alter_partition,
    revert,
    producer_ids,
    topics,
    shutdown,
    elections,
    reassignment,
    features,
    configs,
}

/// A broker as the random walk sees it: which incarnation runs.
#[derive(Clone, Copy, Default)]
struct Walker {
    incarnation: u128,
}

fn random_alter(rng: &mut ChaCha8Rng, world: &World) -> Option<AlterPartitionRequest> {
    let image = world.current();
    let all: Vec<_> = image.partitions().collect();
    if all.is_empty() {
        return None;
    }
    let (topic, number, p) = &all[rng.gen_range(0..all.len())];
    let leader = p.leader.or(p.replicas.first().copied())?;
    let member = |n: &NodeId| *n == leader || rng.gen_bool(0.6);
    let isr: Vec<BrokerId> = p.replicas.iter().copied().filter(member).map(|n| BrokerId(n.0)).collect();
    let slip = |rng: &mut ChaCha8Rng| if rng.gen_bool(0.1) { rng.gen_range(-1..2) } else { 0 };
    let known = isr.iter().map(|b| {
        let epoch = image.broker(NodeId(b.0)).map_or(-1, |b| b.broker_epoch);
        let epoch = if rng.gen_bool(0.9) { epoch } else { epoch - 1 };
        BrokerState::default().with_broker_id(*b).with_broker_epoch(epoch)
    });
    let known = known.collect();
    let partition = PartitionData::default()
        .with_partition_index(*number)
        .with_new_isr_with_epochs(known)
        .with_leader_epoch(p.leader_epoch + slip(rng))
        .with_partition_epoch(p.partition_epoch + slip(rng))
        .with_new_isr(isr);
    Some(
        AlterPartitionRequest::default()
            .with_broker_id(BrokerId(leader.0))
            .with_broker_epoch(image.broker(leader).map_or(-1, |b| b.broker_epoch))
            .with_topics(vec![TopicData::default().with_topic_id(topic.id).with_partitions(vec![partition])]),
    )
}

fn random_reassignment(rng: &mut ChaCha8Rng, world: &World) -> Option<AlterPartitionReassignmentsRequest> {
    let all: Vec<_> = world.current().partitions().collect();
    if all.is_empty() {
        return None;
    }
    let (topic, number, _) = &all[rng.gen_range(0..all.len())];
    let first = rng.gen_range(1..5);
    let target = (first..first + rng.gen_range(1..4)).map(|n| BrokerId((n - 1) % 4 + 1)).collect();
    let partition = alter_partition_reassignments_request::ReassignablePartition::default()
        .with_partition_index(*number)
        .with_replicas(rng.gen_bool(0.8).then_some(target));
    let topic = alter_partition_reassignments_request::ReassignableTopic::default()
        .with_name(TopicName(text(&topic.name)))
        .with_partitions(vec![partition]);
    Some(AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]))
}

fn random_step(rng: &mut ChaCha8Rng, world: &mut World, walkers: &mut [Walker]) {
    let active = world.active();
    let i = rng.gen_range(0..walkers.len());
    let id = i as i32 + 1;
    let epoch = world.current().broker(NodeId(id)).map_or(-1, |b| b.broker_epoch);
    match rng.gen_range(0..21) {
        0 | 1 => {
            walkers[i].incarnation += u128::from(rng.gen_bool(0.8));
            let incarnation = walkers[i].incarnation + 1000 * id as u128;
            let previous = if rng.gen_bool(0.5) { epoch } else { -1 };
            world.ask(active, 4, registering(id, incarnation, "story", previous));
        }
        2..=8 => {
            let offset = world.current().applied_offset - rng.gen_range(0..3);
            let (fence, shut_down) = (rng.gen_bool(0.05), rng.gen_bool(0.05));
            world.ask(active, rng.gen_range(0..2), heartbeat(id, epoch, offset, fence, shut_down));
        }
        9 => {
            let name = format!("t{}", rng.gen_range(0..4));
            let mut new = topic(&name, rng.gen_range(1..4), rng.gen_range(1..4));
            let unclean = CreatableTopicConfig::default().with_name(text("unclean.leader.election.enable"));
            if rng.gen_bool(0.3) {
                new.configs.push(unclean.with_value(Some(text("true"))));
            }
            let request = CreateTopicsRequest::default().with_topics(vec![new]);
            world.ask(active, rng.gen_range(2..8), request);
        }
        10 if rng.gen_bool(0.2) => {
            let name = TopicName(text(&format!("t{}", rng.gen_range(0..4))));
            let state = DeleteTopicState::default().with_name(Some(name.clone()));
            let request = DeleteTopicsRequest::default().with_topics(vec![state]);
            world.ask(active, rng.gen_range(1..7), request.with_topic_names(vec![name]));
        }
        11..=13 => {
            if let Some(request) = random_alter(rng, world) {
                world.ask(active, rng.gen_range(2..4), request);
            }
        }
        14 => {
            let request = AllocateProducerIdsRequest::default().with_broker_id(BrokerId(id));
            world.ask(active, 0, request.with_broker_epoch(epoch));
        }
        18 => {
            if let Some(request) = random_reassignment(rng, world) {
                world.ask(active, rng.gen_range(0..2), request);
            }
        }
        15 if rng.gen_bool(0.3) => world.elect(rng.gen_range(101..104), rng.gen_bool(0.5)),
        16 | 17 => world.pass(Duration::from_millis(rng.gen_range(0..4000))),
        _ => world.commit(),
    }
}

/// What [`World`] checks after every commit holds on random walks as well, and walks get somewhere.
#[test]
fn random_walks_keep_the_rules() {
    let (mut unclean, mut clean, mut leaderless, mut eligible, mut empty) = (0, 0, 0, 0, 0);
    for seed in 0..150 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let min_isr = rng.gen_range(1..3);
        let settings = BrokerConfig { min_insync_replicas: min_isr, ..BrokerConfig::default() };
        let features = [(ELIGIBLE_LEADER_REPLICAS.to_string(), i16::from(seed % 2 == 1))];
        let mut world = World::with(&[101, 102, 103], settings, &features, DefectSet::none());
        let mut walkers = [Walker::default(); 4];
        world.elect(101, true);
        for _ in 0..300 {
            random_step(&mut rng, &mut world, &mut walkers);
            for line in world.take_lines() {
                unclean += usize::from(line.contains("election=Unclean"));
                clean += usize::from(line.contains("election=Clean"));
                leaderless += usize::from(line.starts_with("fact") && line.contains("leader=none"));
                eligible += usize::from(line.starts_with("fact") && line.contains("elr="));
                empty += usize::from(line.starts_with("fact") && line.contains("isr=[] "));
            }
        }
        world.commit();
    }
    assert!(unclean > 50 && clean > 500 && leaderless > 50, "{unclean} {clean} {leaderless}");
    assert!(eligible > 50 && empty > 20, "{eligible} {empty}");
}

/// Two walks with the same choices write the same log.
#[test]
fn a_walk_replays() {
    let walk = || {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut world = World::new(&[101, 102, 103], BrokerConfig::default());
        let mut walkers = [Walker::default(); 4];
        world.elect(101, true);
        let mut lines = Vec::new();
        for _ in 0..300 {
            random_step(&mut rng, &mut world, &mut walkers);
            lines.extend(world.take_lines());
        }
        lines
    };
    assert_eq!(walk(), walk());
}
