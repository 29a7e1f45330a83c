//! The order of the rooms: each may use only what stands to its left (the list in `src/lib.rs`).

use std::path::{Path, PathBuf};

/// From left to right.
const ROOMS: [&str; 13] = [
    "seed", "plan", "history", "trace", "world", "host", "client", "workload", "nemesis", "check", "run",
    "report", "cli",
];
/// What the judge may use: it also works on saved files.
const JUDGE_USES: [&str; 3] = ["history", "trace", "plan"];
/// Where the name of the scheduler may appear.
const SCHEDULED: [&str; 2] = ["world", "host"];

/// Every `crate::ROOM` in a text, comments apart. Knows `crate::{a, b::c}` too.
fn rooms_used(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => used.extend(heads_of_group(group)),
            None => used.push(word(rest)),
        }
    }
    used
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// First names in a `{...}` whose opening brace is already gone.
fn heads_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut is_head) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return heads,
            '}' => depth -= 1,
            ',' if depth == 0 => is_head = true,
            c if is_head && c.is_alphanumeric() => {
                heads.push(word(&group[at..]));
                is_head = false;
            }
            _ => {}
        }
    }
    heads
}

/// Everything that a file of a room says and must not.
fn broken_rules(room: &str, text: &str) -> Vec<String> {
    let place = ROOMS.iter().position(|name| *name == room).expect("a room of the list");
    let mut broken = Vec::new();
    for used in rooms_used(text) {
        match ROOMS.iter().position(|name| *name == used) {
            Some(other) if other > place => {
                broken.push(format!("{room} uses {used}, which stands to its right"))
            }
            Some(other) if other != place && room == "check" && !JUDGE_USES.contains(&used.as_str()) => {
                broken.push(format!("check uses {used}: it must work on saved files"));
            }
            _ => {}
        }
    }
    let mentions = |line: &str| !line.trim_start().starts_with("//") && line.contains("madsim");
    if !SCHEDULED.contains(&room) && text.lines().any(mentions) {
        broken.push(format!("{room} knows the scheduler by name"));
    }
    broken
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn room_of(source: &Path, file: &Path) -> Option<String> {
    let first = file.strip_prefix(source).ok()?.components().next()?;
    let name = first.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
    ROOMS.contains(&name.as_str()).then_some(name)
}

#[test]
fn each_room_uses_only_what_stands_to_its_left() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    let mut broken = Vec::new();
    for file in &found {
        let Some(room) = room_of(&source, file) else { continue };
        let text = std::fs::read_to_string(file).unwrap();
        broken
            .extend(broken_rules(&room, &text).into_iter().map(|rule| format!("{}: {rule}", file.display())));
    }
    assert!(found.len() > ROOMS.len(), "the sources were not found");
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_door_of_the_crate_shows_the_same_order() {
    let door = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    assert!(door.contains(&ROOMS.join(" < ")), "src/lib.rs shows another order");
}

#[test]
fn planted_mistakes_are_found() {
    assert_eq!(broken_rules("plan", "use crate::nemesis::Director;").len(), 1);
    assert_eq!(broken_rules("plan", "use crate::{seed::Seed, run::{self, simulate}};").len(), 1);
    assert_eq!(broken_rules("check", "fn f(c: &crate::world::Cut) {}").len(), 1);
    assert_eq!(broken_rules("check", "use crate::history::Value; use crate::trace::Fact;"), [""; 0]);
    assert_eq!(broken_rules("client", "use madsim::time;").len(), 1);
    assert_eq!(broken_rules("world", "use madsim::time;"), [""; 0]);
    assert_eq!(broken_rules("seed", "// use crate::cli::main;"), [""; 0]);
}
