//! Which files a cache may keep, told by their names. Pure.

/// A kind of files, as `local-cache.whitelist` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachedKind {
    /// Manifests, their lists and statistics. Snapshots, schemas and tags may come anew under an old name, and are not
    /// kept.
    Meta,
    /// Global indexes
    GlobalIndex,
    /// Deletion vectors and key hashes
    BucketIndex,
    /// Data and changelog files
    Data,
    /// Indexes beside data files
    FileIndex,
}

impl CachedKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Meta, Self::GlobalIndex, Self::BucketIndex, Self::Data, Self::FileIndex];

    /// The word of the option.
    pub fn word(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::GlobalIndex => "global-index",
            Self::BucketIndex => "bucket-index",
            Self::Data => "data",
            Self::FileIndex => "file-index",
        }
    }

    /// The kind of a file that never changes; nothing for one that may.
    pub(super) fn of(path: &str) -> Option<Self> {
        let mut segments = path.rsplit('/');
        let (name, directory) = (segments.next()?, segments.next().unwrap_or_default());
        if !holds_uuid(name) || name.starts_with('.') {
            return None;
        }
        match directory {
            "snapshot" | "schema" | "tag" | "consumer" | "service" | "changelog" => None,
            "manifest" if name.contains("manifest-") => Some(Self::Meta),
            "statistics" if name.starts_with("stat-") => Some(Self::Meta),
            _ if name.ends_with(".index") && name.contains("global-index-") => Some(Self::GlobalIndex),
            _ if name.ends_with(".index") => Some(Self::FileIndex),
            _ if name.starts_with("index-") => Some(Self::BucketIndex),
            _ if DATA.iter().any(|ending| name.ends_with(ending)) => Some(Self::Data),
            _ => None,
        }
    }
}

/// What the names of data files end in, compacted changelogs too.
const DATA: [&str; 4] = ["parquet", "avro", "orc", ".blob"];

/// Whether a name holds a UUID: no other file ever has it.
fn holds_uuid(name: &str) -> bool {
    let uuid = |bytes: &[u8]| {
        let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
        bytes.iter().enumerate().all(|(at, byte)| if dash(at) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
    };
    name.as_bytes().windows(36).any(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0bd1c6a1-56c9-4c1b-a1e9-2f0f7b6f1d3c";

    #[test]
    fn files_that_never_change_have_a_kind() {
        for (path, kind) in [
            (format!("t/manifest/manifest-{UUID}-0"), CachedKind::Meta),
            (format!("t/manifest/manifest-list-{UUID}-1"), CachedKind::Meta),
            (format!("t/manifest/index-manifest-{UUID}-1"), CachedKind::Meta),
            (format!("t/statistics/stat-{UUID}-0"), CachedKind::Meta),
            (format!("t/index/index-{UUID}-0"), CachedKind::BucketIndex),
            (format!("t/bucket-0/index-{UUID}-0"), CachedKind::BucketIndex),
            (format!("t/index/btree-global-index-{UUID}.index"), CachedKind::GlobalIndex),
            (format!("t/p=1/bucket-0/data-{UUID}-0.parquet"), CachedKind::Data),
            (format!("t/bucket-0/data-{UUID}-0.zstd.avro"), CachedKind::Data),
            (format!("t/bucket-0/changelog-{UUID}-0.orc"), CachedKind::Data),
            (format!("t/bucket-0/compacted-changelog-{UUID}$0-900.cc-parquet"), CachedKind::Data),
            (format!("t/bucket-0/data-{UUID}-0.parquet.index"), CachedKind::FileIndex),
        ] {
            assert_eq!(CachedKind::of(&path), Some(kind), "{path}");
        }
    }

    #[test]
    fn files_that_may_change_have_none() {
        for path in [
            "t/snapshot/snapshot-1",
            "t/snapshot/LATEST",
            "t/snapshot/EARLIEST",
            "t/changelog/changelog-1",
            "t/schema/schema-0",
            "t/tag/tag-a",
            "t/consumer/consumer-a",
            "t/branch/branch-b/snapshot/snapshot-1",
            "t/bucket-0/data.parquet",
            "t/manifest/manifest-list-0a-1",
            "t/bucket-0/_SUCCESS",
            "snapshot-1",
            "",
        ] {
            assert_eq!(CachedKind::of(path), None, "{path}");
        }
        for path in [
            format!("t/tag/tag-{UUID}"),
            format!("t/consumer/consumer-{UUID}.parquet"),
            format!("t/bucket-0/.data-{UUID}-0.parquet.{UUID}.tmp"),
            format!("t/.forebay/expiry-{UUID}"),
            format!("db.db/.forebay/views/{UUID}.json"),
        ] {
            assert_eq!(CachedKind::of(&path), None, "{path}");
        }
    }
}
