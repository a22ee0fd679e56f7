//! The local disk as an object store that keeps its word after power loss.
//!
//! `object_store`'s own local store never syncs. This one writes a hidden temporary file beside the target, syncs it,
//! makes it visible (a rename that replaces, or a hard link that refuses an existing target) and syncs the directory;
//! a directory it had to create is synced into its parent first. Reads, listings and deletes are the inner store's.
//!
//! ```text
//! .snapshot-7.<uuid>.tmp --fsync--> link snapshot-7 --fsync directory--> acknowledged
//! ```
//!
//! Directory syncs are shared: writers of one directory that finish together pay one sync. The parts of a large
//! file go to the disk as they are written, so that a commit beside it does not wait for all of them. Temporary names follow
//! Paimon's (`.<name>.<uuid>.tmp`), so that Java's orphan cleaner takes what a crash leaves.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, UploadPart,
};

use super::error::BeforeEffect;
use super::local_read;
use crate::env::Env;

type StoreResult<T> = object_store::Result<T>;

/// Put into the extensions of a put whose loss is harmless: it is not synced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsynced;

/// The local disk below `/`.
#[derive(Clone)]
pub struct LocalStore {
    inner: Arc<LocalFileSystem>,
    env: Env,
    directories: Arc<Directories>,
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalStore")
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalStore")
    }
}

impl LocalStore {
    /// The whole disk; paths are absolute paths without their leading slash.
    pub fn new(env: Env) -> Self {
        Self { inner: Arc::new(LocalFileSystem::new()), env, directories: Arc::default() }
    }

