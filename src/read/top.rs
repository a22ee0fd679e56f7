//! The first rows of an order: splits in the order of their best value, until none of those left can bring a better row.
//!
//! ```text
//! splits --best value of each--> one after another --rows--> the best so far
//!                                        ^------------------- its last value: what must be beaten
//! ```
//!
//! A split whose best value is behind what must be beaten ends the read; of the others only rows up to it are asked for,
//! so that row groups, pages and file indexes leave the rest out. Spec: `format-spec/read.md`, first rows of an order.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ord::sort::{SortColumn, SortOptions, lexsort_to_indices};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;

use super::{SplitBatches, SplitReader};
use crate::error::{Error, Result};
use crate::format::{Split, datum_at};
use crate::predicate::{ColumnRange, Literal, col, with_one_nan};
use crate::scan::Pruner;
use crate::schema::{MergeEngine, Schema, TableOptions};
use crate::types::{Datum, TypeKind};

/// Rows beyond those wanted, and bytes beyond those of the best, that wait until they are sorted.
const SLACK: usize = 1 << 16;
const SLACK_BYTES: usize = 64 << 20;

/// One column of an order. By default the smallest values come first, and NULL is smaller than all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// The column's name.
    pub column: String,
    /// Whether the largest values come first.
    pub descending: bool,
    /// Whether rows without a value come first.
    pub nulls_first: bool,
}

impl Sort {
    /// The smallest values first, and NULL before them.
    pub fn ascending(column: impl Into<String>) -> Self {
        Self { column: column.into(), descending: false, nulls_first: true }
    }

    /// The largest values first, and NULL behind them.
    pub fn descending(column: impl Into<String>) -> Self {
        Self { column: column.into(), descending: true, nulls_first: false }
    }

    /// Rows without a value before all others, or behind them.
    #[must_use]
    pub fn nulls_first(self, nulls_first: bool) -> Self {
        Self { nulls_first, ..self }
    }

    /// A column in an order told by words: nothing, or `asc` or `desc`, and then `nulls first` or `nulls last`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other words.
    pub fn told(column: impl Into<String>, order: &str) -> Result<Self> {
        let words: Vec<String> = order.split_whitespace().map(str::to_ascii_lowercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (direction, nulls) = words.split_at(usize::from(matches!(words.first(), Some(&("asc" | "desc")))));
        let sort = if direction == ["desc"] { Self::descending(column) } else { Self::ascending(column) };
        match nulls {
            [] => Ok(sort),
            ["nulls", "first"] => Ok(sort.nulls_first(true)),
            ["nulls", "last"] => Ok(sort.nulls_first(false)),
            _ => Err(Error::invalid(format!(
                "an order by {} {order:?}: expected a column, then asc or desc, then nulls first or nulls last",
                sort.column
            ))),
        }
    }

    fn compare(&self, one: &Datum, other: &Datum) -> Ordering {
        match (one.is_null(), other.is_null()) {
            (false, false) if self.descending => other.total_cmp(one),
            (false, false) => one.total_cmp(other),
            (one, other) if self.nulls_first => other.cmp(&one),
            (one, other) => one.cmp(&other),
        }
    }
}

/// `column [asc | desc] [nulls first | nulls last]`
impl FromStr for Sort {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let (column, order) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if column.is_empty() {
            return Err(Error::invalid("an order by no column"));
        }
        Self::told(column, order)
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.descending { "desc" } else { "asc" };
        write!(f, "{} {direction} nulls {}", self.column, if self.nulls_first { "first" } else { "last" })
    }
}

/// Checks that rows of a schema can be put into an order.
///
/// # Errors
/// [`Error::Invalid`] for a column that is not there, [`Error::Unsupported`] for one whose values have no order.
pub(crate) fn check_order(order: &[Sort], schema: &Schema) -> Result<()> {
    for sort in order {
        let kind = &schema.fields[schema.require(&sort.column)?].data_type.kind;
        if kind.is_nested() {
            return Err(Error::unsupported(format!("an order by column {} of nested type {kind}", sort.column)));
        }
    }
    Ok(())
}

