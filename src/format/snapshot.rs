//! Snapshots: the JSON file that makes a commit visible.
//! Spec: `format-spec/snapshot.md`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::json;
use crate::error::{Error, Result};

/// The number of a snapshot file; the first is 1.
pub type SnapshotId = i64;

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CommitKind {
    /// New rows.
    Append,
    /// A rewrite that changes no row.
    Compact,
    /// Files were replaced or dropped.
    Overwrite,
    /// Statistics only.
    Analyze,
}

/// One immutable state of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Format version, 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// A random id; since 2.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The number of its file.
    pub id: SnapshotId,
    /// The newest schema at commit time.
    pub schema_id: i64,
    /// Manifests valid before this commit.
    pub base_manifest_list: String,
    /// Its size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_manifest_list_size: Option<i64>,
    /// Manifests of this commit's changes.
    pub delta_manifest_list: String,
    /// Its size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta_manifest_list_size: Option<i64>,
    /// Manifests of this commit's changelog files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changelog_manifest_list: Option<String>,
    /// Its size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changelog_manifest_list_size: Option<i64>,
    /// All index files valid at this snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_manifest: Option<String>,
    /// Who committed.
    pub commit_user: String,
    /// The library that wrote it; since 2.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer_version: Option<String>,
    /// The committer's own counter; `i64::MAX` for batch commits.
    pub commit_identifier: i64,
    /// What the commit did.
    pub commit_kind: CommitKind,
    /// Wall clock of the committer.
    pub time_millis: i64,
    /// Physical rows of all live files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_record_count: Option<i64>,
    /// Rows of ADD entries minus rows of DELETE entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta_record_count: Option<i64>,
    /// Rows of this commit's changelog files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changelog_record_count: Option<i64>,
    /// Event time up to which the table is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<i64>,
    /// Name of a statistics file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<String>,
    /// Free texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<BTreeMap<String, String>>,
    /// The next row id (row tracking).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_row_id: Option<i64>,
    /// What the statement was (`WRITE`, `TRUNCATE`, ..); since 2.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

impl Snapshot {
    /// The newest snapshot version this crate knows, and the one it writes.
    pub const VERSION: i32 = 3;

    /// The file's bytes; those of `changelog/changelog-<N>` too.
    ///
    /// # Errors
    /// None but [`Error::Bug`].
    pub fn encode(&self) -> Result<Bytes> {
        json::encode(self)
    }

    /// The value of a file's bytes. Unknown keys are ignored.
    ///
    /// # Errors
    /// [`Error::Corrupt`] that names the file and the field, [`Error::Unsupported`] for a newer version.
    pub fn decode(bytes: &[u8], file: &str) -> Result<Self> {
        let snapshot: Self = json::decode(bytes, file)?;
        if let Some(version) = snapshot.version.filter(|version| *version > Self::VERSION) {
            return Err(Error::unsupported(format!("snapshot version {version} of {file}")));
        }
        if snapshot.id < 1 {
            return Err(Error::corrupt(file, format!("id: {} is no snapshot id", snapshot.id)));
        }
        if snapshot.schema_id < 0 {
            return Err(Error::corrupt(file, format!("schemaId: {} is no schema id", snapshot.schema_id)));
        }
        // A changelog that is counted and not named would be read as no changes.
        if snapshot.changelog_manifest_list.is_none() && snapshot.changelog_record_count.is_some_and(|rows| rows > 0) {
            return Err(Error::corrupt(file, "changelogManifestList is missing, and changelogRecordCount counts rows"));
        }
        let lists = [&snapshot.base_manifest_list, &snapshot.delta_manifest_list].into_iter();
        let names = lists.chain(&snapshot.changelog_manifest_list).chain(&snapshot.index_manifest);
        for name in names.chain(&snapshot.statistics) {
            super::layout::check_name("metadata file", name)
                .map_err(|error| Error::corrupt(file, error.to_string()))?;
        }
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
  "version" : 3,
  "uuid" : "u",
  "id" : 7,
  "schemaId" : 0,
  "baseManifestList" : "manifest-list-a",
  "baseManifestListSize" : 1166,
  "deltaManifestList" : "manifest-list-b",
  "deltaManifestListSize" : 1110,
  "changelogManifestList" : "manifest-list-c",
  "changelogManifestListSize" : 9,
  "indexManifest" : "index-manifest-d",
  "commitUser" : "ü \"x\"",
  "writerVersion" : "2.1",
  "commitIdentifier" : 9223372036854775807,
  "commitKind" : "OVERWRITE",
  "timeMillis" : 1795341163372,
  "totalRecordCount" : 39,
  "deltaRecordCount" : -3,
  "changelogRecordCount" : 4,
  "watermark" : -9223372036854775808,
  "statistics" : "stat-e",
  "properties" : {
    "a" : "b",
    "c" : ""
  },
  "nextRowId" : 0,
  "operation" : "TRUNCATE"
}"#;

    #[test]
    fn a_snapshot_with_every_key_is_java_s_text() {
        let snapshot = Snapshot::decode(TEXT.as_bytes(), "s").unwrap();
        assert_eq!(snapshot.encode().unwrap(), TEXT);
        assert_eq!(snapshot.commit_identifier, i64::MAX);
        assert_eq!(snapshot.watermark, Some(i64::MIN));
    }

    #[test]
    fn old_and_future_snapshots_are_read() {
        let old = r#"{"id":1,"schemaId":0,"baseManifestList":"a","deltaManifestList":"b","commitUser":"u",
            "commitIdentifier":1,"commitKind":"APPEND","timeMillis":5,"logOffsets":{"0":1},"watermark":null,"later":[{}]}"#;
        let snapshot = Snapshot::decode(old.as_bytes(), "s").unwrap();
        assert_eq!((snapshot.version, snapshot.watermark, snapshot.total_record_count), (None, None, None));
        assert!(!String::from_utf8_lossy(&snapshot.encode().unwrap()).contains("null"));
    }

    #[test]
    fn a_wrong_snapshot_names_the_file_and_the_field() {
        for (from, to, word) in [
            ("\"id\" : 7", "\"id\" : 0", "id"),
            ("\"id\" : 7", "\"id\" : 7.5", "JSON"),
            ("\"id\" : 7", "\"id\" : 9223372036854775808", "JSON"),
            ("\"id\" : 7,", "", "`id`"),
            ("\"schemaId\" : 0", "\"schemaId\" : -1", "schemaId"),
            ("OVERWRITE", "RENAME", "RENAME"),
            ("manifest-list-a", "../a", "../a"),
            ("stat-e", "a/b", "a/b"),
            ("\"u\"", "5", "JSON"),
        ] {
            let error = Snapshot::decode(TEXT.replacen(from, to, 1).as_bytes(), "snapshot-7").unwrap_err();
            assert!(
                matches!(&error, Error::Corrupt { file, what } if file == "snapshot-7" && what.contains(word)),
                "{error}"
            );
        }
        let newer = TEXT.replacen("\"version\" : 3", "\"version\" : 4", 1);
        assert!(matches!(Snapshot::decode(newer.as_bytes(), "s"), Err(Error::Unsupported(_))));
    }
}
