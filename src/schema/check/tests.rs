use super::*;
use crate::schema::option_keys;
use crate::types::DataType;

fn keyed(options: &[(&str, &str)]) -> Schema {
    let builder = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("name", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "1");
    options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap()
}

fn check(options: &[(&str, &str)], usage: Use) -> Result<()> {
    check_options(&keyed(options), usage)
}

#[test]
fn every_option_set_to_its_default_is_accepted() {
    for key in option_keys().filter(|key| key.name != "bucket" && !key.is_family()) {
        if let Some(default) = key.default {
            for usage in [Use::Read, Use::Write] {
                check(&[(key.name, default)], usage).unwrap_or_else(|error| panic!("{usage:?} {error}"));
            }
        }
    }
}

#[test]
fn an_unknown_option_is_refused_by_name() {
    for usage in [Use::Read, Use::Write] {
        let error = check(&[("merge-engin", "deduplicate")], usage).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("merge-engin")), "{error}");
    }
}

#[test]
fn only_a_reader_lets_unknown_options_of_engines_pass() {
    let options = [("sink.some-day", "1"), ("hadoop.fs.x", "y")];
    assert_eq!(check(&options, Use::Read), Ok(()));
    assert!(matches!(check(&options, Use::Write), Err(Error::Invalid(_))));
}

#[test]
fn what_writers_alone_look_at_keeps_nobody_from_reading() {
    for (name, value) in [
        ("manifest.merge-min-count", "0"),
        ("snapshot.expire.limit", "-1"),
        ("parquet.block.size", "0"),
        ("changelog-file.stats-mode", "truncate(0)"),
    ] {
        let schema = keyed(&[(name, value), ("merge-engine", "aggregation")]);
        let options = TableOptions::checked(&schema, Use::Read).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(options.merge_engine, crate::schema::MergeEngine::Aggregation, "what readers look at stays");
        let error = check_options(&schema, Use::Write).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains(value)), "{name}: {error}");
    }
    assert!(check(&[("file.compression.zstd-level", "23")], Use::Write).is_ok(), "zstd's last level");
}

#[test]
fn write_mode_says_what_the_key_says() {
    let without = |mode: &str| Schema::builder().column("a", DataType::INT).option("write-mode", mode).build().unwrap();
    for usage in [Use::Read, Use::Write] {
        assert_eq!(check(&[("write-mode", "change-log")], usage), Ok(()));
        assert_eq!(check_options(&without("append-only"), usage), Ok(()));
        for refused in [check(&[("write-mode", "append-only")], usage), check_options(&without("change-log"), usage)] {
            assert!(matches!(&refused, Err(Error::Unsupported(text)) if text.contains("write-mode")), "{refused:?}");
        }
    }
}

#[test]
fn one_error_names_every_offending_option() {
    let options = [("data-evolution.enabled", "true"), ("primary-key.nullable", "true"), ("write-only", "true")];
    let Err(Error::Unsupported(text)) = check(&options, Use::Read) else { panic!() };
    assert!(text.contains("data-evolution.enabled = \"true\"") && text.contains("primary-key.nullable"), "{text}");
    assert!(!text.contains("write-only"), "{text}");

    let mixed = [("data-evolution.enabled", "true"), ("target-file-size", "much")];
    let Err(Error::Invalid(text)) = check(&mixed, Use::Write) else { panic!() };
    assert!(text.contains("data-evolution.enabled") && text.contains("target-file-size"), "{text}");
}

#[test]
fn what_differs_between_reading_and_writing() {
    for (name, value) in [
        ("file-index.lumina.columns", "name"),
        ("tag.automatic-creation", "process-time"),
        ("partition.expiration-time", "7 d"),
        ("commit.callbacks", "a.b.C"),
        ("file.format", "lance"),
        ("file.format.per.level", "0:avro,5:lance"),
        ("changelog-file.format", "lance"),
        ("orc.compress", "lzo"),
        ("orc.write.format", "0.11"),
        ("orc.bloom.filter.columns", "id"),
        ("avro.codec", "xz"),
        ("file.compression", "brotli"),
        ("file.compression.per.level", "0:lz4,5:brotli"),
        ("file.compression.per.level.5", "lzo"),
        ("changelog-file.compression", "brotli"),
        ("metadata.iceberg.storage", "table-location"),
    ] {
        assert_eq!(check(&[(name, value)], Use::Read), Ok(()), "{name}");
        assert!(
            crate::schema::TableOptions::parse(&keyed(&[(name, value)])).is_ok(),
            "{name} passes and cannot be parsed"
        );
        let error = check(&[(name, value)], Use::Write).unwrap_err();
        assert!(matches!(&error, Error::Unsupported(text) if text.contains(name)), "{error}");
    }
}

#[test]
fn what_neither_reads_nor_writes() {
    for (name, value) in [
        ("data-evolution.enabled", "true"),
        ("incremental-to-auto-tag", "2024-01-31"),
        ("branch", "b"),
        ("scan.fallback-branch", "b"),
        ("type", "format-table"),
        ("parquet.encryption.column.keys", "k"),
    ] {
        for usage in [Use::Read, Use::Write] {
            let error = check(&[(name, value)], usage).unwrap_err();
            assert!(matches!(&error, Error::Unsupported(text) if text.contains(name)), "{error}");
        }
    }
}

#[test]
fn values_that_mean_the_same_are_the_same() {
    let options = [
        ("merge-engine", "DEDUPLICATE"),
        ("deletion-vectors.enabled", "False"),
        ("file.format", "Avro"),
        ("file.format.per.level", "0:avro,5:PARQUET"),
        ("changelog-file.format", "ORC"),
        ("avro.codec", "deflate"),
        ("orc.compress", "ZLIB"),
        ("orc.stripe.size", "1048576"),
        ("file.compression.per.level", "0:lz4,5:zstd"),
        ("file.compression.per.level.3", "snappy"),
        ("changelog-producer", "input"),
        ("write.compaction-skip", "true"),
    ];
    assert_eq!(check(&options, Use::Write), Ok(()));
    assert!(matches!(check(&[("file.format.per.level", "0:lance")], Use::Write), Err(Error::Unsupported(_))));
}

#[test]
fn a_value_of_the_wrong_type_is_invalid() {
    for (name, value) in [
        ("bucket", "many"),
        ("bucket", "0"),
        ("target-file-size", "10 parsecs"),
        ("snapshot.time-retained", "soon"),
        ("write-only", "yes"),
        ("merge-engine", "magic"),
        ("metadata.stats-mode", "truncate"),
        ("metadata.stats-mode.per.level", "0"),
        ("fields.name.stats-mode", "x"),
        ("target-file-row-num", "1.5"),
    ] {
        let error = check(&[(name, value)], Use::Write).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("bucket") || text.contains(name)), "{error}");
    }
    // A reader does not care about the value of an option that it does not need.
    assert_eq!(check(&[("lookup.cache.bloom.filter.fpp", "many")], Use::Read), Ok(()));
}

#[test]
fn a_key_table_without_a_bucket_count_has_dynamic_buckets() {
    let schema = Schema::builder().column("id", DataType::INT).primary_key(["id"]).build().unwrap();
    assert_eq!(check_options(&schema, Use::Read), Ok(()));
    assert_eq!(check_options(&schema, Use::Write), Ok(()));
}
