//! Cut, changed and lying frames. Whatever comes, a node answers, closes the connection or parks a request that asks for
//! it; nobody else notices. A panic or a node that ends itself fails the test by itself.

use broker::ids::NodeId;
use broker::io::Listener;
use broker::time::Duration;
use broker::wire::{self, ApiKey, Request, Response};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::net::metadata;
use crate::samples::*;

/// Longer than any time-out of a node, shorter than a parked request may wait.
const SILENCE: Duration = Duration::from_secs(35);

/// The length prefix says what is there.
fn relabelled(mut bytes: Vec<u8>) -> Bytes {
    let length = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes.into()
}

/// May this request be unanswered for as long as it likes?
fn may_be_silent(frame: Bytes) -> bool {
    match wire::decode_request(frame) {
        Ok((_, Request::Produce(request))) => {
            request.acks == 0 || i64::from(request.timeout_ms) > SILENCE.as_millis() as i64
        }
        Ok((_, Request::Fetch(request))) => i64::from(request.max_wait_ms) > SILENCE.as_millis() as i64,
        _ => false,
    }
}

/// A cluster under attack, and a bystander's connection to each listener of each node.
struct Siege {
    bench: Bench,
    listener: Listener,
    bystander: broker::io::ConnectionId,
    answered: usize,
    closed: usize,
}

impl Siege {
    fn of(listener: Listener) -> Siege {
        let mut bench = Bench::new();
        let bystander = bench.cluster.dial(bench.leader, Listener::Client);
        Siege { bench, listener, bystander, answered: 0, closed: 0 }
    }

    /// Sends one frame over a connection of its own.
    fn shoot(&mut self, what: &str, frame: Bytes) {
        let target = match self.listener {
            // Votes may have moved the leadership: any voter must bear any frame.
            Listener::Controller => self.bench.cluster.active_controller().unwrap_or(NodeId(0)),
            Listener::Client | Listener::Replication => self.bench.leader,
        };
        let connection = self.bench.cluster.dial(target, self.listener);
        self.bench.cluster.send(connection, frame.clone());
        if self.bench.cluster.answer(connection, SILENCE).is_some() {
            self.answered += 1;
        } else if self.bench.cluster.closed.contains(&connection) {
            self.closed += 1;
        } else {
            let request = wire::decode_request(frame.clone());
            assert!(may_be_silent(frame), "{what} on {:?}: stuck on {request:?}", self.listener);
        }
    }

    /// Everybody else goes on, and a record is still acknowledged by all.
    fn ends_well(mut self) {
        self.bystander_is_served();
        self.bench.still_works();
    }

    fn bystander_is_served(&mut self) {
        self.bench.cluster.run_for(Duration::from_secs(30));
        let frame = encode(&metadata(TOPIC), 12);
        self.bench.cluster.send(self.bystander, frame);
        let answer = self.bench.cluster.answer(self.bystander, PATIENCE).expect("the bystander is served");
        let (_, response) = wire::decode_response(ApiKey::Metadata, 12, answer).expect("readable");
        let Response::Metadata(response) = response else { panic!("Metadata") };
        assert_eq!(response.brokers.len(), 3, "nobody was fenced");
    }
}

#[test]
fn a_frame_cut_anywhere_is_refused() {
    for listener in LISTENERS {
        let mut siege = Siege::of(listener);
        for (api_key, version) in all_on(listener) {
            let frame = encode(&sample(&siege.bench, listener, api_key, version), version);
            for cut in 4..frame.len() {
                let what = format!("{api_key:?} v{version} cut at {cut}");
                siege.shoot(&what, relabelled(frame[..cut].to_vec()));
            }
        }
        assert_eq!(siege.answered, 0, "{listener:?}: no cut frame is a request");
        siege.ends_well();
    }
}

