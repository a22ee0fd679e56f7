//! Command lines of the bench and of its peers: `--name value` pairs and `--name` flags after a verb.
//!
//! A name nobody asked for is an error, so that a misspelt size never runs as the default one.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use crate::measure::Outcome;

/// What followed the verb and has not been asked for yet.
pub struct Args(BTreeMap<String, String>);

impl Args {
    /// Splits the words after the verb. A name without a value is a flag.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Outcome<Self> {
        let mut pairs = BTreeMap::new();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("{word:?}: a name begins with --"))?;
            let value = words.next_if(|next| !next.starts_with("--")).unwrap_or_default();
            if pairs.insert(name.to_string(), value).is_some() {
                return Err(format!("--{name} is given twice").into());
            }
        }
        Ok(Self(pairs))
    }

    /// The value of a name, if it was given.
    pub fn take<T: FromStr<Err: Display>>(&mut self, name: &str) -> Outcome<Option<T>> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|error| format!("--{name} {value:?}: {error}").into())
    }

    /// The value of a name, or the default one.
    pub fn take_or<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> Outcome<T> {
        Ok(self.take(name)?.unwrap_or(default))
    }

    /// The value of a name that must be there.
    pub fn require<T: FromStr<Err: Display>>(&mut self, name: &str) -> Outcome<T> {
        self.take(name)?.ok_or_else(|| format!("--{name} is missing").into())
    }

    /// The parts of `--name a,b,c`; none when it is not given.
    pub fn list(&mut self, name: &str) -> Outcome<Vec<String>> {
        let text: String = self.take_or(name, String::new())?;
        Ok(text.split(',').filter(|part| !part.is_empty()).map(str::to_string).collect())
    }

    /// Whether a flag is there.
    pub fn flag(&mut self, name: &str) -> Outcome<bool> {
        match self.0.remove(name) {
            None => Ok(false),
            Some(value) if value.is_empty() => Ok(true),
            Some(value) => Err(format!("--{name} takes no value, not {value:?}").into()),
        }
    }

    /// Refuses whatever nobody asked for.
    pub fn finish(self) -> Outcome<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("--{name} is not known here").into()),
        }
    }
}
