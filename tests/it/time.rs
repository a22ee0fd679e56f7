//! Points of a table's history: tags, watermarks, versions, branches, what changed between two points, and where
//! streams begin.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forebay::commit::CommitProperties;
use forebay::scan::{At, Between};
use forebay::schema::{BetweenMode, Schema};
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Env, Error, Table};

use crate::support::{Row, all_rows, as_set, changes, lanes, rows_of};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn table(&self, options: &[(&str, &str)]) -> Table {
        let mut schema = Schema::builder()
            .column("k", DataType::INT)
            .column("v", DataType::INT)
            .column("s", DataType::STRING)
            .primary_key(["k"])
            .option("bucket", "2");
        for (name, value) in options {
            schema = schema.option(*name, *value);
        }
        let path = self.0.path().join("t");
        Table::create(path.to_str().unwrap(), schema.build().unwrap(), []).await.unwrap()
    }

    async fn append(&self) -> Table {
        let schema = Schema::builder().column("k", DataType::INT).column("v", DataType::INT).build().unwrap();
        Table::create(self.0.path().join("a").to_str().unwrap(), schema, []).await.unwrap()
    }
}

fn row(k: i32, v: i32) -> Row {
    vec![Datum::Int(k), Datum::Int(v), Datum::String(format!("s{v}"))]
}

/// Commits rows, and answers the snapshot.
async fn write(table: &Table, rows: &[Row]) -> i64 {
    let kinds: Vec<(RowKind, Row)> = rows.iter().map(|row| (RowKind::Insert, row.clone())).collect();
    write_changes(table, &kinds, None).await
}

async fn write_changes(table: &Table, rows: &[(RowKind, Row)], watermark: Option<i64>) -> i64 {
    let user = format!("user-{}", table.store().env().uuid());
    let mut writer = table.stream_writer(&user).await.unwrap();
    writer.write(&changes(table.schema(), rows)).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    let properties = CommitProperties { watermark, ..CommitProperties::default() };
    table.committer(&user).unwrap().commit(1, messages, properties).await.unwrap().snapshot_id().unwrap()
}

async fn at(table: &Table, at: At) -> Result<Vec<Row>, Error> {
    all_rows(table.schema(), table.scan().at(at).wide_timestamps().read().await?).await
}

async fn now(table: &Table) -> Result<Vec<Row>, Error> {
    all_rows(table.schema(), table.scan().wide_timestamps().read().await?).await
}

async fn expire_all_but_one(table: &Table) {
    let table = table.clone().with_options([("snapshot.time-retained", "1 ms")]).unwrap();
    Env::system().sleep(Duration::from_millis(20)).await;
    let expire = table.maintain().expire_snapshots().unwrap();
    expire.retain_min(1).retain_max(1).older_than(Duration::from_millis(1)).run().await.unwrap();
}

/// Every file below the table's root.
fn files(table: &Table) -> BTreeSet<String> {
    let root = table.store().local_path().unwrap();
    let (mut found, mut open) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => drop(found.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_string())),
            }
        }
    }
    found
}

