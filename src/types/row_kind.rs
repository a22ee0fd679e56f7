//! The kind of a changed row.

use crate::error::{Error, Result};

/// What a row does to the table: `+I`, `-U`, `+U` or `-D`. The number is the byte stored in `_VALUE_KIND`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i8)]
pub enum RowKind {
    /// `+I`: a new row.
    Insert = 0,
    /// `-U`: the image of a row before its update.
    UpdateBefore = 1,
    /// `+U`: the image of a row after its update.
    UpdateAfter = 2,
    /// `-D`: a deleted row.
    Delete = 3,
}

impl RowKind {
    /// The kind of a stored byte.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for any byte but 0 to 3; the caller names the file.
    pub fn from_byte(byte: i8) -> Result<Self> {
        Ok(match byte {
            0 => Self::Insert,
            1 => Self::UpdateBefore,
            2 => Self::UpdateAfter,
            3 => Self::Delete,
            other => {
                return Err(Error::corrupt("", format!("_VALUE_KIND: {other} is no row kind")));
            }
        })
    }

    /// The kind of a short text: `+I`, `-U`, `+U`, `-D`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other text.
    pub fn from_short(text: &str) -> Result<Self> {
        Ok(match text {
            "+I" => Self::Insert,
            "-U" => Self::UpdateBefore,
            "+U" => Self::UpdateAfter,
            "-D" => Self::Delete,
            other => {
                return Err(Error::invalid(format!("row kind {other:?} is none of +I, -U, +U, -D")));
            }
        })
    }

    /// The short text.
    pub fn short(self) -> &'static str {
        match self {
            Self::Insert => "+I",
            Self::UpdateBefore => "-U",
            Self::UpdateAfter => "+U",
            Self::Delete => "-D",
        }
    }

    /// Whether the kind takes a row away (`-U`, `-D`).
    pub fn is_retract(self) -> bool {
        matches!(self, Self::UpdateBefore | Self::Delete)
    }
}

impl std::fmt::Display for RowKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.short())
    }
}
