//! `listagg`: texts joined with a delimiter.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};

use crate::error::{Error, Result};
use crate::lsm::merge::steps::{Fold, Step, fold};
use crate::lsm::merge::{ColumnFrom, Versions};

/// Bytes of a joined text, and of all of a batch: Arrow counts them in 31 bits.
const LONGEST: usize = i32::MAX as usize;

pub(super) fn run(
    delimiter: &str,
    distinct: bool,
    versions: &Versions<'_>,
    place: usize,
    steps: &[Step],
) -> Result<ColumnFrom> {
    let values = versions.column(place)?;
    let values = values.as_string_opt::<i32>().ok_or_else(|| Error::bug("a column of texts that holds none"))?;
    let cell = |position: usize| values.is_valid(position).then(|| Cow::Borrowed(values.value(position)));
    let joined = fold(versions, steps, &mut Join { delimiter, distinct }, cell)?;
    if joined.iter().flatten().map(|text| text.len()).sum::<usize>() > LONGEST {
        return Err(Error::exhausted("joined texts of a batch are longer than 2 GB"));
    }
    Ok(ColumnFrom::Computed(Arc::new(StringArray::from_iter(joined))))
}

struct Join<'a> {
    delimiter: &'a str,
    distinct: bool,
}

impl<'a> Fold for Join<'a> {
    type Cell = Option<Cow<'a, str>>;

    fn null(&self) -> Self::Cell {
        None
    }

    fn add(&mut self, there: Self::Cell, comes: Self::Cell) -> Result<Self::Cell> {
        let Some(comes) = comes.filter(|text| !is_blank(text)) else { return Ok(there) };
        let Some(there) = there.filter(|text| !is_blank(text)) else { return Ok(Some(comes)) };
        if there.len() + self.delimiter.len() + comes.len() > LONGEST {
            return Err(Error::exhausted("a joined text is longer than 2 GB"));
        }
        if !self.distinct {
            let mut text = there.into_owned();
            text.push_str(self.delimiter);
            text.push_str(&comes);
            return Ok(Some(Cow::Owned(text)));
        }
        // Without a delimiter Paimon takes words apart at blanks.
        let cut = if self.delimiter.is_empty() { " " } else { self.delimiter };
        let mut seen: HashSet<&str> = there.split(cut).collect();
        let fresh: Vec<&str> = comes.split(cut).filter(|word| !is_blank(word) && seen.insert(word)).collect();
        let mut text = there.to_string();
        for word in fresh {
            text.push_str(self.delimiter);
            text.push_str(word);
        }
        Ok(Some(Cow::Owned(text)))
    }
}

/// Whether a text has nothing but Java's white space.
fn is_blank(text: &str) -> bool {
    let white = |c: char| match c {
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{85}' => false,
        '\u{1c}'..='\u{1f}' => true,
        other => other.is_whitespace(),
    };
    text.chars().all(white)
}
