//! Random tables of every merge engine: both write the same operations and describe their files alike, both read both
//! tables alike, and so they do after Java compacted and when both write one table by turns.

use forebay::types::{DataType, Datum, RowKind, TypeKind};
use forebay_interop::{
    Engine, Op, Operations, Random, Row, Server, TableSpec, View, assert_same, create, open, random_value, seeds,
    write_once,
};

use crate::form::assert_alike;
use crate::sketches::random_sketch;
use crate::support::{agreed, place, server_compact, server_write};

const TYPES: [&str; 16] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(9, 2)",
    "DECIMAL(18, 3)",
    "DECIMAL(25, 5)",
    "STRING",
    "STRING",
    "BYTES",
    "DATE",
    "TIMESTAMP(3)",
    "TIMESTAMP(9)",
];

/// Functions of any type that take retractions back, and those that do not.
const ANY: [&str; 2] = ["last_value", "last_non_null_value"];
const ANY_ADDING: [&str; 4] = ["first_value", "first_non_null_value", "max", "min"];

/// Seeds after which the engines come again.
const KINDS: usize = 10;

/// A table of some engine, what its rows may be and how values of its columns are made.
struct Sample {
    spec: TableSpec,
    kinds: Vec<RowKind>,
    functions: Vec<&'static str>,
}

impl Sample {
    fn random(random: &mut Random) -> Self {
        let columns: Vec<String> =
            (0..random.between(3, 7)).map(|at| format!("v{at} {}", random.pick(&TYPES))).collect();
        let mut all = vec!["k INT", "g INT", "h INT", "i STRING"];
        all.extend(columns.iter().map(String::as_str));
        let spec = TableSpec::of(&all).key(&["k"]).option("bucket", random.pick(&["1", "2"]));
        let mut sample =
            Self { spec, kinds: vec![RowKind::Insert, RowKind::UpdateAfter], functions: vec![""; all.len()] };
        match random.seed() % KINDS {
            0 => sample.first_row(random),
            1 | 2 => sample.plain(random),
            3 | 4 => sample.grouped(random),
            5..=7 => sample.aggregated(random),
            _ => sample.newest(random),
        }
        if !random.seed().is_multiple_of(KINDS) && random.chance(30) {
            sample.set("changelog-producer", "input");
        }
        sample
    }

    fn set(&mut self, name: &str, value: &str) {
        self.spec.options.insert(name.to_string(), value.to_string());
    }

