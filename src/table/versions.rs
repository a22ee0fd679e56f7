//! Tags and branches of a table.

use std::time::Duration;

use super::Table;
use crate::error::{Error, Result};
use crate::format::SnapshotId;
use crate::maintain::{
    ExpireReport, Expirer, Forwarded, NewTag, Retention, create_branch, delete_branch, fast_forward, rename_branch,
};
use crate::scan::At;
use crate::schema::{TableOptions, Use, check_options};

impl Table {
    /// The same table as one of its branches has it, which has schemas, snapshots, tags and consumers of its own. `main` is
    /// the table itself. Options of this handle are not taken along.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such branch; those of [`Table::open`].
    pub async fn branch(&self, name: &str) -> Result<Self> {
        let history = self.history.on_branch(name)?;
        let Some(schema) = history.schemas.latest().await? else {
            return Err(Error::not_found(format!("branch {name:?} of {}", self.location())));
        };
        check_options(&schema, Use::Read)?;
        TableOptions::parse(&schema)?;
        Ok(Self { history, schema, ..self.clone() })
    }

    /// The branch that this handle is of; `None` for the table's own line of snapshots.
    pub fn branch_name(&self) -> Option<&str> {
        self.history.branch.as_deref()
    }

    /// Gives a snapshot a name, under which it stays when it expires. With a time to live (else the one of option
    /// `tag.default-time-retained`) expiry deletes the tag when it is over, of this engine and of others. Answers the
    /// snapshot.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] for the tag; [`Error::NotFound`] for the snapshot; [`Error::Invalid`] for a bad name;
    /// options that forbid writing; the store's errors.
    pub async fn create_tag(&self, name: &str, at: &At, time_retained: Option<Duration>) -> Result<SnapshotId> {
        let tag = self.new_tag(name, at, time_retained).await?;
        self.expirer()?.create_tag(tag).await
    }

    async fn new_tag(&self, name: &str, at: &At, time_retained: Option<Duration>) -> Result<NewTag> {
        check_options(&self.schema, Use::Write)?;
        let options = TableOptions::parse(&self.schema)?;
        let time_retained = time_retained.or(options.retention.tags);
        let found = at.find(&self.history, &options).await?;
        let Some(found) = found else {
            return Err(Error::not_found(format!("a snapshot of {} to tag", self.location())));
        };
        if found.files_since.is_some() {
            return Err(Error::invalid("a tag keeps a whole snapshot, not the files made since a time"));
        }
        Ok(NewTag { name: name.to_string(), snapshot: found.snapshot, time_retained })
    }

    /// Gives a tag another name.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::AlreadyExists`] for the new name; [`Error::Invalid`] for a bad one; options that forbid
    /// writing; the store's errors: then repeat it.
    pub async fn rename_tag(&self, from: &str, to: &str) -> Result<()> {
        check_options(&self.schema, Use::Write)?;
        self.expirer()?.rename_tag(from, to).await
    }

    /// Points a tag at another snapshot, and deletes what it alone kept. Answers the snapshot.
    ///
    /// # Errors
    /// As [`Table::create_tag`], and [`Error::NotFound`] for the tag.
    pub async fn replace_tag(&self, name: &str, at: &At, time_retained: Option<Duration>) -> Result<SnapshotId> {
        let tag = self.new_tag(name, at, time_retained).await?;
        self.expirer()?.replace_tag(tag).await
    }

    /// Deletes a tag, and what it alone kept if its snapshot has expired.
    ///
    /// # Errors
    /// [`Error::NotFound`]; options that forbid writing; what cannot be read, and the store's errors.
    pub async fn delete_tag(&self, name: &str) -> Result<ExpireReport> {
        check_options(&self.schema, Use::Write)?;
        self.expirer()?.delete_tag(name).await
    }

    fn expirer(&self) -> Result<Expirer> {
        let options = TableOptions::parse(&self.schema)?;
        let retention = Retention::of(&options);
        Ok(Expirer::new(self.history.clone(), self.schema.clone(), options, retention))
    }

    /// Makes a branch: an empty one with the table's schemas, or one that begins with the snapshot of a tag.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`]; [`Error::NotFound`] for the tag; [`Error::Unsupported`] on a branch; [`Error::Invalid`] for
    /// a bad name; options that forbid writing; the store's errors.
    pub async fn create_branch(&self, name: &str, tag: Option<&str>) -> Result<Self> {
        self.main_only("making a branch of a branch")?;
        self.publisher.check_own("making a branch by the table's handle")?;
        check_options(&self.schema, Use::Write)?;
        create_branch(&self.history, name, tag).await?;
        self.branch(name).await
    }

    /// Deletes a branch. Data files that only it named stay.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unsupported`] on a branch; [`Error::Invalid`] for a bad name; the store's errors.
    pub async fn delete_branch(&self, name: &str) -> Result<()> {
        self.main_only("deleting a branch")?;
        self.publisher.check_own("deleting a branch by the table's handle")?;
        check_options(&self.schema, Use::Write)?;
        delete_branch(&self.history, name).await
    }

    /// Takes the snapshots of a branch, its schemas and its tags, that follow the table's newest snapshot. Nothing is taken
    /// away: the branch stays, and a table that went on by itself since the branch was made is refused.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for a table with snapshots, schemas or tags that the branch has not;
    /// [`Error::Unsupported`] on a branch and for a table of a catalog service; options that forbid writing; the store's
    /// errors: then repeat it.
    pub async fn fast_forward(&self, branch: &str) -> Result<Forwarded> {
        self.main_only("a fast-forward")?;
        self.publisher.check_own("a fast-forward by the table's handle")?;
        check_options(&self.schema, Use::Write)?;
        fast_forward(&self.history, branch).await
    }

    /// Gives a branch another name. Handles with the old one fail from then on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::AlreadyExists`] for the new name; [`Error::Unsupported`] on a branch and for a table of
    /// a catalog service; [`Error::Invalid`] for a bad name; the store's errors: then repeat it.
    pub async fn rename_branch(&self, from: &str, to: &str) -> Result<()> {
        self.main_only("renaming a branch")?;
        self.publisher.check_own("renaming a branch by the table's handle")?;
        check_options(&self.schema, Use::Write)?;
        rename_branch(&self.history, from, to).await
    }

    /// # Errors
    /// [`Error::Unsupported`] that names what a branch cannot do.
    pub(super) fn main_only(&self, what: &str) -> Result<()> {
        match &self.history.branch {
            None => Ok(()),
            Some(branch) => Err(Error::unsupported(format!("{what} on branch {branch:?}: do it on the table itself"))),
        }
    }
}
