//! The floor of a plan: every manifest of the table read, decompressed, and walked once without keeping anything.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Steps;
use crate::measure::Outcome;

/// Milliseconds to walk the manifests of a table that has one snapshot, so that all of them are live.
pub(super) fn time(steps: &mut Steps, table: &Path) -> Outcome<f64> {
    let mut paths = Vec::new();
    for file in fs::read_dir(table.join("manifest"))? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.starts_with("manifest-") && !name.starts_with("manifest-list-") {
            paths.push(file.path());
        }
    }
    let walk = || -> Outcome<usize> { paths.iter().map(|path| walk(&fs::read(path)?)).sum() };
    let entries = walk()?;
    if entries == 0 {
        return Err(format!("{} has no manifest with entries", table.display()).into());
    }
    let (seconds, _) = steps.time("walk a manifest entry", entries, walk)?;
    Ok(seconds * 1e3)
}

/// Walks an Avro container, and counts its records.
fn walk(file: &[u8]) -> Outcome<usize> {
    let mut header = Cursor(file);
    header.take(4)?;
    let (mut shape, mut codec) = (None, String::new());
    header.blocks(|header| {
        let (name, value) = (header.bytes()?, header.bytes()?);
        match name {
            b"avro.schema" => shape = Some(Shape::of(&serde_json::from_slice(value)?)?),
            b"avro.codec" => codec = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
        Ok(())
    })?;
    header.take(16)?;
    let shape = shape.ok_or("no avro.schema")?;
    if codec != "zstandard" {
        return Err(format!("avro.codec {codec:?} is not what the bench's tables have").into());
    }
    let mut entries = 0;
    while !header.0.is_empty() {
        let count = header.long()?;
        let block = zstd::stream::decode_all(header.bytes()?)?;
        header.take(16)?;
        let mut block = Cursor(&block);
        for _ in 0..count {
            shape.skip(&mut block)?;
        }
        entries += count as usize;
    }
    Ok(entries)
}

/// As much of an Avro schema as walking needs.
enum Shape {
    Null,
    Number,
    Bytes,
    Union(Vec<Shape>),
    Array(Box<Shape>),
    Record(Vec<Shape>),
}

impl Shape {
    fn of(schema: &Value) -> Outcome<Self> {
        if let Value::Array(choices) = schema {
            return Ok(Self::Union(choices.iter().map(Self::of).collect::<Outcome<_>>()?));
        }
        let fields = || schema["fields"].as_array().into_iter().flatten().map(|field| Self::of(&field["type"]));
        Ok(match schema.as_str().or_else(|| schema["type"].as_str()) {
            Some("null") => Self::Null,
            Some("int" | "long") => Self::Number,
            Some("bytes" | "string") => Self::Bytes,
            Some("array") => Self::Array(Box::new(Self::of(&schema["items"])?)),
            Some("record") => Self::Record(fields().collect::<Outcome<_>>()?),
            _ => return Err(format!("a manifest has no {schema}").into()),
        })
    }

    fn skip(&self, from: &mut Cursor) -> Outcome<()> {
        match self {
            Self::Null => Ok(()),
            Self::Number => from.long().map(drop),
            Self::Bytes => from.bytes().map(drop),
            Self::Union(choices) => choices.get(from.long()? as usize).ok_or("a union has no such choice")?.skip(from),
            Self::Array(item) => from.blocks(|from| item.skip(from)),
            Self::Record(fields) => fields.iter().try_for_each(|field| field.skip(from)),
        }
    }
}

/// The bytes that are still to be walked.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Outcome<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("the file ends within a value")?;
        self.0 = rest;
        Ok(taken)
    }

    /// A zigzag number of up to ten bytes.
    fn long(&mut self) -> Outcome<i64> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f).checked_shl(shift).ok_or("a number is too long")?;
            shift += 7;
            if byte < 0x80 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
    }

    fn bytes(&mut self) -> Outcome<&'a [u8]> {
        let length = self.long()?;
        self.take(usize::try_from(length)?)
    }

    /// The items of an array or a map: counted blocks until one of none. A negative count is followed by a size.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Outcome<()>) -> Outcome<()> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
        }
    }
}
