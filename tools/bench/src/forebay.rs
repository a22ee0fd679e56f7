//! Forebay in its own bench: an adapter, as each peer has one.

use ::forebay::Table;
use ::forebay::commit::{CommitProperties, Committer};
use ::forebay::schema::Schema;
use ::forebay::stream::{ChangeStream, Start};
use ::forebay::types::DataType;
use ::forebay::write::StreamWriter;

use arrow_array::RecordBatch;
use arrow_schema::{DataType as Arrow, Field};

use crate::data::schema;
use crate::engine::{Engine, Place, PlanSize};
use crate::measure::Outcome;

const USER: &str = "bench";

/// A table of this engine.
pub struct Forebay(Table);

fn data_type(column: &Field) -> Outcome<DataType> {
    let data_type = match column.data_type() {
        Arrow::Int64 => DataType::BIGINT,
        Arrow::Int32 => DataType::INT,
        Arrow::Float64 => DataType::DOUBLE,
        Arrow::Decimal128(precision, scale) => DataType::decimal(*precision, u8::try_from(*scale)?),
        Arrow::Date32 => DataType::DATE,
        Arrow::Timestamp(arrow_schema::TimeUnit::Microsecond, None) => DataType::timestamp(6),
        Arrow::Utf8 => DataType::STRING,
        other => return Err(format!("no column of the bench is {other}").into()),
    };
    Ok(if column.is_nullable() { data_type } else { data_type.not_null() })
}

impl Engine for Forebay {
    type Writer = (StreamWriter, Committer);
    type Follower = ChangeStream;

    async fn create(place: &Place, options: &[(String, String)]) -> Outcome<Self> {
        let mut builder = Schema::builder().primary_key(["id"]);
        for column in schema().fields() {
            builder = builder.column(column.name(), data_type(column)?);
        }
        for (name, value) in options {
            builder = builder.option(name, value);
        }
        let location = place.directory();
        Ok(Self(Table::create(&location.to_string_lossy(), builder.build()?, []).await?))
    }

    async fn open(place: &Place) -> Outcome<Self> {
        Ok(Self(Table::open(&place.directory().to_string_lossy(), []).await?))
    }

    async fn writer(&self) -> Outcome<Self::Writer> {
        Ok((self.0.stream_writer(USER).await?, self.0.committer(USER)?))
    }

    async fn write(&self, (writer, _): &mut Self::Writer, rows: &RecordBatch) -> Outcome<()> {
        Ok(writer.upsert(rows).await?)
    }

    async fn commit(&self, (writer, committer): &mut Self::Writer, identifier: i64) -> Outcome<()> {
        let messages = writer.prepare_commit().await?;
        committer.commit(identifier, messages, CommitProperties::default()).await?.snapshot_id()?;
        Ok(())
    }

    async fn plan(&self) -> Outcome<PlanSize> {
        let plan = self.0.scan().plan().await?;
        Ok(PlanSize { splits: plan.splits.len(), files: plan.splits.iter().map(|split| split.files.len()).sum() })
    }

    async fn scan(&self, columns: &[String], mut each: impl FnMut(&RecordBatch) -> Outcome<()>) -> Outcome<()> {
        let mut scan = self.0.scan();
        if !columns.is_empty() {
            scan = scan.select(columns);
        }
        let mut rows = scan.read().await?;
        while let Some(batch) = rows.next_batch().await? {
            each(&batch)?;
        }
        Ok(())
    }

    async fn follow(&self) -> Outcome<ChangeStream> {
        Ok(self.0.changes().from(Start::Latest).read().await?)
    }

    async fn poll(&self, follower: &mut ChangeStream) -> Outcome<usize> {
        Ok(follower.next().await?.map_or(0, |change| change.rows.rows().num_rows()))
    }
}
