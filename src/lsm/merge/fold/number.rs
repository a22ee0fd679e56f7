//! `sum` and `product` over numbers, with Java's limits: integers refuse to overflow, floats follow IEEE, decimals are
//! exact and give NULL where they leave their precision.

use std::fmt::Display;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrowPrimitiveType, PrimitiveArray};
use arrow_buffer::i256;

use super::ColumnFold;
use crate::error::{Error, Result};
use crate::lsm::merge::steps::{Fold, Step, fold};
use crate::lsm::merge::{ColumnFrom, Versions};
use crate::types::TypeKind;

pub(super) fn is_number(kind: &TypeKind) -> bool {
    use TypeKind::{BigInt, Decimal, Double, Float, Int, SmallInt, TinyInt};
    matches!(kind, TinyInt | SmallInt | Int | BigInt | Float | Double | Decimal { .. })
}

pub(super) fn run(
    of: &ColumnFold,
    product: bool,
    versions: &Versions<'_>,
    place: usize,
    steps: &[Step],
) -> Result<ColumnFrom> {
    macro_rules! plain {
        ($arrow:ty) => {{
            let mut fold = Plain { name: &of.name, product, of: std::marker::PhantomData };
            typed::<$arrow, _>(versions, place, steps, &mut fold)
        }};
    }
    match &of.data_type.kind {
        TypeKind::TinyInt => plain!(Int8Type),
        TypeKind::SmallInt => plain!(Int16Type),
        TypeKind::Int => plain!(Int32Type),
        TypeKind::BigInt => plain!(Int64Type),
        TypeKind::Float => plain!(Float32Type),
        TypeKind::Double => plain!(Float64Type),
        TypeKind::Decimal { precision, scale } => {
            let mut fold = Decimals { name: &of.name, product, precision: *precision, scale: *scale };
            let folded = typed::<Decimal128Type, _>(versions, place, steps, &mut fold)?;
            if *precision <= INT32 && !fits_32_bits(&folded) {
                return Err(Error::invalid(format!("column {:?}: a result does not fit {}", of.name, of.data_type)));
            }
            Ok(folded)
        }
        other => Err(Error::bug(format!("numbers of type {other}"))),
    }
}

fn typed<T: ArrowPrimitiveType, F: Fold<Cell = Option<T::Native>>>(
    versions: &Versions<'_>,
    place: usize,
    steps: &[Step],
    function: &mut F,
) -> Result<ColumnFrom> {
    let values = versions.column(place)?;
    let values = values.as_primitive_opt::<T>().ok_or_else(|| Error::bug("a column of numbers that holds others"))?;
    let cells = match values.nulls() {
        Some(nulls) => fold(versions, steps, function, |at| nulls.is_valid(at).then(|| values.value(at)))?,
        None => fold(versions, steps, function, |at| Some(values.value(at)))?,
    };
    let folded = PrimitiveArray::<T>::from_iter(cells).with_data_type(values.data_type().clone());
    Ok(ColumnFrom::Computed(Arc::new(folded)))
}

/// A number of a machine's width.
trait Number: Copy + Display {
    fn plus(self, other: Self) -> Option<Self>;
    fn minus(self, other: Self) -> Option<Self>;
    fn times(self, other: Self) -> Option<Self>;
    fn by(self, other: Self) -> Option<Self>;
    fn negative(self) -> Option<Self>;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn plus(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }
            fn minus(self, other: Self) -> Option<Self> {
                self.checked_sub(other)
            }
            fn times(self, other: Self) -> Option<Self> {
                self.checked_mul(other)
            }
            fn by(self, other: Self) -> Option<Self> {
                self.checked_div(other)
            }
            fn negative(self) -> Option<Self> {
                self.checked_neg()
            }
        }
    )*};
}
integers!(i8, i16, i32, i64);

macro_rules! floats {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn plus(self, other: Self) -> Option<Self> {
                Some(self + other)
            }
            fn minus(self, other: Self) -> Option<Self> {
                Some(self - other)
            }
            fn times(self, other: Self) -> Option<Self> {
                Some(self * other)
            }
            fn by(self, other: Self) -> Option<Self> {
                Some(self / other)
            }
            fn negative(self) -> Option<Self> {
                Some(-self)
            }
        }
    )*};
}
floats!(f32, f64);

fn out_of_range(name: &str, there: impl Display, sign: char, comes: impl Display) -> Error {
    Error::invalid(format!("column {name:?}: {there} {sign} {comes} has no value of the column's type"))
}

struct Plain<'a, T> {
    name: &'a str,
    product: bool,
    of: std::marker::PhantomData<T>,
}

