//! Merging sorted runs: a loser tree over normalised keys decides, columns are gathered once.
//!
//! ```text
//! run 0  ─ batches ─┐
//! run 1  ─ batches ─┼─ loser tree ─ versions of many keys ─ merge function ─ positions ─ gather per column
//! run 2  ─ batches ─┘
//! ```
//!
//! Order inside one key: the user's sequence columns, the sequence number, retractions before additions, then the
//! age of the file, then the number of the run (the caller passes older runs first). Java leaves the last step undefined;
//! `format-spec/decisions/0001-equal-sequence-numbers.md`.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int8Array, Int64Array, UInt32Array};
use arrow_row::Rows;
use arrow_select::take::take;

use super::key::KeyColumn;
use super::loser_tree::LoserTree;
use super::merge::{MergeFunction, Merged, Single, Versions};
use super::{Keys, SequenceOrder};
use crate::error::{Error, Result};
use crate::types::RowKind;

/// Versions that a key of a merged batch may have on average before the batch is cut short.
const MOST_VERSIONS: usize = 8;

/// A batch of a sorted run.
#[derive(Debug)]
pub struct RunBatch {
    /// The rows' keys, rising; a key may stand in a run more than once only where a changelog is read.
    pub keys: Keys,
    /// Sequence numbers.
    pub sequence: Int64Array,
    /// Row kinds as stored bytes; `None` when all are `+I`.
    pub kinds: Option<Int8Array>,
    /// Value columns.
    pub columns: Vec<ArrayRef>,
    /// The place of the batch's file from old to new among all files merged.
    pub age: u32,
    /// The level of the batch's file; 0 for rows that a writer holds.
    pub level: i32,
}

/// The batches of one sorted run, in key order.
pub type RunReader = Box<dyn Iterator<Item = Result<RunBatch>> + Send>;

/// Merged rows.
#[derive(Debug, Clone)]
pub struct MergedBatch {
    /// Value columns.
    pub columns: Vec<ArrayRef>,
    /// Sequence numbers.
    pub sequence: Int64Array,
    /// Row kinds as stored bytes; `None` when all are `+I`.
    pub kinds: Option<Int8Array>,
}

impl MergedBatch {
    /// How many rows.
    pub fn num_rows(&self) -> usize {
        self.sequence.len()
    }

    /// Some of the rows.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let (start, length) = (rows.start, rows.len());
        Self {
            columns: self.columns.iter().map(|column| column.slice(start, length)).collect(),
            sequence: self.sequence.slice(start, length),
            kinds: self.kinds.as_ref().map(|kinds| kinds.slice(start, length)),
        }
    }

    /// The same without retractions: what a batch read shows.
    ///
    /// # Errors
    /// [`Error::Bug`] when a column cannot be filtered.
    pub fn without_retractions(self) -> Result<Self> {
        let Some(kinds) = &self.kinds else { return Ok(self) };
        let keep = |kind: &i8| RowKind::adds(*kind);
        if kinds.values().iter().all(keep) {
            return Ok(self);
        }
        let rows: UInt32Array = (0..).zip(kinds.values()).filter(|(_, kind)| keep(kind)).map(|(at, _)| at).collect();
        let pick = |array: &dyn Array| take(array, &rows, None).map_err(|error| Error::bug(error.to_string()));
        Ok(Self {
            columns: self.columns.iter().map(|column| pick(column)).collect::<Result<_>>()?,
            sequence: Int64Array::from(pick(&self.sequence)?.to_data()),
            kinds: Some(Int8Array::from(pick(kinds)?.to_data())),
        })
    }
}

/// Merges runs, oldest first, into batches of about `batch_rows` rows.
///
/// # Errors
/// The stream's items carry the runs' own errors and those of the merge function.
pub fn merge_runs(
    runs: Vec<RunReader>,
    order: Option<SequenceOrder>,
    function: Arc<dyn MergeFunction>,
    batch_rows: usize,
) -> Result<Box<dyn Iterator<Item = Result<MergedBatch>> + Send>> {
    merge_with(runs, order, function, batch_rows)
}

