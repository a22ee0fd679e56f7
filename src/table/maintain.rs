//! Keeping a table small: expiry of snapshots and changelogs.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::history::History;
use crate::maintain::{ExpireProgress, ExpireReport, Expirer, Retention};
use crate::schema::{Schema, TableOptions, Use, check_options};

/// What keeps a table small. See [`super::Table::maintain`].
#[derive(Debug, Clone)]
pub struct Maintain {
    history: History,
    schema: Arc<Schema>,
}

impl Maintain {
    pub(super) fn new(history: History, schema: Arc<Schema>) -> Self {
        Self { history, schema }
    }

    /// Takes snapshots and changelogs away that the table's options no longer keep, with the files that nobody needs then.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] or [`crate::Error::Invalid`] naming an option that forbids writing;
    /// [`crate::Error::Unsupported`] on a branch, whose files others may need.
    pub fn expire_snapshots(&self) -> Result<ExpireSnapshots> {
        if let Some(branch) = &self.history.branch {
            let what = format!("expiry of branch {branch:?}: other branches and the table itself may need its files");
            return Err(crate::Error::unsupported(what));
        }
        check_options(&self.schema, Use::Write)?;
        let options = TableOptions::parse(&self.schema)?;
        let retention = Retention::of(&options);
        let own_limits = |name: &str| self.schema.option(&format!("changelog.{name}")).is_some();
        Ok(ExpireSnapshots {
            own_limits: [own_limits("num-retained.min"), own_limits("num-retained.max"), own_limits("time-retained")],
            history: self.history.clone(),
            schema: Arc::clone(&self.schema),
            options,
            retention,
            max_deletes: i64::MAX,
            dry_run: false,
            listener: None,
        })
    }
}

/// An expiry: what it keeps instead of what the table's options say.
pub struct ExpireSnapshots {
    history: History,
    schema: Arc<Schema>,
    options: TableOptions,
    retention: Retention,
    /// Whether changelogs have limits of their own: of their fewest, their most, their time. Else they follow snapshots.
    own_limits: [bool; 3],
    max_deletes: i64,
    dry_run: bool,
    listener: Option<Box<dyn Fn(ExpireProgress) + Send + Sync>>,
}

impl ExpireSnapshots {
    /// At least so many snapshots stay, whatever their age (`snapshot.num-retained.min`).
    #[must_use]
    pub fn retain_min(mut self, count: i64) -> Self {
        self.retention.snapshots.least = count;
        if !self.own_limits[0] {
            self.retention.changelogs.least = count;
        }
        self
    }

    /// What is beyond so many goes, whatever its age (`snapshot.num-retained.max`).
    #[must_use]
    pub fn retain_max(mut self, count: i64) -> Self {
        self.retention.snapshots.most = count;
        if !self.own_limits[1] {
            self.retention.changelogs.most = count;
        }
        self
    }

    /// What was the newest snapshot within this time stays (`snapshot.time-retained`).
    #[must_use]
    pub fn older_than(mut self, age: Duration) -> Self {
        self.retention.snapshots.time = age;
        if !self.own_limits[2] {
            self.retention.changelogs.time = age;
        }
        self
    }

    /// At most so many snapshots go, and as many changelogs. Without it everything that is due goes, in rounds of
    /// `snapshot.expire.limit`.
    #[must_use]
    pub fn max_deletes(mut self, count: i64) -> Self {
        self.max_deletes = count;
        self
    }

    /// Nothing goes: the report tells what would.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Is told how far the run has come.
    #[must_use]
    pub fn on_progress(mut self, listener: impl Fn(ExpireProgress) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Runs. It may be interrupted anywhere, and several may run at once: nothing that is needed goes, and the next run
    /// finishes what was left.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for limits that cross; [`crate::Error::Corrupt`] and the store's errors where something
    /// that must be known cannot be read (then nothing went); [`crate::Error::Conflict`] where the table was rolled back.
    pub async fn run(self) -> Result<ExpireReport> {
        let expirer = Expirer::new(self.history, self.schema, self.options, self.retention).dry_run(self.dry_run);
        let expirer = match self.listener {
            Some(listener) => expirer.on_progress(listener),
            None => expirer,
        };
        expirer.run(self.max_deletes).await
    }
}
