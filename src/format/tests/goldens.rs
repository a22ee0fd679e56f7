//! Every metadata file of tables written by Java. `FOREBAY_GOLDENS=<directory of tables>` reads a larger set than the
//! committed one, with data files beside the metadata.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{committed, files_in};
use crate::format::avro::Container;
use crate::format::*;
use crate::schema::TableOptions;
use crate::schema::{BucketMode, Schema};

/// How many files of each kind a sweep has seen: a sweep that sees none proves nothing.
#[derive(Debug, Default)]
struct Seen {
    schemas: usize,
    nested_schemas: usize,
    snapshots: usize,
    tags: usize,
    hints: usize,
    manifests: usize,
    lists: usize,
    index_manifests: usize,
    entries: usize,
    buckets: usize,
    places: usize,
    bounded_columns: usize,
}

#[test]
fn every_file_of_the_golden_tables_reads_and_writes_back() {
    let large = std::env::var_os("FOREBAY_GOLDENS").map(PathBuf::from);
    let root = large.clone().unwrap_or_else(committed);
    let mut seen = Seen::default();
    let mut tables: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    tables.retain(|path| path.join("table").is_dir());
    tables.sort();
    assert!(!tables.is_empty(), "no tables in {}", root.display());
    for table in &tables {
        Table { root: table.join("table"), data: large.is_some(), schemas: BTreeMap::new() }.sweep(&mut seen);
    }
    println!("{} tables: {seen:?}", tables.len());
    assert!(seen.schemas > 5 && seen.nested_schemas > 0 && seen.snapshots > 20 && seen.tags > 1, "{seen:?}");
    assert!(seen.hints > 8 && seen.manifests > 20 && seen.lists > 40 && seen.index_manifests > 1, "{seen:?}");
    assert!(seen.entries > 50 && seen.buckets > 20 && seen.bounded_columns > 100, "{seen:?}");
    assert!(large.is_none() || seen.places > 1000, "{seen:?}");
}

struct Table {
    root: PathBuf,
    data: bool,
    schemas: BTreeMap<i64, Schema>,
}

impl Table {
    fn sweep(&mut self, seen: &mut Seen) {
        let mut roots = vec![self.root.clone()];
        if let Ok(branches) = std::fs::read_dir(self.root.join("branch")) {
            roots.extend(branches.map(|branch| branch.unwrap().path()));
        }
        // A branch may repeat a schema id with another content: main's come last and stay.
        for root in roots.iter().rev() {
            self.schemas(root, seen);
        }
        for root in &roots {
            self.pointers(root, seen);
        }
        for (name, bytes) in files_in(&self.root.join("manifest")) {
            let name = format!("{}/manifest/{name}", self.root.display());
            if name.contains("index-manifest-") {
                index_manifest(&name, &bytes);
                seen.index_manifests += 1;
            } else if name.contains("manifest-list-") {
                list(&name, &bytes);
                seen.lists += 1;
            } else {
                self.manifest(&name, &bytes, seen);
                seen.manifests += 1;
            }
        }
    }

    fn schemas(&mut self, root: &Path, seen: &mut Seen) {
        for (name, bytes) in files_in(&root.join("schema")) {
            let name = format!("{}/schema/{name}", root.display());
            let text = std::str::from_utf8(&bytes).unwrap();
            let schema = decode_schema(&bytes, &name).unwrap();
            let written = encode_schema(&schema).unwrap();
            assert_eq!(decode_schema(&written, &name).unwrap(), schema);
            // Java keeps options in no order.
            let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
            assert_eq!(json(&written), json(&bytes), "{name}");
            if schema.options.len() < 2 {
                assert_eq!(written, text, "{name}");
            }
            seen.nested_schemas += usize::from(schema.fields.iter().any(|field| field.data_type.kind.is_nested()));
            self.schemas.insert(schema.id, schema);
            seen.schemas += 1;
        }
    }