impl SplitReader {
    /// The first `rows` rows of an order, in that order; which of equal rows come is not told. They are held in memory, and
    /// about as much again that waits. The reader shows lanes, the columns of the order among them.
    ///
    /// # Errors
    /// The store's errors and [`Error::Corrupt`] with the file; [`Error::Exhausted`] for more than 2 GiB of a column.
    pub(crate) async fn first_rows(&self, splits: Vec<Split>, order: &[Sort], rows: usize) -> Result<RecordBatch> {
        let mut best = Best::new(self.shown_schema(), order, rows)?;
        let Some(first) = order.first().filter(|_| rows > 0) else { return best.finish() };
        let kind = self.kind_of(&first.column)?;
        let mut waiting = self.by_best_value(splits, first)?;
        let mut running: VecDeque<(Option<Datum>, SplitBatches)> = VecDeque::new();
        loop {
            while running.len() < self.at_once {
                let Some((value, split)) = waiting.pop_front() else { break };
                let beaten = best.last_value(&kind)?;
                if behind(first, value.as_ref(), beaten.as_ref()) {
                    waiting.clear(); // no other one is better
                    break;
                }
                running.push_back((value, self.up_to(first, beaten)?.start(split)));
            }
            let Some((value, mut batches)) = running.pop_front() else { return best.finish() };
            if behind(first, value.as_ref(), best.last_value(&kind)?.as_ref()) {
                continue;
            }
            while let Some((batch, _)) = batches.next().await? {
                best.add(batch)?;
            }
        }
    }

    fn kind_of(&self, column: &str) -> Result<TypeKind> {
        let schema = &self.request.schema;
        Ok(schema.fields[schema.require(column)?].data_type.kind.clone())
    }

    /// The same reader, which leaves rows out that are behind a value.
    fn up_to(&self, sort: &Sort, value: Option<Datum>) -> Result<Self> {
        let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(self.clone()) };
        let (column, value) = (col(&sort.column), Literal::Datum(value));
        let within = if sort.descending { column.clone().ge(value) } else { column.clone().le(value) };
        let within = if sort.nulls_first { within.or(column.is_null()) } else { within };
        let within = within.bind(&self.request.schema)?;
        let mut narrowed = self.clone();
        narrowed.request.filter = Some(match narrowed.request.filter.take() {
            Some(filter) => filter.and(within),
            None => within,
        });
        Ok(narrowed)
    }

    /// Splits with the best value that a row of them can have; first those of which it is not known.
    fn by_best_value(&self, splits: Vec<Split>, sort: &Sort) -> Result<VecDeque<(Option<Datum>, Split)>> {
        let schema = &self.request.schema;
        let options = TableOptions::parse(schema)?;
        let mut bounds = Pruner::new(schema, &options, None)?;
        for file_schema in self.schemas() {
            bounds.know(file_schema)?;
        }
        // Other engines make values of several rows.
        let kept = matches!(options.merge_engine, MergeEngine::Deduplicate | MergeEngine::FirstRow);
        let is_key = schema.primary_keys.contains(&sort.column);
        let in_partition = schema.partition_keys.iter().position(|key| *key == sort.column);
        let best_of = |split: &Split| -> Result<Option<Datum>> {
            if let Some(at) = in_partition {
                let values = split.partition.decode(&schema.types_of(&schema.partition_keys)?)?;
                return Ok(values.get(at).cloned());
            }
            if !(split.raw || kept || is_key) {
                return Ok(None);
            }
            let of_file = |file| best_value(sort, &bounds.range_of(file, &sort.column)?);
            let all: Option<Vec<Datum>> = split.files.iter().map(|file| of_file(file)).collect();
            Ok(all.and_then(|all| all.into_iter().min_by(|one, other| sort.compare(one, other))))
        };
        let values = splits.into_iter().map(|split| Ok((best_of(&split)?, split)));
        let mut values = values.collect::<Result<Vec<_>>>()?;
        values.sort_by(|(one, _), (other, _)| match (one, other) {
            (Some(one), Some(other)) => sort.compare(one, other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        });
        Ok(values.into())
    }
}

