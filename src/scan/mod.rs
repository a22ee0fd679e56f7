//! Which files a read needs: a snapshot in, splits out.
//!
//! The plan itself is pure ([`plan`]); finding the snapshot and its manifests is the only effect.
//! Spec: `format-spec/read.md`.

mod at;
mod count;
mod plan;
mod prune;
mod vectors;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use at::At;
pub use count::counted;
pub use plan::{PlanRules, bound, plan_changes, plan_rows};
pub use vectors::{FileVectors, Vectors, load_vectors};

use futures::future::try_join;

use crate::error::Result;
use crate::format::{ManifestEntry, Snapshot, SnapshotId, Split};
use crate::history::{FileFilter, History};
use crate::predicate::Expr;
use crate::schema::{Schema, SchemaId, TableOptions, Use};
use prune::Pruner;

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

/// Plans a batch read.
///
/// # Errors
/// [`crate::Error::NotFound`] for a snapshot that is not there, [`crate::Error::Invalid`] for a filter that does not
/// fit the schema, [`crate::Error::Unsupported`] for a table feature this version cannot read.
pub async fn plan(history: &History, newest: &Arc<Schema>, at: &At, filter: Option<&Expr>) -> Result<Plan> {
    let Some(snapshot) = at.find(history).await? else {
        let filter = filter.map(|filter| filter.bind(newest)).transpose()?;
        return Ok(Plan { snapshot: None, schema: Arc::clone(newest), filter, splits: Vec::new() });
    };
    let schema = schema_at(history, newest, at, &snapshot).await?;
    plan_snapshot(history, &schema, &snapshot, filter, false).await
}

/// Plans a read of a snapshot whose rows come out in `schema`. A batch read leaves level 0 out where deletion vectors
/// are kept and where the first row stays; the rows that a stream begins with hold it.
///
/// # Errors
/// As [`plan`].
pub async fn plan_snapshot(
    history: &History,
    schema: &Arc<Schema>,
    snapshot: &Snapshot,
    filter: Option<&Expr>,
    with_level_0: bool,
) -> Result<Plan> {
    let options = TableOptions::checked(schema, Use::Read)?;
    let filter = filter.map(|filter| filter.bind(schema)).transpose()?;
    let mut rules = PlanRules::new(schema, &options)?;
    rules.skips_level_0 &= !with_level_0;
    let mut pruner = Pruner::new(schema, &options, filter.as_ref())?;
    let (vectors, entries) = match live_files(history, snapshot, &pruner.file_filter(rules.skips_level_0)).await {
        Ok(found) => found,
        Err(error) => return Err(history.snapshots.explain(snapshot.id, false, error).await),
    };
    let ids: BTreeSet<i64> = entries.iter().map(|entry| entry.file.schema_id).collect();
    for id in ids {
        pruner.know(&*history.schemas.load(id).await?)?;
    }
    let splits = plan_rows(&rules, snapshot.id, entries, &vectors, &pruner)?;
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
    live_files(history, snapshot, &pruner.file_filter(rules.skips_level_0)).await
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
    if *at == At::Latest {
        return Ok(Arc::clone(newest));
    }
    match at.find(history).await? {
        Some(snapshot) => schema_at(history, newest, at, &snapshot).await,
        None => Ok(Arc::clone(newest)),
    }
}

/// The newest schema for the newest rows; the snapshot's own columns for a look back, with the options that the table
/// has and those its handle was given: so does Java.
pub(crate) async fn schema_at(
    history: &History,
    newest: &Arc<Schema>,
    at: &At,
    snapshot: &Snapshot,
) -> Result<Arc<Schema>> {
    match at {
        At::Latest => Ok(Arc::clone(newest)),
        _ => schema_of(history, newest, snapshot.schema_id).await,
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
    Ok(Arc::new(schema))
}

/// Which live files lie in partitions for which a filter may be true.
///
/// # Errors
/// [`crate::Error::Invalid`] for a filter that does not fit the schema or speaks of columns that are no partition columns.
pub fn partition_filter(schema: &Arc<Schema>, options: &TableOptions, filter: &Expr) -> Result<FileFilter> {
    let filter = filter.bind(schema)?;
    if let Some(other) = filter.columns().into_iter().find(|column| !schema.partition_keys.contains(column)) {
        let columns = schema.partition_keys.join(", ");
        return Err(crate::Error::invalid(format!("{other} is no partition column (they are: {columns})")));
    }
    Ok(Pruner::new(schema, options, Some(&filter))?.partition_filter())
}
