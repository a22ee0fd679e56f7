//! Cutting files into sections of overlapping key ranges, and a section into the fewest sorted runs.
//! Spec: `format-spec/merge-tree.md`, sections.

use std::cmp::Ordering;

use crate::error::Result;
use crate::format::BinaryRow;
use crate::types::{DataType, Datum};

/// A key as it stands in a file's description, in Paimon's order.
#[derive(Debug, Clone)]
pub struct KeyBound(Values);

/// Most keys are one column: a plan of many files holds two for each of them.
#[derive(Debug, Clone)]
enum Values {
    One(Datum),
    Many(Vec<Datum>),
}

impl KeyBound {
    /// The key of a file's description.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when the bytes are no such key.
    pub fn of(key: &BinaryRow, types: &[DataType]) -> Result<Self> {
        match types {
            [one] if key.arity() == 1 => key.get(0, &one.kind).map(|value| Self(Values::One(value))),
            _ => key.decode(types).map(Self::from),
        }
    }

    /// The values of the key's columns.
    pub fn values(&self) -> &[Datum] {
        match &self.0 {
            Values::One(value) => std::slice::from_ref(value),
            Values::Many(values) => values,
        }
    }
}

impl From<Vec<Datum>> for KeyBound {
    fn from(values: Vec<Datum>) -> Self {
        Self(Values::Many(values))
    }
}

impl PartialEq for KeyBound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for KeyBound {}

impl PartialOrd for KeyBound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyBound {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.values(), other.values());
        let differ = a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
        differ.unwrap_or_else(|| a.len().cmp(&b.len()))
    }
}

/// Something with a key range.
#[derive(Debug, Clone)]
pub struct Ranged<T> {
    /// The smallest key.
    pub min: KeyBound,
    /// The largest key.
    pub max: KeyBound,
    /// What has it.
    pub item: T,
}

/// Files whose key ranges overlap, as runs of files that do not.
pub type Section<T> = Vec<Vec<Ranged<T>>>;

/// Cuts into sections, in key order; inside a section every run is in key order.
pub fn sections<T>(mut items: Vec<Ranged<T>>) -> Vec<Section<T>> {
    items.sort_by(|a, b| a.min.cmp(&b.min).then_with(|| a.max.cmp(&b.max)));
    let mut sections: Vec<Section<T>> = Vec::new();
    let mut reach: Option<KeyBound> = None;
    for item in items {
        let apart = reach.as_ref().is_none_or(|reach| item.min > *reach);
        if apart {
            sections.push(Vec::new());
        }
        if apart || reach.as_ref().is_some_and(|reach| item.max > *reach) {
            reach = Some(item.max.clone());
        }
        if let Some(section) = sections.last_mut() {
            place(section, item);
        }
    }
    sections
}

/// Appends to the run that ends first, if it ends before the item begins; else begins a run. Items come by
/// rising minimum, so this gives the fewest runs.
fn place<T>(section: &mut Section<T>, item: Ranged<T>) {
    let ends =
        |a: &Vec<Ranged<T>>, b: &Vec<Ranged<T>>| a.last().map(|last| &last.max).cmp(&b.last().map(|last| &last.max));
    let earliest = section.iter_mut().min_by(|a, b| ends(a, b));
    match earliest {
        Some(run) if run.last().is_some_and(|last| last.max < item.min) => run.push(item),
        _ => section.push(vec![item]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(list: &[(i32, i32)]) -> Vec<Ranged<()>> {
        let bound = |key: i32| KeyBound::from(vec![Datum::Int(key)]);
        list.iter().map(|(min, max)| Ranged { min: bound(*min), max: bound(*max), item: () }).collect()
    }

    #[test]
    fn ranges_that_do_not_touch_are_sections_of_their_own() {
        let shape: Vec<Vec<usize>> = sections(ranges(&[(5, 9), (1, 3), (4, 4), (10, 20)]))
            .iter()
            .map(|section| section.iter().map(Vec::len).collect())
            .collect();
        assert_eq!(shape, [[1], [1], [1], [1]]);
    }

    #[test]
    fn a_section_has_the_fewest_runs() {
        let cut = sections(ranges(&[(1, 10), (2, 4), (5, 7), (6, 8), (11, 12)]));
        assert_eq!(cut.len(), 2);
        assert_eq!(cut[0].len(), 3);
        assert_eq!(cut[0].iter().map(Vec::len).sum::<usize>(), 4);
    }
}
