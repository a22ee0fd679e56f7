//! Hostile input: names that lead elsewhere, wrong types, NULL keys, unknown options. Each is a typed error, and the
//! table and what lies beside it stay byte for byte as they were.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int8Array, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use forebay::catalog::{Catalog, TableName};
use forebay::commit::CommitProperties;
use forebay::format::{
    Codec, DataFileMeta, ManifestEntry, ManifestFileMeta, ManifestFilter, Snapshot, decode_manifest,
    decode_manifest_list, encode_manifest, encode_manifest_list, encode_schema, layout,
};
use forebay::scan::At;
use forebay::schema::{Schema, SchemaBuilder};
use forebay::types::{DataType, Datum, RowKind};
use forebay::write::ChangeBatch;
use forebay::{Error, Table};

use crate::support::{as_set, block_on, commit_changes, read_at, read_changes};

const SECRET: &[u8] = b"what lies outside of the table";

/// A directory with a table in it and a secret beside it.
struct Place {
    directory: tempfile::TempDir,
    table: Table,
}

fn builder() -> SchemaBuilder {
    Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("p", DataType::STRING.not_null())
        .column("v", DataType::STRING)
        .partition_by(["p"])
        .primary_key(["id", "p"])
        .option("bucket", "1")
}

fn row(id: i64, p: &str) -> Vec<Datum> {
    vec![Datum::BigInt(id), Datum::String(p.to_string()), Datum::String(format!("value {id}"))]
}

impl Place {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret"), SECRET).unwrap();
        let location = directory.path().join("t");
        let table = Table::create(location.to_str().unwrap(), builder().build().unwrap(), []).await.unwrap();
        for identifier in 1..=2 {
            let changes: Vec<_> = (0..5).map(|id| (RowKind::Insert, row(id + identifier, "a"))).collect();
            commit_changes(&table, "w", identifier, &changes).await;
        }
        Self { directory, table }
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        walk(self.directory.path(), &mut files);
        files
    }

    /// The table as another process opens it.
    async fn open(&self) -> Result<Table, Error> {
        Table::open(self.table.location(), []).await
    }
}

fn walk(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
}

/// Bad input is this kind of error, and names what is wrong.
fn refused<T>(what: &str, result: Result<T, Error>, named: &str) {
    match result {
        Ok(_) => panic!("{what} was accepted"),
        Err(error @ (Error::Invalid(_) | Error::Unsupported(_) | Error::Corrupt { .. })) => {
            let text = error.to_string();
            assert!(text.contains(named), "{what}: {text} does not name {named}");
        }
        Err(other) => panic!("{what}: {other}"),
    }
}

