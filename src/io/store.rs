//! A table's files: every request of the rooms above goes through [`TableStore`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error as StoreError, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use super::error::{from_store, is_certain, plain};
use super::local::{LocalStore, Unsynced};
use super::location::Location;
use super::outside::Outside;
use super::path::{check_path, join};
use super::secret::Secrets;
use super::upload::Upload;
use crate::env::Env;
use crate::error::{Error, Result};

/// The largest file that is read whole.
pub const MAX_METADATA_BYTES: u64 = 512 << 20;

/// What a put-if-absent did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// This call created the file.
    Won,
    /// The store says that the file exists. It may be this call's own earlier try, or (S3's 409) nothing at all:
    /// read it back and compare.
    Exists,
    /// The store failed after the request may have had its effect. Carries the store's words.
    Unknown(String),
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// The name in its directory; from [`TableStore::list_recursive`], the path below the listed directory.
    pub name: String,
    /// The size in bytes.
    pub size: u64,
    /// The modification time in milliseconds since the epoch.
    pub modified_millis: i64,
}

/// Files of one request to delete: what S3 takes.
pub(super) const DELETES_AT_ONCE: usize = 1000;

/// Bytes of a part of a file that is being written: the least that S3 takes, and what a disk takes well.
const REMOTE_PART_BYTES: usize = 5 << 20;
const LOCAL_PART_BYTES: usize = 1 << 20;

/// What stands behind a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Local,
    Memory,
    Remote {
        /// The bucket and its endpoint.
        bucket: String,
        /// Why it cannot be written to.
        read_only: Option<&'static str>,
        /// Files of one request to delete.
        deletes_at_once: usize,
    },
}

/// A store and the root that all paths are relative to. Cheap to clone.
#[derive(Clone)]
pub struct TableStore {
    inner: Arc<dyn ObjectStore>,
    root: Arc<str>,
    location: Arc<str>,
    kind: Kind,
    secrets: Secrets,
    outside: Arc<Outside>,
    env: Env,
}

impl fmt::Debug for TableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableStore({})", self.location)
    }
}

/// Files of one store, each with the path that the caller gave.
type FilesOfStore<'a> = Vec<(&'a String, Path)>;

impl TableStore {
    pub(super) fn assemble(inner: Arc<dyn ObjectStore>, root: String, location: String, kind: Kind, env: Env) -> Self {
        let (root, location, secrets, outside) = (root.into(), location.into(), Secrets::default(), Arc::default());
        Self { inner, root, location, kind, secrets, outside, env }
    }

    /// The local disk from its root.
    pub(super) fn local_disk(env: &Env) -> Self {
        let inner = Arc::new(LocalStore::new(env.clone()));
        Self::assemble(inner, String::new(), "/".to_string(), Kind::Local, env.clone())
    }

    /// The same store from its top, which has this address.
    pub(super) fn at_top(&self, address: &str) -> Self {
        Self { root: "".into(), location: address.into(), ..self.clone() }
    }

    /// With the files outside of the root that may be reached.
    pub(super) fn reaching(self, outside: &Arc<Outside>) -> Self {
        Self { outside: Arc::clone(outside), ..self }
    }

