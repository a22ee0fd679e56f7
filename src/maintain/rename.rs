//! Renaming a branch: its pointers are copied, the old name is sealed against commits, and the old pointers go.
//!
//! ```text
//! copy all, the newest schema last → seal the next snapshot's slot (a commit came: copy again) → delete, the seal last
//! ```
//!
//! Whenever it stops, the branch is whole under one name, and the next try ends it. No store renames a directory in one
//! request but the local disk. Spec: `format-spec/hints-tags-consumers.md`, branches.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::branches::existing;
use crate::error::{Error, Result};
use crate::format::layout;
use crate::history::History;

/// Times that commits may come between.
const TRIES: u32 = 100;

/// What stands in the slot of the next snapshot of a branch that has another name: no snapshot.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Seal {
    renamed_to: String,
}

/// Gives a branch another name. Commits under the old one fail from then on.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::AlreadyExists`] for the new name; [`Error::Invalid`] for a bad one; the store's errors:
/// then repeat it.
pub async fn rename_branch(history: &History, from: &str, to: &str) -> Result<()> {
    let (source, target) = (existing(history, from).await?, history.on_branch(to)?);
    if target.branch.is_none() || from == to {
        return Err(Error::invalid(format!("branch {from:?} cannot be named {to:?}")));
    }
    history.store.require_conditional_create().await?;
    let copied = target.schemas.latest().await?.is_some() && source.schemas.latest().await?.is_none();
    match seal_of(&source).await? {
        Some(Seal { renamed_to: other }) if other != to => {
            return Err(Error::conflict(format!("branch {from:?} is being renamed to {other:?}: end that first")));
        }
        Some(_) => {}
        // An earlier try stopped before the last of its files.
        None if copied => {}
        None => move_pointers(history, &source, &target, to).await?,
    }
    let directory = layout::branch(from)?;
    for part in [layout::SCHEMA_DIR, layout::TAG_DIR] {
        history.store.delete_dir(&format!("{directory}/{part}")).await?;
    }
    // The seal is the newest in its directory: it goes when the others are gone.
    for id in source.snapshots.ids().await? {
        source.pointers.delete(&layout::snapshot(id)).await?;
    }
    history.store.delete_dir(&directory).await
}

async fn seal_of(source: &History) -> Result<Option<Seal>> {
    let Some(newest) = source.snapshots.ids().await?.last().copied() else { return Ok(None) };
    let Some(bytes) = source.pointers.try_read(&layout::snapshot(newest)).await? else { return Ok(None) };
    Ok(serde_json::from_slice(&bytes).ok())
}

/// Copies until no commit came between, and seals.
async fn move_pointers(history: &History, source: &History, target: &History, to: &str) -> Result<()> {
    let seal = Seal { renamed_to: to.to_string() };
    let seal = serde_json::to_vec(&seal).map_err(|error| Error::bug(error.to_string()))?;
    let seal = Bytes::from(seal);
    only_copies(history, source, target, to).await?;
    for _ in 0..TRIES {
        let newest = source.snapshots.ids().await?.last().copied();
        copy_pointers(history, source, target, to).await?;
        let path = layout::snapshot(newest.unwrap_or(0) + 1);
        if source.pointers.create_settled(&path, seal.clone()).await? {
            return Ok(());
        }
    }
    Err(Error::exhausted(format!("renaming a branch to {to:?}: {TRIES} commits came between")))
}

/// Hints are not copied; a consumer's progress is the only file that changes.
fn is_hint(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name == layout::LATEST || name == layout::EARLIEST
}

/// What lies under the new name must be the rest of an earlier try.
async fn only_copies(history: &History, source: &History, target: &History, to: &str) -> Result<()> {
    for file in history.store.list_recursive(&layout::branch(to)?).await? {
        let path = file.name.as_str();
        let mutable = is_hint(path) || path.starts_with(layout::CONSUMER_DIR);
        if !mutable && source.pointers.try_read(path).await? != target.pointers.try_read(path).await? {
            return Err(Error::already_exists(format!("branch {to:?}")));
        }
    }
    Ok(())
}

async fn copy_pointers(history: &History, source: &History, target: &History, to: &str) -> Result<()> {
    let name = source.branch.as_deref().unwrap_or_default();
    let files = history.store.list_recursive(&layout::branch(name)?).await?;
    let mut paths: Vec<String> = files.into_iter().map(|file| file.name).filter(|path| !is_hint(path)).collect();
    let newest = source.schemas.require_latest().await?.id;
    // A branch without its newest schema is seen by no reader.
    paths.sort_by_key(|path| *path == layout::schema(newest));
    for path in paths {
        let Some(bytes) = source.pointers.try_read(&path).await? else { continue };
        if path.starts_with(layout::CONSUMER_DIR) {
            target.pointers.replace(&path, bytes).await?;
            continue;
        }
        if !target.pointers.create_settled(&path, bytes).await? {
            return Err(Error::already_exists(format!("branch {to:?}")));
        }
    }
    Ok(())
}
