//! The columns of an open stripe: each takes whole lanes and encodes those of its values that are there.
//!
//! ```text
//! lane ─ who is there ─▶ PRESENT, where any is NULL
//!      └ the others ─▶ DATA, LENGTH, SECONDARY of the column's type, or the lanes of its parts
//! ```

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_select::filter::filter;
use orc_rust::proto::column_encoding::Kind as Encoded;
use orc_rust::proto::stream::Kind;
use orc_rust::proto::{ColumnEncoding, ColumnStatistics};

use super::lengths::{FILLED, counted, texts, within};
use super::rle::{Bits, ByteRuns, Integers, signed_varint};
use super::streams::{Packer, Stream};
use super::times::{Seconds, encode_seconds};
use crate::error::{Error, Result};
use crate::types::{DataType, TypeKind};

/// A column, and the columns of its parts.
pub(super) struct Column {
    name: String,
    kind: TypeKind,
    present: Bits,
    nulls: usize,
    encoder: Encoder,
    data: Stream,
    /// Lengths of texts, bytes, arrays and maps; scales of decimals; nanoseconds.
    second: Stream,
    parts: Vec<Column>,
    /// Values in the file that are not NULL, and whether any is.
    values: u64,
    has_null: bool,
}

/// What waits to be part of a run.
enum Encoder {
    Bits(Bits),
    Bytes(ByteRuns),
    Integers(Integers),
    /// Values one after another.
    Plain,
    /// Values one after another, and a number for each.
    Counted(Integers),
    Seconds(Integers, Integers),
    /// Nothing of its own.
    Row,
}

