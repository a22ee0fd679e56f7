//! The door of commits to a table that a catalog service knows. Spec: `format-spec/rest-catalog.md`, the client.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::changes::encode_changes;
use super::client::{Client, Refusal, Verb, encoded};
use super::wire::{Changes, CommitAnswer, CommitTable, RollbackSchema, object_of};
use crate::catalog::TableName;
use crate::commit::{Publisher, PutIfAbsent};
use crate::error::{Error, Result};
use crate::format::Snapshot;
use crate::history::History;
use crate::io::Created;
use crate::schema::{SchemaChange, SchemaId};

/// The service as the one that makes a table's snapshots visible.
#[derive(Debug)]
pub(super) struct RestPublisher {
    pub(super) client: Arc<Client>,
    pub(super) root: String,
    pub(super) table: TableName,
    pub(super) id: Option<String>,
    /// The service knows the table's place and its schema, and nothing of its snapshots.
    pub(super) is_external: bool,
}

impl RestPublisher {
    fn path(&self, history: &History, action: &str) -> Result<String> {
        let table = self.table.clone().with_branch(history.branch.as_deref().unwrap_or("main"))?;
        let (database, object) = (encoded(table.database()), encoded(&object_of(&table)));
        Ok(format!("{}/databases/{database}/tables/{object}{action}", self.root))
    }
}

#[async_trait]
impl Publisher for RestPublisher {
    async fn publish(&self, history: &History, base: Option<&Snapshot>, snapshot: &Snapshot) -> Result<Created> {
        if self.is_external {
            return PutIfAbsent.publish(history, base, snapshot).await;
        }
        let body = CommitTable {
            table_id: self.id.clone(),
            base_snapshot_uuid: base.and_then(|base| base.uuid.clone()),
            snapshot: serde_json::to_value(snapshot).map_err(|error| Error::bug(format!("JSON: {error}")))?,
            statistics: json!([]),
        };
        let path = self.path(history, "/commit")?;
        match self.client.call::<CommitAnswer>(Verb::Post, &path, Some(&body)).await {
            Ok(CommitAnswer { success: true }) => Ok(Created::Won),
            Ok(CommitAnswer { success: false }) => Ok(Created::Exists),
            Err(Refusal::Doubt(words)) => Ok(Created::Unknown(words)),
            Err(Refusal::Certain(error)) => Err(error),
        }
    }

    fn is_final(&self) -> bool {
        !self.is_external
    }

    async fn change_schema(&self, history: &History, changes: &[SchemaChange]) -> Result<bool> {
        let body = Changes { changes: encode_changes(changes)? };
        let path = self.path(history, "")?;
        self.client.tell(Verb::Post, &path, Some(&body)).await?;
        Ok(true)
    }

    async fn rollback_schema(&self, history: &History, to: SchemaId) -> Result<bool> {
        let path = self.path(history, "/rollback-schema")?;
        self.client.tell(Verb::Post, &path, Some(&RollbackSchema { schema_id: to })).await?;
        Ok(true)
    }

    fn check_own(&self, what: &str) -> Result<()> {
        Err(Error::unsupported(format!("{what}: table {} is a catalog service's", self.table)))
    }
}
