//! Conditions as text, in SQL's words: `amount > 100 and status in ('A', 'B') and day = '2024-01-01'`.
//!
//! ```text
//! any     = all { "or" all }          all = one { "and" one }          one = "not" one | "(" any ")" | test
//! test    = "true" | "false" | column | operand sign operand
//!         | column ["not"] ( "in" "(" literal { "," literal } ")" | "between" literal "and" literal
//!                           | "like" 'text' ) | column "is" ["not"] "null"
//! literal = ["-"] number | 'text' | X'00ff' | true | false | DATE 'text' | TIME 'text' | TIMESTAMP 'text'
//!         | "cast" "(" literal "as" type ")"
//! column  = name | `name` | "name"
//! ```
//!
//! Quotes are doubled inside of their kind. Each literal is typed by its column as it is read, so an error
//! tells the position of the literal that does not fit.

mod token;

use self::token::{Token, tokens};
use super::assign::{Assigned, Assignment};
use super::column::{Column, col};
use super::expr::{Comparison, Expr};
use super::literal::Literal;
use crate::error::{Error, Result};
use crate::schema::Schema;
use crate::types::DataType;

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
    parser.need_sign("=")?;
    let value_at = parser.position();
    let value = match parser.take_word("null") {
        true => Assigned::Null,
        false => match parser.operand()? {
            Operand::Literal(literal) => Assigned::Literal(literal),
            Operand::Column(name) => Assigned::Column(name),
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

/// One side of a comparison.
enum Operand {
    Column(String),
    Literal(Literal),
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

    fn one(&mut self) -> Result<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(format!("nested deeper than {MAX_DEPTH}")));
        }
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
            Operand::Column(name) => self.test_of_column(start, &name),
            Operand::Literal(literal) => match (self.comparison(), literal) {
                (Some(comparison), literal) => {
                    let column_at = self.position();
                    let Operand::Column(name) = self.operand()? else {
                        return Err(at(column_at, "expected a column: one side of a comparison must be one"));
                    };
                    self.compare(&name, column_at, comparison.flipped(), literal, start)
                }
                (None, Literal::Boolean(true)) => Ok(Expr::And(vec![])),
                (None, Literal::Boolean(false)) => Ok(Expr::Or(vec![])),
                (None, _) => Err(self.expected("a comparison")),
            },
        }
    }

    fn test_of_column(&mut self, start: usize, name: &str) -> Result<Expr> {
        self.schema.require(name).map_err(|error| at(start, text_of(error)))?;
        if let Some(comparison) = self.comparison() {
            let literal_at = self.position();
            let literal = self.literal()?;
            return self.compare(name, start, comparison, literal, literal_at);
        }
        if self.take_word("is") {
            let negated = self.take_word("not");
            if !self.take_word("null") {
                return Err(self.expected("null"));
            }
            return self.bound(start, negated, col(name).is_null());
        }
        let negated = self.take_word("not");
        if self.take_word("in") {
            return self.in_list(start, name, negated);
        }
        if self.take_word("between") {
            let low = self.bound_literal(name, Column::ge)?;
            if !self.take_word("and") {
                return Err(self.expected("and"));
            }
            let high = self.bound_literal(name, Column::le)?;
            let both = Expr::And(vec![low, high]);
            return Ok(if negated { both.negate() } else { both });
        }
        if self.take_word("like") {
            let pattern_at = self.position();
            let Some(Token::Text(pattern)) = self.take() else {
                return Err(at(pattern_at, "expected a pattern in quotes"));
            };
            let like = col(name).like(&pattern).map_err(|error| at(pattern_at, text_of(error)))?;
            return self.bound(start, negated, like);
        }
        if negated {
            return Err(self.expected("in, between or like"));
        }
        // A boolean column is a condition of its own.
        match col(name).eq(true).bind(self.schema) {
            Ok(expr) => Ok(expr),
            Err(_) => Err(self.expected("a comparison")),
        }
    }

    fn in_list(&mut self, start: usize, name: &str, negated: bool) -> Result<Expr> {
        self.need_sign("(")?;
        let mut literals = Vec::new();
        loop {
            let literal_at = self.position();
            let literal = self.literal()?;
            // Bound alone first, so that the error tells which literal does not fit.
            self.compare(name, literal_at, Comparison::Eq, literal.clone(), literal_at)?;
            literals.push(literal);
            if !self.take_sign(",") {
                break;
            }
        }
        self.need_sign(")")?;
        self.bound(start, negated, col(name).is_in(literals))
    }

    fn bound_literal(&mut self, name: &str, make: fn(Column, Literal) -> Expr) -> Result<Expr> {
        let literal_at = self.position();
        let literal = self.literal()?;
        self.bound(literal_at, false, make(col(name), literal))
    }

    fn bound(&self, position: usize, negated: bool, expr: Expr) -> Result<Expr> {
        let expr = expr.bind(self.schema).map_err(|error| at(position, text_of(error)))?;
        Ok(if negated { expr.negate() } else { expr })
    }

    fn compare(
        &self,
        name: &str,
        name_at: usize,
        comparison: Comparison,
        literal: Literal,
        literal_at: usize,
    ) -> Result<Expr> {
        self.schema.require(name).map_err(|error| at(name_at, text_of(error)))?;
        self.bound(literal_at, false, col(name).compare(comparison, literal))
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

    fn literal(&mut self) -> Result<Literal> {
        let start = self.position();
        match self.operand()? {
            Operand::Literal(literal) => Ok(literal),
            Operand::Column(_) => Err(at(start, "expected a literal (texts stand in single quotes)")),
        }
    }

    fn operand(&mut self) -> Result<Operand> {
        let literal = match self.peek() {
            Some(Token::Number(_) | Token::Text(_) | Token::Bytes(_)) => match self.take() {
                Some(Token::Number(text)) => Literal::Number(text),
                Some(Token::Bytes(bytes)) => Literal::Bytes(bytes),
                Some(Token::Text(text)) => Literal::Text(text),
                _ => return Err(self.expected("a literal")),
            },
            Some(Token::Sign(sign @ ("-" | "+"))) => {
                let sign = if *sign == "-" { "-" } else { "" };
                self.next += 1;
                match self.take() {
                    Some(Token::Number(text)) => Literal::Number(format!("{sign}{text}")),
                    _ => {
                        self.next -= 1;
                        return Err(self.expected("a number"));
                    }
                }
            }
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.next += 1;
                return Ok(Operand::Column(name));
            }
            Some(Token::Word(word)) => {
                let word = word.clone();
                return self.operand_of_word(&word);
            }
            _ => return Err(self.expected("a column or a literal")),
        };
        Ok(Operand::Literal(literal))
    }

    fn operand_of_word(&mut self, word: &str) -> Result<Operand> {
        let lower = word.to_ascii_lowercase();
        let next = self.tokens.get(self.next + 1).map(|(_, token)| token.clone());
        let literal = match (lower.as_str(), next) {
            ("true", _) => Literal::Boolean(true),
            ("false", _) => Literal::Boolean(false),
            ("null", _) => return Err(self.wrong("nothing compares to null: write is null or is not null")),
            ("and" | "or" | "not" | "in" | "is" | "between" | "like", _) => {
                return Err(self.expected("a column or a literal (a column of such a name stands in backticks)"));
            }
            ("cast", Some(Token::Sign("("))) => return self.cast().map(Operand::Literal),
            ("date" | "time" | "timestamp" | "timestamp_ltz", Some(Token::Text(text))) => {
                self.next += 1;
                Literal::Text(text)
            }
            _ => {
                self.next += 1;
                return Ok(Operand::Column(word.to_string()));
            }
        };
        self.next += 1;
        Ok(Operand::Literal(literal))
    }

    /// A literal of a type: `CAST('2024-01-01' AS DATE)`. It is a value of that type exactly, or an error.
    fn cast(&mut self) -> Result<Literal> {
        self.next += 2;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(format!("nested deeper than {MAX_DEPTH}")));
        }
        let start = self.position();
        let literal = self.literal()?;
        if !self.take_word("as") {
            return Err(self.expected("as"));
        }
        let type_at = self.position();
        let mut text = String::new();
        let mut open = 0;
        while let Some(token) = self.peek() {
            let part = match token {
                Token::Sign(")") if open == 0 => break,
                Token::Word(part) | Token::Number(part) => part.as_str(),
                Token::Sign(part @ ("(" | ")" | ",")) => part,
                _ => return Err(self.expected("a type")),
            };
            open = open + usize::from(part == "(") - usize::from(part == ")");
            text = format!("{text} {part}");
            self.next += 1;
        }
        self.need_sign(")")?;
        let data_type: DataType = text.trim().parse().map_err(|error| at(type_at, text_of(error)))?;
        self.depth -= 1;
        literal.cast(&data_type.kind).map_err(|error| at(start, text_of(error)))
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
