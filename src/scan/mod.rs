//! Which files a read needs: a snapshot in, splits out.
//!
//! The plan itself is pure ([`plan`]); finding the snapshot and its manifests is the only effect.
//! Spec: `format-spec/read.md`.

mod at;
mod plan;
mod prune;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use at::At;
pub use plan::{PlanRules, bound, plan_changes, plan_rows};

use crate::error::Result;
use crate::format::{Snapshot, SnapshotId, Split, decode_index_manifest, layout};
use crate::history::History;
use crate::predicate::Expr;
use crate::schema::{Schema, TableOptions, Use};
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

/// Plans a read of a snapshot whose rows come out in `schema`. A batch read of a first-row table leaves level 0 out;
/// the rows that a stream begins with hold it.
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
    refuse_unread_indexes(history, snapshot).await?;
    let mut pruner = Pruner::new(schema, &options, filter.as_ref())?;
    let mut rules = PlanRules::new(schema, &options)?;
    rules.skips_level_0 &= !with_level_0;
    let mut entries = history.manifests.live_files(snapshot, &pruner.file_filter()).await?;
    if rules.skips_level_0 {
        entries.retain(|entry| entry.file.level > 0);
    }
    let ids: BTreeSet<i64> = entries.iter().map(|entry| entry.file.schema_id).collect();
    for id in ids {
        pruner.know(&*history.schemas.load(id).await?)?;
    }
    let splits = plan_rows(&rules, snapshot.id, entries, &pruner)?;
    Ok(Plan { snapshot: Some(snapshot.id), schema: Arc::clone(schema), filter, splits })
}

/// The newest schema for the newest rows; the snapshot's own columns for a look back, with the options that the table
/// has and those its handle was given: so does Java.
async fn schema_at(history: &History, newest: &Arc<Schema>, at: &At, snapshot: &Snapshot) -> Result<Arc<Schema>> {
    match at {
        At::Latest => Ok(Arc::clone(newest)),
        _ if snapshot.schema_id == newest.id => Ok(Arc::clone(newest)),
        _ => {
            let then = history.schemas.load(snapshot.schema_id).await?;
            Ok(Arc::new(Schema { options: newest.options.clone(), ..Schema::clone(&then) }))
        }
    }
}

/// Index files that change what a row reader sees are refused by name.
async fn refuse_unread_indexes(history: &History, snapshot: &Snapshot) -> Result<()> {
    let Some(name) = &snapshot.index_manifest else { return Ok(()) };
    let path = layout::manifest(name)?;
    for entry in decode_index_manifest(&history.store.read(&path).await?, &path)? {
        if entry.index_type != "HASH" {
            let what = format!("index files of type {} in snapshot {}", entry.index_type, snapshot.id);
            return Err(crate::Error::unsupported(what));
        }
    }
    Ok(())
}
