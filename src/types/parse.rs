//! The text form of types: `DECIMAL(10, 2)`, `ARRAY<INT NOT NULL>`, `ROW<a INT, b STRING 'comment'>`.
//!
//! Keywords are found in any case, with Paimon's aliases and defaults. Names in a ROW may stand in backquotes.
//! Nesting is bounded before anything is built. Spec: `format-spec/types.md`.

use std::str::FromStr;

use super::data_type::{MAX_DEPTH, MAX_FIELDS, UNBOUNDED};
use super::{DataType, Field, TypeKind};
use crate::error::{Error, Result};

impl FromStr for DataType {
    type Err = Error;

    /// Parses the text form, case-insensitively, with Paimon's aliases and defaults.
    fn from_str(text: &str) -> Result<Self> {
        let mut parser = Parser { text, tokens: tokens(text)?, at: 0, fields: 0 };
        let data_type = parser.data_type(0)?;
        match parser.peek() {
            None => Ok(data_type),
            Some(_) => Err(parser.bad("something follows the type")),
        }
    }
}

/// A piece of a type's text.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A keyword, a bare name or a number.
    Word(String),
    /// A name in backquotes.
    Name(String),
    /// A comment in quotes.
    Text(String),
    /// One of `<>(),`.
    Mark(char),
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            '<' | '>' | '(' | ')' | ',' => found.push(Token::Mark(first)),
            '\'' | '`' => {
                let mut inside = String::new();
                loop {
                    match rest.next() {
                        Some(c) if c == first && rest.peek() == Some(&first) => inside.extend(rest.next()),
                        Some(c) if c == first => break,
                        Some(c) => inside.push(c),
                        None => return Err(Error::invalid(format!("type {text:?}: a quote is not closed"))),
                    }
                }
                found.push(if first == '`' { Token::Name(inside) } else { Token::Text(inside) });
            }
            space if space.is_whitespace() => {}
            letter => {
                let mut word = String::from(letter);
                let ends = |c: &char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | ',' | '\'' | '`');
                while let Some(c) = rest.next_if(|c| !ends(c)) {
                    word.push(c);
                }
                found.push(Token::Word(word));
            }
        }
    }
    Ok(found)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    fields: usize,
}

