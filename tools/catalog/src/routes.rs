//! Which request is which: the whole of the protocol on a page.

use std::collections::BTreeMap;

use bytes::Bytes;
use forebay::TableName;
use forebay::catalog::rest::wire::table_name;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::form_urlencoded::parse;

use crate::answer::{Refusal, Resource};
use crate::{Service, commits, databases, partitions, snapshots, tables, tags, views};

/// What every path but that of the configuration begins with behind `/v1`.
const PREFIX: &str = "forebay";

/// The most names on a page.
const MAX_PAGE: usize = 10_000;

/// The answer to a request.
pub type Answer = Result<Value, Refusal>;

/// A request, taken apart.
#[derive(Debug)]
pub struct Asked {
    verb: &'static str,
    parts: Vec<String>,
    query: BTreeMap<String, String>,
    body: Bytes,
}

impl Asked {
    /// Takes a path and a query apart. Clients encode each part as a form does: a blank is a plus sign.
    pub fn new(verb: &'static str, path: &str, query: &str, body: Bytes) -> Self {
        let parts = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        let query = parse(query.as_bytes()).into_owned().collect();
        Self { verb, parts, query, body }
    }

    /// A value of the query that is not empty.
    pub fn query(&self, key: &str) -> Option<&str> {
        self.query.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The body's value.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body).map_err(|error| Refusal::wrong(format!("the request's body: {error}")))
    }

    /// Whether a name fits the pattern that the query has under this key, if any.
    pub fn fits(&self, pattern: &str, name: &str) -> bool {
        self.query(pattern).is_none_or(|pattern| like(pattern, name))
    }

    /// One page of names in order, of those that fit the pattern: the names and where the next page begins.
    pub fn page(&self, names: Vec<String>, pattern: &str) -> Result<(Vec<String>, Option<String>), Refusal> {
        let after = self.query("pageToken");
        let wanted = |name: &String| self.fits(pattern, name) && after.is_none_or(|after| name.as_str() > after);
        let mut names: Vec<String> = names.into_iter().filter(wanted).collect();
        names.sort_unstable();
        let most = match self.query("maxResults").map(str::parse::<usize>) {
            None | Some(Ok(0)) => MAX_PAGE,
            Some(Ok(most)) => most.min(MAX_PAGE),
            Some(Err(_)) => return Err(Refusal::wrong("maxResults is no number")),
        };
        let more = names.len() > most;
        names.truncate(most);
        let next = names.last().filter(|_| more).cloned();
        Ok((names, next))
    }

    /// One page of `database.object` names as identifiers.
    pub fn page_of_objects(&self, names: Vec<String>) -> Result<(Vec<Value>, Option<String>), Refusal> {
        let (names, next) = self.page(names, "")?;
        let parts = names.iter().filter_map(|name| name.split_once('.'));
        Ok((parts.map(|(database, object)| json!({"database": database, "object": object})).collect(), next))
    }
}

fn decoded(part: &str) -> String {
    // A lone key of a form.
    parse(part.replace('=', "%3D").replace('&', "%26").as_bytes())
        .next()
        .map(|(key, _)| key.into_owned())
        .unwrap_or_default()
}

/// SQL's LIKE: `%` stands for any text, `_` for any letter, and a backslash before either for itself.
fn like(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // Where in the text the pattern may have come to so far.
    let mut at = vec![false; text.len() + 1];
    at[0] = true;
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter == '%' {
            let first = at.iter().position(|reached| *reached).unwrap_or(at.len());
            at[first..].fill(true);
            continue;
        }
        let (any, letter) = match letter {
            '_' => (true, letter),
            '\\' => (false, letters.next().unwrap_or('\\')),
            letter => (false, letter),
        };
        for place in (0..text.len()).rev() {
            at[place + 1] = at[place] && (any || text[place] == letter);
        }
        at[0] = false;
    }
    at[text.len()]
}

