//! Reads of the local disk in one step: a file is opened, measured and read on one thread. Each step that a thread of its
//! own takes costs a small file more than its bytes do.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path as FsPath;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{Attributes, Error, GetOptions, GetResult, GetResultPayload, ObjectMeta, Result};

/// More bytes than that are read by whoever asked, as they are needed.
const AT_ONCE: u64 = 4 << 20;

/// Whether [`read`] does what is asked for.
pub(super) fn can_read(options: &GetOptions) -> bool {
    let GetOptions { if_match, if_none_match, if_modified_since, if_unmodified_since, range: _, version, head, .. } =
        options;
    let plain = if_match.is_none() && if_none_match.is_none() && version.is_none();
    plain && if_modified_since.is_none() && if_unmodified_since.is_none() && !head
}

/// Opens a file and reads what is asked for, where that is not much. Blocks.
pub(super) fn read(path: &FsPath, location: Path, options: &GetOptions) -> Result<GetResult> {
    let told = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => Error::NotFound { path: path.display().to_string(), source: source.into() },
        _ => failed(path, source),
    };
    let mut file = File::open(path).map_err(told)?;
    let metadata = file.metadata().map_err(told)?;
    if metadata.is_dir() {
        return Err(told(std::io::Error::new(ErrorKind::NotFound, "it is a directory")));
    }
    let size = metadata.len();
    let range = match &options.range {
        Some(range) => range.as_range(size).map_err(|source| failed(path, source))?,
        None => 0..size,
    };
    let last_modified = metadata.modified().map_err(told)?.into();
    let payload = match range.end - range.start <= AT_ONCE {
        true => {
            let bytes = bytes_at(&mut file, range.start, range.end - range.start).map_err(|it| failed(path, it))?;
            GetResultPayload::Stream(std::future::ready(Ok(bytes)).into_stream().boxed())
        }
        false => GetResultPayload::File(file, path.to_path_buf()),
    };
    let meta = ObjectMeta { location, last_modified, size, e_tag: None, version: None };
    Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
}

/// So many bytes, or fewer where the file ends before: the caller counts them.
fn bytes_at(file: &mut File, start: u64, length: u64) -> std::io::Result<Bytes> {
    if start > 0 {
        file.seek(SeekFrom::Start(start))?;
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn failed(path: &FsPath, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let source = format!("{}: {}", path.display(), source.into()).into();
    Error::Generic { store: "local", source }
}
