//! Branches: side lines of snapshots that share the table's data. Where they are found.

use crate::error::Result;
use crate::format::layout;
use crate::io::TableStore;

/// The branches of a table.
#[derive(Debug, Clone)]
pub struct Branches {
    store: TableStore,
}

impl Branches {
    /// Of the table at the store's root.
    pub fn new(store: TableStore) -> Self {
        Self { store }
    }

    /// The names of all branches but `main`, sorted.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn list(&self) -> Result<Vec<String>> {
        let directories = self.store.list_dirs(layout::BRANCH_DIR).await?;
        Ok(directories.iter().filter_map(|name| name.strip_prefix("branch-").map(str::to_string)).collect())
    }
}
