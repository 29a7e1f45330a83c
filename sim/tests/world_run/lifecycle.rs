//! Runs, turns, crashes, pauses, clocks.

use std::sync::Arc;
use std::time::Duration;

use broker::io::{Effect, Input};
use broker::time::Instant;
use sim::host::EndReason;
use sim::plan::HostId;
use sim::trace::CrashMode;
use sim::world::{ClockSpec, HostState, LatencyDist};

use crate::support::*;

fn busy(seed: u64) -> Vec<(u64, Option<u32>, String)> {
    let mut spec = world(seed, vec![echo(0), sender(1, "h0", 700, 40), sender(2, "h0", 500, 60)]);
    spec.net.latency = LatencyDist::LogNormal { median: 400, p99: 4_000 };
    spec.net.loss_ppm = 20_000;
    let recorder = Recorder::default()
        .at(10 * MS, |control| assert!(control.crash(HostId(1), CrashMode::Process)))
        .at(15 * MS, |control| assert!(control.start(HostId(1))))
        .at(20 * MS, |control| assert!(control.pause(HostId(0))))
        .at(25 * MS, |control| assert!(control.resume(HostId(0))));
    let (recorder, end) = run(spec, recorder);
    assert_eq!(end.reason, EndReason::Quiet);
    assert!(recorder.frames(2).len() == 60, "{}", recorder.frames(2).len());
    recorder.lines
}

#[test]
fn one_seed_is_one_run_on_any_thread_and_another_seed_is_another() {
    let first = busy(7);
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(|| busy(7))).collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), first);
    }
    assert_ne!(busy(8), first);
}

#[test]
fn equal_machines_take_turns_in_an_order_that_the_seed_decides() {
    let order = |seed| {
        let (recorder, _) = run(
            world(
                seed,
                (0..6)
                    .map(|id| {
                        host(id, |turn, input| {
                            if input.is_none() {
                                *turn.deadline = Some(Instant(MS));
                            }
                        })
                    })
                    .collect(),
            ),
            Recorder::default(),
        );
        recorder.lines.iter().filter(|line| line.2 == "TimerDue").map(|line| line.1).collect::<Vec<_>>()
    };
    assert_eq!(order(1).len(), 6);
    assert!((2..10).any(|seed| order(seed) != order(1)));
}

#[test]
fn a_timer_fires_at_its_time_to_the_microsecond() {
    let (recorder, _) = run(
        world(
            1,
            vec![host(0, |turn, input| {
                if input.is_none() {
                    *turn.deadline = Some(Instant(37));
                }
            })],
        ),
        Recorder::default(),
    );
    assert_eq!(recorder.times(0, "TimerDue"), [37]);
}

#[test]
fn a_moved_deadline_fires_once() {
    let (recorder, _) = run(
        world(
            1,
            vec![host(0, |turn, input| match input {
                None => *turn.deadline = Some(Instant(S)),
                Some(Input::ShutdownRequested) => *turn.deadline = Some(Instant(2 * S)),
                _ => {}
            })],
        ),
        Recorder::default().at(MS, |control| control.tell(HostId(0), Input::ShutdownRequested)),
    );
    assert_eq!(recorder.times(0, "TimerDue"), [2 * S]);
}

#[test]
fn clocks_run_apart_and_deadlines_are_each_machine_s_own() {
    let machine = |id, clock| {
        let mut spec = host(id, |turn, input| match input {
            None => *turn.deadline = Some(turn.now + Duration::from_secs(10)),
            Some(_) => turn.out.effects.push(Effect::Halt { reason: format!("at {}", turn.now.0) }),
        });
        spec.clock = clock;
        spec
    };
    let (recorder, _) = run(
        world(
            1,
            vec![
                machine(0, ClockSpec { offset_us: 500, drift_ppm: 0 }),
                machine(1, ClockSpec { offset_us: 0, drift_ppm: 1_000 }),
            ],
        ),
        Recorder::default(),
    );
    assert_eq!(recorder.times(0, "at 10000500"), [10 * S]);
    assert_eq!(recorder.times(1, "at 10000000"), [9_990_010]);
}

