//! Every option that may stand in a Paimon table, by name, type, default and what this version makes of it.
//!
//! The list is Paimon's own (core, format, index, Iceberg and engine options, and those that Paimon dropped
//! but old tables carry). An option that is not in it is unknown: nothing here or elsewhere guesses.
//! Spec: `format-spec/options.md`, which is printed from this list.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The type of an option's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false` in any case
    Boolean,
    /// 32 bit
    Int,
    /// 64 bit
    Long,
    /// IEEE single
    Float,
    /// IEEE double
    Double,
    /// Any text
    Text,
    /// Bytes, as [`crate::schema::parse_memory_size`] reads them
    MemorySize,
    /// Time, as [`crate::schema::parse_duration`] reads it
    Duration,
    /// One of these words, in any case
    Enum(&'static [&'static str]),
    /// Names with commas between them
    List,
    /// `key:value` pairs with commas between them
    Map,
    /// `none`, `counts`, `truncate(n)` or `full`
    StatsMode,
    /// `level:mode` pairs with commas between them
    StatsModes,
}

/// What one use of a table makes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The engine does what the value says.
    Honoured,
    /// Any value is accepted, because none of them changes what is right here.
    Harmless,
    /// Only these values (of a map: these values of its entries) and the default are accepted.
    Only(&'static [&'static str]),
}

/// What this version makes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stance {
    /// When rows are read.
    pub read: Rule,
    /// When a table is created or rows are written.
    pub write: Rule,
    /// Why a value is harmless or refused.
    pub why: &'static str,
}

/// One option, or a family of them: `<..>` in the name stands for any text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionKey {
    /// The name.
    pub name: &'static str,
    /// Older names that mean the same.
    pub old_names: &'static [&'static str],
    /// The type.
    pub kind: Kind,
    /// The value when it is not set; `None` where that is no value at all.
    pub default: Option<&'static str>,
    /// What this version makes of it.
    pub stance: Stance,
    /// What it is for.
    pub about: &'static str,
}

const HONOURED: Stance = Stance { read: Rule::Honoured, write: Rule::Honoured, why: "" };

const fn harmless(why: &'static str) -> Stance {
    Stance { read: Rule::Harmless, write: Rule::Harmless, why }
}

/// A reader does what the value says; a writer writes the same whatever it is.
const fn reads(why: &'static str) -> Stance {
    Stance { read: Rule::Honoured, write: Rule::Harmless, why }
}

/// A writer does what the value says; a reader reads the same whatever it is.
const WRITES: Stance = Stance { read: Rule::Harmless, write: Rule::Honoured, why: "no reader looks at it" };

/// Reading is right with any value; creating and writing only with the default and these.
const fn unwritable(values: &'static [&'static str], why: &'static str) -> Stance {
    Stance { read: Rule::Harmless, write: Rule::Only(values), why }
}

/// Only the default and these values are accepted.
const fn refused(values: &'static [&'static str], why: &'static str) -> Stance {
    Stance { read: Rule::Only(values), write: Rule::Only(values), why }
}

/// The rows of a table of options: `"name" | "old name": Kind = "default", stance, "about";`
macro_rules! keys {
    ($($name:literal $(| $old:literal)*: $kind:ident $(($words:expr))? $(= $default:literal)?, $stance:expr,
        $about:literal;)*) => {
        pub(super) const KEYS: &[OptionKey] = &[$(OptionKey {
            name: $name,
            old_names: &[$($old),*],
            kind: Kind::$kind $(($words))?,
            default: super::first(&[$($default)?]),
            stance: $stance,
            about: $about,
        }),*];
    };
}

const fn first(values: &'static [&'static str]) -> Option<&'static str> {
    match values {
        [value, ..] => Some(value),
        [] => None,
    }
}

mod compaction;
mod engines;
mod files;
mod formats;
mod indexes;
mod lifecycle;
mod manifests;
mod read;
mod removed;
mod table;
mod write;

/// The themes of the list, in the order they are printed.
pub(super) const THEMES: [(&str, &[OptionKey]); 11] = [
    ("Tables, keys and versions", table::KEYS),
    ("Data files", files::KEYS),
    ("File formats", formats::KEYS),
    ("Manifests and commits", manifests::KEYS),
    ("Writing", write::KEYS),
    ("Reading and following", read::KEYS),
    ("Changelog and compaction", compaction::KEYS),
    ("Life of a table", lifecycle::KEYS),
    ("Indexes and Iceberg", indexes::KEYS),
    ("Engines", engines::KEYS),
    ("Dropped by Paimon", removed::KEYS),
];