/// What is made of the versions of some thousand keys.
pub(super) trait Stage: Send + 'static {
    type Out: Send;

    /// Whether the versions of a key may come in different calls.
    fn apart(&self) -> bool;

    fn run(&self, found: &Found<'_>) -> Result<Self::Out>;

    /// What may stand for these versions of one key before the rest of them is seen; `None` when nothing may.
    fn fold_beginning(&self, _found: &Found<'_>, _retracts: bool) -> Result<Option<MergedBatch>> {
        Ok(None)
    }
}

/// The versions of some thousand keys with their sequence numbers.
pub(super) struct Found<'a> {
    pub versions: Versions<'a>,
    /// The sequence numbers of each batch.
    pub sequences: Vec<&'a Int64Array>,
}

impl Found<'_> {
    pub fn sequence(&self, position: u32) -> i64 {
        let (batch, row) = self.versions.rows[position as usize];
        self.sequences[batch as usize].value(row as usize)
    }

    /// The merged rows.
    pub fn rows(&self, merged: &Merged) -> Result<MergedBatch> {
        let versions = &self.versions;
        let columns = merged.columns_of(versions)?;
        let kinds = versions
            .kinds
            .iter()
            .any(Option::is_some)
            .then(|| Int8Array::from_iter_values((0..merged.picks.len()).map(|row| merged.kind(versions, row))));
        let sequence = Int64Array::from_iter_values(merged.picks.iter().map(|position| self.sequence(*position)));
        Ok(MergedBatch { columns, sequence, kinds })
    }
}

impl Stage for Arc<dyn MergeFunction> {
    type Out = MergedBatch;

    fn apart(&self) -> bool {
        self.keeps_all()
    }

    fn run(&self, found: &Found<'_>) -> Result<MergedBatch> {
        found.rows(&self.merge(&found.versions)?)
    }

    fn fold_beginning(&self, found: &Found<'_>, retracts: bool) -> Result<Option<MergedBatch>> {
        if self.folds_beginnings(retracts) { self.run(found).map(Some) } else { Ok(None) }
    }
}

/// Merges runs, oldest first, and gives what the stage makes of them.
pub(super) fn merge_with<S: Stage>(
    mut runs: Vec<RunReader>,
    order: Option<SequenceOrder>,
    stage: S,
    batch_rows: usize,
) -> Result<Box<dyn Iterator<Item = Result<S::Out>> + Send>> {
    // The first batch tells the representation of the keys; all runs share it.
    let mut first = Vec::with_capacity(runs.len());
    for run in &mut runs {
        first.push(next_batch(run)?);
    }
    let batch_rows = batch_rows.max(1);
    Ok(match first.iter().flatten().map(|batch| &batch.keys).next() {
        None => Box::new(std::iter::empty()),
        Some(Keys::Narrow(_)) => Box::new(Merge::<Vec<u64>, S>::new(runs, first, order, stage, batch_rows)?),
        Some(Keys::Wide(_)) => Box::new(Merge::<Vec<u128>, S>::new(runs, first, order, stage, batch_rows)?),
        Some(Keys::Rows(_)) => Box::new(Merge::<Rows, S>::new(runs, first, order, stage, batch_rows)?),
    })
}

/// The next batch that has rows.
fn next_batch(run: &mut RunReader) -> Result<Option<RunBatch>> {
    loop {
        match run.next().transpose()? {
            Some(batch) if batch.keys.is_empty() => {}
            other => return Ok(other),
        }
    }
}

/// A run's batch, taken apart for comparison.
struct Loaded<K> {
    keys: K,
    sequence: Int64Array,
    kinds: Option<Int8Array>,
    order: Option<Rows>,
    columns: Vec<ArrayRef>,
    rows: usize,
    age: u32,
    level: i32,
}

struct Merge<K, S> {
    runs: Vec<RunReader>,
    order: Option<SequenceOrder>,
    stage: S,
    batch_rows: usize,
    /// Batches that versions of the batch being built point to.
    live: Vec<Loaded<K>>,
    /// For each run the live batch and the row of its head; `None` when the run has ended.
    heads: Vec<Option<(u32, u32)>>,
    tree: LoserTree,
    rows: Vec<(u32, u32)>,
    ends: Vec<u32>,
    /// Versions of a key with many of them that wait for the next batch.
    carried: Vec<(u32, u32)>,
}

