//! Paimon's scalar data types and their text form, as schema files spell it.
//! Spec: `format-spec/types.md`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A column's type: a kind and whether NULL is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataType {
    /// The kind of values.
    pub kind: TypeKind,
    /// Whether the column may hold NULL.
    pub nullable: bool,
}

/// The kinds of scalar values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TypeKind {
    /// `BOOLEAN`
    Boolean,
    /// `TINYINT`, 8 bit
    TinyInt,
    /// `SMALLINT`, 16 bit
    SmallInt,
    /// `INT`, 32 bit
    Int,
    /// `BIGINT`, 64 bit
    BigInt,
    /// `FLOAT`, IEEE single
    Float,
    /// `DOUBLE`, IEEE double
    Double,
    /// `DECIMAL(precision, scale)`, 1 to 38 digits
    Decimal {
        /// All digits
        precision: u8,
        /// Digits behind the point
        scale: u8,
    },
    /// `CHAR(n)`, at most n characters (Paimon does not pad)
    Char(u32),
    /// `VARCHAR(n)`; `STRING` is the longest
    VarChar(u32),
    /// `BINARY(n)`
    Binary(u32),
    /// `VARBINARY(n)`; `BYTES` is the longest
    VarBinary(u32),
    /// `DATE`, days since 1970-01-01
    Date,
    /// `TIME(p)`, stored in milliseconds of the day whatever the precision
    Time(u8),
    /// `TIMESTAMP(p)`, 0 to 9 fraction digits, no zone
    Timestamp(u8),
    /// `TIMESTAMP(p) WITH LOCAL TIME ZONE`, an instant
    TimestampLtz(u8),
}

/// The length that stands for `STRING` and `BYTES`.
const UNBOUNDED: u32 = i32::MAX as u32;

impl TypeKind {
    /// `STRING`
    pub const STRING: Self = Self::VarChar(UNBOUNDED);
    /// `BYTES`
    pub const BYTES: Self = Self::VarBinary(UNBOUNDED);
}

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident = $kind:expr;)*) => {
        impl DataType {
            $($(#[$doc])* pub const $name: Self = Self { kind: $kind, nullable: true };)*
        }
    };
}

constants! {
    /// Nullable `BOOLEAN`
    BOOLEAN = TypeKind::Boolean;
    /// Nullable `TINYINT`
    TINYINT = TypeKind::TinyInt;
    /// Nullable `SMALLINT`
    SMALLINT = TypeKind::SmallInt;
    /// Nullable `INT`
    INT = TypeKind::Int;
    /// Nullable `BIGINT`
    BIGINT = TypeKind::BigInt;
    /// Nullable `FLOAT`
    FLOAT = TypeKind::Float;
    /// Nullable `DOUBLE`
    DOUBLE = TypeKind::Double;
    /// Nullable `STRING`
    STRING = TypeKind::STRING;
    /// Nullable `BYTES`
    BYTES = TypeKind::BYTES;
    /// Nullable `DATE`
    DATE = TypeKind::Date;
}

impl DataType {
    /// Nullable `DECIMAL(precision, scale)`.
    pub const fn decimal(precision: u8, scale: u8) -> Self {
        Self { kind: TypeKind::Decimal { precision, scale }, nullable: true }
    }
    /// Nullable `TIMESTAMP(precision)`.
    pub const fn timestamp(precision: u8) -> Self {
        Self { kind: TypeKind::Timestamp(precision), nullable: true }
    }
    /// Nullable `TIMESTAMP(precision) WITH LOCAL TIME ZONE`.
    pub const fn timestamp_ltz(precision: u8) -> Self {
        Self { kind: TypeKind::TimestampLtz(precision), nullable: true }
    }
    /// The same kind without NULL.
    #[must_use]
    pub const fn not_null(self) -> Self {
        Self { nullable: false, ..self }
    }
    /// The same kind with NULL.
    #[must_use]
    pub const fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }
}