impl<T: Number> Fold for Plain<'_, T> {
    type Cell = Option<T>;

    fn null(&self) -> Option<T> {
        None
    }

    fn add(&mut self, there: Option<T>, comes: Option<T>) -> Result<Option<T>> {
        let (Some(a), Some(b)) = (there, comes) else { return Ok(there.or(comes)) };
        let (value, sign) = if self.product { (a.times(b), '*') } else { (a.plus(b), '+') };
        value.map(Some).ok_or_else(|| out_of_range(self.name, a, sign, b))
    }

    fn retract(&mut self, there: Option<T>, taken: Option<T>) -> Result<Option<T>> {
        match (there, taken) {
            (_, None) => Ok(there),
            (None, _) if self.product => Ok(None),
            (None, Some(b)) => b.negative().map(Some).ok_or_else(|| out_of_range(self.name, 0, '-', b)),
            (Some(a), Some(b)) => {
                let (value, sign) = if self.product { (a.by(b), '/') } else { (a.minus(b), '-') };
                value.map(Some).ok_or_else(|| out_of_range(self.name, a, sign, b))
            }
        }
    }
}

/// Unscaled decimals of one type.
struct Decimals<'a> {
    name: &'a str,
    product: bool,
    precision: u8,
    scale: u8,
}

/// Digits up to which files hold decimals as 32-bit numbers.
const INT32: u8 = 9;

/// Whether files can hold decimals that grew beyond their digits.
fn fits_32_bits(folded: &ColumnFrom) -> bool {
    let ColumnFrom::Computed(values) = folded else { return true };
    let values = values.as_primitive::<Decimal128Type>();
    values.iter().flatten().all(|value| i32::try_from(value).is_ok())
}

/// Digits up to which Java keeps a decimal as a 64-bit number.
const COMPACT: u8 = 18;

impl Decimals<'_> {
    /// The number, or NULL when it has too many digits.
    fn fitting(&self, value: Option<i128>) -> Option<i128> {
        let limit = 10_u128.pow(u32::from(self.precision));
        value.filter(|value| value.unsigned_abs() < limit)
    }

    /// A sum. Java adds compact decimals as plain numbers and does not count their digits again.
    fn sum(&self, value: Option<i128>) -> Option<i128> {
        let compact = value.filter(|value| self.precision <= COMPACT && i64::try_from(*value).is_ok());
        compact.or_else(|| self.fitting(value))
    }

    fn times(&self, a: i128, b: i128) -> Option<i128> {
        let product = i256::from_i128(a).checked_mul(i256::from_i128(b))?;
        self.fitting(divide_half_up(product, i256::from_i128(10).checked_pow(u32::from(self.scale))?))
    }

    /// An exact quotient, rounded to the column's scale.
    fn by(&self, a: i128, b: i128) -> Result<Option<i128>> {
        let mut rest = b.unsigned_abs();
        let common = greatest_common_divisor(a.unsigned_abs(), rest);
        if rest != 0 {
            rest /= common.max(1);
        }
        for prime in [2, 5] {
            while rest != 0 && rest.is_multiple_of(prime) {
                rest /= prime;
            }
        }
        if rest != 1 {
            return Err(Error::invalid(format!("column {:?}: {a} / {b} has no exact decimal quotient", self.name)));
        }
        let scaled = i256::from_i128(10).checked_pow(u32::from(self.scale));
        let scaled = scaled.and_then(|power| i256::from_i128(a).checked_mul(power));
        Ok(self.fitting(scaled.and_then(|scaled| divide_half_up(scaled, i256::from_i128(b)))))
    }
}

/// A quotient, rounded to the nearest whole number and half away from zero.
fn divide_half_up(value: i256, divisor: i256) -> Option<i128> {
    let quotient = value.checked_div(divisor)?;
    let rest = value.checked_rem(divisor)?.checked_abs()?;
    let divisor_size = divisor.checked_abs()?;
    let up = rest.checked_sub(divisor_size.checked_sub(rest)?)? >= i256::ZERO;
    let away = if (value < i256::ZERO) == (divisor < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
    let rounded = if up { quotient.checked_add(away)? } else { quotient };
    rounded.to_i128()
}

fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Fold for Decimals<'_> {
    type Cell = Option<i128>;

    fn null(&self) -> Option<i128> {
        None
    }

    fn add(&mut self, there: Option<i128>, comes: Option<i128>) -> Result<Option<i128>> {
        let (Some(a), Some(b)) = (there, comes) else { return Ok(there.or(comes)) };
        Ok(if self.product { self.times(a, b) } else { self.sum(a.checked_add(b)) })
    }

    fn retract(&mut self, there: Option<i128>, taken: Option<i128>) -> Result<Option<i128>> {
        match (there, taken) {
            (_, None) => Ok(there),
            (None, _) if self.product => Ok(None),
            (None, Some(b)) => Ok(self.fitting(b.checked_neg())),
            (Some(a), Some(b)) if self.product => self.by(a, b),
            (Some(a), Some(b)) => Ok(self.sum(a.checked_sub(b))),
        }
    }
}
