//! Reads of the local disk. What lies in memory already is given at once, by whoever asks; anything else is opened,
//! measured and read in one step on a thread that may wait. To hand a small file from one thread to another takes longer
//! than to read it.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path as FsPath;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{Attributes, Error, GetOptions, GetResult, GetResultPayload, ObjectMeta, Result};

/// More bytes than that are read by whoever asked, as they are needed.
const AT_ONCE: u64 = 4 << 20;

/// More bytes than that are copied by a thread of their own, whether they are in memory or not.
#[cfg(target_os = "linux")]
const IN_PLACE: u64 = 256 << 10;

/// Whether this module does what is asked for.
pub(super) fn knows(options: &GetOptions) -> bool {
    let GetOptions { if_match, if_none_match, if_modified_since, if_unmodified_since, version, .. } = options;
    let plain = if_match.is_none() && if_none_match.is_none() && version.is_none();
    plain && if_modified_since.is_none() && if_unmodified_since.is_none()
}

/// Opens a file and reads what is asked for, where that is not much. May wait for the disk.
pub(super) fn get(path: &FsPath, location: Path, options: &GetOptions) -> Result<GetResult> {
    let mut file = File::open(path).map_err(|error| told(path, error))?;
    let metadata = file.metadata().map_err(|error| told(path, error))?;
    let (meta, range) = measured(path, location, &metadata, options)?;
    let payload = match range.end - range.start {
        _ if options.head => payload(Bytes::new()),
        length if length <= AT_ONCE => {
            payload(bytes_at(&mut file, range.start, length).map_err(|error| told(path, error))?)
        }
        _ => GetResultPayload::File(file, path.to_path_buf()),
    };
    Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
}

/// The same without waiting; nothing where it would have to.
#[cfg(target_os = "linux")]
pub(super) fn get_cached(path: &FsPath, location: &Path, options: &GetOptions) -> Option<Result<GetResult>> {
    let file = match cached::open(path)? {
        Ok(file) => file,
        Err(error) => return Some(Err(told(path, error))),
    };
    let metadata = file.metadata().ok()?;
    let (meta, range) = match measured(path, location.clone(), &metadata, options) {
        Ok(measured) => measured,
        Err(error) => return Some(Err(error)),
    };
    let bytes = match options.head {
        true => Bytes::new(),
        false => cached::read(&file, &range)?,
    };
    Some(Ok(GetResult { payload: payload(bytes), meta, range, attributes: Attributes::default() }))
}

