//! What SimNet promises.

use broker::io::{ConnectionId, Effect, Input};
use sim::plan::HostId;
use sim::trace::CrashMode;
use sim::world::{Cut, Fate, Intercept, LatencyDist, TrafficClass};

use crate::support::*;

fn one_way(from: u32, to: u32) -> Cut {
    Cut { from: vec![HostId(from)], to: vec![HostId(to)], classes: Vec::new() }
}

/// Connects at boot to `peer` on `port` and does nothing else.
fn caller(id: u32, peer: &'static str, port: u16) -> sim::world::HostSpec {
    host(id, move |turn, input| {
        if input.is_none() {
            turn.connect(0, peer, port);
        }
    })
}

#[test]
fn a_connection_takes_a_round_trip_and_the_port_names_the_listener() {
    let (recorder, _) = run(world(1, vec![echo(0), caller(1, "h0", 9093)]), Recorder::default());
    let opened = recorder.times(1, "ConnectionOpened")[0];
    assert!((2 * MS..2 * MS + 50).contains(&opened), "{opened}");
    let accepted =
        recorder.times(0, "ConnectionAccepted { connection: ConnectionId(0), listener: Controller }")[0];
    assert!((3 * MS..3 * MS + 50).contains(&accepted), "{accepted}");
}

#[test]
fn refusal_takes_a_round_trip_and_silence_ten_seconds() {
    let closed = |mut spec: sim::world::WorldSpec, recorder| {
        spec.hosts[0].starts = false;
        run(spec, recorder).0.times(1, "ConnectionClosed")
    };
    let near = |at: &[u64], expected: u64| at.len() == 1 && (expected..expected + 100).contains(&at[0]);
    let peer = |port| world(1, vec![echo(0), caller(1, "h0", port)]);
    assert!(near(&closed(peer(9092), Recorder::default()), 2 * MS), "down");
    assert!(near(&run(peer(1), Recorder::default()).0.times(1, "ConnectionClosed"), 2 * MS), "no such port");
    assert!(near(
        &run(world(1, vec![echo(0), caller(1, "nobody", 9092)]), Recorder::default())
            .0
            .times(1, "ConnectionClosed"),
        0
    ));
    let mut no_listeners = peer(9092);
    no_listeners.hosts[0].is_node = false;
    assert!(near(&run(no_listeners, Recorder::default()).0.times(1, "ConnectionClosed"), 2 * MS));

    let silent = |act: fn(&mut dyn sim::world::Control)| {
        let late = host(1, |turn, input| match input {
            None => *turn.deadline = Some(broker::time::Instant(S)),
            Some(Input::TimerDue) => turn.connect(0, "h0", 9092),
            _ => {}
        });
        run(world(1, vec![echo(0), late]), Recorder::default().at(MS, act)).0.times(1, "ConnectionClosed")
    };
    assert!(near(&silent(|control| assert!(control.crash(HostId(0), CrashMode::Power))), 11 * S), "no power");
    assert!(near(&silent(|control| assert!(control.pause(HostId(0)))), 11 * S), "paused");
    assert!(
        near(
            &silent(|control| {
                control.cut(one_way(0, 1));
            }),
            11 * S
        ),
        "answer cut"
    );
}

#[test]
fn frames_stay_in_order_under_loss_and_jitter() {
    for seed in 0..5 {
        let mut spec = world(seed, vec![echo(0), sender(1, "h0", 2 * MS, 300)]);
        spec.net.latency = LatencyDist::Exp { mean: 20 * MS };
        spec.net.loss_ppm = 100_000;
        let (recorder, _) = run(spec, Recorder::default());
        assert_eq!(recorder.frames(0), (0..300).collect::<Vec<_>>());
        assert_eq!(recorder.frames(1), (0..300).collect::<Vec<_>>());
    }
}

#[test]
fn a_one_way_cut_stops_one_way_and_one_class_and_healing_delivers_late() {
    let cut_to = |classes: Vec<TrafficClass>| {
        let recorder = Recorder::default()
            .at(100 * MS, move |control| {
                let id = control.cut(Cut { classes: classes.clone(), ..one_way(0, 1) });
                assert_eq!(id.0, 1);
            })
            .at(5 * S, |control| assert!(control.heal(sim::world::CutId(1))));
        run(world(1, vec![echo(0), sender(1, "h0", 10 * MS, 100)]), recorder).0
    };
    let recorder = cut_to(vec![]);
    assert!(recorder.times(0, "frame").iter().all(|at| *at < 1_100 * MS), "requests go on arriving");
    assert_eq!(recorder.frames(1), (0..100).collect::<Vec<_>>(), "nothing is lost");
    let answers = recorder.times(1, "frame");
    assert!(answers.iter().all(|at| *at < 100 * MS || (5 * S..12 * S).contains(at)), "{answers:?}");
    assert!(answers.iter().filter(|at| **at >= 5 * S).count() > 80);

    let recorder = cut_to(vec![TrafficClass::Replication]);
    assert!(recorder.times(1, "frame").iter().all(|at| *at < 1_100 * MS), "another class is not cut");
}

