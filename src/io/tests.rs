//! Tests of paths, locations, the local disk's promises, uploads, the probe, faults and counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;

use super::*;
use crate::env::Env;
use crate::error::Error;

fn bytes(text: &str) -> Bytes {
    Bytes::from(text.to_string())
}

fn local() -> (tempfile::TempDir, TableStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = TableStore::local(directory.path(), &Env::system()).unwrap();
    (directory, store)
}

fn names_on_disk(directory: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn hostile_paths_are_refused() {
    for path in ["", "..", "../x", "a/../b", "a//b", "/a", "a/", "./a", "a/.", "a\nb", "a\0b", "a/\u{7f}", "\u{85}"] {
        assert!(matches!(check_path(path), Err(Error::Invalid(_))), "{path:?}");
    }
    for name in ["a/b", "a\\b", "..", ""] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
    assert!(check_path("p=a%2Fb%3Dc d/日本/bucket-0/...x").is_ok());
}

#[test]
fn locations_are_read_as_they_are_written() {
    let local = |path: &str| Location::Local(path.into());
    let remote = |service, scheme, authority: &str, prefix: &str| Location::Remote {
        service,
        scheme,
        authority: authority.into(),
        prefix: prefix.into(),
    };
    let account = "c@account.dfs.core.windows.net";
    let here = std::env::current_dir().unwrap();
    let cases = [
        ("/a/b", local("/a/b")),
        ("/a/b/", local("/a/b")),
        ("file:///a/b%20c", local("/a/b%20c")),
        ("file:/a/b c", local("/a/b c")),
        ("FILE://localhost/a", local("/a")),
        ("a:b/c", Location::Local(here.join("a:b/c"))),
        ("/nowhere/x/../y", local("/nowhere/y")),
        ("s3://bucket/wh/db.db/t/", remote(Service::S3, "s3", "bucket", "wh/db.db/t")),
        ("s3a://bucket", remote(Service::S3, "s3a", "bucket", "")),
        ("gs://bucket/a%20b", remote(Service::Gcs, "gs", "bucket", "a%20b")),
        (&format!("abfss://{account}/wh/t"), remote(Service::Azure, "abfss", account, "wh/t")),
        ("hdfs:///wh", remote(Service::Hdfs, "hdfs", "", "wh")),
        ("hdfs://name-node:8020/wh", remote(Service::Hdfs, "hdfs", "name-node:8020", "wh")),
        ("https://[::1]:80/wh", remote(Service::Http, "https", "[::1]:80", "wh")),
    ];
    for (text, expected) in cases {
        assert_eq!(Location::parse(text).unwrap(), expected, "{text}");
    }
    for text in ["", "/", "file://host/a", "s3://", "s3:/x/y", "s3://b/../c", "a\nb", "gs://"] {
        assert!(matches!(Location::parse(text), Err(Error::Invalid(_))), "{text:?}");
    }
    for text in [
        "s3://u:CANARY@b/c",
        "https://u:CANARY@h/c",
        "http://h/c?sig=CANARY",
        "abfs://c/t",
        "abfs://c@h/t",
        "http://h:x/t",
    ] {
        let error = Location::parse(text).unwrap_err();
        assert!(matches!(&error, Error::Invalid(words) if !words.contains("CANARY")), "{error}");
    }
    assert!(matches!(Location::parse("dls://b/t"), Err(Error::Unsupported(text)) if text.contains("dls")));
}

#[test]
fn secrets_are_not_shown_and_unknown_store_options_are_refused() {
    let mut options = BTreeMap::from([
        ("s3.access-key".to_string(), "CANARY-access".to_string()),
        ("s3.secret-key".to_string(), "CANARY-secret".to_string()),
        ("s3.endpoint".to_string(), "http://127.0.0.1:1".to_string()),
        ("bucket".to_string(), "4".to_string()),
    ]);
    let store = open_location("s3://bucket/t", &options, &Env::system()).unwrap();
    assert!(!format!("{store:?} {:?}", Secret::new("CANARY")).contains("CANARY"));
    options.insert("s3.colour".into(), "red".into());
    let error = open_location("s3://bucket/t", &options, &Env::system()).unwrap_err();
    assert!(error.to_string().contains("s3.colour"), "{error}");
}

#[tokio::test]
async fn partition_directories_are_on_disk_exactly_as_they_are_named() {
    let (directory, store) = local();
    // Names of golden part_string_odd, and what percent-encoding paths would spoil.
    for name in
        ["p=a%2Fb%3Dc d", "p=x%3Ay%3F%2A%23%25%22%27%5B%5D%7B%7D%5E%5C", "p=日本", "p=~`<>|&;$!@+,", "k=a%3Ab c"]
    {
        let path = format!("{name}/bucket-0/data-1.parquet");
        store.write(&path, bytes("x")).await.unwrap();
        assert!(directory.path().join(name).join("bucket-0/data-1.parquet").is_file(), "{name}");
        assert_eq!(store.read(&path).await.unwrap(), "x");
        assert_eq!(store.list(&format!("{name}/bucket-0")).await.unwrap()[0].name, "data-1.parquet");
        assert!(store.list_dirs("").await.unwrap().contains(&name.to_string()), "{name}");
        assert!(store.list_recursive("").await.unwrap().iter().any(|file| file.name == path), "{name}");
        let mut upload = store.upload(&format!("{name}/bucket-0/data-2.parquet")).unwrap();
        upload.push(bytes("y")).await.unwrap();
        upload.finish().await.unwrap();
        assert_eq!(names_on_disk(&directory.path().join(name).join("bucket-0")), ["data-1.parquet", "data-2.parquet"]);
        store.delete(&path).await.unwrap();
        assert!(!store.exists(&path).await.unwrap());
    }
}

#[tokio::test]
async fn every_store_reads_writes_lists_and_deletes() {
    let (_directory, local) = local();
    for store in [local, TableStore::memory(&Env::system())] {
        assert!(store.list("snapshot").await.unwrap().is_empty());
        assert!(matches!(store.read("snapshot/a").await, Err(Error::NotFound(_))));
        assert_eq!(store.try_read("snapshot/a").await.unwrap(), None);
        store.write("snapshot/a", bytes("0123456789")).await.unwrap();
        assert_eq!(store.size("snapshot/a").await.unwrap(), 10);
        assert_eq!(store.read_range("snapshot/a", 2..5).await.unwrap(), "234");
        assert!(store.read_range("snapshot/a", 8..12).await.is_err());
        assert_eq!(store.read_tail("snapshot/a", 3).await.unwrap(), (bytes("789"), 10));
        store.replace_hint("snapshot/a", bytes("b")).await.unwrap();
        assert_eq!(store.read("snapshot/a").await.unwrap(), "b");
        store.write("snapshot/deep/c", bytes("c")).await.unwrap();
        let listed = store.list("snapshot").await.unwrap();
        assert_eq!(listed.iter().map(|file| (file.name.as_str(), file.size)).collect::<Vec<_>>(), [("a", 1)]);
        assert!(listed[0].modified_millis > 1_600_000_000_000);
        assert_eq!(store.list_dirs("snapshot").await.unwrap(), ["deep"]);
        store.delete("snapshot/a").await.unwrap();
        store.delete("snapshot/a").await.unwrap();
        store.delete_dir("snapshot").await.unwrap();
        assert!(store.list_recursive("").await.unwrap().is_empty());
        let child = store.child("db.db/t").unwrap();
        child.write("x", bytes("x")).await.unwrap();
        assert_eq!(store.read("db.db/t/x").await.unwrap(), "x");
        assert!(matches!(store.read("../x").await, Err(Error::Invalid(_))));
    }
}

#[tokio::test]
async fn a_put_if_absent_has_one_winner_and_leaves_no_temporary_file() {
    let (directory, store) = local();
    for round in 0..20 {
        let path = format!("snapshot/snapshot-{round}");
        let rivals = (0..8).map(|rival| {
            let (store, path) = (store.clone(), path.clone());
            tokio::spawn(async move { store.create(&path, bytes(&format!("{rival}"))).await.unwrap() })
        });
        let outcomes: Vec<_> = futures::future::join_all(rivals).await.into_iter().map(|done| done.unwrap()).collect();
        let winner = outcomes.iter().position(|created| *created == Created::Won).unwrap();
        assert_eq!(outcomes.iter().filter(|created| **created == Created::Exists).count(), 7);
        assert_eq!(store.read(&path).await.unwrap(), winner.to_string());
    }
    assert_eq!(names_on_disk(&directory.path().join("snapshot")).len(), 20);
}

#[tokio::test]
async fn a_local_write_that_cannot_happen_fails_for_certain() {
    let (directory, store) = local();
    std::fs::write(directory.path().join("file"), "x").unwrap();
    assert!(matches!(store.create("file/below", bytes("x")).await, Err(Error::Storage { .. })));
}

#[tokio::test]
async fn an_upload_is_invisible_until_it_ends_and_an_aborted_one_leaves_nothing() {
    let (directory, store) = local();
    let big = Bytes::from(vec![7_u8; 5 << 20]);
    let mut upload = store.upload("bucket-0/data-1").unwrap();
    for _ in 0..5 {
        upload.push(big.clone()).await.unwrap();
    }
    assert!(store.list("bucket-0").await.unwrap().iter().all(|file| file.name.starts_with('.')));
    assert_eq!(upload.finish().await.unwrap(), 25 << 20);
    assert_eq!(store.read("bucket-0/data-1").await.unwrap(), vec![7_u8; 25 << 20]);
    let mut aborted = store.upload("bucket-0/data-2").unwrap();
    let mut dropped = store.upload("bucket-0/data-3").unwrap();
    for upload in [&mut aborted, &mut dropped] {
        for _ in 0..4 {
            upload.push(big.clone()).await.unwrap();
        }
    }
    aborted.abort().await.unwrap();
    drop(dropped);
    for _ in 0..200 {
        if names_on_disk(&directory.path().join("bucket-0")).len() == 1 {
            break;
        }
        Env::system().sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(names_on_disk(&directory.path().join("bucket-0")), ["data-1"]);
}

#[tokio::test]
async fn a_blocking_upload_writes_from_a_thread_of_the_pool() {
    use std::io::Write;
    let (_directory, store) = local();
    let upload = store.upload("bucket-0/data-1").unwrap();
    let runtime = tokio::runtime::Handle::current();
    let written = Env::system()
        .blocking(move || {
            let mut upload = BlockingUpload::new(upload, runtime);
            for number in 0..1_000_000_u32 {
                upload.write_all(&number.to_le_bytes()).unwrap();
            }
            assert_eq!(upload.written(), 4_000_000);
            upload.finish()
        })
        .await
        .unwrap();
    assert_eq!(written, 4_000_000);
    assert_eq!(&store.read("bucket-0/data-1").await.unwrap()[4..8], 1_u32.to_le_bytes());
}

#[tokio::test]
async fn a_failed_upload_is_aborted() {
    let counted = Arc::new(std::sync::Mutex::new(None));
    let store = TableStore::memory(&Env::system()).wrapped(|inner| {
        let counting = CountingStore::new(inner);
        *counted.lock().unwrap() = Some(counting.clone());
        // Operation 0 begins the upload, 1 and 2 are parts.
        Arc::new(FaultyStore::new(Arc::new(counting), Env::system(), FaultPlan::none().at(2, Fault::FailBefore)))
    });
    let mut upload = store.upload("bucket-0/data-1").unwrap();
    let mut failed = false;
    for _ in 0..10 {
        failed |= upload.push(Bytes::from(vec![0_u8; 8 << 20])).await.is_err();
    }
    assert!(failed && upload.finish().await.is_err());
    let counts = counted.lock().unwrap().take().unwrap().counts();
    assert_eq!((counts.of(Op::Abort), counts.of(Op::Complete)), (1, 0), "{counts}");
}

#[tokio::test]
async fn faults_do_what_their_names_say() {
    let env = Env::system();
    let memory = TableStore::memory(&env);
    let faulty = Arc::new(std::sync::Mutex::new(None));
    let store = memory.wrapped(|inner| {
        let wrapped = FaultyStore::new(inner, env.clone(), FaultPlan::none());
        *faulty.lock().unwrap() = Some(wrapped.clone());
        Arc::new(wrapped)
    });
    let faulty = faulty.lock().unwrap().take().unwrap();
    let plan = |fault| faulty.replan(FaultPlan::none().at(0, fault));

    plan(Fault::FailBefore);
    assert!(matches!(store.create("a", bytes("1")).await.unwrap(), Created::Unknown(_)));
    assert!(!memory.exists("a").await.unwrap());
    plan(Fault::FailAfter);
    assert!(matches!(store.create("a", bytes("1")).await.unwrap(), Created::Unknown(_)));
    assert!(memory.exists("a").await.unwrap());
    plan(Fault::LostAnswer);
    assert_eq!(store.create("b", bytes("1")).await.unwrap(), Created::Exists);
    assert!(memory.exists("b").await.unwrap());
    plan(Fault::WrongKind);
    assert_eq!(store.create("c", bytes("1")).await.unwrap(), Created::Exists);
    assert!(!memory.exists("c").await.unwrap());
    plan(Fault::TornBody);
    memory.write("long", bytes("0123456789")).await.unwrap();
    assert!(matches!(store.read("long").await, Err(Error::Storage { .. })));
    plan(Fault::TornBody);
    assert!(store.read_range("long", 0..8).await.is_err());
    faulty.revive();
    assert_eq!(store.list("").await.unwrap().len(), 3);
    memory.write("new", bytes("1")).await.unwrap();
    plan(Fault::StaleList);
    assert_eq!(store.list("").await.unwrap().len(), 3);
    assert_eq!(store.list("").await.unwrap().len(), 4);
    faulty.replan(FaultPlan::none().crash(1, true));
    store.write("d", bytes("1")).await.unwrap();
    assert!(store.write("e", bytes("1")).await.is_err());
    assert!(store.write("f", bytes("1")).await.is_err());
    assert!(memory.exists("e").await.unwrap() && !memory.exists("f").await.unwrap());
    let gate = Gate::default();
    plan(Fault::Pause(gate.clone()));
    let paused = tokio::spawn({
        let store = store.clone();
        async move { store.write("g", bytes("1")).await }
    });
    gate.reached().await;
    assert!(!memory.exists("g").await.unwrap());
    gate.open();
    paused.await.unwrap().unwrap();
    assert!(memory.exists("g").await.unwrap());
    assert!(faulty.coverage().contains("torn body"), "{}", faulty.coverage());
}

#[tokio::test]
async fn equal_seeds_give_equal_traces() {
    let run = |seed: u64| async move {
        let faulty = FaultyStore::new(
            Arc::new(object_store::memory::InMemory::new()),
            Env::system(),
            FaultPlan::seeded(seed).chance(0.3, Fault::FailBefore).chance(0.2, Fault::FailAfter),
        );
        let store = TableStore::memory(&Env::system()).wrapped(|_| Arc::new(faulty.clone()) as Arc<dyn ObjectStore>);
        for number in 0..50 {
            let _ = store.create(&format!("{}", number % 20), bytes("x")).await;
        }
        faulty.trace_hash()
    };
    assert_eq!(run(1).await, run(1).await);
    assert_ne!(run(1).await, run(2).await);
}

/// A store that forgets the condition of a create.
#[derive(Debug)]
struct Careless(Arc<dyn ObjectStore>);

impl std::fmt::Display for Careless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("careless")
    }
}

