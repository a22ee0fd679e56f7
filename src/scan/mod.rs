//! Which files a read needs: a snapshot in, splits out.
//!
//! The plan itself is pure ([`plan`]); finding the snapshot and its manifests is the only effect.
//! Spec: `format-spec/read.md`.

mod at;
mod plan;
mod prune;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use at::At;
pub use plan::{PlanRules, bound, plan_changes, plan_rows};

use crate::error::Result;
use crate::format::{Snapshot, SnapshotId, Split, decode_index_manifest, layout};
use crate::history::History;
use crate::predicate::Expr;
use crate::schema::{Schema, TableOptions, Use, check_options};
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
        return Ok(Plan { snapshot: None, schema: Arc::clone(newest), filter: None, splits: Vec::new() });
    };
    let schema = schema_at(history, newest, at, &snapshot).await?;
    check_options(&schema, Use::Read)?;
    let options = TableOptions::parse(&schema)?;
    let bound = filter.map(|filter| filter.bind(&schema)).transpose()?;
    refuse_unread_indexes(history, &snapshot).await?;
    let mut pruner = Pruner::new(&schema, &options, bound.as_ref())?;
    let entries = history.manifests.live_files(&snapshot, &pruner.file_filter()).await?;
    for id in schema_ids(entries.iter().map(|entry| entry.file.schema_id)) {
        pruner.know(&*history.schemas.load(id).await?)?;
    }
    let rules = PlanRules::new(&schema, &options)?;
    let splits = plan_rows(&rules, snapshot.id, entries, &pruner)?;
    Ok(Plan { snapshot: Some(snapshot.id), schema, filter: bound, splits })
}

/// The newest schema for the newest rows; the snapshot's own for a look back.
async fn schema_at(history: &History, newest: &Arc<Schema>, at: &At, snapshot: &Snapshot) -> Result<Arc<Schema>> {
    match at {
        At::Latest => Ok(Arc::clone(newest)),
        _ if snapshot.schema_id == newest.id => Ok(Arc::clone(newest)),
        _ => history.schemas.load(snapshot.schema_id).await,
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

fn schema_ids(ids: impl Iterator<Item = i64>) -> Vec<i64> {
    let ids: BTreeMap<i64, ()> = ids.map(|id| (id, ())).collect();
    ids.into_keys().collect()
}
