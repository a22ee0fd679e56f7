//! Schemas: immutable files with rising numbers, kept once they were read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::snapshots::numbered;
use crate::error::{Error, Result};
use crate::format::{decode_schema, layout};
use crate::io::TableStore;
use crate::schema::{Schema, SchemaId};

/// Listings while rollbacks take one schema after another.
const TRIES: u32 = 3;

/// The schemas of a table. Clones share what they have read.
#[derive(Debug, Clone)]
pub struct Schemas {
    store: TableStore,
    known: Arc<Mutex<BTreeMap<SchemaId, Arc<Schema>>>>,
}

impl Schemas {
    /// Of the table at the store's root.
    pub fn new(store: TableStore) -> Self {
        Self { store, known: Arc::default() }
    }

    /// The newest schema; `None` where there is no table.
    ///
    /// Lists once; from then on asks only whether the next number is there.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub async fn latest(&self) -> Result<Option<Arc<Schema>>> {
        let newest = self.known().last_key_value().map(|(_, schema)| Arc::clone(schema));
        let Some(mut newest) = newest else { return self.latest_listed().await };
        while let Some(next) = self.try_load(newest.id + 1).await? {
            newest = next;
        }
        Ok(Some(newest))
    }

    /// The newest schema as the store has it, whatever was read before: schemas are immutable, but a rollback takes the
    /// newest ones away, and others may get their numbers. Lists.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub async fn look_again(&self) -> Result<Option<Arc<Schema>>> {
        self.known().clear();
        self.latest_listed().await
    }

    /// The newest schema as the store has it, for whoever looks now and then: it reads the newest one that is known and
    /// asks for the next. Only where that one is gone or another's, because the table was dropped, made anew or rolled
    /// back, all are forgotten and it lists. `None` where there is no table.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub async fn renewed(&self) -> Result<Option<Arc<Schema>>> {
        let newest = self.known().last_key_value().map(|(id, _)| *id);
        if let Some(id) = newest
            && self.still(id).await?.is_some()
        {
            return self.latest().await;
        }
        self.look_again().await
    }

    /// A schema, if it is in the store as it was read before.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unsupported`], [`Error::Storage`].
    pub async fn still(&self, id: SchemaId) -> Result<Option<Arc<Schema>>> {
        let Some(found) = self.read(id).await? else { return Ok(None) };
        let known = self.known().get(&id).cloned();
        Ok(match known {
            Some(known) => (*known == found).then_some(known),
            None => Some(Arc::new(found)),
        })
    }

    /// The newest schema of a table that must be there.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no table; else as [`Schemas::latest`].
    pub async fn require_latest(&self) -> Result<Arc<Schema>> {
        self.latest().await?.ok_or_else(|| Error::not_found(format!("table {}", self.store.location())))
    }

    async fn latest_listed(&self) -> Result<Option<Arc<Schema>>> {
        let mut tries = 1;
        loop {
            let Some(id) = self.ids().await?.last().copied() else { return Ok(None) };
            match self.load(id).await {
                // A rollback took it behind the listing.
                Err(Error::NotFound(_)) if tries < TRIES => tries += 1,
                found => return found.map(Some),
            }
        }
    }

    /// The numbers of all schemas, sorted, by listing.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn ids(&self) -> Result<Vec<SchemaId>> {
        numbered(&self.store, layout::SCHEMA_DIR, "schema-").await
    }

    /// A schema.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`], [`Error::Unsupported`], [`Error::Storage`].
    pub async fn load(&self, id: SchemaId) -> Result<Arc<Schema>> {
        self.try_load(id).await?.ok_or_else(|| Error::not_found(format!("schema {id} of {}", self.store.location())))
    }

    async fn try_load(&self, id: SchemaId) -> Result<Option<Arc<Schema>>> {
        if let Some(schema) = self.known().get(&id) {
            return Ok(Some(Arc::clone(schema)));
        }
        let Some(schema) = self.read(id).await? else { return Ok(None) };
        Ok(Some(Arc::clone(self.known().entry(id).or_insert_with(|| Arc::new(schema)))))
    }

    async fn read(&self, id: SchemaId) -> Result<Option<Schema>> {
        let path = layout::schema(id);
        let Some(bytes) = self.store.try_read(&path).await? else { return Ok(None) };
        let schema = decode_schema(&bytes, &path)?;
        if schema.id != id {
            return Err(Error::corrupt(path, format!("id: {} in the file of schema {id}", schema.id)));
        }
        Ok(Some(schema))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<SchemaId, Arc<Schema>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
