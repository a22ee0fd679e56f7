//! `forebay lookup`: rows by primary key.

use arrow_array::RecordBatch;
use arrow_select::filter::filter_record_batch;
use forebay::Table;
use forebay::lookup::TableLookup;
use forebay::schema::Schema;

use crate::cli::{Common, Lookup, OutputFormat};
use crate::failure::{Failure, Result};
use crate::feed::{self, Fed, Input};
use crate::names::Names;
use crate::sink::Sink;
use crate::values::Columns;
use crate::values::csv_in::Dialect;
use crate::values::csv_out::CsvRows;
use crate::values::lane_in::{builders, finish};

/// Keys without a row that are named.
const NAMED: usize = 5;

/// Looks the keys up, prints the rows that are there, and fails when some are not.
pub async fn run(args: Lookup, common: &Common) -> Result<()> {
    let table = super::open_table(&args.table, common, &args.options).await?;
    let select = Names::of(&args.select);
    let lookup = open(&table, &args, &select).await?;
    let schema = lookup.schema();
    let keys = key_columns(&schema)?;
    let columns = super::selected(&super::columns_of(&schema), &select)?;
    let given = args.keys.iter().map(|text| parse_key(text, &keys)).collect::<Result<Vec<_>>>()?;
    let default = if common.json { OutputFormat::Jsonl } else { OutputFormat::Table };
    let sink = Sink::open(args.output.unwrap_or(default), &columns, false)?;
    let mut out = Out { lookup, sink, keys, asked: 0, missing: 0, named: Vec::new(), open: true };
    let result = out.all(given, &args).await;
    let Out { sink, asked, missing, named, .. } = out;
    let written = sink.finish(result.is_ok()).await;
    result?;
    written?;
    if missing == 0 || args.missing_ok {
        return Ok(());
    }
    let more = if missing > named.len() { ", .." } else { "" };
    let of = if asked == 1 { String::new() } else { format!("{missing} of {asked} keys: ") };
    Err(Failure::new("not-found", format!("no row for {of}{}{more}", named.join(" "))))
}

async fn open(table: &Table, args: &Lookup, select: &[String]) -> Result<TableLookup> {
    let mut builder = table.lookup().wide_timestamps();
    if let Some(at) = super::at_of(&args.point)? {
        builder = builder.at(at);
    }
    if !select.is_empty() {
        builder = builder.select(select.iter().cloned());
    }
    if let Some(bytes) = args.memory {
        builder = builder.memory(bytes);
    }
    Ok(builder.open().await?)
}

/// Names and types of the primary key's columns.
fn key_columns(schema: &Schema) -> Result<Columns> {
    let column = |name: &String| {
        let at = schema.require(name)?;
        Ok((name.clone(), schema.fields[at].data_type.clone().not_null()))
    };
    schema.primary_keys.iter().map(column).collect()
}

struct Out {
    lookup: TableLookup,
    sink: Sink,
    keys: Columns,
    asked: usize,
    missing: usize,
    named: Vec<String>,
    /// Whether somebody still reads the output.
    open: bool,
}

