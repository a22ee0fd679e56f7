//! What a cache keeps, for how long, and what it does when its disk does not.

use std::collections::BTreeMap;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::*;
use crate::io::{CountingStore, Op};

const UUID: &str = "0bd1c6a1-56c9-4c1b-a1e9-2f0f7b6f1d3c";

fn file(number: usize) -> Path {
    Path::from(format!("t/bucket-0/data-{UUID}-{number}.parquet"))
}

fn content(size: usize) -> Bytes {
    (0..size).map(|at| (at * 31 % 251) as u8).collect()
}

fn options(directory: &FsPath, max_bytes: u64) -> CacheOptions {
    CacheOptions { block_bytes: 100, kinds: CachedKind::ALL.to_vec(), ..CacheOptions::new(directory, max_bytes) }
}

/// A store in memory that is counted, and the same behind a cache.
struct Place {
    remote: Arc<InMemory>,
    counting: CountingStore,
    cache: Arc<BlockCache>,
    store: Arc<dyn ObjectStore>,
}

impl Place {
    fn new(options: CacheOptions) -> Self {
        Self::over(Arc::new(InMemory::new()), options)
    }

    /// As another process would have it.
    fn over(remote: Arc<InMemory>, options: CacheOptions) -> Self {
        let counting = CountingStore::new(Arc::clone(&remote) as Arc<dyn ObjectStore>);
        let cache = Arc::new(BlockCache::new(options));
        let store = cache.wrap(Arc::new(counting.clone()), "memory://m", &Env::system());
        Self { remote, counting, cache, store }
    }

    async fn put(&self, path: &Path, bytes: Bytes) {
        self.remote.put(path, bytes.into()).await.unwrap();
    }

    /// A read, and what it asked the store for.
    async fn read(&self, path: &Path, range: std::ops::Range<u64>) -> (Bytes, u64) {
        self.counting.reset();
        let bytes = self.store.get_range(path, range).await.unwrap();
        (bytes, self.counting.counts().total())
    }
}

fn blocks_in(directory: &FsPath) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join("forebay-1")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "block" || ending == "part"));
    paths.sort();
    paths
}

fn bytes_in(directory: &FsPath) -> u64 {
    blocks_in(directory).iter().map(|path| std::fs::metadata(path).unwrap().len()).sum()
}

#[tokio::test]
async fn what_was_read_once_is_not_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(options(directory.path(), 1 << 20));
    let bytes = content(1050);
    place.put(&file(0), bytes.clone()).await;
    assert_eq!(place.read(&file(0), 250..320).await, (bytes.slice(250..320), 1));
    for range in [250..320, 200..400, 399..400] {
        let wanted = bytes.slice(range.start as usize..range.end as usize);
        assert_eq!(place.read(&file(0), range).await, (wanted, 0));
    }
    assert_eq!(
        place.read(&file(0), 150..450).await,
        (bytes.slice(150..450), 1),
        "two blocks in one request for ranges"
    );
    assert_eq!(place.read(&file(0), 1000..2000).await, (bytes.slice(1000..), 1), "the end of the file");
    assert_eq!(place.read(&file(0), 1020..2000).await, (bytes.slice(1020..), 0));
    assert!(place.cache.counts().hits > 0);
    // The whole file, its end, and ranges of it.
    assert_eq!(place.store.get(&file(0)).await.unwrap().bytes().await.unwrap(), bytes);
    place.counting.reset();
    let whole = place.store.get(&file(0)).await.unwrap();
    assert_eq!((whole.meta.size, whole.range.clone()), (1050, 0..1050));
    assert_eq!(whole.bytes().await.unwrap(), bytes);
    let tail = GetOptions { range: Some(GetRange::Suffix(120)), ..GetOptions::default() };
    assert_eq!(place.store.get_opts(&file(0), tail).await.unwrap().bytes().await.unwrap(), bytes.slice(930..));
    let pieces = place.store.get_ranges(&file(0), &[5..10, 700..905]).await.unwrap();
    assert_eq!(pieces, [bytes.slice(5..10), bytes.slice(700..905)]);
    assert_eq!(place.counting.counts().total(), 0);
}

#[tokio::test]
async fn a_small_file_is_one_request_and_an_absent_one_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(options(directory.path(), 1 << 20));
    place.put(&file(0), content(70)).await;
    place.put(&file(1), Bytes::new()).await;
    let read = |number| {
        let store = Arc::clone(&place.store);
        async move { store.get(&file(number)).await.unwrap().bytes().await.unwrap() }
    };
    assert_eq!((read(0).await, place.counting.reset().total()), (content(70), 1));
    assert_eq!((read(0).await, place.counting.reset().total()), (content(70), 0));
    assert_eq!(read(1).await, Bytes::new());
    let error = place.store.get(&file(2)).await.unwrap_err();
    assert!(matches!(error, object_store::Error::NotFound { .. }), "{error}");
    assert!(place.store.get_range(&file(0), 70..80).await.is_err(), "behind the end");
}

