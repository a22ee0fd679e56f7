//! Which rows of a file a condition may be true for, as its indexes tell.
//!
//! `not` is carried down to the tests of columns, where NULL answers neither a test nor its opposite. Every answer is a
//! set of rows that holds at least those for which the condition is true.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::bitmap::Bitmap;
use super::bloom::Bloom;
use super::cells::{Cell, CellKind};
use super::container::FileIndex;
use super::cursor::Read;
use super::numbers::Numbers;
use super::range_bitmap::RangeBitmap;
use crate::error::{Error, Result};
use crate::format::DeletionVector;
use crate::predicate::{Comparison, Expr, Leaf, LikePattern, Literal, Step, Test};
use crate::schema::Schema;
use crate::types::{Datum, TypeKind};

/// Rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// Nothing is known: all of them.
    All,
    /// These.
    Rows(RoaringBitmap),
}

impl Selection {
    /// Whether no row is left.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Rows(rows) if rows.is_empty())
    }

    /// The rows of a file of so many that are not selected, and those that were masked before.
    pub fn masked(self, rows: u64, masked: Option<Arc<DeletionVector>>) -> Option<Arc<DeletionVector>> {
        let Self::Rows(selected) = self else { return masked };
        let mut others = RoaringBitmap::new();
        if let Some(last) = rows.checked_sub(1) {
            others.insert_range(0..=u32::try_from(last).unwrap_or(u32::MAX));
        }
        others -= selected;
        if others.is_empty() {
            return masked;
        }
        let mut all = DeletionVector::of_rows(others);
        if let Some(masked) = masked {
            all.mask_all(&masked);
        }
        Some(Arc::new(all))
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) | (other, Self::All) => other,
            (Self::Rows(one), Self::Rows(other)) => Self::Rows(one & other),
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Rows(one), Self::Rows(other)) => Self::Rows(one | other),
            _ => Self::All,
        }
    }

    fn none() -> Self {
        Self::Rows(RoaringBitmap::new())
    }
}

/// A column of a condition as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedAs {
    /// Its name when the file was written.
    pub name: String,
    /// Its type, which must be the one that the condition's literals have.
    pub kind: TypeKind,
}

impl IndexedAs {
    /// A column of a table's schema in a file that was `written` with another one than is `shown`: renamed it is the same,
    /// retyped it is not. The index of an ORC file may have CHARs with the blanks at their end that its readers cut off.
    pub fn of(file: &str, (written, shown): (&Schema, &Schema), column: &str) -> Option<Self> {
        let field = &shown.fields[shown.index_of(column)?];
        let stored = written.fields.iter().find(|stored| stored.id == field.id)?;
        let kind = &stored.data_type.kind;
        let cut = |kind: &TypeKind| matches!(kind, TypeKind::Char(_));
        let of_values = |kind: &TypeKind| matches!(kind, TypeKind::Map(map) if cut(&map.value.kind));
        let told = !(file.ends_with(".orc") && (cut(kind) || of_values(kind)));
        (told && *kind == field.data_type.kind).then(|| Self { name: stored.name.clone(), kind: kind.clone() })
    }

    /// What the file has an index of, if any: the column itself, or the values of one key of a MAP.
    fn along(self, path: &[Step]) -> Option<Self> {
        match (path, &self.kind) {
            ([], _) => Some(self),
            ([Step::Key(Literal::Datum(Datum::String(key)))], TypeKind::Map(map)) => {
                Some(Self { name: format!("{}[{key}]", self.name), kind: map.value.kind.clone() })
            }
            _ => None,
        }
    }
}

/// Values between two bounds, each with the bound itself or without.
pub(super) struct Bounds {
    pub(super) low: Option<(Cell, bool)>,
    pub(super) high: Option<(Cell, bool)>,
}

/// What a test of a column asks an index for.
enum Ask {
    AnyOf(Vec<Cell>),
    NoneOf(Vec<Cell>),
    Within(Bounds),
    Null,
    NotNull,
}

enum Index {
    Bloom(Bloom),
    Bitmap(Bitmap),
    Numbers(Box<Numbers>),
    RangeBitmap(RangeBitmap),
}

impl FileIndex {
    /// The rows of a file of `rows` that a (bound) condition may be true for. `column_of` tells how the file has a column
    /// (`None` where it has it otherwise than the condition), `body` gives bytes of the index by their place.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damaged index; what `body` met.
    pub fn select(
        &self,
        condition: &Expr,
        rows: u64,
        column_of: &dyn Fn(&str) -> Option<IndexedAs>,
        body: &dyn Fn(Range<u64>) -> Result<Bytes>,
    ) -> Result<Selection> {
        if rows > i32::MAX as u64 {
            return Ok(Selection::All);
        }
        Selector { index: self, rows, column_of, body, opened: HashMap::new() }.select(condition, false)
    }

