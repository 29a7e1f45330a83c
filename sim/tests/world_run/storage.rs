//! What SimDisk promises.

use broker::io::{Disk, Effect, Input};
use broker::time::Instant;
use bytes::Bytes;
use sim::plan::HostId;
use sim::trace::CrashMode;

use crate::support::*;

/// Runs `write` at the first boot, `later` when the first sync is through, crashes at 20 ms, and returns what `check` says
/// at the second boot.
fn survives(
    seed: u64,
    mode: CrashMode,
    write: fn(&mut dyn Disk),
    later: fn(&mut dyn Disk),
    check: fn(&mut dyn Disk) -> String,
) -> (String, Box<Recorder>) {
    let machine = host(0, move |turn, input| match input {
        None if turn.incarnation == 0 => write(turn.disk),
        None => {
            let seen = check(turn.disk);
            turn.out.effects.push(Effect::Halt { reason: format!("seen:{seen}") });
        }
        Some(Input::DiskSynced { result: Ok(()), .. }) if turn.memory.is_empty() => {
            turn.memory.push(1);
            later(turn.disk);
        }
        _ => {}
    });
    let recorder = Recorder::default().at(20 * MS, move |control| {
        assert!(control.crash(HostId(0), mode) && control.start(HostId(0)));
    });
    let (recorder, _) = run(world(seed, vec![machine]), recorder);
    let halt = recorder.lines.iter().find_map(|(.., line)| line.split("seen:").nth(1)).expect("halts");
    (halt.split('"').next().unwrap().to_owned(), recorder)
}

fn append(disk: &mut dyn Disk, path: &str, text: &'static str) {
    let file = disk.open(path, true).unwrap();
    disk.append(file, Bytes::from_static(text.as_bytes())).unwrap();
}

fn sync(disk: &mut dyn Disk, path: &str) {
    let file = disk.open(path, false).unwrap();
    disk.sync(file);
}

fn content(disk: &mut dyn Disk, path: &str) -> String {
    disk.read_file(path).unwrap().map_or("none".to_owned(), |bytes| {
        bytes.iter().map(|byte| if *byte == 0 { '-' } else { char::from(*byte) }).collect()
    })
}

#[test]
fn a_process_crash_loses_nothing() {
    let write = |disk: &mut dyn Disk| {
        append(disk, "t-0/log", "abc");
        disk.rename("t-0/log", "t-0/log.2").unwrap();
        append(disk, "x", "y");
        disk.remove("x").unwrap();
    };
    let check = |disk: &mut dyn Disk| format!("{} {}", content(disk, "t-0/log.2"), disk.list("").join(","));
    let (seen, recorder) = survives(1, CrashMode::Process, write, |_| {}, check);
    assert_eq!(seen, "abc t-0");
    assert!(recorder.times(0, "DiskLost").is_empty());
}

#[test]
fn a_sync_covers_what_was_written_before_it_and_a_power_loss_takes_only_the_rest() {
    let write = |disk: &mut dyn Disk| {
        append(disk, "log", "aaaaa");
        disk.sync_dir("");
        sync(disk, "log");
        append(disk, "log", "bbbbb");
    };
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let (seen, recorder) = survives(seed, CrashMode::Power, write, |_| {}, |disk| content(disk, "log"));
        assert!(seen.starts_with("aaaaa"), "{seen}");
        assert_eq!(recorder.times(0, "DiskLost").is_empty(), seen == "aaaaabbbbb", "{seen}");
        outcomes.insert(seen);
    }
    assert!(outcomes.len() >= 4, "{outcomes:?}");
}

#[test]
fn a_replaced_disk_is_empty_whatever_was_synced() {
    let write = |disk: &mut dyn Disk| {
        append(disk, "t-0/log", "abc");
        sync(disk, "t-0/log");
        disk.sync_dir("t-0");
        disk.sync_dir("");
    };
    let again = |disk: &mut dyn Disk| {
        let seen = format!("{} {}", content(disk, "t-0/log"), disk.list("").len());
        append(disk, "new", "x");
        format!("{seen} {}", content(disk, "new"))
    };
    let (seen, _) = survives(1, CrashMode::Wipe, write, |_| {}, again);
    assert_eq!(seen, "none 0 x");
}

#[test]
fn without_any_sync_a_new_file_may_be_gone() {
    let names = |seed| {
        survives(
            seed,
            CrashMode::Power,
            |disk| append(disk, "log", "a"),
            |_| {},
            |disk| disk.list("").join(","),
        )
        .0
    };
    let kept = (0..40).filter(|seed| names(*seed) == "log").count();
    assert!((5..35).contains(&kept), "{kept}");
}

