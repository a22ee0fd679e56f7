//! Tests of hints, walks through history, schemas and the manifest cache, with their requests counted.

mod goldens;

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::*;
use crate::env::Env;
use crate::error::Error;
use crate::format::{
    BinaryRow, Codec, CommitKind, FileKind, ManifestEntry, ManifestFileMeta, SimpleStats, Snapshot, Tag, data_file,
    decode_manifest_list, encode_manifest, encode_manifest_list, encode_schema, layout,
};
use crate::io::{CountingStore, Fault, FaultPlan, FaultyStore, Op, PathClass};
use crate::schema::Schema;
use crate::types::DataType;

struct Counted {
    raw: TableStore,
    history: History,
    counting: CountingStore,
}

fn table() -> Counted {
    let raw = TableStore::memory(&Env::system());
    let counting = Mutex::new(None);
    let store = raw.wrapped(|inner| {
        let wrapped = CountingStore::new(inner);
        *counting.lock().unwrap() = Some(wrapped.clone());
        Arc::new(wrapped)
    });
    Counted { raw, history: History::new(store), counting: counting.into_inner().unwrap().unwrap() }
}

fn snapshot(id: i64) -> Snapshot {
    Snapshot {
        version: Some(3),
        uuid: None,
        id,
        schema_id: 0,
        base_manifest_list: "manifest-list-b".into(),
        base_manifest_list_size: None,
        delta_manifest_list: "manifest-list-d".into(),
        delta_manifest_list_size: None,
        changelog_manifest_list: None,
        changelog_manifest_list_size: None,
        index_manifest: None,
        commit_user: if id % 10 == 0 { "ten".into() } else { "one".into() },
        writer_version: None,
        commit_identifier: id,
        commit_kind: CommitKind::Append,
        time_millis: id * 100,
        total_record_count: Some(0),
        delta_record_count: Some(0),
        changelog_record_count: None,
        watermark: None,
        statistics: None,
        properties: None,
        next_row_id: None,
        operation: None,
    }
}

impl Counted {
    async fn put_snapshots(&self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            self.raw.write(&layout::snapshot(id), snapshot(id).encode().unwrap()).await.unwrap();
        }
    }

    async fn put(&self, path: &str, content: &str) {
        self.raw.write(path, Bytes::from(content.to_string())).await.unwrap();
    }

    async fn latest(&self) -> Option<i64> {
        self.counting.reset();
        self.history.snapshots.latest_id().await.unwrap()
    }

    fn listings(&self) -> u64 {
        self.counting.counts().of(Op::List)
    }
}

#[tokio::test]
async fn the_newest_snapshot_is_found_whatever_the_hints_say() {
    // Snapshots on disk, LATEST, EARLIEST; the newest, and whether it takes a listing.
    type Case = (&'static [i64], Option<&'static str>, Option<&'static str>, Option<i64>, bool);
    let cases: &[Case] = &[
        (&[], None, None, None, true),
        (&[1], Some("1"), None, Some(1), false),
        (&[1, 2, 3], Some("3"), Some("1"), Some(3), false),
        (&[4, 5, 6], Some("6"), Some("4"), Some(6), false),
        // The hint lags a little, much, or not at all but is torn.
        (&[1, 2, 3], Some("2"), Some("1"), Some(3), false),
        (&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20], Some("1"), None, Some(20), true),
        (&[1, 2, 3], Some(""), Some("1"), Some(3), true),
        (&[1, 2, 3], Some("x"), Some("1"), Some(3), true),
        (&[1, 2, 3], None, None, Some(3), true),
        (&[1, 2, 3], Some("-3"), None, Some(3), true),
        (&[1, 2, 3], Some("9"), None, Some(3), true),
        (&[1, 2, 3], Some("9223372036854775807"), None, Some(3), true),
        // A writer that slept woke up in a freed slot and moved the hint back.
        (&[3, 91, 92], Some("3"), Some("91"), Some(92), true),
        (&[3, 91, 92], Some("3"), None, Some(92), true),
        (&[3, 4, 91, 92], Some("4"), Some("91"), Some(92), true),
        (&[3, 91, 92], Some("92"), Some("91"), Some(92), false),
        // One snapshot is kept.
        (&[7], Some("7"), Some("7"), Some(7), true),
    ];
    for (ids, latest, earliest, expected, listed) in cases {
        let table = table();
        table.put_snapshots(ids.iter().copied()).await;
        for (name, content) in [("LATEST", latest), ("EARLIEST", earliest)] {
            if let Some(content) = content {
                table.put(&format!("snapshot/{name}"), content).await;
            }
        }
        let name = format!("{ids:?} LATEST {latest:?} EARLIEST {earliest:?}");
        assert_eq!(table.latest().await, *expected, "{name}");
        assert_eq!(table.listings() > 0, *listed, "{name}");
    }
}

