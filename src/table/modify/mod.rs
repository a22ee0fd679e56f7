//! Deleting and updating rows by a condition, in one commit.
//!
//! ```text
//! key table     rows that match ── -D, or +U with new values ── writer ── APPEND
//! append table  places of rows that match ─┬─ vectors that mask them (and new rows) ─┬─ OVERWRITE
//!                                          └─ their files written again ─────────────┘
//! partitions    a condition on partition columns alone: their files go ───────────────── OVERWRITE
//! ```
//!
//! The rows are those of the newest snapshot when it begins. On append tables a commit that replaced one of the files, or
//! masked rows in it, makes it begin anew. Spec: `format-spec/modify.md`.

mod append;
mod keyed;
mod rules;

use std::pin::Pin;

use crate::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, Committer};
use crate::error::{Error, Result};
use crate::format::{CommitMessage, Snapshot, SnapshotId};
use crate::predicate::{Assignment, Expr};
use crate::scan::PartitionTest;
use crate::schema::{TableOptions, Use, check_options};
use crate::table::{Table, Truncated};

/// Tries while others replace the files in question.
const TRIES: u32 = 5;

/// How rows were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By changes of their keys.
    Changes,
    /// By vectors that mask them in their files.
    Vectors,
    /// By writing their files again.
    Rewrite,
    /// By taking whole partitions away.
    Partitions,
}

/// What a deletion or an update did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modified {
    /// How.
    pub means: Means,
    /// Rows that matched; `None` where whole partitions went unread.
    pub rows: Option<u64>,
    /// Files that were written again, or whose rows were masked.
    pub files: u64,
    /// The partitions that went.
    pub truncated: Option<Truncated>,
    /// The snapshot that did it; `None` when nothing matched, or it was only tried.
    pub snapshot_id: Option<SnapshotId>,
    /// Whether a commit of the same user was there already and nothing was done.
    pub already: bool,
}

impl Modified {
    fn new(means: Means) -> Self {
        Self { means, rows: Some(0), files: 0, truncated: None, snapshot_id: None, already: false }
    }
}

/// A deletion or an update: which rows, and what becomes of them.
#[derive(Clone)]
pub struct Modify {
    table: Table,
    filter: Expr,
    /// `None` deletes.
    assignments: Option<Vec<Assignment>>,
    commit_user: Option<String>,
    dry_run: bool,
}

impl Modify {
    pub(super) fn new(table: Table, filter: Expr, assignments: Option<Vec<Assignment>>) -> Self {
        Self { table, filter, assignments, commit_user: None, dry_run: false }
    }

    /// Commits in the name of this user, once: when a commit of this user is in the table, nothing is done. The name must
    /// be that of this statement alone.
    #[must_use]
    pub fn commit_user(mut self, user: impl Into<String>) -> Self {
        self.commit_user = Some(user.into());
        self
    }

    /// Only counts the rows.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Deletes or updates the rows.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a condition or an assignment that does not fit; [`Error::Unsupported`] naming what forbids
    /// it: a merge engine, an option, a key column that would change; [`Error::Conflict`] when others kept replacing the
    /// files; the store's errors. Nothing of it is visible then.
    pub async fn run(self) -> Result<Modified> {
        let schema = &self.table.schema;
        check_options(schema, Use::Write)?;
        let options = TableOptions::parse(schema)?;
        let filter = self.filter.bind(schema)?;
        let assignments = self.assignments.as_deref().map(|all| rules::bind(schema, all)).transpose()?;
        let whole = assignments.is_none() && PartitionTest::fits(schema, &filter);
        if whole {
            return self.truncate().await;
        }
        if schema.has_primary_key() {
            match &assignments {
                None => rules::check_delete(schema, &options)?,
                Some(assignments) => rules::check_update(schema, &options, assignments)?,
            }
        }
        rules::check_row_ids(&options, assignments.is_some())?;
        let user = self.commit_user.clone().unwrap_or_else(|| self.table.new_user(&options));
        let mut run = Run {
            committer: self.table.committer(&user)?,
            identifier: if self.commit_user.is_some() { 1 } else { BATCH_COMMIT },
            table: self.table,
            options,
            filter,
            assignments,
            dry_run: self.dry_run,
            user,
        };
        let modified = run.boxed().await;
        run.committer.finish().await;
        modified
    }

