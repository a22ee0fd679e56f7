//! Changing a table's schema: a new schema file, which one changer wins. No data file is touched.
//!
//! Handles that are open keep the schema they were opened with; writers of theirs take the new one up after their next
//! commit, and older files are read by the columns' ids. Spec: `format-spec/schema.md`, changes.

use std::sync::Arc;

use super::{Table, check_whole};
use crate::error::{Error, Result};
use crate::format::{encode_schema, layout};
use crate::history::History;
use crate::io::Created;
use crate::maintain::rollback_schema;
use crate::schema::{Schema, SchemaChange, SchemaId};
use crate::types::DataType;

/// Tries while others change the schema too.
const TRIES: u32 = 10;

impl Table {
    /// Changes the newest schema and gives the table with it. A change that others made meanwhile stays; ours is applied
    /// after it.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::AlreadyExists`] or [`Error::Unsupported`] that names what cannot
    /// be changed; [`Error::Conflict`] when others keep changing the schema. The table is as before then.
    pub async fn alter(&self, changes: &[SchemaChange]) -> Result<Self> {
        if self.publisher.change_schema(&self.history, changes).await? {
            return Ok(Self { schema: self.history.schemas.require_latest().await?, ..self.clone() });
        }
        let schema = change_schema(&self.history, changes).await?;
        Ok(Self { schema, ..self.clone() })
    }

    /// Makes an older schema the newest again, and gives the table with it. The files of newer schemas are deleted, so this
    /// is for changes that no commit has taken up. On a branch the branch's own schemas are meant.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the schema; [`Error::Invalid`] that tells which snapshot, tag or changelog names a newer one
    /// (then nothing is changed); [`Error::Conflict`] when a commit came meanwhile that does (then the schemas are as
    /// before); the store's errors: then repeat it.
    pub async fn rollback_schema(&self, to: SchemaId) -> Result<Self> {
        if !self.publisher.rollback_schema(&self.history, to).await? {
            rollback_schema(&self.history, to).await?;
        }
        let newest = self.history.schemas.look_again().await?;
        let schema = newest.ok_or_else(|| Error::not_found(format!("table {}", self.location())))?;
        Ok(Self { schema, ..self.clone() })
    }

    /// Adds columns that the newest schema lacks, and makes those wider that are too narrow, so that rows of these columns
    /// can be written; gives the table with that schema. Nothing is changed where all fit.
    ///
    /// # Errors
    /// As [`Schema::merging`] and [`Table::alter`].
    pub async fn merge_columns(&self, columns: &[(String, DataType)]) -> Result<Self> {
        let newest = self.history.schemas.require_latest().await?;
        let changes = newest.merging(columns)?;
        if !changes.is_empty() && self.publisher.change_schema(&self.history, &changes).await? {
            return Ok(Self { schema: self.history.schemas.require_latest().await?, ..self.clone() });
        }
        let has_rows = self.history.snapshots.latest().await?.is_some();
        let change = |newest: &Schema| match newest.merging(columns)?.as_slice() {
            [] => Ok(newest.clone()),
            changes => changed(newest, changes, has_rows),
        };
        let schema = publish_change(&self.history, change).await?;
        Ok(Self { schema, ..self.clone() })
    }
}

/// Changes the newest schema of a table, whether this version can read its rows or not.
///
/// # Errors
/// As [`Table::alter`].
pub async fn change_schema(history: &History, changes: &[SchemaChange]) -> Result<Arc<Schema>> {
    let has_rows = history.snapshots.latest().await?.is_some();
    publish_change(history, |newest| changed(newest, changes, has_rows)).await
}

fn changed(newest: &Schema, changes: &[SchemaChange], has_rows: bool) -> Result<Schema> {
    let next = newest.changed(changes, has_rows)?;
    check_whole(&next)?;
    Ok(next)
}

/// Publishes what the newest schema becomes. Nothing is published where it stays as it is but for its number.
pub(super) async fn publish_change(
    history: &History,
    change: impl Fn(&Schema) -> Result<Schema>,
) -> Result<Arc<Schema>> {
    for _ in 0..TRIES {
        // What this process remembers may have been rolled back.
        let newest = history.schemas.look_again().await?;
        let newest = newest.ok_or_else(|| Error::not_found(format!("table {}", history.store.location())))?;
        let next = change(&newest)?;
        if next == (Schema { id: next.id, ..Schema::clone(&newest) }) {
            return Ok(newest);
        }
        history.store.require_conditional_create().await?;
        let next = Schema { time_millis: history.store.env().now_millis(), ..next };
        let (path, bytes) = (layout::schema(next.id), encode_schema(&next)?);
        match history.pointers.create(&path, bytes).await? {
            Created::Won => return history.schemas.load(next.id).await,
            Created::Exists => {}
            Created::Unknown(words) => return Err(Error::storage(format!("create {path}: {words}"))),
        }
    }
    Err(Error::conflict("the table's schema: others keep changing it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::io::{TableStore, careless};

    /// Schemas are published by a create, as snapshots are.
    #[tokio::test]
    async fn a_careless_store_is_refused_before_a_schema_is_changed() {
        let honest = TableStore::memory(&Env::system());
        let schema = Schema::builder().column("a", DataType::INT).build().unwrap();
        Table::create_store(honest.clone(), schema).await.unwrap();
        let history = History::new(careless(&honest));
        let refused = change_schema(&history, &[SchemaChange::SetComment(Some("new".into()))]).await.unwrap_err();
        assert!(matches!(&refused, Error::Unsupported(text) if text.contains("conditional")), "{refused}");
        assert_eq!(honest.list("schema").await.unwrap().len(), 1);
        // What changes nothing asks nothing.
        change_schema(&history, &[SchemaChange::SetComment(None)]).await.unwrap();
    }
}
