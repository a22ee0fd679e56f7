//! Fast-forward of a branch: the table takes the branch's snapshots that follow its own newest one.
//!
//! ```text
//! main    1 ─ 2 ─ 3                      main    1 ─ 2 ─ 3 ─ 4 ─ 5
//! branch          3 ─ 4 ─ 5      →       branch          3 ─ 4 ─ 5
//! ```
//!
//! Each snapshot is created if absent, the oldest first, as a commit creates it: whenever it stops, the table is as one of
//! the branch's snapshots has it, and the next try goes on. Nothing is taken away, so that a table that went on by itself
//! is refused. Spec: `format-spec/hints-tags-consumers.md`, fast-forward.

use bytes::Bytes;

use super::branches::existing;
use crate::error::{Error, Result};
use crate::format::{SnapshotId, encode_hint, layout};
use crate::history::History;

/// What a fast-forward brought to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// The table's newest snapshot before; `None` where it had none.
    pub from: Option<SnapshotId>,
    /// Its newest snapshot since.
    pub to: SnapshotId,
    /// Schemas that came along.
    pub schemas: u64,
    /// Tags that came along.
    pub tags: u64,
}

/// Files of the branch that the table lacks, in the order of their numbers or names: path and bytes.
type Missing = Vec<(String, Bytes)>;

/// Fast-forwards the table to a branch.
///
/// # Errors
/// [`Error::NotFound`] for the branch, or a snapshot that it lost; [`Error::Invalid`] for a bad name; [`Error::Conflict`] for
/// a table with snapshots, schemas or tags that are not the branch's, also where they came meanwhile: then it is as one of
/// the branch's snapshots has it; the store's errors: then repeat it.
pub async fn fast_forward(history: &History, name: &str) -> Result<Forwarded> {
    let branch = existing(history, name).await?;
    history.store.require_conditional_create().await?;
    let Some(newest) = branch.snapshots.latest().await? else {
        return Err(Error::invalid(format!("branch {name:?} has no snapshot to go to")));
    };
    let from = forked_at(history, &branch, name).await?;
    let schemas = missing_schemas(history, &branch, name).await?;
    let tags = missing_tags(history, &branch, name).await?;
    let mut snapshots = Missing::new();
    for id in from.unwrap_or(0) + 1..=newest.id {
        let path = layout::snapshot(id);
        let Some(bytes) = branch.pointers.try_read(&path).await? else {
            return Err(Error::not_found(format!("snapshot {id} of branch {name:?}: it has expired there")));
        };
        snapshots.push((path, bytes));
    }
    // Whoever reads a snapshot needs its schema.
    for (path, bytes) in &schemas {
        bring(history, path, bytes).await?;
    }
    for (at, (path, bytes)) in snapshots.iter().enumerate() {
        bring(history, path, bytes).await?;
        if at == 0 {
            still_follows(history, from, path).await?;
        }
    }
    let hint = format!("{}/{}", layout::SNAPSHOT_DIR, layout::LATEST);
    if let Err(error) = history.pointers.replace_hint(&hint, encode_hint(newest.id)).await {
        tracing::warn!(%error, "the hint at the newest snapshot could not be moved; readers list instead");
    }
    for (path, bytes) in &tags {
        bring(history, path, bytes).await?;
    }
    Ok(Forwarded { from, to: newest.id, schemas: schemas.len() as u64, tags: tags.len() as u64 })
}