#[test]
fn a_wrong_length_is_refused() {
    let mut siege = Siege::of(Listener::Client);
    let frame = encode(&metadata(TOPIC), 12);
    for cut in 0..frame.len() {
        siege.shoot("a prefix", frame.slice(..cut));
    }
    siege.shoot("a byte too many", [&frame[..], &[0]].concat().into());
    siege.shoot("a byte too many, announced", relabelled([&frame[..], &[0]].concat()));
    assert_eq!(siege.answered, 0);
    siege.ends_well();
}

/// Every byte of every sample, replaced by other values.
fn mutate(listener: Listener, api_key: ApiKey, runner: &mut TestRunner) {
    let mut siege = Siege::of(listener);
    let (min, max) = wire::versions(api_key).expect("an API of ours");
    for version in min..=max {
        let frame = encode(&sample(&siege.bench, listener, api_key, version), version);
        for at in 4..frame.len() {
            let mask = (1..=255u8).new_tree(runner).expect("a value").current();
            let mut bytes = frame.to_vec();
            bytes[at] ^= mask;
            siege.shoot(&format!("{api_key:?} v{version} byte {at} ^ {mask}"), bytes.into());
        }
    }
    assert!(siege.answered > 0 && siege.closed > 0, "{api_key:?}: both sides were seen");
    siege.ends_well();
}

#[test]
fn a_changed_byte_harms_nobody_on_the_client_listener() {
    let mut runner = TestRunner::deterministic();
    offered(Listener::Client).into_iter().for_each(|key| mutate(Listener::Client, key, &mut runner));
}

#[test]
fn a_changed_byte_harms_nobody_on_the_replication_listener() {
    let mut runner = TestRunner::deterministic();
    offered(Listener::Replication)
        .into_iter()
        .for_each(|key| mutate(Listener::Replication, key, &mut runner));
}

#[test]
fn a_changed_byte_harms_nobody_on_the_controller_listener() {
    let mut runner = TestRunner::deterministic();
    offered(Listener::Controller).into_iter().for_each(|key| mutate(Listener::Controller, key, &mut runner));
}

/// Numbers at which arithmetic breaks, wherever a number may stand.
fn extremes(listener: Listener, api_key: ApiKey) {
    let numbers: [&[u8]; 6] = [
        &i32::MAX.to_be_bytes(),
        &i32::MIN.to_be_bytes(),
        &(-1i32).to_be_bytes(),
        &i64::MAX.to_be_bytes(),
        &i64::MIN.to_be_bytes(),
        &(-1i64).to_be_bytes(),
    ];
    let mut siege = Siege::of(listener);
    let (min, max) = wire::versions(api_key).expect("an API of ours");
    for version in min..=max {
        let frame = encode(&sample(&siege.bench, listener, api_key, version), version);
        for at in 12..frame.len() {
            for number in numbers.iter().filter(|number| at + number.len() <= frame.len()) {
                let mut bytes = frame.to_vec();
                bytes[at..at + number.len()].copy_from_slice(number);
                siege.shoot(&format!("{api_key:?} v{version} {number:?} at {at}"), bytes.into());
            }
        }
    }
    match api_key {
        // A voter that claims the last epoch there is leaves none to elect a controller in, in Kafka as here: only voters
        // reach this listener. The brokers go on without a controller.
        ApiKey::Vote | ApiKey::BeginQuorumEpoch | ApiKey::EndQuorumEpoch => siege.bystander_is_served(),
        _ => siege.ends_well(),
    }
}

#[test]
fn extreme_numbers_harm_nobody() {
    for listener in LISTENERS {
        offered(listener).into_iter().for_each(|key| extremes(listener, key));
    }
}

#[test]
fn random_bytes_are_refused() {
    let mut runner = TestRunner::deterministic();
    // A header that is understood, so that the garbage behind it is reached.
    let keys = proptest::sample::select(wire::SUPPORTED);
    let shape = (keys, -1..20i16, proptest::collection::vec(any::<u8>(), 0..200));
    for listener in LISTENERS {
        let mut siege = Siege::of(listener);
        for _ in 0..2_000 {
            let (key, version, tail) = shape.new_tree(&mut runner).expect("a value").current();
            let mut bytes = vec![0; 4];
            bytes.extend_from_slice(&(key as i16).to_be_bytes());
            bytes.extend_from_slice(&version.to_be_bytes());
            bytes.extend_from_slice(&tail);
            siege.shoot(&format!("random {key:?} v{version}"), relabelled(bytes));
        }
        siege.ends_well();
    }
}

