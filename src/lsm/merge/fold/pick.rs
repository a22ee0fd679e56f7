//! Functions that choose one of the versions: a cell is a position, or [`NULL`] for a value that is NULL.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_ord::ord::{DynComparator, make_comparator};
use arrow_schema::SortOptions;

use super::Function;
use crate::error::{Error, Result};
use crate::lsm::key::one_nan;
use crate::lsm::merge::steps::{Fold, Step, fold};
use crate::lsm::merge::{NULL, Versions};

/// The position of every key's value.
pub(super) fn run(function: &Function, versions: &Versions<'_>, place: usize, steps: &[Step]) -> Result<Vec<u32>> {
    let cell = cells(versions, place);
    match function {
        Function::LastValue => fold(versions, steps, &mut LastValue, cell),
        Function::LastNonNullValue => fold(versions, steps, &mut LastNonNullValue, cell),
        Function::FirstValue => fold(versions, steps, &mut FirstValue { begun: false }, cell),
        Function::FirstNonNullValue => fold(versions, steps, &mut FirstNonNullValue { begun: false }, cell),
        Function::Newest => fold(versions, steps, &mut Newest, cell),
        Function::Sequence => fold(versions, steps, &mut Sequence, cell),
        Function::Grouped => fold(versions, steps, &mut Grouped, cell),
        Function::Max => fold(versions, steps, &mut Max(compare(versions, place)?), cell),
        Function::Min => fold(versions, steps, &mut Min(compare(versions, place)?), cell),
        Function::And => fold(versions, steps, &mut Until { stop: false, values: flags(versions, place)? }, cell),
        Function::Or => fold(versions, steps, &mut Until { stop: true, values: flags(versions, place)? }, cell),
        other => Err(Error::bug(format!("{other:?} chooses no version"))),
    }
}

/// The cell of each position.
fn cells<'v>(versions: &Versions<'v>, place: usize) -> impl Fn(usize) -> u32 + use<'v> {
    let nulls: Vec<_> = versions.batches.iter().map(|batch| batch[place].logical_nulls()).collect();
    let any = nulls.iter().any(Option::is_some);
    let rows = versions.rows;
    move |position| {
        let (batch, row) = rows[position];
        let null = any && nulls[batch as usize].as_ref().is_some_and(|nulls| nulls.is_null(row as usize));
        if null { NULL } else { position as u32 }
    }
}

fn compare(versions: &Versions<'_>, place: usize) -> Result<DynComparator> {
    let values: ArrayRef = one_nan(&versions.column(place)?);
    make_comparator(&values, &values, SortOptions::default()).map_err(|error| Error::bug(error.to_string()))
}

fn flags(versions: &Versions<'_>, place: usize) -> Result<BooleanArray> {
    let values = versions.column(place)?;
    values.as_boolean_opt().cloned().ok_or_else(|| Error::bug("a column of booleans that holds none"))
}

/// Functions whose cells are positions.
macro_rules! picks {
    ($name:ty, $add:expr $(, retract: $retract:expr)? $(, late: $late:expr)? $(, begin: $begin:expr)?) => {
        impl Fold for $name {
            type Cell = u32;
            fn null(&self) -> u32 {
                NULL
            }
            $(fn begin(&mut self) {
                let begin: fn(&mut Self) = $begin;
                begin(self);
            })?
            fn add(&mut self, there: u32, comes: u32) -> Result<u32> {
                let add: fn(&mut Self, u32, u32) -> u32 = $add;
                Ok(add(self, there, comes))
            }
            $(fn retract(&mut self, there: u32, taken: u32) -> Result<u32> {
                let retract: fn(u32, u32) -> u32 = $retract;
                Ok(retract(there, taken))
            })?
            $(fn retract_before(&mut self, there: u32, taken: u32) -> Result<u32> {
                let late: fn(u32, u32) -> u32 = $late;
                Ok(late(there, taken))
            })?
        }
    };
}

struct LastValue;
picks!(LastValue, |_, _, comes| comes, retract: |_, _| NULL);

struct LastNonNullValue;
picks!(
    LastNonNullValue,
    |_, there, comes| if comes == NULL { there } else { comes },
    retract: |there, taken| if taken == NULL { there } else { NULL }
);

struct Newest;
picks!(Newest, |_, _, comes| comes, retract: |_, taken| taken);

struct Sequence;
picks!(Sequence, |_, _, comes| comes, retract: |_, taken| taken, late: |there, _| there);

struct Grouped;
picks!(Grouped, |_, _, comes| comes, retract: |_, _| NULL, late: |there, _| there);

/// The first value of a key, NULL too. A late version is older than the first, so it takes its place.
struct FirstValue {
    begun: bool,
}
picks!(
    FirstValue,
    |this, there, comes| if std::mem::replace(&mut this.begun, true) { there } else { comes },
    begin: |this| this.begun = false
);

/// The first value of a key that is not NULL. As in Paimon a late version takes its place even when it is NULL.
struct FirstNonNullValue {
    begun: bool,
}
picks!(
    FirstNonNullValue,
    |this, there, comes| {
        if this.begun || comes == NULL {
            return there;
        }
        this.begun = true;
        comes
    },
    begin: |this| this.begun = false
);

struct Max(DynComparator);
picks!(Max, |this, there, comes| match (there, comes) {
    (NULL, one) | (one, NULL) => one,
    _ =>
        if (this.0)(there as usize, comes as usize).is_lt() {
            comes
        } else {
            there
        },
});

struct Min(DynComparator);
picks!(Min, |this, there, comes| match (there, comes) {
    (NULL, one) | (one, NULL) => one,
    _ =>
        if (this.0)(there as usize, comes as usize).is_lt() {
            there
        } else {
            comes
        },
});

/// Keeps what is there once it is `stop`: false for AND, true for OR.
struct Until {
    stop: bool,
    values: BooleanArray,
}
picks!(Until, |this, there, comes| match (there, comes) {
    (NULL, one) | (one, NULL) => one,
    _ =>
        if this.values.value(there as usize) == this.stop {
            there
        } else {
            comes
        },
});
