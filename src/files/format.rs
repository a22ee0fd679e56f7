//! The seam by file format: a data file's format is the text behind the last dot of its name, whatever the table's
//! options say; the options decide how new files are written.
//! Spec: `format-spec/layout.md`, `format-spec/data-files.md`.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::avro::{AvroCodec, AvroReader, AvroWriter};
use super::layout::FileLayout;
use super::orc::{OrcEncoding, OrcReader, OrcWriter};
use super::reader::{FileBatch, FileReader, ReadPlan};
use super::rolling::WriteSpec;
use super::row_groups::{RowGroup, RowGroups};
use super::statistics;
use super::writer::{Encoding, FileWriter, First, Slab};
use crate::error::{Error, Result};
use crate::format::ColumnStats;
use crate::io::{BlockingUpload, TableStore};
use crate::schema::FileFormat;

/// The batches of one file.
pub type FileBatches = Box<dyn Iterator<Item = Result<FileBatch>> + Send>;

/// The format of a file, by its name.
///
/// # Errors
/// [`Error::Unsupported`] names a format that this version does not read.
pub fn format_of(path: &str) -> Result<FileFormat> {
    let name = path.rsplit('/').next().unwrap_or(path);
    known_format(path, name.rsplit_once('.').map_or("", |(_, word)| word))
}

/// The format of a word, for a file that has its format elsewhere than behind the last dot.
///
/// # Errors
/// [`Error::Unsupported`] names a format that this version does not read.
pub fn known_format(path: &str, word: &str) -> Result<FileFormat> {
    let found = FileFormat::KNOWN.into_iter().find(|format| format.word() == word);
    found.ok_or_else(|| Error::unsupported(format!("{path}: data files of format {word:?}")))
}

/// How files of a format are encoded.
#[derive(Debug, Clone)]
pub enum FileEncoding {
    /// As Parquet.
    Parquet(Encoding),
    /// As Avro.
    Avro(AvroCodec),
    /// As ORC.
    Orc(OrcEncoding),
}

impl FileEncoding {
    /// Lets so many threads encode.
    pub fn set_threads(&mut self, threads: usize) {
        if let Self::Parquet(encoding) = self {
            encoding.threads = threads;
        }
    }
}

/// Opens a data file of a format. Blocks: call it on the blocking pool.
///
/// # Errors
/// The store's errors; [`Error::Corrupt`] when the file does not have these columns.
pub fn read_file(
    store: &TableStore,
    runtime: &Handle,
    format: &FileFormat,
    (path, size): (&str, u64),
    plan: ReadPlan,
) -> Result<FileBatches> {
    Ok(match format {
        FileFormat::Avro | FileFormat::Orc if plan.groups.is_some() => {
            return Err(Error::bug(format!("{path}: row groups of an Avro or ORC file")));
        }
        FileFormat::Avro => Box::new(AvroReader::open(store, runtime, path, size, plan)?),
        FileFormat::Orc => Box::new(OrcReader::open(store, runtime, path, size, plan)?),
        FileFormat::Parquet => Box::new(FileReader::open(store, runtime, path, size, plan)?),
        FileFormat::Other(word) => return Err(Error::bug(format!("{path}: no reader of format {word:?}"))),
    })
}

/// A file of any format that is being written.
pub(super) enum FormatWriter {
    Parquet(Box<FileWriter<BlockingUpload>>),
    Avro(Box<AvroWriter<BlockingUpload>>),
    Orc(Box<OrcWriter<BlockingUpload>>),
}

impl FormatWriter {
    /// Begins a file of a name, which the specification's format decides on. What comes first helps to choose encodings.
    pub(super) fn begin(spec: &WriteSpec, name: &str, out: BlockingUpload, first: &First<'_>) -> Result<Self> {
        let layout = Arc::clone(&spec.layout);
        Ok(match &spec.encoding {
            FileEncoding::Parquet(encoding) => {
                Self::Parquet(Box::new(FileWriter::new(layout, encoding.clone(), out, first)?))
            }
            FileEncoding::Avro(codec) => {
                Self::Avro(Box::new(AvroWriter::new(layout, *codec, name, &spec.gathered(), out)?))
            }
            FileEncoding::Orc(encoding) => Self::Orc(Box::new(OrcWriter::new(layout, encoding.clone(), out)?)),
        })
    }

    /// Rows written.
    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Parquet(writer) => writer.rows(),
            Self::Avro(writer) => writer.rows(),
            Self::Orc(writer) => writer.rows(),
        }
    }

    /// Encoded bytes, roughly.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Parquet(writer) => writer.bytes(),
            Self::Avro(writer) => writer.bytes(),
            Self::Orc(writer) => writer.bytes(),
        }
    }

    /// Writes a slab.
    pub(super) fn write(&mut self, slab: &dyn Slab) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(slab),
            Self::Avro(writer) => writer.write(slab),
            Self::Orc(writer) => writer.write(slab),
        }
    }

    /// Copies a row group of another file.
    pub(super) fn pass(&mut self, file: &RowGroups, group: &RowGroup) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.pass(file, group),
            Self::Avro(_) | Self::Orc(_) => Err(Error::bug("a row group for an Avro or ORC file")),
        }
    }

    /// Ends the file and gives the output back, with the statistics of the columns in the order of the layout.
    pub(super) fn finish(self, layout: &FileLayout) -> Result<(BlockingUpload, Vec<ColumnStats>)> {
        match self {
            Self::Parquet(writer) => {
                let (out, finished) = writer.finish()?;
                Ok((out, statistics::from_footer(layout, &finished.groups, &finished.float_bounds)))
            }
            Self::Avro(writer) => writer.finish(),
            Self::Orc(writer) => writer.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_text_behind_the_last_dot() {
        assert_eq!(format_of("p=a.avro/bucket-0/data-1-0.zst.parquet").unwrap(), FileFormat::Parquet);
        assert_eq!(format_of("bucket-postpone/data--u-a.b-s-1-w-x-0.avro").unwrap(), FileFormat::Avro);
        assert_eq!(format_of("bucket-0/data-1-0.orc").unwrap(), FileFormat::Orc);
        for other in ["bucket-0/data-1-0.lance", "bucket.parquet/data", "bucket-0/data-1-0.Avro"] {
            assert!(matches!(format_of(other), Err(Error::Unsupported(_))), "{other}");
        }
    }
}
