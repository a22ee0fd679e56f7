use super::*;
use crate::schema::SchemaBuilder;
use crate::types::DataType;

fn columns() -> SchemaBuilder {
    Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("day", DataType::DATE.not_null())
        .column("name", DataType::STRING)
        .column("version", DataType::INT)
}

fn keyed(options: &[(&str, &str)]) -> Result<TableOptions> {
    built(columns().partition_by(["day"]).primary_key(["day", "id"]).option("bucket", "2"), options)
}

fn append(options: &[(&str, &str)]) -> Result<TableOptions> {
    built(columns().partition_by(["day"]), options)
}

fn built(builder: SchemaBuilder, options: &[(&str, &str)]) -> Result<TableOptions> {
    validate(&options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build()?)
}

#[test]
fn a_plain_table_of_each_kind_is_fine() {
    assert_eq!(keyed(&[]).unwrap().bucket_key, ["id"]);
    assert_eq!(append(&[]).unwrap().bucket, BucketMode::Unaware);
    assert_eq!(append(&[("bucket", "3"), ("bucket-key", "id,name")]).unwrap().bucket_key, ["id", "name"]);
    let all = [
        ("sequence.field", "version,name"),
        ("rowkind.field", "name"),
        ("ignore-delete", "true"),
        ("changelog-producer", "input"),
        ("data-file.thin-mode", "true"),
        ("data-file.path-directory", "a/b"),
        ("fields.name.stats-mode", "none"),
        ("fields.id,version.sequence-group", "name"),
        ("changelog-producer.row-deduplicate-ignore-fields", "name,version"),
        ("record-level.expire-time", "1 d"),
        ("record-level.time-field", "version"),
    ];
    assert!(keyed(&all).is_ok());
}

#[test]
fn deletion_vectors_go_with_producers_and_engines_as_java_says() {
    let vectors = ("deletion-vectors.enabled", "true");
    for good in
        [("merge-engine", "aggregation"), ("changelog-producer", "input"), ("deletion-vectors.bitmap64", "true")]
    {
        assert!(keyed(&[vectors, good]).is_ok(), "{good:?}");
    }
    let error = keyed(&[vectors, ("merge-engine", "first-row")]).unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.contains("first-row")), "{error}");
    assert!(append(&[vectors]).is_ok());
}

#[test]
fn bad_combinations_are_refused_with_the_options_name() {
    for (name, value) in [
        ("bucket-key", "nope"),
        ("bucket-key", "name"),
        ("bucket-key", "day"),
        ("bucket-key", "id,id"),
        ("bucket-function.type", "mod ulo"),
        ("sequence.field", "nope"),
        ("sequence.field", "version,version"),
        ("rowkind.field", "nope"),
        ("rowkind.field", "version"),
        ("changelog-producer.row-deduplicate-ignore-fields", "nope"),
        ("changelog-producer.row-deduplicate-ignore-fields", "name,nope"),
        ("record-level.time-field", "nope"),
        ("record-level.time-field", "name"),
        ("record-level.time-field", "day"),
        ("record-level.expire-time", "1 d"),
        ("fields.nope.stats-mode", "none"),
        ("fields.id,nope.sequence-group", "name"),
        ("parquet.enable.dictionary#nope", "true"),
        ("data-file.prefix", "../x"),
        ("data-file.prefix", ""),
        ("changelog-file.prefix", "data-"),
        ("data-file.path-directory", "/abs"),
        ("data-file.path-directory", "a/../../b"),
        ("partition.default-name", "a/b"),
        ("snapshot.num-retained.min", "0"),
        ("snapshot.num-retained.max", "3"),
        ("changelog.num-retained.max", "3"),
        ("consumer-id", ""),
    ] {
        let error = keyed(&[(name, value)]).unwrap_err();
        let short = name.split('.').next().unwrap();
        assert!(matches!(&error, Error::Invalid(text) if text.contains(short)), "{name}={value}: {error}");
    }
}

#[test]
fn rows_of_append_tables_do_not_expire() {
    let error = append(&[("record-level.expire-time", "1 d"), ("record-level.time-field", "version")]).unwrap_err();
    assert!(matches!(&error, Error::Unsupported(text) if text.contains("record-level.expire-time")), "{error}");
    assert!(append(&[("record-level.time-field", "version")]).is_ok());
}

#[test]
fn append_tables_take_no_option_of_key_tables() {
    for (name, value) in [
        ("sequence.field", "version"),
        ("rowkind.field", "name"),
        ("changelog-producer", "input"),
        ("streaming-read-overwrite", "true"),
        ("data-file.thin-mode", "true"),
        ("bucket-key", "id"),
        ("bucket", "3"),
    ] {
        let error = append(&[(name, value)]).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("bucket") || text.contains(name)), "{error}");
    }
}

#[test]
fn overwrites_are_not_told_in_streams_whose_producer_tells_them() {
    for (producer, fine) in [("none", true), ("input", true), ("lookup", false), ("full-compaction", false)] {
        let options = [("changelog-producer", producer), ("streaming-read-overwrite", "true")];
        let built = built(columns().primary_key(["id"]).option("bucket", "1"), &options);
        assert_eq!(built.is_ok(), fine, "{producer}: {built:?}");
    }
}

#[test]
fn a_sequence_field_needs_the_partition_in_the_key() {
    let builder = columns().partition_by(["day"]).primary_key(["id"]).option("bucket", "1");
    assert!(built(builder.clone(), &[]).is_ok());
    assert!(matches!(built(builder, &[("sequence.field", "version")]), Err(Error::Invalid(_))));
}

