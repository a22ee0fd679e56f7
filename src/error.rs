//! The one error type. Its variant says what the caller should do, its text says where.
//!
//! No variant wraps a dependency's type: a store's or a decoder's error is turned into text at the
//! seam where it enters, together with the path or the field it speaks about.

/// The result of everything fallible in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, told by what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A table, snapshot, schema or file that was asked for by name is not there.
    #[error("not found: {0}")]
    NotFound(String),
    /// The thing to be created exists.
    #[error("already exists: {0}")]
    AlreadyExists(String),
    /// The call, the schema, the option or the input row is wrong: fix it and call again.
    #[error("invalid: {0}")]
    Invalid(String),
    /// Valid in Apache Paimon, but this version cannot do it. Names the feature.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Somebody else won; the work must be planned again.
    #[error("conflict: {0}")]
    Conflict(String),
    /// Bytes that do not follow the format.
    #[error("corrupt {file}: {what}")]
    Corrupt {
        /// The file the bytes came from.
        file: String,
        /// The field (and the offset where one is known) and what is wrong with it.
        what: String,
    },
    /// The store failed.
    #[error("storage: {what}")]
    Storage {
        /// The operation, the path and the store's own words.
        what: String,
        /// Whether the same call may succeed later.
        retryable: bool,
    },
    /// A stated limit (memory, disk, retries, time, size) was reached.
    #[error("exhausted: {0}")]
    Exhausted(String),
    /// This crate broke its own rule: please report it.
    #[error("bug: {0}")]
    Bug(String),
}

impl Error {
    /// A [`Error::NotFound`] that names what is missing.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound(what.into())
    }
    /// A [`Error::AlreadyExists`] that names what is in the way.
    pub fn already_exists(what: impl Into<String>) -> Self {
        Self::AlreadyExists(what.into())
    }
    /// A [`Error::Invalid`] that says what to fix.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }
    /// A [`Error::Unsupported`] that names the feature.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }
    /// A [`Error::Conflict`] that says what was lost to whom.
    pub fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict(what.into())
    }
    /// A [`Error::Corrupt`] with its file and field.
    pub fn corrupt(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Corrupt { file: file.into(), what: what.into() }
    }
    /// A [`Error::Storage`] that may go away.
    pub fn storage(what: impl Into<String>) -> Self {
        Self::Storage { what: what.into(), retryable: true }
    }
    /// A [`Error::Exhausted`] that names the limit.
    pub fn exhausted(what: impl Into<String>) -> Self {
        Self::Exhausted(what.into())
    }
    /// A [`Error::Bug`].
    pub fn bug(what: impl Into<String>) -> Self {
        Self::Bug(what.into())
    }
    /// The same error with the file named, for decoders that know fields but not paths.
    #[must_use]
    pub fn in_file(self, name: &str) -> Self {
        match self {
            Self::Corrupt { file, what } if file.is_empty() => Self::Corrupt { file: name.to_string(), what },
            Self::Unsupported(what) if !what.contains(name) => Self::Unsupported(format!("{what} in {name}")),
            other => other,
        }
    }
}

impl Error {
    /// The error that travelled through an [`std::io::Write`] of ours, or a retryable storage error.
    pub(crate) fn from_io(error: std::io::Error) -> Self {
        let text = error.to_string();
        match error.into_inner().map(|inner| inner.downcast::<Self>()) {
            Some(Ok(inner)) => *inner,
            _ => Self::storage(text),
        }
    }
}
