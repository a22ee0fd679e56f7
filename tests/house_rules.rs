//! The floors of the house: a room imports only rooms that `src/lib.rs` declares above it, and the pure rooms do no IO.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::path::{Path, PathBuf};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms in floor order, ground floor first.
fn rooms() -> Vec<String> {
    let lib = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let name = |line: &str| {
        let rest = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "))?;
        Some(rest.strip_suffix(';')?.to_string())
    };
    lib.lines().filter_map(name).collect()
}

fn files_below(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            files_below(&entry.unwrap().path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        files.push(path.to_path_buf());
    }
}

fn files_of(room: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in [source().join(room), source().join(format!("{room}.rs"))] {
        if path.exists() {
            files_below(&path, &mut files);
        }
    }
    assert!(!files.is_empty(), "room {room} has no file");
    files
}

/// Every room that a line of code names as `crate::room` or inside `crate::{..}`.
fn named_rooms<'a>(line: &str, rooms: &'a [String]) -> Vec<&'a String> {
    let names = |room: &&String| {
        line.match_indices("crate::").any(|(at, found)| {
            let rest = &line[at + found.len()..];
            let direct = rest.strip_prefix(room.as_str());
            direct.is_some_and(|tail| !tail.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    };
    rooms.iter().filter(names).collect()
}

#[test]
fn a_room_imports_only_rooms_declared_above_it() {
    let rooms = rooms();
    assert!(rooms.len() > 10, "the rooms were not found in lib.rs: {rooms:?}");
    let mut wrong = Vec::new();
    for (floor, room) in rooms.iter().enumerate() {
        for file in files_of(room) {
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(!text.contains("crate::{"), "{}: name each room with its own `use crate::`", file.display());
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                for other in named_rooms(line, &rooms) {
                    if rooms.iter().position(|name| name == other).unwrap() > floor {
                        wrong.push(format!("{}:{}: {room} looks down to {other}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_rooms_do_no_io() {
    for room in ["types", "schema", "predicate", "format", "lsm"] {
        for file in files_of(room) {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let is_test = file.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
            for word in ["tokio::", "object_store::", "std::fs", "async fn"] {
                assert!(is_test || !code.contains(word), "{} uses {word}", file.display());
            }
        }
    }
}

#[test]
fn the_floor_check_finds_a_look_down() {
    let rooms = ["types".to_string(), "lsm".to_string()];
    assert_eq!(named_rooms("use crate::lsm::Keys;", &rooms), [&rooms[1]]);
    assert!(named_rooms("use crate::lsm_tree::Keys;", &rooms).is_empty());
}
