//! Stories about replication: conversations with one broker, with every effect that they must have.
//!
//! A story begins with `story: <title>`; lines with `>` are what happens, lines with `<` are all effects of it, in order;
//! `#` says why. The words are explained in `replica_world/mod.rs`.

mod replica_world;

use replica_world::World;

/// Plays all stories of a file and compares line by line. The message of a failure is the story as it really went.
fn play(text: &str) {
    let mut world = World::default();
    let (mut told, mut expected, mut count) = (String::new(), String::new(), 0);
    for line in text.lines() {
        if line.starts_with("story:") {
            world = World::default();
            count += 1;
        }
        if !line.starts_with('<') {
            told.push_str(line);
            told.push('\n');
        }
        if let Some(command) = line.strip_prefix("> ") {
            for effect in world.happens(command) {
                told.push_str(&format!("< {effect}\n"));
            }
        }
        expected.push_str(line);
        expected.push('\n');
    }
    assert!(count > 0, "a file without stories");
    assert!(
        told == expected,
        "the story went like this:\n-----\n{told}-----\n{}",
        first_difference(&told, &expected)
    );
}

fn first_difference(told: &str, expected: &str) -> String {
    let lines = told.lines().zip(expected.lines()).enumerate();
    match lines.map(|(n, (a, b))| (n + 1, a, b)).find(|(_, a, b)| a != b) {
        Some((number, a, b)) => format!("line {number}: it was\n  {a}\ninstead of\n  {b}"),
        None => "one of them is longer".to_string(),
    }
}

macro_rules! stories {
    ($($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                play(include_str!(concat!("stories/replica_", stringify!($name), ".txt")));
            }
        )+
    };
}

stories! {
    isr,
    alter_partition,
    high_watermark,
    produce,
    fetch,
    leader_hint,
    follower,
    divergence,
    offsets,
    restart,
    defects,
    defects_follower,
    defects_leader,
}