/// The table's newest snapshot, which must be the branch's too.
async fn forked_at(history: &History, branch: &History, name: &str) -> Result<Option<SnapshotId>> {
    let Some(main) = history.snapshots.latest().await? else { return Ok(None) };
    let theirs = branch.snapshots.try_load(main.id).await?;
    if theirs.as_ref() == Some(&main) {
        return Ok(Some(main.id));
    }
    let id = main.id;
    let went_on = "the table went on by itself, and snapshots are not taken away under its readers and writers";
    let no_tag = "the branch was made without a tag";
    let another = format!("snapshot {id} of the table is another one than the branch's");
    let why = match (beginning(history, branch).await?, theirs) {
        (Beginning::Own, _) => format!("{no_tag} and has no snapshot in common with the table"),
        (Beginning::Behind(first), None) if first > id => {
            format!("the branch begins with snapshot {first}, and the newest one of the table is {id}")
        }
        (_, None) => format!("snapshot {id} of the table came after the branch began: {went_on}"),
        (Beginning::Unknown, Some(_)) => format!("{another}: {no_tag}, or {went_on}"),
        (Beginning::Behind(_), Some(_)) => format!("{another}: {went_on}"),
    };
    Err(Error::conflict(format!("fast-forward to branch {name:?}: {why}")))
}

/// How a branch began, as far as its snapshots tell.
enum Beginning {
    /// With a snapshot of the table.
    Behind(SnapshotId),
    /// With one of its own.
    Own,
    /// The table's snapshot of this number has expired, or the branch's first ones have.
    Unknown,
}

async fn beginning(history: &History, branch: &History) -> Result<Beginning> {
    let Some(first) = branch.snapshots.earliest_id().await? else { return Ok(Beginning::Unknown) };
    let (theirs, own) = (branch.snapshots.try_load(first).await?, history.snapshots.try_load(first).await?);
    Ok(match (theirs, own) {
        (Some(theirs), Some(own)) if theirs == own => Beginning::Behind(first),
        (Some(_), Some(_)) => Beginning::Own,
        (Some(_), None) if first > history.snapshots.latest_id().await?.unwrap_or(0) => Beginning::Behind(first),
        _ => Beginning::Unknown,
    })
}

async fn missing_schemas(history: &History, branch: &History, name: &str) -> Result<Missing> {
    let (own, theirs) = (history.schemas.ids().await?, branch.schemas.ids().await?);
    if let Some(id) = own.iter().find(|id| theirs.iter().max().is_none_or(|newest| *id > newest)) {
        let what = format!("fast-forward to branch {name:?}: the table has schema {id}, and the branch does not");
        return Err(Error::conflict(what));
    }
    let paths = theirs.into_iter().map(layout::schema).collect();
    missing(history, branch, name, paths).await
}

async fn missing_tags(history: &History, branch: &History, name: &str) -> Result<Missing> {
    let names = branch.tags.list().await?;
    let paths = names.iter().map(|tag| layout::tag(tag)).collect::<Result<Vec<_>>>()?;
    missing(history, branch, name, paths).await
}

/// Those of the branch's files that the table lacks.
async fn missing(history: &History, branch: &History, name: &str, paths: Vec<String>) -> Result<Missing> {
    let mut missing = Missing::new();
    for path in paths {
        let Some(bytes) = branch.pointers.try_read(&path).await? else { continue };
        match history.pointers.try_read(&path).await? {
            None => missing.push((path, bytes)),
            Some(found) if found == bytes => {}
            Some(_) => {
                let what = format!("fast-forward to branch {name:?}: {path} of the table is another one");
                return Err(Error::conflict(what));
            }
        }
    }
    Ok(missing)
}

/// Creates a file of the branch in the table, or finds it there.
async fn bring(history: &History, path: &str, bytes: &Bytes) -> Result<()> {
    match history.pointers.create_settled(path, bytes.clone()).await? {
        true => Ok(()),
        false => Err(Error::conflict(format!("fast-forward: {path} of the table was made by another meanwhile"))),
    }
}

/// Whether the snapshot that was followed is still there: else others went on and it has expired, so that the number that
/// was taken is one that lies behind.
async fn still_follows(history: &History, from: Option<SnapshotId>, path: &str) -> Result<()> {
    let Some(from) = from else { return Ok(()) };
    if history.snapshots.exists(from).await? {
        return Ok(());
    }
    history.pointers.delete(path).await?;
    Err(Error::conflict(format!("fast-forward: snapshot {from} of the table expired meanwhile")))
}
