//! Points of a table's history in both engines: tags, branches, versions, what came between two points, overwrites in
//! streams, and where streams begin.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use forebay::commit::CommitProperties;
use forebay::scan::{At, Between};
use forebay::schema::BetweenMode;
use forebay::types::{Datum, RowKind};
use forebay::{Env, Error, Table};
use forebay_interop::{
    Engine, Op, Random, Row, Server, Shape, TableSpec, create, difference, lanes, open, row_of, rows_of, seeds,
    snapshots_of, write_once,
};
use serde_json::{Value, json};

use crate::care::orphans;
use crate::support::{place, random_compaction, server_compact, server_write};

fn texts<T: std::fmt::Debug>(rows: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut texts: Vec<String> = rows.into_iter().map(|row| format!("{row:?}")).collect();
    texts.sort();
    texts
}

fn list(answer: &Value) -> &[Value] {
    answer["rows"].as_array().unwrap()
}

/// Rows of a table with the options that tell where a read stands.
async fn ours(table: &Table, options: &[(&str, &str)]) -> Result<Vec<String>, Error> {
    let table = table.clone().with_options(options.iter().copied())?;
    let scan = table.scan().wide_timestamps();
    let schema = scan.schema().await?;
    let mut stream = scan.read().await?;
    let mut rows = Vec::new();
    while let Some(batch) = stream.next_batch().await? {
        rows.extend(rows_of(&schema, &batch));
    }
    Ok(texts(rows))
}

fn theirs(server: &mut Server, table: &Table, path: &Path, arguments: Value) -> Vec<String> {
    let answer = server.run("read", path, arguments);
    texts(list(&answer).iter().map(|row| row_of(table.schema(), row)))
}

fn simple(options: &[(&str, &str)]) -> TableSpec {
    let spec = TableSpec::of(&["k INT NOT NULL", "v INT", "s STRING"]).key(&["k"]).option("bucket", "2");
    options.iter().fold(spec, |spec, (name, value)| spec.option(name, value))
}

fn op(kind: RowKind, k: i32, v: i32) -> Op {
    Op { kind, row: vec![Datum::Int(k), Datum::Int(v), Datum::String(format!("s{v}"))] }
}

async fn write_at(path: &Path, identifier: i64, operations: &[Op], watermark: Option<i64>) -> i64 {
    let table = open(path).await;
    let rows: Vec<&Row> = operations.iter().map(|op| &op.row).collect();
    let kinds = arrow_array::Int8Array::from_iter_values(operations.iter().map(|op| op.kind as i8));
    let batch = forebay::write::ChangeBatch::new(lanes(table.schema(), &rows), Some(kinds)).unwrap();
    let mut writer = table.stream_writer("watermarks").await.unwrap();
    writer.write(&batch).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    let properties = CommitProperties { watermark, ..CommitProperties::default() };
    table
        .committer("watermarks")
        .unwrap()
        .commit(identifier, messages, properties)
        .await
        .unwrap()
        .snapshot_id()
        .unwrap()
}

