//! Which tables a compaction is about.

use std::collections::{BTreeSet, HashMap};

use forebay::Table;
use forebay::catalog::TableName;

use crate::cli::{Common, Compact};
use crate::failure::{Failure, Result};
use crate::target::{Target, names_branch};

/// Tables, databases and warehouses, with the patterns that choose among their tables.
pub struct Targets {
    named: Vec<Named>,
    scopes: Vec<Scope>,
    include: Vec<String>,
    exclude: Vec<String>,
    /// A service may wait for the tables that it is for.
    waits: bool,
}

/// One table.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its name for people.
    pub name: String,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    /// As it was typed.
    Typed(String),
    /// In a warehouse.
    Warehouse(String, TableName),
}

/// A database or a warehouse.
#[derive(Debug, Clone)]
struct Scope {
    warehouse: String,
    database: Option<String>,
    /// A location that may be a table, too.
    or_table: bool,
}

impl Named {
    /// Whether it was named on the command line, not found in a database.
    pub fn is_typed(&self) -> bool {
        matches!(self.place, Place::Typed(_))
    }

    /// What names it, and no other table of the call.
    pub fn key(&self) -> String {
        match &self.place {
            Place::Typed(text) => text.clone(),
            Place::Warehouse(warehouse, table) => format!("{warehouse} {table}"),
        }
    }

    /// Opens it, as the table has it: without the options of the call, but for that of the branch.
    pub async fn open(&self, common: &Common, options: &[(String, String)]) -> Result<Table> {
        match &self.place {
            Place::Typed(text) => {
                let branch: Vec<_> = options.iter().filter(|(key, _)| key == BRANCH).cloned().collect();
                super::super::open_table(text, common, &branch).await
            }
            Place::Warehouse(warehouse, name) => Ok(super::super::open_catalog(warehouse, common)?.table(name).await?),
        }
    }

    /// The opened table with the options of the call.
    pub fn with_options(&self, table: Table, options: &[(String, String)]) -> Result<Table> {
        let opened = |key: &str| self.is_typed() && key == BRANCH;
        let told: Vec<_> = options.iter().filter(|(key, _)| !opened(key)).cloned().collect();
        Ok(if told.is_empty() { table } else { table.with_options(told)? })
    }

    /// Whether the name means one place for good. Where a catalog service or a database knows the names, another table
    /// may get this one.
    pub fn is_fixed(&self, common: &Common) -> bool {
        let named = |key: &str| common.options().iter().any(|(told, _)| told == key);
        let of_service = match &self.place {
            Place::Typed(text) => text.starts_with(SERVICE),
            Place::Warehouse(warehouse, _) => warehouse.starts_with(SERVICE),
        };
        let in_service = common.warehouse.as_ref().is_some_and(|warehouse| warehouse.starts_with(SERVICE));
        common.catalog.is_none() && !of_service && !in_service && !["metastore", "uri"].into_iter().any(named)
    }
}

/// The option that is said in the call that opens a table.
const BRANCH: &str = "branch";
/// How the location of a catalog service begins.
const SERVICE: &str = "rest+";

impl Targets {
    /// What was typed.
    pub fn new(args: &Compact, common: &Common) -> Result<Self> {
        let mut targets = Self {
            named: Vec::new(),
            scopes: Vec::new(),
            include: args.include.clone(),
            exclude: args.exclude.clone(),
            waits: args.watch,
        };
        if args.targets.is_empty() {
            let Some(warehouse) = &common.warehouse else {
                return Err(
                    Failure::usage("which table?").help("name a table, or give --warehouse for all of its tables")
                );
            };
            targets.scopes.push(Scope { warehouse: warehouse.clone(), database: None, or_table: false });
        }
        for text in &args.targets {
            targets.add(text, common)?;
        }
        Ok(targets)
    }

    fn add(&mut self, text: &str, common: &Common) -> Result<()> {
        if let (Some(warehouse), false) = (&common.warehouse, text.contains(['/', '\\', '.'])) {
            let (warehouse, database) = (warehouse.clone(), Some(text.to_string()));
            self.scopes.push(Scope { warehouse, database, or_table: false });
            return Ok(());
        }
        if names_branch(text) {
            self.named.push(Named { name: text.to_string(), place: Place::Typed(text.to_string()) });
            return Ok(());
        }
        match Target::parse(text, common)? {
            Target::Location(location) => {
                self.scopes.push(Scope { warehouse: location, database: None, or_table: true });
            }
            named @ Target::Named { .. } => {
                self.named.push(Named { name: named.shown(), place: Place::Typed(text.to_string()) });
            }
        }
        Ok(())
    }