type Columns = Vec<(&'static str, ArrayRef)>;

#[test]
fn rows_that_do_not_fit_are_refused_and_change_nothing() {
    block_on(async {
        let place = Place::new().await;
        let before = place.files();
        let mut writer = place.table.stream_writer("w").await.unwrap();
        let texts = |text: &'static str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        let ids = || Arc::new(Int64Array::from(vec![7])) as ArrayRef;
        let cases: [(&str, Columns, &str); 6] = [
            ("a NULL key", vec![("id", Arc::new(Int64Array::from(vec![None]))), ("p", texts("a"))], "id"),
            ("a NULL partition", vec![("id", ids()), ("p", Arc::new(StringArray::from(vec![None::<&str>])))], "p"),
            ("no key", vec![("p", texts("a")), ("v", texts("x"))], "id"),
            ("a text as number", vec![("id", texts("seven")), ("p", texts("a"))], "id"),
            ("a boolean as text", vec![("id", ids()), ("p", Arc::new(BooleanArray::from(vec![true])))], "p"),
            ("an unknown column", vec![("id", ids()), ("p", texts("a")), ("w", texts("x"))], "w"),
        ];
        for (what, columns, named) in cases {
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            refused(what, writer.upsert(&batch).await, named);
            refused(what, writer.delete(&batch).await, named);
        }
        let fine = RecordBatch::try_from_iter([("id", ids()), ("p", texts("a"))]).unwrap();
        refused("a kind that is none", ChangeBatch::new(fine.clone(), Some(Int8Array::from(vec![9]))), "kind");
        refused("too few kinds", ChangeBatch::new(fine, Some(Int8Array::from(Vec::<i8>::new()))), "kinds");
        assert!(writer.prepare_commit().await.unwrap().is_empty());
        assert_eq!(place.files(), before);
    });
}

#[test]
fn options_and_schemas_that_are_unknown_or_lead_elsewhere_create_nothing() {
    block_on(async {
        let place = Place::new().await;
        let before = place.files();
        let new = place.directory.path().join("new");
        for (key, value) in [
            ("no-such-option", "1"),
            ("merge-engin", "deduplicate"),
            ("bucket", "many"),
            ("bucket", "-7"),
            ("merge-engine", "sideways"),
            ("data-file.path-directory", "../elsewhere"),
            ("data-file.path-directory", "/etc"),
            ("data-file.prefix", "../data-"),
            ("changelog-file.prefix", "a/b"),
            ("partition.default-name", ".."),
            ("sequence.field", "nobody"),
            ("write-buffer-size", "-1 kb"),
        ] {
            let made = match builder().option(key, value).build() {
                Ok(schema) => Table::create(new.to_str().unwrap(), schema, []).await,
                Err(error) => Err(error),
            };
            refused(&format!("{key}={value}"), made, key);
        }
        refused("an option of the handle", place.table.clone().with_options([("no-such-option", "1")]), "no-such");
        refused("a column twice", builder().column("v", DataType::INT).build(), "v");
        refused("a reserved column", builder().column("_KEY_id", DataType::INT).build(), "_KEY_id");
        refused("a key that is no column", builder().primary_key(["nobody"]).build(), "nobody");
        assert_eq!(place.files(), before);
    });
}

#[test]
fn a_schema_file_with_an_unknown_option_is_never_written_to() {
    block_on(async {
        let place = Place::new().await;
        let mut schema = place.table.schema().as_ref().clone();
        schema.options.insert("no-such-option".to_string(), "1".to_string());
        place.table.store().write(&layout::schema(0), encode_schema(&schema).unwrap()).await.unwrap();
        let before = place.files();
        let table = match place.open().await {
            Err(error) => return refused::<()>("open", Err(error), "no-such-option"),
            Ok(table) => table,
        };
        refused("a writer", table.stream_writer("w").await.map(|_| ()), "no-such-option");
        refused("a committer", table.committer("w"), "no-such-option");
        assert_eq!(place.files(), before);
    });
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    block_on(async {
        let place = Place::new().await;
        let before = place.files();
        for name in ["../secret", "..", "a/b", "/etc/passwd", "a\\b", "a\nb", ""] {
            let named = name.trim();
            let stream = place.table.changes().consumer(name).read().await;
            refused(&format!("consumer {name:?}"), stream.map(|_| ()), "consumer");
            let stored = place.table.history().consumers.store(name, 1).await;
            refused(&format!("consumer {name:?}"), stored, "consumer");
            refused(&format!("tag {name:?}"), place.table.history().tags.load(name).await, "tag");
            refused(&format!("database {name:?}"), TableName::new(name, "t"), "database");
            refused(&format!("table {name:?}"), TableName::new("d", name), "table");
            let catalog = Catalog::open(place.directory.path().to_str().unwrap(), [("", ""); 0]).unwrap();
            refused(&format!("database {name:?}"), catalog.create_database(name).await, "database");
            refused(&format!("database {name:?}"), catalog.drop_database(name, true).await, "database");
            if ["a/b", "a\\b", "a\nb"].contains(&name) {
                continue; // fine paths below the table, though no names
            }
            assert!(place.table.store().read(name).await.is_err(), "{named} was read");
            assert!(place.table.store().write(name, Bytes::from_static(b"x")).await.is_err(), "{named} was written");
            assert!(place.table.store().delete(name).await.is_err(), "{named} was deleted");
        }
        assert_eq!(place.files(), before);
    });
}

#[test]
fn a_commit_message_that_leads_elsewhere_is_neither_committed_nor_aborted() {
    block_on(async {
        let place = Place::new().await;
        let mut writer = place.table.stream_writer("w").await.unwrap();
        let fine = crate::support::lanes(place.table.schema(), &[row(9, "a")]);
        writer.upsert(&fine).await.unwrap();
        let fine = writer.prepare_commit().await.unwrap();
        let before = place.files();
        let mut committer = place.table.committer("w").unwrap();
        for name in ["../../secret", "..", "/etc/passwd", "a\\b", ""] {
            let mut messages = fine.clone();
            messages[0].new_files[0].file_name = name.to_string();
            let commit = committer.commit(3, messages.clone(), CommitProperties::default()).await;
            refused(&format!("commit of {name:?}"), commit, "data file");
            refused(&format!("abort of {name:?}"), committer.abort(&messages).await, "data file");
            let mut messages = fine.clone();
            messages[0].new_files[0].extra_files = vec![name.to_string()];
            let commit = committer.commit(3, messages.clone(), CommitProperties::default()).await;
            refused(&format!("commit with {name:?}"), commit, "extra file");
            refused(&format!("abort with {name:?}"), committer.abort(&messages).await, "extra file");
        }
        assert_eq!(place.files(), before);
        committer.commit(3, fine, CommitProperties::default()).await.unwrap().snapshot_id().unwrap();
    });
}

fn file_of(entry: &mut ManifestEntry) -> &mut DataFileMeta {
    Arc::make_mut(&mut entry.file)
}

#[test]
fn metadata_that_leads_elsewhere_is_refused() {
    type Change = fn(&mut ManifestEntry);
    let changes: [(&str, Change); 8] = [
        ("a name above", |entry| file_of(entry).file_name = "../../../secret".to_string()),
        ("an absolute name", |entry| file_of(entry).file_name = "/etc/passwd".to_string()),
        ("no name", |entry| file_of(entry).file_name = String::new()),
        ("a file outside", |entry| file_of(entry).external_path = Some("file:///etc/passwd".to_string())),
        ("an index outside", |entry| file_of(entry).extra_files = vec!["../../../secret".to_string()]),
        ("a negative size", |entry| file_of(entry).file_size = -1),
        ("a negative count", |entry| file_of(entry).row_count = -1),
        ("another count", |entry| file_of(entry).row_count += 1),
    ];
    block_on(async {
        for (what, change) in changes {
            refuse_crafted(what, change, |_| (), |_| ()).await;
        }
        refuse_crafted("a manifest above", |_| (), |meta| meta.file_name = "../../secret".to_string(), |_| ()).await;
        refuse_crafted("an absolute manifest", |_| (), |meta| meta.file_name = "/etc/passwd".to_string(), |_| ()).await;
        let above = |snapshot: &mut Snapshot| snapshot.delta_manifest_list = "../../secret".to_string();
        refuse_crafted("a list above", |_| (), |_| (), above).await;
        let above = |snapshot: &mut Snapshot| snapshot.base_manifest_list = "../../secret".to_string();
        refuse_crafted("a base list above", |_| (), |_| (), above).await;
        let index = |snapshot: &mut Snapshot| snapshot.index_manifest = Some("../../secret".to_string());
        refuse_crafted("an index above", |_| (), |_| (), index).await;
    });
}

/// Writes the newest snapshot, its delta list and that list's manifest again, changed and right in all sizes; then no
/// read may succeed.
async fn refuse_crafted(
    what: &str,
    entry: impl FnOnce(&mut ManifestEntry),
    meta: impl FnOnce(&mut ManifestFileMeta),
    head: impl FnOnce(&mut Snapshot),
) {
    let place = Place::new().await;
    let store = place.table.store();
    let mut snapshot = place.table.history().snapshots.latest().await.unwrap().unwrap();
    let list_path = layout::manifest(&snapshot.delta_manifest_list).unwrap();
    let mut metas = decode_manifest_list(&store.read(&list_path).await.unwrap(), &list_path).unwrap();
    let path = layout::manifest(&metas[0].file_name).unwrap();
    let mut entries = decode_manifest(&store.read(&path).await.unwrap(), &path, &ManifestFilter::ALL).unwrap();
    entry(&mut entries[0]);
    let bytes = encode_manifest(&entries, Codec::Zstandard).unwrap();
    metas[0].file_size = bytes.len() as i64;
    store.write(&path, bytes).await.unwrap();
    meta(&mut metas[0]);
    let bytes = encode_manifest_list(&metas, Codec::Zstandard).unwrap();
    snapshot.delta_manifest_list_size = Some(bytes.len() as i64);
    store.write(&list_path, bytes).await.unwrap();
    head(&mut snapshot);
    store.write(&layout::snapshot(snapshot.id), snapshot.encode().unwrap()).await.unwrap();
    let before = place.files();
    let table = place.open().await.unwrap();
    let text = match read_at(&table, At::Latest).await {
        Err(error @ (Error::Invalid(_) | Error::Unsupported(_) | Error::Corrupt { .. })) => error.to_string(),
        other => panic!("{what}: {other:?}"),
    };
    println!("{what}: {text}");
    assert!(!text.contains(std::str::from_utf8(SECRET).unwrap()), "{what}: {text}");
    assert!(!text.contains("bytes, not the"), "{what}: {text}");
    assert_eq!(place.files(), before, "{what}");
}

#[test]
fn partition_values_stay_below_the_table() {
    block_on(async {
        let place = Place::new().await;
        let beside = |place: &Place| -> Vec<String> {
            let entries = std::fs::read_dir(place.directory.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let odd =
            ["../../x", "..", ".", "/etc", "a/b", "a\\b", "%2e%2e", "a=b", " ", "ä\u{1}\n", "__DEFAULT_PARTITION__"];
        let mut wanted = read_at(&place.table, At::Latest).await.unwrap();
        for (identifier, p) in (10..).zip(odd) {
            let changes = [(RowKind::Insert, row(identifier, p))];
            commit_changes(&place.table, "w", identifier, &changes).await;
            wanted.push(row(identifier, p));
        }
        assert_eq!(beside(&place), ["secret", "t"]);
        assert_eq!(std::fs::read(place.directory.path().join("secret")).unwrap(), SECRET);
        assert_eq!(as_set(read_at(&place.open().await.unwrap(), At::Latest).await.unwrap()), as_set(wanted));
    });
}

#[test]
fn hints_that_lie_mislead_nobody() {
    block_on(async {
        let place = Place::new().await;
        let wanted = as_set(read_at(&place.table, At::Latest).await.unwrap());
        for hint in ["", "1", "9", "-1", "x", "../../secret", "99999999999999999999", "9223372036854775807", "2\n"] {
            for name in ["snapshot/LATEST", "snapshot/EARLIEST"] {
                place.table.store().write(name, Bytes::from_static(hint.as_bytes())).await.unwrap();
                let before = place.files();
                let table = place.open().await.unwrap();
                assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), wanted, "{name} = {hint:?}");
                assert_eq!(read_changes(&table).await.unwrap().len(), 10, "{name} = {hint:?}");
                assert_eq!(place.files(), before);
            }
        }
    });
}
