//! A store whose reads of files that never change go through a cache of blocks. Everything else passes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use super::BlockCache;
use super::disk::{Block, BlockId, FileKey};
use super::kinds::CachedKind;
use crate::env::Env;

/// Blocks of one request to the cache; a longer one goes to the store.
const MOST_BLOCKS: u64 = 1 << 16;

/// See the module.
#[derive(Clone)]
pub(super) struct CachingStore {
    inner: Arc<dyn ObjectStore>,
    cache: Arc<BlockCache>,
    address: Arc<str>,
    env: Env,
}

/// Blocks of a file by their numbers, and its size.
struct Blocks {
    by_number: BTreeMap<u64, Bytes>,
    size: u64,
}

impl CachingStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, cache: Arc<BlockCache>, address: &str, env: Env) -> Self {
        Self { inner, cache, address: address.into(), env }
    }

    fn block_bytes(&self) -> u64 {
        self.cache.options.block_bytes
    }

    /// The key of a file that is kept.
    fn key(&self, location: &Path) -> Option<Arc<FileKey>> {
        let kind = CachedKind::of(location.as_ref())?;
        self.cache.options.kinds.contains(&kind).then(|| Arc::new(FileKey::new(&self.address, location.as_ref())))
    }

    /// Work on the disk; `None` where there is none that works.
    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce(&BlockCache) -> T + Send + 'static) -> Option<T> {
        let cache = Arc::clone(&self.cache);
        self.env.blocking(move || Ok(cache.blocks.works().then(|| work(&cache)))).await.ok().flatten()
    }

    /// The blocks that ranges of a file lie in, as far as the file goes. `None`: the cache cannot tell, ask the store.
    async fn blocks(&self, location: &Path, key: &Arc<FileKey>, ranges: &[Range<u64>]) -> Result<Option<Blocks>> {
        let block_bytes = self.block_bytes();
        let numbers = |range: &Range<u64>| range.start / block_bytes..range.end.div_ceil(block_bytes);
        let count = |range: &Range<u64>| numbers(range).end.saturating_sub(numbers(range).start);
        if ranges.iter().map(count).fold(0, u64::saturating_add) > MOST_BLOCKS {
            return Ok(None);
        }
        let wanted: BTreeSet<u64> = ranges.iter().flat_map(numbers).collect();
        let (file, asked) = (Arc::clone(key), wanted.clone());
        let found = self.on_disk(move |cache| {
            let id = |number| BlockId { file: &file, block_bytes, number };
            let found = asked.into_iter().filter_map(|number| Some((number, cache.blocks.get(id(number))?)));
            let found: BTreeMap<u64, Block> = found.collect();
            let size = found.values().next().map(|block| block.file_size);
            (size.or_else(|| cache.blocks.file_size(&file, block_bytes)), found)
        });
        let Some((size, found)) = found.await else { return Ok(None) };
        self.cache.hits.fetch_add(found.len() as u64, Ordering::Relaxed);
        let mut by_number: BTreeMap<u64, Bytes> = BTreeMap::new();
        by_number.extend(found.into_iter().map(|(number, block)| (number, block.bytes)));
        let missing = wanted.into_iter().filter(|number| !by_number.contains_key(number));
        let mut groups =
            contiguous(missing).into_iter().map(|group| group.start * block_bytes..group.end * block_bytes);
        let (size, first) = match size {
            Some(size) => (size, None),
            // The first answer tells the size.
            None => {
                let Some(group) = groups.next() else { return Ok(None) };
                let options = GetOptions { range: Some(GetRange::Bounded(group.clone())), ..GetOptions::default() };
                match self.inner.get_opts(location, options).await {
                    Err(error @ object_store::Error::NotFound { .. }) => return Err(error),
                    // An empty file has no range.
                    Err(_) => return Ok(None),
                    Ok(answer) => {
                        let size = answer.meta.size;
                        (size, Some((group, answer.bytes().await?)))
                    }
                }
            }
        };
        let left: Vec<Range<u64>> =
            groups.map(|group| group.start..group.end.min(size)).filter(|group| !group.is_empty()).collect();
        let pieces = if left.is_empty() { Vec::new() } else { self.inner.get_ranges(location, &left).await? };
        let fetched = first.into_iter().chain(left.into_iter().zip(pieces));
        let fetched: Vec<(Range<u64>, Bytes)> =
            fetched.map(|(range, bytes)| (range.start..range.end.min(size), bytes)).collect();
        if fetched.iter().any(|(range, bytes)| bytes.len() as u64 != range.end.saturating_sub(range.start)) {
            // The file is not what its blocks tell.
            let file = Arc::clone(key);
            self.on_disk(move |cache| cache.blocks.forget(&file)).await;
            return Ok(None);
        }
        let fetched = cut(fetched, block_bytes);
        self.cache.misses.fetch_add(fetched.len() as u64, Ordering::Relaxed);
        by_number.extend(fetched.iter().cloned());
        let file = Arc::clone(key);
        self.on_disk(move |cache| {
            for (number, bytes) in fetched {
                cache.blocks.put(BlockId { file: &file, block_bytes, number }, &Block { bytes, file_size: size });
            }
        })
        .await;
        Ok(Some(Blocks { by_number, size }))
    }

    /// The pieces of a range, in order. `None` for one that is not all there.
    fn pieces(&self, blocks: &Blocks, range: &Range<u64>) -> Option<Vec<Bytes>> {
        let block_bytes = self.block_bytes();
        let mut pieces = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let number = at / block_bytes;
            let block = blocks.by_number.get(&number)?;
            let begin = usize::try_from(at - number * block_bytes).ok()?;
            let end = usize::try_from((range.end - number * block_bytes).min(block.len() as u64)).ok()?;
            if begin >= end {
                return None;
            }
            // A part is copied: who keeps it would keep the whole block.
            let whole = begin == 0 && end == block.len();
            pieces.push(if whole { block.clone() } else { Bytes::copy_from_slice(&block[begin..end]) });
            at += (end - begin) as u64;
        }
        Some(pieces)
    }

    /// The range of a file that is asked for, with its blocks. The end of the range may lie behind the file's.
    async fn asked(
        &self,
        location: &Path,
        key: &Arc<FileKey>,
        asked: Option<&GetRange>,
    ) -> Result<Option<(Range<u64>, Blocks)>> {
        let range = match asked {
            Some(GetRange::Bounded(range)) => range.clone(),
            other => {
                let (file, block_bytes) = (Arc::clone(key), self.block_bytes());
                let size = self.on_disk(move |cache| cache.blocks.file_size(&file, block_bytes)).await.flatten();
                match (other, size) {
                    (None, Some(size)) => 0..size,
                    (None, None) => return self.whole(location, key).await,
                    (Some(GetRange::Offset(start)), Some(size)) => *start..size,
                    (Some(GetRange::Suffix(length)), Some(size)) => size.saturating_sub(*length)..size,
                    _ => return Ok(None),
                }
            }
        };
        let blocks = self.blocks(location, key, std::slice::from_ref(&range)).await?;
        Ok(blocks.map(|blocks| (range, blocks)))
    }

    /// All blocks of a file of unknown size: most files that are read whole have one, which tells whether there are more.
    async fn whole(&self, location: &Path, key: &Arc<FileKey>) -> Result<Option<(Range<u64>, Blocks)>> {
        let first = 0..self.block_bytes();
        let Some(mut blocks) = self.blocks(location, key, std::slice::from_ref(&first)).await? else { return Ok(None) };
        let (size, rest) = (blocks.size, first.end..blocks.size);
        if !rest.is_empty() {
            let Some(others) = self.blocks(location, key, &[rest]).await? else { return Ok(None) };
            blocks.by_number.extend(others.by_number);
        }
        Ok(Some((0..size, blocks)))
    }

    async fn cached(&self, location: &Path, key: &Arc<FileKey>, options: &GetOptions) -> Result<Option<GetResult>> {
        let conditional = options.if_match.is_some()
            || options.if_none_match.is_some()
            || options.if_modified_since.is_some()
            || options.if_unmodified_since.is_some();
        if options.head || conditional || options.version.is_some() {
            return Ok(None);
        }
        let Some((asked, blocks)) = self.asked(location, key, options.range.as_ref()).await? else { return Ok(None) };
        let range = asked.start..asked.end.min(blocks.size);
        if range.is_empty() {
            return Ok(None);
        }
        let Some(pieces) = self.pieces(&blocks, &range) else { return Ok(None) };
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: blocks.size,
            e_tag: None,
            version: None,
        };
        let payload = GetResultPayload::Stream(stream::iter(pieces.into_iter().map(Ok)).boxed());
        Ok(Some(GetResult { payload, meta, range, attributes: Attributes::default() }))
    }

    /// Forgets a file that is written or deleted.
    async fn forget(&self, location: &Path) {
        let Some(key) = self.key(location).filter(|key| self.cache.blocks.knows(key)) else { return };
        self.on_disk(move |cache| cache.blocks.forget(&key)).await;
    }
}

