//! One side of a comparison: a literal, or a column with the way to a value inside of it or made of it.

use super::token::Token;
use super::{Parser, at, text_of};
use crate::error::Result;
use crate::predicate::column::{Column, col};
use crate::predicate::function::{Ends, TextFunction};
use crate::predicate::literal::Literal;
use crate::predicate::path::Step;
use crate::types::DataType;

/// The most words and signs of a type to cast to: no scalar type has as many.
const MAX_TYPE: usize = 64;

/// One side of a comparison.
pub(super) enum Operand {
    Column(Column),
    Literal(Literal),
}

impl Parser<'_> {
    pub(super) fn literal(&mut self) -> Result<Literal> {
        let start = self.position();
        match self.operand()? {
            Operand::Literal(literal) => Ok(literal),
            Operand::Column(_) => Err(at(start, "expected a literal (texts stand in single quotes)")),
        }
    }

    pub(super) fn operand(&mut self) -> Result<Operand> {
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
                return self.column(name);
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
            ("cast", Some(Token::Sign("("))) => return self.cast(),
            ("upper" | "lower" | "trim" | "ltrim" | "rtrim" | "substring" | "substr", Some(Token::Sign("("))) => {
                return self.function(&lower);
            }
            ("date" | "time" | "timestamp" | "timestamp_ltz", Some(Token::Text(text))) => {
                self.next += 1;
                Literal::Text(text)
            }
            _ => {
                self.next += 1;
                return self.column(word.to_string());
            }
        };
        self.next += 1;
        Ok(Operand::Literal(literal))
    }

    /// Behind a column's name: `.field` and `[key]`, as often as they come.
    fn column(&mut self, name: String) -> Result<Operand> {
        let mut column = col(name);
        loop {
            if self.take_sign(".") {
                let field = match self.peek() {
                    Some(Token::Word(name) | Token::Name(name)) => name.clone(),
                    _ => return Err(self.expected("the name of a field")),
                };
                self.next += 1;
                column = column.field(field);
            } else if self.take_sign("[") {
                self.deeper()?;
                column = column.key(self.literal()?);
                self.need_sign("]")?;
                self.depth -= 1;
            } else {
                return Ok(Operand::Column(column));
            }
        }
    }

    /// What a function makes of a column's texts: `upper(name)`, `trim(name, '-')`, `substring(code, 1, 2)`.
    fn function(&mut self, name: &str) -> Result<Operand> {
        self.next += 2;
        self.deeper()?;
        let start = self.position();
        let Operand::Column(column) = self.operand()? else { return Err(at(start, "expected a column")) };
        let mut ends = |ends| -> Result<_> {
            let characters = if self.take_sign(",") { self.text()? } else { " ".to_string() };
            Ok(TextFunction::Trim(ends, characters))
        };
        let function = match name {
            "upper" => TextFunction::Upper,
            "lower" => TextFunction::Lower,
            "trim" => ends(Ends::Both)?,
            "ltrim" => ends(Ends::Start)?,
            "rtrim" => ends(Ends::End)?,
            _ => {
                self.need_sign(",")?;
                let from_at = self.position();
                let from = self.count()?;
                if from == 0 {
                    return Err(at(from_at, "the characters of a text are counted from 1"));
                }
                let length = if self.take_sign(",") { Some(self.count()?) } else { None };
                TextFunction::Substring(from, length)
            }
        };
        self.need_sign(")")?;
        self.depth -= 1;
        Ok(Operand::Column(column.step(Step::Text(function))))
    }

    /// A text in quotes.
    pub(super) fn text(&mut self) -> Result<String> {
        match self.peek().cloned() {
            Some(Token::Text(text)) => {
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.expected("a text in quotes")),
        }
    }

    /// A text of one character.
    pub(super) fn character(&mut self) -> Result<char> {
        let start = self.position();
        let text = self.text()?;
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(at(start, "expected one character in quotes")),
        }
    }

    /// A whole number from 0 on.
    fn count(&mut self) -> Result<usize> {
        let count = match self.peek() {
            Some(Token::Number(text)) => text.parse().ok(),
            _ => None,
        };
        let count = count.ok_or_else(|| self.expected("a whole number from 0 on"))?;
        self.next += 1;
        Ok(count)
    }

    /// A literal of a type, `CAST('2024-01-01' AS DATE)`, which is a value of that type exactly or an error; or what a
    /// column's values are as another type.
    fn cast(&mut self) -> Result<Operand> {
        self.next += 2;
        self.deeper()?;
        let start = self.position();
        let operand = self.operand()?;
        if !self.take_word("as") {
            return Err(self.expected("as"));
        }
        let (type_at, first) = (self.position(), self.next);
        let mut text = String::new();
        let mut open = 0;
        while let Some(token) = self.peek() {
            if self.next - first == MAX_TYPE {
                return Err(at(type_at, "expected a type of single values"));
            }
            let part = match token {
                Token::Sign(")") if open == 0 => break,
                Token::Word(part) | Token::Number(part) => part.as_str(),
                Token::Sign(part @ ("(" | ")" | ",")) => part,
                _ => return Err(self.expected("a type")),
            };
            open = open + usize::from(part == "(") - usize::from(part == ")");
            text.push(' ');
            text.push_str(part);
            self.next += 1;
        }
        self.need_sign(")")?;
        let data_type: DataType = text.trim().parse().map_err(|error| at(type_at, text_of(error)))?;
        self.depth -= 1;
        match operand {
            Operand::Column(column) => Ok(Operand::Column(column.step(Step::Cast(data_type.nullable())))),
            Operand::Literal(literal) => {
                let literal = literal.cast(&data_type.kind).map_err(|error| at(start, text_of(error)))?;
                Ok(Operand::Literal(literal))
            }
        }
    }
}
