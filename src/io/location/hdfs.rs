//! HDFS: `hdfs://name-node:port/path`, `hdfs://nameservice/path`, and `hdfs:///path` of the default file system. The
//! configuration is Hadoop's own (`HADOOP_CONF_DIR`, `HADOOP_HOME`); options with `hadoop.` before them come first. Kerberos
//! is asked through the system's library when the configuration wants it, and the user is `HADOOP_USER_NAME`'s otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use hdfs_native_object_store::HdfsObjectStoreBuilder;

use super::Opened;
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
    Ok(Opened::new(Arc::new(store), Vec::new(), &[]).at(url))
}
