//! Paimon's data types and their text form. Parts of nested types are shared, so that a type is cheap to clone.
//! Spec: `format-spec/types.md`.

use std::fmt;
use std::sync::Arc;

/// The most levels of nesting below a column.
pub const MAX_DEPTH: usize = 100;
/// The most columns of a table, with the fields of their rows.
pub const MAX_FIELDS: usize = 10_000;

/// A column of a table, or a field of a row in a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The field's id, which stays when it is renamed. One counter numbers the columns of a table and the fields in them.
    pub id: i32,
    /// The field's name, case-sensitive.
    pub name: String,
    /// The field's type.
    pub data_type: DataType,
    /// A comment.
    pub description: Option<String>,
    /// A default value's text.
    pub default_value: Option<String>,
}

/// A column's type: a kind and whether NULL is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DataType {
    /// The kind of values.
    pub kind: TypeKind,
    /// Whether the column may hold NULL.
    pub nullable: bool,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// `ARRAY<element>`
    Array(Arc<DataType>),
    /// `MAP<key, value>`
    Map(Arc<MapType>),
    /// `MULTISET<element>`: how often each element is there
    Multiset(Arc<DataType>),
    /// `ROW<name type, ..>`
    Row(Arc<[Field]>),
    /// `VARIANT`: a value of any shape, as the two binaries of Parquet's variant encoding
    Variant,
}

/// The types of a map's keys and values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MapType {
    /// The keys' type.
    pub key: DataType,
    /// The values' type.
    pub value: DataType,
}

/// The length that stands for `STRING` and `BYTES`.
pub(super) const UNBOUNDED: u32 = i32::MAX as u32;

impl TypeKind {
    /// `STRING`
    pub const STRING: Self = Self::VarChar(UNBOUNDED);
    /// `BYTES`
    pub const BYTES: Self = Self::VarBinary(UNBOUNDED);

    /// Whether values have parts: ARRAY, MAP, MULTISET, ROW, VARIANT.
    pub fn is_nested(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Map(_) | Self::Multiset(_) | Self::Row(_) | Self::Variant)
    }

    /// The types directly below: of an array's elements, a map's keys and values, a row's fields, a variant's binaries.
    pub fn parts(&self) -> Vec<&DataType> {
        static BINARY: DataType = DataType::BYTES.not_null();
        match self {
            Self::Variant => vec![&BINARY, &BINARY],
            Self::Array(element) | Self::Multiset(element) => vec![element.as_ref()],
            Self::Map(map) => vec![&map.key, &map.value],
            Self::Row(fields) => fields.iter().map(|field| &field.data_type).collect(),
            _ => vec![],
        }
    }

    /// Whether this kind, or one at any depth below it, fits a condition.
    pub fn any(&self, fits: &impl Fn(&TypeKind) -> bool) -> bool {
        fits(self) || self.parts().into_iter().any(|part| part.kind.any(fits))
    }
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
    /// Nullable `VARIANT`
    VARIANT = TypeKind::Variant;
}

