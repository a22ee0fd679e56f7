//! The tree of a condition, how it is built and bound, and which columns it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::beside::common;
use super::like::LikePattern;
use super::literal::Literal;
use super::path::{self, Step};
use crate::error::{Error, Result};
use crate::schema::Schema;
use crate::types::{Datum, TypeKind};

/// A condition that is true, false or unknown for a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// True when all are; true when there are none.
    And(Vec<Expr>),
    /// True when one is; false when there are none.
    Or(Vec<Expr>),
    /// True when the other is false.
    Not(Box<Expr>),
    /// One test of one column, or of a value inside of it.
    Leaf(Leaf),
}

/// One test of one column, or of a value inside of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// The column's name.
    pub column: String,
    /// The way from the column to the value that is tested; of the column itself it is empty.
    pub path: Vec<Step>,
    /// The column's type, once bound.
    pub kind: Option<TypeKind>,
    /// The test.
    pub test: Test,
}

/// What a column is tested for.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// How it compares to a literal.
    Compare(Comparison, Literal),
    /// Whether it is one of some literals, which are sorted once bound.
    In(Vec<Literal>),
    /// Whether it is NULL: never unknown.
    IsNull,
    /// Whether a text follows a pattern.
    Like(LikePattern),
    /// How it compares to another value of the row.
    Beside(Comparison, Box<Side>),
}

/// The other side of a comparison inside of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The column's name.
    pub column: String,
    /// The way from the column to the value.
    pub path: Vec<Step>,
    /// The column's type, once bound.
    pub kind: Option<TypeKind>,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Eq,
    /// `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Comparison {
    /// The comparison that holds exactly where this one does not.
    pub fn opposite(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Lt => Self::Ge,
            Self::Ge => Self::Lt,
            Self::Gt => Self::Le,
            Self::Le => Self::Gt,
        }
    }

    /// The comparison with its sides changed: `5 < a` is `a > 5`.
    pub fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            same => same,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

impl Expr {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut parts = self.conjuncts();
        parts.extend(other.conjuncts());
        Self::And(parts)
    }

    /// One of the two holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Or(mut parts) => {
                parts.push(other);
                Self::Or(parts)
            }
            one => Self::Or(vec![one, other]),
        }
    }

    /// This does not hold.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// The conditions that must all hold.
    pub fn conjuncts(self) -> Vec<Self> {
        match self {
            Self::And(parts) => parts.into_iter().flat_map(Self::conjuncts).collect(),
            other => vec![other],
        }
    }

    /// The same condition with literals that are values of their columns' types.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the column for one that is not there or a literal that is no value of it.
    pub fn bind(&self, schema: &Schema) -> Result<Self> {
        let all = |parts: &[Self]| parts.iter().map(|part| part.bind(schema)).collect::<Result<Vec<_>>>();
        Ok(match self {
            Self::And(parts) => Self::And(all(parts)?),
            Self::Or(parts) => Self::Or(all(parts)?),
            Self::Not(inner) => Self::Not(Box::new(inner.bind(schema)?)),
            Self::Leaf(leaf) => Self::Leaf(leaf.bind(schema)?),
        })
    }

    /// The columns it looks at.
    pub fn columns(&self) -> BTreeSet<String> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::columns).collect(),
            Self::Not(inner) => inner.columns(),
            Self::Leaf(leaf) => leaf.columns(),
        }
    }

    /// The same condition over other names of its columns; `None` when one of them has none.
    pub fn rename(&self, name_of: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let all = |parts: &[Self]| parts.iter().map(|part| part.rename(name_of)).collect::<Option<Vec<_>>>();
        Some(match self {
            Self::And(parts) => Self::And(all(parts)?),
            Self::Or(parts) => Self::Or(all(parts)?),
            Self::Not(inner) => Self::Not(Box::new(inner.rename(name_of)?)),
            Self::Leaf(leaf) => Self::Leaf(leaf.rename(name_of)?),
        })
    }

    /// The part that looks only at chosen columns, and the rest; the condition is both of them together.
    pub fn split_by(self, chosen: impl Fn(&str) -> bool) -> (Option<Self>, Option<Self>) {
        let whole = |part: &Self| part.columns().iter().all(|column| chosen(column));
        let (inside, outside): (Vec<_>, Vec<_>) = self.conjuncts().into_iter().partition(whole);
        (Self::all_of(inside), Self::all_of(outside))
    }

    /// All of some conditions; `None` when there are none.
    pub fn all_of(mut parts: Vec<Self>) -> Option<Self> {
        match parts.len() {
            0 => None,
            1 => parts.pop(),
            _ => Some(Self::And(parts)),
        }
    }

    /// For columns that can only have some values where the (bound) condition is true: those values, sorted.
    /// A column that is not told may have any.
    pub fn key_equalities(&self) -> BTreeMap<String, Vec<Datum>> {
        match self {
            Self::And(parts) => parts.iter().map(Self::key_equalities).fold(BTreeMap::new(), |mut all, part| {
                for (column, values) in part {
                    all.entry(column)
                        .and_modify(|known: &mut Vec<Datum>| known.retain(|value| contains(&values, value)))
                        .or_insert(values);
                }
                all
            }),
            Self::Or(parts) => {
                let mut parts = parts.iter().map(Self::key_equalities);
                let first = parts.next().unwrap_or_default();
                parts.fold(first, |all, part| {
                    let merged = all.into_iter().filter_map(|(column, mut values)| {
                        values.extend(part.get(&column)?.iter().cloned());
                        Some((column, sorted(values)))
                    });
                    merged.collect()
                })
            }
            Self::Leaf(leaf) if !leaf.path.is_empty() => BTreeMap::new(),
            Self::Leaf(leaf) => {
                let values = match &leaf.test {
                    Test::Compare(Comparison::Eq, Literal::Datum(value)) => vec![value.clone()],
                    Test::In(literals) => match literals.iter().map(Literal::datum).collect::<Option<Vec<_>>>() {
                        Some(values) => sorted(values.into_iter().cloned().collect()),
                        None => return BTreeMap::new(),
                    },
                    _ => return BTreeMap::new(),
                };
                BTreeMap::from([(leaf.column.clone(), values)])
            }
            Self::Not(_) => BTreeMap::new(),
        }
    }
}

