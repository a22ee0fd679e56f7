//! The one check of paths: every path that reaches a store went through here.
//!
//! A relative path is segments joined by `/`. No segment is empty, `.` or `..`, none holds a control character. Names
//! come out of manifests, partitions, options and calls, so all of them count as hostile.

use object_store::path::Path;

use crate::error::{Error, Result};

/// Longest path that is accepted, in bytes.
const MAX_PATH: usize = 4096;

/// Checks that a relative path stays under the directory it is relative to.
///
/// # Errors
/// [`Error::Invalid`] that shows the path.
pub fn check_path(path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(Error::invalid("a path must not be empty"));
    }
    if path.len() > MAX_PATH {
        return Err(Error::invalid(format!("a path of {} bytes is too long", path.len())));
    }
    path.split('/').try_for_each(|segment| check_segment(segment, path))
}

/// Checks that a name is one segment: a file, tag, consumer, table or database name.
///
/// # Errors
/// [`Error::Invalid`] that shows the name.
pub fn check_name(name: &str) -> Result<()> {
    if name.contains('/') || name.contains('\\') {
        return Err(Error::invalid(format!("name {name:?} must not contain a slash")));
    }
    check_path(name)
}

fn check_segment(segment: &str, path: &str) -> Result<()> {
    let wrong = match segment {
        "" => "has an empty segment",
        "." | ".." => "has a relative segment",
        _ if segment.chars().any(char::is_control) => "has a control character",
        _ => return Ok(()),
    };
    Err(Error::invalid(format!("path {path:?} {wrong}")))
}

/// Joins a checked relative path (or none: the empty text) to a root.
pub(super) fn join(root: &str, relative: &str) -> Result<Path> {
    if !relative.is_empty() {
        check_path(relative)?;
    }
    let full = match (root.is_empty(), relative.is_empty()) {
        (true, _) => relative.to_string(),
        (_, true) => root.to_string(),
        _ => format!("{root}/{relative}"),
    };
    // `parse` keeps percent signs as they are; the other constructors would encode them a second time.
    Path::parse(&full).map_err(|error| Error::invalid(format!("path {full:?}: {error}")))
}
