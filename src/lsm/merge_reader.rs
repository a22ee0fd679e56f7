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

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int8Array, Int64Array, UInt32Array};
use arrow_row::Rows;
use arrow_select::take::take;

use super::key::KeyColumn;
use super::loser_tree::LoserTree;
use super::merge::{ColumnFrom, MergeFunction, Merged, Single, Versions, gather, places};
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
#[derive(Debug)]
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

    /// The same without retractions: what a batch read shows.
    ///
    /// # Errors
    /// [`Error::Bug`] when a column cannot be filtered.
    pub fn without_retractions(self) -> Result<Self> {
        let Some(kinds) = &self.kinds else { return Ok(self) };
        let keep = |kind: &i8| *kind == RowKind::Insert as i8 || *kind == RowKind::UpdateAfter as i8;
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
        let columns = gather_columns(versions, merged)?;
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
        Ok(Self { runs, order, stage, batch_rows, live, heads, tree, rows: Vec::new(), ends: Vec::new() })
    }

    /// Collects the versions of about `batch_rows` whole keys, or fewer where the keys have many: every version holds
    /// its batch in memory.
    fn collect(&mut self) -> Result<()> {
        self.rows.clear();
        self.ends.clear();
        let (most_rows, apart) = (self.batch_rows.saturating_mul(MOST_VERSIONS), self.stage.apart());
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
        }
        if !self.rows.is_empty() {
            self.ends.push(self.rows.len() as u32);
        }
        Ok(())
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

    fn merge(&mut self) -> Result<S::Out> {
        let batches: Vec<&[ArrayRef]> = self.live.iter().map(|batch| batch.columns.as_slice()).collect();
        let kinds: Vec<Option<&[i8]>> =
            self.live.iter().map(|batch| batch.kinds.as_ref().map(|kinds| kinds.values().as_ref())).collect();
        let levels: Vec<i32> = self.live.iter().map(|batch| batch.level).collect();
        let (rows, ends, single) = (self.rows.as_slice(), self.ends.as_slice(), Single::Keep);
        let versions = Versions { rows, ends, batches: &batches, kinds: &kinds, levels: &levels, single };
        let sequences = self.live.iter().map(|batch| &batch.sequence).collect();
        self.stage.run(&Found { versions, sequences })
    }

    /// Lets go of batches that no head points to.
    fn release(&mut self) {
        let mut places = vec![None; self.live.len()];
        for (batch, _) in self.heads.iter().flatten() {
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
        for (batch, _) in self.heads.iter_mut().flatten() {
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
        let merged = self.merge();
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
        let addition = |kind: i8| kind == RowKind::Insert as i8 || kind == RowKind::UpdateAfter as i8;
        self.kinds.as_ref().is_none_or(|kinds| addition(kinds.value(row)))
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

/// The value columns of the rows out.
fn gather_columns(versions: &Versions<'_>, merged: &Merged) -> Result<Vec<ArrayRef>> {
    let columns = versions.batches.first().map_or(0, |batch| batch.len());
    let row_of = |picks| places(versions.rows, versions.batches.len(), picks);
    let rows: Vec<(usize, usize)> = row_of(&merged.picks).collect();
    let mut out = Vec::with_capacity(columns);
    for column in 0..columns {
        let from = merged.columns.iter().find(|(at, _)| *at == column).map(|(_, from)| from);
        out.push(match from {
            Some(ColumnFrom::Computed(computed)) => computed.clone(),
            Some(ColumnFrom::Picks(picks)) => gather(versions.batches, column, row_of(picks))?,
            None => gather(versions.batches, column, rows.iter().copied())?,
        });
    }
    Ok(out)
}