    /// The same of an index whose bytes are all there.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damaged index.
    pub fn select_within(
        bytes: &Bytes,
        file: &str,
        condition: &Expr,
        rows: u64,
        column_of: &dyn Fn(&str) -> Option<IndexedAs>,
    ) -> Result<Selection> {
        let cut = |range: &Range<u64>| Error::corrupt(file, format!("file index: it ends before byte {}", range.end));
        let index = match Self::decode(bytes, file)? {
            super::HeadRead::Whole(index) => index,
            super::HeadRead::More(end) => return Err(cut(&(0..end))),
        };
        index.select(condition, rows, column_of, &|range| {
            let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end)) else {
                return Err(cut(&range));
            };
            if end <= bytes.len() { Ok(bytes.slice(start..end)) } else { Err(cut(&range)) }
        })
    }
}

struct Selector<'a> {
    index: &'a FileIndex,
    rows: u64,
    column_of: &'a dyn Fn(&str) -> Option<IndexedAs>,
    body: &'a dyn Fn(Range<u64>) -> Result<Bytes>,
    /// The indexes of a column, by its name in the file.
    opened: HashMap<String, Vec<Index>>,
}

impl Selector<'_> {
    fn select(&mut self, condition: &Expr, negated: bool) -> Result<Selection> {
        match condition {
            Expr::Not(inner) => self.select(inner, !negated),
            Expr::Leaf(leaf) => self.leaf(leaf, negated),
            Expr::And(parts) | Expr::Or(parts) => {
                let all = matches!(condition, Expr::And(_)) != negated;
                let mut selection = if all { Selection::All } else { Selection::none() };
                for part in parts {
                    let next = self.select(part, negated)?;
                    selection = if all { selection.and(next) } else { selection.or(next) };
                    let settled = if all { selection.is_empty() } else { selection == Selection::All };
                    if settled {
                        break;
                    }
                }
                Ok(selection)
            }
        }
    }

    fn leaf(&mut self, leaf: &Leaf, negated: bool) -> Result<Selection> {
        let column = (self.column_of)(&leaf.column).and_then(|column| column.along(&leaf.path));
        let Some(column) = column else { return Ok(Selection::All) };
        let Some(kind) = CellKind::of(&column.kind) else { return Ok(Selection::All) };
        let Some(ask) = ask(&leaf.test, &column.kind, negated) else { return Ok(Selection::All) };
        if !self.opened.contains_key(&column.name) {
            let opened = self.open(&column, kind)?;
            self.opened.insert(column.name.clone(), opened);
        }
        let indexes = self.opened.get(&column.name).map(Vec::as_slice).unwrap_or_default();
        let mut selection = Selection::All;
        for index in indexes {
            let rows = index.rows(&ask, self.rows).map_err(|what| corrupt(self.index, &column.name, &what))?;
            if let Some(rows) = rows {
                selection = selection.and(Selection::Rows(rows));
            }
        }
        Ok(selection)
    }

    fn open(&self, column: &IndexedAs, kind: CellKind) -> Result<Vec<Index>> {
        let mut indexes = Vec::new();
        for (word, place) in self.index.columns.get(&column.name).into_iter().flatten() {
            let Some(place) = place else { continue };
            // Kinds that are not known, or do not take the type, are not asked.
            let open = match (word.as_str(), &column.kind) {
                ("bloom-filter", kind) if !matches!(kind, TypeKind::Boolean | TypeKind::Decimal { .. }) => Index::bloom,
                ("bitmap", kind) if is_bitmapped(kind) => Index::bitmap,
                ("bsi", kind) if is_number(kind) => Index::numbers,
                ("range-bitmap", kind) if is_ranged(kind) => Index::range_bitmap,
                _ => continue,
            };
            let bytes = (self.body)(place.clone())?;
            let index = open(&bytes, kind, self.rows);
            indexes.push(index.map_err(|what| corrupt(self.index, &column.name, &format!("{word}: {what}")))?);
        }
        indexes.sort_by_key(|index| !matches!(index, Index::Bloom(_)));
        Ok(indexes)
    }
}

fn corrupt(index: &FileIndex, column: &str, what: &str) -> Error {
    Error::corrupt(&index.file, format!("file index of column {column}: {what}"))
}

fn is_number(kind: &TypeKind) -> bool {
    !matches!(
        kind,
        TypeKind::Boolean
            | TypeKind::Float
            | TypeKind::Double
            | TypeKind::Char(_)
            | TypeKind::VarChar(_)
            | TypeKind::Binary(_)
            | TypeKind::VarBinary(_)
    )
}

fn is_bitmapped(kind: &TypeKind) -> bool {
    !matches!(kind, TypeKind::Binary(_) | TypeKind::VarBinary(_) | TypeKind::Decimal { .. })
}

fn is_ranged(kind: &TypeKind) -> bool {
    !matches!(
        kind,
        TypeKind::Binary(_) | TypeKind::VarBinary(_) | TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..)
    )
}

impl Index {
    fn bloom(bytes: &Bytes, kind: CellKind, _rows: u64) -> Read<Self> {
        Bloom::decode(bytes, kind).map(Self::Bloom)
    }