impl<K: KeyColumn, S: Stage> Merge<K, S> {
    fn new(
        runs: Vec<RunReader>,
        first: Vec<Option<RunBatch>>,
        order: Option<SequenceOrder>,
        stage: S,
        batch_rows: usize,
    ) -> Result<Self> {
        let mut live = Vec::with_capacity(first.len());
        let mut heads = Vec::with_capacity(first.len());
        for batch in first {
            heads.push(batch.is_some().then_some((live.len() as u32, 0)));
            if let Some(batch) = batch {
                live.push(Loaded::new(batch, order.as_ref())?);
            }
        }
        let tree = LoserTree::new(heads.len(), |a, b| less(&live, &heads, a, b));
        Ok(Self {
            runs,
            order,
            stage,
            batch_rows,
            live,
            heads,
            tree,
            rows: Vec::new(),
            ends: Vec::new(),
            carried: Vec::new(),
        })
    }

    /// Collects the versions of about `batch_rows` whole keys, or fewer where the keys have many: every version holds
    /// its batch in memory. A key with very many is merged while its versions come.
    fn collect(&mut self) -> Result<()> {
        self.rows = std::mem::take(&mut self.carried);
        self.ends.clear();
        let (most_rows, apart) = (self.batch_rows.saturating_mul(MOST_VERSIONS), self.stage.apart());
        let mut fold_at = most_rows;
        while let Some((batch, row)) = self.heads[self.tree.winner()] {
            if let Some((last_batch, last_row)) = self.rows.last() {
                let last = self.live[*last_batch as usize].keys.key(*last_row as usize);
                if apart || self.live[batch as usize].keys.key(row as usize) != last {
                    self.ends.push(self.rows.len() as u32);
                    if self.ends.len() >= self.batch_rows || self.rows.len() >= most_rows {
                        return Ok(());
                    }
                }
            }
            self.rows.push((batch, row));
            self.advance(batch, row)?;
            if self.rows.len() >= fold_at && !apart {
                if let Some(end) = self.ends.last() {
                    self.carried = self.rows.split_off(*end as usize);
                    return Ok(());
                }
                fold_at = if self.fold_beginning()? { most_rows } else { self.rows.len().saturating_mul(2) };
            }
        }
        if !self.rows.is_empty() {
            self.ends.push(self.rows.len() as u32);
        }
        Ok(())
    }

    /// Puts one row in the place of all versions but the last, when they are of one key and the merge function allows
    /// it, so that their batches can go. Gives whether it did.
    fn fold_beginning(&mut self) -> Result<bool> {
        let Some((last, beginning)) = self.rows.split_last() else { return Ok(false) };
        let busy = |batch: u32| batch == last.0 || self.heads.iter().flatten().any(|head| head.0 == batch);
        // The row takes the place of a batch that nothing else needs.
        let Some(place) = beginning.iter().map(|version| version.0).find(|batch| !busy(*batch)) else {
            return Ok(false);
        };
        let adds = |(batch, row): &(u32, u32)| self.live[*batch as usize].is_addition(*row as usize);
        let (adds, retracts) = (beginning.iter().any(adds), !beginning.iter().all(adds));
        let states = self.live.iter().any(|batch| batch.level > 0);
        if !adds || states {
            return Ok(false);
        }
        let fold = |found: &Found<'_>| self.stage.fold_beginning(found, retracts);
        let Some(folded) = self.show(beginning, &[beginning.len() as u32], fold)? else { return Ok(false) };
        let stays = folded.num_rows() == 1 && folded.kinds.as_ref().is_none_or(|kinds| RowKind::adds(kinds.value(0)));
        if !stays {
            return Ok(false);
        }
        self.rows = vec![(place, 0), *last];
        let batch = &mut self.live[place as usize];
        (batch.columns, batch.sequence, batch.kinds) = (folded.columns, folded.sequence, folded.kinds);
        (batch.order, batch.rows) = (None, 1);
        self.release();
        Ok(true)
    }