/// Whether every value of a split is behind another one.
fn behind(sort: &Sort, best: Option<&Datum>, beaten: Option<&Datum>) -> bool {
    best.zip(beaten).is_some_and(|(best, beaten)| sort.compare(best, beaten).is_gt())
}

/// The best value that a row in a range can have; `None` when it is not known.
fn best_value(sort: &Sort, range: &ColumnRange) -> Option<Datum> {
    let only_nulls = range.null_count == Some(range.row_count);
    if only_nulls || (sort.nulls_first && range.null_count != Some(0)) {
        return Some(Datum::Null);
    }
    if sort.descending { range.max.clone() } else { range.min.clone() }
}

/// The best rows so far.
struct Best {
    schema: SchemaRef,
    /// For each column of the order its place in the batches and how it is sorted.
    order: Vec<(usize, SortOptions)>,
    wanted: usize,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    /// Bytes of the best when they were sorted last.
    best_bytes: usize,
    /// Whether there is one batch, which is sorted.
    sorted: bool,
}

impl Best {
    fn new(schema: SchemaRef, order: &[Sort], wanted: usize) -> Result<Self> {
        let place = |sort: &Sort| {
            let at = schema.index_of(&sort.column).map_err(failed)?;
            Ok((at, SortOptions { descending: sort.descending, nulls_first: sort.nulls_first }))
        };
        let order = order.iter().map(place).collect::<Result<_>>()?;
        Ok(Self { schema, order, wanted, batches: Vec::new(), rows: 0, bytes: 0, best_bytes: 0, sorted: true })
    }

    fn add(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
        self.sorted = false;
        // What waits may be as much as the best, so that each row is sorted a few times only.
        let many = self.rows > self.wanted.saturating_add(SLACK.max(self.wanted));
        if many || self.bytes > self.best_bytes + SLACK_BYTES.max(self.best_bytes) { self.sort() } else { Ok(()) }
    }

    fn sort(&mut self) -> Result<()> {
        if self.sorted {
            return Ok(());
        }
        let all = concat_batches(&self.schema, &self.batches).map_err(failed)?;
        let column = |(at, options): &(usize, SortOptions)| SortColumn {
            values: with_one_nan(all.column(*at)),
            options: Some(*options),
        };
        let columns: Vec<SortColumn> = self.order.iter().map(column).collect();
        let places = lexsort_to_indices(&columns, Some(self.wanted)).map_err(failed)?;
        let best = take_record_batch(&all, &places).map_err(failed)?;
        self.best_bytes = best.get_array_memory_size();
        (self.rows, self.bytes, self.batches, self.sorted) = (best.num_rows(), self.best_bytes, vec![best], true);
        Ok(())
    }

    /// The first column's value in the last of the wanted rows, once there are so many.
    fn last_value(&mut self, kind: &TypeKind) -> Result<Option<Datum>> {
        if self.rows < self.wanted {
            return Ok(None);
        }
        self.sort()?;
        let (Some(batch), Some((at, _)), Some(last)) =
            (self.batches.first(), self.order.first(), self.rows.checked_sub(1))
        else {
            return Ok(None);
        };
        let lane: &ArrayRef = batch.column(*at);
        Ok(Some(if lane.is_null(last) { Datum::Null } else { datum_at(lane, kind, last)? }))
    }

    fn finish(mut self) -> Result<RecordBatch> {
        if self.wanted == 0 || self.order.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        self.sort()?;
        Ok(self.batches.pop().unwrap_or_else(|| RecordBatch::new_empty(self.schema)))
    }
}

fn failed(error: ArrowError) -> Error {
    match error {
        ArrowError::OffsetOverflowError(_) => Error::exhausted(
            "the first rows of an order: more than 2 GiB of one column at once; ask for fewer rows or columns",
        ),
        error => Error::bug(format!("the first rows of an order: {error}")),
    }
}

#[cfg(test)]
mod tests;