#[test]
fn frames_in_flight_at_a_cut_are_held() {
    let recorder = Recorder::default().at(3_500, |control| {
        control.cut(one_way(1, 0));
    });
    let (recorder, _) = run(world(1, vec![echo(0), sender(1, "h0", S, 1)]), recorder);
    // Opened at 2 ms, sent at once, in flight until 3 ms: the frame is through, but at latency 4 ms it would not be.
    assert_eq!(recorder.frames(0), [0]);
    let mut spec = world(1, vec![echo(0), sender(1, "h0", S, 1)]);
    spec.net.latency = LatencyDist::Constant(4 * MS);
    let recorder = Recorder::default()
        .at(9 * MS, |control| {
            control.cut(one_way(1, 0));
        })
        .at(S, |control| assert!(control.heal(sim::world::CutId(1))));
    let (recorder, _) = run(spec, recorder);
    assert!(recorder.times(0, "frame")[0] > S);
}

#[test]
fn a_sender_that_gets_nothing_through_for_a_minute_gives_up() {
    let recorder = Recorder::default().at(50 * MS, |control| {
        control.cut(one_way(1, 0));
    });
    let (recorder, _) = run(world(1, vec![echo(0), sender(1, "h0", 10 * MS, 50)]), recorder);
    let closed = recorder.times(1, "ConnectionClosed");
    assert!(closed.len() == 1 && (60 * S..75 * S).contains(&closed[0]), "{closed:?}");
    assert!(recorder.times(0, "ConnectionClosed").is_empty(), "the other side learns nothing");
}

#[test]
fn a_dead_process_resets_and_a_dead_machine_is_silent_until_it_is_back() {
    let crash = |mode| {
        let recorder = Recorder::default()
            .at(100 * MS, move |control| assert!(control.crash(HostId(0), mode)))
            .at(20 * S, |control| assert!(control.start(HostId(0))));
        run(world(1, vec![echo(0), sender(1, "h0", 10 * MS, 100), caller(2, "h0", 9092)]), recorder).0
    };
    let process = crash(CrashMode::Process);
    for peer in [1, 2] {
        let closed = process.times(peer, "ConnectionClosed");
        assert!(closed.len() == 1 && (101 * MS..101 * MS + 50).contains(&closed[0]), "{closed:?}");
    }
    let power = crash(CrashMode::Power);
    let closed = power.times(1, "ConnectionClosed");
    assert!(closed.len() == 1 && (20 * S..31 * S).contains(&closed[0]), "{closed:?}");
    assert!(power.times(2, "ConnectionClosed").is_empty(), "who sends nothing learns nothing");
}

#[test]
fn a_reset_does_not_pass_a_cut() {
    let recorder = Recorder::default()
        .at(50 * MS, |control| {
            control.cut(one_way(0, 1));
            assert!(control.crash(HostId(0), CrashMode::Process));
        })
        .at(10 * S, |control| assert!(control.start(HostId(0)) && control.heal(sim::world::CutId(1))));
    let (recorder, _) =
        run(world(1, vec![echo(0), sender(1, "h0", 10 * MS, 20), caller(2, "h0", 9092)]), recorder);
    let closed = recorder.times(1, "ConnectionClosed");
    assert!(closed.len() == 1 && (10 * S..21 * S).contains(&closed[0]), "{closed:?}");
    assert_eq!(recorder.times(2, "ConnectionClosed").len(), 1, "not cut");
}

#[test]
fn the_end_of_a_connection_comes_after_its_frames() {
    for ends_by_halt in [false, true] {
        let server = host(0, move |turn, input| {
            if let Some(Input::FrameReceived { connection, .. }) = input {
                (0..5).for_each(|n| turn.send(connection, n));
                turn.out.effects.push(if ends_by_halt {
                    Effect::Halt { reason: "shutdown".to_owned() }
                } else {
                    Effect::Close { connection }
                });
                turn.send(connection, 99);
            }
        });
        let mut spec = world(1, vec![server, sender(1, "h0", S, 1)]);
        spec.net.loss_ppm = 200_000;
        let (recorder, _) = run(spec, Recorder::default());
        assert_eq!(recorder.frames(1), [0, 1, 2, 3, 4]);
        let (last, closed) =
            (*recorder.times(1, "frame").last().unwrap(), recorder.times(1, "ConnectionClosed"));
        assert!(closed.len() == 1 && closed[0] >= last);
    }
}