/// Found beside Java's writers: its size was told, and none of its bytes came.
#[tokio::test]
async fn a_hint_that_is_being_written_is_none() {
    let table = table();
    table.put_snapshots(1..=3).await;
    table.put("snapshot/LATEST", "3").await;
    table.put("snapshot/EARLIEST", "1").await;
    for torn in [0, 1] {
        let plan = FaultPlan::none().at(torn, Fault::TornBody);
        let store = table.raw.wrapped(|inner| Arc::new(FaultyStore::new(inner, Env::system(), plan.clone())) as Arc<_>);
        assert_eq!(History::new(store).snapshots.latest_id().await.unwrap(), Some(3), "request {torn}");
    }
}

#[tokio::test]
async fn a_right_hint_costs_five_requests_and_a_poll_costs_one() {
    let table = table();
    table.put_snapshots(1..=50).await;
    table.put("snapshot/LATEST", "50").await;
    table.put("snapshot/EARLIEST", "1").await;
    assert_eq!(table.latest().await, Some(50));
    assert_eq!(table.counting.reset().total(), 5);
    assert!(table.history.snapshots.try_load(51).await.unwrap().is_none());
    assert_eq!(table.counting.reset().total(), 1);
}

#[tokio::test]
async fn the_oldest_snapshot_is_the_hint_or_is_listed() {
    let table = table();
    table.put_snapshots(4..=6).await;
    assert_eq!(table.history.snapshots.earliest_id().await.unwrap(), Some(4));
    table.put("snapshot/EARLIEST", "5").await;
    assert_eq!(table.history.snapshots.earliest_id().await.unwrap(), Some(5));
    table.put("snapshot/EARLIEST", "2").await;
    assert_eq!(table.history.snapshots.range().await.unwrap(), Some(4..=6));
}

#[tokio::test]
async fn time_travel_finds_the_newest_snapshot_that_is_not_younger() {
    let table = table();
    table.put_snapshots(5..=40).await;
    for (millis, expected) in
        [(499, None), (500, Some(5)), (599, Some(5)), (1234, Some(12)), (4000, Some(40)), (i64::MAX, Some(40))]
    {
        let found = table.history.snapshots.at_time(millis).await.unwrap().map(|snapshot| snapshot.id);
        assert_eq!(found, expected, "{millis}");
    }
}