    fn bitmap(bytes: &Bytes, kind: CellKind, rows: u64) -> Read<Self> {
        Bitmap::decode(bytes, kind, rows).map(Self::Bitmap)
    }

    fn numbers(bytes: &Bytes, _kind: CellKind, rows: u64) -> Read<Self> {
        Numbers::decode(bytes, rows).map(|numbers| Self::Numbers(Box::new(numbers)))
    }

    fn range_bitmap(bytes: &Bytes, kind: CellKind, rows: u64) -> Read<Self> {
        RangeBitmap::decode(bytes, kind, rows).map(Self::RangeBitmap)
    }

    /// The rows that are asked for; `None` where the index does not tell.
    fn rows(&self, ask: &Ask, rows: u64) -> Read<Option<RoaringBitmap>> {
        let absent = |present: RoaringBitmap| {
            let mut others = RoaringBitmap::new();
            others.insert_range(0..rows as u32);
            others - present
        };
        Ok(Some(match (self, ask) {
            (Self::Bloom(bloom), Ask::AnyOf(values)) => {
                if values.iter().any(|value| bloom.may_hold(value.borrow())) {
                    return Ok(None);
                }
                RoaringBitmap::new()
            }
            (Self::Bloom(_), _) | (Self::Bitmap(_), Ask::Within(_)) => return Ok(None),
            (Self::Bitmap(index), Ask::AnyOf(values)) => index.any_of(values)?,
            (Self::Bitmap(index), Ask::NoneOf(values)) => absent(index.any_of(values)? | index.nulls()?),
            (Self::Bitmap(index), Ask::Null) => index.nulls()?,
            (Self::Bitmap(index), Ask::NotNull) => absent(index.nulls()?),
            (Self::Numbers(index), Ask::AnyOf(values)) => index.any_of(values),
            (Self::Numbers(index), Ask::NoneOf(values)) => index.present() - index.any_of(values),
            (Self::Numbers(index), Ask::Within(bounds)) => index.within(bounds),
            (Self::Numbers(index), Ask::Null) => absent(index.present()),
            (Self::Numbers(index), Ask::NotNull) => index.present(),
            (Self::RangeBitmap(index), Ask::AnyOf(values)) => index.any_of(values)?,
            (Self::RangeBitmap(index), Ask::NoneOf(values)) => index.present()? - index.any_of(values)?,
            (Self::RangeBitmap(index), Ask::Within(bounds)) => index.within(bounds)?,
            (Self::RangeBitmap(index), Ask::Null) => absent(index.present()?),
            (Self::RangeBitmap(index), Ask::NotNull) => index.present()?,
        }))
    }
}

/// What a test, or its opposite, asks of an index; `None` for nothing that an index tells.
fn ask(test: &Test, kind: &TypeKind, negated: bool) -> Option<Ask> {
    // The index cuts nanoseconds off: equal there is not equal, and unequal there is unequal.
    let coarse = matches!(kind, TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..));
    let cell = |literal: &Literal| Cell::of_datum(literal.datum()?, kind);
    match test {
        Test::IsNull => Some(if negated { Ask::NotNull } else { Ask::Null }),
        Test::In(literals) => {
            let cells = literals.iter().map(cell).collect::<Option<Vec<_>>>()?;
            match negated {
                false => Some(Ask::AnyOf(cells)),
                true => (!coarse).then_some(Ask::NoneOf(cells)),
            }
        }
        Test::Compare(comparison, literal) => {
            let cell = cell(literal)?;
            let comparison = if negated { comparison.opposite() } else { *comparison };
            let within = |low, high| (!coarse).then_some(Ask::Within(Bounds { low, high }));
            match comparison {
                Comparison::Eq => Some(Ask::AnyOf(vec![cell])),
                Comparison::Ne => (!coarse).then_some(Ask::NoneOf(vec![cell])),
                Comparison::Lt => within(None, Some((cell, false))),
                Comparison::Le => within(None, Some((cell, true))),
                Comparison::Gt => within(Some((cell, false)), None),
                Comparison::Ge => within(Some((cell, true)), None),
            }
        }
        Test::Like(pattern) => ask_like(pattern, negated),
        Test::Beside(..) => None,
    }
}

/// A pattern without wildcards is a value; one with a prefix lies between it and the next text that has another.
fn ask_like(pattern: &LikePattern, negated: bool) -> Option<Ask> {
    let prefix = pattern.prefix().as_bytes().to_vec();
    if pattern.is_text() {
        let values = vec![Cell::Bytes(prefix)];
        return Some(if negated { Ask::NoneOf(values) } else { Ask::AnyOf(values) });
    }
    if negated || prefix.is_empty() {
        return None;
    }
    let mut next = prefix.clone();
    while next.last() == Some(&u8::MAX) {
        next.pop();
    }
    *next.last_mut()? += 1;
    Some(Ask::Within(Bounds { low: Some((Cell::Bytes(prefix), true)), high: Some((Cell::Bytes(next), false)) }))
}