/// Answers a request.
pub async fn route(service: &Service, asked: &Asked) -> Answer {
    let parts: Vec<&str> = asked.parts.iter().map(String::as_str).collect();
    match (asked.verb, parts.as_slice()) {
        ("GET", ["v1", "config"]) => config(service, asked),
        (verb, ["v1", PREFIX, "databases", rest @ ..]) => below_databases(service, asked, verb, rest).await,
        ("POST", ["v1", PREFIX, "tables", "rename"]) => tables::rename(service, asked).await,
        ("GET", ["v1", PREFIX, "tables"]) => tables::list_all(service, asked).await,
        ("GET", ["v1", PREFIX, "tables", "id", id]) => tables::by_id(service, id).await,
        ("GET", ["v1", PREFIX, "views"]) => views::list_all(service, asked).await,
        ("POST", ["v1", PREFIX, "views", "rename"]) => views::rename(service, asked).await,
        ("GET", ["v1", PREFIX, "functions"]) => Ok(json!({"functions": []})),
        (verb, _) => Err(unknown(verb, &parts)),
    }
}

async fn below_databases(service: &Service, asked: &Asked, verb: &str, rest: &[&str]) -> Answer {
    match (verb, rest) {
        ("GET", []) => databases::list(service, asked).await,
        ("POST", []) => databases::create(service, asked).await,
        ("GET", [database]) => databases::get(service, database).await,
        ("POST", [database]) => databases::alter(service, asked, database).await,
        ("DELETE", [database]) => databases::drop(service, database).await,
        ("GET", [database, "tables"]) => tables::list(service, asked, database).await,
        ("POST", [_, "tables"]) => tables::create(service, asked).await,
        ("GET", [database, "table-details"]) => tables::details(service, asked, database).await,
        ("POST", [_, "register"]) => Err(Refusal::unsupported("registering a table that lies elsewhere")),
        (verb, [database, "tables", object, rest @ ..]) => {
            let table = table_name(database, object);
            let table = table.map_err(|error| Refusal::of(error, Resource::Table, object))?;
            below_table(service, asked, verb, &table, rest).await
        }
        ("GET", [database, "views"]) => views::list(service, asked, database).await,
        ("POST", [_, "views"]) => views::create(service, asked).await,
        ("GET", [database, "view-details"]) => views::details(service, asked, database).await,
        ("GET", [database, "views", view]) => views::get(service, database, view).await,
        ("POST", [database, "views", view]) => views::alter(service, asked, database, view).await,
        ("DELETE", [database, "views", view]) => views::drop(service, database, view).await,
        ("GET", [_, "functions"]) => Ok(json!({"functions": []})),
        ("GET", [_, "function-details"]) => Ok(json!({"functionDetails": []})),
        ("GET", [_, "functions", name]) => Err(Refusal::missing(Resource::Function, name)),
        (_, [_, "functions", ..]) => Err(Refusal::unsupported("functions")),
        (verb, rest) => Err(unknown(verb, rest)),
    }
}

async fn below_table(service: &Service, asked: &Asked, verb: &str, table: &TableName, rest: &[&str]) -> Answer {
    match (verb, rest) {
        ("GET", []) => tables::get(service, table).await,
        ("POST", []) => tables::alter(service, asked, table).await,
        ("DELETE", []) => tables::drop(service, table).await,
        ("POST", ["commit"]) => commits::commit(service, asked, table).await,
        ("GET", ["snapshot"]) => snapshots::latest(service, table).await,
        ("GET", ["snapshots"]) => snapshots::list(service, asked, table).await,
        ("GET", ["snapshots", version]) => snapshots::get(service, table, version).await,
        ("GET", ["partitions"]) => partitions::list(service, asked, table).await,
        ("POST", ["partitions", "list-by-names"]) => partitions::list_by_names(service, asked, table).await,
        ("GET", ["tags"]) => tags::list(service, asked, table).await,
        ("POST", ["tags"]) => tags::create(service, asked, table).await,
        ("GET", ["tags", tag]) => tags::get(service, table, tag).await,
        ("DELETE", ["tags", tag]) => tags::delete(service, table, tag).await,
        ("GET", ["branches"]) => tags::list_branches(service, table).await,
        ("POST", ["branches"]) => tags::create_branch(service, asked, table).await,
        ("DELETE", ["branches", branch]) => tags::delete_branch(service, table, branch).await,
        ("GET", ["consumers"]) => tags::list_consumers(service, asked, table).await,
        ("POST", ["rollback"]) => Err(Refusal::unsupported("rollback: it would take snapshots away under writers")),
        ("POST", ["rollback-schema"]) => tables::rollback_schema(service, asked, table).await,
        ("POST", ["replace"]) => Err(Refusal::unsupported("replacing a table")),
        ("POST", ["auth"]) => Err(Refusal::unsupported("query-auth.enabled")),
        ("GET", ["token"]) => Err(Refusal::unsupported("data-token.enabled: credentials of the store")),
        ("POST", ["branches", _, "forward"]) => Err(Refusal::unsupported("fast-forward of a branch")),
        ("POST", ["branches", ..]) => Err(Refusal::unsupported("renaming a branch")),
        ("POST", ["consumers", "reset"]) => Err(Refusal::unsupported("resetting a consumer")),
        ("POST", ["partitions", "list-by-filter"]) => Err(Refusal::unsupported("listing partitions by a filter")),
        ("POST", ["partitions", ..]) => Err(Refusal::unsupported("partitions that the catalog keeps")),
        (verb, rest) => Err(unknown(verb, rest)),
    }
}

