//! A table in memory, files that do not exist, and what must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;

use crate::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, Committer};
use crate::env::{Clock, Env};
use crate::format::{BinaryRow, CommitMessage, DataFileMeta, Snapshot, data_file, encode_hint, encode_schema, layout};
use crate::history::{FileFilter, History};
use crate::io::{FaultPlan, FaultyStore, TableStore};
use crate::schema::{Schema, TableOptions};
use crate::types::{DataType, Datum};

/// Time that passes only when somebody waits.
#[derive(Default)]
pub struct TestClock {
    millis: AtomicU64,
}

impl TestClock {
    pub fn pass(&self, duration: Duration) {
        self.millis.fetch_add(duration.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_millis(&self) -> i64 {
        1_700_000_000_000 + self.millis.load(Ordering::SeqCst) as i64
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::SeqCst))
    }
    fn local_offset_seconds(&self, _: i64) -> i32 {
        0
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.pass(duration);
        Box::pin(tokio::task::yield_now())
    }
}

/// A table behind a store that can fail.
pub struct Table {
    pub raw: TableStore,
    pub faulty: FaultyStore,
    pub store: TableStore,
    pub clock: Arc<TestClock>,
    pub schema: Schema,
}

impl Table {
    pub async fn new() -> Self {
        Self::with_options(&[]).await
    }

    pub async fn with_options(options: &[(&str, &str)]) -> Self {
        let mut builder = Schema::builder()
            .column("id", DataType::BIGINT.not_null())
            .column("day", DataType::INT.not_null())
            .partition_by(["day"])
            .primary_key(["id", "day"])
            .option("bucket", "2");
        for (key, value) in options {
            builder = builder.option(*key, *value);
        }
        let schema = builder.build().unwrap();
        let clock = Arc::new(TestClock::default());
        let env = Env::seeded(7, clock.clone());
        let raw = TableStore::memory(&env);
        raw.write(&layout::schema(0), encode_schema(&schema).unwrap()).await.unwrap();
        let mut faulty = None;
        let store = raw.wrapped(|inner| {
            let wrapped = FaultyStore::new(inner, env.clone(), FaultPlan::none());
            faulty = Some(wrapped.clone());
            Arc::new(wrapped)
        });
        Self { raw, faulty: faulty.unwrap(), store, clock, schema }
    }

    /// A committer with a history of its own, as a process of its own would have.
    pub fn committer(&self, user: &str) -> Committer {
        self.committer_on(&self.store, user)
    }

    /// A committer that no fault reaches.
    pub fn calm_committer(&self, user: &str) -> Committer {
        self.committer_on(&self.raw, user)
    }

    fn committer_on(&self, store: &TableStore, user: &str) -> Committer {
        let options = TableOptions::parse(&self.schema).unwrap();
        Committer::new(History::new(store.clone()), &self.schema, &options, user).unwrap()
    }

    pub fn history(&self) -> History {
        History::new(self.raw.clone())
    }

    pub async fn latest(&self) -> Option<Snapshot> {
        self.history().snapshots.latest().await.unwrap()
    }

    /// Names of the live files of the newest snapshot.
    pub async fn live(&self) -> BTreeSet<String> {
        let Some(latest) = self.latest().await else { return BTreeSet::new() };
        self.live_at(&latest).await
    }

    pub async fn live_at(&self, snapshot: &Snapshot) -> BTreeSet<String> {
        let live = self.history().manifests.live_files(snapshot, &FileFilter::default()).await.unwrap();
        let names: BTreeSet<String> = live.iter().map(|entry| entry.file.file_name.clone()).collect();
        assert_eq!(names.len(), live.len(), "a file is live twice");
        names
    }

    /// What Java's expiry does to snapshot files: the oldest go first, then the hint moves.
    pub async fn expire_below(&self, keep_from: i64) {
        for id in self.history().snapshots.ids().await.unwrap() {
            if id < keep_from {
                self.raw.delete(&layout::snapshot(id)).await.unwrap();
            }
        }
        self.raw.write("snapshot/EARLIEST", encode_hint(keep_from)).await.unwrap();
    }