    /// Gives the table a changelog that compactions make; first-row tables have theirs by lookup alone.
    fn looks_old_rows_up(&mut self, random: &mut Random) -> &'static str {
        let producer = match random.seed() % KINDS {
            0 => "lookup",
            _ => random.pick(&["lookup", "lookup", "full-compaction"]),
        };
        self.set("changelog-producer", producer);
        producer
    }

    fn retracts(&mut self) {
        self.kinds.extend([RowKind::Insert, RowKind::UpdateBefore, RowKind::Delete]);
    }

    fn first_row(&mut self, random: &mut Random) {
        self.set("merge-engine", "first-row");
        if random.chance(50) {
            self.set("ignore-delete", "true");
            self.retracts();
        }
    }

    /// The default engine: the newest row of a key wins.
    fn newest(&mut self, random: &mut Random) {
        if random.chance(50) {
            self.set("sequence.field", random.pick(&["g", "i,h"]));
            self.set("sequence.field.sort-order", random.pick(&["ascending", "descending"]));
        }
        if random.chance(80) {
            self.retracts();
        }
        if random.chance(30) {
            self.set("ignore-delete", "true");
        }
    }

    fn plain(&mut self, random: &mut Random) {
        self.set("merge-engine", "partial-update");
        if random.chance(40) {
            self.set("sequence.field", random.pick(&["g", "i,h"]));
        }
        match random.below(3) {
            0 => {}
            1 => {
                self.set("ignore-delete", "true");
                self.retracts();
            }
            _ => {
                self.set("partial-update.remove-record-on-delete", "true");
                self.retracts();
            }
        }
    }

    fn grouped(&mut self, random: &mut Random) {
        self.set("merge-engine", "partial-update");
        self.retracts();
        let mut groups = [Vec::new(), Vec::new()];
        for at in 4..self.spec.columns.len() {
            let name = self.spec.columns[at].0.clone();
            match random.below(5) {
                0 => {}
                which => {
                    groups[which % 2].push(name);
                    if random.chance(60) {
                        self.function(random, at, true);
                    }
                }
            }
        }
        for (order, columns) in ["g", "h,i"].iter().zip(groups) {
            if !columns.is_empty() {
                self.set(&format!("fields.{order}.sequence-group"), &columns.join(","));
                if random.chance(30) {
                    self.set("partial-update.remove-record-on-sequence-group", &order[..1]);
                }
            }
        }
        if random.chance(30) {
            self.set("fields.default-aggregate-function", "last_non_null_value");
        }
    }

    fn aggregated(&mut self, random: &mut Random) {
        self.set("merge-engine", "aggregation");
        if random.chance(40) {
            self.set("sequence.field", random.pick(&["g", "i,h"]));
        }
        let (retracts, removes) = (random.chance(60), random.chance(30));
        if retracts {
            self.retracts();
        }
        for at in 4..self.spec.columns.len() {
            if random.chance(85) {
                self.function(random, at, retracts && !removes);
            }
        }
        if removes {
            self.set("aggregation.remove-record-on-delete", "true");
            self.kinds.retain(|kind| *kind != RowKind::UpdateBefore);
        }
    }

    /// Gives a column an aggregate function.
    fn function(&mut self, random: &mut Random, at: usize, retracts: bool) {
        let (name, data_type) = self.spec.columns[at].clone();
        let number = matches!(
            data_type.kind,
            TypeKind::TinyInt
                | TypeKind::SmallInt
                | TypeKind::Int
                | TypeKind::BigInt
                | TypeKind::Float
                | TypeKind::Double
                | TypeKind::Decimal { .. }
        );
        let own: &[&str] = match data_type.kind {
            _ if number => &["sum", "sum", "sum", "product"],
            TypeKind::Boolean => &["bool_and", "bool_or"],
            TypeKind::VarChar(_) => &["listagg", "listagg"],
            TypeKind::VarBinary(_) => &["rbm32", "rbm64", "theta_sketch"],
            _ => &[],
        };
        // Paimon 2.0 has no largest BOOLEAN.
        let adding = if data_type.kind == TypeKind::Boolean { &ANY_ADDING[..2] } else { &ANY_ADDING };
        let function = random.pick(&[&ANY, adding, own].concat());
        self.functions[at] = function;
        self.set(&format!("fields.{name}.aggregate-function"), function);
        if function == "listagg" {
            self.set(&format!("fields.{name}.distinct"), random.pick(&["true", "false"]));
            self.set(&format!("fields.{name}.list-agg-delimiter"), random.pick(&[",", ";", "--"]));
        }
        // A quotient may have no end, so products take nothing back.
        if retracts && (!(ANY.contains(&function) || function == "sum") || random.chance(20)) {
            self.set(&format!("fields.{name}.ignore-retract"), "true");
        }
    }

    fn operations(&self, random: &mut Random, commits: usize) -> Operations {
        let keys = random.between(4, 12);
        let op = |random: &mut Random| {
            let row: Row = (0..self.spec.columns.len()).map(|at| self.value(random, at, keys)).collect();
            Op { kind: random.pick(&self.kinds), row }
        };
        (0..commits).map(|_| (0..random.between(1, 30)).map(|_| op(random)).collect()).collect()
    }

    fn value(&self, random: &mut Random, at: usize, keys: i64) -> Datum {
        let (name, data_type) = &self.spec.columns[at];
        match name.as_str() {
            "k" => return Datum::Int(random.between(1, keys) as i32),
            _ if random.chance(20) => return Datum::Null,
            "g" | "h" => return Datum::Int(random.between(-3, 8) as i32),
            "i" => return Datum::String(random.pick(&["", "a", "b", "é", "z"]).to_string()),
            _ => {}
        }
        match self.functions[at] {
            "sum" => small(random, &data_type.kind, -3, 3),
            "product" => small(random, &data_type.kind, 1, if data_type.kind == TypeKind::TinyInt { 1 } else { 2 }),
            "listagg" => Datum::String(random.pick(&["a", "b", "c", " ", "", "a,b", "b;c", "--a", "é--"]).to_string()),
            "rbm32" => Datum::Bytes(bitmap(
                &(0..random.between(1, 4)).map(|at| at as u16 * 7 + random.below(7) as u16).collect::<Vec<_>>(),
            )),
            function @ ("rbm64" | "theta_sketch") => Datum::Bytes(random_sketch(random, function)),
            _ => random_value(random, &data_type.kind),
        }
    }
}

