//! Whether columns, keys and options of a new table fit together.
//!
//! [`super::check_options`] asks whether each option can be honoured; this asks whether they make sense
//! beside each other and beside the columns, by Paimon's rules, so that every Paimon opens what we create.
//! Spec: `format-spec/schema.md`, `format-spec/options.md`.

use std::collections::BTreeSet;

use super::option_keys::{captures, find_option};
use super::record_expiry::time_column;
use super::{BucketFunction, BucketMode, ChangelogProducer, MergeEngine, Schema, TableOptions, Use};
use crate::error::{Error, Result};
use crate::types::{DataType, Field, MAX_DEPTH, MAX_FIELDS, TypeKind};

/// Checks the schema of a table that is about to be created and gives its options.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Unsupported`] with what is wrong and where.
pub fn validate(schema: &Schema) -> Result<TableOptions> {
    check_types(schema)?;
    check_keys_are_scalar(schema)?;
    let options = TableOptions::checked(schema, Use::Write)?;
    check_buckets(schema, &options)?;
    check_sequence(schema, &options)?;
    check_tracking(schema, &options)?;
    check_row_kinds(schema, &options)?;
    check_changelog(schema, &options)?;
    check_vectors(schema, &options)?;
    check_column_options(schema)?;
    check_names(&options)?;
    check_limits(schema)?;
    check_formats(schema, &options)?;
    Ok(options)
}

/// Columns that a format in use cannot hold.
fn check_formats(schema: &Schema, options: &TableOptions) -> Result<()> {
    for (option, format) in options.formats.all() {
        for field in &schema.fields {
            if let Some(why) = format.refusal(&field.data_type) {
                let word = format.word();
                return Err(Error::invalid(format!("option {option} = {word:?}, column {:?}: {why}", field.name)));
            }
        }
    }
    Ok(())
}

/// Bounds of the types' parameters, which the text form cannot break but a constructor can, and of their nesting.
fn check_types(schema: &Schema) -> Result<()> {
    let fields = |fields: &[Field]| fields.iter().map(Field::count).sum::<usize>();
    if fields(&schema.fields) > MAX_FIELDS {
        return Err(Error::invalid(format!("{} fields are more than {MAX_FIELDS}", fields(&schema.fields))));
    }
    for field in &schema.fields {
        let named = |error: String| Error::invalid(format!("column {:?}: {error}", field.name));
        if field.data_type.depth() > MAX_DEPTH {
            return Err(named(format!("more than {MAX_DEPTH} levels of nesting")));
        }
        check_type(&field.data_type).map_err(named)?;
    }
    Ok(())
}

fn check_type(data_type: &DataType) -> Result<(), String> {
    let fine = match &data_type.kind {
        TypeKind::Decimal { precision, scale } => (1..=38).contains(precision) && scale <= precision,
        TypeKind::Char(n) | TypeKind::VarChar(n) | TypeKind::Binary(n) | TypeKind::VarBinary(n) => {
            (1..=i32::MAX as u32).contains(n)
        }
        TypeKind::Time(p) | TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p) => *p <= 9,
        // Parquet has no group without fields.
        TypeKind::Row(fields) => {
            let mut names = BTreeSet::new();
            if let Some(field) = fields.iter().find(|field| !names.insert(&field.name)) {
                return Err(format!("two fields of a row are named {:?}", field.name));
            }
            !fields.is_empty() && fields.iter().all(|field| !field.name.trim().is_empty())
        }
        _ => true,
    };
    if !fine {
        return Err(format!("{} is no type of a column", data_type.kind));
    }
    data_type.kind.parts().into_iter().try_for_each(check_type)
}

