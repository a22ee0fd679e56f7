//! Which files a read needs: a snapshot in, splits out.
//!
//! The plan itself is pure ([`plan`]); finding the snapshot and its manifests is the only effect.
//! Spec: `format-spec/read.md`.

mod at;
mod between;
mod count;
mod partitions;
mod plan;
mod prune;
mod vectors;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use at::At;
pub(crate) use at::{Found, at_or_told, compacted};
pub use between::{Between, BetweenPart, BetweenPlan, plan_between};
pub use count::counted;
pub use partitions::PartitionTest;
pub use plan::{PlanRules, plan_changes, plan_rows};
pub(crate) use prune::Pruner;
pub use vectors::{FileVectors, Vectors, load_vectors};

use futures::future::try_join;

use crate::error::Result;
use crate::format::{ManifestEntry, Snapshot, SnapshotId, Split};
use crate::history::{FileFilter, History};
use crate::predicate::Expr;
use crate::schema::{Schema, SchemaId, TableOptions, Use};

/// The splits of a read.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The snapshot that was planned; `None` for a table without one.
    pub snapshot: Option<SnapshotId>,
    /// The schema rows come out in.
    pub schema: Arc<Schema>,
    /// The filter with its literals as values of that schema's types.
    pub filter: Option<Expr>,
    /// What to read.
    pub splits: Vec<Split>,
}

/// Which levels of a tree a read shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShownLevels {
    /// What a batch read shows: level 0 is left out where deletion vectors are kept and where the first row stays.
    #[default]
    Visible,
    /// All of them: the rows that a stream begins with.
    All,
    /// The highest alone: rows that need no merging, and are as old as the last full compaction.
    Top,
}

/// Which files of a snapshot a read shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// Their levels.
    pub levels: ShownLevels,
    /// Only those made since, in milliseconds since the epoch.
    pub since: Option<i64>,
}

impl Shown {
    /// Every file of every level.
    pub const EVERYTHING: Self = Self { levels: ShownLevels::All, since: None };
}

/// Plans a batch read.
///
/// # Errors
/// [`crate::Error::NotFound`] for a snapshot that is not there, [`crate::Error::Invalid`] for a filter that does not
/// fit the schema, [`crate::Error::Unsupported`] for a table feature this version cannot read.
pub async fn plan(
    history: &History,
    newest: &Arc<Schema>,
    at: &At,
    levels: ShownLevels,
    filter: Option<&Expr>,
) -> Result<Plan> {
    let options = TableOptions::checked(newest, Use::Read)?;
    let found = at.find(history, &options).await?;
    plan_found(history, newest, found.as_ref(), levels, filter).await
}

/// Plans a batch read of a point that was found; of nothing where there is no snapshot.
///
/// # Errors
/// As [`plan`].
pub(crate) async fn plan_found(
    history: &History,
    newest: &Arc<Schema>,
    found: Option<&Found>,
    levels: ShownLevels,
    filter: Option<&Expr>,
) -> Result<Plan> {
    let Some(found) = found else {
        let filter = filter.map(|filter| filter.bind(newest)).transpose()?;
        return Ok(Plan { snapshot: None, schema: Arc::clone(newest), filter, splits: Vec::new() });
    };
    let schema = schema_at(history, newest, found).await?;
    plan_snapshot(history, &schema, &found.snapshot, filter, Shown { levels, since: found.files_since }).await
}

/// Plans a read of a snapshot whose rows come out in `schema`.
///
/// # Errors
/// As [`plan`].
pub async fn plan_snapshot(
    history: &History,
    schema: &Arc<Schema>,
    snapshot: &Snapshot,
    filter: Option<&Expr>,
    shown: Shown,
) -> Result<Plan> {
    let options = TableOptions::checked(schema, Use::Read)?;
    let filter = filter.map(|filter| filter.bind(schema)).transpose()?;
    let rules = PlanRules::new(schema, &options)?;
    let mut pruner = Pruner::new(schema, &options, filter.as_ref())?;
    let levels = match shown.levels {
        ShownLevels::Visible if rules.skips_level_0 => 1..=i32::MAX,
        ShownLevels::Top if schema.has_primary_key() => options.compaction.max_level()..=options.compaction.max_level(),
        _ => i32::MIN..=i32::MAX,
    };
    let (vectors, mut entries) = match live_files(history, snapshot, &pruner.file_filter(levels)).await {
        Ok(found) => found,
        Err(error) => return Err(history.snapshots.explain(snapshot.id, false, error).await),
    };
    if let Some(since) = shown.since {
        // Paimon tells the local time of whoever made a file; one that does not tell was made long ago.
        let made = |local| history.store.env().instant_of_local(local);
        entries.retain(|entry| entry.file.creation_time.is_some_and(|local| made(local) >= since));
    }
    let ids: BTreeSet<i64> = entries.iter().map(|entry| entry.file.schema_id).collect();
    for id in ids {
        pruner.know(&*history.schemas.load(id).await?)?;
    }
    let splits = plan_rows(&rules, snapshot.id, &entries, &vectors, &pruner)?;
    Ok(Plan { snapshot: Some(snapshot.id), schema: Arc::clone(schema), filter, splits })
}

