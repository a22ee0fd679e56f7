//! Functions of texts in conditions: `upper(name)`, `substring(code, 1, 2)`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, StringArray};

use super::expr::quoted;
use crate::error::{Error, Result};

/// What is made of a text before it is tested; of NULL it is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextFunction {
    /// In capital letters.
    Upper,
    /// In small letters.
    Lower,
    /// Without the characters at its ends that are among these.
    Trim(Ends, String),
    /// From a character on, counted from 1: all of the rest, or so many.
    Substring(usize, Option<usize>),
}

/// Where a text is trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// `trim`
    Both,
    /// `ltrim`
    Start,
    /// `rtrim`
    End,
}

impl TextFunction {
    fn of<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Upper => text.to_uppercase().into(),
            Self::Lower => text.to_lowercase().into(),
            Self::Trim(ends, characters) => {
                let goes = |c| characters.contains(c);
                match ends {
                    Ends::Both => text.trim_matches(goes),
                    Ends::Start => text.trim_start_matches(goes),
                    Ends::End => text.trim_end_matches(goes),
                }
                .into()
            }
            Self::Substring(from, length) => {
                let behind =
                    |text: &'a str, count: usize| text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
                let text = &text[behind(text, from - 1)..];
                length.map_or(text, |length| &text[..behind(text, length)]).into()
            }
        }
    }

    /// What it makes of each text of a lane.
    ///
    /// # Errors
    /// [`Error::Bug`] for a lane of something else; [`Error::Unsupported`] for more than 2 GiB of them.
    pub(super) fn of_lane(&self, lane: &ArrayRef) -> Result<ArrayRef> {
        let texts = lane.as_string_opt::<i32>().ok_or_else(|| Error::bug("a function of texts on a lane of none"))?;
        let made: Vec<_> = texts.iter().map(|text| text.map(|text| self.of(text))).collect();
        // Capital letters may take more room, and the texts of a lane 2 GiB at the most.
        if made.iter().flatten().map(|text| text.len()).sum::<usize>() > i32::MAX as usize {
            return Err(Error::unsupported(format!("{} of so long texts", self.name())));
        }
        Ok(Arc::new(made.into_iter().collect::<StringArray>()))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Upper => "upper",
            Self::Lower => "lower",
            Self::Trim(Ends::Both, _) => "trim",
            Self::Trim(Ends::Start, _) => "ltrim",
            Self::Trim(Ends::End, _) => "rtrim",
            Self::Substring(..) => "substring",
        }
    }
}

/// Prints what stands behind the text, as [`super::parse`] reads it back.
impl fmt::Display for TextFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upper | Self::Lower => Ok(()),
            Self::Trim(_, characters) => write!(f, ", {}", quoted(characters)),
            Self::Substring(from, None) => write!(f, ", {from}"),
            Self::Substring(from, Some(length)) => write!(f, ", {from}, {length}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_changed() {
        let trim = |ends, characters: &str| TextFunction::Trim(ends, characters.to_string());
        for (function, text, wanted) in [
            (TextFunction::Upper, "straße é", "STRASSE É"),
            (TextFunction::Lower, "ÄB1", "äb1"),
            (trim(Ends::Both, " "), "  a b ", "a b"),
            (trim(Ends::Start, "xy"), "yxaxy", "axy"),
            (trim(Ends::End, "xy"), "yxaxy", "yxa"),
            (trim(Ends::Both, ""), " a ", " a "),
            (TextFunction::Substring(1, Some(2)), "äöü", "äö"),
            (TextFunction::Substring(2, None), "äöü", "öü"),
            (TextFunction::Substring(3, Some(9)), "äöü", "ü"),
            (TextFunction::Substring(4, Some(1)), "äöü", ""),
            (TextFunction::Substring(1, Some(0)), "äöü", ""),
        ] {
            assert_eq!(function.of(text), wanted, "{function:?} of {text:?}");
        }
    }
}
