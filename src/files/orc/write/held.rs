//! What ORC files hold of a lane. A writer asks before it takes rows that may come into one: into which bucket a row goes and
//! what indexes know of it is told by the same values that readers will see.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, TimestampMicrosecondType, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray};
use arrow_schema::{ArrowError, DataType as ArrowType};

use super::times::unheld;
use crate::error::{Error, Result};
use crate::files::orc::lanes::trimmed;
use crate::types::{DataType, TypeKind};

/// A lane as readers of ORC files will see it: CHARs end without blanks, at any depth.
///
/// # Errors
/// [`Error::Unsupported`] names the column and the first value that ORC files do not hold: a time in the last second before
/// 1970, and a CHAR of a `key`, also of a map, that ends with a blank, which would become another key.
pub fn held_by_orc(name: &str, data_type: &DataType, key: bool, lane: &ArrayRef) -> Result<ArrayRef> {
    let part = |data_type: &DataType, key: bool, lane: &ArrayRef| held_by_orc(name, data_type, key, lane);
    let wrong = |error: ArrowError| Error::bug(format!("column {name}: {error}"));
    Ok(match &data_type.kind {
        TypeKind::Char(_) => {
            let texts = lane.as_string::<i32>();
            match texts.iter().flatten().find(|text| key && text.ends_with(' ')) {
                Some(text) => return Err(blank(name, text)),
                None => Arc::new(trimmed(texts)),
            }
        }
        TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision) => {
            check_times(name, *precision, lane)?;
            Arc::clone(lane)
        }
        TypeKind::Array(element) if concerns(element) => {
            let list = lane.as_list::<i32>();
            let ArrowType::List(field) = list.data_type() else { return Ok(Arc::clone(lane)) };
            let values = part(element, false, list.values())?;
            let (field, offsets, nulls) = (Arc::clone(field), list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(field, offsets, values, nulls).map_err(wrong)?)
        }
        TypeKind::Multiset(element) if concerns(element) => {
            part(element, true, lane.as_map().keys())?;
            Arc::clone(lane)
        }
        TypeKind::Map(parts) if concerns(&parts.key) || concerns(&parts.value) => {
            let map = lane.as_map();
            let ArrowType::Map(field, sorted) = map.data_type() else { return Ok(Arc::clone(lane)) };
            let (keys, values) = (part(&parts.key, true, map.keys())?, part(&parts.value, false, map.values())?);
            let entries = map.entries();
            let entries = StructArray::try_new(entries.fields().clone(), vec![keys, values], entries.nulls().cloned());
            let (field, offsets, nulls) = (Arc::clone(field), map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::try_new(field, offsets, entries.map_err(wrong)?, nulls, *sorted).map_err(wrong)?)
        }
        TypeKind::Row(fields) if fields.iter().any(|field| concerns(&field.data_type)) => {
            let rows = lane.as_struct();
            let parts = fields.iter().zip(rows.columns()).map(|(field, lane)| part(&field.data_type, false, lane));
            let (parts, nulls) = (parts.collect::<Result<Vec<_>>>()?, rows.nulls().cloned());
            let made = StructArray::try_new_with_length(rows.fields().clone(), parts, nulls, rows.len());
            Arc::new(made.map_err(wrong)?)
        }
        _ => Arc::clone(lane),
    })
}

/// Whether values of a type may be held otherwise, or not at all.
fn concerns(data_type: &DataType) -> bool {
    match &data_type.kind {
        TypeKind::Char(_) | TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => true,
        TypeKind::Array(element) | TypeKind::Multiset(element) => concerns(element),
        TypeKind::Map(map) => concerns(&map.key) || concerns(&map.value),
        TypeKind::Row(fields) => fields.iter().any(|field| concerns(&field.data_type)),
        _ => false,
    }
}

/// The error of a key that ends with a blank.
pub(super) fn blank(name: &str, text: &str) -> Error {
    Error::unsupported(format!("column {name}: the key {text:?} ends with a blank, which readers of ORC files cut off"))
}

