//! A strict reader of the JSON of one line: objects are walked member by member, values go straight into lanes.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::InputError;
use super::lane_in::LaneBuilder;

/// A place in a line.
pub struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a line.
    pub fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0 }
    }

    /// Takes these bytes when they come next.
    pub fn skip(&mut self, bytes: &[u8]) -> bool {
        let found = self.bytes[self.at..].starts_with(bytes);
        self.at += if found { bytes.len() } else { 0 };
        found
    }

    /// Makes sure that nothing but blanks follows.
    pub fn end(&mut self) -> Result<(), InputError> {
        self.blank();
        match self.at < self.bytes.len() {
            true => Err(self.unexpected("the end of the line")),
            false => Ok(()),
        }
    }

    /// Skips blanks.
    pub fn blank(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, wanted: &str) -> InputError {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("{found:?} at byte {}", self.at + 1),
            None => "the end of the line".to_string(),
        };
        InputError::of_line(format!("is no JSON object: found {found}, not {wanted}"))
    }

    /// Takes a character that must be there, after blanks.
    pub fn open(&mut self, wanted: char) -> Result<(), InputError> {
        self.blank();
        if self.bytes.get(self.at) != Some(&(wanted as u8)) {
            return Err(self.unexpected(&format!("{wanted:?}")));
        }
        self.at += 1;
        Ok(())
    }

    /// Goes to the next member of an object; false behind its end.
    pub fn member(&mut self, first: &mut bool) -> Result<bool, InputError> {
        self.blank();
        match self.bytes.get(self.at) {
            Some(b'}') => {
                self.at += 1;
                return Ok(false);
            }
            Some(b',') if !*first => self.at += 1,
            _ if *first => {}
            _ => return Err(self.unexpected("',' or '}'")),
        }
        *first = false;
        self.blank();
        match self.bytes.get(self.at) {
            Some(b'"') => Ok(true),
            _ => Err(self.unexpected("a name in quotes")),
        }
    }

    /// Goes to the next element of an array; false behind its end.
    pub fn element(&mut self, first: &mut bool) -> Result<bool, InputError> {
        self.blank();
        match self.bytes.get(self.at) {
            Some(b']') => {
                self.at += 1;
                return Ok(false);
            }
            Some(b',') if !*first => self.at += 1,
            _ if *first => {}
            _ => return Err(self.unexpected("',' or ']'")),
        }
        *first = false;
        self.blank();
        Ok(true)
    }

    /// Whether this byte comes next.
    pub fn sees(&self, byte: u8) -> bool {
        self.bytes.get(self.at) == Some(&byte)
    }

    /// Takes a string. It is a part of the line, or of `scratch` when it has escapes.
    pub fn string<'s>(&mut self, scratch: &'s mut String) -> Result<&'s str, InputError>
    where
        'a: 's,
    {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.unexpected("a string"));
        }
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => return self.escaped(start, at, scratch),
                Some(0x20..) => at += 1,
                _ => {
                    self.at = at;
                    return Err(self.unexpected("a closing quote"));
                }
            }
        }
        self.at = at + 1;
        Ok(&self.text[start..at])
    }

    /// The rest of a string from its first escape on.
    fn escaped<'s>(&mut self, start: usize, first: usize, scratch: &'s mut String) -> Result<&'s str, InputError> {
        scratch.clear();
        scratch.push_str(&self.text[start..first]);
        self.at = first;
        loop {
            let from = self.at;
            while matches!(self.bytes.get(self.at), Some(0x20..)) && !matches!(self.bytes[self.at], b'"' | b'\\') {
                self.at += 1;
            }
            scratch.push_str(&self.text[from..self.at]);
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape()?;
                    scratch.push(c);
                }
                _ => return Err(self.unexpected("a closing quote")),
            }
        }
        self.at += 1;
        Ok(scratch)
    }

    fn escape(&mut self) -> Result<char, InputError> {
        let code = self.bytes.get(self.at).copied();
        let simple = match code {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        Ok(simple)
    }

    /// `uXXXX`, or two of them for a character beyond the first plane.
    fn unicode(&mut self) -> Result<char, InputError> {
        let high = self.hex()?;
        let code = match high {
            0xD800..0xDC00 if self.bytes.get(self.at) == Some(&b'\\') => {
                self.at += 1;
                let low = self.hex()?;
                if !(0xDC00..0xE000).contains(&low) {
                    return Err(InputError::of_line("a string has half of a surrogate pair"));
                }
                0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| InputError::of_line("a string has half of a surrogate pair"))
    }

    fn hex(&mut self) -> Result<u32, InputError> {
        let digits = self.bytes.get(self.at..self.at + 5).filter(|d| d[0] == b'u');
        let digits = digits.filter(|d| d[1..].iter().all(u8::is_ascii_hexdigit));
        let digits = digits.ok_or_else(|| self.unexpected("u and four hexadecimal digits"))?;
        let code = digits[1..].iter().fold(0, |code, digit| code * 16 + (*digit as char).to_digit(16).unwrap_or(0));
        self.at += 5;
        Ok(code)
    }

    /// Takes a number and gives its text.
    pub fn number(&mut self) -> Result<&'a [u8], InputError> {
        let start = self.at;
        let digits = |at: &mut usize| {
            let from = *at;
            while self.bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at - from
        };
        let mut at = start + usize::from(self.bytes.get(start) == Some(&b'-'));
        let zero = self.bytes.get(at) == Some(&b'0');
        let whole = digits(&mut at);
        let mut good = whole == 1 || (whole > 1 && !zero);
        if good && self.bytes.get(at) == Some(&b'.') {
            at += 1;
            good = digits(&mut at) > 0;
        }
        if good && matches!(self.bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(self.bytes.get(at), Some(b'+' | b'-')));
            good = digits(&mut at) > 0;
        }
        if !good {
            return Err(self.unexpected("a JSON value"));
        }
        self.at = at;
        Ok(&self.bytes[start..at])
    }

    /// Takes a value of any shape.
    pub fn json(&mut self) -> Result<serde_json::Value, InputError> {
        let mut checked = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<Unique>();
        if let Some(Err(error)) = checked.next() {
            return Err(InputError::of_line(format!("is no JSON value: {error}")));
        }
        let mut values = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(InputError::of_line(format!("is no JSON value: {error}"))),
            None => return Err(self.unexpected("a JSON value")),
        };
        self.at += values.byte_offset();
        Ok(value)
    }

    /// Takes a value into a lane.
    pub fn value(&mut self, lane: &mut LaneBuilder, scratch: &mut String) -> Result<(), InputError> {
        let start = self.at;
        let null = self.bytes[start..].starts_with(b"null");
        if let Some(nested) = lane.nested()
            && (matches!(self.bytes.get(start), Some(b'{' | b'[')) || (nested.takes_all() && !null))
        {
            return nested.take(self, scratch);
        }
        let pushed = match self.bytes.get(start) {
            Some(b'"') => lane.push_string(self.string(scratch)?),
            Some(b'-' | b'0'..=b'9') => lane.push_number(self.number()?),
            Some(b'n') => self.word("null").map(|()| lane.push_null())?,
            Some(b't') => self.word("true").map(|()| lane.push_bool(true))?,
            Some(b'f') => self.word("false").map(|()| lane.push_bool(false))?,
            Some(b'{') => Err(format!("is an object, but the column is {}", lane.data_type().kind)),
            Some(b'[') => Err(format!("is an array, but the column is {}", lane.data_type().kind)),
            _ => return Err(self.unexpected("a JSON value")),
        };
        pushed.map_err(|why| {
            let end = self.at.max(start + 1).min(self.bytes.len());
            InputError::of_value(lane.name(), &self.bytes[start..end], why)
        })
    }

    fn word(&mut self, word: &str) -> Result<(), InputError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.unexpected("a JSON value"));
        }
        self.at += word.len();
        Ok(())
    }
}

/// Any JSON value whose objects have no member twice: `Value` would keep the last of them.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    /// An object; a number comes as one, too, with a member of serde_json's own.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            members.next_value::<Self>()?;
            if let Some(name) = names.replace(name) {
                return Err(serde::de::Error::custom(format!("{name:?} is given twice")));
            }
        }
        Ok(self)
    }
}