/// Keys, buckets and sequences need values with an order and a hash.
fn check_keys_are_scalar(schema: &Schema) -> Result<()> {
    let list = |option: &str| -> Vec<String> {
        let names = schema.option(option).into_iter().flat_map(|names| names.split(','));
        names.map(|name| name.trim().to_string()).collect()
    };
    let uses = [
        ("primary key", schema.primary_keys.clone()),
        ("partition key", schema.partition_keys.clone()),
        ("option bucket-key:", list("bucket-key")),
        ("option sequence.field:", list("sequence.field")),
    ];
    for (what, names) in uses {
        for field in schema.fields.iter().filter(|field| names.contains(&field.name)) {
            if field.data_type.kind.is_nested() {
                return Err(Error::invalid(format!(
                    "{what} {:?} is of nested type {}",
                    field.name, field.data_type.kind
                )));
            }
        }
    }
    Ok(())
}

fn check_buckets(schema: &Schema, options: &TableOptions) -> Result<()> {
    let bucket_key = schema.option("bucket-key");
    if matches!(options.bucket, BucketMode::Unaware | BucketMode::Dynamic | BucketMode::KeyDynamic) {
        return match bucket_key {
            Some(_) => Err(Error::invalid("option bucket-key needs a bucket count in option bucket")),
            None => Ok(()),
        };
    }
    let keys = &options.bucket_key;
    if keys.is_empty() {
        return Err(Error::invalid("an append table with buckets needs option bucket-key"));
    }
    let mut seen = BTreeSet::new();
    for key in keys {
        schema.require(key).map_err(|_| Error::invalid(format!("option bucket-key: {key:?} is no column")))?;
        if !seen.insert(key) {
            return Err(Error::invalid(format!("option bucket-key: {key:?} is named twice")));
        }
        if schema.partition_keys.contains(key) {
            return Err(Error::invalid(format!("option bucket-key: {key:?} is a partition column")));
        }
        if schema.has_primary_key() && !schema.primary_keys.contains(key) {
            return Err(Error::invalid(format!("option bucket-key: {key:?} is not in the primary key")));
        }
    }
    if options.bucket_function == BucketFunction::Mod {
        let types = schema.types_of(keys)?;
        let fits = matches!(types.as_slice(), [one] if matches!(one.kind, TypeKind::Int | TypeKind::BigInt));
        if !fits {
            return Err(Error::invalid(
                "option bucket-function.type = \"mod\" needs one bucket key of type INT or BIGINT",
            ));
        }
    }
    Ok(())
}

fn check_sequence(schema: &Schema, options: &TableOptions) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in &options.sequence_fields {
        schema.require(name).map_err(|_| Error::invalid(format!("option sequence.field: {name:?} is no column")))?;
        if !seen.insert(name) {
            return Err(Error::invalid(format!("option sequence.field: {name:?} is named twice")));
        }
        if schema.option(&format!("fields.{name}.aggregate-function")).is_some() {
            return Err(Error::invalid(format!("option sequence.field: {name:?} has an aggregate function")));
        }
    }
    if seen.is_empty() {
        return Ok(());
    }
    if options.merge_engine == MergeEngine::FirstRow {
        return Err(Error::invalid("option sequence.field does not go with merge-engine = first-row"));
    }
    if !schema.has_primary_key() {
        return Err(Error::invalid("option sequence.field needs a primary key"));
    }
    if schema.partition_keys.iter().any(|key| !schema.primary_keys.contains(key)) {
        return Err(Error::invalid("option sequence.field needs a primary key that holds every partition column"));
    }
    Ok(())
}

/// What row ids and an order by snapshots need.
fn check_tracking(schema: &Schema, options: &TableOptions) -> Result<()> {
    if options.row_tracking && (schema.has_primary_key() || options.bucket != BucketMode::Unaware) {
        return Err(Error::invalid("option row-tracking.enabled needs an append table without buckets (bucket = -1)"));
    }
    if !options.snapshot_ordering {
        return Ok(());
    }
    if !schema.has_primary_key() {
        return Err(Error::invalid("option sequence.snapshot-ordering needs a primary key"));
    }
    if !options.sequence_fields.is_empty() {
        return Err(Error::invalid("option sequence.snapshot-ordering does not go with sequence.field"));
    }
    if schema
        .option("write-only")
        .or(schema.option("write.compaction-skip"))
        .is_none_or(|text| !text.eq_ignore_ascii_case("true"))
    {
        return Err(Error::invalid(
            "option sequence.snapshot-ordering needs write-only = true: rows have no snapshot before their commit, so a \
             job of its own compacts them",
        ));
    }
    Ok(())
}