/// The files whose rows, merged and without those that are masked, are the rows that a batch read of a snapshot shows.
///
/// # Errors
/// As [`plan`].
pub(crate) async fn visible_files(
    history: &History,
    schema: &Arc<Schema>,
    options: &TableOptions,
    snapshot: &Snapshot,
) -> Result<(Vectors, Vec<Arc<ManifestEntry>>)> {
    let rules = PlanRules::new(schema, options)?;
    let pruner = Pruner::new(schema, options, None)?;
    live_files(history, snapshot, &pruner.file_filter(i32::from(rules.skips_level_0)..=i32::MAX)).await
}

async fn live_files(
    history: &History,
    snapshot: &Snapshot,
    filter: &FileFilter,
) -> Result<(Vectors, Vec<Arc<ManifestEntry>>)> {
    let entries = history.manifests.live_files(snapshot, filter);
    try_join(Vectors::of(history, snapshot), entries).await
}

/// The schema that rows come out in: that of [`Plan::schema`].
///
/// # Errors
/// [`crate::Error::NotFound`] for a snapshot that is not there; the store's errors.
pub async fn shown_schema(history: &History, newest: &Arc<Schema>, at: &At) -> Result<Arc<Schema>> {
    if matches!(at, At::Latest | At::Compacted | At::FilesSince(_) | At::Since(_)) {
        return Ok(Arc::clone(newest));
    }
    match at.find(history, &TableOptions::parse(newest)?).await? {
        Some(found) => schema_at(history, newest, &found).await,
        None => Ok(Arc::clone(newest)),
    }
}

/// The newest schema for the newest rows; the snapshot's own columns for a look back, with the options that the table
/// has and those its handle was given: so does Java.
pub(crate) async fn schema_at(history: &History, newest: &Arc<Schema>, found: &Found) -> Result<Arc<Schema>> {
    match found.looks_back {
        false => Ok(Arc::clone(newest)),
        true => schema_of(history, newest, found.snapshot.schema_id).await,
    }
}

/// The columns of one of the table's schemas with the options of a handle: those of the newer one of the two schemas,
/// and those that the handle was given besides its own on top.
pub(crate) async fn schema_of(history: &History, handle: &Arc<Schema>, id: SchemaId) -> Result<Arc<Schema>> {
    if id == handle.id {
        return Ok(Arc::clone(handle));
    }
    let mut schema = Schema::clone(&*history.schemas.load(id).await?);
    if id < handle.id {
        schema.options.clone_from(&handle.options);
    } else {
        let own = history.schemas.load(handle.id).await?;
        let given = handle.options.iter().filter(|(name, value)| own.options.get(*name) != Some(*value));
        schema.options.extend(given.map(|(name, value)| (name.clone(), value.clone())));
    }
    Ok(Arc::new(if handle.has_row_tracking() { schema.with_row_tracking() } else { schema }))
}

/// Which live files lie in partitions for which a filter may be true.
///
/// # Errors
/// [`crate::Error::Invalid`] for a filter that does not fit the schema or speaks of columns that are no partition columns.
pub fn partition_filter(schema: &Arc<Schema>, options: &TableOptions, filter: &Expr) -> Result<FileFilter> {
    let filter = filter.bind(schema)?;
    if let Some(other) = filter.columns().into_iter().find(|column| !schema.partition_keys.contains(column)) {
        if schema.partition_keys.is_empty() {
            return Err(crate::Error::invalid(format!("{other} is no partition column: the table has no partitions")));
        }
        let columns = schema.partition_keys.join(", ");
        return Err(crate::Error::invalid(format!("{other} is no partition column (they are: {columns})")));
    }
    Ok(Pruner::new(schema, options, Some(&filter))?.partition_filter())
}
