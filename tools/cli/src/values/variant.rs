//! Values of VARIANT columns and JSON: any JSON value is one, `null` is NULL.
//!
//! Numbers become whole numbers, then decimals of up to 38 digits, as Java makes them; those with an exponent, or with
//! more digits, become doubles.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, StructArray};
use parquet_variant::{
    ObjectFieldBuilder, Variant, VariantBuilder, VariantBuilderExt, VariantDecimal4, VariantDecimal8, VariantDecimal16,
};
use parquet_variant_json::VariantToJson;
use serde_json::{Number, Value};

use super::text::Reason;

/// The binaries of a column's values, as they are built.
#[derive(Default)]
pub struct VariantParts {
    values: BinaryBuilder,
    metadata: BinaryBuilder,
}

impl VariantParts {
    /// Appends places of a NULL.
    pub fn push_hidden(&mut self) {
        self.values.append_value(b"");
        self.metadata.append_value(b"");
    }

    /// Appends a JSON value.
    pub fn push(&mut self, json: &Value) -> Result<(), Reason> {
        let mut builder = VariantBuilder::new();
        append(json, &mut builder).map_err(|error| format!("is no VARIANT: {error}"))?;
        let (metadata, value) = builder.finish();
        self.values.append_value(value);
        self.metadata.append_value(metadata);
        Ok(())
    }

    /// The two columns: values and metadata.
    pub fn finish(&mut self) -> Vec<ArrayRef> {
        vec![Arc::new(self.values.finish()), Arc::new(self.metadata.finish())]
    }
}

type Appended = Result<(), arrow_schema::ArrowError>;

fn append(json: &Value, builder: &mut impl VariantBuilderExt) -> Appended {
    match json {
        Value::Null => builder.append_value(Variant::Null),
        Value::Bool(value) => builder.append_value(*value),
        Value::Number(number) => append_number(number, builder)?,
        Value::String(text) => builder.append_value(text.as_str()),
        Value::Array(elements) => {
            let mut list = builder.try_new_list()?;
            elements.iter().try_for_each(|element| append(element, &mut list))?;
            list.finish();
        }
        Value::Object(members) => {
            let mut object = builder.try_new_object()?;
            members
                .iter()
                .try_for_each(|(name, value)| append(value, &mut ObjectFieldBuilder::new(name, &mut object)))?;
            object.finish();
        }
    }
    Ok(())
}

fn append_number(number: &Number, builder: &mut impl VariantBuilderExt) -> Appended {
    let text = number.to_string();
    let whole = text.parse::<i64>().ok();
    match (whole, decimal(&text)) {
        (Some(whole), _) => match (i8::try_from(whole), i16::try_from(whole), i32::try_from(whole)) {
            (Ok(whole), _, _) => builder.append_value(whole),
            (_, Ok(whole), _) => builder.append_value(whole),
            (_, _, Ok(whole)) => builder.append_value(whole),
            _ => builder.append_value(whole),
        },
        (None, Some((unscaled, scale))) => {
            if let Some(unscaled) = i32::try_from(unscaled).ok().filter(|it| it.unsigned_abs() < 10_u32.pow(9)) {
                builder.append_value(VariantDecimal4::try_new(unscaled, scale)?);
            } else if let Some(unscaled) = i64::try_from(unscaled).ok().filter(|it| it.unsigned_abs() < 10_u64.pow(18))
            {
                builder.append_value(VariantDecimal8::try_new(unscaled, scale)?);
            } else {
                builder.append_value(VariantDecimal16::try_new(unscaled, scale)?);
            }
        }
        (None, None) => {
            let wrong = || arrow_schema::ArrowError::InvalidArgumentError(format!("{text} is beyond a double"));
            builder.append_value(number.as_f64().filter(|number| number.is_finite()).ok_or_else(wrong)?);
        }
    }
    Ok(())
}

/// The digits and the scale of a number without an exponent, of at most 38 digits.
fn decimal(text: &str) -> Option<(i128, u8)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= 38)?;
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    (unscaled.unsigned_abs() < 10_u128.pow(38)).then_some((unscaled, scale))
}

/// Arrays and objects inside of each other, as deep as JSON is read.
const MAX_DEPTH: usize = 127;

/// Looks at the arrays and objects of a value before a decoder that calls itself for each of them: they are not too deep,
/// and are no more than its bytes can be, which parts that overlap would be.
fn check_shape(value: &[u8]) -> Result<(), String> {
    let mut waiting = vec![(value, 0)];
    let mut seen = 0;
    while let Some((bytes, depth)) = waiting.pop() {
        seen += 1;
        if seen > value.len() {
            return Err("its parts overlap".into());
        }
        let Some(parts) = parts(bytes) else { return Err("it is cut off".into()) };
        if depth == MAX_DEPTH && !parts.is_empty() {
            return Err(format!("arrays and objects more than {MAX_DEPTH} deep"));
        }
        waiting.extend(parts.into_iter().map(|part| (part, depth + 1)));
    }
    Ok(())
}

