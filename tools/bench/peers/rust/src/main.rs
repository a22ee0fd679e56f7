//! The published `paimon` crate in forebay's bench: an adapter. Generator, clock and workloads are the bench's own files.

#[path = "../../../src/args.rs"]
mod args;
#[path = "../../../src/data.rs"]
mod data;
#[path = "../../../src/engine.rs"]
mod engine;
#[path = "../../../src/measure.rs"]
mod measure;

use arrow_array::RecordBatch;
use arrow_schema::Field;
use engine::{Engine, Place, PlanSize};
use futures::TryStreamExt;
use measure::Outcome;
use paimon::catalog::Identifier;
use paimon::spec::{
    BigIntType, DataType, DateType, DecimalType, DoubleType, IntType, Schema, TimestampType, VarCharType,
};
use paimon::table::{IncrementalScanMode, Table, TableWrite, WriteBuilder};
use paimon::{Catalog, CatalogFactory, CatalogOptions, Options};
use std::collections::HashMap;
use std::sync::Arc;

fn main() -> Outcome<()> {
    let mut words = std::env::args().skip(1);
    let verb = words.next().ok_or("usage: paimon-rust-peer write|scan|plan|latency --name value ..")?;
    let args = args::Args::parse(words)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(engine::run::<PaimonRust>(&verb, args))
}

struct PaimonRust(Table);

async fn catalog(place: &Place) -> Outcome<Arc<dyn Catalog>> {
    let mut options = Options::new();
    options.set(CatalogOptions::WAREHOUSE, &place.warehouse);
    Ok(CatalogFactory::create(options).await?)
}

fn data_type(column: &Field) -> Outcome<DataType> {
    use arrow_schema::{DataType as Arrow, TimeUnit};
    Ok(match column.data_type() {
        Arrow::Int64 => DataType::BigInt(BigIntType::with_nullable(column.is_nullable())),
        Arrow::Int32 => DataType::Int(IntType::new()),
        Arrow::Float64 => DataType::Double(DoubleType::new()),
        Arrow::Decimal128(precision, scale) => {
            DataType::Decimal(DecimalType::new(u32::from(*precision), *scale as u32)?)
        }
        Arrow::Date32 => DataType::Date(DateType::new()),
        Arrow::Timestamp(TimeUnit::Microsecond, None) => DataType::Timestamp(TimestampType::new(6)?),
        Arrow::Utf8 => DataType::VarChar(VarCharType::string_type()),
        other => return Err(format!("no column of the bench is {other}").into()),
    })
}

impl Engine for PaimonRust {
    /// The crate's writers end with their commit, so each commit has a writer of its own.
    type Writer = Option<TableWrite>;
    /// The last snapshot that was read.
    type Follower = i64;

    async fn create(place: &Place, options: &[(String, String)]) -> Outcome<Self> {
        let mut schema = Schema::builder();
        for column in data::schema().fields() {
            schema = schema.column(column.name(), data_type(column)?);
        }
        schema = schema.primary_key(["id"]);
        for (name, value) in options {
            schema = schema.option(name, value);
        }
        let catalog = catalog(place).await?;
        catalog.create_database("b", true, HashMap::new()).await?;
        catalog.create_table(&Identifier::new("b", &place.table), schema.build()?, false).await?;
        Self::open(place).await
    }

    async fn open(place: &Place) -> Outcome<Self> {
        Ok(Self(catalog(place).await?.get_table(&Identifier::new("b", &place.table)).await?))
    }

    async fn writer(&self) -> Outcome<Self::Writer> {
        Ok(None)
    }

    async fn write(&self, writer: &mut Self::Writer, rows: &RecordBatch) -> Outcome<()> {
        let writer = match writer {
            Some(writer) => writer,
            None => writer.insert(self.0.new_write_builder().new_write()?),
        };
        Ok(writer.write_arrow_batch(rows).await?)
    }

    async fn commit(&self, writer: &mut Self::Writer, _identifier: i64) -> Outcome<()> {
        let mut writer = writer.take().ok_or("nothing was written")?;
        let messages = writer.prepare_commit().await?;
        Ok(self.0.new_write_builder().new_commit().commit(messages).await?)
    }

    async fn plan(&self) -> Outcome<PlanSize> {
        let plan = self.0.new_read_builder().new_scan().plan().await?;
        let files = plan.splits().iter().map(|split| split.data_files().len()).sum();
        Ok(PlanSize { splits: plan.splits().len(), files })
    }

    async fn scan(&self, columns: &[String], mut each: impl FnMut(&RecordBatch) -> Outcome<()>) -> Outcome<()> {
        let mut builder = self.0.new_read_builder();
        if !columns.is_empty() {
            builder.with_projection(&columns.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        let plan = builder.new_scan().plan().await?;
        let mut batches = builder.new_read()?.to_arrow(plan.splits())?;
        while let Some(batch) = batches.try_next().await? {
            each(&batch)?;
        }
        Ok(())
    }

    async fn follow(&self) -> Outcome<i64> {
        Ok(self.0.snapshot_manager().get_latest_snapshot_id().await?.unwrap_or(0))
    }

    async fn poll(&self, seen: &mut i64) -> Outcome<usize> {
        let newest = self.0.snapshot_manager().get_latest_snapshot_id().await?.unwrap_or(0);
        if newest == *seen {
            return Ok(0);
        }
        let builder = self.0.new_read_builder();
        let plan =
            builder.new_incremental_scan(IncrementalScanMode::Delta, *seen, newest).plan_combined_delta().await?;
        let mut batches = builder.new_read()?.to_arrow(plan.splits())?;
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows();
        }
        *seen = newest;
        Ok(rows)
    }
}
