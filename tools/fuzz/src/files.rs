//! Data files and their indexes.

use std::sync::LazyLock;

use bytes::Bytes;
use forebay::Error;
use forebay::files::{Opened, PageColumn, PageIndex, PagedFile, Pages};
use forebay::format::{FileIndex, IndexedAs};
use forebay::predicate::{Expr, parse};
use forebay::schema::{FileFormat, Schema};
use forebay::types::{DataType, TypeKind};

use super::Target;

pub(super) const TARGETS: [Target; 4] = [
    Target { name: "parquet", run: parquet },
    Target { name: "avro", run: avro },
    Target { name: "orc", run: orc },
    Target { name: "file-index", run: file_index },
];

/// Pages of a column that are decoded of one input.
const PAGES: usize = 4;
/// Rows that a footer may promise and that are still looked at.
const ROWS: u64 = 100_000;

/// Columns of many types, as the seeds have them.
///
/// # Errors
/// What the schema's builder says of an option.
pub(super) fn wide_schema(options: &[(&str, &str)]) -> Result<Schema, Error> {
    // Avro files hold no nanoseconds.
    let finest = if options.contains(&("file.format", "avro")) { 6 } else { 9 };
    let mut builder = Schema::builder()
        .column("k", DataType::BIGINT.not_null())
        .column("i", DataType::INT)
        .column("s", DataType::STRING)
        .column("d", DataType::decimal(12, 2))
        .column("w", DataType::decimal(38, 9))
        .column("t", DataType::timestamp(3))
        .column("n", DataType::timestamp(finest))
        .column("b", DataType::BYTES)
        .column("f", DataType::DOUBLE)
        .column("o", DataType::BOOLEAN)
        .column("y", DataType::DATE)
        .column("a", DataType::array(DataType::INT))
        .column("m", DataType::map(DataType::STRING.not_null(), DataType::INT));
    for (name, value) in options {
        builder = builder.option(*name, *value);
    }
    builder.build()
}

static SCHEMA: LazyLock<Option<Schema>> = LazyLock::new(|| wide_schema(&[]).ok());

/// Decodes some pages of each column.
fn decode(pages: &Pages, bytes: &Bytes) {
    let Some(schema) = SCHEMA.as_ref() else { return };
    if pages.rows() > ROWS {
        return;
    }
    let system = [
        ("_SEQUENCE_NUMBER", TypeKind::BigInt),
        ("_VALUE_KIND", TypeKind::TinyInt),
        // Columns of the seeds that old releases wrote.
        ("k", TypeKind::Int),
        ("b", TypeKind::STRING),
        ("c", TypeKind::Double),
        ("d", TypeKind::Decimal { precision: 9, scale: 2 }),
    ];
    let columns = schema.fields.iter().map(|field| (field.name.as_str(), field.data_type.kind.clone()));
    for (name, kind) in columns.chain(system) {
        let Some(leaf) = pages.leaf(name) else { continue };
        let column = PageColumn { leaf, name: name.to_string(), kind };
        for at in pages.pages(leaf).into_iter().take(PAGES) {
            let cut = |range: std::ops::Range<u64>| {
                let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
                (start <= end && end <= bytes.len()).then(|| (range.start, bytes.slice(start..end)))
            };
            let fetched = pages.ranges(leaf, &at).into_iter().filter_map(cut).collect();
            drop(pages.decode(&column, &at, fetched));
        }
    }
}

fn parquet(bytes: &[u8]) -> Result<(), String> {
    let bytes = Bytes::copy_from_slice(bytes);
    let key = Some(("k", &TypeKind::BigInt));
    if let Ok(Opened::Done(file, _)) = PagedFile::open("input.parquet", bytes.len() as u64, &bytes, key) {
        decode(&Pages::Parquet(file), &bytes);
    }
    Ok(())
}

fn avro(bytes: &[u8]) -> Result<(), String> {
    indexed(&FileFormat::Avro, bytes)
}

fn orc(bytes: &[u8]) -> Result<(), String> {
    indexed(&FileFormat::Orc, bytes)
}

fn indexed(format: &FileFormat, bytes: &[u8]) -> Result<(), String> {
    let bytes = Bytes::copy_from_slice(bytes);
    let Some(mut index) = PageIndex::of(format, "input", bytes.len() as u64, true) else {
        return Err(format!("{format:?} takes no index"));
    };
    while let Some(range) = index.wanted() {
        let (start, end) = (range.start as usize, (range.end as usize).min(bytes.len()));
        if start > end {
            return Err(format!("bytes {range:?} of {} are wanted", bytes.len()));
        }
        if index.feed(&bytes.slice(start..end)).is_err() {
            return Ok(());
        }
    }
    if let Ok(pages) = index.finish() {
        decode(&pages, &bytes);
    }
    Ok(())
}

/// Conditions that ask every kind of index in every way.
static CONDITIONS: LazyLock<Vec<Expr>> = LazyLock::new(|| {
    let Some(schema) = SCHEMA.as_ref() else { return Vec::new() };
    let texts = [
        "i = 5",
        "i <> 5",
        "i in (1, 7, 9)",
        "i > 3 and i <= 8",
        "i is null",
        "i is not null",
        "s = 'ab-3'",
        "s > 'b' or s is null",
        "s like 'ab%'",
        "k between 2 and 40",
        "not (k = 3 or k = 4)",
    ];
    texts.iter().filter_map(|text| parse(text, schema).and_then(|condition| condition.bind(schema)).ok()).collect()
});

fn file_index(bytes: &[u8]) -> Result<(), String> {
    let Some(schema) = SCHEMA.as_ref() else { return Ok(()) };
    let bytes = Bytes::copy_from_slice(bytes);
    let column_of = |column: &str| IndexedAs::of("f.parquet", (schema, schema), column);
    for condition in CONDITIONS.iter() {
        let selection = FileIndex::select_within(&bytes, "input.index", condition, 60, &column_of);
        if let Ok(selection) = selection {
            drop(selection.masked(60, None));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_is_one() {
        assert_eq!(CONDITIONS.len(), 11);
    }
}