    fn pointers(&self, root: &Path, seen: &mut Seen) {
        for (name, bytes) in files_in(&root.join("snapshot")).into_iter().chain(files_in(&root.join("changelog"))) {
            if name == layout::LATEST || name == layout::EARLIEST {
                let id = decode_hint(&bytes).unwrap();
                assert_eq!(encode_hint(id).as_ref(), bytes);
                seen.hints += 1;
                continue;
            }
            let id = layout::number_of(&name, "snapshot-").or(layout::number_of(&name, "changelog-")).unwrap();
            let snapshot = Snapshot::decode(&bytes, &name).unwrap();
            assert_eq!(snapshot.id, id);
            assert_eq!(snapshot.encode().unwrap(), std::str::from_utf8(&bytes).unwrap(), "{name}");
            self.live(&snapshot, seen);
            seen.snapshots += 1;
        }
        for (name, bytes) in files_in(&root.join("tag")) {
            let tag = Tag::decode(&bytes, &name).unwrap();
            assert_eq!(tag.encode().unwrap(), std::str::from_utf8(&bytes).unwrap(), "{name}");
            self.live(&tag.snapshot, seen);
            seen.tags += 1;
        }
        for (name, bytes) in files_in(&root.join("consumer")) {
            let consumer = Consumer::decode(&bytes, &name).unwrap();
            assert_eq!(consumer.encode().unwrap(), std::str::from_utf8(&bytes).unwrap(), "{name}");
        }
    }

    /// The live files of a snapshot: where they lie, and which buckets their keys belong to.
    fn live(&self, snapshot: &Snapshot, seen: &mut Seen) {
        let read = |name: &str| std::fs::read(self.root.join(layout::manifest(name).unwrap())).ok();
        let mut entries = Vec::new();
        let mut records = 0;
        for list in [&snapshot.base_manifest_list, &snapshot.delta_manifest_list] {
            // A decoupled changelog outlives the lists of its snapshot.
            let Some(bytes) = read(list) else { return };
            for manifest in decode_manifest_list(&bytes, list).unwrap() {
                let Some(bytes) = read(&manifest.file_name) else { return };
                assert_eq!(manifest.file_size, bytes.len() as i64);
                let read = decode_manifest(&bytes, &manifest.file_name, &ManifestFilter::ALL).unwrap();
                let of = |kind| read.iter().filter(|entry| entry.kind == kind).count() as i64;
                assert_eq!(
                    (manifest.num_added_files, manifest.num_deleted_files),
                    (of(FileKind::Add), of(FileKind::Delete))
                );
                entries.extend(read);
            }
        }
        let live = merge_entries(entries.clone());
        assert_eq!(apply_entries(Vec::new(), &entries).unwrap(), live);
        assert_eq!(cancel_entries(entries), live);
        for entry in &live {
            records += entry.file.row_count;
            let Some(schema) = self.schemas.get(&entry.file.schema_id) else { continue };
            seen.buckets += self.bucket(schema, entry);
            if self.data {
                seen.places += self.place(schema, entry);
            }
        }
        assert_eq!(snapshot.total_record_count, Some(records));
    }

    /// The key bounds of a file hash to its bucket.
    fn bucket(&self, schema: &Schema, entry: &ManifestEntry) -> usize {
        let keys = schema.trimmed_primary_keys();
        let (true, BucketMode::Fixed(_)) = (schema.has_primary_key(), schema.bucket_mode().unwrap()) else { return 0 };
        let function = TableOptions::parse(schema).unwrap().bucket_function;
        let key_types = schema.types_of(&keys).unwrap();
        let bucket_keys = schema.bucket_keys();
        let types = schema.types_of(&bucket_keys).unwrap();
        let mut checked = 0;
        for key in [&entry.file.min_key, &entry.file.max_key] {
            let values = key.decode(&key_types).unwrap();
            let values: Vec<_> = bucket_keys
                .iter()
                .filter_map(|name| keys.iter().position(|key| key == name).map(|at| values[at].clone()))
                .collect();
            if values.len() != types.len() {
                continue;
            }
            let columns: Vec<_> = values.iter().zip(&types).map(|(value, t)| super::samples::lane(value, t)).collect();
            let bucket = assign(function, &columns, &types, entry.total_buckets, 1).unwrap();
            assert_eq!(bucket, [entry.bucket], "{} {}", self.root.display(), entry.file.file_name);
            checked += 1;
        }
        checked
    }

