//! File indexes as the options ask for them: `file-index.<index>.columns` names columns (or `map[key]`), and
//! `file-index.<index>.<column>.<setting>` how each index is made.
//! Spec: `format-spec/file-index.md`.

use std::collections::BTreeMap;

use super::reader::{Reader, named};
use crate::error::{Error, Result};
use crate::schema::{Schema, parse_memory_size};
use crate::types::{DataType, TypeKind};

/// What is kept of an indexed column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FileIndexKind {
    /// Which values may be there.
    Bloom {
        /// Distinct values that are expected in a file.
        items: u32,
        /// The share of absent values that seem to be there.
        fpp: f64,
    },
    /// The rows of each value.
    Bitmap {
        /// The layout: 1 or 2.
        version: u8,
        /// Bytes of a block of the list of values.
        block_bytes: u64,
    },
    /// The rows of each bit of a number.
    BitSlice,
    /// The same of the places of values in their order.
    RangeBitmap {
        /// Bytes of a part of the list of values; `None` leaves it to the type.
        chunk_bytes: Option<u64>,
    },
}

impl FileIndexKind {
    /// Its word in options and in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bloom { .. } => "bloom-filter",
            Self::Bitmap { .. } => "bitmap",
            Self::BitSlice => "bsi",
            Self::RangeBitmap { .. } => "range-bitmap",
        }
    }

    /// Whether values of a type can have such an index.
    pub fn takes(self, kind: &TypeKind) -> bool {
        let small = matches!(kind, TypeKind::Decimal { precision: ..=18, .. });
        match kind {
            TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int | TypeKind::BigInt => true,
            TypeKind::Date | TypeKind::Time(_) => true,
            TypeKind::Char(_) | TypeKind::VarChar(_) | TypeKind::Float | TypeKind::Double => self != Self::BitSlice,
            TypeKind::Boolean => matches!(self, Self::Bitmap { .. } | Self::RangeBitmap { .. }),
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => matches!(self, Self::Bloom { .. }),
            TypeKind::Decimal { .. } => small && matches!(self, Self::BitSlice | Self::RangeBitmap { .. }),
            TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision) => {
                *precision <= 6 || !matches!(self, Self::RangeBitmap { .. })
            }
            _ => false,
        }
    }
}

/// One index of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnIndex {
    /// The column.
    pub column: String,
    /// Of a MAP column the key whose values are indexed.
    pub key: Option<String>,
    /// What is kept.
    pub index: FileIndexKind,
}

impl ColumnIndex {
    /// The name that an index file has for the column.
    pub fn name(&self) -> String {
        match &self.key {
            Some(key) => format!("{}[{key}]", self.column),
            None => self.column.clone(),
        }
    }

    /// The type of the values that are indexed.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a column that is not there or is no map of texts.
    pub fn values(&self, schema: &Schema) -> Result<DataType> {
        let data_type = &schema.fields[schema.require(&self.column)?].data_type;
        match (&self.key, &data_type.kind) {
            (None, _) => Ok(data_type.clone()),
            (Some(_), TypeKind::Map(map)) if matches!(map.key.kind, TypeKind::Char(_) | TypeKind::VarChar(_)) => {
                Ok(map.value.clone())
            }
            (Some(_), other) => Err(Error::invalid(format!("{} is {other}, no MAP with keys of text", self.column))),
        }
    }
}

/// The file indexes of a table (`file-index.*`).
#[derive(Debug, Clone, PartialEq)]
pub struct FileIndexOptions {
    /// Whether readers use indexes.
    pub read: bool,
    /// Bytes of a file's indexes beyond which they get a file of their own.
    pub in_manifest: u64,
    /// The indexes that are written, in the order of the columns.
    pub columns: Vec<ColumnIndex>,
}

impl FileIndexOptions {
    pub(super) fn read(read: &Reader<'_>, schema: &Schema) -> Result<Self> {
        let mut columns: Vec<ColumnIndex> =
            wanted(&schema.options).into_iter().filter_map(|wanted| column_index(&wanted, schema).ok()).collect();
        // In the order of the schema, so that equal tables have equal bytes.
        columns.sort_by_cached_key(|column| (schema.index_of(&column.column), column.key.clone()));
        Ok(Self {
            read: read.boolean("file-index.read.enabled")?,
            in_manifest: read.with("file-index.in-manifest-threshold", parse_memory_size)?,
            columns,
        })
    }
}

/// The options of one index of one column, as they are written.
struct Wanted<'a> {
    option: &'a str,
    index: &'a str,
    column: &'a str,
    settings: BTreeMap<&'a str, (&'a str, &'a str)>,
}

