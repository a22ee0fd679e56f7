//! Sorting, merging and writing what a writer holds. Blocking work, in parallel by bucket, or by column when there is
//! only one bucket.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::ArrayRef;
use tokio::runtime::Handle;

use super::slabs::Scattered;
use crate::error::{Error, Result};
use crate::files::{FileNames, RollingWriter, Slab, WriteSpec};
use crate::format::DataFileMeta;
use crate::io::TableStore;
use crate::lsm::{KeepAll, MergeFunction, RunReader, SequenceOrder, Single, Sorted, Versions, WriteBuffer, merge_runs};
use crate::read::{MergedSlab, Spill, SpillFormat, SpillWriter};

/// Bytes of a slab, and its bounds in rows.
const SLAB_BYTES: usize = 4 << 20;
const SLAB_ROWS: (usize, usize) = (1, 32 << 10);

/// Versions that a key of a slab may have on average before the slab is cut short.
const MOST_VERSIONS: usize = 8;

/// Rows of a batch of merged spills.
const MERGED_ROWS: usize = 4096;

/// What all flushes of a writer share.
pub(super) struct FlushRules {
    pub store: TableStore,
    pub runtime: Handle,
    pub data: WriteSpec,
    /// Present when the input becomes a changelog.
    pub changelog: Option<WriteSpec>,
    /// `None` for append tables.
    pub merge: Option<Arc<dyn MergeFunction>>,
    pub order: Option<SequenceOrder>,
    pub spill_format: SpillFormat,
    pub spill_directory: Option<PathBuf>,
    /// Bytes that the batches of all spilled runs together may hold while they are merged.
    pub merge_bytes: usize,
    pub threads: usize,
}

/// The rows of one bucket that wait for a flush.
pub(super) struct BucketRows {
    pub target: u32,
    /// Batch and row in the buffer, in arrival order.
    pub rows: Vec<(u32, u32)>,
    /// The sequence number of the first of them.
    pub first_sequence: i64,
    /// Whether rows get numbers; those of postponed rows are -1.
    pub numbered: bool,
    pub names: Arc<FileNames>,
}

/// The files of one bucket.
pub(super) struct Flushed {
    pub target: u32,
    pub files: Vec<DataFileMeta>,
    pub changelog: Vec<DataFileMeta>,
}

/// Runs `work` on every item with up to `threads` threads, until one fails. Gives what was done in any case.
fn in_parallel<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> (Vec<R>, Result<()>) {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let run = || -> Result<()> {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = work(item).inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?;
            done.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        }
        Ok(())
    };
    let result = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(items.len())).map(|_| scope.spawn(run)).collect();
        let mine = run();
        let join = |handle: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            handle.join().unwrap_or_else(|_| Err(Error::bug("a flushing thread panicked")))
        };
        others.into_iter().map(join).fold(mine, Result::and)
    });
    (done.into_inner().unwrap_or_else(PoisonError::into_inner), result)
}

/// Writes buckets to files, from the buffer or, where there are spills, from those: then the buffer is empty.
pub(super) fn flush(
    rules: &FlushRules,
    buffer: &WriteBuffer,
    spills: &[Spill],
    mut buckets: Vec<BucketRows>,
) -> Result<Vec<Flushed>> {
    buckets.sort_by_key(|bucket| std::cmp::Reverse(bucket.rows.len()));
    // The memory for merging and encoding is made for two buckets at a time.
    let across = rules.threads.min(buckets.len()).clamp(1, 2);
    let inside = if buckets.len() == 1 { rules.threads } else { 1 };
    let (done, result) = in_parallel(across, &buckets, |bucket| flush_bucket(rules, buffer, spills, bucket, inside));
    if result.is_err() {
        for bucket in &buckets {
            done.iter().filter(|files| files.target == bucket.target).for_each(|files| delete(rules, bucket, files));
        }
    }
    result.map(|()| done)
}