fn check_times(name: &str, precision: u8, lane: &ArrayRef) -> Result<()> {
    // Above the second's first 999,999 nanoseconds.
    let found = match precision {
        0..=3 => {
            let mut values = lane.as_primitive::<TimestampMillisecondType>().iter().flatten();
            values.find(|value| (-999..0).contains(value)).map(|value| i128::from(value) * 1_000_000)
        }
        4..=6 => {
            let mut values = lane.as_primitive::<TimestampMicrosecondType>().iter().flatten();
            values.find(|value| (-999_000..0).contains(value)).map(|value| i128::from(value) * 1000)
        }
        _ => {
            let mut values = lane.as_primitive::<Decimal128Type>().iter().flatten();
            values.find(|value| (-999_000_000..0).contains(value))
        }
    };
    found.map_or(Ok(()), |nanos| Err(unheld(name, nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Datum;

    fn held(text: &str, key: bool, value: &Datum) -> Result<Datum> {
        let data_type: DataType = text.parse().unwrap();
        let lane = held_by_orc("c", &data_type, key, &value.repeat(&data_type.kind, 2)?)?;
        crate::format::datum_at(&lane, &data_type.kind, 1)
    }

    fn text(text: &str) -> Datum {
        Datum::String(text.to_string())
    }

    fn nanos(nanos: i64) -> Datum {
        Datum::Timestamp { millis: nanos.div_euclid(1_000_000), nanos: nanos.rem_euclid(1_000_000) as i32 }
    }

    #[test]
    fn chars_end_without_blanks_at_any_depth() {
        let of_text = |value: Datum| {
            [
                ("CHAR(5)", value.clone()),
                ("ARRAY<CHAR(5)>", Datum::Array(vec![value.clone(), Datum::Null])),
                ("MAP<INT, CHAR(5)>", Datum::Map(vec![(Datum::Int(1), value.clone())])),
                ("ROW<a INT, b ARRAY<CHAR(5)>>", Datum::Row(vec![Datum::Int(1), Datum::Array(vec![value])])),
            ]
        };
        for ((of, given), (_, wanted)) in of_text(text("ab  ")).into_iter().zip(of_text(text("ab"))) {
            assert_eq!(held(of, false, &given).unwrap(), wanted, "{of}");
            assert_eq!(held(of, true, &wanted).unwrap(), wanted, "{of}");
        }
        assert_eq!(held("VARCHAR(5)", true, &text("ab ")).unwrap(), text("ab "));
        let of_key = |key: &str| Datum::Map(vec![(text(key), Datum::Int(1))]);
        for (of, value) in
            [("CHAR(5)", text("ab ")), ("MAP<CHAR(5), INT>", of_key("ab ")), ("MULTISET<CHAR(5)>", of_key("ab "))]
        {
            let error = held(of, true, &value).unwrap_err();
            assert!(
                matches!(&error, Error::Unsupported(text) if text.contains("column c") && text.contains("\"ab \"")),
                "{error}"
            );
        }
    }

    #[test]
    fn times_that_readers_would_move_are_told() {
        for of in ["TIMESTAMP(9)", "TIMESTAMP(9) WITH LOCAL TIME ZONE", "TIMESTAMP(6)", "TIMESTAMP(3)"] {
            for fine in [0, -1_000_000_000, -2_500_000_000, 1_000_000] {
                assert_eq!(held(of, false, &nanos(fine)).unwrap(), nanos(fine), "{of}");
            }
            for bad in [-500_000_000, -1_000_000, -999_000_000] {
                let error = held(of, false, &nanos(bad)).unwrap_err().to_string();
                assert!(error.contains("column c") && error.contains("1969-12-31 23:59:59."), "{of}: {error}");
                let within = Datum::Array(vec![nanos(bad)]);
                assert!(held(&format!("ARRAY<{of}>"), false, &within).is_err(), "{of}");
            }
        }
        assert!(
            held("TIMESTAMP(9)", false, &nanos(-999_000_001)).is_ok()
                && held("TIMESTAMP(9)", false, &nanos(-1)).is_err()
        );
    }
}
