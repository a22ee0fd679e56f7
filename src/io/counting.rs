//! A store that counts its requests by kind and by class of path: the IO budget of a call is a test, not a hope.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

use super::op::{Op, PathClass};

/// Requests seen so far. Prints as a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    by: BTreeMap<(Op, PathClass), u64>,
    read: u64,
}

impl Counts {
    /// Bytes that were read.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        self.by.values().sum()
    }
    /// Requests of one kind.
    pub fn of(&self, op: Op) -> u64 {
        self.by.iter().filter(|((kind, _), _)| *kind == op).map(|(_, count)| count).sum()
    }
    /// Requests of one kind to one class of path.
    pub fn at(&self, op: Op, class: PathClass) -> u64 {
        self.by.get(&(op, class)).copied().unwrap_or(0)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((op, class), count) in &self.by {
            writeln!(f, "{op:<9} {class:<14} {count:>6}")?;
        }
        write!(f, "{:<24} {:>6}", "total", self.total())
    }
}

/// Wraps a store and counts. Clones share their counters.
#[derive(Debug, Clone)]
pub struct CountingStore {
    inner: Arc<dyn ObjectStore>,
    counts: Arc<Mutex<Counts>>,
}

impl CountingStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, counts: Arc::default() }
    }

    /// What was counted since the last [`CountingStore::reset`].
    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins anew and hands out what was counted.
    pub fn reset(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, op: Op, path: &Path) {
        count(&self.counts, op, path);
    }

    fn read(&self, bytes: u64) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).read += bytes;
    }
}

fn count(counts: &Mutex<Counts>, op: Op, path: &Path) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.by.entry((op, PathClass::of(path.as_ref()))).or_default() += 1;
}

impl fmt::Display for CountingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counting({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for CountingStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.count(if opts.mode == PutMode::Create { Op::Create } else { Op::Put }, location);
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.count(Op::Begin, location);
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(CountingUpload { inner, path: location.clone(), counts: Arc::clone(&self.counts) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.count(if options.head { Op::Head } else { Op::Get }, location);
        let head = options.head;
        let found = self.inner.get_opts(location, options).await?;
        if !head {
            self.read(found.range.end - found.range.start);
        }
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.count(Op::Get, location);
        self.read(ranges.iter().map(|range| range.end - range.start).sum());
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let counts = Arc::clone(&self.counts);
        self.inner.delete_stream(
            locations
                .inspect(move |location| {
                    if let Ok(location) = location {
                        count(&counts, Op::Delete, location);
                    }
                })
                .boxed(),
        )
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count(Op::List, prefix.unwrap_or(&Path::ROOT));
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.count(Op::List, prefix.unwrap_or(&Path::ROOT));
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.count(Op::Copy, to);
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.count(Op::Copy, to);
        self.inner.rename_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct CountingUpload {
    inner: Box<dyn MultipartUpload>,
    path: Path,
    counts: Arc<Mutex<Counts>>,
}

#[async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        count(&self.counts, Op::Part, &self.path);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        count(&self.counts, Op::Complete, &self.path);
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        count(&self.counts, Op::Abort, &self.path);
        self.inner.abort().await
    }
}