    async fn truncate(self) -> Result<Modified> {
        let mut truncate = self.table.truncate().partitions(self.filter);
        if let Some(user) = self.commit_user {
            truncate = truncate.commit_user(user);
        }
        if self.dry_run {
            truncate = truncate.dry_run();
        }
        let truncated = truncate.run().await?;
        let (snapshot_id, already) = (truncated.snapshot_id, truncated.already);
        let new = Modified::new(Means::Partitions);
        Ok(Modified { rows: None, snapshot_id, already, truncated: Some(truncated), ..new })
    }
}

/// A statement under way.
struct Run {
    table: Table,
    options: TableOptions,
    /// Bound.
    filter: Expr,
    /// Bound.
    assignments: Option<Vec<Assignment>>,
    committer: Committer,
    user: String,
    identifier: i64,
    dry_run: bool,
}

/// What one try came to.
enum Tried {
    Done(Modified),
    Conflicted(String),
}

impl Run {
    async fn run(&mut self) -> Result<Modified> {
        let keyed = self.table.schema.has_primary_key();
        let means = match (keyed, self.options.deletion_vectors) {
            (true, _) => Means::Changes,
            (false, true) => Means::Vectors,
            (false, false) => Means::Rewrite,
        };
        if self.identifier != BATCH_COMMIT
            && let Some((_, snapshot)) = self.committer.last_committed().await?
        {
            return Ok(Modified { snapshot_id: Some(snapshot), already: true, rows: None, ..Modified::new(means) });
        }
        let mut last = String::new();
        for _ in 0..TRIES {
            let Some(latest) = self.table.history.snapshots.latest().await? else { return Ok(Modified::new(means)) };
            let tried = match keyed {
                true => self.by_keys(&latest).await?,
                false => self.by_files(&latest, means).await?,
            };
            match tried {
                Tried::Done(modified) => return Ok(modified),
                Tried::Conflicted(reason) => last = reason,
            }
        }
        Err(Error::conflict(format!("others keep changing the files in question: {last}")))
    }

    /// What a statement holds is much for a stack: a writer, a committer, readers.
    fn boxed(&mut self) -> Pin<Box<impl Future<Output = Result<Modified>> + '_>> {
        Box::pin(self.run())
    }

    fn by_keys<'a>(&'a mut self, latest: &'a Snapshot) -> Pin<Box<impl Future<Output = Result<Tried>> + 'a>> {
        Box::pin(self.change_keys(latest))
    }

    fn by_files<'a>(
        &'a mut self,
        latest: &'a Snapshot,
        means: Means,
    ) -> Pin<Box<impl Future<Output = Result<Tried>> + 'a>> {
        Box::pin(self.change_files(latest, means))
    }

    /// Commits what was prepared, or deletes it.
    async fn commit(&mut self, messages: Vec<CommitMessage>, done: Modified) -> Result<Tried> {
        let outcome = self.committer.commit(self.identifier, messages.clone(), CommitProperties::default()).await;
        let kept = matches!(&outcome, Ok(outcome) if !matches!(outcome, CommitOutcome::Conflicted { .. }));
        if !kept && let Err(error) = self.committer.abort(&messages).await {
            tracing::warn!(%error, "files of a statement that was not committed stay behind");
        }
        Ok(match outcome? {
            CommitOutcome::Conflicted { reason } => Tried::Conflicted(reason),
            CommitOutcome::Empty => Tried::Done(done),
            CommitOutcome::AlreadyCommitted { snapshot_id } => {
                Tried::Done(Modified { snapshot_id: Some(snapshot_id), already: true, ..done })
            }
            outcome => Tried::Done(Modified { snapshot_id: Some(outcome.snapshot_id()?), ..done }),
        })
    }

    /// The table as its rows are written again: the kind of a row is told, whatever its column says.
    fn writing(&self, snapshot: &Snapshot) -> Table {
        let mut schema = crate::schema::Schema::clone(&self.table.schema);
        schema.options.remove("rowkind.field");
        tracing::debug!(snapshot = snapshot.id, user = %self.user, "rows are changed");
        Table { schema: std::sync::Arc::new(schema), ..self.table.clone() }
    }
}
