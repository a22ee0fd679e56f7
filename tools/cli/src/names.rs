//! Names of columns as people write them: `address.city`, `` `a.b`.x ``. Between backticks or double quotes, which are
//! doubled for themselves, a name may have dots, blanks, commas and signs.

use std::str::FromStr;

use forebay::read::Sort;

/// The names from a column to what lies in it that a text begins with, and what is left of it from the first character on
/// that `ends` them outside of quotes.
///
/// # Errors
/// A quote that is not closed, and something behind one that is.
pub fn split_path(text: &str, ends: fn(char) -> bool) -> Result<(Vec<String>, &str), String> {
    let mut names = Vec::new();
    let mut left = text.trim_start();
    loop {
        let quote = left.chars().next().filter(|c| matches!(c, '`' | '"'));
        let name = match quote {
            Some(quote) => {
                let (name, rest) =
                    quoted(&left[1..], quote).ok_or(format!("the quote of a name in {text:?} is not closed"))?;
                let behind = rest.trim_start();
                let goes_on = behind.is_empty() || behind.starts_with('.') || behind.starts_with(ends);
                if !goes_on && !rest.starts_with(ends) {
                    return Err(format!("something stands behind the closing quote of a name in {text:?}"));
                }
                left = if rest.starts_with(ends) { rest } else { behind };
                name
            }
            None => {
                let end = left.find(|c| c == '.' || ends(c)).unwrap_or(left.len());
                let (name, rest) = left.split_at(end);
                left = rest;
                name.trim().to_string()
            }
        };
        names.push(name);
        match left.strip_prefix('.') {
            Some(more) => left = more.trim_start(),
            None => return Ok((names, left)),
        }
    }
}

/// What stands before a closing quote, and what behind it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut left = text;
    loop {
        let (inner, rest) = left.split_once(quote)?;
        name.push_str(inner);
        match rest.strip_prefix(quote) {
            Some(more) => {
                name.push(quote);
                left = more;
            }
            None => return Some((name, rest)),
        }
    }
}

/// All of a text as the names from a column to what lies in it.
///
/// # Errors
/// As [`split_path`].
pub fn path(text: &str) -> Result<Vec<String>, String> {
    split_path(text, |_| false).map(|(names, _)| names)
}

/// A text that is one name.
///
/// # Errors
/// As [`split_path`], and for more names than one.
pub fn name(text: &str) -> Result<String, String> {
    match path(text)?.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(format!("{text:?} is more than one name: one with a dot stands between backticks")),
    }
}

/// Whole columns with commas between them: `id, `a,b``.
#[derive(Debug, Clone)]
pub struct Names(Vec<String>);

impl FromStr for Names {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let columns = split_columns(text, |c| c == ',')?;
        if let Some((column, behind)) = columns.iter().find(|(_, behind)| !behind.is_empty()) {
            return Err(format!("{behind:?} stands behind the column {column:?}"));
        }
        Ok(Self(columns.into_iter().map(|(column, _)| column).collect()))
    }
}

impl Names {
    /// All of several lists.
    pub fn of(lists: &[Self]) -> Vec<String> {
        lists.iter().flat_map(|list| list.0.iter().cloned()).collect()
    }
}

/// An order by columns: `day desc, `a,b` nulls last`.
#[derive(Debug, Clone)]
pub struct Order(pub Vec<Sort>);

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let columns = split_columns(text, |c| c == ',' || c.is_whitespace())?;
        let told = |(column, order): (String, &str)| Sort::told(column, order).map_err(|error| error.to_string());
        columns.into_iter().map(told).collect::<Result<_, _>>().map(Self)
    }
}

/// The names that a list begins its items with, each with what stands behind it before the next comma.
fn split_columns(text: &str, ends: fn(char) -> bool) -> Result<Vec<(String, &str)>, String> {
    let mut columns = Vec::new();
    let mut left = text;
    loop {
        left = left.trim_start();
        let name = match left.chars().next().filter(|c| matches!(c, '`' | '"')) {
            Some(quote) => {
                let (name, rest) =
                    quoted(&left[1..], quote).ok_or(format!("the quote of a name in {text:?} is not closed"))?;
                left = rest;
                name
            }
            None => {
                let (name, rest) = left.split_at(left.find(ends).unwrap_or(left.len()));
                left = rest;
                name.trim_end().to_string()
            }
        };
        let (behind, rest) = left.split_once(',').map_or((left, None), |(behind, rest)| (behind, Some(rest)));
        columns.push((name, behind.trim()));
        match rest {
            Some(rest) => left = rest,
            None => return Ok(columns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_quoted() {
        for (text, wanted) in [
            ("a", vec!["a"]),
            (" r . x ", vec!["r", "x"]),
            ("`a.b`", vec!["a.b"]),
            ("r.`x y`.\"z\"\"q\"", vec!["r", "x y", "z\"q"]),
            ("m.```  ` ", vec!["m", "`  "]),
            ("", vec![""]),
        ] {
            assert_eq!(path(text).unwrap(), wanted, "{text}");
        }
        assert_eq!(name("`c.d`").unwrap(), "c.d");
        for text in ["`a", "`a`b", "r.`x", "`a` b", "\"a`", "m.`` ` ``"] {
            assert!(path(text).is_err(), "{text}");
        }
        assert!(name("r.y").is_err());
    }

    #[test]
    fn lists_of_columns_may_have_commas_in_quotes() {
        for (text, wanted) in [
            ("a", vec!["a"]),
            (" a, b.c ,d e", vec!["a", "b.c", "d e"]),
            ("`x,y`, \"p q\" ,z", vec!["x,y", "p q", "z"]),
            ("a,,b", vec!["a", "", "b"]),
        ] {
            assert_eq!(Names::of(&[text.parse().unwrap()]), wanted, "{text}");
        }
        for text in ["`a", "`a`b", "`a` b"] {
            assert!(text.parse::<Names>().is_err(), "{text}");
        }
        let Order(order) = "`a,b` desc nulls first, c NULLS last,d".parse().unwrap();
        let wanted =
            [Sort::descending("a,b").nulls_first(true), Sort::ascending("c").nulls_first(false), Sort::ascending("d")];
        assert_eq!(order, wanted);
        for text in ["a b", "a desc asc", "`a` nulls", "a nulls first desc"] {
            assert!(text.parse::<Order>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_ends_where_it_is_told_to() {
        let sign = |text| split_path(text, |c| c == '=');
        assert_eq!(sign("r.`x=y`=z").unwrap(), (vec!["r".to_string(), "x=y".to_string()], "=z"));
        assert_eq!(sign("`a=b` = c").unwrap(), (vec!["a=b".to_string()], "= c"));
        assert_eq!(sign("a = say `b`=c").unwrap(), (vec!["a".to_string()], "= say `b`=c"));
        let blank = |text| split_path(text, char::is_whitespace);
        assert_eq!(blank("`a.b` INT").unwrap(), (vec!["a.b".to_string()], " INT"));
        assert_eq!(blank("r.`x y` ROW<`p.q` INT>").unwrap().1, " ROW<`p.q` INT>");
        assert!(blank("`a`INT").is_err());
    }
}
