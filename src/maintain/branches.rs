//! Making and deleting branches: pointers of their own to files that all share.
//! Spec: `format-spec/hints-tags-consumers.md`, branches.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::format::layout;
use crate::history::History;
use crate::io::Created;

/// Makes a branch of a table: an empty one with the table's schemas, or one that begins with the snapshot of a tag. It is
/// there for good with its newest schema, which comes last.
///
/// # Errors
/// [`Error::AlreadyExists`]; [`Error::NotFound`] for a tag that is not there, or not any more; [`Error::Invalid`] for a bad
/// name; the store's errors, after which a part of the branch may be there: delete it.
pub async fn create_branch(history: &History, name: &str, tag: Option<&str>) -> Result<()> {
    let branch = history.on_branch(name)?;
    if branch.branch.is_none() {
        return Err(Error::invalid(format!("branch name {name:?} is the table's own")));
    }
    history.store.require_conditional_create().await?;
    let claim = layout::branch_claim(name)?;
    claim_name(history, name, &claim).await?;
    let made = fill_branch(history, &branch, name, tag).await;
    let freed = history.store.delete(&claim).await;
    made.and(freed)
}

/// Of those that make one branch at once only one does.
async fn claim_name(history: &History, name: &str, claim: &str) -> Result<()> {
    let mine = Bytes::from(history.store.env().uuid().to_string());
    match history.store.create(claim, mine.clone()).await? {
        Created::Won => Ok(()),
        created => match (history.store.try_read(claim).await?, created) {
            (Some(found), _) if found == mine => Ok(()),
            (None, Created::Unknown(words)) => Err(Error::storage(format!("create {claim}: {words}"))),
            _ => Err(Error::already_exists(format!(
                "branch {name:?}, half made: by another, or left so and to be deleted"
            ))),
        },
    }
}

async fn fill_branch(history: &History, branch: &History, name: &str, tag: Option<&str>) -> Result<()> {
    if history.branches.list().await?.iter().any(|other| other == name) {
        return Err(Error::already_exists(format!("branch {name:?}")));
    }
    let newest = match tag {
        Some(tag) => {
            let path = layout::tag(tag)?;
            let Some(bytes) = history.pointers.try_read(&path).await? else {
                return Err(Error::not_found(format!("tag {tag:?}")));
            };
            let snapshot = history.tags.load(tag).await?.snapshot;
            copy(branch, name, &path, bytes).await?;
            let path = layout::snapshot(snapshot.id);
            let bytes = match history.pointers.try_read(&path).await? {
                Some(bytes) => bytes,
                None => snapshot.encode()?,
            };
            copy(branch, name, &path, bytes).await?;
            snapshot.schema_id
        }
        None => history.schemas.require_latest().await?.id,
    };
    for id in history.schemas.ids().await?.into_iter().filter(|id| *id <= newest) {
        let path = layout::schema(id);
        if let Some(bytes) = history.pointers.try_read(&path).await? {
            copy(branch, name, &path, bytes).await?;
        }
    }
    // Until the branch is seen, the tag alone keeps what it points at.
    if let Some(tag) = tag
        && history.tags.try_load(tag).await?.is_none()
    {
        delete_branch(history, name).await?;
        return Err(Error::not_found(format!("tag {tag:?}: it was deleted while branch {name:?} was made from it")));
    }
    Ok(())
}

async fn copy(branch: &History, name: &str, path: &str, bytes: Bytes) -> Result<()> {
    match branch.pointers.create(path, bytes.clone()).await? {
        Created::Won => Ok(()),
        created => match (branch.pointers.try_read(path).await?, created) {
            (Some(found), _) if found == bytes => Ok(()),
            (Some(_), _) => Err(Error::already_exists(format!("branch {name:?}"))),
            (None, Created::Unknown(words)) => Err(Error::storage(format!("create {path}: {words}"))),
            (None, _) => Err(Error::storage(format!("create {path}: it is said to exist and is not there"))),
        },
    }
}

/// Deletes a branch: its pointers, the snapshots first and the schemas last. Data files that only it named stay.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for a bad name; the store's errors: then repeat it.
pub async fn delete_branch(history: &History, name: &str) -> Result<()> {
    let (directory, claim) = (layout::branch(name)?, layout::branch_claim(name)?);
    let half_made = history.store.exists(&claim).await?;
    match existing(history, name).await {
        Err(Error::NotFound(_)) if half_made => {}
        found => drop(found?),
    }
    history.store.delete_dir(&format!("{directory}/{}", layout::SNAPSHOT_DIR)).await?;
    history.store.delete_dir(&directory).await?;
    if half_made { history.store.delete(&claim).await } else { Ok(()) }
}

/// A branch that is there.
pub(super) async fn existing(history: &History, name: &str) -> Result<History> {
    let branch = history.on_branch(name)?;
    if branch.branch.is_none() {
        return Err(Error::invalid(format!("branch name {name:?} is the table's own")));
    }
    match history.branches.list().await?.iter().any(|other| other == name) {
        true => Ok(branch),
        false => Err(Error::not_found(format!("branch {name:?}"))),
    }
}
