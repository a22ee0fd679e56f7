//! A data file's bytes for the Parquet decoder: fetched in windows, so that a scan's memory does not grow with its files.
//!
//! ```text
//! file    | column chunk | column chunk | .. | footer |
//! windows   [..]           [..]                [tail]
//! ```
//!
//! The tail is read first and with it the footer. After that each column chunk has one window that moves forward.

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;

use crate::error::{Error, Result};
use crate::io::TableStore;

/// The tail that is read to find the footer; a file of this size or less is read at once.
const TAIL: u64 = 64 << 10;
const WHOLE: u64 = 512 << 10;
/// A page header with statistics is shorter than this, unless its column chunk ends earlier.
const HEADER: u64 = 16 << 10;

/// A file behind windows.
pub(super) struct FileSource {
    store: TableStore,
    runtime: Handle,
    path: String,
    /// Where it begins in what the store has under its path.
    start: u64,
    size: u64,
    window: u64,
    state: Mutex<Windows>,
    /// What the store met first: the decoder hands on no more than a text.
    failed: Mutex<Option<Error>>,
}

struct Windows {
    tail_start: u64,
    tail: Bytes,
    /// Column chunks that will be read: start, end and the window in it. Sorted by start.
    chunks: Vec<Chunk>,
}

struct Chunk {
    start: u64,
    end: u64,
    window_start: u64,
    window: Bytes,
}

impl FileSource {
    /// Opens a file of a known size, which begins at `start` of what has its path, by reading its tail.
    pub(super) fn open(
        store: &TableStore,
        runtime: &Handle,
        path: String,
        (start, size): (u64, u64),
        window: u64,
    ) -> Result<Arc<Self>> {
        let tail_start = if size <= WHOLE { 0 } else { size - TAIL };
        let tail = runtime.block_on(store.read_range(&path, start + tail_start..start + size))?;
        if tail.len() as u64 != size - tail_start {
            return Err(Error::corrupt(path, format!("file is shorter than the {size} bytes its manifest tells")));
        }
        let state = Mutex::new(Windows { tail_start, tail, chunks: Vec::new() });
        let (store, runtime, failed) = (store.clone(), runtime.clone(), Mutex::new(None));
        Ok(Arc::new(Self { store, runtime, path, start, size, window, state, failed }))
    }

    /// Names the column chunks that will be read.
    pub(super) fn expect(&self, mut ranges: Vec<(u64, u64)>) {
        ranges.sort_unstable();
        let chunk = |(start, end)| Chunk { start, end, window_start: start, window: Bytes::new() };
        self.windows().chunks = ranges.into_iter().map(chunk).collect();
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes from `at` that are at hand or one fetch away: at least `least`, if the file has them.
    fn bytes_at(&self, at: u64, least: u64) -> Result<Bytes> {
        let out_of_file = || Error::corrupt(&self.path, format!("footer points to byte {at} of {}", self.size));
        let end = at.checked_add(least).filter(|end| *end <= self.size).ok_or_else(out_of_file)?;
        let mut windows = self.windows();
        if at >= windows.tail_start {
            return Ok(windows.tail.slice((at - windows.tail_start) as usize..));
        }
        let place = windows.chunks.partition_point(|chunk| chunk.start <= at);
        let Some(chunk) =
            place.checked_sub(1).map(|before| &mut windows.chunks[before]).filter(|chunk| end <= chunk.end)
        else {
            drop(windows);
            return self.fetch(at, end);
        };
        let inside = chunk.window_start <= at && end <= chunk.window_start + chunk.window.len() as u64;
        if !inside {
            let upto = chunk.end.min(end.max(at + self.window));
            chunk.window = self.fetch(at, upto)?;
            chunk.window_start = at;
        }
        Ok(chunk.window.slice((at - chunk.window_start) as usize..))
    }

    /// Bytes from `at` to the end of its column chunk, or of the file.
    fn room_after(&self, at: u64) -> u64 {
        let windows = self.windows();
        let chunk = windows.chunks.iter().find(|chunk| (chunk.start..chunk.end).contains(&at));
        chunk.map_or(self.size, |chunk| chunk.end).saturating_sub(at)
    }

    /// The decoder's error as ours: what the store met, or else the file's fault.
    pub(super) fn error(&self, error: &impl ToString) -> Error {
        self.failure().unwrap_or_else(|| Error::corrupt(&self.path, error.to_string()))
    }

    /// What the store met, told once.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// An error on its way through the decoder.
    fn fail(&self, error: Error) -> ParquetError {
        let told = ParquetError::General(error.to_string());
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        told
    }

    /// Bytes of the file, fetched as asked.
    pub(super) fn fetch(&self, start: u64, end: u64) -> Result<Bytes> {
        self.runtime.block_on(self.store.read_range(&self.path, self.start + start..self.start + end))
    }
}

impl Length for FileSource {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for FileSource {
    type T = Cursor;

    fn get_read(&self, start: u64) -> Result<Cursor, ParquetError> {
        let bytes = self.bytes_at(start, HEADER.min(self.room_after(start))).map_err(|error| self.fail(error))?;
        Ok(Cursor { bytes })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = self.bytes_at(start, length as u64).map_err(|error| self.fail(error))?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start}")));
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// Reads a page header (or a part of the footer) from bytes at hand.
pub(super) struct Cursor {
    bytes: Bytes,
}

impl Read for Cursor {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let taken = out.len().min(self.bytes.len());
        out[..taken].copy_from_slice(&self.bytes[..taken]);
        self.bytes.advance(taken);
        Ok(taken)
    }
}
