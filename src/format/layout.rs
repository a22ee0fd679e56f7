//! Where everything lies, as paths relative to the table's root, and the one check of names that come from
//! users or from bytes: such a name is one path component and cannot leave its directory.
//! Spec: `format-spec/layout.md`.

use crate::error::{Error, Result};

/// The bucket that stands for `bucket-postpone`.
pub const POSTPONE_BUCKET: i32 = -2;
/// The hint of the newest id.
pub const LATEST: &str = "LATEST";
/// The hint of the oldest id.
pub const EARLIEST: &str = "EARLIEST";
/// The directory of snapshots.
pub const SNAPSHOT_DIR: &str = "snapshot";
/// The directory of schemas.
pub const SCHEMA_DIR: &str = "schema";
/// The directory of decoupled changelogs.
pub const CHANGELOG_DIR: &str = "changelog";
/// The directory of manifests, manifest lists and index manifests.
pub const MANIFEST_DIR: &str = "manifest";
/// The directory of index files.
pub const INDEX_DIR: &str = "index";
/// The directory of table statistics.
pub const STATISTICS_DIR: &str = "statistics";
/// The directory of tags.
pub const TAG_DIR: &str = "tag";
/// The directory of consumers.
pub const CONSUMER_DIR: &str = "consumer";
/// The directory of branches.
pub const BRANCH_DIR: &str = "branch";
/// The name of the table's own line of snapshots, which lies in no directory of branches.
pub const MAIN_BRANCH: &str = "main";
/// The directory of this engine's notes of what an expiry takes away. Paimon leaves directories alone that it does not
/// know.
pub const EXPIRY_DIR: &str = "expiry";

/// The longest name: what common file systems take.
const MAX_NAME: usize = 255;

/// Checks that a name is one plain path component: not empty, not `.` or `..`, no separator, no control character.
///
/// # Errors
/// [`Error::Invalid`] that says what the name is for.
pub fn check_name<'a>(what: &str, name: &'a str) -> Result<&'a str> {
    let bad = |why: &str| Error::invalid(format!("{what} name {name:?} {why}"));
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b'\\' && byte != b'.';
    if (1..=MAX_NAME).contains(&name.len()) && plain(name.as_bytes()[0]) && name.bytes().all(|b| plain(b) || b == b'.')
    {
        return Ok(name);
    }
    if name.trim().is_empty() {
        return Err(bad("is empty"));
    }
    if name.len() > MAX_NAME {
        return Err(bad(&format!("is longer than {MAX_NAME} bytes")));
    }
    if name == "." || name == ".." {
        return Err(bad("is no name but a directory"));
    }
    if name.chars().any(|c| c == '/' || c == '\\' || c.is_control()) {
        return Err(bad("contains a path separator or a control character"));
    }
    Ok(name)
}

/// Checks a relative directory of one or more components, as option `data-file.path-directory` names it.
///
/// # Errors
/// [`Error::Invalid`] when a component is no plain name.
pub fn check_directory<'a>(what: &str, path: &'a str) -> Result<&'a str> {
    let trimmed = path.trim_end_matches('/');
    for component in trimmed.split('/') {
        check_name(what, component)?;
    }
    Ok(trimmed)
}

/// `snapshot/snapshot-<id>`
pub fn snapshot(id: i64) -> String {
    format!("{SNAPSHOT_DIR}/snapshot-{id}")
}

/// `schema/schema-<id>`
pub fn schema(id: i64) -> String {
    format!("{SCHEMA_DIR}/schema-{id}")
}

/// `changelog/changelog-<id>`
pub fn changelog(id: i64) -> String {
    format!("{CHANGELOG_DIR}/changelog-{id}")
}

/// `manifest/<name>` of a manifest, a manifest list or an index manifest.
///
/// # Errors
/// [`Error::Invalid`] when the name is no plain name.
pub fn manifest(name: &str) -> Result<String> {
    Ok(format!("{MANIFEST_DIR}/{}", check_name("manifest", name)?))
}

/// `index/<name>`
///
/// # Errors
/// [`Error::Invalid`] when the name is no plain name.
pub fn index(name: &str) -> Result<String> {
    Ok(format!("{INDEX_DIR}/{}", check_name("index file", name)?))
}

/// `statistics/<name>`
///
/// # Errors
/// [`Error::Invalid`] when the name is no plain name.
pub fn statistics(name: &str) -> Result<String> {
    Ok(format!("{STATISTICS_DIR}/{}", check_name("statistics file", name)?))
}

/// `tag/tag-<name>`
///
/// # Errors
/// [`Error::Invalid`] when the name is no plain name.
pub fn tag(name: &str) -> Result<String> {
    Ok(format!("{TAG_DIR}/tag-{}", check_name("tag", name)?))
}

