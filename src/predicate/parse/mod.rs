//! Conditions as text, in SQL's words: `amount > 100 and status in ('A', 'B') and day = '2024-01-01'`.
//!
//! ```text
//! any     = all { "or" all }          all = one { "and" one }          one = "not" one | "(" any ")" | test
//! test    = "true" | "false" | column | operand sign operand   (one of them a column)
//!         | column ["not"] ( "in" "(" literal { "," literal } ")" | "between" literal "and" literal
//!                           | "like" 'text' ["escape" 'character'] ) | column "is" ["not"] "null"
//! literal = ["-"] number | 'text' | X'00ff' | true | false | DATE 'text' | TIME 'text' | TIMESTAMP 'text'
//!         | "cast" "(" literal "as" type ")"
//! column  = name { "." name | "[" literal "]" } | "cast" "(" column "as" type ")"
//!         | ( "upper" | "lower" ) "(" column ")" | ( "trim" | "ltrim" | "rtrim" ) "(" column ["," 'characters'] ")"
//!         | ( "substring" | "substr" ) "(" column "," from ["," length] ")"
//! name    = word | `name` | "name"
//! ```
//!
//! `.` leads to a field of a ROW, `[` `]` to the value of a key of a MAP. Quotes are doubled inside of their kind. Each literal is typed by its column as it is read, so an error
//! tells the position of the literal that does not fit.

mod operand;
mod token;

use self::operand::Operand;
use self::token::{Token, tokens};
use super::assign::{Assigned, Assignment};
use super::column::Column;
use super::expr::{Comparison, Expr};
use super::literal::Literal;
use crate::error::{Error, Result};
use crate::schema::Schema;

/// The most bytes of a condition.
const MAX_LENGTH: usize = 1 << 20;
/// The deepest nesting of brackets and `not`.
const MAX_DEPTH: usize = 64;

/// Reads a condition on the columns of a table; the result is bound.
///
/// # Errors
/// [`Error::Invalid`] that tells the position (in characters, from 1) and what is wrong there.
pub fn parse(text: &str, schema: &Schema) -> Result<Expr> {
    if text.len() > MAX_LENGTH {
        return Err(Error::invalid(format!("a condition of {} bytes is longer than {MAX_LENGTH}", text.len())));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.chars().count() + 1, depth: 0, schema };
    let expr = parser.any()?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(parser.wrong(format!("expected and, or or the end, not {token}"))),
    }
}

/// Reads what an update sets, `column = value`: a literal, `null` or another column; the result is bound.
///
/// # Errors
/// As [`parse`].
pub fn parse_assignment(text: &str, schema: &Schema) -> Result<Assignment> {
    if text.len() > MAX_LENGTH {
        return Err(Error::invalid(format!("an assignment of {} bytes is longer than {MAX_LENGTH}", text.len())));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.chars().count() + 1, depth: 0, schema };
    let Operand::Column(column) = parser.operand()? else { return Err(at(1, "expected a column to set")) };
    let column =
        column.alone().ok_or_else(|| at(1, "expected a column to set: a value inside of one cannot be set alone"))?;
    parser.need_sign("=")?;
    let value_at = parser.position();
    let value = match parser.take_word("null") {
        true => Assigned::Null,
        false => match parser.operand()? {
            Operand::Literal(literal) => Assigned::Literal(literal),
            Operand::Column(column) => Assigned::Column(
                column.alone().ok_or_else(|| at(value_at, "expected a literal, null or a whole column"))?,
            ),
        },
    };
    match parser.peek() {
        None => Assignment { column, value }.bind(schema).map_err(|error| at(value_at, text_of(error))),
        Some(token) => {
            Err(parser.wrong(format!("expected the end, not {token}: a value is a literal, null or a column")))
        }
    }
}

/// An error at a position.
fn at(position: usize, what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("condition, position {position}: {what}"))
}

