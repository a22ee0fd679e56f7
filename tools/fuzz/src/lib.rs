//! Hostile bytes: for each decoder of the library's files, messages and texts a [`Target`], a function of bytes that must
//! come back: no panic, no hang. What was decoded of a metadata file or a message is encoded, and decoded to the same value.
//!
//! ```text
//! corpus/<target>/*  ──────────────┐
//!        └── mutate (seed, round) ──┴── target.run ── an error or a value
//! ```
//!
//! `tests/corpus.rs` runs every target over its kept corpus and over mutations of it; `cargo run --bin forebay-fuzz -- seed`
//! makes the corpus anew, `-- run` goes on for as long as one likes.

mod bodies;
mod files;
mod metadata;
mod mutate;
mod seeds;
mod words;

use std::path::PathBuf;

pub use mutate::mutate;
pub use seeds::seed;

/// A decoder that takes whatever bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its directory of the corpus.
    pub name: &'static str,
    /// Decodes. A returned text is a broken promise: a value that came back as another one.
    pub run: fn(&[u8]) -> Result<(), String>,
}

/// All targets.
pub fn targets() -> Vec<Target> {
    let metadata = metadata::TARGETS.iter().chain(&bodies::TARGETS);
    metadata.chain(&files::TARGETS).chain(&words::TARGETS).copied().collect()
}

/// The directory of the kept corpus.
pub fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The kept inputs of a target by name, in order.
///
/// # Errors
/// What reading the directory met.
pub fn kept(target: &str) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(corpus().join(target))?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(&path).map(|bytes| (path, bytes))).collect()
}

/// Holds a value against what comes back of it.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, value: &T, back: Result<T, forebay::Error>) -> Result<(), String> {
    match back {
        Ok(back) if back == *value => Ok(()),
        Ok(back) => Err(format!("{what}: {value:?} came back as {back:?}")),
        Err(error) => Err(format!("{what}: {value:?} came back as an error: {error}")),
    }
}
