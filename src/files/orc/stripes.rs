//! The footers of a file and of its stripes, and the bytes that columns need of a stripe. Does no IO.

use std::cell::Cell;
use std::io::{Error as IoError, ErrorKind};
use std::ops::Range;

use bytes::Bytes;
use orc_rust::compression::Compression;
use orc_rust::reader::ChunkReader;
use orc_rust::reader::metadata::FileMetadata;
use orc_rust::schema::RootDataType;
use orc_rust::stripe::{Stripe, StripeMetadata};

use super::{blocks, corrupt, tree, undecoded};
use crate::error::Result;

/// Pieces of a file, each with its place.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces(pub(super) Vec<(u64, Bytes)>);

impl Pieces {
    /// Bytes of the file, where one piece has them all.
    pub(super) fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        self.0.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
            let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
            let end = from.checked_add(length).filter(|end| *end <= bytes.len())?;
            Some(bytes.slice(from..end))
        })
    }
}

/// What the decoder reads from: the pieces at hand. Tells what it lacks.
pub(super) struct Given<'a> {
    size: u64,
    pieces: &'a Pieces,
    pub(super) missing: Cell<Option<Range<u64>>>,
}

impl<'a> Given<'a> {
    pub(super) fn new(size: u64, pieces: &'a Pieces) -> Self {
        Self { size, pieces, missing: Cell::new(None) }
    }
}

fn no_stream() -> IoError {
    IoError::new(ErrorKind::Unsupported, "files are read by ranges")
}

impl ChunkReader for Given<'_> {
    type T = std::io::Empty;

    fn len(&self) -> u64 {
        self.size
    }

    fn get_read(&self, _: u64) -> std::io::Result<Self::T> {
        Err(no_stream())
    }

    fn get_bytes(&self, start: u64, length: u64) -> std::io::Result<Bytes> {
        let end = start.checked_add(length).filter(|end| *end <= self.size);
        let Some(end) = end else {
            let what = format!("{length} bytes at {start} of {}", self.size);
            return Err(IoError::new(ErrorKind::InvalidData, what));
        };
        if length == 0 {
            return Ok(Bytes::new());
        }
        self.pieces.get(&(start..end)).ok_or_else(|| {
            self.missing.set(Some(start..end));
            IoError::new(ErrorKind::UnexpectedEof, format!("bytes {start}..{end} are not at hand"))
        })
    }
}

/// The footer of a file of a known size from pieces of its end; or the bytes that it takes beside them.
///
/// # Errors
/// [`crate::Error::Corrupt`] when this is no end of an ORC file.
pub(super) fn footer(size: u64, pieces: &Pieces) -> Result<std::result::Result<FileMetadata, Range<u64>>> {
    let found = tree::metadata(size, pieces)?;
    if let Ok(metadata) = &found {
        check(metadata, size)?;
    }
    Ok(found)
}

/// Every stripe lies in the file, and all rows are in stripes.
fn check(metadata: &FileMetadata, size: u64) -> Result<()> {
    let mut rows = Some(0_u64);
    for stripe in metadata.stripe_metadatas() {
        let lengths = [stripe.index_length(), stripe.data_length(), stripe.footer_length()];
        let end = lengths.iter().try_fold(stripe.offset(), |end, length| end.checked_add(*length));
        if end.is_none_or(|end| end > size) {
            return Err(corrupt(format!("a stripe lies at {}, {lengths:?} bytes", stripe.offset())));
        }
        rows = rows.and_then(|rows| rows.checked_add(stripe.number_of_rows()));
    }
    match rows == Some(metadata.number_of_rows()) {
        true => Ok(()),
        false => Err(corrupt(format!("{rows:?} rows in stripes, {} in the footer", metadata.number_of_rows()))),
    }
}

/// The footer of a stripe.
pub(super) fn footer_range(stripe: &StripeMetadata) -> Range<u64> {
    stripe.footer_offset()..stripe.footer_offset() + stripe.footer_length()
}

