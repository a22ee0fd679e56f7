//! The door through which a snapshot becomes visible.
//!
//! A committer prepares; a publisher decides who wins a number. There are three: the snapshot's own file, created if absent;
//! the same with a catalog's lock around it; and a catalog service that does so for all its clients. Spec:
//! `format-spec/commit.md`, `format-spec/jdbc-catalog.md`, `format-spec/rest-catalog.md`.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::format::{Snapshot, layout};
use crate::history::History;
use crate::io::Created;
use crate::schema::{SchemaChange, SchemaId};

/// How one table's snapshots become visible: each number has one winner over all processes.
#[async_trait]
pub trait Publisher: fmt::Debug + Send + Sync {
    /// Makes a snapshot visible that was built on `base`. The same snapshot may be published again: it wins again, or is
    /// found where it is.
    ///
    /// # Errors
    /// Only where it is certain that it did not become visible and will not.
    async fn publish(&self, history: &History, base: Option<&Snapshot>, snapshot: &Snapshot) -> Result<Created>;

    /// Whether `Won` is the last word: the publisher has read back, and pointed `LATEST` at the snapshot.
    fn is_final(&self) -> bool {
        false
    }

    /// Changes the table's schema where that is the publisher's to do; `false` where the caller writes the schema's file.
    ///
    /// # Errors
    /// As [`crate::Table::alter`].
    async fn change_schema(&self, history: &History, changes: &[SchemaChange]) -> Result<bool> {
        let _ = (history, changes);
        Ok(false)
    }

    /// Makes an older schema the newest again where that is the publisher's to do; `false` where the caller does it.
    ///
    /// # Errors
    /// As [`crate::Table::rollback_schema`].
    async fn rollback_schema(&self, history: &History, to: SchemaId) -> Result<bool> {
        let _ = (history, to);
        Ok(false)
    }

    /// Refuses what a handle of this table cannot do by itself: make and delete branches.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] that names it.
    fn check_own(&self, what: &str) -> Result<()> {
        let _ = what;
        Ok(())
    }

    /// Refuses to let a handle of this table drop it, where others know of the table too.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`].
    fn check_drop(&self) -> Result<()> {
        self.check_own("dropping the table by its handle")
    }
}

/// The snapshot's file, created if absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct PutIfAbsent;

#[async_trait]
impl Publisher for PutIfAbsent {
    async fn publish(&self, history: &History, _base: Option<&Snapshot>, snapshot: &Snapshot) -> Result<Created> {
        history.pointers.create(&layout::snapshot(snapshot.id), snapshot.encode()?).await
    }
}