mod careless {
    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::path::Path;
    use object_store::*;

    #[async_trait]
    impl ObjectStore for super::Careless {
        async fn put_opts(&self, path: &Path, payload: PutPayload, _: PutOptions) -> Result<PutResult> {
            self.0.put_opts(path, payload, PutOptions::default()).await
        }
        async fn put_multipart_opts(&self, path: &Path, o: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(path, o).await
        }
        async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
            self.0.get_opts(path, options).await
        }
        fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.0.delete_stream(paths)
        }
        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }
        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }
}

#[tokio::test]
async fn the_probe_accepts_an_honest_store_and_refuses_a_careless_one() {
    let honest = TableStore::memory(&Env::system());
    honest.probe_conditional_create().await.unwrap();
    assert!(honest.list_recursive("").await.unwrap().is_empty());
    let careless = honest.wrapped(|inner| Arc::new(Careless(inner)));
    let error = careless.probe_conditional_create().await.unwrap_err();
    assert!(matches!(&error, Error::Unsupported(text) if text.contains("conditional")), "{error}");
    assert!(honest.list_recursive("").await.unwrap().is_empty());
}

/// The same files behind a service that forgets the condition of a create.
pub(crate) fn careless(honest: &TableStore) -> TableStore {
    let (inner, _) = honest.object("x").unwrap();
    let kind = store::Kind::Remote { bucket: honest.env().uuid().to_string(), read_only: None, deletes_at_once: 1 };
    TableStore::assemble(
        Arc::new(Careless(inner)),
        "table".into(),
        "s3://careless/t".into(),
        kind,
        honest.env().clone(),
    )
}