impl TypeKind {
    /// The row that a kind is stored as: a ROW's own fields, and of a VARIANT its value and its metadata.
    pub fn stored_fields(&self) -> Option<Arc<[Field]>> {
        match self {
            Self::Row(fields) => Some(Arc::clone(fields)),
            Self::Variant => {
                let binary = |(id, name): (i32, &str)| Field::new(id, name, DataType::BYTES.not_null());
                Some([(0, "value"), (1, "metadata")].map(binary).into())
            }
            _ => None,
        }
    }
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
    /// Nullable `ARRAY<element>`.
    pub fn array(element: Self) -> Self {
        Self { kind: TypeKind::Array(Arc::new(element)), nullable: true }
    }
    /// Nullable `MAP<key, value>`.
    pub fn map(key: Self, value: Self) -> Self {
        Self { kind: TypeKind::Map(Arc::new(MapType { key, value })), nullable: true }
    }
    /// Nullable `MULTISET<element>`.
    pub fn multiset(element: Self) -> Self {
        Self { kind: TypeKind::Multiset(Arc::new(element)), nullable: true }
    }
    /// Nullable `ROW` of named fields. The schema of a table numbers them.
    pub fn row<S: Into<String>>(fields: impl IntoIterator<Item = (S, Self)>) -> Self {
        let fields = fields.into_iter().zip(0..).map(|((name, data_type), id)| Field::new(id, name, data_type));
        Self { kind: TypeKind::Row(fields.collect()), nullable: true }
    }
    /// The same kind without NULL.
    #[must_use]
    pub const fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }
    /// The same kind with NULL.
    #[must_use]
    pub const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The fields of the rows that are in this type without another row around them.
    pub fn row_fields(&self) -> Vec<&Field> {
        match &self.kind {
            TypeKind::Row(fields) => fields.iter().collect(),
            kind => kind.parts().into_iter().flat_map(Self::row_fields).collect(),
        }
    }

    /// Levels of nesting: 0 for a scalar type.
    pub fn depth(&self) -> usize {
        self.kind.parts().into_iter().map(|part| part.depth() + 1).max().unwrap_or(0)
    }

    /// The same type whose rows' fields have the next ids of a counter. A field that is a row takes its id behind the
    /// fields in it; a column of a table takes its own first ([`Field::numbered_column`]).
    #[must_use]
    pub fn numbered(&self, next: &mut i32) -> Self {
        let kind = match &self.kind {
            TypeKind::Array(element) => TypeKind::Array(Arc::new(element.numbered(next))),
            TypeKind::Multiset(element) => TypeKind::Multiset(Arc::new(element.numbered(next))),
            TypeKind::Map(map) => {
                let key = map.key.numbered(next);
                TypeKind::Map(Arc::new(MapType { key, value: map.value.numbered(next) }))
            }
            TypeKind::Row(fields) => TypeKind::Row(fields.iter().map(|field| field.numbered(next)).collect()),
            scalar => scalar.clone(),
        };
        Self { kind, nullable: self.nullable }
    }
}

impl fmt::Display for TypeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
            Self::Variant => f.write_str("VARIANT"),
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Map(map) => write!(f, "MAP<{}, {}>", map.key, map.value),
            Self::Multiset(element) => write!(f, "MULTISET<{element}>"),
            Self::Row(fields) => {
                for (at, field) in fields.iter().enumerate() {
                    write!(f, "{}{field}", if at == 0 { "ROW<" } else { ", " })?;
                }
                f.write_str(if fields.is_empty() { "ROW<>" } else { ">" })
            }
        }
    }
}

impl Field {
    /// A field without comment and default value.
    pub fn new(id: i32, name: impl Into<String>, data_type: DataType) -> Self {
        Self { id, name: name.into(), data_type, description: None, default_value: None }
    }

    /// How many fields: this one and those in its type.
    pub fn count(&self) -> usize {
        1 + self.data_type.row_fields().into_iter().map(Self::count).sum::<usize>()
    }

    /// A column with the next id of a counter, and with the ones behind it for the fields in its type.
    #[must_use]
    pub fn numbered_column(&self, next: &mut i32) -> Self {
        let id = take_id(next);
        Self { id, data_type: self.data_type.numbered(next), ..self.clone() }
    }

    fn numbered(&self, next: &mut i32) -> Self {
        let data_type = self.data_type.numbered(next);
        Self { id: take_id(next), data_type, ..self.clone() }
    }
}

impl fmt::Display for Field {
    /// As it stands in the text of a ROW: name, type and comment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.name.chars().all(|c| c.is_alphanumeric() || c == '_')
            && self.name.chars().next().is_some_and(|first| !first.is_ascii_digit());
        match plain {
            true => f.write_str(&self.name)?,
            false => write!(f, "`{}`", self.name.replace('`', "``"))?,
        }
        write!(f, " {}", self.data_type)?;
        match &self.description {
            Some(text) => write!(f, " '{}'", text.replace('\'', "''")),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, if self.nullable { "" } else { " NOT NULL" })
    }
}

fn take_id(next: &mut i32) -> i32 {
    let id = *next;
    *next += 1;
    id
}