#[test]
fn frames_sent_before_the_connection_is_open_follow_it() {
    let eager = host(1, |turn, input| {
        if input.is_none() {
            turn.connect(0, "h0", 9092);
            turn.send(ConnectionId::outgoing(0), 1);
            turn.send(ConnectionId::outgoing(0), 2);
        }
    });
    let (recorder, _) = run(world(1, vec![echo(0), eager]), Recorder::default());
    assert_eq!((recorder.frames(0), recorder.frames(1)), (vec![1, 2], vec![1, 2]));
}

/// A request as Kafka frames it, `n` in the place of the version; the correlation id is `n` too.
fn request(api_key: i16, n: u16) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 8];
    frame.extend(api_key.to_be_bytes());
    frame.extend(n.to_be_bytes());
    frame.extend(i32::from(n as i16).to_be_bytes());
    frame
}

/// Asks 0, 1, 2, ... every 10 ms, alternately with API 1 and API 63. Connects again when it is reset.
fn asker(id: u32) -> sim::world::HostSpec {
    const CLOSED: u64 = 1_000;
    const OPENED: u64 = 1_001;
    host(id, |turn, input| {
        let count =
            |turn: &Turn<'_>, test: fn(u64) -> bool| turn.memory.iter().filter(|m| test(**m)).count() as u64;
        let tick = std::time::Duration::from_micros(10 * MS);
        match input {
            None => turn.connect(0, "h0", 9092),
            Some(Input::ConnectionClosed { .. }) => {
                turn.memory.push(CLOSED);
                let n = count(turn, |m| m == CLOSED);
                turn.connect(n, "h0", 9092);
            }
            Some(Input::ConnectionOpened { .. }) => {
                turn.memory.push(OPENED);
                *turn.deadline = Some(turn.now);
            }
            Some(Input::TimerDue) => {
                let n = count(turn, |m| m < CLOSED);
                let closed = count(turn, |m| m == CLOSED);
                if n < 20 && count(turn, |m| m == OPENED) > closed {
                    let frame = request(if n % 2 == 0 { 1 } else { 63 }, n as u16).into();
                    let connection = ConnectionId::outgoing(closed);
                    turn.out.effects.push(Effect::Send { connection, frame });
                    turn.memory.push(n);
                    *turn.deadline = Some(turn.now + tick);
                }
            }
            _ => {}
        }
    })
}

/// Answers every request with its correlation id.
fn answerer(id: u32) -> sim::world::HostSpec {
    host(id, |turn, input| {
        if let Some(Input::FrameReceived { connection, frame }) = input {
            let mut answer = vec![0, 0, 0, 8];
            answer.extend(&frame[8..12]);
            answer.extend([0; 4]);
            turn.out.effects.push(Effect::Send { connection, frame: answer.into() });
        }
    })
}

fn catch(api_key: i16, is_response: bool, nth: Option<u32>, fate: Fate) -> Intercept {
    Intercept {
        fault: "net".to_owned(),
        message: "toy".to_owned(),
        api_key,
        is_response,
        from: None,
        to: None,
        class: None,
        nth,
        fate,
    }
}

fn asked(recorder: &Recorder) -> Vec<u64> {
    recorder.frames(0).iter().map(|frame| frame & 0xffff).collect()
}

fn answered(recorder: &Recorder) -> Vec<u64> {
    recorder.frames(1).iter().map(|frame| frame & 0xffff).collect()
}

fn all() -> Vec<u64> {
    (0..20).collect()
}

#[test]
fn a_held_message_holds_back_what_follows_and_all_arrive_in_order() {
    for is_response in [false, true] {
        let recorder = Recorder::default()
            .at(45 * MS, move |control| {
                control.intercept(catch(63, is_response, Some(1), Fate::Held));
            })
            .at(S, |control| assert!(control.heal(sim::world::CutId(1))));
        let (recorder, _) = run(world(1, vec![answerer(0), asker(1)]), recorder);
        assert_eq!((asked(&recorder), answered(&recorder)), (all(), all()));
        let arrivals = recorder.times(u32::from(is_response), "frame");
        let late = arrivals.iter().filter(|at| **at > S).count();
        assert!((10..20).contains(&late), "{late} came late");
        assert_eq!(recorder.times(u32::from(is_response), "MessageHeld").len(), 1, "the first that matches");
    }
}