/// The indexes of a stripe, which reading rows does not take.
fn index_range(stripe: &StripeMetadata) -> Range<u64> {
    stripe.offset()..stripe.offset() + stripe.index_length()
}

/// Notes which bytes a stripe's columns lie in.
struct Noting<'a> {
    stripe: &'a StripeMetadata,
    compression: Option<Compression>,
    /// The footer, in blocks that are kept as they are.
    footer: Bytes,
    asked: Cell<Vec<Range<u64>>>,
    /// The bytes that are given; without, nothing but the footer is.
    given: Option<&'a Pieces>,
}

impl ChunkReader for Noting<'_> {
    type T = std::io::Empty;

    fn len(&self) -> u64 {
        footer_range(self.stripe).end
    }

    fn get_read(&self, _: u64) -> std::io::Result<Self::T> {
        Err(no_stream())
    }

    fn get_bytes(&self, start: u64, length: u64) -> std::io::Result<Bytes> {
        let range = start..start.saturating_add(length);
        if range == footer_range(self.stripe) {
            return Ok(self.footer.clone());
        }
        if length == 0 || range.end <= index_range(self.stripe).end {
            return Ok(Bytes::new());
        }
        if range.end > self.stripe.footer_offset() {
            let what = format!("a stream at {start}, {length} bytes, that its stripe does not hold");
            return Err(IoError::new(ErrorKind::InvalidData, what));
        }
        let Some(pieces) = self.given else {
            let mut asked = self.asked.take();
            asked.push(range);
            self.asked.set(asked);
            return Ok(Bytes::new());
        };
        let what = || IoError::new(ErrorKind::UnexpectedEof, format!("bytes {range:?} were not fetched"));
        let stream = pieces.get(&range).ok_or_else(what)?;
        let swollen = |error: crate::error::Error| IoError::new(ErrorKind::InvalidData, error.to_string());
        blocks::check(&stream, self.compression).map_err(swollen)?;
        Ok(stream)
    }
}

impl<'a> Noting<'a> {
    fn new(
        metadata: &FileMetadata,
        stripe: &'a StripeMetadata,
        footer: &Bytes,
        given: Option<&'a Pieces>,
    ) -> Result<Self> {
        let compression = metadata.compression();
        let footer = blocks::kept(&blocks::inflated(footer, compression)?, compression);
        Ok(Self { stripe, compression, footer, asked: Cell::default(), given })
    }
}

/// The bytes that columns need of a stripe, in order.
///
/// # Errors
/// [`crate::Error::Corrupt`] when the footer is none.
pub(super) fn ranges(
    metadata: &FileMetadata,
    columns: &RootDataType,
    stripe: &StripeMetadata,
    footer: &Bytes,
) -> Result<Vec<Range<u64>>> {
    let mut noting = Noting::new(metadata, stripe, footer, None)?;
    Stripe::new(&mut noting, metadata, columns, stripe).map_err(undecoded)?;
    Ok(noting.asked.take())
}

/// A stripe with the bytes of its columns.
///
/// # Errors
/// As [`ranges`].
pub(super) fn stripe(
    metadata: &FileMetadata,
    columns: &RootDataType,
    stripe: &StripeMetadata,
    footer: &Bytes,
    fetched: &Pieces,
) -> Result<Stripe> {
    let mut noting = Noting::new(metadata, stripe, footer, Some(fetched))?;
    let opened = Stripe::new(&mut noting, metadata, columns, stripe).map_err(undecoded)?;
    let rows = stripe.number_of_rows();
    // A dictionary is made before the first row.
    let large = |column: &&orc_rust::schema::NamedColumn| {
        opened.columns().iter().any(|it| it.name() == column.name() && it.dictionary_size() as u64 > rows)
    };
    match columns.children().iter().find(large) {
        Some(column) => Err(corrupt(format!("column {}: a dictionary of more values than rows", column.name()))),
        None => Ok(opened),
    }
}
