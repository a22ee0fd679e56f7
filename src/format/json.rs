//! JSON as Java's pretty printer lays it out: two spaces, `"key" : value`, arrays in one line, `[ ]` and `{ }` when empty.
//! Spec: `format-spec/README.md`.

use std::io::{self, Write};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::Formatter;

use crate::error::{Error, Result};

/// The longest JSON file that is decoded: ten thousand columns with long comments stay far below.
const MAX_BYTES: usize = 64 << 20;

/// Encodes a value in Java's layout, without a newline at the end.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    let mut out = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, JavaLayout::default());
    value.serialize(&mut serializer).map_err(|error| Error::bug(format!("JSON: {error}")))?;
    Ok(Bytes::from(out))
}

/// Decodes a value; unknown keys are ignored where its type ignores them.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], file: &str) -> Result<T> {
    check_size(bytes, file)?;
    serde_json::from_slice(bytes).map_err(|error| Error::corrupt(file, format!("JSON: {error}")))
}

/// Decodes a value of JSON whose depth the caller has bounded.
pub(super) fn decode_deep<T: DeserializeOwned>(bytes: &[u8], file: &str) -> Result<T> {
    check_size(bytes, file)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    deserializer.disable_recursion_limit();
    let value = T::deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| Error::corrupt(file, format!("JSON: {error}")))
}

fn check_size(bytes: &[u8], file: &str) -> Result<()> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::corrupt(file, format!("{} bytes of JSON, more than the limit of {MAX_BYTES}", bytes.len())));
    }
    Ok(())
}

/// Jackson's default pretty printer.
#[derive(Default)]
struct JavaLayout {
    depth: usize,
    filled: bool,
}

impl JavaLayout {
    fn line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        for _ in 0..self.depth {
            writer.write_all(b"  ")?;
        }
        Ok(())
    }
}

impl Formatter for JavaLayout {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.filled = true;
        writer.write_all(b" ]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b" " } else { b", " })
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.filled {
            self.line(writer)?;
        } else {
            writer.write_all(b" ")?;
        }
        self.filled = true;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.line(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" : ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}
