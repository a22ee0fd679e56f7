//! The newest rows of a table by primary key.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave;
use arrow_select::take::take;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::LookupCache;
use super::rules::{Request, Rules};
use super::view::{Routed, View};
use crate::error::{Error, Result};
use crate::format::{Snapshot, SnapshotId, datum_at};
use crate::history::History;
use crate::read::typed_batch;
use crate::scan::{At, at_or_told, schema_at, schema_of};
use crate::schema::{Schema, TableOptions};
use crate::types::{Datum, accept_batch, external_schema, lane_schema, to_external};

/// Buckets that are searched at once.
const PARALLEL: usize = 4;
/// How long a snapshot that had no successor is believed to be there still.
const BELIEVED: Duration = Duration::from_secs(10);

/// A lookup to be opened: of which snapshot, with which columns, in how much memory.
#[derive(Clone)]
pub struct LookupBuilder {
    history: History,
    schema: Arc<Schema>,
    select: Option<Vec<String>>,
    at: Option<At>,
    memory: Option<u64>,
    cache: Option<LookupCache>,
    disk: Option<(PathBuf, u64)>,
    wide_timestamps: bool,
}

impl LookupBuilder {
    pub(crate) fn new(history: History, schema: Arc<Schema>) -> Self {
        Self { history, schema, select: None, at: None, memory: None, cache: None, disk: None, wide_timestamps: false }
    }