impl Parser<'_> {
    fn bad(&self, why: &str) -> Error {
        Error::invalid(format!("type {:?}: {why}", self.text))
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Takes the next token when it is this mark.
    fn mark(&mut self, mark: char) -> bool {
        let found = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: char) -> Result<()> {
        if self.mark(mark) { Ok(()) } else { Err(self.bad(&format!("{mark:?} is missing"))) }
    }

    /// Takes the next tokens when they are these keywords.
    fn words(&mut self, words: &[&str]) -> bool {
        let next = self.tokens.get(self.at..self.at + words.len()).unwrap_or_default();
        let same = |(token, word): (&Token, &&str)| matches!(token, Token::Word(it) if it.eq_ignore_ascii_case(word));
        let found = next.len() == words.len() && next.iter().zip(words).all(same);
        self.at += if found { words.len() } else { 0 };
        found
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType> {
        if depth > MAX_DEPTH {
            return Err(self.bad(&format!("more than {MAX_DEPTH} levels of nesting")));
        }
        let Some(Token::Word(word)) = self.peek().cloned() else {
            return Err(self.bad("not a type"));
        };
        self.at += 1;
        let keyword = word.to_ascii_uppercase();
        let kind = match keyword.as_str() {
            "ARRAY" => TypeKind::Array(self.element(depth)?.into()),
            "MULTISET" => TypeKind::Multiset(self.element(depth)?.into()),
            "MAP" => {
                self.expect('<')?;
                let key = self.data_type(depth + 1)?;
                self.expect(',')?;
                let value = self.data_type(depth + 1)?;
                self.expect('>')?;
                DataType::map(key, value).kind
            }
            "ROW" => TypeKind::Row(self.row(depth)?.into()),
            "VARIANT" => TypeKind::Variant,
            "BLOB" | "VECTOR" | "GEOMETRY" | "GEOGRAPHY" => {
                return Err(Error::unsupported(format!("type {:?}", self.text)));
            }
            other => self.scalar(other)?,
        };
        let nullable = !self.words(&["NOT", "NULL"]);
        if nullable {
            self.words(&["NULL"]);
        }
        Ok(DataType { kind, nullable })
    }

    fn element(&mut self, depth: usize) -> Result<DataType> {
        self.expect('<')?;
        let element = self.data_type(depth + 1)?;
        self.expect('>')?;
        Ok(element)
    }

    /// The fields of a row, in `<>` or in `()`.
    fn row(&mut self, depth: usize) -> Result<Vec<Field>> {
        let end = if self.mark('(') { ')' } else { '>' };
        if end == '>' {
            self.expect('<')?;
        }
        let mut fields = Vec::new();
        if self.mark(end) {
            return Ok(fields);
        }
        loop {
            let name = match self.peek().cloned() {
                Some(Token::Word(name) | Token::Name(name)) => name,
                _ => return Err(self.bad("a field of a row needs a name")),
            };
            self.at += 1;
            self.fields += 1;
            if self.fields > MAX_FIELDS {
                return Err(self.bad(&format!("more than {MAX_FIELDS} fields")));
            }
            let mut field = Field::new(fields.len() as i32, name, self.data_type(depth + 1)?);
            if let Some(Token::Text(comment)) = self.peek() {
                field.description = Some(comment.clone());
                self.at += 1;
            }
            fields.push(field);
            if !self.mark(',') {
                self.expect(end)?;
                return Ok(fields);
            }
        }
    }

    fn scalar(&mut self, keyword: &str) -> Result<TypeKind> {
        Ok(match keyword {
            "BOOLEAN" => TypeKind::Boolean,
            "TINYINT" => TypeKind::TinyInt,
            "SMALLINT" => TypeKind::SmallInt,
            "INT" | "INTEGER" => TypeKind::Int,
            "BIGINT" => TypeKind::BigInt,
            "FLOAT" => TypeKind::Float,
            "DOUBLE" => {
                self.words(&["PRECISION"]);
                TypeKind::Double
            }
            "DATE" => TypeKind::Date,
            "STRING" => TypeKind::STRING,
            "BYTES" => TypeKind::BYTES,
            "DECIMAL" | "NUMERIC" | "DEC" => self.decimal()?,
            "CHAR" => TypeKind::Char(self.length()?),
            "VARCHAR" => TypeKind::VarChar(self.length()?),
            "BINARY" => TypeKind::Binary(self.length()?),
            "VARBINARY" => TypeKind::VarBinary(self.length()?),
            "TIME" => {
                let precision = self.fraction(0)?;
                self.words(&["WITHOUT", "TIME", "ZONE"]);
                TypeKind::Time(precision)
            }
            "TIMESTAMP" => {
                let precision = self.fraction(6)?;
                if self.words(&["WITH", "LOCAL", "TIME", "ZONE"]) {
                    TypeKind::TimestampLtz(precision)
                } else {
                    self.words(&["WITHOUT", "TIME", "ZONE"]);
                    TypeKind::Timestamp(precision)
                }
            }
            "TIMESTAMP_LTZ" => TypeKind::TimestampLtz(self.fraction(6)?),
            _ => return Err(self.bad("not a type")),
        })
    }

    /// The numbers of a pair of parentheses, if there is one.
    fn numbers(&mut self, most: usize) -> Result<Vec<u32>> {
        let mut numbers = Vec::new();
        if !self.mark('(') {
            return Ok(numbers);
        }
        loop {
            let number = match self.peek() {
                Some(Token::Word(word)) => word.parse().ok(),
                _ => None,
            };
            numbers.push(number.ok_or_else(|| self.bad("a number is missing"))?);
            self.at += 1;
            if numbers.len() > most {
                return Err(self.bad("too many numbers in parentheses"));
            }
            if !self.mark(',') {
                self.expect(')')?;
                return Ok(numbers);
            }
        }
    }

    fn decimal(&mut self) -> Result<TypeKind> {
        let numbers = self.numbers(2)?;
        let precision = numbers.first().copied().unwrap_or(10);
        let scale = numbers.get(1).copied().unwrap_or(0);
        if !(1..=38).contains(&precision) || scale > precision {
            return Err(self.bad("precision must be 1 to 38, scale 0 to the precision"));
        }
        Ok(TypeKind::Decimal { precision: precision as u8, scale: scale as u8 })
    }

    fn length(&mut self) -> Result<u32> {
        let length = self.numbers(1)?.first().copied().unwrap_or(1);
        let fits = (1..=UNBOUNDED).contains(&length);
        if fits { Ok(length) } else { Err(self.bad("the length must be at least 1")) }
    }

    fn fraction(&mut self, default: u32) -> Result<u8> {
        let precision = self.numbers(1)?.first().copied().unwrap_or(default);
        if precision <= 9 { Ok(precision as u8) } else { Err(self.bad("the precision must be 0 to 9")) }
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
            "ARRAY<INT NOT NULL> NOT NULL",
            "MAP<STRING NOT NULL, ARRAY<TIMESTAMP(9) WITH LOCAL TIME ZONE>>",
            "MULTISET<DECIMAL(38, 10)>",
            "ROW<a INT, b STRING 'it''s a comment', `c d` ROW<`` INT NOT NULL> NOT NULL>",
            "ROW<>",
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
            ("array< int not null >null", "ARRAY<INT NOT NULL>"),
            ("row(a int, `row` map<int,int>)", "ROW<a INT, row MAP<INT, INT>>"),
        ] {
            assert_eq!(text.parse::<DataType>().unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn types_of_other_worlds_are_refused_by_name_and_nonsense_is_invalid() {
        for text in ["BLOB", "VECTOR<FLOAT, 3>", "GEOMETRY(4326)", "ARRAY<BLOB>", "ROW<a GEOGRAPHY>"] {
            assert!(matches!(text.parse::<DataType>(), Err(Error::Unsupported(_))), "{text}");
        }
        for text in [
            "",
            "INTT",
            "DECIMAL(39, 0)",
            "DECIMAL(5, 6)",
            "TIMESTAMP(10)",
            "CHAR(0)",
            "INT(3)",
            "CHAR(4",
            "ARRAY<INT",
            "ARRAY",
            "MAP<INT>",
            "ROW<INT>",
            "ROW<a INT b INT>",
            "INT>",
            "ROW<a INT 'c>",
        ] {
            assert!(matches!(text.parse::<DataType>(), Err(Error::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn the_fields_of_rows_are_numbered_as_java_does_inner_ones_first() {
        let text = "ROW<a ROW<b INT, c ARRAY<ROW<d INT>>>, e MAP<ROW<f INT>, ROW<g INT>>>";
        let mut next = 8;
        let numbered = text.parse::<DataType>().unwrap().numbered(&mut next);
        let mut ids = Vec::new();
        fn walk(data_type: &DataType, ids: &mut Vec<(String, i32)>) {
            if let TypeKind::Row(fields) = &data_type.kind {
                for field in fields.iter() {
                    ids.push((field.name.clone(), field.id));
                    walk(&field.data_type, ids);
                }
                return;
            }
            data_type.kind.parts().into_iter().for_each(|part| walk(part, ids));
        }
        walk(&numbered, &mut ids);
        let wanted = [("a", 11), ("b", 8), ("c", 10), ("d", 9), ("e", 14), ("f", 12), ("g", 13)];
        assert_eq!((ids, next), (wanted.map(|(name, id)| (name.to_string(), id)).to_vec(), 15));
    }

    #[test]
    fn nesting_and_fields_have_a_limit() {
        let deep = |levels| format!("{}INT{}", "ARRAY<".repeat(levels), ">".repeat(levels));
        assert!(deep(MAX_DEPTH).parse::<DataType>().is_ok());
        assert!(deep(MAX_DEPTH + 1).parse::<DataType>().is_err());
        assert!(deep(1_000_000).parse::<DataType>().is_err());
        let wide = |fields| format!("ROW<{}>", vec!["a INT"; fields].join(","));
        assert!(wide(MAX_FIELDS).parse::<DataType>().is_ok());
        assert!(wide(MAX_FIELDS + 1).parse::<DataType>().is_err());
    }
}
