//! Tags: snapshots that were given a name. Read only.

use crate::error::{Error, Result};
use crate::format::{Tag, layout};
use crate::io::TableStore;

/// The tags of a table.
#[derive(Debug, Clone)]
pub struct Tags {
    store: TableStore,
}

impl Tags {
    /// Of the table at the store's root.
    pub fn new(store: TableStore) -> Self {
        Self { store }
    }

    /// The names of all tags, sorted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list(&self) -> Result<Vec<String>> {
        let files = self.store.list(layout::TAG_DIR).await?;
        let mut names: Vec<String> =
            files.iter().filter_map(|file| file.name.strip_prefix("tag-").map(str::to_string)).collect();
        names.sort();
        Ok(names)
    }

    /// A tag.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name, [`Error::NotFound`], [`Error::Corrupt`], [`Error::Storage`].
    pub async fn load(&self, name: &str) -> Result<Tag> {
        self.try_load(name).await?.ok_or_else(|| Error::not_found(format!("tag {name:?}")))
    }

    /// A tag, or nothing where there is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name, [`Error::Corrupt`], [`Error::Storage`].
    pub async fn try_load(&self, name: &str) -> Result<Option<Tag>> {
        let path = layout::tag(name)?;
        let Some(bytes) = self.store.try_read(&path).await? else { return Ok(None) };
        Tag::decode(&bytes, &path).map(Some)
    }
}