/// `consumer/consumer-<id>`
///
/// # Errors
/// [`Error::Invalid`] when the id is no plain name.
pub fn consumer(id: &str) -> Result<String> {
    Ok(format!("{CONSUMER_DIR}/consumer-{}", check_name("consumer", id)?))
}

/// `expiry/expiry-<id>`
///
/// # Errors
/// [`Error::Invalid`] when the id is no plain name.
pub fn expiry_note(id: &str) -> Result<String> {
    Ok(format!("{EXPIRY_DIR}/expiry-{}", check_name("expiry note", id)?))
}

/// `schema/rollback-<id>`
///
/// # Errors
/// [`Error::Invalid`] when the id is no plain name.
pub fn rollback_note(id: &str) -> Result<String> {
    Ok(format!("{SCHEMA_DIR}/rollback-{}", check_name("rollback note", id)?))
}

/// `branch/branch-<name>`: the root of a branch's own schemas, snapshots, tags, changelogs and consumers.
///
/// # Errors
/// [`Error::Invalid`] when the name is no plain name, is `main`, or is all digits.
pub fn branch(name: &str) -> Result<String> {
    check_name("branch", name)?;
    if name == MAIN_BRANCH || name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::invalid(format!("branch name {name:?} is `main` or a number")));
    }
    Ok(format!("{BRANCH_DIR}/branch-{name}"))
}

/// `branch/creating-<name>`: who makes that branch. No other engine looks at it.
///
/// # Errors
/// As [`branch`].
pub fn branch_claim(name: &str) -> Result<String> {
    branch(name)?;
    Ok(format!("{BRANCH_DIR}/creating-{name}"))
}

/// `[<directory>/][<partition>/]bucket-<n>`, where `directory` is option `data-file.path-directory` and
/// `partition` what [`super::partition_path`] gives.
///
/// # Errors
/// [`Error::Invalid`] for a directory that is no plain path or a bucket number that does not exist.
pub fn bucket_dir(directory: Option<&str>, partition: &str, bucket: i32) -> Result<String> {
    let mut path = String::new();
    if let Some(directory) = directory {
        path.push_str(check_directory("data-file.path-directory", directory)?);
        path.push('/');
    }
    if !partition.is_empty() {
        path.push_str(partition);
        path.push('/');
    }
    match bucket {
        POSTPONE_BUCKET => path.push_str("bucket-postpone"),
        0.. => path.push_str(&format!("bucket-{bucket}")),
        _ => return Err(Error::invalid(format!("bucket {bucket} does not exist"))),
    }
    Ok(path)
}

/// The number behind a prefix such as `snapshot-`; `None` for any other name.
pub fn number_of(name: &str, prefix: &str) -> Option<i64> {
    let digits = name.strip_prefix(prefix)?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_paimon() {
        assert_eq!(snapshot(7), "snapshot/snapshot-7");
        assert_eq!(schema(0), "schema/schema-0");
        assert_eq!(changelog(3), "changelog/changelog-3");
        assert_eq!(tag("release-1.0").unwrap(), "tag/tag-release-1.0");
        assert_eq!(consumer("me").unwrap(), "consumer/consumer-me");
        assert_eq!(branch("dev").unwrap(), "branch/branch-dev");
        assert_eq!(bucket_dir(None, "", 0).unwrap(), "bucket-0");
        assert_eq!(bucket_dir(None, "a=1/b=2", -2).unwrap(), "a=1/b=2/bucket-postpone");
        assert_eq!(bucket_dir(Some("data/"), "a=1", 3).unwrap(), "data/a=1/bucket-3");
        assert!(bucket_dir(None, "", -1).is_err());
        assert!(bucket_dir(Some("../up"), "", 0).is_err());
    }

    #[test]
    fn a_name_cannot_leave_its_directory() {
        let long = "x".repeat(256);
        for wrong in ["", " ", ".", "..", "a/b", "/a", "a\\b", "a\nb", "a\0b", "a\u{7f}", long.as_str()] {
            assert!(matches!(check_name("tag", wrong), Err(Error::Invalid(_))), "{wrong:?}");
            assert!(tag(wrong).is_err(), "{wrong:?}");
        }
        for right in ["a", "release-1.0", "..a", "a..b", "日本", "a b"] {
            assert_eq!(check_name("tag", right).unwrap(), right);
        }
        assert!(branch("main").is_err() && branch("12").is_err());
    }

    #[test]
    fn only_digits_make_a_number() {
        assert_eq!(number_of("snapshot-12", "snapshot-"), Some(12));
        for wrong in ["snapshot-", "snapshot-x", "snapshot--1", "snapshot-+1", "snapshot-1.tmp", "LATEST"] {
            assert_eq!(number_of(wrong, "snapshot-"), None, "{wrong}");
        }
    }
}