/// A number that some dozen additions keep inside any type.
fn small(random: &mut Random, kind: &TypeKind, low: i64, high: i64) -> Datum {
    let value = random.between(low, high);
    match kind {
        TypeKind::TinyInt => Datum::TinyInt(value as i8),
        TypeKind::SmallInt => Datum::SmallInt(value.min(1) as i16),
        TypeKind::Int => Datum::Int(value.min(1) as i32),
        TypeKind::BigInt => Datum::BigInt(value.min(1)),
        TypeKind::Float => Datum::Float(value as f32 * 0.7),
        TypeKind::Double => Datum::Double(value as f64 * 1.1),
        TypeKind::Decimal { scale, .. } => {
            Datum::Decimal(i128::from(value) * 10_i128.pow(u32::from(*scale)) + i128::from(random.between(0, 9)))
        }
        other => panic!("{other} is no number"),
    }
}

/// A Roaring bitmap of one array container.
fn bitmap(values: &[u16]) -> Vec<u8> {
    let mut bytes = [12346_u32, 1].map(u32::to_le_bytes).concat();
    bytes.extend([0, values.len() as u16 - 1].map(u16::to_le_bytes).concat());
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[tokio::test]
async fn tables_of_every_engine_are_written_and_read_alike() {
    let mut java = Server::get(Engine::Java2x);
    for seed in seeds(16) {
        let mut random = Random::new(seed);
        let mut sample = Sample::random(&mut random);
        // What is compared first are the flushes alone.
        sample.spec.options.insert("write-only".to_string(), "true".to_string());
        let spec = &sample.spec;
        let what = format!("seed {seed}: {spec:?}");
        let place = place();
        let (ours, javas) = (place.path().join("ours"), place.path().join("javas"));
        create(&ours, spec).await;
        spec.create_by(&mut java, &javas);
        for (identifier, operations) in (1..).zip(sample.operations(&mut random, 4)) {
            let snapshot = write_once(&ours, "ours", identifier, &operations).await;
            assert_eq!(server_write(&mut java, &javas, spec, identifier, &operations, "none"), snapshot, "{what}");
        }
        assert_alike(&what, &mut java, spec, &ours, &javas);
        for compacts in [false, true] {
            if compacts {
                server_compact(&mut java, &ours, spec, true);
                server_compact(&mut java, &javas, spec, true);
            }
            let wanted = agreed(&format!("{what}: Java's table"), &mut java, &javas).await;
            let found = agreed(&format!("{what}: our table"), &mut java, &ours).await;
            assert_same(&format!("{what}: our table, compacted: {compacts}"), &wanted, &found);
            assert!(!compacts || wanted.rows.values().any(|rows| !rows.is_empty()), "{what}: no row to compare");
        }
    }
}

#[tokio::test]
async fn both_write_one_table_of_every_engine_by_turns() {
    let mut java = Server::get(Engine::Java2x);
    for seed in seeds(16) {
        let mut random = Random::new(seed);
        let sample = Sample::random(&mut random);
        let what = format!("seed {seed}: {:?}", sample.spec);
        let place = place();
        let path = place.path().join("t");
        sample.spec.create_by(&mut java, &path);
        for (identifier, operations) in (1..).zip(sample.operations(&mut random, 8)) {
            if random.chance(50) {
                write_once(&path, &format!("ours-{identifier}"), identifier, &operations).await;
            } else {
                let compact = random.pick(&["none", "auto", "full"]);
                server_write(&mut java, &path, &sample.spec, identifier, &operations, compact);
            }
        }
        agreed(&what, &mut java, &path).await;
    }
}

#[tokio::test]
async fn tables_of_every_engine_are_read_where_java_looks_old_rows_up() {
    let mut java = Server::get(Engine::Java2x);
    for seed in seeds(16) {
        let mut random = Random::new(seed);
        let mut sample = Sample::random(&mut random);
        sample.looks_old_rows_up(&mut random);
        let what = format!("seed {seed}: {:?}", sample.spec);
        let place = place();
        let path = place.path().join("t");
        sample.spec.create_by(&mut java, &path);
        for (identifier, operations) in (1..).zip(sample.operations(&mut random, 7)) {
            let compact = random.pick(&["none", "auto", "auto", "full"]);
            server_write(&mut java, &path, &sample.spec, identifier, &operations, compact);
        }
        agreed(&what, &mut java, &path).await;
    }
}

/// What both tell of each commit, whatever snapshots it took.
fn by_commit(view: &View, ends: &[i64]) -> Vec<Vec<String>> {
    let mut commits = vec![Vec::new(); ends.len()];
    for (snapshot, changes) in &view.changes {
        commits[ends.partition_point(|end| end < snapshot)].extend(changes.iter().cloned());
    }
    commits.iter_mut().for_each(|changes| changes.sort());
    commits
}

#[tokio::test]
async fn the_changelog_that_we_make_is_the_one_that_java_makes() {
    let mut java = Server::get(Engine::Java2x);
    for seed in seeds(16) {
        let mut random = Random::new(seed);
        let mut sample = Sample::random(&mut random);
        let producer = sample.looks_old_rows_up(&mut random);
        if random.chance(50) {
            sample.set("changelog-producer.row-deduplicate", "true");
            if random.chance(50) {
                sample.set("changelog-producer.row-deduplicate-ignore-fields", random.pick(&["g", "v0,h", "v1,v2,i"]));
            }
        }
        if producer == "lookup" && sample.spec.options.keys().any(|name| name.ends_with(".sequence-group")) {
            // A row without a sequence is told without the values of its group. Java stores it so where it rewrites it,
            // which this option makes it do, and moves it as it came elsewhere; we always rewrite it.
            sample.set("compaction.force-rewrite-all-files", "true");
        }
        let what = format!("seed {seed}: {:?}", sample.spec);
        let place = place();
        let (ours, javas) = (place.path().join("ours"), place.path().join("javas"));
        create(&ours, &sample.spec).await;
        sample.spec.create_by(&mut java, &javas);
        // A retraction with a high sequence value wins over what comes later until a compaction drops it, and files of
        // other sizes are compacted at other moments: there both compact everything each time.
        let ordered = sample.spec.options.keys().any(|name| name.contains("sequence"));
        let mut ends = [Vec::new(), Vec::new()];
        for (identifier, operations) in (1..).zip(sample.operations(&mut random, 7)) {
            let full = producer == "full-compaction" || ordered || random.chance(20);
            write_once(&ours, "ours", identifier, &operations).await;
            let table = open(&ours).await;
            if full {
                table.compact().full().run().await.unwrap();
            }
            ends[0].push(table.history().snapshots.latest_id().await.unwrap().unwrap());
            let compact = if full { "full" } else { "auto" };
            ends[1].push(server_write(&mut java, &javas, &sample.spec, identifier, &operations, compact));
        }
        let found = agreed(&format!("{what}: our table"), &mut java, &ours).await;
        let wanted = agreed(&format!("{what}: Java's table"), &mut java, &javas).await;
        let told = by_commit(&wanted, &ends[1]);
        assert!(told.iter().any(|changes| !changes.is_empty()), "{what}: nothing is told");
        for (commit, (found, told)) in by_commit(&found, &ends[0]).iter().zip(&told).enumerate() {
            let only = |these: &[String], those: &[String]| -> Vec<String> {
                these.iter().filter(|line| !those.contains(line)).cloned().collect()
            };
            let (ours, javas) = (only(found, told), only(told, found));
            assert!(found == told, "{what}: commit {}: ours alone {ours:#?}, Java's alone {javas:#?}", commit + 1);
        }
    }
}

#[tokio::test]
async fn a_projection_shows_what_the_whole_row_shows() {
    for seed in seeds(16) {
        let mut random = Random::new(seed);
        let sample = Sample::random(&mut random);
        let place = place();
        let path = place.path().join("t");
        create(&path, &sample.spec).await;
        for (identifier, operations) in (1..).zip(sample.operations(&mut random, 4)) {
            write_once(&path, "ours", identifier, &operations).await;
        }
        let table = open(&path).await;
        let rows = shown(&table, &sample.spec.columns).await;
        for (at, column) in sample.spec.columns.iter().enumerate() {
            let wanted: Vec<Row> = rows.iter().map(|row| vec![row[at].clone()]).collect();
            let found = shown(&table, std::slice::from_ref(column)).await;
            assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "seed {seed}: {column:?} of {:?}", sample.spec);
        }
    }
}

/// The newest rows of a table with some of its columns, in the order they come.
async fn shown(table: &forebay::Table, columns: &[(String, DataType)]) -> Vec<Row> {
    let scan = table.scan().select(columns.iter().map(|(name, _)| name)).wide_timestamps();
    let mut stream = scan.read().await.unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = stream.next_batch().await.unwrap() {
        rows.extend(forebay_interop::rows_of(table.schema(), &batch));
    }
    rows
}