fn check_row_kinds(schema: &Schema, options: &TableOptions) -> Result<()> {
    if let Some(name) = &options.rowkind_field {
        let position =
            schema.require(name).map_err(|_| Error::invalid(format!("option rowkind.field: {name:?} is no column")))?;
        let kind = &schema.fields[position].data_type.kind;
        if !matches!(kind, TypeKind::Char(_) | TypeKind::VarChar(_)) {
            return Err(Error::invalid(format!("option rowkind.field: {name:?} is {kind} and must be STRING")));
        }
        if !schema.has_primary_key() {
            return Err(Error::invalid("option rowkind.field needs a primary key"));
        }
    }
    Ok(())
}

fn check_changelog(schema: &Schema, options: &TableOptions) -> Result<()> {
    let keyed = schema.has_primary_key();
    if !keyed && options.changelog_producer != ChangelogProducer::None {
        return Err(Error::invalid("option changelog-producer needs a primary key"));
    }
    let producers = [ChangelogProducer::None, ChangelogProducer::Lookup];
    if options.merge_engine == MergeEngine::FirstRow && !producers.contains(&options.changelog_producer) {
        return Err(Error::invalid("merge-engine = first-row takes changelog-producer none or lookup"));
    }
    check_overwrites_in_streams(keyed, options)?;
    if !keyed && options.thin_mode {
        return Err(Error::invalid("option data-file.thin-mode needs a primary key"));
    }
    for name in &options.compaction.row_deduplicate_ignored {
        schema.require(name).map_err(|_| {
            Error::invalid(format!("option changelog-producer.row-deduplicate-ignore-fields: {name:?} is no column"))
        })?;
    }
    time_column(schema, options).map(drop)
}

/// What streams of overwrites need; also asked when a stream begins, because options may be given for it alone.
pub(crate) fn check_overwrites_in_streams(keyed: bool, options: &TableOptions) -> Result<()> {
    if !options.streaming_read_overwrite {
        return Ok(());
    }
    if !keyed {
        return Err(Error::invalid(
            "option streaming-read-overwrite needs a primary key (append tables: streaming-read-append-overwrite)",
        ));
    }
    if matches!(options.changelog_producer, ChangelogProducer::Lookup | ChangelogProducer::FullCompaction) {
        return Err(Error::invalid(
            "option streaming-read-overwrite with changelog-producer lookup or full-compaction: the changes of an overwrite \
             would be told twice",
        ));
    }
    Ok(())
}

fn check_vectors(schema: &Schema, options: &TableOptions) -> Result<()> {
    if !options.deletion_vectors || !schema.has_primary_key() {
        return Ok(());
    }
    if options.changelog_producer == ChangelogProducer::FullCompaction {
        return Err(Error::invalid(
            "option deletion-vectors.enabled needs changelog-producer none, input or lookup, not full-compaction",
        ));
    }
    if options.merge_engine == MergeEngine::FirstRow {
        return Err(Error::invalid(
            "option deletion-vectors.enabled does not go with merge-engine first-row, whose old rows never change",
        ));
    }
    Ok(())
}

/// Options that name columns in their own name.
fn check_column_options(schema: &Schema) -> Result<()> {
    for name in schema.options.keys() {
        let Some(key) = find_option(name).filter(|key| key.is_family()) else {
            continue;
        };
        let parts = captures(key.name, name).unwrap_or_default();
        let columns: Vec<&str> = match (key.name.starts_with("fields."), key.name.ends_with("#<column>")) {
            (true, _) => parts.iter().flat_map(|part| part.split(',')).map(str::trim).collect(),
            (false, true) => parts,
            (false, false) => continue,
        };
        for column in columns {
            if schema.index_of(column).is_none() {
                return Err(Error::invalid(format!("option {name}: {column:?} is no column")));
            }
        }
    }
    Ok(())
}