    /// The tables as they are: a service sees new ones.
    pub async fn tables(&self, common: &Common) -> Result<Vec<Named>> {
        let (mut tables, mut listed) = (self.named.clone(), Vec::new());
        for scope in &self.scopes {
            let found = match list(scope, common).await? {
                Some(found) => Some(found),
                None => list_database(scope, common).await?,
            };
            match found {
                Some(found) => listed.extend(found),
                // No warehouse: a table, or the failure that there is none.
                None => {
                    let name = scope.warehouse.clone();
                    tables.push(Named { place: Place::Typed(location(name.clone())), name });
                }
            }
        }
        let idle = |pattern: &&String| !listed.iter().any(|named| matches(pattern, &named.name));
        if let (Some(pattern), false) = (self.include.iter().find(idle), self.waits) {
            let help = "it chooses among the tables of databases and warehouses, by db.table";
            return Err(Failure::usage(format!("--include {pattern:?} is like no table")).help(help));
        }
        tables.extend(listed.into_iter().filter(|named| self.wants(&named.name)));
        tell_apart(&mut tables);
        Ok(tables)
    }

    fn wants(&self, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

/// Adds the warehouse to names that tables of several warehouses have.
fn tell_apart(tables: &mut [Named]) {
    let mut warehouses: HashMap<String, BTreeSet<String>> = HashMap::new();
    for named in tables.iter() {
        if let Place::Warehouse(warehouse, _) = &named.place {
            warehouses.entry(named.name.clone()).or_default().insert(warehouse.clone());
        }
    }
    for named in tables {
        if let (Place::Warehouse(warehouse, _), Some(2..)) =
            (&named.place, warehouses.get(&named.name).map(BTreeSet::len))
        {
            named.name = format!("{} of {warehouse}", named.name);
        }
    }
}

/// The tables of a database or warehouse; `None` for a location that is a table, if anything.
async fn list(scope: &Scope, common: &Common) -> Result<Option<Vec<Named>>> {
    let catalog = super::super::open_catalog(&scope.warehouse, common)?;
    let databases = match &scope.database {
        Some(database) => vec![database.clone()],
        None => catalog.list_databases().await?,
    };
    if scope.or_table && databases.is_empty() {
        return Ok(None);
    }
    let mut tables = Vec::new();
    for database in databases {
        for table in catalog.list_tables(&database).await? {
            let name = format!("{database}.{table}");
            let place = Place::Warehouse(scope.warehouse.clone(), TableName::new(database.clone(), table)?);
            tables.push(Named { name, place });
        }
    }
    Ok(Some(tables))
}

/// The tables of a location that is a database's; `None` where it holds none.
async fn list_database(scope: &Scope, common: &Common) -> Result<Option<Vec<Named>>> {
    let location = scope.warehouse.trim_end_matches(['/', '\\']);
    let Some((warehouse, name)) = location.rsplit_once(['/', '\\']) else { return Ok(None) };
    let Some(database) = name.strip_suffix(".db").filter(|name| !name.is_empty()) else { return Ok(None) };
    if warehouse.is_empty() || warehouse.ends_with('/') {
        return Ok(None);
    }
    let catalog = super::super::open_catalog(warehouse, common)?;
    // What lies above a table may be nobody's to list.
    let databases = catalog.list_databases().await.unwrap_or_default();
    if !databases.iter().any(|known| known == database) {
        return Ok(None);
    }
    let scope = Scope { warehouse: warehouse.into(), database: Some(database.into()), or_table: false };
    Ok(list(&scope, common).await?.filter(|tables| !tables.is_empty()))
}

/// A word that is a directory, in a form that is taken for one.
fn location(text: String) -> String {
    if text.contains(['/', '\\']) { text } else { format!("./{text}") }
}

/// Whether a name is like a pattern, in which `*` stands for any letters and `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // For each place in the name, whether the pattern so far can end there.
    let mut ends = vec![false; name.len() + 1];
    ends[0] = true;
    for letter in pattern {
        if letter == '*' {
            let mut any = false;
            for end in &mut ends {
                any |= *end;
                *end = any;
            }
            continue;
        }
        for at in (0..name.len()).rev() {
            ends[at + 1] = ends[at] && (letter == '?' || letter == name[at]);
        }
        ends[0] = false;
    }
    ends[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_chooses_names() {
        for (pattern, name, wanted) in [
            ("shop.*", "shop.orders", true),
            ("shop.*", "shops.orders", false),
            ("*.orders", "shop.orders", true),
            ("*.order", "shop.orders", false),
            ("shop.order?", "shop.orders", true),
            ("*", "", true),
            ("", "a", false),
            ("a*b*c", "a--b--b--c", true),
            ("a*b*c", "a--b--b--", false),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
