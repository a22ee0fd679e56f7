//! `format-spec/options.md`, printed from the list of options.

use std::fmt::Write;

use super::option_keys::{ENGINE_PREFIXES, Kind, OptionKey, Rule, THEMES};

/// The page as Markdown.
pub fn options_page() -> String {
    let count: usize = THEMES.iter().map(|(_, keys)| keys.len()).sum();
    let mut page = format!(
        "# Table options\n\n\
        Printed from `src/schema/option_keys/` by the test `the_page_of_options_is_the_print_of_the_list`; \
        write it anew with `FOREBAY_WRITE_SPEC=1 cargo test -p forebay the_page_of_options`.\n\n\
        Every option of Paimon that may stand in a table, {count} names and families of names (`<..>` stands for \
        any text). What this version makes of one:\n\n\
        - **honoured**: the engine does what the value says;\n\
        - **harmless**: any value is accepted, because none changes what is right here, for the reason given;\n\
        - **only ..**: these values and the default are accepted, any other is refused by name.\n\n\
        Where reading and writing differ, both are told; creating a table counts as writing. An option that is not \
        listed is refused, except that reading lets pass what begins with one of the prefixes at the end.\n\n\
        Sizes are `128 mb`, `64kb` or plain bytes, in steps of 1024 (b, kb, mb, gb, tb); durations are `10 min`, \
        `1 h`, `1d` or plain milliseconds (d, h, min, s, ms, µs, ns); a map is `0:lz4,5:zstd`; words and booleans \
        are read in any case.\n"
    );
    for (theme, keys) in THEMES {
        let _ = write!(page, "\n## {theme}\n\n| option | type | default | for | here |\n|---|---|---|---|---|\n");
        for key in keys {
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} |",
                names(key),
                kind(key.kind),
                key.default.map_or_else(String::new, |text| code(&text.escape_debug().to_string())),
                key.about,
                key.stance_text()
            );
        }
    }
    page.push_str("\n## Prefixes that reading lets pass\n\n| prefix | what it is |\n|---|---|\n");
    for (prefix, why) in ENGINE_PREFIXES {
        let _ = writeln!(page, "| `{prefix}` | {why} |");
    }
    page
}

fn code(text: &str) -> String {
    if text.is_empty() { "empty".to_string() } else { format!("`{}`", text.replace('|', "\\|")) }
}

fn names(key: &OptionKey) -> String {
    let old = key.old_names.iter().map(|name| format!("<br>old: {}", code(name)));
    std::iter::once(code(key.name)).chain(old).collect()
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Boolean => "boolean".to_string(),
        Kind::Int => "int".to_string(),
        Kind::Long => "long".to_string(),
        Kind::Float => "float".to_string(),
        Kind::Double => "double".to_string(),
        Kind::Text => "text".to_string(),
        Kind::MemorySize => "size".to_string(),
        Kind::Duration => "duration".to_string(),
        Kind::Enum(words) => words.iter().map(|word| code(word)).collect::<Vec<_>>().join(" "),
        Kind::List => "list".to_string(),
        Kind::Map => "map".to_string(),
        Kind::StatsMode => "`none` `counts` `truncate(n)` `full`".to_string(),
        Kind::StatsModes => "map to `none` `counts` `truncate(n)` `full`".to_string(),
    }
}

impl OptionKey {
    /// What this version makes of the option, in words.
    pub fn stance_text(&self) -> String {
        let (read, write) = (rule(self, self.stance.read), rule(self, self.stance.write));
        let both = if read == write { read } else { format!("reading: {read}; writing: {write}") };
        if self.stance.why.is_empty() { both } else { format!("{both} ({})", self.stance.why) }
    }
}

fn rule(key: &OptionKey, rule: Rule) -> String {
    match rule {
        Rule::Honoured => "honoured".to_string(),
        Rule::Harmless => "harmless".to_string(),
        Rule::Only(values) => {
            let mut values = values.to_vec();
            if let Some(default) = key.default
                && !values.contains(&default)
            {
                values.insert(0, default);
            }
            if values.is_empty() {
                return "refused".to_string();
            }
            format!("only {}", values.iter().map(|value| code(value)).collect::<Vec<_>>().join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_options_is_the_print_of_the_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/format-spec/options.md");
        let page = options_page();
        if std::env::var_os("FOREBAY_WRITE_SPEC").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/format-spec")).unwrap();
            std::fs::write(path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(
            written == page,
            "format-spec/options.md is stale: FOREBAY_WRITE_SPEC=1 cargo test -p forebay the_page_of_options"
        );
    }
}
