//! Index files of snapshots: carried over, replaced by bucket and type, refused where somebody else was faster.

use super::support::*;
use crate::commit::{BATCH_COMMIT, CommitOutcome, Committer};
use crate::format::{CommitKind, CommitMessage, DeletionVectorRange, IndexFile, IndexRead};

fn index(name: &str, index_type: &str, bucket: i32) -> IndexFile {
    let range = DeletionVectorRange { data_file: format!("of-{name}"), offset: 1, length: 9, cardinality: Some(1) };
    IndexFile {
        partition: partition(1),
        bucket,
        index_type: index_type.into(),
        file_name: name.into(),
        file_size: 8,
        row_count: 2,
        deletion_vectors: (index_type == "DELETION_VECTORS").then(|| vec![range]),
        external_path: None,
        global_index: None,
    }
}

fn hash(name: &str, bucket: i32) -> IndexFile {
    index(name, "HASH", bucket)
}

/// New rows whose key hashes replace an older index file.
fn hashed(bucket: i32, new: &str, old: Option<&str>) -> CommitMessage {
    CommitMessage {
        new_files: vec![file(&format!("data-{new}"), 0, 1, 10)],
        new_index: vec![hash(new, bucket)],
        deleted_index: old.map(|old| hash(old, bucket)).into_iter().collect(),
        ..message(1, bucket)
    }
}

async fn live_index(table: &Table) -> Vec<String> {
    let latest = table.latest().await.unwrap();
    let Some(name) = latest.index_manifest else { return Vec::new() };
    let list = table.history().manifests.index(&name).await.unwrap();
    list.iter().map(|file| file.file_name.clone()).collect()
}

