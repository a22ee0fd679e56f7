//! Tables written by Java: every snapshot is found, and its manifests add up to its counts. `FOREBAY_GOLDENS=<directory
//! of tables>` reads a larger set than the committed one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::Env;
use crate::error::Error;
use crate::format::{FileKind, ManifestEntry, Snapshot};
use crate::history::{FileFilter, History};
use crate::io::TableStore;

fn rows(entries: &[Arc<ManifestEntry>]) -> i64 {
    let signed = |entry: &Arc<ManifestEntry>| match entry.kind {
        FileKind::Add => entry.file.row_count,
        FileKind::Delete => -entry.file.row_count,
    };
    entries.iter().map(signed).sum()
}

async fn check_snapshot(history: &History, snapshot: &Snapshot) {
    let all = FileFilter::default();
    let live = history.manifests.live_files(snapshot, &all).await.unwrap();
    if let Some(total) = snapshot.total_record_count {
        assert_eq!(rows(&live), total, "{history:?} snapshot {}", snapshot.id);
    }
    let delta = history.manifests.delta_files(snapshot, &all).await.unwrap();
    assert_eq!(Some(rows(&delta)), snapshot.delta_record_count, "{history:?} snapshot {}", snapshot.id);
    let changelog = history.manifests.changelog_files(snapshot, &all).await.unwrap();
    assert_eq!(rows(&changelog), snapshot.changelog_record_count.unwrap_or(0), "{history:?} snapshot {}", snapshot.id);
    let mut by_bucket = 0;
    let mut buckets: Vec<i32> = live.iter().map(|entry| entry.bucket).collect();
    buckets.sort_unstable();
    buckets.dedup();
    for bucket in buckets {
        by_bucket += history.manifests.live_files(snapshot, &FileFilter::bucket(bucket)).await.unwrap().len();
    }
    assert_eq!(by_bucket, live.len(), "{history:?}: bucket hints lose files");
}

async fn check_table(root: &Path) -> usize {
    let history = History::new(TableStore::local(root, &Env::system()).unwrap());
    match history.schemas.require_latest().await {
        // A type this version does not know is refused by name.
        Ok(_) | Err(Error::Unsupported(_)) => {}
        Err(error) => panic!("{history:?}: {error}"),
    }
    let ids = history.snapshots.ids().await.unwrap();
    let Some(newest) = ids.last() else { return 0 };
    assert_eq!(history.snapshots.latest_id().await.unwrap(), Some(*newest), "{history:?}");
    assert_eq!(history.snapshots.earliest_id().await.unwrap(), ids.first().copied(), "{history:?}");
    for id in &ids {
        let snapshot = history.snapshots.load(*id).await.unwrap();
        check_snapshot(&history, &snapshot).await;
        let at = history.snapshots.at_time(snapshot.time_millis).await.unwrap().unwrap();
        assert_eq!(at.time_millis, snapshot.time_millis, "{history:?}");
    }
    for id in history.snapshots.changelog_ids().await.unwrap() {
        let changelog = history.snapshots.try_load_changelog(id).await.unwrap().unwrap();
        history.manifests.changelog_files(&changelog, &FileFilter::default()).await.unwrap();
    }
    for name in history.tags.list().await.unwrap() {
        check_snapshot(&history, &history.tags.load(&name).await.unwrap().snapshot).await;
    }
    history.consumers.list().await.unwrap();
    ids.len()
}

#[tokio::test]
async fn every_snapshot_of_the_golden_tables_is_found_and_adds_up() {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let root = std::env::var_os("FOREBAY_GOLDENS").map_or_else(committed, PathBuf::from);
    let (mut tables, mut snapshots) = (0, 0);
    for entry in std::fs::read_dir(&root).unwrap() {
        let table = entry.unwrap().path().join("table");
        if table.is_dir() {
            snapshots += check_table(&table).await;
            tables += 1;
        }
    }
    println!("{tables} tables, {snapshots} snapshots");
    assert!(tables > 10 && snapshots > 30, "{tables} tables, {snapshots} snapshots");
}