#[test]
fn the_mod_function_needs_one_integer() {
    assert!(keyed(&[("bucket-function.type", "mod")]).is_ok());
    let text = columns().primary_key(["name"]).option("bucket", "2");
    assert!(matches!(built(text, &[("bucket-function.type", "mod")]), Err(Error::Invalid(_))));
}

#[test]
fn types_out_of_bounds_are_refused() {
    for bad in [DataType::decimal(39, 0), DataType::decimal(5, 6), DataType::timestamp(10), DataType::decimal(0, 0)] {
        let error = built(Schema::builder().column("x", bad), &[]).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("\"x\"")), "{error}");
    }
}

#[test]
fn what_cannot_be_honoured_is_refused_before_anything_else() {
    assert!(matches!(keyed(&[("data-evolution.enabled", "true")]), Err(Error::Unsupported(_))));
    assert!(matches!(keyed(&[("buckets", "3")]), Err(Error::Invalid(_))));
}

#[test]
fn row_ids_are_for_append_tables_without_buckets() {
    let tracked = |options: &[(&str, &str)]| {
        let columns = Schema::builder().column("a", DataType::INT).option("row-tracking.enabled", "true");
        built(columns, options)
    };
    assert!(tracked(&[]).is_ok_and(|options| options.row_tracking && options.row_ids_by_partition));
    assert!(matches!(tracked(&[("bucket", "2"), ("bucket-key", "a")]), Err(Error::Invalid(_))));
    assert!(matches!(keyed(&[("row-tracking.enabled", "true"), ("bucket", "1")]), Err(Error::Invalid(_))));
}

#[test]
fn an_order_by_snapshots_needs_write_only_and_no_sequence_field() {
    let ordered = ("sequence.snapshot-ordering", "true");
    assert!(keyed(&[ordered, ("write-only", "true")]).is_ok_and(|options| options.snapshot_ordering));
    assert!(matches!(keyed(&[ordered]), Err(Error::Invalid(text)) if text.contains("write-only")));
    let both = [ordered, ("write-only", "true"), ("sequence.field", "version")];
    assert!(matches!(keyed(&both), Err(Error::Invalid(text)) if text.contains("sequence.field")));
    let waiting = [ordered, ("write-only", "true"), ("bucket", "-2")];
    assert!(matches!(keyed(&waiting), Err(Error::Unsupported(text)) if text.contains("snapshot-ordering")));
}

fn made(options: &[(&str, &str)]) -> Result<()> {
    let builder = columns().partition_by(["day"]).primary_key(["day", "id"]).option("bucket", "2");
    let schema = options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build()?;
    validate(&schema).and_then(|_| check_spellings(&schema))
}

#[test]
fn spellings_that_java_stumbles_over_are_refused() {
    for option in [
        ("bucket-key", "id, id"),
        ("sequence.field", ""),
        ("sequence.field", "version,,version"),
        ("metadata.stats-mode.per.level", "0:none,0:full"),
        ("parquet.writer.version", "parquet_1_0"),
        ("data-file.external-paths.weights", " "),
        ("data-file.prefix", "d:"),
        ("compaction.small-file-ratio", "inf"),
    ] {
        let error = made(&[option]).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains(option.0)), "{option:?}: {error}");
    }
    assert!(made(&[("sequence.field", "version, name")]).is_ok(), "Java trims these");
    assert!(keyed(&[("bucket-key", "id ")]).is_ok(), "a table that is there");
    for option in ["file.compression", "file.compression.per.level.0", "avro.codec"] {
        let codec = |format: &str| made(&[("file.format", format), (option, "Snappy")]);
        assert!(codec("parquet").is_ok() && codec("avro").is_err(), "{option}");
    }
}

#[test]
fn first_row_tables_take_no_sequence_field_and_no_changelog_of_their_input() {
    assert!(keyed(&[("merge-engine", "first-row")]).is_ok());
    for (name, value) in [("sequence.field", "version"), ("changelog-producer", "input")] {
        let error = keyed(&[("merge-engine", "first-row"), (name, value)]).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains(name)), "{error}");
    }
}

#[test]
fn nested_columns_are_no_keys_and_their_types_are_checked_at_any_depth() {
    let nested = |text: &str| Schema::builder().column("id", DataType::INT).column("nest", text.parse().unwrap());
    let option = |name: &str| {
        let builder = nested("ARRAY<INT>").primary_key(["id"]).option("bucket", "1");
        validate(&builder.option(name, "nest").build().unwrap())
    };
    for (what, result) in [
        ("primary key", validate(&nested("ROW<a INT>").primary_key(["nest"]).build().unwrap())),
        ("partition key", validate(&nested("MAP<INT, INT>").partition_by(["nest"]).build().unwrap())),
        ("sequence.field", option("sequence.field")),
        ("bucket-key", option("bucket-key")),
    ] {
        assert!(matches!(&result, Err(Error::Invalid(text)) if text.contains(what)), "{what}: {result:?}");
    }
    let valid = |data_type: DataType| validate(&Schema::builder().column("a", data_type).build().unwrap());
    assert!(valid("MAP<STRING, MULTISET<ROW<a INT>>>".parse().unwrap()).is_ok());
    assert!(valid(DataType::array(DataType::decimal(39, 0))).is_err());
    assert!(valid("ARRAY<ROW<>>".parse().unwrap()).is_err());
    assert!(valid("ARRAY<ROW<a INT, a INT>>".parse().unwrap()).is_err());
    let levels = |count| (0..count).fold(DataType::INT, |inner, _| DataType::array(inner));
    assert!(valid(levels(100)).is_ok() && valid(levels(101)).is_err());
    let wide = |count: usize| DataType::row((0..count).map(|at| (format!("f{at}"), DataType::INT)));
    assert!(valid(wide(9_999)).is_ok() && valid(wide(10_000)).is_err());
}