#[tokio::test]
async fn directories_are_renamed_on_disk_and_refused_on_an_object_store() {
    let (directory, store) = local();
    store.write("a.db/t/schema/schema-0", bytes("x")).await.unwrap();
    store.rename_dir("a.db/t", "a.db/u").await.unwrap();
    assert_eq!(names_on_disk(&directory.path().join("a.db")), ["u"]);
    assert!(matches!(store.rename_dir("a.db/t", "a.db/v").await, Err(Error::NotFound(_))));
    store.create_dir("a.db/v").await.unwrap();
    assert!(matches!(store.rename_dir("a.db/u", "a.db/v").await, Err(Error::AlreadyExists(_))));
    let memory = TableStore::memory(&Env::system());
    assert!(matches!(memory.rename_dir("a", "b").await, Err(Error::Unsupported(_))));
}

#[cfg(unix)]
#[tokio::test]
async fn deleting_a_directory_does_not_follow_links_out_of_it() {
    let (directory, store) = local();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("precious"), "x").unwrap();
    store.write("t/bucket-0/data-1", bytes("x")).await.unwrap();
    std::os::unix::fs::symlink(outside.path(), directory.path().join("t/link")).unwrap();
    store.delete_dir("t").await.unwrap();
    assert!(outside.path().join("precious").is_file());
    assert!(names_on_disk(directory.path()).is_empty());
}