fn flush_bucket(
    rules: &FlushRules,
    buffer: &WriteBuffer,
    spills: &[Spill],
    bucket: &BucketRows,
    threads: usize,
) -> Result<Flushed> {
    let mut done = Flushed { target: bucket.target, files: Vec::new(), changelog: Vec::new() };
    let view = View::new(buffer, bucket, rules.merge.is_some());
    let result = (|| {
        let all: Arc<dyn MergeFunction> = Arc::new(KeepAll);
        done.files = write_files(rules, &rules.data, &view, spills, rules.merge.as_ref().unwrap_or(&all), threads)?;
        if let Some(spec) = &rules.changelog {
            done.changelog = write_files(rules, spec, &view, spills, &all, threads)?;
        }
        Ok(())
    })();
    if result.is_err() {
        delete(rules, bucket, &done);
    }
    result.map(|()| done)
}

fn write_files(
    rules: &FlushRules,
    spec: &WriteSpec,
    view: &View<'_>,
    spills: &[Spill],
    function: &Arc<dyn MergeFunction>,
    threads: usize,
) -> Result<Vec<DataFileMeta>> {
    let mut spec = spec.clone();
    spec.encoding.set_threads(threads);
    let mut writer = RollingWriter::new(&rules.store, &rules.runtime, &view.bucket.names, &spec);
    let mut write_all = || -> Result<()> {
        let runs = spilled_runs(rules, spills, view.bucket.target)?;
        if runs.is_empty() {
            for slab in view.slabs(function.as_ref()) {
                writer.write(slab?.as_ref())?;
            }
            return Ok(());
        }
        for merged in merge_runs(runs, rules.order.clone(), Arc::clone(function), MERGED_ROWS)? {
            writer.write(&MergedSlab(merged?))?;
        }
        Ok(())
    };
    let result = write_all().and_then(|()| writer.close());
    let files = writer.into_files();
    if result.is_err() {
        delete(rules, view.bucket, &Flushed { target: view.bucket.target, files, changelog: Vec::new() });
        return result.map(|()| Vec::new());
    }
    Ok(files)
}

/// Deletes files of a failed flush. What cannot be deleted is an orphan that nobody names.
fn delete(rules: &FlushRules, bucket: &BucketRows, flushed: &Flushed) {
    for path in flushed.files.iter().chain(&flushed.changelog).flat_map(|file| bucket.names.paths(file)) {
        if let Err(error) = rules.runtime.block_on(rules.store.delete(&path)) {
            tracing::warn!(%path, %error, "a file of a failed flush stays behind");
        }
    }
}

fn spilled_runs(rules: &FlushRules, spills: &[Spill], target: u32) -> Result<Vec<RunReader>> {
    let mut runs: Vec<RunReader> = Vec::with_capacity(spills.len() + 1);
    for spill in spills {
        if let Some(run) = spill.run(target, &rules.spill_format)? {
            runs.push(Box::new(run));
        }
    }
    Ok(runs)
}

/// Writes what the buffer holds as one spill, merged as far as the changelog allows.
pub(super) fn spill(rules: &FlushRules, buffer: &WriteBuffer, buckets: &[BucketRows]) -> Result<Spill> {
    let mut out = SpillWriter::new(rules.spill_directory.as_deref(), rules.spill_format.clone())?;
    let function = spill_function(rules);
    for bucket in buckets.iter().filter(|bucket| !bucket.rows.is_empty()) {
        let view = View::new(buffer, bucket, rules.merge.is_some());
        out.write(bucket.target, view.slabs_of(function.as_ref(), spill_rows(rules, buffer)))?;
    }
    out.finish()
}

/// Rewrites many spills as one, so that a merge never has too many runs.
pub(super) fn merge_spills(rules: &FlushRules, spills: &[Spill], targets: impl Iterator<Item = u32>) -> Result<Spill> {
    let mut out = SpillWriter::new(rules.spill_directory.as_deref(), rules.spill_format.clone())?;
    for target in targets {
        let runs = spilled_runs(rules, spills, target)?;
        if runs.is_empty() {
            continue;
        }
        let merged = merge_runs(runs, rules.order.clone(), spill_function(rules), MERGED_ROWS)?;
        let owned = merged.map(|batch| batch.map(|batch| Box::new(MergedSlab(batch)) as Box<dyn Slab>));
        out.write(target, owned)?;
    }
    out.finish()
}