#[tokio::test]
async fn blocks_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(options(directory.path(), 1 << 20));
    place.put(&file(0), content(1000)).await;
    place.store.get(&file(0)).await.unwrap();
    let remote = Arc::clone(&place.remote);
    drop(place);
    let place = Place::over(remote, options(directory.path(), 1 << 20));
    assert_eq!(place.store.get(&file(0)).await.unwrap().bytes().await.unwrap(), content(1000));
    assert_eq!(place.counting.counts().total(), 0);
}

#[tokio::test]
async fn the_limit_holds_on_the_disk_and_the_oldest_use_goes_first() {
    let directory = tempfile::tempdir().unwrap();
    let limit = 4000;
    let place = Place::new(options(directory.path(), limit));
    for number in 0..40 {
        place.put(&file(number), content(350)).await;
        place.store.get(&file(number)).await.unwrap();
        assert!(bytes_in(directory.path()) <= limit);
        // Stays in use.
        place.store.get_range(&file(0), 0..1).await.unwrap();
    }
    assert!(bytes_in(directory.path()) > limit / 2);
    assert_eq!(bytes_in(directory.path()), place.cache.blocks.bytes());
    assert_eq!(place.read(&file(0), 0..100).await.1, 0);
    assert_eq!(place.read(&file(39), 0..100).await.1, 0);
    assert_eq!(place.read(&file(1), 0..100).await.1, 1);
    let remote = Arc::clone(&place.remote);
    drop(place);
    let place = Place::over(remote, options(directory.path(), 1000));
    place.store.get_range(&file(39), 0..1).await.unwrap();
    assert!(bytes_in(directory.path()) <= 1000, "a lower limit takes hold at once");
}

#[tokio::test]
async fn a_block_that_is_damaged_cut_or_of_another_file_is_fetched_again() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(options(directory.path(), 1 << 20));
    place.put(&file(0), content(100)).await;
    place.put(&file(1), Bytes::from(vec![9; 100])).await;
    let whole = async |number| place.read(&file(number), 0..100).await;
    whole(0).await;
    let path = blocks_in(directory.path()).remove(0);
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&path, bad).unwrap();
        assert_eq!(whole(0).await, (content(100), 1), "byte {at} changed");
        assert_eq!(std::fs::read(&path).unwrap(), good);
    }
    for length in 0..good.len() {
        std::fs::write(&path, &good[..length]).unwrap();
        assert_eq!(whole(0).await, (content(100), 1), "cut to {length}");
    }
    whole(1).await;
    let other = blocks_in(directory.path()).into_iter().find(|other| *other != path).unwrap();
    std::fs::copy(&other, &path).unwrap();
    assert_eq!(whole(0).await, (content(100), 1), "a block of another file");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(whole(0).await, (content(100), 1), "gone");
    assert_eq!(whole(0).await, (content(100), 0));
}

#[tokio::test]
async fn what_a_killed_process_left_half_written_goes() {
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("forebay-1");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("00-64-0.7.part"), [1, 2, 3]).unwrap();
    std::fs::write(own.join("strange"), [1]).unwrap();
    std::fs::write(directory.path().join("beside.block"), [1]).unwrap();
    let place = Place::new(options(directory.path(), 1 << 20));
    place.put(&file(0), content(100)).await;
    assert_eq!(place.read(&file(0), 0..100).await, (content(100), 1));
    assert_eq!(blocks_in(directory.path()).len(), 1);
    assert!(own.join("strange").exists() && directory.path().join("beside.block").exists(), "not ours");
}

#[tokio::test]
async fn a_second_process_reads_what_the_first_keeps_and_keeps_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let first = Place::new(options(directory.path(), 1 << 20));
    first.put(&file(0), content(300)).await;
    first.put(&file(1), content(300)).await;
    first.store.get(&file(0)).await.unwrap();
    let second = Place::over(Arc::clone(&first.remote), options(directory.path(), 1 << 20));
    assert_eq!(second.store.get(&file(0)).await.unwrap().bytes().await.unwrap(), content(300));
    assert_eq!(second.counting.counts().total(), 0);
    let before = blocks_in(directory.path());
    assert_eq!(second.read(&file(1), 0..300).await, (content(300), 1));
    assert_eq!(second.read(&file(1), 0..300).await, (content(300), 1));
    assert_eq!(blocks_in(directory.path()), before);
    drop(first);
    let third = Place::over(Arc::clone(&second.remote), options(directory.path(), 1 << 20));
    assert_eq!(third.read(&file(1), 0..300).await.1, 1);
    assert_eq!(third.read(&file(1), 0..300).await.1, 0, "who comes after the first fills it");
}