#[test]
fn a_replaced_file_is_old_or_new_and_new_once_the_token_came_back() {
    let write = |disk: &mut dyn Disk| {
        disk.replace("meta", Bytes::from_static(b"old")).unwrap();
    };
    let later = |disk: &mut dyn Disk| {
        disk.replace("meta", Bytes::from_static(b"newer")).unwrap();
        assert_eq!(content(disk, "meta"), "newer");
    };
    let at = |seed, crash_at| {
        let machine = host(0, move |turn, input| match input {
            None if turn.incarnation == 0 => write(turn.disk),
            None => {
                let seen = content(turn.disk, "meta");
                turn.out.effects.push(Effect::Halt { reason: seen });
            }
            Some(Input::DiskSynced { .. }) if turn.memory.is_empty() => {
                turn.memory.push(1);
                later(turn.disk);
            }
            _ => {}
        });
        let recorder = Recorder::default().at(crash_at, |control| {
            assert!(control.crash(HostId(0), CrashMode::Power) && control.start(HostId(0)));
        });
        let (recorder, _) = run(world(seed, vec![machine]), recorder);
        ["old", "newer", "none"].map(|what| recorder.times(0, &format!("\"{what}\"")).len())
    };
    let mut sum = [0; 3];
    for seed in 0..40 {
        assert_eq!(at(seed, 15 * MS), [0, 1, 0], "both are through at 10 ms");
        at(seed, 7 * MS).iter().zip(&mut sum).for_each(|(n, sum)| *sum += n);
    }
    assert_eq!(sum[0] + sum[1], 40, "the first is through at 5 ms");
    assert!(sum[0] > 5 && sum[1] > 5, "{sum:?}");
}

#[test]
fn a_cut_file_that_is_synced_has_its_new_content() {
    let write = |disk: &mut dyn Disk| {
        append(disk, "log", "aaaabbbb");
        disk.sync_dir("");
        sync(disk, "log");
    };
    let cut = |disk: &mut dyn Disk| {
        let file = disk.open("log", false).unwrap();
        disk.truncate(file, 4).unwrap();
        append(disk, "log", "cc");
    };
    let cut_and_sync = |disk: &mut dyn Disk| {
        let file = disk.open("log", false).unwrap();
        disk.truncate(file, 4).unwrap();
        append(disk, "log", "cc");
        disk.sync(file);
    };
    for seed in 0..40 {
        let check = |disk: &mut dyn Disk| content(disk, "log");
        let (seen, _) = survives(seed, CrashMode::Power, write, cut_and_sync, check);
        // Both syncs are asked for in turn; the second was through at 10 ms or later, before the crash.
        assert_eq!(seen, "aaaacc");
        let (seen, _) = survives(seed, CrashMode::Power, write, cut, check);
        assert!(["aaaabbbb", "aaaa", "aaaac", "aaaacc", "aaaa--"].contains(&seen.as_str()), "{seen}");
    }
}

#[test]
fn a_cut_while_a_sync_is_under_way_does_not_undo_what_the_sync_covers() {
    let write = |disk: &mut dyn Disk| {
        append(disk, "log", "aaaabbbb");
        disk.sync_dir("");
        let file = disk.open("log", false).unwrap();
        disk.sync(file);
        disk.truncate(file, 4).unwrap();
    };
    for seed in 0..40 {
        let (seen, _) = survives(seed, CrashMode::Power, write, |_| {}, |disk| content(disk, "log"));
        assert!(["aaaabbbb", "aaaa"].contains(&seen.as_str()), "{seen}");
    }
}

#[test]
fn tokens_are_never_used_twice_and_a_dead_incarnation_s_syncs_are_forgotten() {
    let machine = host(0, |turn, input| {
        if input.is_none() {
            let file = turn.disk.open("log", true).unwrap();
            let token = turn.disk.sync(file);
            assert_eq!(token.0, u64::from(turn.incarnation));
        }
    });
    let recorder = Recorder::default().at(MS, |control| {
        assert!(control.crash(HostId(0), CrashMode::Process) && control.start(HostId(0)));
    });
    let (recorder, end) = run(world(1, vec![machine]), recorder);
    assert_eq!(recorder.times(0, "SyncToken(1)").len(), 1);
    assert_eq!(end.inputs, 1);
    assert!(recorder.times(0, "Panic").is_empty());
    assert!(end.at >= Instant(6 * MS).0);
}
