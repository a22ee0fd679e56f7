//! The first and the last thing that happens to a table's files.

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use crate::error::{Error, Result};
use crate::format::{encode_schema, layout};
use crate::history::Schemas;
use crate::io::TableStore;
use crate::schema::Schema;

/// Directories deleted at one time.
const PARALLEL: usize = 8;

/// Creates a table at a store's root: the one that creates `schema-0` wins.
///
/// # Errors
/// [`Error::AlreadyExists`], [`Error::Unsupported`] for a store without conditional creates, [`Error::Storage`].
pub(super) async fn create_table(store: &TableStore, schema: &Schema) -> Result<()> {
    store.require_conditional_create().await?;
    let exists = || Error::already_exists(format!("table {}", store.location()));
    if has_schema(store).await? {
        return Err(exists());
    }
    let (path, bytes) = (layout::schema(0), encode_schema(schema)?);
    // Whoever reads its own bytes back has won: the time in them and the rest tell creators apart well enough, and two
    // that agree in every byte wanted the same table.
    match store.create_settled(&path, bytes).await? {
        true => Ok(()),
        false => Err(exists()),
    }
}

/// Deletes a table's files: the snapshots first, so that nobody finds what is being deleted, and the schemas last, so
/// that a drop that failed half-way can be repeated.
///
/// # Errors
/// [`Error::Storage`]; part of the files may be gone then.
pub(crate) async fn delete_table(store: &TableStore) -> Result<()> {
    store.delete_dir(layout::SNAPSHOT_DIR).await?;
    let directories = store.list_dirs("").await?;
    let deletes = directories
        .into_iter()
        .filter(|name| name != layout::SCHEMA_DIR)
        .map(|name| async move { store.delete_dir(&name).await }.boxed())
        .collect::<Vec<_>>();
    stream::iter(deletes).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
    store.delete_dir("").await
}

/// Whether a table stands at a store's root.
pub(crate) async fn has_schema(store: &TableStore) -> Result<bool> {
    // Schema 0 is there unless an old one was deleted by hand.
    Ok(store.exists(&layout::schema(0)).await? || !Schemas::new(store.clone()).ids().await?.is_empty())
}