fn bytes(path: &Path, file: &str) -> String {
    std::fs::read_to_string(path.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

async fn tags_both_ways(engine: Engine) {
    let mut server = Server::get(engine);
    let (place, spec) = (place(), simple(&[]));
    let path = place.path().join("t");
    create(&path, &spec).await;
    let ids = |k: i32, v: i32| [op(RowKind::Insert, k, v), op(RowKind::Insert, 9, v)];
    server_write(&mut server, &path, &spec, 1, &ids(1, 1), "none");
    write_once(&path, "us", 2, &ids(2, 2)).await;
    let table = open(&path).await;
    for snapshot in [1, 2] {
        server.run("tag", &path, json!({"name": format!("java-{snapshot}"), "snapshot": snapshot}));
        table.create_tag(&format!("our-{snapshot}"), &At::Snapshot(snapshot), None).await.unwrap();
        let (java, own) = (format!("tag/tag-java-{snapshot}"), format!("tag/tag-our-{snapshot}"));
        // Paimon 1.x forgets what it does not know.
        let form = |file: &str| match engine {
            Engine::Java1x => bytes(&path, file).lines().filter(|line| !line.contains("\"uuid\"")).collect(),
            _ => bytes(&path, file),
        };
        assert_eq!(form(&own).replace('\n', ""), form(&java).replace('\n', ""), "the same snapshot is the same tag");
        if engine != Engine::Java1x {
            assert_eq!(bytes(&path, &own), bytes(&path, &java));
        }
    }
    server.run("tag", &path, json!({"name": "java-day", "snapshot": 2, "timeRetainedMillis": 86_400_000}));
    table.create_tag("our-day", &At::Snapshot(2), Some(Duration::from_secs(86_400))).await.unwrap();
    let form = |text: String| {
        let lines = text.lines().filter(|line| !line.contains("\"uuid\""));
        let lines = lines.map(|line| if line.contains("tagCreateTime") { "time" } else { line }.to_string());
        lines.collect::<Vec<_>>()
    };
    assert_eq!(form(bytes(&path, "tag/tag-our-day")), form(bytes(&path, "tag/tag-java-day")));
    let wanted: Vec<Vec<String>> = {
        let mut rows = vec![Vec::new()];
        for id in ["1", "2"] {
            rows.push(ours(&table, &[("scan.snapshot-id", id)]).await.unwrap());
        }
        rows
    };
    for v in 3..6 {
        server_write(&mut server, &path, &spec, v, &ids(1, v as i32), "full");
    }
    server.run("expire", &path, json!({"retainMax": 1, "retainMin": 1, "timeRetainedMillis": 0}));
    assert!(!snapshots_of(&table).await.contains(&2));
    let tags = server.run("snapshots", &path, json!({}))["tags"].clone();
    assert_eq!(tags["our-2"], json!(2), "{tags}");
    assert_eq!(tags["our-day"], json!(2), "{tags}");
    let check = async |server: &mut Server, names: &[(&str, usize)]| {
        for (name, snapshot) in names {
            let found = ours(&table, &[("scan.tag-name", name)]).await.unwrap();
            assert_eq!(found, wanted[*snapshot], "our read of {name}");
            assert_eq!(theirs(server, &table, &path, json!({"tag": name})), wanted[*snapshot], "their read of {name}");
        }
    };
    check(&mut server, &[("java-1", 1), ("our-1", 1), ("java-2", 2), ("our-day", 2)]).await;
    // Deleted by turns: what the others need stays, and at last nothing is left over.
    server.run("tag", &path, json!({"name": "java-1", "delete": true}));
    check(&mut server, &[("our-1", 1), ("our-2", 2)]).await;
    table.delete_tag("our-1").await.unwrap();
    check(&mut server, &[("java-2", 2), ("our-2", 2)]).await;
    for name in ["our-2", "our-day", "java-day"] {
        table.delete_tag(name).await.unwrap();
    }
    check(&mut server, &[("java-2", 2)]).await;
    table.delete_tag("java-2").await.unwrap();
    assert_eq!(orphans(&mut server, &path), BTreeSet::new(), "nothing is left of the tags");
    assert_eq!(ours(&table, &[]).await.unwrap(), theirs(&mut server, &table, &path, json!({})));
}

#[tokio::test]
async fn tags_of_either_engine_are_read_and_deleted_by_both_2x() {
    tags_both_ways(Engine::Java2x).await;
}

#[tokio::test]
async fn tags_of_either_engine_are_read_and_deleted_by_both_1x() {
    tags_both_ways(Engine::Java1x).await;
}

#[tokio::test]
async fn branches_of_either_engine_are_read_and_written_by_both() {
    for engine in [Engine::Java2x, Engine::Java1x] {
        let mut server = Server::get(engine);
        let (place, spec) = (place(), simple(&[]));
        let path = place.path().join("t");
        create(&path, &spec).await;
        write_once(&path, "us", 1, &[op(RowKind::Insert, 1, 1), op(RowKind::Insert, 2, 1)]).await;
        let table = open(&path).await;
        table.create_tag("start", &At::Latest, None).await.unwrap();
        write_once(&path, "us", 2, &[op(RowKind::Insert, 1, 2)]).await;
        server.run("branch", &path, json!({"name": "theirs", "tag": "start"}));
        table.create_branch("ours", Some("start")).await.unwrap();
        server.run("branch", &path, json!({"name": "their-empty"}));
        table.create_branch("our-empty", None).await.unwrap();
        for (own, java) in [("ours", "theirs"), ("our-empty", "their-empty")] {
            for file in ["schema/schema-0", "snapshot/snapshot-1", "tag/tag-start"] {
                let read = |branch: &str| std::fs::read(path.join(format!("branch/branch-{branch}/{file}"))).ok();
                assert_eq!(read(own), read(java), "{file}");
            }
        }
        for name in ["ours", "theirs", "our-empty"] {
            let branch = table.branch(name).await.unwrap();
            for turn in 0..3 {
                let rows: Vec<Op> = (0..3).map(|k| op(RowKind::Insert, k, turn * 10 + k)).collect();
                let batch = lanes(branch.schema(), &rows.iter().map(|op| &op.row).collect::<Vec<_>>());
                let mut writer = branch.writer().await.unwrap();
                writer.upsert(&batch).await.unwrap();
                writer.commit().await.unwrap().snapshot_id().unwrap();
                writer.close().await.unwrap();
                let rows: Vec<Value> = [op(RowKind::Delete, turn, 0), op(RowKind::Insert, 10 + turn, turn)]
                    .iter()
                    .map(|op| json!({"kind": op.kind.short(), "row": forebay_interop::json_row(branch.schema(), &op.row)}))
                    .collect();
                let write =
                    json!({"branch": name, "user": "java", "identifier": turn + 1, "rows": rows, "compact": "full"});
                server.run("write", &path, write);
                let found = ours(&branch, &[]).await.unwrap();
                assert_eq!(found, theirs(&mut server, &branch, &path, json!({"branch": name})), "{name}, turn {turn}");
            }
            assert_eq!(ours(&branch, &[]).await.unwrap().len(), 5, "{name}: 0, 1, 10, 11 and 12");
        }
        let main = ours(&table, &[]).await.unwrap();
        assert_eq!(main, texts([op(RowKind::Insert, 1, 2).row, op(RowKind::Insert, 2, 1).row]));
        assert_eq!(main, theirs(&mut server, &table, &path, json!({})));
        table.delete_branch("theirs").await.unwrap();
        server.run("branch", &path, json!({"name": "ours", "delete": true}));
        let names = table.history().branches.list().await.unwrap();
        assert_eq!(names, ["our-empty", "their-empty"]);
    }
}

/// A table with a branch that went on from its newest snapshot, with a column more and a tag.
async fn branched(path: &Path, server: &mut Server) -> Table {
    create(path, &simple(&[("write-only", "true")])).await;
    write_once(path, "us", 1, &[op(RowKind::Insert, 1, 1), op(RowKind::Insert, 2, 1)]).await;
    write_once(path, "us", 2, &[op(RowKind::Insert, 1, 2)]).await;
    let table = open(path).await;
    table.create_tag("top", &At::Latest, None).await.unwrap();
    table.create_branch("dev", Some("top")).await.unwrap();
    let branch = table.branch("dev").await.unwrap();
    for turn in 0..2 {
        let rows = [op(RowKind::Insert, 5 + turn, turn)];
        let batch = lanes(branch.schema(), &rows.iter().map(|op| &op.row).collect::<Vec<_>>());
        let mut writer = branch.writer().await.unwrap();
        writer.upsert(&batch).await.unwrap();
        writer.commit().await.unwrap().snapshot_id().unwrap();
        writer.close().await.unwrap();
        let row = forebay_interop::json_row(branch.schema(), &op(RowKind::Insert, 1, 100 + turn).row);
        let rows = json!([{"kind": "+I", "row": row}]);
        let write = json!({"branch": "dev", "user": "java", "identifier": turn + 1, "rows": rows, "compact": "none"});
        server.run("write", path, write);
    }
    branch.create_tag("own", &At::Latest, None).await.unwrap();
    table
}

#[tokio::test]
async fn a_fast_forward_of_either_engine_gives_the_same_table() {
    for engine in [Engine::Java2x, Engine::Java1x] {
        let mut server = Server::get(engine);
        let place = place();
        let (own, java) = (place.path().join("own"), place.path().join("java"));
        for path in [&own, &java] {
            let table = branched(path, &mut server).await;
            let branch = ours(&table.branch("dev").await.unwrap(), &[]).await.unwrap();
            match path == &own {
                true => drop(table.fast_forward("dev").await.unwrap()),
                false => drop(server.run("branch", path, json!({"name": "dev", "fastForward": true}))),
            }
            let table = open(path).await;
            let found = ours(&table, &[]).await.unwrap();
            assert_eq!(found, branch, "{}", path.display());
            assert_eq!(found, theirs(&mut server, &table, path, json!({})), "{}", path.display());
            for id in 1..=6 {
                let found = ours(&table, &[("scan.snapshot-id", &id.to_string())]).await.unwrap();
                assert_eq!(found, theirs(&mut server, &table, path, json!({"snapshot": id})), "snapshot {id}");
            }
            assert_eq!(table.history().tags.list().await.unwrap(), ["own", "top"]);
            // Both go on from there.
            write_once(path, "us", 3, &[op(RowKind::Insert, 9, 9)]).await;
            let row = forebay_interop::json_row(table.schema(), &op(RowKind::Delete, 2, 0).row);
            let rows = json!([{"kind": "-D", "row": row}]);
            server.run("write", path, json!({"user": "java", "identifier": 9, "rows": rows, "compact": "full"}));
            let found = ours(&open(path).await, &[]).await.unwrap();
            assert_eq!(found, theirs(&mut server, &table, path, json!({})), "{}", path.display());
            assert_eq!(found.len(), 4, "{found:?}");
        }
        // What both brought to the table is the same, file by file but for what names files.
        let names = |path: &Path, part: &str| {
            let mut names: Vec<String> = std::fs::read_dir(path.join(part))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name != "EARLIEST")
                .collect();
            names.sort();
            names
        };
        for part in ["snapshot", "schema", "tag"] {
            assert_eq!(names(&own, part), names(&java, part), "{part}");
        }
    }
}

#[tokio::test]
async fn branches_and_tags_that_either_engine_renames_are_read_by_both() {
    for engine in [Engine::Java2x, Engine::Java1x] {
        let mut server = Server::get(engine);
        let place = place();
        let path = place.path().join("t");
        let table = branched(&path, &mut server).await;
        let branch = ours(&table.branch("dev").await.unwrap(), &[]).await.unwrap();
        table.rename_branch("dev", "trial").await.unwrap();
        let trial = table.branch("trial").await.unwrap();
        assert_eq!(ours(&trial, &[]).await.unwrap(), branch);
        assert_eq!(theirs(&mut server, &trial, &path, json!({"branch": "trial"})), branch);
        assert!(!path.join("branch/branch-dev").exists());

        table.rename_tag("top", "peak").await.unwrap();
        let peak = ours(&table, &[("scan.tag-name", "peak")]).await.unwrap();
        assert_eq!(theirs(&mut server, &table, &path, json!({"tag": "peak"})), peak);
        server.run("tag", &path, json!({"name": "peak", "to": "summit"}));
        assert_eq!(ours(&table, &[("scan.tag-name", "summit")]).await.unwrap(), peak);
        let old = ours(&table, &[("scan.snapshot-id", "1")]).await.unwrap();
        table.replace_tag("summit", &At::Snapshot(1), None).await.unwrap();
        assert_eq!(theirs(&mut server, &table, &path, json!({"tag": "summit"})), old);
        server.run("tag", &path, json!({"name": "summit", "replace": true, "snapshot": 2}));
        assert_eq!(ours(&table, &[("scan.tag-name", "summit")]).await.unwrap(), peak);
    }
}

#[tokio::test]
async fn a_read_stands_where_java_s_does() {
    let mut server = Server::get(Engine::Java2x);
    let (place, spec) = (place(), simple(&[("write-only", "true"), ("num-levels", "3")]));
    let path = place.path().join("t");
    create(&path, &spec).await;
    let mut times = Vec::new();
    for (v, watermark) in
        [(1, None), (2, Some(10)), (3, None), (4, Some(20)), (5, Some(20)), (6, Some(20)), (7, Some(30))]
    {
        if v == 5 {
            server_compact(&mut server, &path, &spec, true);
        }
        write_at(&path, i64::from(v), &[op(RowKind::Insert, v, v), op(RowKind::Insert, 0, v)], watermark).await;
        let table = open(&path).await;
        times.push(table.history().snapshots.latest().await.unwrap().unwrap().time_millis);
        Env::system().sleep(Duration::from_millis(10)).await;
    }
    let table = open(&path).await;
    table.create_tag("3", &At::Snapshot(2), None).await.unwrap();
    let text = |number: i64| number.to_string();
    let at_3 = jiff::Timestamp::from_millisecond(times[3]).unwrap().to_zoned(jiff::tz::TimeZone::system());
    let at_3 = at_3.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
    let mut options: Vec<(&str, String)> = vec![
        ("scan.version", "3".into()),
        ("scan.version", "4".into()),
        ("scan.version", "watermark-15".into()),
        ("scan.tag-name", "3".into()),
        ("scan.timestamp", at_3),
        ("scan.mode", "compacted-full".into()),
        ("scan.mode", "latest".into()),
        ("scan.mode", "full".into()),
    ];
    options.extend((1..=8).map(|id| ("scan.snapshot-id", text(id))));
    options.extend([i64::MIN + 1, 10, 11, 20, 21, 30, 31].map(|watermark| ("scan.watermark", text(watermark))));
    for time in [times[0] - 1, times[0], times[3] + 1, times[6], times[6] + 1] {
        options.push(("scan.timestamp-millis", text(time)));
        options.push(("scan.creation-time-millis", text(time)));
        options.push(("scan.file-creation-time-millis", text(time)));
    }
    for (name, value) in &options {
        let found = ours(&table, &[(name, value)]).await;
        let mut arguments = json!({"travel": {*name: value}});
        arguments["command"] = json!("read");
        arguments["table"] = json!(path);
        match server.call(&arguments) {
            Ok(answer) => {
                let wanted = texts(list(&answer).iter().map(|row| row_of(table.schema(), row)));
                let found = found.unwrap_or_else(|error| panic!("{name}={value}: {error}"));
                assert_eq!(difference(&wanted, &found), None, "{name}={value}");
            }
            Err(theirs) => {
                let error = found.expect_err(&format!("{name}={value}: Java says {theirs}"));
                assert!(matches!(error, Error::NotFound(_)), "{name}={value}: {error}, and Java: {theirs}");
            }
        }
    }
    // The highest level alone.
    let mut stream = table.scan().read_optimized().wide_timestamps().read().await.unwrap();
    let mut found = Vec::new();
    while let Some(batch) = stream.next_batch().await.unwrap() {
        found.extend(rows_of(table.schema(), &batch));
    }
    assert_eq!(found.len(), 5);
    assert_eq!(texts(found), theirs(&mut server, &table, &path, json!({"readOptimized": true})));
}

async fn between(table: &Table, between: Between, mode: Option<BetweenMode>) -> Vec<(RowKind, Row)> {
    let mut read = table.incremental(between).wide_timestamps();
    if let Some(mode) = mode {
        read = read.mode(mode);
    }
    let mut rows = read.read().await.unwrap();
    let mut found = Vec::new();
    while let Some(change) = rows.next().await.unwrap() {
        let batch = rows_of(table.schema(), change.rows.rows());
        found.extend(batch.into_iter().enumerate().map(|(at, row)| (change.rows.kind(at), row)));
    }
    found
}

fn java_between(server: &mut Server, table: &Table, path: &Path, arguments: Value) -> Vec<(RowKind, Row)> {
    let answer = server.run("incremental", path, arguments);
    let row = |change: &Value| {
        let kind = RowKind::from_short(change["kind"].as_str().unwrap()).unwrap();
        (kind, row_of(table.schema(), &change["row"]))
    };
    list(&answer).iter().map(row).collect()
}

async fn incremental(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = TableSpec::random(&mut random, shape);
        let place = place();
        let path = place.path().join("t");
        match random.chance(50) {
            true => drop(create(&path, &spec).await),
            false => spec.create_by(&mut server, &path),
        }
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 6)) {
            let compact = random_compaction(&mut random, &spec);
            match random.chance(50) {
                true => drop(write_once(&path, &format!("us-{identifier}"), identifier, &operations).await),
                false => drop(server_write(&mut server, &path, &spec, identifier, &operations, compact)),
            }
        }
        let table = open(&path).await;
        let ids = snapshots_of(&table).await;
        let newest = *ids.last().unwrap();
        let keyed = !spec.primary_key.is_empty();
        let mut pairs = vec![(0, newest), (1, newest)];
        for _ in 0..4 {
            let start = random.below(newest as usize) as i64;
            pairs.push((start, random.between(start + 1, newest)));
        }
        for (start, end) in pairs {
            let range = json!({"from": start, "to": end});
            for (name, mode) in [
                (None, None),
                (Some("delta"), Some(BetweenMode::Delta)),
                (Some("changelog"), Some(BetweenMode::Changelog)),
            ] {
                let mut arguments = range.clone();
                if let Some(name) = name {
                    arguments["mode"] = json!(name);
                }
                let wanted = texts(java_between(&mut server, &table, &path, arguments));
                let found = texts(between(&table, Between::Snapshots(start, end), mode).await);
                let what = format!("seed {seed}, {start}..{end} {name:?}: {spec:?}");
                assert_eq!(difference(&wanted, &found), None, "{what}");
            }
            if !keyed && start > 0 {
                let java =
                    texts(java_between(&mut server, &table, &path, json!({"from": start, "to": end, "mode": "diff"})));
                let found = texts(between(&table, Between::Snapshots(start, end), Some(BetweenMode::Diff)).await);
                assert_eq!(difference(&java, &found), None, "seed {seed}, {start}..{end} diff: {spec:?}");
            }
            if keyed && start > 0 {
                diff(&mut server, &table, &path, (start, end), &format!("seed {seed}: {spec:?}")).await;
            }
        }
    }
}

