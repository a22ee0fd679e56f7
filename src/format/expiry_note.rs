//! The note that expiry leaves before it takes the first snapshot away: which files go with which snapshot. Whoever
//! expires next reads it and finishes what a crash interrupted. Spec: `format-spec/expiry.md`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{SnapshotId, json, layout};
use crate::error::{Error, Result};

/// A file that nobody needs once some snapshots (or changelogs) are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoingFile {
    /// Its path below the table.
    pub path: String,
    /// The newest snapshot (or changelog) that needs it.
    pub last: SnapshotId,
    /// Its size; 0 where nobody told.
    pub bytes: u64,
}

/// The content of `expiry/expiry-<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiryNote {
    /// Format version, 1.
    pub version: i32,
    /// Whether changelogs go, and not snapshots.
    pub changelogs: bool,
    /// The first snapshot (or changelog) that stays.
    pub end: SnapshotId,
    /// The files that go.
    pub files: Vec<GoingFile>,
}

/// Directories whose files are pointers or belong to somebody else: no note may name them.
const POINTERS: [&str; 7] = [
    layout::SNAPSHOT_DIR,
    layout::SCHEMA_DIR,
    layout::CHANGELOG_DIR,
    layout::TAG_DIR,
    layout::CONSUMER_DIR,
    layout::BRANCH_DIR,
    layout::EXPIRY_DIR,
];

impl ExpiryNote {
    /// The version that is written and read.
    pub const VERSION: i32 = 1;

    /// The file's bytes.
    ///
    /// # Errors
    /// None but [`Error::Bug`].
    pub fn encode(&self) -> Result<Bytes> {
        json::encode(self)
    }

    /// The value of a file's bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] that names the file; [`Error::Unsupported`] for a newer version.
    pub fn decode(bytes: &[u8], file: &str) -> Result<Self> {
        let note: Self = json::decode(bytes, file)?;
        if note.version != Self::VERSION {
            return Err(Error::unsupported(format!("version {} of {file}", note.version)));
        }
        for going in &note.files {
            let mut segments = going.path.split('/');
            let first = segments.next().unwrap_or_default();
            let deep = segments.next().is_some();
            let plain = going.path.split('/').all(|segment| layout::check_name("path", segment).is_ok());
            if !plain || !deep || POINTERS.contains(&first) || going.last >= note.end {
                return Err(Error::corrupt(file, format!("files: {:?} is none that expiry may delete", going.path)));
            }
        }
        Ok(note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(path: &str) -> ExpiryNote {
        let files = vec![GoingFile { path: path.to_string(), last: 4, bytes: 10 }];
        ExpiryNote { version: 1, changelogs: false, end: 5, files }
    }

    #[test]
    fn a_note_comes_back_as_it_was() {
        let note = note("bucket-0/data-1.parquet");
        assert_eq!(ExpiryNote::decode(&note.encode().unwrap(), "n").unwrap(), note);
    }

    #[test]
    fn a_note_cannot_name_a_pointer_or_leave_the_table() {
        for path in [
            "snapshot/snapshot-1",
            "schema/schema-0",
            "tag/tag-a",
            "branch/branch-b/snapshot/snapshot-1",
            "../x/y",
            "/etc/passwd",
            "bucket-0//a",
            "a",
            "",
        ] {
            let bytes = note(path).encode().unwrap();
            assert!(matches!(ExpiryNote::decode(&bytes, "n"), Err(Error::Corrupt { .. })), "{path:?}");
        }
        let late = ExpiryNote { end: 4, ..note("bucket-0/a") };
        assert!(ExpiryNote::decode(&late.encode().unwrap(), "n").is_err());
        let newer = ExpiryNote { version: 2, ..note("bucket-0/a") };
        assert!(matches!(ExpiryNote::decode(&newer.encode().unwrap(), "n"), Err(Error::Unsupported(_))));
    }
}
