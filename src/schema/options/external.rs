//! The roots outside of the table that new data files are spread over (`data-file.external-paths`).
//! Spec: `format-spec/layout.md`, files outside of the table.

use super::reader::{Reader, Words, count, split_names};
use crate::error::{Error, Result};

/// Where new data files go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExternalRoots {
    /// Locations with two slashes behind their schemes, without a slash at their ends. Empty: below the table.
    roots: Vec<String>,
    /// The share of each of them; empty for equal shares.
    weights: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strategy {
    None,
    OneScheme,
    RoundRobin,
    Weighted,
    /// Refused for writing by the table of options.
    Entropy,
}

const STRATEGIES: Words<Strategy> = &[
    ("none", Strategy::None),
    ("specific-fs", Strategy::OneScheme),
    ("round-robin", Strategy::RoundRobin),
    ("weight-robin", Strategy::Weighted),
    ("entropy-inject", Strategy::Entropy),
];

impl ExternalRoots {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self> {
        let strategy = read.word("data-file.external-paths.strategy", STRATEGIES)?;
        let told = read.text("data-file.external-paths").map(split_names).unwrap_or_default();
        if told.is_empty() || matches!(strategy, Strategy::None | Strategy::Entropy) {
            return Ok(Self::default());
        }
        let mut roots = told.iter().map(|text| root(text)).collect::<Result<Vec<_>>>()?;
        if strategy == Strategy::OneScheme {
            let scheme = read.text("data-file.external-paths.specific-fs").ok_or_else(|| {
                Error::invalid("option data-file.external-paths.specific-fs is needed by strategy specific-fs")
            })?;
            let begin = format!("{}://", scheme.to_ascii_lowercase());
            roots.retain(|root| root.starts_with(&begin));
            if roots.is_empty() {
                return Err(Error::invalid(format!("option data-file.external-paths: none has scheme {scheme}")));
            }
        }
        let weights = match read.text("data-file.external-paths.weights") {
            Some(text) if strategy == Strategy::Weighted && roots.len() > 1 => weights(text, roots.len())?,
            _ => Vec::new(),
        };
        Ok(Self { roots, weights })
    }

    /// Whether files go below the table.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// The roots.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.roots.iter().map(String::as_str)
    }

    /// The root that a number chooses: numbers in sequence take the roots in turn, or by their shares; `None` where files
    /// go below the table.
    pub fn pick(&self, number: u64) -> Option<&str> {
        let total: u64 = self.weights.iter().sum();
        if total == 0 {
            let place = number.checked_rem(self.roots.len() as u64)?;
            return self.roots.get(usize::try_from(place).ok()?).map(String::as_str);
        }
        // Neighbouring numbers are spread, so that no root gets all of its share at once.
        let mut share = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % total;
        for (root, weight) in self.roots.iter().zip(&self.weights) {
            match share.checked_sub(*weight) {
                Some(rest) => share = rest,
                None => return Some(root),
            }
        }
        None
    }
}

fn root(text: &str) -> Result<String> {
    let wrong = |what: &str| Error::invalid(format!("option data-file.external-paths: {text:?} {what}"));
    let (scheme, rest) = text.split_once(":/").ok_or_else(|| wrong("has no scheme"))?;
    let rest = rest.strip_prefix('/').map_or_else(|| format!("/{rest}"), str::to_string);
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() {
        return Err(wrong("is no directory"));
    }
    Ok(format!("{}://{rest}", scheme.to_ascii_lowercase()))
}

fn weights(text: &str, roots: usize) -> Result<Vec<u64>> {
    let name = "data-file.external-paths.weights";
    let wrong = |what: String| Error::invalid(format!("option {name}: {what}"));
    let each = |part: &str| count::<u32>(part.trim()).ok().filter(|weight| *weight > 0).map(u64::from);
    let weights: Option<Vec<u64>> = text.split(',').map(each).collect();
    let weights = weights.ok_or_else(|| wrong(format!("{text:?} is no list of numbers above 0")))?;
    match weights.len() == roots {
        true => Ok(weights),
        false => Err(wrong(format!("{} weights of {roots} external paths", weights.len()))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    fn roots(options: &[(&str, &str)]) -> Result<ExternalRoots> {
        let told = |(key, value): &(&str, &str)| {
            let end = if key.is_empty() { String::new() } else { format!(".{key}") };
            (format!("data-file.external-paths{end}"), (*value).to_string())
        };
        let options: BTreeMap<String, String> = options.iter().map(told).collect();
        ExternalRoots::read(&Reader { options: &options })
    }

    #[test]
    fn files_go_below_the_table_unless_a_strategy_says_otherwise() {
        for options in
            [&[][..], &[("", "s3://b/x")], &[("strategy", "round-robin")], &[("", "x"), ("strategy", "none")]]
        {
            assert_eq!(roots(options).unwrap().pick(7), None);
        }
    }

    #[test]
    fn roots_take_turns() {
        let two = roots(&[("", "file:/x/ , S3://b/y"), ("strategy", "round-robin")]).unwrap();
        let picked: Vec<_> = (0..3).map(|number| two.pick(number).unwrap()).collect();
        assert_eq!(picked, ["file:///x", "s3://b/y", "file:///x"]);
        let one = [("", "file:/x,s3://b/y"), ("strategy", "specific-fs"), ("specific-fs", "S3")];
        assert_eq!(roots(&one).unwrap().iter().collect::<Vec<_>>(), ["s3://b/y"]);
    }

    #[test]
    fn weights_are_shares() {
        let options = [("", "file:/x,file:/y"), ("strategy", "weight-robin"), ("weights", "1, 3")];
        let roots = roots(&options).unwrap();
        let mut counts: HashMap<&str, i32> = HashMap::new();
        (0..4000).for_each(|number| *counts.entry(roots.pick(number).unwrap()).or_default() += 1);
        assert!((900..1100).contains(&counts["file:///x"]), "{counts:?}");
        assert_eq!(counts.values().sum::<i32>(), 4000);
    }

    #[test]
    fn malformed_roots_are_refused() {
        for options in [
            &[("", "/x"), ("strategy", "round-robin")][..],
            &[("", "file:/"), ("strategy", "round-robin")],
            &[("", "file:/x"), ("strategy", "specific-fs")],
            &[("", "file:/x"), ("strategy", "specific-fs"), ("specific-fs", "s3")],
            &[("", "file:/x,file:/y"), ("strategy", "weight-robin"), ("weights", "1")],
            &[("", "file:/x,file:/y"), ("strategy", "weight-robin"), ("weights", "1,0")],
            &[("", "file:/x"), ("strategy", "nonsense")],
        ] {
            assert!(matches!(roots(options), Err(Error::Invalid(_))), "{options:?}");
        }
    }
}
