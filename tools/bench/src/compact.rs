//! W4: full compaction of a table. Of Forebay; Java has a verb of the same name, and the `paimon` crate does not compact.

use forebay::Table;
use serde_json::json;

use crate::args::Args;
use crate::engine::Place;
use crate::measure::{Outcome, Stopwatch, answer, peak_mib};

/// From opening the table to the return of the commit.
pub async fn run(mut args: Args) -> Outcome<()> {
    let place = Place::of(&mut args)?;
    args.finish()?;
    let watch = Stopwatch::start();
    let table = Table::open(&place.directory().to_string_lossy(), []).await?;
    table.compact().full().run().await?;
    let spent = watch.spent();
    answer(&json!({"secs": spent.secs, "cpu": spent.cpu, "peak_mib": peak_mib("self")}));
    Ok(())
}