/// Ranges of a file without waiting; nothing where that is not possible, or where one ends behind the file.
#[cfg(target_os = "linux")]
pub(super) fn ranges_cached(path: &FsPath, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
    let total = ranges.iter().try_fold(0_u64, |sum, range| sum.checked_add(range.end.checked_sub(range.start)?));
    total.filter(|total| *total <= IN_PLACE)?;
    let file = cached::open(path)?.ok()?;
    let whole =
        |range: &Range<u64>| cached::read(&file, range).filter(|bytes| bytes.len() as u64 == range.end - range.start);
    ranges.iter().map(whole).collect()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn get_cached(_: &FsPath, _: &Path, _: &GetOptions) -> Option<Result<GetResult>> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn ranges_cached(_: &FsPath, _: &[Range<u64>]) -> Option<Vec<Bytes>> {
    None
}

/// What the system has in memory, asked for so that it never waits for the disk.
#[cfg(target_os = "linux")]
mod cached {
    use std::fs::File;
    use std::io::IoSliceMut;
    use std::ops::Range;
    use std::path::Path;

    use bytes::Bytes;
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    use super::IN_PLACE;

    /// Nothing that is no file, as a pipe, is waited for either.
    const HOW: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

    /// Opens a file whose names are in memory. Says that there is none only when the system is sure.
    pub(super) fn open(path: &Path) -> Option<std::io::Result<File>> {
        match openat2(CWD, path, HOW, Mode::empty(), ResolveFlags::CACHED) {
            Ok(file) => Some(Ok(file.into())),
            Err(Errno::NOENT) => Some(Err(Errno::NOENT.into())),
            Err(_) => None,
        }
    }

    /// A range, or as much of it as the file has.
    pub(super) fn read(file: &File, range: &Range<u64>) -> Option<Bytes> {
        let length = range.end.checked_sub(range.start).filter(|length| *length <= IN_PLACE)?;
        let (mut bytes, mut done) = (vec![0; length as usize], 0);
        while done < bytes.len() {
            let rest = &mut [IoSliceMut::new(&mut bytes[done..])];
            match preadv2(file, rest, range.start + done as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(_) => return None,
            }
        }
        bytes.truncate(done);
        Some(bytes.into())
    }
}

fn measured(
    path: &FsPath,
    location: Path,
    metadata: &Metadata,
    options: &GetOptions,
) -> Result<(ObjectMeta, Range<u64>)> {
    if metadata.is_dir() {
        return Err(told(path, std::io::Error::new(ErrorKind::NotFound, "it is a directory")));
    }
    let size = metadata.len();
    let range = match &options.range {
        Some(range) => range.as_range(size).map_err(|source| failed(path, source))?,
        None => 0..size,
    };
    let last_modified = metadata.modified().map_err(|error| told(path, error))?.into();
    Ok((ObjectMeta { location, last_modified, size, e_tag: None, version: None }, range))
}

fn payload(bytes: Bytes) -> GetResultPayload {
    GetResultPayload::Stream(std::future::ready(Ok(bytes)).into_stream().boxed())
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

fn told(path: &FsPath, source: std::io::Error) -> Error {
    match source.kind() {
        ErrorKind::NotFound => Error::NotFound { path: path.display().to_string(), source: source.into() },
        _ => failed(path, source),
    }
}

fn failed(path: &FsPath, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let source = format!("{}: {}", path.display(), source.into()).into();
    Error::Generic { store: "local", source }
}

#[cfg(test)]
mod tests {
    use object_store::GetRange;

    use super::*;

    /// What both ways give: the fast one may say nothing, and says the same if it says something.
    async fn both(path: &FsPath, options: &GetOptions) -> std::result::Result<(Bytes, Range<u64>, u64), String> {
        let location = Path::from("somewhere");
        let opened = async |result: Result<GetResult>| {
            let result = result.map_err(|error| error.to_string())?;
            let (range, size) = (result.range.clone(), result.meta.size);
            Ok((result.bytes().await.map_err(|error| error.to_string())?, range, size))
        };
        let waited = opened(get(path, location.clone(), options)).await;
        if let Some(cached) = get_cached(path, &location, options) {
            let words = |told: &std::result::Result<_, String>| {
                told.as_ref().map_err(|it| it.split(':').next().map(str::to_string)).cloned()
            };
            assert_eq!(words(&opened(cached).await), words(&waited), "{options:?}");
        }
        waited
    }

    #[tokio::test]
    async fn a_file_reads_the_same_whether_it_lies_in_memory_or_not() {
        let directory = tempfile::tempdir().unwrap();
        let (path, bytes) = (directory.path().join("f"), (0..=255).cycle().take(300_000).collect::<Vec<u8>>());
        std::fs::write(&path, &bytes).unwrap();
        let ranged = |range| GetOptions { range: Some(range), ..GetOptions::default() };
        for (options, wanted) in [
            (GetOptions::default(), 0..300_000),
            (ranged(GetRange::Bounded(10..20)), 10..20),
            (ranged(GetRange::Bounded(299_990..400_000)), 299_990..300_000),
            (ranged(GetRange::Suffix(7)), 299_993..300_000),
            (ranged(GetRange::Suffix(400_000)), 0..300_000),
            (ranged(GetRange::Offset(299_000)), 299_000..300_000),
        ] {
            let (found, range, size) = both(&path, &options).await.unwrap();
            assert_eq!((range, size), (wanted.clone(), 300_000));
            assert!(found == bytes[wanted.start as usize..wanted.end as usize], "{options:?}");
        }
        let head = GetOptions { head: true, ..GetOptions::default() };
        assert_eq!(both(&path, &head).await.unwrap().2, 300_000);
        both(&path, &ranged(GetRange::Bounded(300_000..300_001))).await.unwrap_err();
    }

    #[tokio::test]
    async fn what_is_no_file_is_not_found() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().join("none"), directory.path().to_path_buf(), directory.path().join("none/deep")]
        {
            let told = get(&path, Path::from("x"), &GetOptions::default());
            assert!(matches!(told, Err(Error::NotFound { .. })), "{path:?}");
            both(&path, &GetOptions::default()).await.unwrap_err();
        }
    }

    /// Whether the system has what is asked here, in this directory.
    #[cfg(target_os = "linux")]
    fn answers_at_once(path: &FsPath) -> bool {
        use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
        use rustix::io::{ReadWriteFlags, preadv2};
        let file = openat2(CWD, path, OFlags::RDONLY, Mode::empty(), ResolveFlags::CACHED);
        let read = |file| preadv2(file, &mut [std::io::IoSliceMut::new(&mut [0])], 0, ReadWriteFlags::NOWAIT);
        file.is_ok_and(|file| read(file) == Ok(1))
    }

    #[cfg(not(target_os = "linux"))]
    fn answers_at_once(_: &FsPath) -> bool {
        false
    }

    #[test]
    fn ranges_in_memory_are_those_of_the_file_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, b"0123456789").unwrap();
        let pieces = ranges_cached(&path, &[0..3, 8..10]);
        assert_eq!(pieces.is_some(), answers_at_once(&path));
        assert!(pieces.is_none_or(|pieces| pieces == ["012", "89"]));
        assert!(ranges_cached(&path, &[0..3, 8..11]).is_none());
        assert!(ranges_cached(&path, &[0..3, Range { start: 3, end: 0 }]).is_none());
        assert!(ranges_cached(&directory.path().join("none"), &[0..1, 1..2]).is_none());
    }
}
