//! Columns of old Parquet files that do not tell what their numbers are: releases up to 0.6 store timestamps as bare INT64.
//! Spec: `format-spec/vintages.md`.

use arrow_array::ArrayRef;
use arrow_cast::cast;
use arrow_schema::DataType as ArrowType;

use crate::error::{Error, Result};
use crate::types::{TypeKind, lane_type, to_lane};

/// A decoded column as a lane, its numbers taken as the column's type counts them where the file does not tell.
///
/// # Errors
/// As [`to_lane`].
pub(super) fn stored_lane(name: &str, kind: &TypeKind, array: &ArrayRef) -> Result<ArrayRef> {
    let bare = matches!(
        (kind, array.data_type()),
        (TypeKind::Timestamp(0..=6) | TypeKind::TimestampLtz(0..=6), ArrowType::Int64)
            | (TypeKind::Date | TypeKind::Time(_), ArrowType::Int32)
    );
    match bare {
        true => cast(array, &lane_type(kind)).map_err(|error| Error::invalid(format!("column {name}: {error}"))),
        false => to_lane(name, kind, array),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int32Array, Int64Array, TimestampMillisecondArray};

    use super::*;

    #[test]
    fn bare_numbers_count_what_their_column_counts() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(-5)]));
        let lane = stored_lane("t", &TypeKind::Timestamp(3), &numbers).unwrap();
        let wanted: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(1), None, Some(-5)]));
        assert_eq!(&lane, &wanted);
        for kind in [TypeKind::TimestampLtz(6), TypeKind::Timestamp(0)] {
            assert_eq!(stored_lane("t", &kind, &numbers).unwrap().data_type(), &lane_type(&kind));
        }
        let days: ArrayRef = Arc::new(Int32Array::from(vec![7]));
        assert_eq!(stored_lane("d", &TypeKind::Date, &days).unwrap().data_type(), &ArrowType::Date32);
        assert!(stored_lane("t", &TypeKind::Timestamp(9), &numbers).is_err());
        assert!(stored_lane("t", &TypeKind::Timestamp(3), &days).is_err());
    }
}
