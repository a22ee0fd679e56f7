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
        for row in (0..rows.len()).filter(|row| rows.is_valid(*row)) {
            let valid = Variant::try_new(view.metadata.value(row), view.values.value(row));
            let json = valid.and_then(|variant| variant.to_json(&mut std::io::sink()));
            json.map_err(|error| forebay::Error::invalid(format!("column {name}: a damaged VARIANT: {error}")))?;
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

    #[test]
    fn numbers_with_an_exponent_or_many_digits_are_doubles() {
        // A double without a fraction shows none.
        assert_eq!(round_trip("1e3"), "1000");
        assert_eq!(round_trip("2.5e-1"), "0.25");
        assert_eq!(decimal("0.1234567890123456789012345678901234567890"), None);
        assert_eq!(decimal("-12.50"), Some((-1250, 2)));
    }
}