/// Java leaves common files out before it merges, so it tells rows that were written anew without a change; beyond these
/// both tell the same.
async fn diff(server: &mut Server, table: &Table, path: &Path, (start, end): (i64, i64), what: &str) {
    let what = format!("{what}: {start}..{end} diff");
    let mode = Some(BetweenMode::Diff);
    let found: Vec<Row> =
        between(table, Between::Snapshots(start, end), mode).await.into_iter().map(|(_, row)| row).collect();
    let arguments = json!({"from": start, "to": end, "mode": "diff"});
    let java: Vec<Row> = java_between(server, table, path, arguments).into_iter().map(|(_, row)| row).collect();
    let rows = async |id: i64| ours(table, &[("scan.snapshot-id", &id.to_string())]).await.unwrap();
    let before: BTreeSet<String> = rows(start).await.into_iter().collect();
    let wanted: Vec<String> = rows(end).await.into_iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(difference(&wanted, &texts(found)), None, "{what}: what the states differ by");
    let java: Vec<String> = texts(java).into_iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(difference(&wanted, &java), None, "{what}: what Java tells that is new");
}

#[tokio::test]
async fn incremental_reads_tell_what_java_tells_2x() {
    incremental(Engine::Java2x, Shape::ALL, seeds(12)).await;
}

