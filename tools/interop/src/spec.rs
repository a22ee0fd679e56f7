//! Tables to be: columns, keys and options, for both engines; and random ones.

use std::collections::BTreeMap;
use std::path::Path;

use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind, TypeKind};
use serde_json::{Value, json};

use crate::json::type_json;
use crate::values::{NESTED, random_nested_kind};
use crate::{ALL_KINDS, Op, Operations, Random, Row, Server, random_kind, random_value};

/// A table to be created by either engine.
#[derive(Debug, Clone, Default)]
pub struct TableSpec {
    /// Names and types.
    pub columns: Vec<(String, DataType)>,
    /// Empty for append tables.
    pub primary_key: Vec<String>,
    /// The partition columns.
    pub partition_by: Vec<String>,
    /// The table's options.
    pub options: BTreeMap<String, String>,
}

/// What a random table may be, by what its readers can do.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// FLOAT and DOUBLE as keys: only Paimon 2.x has an order for -0.0 and NaN.
    pub float_keys: bool,
    /// Timestamps finer than microseconds.
    pub nanoseconds: bool,
    /// Only types that Avro files can hold.
    pub avro: bool,
    /// Kinds of partition columns.
    pub partitions: &'static [usize],
    /// Whether the table has a primary key; `None` leaves it to chance.
    pub keyed: Option<bool>,
    /// The kinds of nested types that values may have.
    pub nested: &'static [usize],
}

impl Shape {
    /// All that Paimon 2.x can do.
    pub const ALL: Self = Self {
        float_keys: true,
        nanoseconds: true,
        avro: false,
        partitions: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        keyed: None,
        nested: &[],
    };
    /// All that Paimon 1.x can do too. Its writers fail on a second commit to a table that is partitioned by bytes.
    pub const JAVA_1X: Self =
        Self { float_keys: false, partitions: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15], ..Self::ALL };
    /// All that pypaimon can do too.
    pub const PYTHON: Self = Self {
        float_keys: false,
        nanoseconds: false,
        avro: false,
        partitions: &[3, 4, 9, 12],
        keyed: None,
        nested: &[],
    };
    /// All that the Rust crate can do too. Its Arrow columns of nanoseconds end in 2262, and it takes no floats and no bytes as partitions.
    pub const RUST: Self = Self {
        float_keys: true,
        nanoseconds: false,
        avro: false,
        partitions: &[0, 1, 2, 3, 4, 7, 8, 9, 12, 13, 14, 15],
        keyed: None,
        nested: &[],
    };

    /// With a primary key.
    #[must_use]
    pub const fn with_key(self) -> Self {
        Self { keyed: Some(true), ..self }
    }

    /// With values of the nested types that pypaimon knows.
    #[must_use]
    pub const fn with_nested_but_multisets(self) -> Self {
        Self { nested: NESTED.split_at(3).0, ..self }
    }

    /// With values of the nested types that ORC files can hold.
    #[must_use]
    pub const fn with_nested_but_variants(self) -> Self {
        Self { nested: NESTED.split_at(4).0, ..self }
    }

    /// With values of nested types.
    #[must_use]
    pub const fn with_nested(self) -> Self {
        Self { nested: &NESTED, ..self }
    }

    /// Of types that Avro files can hold.
    #[must_use]
    pub const fn in_avro(self) -> Self {
        Self { avro: true, nanoseconds: false, ..self }
    }

    /// The kind that is wanted, or another one where that cannot be.
    fn partition_kind(self, random: &mut Random, wanted: usize) -> TypeKind {
        let which = if self.partitions.contains(&wanted) { wanted } else { random.pick(self.partitions) };
        loop {
            let kind = random_kind(random, which);
            if self.allows(&kind, false) {
                return kind;
            }
        }
    }

    /// A nested kind, with names of fields that Avro has if need be.
    fn nested_kind(self, random: &mut Random) -> TypeKind {
        let allowed = |kind: &TypeKind| (!self.avro && self.nanoseconds) || self.allows(kind, false);
        random_nested_kind(random, self.nested, (&allowed, if self.avro { "f_" } else { "f " }), 0)
    }

    fn allows(self, kind: &TypeKind, key: bool) -> bool {
        match kind {
            TypeKind::Float | TypeKind::Double => self.float_keys || !key,
            TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..) => self.nanoseconds,
            TypeKind::Time(4..) | TypeKind::Variant => !self.avro,
            // Java up to 2.0 fails on other multisets in Avro.
            TypeKind::Multiset(element) if self.avro => matches!(element.kind, TypeKind::VarChar(_)),
            _ => true,
        }
    }

    /// The kind that is wanted, if any and if it can be.
    fn kind(self, random: &mut Random, key: bool, wanted: Option<usize>) -> TypeKind {
        let mut wanted = wanted;
        loop {
            let which = wanted.take().unwrap_or_else(|| random.below(ALL_KINDS));
            let kind = random_kind(random, which);
            if self.allows(&kind, key) {
                return kind;
            }
        }
    }
}