#[tokio::test]
async fn walks_through_history_end_where_the_chain_does() {
    let table = table();
    table.put_snapshots((3..=29).chain(31..=57)).await;
    let snapshots = &table.history.snapshots;
    assert_eq!(snapshots.latest_of_user("ten").await.unwrap().unwrap().id, 50);
    assert_eq!(snapshots.latest_of_user("one").await.unwrap().unwrap().id, 57);
    assert!(snapshots.latest_of_user("nobody").await.unwrap().is_none());
    let ids = |chain: Vec<Snapshot>| chain.into_iter().map(|snapshot| snapshot.id).collect::<Vec<_>>();
    assert_eq!(ids(snapshots.after(56).await.unwrap()), [57]);
    assert_eq!(ids(snapshots.after(30).await.unwrap()), (31..=57).collect::<Vec<_>>());
    assert_eq!(ids(snapshots.after(57).await.unwrap()), [0; 0]);
    assert_eq!(ids(snapshots.back_to(snapshot(57), 54).await.unwrap()), [55, 56, 57]);
    assert_eq!(ids(snapshots.back_to(snapshot(57), 1).await.unwrap()), (31..=57).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_snapshot_under_another_number_is_corrupt() {
    let table = table();
    table.raw.write(&layout::snapshot(3), snapshot(4).encode().unwrap()).await.unwrap();
    let error = table.history.snapshots.load(3).await.unwrap_err();
    assert!(matches!(&error, Error::Corrupt { file, .. } if file == "snapshot/snapshot-3"), "{error}");
    assert!(matches!(table.history.snapshots.load(9).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn schemas_are_read_once_and_the_newest_costs_one_request() {
    let table = table();
    assert!(matches!(table.history.schemas.require_latest().await, Err(Error::NotFound(_))));
    let schema = |id| Schema { id, ..Schema::builder().column("a", DataType::INT).build().unwrap() };
    for id in 0..3 {
        table.raw.write(&layout::schema(id), encode_schema(&schema(id)).unwrap()).await.unwrap();
    }
    assert_eq!(table.history.schemas.latest().await.unwrap().unwrap().id, 2);
    table.counting.reset();
    assert_eq!(table.history.schemas.latest().await.unwrap().unwrap().id, 2);
    assert_eq!(table.counting.reset().total(), 1);
    table.raw.write(&layout::schema(3), encode_schema(&schema(3)).unwrap()).await.unwrap();
    assert_eq!(table.history.schemas.latest().await.unwrap().unwrap().id, 3);
    table.counting.reset();
    table.history.schemas.load(3).await.unwrap();
    assert_eq!(table.counting.reset().total(), 0);
    assert_eq!(table.history.schemas.ids().await.unwrap(), [0, 1, 2, 3]);
}

fn entry(kind: FileKind, bucket: i32, name: &str) -> ManifestEntry {
    ManifestEntry { kind, partition: BinaryRow::empty(), bucket, total_buckets: 4, file: Arc::new(data_file(name, 1)) }
}

impl Counted {
    async fn put_list(&self, list: &str, manifests: &[(&str, Vec<ManifestEntry>)]) {
        let mut metas = Vec::new();
        for (name, entries) in manifests {
            let bytes = encode_manifest(entries, Codec::default()).unwrap();
            let deleted = entries.iter().filter(|entry| entry.kind == FileKind::Delete).count() as i64;
            metas.push(ManifestFileMeta {
                file_name: (*name).into(),
                file_size: bytes.len() as i64,
                num_added_files: entries.len() as i64 - deleted,
                num_deleted_files: deleted,
                partition_stats: SimpleStats::empty(),
                schema_id: 0,
                min_bucket: entries.iter().map(|entry| entry.bucket).min(),
                max_bucket: entries.iter().map(|entry| entry.bucket).max(),
                min_level: None,
                max_level: None,
                min_row_id: None,
                max_row_id: None,
            });
            self.raw.write(&layout::manifest(name).unwrap(), bytes).await.unwrap();
        }
        let bytes = encode_manifest_list(&metas, Codec::default()).unwrap();
        self.raw.write(&layout::manifest(list).unwrap(), bytes).await.unwrap();
    }
}

fn names(entries: Vec<Arc<ManifestEntry>>) -> Vec<String> {
    entries.iter().map(|entry| entry.file.file_name.clone()).collect()
}

#[tokio::test]
async fn live_files_are_added_and_not_deleted_and_read_once() {
    let table = table();
    let add = |bucket, name| entry(FileKind::Add, bucket, name);
    let manifests = [("manifest-1", vec![add(0, "a"), add(1, "b")]), ("manifest-2", vec![add(3, "c")])];
    table.put_list("manifest-list-b", &manifests).await;
    let delta = vec![entry(FileKind::Delete, 0, "a"), add(0, "d")];
    table.put_list("manifest-list-d", &[("manifest-3", delta)]).await;
    let manifests = &table.history.manifests;
    let all = FileFilter::default();
    let only = manifests.live_files(&snapshot(1), &FileFilter::bucket(3)).await.unwrap();
    assert_eq!(names(only), ["c"]);
    // Two lists, and the one manifest whose buckets fit.
    assert_eq!(table.counting.reset().total(), 3);
    assert_eq!(names(manifests.live_files(&snapshot(1), &all).await.unwrap()), ["b", "c", "d"]);
    assert_eq!(table.counting.reset().total(), 2);
    assert_eq!(names(manifests.live_files(&snapshot(1), &all).await.unwrap()), ["b", "c", "d"]);
    assert_eq!(names(manifests.delta_files(&snapshot(1), &all).await.unwrap()), ["a", "d"]);
    assert!(manifests.changelog_files(&snapshot(1), &all).await.unwrap().is_empty());
    assert_eq!(table.counting.reset().total(), 0);
    let changelog = Snapshot { changelog_manifest_list: Some("manifest-list-b".into()), ..snapshot(1) };
    assert_eq!(names(manifests.changelog_files(&changelog, &FileFilter::bucket(1)).await.unwrap()), ["b"]);
}

/// A first look through a narrow filter decodes what it wants; the second one decodes all, from the same bytes.
#[tokio::test]
async fn a_narrow_filter_reads_a_manifest_once_and_decodes_what_it_wants() {
    let table = table();
    let add = |bucket, name| entry(FileKind::Add, bucket, name);
    table.put_list("manifest-list-b", &[("manifest-1", vec![add(0, "a"), add(1, "b")])]).await;
    table.put_list("manifest-list-d", &[]).await;
    let manifests = &table.history.manifests;
    let narrow = |bucket| FileFilter { narrow: true, ..FileFilter::bucket(bucket) };
    assert_eq!(names(manifests.live_files(&snapshot(1), &narrow(0)).await.unwrap()), ["a"]);
    assert_eq!(table.counting.reset().total(), 3);
    assert_eq!(names(manifests.live_files(&snapshot(1), &narrow(1)).await.unwrap()), ["b"]);
    assert_eq!(names(manifests.live_files(&snapshot(1), &narrow(0)).await.unwrap()), ["a"]);
    assert_eq!(names(manifests.live_files(&snapshot(1), &FileFilter::default()).await.unwrap()), ["a", "b"]);
    assert_eq!(table.counting.reset().total(), 0);
}

/// Found by review: where lists told of no DELETE, its entry was taken for a file.
#[tokio::test]
async fn a_deleted_file_is_dead_whatever_its_list_counts() {
    let table = table();
    table.put_list("manifest-list-b", &[("manifest-1", vec![entry(FileKind::Add, 0, "a")])]).await;
    table.put_list("manifest-list-d", &[("manifest-2", vec![entry(FileKind::Delete, 0, "a")])]).await;
    let path = layout::manifest("manifest-list-d").unwrap();
    let mut metas = decode_manifest_list(&table.raw.read(&path).await.unwrap(), &path).unwrap();
    assert_eq!(std::mem::take(&mut metas[0].num_deleted_files), 1);
    table.raw.replace(&path, encode_manifest_list(&metas, Codec::default()).unwrap()).await.unwrap();
    let live = table.history.manifests.live_files(&snapshot(1), &FileFilter::default()).await.unwrap();
    assert_eq!(names(live), [""; 0]);
}

#[tokio::test]
async fn what_does_not_fit_into_memory_is_read_again_and_gives_the_same() {
    let table = table();
    let many =
        |from: usize| (from..from + 50).map(|n| entry(FileKind::Add, (n % 4) as i32, &format!("f-{n}"))).collect();
    let manifests = [("manifest-1", many(0)), ("manifest-2", many(50)), ("manifest-3", many(100))];
    table.put_list("manifest-list-b", &manifests).await;
    table.put_list("manifest-list-d", &[]).await;
    for budget in [0, 1_000, 60_000, 110_000, 1 << 20] {
        let manifests = Manifests::with_cache(table.history.store.clone(), &ManifestCache::new(budget));
        for _ in 0..3 {
            let live = manifests.live_files(&snapshot(1), &FileFilter::default()).await.unwrap();
            assert_eq!(live.len(), 150);
            let live = manifests.live_files(&snapshot(1), &FileFilter::bucket(2)).await.unwrap();
            assert!(live.len() == 37 && live.iter().all(|entry| entry.bucket == 2), "{}", live.len());
        }
        assert!(format!("{manifests:?}").split(' ').nth_back(2).unwrap().parse::<usize>().unwrap() <= budget);
    }
}

#[tokio::test]
async fn a_manifest_name_cannot_lead_elsewhere() {
    let table = table();
    let hostile = Snapshot { base_manifest_list: "../../etc".into(), ..snapshot(1) };
    assert!(matches!(table.history.manifests.of(&hostile).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn consumers_are_saved_listed_and_kept_in_their_directory() {
    let table = table();
    let consumers = &table.history.consumers;
    assert_eq!(consumers.load("me").await.unwrap(), None);
    consumers.store("me", 5).await.unwrap();
    consumers.store("me", 6).await.unwrap();
    consumers.store("you", 2).await.unwrap();
    assert_eq!(consumers.load("me").await.unwrap(), Some(6));
    assert_eq!(consumers.list().await.unwrap(), [("me".to_string(), 6), ("you".to_string(), 2)]);
    assert!(matches!(consumers.store("../x", 1).await, Err(Error::Invalid(_))));
    table.put("consumer/consumer-bad", "{}").await;
    assert!(matches!(consumers.load("bad").await, Err(Error::Corrupt { .. })));
    assert_eq!(table.counting.counts().at(Op::Put, PathClass::Note), 3);
}

#[tokio::test]
async fn tags_are_listed_and_read() {
    let table = table();
    table.raw.write("tag/tag-v1", Tag::of(snapshot(3)).encode().unwrap()).await.unwrap();
    assert_eq!(table.history.tags.list().await.unwrap(), ["v1"]);
    assert_eq!(table.history.tags.load("v1").await.unwrap().snapshot.id, 3);
    assert!(matches!(table.history.tags.load("v2").await, Err(Error::NotFound(_))));
    assert!(matches!(table.history.tags.load("../v").await, Err(Error::Invalid(_))));
}
