//! The kinds of requests and of paths that counting and fault plans speak of.

use std::fmt;

/// A kind of request to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// Reads an object, or a range of it.
    Get,
    /// Asks for an object's size.
    Head,
    /// Writes an object whole, replacing.
    Put,
    /// Writes an object whole if it is absent.
    Create,
    /// Begins a multipart upload.
    Begin,
    /// Uploads one part.
    Part,
    /// Makes a multipart upload visible.
    Complete,
    /// Gives a multipart upload up.
    Abort,
    /// Deletes an object.
    Delete,
    /// Lists.
    List,
    /// Copies or renames an object.
    Copy,
}

impl Op {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Get,
        Self::Head,
        Self::Put,
        Self::Create,
        Self::Begin,
        Self::Part,
        Self::Complete,
        Self::Abort,
        Self::Delete,
        Self::List,
        Self::Copy,
    ];

    /// Whether it can change what others see.
    pub fn mutates(self) -> bool {
        !matches!(self, Self::Get | Self::Head | Self::List)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

/// What a path is, told by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathClass {
    /// `snapshot/snapshot-N`, `changelog/changelog-N`
    Snapshot,
    /// `LATEST`, `EARLIEST`
    Hint,
    /// `schema/schema-N`
    Schema,
    /// `manifest/manifest-list-*`
    ManifestList,
    /// `manifest/manifest-*`
    Manifest,
    /// `manifest/index-manifest-*` and `index/*`
    Index,
    /// `tag/*`, `consumer/*`, `statistics/*`
    Note,
    /// Anything in a bucket directory
    Data,
    /// A directory, or something of another kind
    Other,
}

impl PathClass {
    /// Tells by the last two segments.
    pub fn of(path: &str) -> Self {
        let mut segments = path.rsplit('/');
        let name = segments.next().unwrap_or_default();
        let directory = segments.next().unwrap_or_default();
        match directory {
            _ if name == "LATEST" || name == "EARLIEST" => Self::Hint,
            // The directories themselves, as listings name them.
            _ if name == "snapshot" || name == "changelog" => Self::Snapshot,
            _ if name == "schema" => Self::Schema,
            "snapshot" | "changelog" => Self::Snapshot,
            "schema" => Self::Schema,
            "manifest" if name.starts_with("manifest-list-") => Self::ManifestList,
            "manifest" if name.starts_with("manifest-") => Self::Manifest,
            "manifest" | "index" => Self::Index,
            "tag" | "consumer" | "statistics" => Self::Note,
            _ if directory.starts_with("bucket-") => Self::Data,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for PathClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Snapshot => "snapshot",
            Self::Hint => "hint",
            Self::Schema => "schema",
            Self::ManifestList => "manifest-list",
            Self::Manifest => "manifest",
            Self::Index => "index",
            Self::Note => "note",
            Self::Data => "data",
            Self::Other => "other",
        };
        f.pad(name)
    }
}