const COLUMNS: &str = ".columns";
/// Options that begin like those of an index and are none.
const OTHERS: [&str; 2] = ["file-index.read.enabled", "file-index.in-manifest-threshold"];

/// `<index>.<column>.<setting>`, as Paimon cuts it.
fn setting(rest: &str) -> Option<(&str, &str, &str)> {
    let (index, rest) = rest.split_once('.')?;
    let (column, name) = rest.split_once('.')?;
    (!name.contains('.')).then_some((index, column, name))
}

/// What an option says of indexes: the text behind `file-index.` when it is one of theirs.
fn of_index(name: &str) -> Option<&str> {
    name.strip_prefix("file-index.").filter(|_| !OTHERS.contains(&name))
}

fn wanted(options: &BTreeMap<String, String>) -> Vec<Wanted<'_>> {
    let mut found = Vec::new();
    for (option, text) in options {
        let Some(index) = of_index(option).and_then(|rest| rest.strip_suffix(COLUMNS)) else { continue };
        for column in text.split(',').map(str::trim) {
            let map = column.split_once('[').filter(|_| column.ends_with(']')).map(|(map, _)| map);
            let mut settings = BTreeMap::new();
            // What is set for a whole map holds for all its keys, until it is set for one.
            for owner in map.into_iter().chain([column]) {
                for (option, text) in options {
                    if let Some((kind, of, name)) = of_index(option).and_then(setting)
                        && (kind, of) == (index, owner)
                    {
                        settings.insert(name, (option.as_str(), text.as_str()));
                    }
                }
            }
            found.push(Wanted { option, index, column, settings });
        }
    }
    found
}

fn column_index(wanted: &Wanted<'_>, schema: &Schema) -> Result<ColumnIndex> {
    let Wanted { option, column, .. } = wanted;
    let (column, key) = match column.split_once('[').zip(column.strip_suffix(']')) {
        Some(((map, _), inside)) => (map, Some(inside[map.len() + 1..].to_string())),
        None => (*column, None),
    };
    if column.is_empty() {
        return Err(Error::invalid(format!("option {option}: an empty name")));
    }
    let column = ColumnIndex { column: column.to_string(), key, index: wanted.kind()? };
    let values = column.values(schema).map_err(|error| named(option, error))?;
    if !column.index.takes(&values.kind) {
        let what = format!("a {} index of {}, which is {}", column.index.word(), column.name(), values.kind);
        return Err(Error::unsupported(format!("option {option}: {what}")));
    }
    Ok(column)
}

impl Wanted<'_> {
    fn kind(&self) -> Result<FileIndexKind> {
        let known: &[&str] = match self.index {
            "bloom-filter" => &["items", "fpp"],
            "bitmap" => &["version", "index-block-size"],
            "bsi" => &[],
            "range-bitmap" => &["chunk-size"],
            other => return Err(Error::unsupported(format!("option {}: indexes of kind {other:?}", self.option))),
        };
        if let Some((option, _)) = self.settings.iter().find(|(name, _)| !known.contains(name)).map(|(_, it)| it) {
            return Err(Error::unsupported(format!("option {option}: no such setting is known")));
        }
        Ok(match self.index {
            "bloom-filter" => {
                let items = self.setting("items", |text| text.parse::<u32>().ok().filter(|items| *items > 0))?;
                let fpp = self.setting("fpp", |text| text.parse().ok().filter(|fpp| 0.0 < *fpp && *fpp < 1.0))?;
                let kind = FileIndexKind::Bloom { items: items.unwrap_or(1_000_000), fpp: fpp.unwrap_or(0.1) };
                let bits = -f64::from(items.unwrap_or(1_000_000)) * fpp.unwrap_or(0.1_f64).ln() / 2_f64.ln().powi(2);
                if bits >= f64::from(i32::MAX - 8) {
                    return Err(Error::invalid(format!("option {}: a filter of more than 2^31 bits", self.option)));
                }
                kind
            }
            "bitmap" => FileIndexKind::Bitmap {
                version: self
                    .setting("version", |text| text.parse().ok().filter(|it| [1, 2].contains(it)))?
                    .unwrap_or(2),
                // Java's writer fails where a block is smaller than an entry.
                block_bytes: self
                    .setting("index-block-size", |text| parse_memory_size(text).ok().filter(|bytes| *bytes >= 64))?
                    .unwrap_or(16 << 10),
            },
            "bsi" => FileIndexKind::BitSlice,
            _ => FileIndexKind::RangeBitmap {
                chunk_bytes: self.setting("chunk-size", |text| {
                    parse_memory_size(text).ok().filter(|bytes| *bytes <= i32::MAX as u64)
                })?,
            },
        })
    }

    fn setting<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        let Some((option, text)) = self.settings.get(name) else { return Ok(None) };
        let value = parse(text).ok_or_else(|| Error::invalid(format!("option {option} = {text:?} is no value of it")));
        value.map(Some)
    }
}

