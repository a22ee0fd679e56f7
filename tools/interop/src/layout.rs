//! What lies on disk, without names and times that differ from run to run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use forebay::format::{ManifestFileMeta, Snapshot, decode_manifest_list};
use forebay::types::TypeKind;
use orc_rust::proto::{Footer, PostScript};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::printer::print_schema;
use prost::Message;
use serde_json::{Value, json};

use crate::{Engine, Server, TableSpec};

/// All files below a directory, sorted.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The directories that hold data, below the table, each with the number of its files. Checksum files of Hadoop count.
pub fn data_directories(table: &Path) -> BTreeMap<PathBuf, usize> {
    let mut directories = BTreeMap::new();
    for file in files_below(table) {
        let directory = file.parent().and_then(|parent| parent.strip_prefix(table).ok()).unwrap_or(table).to_path_buf();
        if directory.to_string_lossy().contains("bucket-") {
            *directories.entry(directory).or_default() += 1;
        }
    }
    directories
}

/// Schema and codecs of every Parquet file, each distinct one once; data and changelog files apart by their prefix.
pub fn parquet_forms(table: &Path) -> BTreeMap<String, Vec<String>> {
    let mut forms: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in
        files_below(table).iter().filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
    {
        let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let reader = SerializedFileReader::new(file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let metadata = reader.metadata();
        let mut text = Vec::new();
        print_schema(&mut text, metadata.file_metadata().schema());
        let mut text = String::from_utf8_lossy(&text).to_string();
        for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
            text.push_str(&format!("{} {:?}\n", column.column_path(), column.compression()));
        }
        let name = path.file_name().expect("a file name").to_string_lossy();
        let kind = name.split('-').next().unwrap_or_default().to_string();
        let forms = forms.entry(kind).or_default();
        if !forms.contains(&text) {
            forms.push(text);
        }
    }
    forms.values_mut().for_each(|texts| texts.sort());
    forms
}

/// Schema and codec of every Avro data file, each distinct one once; data and changelog files apart by their prefix.
pub fn avro_forms(table: &Path) -> BTreeMap<String, Vec<String>> {
    let mut forms: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files_below(table).iter().filter(|path| path.extension().is_some_and(|extension| extension == "avro")) {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let header = avro_header(&bytes).unwrap_or_else(|| panic!("{}: no Avro header", path.display()));
        let name = path.file_name().expect("a file name").to_string_lossy();
        let kind = name.split('-').next().unwrap_or_default().to_string();
        let text = format!("{} {}", header["avro.codec"], header["avro.schema"]);
        let forms = forms.entry(kind).or_default();
        if !forms.contains(&text) {
            forms.push(text);
        }
    }
    forms.values_mut().for_each(|texts| texts.sort());
    forms
}

/// Types, codec and versions of every ORC data file whose footer is not compressed, each distinct one once; data and changelog
/// files apart by their prefix.
pub fn orc_forms(table: &Path) -> BTreeMap<String, Vec<String>> {
    let mut forms: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files_below(table).iter().filter(|path| path.extension().is_some_and(|extension| extension == "orc")) {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let end = bytes.len() - 1 - usize::from(bytes[bytes.len() - 1]);
        let told = PostScript::decode(&bytes[end..bytes.len() - 1]).expect("a postscript");
        let footer = Footer::decode(&bytes[end - told.footer_length() as usize..end]).expect("a footer");
        let name = path.file_name().expect("a file name").to_string_lossy();
        let kind = name.split('-').next().unwrap_or_default().to_string();
        let (compression, calendar) = (told.compression(), footer.calendar());
        let text = format!("{compression:?} {:?} {calendar:?}\n{:#?}", told.version, footer.types);
        let forms = forms.entry(kind).or_default();
        if !forms.contains(&text) {
            forms.push(text);
        }
    }
    forms.values_mut().for_each(|texts| texts.sort());
    forms
}