/// `FOREBAY_TEST_S3=http://127.0.0.1:5000/bucket cargo test -p forebay an_s3_server -- --ignored`
#[tokio::test]
#[ignore = "needs an S3 server"]
async fn an_s3_server_keeps_names_conditions_and_uploads() {
    let at = std::env::var("FOREBAY_TEST_S3").expect("FOREBAY_TEST_S3 names a server and a bucket");
    let (endpoint, bucket) = at.rsplit_once('/').unwrap();
    let options = BTreeMap::from([
        ("s3.endpoint".to_string(), endpoint.to_string()),
        ("s3.access-key".to_string(), "test".to_string()),
        ("s3.secret-key".to_string(), "test".to_string()),
        ("s3.path.style.access".to_string(), "true".to_string()),
    ]);
    let env = Env::system();
    let store = open_location(&format!("s3://{bucket}/{}", env.uuid()), &options, &env).unwrap();
    store.require_conditional_create().await.unwrap();
    assert!(store.list_recursive("").await.unwrap().is_empty());
    for name in ["p=a%2Fb%3Dc d", "p=x%3Ay%3F%2A%23%25%22%27%5B%5D%7B%7D%5E%5C", "p=日本", "k=a%3Ab c"] {
        let path = format!("{name}/bucket-0/data-1.parquet");
        store.write(&path, bytes("x")).await.unwrap();
        assert_eq!(store.read(&path).await.unwrap(), "x");
        assert!(store.list_dirs("").await.unwrap().contains(&name.to_string()), "{name}");
        assert_eq!(store.list(&format!("{name}/bucket-0")).await.unwrap()[0].name, "data-1.parquet");
    }
    assert_eq!(store.create("snapshot/snapshot-1", bytes("a")).await.unwrap(), Created::Won);
    assert_eq!(store.create("snapshot/snapshot-1", bytes("b")).await.unwrap(), Created::Exists);
    assert_eq!(store.read("snapshot/snapshot-1").await.unwrap(), "a");
    assert!(!store.exists("snapshot/snapshot-2").await.unwrap());
    let mut upload = store.upload("bucket-0/data-1").unwrap();
    for _ in 0..4 {
        upload.push(Bytes::from(vec![7_u8; 5 << 20])).await.unwrap();
    }
    upload.finish().await.unwrap();
    assert_eq!(store.size("bucket-0/data-1").await.unwrap(), 20 << 20);
    assert_eq!(store.read_tail("bucket-0/data-1", 4).await.unwrap(), (Bytes::from_static(&[7; 4]), 20 << 20));
    store.delete_dir("").await.unwrap();
    assert!(store.list_recursive("").await.unwrap().is_empty());
}

