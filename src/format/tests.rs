//! Tests over whole tables: everything Java wrote is decoded and encoded back, and damaged bytes do no harm.

mod goldens;
mod hostile;
pub(in crate::format) mod samples;

use std::path::{Path, PathBuf};

/// The committed metadata of a few tables that Java wrote.
pub(in crate::format) fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/files")
}

/// The files of a directory by name; none when it is not there.
pub(in crate::format) fn files_in(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(list) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<_> = list
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}