/// The parts of an array or an object, each with all that follows it; none of another value.
fn parts(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (head, rest) = bytes.split_first()?;
    let size = |shift: u8| usize::from((head >> shift) & 3) + 1;
    let (id, offset, large) = match head & 3 {
        2 => (size(4), size(2), (head >> 6) & 1 == 1),
        3 => (0, size(2), (head >> 4) & 1 == 1),
        _ => return Some(Vec::new()),
    };
    let (count, rest) = rest.split_at_checked(if large { 4 } else { 1 })?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| (number << 8) | usize::from(*byte));
    let count = number(count);
    let (_, rest) = rest.split_at_checked(count.checked_mul(id)?)?;
    let (offsets, values) = rest.split_at_checked(count.checked_add(1)?.checked_mul(offset)?)?;
    offsets.chunks(offset).take(count).map(|at| values.get(number(at)..)).collect()
}

/// A column of VARIANT values, each of them looked through once.
pub struct VariantView {
    values: BinaryArray,
    metadata: BinaryArray,
}

impl VariantView {
    /// A view of a lane.
    pub fn new(name: &str, lane: &ArrayRef) -> forebay::Result<Self> {
        let rows: &StructArray = lane.as_struct();
        let view = Self { values: rows.column(0).as_binary().clone(), metadata: rows.column(1).as_binary().clone() };
        let damaged = |why: String| forebay::Error::invalid(format!("column {name}: a damaged VARIANT: {why}"));
        for row in (0..rows.len()).filter(|row| rows.is_valid(*row)) {
            check_shape(view.values.value(row)).map_err(damaged)?;
            let valid = Variant::try_new(view.metadata.value(row), view.values.value(row));
            let json = valid.and_then(|variant| variant.to_json(&mut std::io::sink()));
            json.map_err(|error| damaged(error.to_string()))?;
        }
        Ok(view)
    }

    /// Appends a value that is not NULL, as JSON.
    pub fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let variant = Variant::try_new(self.metadata.value(row), self.values.value(row));
        if variant.and_then(|variant| variant.to_json(out)).is_err() {
            // Unreachable for a value that was looked through.
            out.truncate(start);
            out.extend_from_slice(b"null");
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field, Fields};

    use super::*;

    fn round_trip(json: &str) -> String {
        let mut parts = VariantParts::default();
        parts.push(&serde_json::from_str(json).unwrap()).unwrap();
        let fields: Fields =
            ["value", "metadata"].map(|name| Field::new(name, DataType::Binary, false)).to_vec().into();
        let lane: ArrayRef = Arc::new(StructArray::new(fields, parts.finish(), None));
        let mut out = Vec::new();
        VariantView::new("v", &lane).unwrap().write_json(0, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_comes_back_as_it_was() {
        for json in [
            "1",
            "-128",
            "70000",
            "9223372036854775807",
            "1.25",
            "12345678901234567890.12",
            "true",
            "\"a \\\"text\\\"\"",
            "[]",
            "{}",
            "[1,null,\"x\",{\"a\":[false]}]",
            "{\"a\":1,\"b\":{\"c\":[0.5]}}",
        ] {
            assert_eq!(round_trip(json), json);
        }
    }

    fn shown(value: &[u8]) -> forebay::Result<String> {
        let fields: Fields =
            ["value", "metadata"].map(|name| Field::new(name, DataType::Binary, false)).to_vec().into();
        let binary = |bytes: &[u8]| Arc::new(BinaryArray::from(vec![bytes])) as ArrayRef;
        let lane: ArrayRef = Arc::new(StructArray::new(fields, vec![binary(value), binary(&[1, 0, 0])], None));
        let mut out = Vec::new();
        VariantView::new("v", &lane)?.write_json(0, &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    /// An array of one element.
    fn around(value: Vec<u8>) -> Vec<u8> {
        let end = u32::try_from(value.len()).unwrap().to_le_bytes();
        [&[0b1111, 1, 0, 0, 0, 0][..], &end, &value].concat()
    }

    #[test]
    fn a_value_that_would_break_the_stack_or_go_on_for_ever_is_damaged() {
        let deep = |depth: usize| (0..depth).fold(vec![0b1100, 5], |value, _| around(value));
        assert_eq!(shown(&deep(2)).unwrap(), "[[5]]");
        assert!(shown(&deep(MAX_DEPTH)).is_ok());
        for hostile in [deep(MAX_DEPTH + 1), deep(2000)] {
            assert!(shown(&hostile).unwrap_err().to_string().contains("deep"));
        }
        // Two elements at one place, and so on in each of them.
        let twice = (0..60).fold(vec![0b1100, 5], |value: Vec<u8>, _| {
            let end = u16::try_from(value.len()).unwrap().to_le_bytes();
            [&[0b0111, 2, 0, 0, 0, 0][..], &end, &value].concat()
        });
        assert!(shown(&twice).unwrap_err().to_string().contains("overlap"));
        assert!(shown(&[]).is_err() && shown(&[0b1111, 1, 0]).is_err());
    }

    #[test]
    fn numbers_with_an_exponent_or_many_digits_are_doubles() {
        // A double without a fraction shows none.
        assert_eq!(round_trip("1e3"), "1000");
        assert_eq!(round_trip("2.5e-1"), "0.25");
        assert_eq!(decimal("0.1234567890123456789012345678901234567890"), None);
        assert_eq!(decimal("-12.50"), Some((-1250, 2)));
    }
}