    /// The same store, from which the files below these locations are reached too.
    ///
    /// # Errors
    /// As [`super::Location::parse`].
    pub fn allowing<'a>(&self, locations: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        Ok(self.clone().reaching(&Arc::new(Outside::allowing(locations, &BTreeMap::new())?)))
    }

    /// With the secrets that no error may show.
    pub(super) fn keeping(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    fn failure(&self, operation: &str, path: &str, error: &StoreError) -> Error {
        from_store(operation, path, error, &self.secrets)
    }

    /// Refuses a store that cannot be written to safely. No request is made.
    ///
    /// # Errors
    /// [`Error::Unsupported`] that names the store and says why.
    pub fn require_writable(&self) -> Result<()> {
        match self.kind {
            Kind::Remote { read_only: Some(why), .. } => {
                Err(Error::unsupported(format!("writing to {}: {why}", self.location)))
            }
            _ => Ok(()),
        }
    }

    /// A directory of the local disk.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path that cannot be a root.
    pub fn local(directory: impl AsRef<std::path::Path>, env: &Env) -> Result<Self> {
        let text = directory.as_ref().to_str().ok_or_else(|| Error::invalid("a path must be UTF-8"))?;
        let super::Location::Local(path) = super::Location::parse(&format!("file:{text}"))? else {
            return Err(Error::bug("a file location is local"));
        };
        let location = path.to_string_lossy().to_string();
        let root = location.trim_matches('/').to_string();
        Ok(Self::assemble(Arc::new(LocalStore::new(env.clone())), root, location, Kind::Local, env.clone()))
    }

    /// A store of its own in memory.
    pub fn memory(env: &Env) -> Self {
        let inner = Arc::new(InMemory::new());
        Self::assemble(inner, "table".into(), "memory:".into(), Kind::Memory, env.clone())
    }

    /// The same root behind a wrapper, such as [`super::FaultyStore`] or [`super::CountingStore`].
    #[must_use]
    pub fn wrapped(&self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self { inner: wrap(Arc::clone(&self.inner)), ..self.clone() }
    }

    /// The same store with another clock and randomness.
    #[must_use]
    pub fn with_env(&self, env: Env) -> Self {
        Self { env, ..self.clone() }
    }

    /// A directory below this root as a root of its own.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path that leaves the root.
    pub fn child(&self, relative: &str) -> Result<Self> {
        let root = join(&self.root, relative)?;
        let location = format!("{}/{relative}", self.location.trim_end_matches('/'));
        Ok(Self { root: root.as_ref().into(), location: location.into(), ..self.clone() })
    }

    /// The root as a person would write it.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The root, parsed; nothing for a store without an address.
    pub(super) fn parsed_location(&self) -> Option<Location> {
        let location = Location::parse(&self.location).ok()?;
        let same = matches!(
            (&self.kind, &location),
            (Kind::Local, Location::Local(_))
                | (Kind::Memory, Location::Memory { .. })
                | (Kind::Remote { .. }, Location::Remote { .. })
        );
        same.then_some(location)
    }

    /// The root as a directory of the local disk.
    pub fn local_path(&self) -> Option<PathBuf> {
        matches!(self.kind, Kind::Local).then(|| PathBuf::from(format!("/{}", self.root)))
    }

    /// The surroundings.
    pub fn env(&self) -> &Env {
        &self.env
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The store itself and the full path of a file in it, for readers that speak `object_store`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path that leaves the root.
    pub fn object(&self, path: &str) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let (store, file) = self.find(path)?;
        Ok((Arc::clone(&store.inner), file))
    }

    fn file(&self, path: &str) -> Result<Path> {
        check_path(path)?;
        join(&self.root, path)
    }

    /// The store that a file lies in, and its path there.
    fn find(&self, path: &str) -> Result<(Cow<'_, Self>, Path)> {
        match Outside::names(path) {
            true => self.outside.place(path, self).map(|(store, file)| (Cow::Owned(store), file)),
            false => Ok((Cow::Borrowed(self), self.file(path)?)),
        }
    }

    /// Refuses a path outside of the root that is not below an allowed location, or lies in a store that is only read. No
    /// request is made.
    ///
    /// # Errors
    /// [`Error::Unsupported`] that names the location and the option; [`Error::Invalid`] for a path that is none.
    pub fn require_writable_at(&self, path: &str) -> Result<()> {
        self.find(path)?.0.require_writable()
    }

    /// Whether a file may be reached: one below the root, or one outside of it that lies below an allowed location.
    pub fn reaches(&self, path: &str) -> bool {
        !Outside::names(path) || self.outside.check(path).is_ok()
    }

    /// Reads a whole file of at most [`MAX_METADATA_BYTES`].
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Exhausted`] for a larger file, [`Error::Storage`].
    pub async fn read(&self, path: &str) -> Result<Bytes> {
        let (store, file) = self.find(path)?;
        let result = store.inner.get(&file).await.map_err(|error| store.failure("read", path, &error))?;
        let size = result.meta.size;
        if size > MAX_METADATA_BYTES {
            return Err(Error::exhausted(format!(
                "{path} has {size} bytes; at most {MAX_METADATA_BYTES} are read whole"
            )));
        }
        let bytes = result.bytes().await.map_err(|error| store.failure("read", path, &error))?;
        if bytes.len() as u64 != size {
            return Err(Error::storage(format!("read {path}: {} of {size} bytes came", bytes.len())));
        }
        Ok(bytes)
    }

    /// Reads a whole file, or nothing where there is none.
    ///
    /// # Errors
    /// As [`TableStore::read`].
    pub async fn try_read(&self, path: &str) -> Result<Option<Bytes>> {
        match self.read(path).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a range of a file.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`] when the file is shorter, [`Error::Storage`].
    pub async fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        if range.start >= range.end {
            return Ok(Bytes::new());
        }
        let (store, file) = self.find(path)?;
        let asked = range.end - range.start;
        let bytes =
            store.inner.get_range(&file, range.clone()).await.map_err(|error| store.failure("read", path, &error))?;
        if bytes.len() as u64 != asked {
            return Err(Error::corrupt(path, format!("range {range:?} gave {} bytes", bytes.len())));
        }
        Ok(bytes)
    }

    /// Reads the first bytes of a file: fewer where it is shorter.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn read_head(&self, path: &str, length: u64) -> Result<Bytes> {
        let (store, file) = self.find(path)?;
        store.inner.get_range(&file, 0..length).await.map_err(|error| store.failure("read", path, &error))
    }

    /// Reads some ranges of a file, in as few requests as the store makes of ranges that lie near each other.
    ///
    /// # Errors
    /// As [`TableStore::read_range`].
    pub async fn read_ranges(&self, path: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (store, file) = self.find(path)?;
        let pieces =
            store.inner.get_ranges(&file, ranges).await.map_err(|error| store.failure("read", path, &error))?;
        let whole = |(range, bytes): (&Range<u64>, &Bytes)| bytes.len() as u64 == range.end.saturating_sub(range.start);
        if pieces.len() != ranges.len() || !ranges.iter().zip(&pieces).all(whole) {
            return Err(Error::corrupt(path, format!("ranges {ranges:?} gave fewer bytes")));
        }
        Ok(pieces)
    }

    /// Reads the last bytes of a file, and tells its size.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn read_tail(&self, path: &str, length: u64) -> Result<(Bytes, u64)> {
        let (store, file) = self.find(path)?;
        let ranged = |range| GetOptions { range: Some(range), ..GetOptions::default() };
        let result = match store.inner.get_opts(&file, ranged(GetRange::Suffix(length))).await {
            // Azure knows no range that is counted from the end.
            Err(StoreError::NotSupported { .. } | StoreError::NotImplemented { .. }) => {
                let size = store.inner.head(&file).await.map_err(|error| store.failure("stat", path, &error))?.size;
                if size == 0 {
                    return Ok((Bytes::new(), 0));
                }
                store.inner.get_opts(&file, ranged(GetRange::Bounded(size.saturating_sub(length)..size))).await
            }
            result => result,
        };
        let result = result.map_err(|error| store.failure("read", path, &error))?;
        let size = result.meta.size;
        let bytes = result.bytes().await.map_err(|error| store.failure("read", path, &error))?;
        Ok((bytes, size))
    }

    /// The size of a file.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn size(&self, path: &str) -> Result<u64> {
        let (store, file) = self.find(path)?;
        Ok(store.inner.head(&file).await.map_err(|error| store.failure("stat", path, &error))?.size)
    }

    /// Whether a file is there.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn exists(&self, path: &str) -> Result<bool> {
        match self.size(path).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a whole file under a name of its own, durably. A retry replaces.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.put(path, bytes, PutOptions::default()).await
    }

    /// Replaces a file that others read meanwhile (a consumer's progress), durably. Nobody sees a short file.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn replace(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.put(path, bytes, PutOptions::default()).await
    }

    /// Replaces a hint: like [`TableStore::replace`], but power loss may undo it.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn replace_hint(&self, path: &str, bytes: Bytes) -> Result<()> {
        let mut options = PutOptions::default();
        options.extensions.insert(Unsynced);
        self.put(path, bytes, options).await
    }

    async fn put(&self, path: &str, bytes: Bytes, options: PutOptions) -> Result<()> {
        let (store, file) = self.find(path)?;
        store.require_writable()?;
        let done = store.inner.put_opts(&file, bytes.into(), options).await;
        done.map(|_| ()).map_err(|error| store.failure("write", path, &error))
    }

    /// Creates a file if it is absent: over all processes, one caller wins.
    ///
    /// # Errors
    /// Only failures that are certain to have had no effect: a bad path, no permission, no room.
    pub async fn create(&self, path: &str, bytes: Bytes) -> Result<Created> {
        let (store, file) = self.find(path)?;
        store.require_writable()?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match store.inner.put_opts(&file, bytes.into(), options).await {
            Ok(_) => Ok(Created::Won),
            Err(
                StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } | StoreError::NotModified { .. },
            ) => Ok(Created::Exists),
            Err(error) if is_certain(&error) => Err(store.failure("create", path, &error)),
            Err(error) => Ok(Created::Unknown(plain(&error, &store.secrets))),
        }
    }

    /// Begins a file that is written piece by piece; it is visible after [`Upload::finish`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path that leaves the root, [`Error::Unsupported`] for a store that is only read.
    pub fn upload(&self, path: &str) -> Result<Upload> {
        let (store, file) = self.find(path)?;
        store.require_writable()?;
        let part_bytes = match store.kind {
            Kind::Local => LOCAL_PART_BYTES,
            Kind::Memory | Kind::Remote { .. } => REMOTE_PART_BYTES,
        };
        Ok(Upload::new(Arc::clone(&store.inner), file, path.to_string(), part_bytes, store.secrets.clone()))
    }

    /// The files of one directory, in no order. A directory that is not there has none.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list(&self, directory: &str) -> Result<Vec<FileStatus>> {
        let prefix = join(&self.root, directory)?;
        let listed = match self.inner.list_with_delimiter(Some(&prefix)).await {
            Ok(listed) => listed,
            Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(self.failure("list", directory, &error)),
        };
        Ok(listed.objects.iter().filter_map(|object| status(&prefix, object)).collect())
    }

    /// The names of the directories in one directory, sorted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_dirs(&self, directory: &str) -> Result<Vec<String>> {
        let prefix = join(&self.root, directory)?;
        let listed = match self.inner.list_with_delimiter(Some(&prefix)).await {
            Ok(listed) => listed,
            Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(self.failure("list", directory, &error)),
        };
        let mut names: Vec<String> = listed.common_prefixes.iter().filter_map(|path| below(&prefix, path)).collect();
        names.sort();
        Ok(names)
    }

    /// All files below a directory, with their paths below it.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_recursive(&self, directory: &str) -> Result<Vec<FileStatus>> {
        let prefix = join(&self.root, directory)?;
        let listed: Result<Vec<_>, _> = self.inner.list(Some(&prefix)).try_collect().await;
        let listed = match listed {
            Ok(listed) => listed,
            Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(self.failure("list", directory, &error)),
        };
        Ok(listed.iter().filter_map(|object| status(&prefix, object)).collect())
    }

    /// Deletes a file; one that is not there is deleted already.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn delete(&self, path: &str) -> Result<()> {
        let (store, file) = self.find(path)?;
        store.require_writable()?;
        match store.inner.delete(&file).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(store.failure("delete", path, &error)),
        }
    }

    /// Deletes files, many with one request where the store can; those that are not there are deleted already. Answers
    /// the files that may still be there, each with what the store said.
    pub async fn delete_all(&self, paths: &[String]) -> Vec<(String, Error)> {
        let mut failed = Vec::new();
        let mut stores: Vec<(Cow<'_, Self>, FilesOfStore<'_>)> = Vec::new();
        for path in paths {
            let found = self.find(path);
            match found.and_then(|(store, file)| store.require_writable().map(|()| (store, file))) {
                Err(error) => failed.push((path.clone(), error)),
                Ok((store, file)) => match stores.iter_mut().find(|(known, _)| known.location == store.location) {
                    Some((_, files)) => files.push((path, file)),
                    None => stores.push((store, vec![(path, file)])),
                },
            }
        }
        for (store, files) in &stores {
            store.delete_files(files, &mut failed).await;
        }
        failed
    }

    async fn delete_files(&self, files: &FilesOfStore<'_>, failed: &mut Vec<(String, Error)>) {
        let at_once = match self.kind {
            Kind::Remote { deletes_at_once, .. } => deletes_at_once,
            Kind::Local | Kind::Memory => DELETES_AT_ONCE,
        };
        for chunk in files.chunks(at_once) {
            let wanted: Vec<_> = chunk.iter().map(|(_, file)| Ok(file.clone())).collect();
            let answers: Vec<_> = self.inner.delete_stream(stream::iter(wanted).boxed()).collect().await;
            // An error of a whole request stands for the files that have no answer of their own.
            let whole = answers.iter().find_map(|answer| answer.as_ref().err());
            let whole = whole.map_or_else(|| "no answer came".to_string(), |error| plain(error, &self.secrets));
            for (at, (path, _)) in chunk.iter().enumerate() {
                match answers.get(at).filter(|_| answers.len() == chunk.len()) {
                    Some(Ok(_) | Err(StoreError::NotFound { .. })) => {}
                    Some(Err(error)) => failed.push(((*path).clone(), self.failure("delete", path, error))),
                    None => failed.push(((*path).clone(), Error::storage(format!("delete {path}: {whole}")))),
                }
            }
        }
    }

    /// Removes a directory if nothing is in it, and tells whether it did. Object stores have none: nothing to do.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn remove_empty_dir(&self, directory: &str) -> Result<bool> {
        let (store, full) = self.find(directory)?;
        let Some(_) = store.local_path() else { return Ok(false) };
        let target = PathBuf::from(format!("/{full}"));
        self.env.blocking(move || remove_empty_local(&target)).await
    }

    /// Deletes files that nobody was told of. What cannot be deleted stays behind, an orphan that nobody names.
    pub async fn delete_unnamed(&self, paths: Result<Vec<String>>) {
        let paths = paths.unwrap_or_else(|error| {
            tracing::warn!(%error, "files that nobody was told of stay behind");
            Vec::new()
        });
        for path in paths {
            if let Err(error) = self.delete(&path).await {
                tracing::warn!(%path, %error, "a file that nobody was told of stays behind");
            }
        }
    }

    /// Deletes a directory with everything in it; the empty text is the root itself.
    ///
    /// # Errors
    /// [`Error::Storage`]; part of the files may be gone then.
    pub async fn delete_dir(&self, directory: &str) -> Result<()> {
        self.require_writable()?;
        let full = join(&self.root, directory)?;
        if self.local_path().is_some() {
            // Not file by file: a listing follows symbolic links out of the root, this does not.
            let target = PathBuf::from(format!("/{full}"));
            return self.env.blocking(move || remove_local(&target)).await;
        }
        let files = self.list_recursive(directory).await?.into_iter().map(|file| file.name);
        let below = |name: String| if directory.is_empty() { name } else { format!("{directory}/{name}") };
        let failed = self.delete_all(&files.map(below).collect::<Vec<_>>()).await;
        failed.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Creates a file, and reads back what the answer leaves open. Tells whether the file holds these bytes: `false` where
    /// others made another one.
    ///
    /// # Errors
    /// Those of [`TableStore::create`]; [`Error::Storage`] where the file is not there and may still come.
    pub async fn create_settled(&self, path: &str, bytes: Bytes) -> Result<bool> {
        match self.create(path, bytes.clone()).await? {
            Created::Won => Ok(true),
            created => match (self.try_read(path).await?, created) {
                (Some(found), _) => Ok(found == bytes),
                (None, Created::Unknown(words)) => Err(Error::storage(format!("create {path}: {words}"))),
                (None, _) => Err(Error::storage(format!("create {path}: it is said to exist and is not there"))),
            },
        }
    }

    /// Creates a directory and those above it. Object stores have none: nothing to do.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn create_dir(&self, directory: &str) -> Result<()> {
        self.create_new_dir(directory).await.map(drop)
    }

    /// The same; tells whether this call made it. Object stores, which have none, say so to everybody.
    ///
    /// # Errors
    /// As [`TableStore::create_dir`].
    pub async fn create_new_dir(&self, directory: &str) -> Result<bool> {
        self.require_writable()?;
        let full = join(&self.root, directory)?;
        let Some(_) = self.local_path() else { return Ok(true) };
        let target = PathBuf::from(format!("/{full}"));
        self.env
            .blocking(move || {
                let failed = |error| Error::storage(format!("create directory {}: {error}", target.display()));
                if let Some(above) = target.parent() {
                    std::fs::create_dir_all(above).map_err(failed)?;
                }
                match std::fs::create_dir(&target) {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && target.is_dir() => Ok(false),
                    Err(error) => Err(failed(error)),
                }
            })
            .await
    }

    /// Renames a directory to a name that is free.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on object stores, where a rename would copy file by file and be seen half done;
    /// [`Error::NotFound`]; [`Error::AlreadyExists`].
    pub async fn rename_dir(&self, from: &str, to: &str) -> Result<()> {
        let (source, target) = (self.file(from)?, self.file(to)?);
        let Some(_) = self.local_path() else {
            return Err(Error::unsupported(format!("renaming a directory of {}", self.location)));
        };
        let (source, target) = (PathBuf::from(format!("/{source}")), PathBuf::from(format!("/{target}")));
        let (from, to) = (from.to_string(), to.to_string());
        self.env.blocking(move || rename_local(&source, &target, &from, &to)).await
    }
}