#[tokio::test]
async fn incremental_reads_tell_what_java_tells_1x() {
    incremental(Engine::Java1x, Shape::JAVA_1X, seeds(5)).await;
}

#[tokio::test]
async fn incremental_reads_of_tags_and_times_and_vectors() {
    let mut server = Server::get(Engine::Java2x);
    for options in [
        vec![],
        vec![("deletion-vectors.enabled", "true")],
        vec![("deletion-vectors.enabled", "true"), ("deletion-vectors.bitmap64", "true")],
        vec![("changelog-producer", "lookup")],
        vec![("changelog-producer", "full-compaction")],
    ] {
        let (place, spec) = (place(), simple(&options));
        let path = place.path().join("t");
        create(&path, &spec).await;
        let mut times = vec![0];
        for v in 1..6 {
            let operations: Vec<Op> = (0..4).map(|k| op(RowKind::Insert, (k * v) % 7, v)).collect();
            match v % 2 {
                0 => drop(server_write(&mut server, &path, &spec, v.into(), &operations, "full")),
                _ => drop(write_once(&path, &format!("us-{v}"), v.into(), &operations).await),
            }
            let table = open(&path).await;
            let newest = table.history().snapshots.latest().await.unwrap().unwrap();
            table.create_tag(&format!("t{v}"), &At::Snapshot(newest.id), None).await.unwrap();
            times.push(newest.time_millis);
            Env::system().sleep(Duration::from_millis(5)).await;
        }
        let table = open(&path).await;
        for (start, end) in [(1, 2), (1, 5), (2, 4), (4, 5)] {
            let tags = (format!("t{start}"), format!("t{end}"));
            let java = java_between(&mut server, &table, &path, json!({"from": tags.0, "to": tags.1}));
            let found = between(&table, Between::Versions(tags.0.clone(), tags.1.clone()), None).await;
            // No row is written twice alike here, so there is nothing that Java tells beside the difference.
            assert_eq!(difference(&texts(java), &texts(found)), None, "{options:?}: {tags:?}");
            let (from, to) = (times[start], times[end]);
            for (name, mode) in [(None, None), (Some("diff"), Some(BetweenMode::Diff))] {
                let mut arguments = json!({"from": from, "to": to, "times": true});
                if let Some(name) = name {
                    arguments["mode"] = json!(name);
                }
                let java = java_between(&mut server, &table, &path, arguments);
                let found = between(&table, Between::Timestamps(from, to), mode).await;
                assert_eq!(difference(&texts(java), &texts(found)), None, "{options:?}: {from}..{to} {name:?}");
            }
        }
    }
}

