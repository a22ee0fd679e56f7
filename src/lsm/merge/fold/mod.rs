//! How one column of many keys becomes one value for each key.
//!
//! Most functions choose one of the versions, so they answer with positions and copy nothing (`pick`). The others
//! compute: numbers, joined texts, bitmaps, arrays and maps, each over the column's versions laid one after another.
//! Spec: `format-spec/merge-tree.md`, aggregate functions.

mod bitmap;
mod bitmap64;
mod hll;
mod nested;
mod nested_function;
mod number;
mod pick;
mod text;
mod theta;
mod union;

use datasketches::theta::CompactThetaSketch;
use roaring::RoaringBitmap;

use self::bitmap64::Bitmap64;
use self::hll::Hll;
use self::nested::{Collect, MergeMap, NestedPartialUpdate, NestedUpdate};
use super::steps::Step;
use super::{ColumnFrom, NULL, Versions};
use crate::error::{Error, Result};
use crate::schema::{ColumnMergeOptions, Field};
use crate::types::{DataType, TypeKind};

/// What becomes of a column's versions.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Function {
    /// The newest value, NULL too; a retraction makes NULL.
    LastValue,
    /// The newest value that is not NULL; taking back a value makes NULL.
    LastNonNullValue,
    FirstValue,
    FirstNonNullValue,
    /// What came last, added or taken back.
    Newest,
    /// As [`Function::Newest`], but what is late changes nothing: the sequence columns of a group.
    Sequence,
    /// As [`Function::LastValue`], but what is late changes nothing: the other columns of a group.
    Grouped,
    Max,
    Min,
    And,
    Or,
    Sum,
    Product,
    ListAgg {
        delimiter: String,
        distinct: bool,
    },
    Bitmap32,
    Bitmap64,
    HllSketch,
    ThetaSketch,
    Collect(Collect),
    MergeMap(MergeMap),
    NestedUpdate(NestedUpdate),
    NestedPartialUpdate(NestedPartialUpdate),
}

/// The fold of one column.
#[derive(Debug, Clone)]
pub(super) struct ColumnFold {
    /// The column's name, for errors.
    name: String,
    data_type: DataType,
    function: Function,
    ignore_retract: bool,
}

impl ColumnFold {
    /// The fold of a column by the name of its aggregate function.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a function that is none of Paimon's or does not take the column's type,
    /// [`Error::Unsupported`] for one that this version lacks.
    pub(super) fn of(field: &Field, function: &str, options: &ColumnMergeOptions) -> Result<Self> {
        let name = &field.name;
        let kind = &field.data_type.kind;
        let needs = |fits: bool, what: &str, function: Function| {
            if fits {
                return Ok(function);
            }
            Err(Error::invalid(format!("aggregate function of column {name:?} takes {what}, not {kind}")))
        };
        let numeric = number::is_number(kind);
        let bytes = matches!(kind, TypeKind::VarBinary(_));
        let function = match function {
            "last_value" => Function::LastValue,
            "last_non_null_value" => Function::LastNonNullValue,
            "first_value" => Function::FirstValue,
            "first_non_null_value" | "first_not_null_value" => Function::FirstNonNullValue,
            "primary-key" => Function::Newest,
            "max" => needs(!kind.is_nested(), "values with an order", Function::Max)?,
            "min" => needs(!kind.is_nested(), "values with an order", Function::Min)?,
            "bool_and" => needs(*kind == TypeKind::Boolean, "BOOLEAN", Function::And)?,
            "bool_or" => needs(*kind == TypeKind::Boolean, "BOOLEAN", Function::Or)?,
            "sum" => needs(numeric, "numbers", Function::Sum)?,
            "product" => needs(numeric, "numbers", Function::Product)?,
            "listagg" => {
                let delimiter = options.delimiter.clone().unwrap_or_else(|| ",".to_string());
                let function = Function::ListAgg { delimiter, distinct: options.distinct };
                needs(*kind == TypeKind::STRING, "STRING", function)?
            }
            "rbm32" => needs(bytes, "VARBINARY", Function::Bitmap32)?,
            "rbm64" => needs(bytes, "VARBINARY", Function::Bitmap64)?,
            "hll_sketch" => needs(bytes, "VARBINARY", Function::HllSketch)?,
            "theta_sketch" => needs(bytes, "VARBINARY", Function::ThetaSketch)?,
            "collect" | "merge_map" | "merge_map_with_keytime" | "nested_update" | "nested_partial_update" => {
                nested_function::of(field, function, options)?
            }
            other => {
                return Err(Error::invalid(format!(
                    "aggregate function {other:?} of column {name:?} is none of Paimon's"
                )));
            }
        };
        Ok(Self {
            name: name.clone(),
            data_type: field.data_type.clone(),
            function,
            ignore_retract: options.ignore_retract,
        })
    }

