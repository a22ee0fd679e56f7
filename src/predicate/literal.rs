//! A literal before its column's type is known, and how it becomes a value of that type.

use super::text::{datum_text, parse_datum};
use crate::error::{Error, Result};
use crate::types::{Datum, TypeKind};

/// A literal as a caller writes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `true` or `false`
    Boolean(bool),
    /// A number, as its text, so that no digit is lost
    Number(String),
    /// A text; for a column that is no text, the text of a value
    Text(String),
    /// Bytes
    Bytes(Vec<u8>),
    /// A value that has a type
    Datum(Datum),
}

impl Literal {
    /// The value, once bound.
    pub fn datum(&self) -> Option<&Datum> {
        match self {
            Self::Datum(value) => Some(value),
            _ => None,
        }
    }

    /// The literal as a value of a column's type.
    ///
    /// # Errors
    /// [`Error::Invalid`] when no value of that type is exactly the literal (a FLOAT or DOUBLE column takes
    /// the nearest one).
    pub fn to_datum(&self, kind: &TypeKind) -> Result<Datum> {
        let textual = matches!(kind, TypeKind::Char(_) | TypeKind::VarChar(_));
        let numeric = matches!(
            kind,
            TypeKind::TinyInt
                | TypeKind::SmallInt
                | TypeKind::Int
                | TypeKind::BigInt
                | TypeKind::Float
                | TypeKind::Double
                | TypeKind::Decimal { .. }
        );
        let binary = matches!(kind, TypeKind::Binary(_) | TypeKind::VarBinary(_));
        match self {
            _ if kind.is_nested() => Err(Error::unsupported(format!("a literal of nested type {kind}"))),
            Self::Boolean(value) if *kind == TypeKind::Boolean => Ok(Datum::Boolean(*value)),
            Self::Number(text) if numeric => parse_datum(kind, text),
            Self::Number(text) if textual => Err(Error::invalid(format!("{text} is no text: write '{text}'"))),
            Self::Text(text) if !binary => parse_datum(kind, text),
            Self::Text(_) => Err(Error::invalid(format!("{kind} takes bytes: write X'00ff'"))),
            Self::Bytes(bytes) if binary => Ok(Datum::Bytes(bytes.clone())),
            Self::Datum(value) if fits(value, kind) => Ok(value.clone()),
            Self::Boolean(value) => Err(Error::invalid(format!("{value} is no {kind}"))),
            Self::Number(text) => Err(Error::invalid(format!("{text} is no {kind}: write it in quotes"))),
            Self::Bytes(_) => Err(Error::invalid(format!("bytes are no {kind}"))),
            Self::Datum(value) => Err(Error::invalid(format!("{value:?} is no {kind}"))),
        }
    }
}

impl Literal {
    /// The same value as a literal of another type, whose text a column may take in its turn.
    ///
    /// # Errors
    /// [`Error::Invalid`] when no value of that type is exactly the literal.
    pub(super) fn cast(&self, kind: &TypeKind) -> Result<Self> {
        if kind.is_nested() {
            return Err(Error::invalid(format!("no literal is {kind}")));
        }
        if let (Self::Number(text), TypeKind::Char(_) | TypeKind::VarChar(_)) = (self, kind) {
            return Self::Text(text.clone()).cast(kind);
        }
        let datum = match (self, kind) {
            (Self::Boolean(value), TypeKind::Char(_) | TypeKind::VarChar(_)) => Datum::String(value.to_string()),
            _ => self.to_datum(kind)?,
        };
        let text = datum_text(kind, &datum);
        Ok(match kind {
            TypeKind::Boolean => Self::Boolean(datum == Datum::Boolean(true)),
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => Self::Datum(datum),
            TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int | TypeKind::BigInt | TypeKind::Decimal { .. } => {
                Self::Number(text)
            }
            _ => Self::Text(text),
        })
    }
}

/// Whether a value is one of a type.
fn fits(value: &Datum, kind: &TypeKind) -> bool {
    match (value, kind) {
        (Datum::Boolean(_), TypeKind::Boolean)
        | (Datum::TinyInt(_), TypeKind::TinyInt)
        | (Datum::SmallInt(_), TypeKind::SmallInt)
        | (Datum::Int(_), TypeKind::Int)
        | (Datum::BigInt(_), TypeKind::BigInt)
        | (Datum::Float(_), TypeKind::Float)
        | (Datum::Double(_), TypeKind::Double)
        | (Datum::String(_), TypeKind::Char(_) | TypeKind::VarChar(_))
        | (Datum::Bytes(_), TypeKind::Binary(_) | TypeKind::VarBinary(_))
        | (Datum::Date(_), TypeKind::Date) => true,
        (Datum::Decimal(unscaled), TypeKind::Decimal { precision, .. }) => {
            10_u128.checked_pow(u32::from(*precision)).is_some_and(|bound| unscaled.unsigned_abs() < bound)
        }
        (Datum::Time(millis), TypeKind::Time(_)) => (0..86_400_000).contains(millis),
        (Datum::Timestamp { nanos, .. }, TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p)) => match p {
            0..=3 => *nanos == 0,
            4..=6 => (0..1_000_000).contains(nanos) && nanos % 1_000 == 0,
            _ => (0..1_000_000).contains(nanos),
        },
        _ => false,
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident($value:ident -> $make:expr);)*) => {
        $(impl From<$source> for Literal {
            fn from($value: $source) -> Self {
                Self::$variant($make)
            }
        })*
    };
}

from! {
    bool => Boolean(value -> value);
    i8 => Number(value -> value.to_string());
    i16 => Number(value -> value.to_string());
    i32 => Number(value -> value.to_string());
    i64 => Number(value -> value.to_string());
    i128 => Number(value -> value.to_string());
    u8 => Number(value -> value.to_string());
    u16 => Number(value -> value.to_string());
    u32 => Number(value -> value.to_string());
    u64 => Number(value -> value.to_string());
    f32 => Number(value -> datum_text(&TypeKind::Float, &Datum::Float(value)));
    f64 => Number(value -> datum_text(&TypeKind::Double, &Datum::Double(value)));
    &str => Text(value -> value.to_string());
    String => Text(value -> value);
    Vec<u8> => Bytes(value -> value);
    &[u8] => Bytes(value -> value.to_vec());
    Datum => Datum(value -> value);
}