#[test]
fn a_paused_machine_gets_everything_late_and_in_order() {
    let recorder = Recorder::default()
        .at(5 * MS, |control| assert!(control.pause(HostId(0)) && !control.pause(HostId(0))))
        .at(50 * MS, |control| assert!(control.resume(HostId(0)) && !control.resume(HostId(0))));
    let timer = host(0, |turn, input| {
        if input.is_none() {
            *turn.deadline = Some(Instant(20 * MS));
        }
    });
    let (recorder, _) = run(world(1, vec![timer, sender(1, "h0", MS, 20)]), recorder);
    assert!(recorder.times(0, "TimerDue")[0] >= 50 * MS);
    assert_eq!(recorder.frames(0), (0..20).collect::<Vec<_>>());
    let late = recorder.times(0, "frame");
    assert!(late.iter().all(|at| *at <= 6 * MS || *at >= 50 * MS), "{late:?}");
    assert!(late.iter().filter(|at| **at >= 50 * MS).count() > 10);
}

#[test]
fn a_panic_stops_its_machine_only_and_says_where() {
    let bomb = host(0, |_, input| {
        if let Some(Input::FrameReceived { .. }) = input {
            panic!("no such epoch");
        }
    });
    let (recorder, end) = run(
        world(1, vec![bomb, sender(1, "h0", MS, 3), echo(2), sender(3, "h2", MS, 9)]),
        Recorder::default(),
    );
    assert_eq!(end.reason, EndReason::Quiet);
    assert_eq!(recorder.times(0, "Panic { message: \"no such epoch (").len(), 1);
    assert_eq!(recorder.times(0, "lifecycle.rs:").len(), 1);
    assert_eq!(recorder.times(1, "ConnectionClosed").len(), 1);
    assert_eq!(recorder.frames(3).len(), 9);
}

#[test]
fn a_boot_that_panics_or_halts_leaves_the_machine_down_until_it_is_started_again() {
    let flaky = host(0, |turn, _| match turn.incarnation {
        0 => panic!("corrupt"),
        1 => turn.out.effects.push(Effect::Halt { reason: "no quorum".to_owned() }),
        _ => {}
    });
    let mut recorder = Recorder::default();
    for at in [MS, 2 * MS] {
        recorder = recorder.at(at, |control| {
            assert_eq!(control.state(HostId(0)), HostState::Down);
            assert!(control.start(HostId(0)) && !control.start(HostId(0)));
        });
    }
    let (recorder, _) = run(
        world(1, vec![flaky]),
        recorder.at(3 * MS, |control| assert_eq!(control.state(HostId(0)), HostState::Up)),
    );
    assert_eq!(recorder.times(0, "Panic").len(), 1);
    assert_eq!(recorder.times(0, "Halt { reason: \"no quorum\" }").len(), 1);
    assert_eq!(recorder.times(0, "Started").len(), 3);
}

#[test]
fn inputs_of_a_dead_incarnation_are_dropped() {
    let machine = host(0, |turn, input| {
        if input.is_none() && turn.incarnation == 0 {
            let file = turn.disk.open("log", true).unwrap();
            turn.disk.sync(file);
            *turn.deadline = Some(Instant(10 * MS));
        }
    });
    let recorder = Recorder::default().at(MS, |control| {
        control.tell(HostId(0), Input::ShutdownRequested);
        assert!(control.crash(HostId(0), CrashMode::Process) && !control.crash(HostId(0), CrashMode::Power));
        assert!(control.start(HostId(0)));
    });
    let (recorder, end) = run(world(1, vec![machine]), recorder);
    assert_eq!(end.inputs, 0, "{:?}", recorder.lines);
}