#[test]
fn two_rules_hold_one_message_until_both_are_gone() {
    let recorder = Recorder::default()
        .at(MS, |control| {
            control.intercept(catch(1, false, None, Fate::Held));
            control.intercept(catch(1, false, None, Fate::Held));
        })
        .at(S, |control| assert!(control.heal(sim::world::CutId(1))))
        .at(2 * S, |control| assert!(control.heal(sim::world::CutId(2))));
    let (recorder, _) = run(world(1, vec![answerer(0), asker(1)]), recorder);
    assert_eq!(asked(&recorder), all());
    assert!(recorder.times(0, "frame")[0] > 2 * S);
    assert_eq!(recorder.times(0, "MessageHeld").len(), 2, "each rule saw the first of them once");
}

#[test]
fn a_dropped_message_takes_its_connection_with_it() {
    let recorder = Recorder::default().at(45 * MS, |control| {
        control.intercept(catch(1, true, Some(1), Fate::Reset));
    });
    let (recorder, _) = run(world(1, vec![answerer(0), asker(1)]), recorder);
    let (was_asked, was_answered) = (asked(&recorder), answered(&recorder));
    let lost: Vec<u64> = was_asked.iter().copied().filter(|n| !was_answered.contains(n)).collect();
    assert!(!lost.is_empty() && lost[0].is_multiple_of(2), "carried out and not answered: {lost:?}");
    for host in [0, 1] {
        assert_eq!(recorder.times(host, "ConnectionClosed").len(), 1);
    }
    assert_eq!(was_asked.last(), Some(&19), "and a new connection goes on");
}

#[test]
fn a_swallowed_message_is_missing_and_nothing_else_is() {
    let recorder = Recorder::default().at(MS, |control| {
        control.intercept(catch(63, false, None, Fate::Swallowed));
    });
    let (recorder, _) = run(world(1, vec![answerer(0), asker(1)]), recorder);
    assert_eq!(asked(&recorder), (0..20).step_by(2).collect::<Vec<u64>>());
    assert_eq!(recorder.times(0, "MessageDropped").len(), 10);
    assert!(recorder.times(1, "ConnectionClosed").is_empty());
}

#[test]
fn a_held_message_outlives_the_process_that_sent_it_and_what_it_had_not_sent_does_not() {
    let recorder = Recorder::default()
        .at(45 * MS, |control| {
            control.intercept(catch(63, false, Some(1), Fate::Held));
        })
        .at(100 * MS, |control| assert!(control.crash(HostId(1), CrashMode::Process)))
        .at(S, |control| assert!(control.heal(sim::world::CutId(1))));
    let (recorder, _) = run(world(1, vec![answerer(0), asker(1)]), recorder);
    let late: Vec<u64> = recorder.times(0, "frame").into_iter().filter(|at| *at > S).collect();
    assert_eq!(late.len(), 1, "the zombie's message arrives");
    assert_eq!(recorder.times(0, "ConnectionClosed").len(), 1, "and then the reset");
}

#[test]
fn a_reset_is_told_to_both_ends_and_a_forgotten_connection_only_to_who_sends() {
    let spec = || world(1, vec![echo(0), sender(1, "h0", 10 * MS, 20), caller(2, "h0", 9092)]);
    for is_told in [true, false] {
        let recorder = Recorder::default().at(S, move |control| {
            assert_eq!(control.reset(&[HostId(0)], &[HostId(1), HostId(2)], is_told), 2);
        });
        let (recorder, _) = run(spec(), recorder);
        assert_eq!(recorder.times(0, "ConnectionClosed"), [S, S]);
        let told = usize::from(is_told);
        assert_eq!(recorder.times(1, "ConnectionClosed").len(), told, "it had sent everything before");
        assert_eq!(recorder.times(2, "ConnectionClosed").len(), told);
    }
    let recorder = Recorder::default().at(55 * MS, |control| {
        control.reset(&[HostId(0)], &[HostId(1)], false);
    });
    let (recorder, _) = run(spec(), recorder);
    let closed = recorder.times(1, "ConnectionClosed");
    assert!(
        closed.len() == 1 && (60 * MS..70 * MS).contains(&closed[0]),
        "its next frame is refused: {closed:?}"
    );
}