impl fmt::Display for TypeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Char(n) => write!(f, "CHAR({n})"),
            Self::VarChar(UNBOUNDED) => f.write_str("STRING"),
            Self::VarChar(n) => write!(f, "VARCHAR({n})"),
            Self::Binary(n) => write!(f, "BINARY({n})"),
            Self::VarBinary(UNBOUNDED) => f.write_str("BYTES"),
            Self::VarBinary(n) => write!(f, "VARBINARY({n})"),
            Self::Date => f.write_str("DATE"),
            Self::Time(p) => write!(f, "TIME({p})"),
            Self::Timestamp(p) => write!(f, "TIMESTAMP({p})"),
            Self::TimestampLtz(p) => write!(f, "TIMESTAMP({p}) WITH LOCAL TIME ZONE"),
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, if self.nullable { "" } else { " NOT NULL" })
    }
}

impl FromStr for DataType {
    type Err = Error;

    /// Parses the text form, case-insensitively, with Paimon's aliases and defaults.
    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::invalid(format!("type {text:?}: {why}"));
        let mut words = Words::split(text).ok_or_else(|| bad("not a type"))?;
        let nullable = if words.strip(&["NOT", "NULL"]) {
            false
        } else {
            words.strip(&["NULL"]);
            true
        };
        let kind = match words.name.as_slice() {
            ["BOOLEAN"] => TypeKind::Boolean,
            ["TINYINT"] => TypeKind::TinyInt,
            ["SMALLINT"] => TypeKind::SmallInt,
            ["INT" | "INTEGER"] => TypeKind::Int,
            ["BIGINT"] => TypeKind::BigInt,
            ["FLOAT"] => TypeKind::Float,
            ["DOUBLE"] | ["DOUBLE", "PRECISION"] => TypeKind::Double,
            ["DATE"] => TypeKind::Date,
            ["STRING"] => TypeKind::STRING,
            ["BYTES"] => TypeKind::BYTES,
            ["DECIMAL" | "NUMERIC" | "DEC"] => {
                let precision = words.number(0, 10).filter(|p| (1..=38).contains(p));
                let precision = precision.ok_or_else(|| bad("the precision must be 1 to 38"))?;
                let scale = words.number(1, 0).filter(|s| *s <= precision);
                let scale = scale.ok_or_else(|| bad("the scale must be 0 to the precision"))?;
                TypeKind::Decimal { precision: precision as u8, scale: scale as u8 }
            }
            ["CHAR"] => TypeKind::Char(words.length().ok_or_else(|| bad("the length must be at least 1"))?),
            ["VARCHAR"] => TypeKind::VarChar(words.length().ok_or_else(|| bad("the length must be at least 1"))?),
            ["BINARY"] => TypeKind::Binary(words.length().ok_or_else(|| bad("the length must be at least 1"))?),
            ["VARBINARY"] => TypeKind::VarBinary(words.length().ok_or_else(|| bad("the length must be at least 1"))?),
            ["TIME"] | ["TIME", "WITHOUT", "TIME", "ZONE"] => {
                TypeKind::Time(words.fraction(0).ok_or_else(|| bad("the precision must be 0 to 9"))?)
            }
            ["TIMESTAMP"] | ["TIMESTAMP", "WITHOUT", "TIME", "ZONE"] => {
                TypeKind::Timestamp(words.fraction(6).ok_or_else(|| bad("the precision must be 0 to 9"))?)
            }
            ["TIMESTAMP", "WITH", "LOCAL", "TIME", "ZONE"] | ["TIMESTAMP_LTZ"] => {
                TypeKind::TimestampLtz(words.fraction(6).ok_or_else(|| bad("the precision must be 0 to 9"))?)
            }
            ["ARRAY" | "MAP" | "MULTISET" | "ROW" | "VARIANT" | "BLOB" | "VECTOR" | "GEOMETRY" | "GEOGRAPHY", ..] => {
                return Err(Error::unsupported(format!("type {text:?}")));
            }
            _ => return Err(bad("not a type")),
        };
        let takes = match kind {
            TypeKind::Decimal { .. } => 2,
            TypeKind::Char(_) | TypeKind::Binary(_) | TypeKind::Time(_) => 1,
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => 1,
            TypeKind::VarChar(_) | TypeKind::VarBinary(_) if !matches!(words.name[0], "STRING" | "BYTES") => 1,
            _ => 0,
        };
        if words.numbers.len() > takes {
            return Err(bad("too many numbers in parentheses"));
        }
        Ok(Self { kind, nullable })
    }
}

/// A type text cut into its upper-case words and the numbers of its one pair of parentheses.
struct Words<'a> {
    name: Vec<&'static str>,
    numbers: Vec<&'a str>,
}

