//! What every store must promise to a table (`format-spec/commit.md`, "What a store must promise").

use bytes::Bytes;
use forebay::Error;
use forebay::io::{Created, TableStore};
use futures::future::join_all;

use crate::servers::Place;

/// Writers that create one name at once, and rounds of it.
const WRITERS: usize = 32;
const ROUNDS: usize = 5;

fn text(text: impl Into<String>) -> Bytes {
    Bytes::from(text.into())
}

async fn names(store: &TableStore, directory: &str) -> Vec<String> {
    let mut names: Vec<String> = store.list(directory).await.unwrap().into_iter().map(|file| file.name).collect();
    names.sort();
    names
}

pub async fn of_racing_creates_one_wins(place: Place) {
    let store = place.open();
    for round in 0..ROUNDS {
        let path = format!("snapshot/snapshot-{round}");
        let racing = (0..WRITERS).map(|writer| {
            // A handle of its own for each: as processes have them.
            let (store, path) = (place.open(), path.clone());
            tokio::spawn(async move { store.create(&path, text(format!("writer {writer}"))).await })
        });
        let outcomes: Vec<Created> = join_all(racing).await.into_iter().map(|done| done.unwrap().unwrap()).collect();
        let kept = store.read(&path).await.unwrap();
        let winners: Vec<usize> = (0..WRITERS).filter(|writer| outcomes[*writer] == Created::Won).collect();
        // A winner whose answer was lost hears that the file exists, and reads its own words.
        assert!(winners.len() <= 1, "round {round}: {winners:?} all won");
        if let Some(winner) = winners.first() {
            assert_eq!(kept, format!("writer {winner}"), "round {round}");
        }
        let told = outcomes.iter().filter(|outcome| **outcome == Created::Exists).count();
        assert!(winners.len() == 1 && told == WRITERS - 1, "round {round}: {outcomes:?}");
    }
}

pub async fn creates_leave_what_is_there_alone(place: Place) {
    let store = place.open();
    store.write("snapshot/snapshot-1", text("first")).await.unwrap();
    assert_eq!(store.create("snapshot/snapshot-1", text("second")).await.unwrap(), Created::Exists);
    assert_eq!(store.read("snapshot/snapshot-1").await.unwrap(), "first");
    store.delete("snapshot/snapshot-1").await.unwrap();
    assert_eq!(store.create("snapshot/snapshot-1", text("third")).await.unwrap(), Created::Won);
    assert_eq!(store.read("snapshot/snapshot-1").await.unwrap(), "third");
    assert_eq!(store.create("snapshot/empty", Bytes::new()).await.unwrap(), Created::Won);
    assert_eq!(store.create("snapshot/empty", text("full")).await.unwrap(), Created::Exists);
    assert_eq!(store.size("snapshot/empty").await.unwrap(), 0);
}

pub async fn what_was_written_is_read_at_once(place: Place) {
    let (store, other) = (place.open(), place.open());
    for round in 0..20 {
        let name = format!("manifest/manifest-{round}");
        store.write(&name, text(format!("bytes {round}"))).await.unwrap();
        assert_eq!(other.read(&name).await.unwrap(), format!("bytes {round}"));
        assert!(names(&other, "manifest").await.contains(&format!("manifest-{round}")), "{round}");
        store.replace_hint("snapshot/LATEST", text(round.to_string())).await.unwrap();
        assert_eq!(other.read("snapshot/LATEST").await.unwrap(), round.to_string());
    }
}

pub async fn ranges_and_tails_are_read(place: Place) {
    let store = place.open();
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    store.write("bucket-0/data-1", Bytes::from(bytes.clone())).await.unwrap();
    let read = |range: std::ops::Range<u64>| store.read_range("bucket-0/data-1", range);
    for range in [0..1, 0..100_000, 99_999..100_000, 12_345..67_890] {
        let wanted = &bytes[range.start as usize..range.end as usize];
        assert_eq!(read(range.clone()).await.unwrap(), wanted, "{range:?}");
    }
    assert!(read(99_990..100_010).await.is_err());
    let (tail, size) = store.read_tail("bucket-0/data-1", 8).await.unwrap();
    assert_eq!((tail.as_ref(), size), (&bytes[99_992..], 100_000));
    let ranges = [5..10, 20..21, 50_000..50_100, 99_000..100_000];
    let pieces = store.read_ranges("bucket-0/data-1", &ranges).await.unwrap();
    for (range, piece) in ranges.iter().zip(pieces) {
        assert_eq!(piece, &bytes[range.start as usize..range.end as usize], "{range:?}");
    }
    assert_eq!(store.read_head("bucket-0/data-1", 4).await.unwrap(), &bytes[..4]);
}

pub async fn a_file_that_is_not_there_is_not_found(place: Place) {
    let store = place.open();
    assert!(matches!(store.read("snapshot/snapshot-7").await, Err(Error::NotFound(_))));
    assert!(matches!(store.read_range("snapshot/snapshot-7", 0..4).await, Err(Error::NotFound(_))));
    assert!(matches!(store.size("snapshot/snapshot-7").await, Err(Error::NotFound(_))));
    assert_eq!(store.try_read("snapshot/snapshot-7").await.unwrap(), None);
    assert!(!store.exists("snapshot/snapshot-7").await.unwrap());
    assert!(store.list("snapshot").await.unwrap().is_empty());
    assert!(store.list_dirs("").await.unwrap().is_empty());
    assert!(store.list_recursive("").await.unwrap().is_empty());
    store.delete("snapshot/snapshot-7").await.unwrap();
}