#[test]
fn every_run_ends() {
    let spin = || vec![host(0, |turn, _| *turn.deadline = Some(turn.now))];
    let mut spec = world(1, spin());
    spec.event_budget = 1_000;
    let (_, end) = run(spec, Recorder::default());
    assert_eq!((end.reason, end.inputs), (EndReason::EventBudget, 1_000));

    let mut spec = world(1, spin());
    (spec.event_budget, spec.wall_watchdog) = (u64::MAX, Duration::from_millis(30));
    assert_eq!(run(spec, Recorder::default()).1.reason, EndReason::WallWatchdog);

    let (_, end) = run(world(1, spin()), Recorder::default().at(3 * MS, |control| control.end_run()));
    assert_eq!(end.reason, EndReason::Ended);
    assert!(end.at < 4 * MS);
}

#[test]
fn a_panic_of_the_observer_ends_the_run_with_what_it_saw() {
    let recorder = Recorder::default().at(5 * MS, |_| panic!("judge"));
    let (recorder, end) = run(world(1, vec![echo(0), sender(1, "h0", MS, 10)]), recorder);
    assert!(matches!(end.reason, EndReason::Failed { message } if message.contains("judge")));
    assert!(!recorder.lines.is_empty());
}

#[test]
fn nothing_of_a_run_stays_in_memory() {
    let marker = Arc::new(());
    for end_early in [false, true] {
        let (a, b) = (marker.clone(), marker.clone());
        let hosts = vec![
            host(0, move |_, _| assert!(Arc::strong_count(&a) > 1)),
            host(1, move |turn, _| {
                assert!(Arc::strong_count(&b) > 1);
                *turn.deadline = Some(turn.now + Duration::from_millis(1));
            }),
            sender(2, "h0", MS, 100),
        ];
        let mut recorder = Recorder::default()
            .at(3 * MS, |control| assert!(control.pause(HostId(0))))
            .at(4 * MS, |control| assert!(control.crash(HostId(2), CrashMode::Power)));
        if end_early {
            recorder = recorder.at(5 * MS, |control| control.end_run());
        }
        let mut spec = world(1, hosts);
        spec.event_budget = 2_000;
        drop(run(spec, recorder));
        assert_eq!(Arc::strong_count(&marker), 1);
    }
}

#[test]
fn an_observer_strikes_right_after_a_step_whose_frames_are_under_way() {
    struct Strike(Recorder);
    impl sim::world::Observer for Strike {
        fn input(&mut self, at: Instant, host: HostId, input: &Input) {
            self.0.input(at, host, input);
        }
        fn fact(&mut self, at: Instant, host: Option<HostId>, fact: sim::trace::Fact) {
            self.0.fact(at, host, fact);
        }
        fn after_step(&mut self, control: &mut dyn sim::world::Control) {
            let hit =
                self.0.lines.last().is_some_and(|(_, host, line)| *host == Some(0) && line == "frame 2");
            if hit {
                assert!(control.crash(HostId(0), CrashMode::Process));
                assert_eq!(control.state(HostId(0)), HostState::Down);
                assert!(control.start(HostId(0)));
            }
        }
        fn alarm(&mut self, _: &mut dyn sim::world::Control) {}
    }
    let spec = world(1, vec![echo(0), sender(1, "h0", 10 * MS, 9)]);
    let end = sim::host::run(spec, Box::new(Strike(Recorder::default())));
    let recorder = end.observer_as::<Strike>().unwrap().0;
    assert_eq!(recorder.frames(1), [0, 1, 2], "the answer was on its way");
    assert_eq!(recorder.times(1, "ConnectionClosed").len(), 1);
    let (crashed, started) = (recorder.times(0, "Crash(Process)"), recorder.times(0, "Started"));
    assert_eq!((crashed.len(), started.len()), (1, 2));
    assert_eq!(crashed[0], *recorder.times(0, "frame 2").last().unwrap(), "in the very same moment");
}

#[test]
fn hosts_out_of_order_are_refused() {
    let end = sim::host::run(world(1, vec![echo(1)]), Box::new(Recorder::default()));
    assert!(matches!(end.reason, EndReason::Failed { .. }));
}