fn status(prefix: &Path, object: &object_store::ObjectMeta) -> Option<FileStatus> {
    Some(FileStatus {
        name: below(prefix, &object.location)?,
        size: object.size,
        modified_millis: object.last_modified.timestamp_millis(),
    })
}

/// The path below a prefix; nothing for the prefix itself (an object store's directory marker).
fn below(prefix: &Path, path: &Path) -> Option<String> {
    let rest = path.as_ref().strip_prefix(prefix.as_ref())?.trim_start_matches('/');
    (!rest.is_empty()).then(|| rest.to_string())
}

/// How often a directory is deleted into which others write meanwhile.
const DELETES: usize = 10;

fn remove_local(target: &std::path::Path) -> Result<()> {
    use std::io::ErrorKind::{DirectoryNotEmpty, NotFound};
    let mut tries = 1;
    loop {
        match std::fs::remove_dir_all(target) {
            Err(error) if error.kind() == DirectoryNotEmpty && tries < DELETES => tries += 1,
            Err(error) if error.kind() != NotFound => {
                return Err(Error::storage(format!("delete {}: {error}", target.display())));
            }
            _ => return Ok(()),
        }
    }
}

fn remove_empty_local(target: &std::path::Path) -> Result<bool> {
    use std::io::ErrorKind::{DirectoryNotEmpty, NotADirectory, NotFound};
    match std::fs::remove_dir(target) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), DirectoryNotEmpty | NotADirectory | NotFound) => Ok(false),
        Err(error) => Err(Error::storage(format!("remove directory {}: {error}", target.display()))),
    }
}

fn rename_local(source: &std::path::Path, target: &std::path::Path, from: &str, to: &str) -> Result<()> {
    if !source.is_dir() {
        return Err(Error::not_found(from));
    }
    if target.exists() {
        return Err(Error::already_exists(to));
    }
    std::fs::rename(source, target).map_err(|error| Error::storage(format!("rename {from} to {to}: {error}")))?;
    for parent in [source.parent(), target.parent()].into_iter().flatten() {
        std::fs::File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| Error::storage(format!("sync {}: {error}", parent.display())))?;
    }
    Ok(())
}