/// What of a table's indexes cannot be written.
pub(in crate::schema) fn index_refusals(schema: &Schema) -> Vec<Error> {
    let wanted = wanted(&schema.options);
    let mut refusals: Vec<Error> = wanted.iter().filter_map(|wanted| column_index(wanted, schema).err()).collect();
    for option in schema.options.keys() {
        let Some((index, column, _)) = of_index(option).filter(|rest| !rest.ends_with(COLUMNS)).and_then(setting)
        else {
            continue;
        };
        let owns = |wanted: &Wanted<'_>| {
            let map = wanted.column.split_once('[').map(|(map, _)| map);
            wanted.index == index && (wanted.column == column || map == Some(column))
        };
        if !wanted.iter().any(owns) {
            let what = format!("option {option}: file-index.{index}.columns does not name {column}");
            refusals.push(Error::invalid(what));
        }
    }
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{TableOptions, Use};

    fn options(pairs: &[(&str, &str)]) -> Result<FileIndexOptions> {
        let mut builder = Schema::builder()
            .column("id", DataType::INT)
            .column("name", DataType::STRING)
            .column("m", DataType::map(DataType::STRING, DataType::BIGINT))
            .column("price", DataType::decimal(20, 2));
        for (name, value) in pairs {
            builder = builder.option(*name, *value);
        }
        Ok(TableOptions::checked(&builder.build()?, Use::Write)?.file_index)
    }

    #[test]
    fn indexes_come_in_the_order_of_their_columns_with_their_settings() {
        let found = options(&[
            ("file-index.bloom-filter.columns", "name , id,m[a], m[b]"),
            ("file-index.bloom-filter.id.items", "100"),
            ("file-index.bloom-filter.m.fpp", "0.2"),
            ("file-index.bloom-filter.m[b].fpp", "0.3"),
            ("file-index.bitmap.columns", "id"),
            ("file-index.bitmap.id.version", "1"),
            ("file-index.range-bitmap.columns", "name"),
            ("file-index.in-manifest-threshold", "1 kb"),
        ])
        .unwrap();
        assert_eq!((found.read, found.in_manifest), (true, 1024));
        let shown: Vec<String> = found.columns.iter().map(|it| format!("{} {:?}", it.name(), it.index)).collect();
        let wanted = [
            "id Bitmap { version: 1, block_bytes: 16384 }",
            "id Bloom { items: 100, fpp: 0.1 }",
            "name Bloom { items: 1000000, fpp: 0.1 }",
            "name RangeBitmap { chunk_bytes: None }",
            "m[a] Bloom { items: 1000000, fpp: 0.2 }",
            "m[b] Bloom { items: 1000000, fpp: 0.3 }",
        ];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn what_cannot_be_written_is_refused_by_name() {
        for (pairs, wanted) in [
            (&[("file-index.bitmap.columns", "nope")] as &[_], "nope"),
            (&[("file-index.bitmap.columns", "id,,name")], "empty name"),
            (&[("file-index.bitmap.columns", "price")], "bitmap index of price"),
            (&[("file-index.bsi.columns", "price")], "bsi index of price"),
            (&[("file-index.bsi.columns", "name")], "bsi index of name"),
            (&[("file-index.bloom-filter.columns", "id[a]")], "no MAP"),
            (&[("file-index.bloom-filter.columns", "m")], "bloom-filter index of m"),
            (&[("file-index.lumina.columns", "id")], "lumina"),
            (&[("file-index.bitmap.id.version", "1")], "file-index.bitmap.columns does not name id"),
            (&[("file-index.bitmap.columns", "id"), ("file-index.bitmap.id.version", "3")], "bitmap.id.version"),
            (&[("file-index.bitmap.columns", "id"), ("file-index.bitmap.id.speed", "3")], "bitmap.id.speed"),
            (&[("file-index.bloom-filter.columns", "id"), ("file-index.bloom-filter.id.fpp", "1")], "id.fpp"),
            (&[("file-index.in-manifest-threshold", "much")], "in-manifest-threshold"),
        ] {
            let error = options(pairs).unwrap_err().to_string();
            assert!(error.contains(wanted), "{pairs:?}: {error}");
        }
    }
}
