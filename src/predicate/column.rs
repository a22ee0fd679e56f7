//! Building conditions: `col("a").gt(5)`.

use super::expr::{Comparison, Expr, Leaf, Side, Test};
use super::function::{Ends, TextFunction};
use super::like::LikePattern;
use super::literal::Literal;
use super::path::Step;
use crate::error::{Error, Result};
use crate::types::DataType;

/// A column, or a value inside of it, on the way to a condition.
#[derive(Debug, Clone)]
pub struct Column {
    pub(super) name: String,
    pub(super) path: Vec<Step>,
}

/// Begins a condition on a column.
pub fn col(name: impl Into<String>) -> Column {
    Column { name: name.into(), path: Vec::new() }
}

impl Column {
    fn test(self, test: Test) -> Expr {
        Expr::Leaf(Leaf { column: self.name, path: self.path, kind: None, test })
    }
    pub(super) fn step(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }
    /// The name, where no path leads further.
    pub(super) fn alone(self) -> Option<String> {
        self.path.is_empty().then_some(self.name)
    }
    /// A field of a ROW: `column.name`
    #[must_use]
    pub fn field(self, name: impl Into<String>) -> Self {
        self.step(Step::Field(name.into()))
    }
    /// The value that a MAP has for a key, NULL where it has none: `column['key']`; of a MULTISET, how often it holds it
    #[must_use]
    pub fn key(self, key: impl Into<Literal>) -> Self {
        self.step(Step::Key(key.into()))
    }
    /// The value as one of another type, as old columns are read as retyped ones: `cast(column as type)`
    #[must_use]
    pub fn cast(self, to: DataType) -> Self {
        self.step(Step::Cast(to.nullable()))
    }
    /// In capital letters: `upper(column)`
    #[must_use]
    pub fn upper(self) -> Self {
        self.step(Step::Text(TextFunction::Upper))
    }
    /// In small letters: `lower(column)`
    #[must_use]
    pub fn lower(self) -> Self {
        self.step(Step::Text(TextFunction::Lower))
    }
    /// Without blanks at its ends: `trim(column)`
    #[must_use]
    pub fn trim(self) -> Self {
        self.step(Step::Text(TextFunction::Trim(Ends::Both, " ".to_string())))
    }
    /// From a character on, counted from 1, all of the rest or so many: `substring(column, from, length)`
    ///
    /// # Errors
    /// [`Error::Invalid`] for character 0.
    pub fn substring(self, from: usize, length: Option<usize>) -> Result<Self> {
        if from == 0 {
            return Err(Error::invalid("the characters of a text are counted from 1"));
        }
        Ok(self.step(Step::Text(TextFunction::Substring(from, length))))
    }
    pub(super) fn compare(self, comparison: Comparison, literal: impl Into<Literal>) -> Expr {
        self.test(Test::Compare(comparison, literal.into()))
    }
    /// How it compares to another value of the row: `delivered > ordered`
    pub fn beside(self, comparison: Comparison, other: Self) -> Expr {
        self.test(Test::Beside(comparison, Box::new(Side { column: other.name, path: other.path, kind: None })))
    }
    /// `column = literal`
    pub fn eq(self, literal: impl Into<Literal>) -> Expr {
        self.compare(Comparison::Eq, literal)
    }
    /// `column <> literal`
    pub fn ne(self, literal: impl Into<Literal>) -> Expr {
        self.compare(Comparison::Ne, literal)
    }
    /// `column < literal`
    pub fn lt(self, literal: impl Into<Literal>) -> Expr {
        self.compare(Comparison::Lt, literal)
    }
    /// `column <= literal`
    pub fn le(self, literal: impl Into<Literal>) -> Expr {
        self.compare(Comparison::Le, literal)
    }
    /// `column > literal`
    pub fn gt(self, literal: impl Into<Literal>) -> Expr {
        self.compare(Comparison::Gt, literal)
    }
    /// `column >= literal`
    pub fn ge(self, literal: impl Into<Literal>) -> Expr {
        self.compare(Comparison::Ge, literal)
    }
    /// `column between low and high`, both included
    pub fn between(self, low: impl Into<Literal>, high: impl Into<Literal>) -> Expr {
        Expr::And(vec![self.clone().ge(low), self.le(high)])
    }
    /// `column in (literals)`
    pub fn is_in<L: Into<Literal>>(self, literals: impl IntoIterator<Item = L>) -> Expr {
        self.test(Test::In(literals.into_iter().map(Into::into).collect()))
    }
    /// `column is null`
    pub fn is_null(self) -> Expr {
        self.test(Test::IsNull)
    }
    /// `column is not null`
    pub fn is_not_null(self) -> Expr {
        self.is_null().negate()
    }
    /// `column like 'pattern'`: `%` any text, `_` any character, `\` takes the next one as it is
    ///
    /// # Errors
    /// [`Error::Invalid`] for a pattern that ends in a lone `\`.
    pub fn like(self, pattern: &str) -> Result<Expr> {
        self.like_escaped(pattern, '\\')
    }
    /// `column like 'pattern' escape 'c'`: a character of one's own that takes the next one as it is
    ///
    /// # Errors
    /// [`Error::Invalid`] for a pattern that ends in it.
    pub fn like_escaped(self, pattern: &str, escape: char) -> Result<Expr> {
        Ok(self.test(Test::Like(LikePattern::parse(pattern, escape)?)))
    }
    /// `column like 'prefix%'`, whatever stands in the prefix
    pub fn starts_with(self, prefix: &str) -> Expr {
        self.test(Test::Like(LikePattern::prefixed(prefix)))
    }
}
