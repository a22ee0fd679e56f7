//! A listing of everything below a directory, walked directory by directory: for services that list one at a time, or
//! list directories as if they were files.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, Result};

/// All files below a directory.
pub(super) fn walk(store: Arc<dyn ObjectStore>, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
    let first = vec![prefix.cloned()];
    let levels = stream::try_unfold((store, first), |(store, mut waiting)| async move {
        let Some(directory) = waiting.pop() else { return Ok(None) };
        let listed = match store.list_with_delimiter(directory.as_ref()).await {
            Ok(listed) => listed,
            Err(Error::NotFound { .. }) => return Ok(Some((Vec::new(), (store, waiting)))),
            Err(error) => return Err(error),
        };
        waiting.extend(listed.common_prefixes.into_iter().map(Some));
        Ok(Some((listed.objects, (store, waiting))))
    });
    levels.map_ok(|objects| stream::iter(objects.into_iter().map(Ok))).try_flatten().boxed()
}
