//! W6: gets by key, as `peers/java` does them; the crate `paimon` has no point lookup.
//!
//! The first get is timed from opening the table, in a process that has read nothing of it. Then come three passes over
//! keys drawn uniformly from the key space: the first finds the pages it needs on the disk; the second asks for the same
//! keys, whose rows are in memory; the third for others, of whose rows the pages are. Every row is compared with the
//! generator's, outside of the clock.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use forebay::Table;
use forebay::format::datum_at;
use forebay::types::{Datum, TypeKind};
use serde_json::json;

use crate::args::Args;
use crate::data::{Expected, Keys, batch};
use crate::engine::Place;
use crate::measure::{Outcome, answer, peak_mib};

/// Rows of the generator behind those of any table: they give the keys that are asked for.
const BEYOND: u64 = 1 << 40;

#[allow(clippy::disallowed_methods, reason = "a bench measures the real clock")]
fn now() -> Instant {
    Instant::now()
}

/// `--rows N [--keys N] [--gets N] [--memory BYTES]`: what the table was written with, and how often to ask.
pub async fn run(mut args: Args) -> Outcome<()> {
    let place = Place::of(&mut args)?;
    let rows: u64 = args.require("rows")?;
    let keys = Keys { space: args.take_or("keys", rows)?, zipf: false };
    let gets: u64 = args.take_or("gets", 20_000)?;
    let memory: u64 = args.take_or("memory", 256 << 20)?;
    args.finish()?;
    let last = Expected::last_rows(rows, keys);
    let drawn = |from: u64| (from..from + gets).map(|row| keys.of(row)).collect::<Vec<i64>>();
    let (asked, others) = (drawn(BEYOND), drawn(BEYOND + gets));
    let (Some(first), false) = (asked.first(), last.is_empty()) else {
        return Err("--gets and --rows are 1 at least".into());
    };

    let started = now();
    let table = Table::open(&place.directory().to_string_lossy(), []).await?;
    let lookup = table.lookup().memory(memory).open().await?;
    let opened = started.elapsed();
    let found = lookup.get_one(&[Datum::BigInt(*first)]).await?;
    let all = started.elapsed();
    let kinds: Vec<TypeKind> = table.schema().fields.iter().map(|field| field.data_type.kind.clone()).collect();
    gate(*first, found.as_deref(), &last, &kinds, keys)?;

    let mut passes = Vec::new();
    let mut hits = Vec::new();
    for keys_of_pass in [&asked, &asked, &others] {
        let mut nanos: Vec<u64> = Vec::with_capacity(asked.len());
        let mut found_rows = 0_u64;
        for key in keys_of_pass {
            let wanted = [Datum::BigInt(*key)];
            let started = now();
            let found = lookup.get_one(&wanted).await?;
            nanos.push(u64::try_from(started.elapsed().as_nanos())?);
            found_rows += u64::from(found.is_some());
            gate(*key, found.as_deref(), &last, &kinds, keys)?;
        }
        hits.push(found_rows);
        nanos.sort_unstable();
        let at = |share: usize| nanos[(nanos.len() * share / 1000).min(nanos.len() - 1)] as f64 / 1e3;
        passes.push(json!({"p50_us": at(500), "p99_us": at(990), "p999_us": at(999), "most_us": at(1000)}));
    }
    let column = Arc::new(Int64Array::from(asked.clone()));
    let ids =
        RecordBatch::try_new(Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)])), vec![column])?;
    let started = now();
    let found = lookup.get(&ids).await?;
    let batch_secs = started.elapsed().as_secs_f64();
    let hits = hits[0];
    if found.rows.num_rows() as u64 != hits {
        return Err(format!("a batch found {} keys, one by one {hits} were", found.rows.num_rows()).into());
    }
    let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    answer(&json!({
        "gets": gets, "hits": hits, "open_ms": millis(opened), "first_ms": millis(all), "passes": passes,
        "batch_secs": batch_secs, "memory": lookup.cache().memory(), "peak_mib": peak_mib("self"),
    }));
    Ok(())
}

/// A row must be the last one that the generator gave its key.
fn gate(key: i64, found: Option<&[Datum]>, last: &[u64], kinds: &[TypeKind], keys: Keys) -> Outcome<()> {
    let row = last[usize::try_from(key)?];
    if row == Expected::NEVER {
        return if found.is_none() {
            Ok(())
        } else {
            Err(format!("key {key} was never written, and {found:?} was found").into())
        };
    }
    let truth = batch(row, row + 1, keys)?;
    let truth = truth.columns().iter().zip(kinds).map(|(column, kind)| datum_at(column, kind, 0));
    let truth = truth.collect::<Result<Vec<Datum>, _>>()?;
    match found {
        Some(found) if found == truth.as_slice() => Ok(()),
        other => Err(format!("key {key} is {truth:?}, and {other:?} was found").into()),
    }
}
