//! The door of a table's commits and schemas: create-if-absent, and around it the lock that Java takes there too.
//!
//! Java looks whether a snapshot's file is there and then writes it, on object stores in a way that replaces what is
//! there; the lock keeps others away in between. Our own create would fail on such a file, but must not happen between
//! Java's look and Java's write. So the lock is given back only when the slot is known to be filled, and a create that ended
//! when the lock was no longer ours counts only after the lock was taken once more: whoever had it is through then, and the
//! committer reads back what stands.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::lock::{Held, Locks};
use super::rows::{Properties, Rows};
use crate::catalog::TableName;
use crate::commit::{Publisher, PutIfAbsent};
use crate::error::{Error, Result};
use crate::format::Snapshot;
use crate::history::History;
use crate::io::Created;
use crate::maintain::rollback_schema;
use crate::schema::{Schema, SchemaChange, SchemaId};
use crate::table::change_schema;

/// Creates of one snapshot under one lock while the store's answers are lost.
const TRIES: u32 = 4;

/// One table's door.
#[derive(Debug)]
pub(super) struct JdbcPublisher {
    rows: Arc<Rows>,
    /// None where the catalog takes no lock.
    locks: Option<Arc<Locks>>,
    table: TableName,
    sync_properties: bool,
    /// A lock under which a create is in doubt.
    left: Mutex<Option<Held>>,
}

impl JdbcPublisher {
    pub(super) fn new(rows: Arc<Rows>, locks: Option<Arc<Locks>>, table: TableName, sync_properties: bool) -> Self {
        Self { rows, locks, table, sync_properties, left: Mutex::default() }
    }

    /// Java gives each branch a lock of its own.
    async fn take(&self, locks: &Locks, history: &History) -> Result<Held> {
        locks.take(self.table.database(), &object_of(&self.table, history.branch.as_deref())).await
    }

    async fn publish_locked(
        &self,
        locks: &Locks,
        history: &History,
        snapshot: &Snapshot,
        left: &mut Option<Held>,
    ) -> Result<Created> {
        let held = match left.take().filter(Held::holds) {
            Some(held) => held,
            None => self.take(locks, history).await?,
        };
        let mut round = 0;
        let created = loop {
            match PutIfAbsent.publish(history, None, snapshot).await {
                Ok(Created::Unknown(_)) if round + 1 < TRIES && held.holds() => {
                    history.store.env().sleep(Duration::from_millis(100) * 4_u32.pow(round)).await;
                    round += 1;
                }
                created => break created,
            }
        };
        if let Ok(Created::Unknown(_)) = created {
            *left = Some(held.kept());
            return created;
        }
        if !held.release().await && created == Ok(Created::Won) {
            match self.take(locks, history).await {
                Ok(again) => drop(again.release().await),
                Err(error) => return Ok(Created::Unknown(format!("the lock was lost meanwhile: {error}"))),
            }
        }
        created
    }

    /// Does something under the table's lock.
    async fn locked(&self, history: &History, work: impl Future<Output = Result<()>> + Send) -> Result<()> {
        let held = match &self.locks {
            Some(locks) => Some(self.take(locks, history).await?),
            None => None,
        };
        let done = work.await;
        if let Some(held) = held {
            held.release().await;
        }
        done
    }

    async fn change_and_copy(&self, history: &History, changes: &[SchemaChange]) -> Result<()> {
        let copied = self.sync_properties && history.branch.is_none();
        if copied {
            let set = changes.iter().filter_map(|change| match change {
                SchemaChange::SetOption(key, value) => Some((key.clone(), value.clone())),
                _ => None,
            });
            self.rows.check_table_properties(&set.collect())?;
        }
        let schema = change_schema(history, changes).await?;
        self.copy(history, &schema).await
    }

    /// Copies a schema's options where the catalog keeps copies.
    async fn copy(&self, history: &History, schema: &Schema) -> Result<()> {
        if self.sync_properties && history.branch.is_none() {
            let done = self.rows.set_table_properties(&self.table, &properties_of(schema)).await;
            done.map_err(|error| {
                Error::storage(format!(
                    "schema {} of {} is there; the copy of its options in the catalog is not ({error})",
                    schema.id, self.table
                ))
            })?;
        }
        Ok(())
    }
}

#[async_trait]
impl Publisher for JdbcPublisher {
    async fn publish(&self, history: &History, base: Option<&Snapshot>, snapshot: &Snapshot) -> Result<Created> {
        let Some(locks) = &self.locks else { return PutIfAbsent.publish(history, base, snapshot).await };
        let mut left = self.left.lock().await;
        self.publish_locked(locks, history, snapshot, &mut left).await
    }

    async fn change_schema(&self, history: &History, changes: &[SchemaChange]) -> Result<bool> {
        self.locked(history, self.change_and_copy(history, changes)).await.map(|()| true)
    }

    async fn rollback_schema(&self, history: &History, to: SchemaId) -> Result<bool> {
        let roll_back = async {
            let schema = rollback_schema(history, to).await?;
            self.copy(history, &schema).await
        };
        self.locked(history, roll_back).await.map(|()| true)
    }

    fn check_drop(&self) -> Result<()> {
        let table = &self.table;
        Err(Error::unsupported(format!(
            "dropping the table by its handle: {table} is a catalog's, which forgets it too"
        )))
    }
}

/// A table, or a branch of it, as Java names it in locks.
pub(super) fn object_of(table: &TableName, branch: Option<&str>) -> String {
    match branch {
        Some(branch) => format!("{}$branch_{branch}", table.table()),
        None => table.table().to_string(),
    }
}

/// What Java copies of a schema: its options, and its keys as options.
pub(super) fn properties_of(schema: &Schema) -> Properties {
    let mut properties: Properties = schema.options.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let keys = [
        ("primary-key", schema.primary_keys.clone()),
        ("partition", schema.partition_keys.clone()),
        ("bucket-key", schema.bucket_keys()),
    ];
    for (key, columns) in keys.into_iter().filter(|(_, columns)| !columns.is_empty()) {
        properties.insert(key.to_string(), columns.join(","));
    }
    properties
}