    /// Whatever happened: the chain has no gap, counts and lists add up, nobody's identifier is in it twice.
    pub async fn assert_sound(&self) {
        let history = self.history();
        let ids = history.snapshots.ids().await.unwrap();
        let mut seen = BTreeSet::new();
        let mut rows = None;
        for (index, id) in ids.iter().enumerate() {
            assert_eq!(*id, ids[0] + index as i64, "the chain {ids:?} has a gap");
            let snapshot = history.snapshots.load(*id).await.unwrap();
            let live = history.manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap();
            let total: i64 = live.iter().map(|entry| entry.file.row_count).sum();
            assert_eq!(snapshot.total_record_count, Some(total), "snapshot {id}");
            if let Some(before) = rows {
                assert_eq!(snapshot.delta_record_count, Some(total - before), "snapshot {id}");
            }
            rows = Some(total);
            if snapshot.commit_identifier != BATCH_COMMIT {
                let key = (snapshot.commit_user.clone(), snapshot.commit_identifier, snapshot.commit_kind);
                let key = format!("{key:?}");
                assert!(seen.insert(key.clone()), "{key} is committed twice");
            }
        }
        assert_eq!(self.latest().await.map(|latest| latest.id), ids.last().copied());
    }

    /// The metadata files on disk are those that snapshots name.
    pub async fn assert_no_orphans(&self) {
        let history = self.history();
        let mut named = BTreeSet::new();
        for id in history.snapshots.ids().await.unwrap() {
            let snapshot = history.snapshots.load(id).await.unwrap();
            for list in [Some(&snapshot.base_manifest_list), Some(&snapshot.delta_manifest_list)]
                .into_iter()
                .chain([snapshot.changelog_manifest_list.as_ref()])
                .flatten()
            {
                named.insert(list.clone());
                named.extend(snapshot.index_manifest.clone());
                named.extend(history.manifests.list(list).await.unwrap().iter().map(|meta| meta.file_name.clone()));
            }
        }
        let there: BTreeSet<String> =
            self.raw.list("manifest").await.unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(there, named);
    }
}

pub fn partition(day: i32) -> BinaryRow {
    BinaryRow::encode(&[Datum::Int(day)], &[DataType::INT.not_null()]).unwrap()
}

pub fn key(id: i64) -> BinaryRow {
    BinaryRow::encode(&[Datum::BigInt(id)], &[DataType::BIGINT.not_null()]).unwrap()
}

/// A file with keys `from..=to` on a level.
pub fn file(name: &str, level: i32, from: i64, to: i64) -> DataFileMeta {
    DataFileMeta {
        row_count: to - from + 1,
        min_key: key(from),
        max_key: key(to),
        max_sequence_number: to - from,
        level,
        value_stats_cols: Some(vec![]),
        ..data_file(name, 100)
    }
}

pub fn message(day: i32, bucket: i32) -> CommitMessage {
    CommitMessage::new(partition(day), bucket, 2)
}

/// One message with one new file of ten rows.
pub fn append(name: &str) -> Vec<CommitMessage> {
    vec![CommitMessage { new_files: vec![file(name, 0, 1, 10)], ..message(1, 0) }]
}

/// One message that replaces files by one on level 5.
pub fn compact(before: Vec<DataFileMeta>, after: DataFileMeta) -> Vec<CommitMessage> {
    vec![CommitMessage { compact_before: before, compact_after: vec![after], ..message(1, 0) }]
}

pub fn plain() -> CommitProperties {
    CommitProperties::default()
}

pub fn marked(key: &str) -> CommitProperties {
    CommitProperties { watermark: None, properties: BTreeMap::from([(key.to_string(), "x".to_string())]) }
}

/// Commits and expects success.
pub async fn must(committer: &mut Committer, identifier: i64, messages: Vec<CommitMessage>) -> i64 {
    match committer.commit(identifier, messages, plain()).await.unwrap() {
        CommitOutcome::Committed { snapshot_id, dropped_compactions, .. } if dropped_compactions.is_empty() => {
            snapshot_id
        }
        other => panic!("{other:?}"),
    }
}