/// What a stream tells, by snapshot; rows of a whole snapshot are told without their kinds, which Java keeps.
async fn followed(table: &Table, options: &[(&str, &str)]) -> Result<Vec<(i64, RowKind, Row)>, Error> {
    let table = table.clone().with_options(options.iter().copied())?;
    let mut stream = table.changes().wide_timestamps().read().await?;
    let mut told = Vec::new();
    while let Some(change) = stream.next().await? {
        let rows = rows_of(table.schema(), change.rows.rows());
        told.extend(rows.into_iter().enumerate().map(|(at, row)| (change.snapshot_id, change.rows.kind(at), row)));
    }
    Ok(told)
}

fn java_followed(
    server: &mut Server,
    table: &Table,
    path: &Path,
    options: &[(&str, &str)],
) -> Vec<(i64, RowKind, Row)> {
    let scan: serde_json::Map<String, Value> =
        options.iter().map(|(name, value)| ((*name).to_string(), json!(value))).collect();
    let answer = server.run("changes", path, json!({"scan": scan}));
    let change = |change: &Value| {
        let kind = RowKind::from_short(change["kind"].as_str().unwrap()).unwrap();
        (change["snapshot"].as_i64().unwrap(), kind, row_of(table.schema(), &change["row"]))
    };
    list(&answer).iter().map(change).collect()
}

