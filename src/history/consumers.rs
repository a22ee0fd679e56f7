//! Consumers: how far each named reader has come.

use crate::error::Result;
use crate::format::{Consumer, SnapshotId, layout};
use crate::io::TableStore;

/// The consumers of a table.
#[derive(Debug, Clone)]
pub struct Consumers {
    store: TableStore,
}

impl Consumers {
    /// Of the table at the store's root.
    pub fn new(store: TableStore) -> Self {
        Self { store }
    }

    /// The next snapshot that a consumer wants; `None` for a consumer without progress.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a bad name, [`crate::Error::Corrupt`], [`crate::Error::Storage`].
    pub async fn load(&self, id: &str) -> Result<Option<SnapshotId>> {
        let path = layout::consumer(id)?;
        let Some(bytes) = self.store.try_read(&path).await? else { return Ok(None) };
        Ok(Some(Consumer::decode(&bytes, &path)?.next_snapshot))
    }

    /// Saves the next snapshot that a consumer wants. Readers see the old file or the new one.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a bad name, [`crate::Error::Storage`].
    pub async fn store(&self, id: &str, next_snapshot: SnapshotId) -> Result<()> {
        let path = layout::consumer(id)?;
        self.store.replace(&path, Consumer { next_snapshot }.encode()?).await
    }

    /// Forgets a consumer.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a bad name, [`crate::Error::Storage`].
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.store.delete(&layout::consumer(id)?).await
    }

    /// The consumers whose progress was saved before this time, in milliseconds since the epoch by the store's clock.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn older_than(&self, millis: i64) -> Result<Vec<String>> {
        let files = self.store.list(layout::CONSUMER_DIR).await?.into_iter();
        let old = files.filter(|file| file.modified_millis < millis);
        let mut names: Vec<String> =
            old.filter_map(|file| Some(file.name.strip_prefix("consumer-")?.to_string())).collect();
        names.sort();
        Ok(names)
    }

    /// All consumers with the next snapshot each wants, by name.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`], [`crate::Error::Storage`].
    pub async fn list(&self) -> Result<Vec<(String, SnapshotId)>> {
        let mut found = Vec::new();
        for file in self.store.list(layout::CONSUMER_DIR).await? {
            let Some(id) = file.name.strip_prefix("consumer-") else { continue };
            if let Some(next) = self.load(id).await? {
                found.push((id.to_string(), next));
            }
        }
        found.sort();
        Ok(found)
    }
}
