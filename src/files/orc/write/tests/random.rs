//! Random lanes of random types, written in slabs and stripes of random sizes.

use proptest::prelude::*;

use super::*;

const TYPES: [&str; 20] = [
    "BOOLEAN",
    "TINYINT NOT NULL",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "STRING",
    "CHAR(9)",
    "BYTES",
    "DATE",
    "TIME(3)",
    "TIMESTAMP(3)",
    "TIMESTAMP(6) WITH LOCAL TIME ZONE",
    "TIMESTAMP(9)",
    "DECIMAL(38, 10)",
    "ARRAY<ARRAY<STRING NOT NULL> NOT NULL>",
    "MAP<INT, ROW<a TIMESTAMP(6), b MAP<STRING, BIGINT NOT NULL>>>",
    "ROW<x INT NOT NULL, y ROW<z BYTES, w ARRAY<ROW<q DOUBLE, r DECIMAL(9, 2)>>> NOT NULL>",
    "MULTISET<DATE>",
];

/// Numbers one after another, from a seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Small ones more often than large ones.
    fn number(&mut self) -> i64 {
        let bits = self.next() % 64;
        (self.next() as i64) >> bits
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn cell(&mut self, data_type: &DataType) -> Datum {
        match data_type.nullable && self.below(4) == 0 {
            true => Datum::Null,
            false => self.value(&data_type.kind),
        }
    }

    fn text(&mut self) -> String {
        (0..self.below(9)).map(|_| ['a', 'é', '\u{10FFFF}', 'z'][self.below(4)]).collect()
    }

    /// Any time but those that are refused.
    fn time(&mut self, unit: i64) -> Datum {
        let seconds = self.number() >> 20;
        let nanos = (self.next() % 1_000_000_000) as i64 / unit * unit;
        let nanos = if self.below(2) == 0 { nanos / 1_000_000 * 1_000_000 } else { nanos };
        super::time(if seconds == -1 { -2 } else { seconds }, nanos)
    }

    fn value(&mut self, kind: &TypeKind) -> Datum {
        match kind {
            TypeKind::Boolean => Datum::Boolean(self.below(3) == 0),
            TypeKind::TinyInt => Datum::TinyInt(self.number() as i8),
            TypeKind::SmallInt => Datum::SmallInt(self.number() as i16),
            TypeKind::Int => Datum::Int(self.number() as i32),
            TypeKind::BigInt => Datum::BigInt(self.number()),
            TypeKind::Float => Datum::Float(self.number() as f32 / 7.0),
            TypeKind::Double => Datum::Double(self.number() as f64 / 7.0),
            TypeKind::Date => Datum::Date(self.number() as i32),
            TypeKind::Time(_) => Datum::Time(self.below(86_400_000) as i32),
            TypeKind::Timestamp(3) | TypeKind::TimestampLtz(3) => self.time(1_000_000),
            TypeKind::Timestamp(6) | TypeKind::TimestampLtz(6) => self.time(1000),
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => self.time(1),
            TypeKind::Decimal { precision, .. } => {
                let wide = i128::from(self.number()) * i128::from(self.next() as i64 >> self.below(64));
                Datum::Decimal(wide % 10_i128.pow((*precision).into()))
            }
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => Datum::Bytes(self.text().into_bytes()),
            TypeKind::Array(element) => Datum::Array((0..self.below(5)).map(|_| self.cell(element)).collect()),
            TypeKind::Map(map) => {
                let count = self.below(4) as i32;
                Datum::Map((0..count).map(|at| (self.key(&map.key.kind, at), self.cell(&map.value))).collect())
            }
            TypeKind::Multiset(element) => {
                let count = self.below(4) as i32;
                Datum::Map((0..count).map(|at| (self.key(&element.kind, at), Datum::Int(at + 1))).collect())
            }
            TypeKind::Row(fields) => Datum::Row(fields.iter().map(|field| self.cell(&field.data_type)).collect()),
            _ => Datum::String(self.text()),
        }
    }

    fn key(&mut self, kind: &TypeKind, at: i32) -> Datum {
        match kind {
            TypeKind::Int => Datum::Int(at * 77),
            TypeKind::Date => Datum::Date(at - 1),
            _ => Datum::String(format!("{at}")),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn random_lanes_come_back(
        seed: u64,
        types in prop::collection::vec(0..TYPES.len(), 1..5),
        sizes in prop::collection::vec(0..700_usize, 1..6),
        codec in 0..5_usize,
        stripe_rows in prop::sample::select(vec![1_u64, 64, 500, u64::MAX]),
        repeats in 1..40_usize,
    ) {
        let schema = table(&types.iter().map(|at| TYPES[*at]).collect::<Vec<_>>());
        let mut numbers = Numbers(seed);
        let mut column = |data_type: &DataType, rows: usize| {
            let mut values = Vec::with_capacity(rows);
            while values.len() < rows {
                let count = 1 + numbers.below(repeats);
                let value = numbers.cell(data_type);
                values.extend(std::iter::repeat_n(value, count.min(rows - values.len())));
            }
            match rows {
                0 => arrow_array::new_empty_array(&crate::types::lane_type(&data_type.kind)),
                _ => lane(data_type, &values),
            }
        };
        let mut slab = |rows: usize| Rows(schema.fields.iter().map(|field| column(&field.data_type, rows)).collect());
        // A file begins with its first row.
        let slabs: Vec<Rows> = std::iter::once(1).chain(sizes).map(&mut slab).collect();
        let codecs = [OrcCodec::None, OrcCodec::Zlib, OrcCodec::Snappy, OrcCodec::Lz4, OrcCodec::Zstd(3)];
        let encoding = OrcEncoding { codec: codecs[codec], stripe_bytes: 50_000, stripe_rows };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(same(&schema, &encoding, slabs, "random"));
    }
}