fn contains(values: &[Datum], value: &Datum) -> bool {
    values.binary_search_by(|other| other.total_cmp(value)).is_ok()
}

fn sorted(mut values: Vec<Datum>) -> Vec<Datum> {
    values.sort_by(Datum::total_cmp);
    values.dedup_by(|one, other| one.total_cmp(other).is_eq());
    values
}

impl Leaf {
    fn columns(&self) -> BTreeSet<String> {
        let mut columns = BTreeSet::from([self.column.clone()]);
        if let Test::Beside(_, side) = &self.test {
            columns.insert(side.column.clone());
        }
        columns
    }

    fn rename(&self, name_of: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let test = match &self.test {
            Test::Beside(comparison, side) => {
                Test::Beside(*comparison, Box::new(Side { column: name_of(&side.column)?, ..Side::clone(side) }))
            }
            test => test.clone(),
        };
        Some(Self { column: name_of(&self.column)?, test, ..self.clone() })
    }

    fn bind(&self, schema: &Schema) -> Result<Self> {
        let position = schema.require(&self.column)?;
        let column = schema.fields[position].data_type.kind.clone();
        let (path, kind) = path::bind(&self.path, &column).map_err(|error| named(&self.column, error))?;
        if kind.is_nested() && !matches!(self.test, Test::IsNull) {
            return Err(Error::unsupported(format!(
                "a condition on column {} of nested type {kind}, other than IS NULL and IS NOT NULL",
                self.column
            )));
        }
        let typed = |literal: &Literal| literal.to_datum(&kind).map_err(|error| named(&self.column, error));
        let test = match &self.test {
            Test::Compare(comparison, literal) => Test::Compare(*comparison, Literal::Datum(typed(literal)?)),
            Test::In(literals) => {
                let values = sorted(literals.iter().map(typed).collect::<Result<_>>()?);
                Test::In(values.into_iter().map(Literal::Datum).collect())
            }
            Test::IsNull => Test::IsNull,
            Test::Like(_) if !matches!(kind, TypeKind::Char(_) | TypeKind::VarChar(_)) => {
                return Err(Error::invalid(format!("column {}: like needs a text column, not {kind}", self.column)));
            }
            Test::Like(pattern) => Test::Like(pattern.clone()),
            Test::Beside(comparison, side) => {
                Test::Beside(*comparison, Box::new(side.bind(schema, &self.column, &kind)?))
            }
        };
        Ok(Self { column: self.column.clone(), path, kind: Some(column), test })
    }
}

/// An error about a column, which does not name it yet.
pub(super) fn named(column: &str, error: Error) -> Error {
    match error {
        Error::Invalid(text) => Error::invalid(format!("column {column}: {text}")),
        other => other,
    }
}

impl Side {
    fn bind(&self, schema: &Schema, beside: &str, kind_beside: &TypeKind) -> Result<Self> {
        let column = schema.fields[schema.require(&self.column)?].data_type.kind.clone();
        let (path, kind) = path::bind(&self.path, &column).map_err(|error| named(&self.column, error))?;
        if common(kind_beside, &kind).is_none() {
            return Err(Error::invalid(format!(
                "column {beside} of {kind_beside} and column {} of {kind} do not compare: cast one of them",
                self.column
            )));
        }
        Ok(Self { column: self.column.clone(), path, kind: Some(column) })
    }
}

/// Prints SQL that [`super::parse`] reads back.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (at, part) in parts.iter().enumerate() {
                write!(f, "{}({part})", if at > 0 { word } else { "" })?;
            }
            Ok(())
        };
        match self {
            Self::And(parts) if parts.is_empty() => f.write_str("true"),
            Self::Or(parts) if parts.is_empty() => f.write_str("false"),
            Self::And(parts) => list(f, parts, " and "),
            Self::Or(parts) => list(f, parts, " or "),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Leaf(leaf) => leaf.fmt(f),
        }
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        path::print(f, &self.column, self.kind.as_ref(), &self.path)?;
        let kind = self.kind.as_ref().and_then(|kind| path::target(&self.path, kind).ok()).unwrap_or(TypeKind::STRING);
        let shown = |literal: &Literal| path::shown(literal, &kind);
        match &self.test {
            Test::Compare(comparison, literal) => write!(f, " {} {}", comparison.sign(), shown(literal)),
            Test::In(literals) => {
                let list = literals.iter().map(shown).collect::<Vec<_>>();
                write!(f, " in ({})", list.join(", "))
            }
            Test::IsNull => f.write_str(" is null"),
            Test::Like(pattern) => write!(f, " like {}", quoted(&pattern.to_string())),
            Test::Beside(comparison, side) => {
                write!(f, " {} ", comparison.sign())?;
                path::print(f, &side.column, side.kind.as_ref(), &side.path)
            }
        }
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