/// Beginnings of unknown options that only an engine's connector or a file system client reads, with the
/// reason why they cannot change what is read. A reader lets them pass, a writer does not.
pub const ENGINE_PREFIXES: [(&str, &str); 21] = [
    ("flink.", "settings of a Flink job"),
    ("spark.", "settings of a Spark session"),
    ("hive.", "settings of Hive's client"),
    ("trino.", "settings of a Trino catalog"),
    ("presto.", "settings of a Presto catalog"),
    ("starrocks.", "settings of a StarRocks catalog"),
    ("doris.", "settings of a Doris catalog"),
    ("sink.", "how a Flink job spreads and commits what it writes"),
    ("source.operator-uid.", "names of a Flink job's state"),
    ("lookup.", "how a lookup join keeps its rows"),
    ("log.", "the message system beside the table that Paimon dropped"),
    ("kafka.", "the message system beside the table that Paimon dropped"),
    ("metadata.iceberg.", "how Iceberg metadata is kept beside the table"),
    ("hadoop.", "settings of Hadoop's file system clients"),
    ("fs.", "settings of a file system client"),
    ("s3.", "settings of a file system client"),
    ("s3a.", "settings of a file system client"),
    ("gs.", "settings of a file system client"),
    ("azure.", "settings of a file system client"),
    ("oss.", "settings of a file system client"),
    ("jindo.", "settings of a file system client"),
];

/// Every known option, theme by theme.
pub fn option_keys() -> impl Iterator<Item = &'static OptionKey> {
    THEMES.iter().flat_map(|(_, keys)| keys.iter())
}

/// Names and old names that stand for themselves.
static BY_NAME: LazyLock<HashMap<&'static str, &'static OptionKey>> = LazyLock::new(|| {
    let names = |key: &'static OptionKey| std::iter::once(&key.name).chain(key.old_names).map(move |name| (*name, key));
    option_keys().filter(|key| !key.is_family()).flat_map(names).collect()
});

/// The option of a name, whether it is its name, an old name or one of a family.
pub fn find_option(name: &str) -> Option<&'static OptionKey> {
    let named = BY_NAME.get(name).copied();
    named.or_else(|| option_keys().find(|key| key.is_family() && captures(key.name, name).is_some()))
}

impl OptionKey {
    /// Whether the name stands for many options.
    pub fn is_family(&self) -> bool {
        self.name.contains('<')
    }
}

/// The texts that `<..>` of a family's name stand for in `name`, when it is of that family.
pub(super) fn captures<'a>(family: &str, name: &'a str) -> Option<Vec<&'a str>> {
    let mut literals = Vec::new();
    let mut rest = family;
    while let Some((literal, tail)) = rest.split_once('<') {
        literals.push(literal);
        rest = tail.split_once('>')?.1;
    }
    let end = rest;
    let mut texts = Vec::new();
    let mut left = name.strip_prefix(*literals.first()?)?;
    for literal in literals.iter().skip(1) {
        let (text, tail) = left.split_once(*literal)?;
        texts.push(text);
        left = tail;
    }
    texts.push(left.strip_suffix(end)?);
    texts.iter().all(|text| !text.is_empty()).then_some(texts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_is_listed_twice() {
        let mut seen = BTreeSet::new();
        for key in option_keys() {
            for name in std::iter::once(&key.name).chain(key.old_names) {
                assert!(seen.insert(*name), "{name}");
            }
        }
        assert!(seen.len() > 550, "{}", seen.len());
    }

    #[test]
    fn an_option_is_found_by_name_old_name_and_family() {
        let name = |text| find_option(text).map(|key| key.name);
        assert_eq!(name("bucket"), Some("bucket"));
        assert_eq!(name("write.compaction-skip"), Some("write-only"));
        assert_eq!(name("fields.a,b.sequence-group"), Some("fields.<columns>.sequence-group"));
        assert_eq!(name("fields.default-aggregate-function"), Some("fields.default-aggregate-function"));
        assert_eq!(name("file-index.bitmap.columns"), Some("file-index.<index>.columns"));
        assert_eq!(name("file-index.bloom-filter.a.items"), Some("file-index.<index>.<column>.<setting>"));
        assert_eq!(name("parquet.enable.dictionary#a"), Some("parquet.enable.dictionary#<column>"));
        assert_eq!(name("commit.callback.my.Class.param"), Some("commit.callback.<class>.param"));
        assert_eq!(name("fields..stats-mode"), None);
        assert_eq!(name("fields.stats-mode"), None);
        assert_eq!(name("no-such-option"), None);
    }

    #[test]
    fn every_option_says_why_unless_it_is_honoured() {
        for key in option_keys() {
            let honoured = key.stance.read == Rule::Honoured && key.stance.write == Rule::Honoured;
            assert_eq!(honoured, key.stance.why.is_empty(), "{}", key.name);
            assert!(!key.about.is_empty(), "{}", key.name);
        }
    }
}
