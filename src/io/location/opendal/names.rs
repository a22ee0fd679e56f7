//! Names as they are. The bridge to opendal takes a path for percent-encoded and decodes it; a partition's directory
//! (`p=a%2Fb`) would lose its name. So paths are encoded once more on the way in, and listed ones decoded on the way out.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use object_store_opendal::OpendalStore;

use crate::io::location::percent_decoded;

/// Wraps the bridge.
#[derive(Debug)]
pub(super) struct PlainNames(pub(super) OpendalStore);

impl fmt::Display for PlainNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The path that the bridge decodes to this one.
fn encoded(path: &Path) -> Path {
    Path::from(path.as_ref())
}

/// What the bridge encoded.
fn decoded(path: &Path) -> Result<Path> {
    Ok(Path::parse(percent_decoded(path.as_ref()))?)
}

fn decoded_meta(meta: ObjectMeta) -> Result<ObjectMeta> {
    Ok(ObjectMeta { location: decoded(&meta.location)?, ..meta })
}

#[async_trait]
impl ObjectStore for PlainNames {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.0.put_opts(&encoded(location), payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(&encoded(location), opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.0.get_opts(&encoded(location), options).await?;
        Ok(GetResult { meta: ObjectMeta { location: location.clone(), ..found.meta }, ..found })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(&encoded(location), ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let locations = locations.map(|location| location.map(|location| encoded(&location))).boxed();
        self.0.delete_stream(locations).map(|location| location.and_then(|location| decoded(&location))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.0.list(prefix.map(encoded).as_ref());
        listed.and_then(|meta| std::future::ready(decoded_meta(meta))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = self.0.list_with_delimiter(prefix.map(encoded).as_ref()).await?;
        // The directory itself is listed by some services.
        let below = |path: &Path| prefix.is_none_or(|prefix| path != prefix);
        let directories: Result<Vec<Path>> = listed.common_prefixes.iter().map(decoded).collect();
        let objects: Result<Vec<ObjectMeta>> = listed.objects.into_iter().map(decoded_meta).collect();
        Ok(ListResult {
            common_prefixes: directories?.into_iter().filter(below).collect(),
            objects: objects?.into_iter().filter(|meta| below(&meta.location)).collect(),
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(&encoded(from), &encoded(to), options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_bridge() {
        for name in ["p=a%2Fb%3Dc d/x", "p=%25/日本", "k=a%3Ab+c/[x]{y}#z~", "plain/data-1.parquet"] {
            let path = Path::parse(name).unwrap();
            // The bridge decodes what it is given, and encodes what it lists.
            let key = decoded(&encoded(&path)).unwrap();
            assert_eq!(key, path, "{name}");
            assert_eq!(decoded(&Path::from(name)).unwrap(), path, "{name}");
        }
    }
}