pub async fn directories_are_listed_one_level_deep(place: Place) {
    let store = place.open();
    for path in ["schema/schema-0", "schema/schema-1", "p=1/bucket-0/a", "p=1/bucket-1/b", "p=10/bucket-0/c", "top"] {
        store.write(path, text(path)).await.unwrap();
    }
    assert_eq!(names(&store, "schema").await, ["schema-0", "schema-1"]);
    assert_eq!(names(&store, "").await, ["top"]);
    assert_eq!(names(&store, "p=1").await, Vec::<String>::new());
    assert_eq!(store.list_dirs("").await.unwrap(), ["p=1", "p=10", "schema"]);
    // A prefix is a directory, not the beginning of a name.
    assert_eq!(store.list_dirs("p=1").await.unwrap(), ["bucket-0", "bucket-1"]);
    let mut deep: Vec<(String, u64)> =
        store.list_recursive("p=1").await.unwrap().into_iter().map(|file| (file.name, file.size)).collect();
    deep.sort();
    assert_eq!(deep, [("bucket-0/a".to_string(), 14), ("bucket-1/b".to_string(), 14)]);
    let status = &store.list("schema").await.unwrap()[0];
    let age = forebay::Env::system().now_millis() - status.modified_millis;
    assert!(age.abs() < 600_000, "{age} ms old");
    // More than one page of every server's listing is not needed for a table, but must not be cut off either.
    let many: Vec<String> = (0..1100).map(|at| format!("many/file-{at:04}")).collect();
    for chunk in many.chunks(64) {
        join_all(chunk.iter().map(|path| store.write(path, text("x"))))
            .await
            .into_iter()
            .for_each(|done| done.unwrap());
    }
    assert_eq!(store.list("many").await.unwrap().len(), 1100);
    let failed = store.delete_all(&many).await;
    assert!(failed.is_empty(), "{failed:?}");
    assert!(store.list("many").await.unwrap().is_empty());
}

pub async fn names_of_partitions_stay_as_they_are(place: Place) {
    let store = place.open();
    for name in ["p=a%2Fb%3Dc d", "p=x%3Ay%3F%2A%23%25%22%27%5B%5D%7B%7D%5E%5C", "p=日本", "k=a%3Ab c", "p=+&$@,;"] {
        let path = format!("{name}/bucket-0/data-1.parquet");
        store.write(&path, text("x")).await.unwrap();
        assert_eq!(store.read(&path).await.unwrap(), "x", "{name}");
        assert!(store.list_dirs("").await.unwrap().contains(&name.to_string()), "{name}");
        assert_eq!(names(&store, &format!("{name}/bucket-0")).await, ["data-1.parquet"], "{name}");
        let failed = store.delete_all(std::slice::from_ref(&path)).await;
        assert!(failed.is_empty() && !store.exists(&path).await.unwrap(), "{name}: {failed:?}");
    }
}

pub async fn files_are_deleted_one_by_one_and_many_at_once(place: Place) {
    let store = place.open();
    let paths: Vec<String> = (0..300).map(|at| format!("bucket-0/data-{at}")).collect();
    for chunk in paths.chunks(50) {
        join_all(chunk.iter().map(|path| store.write(path, text("x"))))
            .await
            .into_iter()
            .for_each(|done| done.unwrap());
    }
    store.delete(&paths[0]).await.unwrap();
    assert!(!store.exists(&paths[0]).await.unwrap());
    // Those that are gone, and some that never were, are deleted already.
    let mut wanted = paths[..299].to_vec();
    wanted.push("bucket-0/never".into());
    let failed = store.delete_all(&wanted).await;
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(names(&store, "bucket-0").await, ["data-299"]);
    store.write("bucket-0/deep/er", text("x")).await.unwrap();
    store.delete_dir("bucket-0").await.unwrap();
    assert!(store.list_recursive("").await.unwrap().is_empty());
}

pub async fn large_files_are_uploaded_in_parts(place: Place) {
    let store = place.open();
    let piece = |at: usize| Bytes::from(vec![at as u8; 3 << 20]);
    let mut upload = store.upload("bucket-0/data-1").unwrap();
    for at in 0..6 {
        upload.push(piece(at)).await.unwrap();
        assert!(!store.exists("bucket-0/data-1").await.unwrap(), "nobody sees half a file");
    }
    assert_eq!(upload.finish().await.unwrap(), 18 << 20);
    assert_eq!(store.size("bucket-0/data-1").await.unwrap(), 18 << 20);
    for at in 0..6_u64 {
        let edge = at * (3 << 20);
        assert_eq!(store.read_range("bucket-0/data-1", edge..edge + 10).await.unwrap(), vec![at as u8; 10]);
        let end = edge + (3 << 20);
        assert_eq!(store.read_range("bucket-0/data-1", end - 10..end).await.unwrap(), vec![at as u8; 10]);
    }
    // A file that is less than a part.
    let mut small = store.upload("bucket-0/data-2").unwrap();
    small.push(text("small")).await.unwrap();
    small.finish().await.unwrap();
    assert_eq!(store.read("bucket-0/data-2").await.unwrap(), "small");
}

pub async fn an_upload_that_is_given_up_leaves_nothing(place: Place) {
    let store = place.open();
    for pieces in [0, 1, 4] {
        let mut upload = store.upload("bucket-0/data-1").unwrap();
        for _ in 0..pieces {
            upload.push(Bytes::from(vec![1; 3 << 20])).await.unwrap();
        }
        upload.abort().await.unwrap();
        assert!(!store.exists("bucket-0/data-1").await.unwrap());
    }
    assert!(store.list_recursive("").await.unwrap().is_empty());
}

pub async fn the_probe_is_passed(place: Place) {
    let store = place.open();
    store.probe_conditional_create().await.unwrap();
    assert!(store.list_recursive("").await.unwrap().is_empty());
    store.require_conditional_create().await.unwrap();
}