    fn target(&self, location: &Path) -> StoreResult<(PathBuf, PathBuf)> {
        let path = PathBuf::from(format!("/{location}"));
        let Some(name) = location.filename() else {
            return Err(object_store::Error::NotSupported { source: "the root is no file".into() });
        };
        let hidden = path.with_file_name(format!(".{name}.{}.tmp", self.env.uuid()));
        Ok((path, hidden))
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> StoreResult<PutResult> {
        let create = match opts.mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            PutMode::Update(_) => {
                return Err(object_store::Error::NotSupported { source: "local conditional update".into() });
            }
        };
        let synced = opts.extensions.get::<Unsynced>().is_none();
        let (path, hidden) = self.target(location)?;
        let directories = Arc::clone(&self.directories);
        blocking(move || {
            let mut file = directories.open_new(&hidden)?;
            let written = payload.iter().try_for_each(|chunk| file.write_all(chunk));
            let written = written.and_then(|()| if synced { file.sync_all() } else { Ok(()) });
            if let Err(cause) = written {
                let _ = std::fs::remove_file(&hidden);
                return Err(before("write", &hidden, cause));
            }
            drop(file);
            publish(&hidden, &path, create, synced.then_some(&*directories))
        })
        .await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        let (path, hidden) = self.target(location)?;
        let directories = Arc::clone(&self.directories);
        let (directories, hidden, file) = blocking(move || {
            let file = directories.open_new(&hidden)?;
            Ok((directories, hidden, file))
        })
        .await?;
        Ok(Box::new(LocalUpload { file: Arc::new(file), offset: 0, hidden: Some(hidden), path, directories }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        if !local_read::knows(&options) {
            return self.inner.get_opts(location, options).await;
        }
        let path = PathBuf::from(format!("/{location}"));
        if let Some(result) = local_read::get_cached(&path, location, &options) {
            return result;
        }
        let location = location.clone();
        blocking(move || local_read::get(&path, location, &options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        match local_read::ranges_cached(&PathBuf::from(format!("/{location}")), ranges) {
            Some(pieces) => Ok(pieces),
            None => self.inner.get_ranges(location, ranges).await,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        let bytes = self.inner.get_opts(from, GetOptions::default()).await?.bytes().await?;
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.put_opts(to, bytes.into(), PutOptions { mode, ..PutOptions::default() }).await.map(|_| ())
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> StoreResult<()> {
        let create = matches!(options.target_mode, RenameTargetMode::Create);
        let (from, _) = self.target(from)?;
        let (to, _) = self.target(to)?;
        let directories = Arc::clone(&self.directories);
        blocking(move || publish(&from, &to, create, Some(&directories))).await
    }
}

/// Makes `hidden` visible as `path`; with `directories`, durably so.
fn publish(hidden: &FsPath, path: &FsPath, create: bool, directories: Option<&Directories>) -> StoreResult<()> {
    let done = if create { std::fs::hard_link(hidden, path) } else { std::fs::rename(hidden, path) };
    if create || done.is_err() {
        let _ = std::fs::remove_file(hidden);
    }
    let outcome = match done {
        Ok(()) => Ok(()),
        Err(cause) if create && cause.kind() == ErrorKind::AlreadyExists => {
            Err(object_store::Error::AlreadyExists { path: path.display().to_string(), source: cause.into() })
        }
        Err(cause) => return Err(before("publish", path, cause)),
    };
    // Also for a target that exists: it may be our own earlier write whose sync failed.
    if let (Some(directories), Some(parent)) = (directories, path.parent()) {
        directories.sync(parent).map_err(|cause| object_store::Error::Generic {
            store: "local",
            source: format!("sync of directory {}: {cause}", parent.display()).into(),
        })?;
    }
    outcome
}

#[derive(Debug)]
struct LocalUpload {
    file: Arc<File>,
    offset: u64,
    hidden: Option<PathBuf>,
    path: PathBuf,
    directories: Arc<Directories>,
}

#[async_trait]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (start, mut offset) = (self.offset, self.offset);
        self.offset += data.content_length() as u64;
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        Box::pin(blocking(move || {
            for chunk in &data {
                write_at(&file, chunk, offset).map_err(|cause| before("write", &path, cause))?;
                offset += chunk.len() as u64;
            }
            start_writing_back(&file, start, offset - start);
            Ok(())
        }))
    }

    async fn complete(&mut self) -> StoreResult<PutResult> {
        let Some(hidden) = self.hidden.take() else {
            return Err(object_store::Error::NotSupported { source: "the upload has ended".into() });
        };
        let (file, path, directories) = (Arc::clone(&self.file), self.path.clone(), Arc::clone(&self.directories));
        blocking(move || {
            if let Err(cause) = file.sync_all() {
                let _ = std::fs::remove_file(&hidden);
                return Err(before("sync", &path, cause));
            }
            publish(&hidden, &path, false, Some(&directories))
        })
        .await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> StoreResult<()> {
        match self.hidden.take() {
            Some(hidden) => blocking(move || remove_quietly(&hidden)).await,
            None => Ok(()),
        }
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if let Some(hidden) = self.hidden.take() {
            let _ = std::fs::remove_file(hidden);
        }
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// Asks the system to begin with bytes that were written. Were all of a large file left to its sync, everybody else's sync
/// of a small file would wait for them.
#[cfg(target_os = "linux")]
fn start_writing_back(file: &File, offset: u64, length: u64) {
    // Advice: that it is not taken loses nothing, the sync at the end counts. Pages in use stay in memory.
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(length), rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn start_writing_back(_file: &File, _offset: u64, _length: u64) {}

fn remove_quietly(path: &FsPath) -> StoreResult<()> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(before("delete", path, cause)),
        _ => Ok(()),
    }
}

/// One shared sync for each directory.
#[derive(Debug, Default)]
struct Directories {
    known: Mutex<HashMap<PathBuf, Arc<Directory>>>,
}

#[derive(Debug, Default)]
struct Directory {
    /// Changes made so far.
    changes: AtomicU64,
    /// How many of them a finished sync covers.
    synced: Mutex<u64>,
}

/// Directories remembered before the memory starts anew.
const MAX_KNOWN: usize = 10_000;

impl Directories {
    fn open_new(&self, path: &FsPath) -> StoreResult<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        match options.open(path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(path);
                self.create(parent).map_err(|cause| before("create directory", parent, cause))?;
                options.open(path)
            }
            other => other,
        }
        .map_err(|cause| before("create", path, cause))
    }

    /// Creates a directory and those above it, each synced into its parent.
    fn create(&self, directory: &FsPath) -> std::io::Result<()> {
        match std::fs::create_dir(directory) {
            Ok(()) => directory.parent().map_or(Ok(()), |parent| self.sync(parent)),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                let Some(parent) = directory.parent() else { return Err(cause) };
                self.create(parent)?;
                self.create(directory)
            }
            Err(cause) => Err(cause),
        }
    }

    /// Returns when a sync that began after this call's change has ended.
    fn sync(&self, directory: &FsPath) -> std::io::Result<()> {
        let entry = self.entry(directory);
        let mine = entry.changes.fetch_add(1, Ordering::SeqCst) + 1;
        let mut synced = entry.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= mine {
            return Ok(());
        }
        let covered = entry.changes.load(Ordering::SeqCst);
        sync_directory(directory)?;
        *synced = covered;
        Ok(())
    }

    fn entry(&self, directory: &FsPath) -> Arc<Directory> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        Arc::clone(known.entry(directory.to_path_buf()).or_default())
    }
}

#[cfg(unix)]
fn sync_directory(directory: &FsPath) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Elsewhere a directory cannot be opened as a file; the file system's journal has to do.
#[cfg(not(unix))]
fn sync_directory(_directory: &FsPath) -> std::io::Result<()> {
    Ok(())
}

fn before(what: &str, path: &FsPath, cause: std::io::Error) -> object_store::Error {
    let what = format!("{what} {}", path.display());
    object_store::Error::Generic { store: "local", source: Box::new(BeforeEffect { what, cause }) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> StoreResult<T> + Send + 'static) -> StoreResult<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}