/// Wherever a number may stand, an enormous one: without a guard the decoder would ask for hundreds of gigabytes.
#[test]
fn announced_arrays_that_are_not_there_cost_nothing() {
    let mut siege = Siege::of(Listener::Client);
    for listener in LISTENERS {
        for (api_key, version) in all_on(listener) {
            let frame = encode(&sample(&siege.bench, listener, api_key, version), version);
            for at in 12..frame.len() {
                let plain = [&frame[..at], &i32::MAX.to_be_bytes(), &frame[(at + 4).min(frame.len())..]];
                let compact = [&frame[..at], &[0xff, 0xff, 0xff, 0xff, 0x0f][..], &frame[at + 1..]];
                for lie in [plain.concat(), compact.concat()] {
                    let _ = wire::decode_request(relabelled(lie));
                }
            }
        }
    }
    let frame = encode(&metadata(TOPIC), 12);
    let lie = [&frame[..frame.len() - 40], &[0xff, 0xff, 0xff, 0xff, 0x0f][..], &frame[frame.len() - 39..]];
    siege.shoot("four thousand million topics", relabelled(lie.concat()));
    siege.ends_well();
}

#[test]
fn an_unknown_version_closes_and_of_api_versions_is_answered() {
    for listener in LISTENERS {
        let mut bench = Bench::new();
        for api_key in offered(listener) {
            let (min, max) = wire::versions(api_key).expect("an API of ours");
            for unknown in [min - 1, max + 1, i16::MAX] {
                let mut bytes = encode(&sample(&bench, listener, api_key, max), max).to_vec();
                bytes[6..8].copy_from_slice(&unknown.to_be_bytes());
                let connection = bench.cluster.dial(bench.target(listener), listener);
                bench.cluster.send(connection, bytes.into());
                let answer = bench.cluster.answer(connection, PATIENCE);
                if api_key != ApiKey::ApiVersions {
                    assert!(answer.is_none() && bench.cluster.closed.contains(&connection), "{api_key:?}");
                    continue;
                }
                let answer = answer.expect("ApiVersions is answered in any version (KIP-511)");
                let decoded = wire::decode_response(ApiKey::ApiVersions, 0, answer).expect("the v0 layout");
                let (7, Response::ApiVersions(response)) = decoded else { panic!("the same correlation id") };
                assert_eq!(response.error_code, wire::ErrorCode::UnsupportedVersion.code());
                let own = response.api_keys.iter().find(|api| api.api_key == ApiKey::ApiVersions as i16);
                let own = own.map(|api| (api.min_version, api.max_version));
                assert_eq!(own, Some((min, max)), "the range to try again with");
            }
        }
    }
}

/// What nodes say to each other is cut on the way, too: one frame in twenty.
#[test]
fn frames_between_nodes_that_are_cut_are_asked_for_again() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..10 {
        let mut bench = Bench::new();
        let mut rng = runner.new_rng();
        bench.cluster.tamper = Some(Box::new(move |frame: Bytes| {
            if rng.random_range(0..20) > 0 {
                return frame;
            }
            let at = rng.random_range(4..frame.len());
            relabelled(frame[..at].to_vec())
        }));
        for _ in 0..50 {
            let request = produce_request(bench.topic_id, 13, -1, batch());
            let connection = bench.cluster.dial(bench.leader, Listener::Client);
            bench.cluster.send(connection, encode(&request, 13));
            bench.cluster.run_for(Duration::from_millis(700));
        }
        bench.cluster.tamper = None;
        bench.cluster.run_for(Duration::from_secs(60));
        bench.still_works();
    }
}