#[tokio::test]
async fn a_read_stands_at_a_tag_a_watermark_or_a_version() {
    let place = Place::new();
    let table = place.table(&[("write-only", "true")]).await;
    for (v, watermark) in [(1, None), (2, Some(100)), (3, None), (4, Some(200)), (5, Some(200))] {
        write_changes(&table, &[(RowKind::Insert, row(1, v)), (RowKind::Insert, row(v, v))], watermark).await;
    }
    table.create_tag("two", &At::Snapshot(2), None).await.unwrap();
    table.create_tag("4", &At::Snapshot(3), None).await.unwrap();
    let snapshots: BTreeMap<i64, Vec<String>> = {
        let mut all = BTreeMap::new();
        for id in 1..=5 {
            all.insert(id, as_set(at(&table, At::Snapshot(id)).await.unwrap()));
        }
        all
    };
    let text = |text: &str| text.to_string();
    for (at_, wanted) in [
        (At::Tag(text("two")), 2),
        (At::Version(text("two")), 2),
        // A tag is tried first, whatever it looks like.
        (At::Version(text("4")), 3),
        (At::Version(text("5")), 5),
        (At::Version(text("watermark-101")), 4),
        (At::Watermark(i64::MIN), 2),
        (At::Watermark(100), 2),
        (At::Watermark(101), 4),
        (At::Watermark(200), 4),
        (At::Compacted, 5),
    ] {
        assert_eq!(as_set(at(&table, at_.clone()).await.unwrap()), snapshots[&wanted], "{at_:?}");
        let lookup = table.lookup().at(at_.clone()).wide_timestamps().open().await.unwrap();
        let keys = lanes(table.schema(), &[row(1, 0)]).project(&[0]).unwrap();
        let found = rows_of(table.schema(), &lookup.get(&keys).await.unwrap().rows);
        assert!(snapshots[&wanted].contains(&format!("{:?}", found[0])), "{at_:?}");
    }
    for missing in [At::Tag(text("three")), At::Version(text("three")), At::Version(text("9")), At::Watermark(201)] {
        assert!(matches!(at(&table, missing.clone()).await, Err(Error::NotFound(_))), "{missing:?}");
    }
    for (name, value, wanted) in [
        ("scan.tag-name", "two", 2),
        ("scan.version", "4", 3),
        ("scan.snapshot-id", "4", 4),
        ("scan.watermark", "150", 4),
        ("scan.mode", "compacted-full", 5),
        ("scan.mode", "latest", 5),
    ] {
        let table = table.clone().with_options([(name, value)]).unwrap();
        assert_eq!(as_set(now(&table).await.unwrap()), snapshots[&wanted], "{name}={value}");
        // What the call says is stronger.
        assert_eq!(as_set(at(&table, At::Latest).await.unwrap()), snapshots[&5], "{name}={value}");
    }
    let time = table.history().snapshots.load(3).await.unwrap().time_millis;
    let wanted = as_set(at(&table, At::Timestamp(time)).await.unwrap());
    let told = table.clone().with_options([("scan.timestamp-millis", time.to_string())]).unwrap();
    assert_eq!(as_set(now(&told).await.unwrap()), wanted);
    let contradiction = table.clone().with_options([("scan.tag-name", "two"), ("scan.snapshot-id", "3")]);
    assert!(matches!(contradiction, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_tag_keeps_its_snapshot_from_expiry_and_gives_it_back() {
    let place = Place::new();
    let table = place.table(&[]).await;
    write(&table, &[row(1, 1), row(2, 1)]).await;
    let first = as_set(now(&table).await.unwrap());
    table.create_tag("one", &At::Latest, None).await.unwrap();
    table.create_tag("again", &At::Tag("one".into()), Some(Duration::from_secs(86_400))).await.unwrap();
    assert!(matches!(table.create_tag("one", &At::Latest, None).await, Err(Error::AlreadyExists(_))));
    assert!(matches!(table.create_tag("../x", &At::Latest, None).await, Err(Error::Invalid(_))));
    let tag = table.history().tags.load("again").await.unwrap();
    assert_eq!(tag.time_retained, Some((86_400, 0)));
    for v in 2..5 {
        write(&table, &[row(1, v), row(2, v)]).await;
        table.compact().full().run().await.unwrap();
    }
    expire_all_but_one(&table).await;
    assert!(table.history().snapshots.try_load(1).await.unwrap().is_none(), "snapshot 1 expired");
    assert_eq!(as_set(at(&table, At::Tag("one".into())).await.unwrap()), first);
    // A tag can be made of what a tag keeps, and a stream begin there while the changes after it are kept.
    table.create_tag("third", &At::Tag("one".into()), None).await.unwrap();
    let begun = table.changes().from(Start::TagFull("one".into())).read().await;
    assert!(matches!(begun, Err(Error::NotFound(_))));
    for name in ["one", "again"] {
        let report = table.delete_tag(name).await.unwrap();
        assert_eq!(report.files, 0, "{name}: another tag keeps the files");
        assert_eq!(as_set(at(&table, At::Tag("third".into())).await.unwrap()), first);
    }
    let report = table.delete_tag("third").await.unwrap();
    assert!(report.files > 0, "{report:?}");
    assert!(matches!(table.delete_tag("third").await, Err(Error::NotFound(_))));
    assert_eq!(now(&table).await.unwrap().len(), 2);
    // Nothing is left that only the tags kept: the same history without tags holds as many files.
    let bare = files(&table);
    let data = bare.iter().filter(|name| name.contains("bucket-")).count();
    let live = table.scan().plan().await.unwrap().splits.iter().map(|split| split.files.len()).sum::<usize>();
    assert_eq!(data, live, "{bare:#?}");
    assert!(!bare.iter().any(|name| name.starts_with("expiry/")), "{bare:#?}");
}

#[tokio::test]
async fn a_branch_has_a_line_of_its_own() {
    let place = Place::new();
    let table = place.table(&[]).await;
    write(&table, &[row(1, 1), row(2, 1)]).await;
    table.create_tag("start", &At::Latest, None).await.unwrap();
    write(&table, &[row(1, 2)]).await;
    let empty = table.create_branch("empty", None).await.unwrap();
    assert!(now(&empty).await.unwrap().is_empty());
    let branch = table.create_branch("dev", Some("start")).await.unwrap();
    assert_eq!(branch.branch_name(), Some("dev"));
    assert!(matches!(table.create_branch("dev", None).await, Err(Error::AlreadyExists(_))));
    for bad in ["main", "12", "a/b", ""] {
        assert!(matches!(table.create_branch(bad, None).await, Err(Error::Invalid(_))), "{bad}");
    }
    assert!(matches!(table.create_branch("x", Some("no")).await, Err(Error::NotFound(_))));
    assert_eq!(as_set(now(&branch).await.unwrap()), as_set([row(1, 1), row(2, 1)]));
    write(&branch, &[row(2, 7), row(3, 7)]).await;
    branch.compact().full().run().await.unwrap();
    let add = forebay::schema::SchemaChange::AddColumn {
        path: vec!["w".into()],
        data_type: DataType::INT,
        comment: None,
        place: None,
    };
    let altered = branch.alter(&[add]).await.unwrap();
    assert_eq!(altered.schema().fields.len(), 4);
    assert_eq!(table.branch("dev").await.unwrap().schema().fields.len(), 4);
    assert_eq!(Table::open(table.location(), []).await.unwrap().schema().fields.len(), 3);
    assert_eq!(as_set(now(&table).await.unwrap()), as_set([row(1, 2), row(2, 1)]));
    assert_eq!(as_set(now(&branch).await.unwrap()), as_set([row(1, 1), row(2, 7), row(3, 7)]));
    // Streams and consumers are the branch's own.
    let mut stream = branch.changes().from(Start::LatestFull).consumer("c").read().await.unwrap();
    while stream.next().await.unwrap().is_some() {
        stream.ack().await.unwrap();
    }
    stream.ack().await.unwrap();
    assert!(files(&table).contains("branch/branch-dev/consumer/consumer-c"));
    // The table's expiry leaves what branches need, and a branch expires nothing.
    assert!(matches!(branch.maintain().expire_snapshots().map(drop), Err(Error::Unsupported(_))));
    for v in 3..6 {
        write(&table, &[row(1, v), row(2, v)]).await;
        table.compact().full().run().await.unwrap();
    }
    table.delete_tag("start").await.unwrap();
    expire_all_but_one(&table).await;
    assert_eq!(as_set(now(&branch).await.unwrap()), as_set([row(1, 1), row(2, 7), row(3, 7)]));
    assert_eq!(as_set(at(&branch, At::Tag("start".into())).await.unwrap()), as_set([row(1, 1), row(2, 1)]));
    assert!(matches!(branch.clone().drop().await, Err(Error::Unsupported(_))));
    table.delete_branch("dev").await.unwrap();
    assert!(matches!(table.branch("dev").await.map(drop), Err(Error::NotFound(_))));
    assert_eq!(now(&table).await.unwrap().len(), 2);
}

/// Of those that make a branch of one name at once one does, and the branch is that of its tag alone.
#[tokio::test]
async fn one_of_many_makes_a_branch() {
    let place = Place::new();
    let table = place.table(&[]).await;
    for v in 1..4 {
        write(&table, &[row(v, v)]).await;
        table.create_tag(&format!("t{v}"), &At::Latest, None).await.unwrap();
    }
    for round in 0..8 {
        let name = format!("b{round}");
        let tags = [Some("t1"), Some("t2"), Some("t3"), Some("t2")];
        let made = futures::future::join_all(tags.map(|tag| table.create_branch(&name, tag))).await;
        let refused = |made: &Result<Table, Error>| matches!(made, Err(Error::AlreadyExists(_)));
        assert_eq!(made.iter().filter(|made| refused(made)).count(), 3, "{name}");
        let winner = made.iter().position(Result::is_ok).unwrap();
        let rows = tags[winner].unwrap()[1..].parse::<usize>().unwrap();
        let branch = table.branch(&name).await.unwrap();
        assert_eq!(now(&branch).await.unwrap().len(), rows);
        assert_eq!(branch.history().snapshots.ids().await.unwrap().len(), 1);
    }
    assert!(files(&table).iter().all(|file| !file.contains("creating")));
    // Somebody died while they made one.
    let store = table.history().store.clone();
    store.write("branch/creating-half", bytes::Bytes::from_static(b"x")).await.unwrap();
    let half = table.create_branch("half", None).await;
    assert!(matches!(&half, Err(Error::AlreadyExists(text)) if text.contains("is being made")));
    table.delete_branch("half").await.unwrap();
    table.create_branch("half", Some("t1")).await.unwrap();
    assert!(matches!(table.delete_branch("gone").await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn a_fast_forward_that_is_refused_tells_why() {
    let place = Place::new();
    let table = place.table(&[("write-only", "true")]).await;
    for v in 1..3 {
        write(&table, &[row(1, v)]).await;
    }
    table.create_tag("two", &At::Latest, None).await.unwrap();
    for (name, tag) in [("bare", None), ("dev", Some("two"))] {
        let branch = table.create_branch(name, tag).await.unwrap();
        for v in 7..9 {
            write(&branch, &[row(1, v)]).await;
        }
    }
    let refused = async |branch: &str| match table.fast_forward(branch).await {
        Err(Error::Conflict(words)) => words,
        other => panic!("{branch}: {other:?}"),
    };
    let bare = refused("bare").await;
    assert!(bare.contains("without a tag") && !bare.contains("by itself"), "{bare}");
    write(&table, &[row(1, 3)]).await;
    let words = refused("dev").await;
    assert!(words.contains("went on by itself") && words.contains("snapshot 3 "), "{words}");
    // What would tell has expired.
    table.delete_tag("two").await.unwrap();
    write(&table, &[row(1, 4)]).await;
    expire_all_but_one(&table).await;
    assert!(refused("dev").await.contains("without a tag, or the table went on by itself"));
    // Another engine rolled the table back behind the branch's first snapshot.
    let other = Place::new();
    let table = other.table(&[("write-only", "true")]).await;
    for v in 1..3 {
        write(&table, &[row(1, v)]).await;
    }
    table.create_tag("two", &At::Latest, None).await.unwrap();
    table.create_branch("dev", Some("two")).await.unwrap();
    let snapshots = std::path::Path::new(table.location()).join("snapshot");
    std::fs::remove_file(snapshots.join("snapshot-2")).unwrap();
    std::fs::write(snapshots.join("LATEST"), "1").unwrap();
    let table = Table::open(table.location(), []).await.unwrap();
    match table.fast_forward("dev").await {
        Err(Error::Conflict(words)) => assert!(words.contains("begins with snapshot 2"), "{words}"),
        other => panic!("{other:?}"),
    }
}

async fn between(table: &Table, between: Between, mode: Option<BetweenMode>) -> Result<Vec<(RowKind, Row)>, Error> {
    let mut read = table.incremental(between).wide_timestamps();
    if let Some(mode) = mode {
        read = read.mode(mode);
    }
    let mut rows = read.read().await?;
    let mut found = Vec::new();
    while let Some(change) = rows.next().await? {
        let batch = rows_of(table.schema(), change.rows.rows());
        found.extend(batch.into_iter().enumerate().map(|(at, row)| (change.rows.kind(at), row)));
    }
    Ok(found)
}

/// All rows of a snapshot, also those that a batch read does not show yet.
async fn whole(table: &Table, id: i64) -> Vec<Row> {
    let mut stream = table.changes().from(Start::SnapshotFull(id)).to(id).wide_timestamps().read().await.unwrap();
    let mut rows = Vec::new();
    while let Some(change) = stream.next().await.unwrap() {
        rows.extend(rows_of(table.schema(), change.rows.rows()));
    }
    rows
}

#[tokio::test]
async fn a_difference_is_what_two_states_differ_by() {
    let engines: [&[(&str, &str)]; 6] = [
        &[],
        &[("deletion-vectors.enabled", "true")],
        &[("deletion-vectors.enabled", "true"), ("deletion-vectors.bitmap64", "true")],
        &[("merge-engine", "aggregation"), ("fields.v.aggregate-function", "sum")],
        &[("merge-engine", "partial-update"), ("ignore-delete", "true")],
        &[("merge-engine", "first-row"), ("ignore-delete", "true")],
    ];
    for (number, options) in engines.into_iter().enumerate() {
        let place = Place::new();
        let table = place.table(options).await;
        let mut seed = 7 + number as u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..6 {
            let rows: Vec<(RowKind, Row)> = (0..1 + next(6))
                .map(|_| {
                    let kind = if next(4) == 0 && number != 3 { RowKind::Delete } else { RowKind::Insert };
                    (kind, row(next(8) as i32, next(3) as i32))
                })
                .collect();
            write_changes(&table, &rows, None).await;
            if next(3) == 0 {
                table.compact().full().run().await.unwrap();
            }
        }
        let ids = table.history().snapshots.ids().await.unwrap();
        for (at, start) in ids.iter().enumerate() {
            let before: BTreeSet<String> = as_set(whole(&table, *start).await).into_iter().collect();
            for end in &ids[at..] {
                let after = whole(&table, *end).await;
                let wanted: Vec<Row> = after.into_iter().filter(|row| !before.contains(&format!("{row:?}"))).collect();
                let between = between(&table, Between::Snapshots(*start, *end), Some(BetweenMode::Diff)).await.unwrap();
                let found: Vec<Row> = between.into_iter().map(|(_, row)| row).collect();
                assert_eq!(as_set(found), as_set(wanted), "{options:?}: {start}..{end}");
            }
        }
    }
}

#[tokio::test]
async fn an_incremental_read_tells_what_came_between_two_points() {
    let place = Place::new();
    let table = place.table(&[("changelog-producer", "input"), ("write-only", "true")]).await;
    let (insert, delete) = (RowKind::Insert, RowKind::Delete);
    write(&table, &[row(1, 1), row(2, 1)]).await;
    write_changes(&table, &[(delete, row(1, 1)), (insert, row(2, 2))], None).await;
    write(&table, &[row(3, 3)]).await;
    table.create_tag("a", &At::Snapshot(1), None).await.unwrap();
    table.create_tag("b", &At::Snapshot(3), None).await.unwrap();
    let told = vec![(delete, row(1, 1)), (insert, row(2, 2)), (insert, row(3, 3))];
    let differs = vec![(insert, row(2, 2)), (insert, row(3, 3))];
    let versions = |a: &str, b: &str| Between::Versions(a.into(), b.into());
    for (between_, mode, wanted) in [
        (Between::Snapshots(1, 3), None, &told),
        (Between::Snapshots(1, 3), Some(BetweenMode::Delta), &told),
        (Between::Snapshots(1, 3), Some(BetweenMode::Changelog), &told),
        (Between::Snapshots(1, 3), Some(BetweenMode::Diff), &differs),
        (Between::Tags("a".into(), "b".into()), None, &differs),
        (versions("a", "b"), None, &differs),
        (versions("1", "3"), None, &told),
        (versions("a", "b"), Some(BetweenMode::Delta), &told),
        (Between::Newest, None, &vec![(insert, row(3, 3))]),
        (Between::Snapshots(2, 2), None, &vec![]),
        (Between::Timestamps(0, 1), None, &vec![]),
    ] {
        let found = between(&table, between_.clone(), mode).await.unwrap();
        assert_eq!(as_set(found), as_set(wanted.clone()), "{between_:?} {mode:?}");
    }
    let everything = between(&table, Between::Timestamps(0, i64::MAX), None).await.unwrap();
    assert_eq!(as_set(everything), as_set(between(&table, Between::Snapshots(0, 3), None).await.unwrap()));
    let all = between(&table, Between::Timestamps(0, i64::MAX), Some(BetweenMode::Diff)).await.unwrap();
    assert_eq!(as_set(all.into_iter().map(|(_, row)| row)), as_set(now(&table).await.unwrap()));
    for (between_, mode) in [
        (Between::Snapshots(3, 1), None),
        (versions("b", "a"), None),
        (versions("a", "no"), None),
        (Between::Timestamps(5, 1), None),
    ] {
        assert!(matches!(between(&table, between_.clone(), mode).await, Err(Error::Invalid(_))), "{between_:?}");
    }
    for (between_, mode) in [(Between::Snapshots(1, 9), None), (Between::Tags("a".into(), "no".into()), None)] {
        assert!(matches!(between(&table, between_.clone(), mode).await, Err(Error::NotFound(_))), "{between_:?}");
    }
    // The table's options ask for the same; a read of rows does not take them for nothing.
    let told_so =
        table.clone().with_options([("incremental-between", "1,3"), ("incremental-between-scan-mode", "diff")]);
    let told_so = told_so.unwrap();
    let mut rows = told_so.incremental_by_options().unwrap().unwrap().wide_timestamps().read().await.unwrap();
    let mut found = Vec::new();
    while let Some(change) = rows.next().await.unwrap() {
        found.extend(rows_of(table.schema(), change.rows.rows()));
    }
    assert_eq!(as_set(found), as_set([row(2, 2), row(3, 3)]));
    assert!(matches!(now(&told_so).await, Err(Error::Invalid(_))));
    assert!(matches!(told_so.lookup().open().await.map(drop), Err(Error::Invalid(_))));
    assert!(matches!(told_so.changes().read().await.map(drop), Err(Error::Invalid(_))));
    assert!(table.incremental_by_options().unwrap().is_none());
    let append = place.append().await;
    write_changes(&append, &[(insert, vec![Datum::Int(1), Datum::Int(1)])], None).await;
    write_changes(&append, &[(insert, vec![Datum::Int(2), Datum::Int(2)])], None).await;
    let delta = between(&append, Between::Snapshots(1, 2), None).await.unwrap();
    assert_eq!(delta, [(insert, vec![Datum::Int(2), Datum::Int(2)])]);
    // Without a key files are compared: what was compacted in between is told once more.
    let diff =
        async |start, end| between(&append, Between::Snapshots(start, end), Some(BetweenMode::Diff)).await.unwrap();
    assert_eq!(diff(1, 2).await, delta);
    append.compact().full().run().await.unwrap();
    assert_eq!(diff(2, 3).await.len(), 2);
    write_changes(&append, &[(insert, vec![Datum::Int(3), Datum::Int(3)])], None).await;
    assert_eq!(diff(3, 4).await, [(insert, vec![Datum::Int(3), Datum::Int(3)])]);
}

#[tokio::test]
async fn the_read_optimised_view_shows_the_highest_level_alone() {
    let place = Place::new();
    let table = place.table(&[("num-levels", "4"), ("write-only", "true")]).await;
    write(&table, &[row(1, 1), row(2, 1)]).await;
    let shown = async || all_rows(table.schema(), table.scan().read_optimized().read().await.unwrap()).await.unwrap();
    assert!(shown().await.is_empty());
    let compactor = table.clone().with_options([("write-only", "false")]).unwrap();
    compactor.compact().full().run().await.unwrap();
    write(&table, &[row(1, 2), row(3, 2)]).await;
    assert_eq!(as_set(shown().await), as_set([row(1, 1), row(2, 1)]));
    let plan = table.scan().read_optimized().plan().await.unwrap();
    assert!(plan.splits.iter().all(|split| split.raw && split.files.iter().all(|file| file.level == 3)));
    let append = place.append().await;
    write_changes(&append, &[(RowKind::Insert, vec![Datum::Int(1), Datum::Int(1)])], None).await;
    let rows = all_rows(append.schema(), append.scan().read_optimized().read().await.unwrap()).await.unwrap();
    assert_eq!(rows.len(), 1);
}

/// The snapshots that a stream tells of, each with its rows, in order; a snapshot that is shown whole stands first.
async fn streamed(table: &Table, start: Option<Start>, to_watermark: Option<i64>) -> Result<Vec<(i64, usize)>, Error> {
    let mut changes = table.changes();
    if let Some(start) = start {
        changes = changes.from(start);
    }
    if let Some(watermark) = to_watermark {
        changes = changes.to_watermark(watermark);
    }
    let mut stream = changes.read().await?;
    let mut told: Vec<(i64, usize)> = Vec::new();
    while let Some(change) = stream.next().await? {
        let rows = change.rows.rows().num_rows();
        match told.last_mut().filter(|last| last.0 == change.snapshot_id) {
            Some(last) => last.1 += rows,
            None => told.push((change.snapshot_id, rows)),
        }
    }
    Ok(told)
}

#[tokio::test]
async fn streams_begin_where_they_are_told_and_end_at_a_watermark() {
    let place = Place::new();
    let table = place.table(&[("write-only", "true")]).await;
    let (mut times, mut began) = (vec![0], 0);
    for v in 1..=5 {
        if v == 4 {
            let compactor = table.clone().with_options([("write-only", "false")]).unwrap();
            compactor.compact().full().run().await.unwrap();
        }
        Env::system().sleep(Duration::from_millis(5)).await;
        began = table.store().env().now_millis();
        write_changes(&table, &[(RowKind::Insert, row(v, v))], Some(i64::from(v) * 100)).await;
        times.push(table.history().snapshots.latest().await.unwrap().unwrap().time_millis);
    }
    // 1, 2 and 3 write, 4 compacts, 5 and 6 write.
    table.create_tag("two", &At::Snapshot(2), None).await.unwrap();
    for (start, wanted) in [
        (Start::LatestFull, vec![(6, 5)]),
        (Start::Latest, vec![]),
        (Start::CompactedFull, vec![(4, 3), (5, 1), (6, 1)]),
        (Start::TagFull("two".into()), vec![(2, 2), (3, 1), (5, 1), (6, 1)]),
        (Start::Snapshot(5), vec![(5, 1), (6, 1)]),
        (Start::SnapshotFull(3), vec![(3, 3), (5, 1), (6, 1)]),
        (Start::FilesSince(began), vec![(6, 1)]),
        (Start::FilesSince(i64::MAX), vec![]),
        (Start::Since(times[3]), vec![(3, 1), (5, 1), (6, 1)]),
        // Nothing is older than this: the changes may not be all there are, so the files tell.
        (Start::Since(0), vec![(6, 5)]),
        (Start::Since(i64::MAX), vec![]),
    ] {
        assert_eq!(streamed(&table, Some(start.clone()), None).await.unwrap(), wanted, "{start:?}");
    }
    for (name, value, wanted) in [
        ("scan.mode", "compacted-full", vec![(4, 3), (5, 1), (6, 1)]),
        ("scan.mode", "latest", vec![]),
        ("scan.mode", "full", vec![(6, 5)]),
        ("scan.snapshot-id", "5", vec![(5, 1), (6, 1)]),
        ("scan.timestamp-millis", &times[5].to_string(), vec![(6, 1)]),
        ("scan.file-creation-time-millis", &began.to_string(), vec![(6, 1)]),
    ] {
        let table = table.clone().with_options([(name, value)]).unwrap();
        assert_eq!(streamed(&table, None, None).await.unwrap(), wanted, "{name}={value}");
    }
    for (name, value) in [("scan.tag-name", "two"), ("scan.watermark", "100"), ("scan.version", "2")] {
        let table = table.clone().with_options([(name, value)]).unwrap();
        assert!(matches!(streamed(&table, None, None).await, Err(Error::Invalid(_))), "{name}");
    }
    // A watermark ends the stream before the snapshot that lies above it; a compaction carries it on.
    for (start, watermark, wanted) in [
        (Start::Earliest, 299, vec![(1, 1), (2, 1)]),
        (Start::Earliest, 300, vec![(1, 1), (2, 1), (3, 1)]),
        (Start::Earliest, 99, vec![]),
        (Start::SnapshotFull(3), 299, vec![(3, 3)]),
        (Start::Snapshot(5), 299, vec![]),
        (Start::LatestFull, 1000, vec![(6, 5)]),
    ] {
        let found = streamed(&table, Some(start.clone()), Some(watermark)).await.unwrap();
        assert_eq!(found, wanted, "{start:?} to {watermark}");
    }
    let bounded = table.clone().with_options([("scan.bounded.watermark", "199"), ("scan.snapshot-id", "1")]).unwrap();
    assert_eq!(streamed(&bounded, None, None).await.unwrap(), vec![(1, 1)]);
    // A stream that waits ends there too.
    let mut stream = bounded.changes().follow().await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    assert!(stream.next().await.unwrap().is_none());
}
