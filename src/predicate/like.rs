//! Patterns of `like`: `%` is any text, `_` any character, and one more (usually `\`) takes the next character as it is.

use std::fmt;

use crate::error::{Error, Result};

/// A pattern, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LikePattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// This text
    Text(String),
    /// One character
    One,
    /// Any text
    Any,
}

impl LikePattern {
    /// Takes a pattern apart, in which one character takes the next as it is.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a pattern that ends in that character.
    pub fn parse(pattern: &str, escape: char) -> Result<Self> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = pattern.chars();
        while let Some(c) = rest.next() {
            let part = match c {
                c if c == escape => {
                    let escaped = rest.next();
                    text.push(
                        escaped
                            .ok_or_else(|| Error::invalid(format!("pattern {pattern:?} ends in a lone {escape}")))?,
                    );
                    continue;
                }
                '%' => Part::Any,
                '_' => Part::One,
                plain => {
                    text.push(plain);
                    continue;
                }
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            if part != Part::Any || parts.last() != Some(&Part::Any) {
                parts.push(part);
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { parts })
    }

    /// Any text that begins with this one.
    pub fn prefixed(prefix: &str) -> Self {
        let text = (!prefix.is_empty()).then(|| Part::Text(prefix.to_string()));
        Self { parts: text.into_iter().chain([Part::Any]).collect() }
    }

    /// The text that every match begins with.
    pub fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// Whether the pattern asks for the prefix and nothing else.
    pub fn is_prefix(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Any] | [Part::Text(_), Part::Any])
    }

    /// Whether the pattern is one text without wildcards.
    pub fn is_text(&self) -> bool {
        matches!(self.parts.as_slice(), [] | [Part::Text(_)])
    }

    /// Whether a text follows the pattern.
    pub fn matches(&self, text: &str) -> bool {
        // The usual walk with one way back: to the last `%`, which then takes one character more.
        let (mut at, mut rest) = (0, text);
        let mut back: Option<(usize, &str)> = None;
        loop {
            let step = match self.parts.get(at) {
                Some(Part::Any) => {
                    back = Some((at + 1, rest));
                    Some(rest)
                }
                Some(Part::One) => skip_one(rest),
                Some(Part::Text(wanted)) => rest.strip_prefix(wanted.as_str()),
                None if rest.is_empty() => return true,
                None => None,
            };
            if let Some(after) = step {
                (at, rest) = (at + 1, after);
                continue;
            }
            let Some((after_any, from)) = back else { return false };
            let Some(from) = skip_one(from) else { return false };
            back = Some((after_any, from));
            (at, rest) = (after_any, from);
        }
    }
}

fn skip_one(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    characters.next().map(|_| characters.as_str())
}

/// Prints the pattern as [`LikePattern::parse`] reads it with `\`.
impl fmt::Display for LikePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Any => f.write_str("%")?,
                Part::One => f.write_str("_")?,
                Part::Text(text) => {
                    for c in text.chars() {
                        let escape = if matches!(c, '%' | '_' | '\\') { "\\" } else { "" };
                        write!(f, "{escape}{c}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_any_text_and_one_character() {
        for (pattern, yes, no) in [
            ("a%", vec!["a", "abc"], vec!["", "ba"]),
            ("%a", vec!["a", "bca"], vec!["", "ab"]),
            ("a_c", vec!["abc", "aßc"], vec!["ac", "abbc"]),
            ("%a%b%", vec!["ab", "xaxxbx"], vec!["ba", "a"]),
            ("%ab", vec!["aab", "abab"], vec!["aba"]),
            ("", vec![""], vec!["a"]),
            ("%", vec!["", "a"], vec![]),
            ("_", vec!["ä"], vec!["", "ab"]),
            (r"100\%", vec!["100%"], vec!["1000"]),
            (r"a\_%", vec!["a_", "a_b"], vec!["ab"]),
            ("%%x%%", vec!["x", "axb"], vec!["y"]),
        ] {
            let parsed = LikePattern::parse(pattern, '\\').unwrap();
            for text in yes {
                assert!(parsed.matches(text), "{text} like {pattern}");
            }
            for text in no {
                assert!(!parsed.matches(text), "{text} not like {pattern}");
            }
            assert_eq!(LikePattern::parse(&parsed.to_string(), '\\').unwrap(), parsed, "{pattern}");
        }
    }

    #[test]
    fn a_prefix_may_hold_wildcards() {
        let pattern = LikePattern::prefixed("50%");
        assert!(pattern.matches("50% off") && !pattern.matches("500"));
        assert!(pattern.is_prefix());
        assert_eq!(pattern.prefix(), "50%");
        assert!(LikePattern::parse("a\\", '\\').is_err());
        let own = LikePattern::parse("50!%\\_", '!').unwrap();
        assert!(own.matches("50%\\x") && !own.matches("50x\\x"));
    }

    #[test]
    fn many_wildcards_take_no_exponential_time() {
        let pattern = LikePattern::parse(&"%a".repeat(50), '\\').unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(2_000))));
    }
}