fn unknown(verb: &str, parts: &[&str]) -> Refusal {
    Refusal::unsupported(&format!("{verb} /{}", parts.join("/")))
}

/// What a client is to do: nothing but to use this prefix.
fn config(service: &Service, asked: &Asked) -> Answer {
    let known = |told: &str| [&service.name, &service.location].iter().any(|name| *name == told.trim_end_matches('/'));
    // pypaimon encodes it twice.
    if let Some(warehouse) = asked.query("warehouse")
        && !known(warehouse)
        && !known(&decoded(warehouse))
    {
        let served = &service.name;
        return Err(Refusal::wrong(format!("warehouse {warehouse:?} is not served here; this is {served:?}")));
    }
    Ok(json!({"defaults": {}, "overrides": {"prefix": PREFIX}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_before_its_parts_are_decoded() {
        let asked = Asked::new(
            "GET",
            "/v1/forebay/databases/a%2Fb/tables/t%24branch_x+y/",
            "maxResults=3&pageToken=a%26b",
            Bytes::new(),
        );
        assert_eq!(asked.parts, ["v1", "forebay", "databases", "a/b", "tables", "t$branch_x y"]);
        assert_eq!(
            (asked.query("maxResults"), asked.query("pageToken"), asked.query("x")),
            (Some("3"), Some("a&b"), None)
        );
        assert_eq!(Asked::new("GET", "/a=b&c%2Bd", "", Bytes::new()).parts, ["a=b&c+d"]);
    }

    #[test]
    fn pages_follow_each_other_to_the_last_name() {
        let names: Vec<String> = ["a1", "a2", "a3", "b1"].map(String::from).to_vec();
        let page = |query: &str| Asked::new("GET", "/", query, Bytes::new()).page(names.clone(), "p");
        assert_eq!(page("maxResults=2&p=a%25").unwrap(), (vec!["a1".into(), "a2".into()], Some("a2".into())));
        assert_eq!(page("maxResults=2&p=a%25&pageToken=a2").unwrap(), (vec!["a3".into()], None));
        assert_eq!(page("").unwrap(), (names.clone(), None));
        assert_eq!(page("maxResults=4").unwrap().1, None);
        assert!(page("maxResults=x").is_err());
        // A hyphen comes before a dot: databases in order do not give names in order.
        let names: Vec<String> = ["a.t", "a-b.t", "a-b.u"].map(String::from).to_vec();
        let page = |query: &str| Asked::new("GET", "/", query, Bytes::new()).page_of_objects(names.clone()).unwrap();
        let (first, token) = page("maxResults=2");
        let (second, end) = page(&format!("maxResults=2&pageToken={}", token.unwrap()));
        let found: Vec<&Value> = first.iter().chain(&second).map(|object| &object["database"]).collect();
        assert_eq!((found, end), (vec![&json!("a-b"), &json!("a-b"), &json!("a")], None));
    }

    #[test]
    fn patterns_are_those_of_sql() {
        for (pattern, text, fits) in [
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("a_c", "abc", true),
            ("a\\_c", "abc", false),
            ("a\\_c", "a_c", true),
            ("", "", true),
            ("%a%b%", "xaxbx", true),
            ("%a%b", "xaxbx", false),
            ("%", "", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(like(pattern, text), fits, "{pattern} {text}");
        }
    }
}
