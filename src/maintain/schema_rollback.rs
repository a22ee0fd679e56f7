//! An older schema becomes the newest again: the files of newer ones go, which nothing may name.
//!
//! ```text
//! who names a newer one? → note → newest file goes .. → who names one that went? ─ nobody → the note goes
//!                                                               └ a commit meanwhile → they come back, conflict
//! ```
//!
//! A commit that is the first to name a schema reads its file before it publishes, and once more after it did; so a
//! commit of ours and a rollback never miss each other both. Spec: `format-spec/schema.md`, rollback.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::format::{GoingSchema, ManifestEntry, RollbackNote, Snapshot, layout};
use crate::history::{FileFilter, History};
use crate::schema::{Schema, SchemaId};

/// Looks for who names a schema, while expiry takes what is looked at.
const TRIES: u32 = 5;

/// Makes an older schema of the table (or the branch) the newest again. Schema files are deleted, the newest first; no
/// data file is touched. Nothing is done where it is the newest.
///
/// # Errors
/// [`Error::NotFound`] for the schema; [`Error::Invalid`] that tells which snapshot, tag or changelog names a newer one (then
/// nothing is changed); [`Error::Conflict`] when a commit came meanwhile that does (then the table is as that commit left
/// it); the store's errors: then repeat it.
pub async fn rollback_schema(history: &History, to: SchemaId) -> Result<Arc<Schema>> {
    history.store.require_conditional_create().await?;
    settle_earlier(history).await?;
    let ids = history.schemas.ids().await?;
    if !ids.contains(&to) {
        return Err(Error::not_found(format!("schema {to} of {}", history.store.location())));
    }
    if let Some((who, id)) = named_above(history, to).await? {
        return Err(Error::invalid(format!("a rollback to schema {to}: {who} names schema {id}")));
    }
    let newer: Vec<SchemaId> = ids.into_iter().filter(|id| *id > to).collect();
    if !newer.is_empty() {
        take(history, to, &newer).await?;
    }
    history.schemas.look_again().await?;
    history.schemas.load(to).await
}

async fn take(history: &History, to: SchemaId, newer: &[SchemaId]) -> Result<()> {
    let pointers = &history.pointers;
    let mut schemas = Vec::new();
    for id in newer {
        let path = layout::schema(*id);
        // One that another rollback takes meanwhile is its to put back.
        let Some(bytes) = pointers.try_read(&path).await? else { continue };
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| Error::corrupt(&path, "it is no text"))?;
        schemas.push(GoingSchema { id: *id, text });
    }
    let note = RollbackNote { version: RollbackNote::VERSION, schemas };
    let path = layout::rollback_note(&history.store.env().uuid())?;
    pointers.write(&path, note.encode()?).await?;
    for going in note.schemas.iter().rev() {
        pointers.delete(&layout::schema(going.id)).await?;
    }
    let named = match history.schemas.ids().await?.into_iter().find(|id| *id > to && !newer.contains(id)) {
        Some(id) => Some(("an alter".to_string(), id)),
        None => named_above(history, to).await?,
    };
    if named.is_some() {
        for going in &note.schemas {
            put_back(history, going).await?;
        }
    }
    pointers.delete(&path).await?;
    match named {
        None => Ok(()),
        Some((who, id)) => {
            history.schemas.look_again().await?;
            Err(Error::conflict(format!("a rollback to schema {to}: {who} came meanwhile and names schema {id}")))
        }
    }
}

/// # Errors
/// [`Error::Conflict`] when another schema has the number by now.
async fn put_back(history: &History, going: &GoingSchema) -> Result<()> {
    let (path, bytes) = (layout::schema(going.id), Bytes::from(going.text.clone()));
    match history.pointers.create_settled(&path, bytes).await? {
        true => Ok(()),
        false => Err(Error::conflict(format!("{path}: another schema got its number meanwhile"))),
    }
}