    /// The file is where its partition, bucket and name say.
    fn place(&self, schema: &Schema, entry: &ManifestEntry) -> usize {
        let types = schema.types_of(&schema.partition_keys).unwrap();
        let legacy = schema.option("partition.legacy-name") != Some("false");
        let default = schema.option("partition.default-name").unwrap_or(DEFAULT_PARTITION);
        let partition = partition_path(&schema.partition_keys, &types, &entry.partition, legacy, default).unwrap();
        let directory =
            layout::bucket_dir(schema.option("data-file.path-directory"), &partition, entry.bucket).unwrap();
        let path = self.root.join(directory).join(&entry.file.file_name);
        assert_eq!(
            std::fs::metadata(&path).map(|m| m.len() as i64).ok(),
            Some(entry.file.file_size),
            "{}",
            path.display()
        );
        1
    }

    fn manifest(&self, name: &str, bytes: &[u8], seen: &mut Seen) {
        let entries = decode_manifest(bytes, name, &ManifestFilter::ALL).unwrap();
        for codec in [Codec::Null, Codec::Deflate, Codec::Snappy, Codec::Zstandard] {
            let written = encode_manifest(&entries, codec).unwrap();
            assert_eq!(decode_manifest(&written, name, &ManifestFilter::ALL).unwrap(), entries);
        }
        let java = Container::open(bytes).unwrap();
        assert_eq!(java.schema_text, schemas::MANIFEST_WITH_SEQUENCES.as_bytes());
        let ours = manifest::encode_with(&entries, Codec::Null, true).unwrap();
        assert_eq!(Container::open(&ours).unwrap().raw(), java.raw(), "{name}");
        for entry in &entries {
            let Some(schema) = self.schemas.get(&entry.file.schema_id) else { continue };
            let types = schema.types_of(&schema.partition_keys).unwrap();
            entry.partition.decode(&types).unwrap();
            let keys = schema.types_of(&schema.trimmed_primary_keys()).unwrap();
            if schema.has_primary_key() {
                entry.file.min_key.decode(&keys).unwrap();
                entry.file.max_key.decode(&keys).unwrap();
                entry.file.key_stats.columns(&keys).unwrap();
            }
            let stats = entry.file.value_column_stats(&schema.columns()).unwrap();
            seen.bounded_columns += stats.iter().flatten().filter(|stats| !stats.min.is_null()).count();
            seen.entries += 1;
        }
    }
}

fn list(name: &str, bytes: &[u8]) {
    let manifests = decode_manifest_list(bytes, name).unwrap();
    let java = Container::open(bytes).unwrap();
    assert_eq!(java.schema_text, schemas::MANIFEST_LIST.as_bytes());
    let ours = encode_manifest_list(&manifests, Codec::Null).unwrap();
    assert_eq!(decode_manifest_list(&ours, name).unwrap(), manifests);
    assert_eq!(Container::open(&ours).unwrap().raw(), java.raw(), "{name}");
}

fn index_manifest(name: &str, bytes: &[u8]) {
    let entries = decode_index_manifest_for_rewrite(bytes, name).unwrap();
    assert_eq!(decode_index_manifest(bytes, name).unwrap(), entries);
    let java = Container::open(bytes).unwrap();
    assert_eq!(java.schema_text, schemas::INDEX_MANIFEST.as_bytes());
    let ours = encode_index_manifest(&entries, Codec::Null).unwrap();
    assert_eq!(decode_index_manifest(&ours, name).unwrap(), entries);
    assert_eq!(Container::open(&ours).unwrap().raw(), java.raw(), "{name}");
}
