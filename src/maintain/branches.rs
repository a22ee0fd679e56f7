//! Making and deleting branches: pointers of their own to files that all share.
//! Spec: `format-spec/hints-tags-consumers.md`, branches.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::format::layout;
use crate::history::History;

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
    check_no_branch(history, name).await?;
    if let Some(tag) = tag
        && history.tags.try_load(tag).await?.is_none()
    {
        return Err(Error::not_found(format!("tag {tag:?}")));
    }
    let claim = Claim::of(history, name).await?;
    let made = fill_branch(history, &branch, name, tag, &claim).await;
    claim.release().await;
    made
}

async fn check_no_branch(history: &History, name: &str) -> Result<()> {
    match history.branches.list().await?.iter().any(|other| other == name) {
        true => Err(Error::already_exists(format!("branch {name:?}"))),
        false => Ok(()),
    }
}

/// The right to make a branch of a name: of those that would do so at once one has it.
struct Claim<'a> {
    history: &'a History,
    path: String,
    mine: Bytes,
}

impl<'a> Claim<'a> {
    /// # Errors
    /// [`Error::AlreadyExists`] where somebody else has it.
    async fn of(history: &'a History, name: &str) -> Result<Self> {
        let mine = Bytes::from(history.store.env().uuid().to_string());
        let claim = Self { history, path: layout::branch_claim(name)?, mine };
        if history.store.create_settled(&claim.path, claim.mine.clone()).await? {
            return Ok(claim);
        }
        check_no_branch(history, name).await?;
        let words = "is being made; if its maker died, delete the branch";
        Err(Error::already_exists(format!("branch {name:?} {words}")))
    }

    async fn is_mine(&self) -> Result<bool> {
        Ok(self.history.store.try_read(&self.path).await?.is_some_and(|found| found == self.mine))
    }

    /// What is left of it keeps nobody but those that make the branch once more, after it was deleted.
    async fn release(self) {
        let released = match self.is_mine().await {
            Ok(true) => self.history.store.delete(&self.path).await,
            other => other.map(drop),
        };
        if let Err(error) = released {
            tracing::warn!(path = %self.path, %error, "the claim of a branch that is made stays behind");
        }
    }
}

async fn fill_branch(
    history: &History,
    branch: &History,
    name: &str,
    tag: Option<&str>,
    claim: &Claim<'_>,
) -> Result<()> {
    check_no_branch(history, name).await?;
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
        if id == newest && !claim.is_mine().await? {
            return Err(Error::conflict(format!("branch {name:?} was deleted while it was made")));
        }
        if let Some(bytes) = history.pointers.try_read(&path).await? {
            copy(branch, name, &path, bytes).await?;
        }
    }
    // Until the branch is seen, the tag alone keeps what it points at.
    if let Some(tag) = tag
        && history.tags.try_load(tag).await?.is_none()
    {
        delete_pointers(history, name).await?;
        return Err(Error::not_found(format!("tag {tag:?}: it was deleted while branch {name:?} was made from it")));
    }
    Ok(())
}

async fn copy(branch: &History, name: &str, path: &str, bytes: Bytes) -> Result<()> {
    match branch.pointers.create_settled(path, bytes).await? {
        true => Ok(()),
        false => Err(Error::already_exists(format!("branch {name:?}"))),
    }
}

/// Deletes a branch: its pointers, the snapshots first and the schemas last. Data files that only it named stay.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for a bad name; the store's errors: then repeat it.
pub async fn delete_branch(history: &History, name: &str) -> Result<()> {
    let claim = layout::branch_claim(name)?;
    let half_made = history.store.exists(&claim).await?;
    match existing(history, name).await {
        Err(Error::NotFound(_)) if half_made => {}
        found => drop(found?),
    }
    delete_pointers(history, name).await?;
    if half_made { history.store.delete(&claim).await } else { Ok(()) }
}

async fn delete_pointers(history: &History, name: &str) -> Result<()> {
    let directory = layout::branch(name)?;
    history.store.delete_dir(&format!("{directory}/{}", layout::SNAPSHOT_DIR)).await?;
    history.store.delete_dir(&directory).await
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