/// Runs of numbers in sequence.
fn contiguous(numbers: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.end == number => run.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}

/// Fetched ranges, which begin where blocks do, as blocks.
fn cut(fetched: Vec<(Range<u64>, Bytes)>, block_bytes: u64) -> Vec<(u64, Bytes)> {
    let step = usize::try_from(block_bytes).unwrap_or(usize::MAX);
    let blocks = fetched.into_iter().flat_map(|(range, bytes)| {
        let begins = (0..bytes.len()).step_by(step);
        // A copy of its own: a slice would hold the whole fetch in memory.
        let part = move |at: usize| Bytes::copy_from_slice(&bytes[at..bytes.len().min(at.saturating_add(step))]);
        begins.enumerate().map(move |(place, at)| (range.start / block_bytes + place as u64, part(at)))
    });
    blocks.collect()
}

impl fmt::Debug for CachingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CachingStore({:?})", self.inner)
    }
}

impl fmt::Display for CachingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for CachingStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.forget(location).await;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.forget(location).await;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(key) = self.key(location)
            && let Some(found) = self.cached(location, &key, &options).await?
        {
            return Ok(found);
        }
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let Some(key) = self.key(location).filter(|_| !ranges.iter().any(Range::is_empty)) else {
            return self.inner.get_ranges(location, ranges).await;
        };
        if let Some(blocks) = self.blocks(location, &key, ranges).await? {
            let joined = |range| self.pieces(&blocks, range).map(join);
            let found: Option<Vec<Bytes>> = ranges.iter().map(joined).collect();
            if let Some(found) = found {
                return Ok(found);
            }
        }
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let forgetting = locations.then(move |location| {
            let this = this.clone();
            async move {
                if let Ok(location) = &location {
                    this.forget(location).await;
                }
                location
            }
        });
        self.inner.delete_stream(forgetting.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.forget(to).await;
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.forget(from).await;
        self.forget(to).await;
        self.inner.rename_opts(from, to, options).await
    }
}

fn join(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        1 => pieces.remove(0),
        _ => {
            let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
            pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
            joined.freeze()
        }
    }
}