#[tokio::test]
async fn streams_begin_and_end_where_java_s_do() {
    let mut server = Server::get(Engine::Java2x);
    for producer in ["none", "input", "lookup", "full-compaction"] {
        let (place, spec) = (place(), simple(&[("changelog-producer", producer), ("num-levels", "3")]));
        let path = place.path().join("t");
        create(&path, &spec).await;
        let mut times = Vec::new();
        for v in 1..=5 {
            let table = open(&path).await.with_options([("write-only", "true")]).unwrap();
            let rows = [op(RowKind::Insert, v, v), op(RowKind::Insert, 0, v)];
            let batch = lanes(table.schema(), &rows.iter().map(|op| &op.row).collect::<Vec<_>>());
            let mut writer = table.stream_writer("us").await.unwrap();
            writer.write(&forebay::write::ChangeBatch::new(batch, None).unwrap()).await.unwrap();
            let messages = writer.prepare_commit().await.unwrap();
            let properties = CommitProperties { watermark: Some(i64::from(v) * 10), ..CommitProperties::default() };
            table.committer("us").unwrap().commit(i64::from(v), messages, properties).await.unwrap();
            if v == 3 {
                server_compact(&mut server, &path, &spec, true);
            }
            times.push(table.history().snapshots.latest().await.unwrap().unwrap().time_millis);
            Env::system().sleep(Duration::from_millis(10)).await;
        }
        let table = open(&path).await;
        let text = |number: i64| number.to_string();
        let mut options: Vec<Vec<(&str, String)>> = ["latest-full", "full", "latest", "compacted-full", "default"]
            .map(|mode| vec![("scan.mode", mode.to_string())])
            .to_vec();
        options.extend((1..=6).flat_map(|id| {
            let mode = |mode: &str| vec![("scan.mode", mode.to_string()), ("scan.snapshot-id", id.to_string())];
            [mode("from-snapshot"), mode("from-snapshot-full")]
        }));
        for time in [times[0] - 1, times[0], times[2] + 1, times[4], times[4] + 1] {
            options.push(vec![("scan.timestamp-millis", text(time))]);
            options
                .push(vec![("scan.mode", "from-creation-timestamp".into()), ("scan.creation-time-millis", text(time))]);
            options.push(vec![
                ("scan.mode", "from-file-creation-time".into()),
                ("scan.file-creation-time-millis", text(time)),
            ]);
        }
        for watermark in [5, 10, 25, 30, 50, 60] {
            for start in ["1", "4", "6"] {
                options.push(vec![
                    ("scan.bounded.watermark", text(watermark)),
                    ("scan.mode", "from-snapshot".into()),
                    ("scan.snapshot-id", start.into()),
                ]);
            }
            options.push(vec![("scan.bounded.watermark", text(watermark)), ("scan.mode", "compacted-full".into())]);
        }
        for options in options {
            let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let java = java_followed(&mut server, &table, &path, &options);
            let found = followed(&table, &options).await.unwrap_or_else(|error| panic!("{options:?}: {error}"));
            assert_eq!(difference(&texts(java), &texts(found)), None, "producer {producer}: {options:?}");
        }
    }
}

