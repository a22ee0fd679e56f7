//! The words, signs and literals of a condition, each with its position in characters from 1.

use std::fmt;

use super::at;
use crate::error::Result;

/// One piece of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A word without quotes: a keyword or a name
    Word(String),
    /// A name in backticks or double quotes
    Name(String),
    /// A text in single quotes
    Text(String),
    /// `X'00ff'`
    Bytes(Vec<u8>),
    /// A number without its sign
    Number(String),
    /// A sign
    Sign(&'static str),
}

impl Token {
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found.eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Number(text) => write!(f, "{}", text.escape_debug()),
            Self::Name(text) => write!(f, "`{}`", text.escape_debug()),
            Self::Text(text) => write!(f, "'{}'", text.escape_debug()),
            Self::Bytes(_) => f.write_str("bytes"),
            Self::Sign(sign) => f.write_str(sign),
        }
    }
}

/// Longer signs first.
const SIGNS: [&str; 16] = ["<>", "<=", ">=", "!=", "==", "<", ">", "=", "(", ")", "[", "]", ",", ".", "-", "+"];

pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>> {
    let mut scanner = Scanner { rest: text, position: 1 };
    let mut found = Vec::new();
    loop {
        scanner.take_while(char::is_whitespace);
        let position = scanner.position;
        let Some(first) = scanner.rest.chars().next() else { return Ok(found) };
        let token = match first {
            '\'' => Token::Text(scanner.quoted('\'')?),
            '`' => Token::Name(scanner.quoted('`')?),
            '"' => Token::Name(scanner.quoted('"')?),
            'x' | 'X' if scanner.rest[1..].starts_with('\'') => {
                scanner.skip(1);
                let digits = scanner.quoted('\'')?;
                Token::Bytes(
                    super::super::text::hex(&digits)
                        .ok_or_else(|| at(position, "X'..' holds pairs of hexadecimal digits"))?,
                )
            }
            c if c.is_ascii_digit() || (c == '.' && scanner.rest[1..].starts_with(|c: char| c.is_ascii_digit())) => {
                Token::Number(scanner.number())
            }
            c if c.is_alphabetic() || c == '_' => {
                Token::Word(scanner.take_while(|c| c.is_alphanumeric() || c == '_' || c == '$').to_string())
            }
            c => {
                let Some(sign) = SIGNS.into_iter().find(|sign| scanner.rest.starts_with(sign)) else {
                    return Err(at(position, format!("{:?} means nothing here", c.to_string())));
                };
                scanner.skip(sign.len());
                Token::Sign(sign)
            }
        };
        found.push((position, token));
    }
}

struct Scanner<'a> {
    rest: &'a str,
    position: usize,
}

impl<'a> Scanner<'a> {
    /// Goes on by so many bytes of whole characters.
    fn skip(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes.min(self.rest.len()));
        self.position += taken.chars().count();
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        self.skip(end)
    }

    /// A text in quotes, inside of which the quote is doubled.
    fn quoted(&mut self, quote: char) -> Result<String> {
        let start = self.position;
        self.skip(quote.len_utf8());
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != quote));
            if self.skip(quote.len_utf8()).is_empty() {
                return Err(at(start, format!("the quote {quote} is not closed")));
            }
            if !self.rest.starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
            self.skip(quote.len_utf8());
        }
    }

    fn number(&mut self) -> String {
        let mut text = self.take_while(|c| c.is_ascii_digit() || c == '.').to_string();
        let exponent = self.rest.strip_prefix(['e', 'E']).map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
        if exponent.is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit())) {
            text.push_str(self.skip(2));
            text.push_str(self.take_while(|c| c.is_ascii_digit()));
        }
        text
    }
}