async fn refused(committer: &mut Committer, identifier: i64, messages: Vec<CommitMessage>, part: &str) {
    match committer.commit(identifier, messages, plain()).await.unwrap() {
        CommitOutcome::Conflicted { reason } => assert!(reason.contains(part), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn index_files_are_carried_over_and_replaced_by_bucket_and_type() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    must(&mut committer, 1, vec![hashed(0, "h0", None), hashed(1, "h1", None)]).await;
    assert_eq!(live_index(&table).await, ["h0", "h1"]);
    assert_eq!(table.latest().await.unwrap().commit_kind, CommitKind::Append);
    let first = table.latest().await.unwrap().index_manifest;
    // Nothing about indexes: the same file is named again.
    must(&mut committer, 2, append("plain")).await;
    assert_eq!(table.latest().await.unwrap().index_manifest, first);
    must(&mut committer, 3, vec![hashed(0, "h2", Some("h0"))]).await;
    assert_eq!(live_index(&table).await, ["h1", "h2"]);
    // Another type of the same bucket lives beside it, and comes with the compaction.
    let vectors = CommitMessage {
        new_files: vec![file("of-v", 0, 1, 10)],
        compact_new_index: vec![index("v", "DELETION_VECTORS", 0)],
        ..message(1, 0)
    };
    assert_eq!(must(&mut committer, 4, vec![vectors]).await, 5);
    let latest = table.latest().await.unwrap();
    assert_eq!((latest.commit_kind, latest.delta_record_count), (CommitKind::Compact, Some(0)));
    assert_eq!(live_index(&table).await, ["h1", "h2", "v"]);
    assert_eq!(table.history().snapshots.load(4).await.unwrap().commit_kind, CommitKind::Append);
    // The last ones leave: the snapshot names no index manifest.
    let leave = |bucket, name: &str, index_type| CommitMessage {
        deleted_index: vec![index(name, index_type, bucket)],
        ..message(1, bucket)
    };
    let all = vec![leave(1, "h1", "HASH"), leave(0, "h2", "HASH"), leave(0, "v", "DELETION_VECTORS")];
    must(&mut committer, 5, all).await;
    let latest = table.latest().await.unwrap();
    assert_eq!((latest.index_manifest, latest.commit_kind), (None, CommitKind::Overwrite));
    table.assert_sound().await;
    table.assert_no_orphans().await;
}

#[tokio::test]
async fn a_second_index_of_a_bucket_by_a_writer_that_did_not_know_the_first_is_refused() {
    let table = Table::new().await;
    let (mut one, mut two) = (table.committer("one"), table.committer("two"));
    must(&mut one, 1, vec![hashed(0, "a", None)]).await;
    refused(&mut two, 1, vec![hashed(0, "b", None)], "another writer").await;
    must(&mut two, 1, vec![hashed(1, "c", None)]).await;
    must(&mut one, 2, vec![hashed(0, "d", Some("a"))]).await;
    refused(&mut two, 2, vec![hashed(0, "e", Some("a"))], "no longer live").await;
    must(&mut one, 3, vec![CommitMessage { new_files: vec![file("of-v", 0, 1, 9)], ..message(1, 0) }]).await;
    let vectors = |name: &str| CommitMessage {
        compact_new_index: vec![IndexFile { file_name: name.into(), ..index("v", "DELETION_VECTORS", 0) }],
        ..message(1, 0)
    };
    must(&mut one, 4, vec![vectors("v")]).await;
    refused(&mut two, BATCH_COMMIT, vec![vectors("w")], "another writer").await;
    assert_eq!(live_index(&table).await, ["c", "d", "v"]);
    table.assert_sound().await;
    table.assert_no_orphans().await;
}

#[tokio::test]
async fn routing_that_rests_on_other_key_hashes_than_the_live_ones_is_refused() {
    let table = Table::new().await;
    let mut committer = table.committer("one");
    must(&mut committer, 1, vec![hashed(0, "a", None), hashed(1, "b", None)]).await;
    let rests_on = |assigner, assigners, files: &[&str]| CommitMessage {
        index_read: Some(IndexRead { assigner, assigners, files: files.iter().map(|name| name.to_string()).collect() }),
        ..append("x").remove(0)
    };
    let mut other = table.committer("two");
    // Knowing nothing, one bucket of two, or one that is gone.
    for files in [&[][..], &["a"], &["a", "b", "c"]] {
        refused(&mut other, 1, vec![rests_on(0, 1, files)], "changed since this writer read it").await;
    }
    refused(&mut other, 1, vec![rests_on(1, 2, &["a"])], "changed since").await;
    // Each of two assigners answers for its own buckets.
    let messages = vec![
        rests_on(0, 2, &["a"]),
        CommitMessage { bucket: 1, new_files: vec![file("y", 0, 1, 9)], ..rests_on(1, 2, &["b"]) },
    ];
    must(&mut other, 1, messages).await;
    assert_eq!(live_index(&table).await, ["a", "b"]);
    assert!(committer.commit(BATCH_COMMIT, vec![rests_on(3, 2, &[])], plain()).await.is_err());
}

#[tokio::test]
async fn two_compactors_never_leave_a_vector_without_its_file() {
    // One compactor masks rows of a file, the other one rewrites it, and neither touches the other's index file.
    let masks = |name: &str, of: &str, before: Option<IndexFile>| {
        let mut vectors = index(name, "DELETION_VECTORS", 0);
        vectors.deletion_vectors.as_mut().unwrap()[0].data_file = of.into();
        CommitMessage {
            compact_new_index: vec![vectors],
            compact_deleted_index: before.into_iter().collect(),
            ..message(1, 0)
        }
    };
    let rewrites = |name: &str| compact(vec![file("old", 5, 1, 10)], file(name, 5, 1, 10));
    for rewrite_first in [true, false] {
        let table = Table::new().await;
        let (mut one, mut two) = (table.committer("one"), table.committer("two"));
        must(
            &mut one,
            BATCH_COMMIT,
            vec![CommitMessage { compact_after: vec![file("old", 5, 1, 10)], ..message(1, 0) }],
        )
        .await;
        if rewrite_first {
            must(&mut two, BATCH_COMMIT, rewrites("new")).await;
            refused(&mut one, BATCH_COMMIT, vec![masks("v", "old", None)], "is no longer live").await;
            assert_eq!(live_index(&table).await, Vec::<String>::new());
        } else {
            must(&mut one, BATCH_COMMIT, vec![masks("v", "old", None)]).await;
            refused(&mut two, BATCH_COMMIT, rewrites("new"), "masked since").await;
            // An overwrite that does not know the vector, too.
            let overwrite = CommitMessage { deleted_files: vec![file("old", 5, 1, 10)], ..message(1, 0) };
            refused(&mut two, BATCH_COMMIT, vec![overwrite], "masked since").await;
            // Whoever knows it may take both away; a move to another level keeps the vector.
            let moved = compact(vec![file("old", 5, 1, 10)], file("old", 6, 1, 10));
            must(&mut two, BATCH_COMMIT, moved).await;
            let mut both = compact(vec![file("old", 6, 1, 10)], file("new", 6, 1, 10)).remove(0);
            let mut vectors = index("v", "DELETION_VECTORS", 0);
            vectors.deletion_vectors.as_mut().unwrap()[0].data_file = "old".into();
            both.compact_deleted_index = vec![vectors];
            must(&mut two, BATCH_COMMIT, vec![both]).await;
            assert_eq!(live_index(&table).await, Vec::<String>::new());
        }
        table.assert_sound().await;
        table.assert_no_orphans().await;
    }
}

#[tokio::test]
async fn tables_without_buckets_have_vectors_by_file() {
    use crate::commit::index::{IndexChanges, next_index};
    let of = |name: &str, masks: &str| {
        let mut file = index(name, "DELETION_VECTORS", 0);
        file.deletion_vectors.as_mut().unwrap()[0].data_file = masks.into();
        file
    };
    let live = [of("a", "1"), of("b", "2")];
    let add = |file| IndexChanges { added: vec![file], ..IndexChanges::default() };
    assert_eq!(next_index(&live, &add(of("c", "3")), true).unwrap().len(), 3);
    assert!(next_index(&live, &add(of("a", "3")), true).unwrap_err().contains("added by another"));
    assert!(next_index(&live, &add(of("c", "2")), true).unwrap_err().contains("file 2 was given"));
    let replace = IndexChanges { deleted: vec![of("b", "2")], ..add(of("c", "2")) };
    let names: Vec<_> = next_index(&live, &replace, true).unwrap().into_iter().map(|file| file.file_name).collect();
    assert_eq!(names, ["a", "c"]);
}

#[tokio::test]
async fn an_overwrite_takes_files_and_indexes_away_and_is_checked() {
    let table = Table::new().await;
    let mut committer = table.committer("one");
    must(&mut committer, 1, vec![hashed(0, "a", None)]).await;
    let overwrite = |new: &str| CommitMessage {
        total_buckets: 4,
        deleted_files: vec![file("data-a", 0, 1, 10)],
        deleted_index: vec![hash("a", 0)],
        new_files: vec![file(new, 0, 1, 4)],
        ..message(1, 0)
    };
    // It may change the bucket count; the DELETE repeats what the file was added with.
    must(&mut committer, 2, vec![overwrite("b")]).await;
    let latest = table.latest().await.unwrap();
    assert_eq!((latest.commit_kind, latest.index_manifest), (CommitKind::Overwrite, None));
    assert_eq!((latest.total_record_count, latest.delta_record_count), (Some(4), Some(-6)));
    assert_eq!(table.live().await.into_iter().collect::<Vec<_>>(), ["b"]);
    refused(&mut table.committer("two"), 1, vec![overwrite("c")], "no longer live").await;
    table.assert_sound().await;
    table.assert_no_orphans().await;
}

#[tokio::test]
async fn an_abort_deletes_new_index_files_that_nobody_names() {
    let table = Table::new().await;
    let mut committer = table.committer("one");
    for name in ["a", "b", "v"] {
        table.raw.write(&format!("index/{name}"), "xxxx".into()).await.unwrap();
    }
    must(&mut committer, 1, vec![hashed(0, "a", None)]).await;
    let lost =
        CommitMessage { compact_new_index: vec![index("v", "DELETION_VECTORS", 0)], ..hashed(0, "b", Some("a")) };
    let deleted = committer.abort(&[lost, hashed(0, "a", None)]).await.unwrap();
    assert!(deleted.contains(&"index/b".to_string()) && deleted.contains(&"index/v".to_string()), "{deleted:?}");
    let left: Vec<_> = table.raw.list("index").await.unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(left, ["a"]);
}

#[tokio::test]
async fn index_files_of_other_buckets_and_kinds_are_refused() {
    let table = Table::new().await;
    let mut committer = table.committer("one");
    let with = |file| CommitMessage { new_index: vec![file], ..message(1, 0) };
    for wrong in [hash("a", 1), hash("../a", 0), index("a", "VECTOR", 0)] {
        assert!(committer.commit(1, vec![with(wrong)], plain()).await.is_err());
    }
}
