//! Finding the truth: which snapshots, schemas, manifests, tags, branches and consumers a table has.
//!
//! Every room that wants to know something about a table asks here, and here alone it is decided which hint is
//! believed and which request is made.
//!
//! Invariants:
//! - hints are only hints: a wrong, old or torn one costs requests, never truth;
//! - snapshots, schemas, manifests and lists are immutable, so what was read once is kept;
//! - nothing here writes, except a consumer's progress.
//!
//! Spec: `format-spec/commit.md`, section "Finding the newest snapshot".

mod branches;
mod consumers;
mod manifest_cache;
mod manifests;
mod schemas;
mod snapshots;
mod tags;
#[cfg(test)]
mod tests;
mod times;

pub use branches::Branches;
pub use consumers::Consumers;
pub use manifest_cache::ManifestCache;
pub use manifests::{EntryTest, FileFilter, ManifestTest, Manifests};
pub use schemas::Schemas;
pub use snapshots::Snapshots;
pub use tags::Tags;

use crate::error::Result;
use crate::format::layout;
use crate::io::TableStore;

/// Everything that can be found out about one table. Cheap to clone; clones share what they have read.
#[derive(Debug, Clone)]
pub struct History {
    /// The table's files.
    pub store: TableStore,
    /// Where the snapshots, schemas, tags, changelogs and consumers lie: the table's root, or that of a branch.
    pub pointers: TableStore,
    /// The branch; `None` for the main one.
    pub branch: Option<String>,
    /// Its snapshots.
    pub snapshots: Snapshots,
    /// Its schemas.
    pub schemas: Schemas,
    /// Its manifests.
    pub manifests: Manifests,
    /// Its consumers.
    pub consumers: Consumers,
    /// Its tags.
    pub tags: Tags,
    /// Its branches.
    pub branches: Branches,
}

impl History {
    /// Of the table at the store's root. No request is made.
    pub fn new(store: TableStore) -> Self {
        Self {
            pointers: store.clone(),
            branch: None,
            snapshots: Snapshots::new(store.clone()),
            schemas: Schemas::new(store.clone()),
            manifests: Manifests::new(store.clone()),
            consumers: Consumers::new(store.clone()),
            tags: Tags::new(store.clone()),
            branches: Branches::new(store.clone()),
            store,
        }
    }

    /// The same, which keeps what it reads of manifests in a cache that other tables may share.
    #[must_use]
    pub fn sharing(self, cache: &ManifestCache) -> Self {
        Self { manifests: Manifests::with_cache(self.store.clone(), cache), ..self }
    }

    /// The same table as one of its branches has it: with snapshots, schemas, tags, changelogs and consumers of its own,
    /// and the manifests and data files of all. No request is made. `main` is the table itself.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a bad name.
    pub fn on_branch(&self, name: &str) -> Result<Self> {
        if name == layout::MAIN_BRANCH {
            return Ok(Self { manifests: self.manifests.clone(), ..Self::new(self.store.clone()) });
        }
        let pointers = self.store.child(&layout::branch(name)?)?;
        Ok(Self {
            branch: Some(name.to_string()),
            snapshots: Snapshots::new(pointers.clone()),
            schemas: Schemas::new(pointers.clone()),
            consumers: Consumers::new(pointers.clone()),
            tags: Tags::new(pointers.clone()),
            pointers,
            ..self.clone()
        })
    }
}