const KNOWN: [&str; 39] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "INTEGER",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "PRECISION",
    "DATE",
    "STRING",
    "BYTES",
    "DECIMAL",
    "NUMERIC",
    "DEC",
    "CHAR",
    "VARCHAR",
    "BINARY",
    "VARBINARY",
    "TIME",
    "WITHOUT",
    "ZONE",
    "TIMESTAMP",
    "WITH",
    "LOCAL",
    "TIMESTAMP_LTZ",
    "ARRAY",
    "MAP",
    "MULTISET",
    "ROW",
    "VARIANT",
    "BLOB",
    "VECTOR",
    "GEOMETRY",
    "GEOGRAPHY",
    "NOT",
    "NULL",
    "OF",
    "TIMESTAMP_NTZ",
];

impl<'a> Words<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let nested = text.contains(['<', '>']);
        let (name, numbers) = match text.find('(') {
            Some(open) if !nested => {
                let close = open + text[open..].find(')')?;
                let numbers = text[open + 1..close].split(',').map(str::trim).collect();
                (format!("{} {}", &text[..open], &text[close + 1..]), numbers)
            }
            _ => (text.split('<').next().unwrap_or(text).to_string(), Vec::new()),
        };
        let name = name
            .split_whitespace()
            .map(|word| KNOWN.iter().copied().find(|known| known.eq_ignore_ascii_case(word)))
            .collect::<Option<Vec<_>>>()?;
        Some(Self { name, numbers }).filter(|words| !words.name.is_empty())
    }

    fn strip(&mut self, tail: &[&str]) -> bool {
        let keep = self.name.len().saturating_sub(tail.len());
        let found = keep > 0 && self.name[keep..] == *tail;
        if found {
            self.name.truncate(keep);
        }
        found
    }

    fn number(&self, at: usize, default: u32) -> Option<u32> {
        self.numbers.get(at).map_or(Some(default), |text| text.parse().ok())
    }

    fn length(&self) -> Option<u32> {
        self.number(0, 1).filter(|n| (1..=UNBOUNDED).contains(n))
    }

    fn fraction(&self, default: u32) -> Option<u8> {
        self.number(0, default).filter(|p| *p <= 9).map(|p| p as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_prints_as_schema_files_spell_it_and_parses_back() {
        for text in [
            "BOOLEAN",
            "TINYINT NOT NULL",
            "SMALLINT",
            "INT",
            "BIGINT NOT NULL",
            "FLOAT",
            "DOUBLE",
            "DATE",
            "STRING",
            "BYTES NOT NULL",
            "CHAR(4)",
            "VARCHAR(10)",
            "BINARY(4)",
            "VARBINARY(8)",
            "DECIMAL(38, 10)",
            "TIME(3)",
            "TIMESTAMP(9)",
            "TIMESTAMP(3) WITH LOCAL TIME ZONE NOT NULL",
        ] {
            assert_eq!(text.parse::<DataType>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn aliases_and_defaults_are_those_of_paimon() {
        for (text, canonical) in [
            ("decimal", "DECIMAL(10, 0)"),
            ("NUMERIC(5,2)", "DECIMAL(5, 2)"),
            ("timestamp", "TIMESTAMP(6)"),
            ("TIMESTAMP_LTZ(3)", "TIMESTAMP(3) WITH LOCAL TIME ZONE"),
            ("time", "TIME(0)"),
            ("char", "CHAR(1)"),
            ("VARCHAR(2147483647)", "STRING"),
            ("integer null", "INT"),
            ("double precision", "DOUBLE"),
            ("TIMESTAMP(3) WITHOUT TIME ZONE", "TIMESTAMP(3)"),
        ] {
            assert_eq!(text.parse::<DataType>().unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn nested_types_are_refused_by_name_and_nonsense_is_invalid() {
        for text in ["ARRAY<INT>", "MAP<INT, STRING>", "VARIANT", "ROW<a INT>"] {
            assert!(matches!(text.parse::<DataType>(), Err(Error::Unsupported(_))), "{text}");
        }
        for text in ["", "INTT", "DECIMAL(39, 0)", "DECIMAL(5, 6)", "TIMESTAMP(10)", "CHAR(0)", "INT(3)", "CHAR(4"] {
            assert!(matches!(text.parse::<DataType>(), Err(Error::Invalid(_))), "{text}");
        }
    }
}