/// A changelog needs every version; without one the older versions of a key may go early.
fn spill_function(rules: &FlushRules) -> Arc<dyn MergeFunction> {
    match &rules.merge {
        Some(function) if rules.changelog.is_none() && function.may_merge_early() => Arc::clone(function),
        _ => Arc::new(KeepAll),
    }
}

/// Rows of a spilled batch: few enough that one batch of every run fits the memory for merging.
fn spill_rows(rules: &FlushRules, buffer: &WriteBuffer) -> usize {
    let row = (buffer.bytes() / buffer.rows().max(1)).max(1);
    (rules.merge_bytes / super::stream_writer::MAX_SPILLS / 2 / row).clamp(16, 8192)
}

/// A bucket's rows in the buffer, in merge order (or in arrival order for append tables).
struct View<'a> {
    bucket: &'a BucketRows,
    batches: Vec<&'a [ArrayRef]>,
    kinds: Vec<Option<&'a [i8]>>,
    sorted: Sorted,
    slab_rows: usize,
}

impl<'a> View<'a> {
    fn new(buffer: &'a WriteBuffer, bucket: &'a BucketRows, sort: bool) -> Self {
        let sorted = if sort { buffer.sort(&bucket.rows) } else { Sorted::in_arrival_order(bucket.rows.len()) };
        let row = (buffer.bytes() / buffer.rows().max(1)).max(1);
        let slab_rows = (SLAB_BYTES / row).clamp(SLAB_ROWS.0, SLAB_ROWS.1);
        Self { bucket, batches: buffer.columns(), kinds: buffer.kinds(), sorted, slab_rows }
    }

    fn slabs<'v>(&'v self, function: &'v dyn MergeFunction) -> impl Iterator<Item = Result<Box<dyn Slab + 'v>>> + 'v {
        self.slabs_of(function, self.slab_rows)
    }

    /// The merged rows, `keys` keys at a time.
    fn slabs_of<'v>(
        &'v self,
        function: &'v dyn MergeFunction,
        keys: usize,
    ) -> impl Iterator<Item = Result<Box<dyn Slab + 'v>>> + 'v {
        // Where every version stays, a hot key may be cut.
        let each = function.keeps_all().then(|| (1..=self.sorted.arrivals.len() as u32).collect::<Vec<u32>>());
        let ends = each.map_or(Cow::Borrowed(self.sorted.ends.as_slice()), Cow::Owned);
        let mut from = 0;
        let mut next = 0;
        std::iter::from_fn(move || {
            let chunk = ends.get(next..ends.len().min(next + keys)).filter(|chunk| !chunk.is_empty())?;
            // A slab gathers all versions of its keys, so keys with many make it shorter.
            let fits = chunk.partition_point(|end| *end as usize - from <= keys.saturating_mul(MOST_VERSIONS));
            let chunk = &chunk[..fits.max(1)];
            let slab = self.slab(function, from, chunk);
            next += chunk.len();
            from = chunk.last().map_or(from, |end| *end as usize);
            Some(slab)
        })
    }

    fn slab<'v>(&'v self, function: &dyn MergeFunction, from: usize, ends: &[u32]) -> Result<Box<dyn Slab + 'v>> {
        let until = ends.last().map_or(from, |end| *end as usize);
        let arrivals = &self.sorted.arrivals[from..until];
        let rows: Vec<(u32, u32)> = arrivals.iter().map(|arrival| self.bucket.rows[*arrival as usize]).collect();
        let ends: Vec<u32> = ends.iter().map(|end| end - from as u32).collect();
        let (batches, kinds) = (self.batches.as_slice(), self.kinds.as_slice());
        let versions = Versions { rows: &rows, ends: &ends, batches, kinds, levels: &[], single: Single::Keep };
        let merged = function.merge(&versions)?;
        let place = |position: &u32| {
            let (batch, row) = rows[*position as usize];
            (batch as usize, row as usize)
        };
        let number = |position: &u32| match self.bucket.numbered {
            true => self.bucket.first_sequence + i64::from(arrivals[*position as usize]),
            false => -1,
        };
        Ok(Box::new(Scattered {
            batches,
            kinds,
            places: merged.picks.iter().map(place).collect(),
            sequence: merged.picks.iter().map(number).collect(),
            merged,
            rows,
        }))
    }
}