/// The entries of a container's header.
fn avro_header(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    fn long(rest: &mut &[u8]) -> Option<i64> {
        let mut number = 0_u64;
        for at in 0..10 {
            let (byte, tail) = rest.split_first()?;
            *rest = tail;
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Some((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        None
    }
    fn text(rest: &mut &[u8]) -> Option<String> {
        let length = usize::try_from(long(rest)?).ok()?;
        let (text, tail) = rest.split_at_checked(length)?;
        *rest = tail;
        String::from_utf8(text.to_vec()).ok()
    }
    let mut rest = bytes.strip_prefix(b"Obj\x01")?;
    let mut entries = BTreeMap::new();
    loop {
        let count = long(&mut rest)?;
        if count < 0 {
            long(&mut rest)?;
        }
        for _ in 0..count.unsigned_abs() {
            let key = text(&mut rest)?;
            entries.insert(key, text(&mut rest)?);
        }
        if count == 0 {
            return Some(entries);
        }
    }
}

/// Snapshots as they lie on disk, without names, sizes, ids and times.
pub fn snapshot_forms(table: &Path) -> BTreeMap<i64, Value> {
    // Java counts row ids in every table; only row tracking reads them, which this engine does not offer.
    const OWN: [&str; 15] = [
        "uuid",
        "commitUser",
        "timeMillis",
        "baseManifestList",
        "baseManifestListSize",
        "deltaManifestList",
        "deltaManifestListSize",
        "changelogManifestList",
        "changelogManifestListSize",
        "indexManifest",
        "version",
        "operation",
        "logOffsets",
        "properties",
        "nextRowId",
    ];
    let form = |(id, bytes): (i64, Vec<u8>)| {
        let mut value: Value = serde_json::from_slice(&bytes).expect("a snapshot is JSON");
        let object = value.as_object_mut().expect("a snapshot is an object");
        // Which lists there are is told; how they are named is not.
        let lists: Vec<String> = object.keys().filter(|key| key.ends_with("List")).cloned().collect();
        object.retain(|key, value| !OWN.contains(&key.as_str()) && !value.is_null());
        object.insert("lists".to_string(), json!(lists));
        (id, value)
    };
    snapshot_files(table).into_iter().map(form).collect()
}

/// The manifests of every snapshot, list by list, without names and sizes.
pub fn manifest_forms(table: &Path) -> BTreeMap<(i64, &'static str), Vec<ManifestFileMeta>> {
    let mut forms = BTreeMap::new();
    for (id, bytes) in snapshot_files(table) {
        let snapshot = Snapshot::decode(&bytes, "snapshot").unwrap_or_else(|error| panic!("snapshot {id}: {error}"));
        let lists = [
            ("base", Some(snapshot.base_manifest_list)),
            ("delta", Some(snapshot.delta_manifest_list)),
            ("changelog", snapshot.changelog_manifest_list),
        ];
        for (kind, name) in lists {
            let Some(name) = name else { continue };
            let bytes =
                std::fs::read(table.join("manifest").join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut metas = decode_manifest_list(&bytes, &name).unwrap_or_else(|error| panic!("{name}: {error}"));
            for meta in &mut metas {
                meta.file_name.clear();
                meta.file_size = 0;
            }
            forms.insert((id, kind), metas);
        }
    }
    forms
}

fn snapshot_files(table: &Path) -> Vec<(i64, Vec<u8>)> {
    let of = |path: &PathBuf| {
        let id = path.file_name()?.to_str()?.strip_prefix("snapshot-")?.parse().ok()?;
        Some((id, std::fs::read(path).ok()?))
    };
    files_below(&table.join("snapshot")).iter().filter_map(of).collect()
}

/// A server's description of the live files, without names, sizes and times, sorted.
pub fn file_forms(server: &mut Server, table: &Path, spec: &TableSpec) -> Vec<String> {
    let answer = server.run("files", table, json!({}));
    // Java 1.x keeps no bounds of bytes. In ORC files Java fills bounds of CHAR up with blanks, and has no order for NaN and zeros.
    let orc = spec.options.get("file.format").is_some_and(|format| format == "orc");
    let not_alike = |kind: &TypeKind| match kind {
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => server.engine() == Engine::Java1x,
        TypeKind::Char(_) | TypeKind::Float | TypeKind::Double => orc,
        _ => false,
    };
    let unbounded: Vec<&String> =
        spec.columns.iter().filter(|(_, it)| not_alike(&it.kind)).map(|(name, _)| name).collect();
    let form = |file: &Value| {
        let mut file = file.clone();
        for own in ["name", "size", "creationTime"] {
            file.as_object_mut().expect("a file is an object").remove(own);
        }
        for (stats, name) in
            ["stats", "keyStats"].iter().flat_map(|stats| unbounded.iter().map(move |name| (stats, name)))
        {
            if let Some(column) = file[*stats].get_mut(name.as_str()) {
                (column["min"], column["max"]) = (Value::Null, Value::Null);
            }
        }
        file.to_string()
    };
    let mut forms: Vec<String> = answer["files"].as_array().expect("a list of files").iter().map(form).collect();
    forms.sort();
    forms
}

/// The first schema file, without its time.
pub fn schema_form(table: &Path) -> Value {
    let bytes = std::fs::read(table.join("schema/schema-0")).expect("schema-0");
    let mut value: Value = serde_json::from_slice(&bytes).expect("a schema is JSON");
    value["timeMillis"] = Value::Null;
    value
}
