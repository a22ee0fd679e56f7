//! What the table's own files tell over time: snapshots, schemas, consumers.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};

use super::columns::Columns;
use crate::error::Result;
use crate::format::{CommitKind, Snapshot};
use crate::history::History;

/// Files that are read at once.
const PARALLEL: usize = 16;

/// The snapshots, oldest first.
///
/// # Errors
/// [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn snapshots(history: &History) -> Result<RecordBatch> {
    let ids = history.snapshots.ids().await?;
    let loads = stream::iter(ids).map(|id| history.snapshots.try_load(id)).buffered(PARALLEL);
    // What expired since the listing is left out.
    shown(loads.try_filter_map(|found| async move { Ok(found) }).try_collect().await?)
}

/// The changelogs that outlived their snapshots, oldest first, with the columns of [`snapshots`].
///
/// # Errors
/// [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn changelogs(history: &History) -> Result<RecordBatch> {
    let ids = history.snapshots.changelog_ids().await?;
    let loads = stream::iter(ids).map(|id| history.snapshots.try_load_changelog(id)).buffered(PARALLEL);
    shown(loads.try_filter_map(|found| async move { Ok(found) }).try_collect().await?)
}

fn shown(all: Vec<Snapshot>) -> Result<RecordBatch> {
    let each = || all.iter();
    Columns::default()
        .long("snapshot_id", each().map(|it| Some(it.id)))
        .long("schema_id", each().map(|it| Some(it.schema_id)))
        .text("commit_user", each().map(|it| Some(&it.commit_user)))
        .long("commit_identifier", each().map(|it| Some(it.commit_identifier)))
        .text("commit_kind", each().map(|it| Some(kind(it.commit_kind))))
        .instant("commit_time", each().map(|it| Some(it.time_millis)))
        .long("total_record_count", each().map(|it| it.total_record_count))
        .long("delta_record_count", each().map(|it| it.delta_record_count))
        .long("changelog_record_count", each().map(|it| it.changelog_record_count))
        .long("watermark", each().map(|it| it.watermark))
        .text("base_manifest_list", each().map(|it| Some(&it.base_manifest_list)))
        .text("delta_manifest_list", each().map(|it| Some(&it.delta_manifest_list)))
        .text("changelog_manifest_list", each().map(|it| it.changelog_manifest_list.as_ref()))
        .text("index_manifest", each().map(|it| it.index_manifest.as_ref()))
        .text("properties", each().map(|it| it.properties.as_ref().map(pairs)))
        .batch()
}

fn kind(kind: CommitKind) -> &'static str {
    match kind {
        CommitKind::Append => "APPEND",
        CommitKind::Compact => "COMPACT",
        CommitKind::Overwrite => "OVERWRITE",
        CommitKind::Analyze => "ANALYZE",
    }
}

fn pairs(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// The schemas, oldest first.
///
/// # Errors
/// [`crate::Error::Corrupt`], [`crate::Error::Unsupported`], [`crate::Error::Storage`].
pub async fn schemas(history: &History) -> Result<RecordBatch> {
    let ids = history.schemas.ids().await?;
    let all: Vec<_> = stream::iter(ids).map(|id| history.schemas.load(id)).buffered(PARALLEL).try_collect().await?;
    let each = || all.iter();
    Columns::default()
        .long("schema_id", each().map(|it| Some(it.id)))
        .text(
            "columns",
            each().map(|it| {
                let columns = it.fields.iter().map(|field| format!("{} {}", field.name, field.data_type));
                Some(columns.collect::<Vec<_>>().join(", "))
            }),
        )
        .text("primary_key", each().map(|it| Some(it.primary_keys.join(", "))))
        .text("partition_by", each().map(|it| Some(it.partition_keys.join(", "))))
        .text("options", each().map(|it| Some(pairs(&it.options))))
        .text("comment", each().map(|it| it.comment.as_ref()))
        .instant("update_time", each().map(|it| Some(it.time_millis)))
        .batch()
}

/// The tags, by name.
///
/// # Errors
/// [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn tags(history: &History) -> Result<RecordBatch> {
    let names = history.tags.list().await?;
    let loads = stream::iter(&names).map(|name| history.tags.try_load(name)).buffered(PARALLEL);
    let tags: Vec<_> = loads.try_collect().await?;
    // What was deleted since the listing is left out.
    let all: Vec<_> = names.iter().zip(&tags).filter_map(|(name, tag)| Some((name, tag.as_ref()?))).collect();
    let each = || all.iter();
    let created = |time: &Option<[i32; 7]>| {
        time.map(|[year, month, day, hour, minute, second, _]| {
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        })
    };
    Columns::default()
        .text("tag_name", each().map(|(name, _)| Some(name)))
        .long("snapshot_id", each().map(|(_, tag)| Some(tag.snapshot.id)))
        .long("schema_id", each().map(|(_, tag)| Some(tag.snapshot.schema_id)))
        .instant("commit_time", each().map(|(_, tag)| Some(tag.snapshot.time_millis)))
        .long("record_count", each().map(|(_, tag)| tag.snapshot.total_record_count))
        .text("create_time", each().map(|(_, tag)| created(&tag.create_time)))
        .text("time_retained", each().map(|(_, tag)| tag.time_retained.map(|(seconds, _)| format!("{seconds} s"))))
        .batch()
}

/// The branches, by name.
///
/// # Errors
/// [`crate::Error::Invalid`], [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn branches(history: &History) -> Result<RecordBatch> {
    let mut all = Vec::new();
    for name in history.branches.list().await? {
        let branch = history.on_branch(&name)?;
        let schema = branch.schemas.ids().await?.last().copied();
        all.push((name, branch.snapshots.latest().await?, schema));
    }
    let each = || all.iter();
    Columns::default()
        .text("branch_name", each().map(|(name, ..)| Some(name)))
        .long("snapshot_id", each().map(|(_, snapshot, _)| snapshot.as_ref().map(|snapshot| snapshot.id)))
        .instant("commit_time", each().map(|(_, snapshot, _)| snapshot.as_ref().map(|it| it.time_millis)))
        .long("schema_id", each().map(|(.., schema)| *schema))
        .batch()
}

/// The consumers, by name.
///
/// # Errors
/// [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn consumers(history: &History) -> Result<RecordBatch> {
    let mut all = history.consumers.list().await?;
    all.sort();
    Columns::default()
        .text("consumer_id", all.iter().map(|(id, _)| Some(id)))
        .long("next_snapshot_id", all.iter().map(|(_, next)| Some(*next)))
        .batch()
}