/// Ends what a rollback began that died: what a snapshot names comes back, and the rest stays gone.
async fn settle_earlier(history: &History) -> Result<()> {
    let mut notes = Vec::new();
    for file in history.pointers.list(layout::SCHEMA_DIR).await? {
        let Some(id) = file.name.strip_prefix("rollback-") else { continue };
        let path = layout::rollback_note(id)?;
        let Some(bytes) = history.pointers.try_read(&path).await? else { continue };
        notes.push((RollbackNote::decode(&bytes, &path)?, path));
    }
    for (note, path) in notes {
        let there = history.schemas.ids().await?;
        for going in note.schemas.iter().filter(|going| !there.contains(&going.id)) {
            if named_above(history, going.id - 1).await?.is_some() {
                put_back(history, going).await?;
            }
        }
        history.pointers.delete(&path).await?;
    }
    Ok(())
}

/// A snapshot, tag or changelog that names a schema above this one, itself or by a file; and which.
async fn named_above(history: &History, to: SchemaId) -> Result<Option<(String, SchemaId)>> {
    let mut tries = 1;
    loop {
        match look_above(history, to).await {
            // Expiry took what a snapshot names: the next one tells the state.
            Err(Error::NotFound(_)) if tries < TRIES => tries += 1,
            looked => return looked,
        }
    }
}

async fn look_above(history: &History, to: SchemaId) -> Result<Option<(String, SchemaId)>> {
    let mut pointers: BTreeMap<String, (Snapshot, Reach)> = BTreeMap::new();
    let snapshots = &history.snapshots;
    let mut reach = Reach::State;
    for id in snapshots.ids().await? {
        // One that expired meanwhile is passed over.
        let Some(snapshot) = snapshots.try_load(id).await? else { continue };
        pointers.insert(format!("snapshot {id}"), (snapshot, reach));
        reach = Reach::Delta;
    }
    for name in history.tags.list().await? {
        if let Some(tag) = history.tags.try_load(&name).await? {
            pointers.insert(format!("tag {name:?}"), (tag.snapshot, Reach::State));
        }
    }
    for id in snapshots.changelog_ids().await? {
        if let Some(changelog) = snapshots.try_load_changelog(id).await? {
            pointers.insert(format!("changelog {id}"), (changelog, Reach::Changes));
        }
    }
    let told = pointers.iter().find(|(_, (snapshot, _))| snapshot.schema_id > to);
    if let Some((who, (snapshot, _))) = told {
        return Ok(Some((who.clone(), snapshot.schema_id)));
    }
    for (who, (snapshot, reach)) in &pointers {
        let files = files(history, snapshot, *reach).await?;
        if let Some(entry) = files.iter().find(|entry| entry.file.schema_id > to) {
            return Ok(Some((format!("a file of {who}"), entry.file.schema_id)));
        }
    }
    Ok(None)
}

/// Which files of a snapshot are looked at.
#[derive(Debug, Clone, Copy)]
enum Reach {
    /// All that are live, and its changelog.
    State,
    /// What it brought: the snapshot before it is looked at too.
    Delta,
    /// What it brought, as far as it is there.
    Changes,
}

async fn files(history: &History, snapshot: &Snapshot, reach: Reach) -> Result<Vec<Arc<ManifestEntry>>> {
    let (manifests, all) = (&history.manifests, FileFilter::default());
    let mut files = match reach {
        Reach::State => manifests.live_files(snapshot, &all).await?,
        Reach::Delta => manifests.delta_files(snapshot, &all).await?,
        Reach::Changes => if_there(manifests.delta_files(snapshot, &all).await)?,
    };
    if snapshot.changelog_manifest_list.is_some() {
        // That of a tag, or of a branch's first snapshot, may have expired.
        files.extend(if_there(manifests.changelog_files(snapshot, &all).await)?);
    }
    Ok(files)
}

fn if_there(read: Result<Vec<Arc<ManifestEntry>>>) -> Result<Vec<Arc<ManifestEntry>>> {
    match read {
        Err(Error::NotFound(_)) => Ok(Vec::new()),
        other => other,
    }
}
