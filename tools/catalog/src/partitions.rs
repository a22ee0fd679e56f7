//! Partitions, as the newest snapshot's files have them.

use std::collections::BTreeMap;

use forebay::TableName;
use forebay::format::{BinaryRow, partition_path, partition_texts};
use forebay::history::FileFilter;
use forebay::schema::TableOptions;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Service;
use crate::answer::Refusal;
use crate::routes::{Answer, Asked};
use crate::tables::{find, refused};

#[derive(Deserialize)]
struct Specs {
    specs: Vec<BTreeMap<String, String>>,
}

#[derive(Default)]
struct Sum {
    rows: i64,
    bytes: i64,
    files: i64,
    last_creation: i64,
    buckets: i32,
}

/// A page of them by their directories' names.
pub async fn list(service: &Service, asked: &Asked, name: &TableName) -> Answer {
    let mut all = partitions(service, name).await?;
    let (names, next) = asked.page(all.keys().cloned().collect(), "partitionNamePattern")?;
    let page: Vec<Value> = names.iter().filter_map(|name| all.remove(name)).collect();
    Ok(json!({"partitions": page, "nextPageToken": next}))
}

/// Those that are named and there.
pub async fn list_by_names(service: &Service, asked: &Asked, name: &TableName) -> Answer {
    let wanted: Specs = asked.body()?;
    let wanted: Vec<Value> = wanted.specs.into_iter().map(|spec| json!(spec)).collect();
    let all = partitions(service, name).await?;
    let found: Vec<Value> = all.into_values().filter(|partition| wanted.contains(&partition["spec"])).collect();
    Ok(json!({"partitions": found, "nextPageToken": null}))
}

async fn partitions(service: &Service, name: &TableName) -> Result<BTreeMap<String, Value>, Refusal> {
    let found = find(service, name).await?;
    let refused = refused(name);
    let (history, schema) = (found.history, found.schema);
    let options = TableOptions::parse(&schema).map_err(&refused)?;
    if schema.partition_keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let Some(latest) = history.snapshots.latest().await.map_err(&refused)? else { return Ok(BTreeMap::new()) };
    let mut sums: BTreeMap<BinaryRow, Sum> = BTreeMap::new();
    let env = history.store.env();
    for entry in history.manifests.live_files(&latest, &FileFilter::default()).await.map_err(&refused)? {
        let sum = sums.entry(entry.partition.clone()).or_default();
        sum.rows += entry.file.row_count;
        sum.bytes += entry.file.file_size;
        sum.files += 1;
        let created = entry.file.creation_time.map_or(0, |local| env.instant_of_local(local));
        sum.last_creation = sum.last_creation.max(created);
        sum.buckets = entry.total_buckets;
    }
    let types = schema.types_of(&schema.partition_keys).map_err(&refused)?;
    let (legacy, default) = (options.partition_legacy_name, options.partition_default_name.as_str());
    let mut partitions = BTreeMap::new();
    for (row, sum) in sums {
        let texts = partition_texts(&schema.partition_keys, &types, &row, legacy, default).map_err(&refused)?;
        let path = partition_path(&schema.partition_keys, &types, &row, legacy, default).map_err(&refused)?;
        let spec: BTreeMap<String, String> = texts.into_iter().collect();
        let value = json!({
            "spec": spec, "recordCount": sum.rows, "fileSizeInBytes": sum.bytes, "fileCount": sum.files,
            "lastFileCreationTime": sum.last_creation, "totalBuckets": sum.buckets, "done": false,
        });
        partitions.insert(path, value);
    }
    Ok(partitions)
}
