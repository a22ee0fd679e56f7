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
        Self::retracts(self as i8)
    }

    /// Whether a stored byte is a kind that takes a row away. Cheap: it is asked for every row.
    #[inline]
    pub fn retracts(byte: i8) -> bool {
        byte == Self::UpdateBefore as i8 || byte == Self::Delete as i8
    }

    /// Whether a stored byte is a kind that brings a row (`+I`, `+U`).
    #[inline]
    pub fn adds(byte: i8) -> bool {
        byte == Self::Insert as i8 || byte == Self::UpdateAfter as i8
    }
}

impl std::fmt::Display for RowKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_byte_brings_a_row_or_takes_one_or_is_no_kind() {
        for (byte, adds, retracts) in [
            (0, true, false),
            (1, false, true),
            (2, true, false),
            (3, false, true),
            (4, false, false),
            (-1, false, false),
        ] {
            assert_eq!((RowKind::adds(byte), RowKind::retracts(byte)), (adds, retracts), "{byte}");
            assert_eq!(RowKind::from_byte(byte).map(RowKind::is_retract).ok(), (adds || retracts).then_some(retracts));
        }
    }
}