struct Parser<'a> {
    tokens: Vec<(usize, Token)>,
    next: usize,
    end: usize,
    depth: usize,
    schema: &'a Schema,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(position, _)| *position)
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Error {
        at(self.position(), what)
    }

    fn expected(&self, what: &str) -> Error {
        match self.peek() {
            Some(token) => self.wrong(format!("expected {what}, not {token}")),
            None => self.wrong(format!("expected {what}, not the end")),
        }
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).map(|(_, token)| token.clone());
        self.next += 1;
        token
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is_word(word));
        self.next += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.next += usize::from(found);
        found
    }

    fn need_sign(&mut self, sign: &str) -> Result<()> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.expected(sign)) }
    }

    fn any(&mut self) -> Result<Expr> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(single_or(parts, Expr::Or))
    }

    fn all(&mut self) -> Result<Expr> {
        let mut parts = vec![self.one()?];
        while self.take_word("and") {
            parts.push(self.one()?);
        }
        Ok(single_or(parts, Expr::And))
    }

    /// One level further down, from which the caller comes back up.
    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.wrong(format!("nested deeper than {MAX_DEPTH}"))) } else { Ok(()) }
    }

    fn one(&mut self) -> Result<Expr> {
        self.deeper()?;
        let expr = if self.take_word("not") {
            self.one()?.negate()
        } else if self.take_sign("(") {
            let inner = self.any()?;
            self.need_sign(")")?;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn test(&mut self) -> Result<Expr> {
        let start = self.position();
        match self.operand()? {
            Operand::Column(column) => self.test_of_column(start, &column),
            Operand::Literal(literal) => match (self.comparison(), literal) {
                (Some(comparison), literal) => {
                    let column_at = self.position();
                    let Operand::Column(column) = self.operand()? else {
                        return Err(at(column_at, "expected a column: one side of a comparison must be one"));
                    };
                    self.compare(&column, column_at, comparison.flipped(), literal, start)
                }
                (None, Literal::Boolean(true)) => Ok(Expr::And(vec![])),
                (None, Literal::Boolean(false)) => Ok(Expr::Or(vec![])),
                (None, _) => Err(self.expected("a comparison")),
            },
        }
    }

    fn test_of_column(&mut self, start: usize, column: &Column) -> Result<Expr> {
        self.bound(start, false, column.clone().is_null())?; // there is such a column, and the path leads somewhere
        if let Some(comparison) = self.comparison() {
            let other_at = self.position();
            return match self.operand()? {
                Operand::Literal(literal) => self.compare(column, start, comparison, literal, other_at),
                Operand::Column(other) => {
                    self.bound(other_at, false, other.clone().is_null())?;
                    self.bound(other_at, false, column.clone().beside(comparison, other))
                }
            };
        }
        if self.take_word("is") {
            let negated = self.take_word("not");
            if !self.take_word("null") {
                return Err(self.expected("null"));
            }
            return self.bound(start, negated, column.clone().is_null());
        }
        let negated = self.take_word("not");
        if self.take_word("in") {
            return self.in_list(start, column, negated);
        }
        if self.take_word("between") {
            let low = self.bound_literal(column, Column::ge)?;
            if !self.take_word("and") {
                return Err(self.expected("and"));
            }
            let high = self.bound_literal(column, Column::le)?;
            let both = Expr::And(vec![low, high]);
            return Ok(if negated { both.negate() } else { both });
        }
        if self.take_word("like") {
            let pattern_at = self.position();
            let pattern = self.text()?;
            let escape = if self.take_word("escape") { self.character()? } else { '\\' };
            let like = column.clone().like_escaped(&pattern, escape).map_err(|error| at(pattern_at, text_of(error)))?;
            return self.bound(start, negated, like);
        }
        if negated {
            return Err(self.expected("in, between or like"));
        }
        // A boolean column is a condition of its own.
        match column.clone().eq(true).bind(self.schema) {
            Ok(expr) => Ok(expr),
            Err(_) => Err(self.expected("a comparison")),
        }
    }

    fn in_list(&mut self, start: usize, column: &Column, negated: bool) -> Result<Expr> {
        self.need_sign("(")?;
        let mut literals = Vec::new();
        loop {
            let literal_at = self.position();
            let literal = self.literal()?;
            // Bound alone first, so that the error tells which literal does not fit.
            self.compare(column, literal_at, Comparison::Eq, literal.clone(), literal_at)?;
            literals.push(literal);
            if !self.take_sign(",") {
                break;
            }
        }
        self.need_sign(")")?;
        self.bound(start, negated, column.clone().is_in(literals))
    }

    fn bound_literal(&mut self, column: &Column, make: fn(Column, Literal) -> Expr) -> Result<Expr> {
        let literal_at = self.position();
        let literal = self.literal()?;
        self.bound(literal_at, false, make(column.clone(), literal))
    }

    fn bound(&self, position: usize, negated: bool, expr: Expr) -> Result<Expr> {
        let expr = expr.bind(self.schema).map_err(|error| at(position, text_of(error)))?;
        Ok(if negated { expr.negate() } else { expr })
    }

    fn compare(
        &self,
        column: &Column,
        column_at: usize,
        comparison: Comparison,
        literal: Literal,
        literal_at: usize,
    ) -> Result<Expr> {
        self.bound(column_at, false, column.clone().is_null())?;
        self.bound(literal_at, false, column.clone().compare(comparison, literal))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let comparison = match self.peek() {
            Some(Token::Sign("=" | "==")) => Comparison::Eq,
            Some(Token::Sign("<>" | "!=")) => Comparison::Ne,
            Some(Token::Sign("<")) => Comparison::Lt,
            Some(Token::Sign("<=")) => Comparison::Le,
            Some(Token::Sign(">")) => Comparison::Gt,
            Some(Token::Sign(">=")) => Comparison::Ge,
            _ => return None,
        };
        self.next += 1;
        Some(comparison)
    }
}

fn single_or(mut parts: Vec<Expr>, list: fn(Vec<Expr>) -> Expr) -> Expr {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => list(parts.into_iter().chain(last).collect()),
    }
}

fn text_of(error: Error) -> String {
    match error {
        Error::Invalid(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
