//! The description of one data file, as manifests store it.
//! Spec: `format-spec/manifest.md`.

use bytes::Bytes;

use super::{BinaryRow, SimpleStats};
use crate::error::{Error, Result};
use crate::schema::ROW_ID;

mod record;

pub(super) use record::{FileCache, FilePlan, RawFile, StatsPlan, encode_file, encode_stats, name_field};

/// How a file came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum FileSource {
    /// Flushed by a writer; changelog files too.
    Append = 0,
    /// Written by a compaction.
    Compact = 1,
}

impl FileSource {
    /// The source of a stored number.
    pub(super) fn from_number(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Append),
            1 => Some(Self::Compact),
            _ => None,
        }
    }
}

/// One data file (`_FILE` of a manifest entry).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFileMeta {
    /// `_FILE_NAME`, without a directory.
    pub file_name: String,
    /// `_FILE_SIZE` in bytes.
    pub file_size: i64,
    /// `_ROW_COUNT`: rows stored, retractions included.
    pub row_count: i64,
    /// `_MIN_KEY`: the first row's trimmed key; the empty row for append files.
    pub min_key: BinaryRow,
    /// `_MAX_KEY`: the last row's trimmed key.
    pub max_key: BinaryRow,
    /// `_KEY_STATS` over the trimmed key.
    pub key_stats: SimpleStats,
    /// `_VALUE_STATS` over `value_stats_cols`, or over all columns when that is `None`.
    pub value_stats: SimpleStats,
    /// `_MIN_SEQUENCE_NUMBER`
    pub min_sequence_number: i64,
    /// `_MAX_SEQUENCE_NUMBER`
    pub max_sequence_number: i64,
    /// `_SCHEMA_ID` the file was written with.
    pub schema_id: i64,
    /// `_LEVEL`: 0 for flushes.
    pub level: i32,
    /// `_EXTRA_FILES`: names of side files in the same directory.
    pub extra_files: Vec<String>,
    /// `_CREATION_TIME`: local wall clock as if it were UTC, in milliseconds.
    pub creation_time: Option<i64>,
    /// `_DELETE_ROW_COUNT`: rows of kind -U or -D; `None` means unknown (files older than 0.8).
    pub delete_row_count: Option<i64>,
    /// `_EMBEDDED_FILE_INDEX`
    pub embedded_file_index: Option<Bytes>,
    /// `_FILE_SOURCE`
    pub file_source: Option<FileSource>,
    /// `_VALUE_STATS_COLS`: the columns `value_stats` covers, in order; `None` means every column.
    pub value_stats_cols: Option<Vec<String>>,
    /// `_EXTERNAL_PATH` of a file outside the table.
    pub external_path: Option<String>,
    /// `_FIRST_ROW_ID` (row tracking).
    pub first_row_id: Option<i64>,
    /// `_WRITE_COLS`: the file's columns where they are not those of its schema (row tracking, data evolution).
    pub write_cols: Option<Vec<String>>,
    /// `_WRITE_COLS_SEQUENCES` (data evolution; since 2.1, written only where it is set).
    pub write_cols_sequences: Option<Vec<i64>>,
}

impl DataFileMeta {
    /// Whether its rows hold their ids themselves (`_ROW_ID` is a column of the file), because they came from other files.
    pub fn holds_row_ids(&self) -> bool {
        self.write_cols.as_ref().is_some_and(|columns| columns.iter().any(|column| column == ROW_ID))
    }

    /// Where snapshots order the versions of a key: the number that all rows of the file have, which is that of the
    /// snapshot that brought it; `None` for a file that a compaction wrote, whose rows hold it themselves.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a file that does not tell where it comes from.
    pub fn order_of_all(&self) -> Result<Option<i64>> {
        match self.file_source {
            Some(FileSource::Append) => Ok(Some(self.min_sequence_number)),
            Some(FileSource::Compact) => Ok(None),
            None => Err(Error::unsupported(format!(
                "option sequence.snapshot-ordering with data file {}, which does not tell its source",
                self.file_name
            ))),
        }
    }
}