impl Out {
    async fn all(&mut self, given: Vec<Vec<String>>, args: &Lookup) -> Result<()> {
        if !given.is_empty() {
            let mut lanes = builders(&self.keys);
            for key in &given {
                for (lane, text) in lanes.iter_mut().zip(key) {
                    let name = lane.name().to_string();
                    lane.push_text(text.as_bytes())
                        .map_err(|why| Failure::usage(format!("key column {name}: {text:?} {why}")))?;
                }
            }
            let batch = finish(&mut lanes, given.len()).map_err(|why| Failure::usage(why.to_string()))?;
            self.look(&batch).await?;
        }
        if let Some(file) = &args.keys_from {
            let input = Input {
                sources: feed::sources(std::slice::from_ref(file), args.format)?,
                dialect: Dialect::default(),
                commit_every: None,
                resume: None,
            };
            let (mut fed, _) = feed::start(input, self.keys.clone())?;
            while let Some(piece) = fed.recv().await {
                match piece? {
                    Fed::Piece(piece) => self.look(&piece.batch).await?,
                    Fed::Boundary(_) => {}
                    Fed::End(_) => break,
                }
                if !self.open {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn look(&mut self, keys: &RecordBatch) -> Result<()> {
        let found = self.lookup.get(keys).await?;
        self.asked += keys.num_rows();
        if found.rows.num_rows() < keys.num_rows() {
            self.missing += keys.num_rows() - found.rows.num_rows();
            let none = arrow_array::BooleanArray::new(!found.found.values(), None);
            let none = filter_record_batch(keys, &none).map_err(|error| Failure::new("bug", error.to_string()))?;
            let wanted = none.num_rows().min(NAMED.saturating_sub(self.named.len()));
            let mut text = Vec::new();
            CsvRows::new(&self.keys).rows(&none.slice(0, wanted), &mut text)?;
            self.named.extend(String::from_utf8_lossy(&text).lines().map(str::to_string));
        }
        if found.rows.num_rows() > 0 {
            self.open = self.sink.write(found.rows, None).await;
        }
        Ok(())
    }
}

/// A key's values, in the order of the primary key: `5`, `id=5`, `2024-01-01,5` or `id=5,day=2024-01-01`. Of a text that
/// begins with a column's name and `=`, only what follows is the value. `"` around a value keeps commas in it.
fn parse_key(text: &str, columns: &Columns) -> Result<Vec<String>> {
    let help = || {
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let named: Vec<String> = names.iter().map(|name| format!("{name}=..")).collect();
        format!("the key is {}: give {} or its values in this order", names.join(", "), named.join(","))
    };
    let name_of = |part: &str| {
        let (name, _) = part.split_once('=')?;
        columns.iter().position(|(column, _)| column == name.trim())
    };
    let parts = if columns.len() == 1 { vec![text.to_string()] } else { split(text) };
    if parts.len() != columns.len() {
        let what = format!("key {text:?} has {} values for {} columns", parts.len(), columns.len());
        return Err(Failure::usage(what).help(help()));
    }
    let mut values: Vec<Option<String>> = vec![None; columns.len()];
    let named = parts.iter().all(|part| name_of(part).is_some());
    for (place, part) in parts.iter().enumerate() {
        let (at, value) = match name_of(part).filter(|_| named) {
            Some(at) => (at, part.split_once('=').map_or("", |(_, value)| value)),
            None => (place, part.as_str()),
        };
        let value = if columns.len() == 1 { value.to_string() } else { unquoted(value) };
        if values[at].replace(value).is_some() {
            return Err(Failure::usage(format!("key {text:?} names {} twice", columns[at].0)).help(help()));
        }
    }
    values.into_iter().collect::<Option<_>>().ok_or_else(|| Failure::usage(format!("key {text:?}")).help(help()))
}

/// Cuts at commas outside of quotes.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        match parts.last_mut() {
            Some(part) if c != ',' || quoted => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    parts
}

fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.map_or_else(|| text.to_string(), |inner| inner.replace("\"\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay::types::DataType;

    fn parse(text: &str, names: &[&str]) -> Option<Vec<String>> {
        let columns: Columns = names.iter().map(|name| (name.to_string(), DataType::STRING)).collect();
        parse_key(text, &columns).ok()
    }

    #[test]
    fn a_key_is_given_by_place_or_by_name() {
        let wanted = |values: &[&str]| Some(values.iter().map(|value| value.to_string()).collect::<Vec<_>>());
        assert_eq!(parse("5", &["id"]), wanted(&["5"]));
        assert_eq!(parse("id=5", &["id"]), wanted(&["5"]));
        assert_eq!(parse("a,b=\"c", &["id"]), wanted(&["a,b=\"c"]), "one column takes the text as it is");
        assert_eq!(parse("id=id=5", &["id"]), wanted(&["id=5"]));
        assert_eq!(parse("5,x", &["id", "day"]), wanted(&["5", "x"]));
        assert_eq!(parse("day=x,id=5", &["id", "day"]), wanted(&["5", "x"]));
        assert_eq!(parse("\"a,\"\"b\",", &["id", "day"]), wanted(&["a,\"b", ""]));
        assert_eq!(parse("day=\"x,y\",id=", &["id", "day"]), wanted(&["", "x,y"]));
        assert_eq!(parse("day=x,5", &["id", "day"]), wanted(&["day=x", "5"]), "not all are named");
        for wrong in ["5", "1,2,3", "id=1,id=2", ""] {
            assert_eq!(parse(wrong, &["id", "day"]), None, "{wrong}");
        }
    }
}
