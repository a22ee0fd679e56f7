//! The next snapshot, as a function of the newest one, the changes and the names of the files written for it. Pure.

use std::collections::BTreeMap;

use super::changes::Changes;
use super::outcome::CommitProperties;
use crate::error::{Error, Result};
use crate::format::{CommitKind, Snapshot};

/// A manifest list that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListFile {
    pub(super) name: String,
    pub(super) size: i64,
}

/// What surrounds the changes.
#[derive(Debug, Clone)]
pub(super) struct Surroundings<'a> {
    pub(super) uuid: String,
    pub(super) user: &'a str,
    pub(super) identifier: i64,
    pub(super) properties: &'a CommitProperties,
    pub(super) schema_id: i64,
    pub(super) now_millis: i64,
    pub(super) base_list: &'a ListFile,
    pub(super) delta_list: &'a ListFile,
    pub(super) changelog_list: Option<&'a ListFile>,
    pub(super) index_manifest: Option<&'a str>,
    /// The first row id that is left.
    pub(super) next_row_id: Option<i64>,
}

/// The snapshot that follows `base`.
pub(super) fn next_snapshot(base: Option<&Snapshot>, changes: &Changes, around: Surroundings<'_>) -> Result<Snapshot> {
    let id = match base {
        None => 1,
        Some(base) => {
            base.id.checked_add(1).ok_or_else(|| Error::exhausted("snapshot ids: the newest is the largest"))?
        }
    };
    let delta = changes.delta_rows();
    // A snapshot of a release before 0.4 has no count; then none can be carried on.
    let total = match base {
        None => Some(delta),
        Some(base) => base.total_record_count.map(|count| count.saturating_add(delta)),
    };
    Ok(Snapshot {
        version: Some(Snapshot::VERSION),
        uuid: Some(around.uuid),
        id,
        schema_id: around.schema_id,
        base_manifest_list: around.base_list.name.clone(),
        base_manifest_list_size: Some(around.base_list.size),
        delta_manifest_list: around.delta_list.name.clone(),
        delta_manifest_list_size: Some(around.delta_list.size),
        changelog_manifest_list: around.changelog_list.map(|list| list.name.clone()),
        changelog_manifest_list_size: around.changelog_list.map(|list| list.size),
        index_manifest: around.index_manifest.map(str::to_string),
        commit_user: around.user.to_string(),
        writer_version: None,
        commit_identifier: around.identifier,
        commit_kind: changes.kind,
        time_millis: around.now_millis,
        total_record_count: total,
        delta_record_count: Some(delta),
        changelog_record_count: around.changelog_list.map(|_| changes.changelog_rows()),
        watermark: around.properties.watermark.max(base.and_then(|base| base.watermark)),
        statistics: base.filter(|base| base.schema_id == around.schema_id).and_then(|base| base.statistics.clone()),
        properties: some_unless_empty(&around.properties.properties),
        next_row_id: around.next_row_id,
        operation: None,
    })
}

/// Whether a snapshot is made for these changes.
pub(super) fn wants_snapshot(changes: &Changes, ignore_empty: bool) -> bool {
    match changes.kind {
        CommitKind::Compact => !changes.is_empty(),
        _ => !ignore_empty || !changes.is_empty(),
    }
}

fn some_unless_empty(properties: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!properties.is_empty()).then(|| properties.clone())
}