#[tokio::test]
async fn files_outside_of_the_root_are_reached_below_allowed_locations_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let options = BTreeMap::from([(ALLOW_EXTERNAL.to_string(), format!("{},memory://outside/y", at("x").display()))]);
    let location = at("t");
    let store = open_location(location.to_str().unwrap(), &options, &Env::system()).unwrap();
    let near = format!("file://{}/bucket-0/f", at("x").display());
    let far = "memory://outside/y/bucket-0/f".to_string();
    for path in [&near, &far] {
        assert!(store.reaches(path));
        store.require_writable_at(path).unwrap();
        store.write(path, bytes("0123")).await.unwrap();
        assert_eq!(store.read(path).await.unwrap(), bytes("0123"));
        assert_eq!(store.read_range(path, 1..3).await.unwrap(), bytes("12"));
        assert_eq!(store.size(path).await.unwrap(), 4);
        let mut upload = store.upload(path).unwrap();
        upload.push(bytes("4567")).await.unwrap();
        upload.finish().await.unwrap();
        assert_eq!(store.read_ranges(path, &[0..1, 3..4]).await.unwrap(), [bytes("4"), bytes("7")]);
    }
    assert!(at("x").join("bucket-0/f").is_file() && !location.exists());
    store.write("bucket-0/g", bytes("g")).await.unwrap();
    let all =
        [near.clone(), "bucket-0/g".to_string(), far.clone(), format!("file://{}/z/f", directory.path().display())];
    let failed = store.delete_all(&all).await;
    assert_eq!(failed.iter().map(|(path, _)| path).collect::<Vec<_>>(), [&all[3]]);
    for path in &all[..3] {
        assert!(!store.exists(path).await.unwrap(), "{path}");
    }
    // The allowed location itself is nobody's to remove.
    assert!(store.remove_empty_dir(&format!("file://{}/bucket-0", at("x").display())).await.unwrap());
    assert!(store.remove_empty_dir(&format!("file://{}", at("x").display())).await.is_err());
    // Nothing is listed, made or removed there as a directory.
    assert!(store.list(&near).await.is_err());
    assert!(store.delete_dir(&near).await.is_err());
    assert!(store.create_dir(&near).await.is_err());
    let plain = TableStore::local(&location, &Env::system()).unwrap();
    for path in [&near, &far] {
        assert!(!plain.reaches(path));
        assert!(matches!(plain.read(path).await, Err(Error::Unsupported(_))));
        assert!(matches!(plain.write(path, bytes("x")).await, Err(Error::Unsupported(_))));
        assert!(matches!(plain.delete(path).await, Err(Error::Unsupported(_))));
    }
}

#[test]
fn an_unknown_option_of_the_cache_is_refused_whatever_the_store() {
    for location in ["/tmp/t", "memory://m/t", "s3://b/t"] {
        let options = BTreeMap::from([("local-cache.max-age".to_string(), "1 d".to_string())]);
        let error = open_location(location, &options, &Env::system()).unwrap_err();
        assert!(error.to_string().contains("local-cache.max-age"), "{error}");
    }
}