    /// Shows these columns, in this order, instead of all.
    #[must_use]
    pub fn select<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.select = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Looks into this point of the table's history, and stays there, whatever the table's options say (`scan.mode` and
    /// those around it). A point that shows some files of a snapshot only is refused.
    #[must_use]
    pub fn at(mut self, at: At) -> Self {
        self.at = Some(at);
        self
    }

    /// Keeps so many bytes of what was read; unless told, as many as option `lookup.cache-max-memory-size` says.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Shares the memory of other lookups instead.
    #[must_use]
    pub fn cache(mut self, cache: &LookupCache) -> Self {
        self.cache = Some(cache.clone());
        self
    }

    /// Keeps up to so many bytes of what was fetched in a local directory, for tables of remote stores.
    #[must_use]
    pub fn disk(mut self, directory: impl Into<PathBuf>, bytes: u64) -> Self {
        self.disk = Some((directory.into(), bytes));
        self
    }

    /// Leaves `TIMESTAMP(7..9)` as `Decimal128(38, 9)` seconds, as a scan does.
    #[must_use]
    pub fn wide_timestamps(mut self) -> Self {
        self.wide_timestamps = true;
        self
    }

    /// Finds the snapshot and reads its manifests.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a table without a primary key or a column that is not there; [`Error::NotFound`] for a
    /// snapshot that is not there; [`Error::Unsupported`] naming a feature of the table that lookups do not know.
    pub async fn open(self) -> Result<TableLookup> {
        let cache = match self.cache {
            Some(cache) => cache,
            None => {
                let told = TableOptions::parse(&self.schema)?.lookup_memory;
                LookupCache::new(self.memory.unwrap_or(told))?
            }
        };
        let cache = match self.disk {
            Some((directory, bytes)) => cache.with_disk(directory, bytes)?,
            None => cache,
        };
        let at = at_or_told(self.at.as_ref(), &self.schema, self.history.store.env())?;
        let found = at.find(&self.history, &TableOptions::parse(&self.schema)?).await?;
        if found.as_ref().is_some_and(|found| found.files_since.is_some()) {
            return Err(Error::unsupported("a lookup in the files made since a time: they do not hold all of a row"));
        }
        let schema = match &found {
            Some(found) => schema_at(&self.history, &self.schema, found).await?,
            None => Arc::clone(&self.schema),
        };
        let snapshot = found.map(|found| found.snapshot);
        let rules = Arc::new(Rules::new(&self.history, &schema, &cache)?);
        let view = View::load(rules, snapshot.as_ref(), None).await?;
        let shown = Shown::new(&schema, self.select.as_deref(), self.wide_timestamps)?;
        let inner = Inner {
            history: self.history,
            given: self.schema,
            select: self.select,
            wide_timestamps: self.wide_timestamps,
            follows: at == At::Latest,
            cache,
            state: RwLock::new((Arc::new(view), Arc::new(shown))),
            lost: AtomicBool::new(false),
            seen_millis: AtomicU64::new(0),
        };
        inner.mark_seen();
        Ok(TableLookup { inner: Arc::new(inner) })
    }
}

/// Looks rows up by primary key. Clones share what was read; use it from many tasks.
///
/// It shows one snapshot until [`TableLookup::refresh`] takes it to the newest.
#[derive(Clone)]
pub struct TableLookup {
    inner: Arc<Inner>,
}

struct Inner {
    history: History,
    /// The schema of the table's handle, with the options that it was given.
    given: Arc<Schema>,
    select: Option<Vec<String>>,
    wide_timestamps: bool,
    follows: bool,
    cache: LookupCache,
    state: RwLock<(Arc<View>, Arc<Shown>)>,
    /// A file of the snapshot was not there any more: it has expired, or the table was rolled back.
    lost: AtomicBool,
    /// When the snapshot was last known to be there.
    seen_millis: AtomicU64,
}

impl Inner {
    fn mark_seen(&self) {
        self.seen_millis.store(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.history.store.env().monotonic().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What comes out.
struct Shown {
    select: Vec<usize>,
    schema: SchemaRef,
    /// For each column of the table its place in the primary key.
    in_key: Vec<Option<usize>>,
}

impl Shown {
    fn new(schema: &Schema, select: Option<&[String]>, wide: bool) -> Result<Self> {
        let select = match select {
            Some(names) => schema.positions(names)?,
            None => (0..schema.fields.len()).collect(),
        };
        let columns: Vec<_> = select.iter().map(|at| &schema.fields[*at]).collect();
        let columns = columns.iter().map(|field| (field.name.as_str(), &field.data_type));
        let shown = if wide { lane_schema(columns) } else { external_schema(columns) };
        let place = |field: &crate::schema::Field| schema.primary_keys.iter().position(|key| *key == field.name);
        Ok(Self { in_key: schema.fields.iter().map(place).collect(), schema: shown, select })
    }
}

/// The rows that were found.
#[derive(Debug, Clone)]
pub struct Found {
    /// A row for each key that has one, in the order of the keys.
    pub rows: RecordBatch,
    /// For each key whether it has a row.
    pub found: BooleanArray,
}

impl Found {
    /// For each key the place of its row in [`Found::rows`].
    pub fn places(&self) -> Vec<Option<usize>> {
        let mut next = 0;
        let place = |found: bool| {
            next += usize::from(found);
            found.then(|| next - 1)
        };
        self.found.values().iter().map(place).collect()
    }
}

impl TableLookup {
    fn state(&self) -> (Arc<View>, Arc<Shown>) {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The snapshot that is shown; `None` for a table without one.
    pub fn snapshot_id(&self) -> Option<SnapshotId> {
        self.state().0.snapshot_id()
    }

    /// The table's schema as of that snapshot.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.state().0.rules.schema)
    }

    /// The columns of the rows.
    pub fn shown_schema(&self) -> SchemaRef {
        self.state().1.schema.clone()
    }

    /// The memory of this lookup.
    pub fn cache(&self) -> &LookupCache {
        &self.inner.cache
    }

    /// The rows of many keys. `keys` has the columns of the primary key, by name; a key may stand more than once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for columns that are not those of the primary key, or NULL in them; [`Error::NotFound`] when a
    /// file of the snapshot is gone, because it expired: refresh and ask again; the store's errors.
    pub async fn get(&self, keys: &RecordBatch) -> Result<Found> {
        let (view, shown) = self.state();
        let schema = &view.rules.schema;
        let columns: Vec<_> = schema.primary_keys.iter().map(|name| schema.require(name)).collect::<Result<_>>()?;
        let columns: Vec<_> = columns
            .iter()
            .map(|at| (schema.fields[*at].name.as_str(), schema.fields[*at].data_type.clone().not_null()))
            .collect();
        let columns: Vec<_> = columns.iter().map(|(name, data_type)| (*name, data_type)).collect();
        if keys.num_columns() < columns.len() {
            return Err(Error::invalid(format!("a key has the columns {}", schema.primary_keys.join(", "))));
        }
        let primary = accept_batch(&columns, keys)?;
        self.checked(self.find(&view, &shown, primary.columns(), keys.num_rows()).await)
    }

    /// The row of one key, given in the order of the primary key's columns: milliseconds cold, microseconds warm.
    ///
    /// # Errors
    /// As [`TableLookup::get`].
    pub async fn get_one(&self, key: &[Datum]) -> Result<Option<Vec<Datum>>> {
        let (view, shown) = self.state();
        let rules = &view.rules;
        let primary = key_lanes(&rules.schema, key)?;
        let routed = view.route(&primary, 1)?;
        let Some(routed) = routed.first() else { return Ok(None) };
        let request = rules.request(view.trimmed(&primary), 1)?;
        let of_key: Vec<Option<&Datum>> = shown.in_key.iter().map(|at| at.map(|at| &key[at])).collect();
        let warm = || self.warm(&view, routed, &request, &shown.select, &of_key);
        if let Some(answer) = warm() {
            return answer;
        }
        let lanes = self.checked(self.lanes(&view, &shown, &primary, 1).await)?;
        if !lanes.found.value(0) {
            return Ok(None);
        }
        drop(warm()); // keeps the row, its pages being in memory now
        let columns = shown.select.iter().zip(&lanes.columns);
        let row = columns.map(|(at, lane)| datum_at(lane, &rules.schema.fields[*at].data_type.kind, 0));
        row.collect::<Result<Vec<_>>>().map(Some)
    }

    /// The row of one key from memory alone; `None` when memory does not tell.
    fn warm(
        &self,
        view: &View,
        routed: &Routed,
        request: &Request,
        select: &[usize],
        key: &[Option<&Datum>],
    ) -> Option<Result<Option<Vec<Datum>>>> {
        for target in &routed.targets {
            match view.rules.warm(view.ready(target)?, request, select, key)? {
                Ok(None) => {}
                answer => return Some(answer),
            }
        }
        Some(Ok(None))
    }

    /// Goes to the newest snapshot, and tells whether that was another. What was read stays in memory. One request when
    /// nothing changed; now and then a second one, to see that the snapshot itself has not expired and was not rolled back.
    ///
    /// A lookup opened at a point of the history stays there.
    ///
    /// # Errors
    /// The store's errors; [`Error::Unsupported`] when the table has become one that lookups do not know.
    pub async fn refresh(&self) -> Result<bool> {
        let inner = &self.inner;
        if !inner.follows {
            return Ok(false);
        }
        let (view, _) = self.state();
        let (mut lost, mut next) = (inner.lost.load(Ordering::Relaxed), None);
        if let (Some(shown), false) = (&view.snapshot, lost) {
            next = self.after(shown.id).await?;
            lost = next.is_none() && !self.is_there(shown).await?;
        }
        if lost || view.snapshot.is_none() {
            next = inner.history.snapshots.latest().await?;
        }
        let Some(next) = next.filter(|next| lost || Some(next) != view.snapshot.as_ref()) else { return Ok(false) };
        let mut rules = Arc::clone(&view.rules);
        if next.schema_id > rules.schema.id {
            let schema = schema_of(&inner.history, &inner.given, next.schema_id).await?;
            rules = Arc::new(Rules::new(&inner.history, &schema, &inner.cache)?);
        }
        let shown = Shown::new(&rules.schema, inner.select.as_deref(), inner.wide_timestamps)?;
        let view = View::load(rules, Some(&next), Some(&view)).await?;
        {
            let mut state = inner.state.write().unwrap_or_else(PoisonError::into_inner);
            if !lost && state.0.snapshot_id() > view.snapshot_id() {
                return Ok(true); // another task went further meanwhile
            }
            *state = (Arc::new(view), Arc::new(shown));
        }
        inner.lost.store(false, Ordering::Relaxed);
        inner.mark_seen();
        Ok(true)
    }

    /// The newest snapshot after one, if there is any.
    async fn after(&self, id: SnapshotId) -> Result<Option<Snapshot>> {
        let snapshots = &self.inner.history.snapshots;
        let Some(next) = snapshots.try_load(id.saturating_add(1)).await? else { return Ok(None) };
        let later = snapshots.after(next.id).await?;
        Ok(later.into_iter().last().or(Some(next)))
    }

    /// Whether a snapshot without a successor still stands under its number, which is believed for a while. If not, all
    /// snapshots up to it have expired, or the table was rolled back, and the number may be another snapshot's by now.
    async fn is_there(&self, shown: &Snapshot) -> Result<bool> {
        let since = self.inner.now().saturating_sub(self.inner.seen_millis.load(Ordering::Relaxed));
        if u128::from(since) < BELIEVED.as_millis() {
            return Ok(true);
        }
        let there = self.inner.history.snapshots.try_load(shown.id).await?.as_ref() == Some(shown);
        if there {
            self.inner.mark_seen();
        }
        Ok(there)
    }

    /// Remembers that a file was gone.
    fn checked<T>(&self, result: Result<T>) -> Result<T> {
        if matches!(result, Err(Error::NotFound(_))) {
            self.inner.lost.store(true, Ordering::Relaxed);
        }
        result
    }

    async fn find(&self, view: &View, shown: &Shown, primary: &[ArrayRef], rows: usize) -> Result<Found> {
        let lanes = self.lanes(view, shown, primary, rows).await?;
        let fields = shown.select.iter().map(|at| &view.rules.schema.fields[*at]);
        let columns = fields.zip(lanes.columns).map(|(field, lane)| match self.inner.wide_timestamps {
            true => Ok(lane),
            false => to_external(&field.name, &field.data_type.kind, &lane),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let rows = typed_batch(&shown.schema, columns, lanes.found.true_count())?;
        Ok(Found { rows, found: lanes.found })
    }

    async fn lanes(&self, view: &View, shown: &Shown, primary: &[ArrayRef], rows: usize) -> Result<Lanes> {
        let routed = view.route(primary, rows)?;
        let searches = routed.iter().map(|routed| search(view, shown, primary, routed).boxed());
        let pieces: Vec<Vec<Piece>> =
            stream::iter(searches.collect::<Vec<_>>()).buffered(PARALLEL).try_collect().await?;
        let pieces: Vec<Piece> = pieces.into_iter().flatten().collect();
        let mut places: Vec<Option<(usize, usize)>> = vec![None; rows];
        for (number, piece) in pieces.iter().enumerate() {
            piece.rows.iter().for_each(|(row, place)| places[*row as usize] = Some((number, *place as usize)));
        }
        let found = BooleanArray::from_iter(places.iter().map(|place| Some(place.is_some())));
        let places: Vec<(usize, usize)> = places.into_iter().flatten().collect();
        let columns = shown.select.iter().enumerate().map(|(column, at)| {
            let parts: Vec<&dyn Array> = pieces.iter().map(|piece| piece.columns[column].as_ref()).collect();
            match parts.as_slice() {
                [] => Datum::Null.repeat(&view.rules.schema.fields[*at].data_type.kind, 0),
                some => interleave(some, &places).map_err(|error| Error::bug(error.to_string())),
            }
        });
        Ok(Lanes { columns: columns.collect::<Result<_>>()?, found })
    }
}

/// Rows as lanes, and for each key whether it has one.
struct Lanes {
    columns: Vec<ArrayRef>,
    found: BooleanArray,
}

/// Rows of one bucket.
struct Piece {
    /// Rows of the request, and their rows here.
    rows: Vec<(u32, u32)>,
    columns: Vec<ArrayRef>,
}

/// Looks into the buckets that some rows of the request may be in.
async fn search(view: &View, shown: &Shown, primary: &[ArrayRef], routed: &Routed) -> Result<Vec<Piece>> {
    let trimmed = view.trimmed(primary);
    let mut left = routed.rows.clone();
    let mut pieces = Vec::new();
    for target in &routed.targets {
        if left.is_empty() {
            break;
        }
        let Some(bucket) = view.bucket(target).await? else { continue };
        let picked = arrow_array::UInt32Array::from(left.clone());
        let pick = |lane: &ArrayRef| take(lane, &picked, None).map_err(|error| Error::bug(error.to_string()));
        let request = view.rules.request(trimmed.iter().map(pick).collect::<Result<_>>()?, left.len())?;
        let newest = view.rules.newest(&bucket, &request, &shown.select).await?;
        // Equal keys of the request have one rank.
        let mut row_of_rank = vec![None; request.order.len()];
        newest.ranks.iter().zip(0_u32..).for_each(|(rank, row)| row_of_rank[*rank as usize] = Some(row));
        let (mut rows, mut missing) = (Vec::with_capacity(newest.ranks.len()), Vec::new());
        for (at, row) in left.iter().enumerate() {
            match request.rank_of(at).and_then(|rank| row_of_rank[rank as usize]) {
                Some(place) => rows.push((*row, place)),
                None => missing.push(*row),
            }
        }
        pieces.push(Piece { rows, columns: newest.columns });
        left = missing;
    }
    Ok(pieces)
}

/// A key's values as lanes of one row.
fn key_lanes(schema: &Schema, key: &[Datum]) -> Result<Vec<ArrayRef>> {
    if key.len() != schema.primary_keys.len() {
        let columns = schema.primary_keys.join(", ");
        return Err(Error::invalid(format!("a key of {} values for the columns {columns}", key.len())));
    }
    let lane = |(name, value): (&String, &Datum)| {
        let kind = &schema.fields[schema.require(name)?].data_type.kind;
        let wrong = || Error::invalid(format!("key column {name}: {value:?} is no {kind}"));
        if value.is_null() {
            return Err(Error::invalid(format!("key column {name} is NOT NULL and the key has no value for it")));
        }
        let lane = value.repeat(kind, 1).map_err(|_| wrong())?;
        let finer = matches!(value, Datum::Timestamp { .. }) && datum_at(&lane, kind, 0)? != *value;
        if finer { Err(wrong()) } else { Ok(lane) }
    };
    schema.primary_keys.iter().zip(key).map(lane).collect()
}
