//! Schemas that a snapshot is the first to name: until it is there, a rollback may take them away.
//!
//! Those up to the base's own stay as long as the base does, and if somebody commits in between, the base is another. Of
//! the others the file is read before the create, and once more after it:
//!
//! ```text
//! commit    read schema-<n> ─ create snapshot ─ read schema-<n> ─ gone: put it back
//! rollback        look for who names it ─ delete schema-<n> ─ look again: put it back
//! ```
//!
//! Spec: `format-spec/schema.md`, rollback.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::changes::Changes;
use super::committer::Committer;
use super::publish::Base;
use crate::error::{Error, Result};
use crate::format::{encode_schema, layout};
use crate::history::History;
use crate::io::Created;
use crate::schema::{Schema, SchemaId};

/// The schema of a snapshot to be.
pub(super) struct Named {
    pub(super) id: SchemaId,
    /// Those that nothing named before.
    pub(super) first: Vec<Arc<Schema>>,
}

impl Committer {
    /// The schema that a snapshot on this base names, or why it cannot be.
    pub(super) async fn schema_to_name(
        &self,
        base: &Base,
        changes: &Changes,
    ) -> Result<std::result::Result<Named, String>> {
        let schemas = &self.history.schemas;
        let mut newest = schemas.require_latest().await?;
        let named = base.snapshot.as_ref().map_or(0, |base| base.schema_id);
        let used = changes.newest_schema();
        let mut first = Vec::new();
        // A number that a rollback freed may be another schema's by now, and be named. Once it was found as it is known at or
        // below what a snapshot names, no rollback takes it any more.
        if used > named.min(self.settled_schema.load(Ordering::Relaxed)) {
            // What this process knows of it stays known: whoever comes again with the same files is told so again.
            let Some(schema) = schemas.still(used).await? else {
                return Ok(Err(format!(
                    "files were written with schema {used}, which is gone: the table was rolled back to an older one; \
                     open the table anew"
                )));
            };
            match used > named {
                true => first.push(schema),
                false => _ = self.settled_schema.fetch_max(used, Ordering::Relaxed),
            }
        }
        if newest.id > named.max(used) {
            match schemas.still(newest.id).await? {
                Some(schema) => first.push(schema),
                // It is only this process that remembers it.
                None => {
                    let there = schemas.look_again().await?;
                    newest = there.ok_or_else(|| Error::not_found("the table's schemas"))?;
                    first.extend((newest.id > named.max(used)).then(|| Arc::clone(&newest)));
                }
            }
        }
        Ok(Ok(Named { id: newest.id.max(used), first }))
    }
}

/// Puts schemas back that a rollback took while the snapshot which names them appeared.
pub(super) async fn keep(history: &History, first: &[Arc<Schema>]) {
    for schema in first {
        if let Err(error) = keep_one(history, schema).await {
            tracing::error!(table = ?history.store, schema = schema.id, %error, "a snapshot names a schema that is gone");
        }
    }
}

async fn keep_one(history: &History, schema: &Schema) -> Result<()> {
    let path = layout::schema(schema.id);
    if history.pointers.exists(&path).await? {
        return Ok(());
    }
    tracing::warn!(%path, "a rollback took a schema while a commit that names it appeared: it is put back");
    match history.pointers.create(&path, encode_schema(schema)?).await? {
        Created::Unknown(words) if !history.pointers.exists(&path).await? => Err(Error::storage(words)),
        _ => Ok(()),
    }
}