    /// The fold of a column of partial-update that has no aggregate function.
    fn plain(field: &Field, function: Function) -> Self {
        Self { name: field.name.clone(), data_type: field.data_type.clone(), function, ignore_retract: false }
    }

    /// A column that no group versions: what is not NULL overwrites.
    pub(super) fn overwritten(field: &Field) -> Self {
        Self::plain(field, Function::LastNonNullValue)
    }

    /// A sequence column of a group.
    pub(super) fn sequence(field: &Field) -> Self {
        Self::plain(field, Function::Sequence)
    }

    /// A column of a group without an aggregate function.
    pub(super) fn grouped(field: &Field) -> Self {
        Self::plain(field, Function::Grouped)
    }

    /// The values of a value column after all versions of every key.
    pub(super) fn run(&self, versions: &Versions<'_>, place: usize, steps: &[Step]) -> Result<ColumnFrom> {
        let takes_back = |step: &Step| matches!(step, Step::Retract | Step::RetractBefore | Step::TakeRetract);
        let steps: &[Step] = match steps.iter().any(takes_back) {
            true if self.ignore_retract => &steps.iter().map(|step| without_retraction(*step)).collect::<Vec<_>>(),
            true if !self.retracts() => {
                return Err(Error::invalid(format!(
                    "column {:?}: its aggregate function cannot take back a -U or -D row; option \
                     fields.{}.ignore-retract = true leaves such rows out",
                    self.name, self.name
                )));
            }
            _ => steps,
        };
        let values = match &self.function {
            Function::Sum => number::run(self, false, versions, place, steps),
            Function::Product => number::run(self, true, versions, place, steps),
            Function::ListAgg { delimiter, distinct } => text::run(delimiter, *distinct, versions, place, steps),
            Function::Bitmap32 => union::run::<RoaringBitmap>(&self.name, versions, place, steps),
            Function::Bitmap64 => union::run::<Bitmap64>(&self.name, versions, place, steps),
            Function::HllSketch => union::run::<Hll>(&self.name, versions, place, steps),
            Function::ThetaSketch => union::run::<CompactThetaSketch>(&self.name, versions, place, steps),
            Function::Collect(it) => it.run(versions, place, steps),
            Function::MergeMap(it) => it.run(versions, place, steps),
            Function::NestedUpdate(it) => it.run(&self.name, versions, place, steps),
            Function::NestedPartialUpdate(it) => it.run(&self.name, versions, place, steps),
            _ => pick::run(&self.function, versions, place, steps).map(ColumnFrom::Picks),
        }?;
        let leaves_null = match &values {
            ColumnFrom::Picks(picks) => picks.contains(&NULL),
            ColumnFrom::Computed(values) => values.null_count() > 0,
        };
        if leaves_null && !self.data_type.nullable {
            return Err(Error::invalid(format!(
                "column {:?} is NOT NULL, and its merged versions leave NULL",
                self.name
            )));
        }
        Ok(values)
    }

    /// Whether the function is the one that keeps the first value that is not NULL.
    pub(super) fn keeps_first_value(&self) -> bool {
        self.function == Function::FirstNonNullValue
    }

    fn retracts(&self) -> bool {
        match self.function {
            Function::LastValue | Function::LastNonNullValue | Function::Newest => true,
            Function::Sequence | Function::Grouped | Function::Sum | Function::Product => true,
            Function::Collect(_) | Function::NestedUpdate(_) => true,
            Function::MergeMap(MergeMap { time }) => time.is_none(),
            Function::NestedPartialUpdate(_) => false,
            Function::FirstValue | Function::FirstNonNullValue | Function::Max | Function::Min => false,
            Function::And | Function::Or | Function::ListAgg { .. } | Function::Bitmap32 | Function::Bitmap64 => false,
            Function::HllSketch | Function::ThetaSketch => false,
        }
    }
}

fn without_retraction(step: Step) -> Step {
    match step {
        Step::Retract | Step::RetractBefore => Step::Skip,
        Step::TakeRetract => Step::Take,
        other => other,
    }
}