impl TableSpec {
    /// A table of these columns, each as `name TYPE`.
    pub fn of(columns: &[&str]) -> Self {
        let column = |text: &&str| {
            let (name, data_type) = text.split_once(' ').unwrap_or_else(|| panic!("{text}"));
            (name.to_string(), data_type.parse().unwrap_or_else(|error| panic!("{text}: {error}")))
        };
        Self { columns: columns.iter().map(column).collect(), ..Self::default() }
    }

    /// A table as it is now.
    pub fn of_schema(schema: &Schema) -> Self {
        Self {
            columns: schema.fields.iter().map(|field| (field.name.clone(), field.data_type.clone())).collect(),
            primary_key: schema.primary_keys.clone(),
            partition_by: schema.partition_keys.clone(),
            options: schema.options.clone(),
        }
    }

    /// With a primary key.
    #[must_use]
    pub fn key(mut self, columns: &[&str]) -> Self {
        self.primary_key = columns.iter().map(ToString::to_string).collect();
        for (name, data_type) in &mut self.columns {
            if self.primary_key.contains(name) {
                data_type.nullable = false;
            }
        }
        self
    }

    /// With partition columns.
    #[must_use]
    pub fn partition(mut self, columns: &[&str]) -> Self {
        self.partition_by = columns.iter().map(ToString::to_string).collect();
        self
    }

    /// With an option.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.insert(name.to_string(), value.to_string());
        self
    }

    /// A random table. Sixteen seeds in a row have every kind of type as a key, as a partition column and as a value.
    pub fn random(random: &mut Random, shape: Shape) -> Self {
        let seed = random.seed();
        let keyed = shape.keyed.unwrap_or(!seed.is_multiple_of(4));
        let mut spec = Self::default();
        for at in 0..if seed.is_multiple_of(2) { 2 } else { random.pick(&[0, 0, 1]) } {
            let kind = shape.partition_kind(random, (seed / 2 + 8 * at) % ALL_KINDS);
            spec.add(format!("p{at}"), kind, !keyed && random.chance(50));
            spec.partition_by.push(format!("p{at}"));
        }
        let keys = if seed % 4 == 1 { 2 } else { random.pick(&[1, 1, 2, 3]) };
        for at in 0..if keyed { keys } else { 0 } {
            let name = format!("{}{at}", random.pick(&["k", "Key", "Schlüssel", "key of "]));
            // Avro has names of letters, digits and _ alone.
            let name = if shape.avro { name.replace(' ', "_") } else { name };
            let kind = shape.kind(random, true, (at < 2).then_some((seed + 3 * at) % ALL_KINDS));
            spec.add(name, kind, false);
        }
        if keyed {
            spec.primary_key = spec.columns.iter().map(|(name, _)| name.clone()).collect();
            shuffle(random, &mut spec.primary_key);
        }
        for at in 0..random.between(3, 8) as usize {
            let kind = match !shape.nested.is_empty() && at > 0 && random.chance(60) {
                true => shape.nested_kind(random),
                false => shape.kind(random, false, (at == 0).then_some(seed % ALL_KINDS)),
            };
            let nullable = random.chance(80);
            spec.add(format!("{}{at}", random.pick(&["v", "Value", "wert_"])), kind, nullable);
        }
        spec.random_options(random, keyed);
        shuffle(random, &mut spec.columns);
        spec
    }

    fn add(&mut self, name: String, kind: TypeKind, nullable: bool) {
        self.columns.push((name, DataType { kind, nullable }));
    }

    fn random_options(&mut self, random: &mut Random, keyed: bool) {
        let mut set = |name: &str, value: &str| drop(self.options.insert(name.to_string(), value.to_string()));
        // Bytes have a directory name only where names are not legacy ones.
        let bytes = |(name, data_type): &(String, DataType)| {
            self.partition_by.contains(name) && matches!(data_type.kind, TypeKind::Binary(_) | TypeKind::VarBinary(_))
        };
        if random.chance(30) || self.columns.iter().any(bytes) {
            set("partition.legacy-name", "false");
        }
        if keyed {
            set("bucket", random.pick(&["1", "1", "2", "3"]));
            set("changelog-producer", random.pick(&["none", "input"]));
        } else if random.chance(50) {
            set("bucket", "2");
            let key = self.columns.iter().find(|(name, _)| !self.partition_by.contains(name));
            set("bucket-key", &key.expect("a value column").0);
        }
    }

    /// The schema as this engine creates it.
    pub fn schema(&self) -> Schema {
        let mut builder = Schema::builder().primary_key(&self.primary_key).partition_by(&self.partition_by);
        for (name, data_type) in &self.columns {
            builder = builder.column(name, data_type.clone());
        }
        for (name, value) in &self.options {
            builder = builder.option(name, value);
        }
        builder.build().unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Lets another engine create the table.
    pub fn create_by(&self, server: &mut Server, table: &Path) {
        server.run("create", table, self.creation());
    }

    /// The arguments of a server's command `create`, without the table's place.
    pub fn creation(&self) -> Value {
        let column = |(name, data_type): &(String, DataType)| json!({"name": name, "type": type_json(data_type)});
        let columns: Vec<Value> = self.columns.iter().map(column).collect();
        json!({
            "columns": columns, "primaryKey": self.primary_key, "partitionBy": self.partition_by, "options": self.options,
        })
    }

    /// Random commits of random operations on few keys, so that they meet.
    pub fn operations(&self, random: &mut Random, commits: usize) -> Operations {
        let keys = random.between(4, 12) as usize;
        self.operations_on(
            random,
            commits,
            keys,
            |random| if random.chance(10) { 0 } else { random.between(1, 40) as usize },
        )
    }

    /// Random commits of `rows` operations on `keys` values of each key column.
    pub fn operations_on(
        &self,
        random: &mut Random,
        commits: usize,
        keys: usize,
        rows: impl Fn(&mut Random) -> usize,
    ) -> Operations {
        let pools: Vec<Vec<Datum>> = self.columns.iter().map(|column| self.pool(random, column, keys)).collect();
        let op = |random: &mut Random| Op { kind: self.kind(random), row: self.row(random, &pools) };
        (0..commits).map(|_| (0..rows(random)).map(|_| op(random)).collect()).collect()
    }

    /// The values that a key or partition column takes; none for other columns.
    fn pool(&self, random: &mut Random, (name, data_type): &(String, DataType), keys: usize) -> Vec<Datum> {
        if self.partition_by.contains(name) {
            let mut pool: Vec<Datum> = (0..3).map(|_| partition_value(random, &data_type.kind)).collect();
            if data_type.nullable {
                pool.push(Datum::Null);
            }
            return pool;
        }
        match self.primary_key.contains(name) {
            true => (0..keys).map(|_| random_value(random, &data_type.kind)).collect(),
            false => Vec::new(),
        }
    }

    fn kind(&self, random: &mut Random) -> RowKind {
        match random.below(100) {
            _ if self.primary_key.is_empty() => RowKind::Insert,
            0..50 => RowKind::Insert,
            50..70 => RowKind::UpdateAfter,
            70..90 => RowKind::Delete,
            _ => RowKind::UpdateBefore,
        }
    }

    fn row(&self, random: &mut Random, pools: &[Vec<Datum>]) -> Row {
        let cell = |((_, data_type), pool): (&(String, DataType), &Vec<Datum>)| match pool.is_empty() {
            false => random.one_of(pool).clone(),
            true if data_type.nullable && random.chance(20) => Datum::Null,
            true => random_value(random, &data_type.kind),
        };
        self.columns.iter().zip(pools).map(cell).collect()
    }
}