impl Column {
    /// A column of a type. `name` is for errors.
    ///
    /// # Errors
    /// [`Error::Bug`] for a type that ORC files do not hold.
    pub(super) fn new(name: &str, data_type: &DataType) -> Result<Self> {
        let part = |name: &str, data_type: &DataType| Self::new(name, data_type);
        let (encoder, parts) = match &data_type.kind {
            TypeKind::Boolean => (Encoder::Bits(Bits::new()), vec![]),
            TypeKind::TinyInt => (Encoder::Bytes(ByteRuns::default()), vec![]),
            TypeKind::SmallInt | TypeKind::Int | TypeKind::BigInt | TypeKind::Date | TypeKind::Time(_) => {
                (Encoder::Integers(Integers::new(true)), vec![])
            }
            TypeKind::Float | TypeKind::Double => (Encoder::Plain, vec![]),
            TypeKind::Char(_) | TypeKind::VarChar(_) | TypeKind::Binary(_) | TypeKind::VarBinary(_) => {
                (Encoder::Counted(Integers::new(false)), vec![])
            }
            TypeKind::Decimal { .. } => (Encoder::Counted(Integers::new(true)), vec![]),
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
                (Encoder::Seconds(Integers::new(true), Integers::new(false)), vec![])
            }
            TypeKind::Array(element) => (Encoder::Counted(Integers::new(false)), vec![part(name, element)?]),
            TypeKind::Map(map) => {
                (Encoder::Counted(Integers::new(false)), vec![part(name, &map.key)?, part(name, &map.value)?])
            }
            TypeKind::Multiset(element) => {
                (Encoder::Counted(Integers::new(false)), vec![part(name, element)?, part(name, &DataType::INT)?])
            }
            TypeKind::Row(fields) => {
                let named = |field: &crate::schema::Field| part(&format!("{name}.{}", field.name), &field.data_type);
                (Encoder::Row, fields.iter().map(named).collect::<Result<_>>()?)
            }
            TypeKind::Variant => return Err(Error::bug(format!("column {name}: a VARIANT for an ORC file"))),
        };
        Ok(Self {
            name: name.to_string(),
            kind: data_type.kind.clone(),
            present: Bits::new(),
            nulls: 0,
            encoder,
            data: Stream::default(),
            second: Stream::default(),
            parts,
            values: 0,
            has_null: false,
        })
    }

    /// Bytes of the open stripe.
    pub(super) fn bytes(&self) -> usize {
        let waiting = match &self.encoder {
            Encoder::Bits(bits) => bits.bytes(),
            Encoder::Bytes(runs) => runs.bytes(),
            Encoder::Integers(runs) | Encoder::Counted(runs) => runs.bytes(),
            Encoder::Seconds(seconds, nanos) => seconds.bytes() + nanos.bytes(),
            Encoder::Plain | Encoder::Row => 0,
        };
        let parts: usize = self.parts.iter().map(Self::bytes).sum();
        self.present.bytes() + waiting + self.data.bytes() + self.second.bytes() + parts
    }

    /// Writes a lane.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Unsupported`] for values that ORC files do not hold.
    pub(super) fn write(&mut self, lane: &ArrayRef) -> Result<()> {
        match lane.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => {
                self.present.write_set(lane.len());
                self.write_values(lane)
            }
            Some(nulls) => {
                self.present.write(nulls.inner());
                self.nulls += nulls.null_count();
                self.has_null = true;
                let there = BooleanArray::new(nulls.inner().clone(), None);
                self.write_values(&filter(lane, &there).map_err(|error| Error::bug(error.to_string()))?)
            }
        }
    }

    /// Writes a lane without NULLs.
    fn write_values(&mut self, lane: &ArrayRef) -> Result<()> {
        self.values += lane.len() as u64;
        let (data, second) = (&mut self.data.plain, &mut self.second.plain);
        match (&self.kind, &mut self.encoder) {
            (TypeKind::Boolean, Encoder::Bits(bits)) => bits.write(lane.as_boolean().values()),
            (TypeKind::TinyInt, Encoder::Bytes(runs)) => {
                runs.write(lane.as_primitive::<Int8Type>().values().iter().map(|value| *value as u8), data);
            }
            (TypeKind::SmallInt, Encoder::Integers(runs)) => integers::<Int16Type>(lane, runs, data),
            (TypeKind::Int, Encoder::Integers(runs)) => integers::<Int32Type>(lane, runs, data),
            (TypeKind::BigInt, Encoder::Integers(runs)) => integers::<Int64Type>(lane, runs, data),
            (TypeKind::Date, Encoder::Integers(runs)) => integers::<Date32Type>(lane, runs, data),
            (TypeKind::Time(_), Encoder::Integers(runs)) => integers::<Time32MillisecondType>(lane, runs, data),
            (TypeKind::Float, Encoder::Plain) => {
                let values = lane.as_primitive::<Float32Type>().values();
                values.iter().for_each(|value| data.extend_from_slice(&value.to_le_bytes()));
            }
            (TypeKind::Double, Encoder::Plain) => {
                let values = lane.as_primitive::<Float64Type>().values();
                values.iter().for_each(|value| data.extend_from_slice(&value.to_le_bytes()));
            }
            (TypeKind::Char(length), Encoder::Counted(lengths)) => {
                texts(&self.name, lane, *length, (*length).min(FILLED), lengths, (data, second))?;
            }
            (TypeKind::VarChar(length), Encoder::Counted(lengths)) => {
                texts(&self.name, lane, *length, 0, lengths, (data, second))?;
            }
            (TypeKind::Binary(_) | TypeKind::VarBinary(_), Encoder::Counted(lengths)) => {
                let values = lane.as_binary::<i32>();
                data.extend_from_slice(within(values.offsets(), values.value_data()));
                counted(values.offsets(), lengths, second);
            }
            (TypeKind::Decimal { scale, .. }, Encoder::Counted(scales)) => {
                let values = lane.as_primitive::<Decimal128Type>().values();
                values.iter().for_each(|value| signed_varint(*value, data));
                scales.write(std::iter::repeat_n(i64::from(*scale), values.len()), second);
            }
            (TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision), Encoder::Seconds(seconds, nanos)) => {
                let times = Seconds::of(&self.name, *precision, lane)?;
                let encoded = encode_seconds(&self.name, times)?;
                seconds.write(encoded.seconds, data);
                nanos.write(encoded.nanos, second);
            }
            (_, Encoder::Counted(_) | Encoder::Row) => return self.write_parts(lane),
            _ => return Err(Error::bug(format!("column {}: no encoder of {}", self.name, self.kind))),
        }
        Ok(())
    }

    /// Writes the lanes of the parts.
    fn write_parts(&mut self, lane: &ArrayRef) -> Result<()> {
        let lanes: Vec<ArrayRef> = match (&self.kind, &mut self.encoder) {
            (TypeKind::Array(_), Encoder::Counted(lengths)) => {
                let list = lane.as_list::<i32>();
                let items = counted(list.offsets(), lengths, &mut self.second.plain);
                vec![list.values().slice(items.0, items.1)]
            }
            (TypeKind::Map(_) | TypeKind::Multiset(_), Encoder::Counted(lengths)) => {
                let map = lane.as_map();
                let items = counted(map.offsets(), lengths, &mut self.second.plain);
                vec![map.keys().slice(items.0, items.1), map.values().slice(items.0, items.1)]
            }
            (TypeKind::Row(_), Encoder::Row) => lane.as_struct().columns().to_vec(),
            _ => return Err(Error::bug(format!("column {}: {} has no parts", self.name, self.kind))),
        };
        self.parts.iter_mut().zip(&lanes).try_for_each(|(part, lane)| part.write(lane))
    }

    /// Compresses what is full.
    pub(super) fn pack(&mut self, packer: &mut Packer) -> Result<()> {
        self.data.pack(packer)?;
        self.second.pack(packer)?;
        self.parts.iter_mut().try_for_each(|part| part.pack(packer))
    }

    /// Ends the stripe: gives out the streams of this column and its parts, and how each of the columns is encoded.
    pub(super) fn finish(
        &mut self,
        packer: &mut Packer,
        streams: &mut Vec<(Kind, u32, Vec<u8>)>,
        encodings: &mut Vec<ColumnEncoding>,
    ) -> Result<()> {
        let id = encodings.len() as u32;
        if self.nulls > 0 {
            let mut present = Stream::default();
            self.present.finish(&mut present.plain);
            streams.push((Kind::Present, id, present.take(packer)?));
        }
        self.present.clear();
        self.nulls = 0;
        let (data, second) = (&mut self.data.plain, &mut self.second.plain);
        match &mut self.encoder {
            Encoder::Bits(bits) => bits.finish(data),
            Encoder::Bytes(runs) => runs.finish(data),
            Encoder::Integers(runs) => runs.finish(data),
            Encoder::Counted(runs) => runs.finish(second),
            Encoder::Seconds(seconds, nanos) => {
                seconds.finish(data);
                nanos.finish(second);
            }
            Encoder::Plain | Encoder::Row => {}
        }
        let (has_data, second) = self.stored_as();
        if has_data {
            streams.push((Kind::Data, id, self.data.take(packer)?));
        }
        if let Some(kind) = second {
            streams.push((kind, id, self.second.take(packer)?));
        }
        let encoded = match &self.encoder {
            Encoder::Bits(_) | Encoder::Bytes(_) | Encoder::Plain | Encoder::Row => Encoded::Direct,
            Encoder::Integers(_) | Encoder::Counted(_) | Encoder::Seconds(..) => Encoded::DirectV2,
        };
        encodings.push(ColumnEncoding { kind: Some(encoded.into()), ..ColumnEncoding::default() });
        self.parts.iter_mut().try_for_each(|part| part.finish(packer, streams, encodings))
    }

    /// Whether there is a DATA stream, and which other one.
    fn stored_as(&self) -> (bool, Option<Kind>) {
        match (&self.kind, &self.encoder) {
            (_, Encoder::Row) => (false, None),
            (TypeKind::Decimal { .. }, _) | (_, Encoder::Seconds(..)) => (true, Some(Kind::Secondary)),
            (kind, Encoder::Counted(_)) => (!kind.is_nested(), Some(Kind::Length)),
            _ => (true, None),
        }
    }

    /// What the footer tells of this column and its parts beside bounds.
    pub(super) fn statistics(&self, all: &mut Vec<ColumnStatistics>) {
        all.push(ColumnStatistics {
            number_of_values: Some(self.values),
            has_null: Some(self.has_null),
            ..ColumnStatistics::default()
        });
        self.parts.iter().for_each(|part| part.statistics(all));
    }
}

fn integers<T: ArrowPrimitiveType>(lane: &ArrayRef, runs: &mut Integers, out: &mut Vec<u8>)
where
    T::Native: Into<i64>,
{
    runs.write(lane.as_primitive::<T>().values().iter().map(|value| (*value).into()), out);
}