/// Refuses for a new table spellings that are understood here, and that Java's writers or readers stumble over. A table that
/// is there may have them: not all could be mended.
///
/// # Errors
/// [`Error::Invalid`] that names the option.
pub fn check_spellings(schema: &Schema) -> Result<()> {
    let wrong = |name: &str, text: &str, why: &str| Err(Error::invalid(format!("option {name} = {text:?}: {why}")));
    // Java trims the columns of sequence.field alone.
    for (name, wrong_column) in [
        ("bucket-key", (|column| column.trim().is_empty() || column.trim() != column) as fn(&str) -> bool),
        ("sequence.field", |column| column.trim().is_empty()),
    ] {
        if let Some(text) = schema.option(name).filter(|text| text.split(',').any(wrong_column)) {
            return wrong(name, text, "columns have commas between them and nothing else");
        }
    }
    if let Some(text) = schema.option("parquet.writer.version")
        && !["PARQUET_1_0", "v1"].contains(&text)
    {
        return wrong("parquet.writer.version", text, "PARQUET_1_0 and v1 are written just so");
    }
    if let Some(text) = schema.option("data-file.external-paths.weights").filter(|text| text.trim().is_empty()) {
        return wrong("data-file.external-paths.weights", text, "no weight");
    }
    let avro = TableOptions::parse(schema)?.formats.all().any(|(_, format)| format.word() == "avro");
    let of_codecs = |name: &str| {
        ["file.compression", "changelog-file.compression", "avro.codec"].contains(&name)
            || name.starts_with("file.compression.per.level")
    };
    match schema.options.iter().find(|(name, text)| of_codecs(name) && **text != text.to_lowercase()) {
        Some((name, text)) if avro => wrong(name, text, "Avro's codecs are written in small letters"),
        _ => Ok(()),
    }
}

/// Options that become parts of paths.
fn check_names(options: &TableOptions) -> Result<()> {
    let plain = |text: &str| !text.contains(['/', '\\']) && !text.chars().any(char::is_control);
    for (name, text) in
        [("data-file.prefix", &options.data_file_prefix), ("changelog-file.prefix", &options.changelog_file_prefix)]
    {
        if text.is_empty() || text.starts_with('.') || text.contains(':') || !plain(text) {
            return Err(Error::invalid(format!("option {name}: {text:?} cannot begin a file name")));
        }
    }
    if options.data_file_prefix == options.changelog_file_prefix {
        return Err(Error::invalid("options data-file.prefix and changelog-file.prefix must differ"));
    }
    let text = &options.partition_default_name;
    if text.is_empty() || text == "." || text == ".." || !plain(text) {
        return Err(Error::invalid(format!("option partition.default-name: {text:?} cannot name a directory")));
    }
    if let Some(text) = &options.data_file_path_directory {
        let fine = |part: &str| !part.is_empty() && part != "." && part != ".." && plain(part) && !part.contains(':');
        if !text.split('/').all(fine) {
            return Err(Error::invalid(format!(
                "option data-file.path-directory: {text:?} is no directory below the table"
            )));
        }
    }
    if options.consumer_id.as_deref() == Some("") {
        return Err(Error::invalid("option consumer-id is empty"));
    }
    Ok(())
}

/// Pairs of limits that Paimon refuses when they cross, whoever reads them.
fn check_limits(schema: &Schema) -> Result<()> {
    let number = |name: &str| {
        let default = find_option(name).and_then(|key| key.default);
        schema.option(name).or(default).and_then(|text| text.parse::<i64>().ok())
    };
    for kind in ["snapshot", "changelog"] {
        let (low, high) = (format!("{kind}.num-retained.min"), format!("{kind}.num-retained.max"));
        let least = number(&low).or_else(|| number("snapshot.num-retained.min")).unwrap_or(1);
        let most = number(&high).or_else(|| number("snapshot.num-retained.max")).unwrap_or(i64::MAX);
        if least < 1 || least > most {
            return Err(Error::invalid(format!("options {low} = {least} and {high} = {most}: 1 <= min <= max")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