/// Values whose directory names every engine agrees on: the text of floats depends on the JDK, and bytes must be a text.
fn partition_value(random: &mut Random, kind: &TypeKind) -> Datum {
    match (random_value(random, kind), kind) {
        (Datum::Float(_), _) => Datum::Float(random.pick(&[1.5, -2.0, 0.25, 1e10])),
        (Datum::Double(_), _) => Datum::Double(random.pick(&[1.5, -2.0, 0.25, 1e10])),
        (Datum::String(text), _) => Datum::String(text.chars().take(20).collect()),
        (Datum::Bytes(_), TypeKind::Binary(most) | TypeKind::VarBinary(most)) => Datum::Bytes(
            random.pick(&["a", "b", "c=d", "é"]).bytes().take(*most as usize).filter(|_| *most > 2).collect(),
        ),
        (other, _) => other,
    }
}

fn shuffle<T>(random: &mut Random, items: &mut [T]) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at + 1));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::mem::discriminant;

    use super::*;

    #[test]
    fn sixteen_seeds_have_every_kind_of_type_in_every_role() {
        let mut roles = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        for seed in 1..=16 {
            let spec = TableSpec::random(&mut Random::new(seed), Shape::ALL);
            for (name, data_type) in &spec.columns {
                let role = match () {
                    () if spec.partition_by.contains(name) => 0,
                    () if spec.primary_key.contains(name) => 1,
                    () => 2,
                };
                roles[role].insert(format!("{:?}", discriminant(&data_type.kind)));
            }
        }
        assert_eq!(roles.map(|kinds| kinds.len()), [ALL_KINDS; 3]);
    }
}