    fn advance(&mut self, batch: u32, row: u32) -> Result<()> {
        let run = self.tree.winner();
        self.heads[run] = if (row as usize) + 1 < self.live[batch as usize].rows {
            Some((batch, row + 1))
        } else if let Some(next) = next_batch(&mut self.runs[run])? {
            self.live.push(Loaded::new(next, self.order.as_ref())?);
            Some((self.live.len() as u32 - 1, 0))
        } else {
            None
        };
        let (live, heads) = (&self.live, &self.heads);
        self.tree.replay(|a, b| less(live, heads, a, b));
        Ok(())
    }

    /// Shows versions to `work`.
    fn show<T>(&self, rows: &[(u32, u32)], ends: &[u32], work: impl FnOnce(&Found<'_>) -> T) -> T {
        let batches: Vec<&[ArrayRef]> = self.live.iter().map(|batch| batch.columns.as_slice()).collect();
        let kinds: Vec<Option<&[i8]>> =
            self.live.iter().map(|batch| batch.kinds.as_ref().map(|kinds| kinds.values().as_ref())).collect();
        let levels: Vec<i32> = self.live.iter().map(|batch| batch.level).collect();
        let single = Single::Keep;
        let versions = Versions { rows, ends, batches: &batches, kinds: &kinds, levels: &levels, single };
        let sequences = self.live.iter().map(|batch| &batch.sequence).collect();
        work(&Found { versions, sequences })
    }

    /// Lets go of batches that neither a head nor a version points to.
    fn release(&mut self) {
        let mut places = vec![None; self.live.len()];
        for (batch, _) in self.heads.iter().flatten().chain(&self.rows).chain(&self.carried) {
            places[*batch as usize] = Some(0);
        }
        let mut kept = Vec::with_capacity(self.runs.len());
        for (place, batch) in places.iter_mut().zip(self.live.drain(..)) {
            if let Some(place) = place {
                *place = kept.len() as u32;
                kept.push(batch);
            }
        }
        self.live = kept;
        for (batch, _) in self.heads.iter_mut().flatten().chain(&mut self.rows).chain(&mut self.carried) {
            *batch = places[*batch as usize].unwrap_or_default();
        }
    }
}

impl<K: KeyColumn, S: Stage> Iterator for Merge<K, S> {
    type Item = Result<S::Out>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.collect() {
            self.heads.fill(None);
            return Some(Err(error));
        }
        if self.rows.is_empty() {
            return None;
        }
        let merged = self.show(&self.rows, &self.ends, |found| self.stage.run(found));
        self.rows.clear();
        self.release();
        Some(merged)
    }
}

impl<K: KeyColumn> Loaded<K> {
    fn new(batch: RunBatch, order: Option<&SequenceOrder>) -> Result<Self> {
        let order = order.map(|order| order.encode(&batch.columns)).transpose()?;
        let rows = batch.keys.len();
        let keys = K::from_keys(batch.keys).ok_or_else(|| Error::bug("runs of one merge have different keys"))?;
        Ok(Self {
            keys,
            sequence: batch.sequence,
            kinds: batch.kinds,
            order,
            columns: batch.columns,
            rows,
            age: batch.age,
            level: batch.level,
        })
    }

    fn is_addition(&self, row: usize) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| RowKind::adds(kinds.value(row)))
    }
}

/// Whether the head of run `a` comes before that of run `b`.
#[inline]
fn less<K: KeyColumn>(live: &[Loaded<K>], heads: &[Option<(u32, u32)>], a: usize, b: usize) -> bool {
    let (Some((batch_a, row_a)), Some((batch_b, row_b))) = (heads[a], heads[b]) else { return heads[a].is_some() };
    let (x, y) = (&live[batch_a as usize], &live[batch_b as usize]);
    let (i, j) = (row_a as usize, row_b as usize);
    let (key_a, key_b) = (x.keys.key(i), y.keys.key(j));
    if key_a != key_b {
        return key_a < key_b;
    }
    let by_order = match (&x.order, &y.order) {
        (Some(x), Some(y)) => x.row(i).cmp(&y.row(j)),
        _ => std::cmp::Ordering::Equal,
    };
    by_order
        .then_with(|| x.sequence.value(i).cmp(&y.sequence.value(j)))
        .then_with(|| x.is_addition(i).cmp(&y.is_addition(j)))
        .then(x.age.cmp(&y.age))
        .then(a.cmp(&b))
        .is_lt()
}
