//! Paths of files that lie outside of a table's root (`_EXTERNAL_PATH`).
//!
//! A manifest tells such a path as Java prints it (`file:/dir/f`, `s3://bucket/dir/f`). Here it is always written
//! `scheme://authority/path`, so that it cannot be taken for a path below the table, in which no segment is empty.
//! Whether a store goes there is decided where the request is made: `io` asks what the caller allowed.
//!
//! Spec: `format-spec/layout.md`, files outside of the table.

use crate::error::{Error, Result};

/// The path that an entry tells of a file, with two slashes behind the scheme.
///
/// # Errors
/// [`Error::Corrupt`] for a text without a scheme, and for one that leads to another name.
pub fn path_of(told: &str, name: &str) -> Result<String> {
    let wrong = |what: &str| Err(Error::corrupt(name, format!("_EXTERNAL_PATH {told:?} {what}")));
    let Some(path) = canonical(told) else { return wrong("has no scheme") };
    match path.rsplit_once('/') {
        Some((_, last)) if last == name => Ok(path),
        _ => wrong("is the path of another file"),
    }
}

/// The directory of the file that an entry tells.
///
/// # Errors
/// As [`path_of`].
pub fn directory_of(told: &str, name: &str) -> Result<String> {
    let path = path_of(told, name)?;
    Ok(path.rsplit_once('/').map(|(directory, _)| directory.to_string()).unwrap_or_default())
}

/// A location with two slashes behind its scheme; `None` for a text without one.
pub fn canonical(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(":/")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(plain) {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    Some(match rest.strip_prefix('/') {
        Some(rest) => format!("{scheme}://{rest}"),
        None => format!("{scheme}:///{rest}"),
    })
}

/// A path as Java prints it, for an entry.
pub fn told(path: &str) -> String {
    match path.strip_prefix("file:///") {
        Some(rest) => format!("file:/{rest}"),
        None => path.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_outside_has_two_slashes_behind_its_scheme() {
        for (text, path) in [
            ("file:/x/bucket-0/f", "file:///x/bucket-0/f"),
            ("file:///x/f", "file:///x/f"),
            ("S3://b/f", "s3://b/f"),
            ("hdfs:/x/f", "hdfs:///x/f"),
        ] {
            assert_eq!(path_of(text, "f").unwrap(), path);
        }
        assert_eq!(directory_of("file:/x/bucket-0/f", "f").unwrap(), "file:///x/bucket-0");
        assert_eq!(told("file:///x/f"), "file:/x/f");
        assert_eq!(told("s3://b/f"), "s3://b/f");
    }

    #[test]
    fn a_path_without_a_scheme_or_to_another_file_is_corrupt() {
        for text in ["", "/x/f", "x/f", "f", "a b:/x/f", "://f", "s3://b/g", "file:/x/f/", "file:/x/..", "s3:f"] {
            assert!(matches!(path_of(text, "f"), Err(Error::Corrupt { .. })), "{text:?}");
        }
    }
}
