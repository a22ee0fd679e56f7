//! Walks the frames of an Arrow IPC stream before it is decoded, because the decoder allocates what a frame says.
//!
//! ```text
//! [ARROW1 and zeros, in a file]  ( FFFFFFFF | metadata length | metadata | body )*  [0]  [footer, in a file]
//! ```
//!
//! A length that the file cannot hold, and a compressed buffer that would become larger than [`MOST_BYTES`], are errors
//! here. A file is read as the stream that it contains; its footer is not needed.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use arrow_ipc::{Message, RecordBatch, root_as_message};

/// The most bytes of metadata of one frame, and of one batch when it is uncompressed.
const MOST_METADATA: u64 = 64 << 20;
const MOST_BYTES: u64 = 2 << 30;
/// The most rows of a batch. Columns of nothing but NULL take no bytes, so bytes do not bound them.
const MOST_ROWS: i64 = 1 << 31;

/// Checks all frames and leaves the file where the stream begins.
///
/// # Errors
/// What is wrong, in words that go behind the file's name.
pub fn check(file: &mut File) -> Result<(), String> {
    let size = file.seek(SeekFrom::End(0)).map_err(words)?;
    let start = stream_start(file, size).map_err(words)?;
    let mut at = start;
    while at < size {
        at = match check_frame(file, at, size)? {
            Some(next) => next,
            None => break,
        };
    }
    file.seek(SeekFrom::Start(start)).map_err(words)?;
    Ok(())
}

/// Where the stream begins: at once, or in a file behind its magic and zeros up to the writer's alignment.
fn stream_start(file: &mut File, size: u64) -> std::io::Result<u64> {
    let mut begin = [0; 128];
    let length = usize::try_from(size).map_or(begin.len(), |size| size.min(begin.len()));
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut begin[..length])?;
    if !begin.starts_with(b"ARROW1") {
        return Ok(0);
    }
    let frame = (8..length).step_by(8).find(|at| begin[*at..length].iter().take(4).any(|byte| *byte != 0));
    Ok(frame.unwrap_or(8) as u64)
}

fn words(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "ends too early".into(),
        _ => error.to_string(),
    }
}

fn read_i32(file: &mut File) -> Result<i32, String> {
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes).map_err(words)?;
    Ok(i32::from_le_bytes(bytes))
}

/// Checks the frame at `at`; gives where the next one begins, nothing at the stream's end.
fn check_frame(file: &mut File, at: u64, size: u64) -> Result<Option<u64>, String> {
    file.seek(SeekFrom::Start(at)).map_err(words)?;
    let mut behind = at + 4;
    let mut length = read_i32(file)?;
    if length == -1 {
        length = read_i32(file)?;
        behind += 4;
    }
    if length == 0 {
        return Ok(None);
    }
    let length = u64::try_from(length).map_err(|_| "is no Arrow data (a length below zero)")?;
    if length > MOST_METADATA || length > size.saturating_sub(behind) {
        return Err("ends too early, or is no Arrow data".into());
    }
    let mut metadata = Vec::new();
    file.by_ref().take(length).read_to_end(&mut metadata).map_err(words)?;
    let message =
        root_as_message(&metadata).map_err(|error| format!("has a frame that is no Arrow message ({error})"))?;
    let body = behind + length;
    let length = u64::try_from(message.bodyLength()).map_err(|_| "has a frame with a length below zero")?;
    if length > size.saturating_sub(body) {
        return Err("ends too early".into());
    }
    if let Some(batch) = batch_of(&message) {
        check_batch(file, &batch, body, length)?;
    }
    Ok(Some(body + length))
}

fn batch_of<'a>(message: &Message<'a>) -> Option<RecordBatch<'a>> {
    let dictionary = || message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    message.header_as_record_batch().or_else(dictionary)
}

fn check_batch(file: &mut File, batch: &RecordBatch<'_>, body: u64, length: u64) -> Result<(), String> {
    if !(0..=MOST_ROWS).contains(&batch.length()) {
        return Err(format!("has a batch of {} rows", batch.length()));
    }
    let mut sum = 0_u64;
    for buffer in batch.buffers().iter().flatten() {
        let inside = u64::try_from(buffer.offset()).ok().zip(u64::try_from(buffer.length()).ok());
        let inside = inside.filter(|(offset, bytes)| offset.checked_add(*bytes).is_some_and(|end| end <= length));
        let (offset, bytes) = inside.ok_or("has a buffer that lies outside of its frame")?;
        if batch.compression().is_none() || bytes < 8 {
            continue;
        }
        // A compressed buffer begins with its uncompressed length; -1 means that it is not compressed after all.
        file.seek(SeekFrom::Start(body + offset)).map_err(words)?;
        let mut bytes = [0; 8];
        file.read_exact(&mut bytes).map_err(words)?;
        let unpacked = i64::from_le_bytes(bytes);
        sum = sum.saturating_add(if unpacked == -1 { 0 } else { u64::try_from(unpacked).unwrap_or(u64::MAX) });
        if sum > MOST_BYTES {
            return Err(format!("has a batch of more than {} MiB when uncompressed", MOST_BYTES >> 20));
        }
    }
    Ok(())
}
