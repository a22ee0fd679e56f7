//! Snapshots: the newest, and those that are kept.

use forebay::TableName;
use forebay::format::Snapshot;
use serde_json::{Value, json};

use crate::Service;
use crate::answer::{Refusal, Resource};
use crate::routes::{Answer, Asked};
use crate::tables::{history, refused};

/// The newest, with its rows. Files and bytes are not counted: it would take all manifests for each question.
pub async fn latest(service: &Service, name: &TableName) -> Answer {
    let latest = history(service, name).await?.snapshots.latest().await.map_err(refused(name))?;
    let snapshot = latest.ok_or_else(|| Refusal::missing(Resource::Snapshot, "LATEST"))?;
    let rows = snapshot.total_record_count.unwrap_or(-1);
    Ok(json!({"snapshot": {
        "snapshot": snapshot, "recordCount": rows,
        "fileSizeInBytes": -1, "fileCount": -1, "lastFileCreationTime": -1,
    }}))
}

/// One by its number, by `EARLIEST` or `LATEST`, or by a tag.
pub async fn get(service: &Service, name: &TableName, version: &str) -> Answer {
    let history = history(service, name).await?;
    let refused = refused(name);
    let found: Option<Snapshot> = match version {
        "LATEST" => history.snapshots.latest().await.map_err(&refused)?,
        "EARLIEST" => match history.snapshots.earliest_id().await.map_err(&refused)? {
            Some(id) => history.snapshots.try_load(id).await.map_err(&refused)?,
            None => None,
        },
        text => match text.parse::<i64>() {
            Ok(id) => history.snapshots.try_load(id).await.map_err(&refused)?,
            Err(_) => history.tags.try_load(text).await.map_err(&refused)?.map(|tag| tag.snapshot),
        },
    };
    match found {
        Some(snapshot) => Ok(json!({"snapshot": snapshot})),
        None => Err(Refusal::missing(Resource::Snapshot, version)),
    }
}

/// A page of them, oldest first.
pub async fn list(service: &Service, asked: &Asked, name: &TableName) -> Answer {
    let history = history(service, name).await?;
    let refused = refused(name);
    let ids = history.snapshots.ids().await.map_err(&refused)?;
    // As texts that sort as their numbers do.
    let (page, next) = asked.page(ids.iter().map(|id| format!("{id:020}")).collect(), "")?;
    let mut snapshots: Vec<Value> = Vec::with_capacity(page.len());
    for id in page.iter().filter_map(|text| text.parse().ok()) {
        // One that expires meanwhile is left out.
        snapshots.extend(history.snapshots.try_load(id).await.map_err(&refused)?.map(|snapshot| json!(snapshot)));
    }
    Ok(json!({"snapshots": snapshots, "nextPageToken": next}))
}
