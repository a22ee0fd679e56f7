//! HDFS: `hdfs://name-node:port/path`, `hdfs://nameservice/path`, and `hdfs:///path` of the default file system. The
//! configuration is Hadoop's own (`HADOOP_CONF_DIR`, `HADOOP_HOME`); options with `hadoop.` before them come first. Kerberos
//! is asked through the system's library when the configuration wants it, and the user is `HADOOP_USER_NAME`'s otherwise.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use hdfs_native_object_store::{HdfsObjectStore, HdfsObjectStoreBuilder};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result as StoreResult,
};

use super::Opened;
use crate::env::Env;
use crate::error::{Error, Result};

/// Keys of Hadoop's configuration that this client reads, by their beginnings.
const READ: [&str; 8] = [
    "fs.defaultFS",
    "dfs.ha.namenodes.",
    "dfs.namenode.rpc-address.",
    "dfs.client.failover.",
    "dfs.data.transfer.protection",
    "hadoop.security.authentication",
    "fs.viewfs.mounttable.",
    "dfs.client.block.write.replace-datanode-on-failure.",
];
const PREFIX: &str = "hadoop.";

pub(super) fn open(authority: &str, options: &BTreeMap<String, String>) -> Result<Opened> {
    let mut config = Vec::new();
    for (name, value) in options {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        if !READ.iter().any(|read| key.starts_with(read)) {
            let read = READ.join(", ");
            return Err(Error::unsupported(format!(
                "option {name:?}: not honoured by HDFS (honoured: {PREFIX}{read})"
            )));
        }
        config.push((key.to_string(), value.trim().to_string()));
    }
    let url = match authority {
        "" => config.iter().find(|(key, _)| key == "fs.defaultFS").map(|(_, url)| url.clone()),
        authority => Some(format!("hdfs://{authority}")),
    };
    let builder = HdfsObjectStoreBuilder::new().with_config(config);
    let builder = match &url {
        Some(url) => builder.with_url(url),
        None => builder,
    };
    let store = builder.build().map_err(|error| Error::invalid(format!("settings of HDFS: {error}")))?;
    Ok(Opened::new(Arc::new(Tidy { store, env: Env::system() }), Vec::new(), &[]).at(url))
}

/// The client, whose create-if-absent leaves its temporary file behind when another was first. This one takes it away.
#[derive(Debug)]
struct Tidy {
    store: HdfsObjectStore,
    env: Env,
}

impl fmt::Display for Tidy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.store)
    }
}

impl Tidy {
    /// A temporary file, renamed where nothing is: one step of the name node.
    async fn create(&self, location: &Path, payload: PutPayload) -> StoreResult<PutResult> {
        let (directory, name) = location.as_ref().rsplit_once('/').unwrap_or(("", location.as_ref()));
        let temporary = format!("{directory}/.{name}.{}.tmp", self.env.uuid());
        let temporary = Path::parse(temporary.trim_start_matches('/'))?;
        self.store.put_opts(&temporary, payload, PutOptions::default()).await?;
        let alone = RenameOptions { target_mode: RenameTargetMode::Create, ..RenameOptions::default() };
        let renamed = self.store.rename_opts(&temporary, location, alone).await;
        if renamed.is_err() {
            let _ = self.store.delete(&temporary).await;
        }
        renamed.map(|()| PutResult { e_tag: None, version: None })
    }
}

#[async_trait]
impl ObjectStore for Tidy {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> StoreResult<PutResult> {
        match opts.mode {
            PutMode::Create => self.create(location, payload).await,
            _ => self.store.put_opts(location, payload, opts).await,
        }
    }

    async fn put_multipart_opts(&self, at: &Path, opts: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.store.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> StoreResult<()> {
        self.store.rename_opts(from, to, options).await
    }
}