#[tokio::test]
async fn a_disk_that_fails_costs_the_cache_alone() {
    let directory = tempfile::tempdir().unwrap();
    // A file where the directory should be.
    std::fs::write(directory.path().join("forebay-1"), [1]).unwrap();
    let place = Place::new(options(directory.path(), 1 << 20));
    place.put(&file(0), content(250)).await;
    for _ in 0..2 {
        assert_eq!(place.read(&file(0), 10..240).await, (content(250).slice(10..240), 1));
        place.counting.reset();
        assert_eq!(place.store.get(&file(0)).await.unwrap().bytes().await.unwrap(), content(250));
        assert_eq!(place.counting.counts().total(), 1);
    }
    // A directory that goes while it is in use: blocks can be neither read nor kept.
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(options(directory.path(), 1 << 20));
    place.put(&file(0), content(250)).await;
    place.read(&file(0), 0..250).await;
    std::fs::remove_dir_all(directory.path().join("forebay-1")).unwrap();
    for _ in 0..2 {
        assert_eq!(place.read(&file(0), 10..240).await, (content(250).slice(10..240), 1));
    }
    assert_eq!(place.cache.blocks.bytes(), 0);
}

#[tokio::test]
async fn only_the_kinds_that_are_named_are_kept_and_never_a_pointer() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(CacheOptions { kinds: vec![CachedKind::Meta], ..options(directory.path(), 1 << 20) });
    let manifest = Path::from(format!("t/manifest/manifest-{UUID}-0"));
    let paths = [manifest.clone(), file(0), Path::from("t/snapshot/snapshot-1"), Path::from("t/schema/schema-0")];
    for path in &paths {
        place.put(path, content(80)).await;
        place.store.get(path).await.unwrap();
    }
    place.counting.reset();
    for path in &paths {
        place.store.get(path).await.unwrap();
    }
    assert_eq!(place.counting.counts().of(Op::Get), 3);
    assert_eq!(blocks_in(directory.path()).len(), 1);
}

#[tokio::test]
async fn what_is_deleted_or_written_through_the_store_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(options(directory.path(), 1 << 20));
    for number in 0..2 {
        place.put(&file(number), content(100)).await;
        place.store.get(&file(number)).await.unwrap();
    }
    place.store.delete(&file(0)).await.unwrap();
    assert_eq!(blocks_in(directory.path()).len(), 1);
    assert!(place.store.get(&file(0)).await.is_err());
    place.store.put(&file(1), Bytes::from_static(b"new").into()).await.unwrap();
    assert_eq!(place.store.get(&file(1)).await.unwrap().bytes().await.unwrap(), Bytes::from_static(b"new"));
    // A file that is shorter than its blocks tell.
    place.put(&file(2), content(250)).await;
    place.read(&file(2), 0..100).await;
    place.put(&file(2), content(120)).await;
    assert_eq!(place.store.get_range(&file(2), 100..200).await.unwrap(), content(120).slice(100..));
}

#[test]
fn options_are_read_and_refused_by_name() {
    let of = |options: &[(&str, &str)]| {
        let named = |(name, value): &(&str, &str)| (format!("local-cache.{name}"), (*value).to_string());
        CacheOptions::of(&options.iter().map(named).collect::<BTreeMap<_, _>>())
    };
    assert_eq!(of(&[]).unwrap(), None);
    assert_eq!(of(&[("enabled", "false"), ("dir", "/c")]).unwrap(), None);
    let plain = of(&[("enabled", "TRUE"), ("dir", "/c")]).unwrap().unwrap();
    assert_eq!(plain, CacheOptions::new("/c", u64::MAX));
    assert_eq!((plain.block_bytes, plain.kinds), (1 << 20, vec![CachedKind::Meta, CachedKind::GlobalIndex]));
    let all = [
        ("max-size", "2 gb"),
        ("block-size", "64 kb"),
        ("whitelist", "data, meta"),
        ("enabled", "true"),
        ("dir", "/c"),
    ];
    let all = of(&all).unwrap().unwrap();
    assert_eq!(
        (all.max_bytes, all.block_bytes, all.kinds),
        (2 << 30, 64 << 10, vec![CachedKind::Data, CachedKind::Meta])
    );
    for (wrong, name) in [
        (&[("enabled", "true")][..], "local-cache.dir"),
        (&[("enabled", "maybe")], "local-cache.enabled"),
        (&[("enabled", "true"), ("dir", "/c"), ("max-size", "x")], "local-cache.max-size"),
        (&[("enabled", "true"), ("dir", "/c"), ("block-size", "1 b")], "local-cache.block-size"),
        (&[("enabled", "true"), ("dir", "/c"), ("whitelist", "data,snapshots")], "snapshots"),
        (&[("enabled", "false"), ("max-age", "1 d")], "local-cache.max-age"),
        (&[("max-size", "x")], "local-cache.max-size"),
        (&[("enabled", "false"), ("block-size", "1 b")], "local-cache.block-size"),
        (&[("whitelist", "data,snapshots")], "snapshots"),
    ] {
        let text = of(wrong).unwrap_err().to_string();
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn a_directory_has_one_limit_in_a_process() {
    let directory = tempfile::tempdir().unwrap();
    let one = BlockCache::open(options(directory.path(), 1000)).unwrap();
    assert!(Arc::ptr_eq(&one, &BlockCache::open(options(directory.path(), 1000)).unwrap()));
    assert!(matches!(BlockCache::open(options(directory.path(), 2000)), Err(Error::Invalid(_))));
    drop(one);
    BlockCache::open(options(directory.path(), 2000)).unwrap();
}