#[tokio::test]
async fn overwrites_are_told_in_streams_as_java_tells_them() {
    let mut server = Server::get(Engine::Java2x);
    let keyed = TableSpec::of(&["p INT NOT NULL", "k INT NOT NULL", "v INT"]).key(&["p", "k"]).partition(&["p"]);
    let append = TableSpec::of(&["p INT NOT NULL", "k INT NOT NULL", "v INT"]).partition(&["p"]);
    let mut tables: Vec<TableSpec> = Vec::new();
    for producer in ["none", "input", "lookup", "full-compaction"] {
        tables.push(keyed.clone().option("bucket", "1").option("changelog-producer", producer));
    }
    tables.push(append.clone());
    tables.push(append.option("bucket", "2").option("bucket-key", "k"));
    for spec in tables {
        let place = place();
        let path = place.path().join("t");
        create(&path, &spec).await;
        let row = |p: i32, k: i32, v: i32| Op::insert(vec![Datum::Int(p), Datum::Int(k), Datum::Int(v)]);
        let mut random = Random::new(11);
        for turn in 1..=6 {
            let rows: Vec<Op> = (0..5).map(|k| row(random.below(2) as i32, k, turn * 10 + k)).collect();
            if turn % 3 != 0 {
                server_write(&mut server, &path, &spec, turn.into(), &rows, "auto");
                continue;
            }
            let rows: Vec<Value> = rows
                .iter()
                .map(|op| json!({"kind": "+I", "row": forebay_interop::json_row(&spec.schema(), &op.row)}))
                .collect();
            let partition = if turn == 3 { json!({}) } else { json!({"p": "1"}) };
            let rows: Vec<Value> = rows.into_iter().filter(|row| turn == 3 || row["row"]["p"] == json!(1)).collect();
            let arguments =
                json!({"user": "java", "identifier": turn, "rows": rows, "partition": partition, "compact": "auto"});
            server.run("overwrite", &path, arguments);
        }
        let table = open(&path).await;
        for (name, value) in [
            ("streaming-read-overwrite", "false"),
            ("streaming-read-overwrite", "true"),
            ("streaming-read-append-overwrite", "true"),
        ] {
            let options = [("scan.snapshot-id", "1"), (name, value)];
            // Java refuses what would be told twice, and what is named otherwise.
            let producer = spec.options.get("changelog-producer").map(String::as_str);
            let refused = spec.primary_key.is_empty() || matches!(producer, Some("lookup" | "full-compaction"));
            if refused && (name, value) == ("streaming-read-overwrite", "true") {
                let scan = json!({"scan.snapshot-id": "1", name: value});
                assert!(server.call(&json!({"command": "changes", "table": path, "scan": scan})).is_err(), "{spec:?}");
                assert!(matches!(followed(&table, &options).await, Err(Error::Invalid(_))), "{spec:?}");
                continue;
            }
            let java = java_followed(&mut server, &table, &path, &options);
            let found = followed(&table, &options).await.unwrap();
            assert_eq!(difference(&texts(java), &texts(found)), None, "{spec:?}: {name}={value}");
        }
    }
}
