use super::*;
use crate::error::Error;
use crate::types::DataType;

fn schema(keyed: bool, options: &[(&str, &str)]) -> Schema {
    let builder = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("a", DataType::STRING)
        .column("b", DataType::STRING);
    let builder = if keyed { builder.primary_key(["id"]) } else { builder };
    options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap()
}

fn parse(options: &[(&str, &str)]) -> TableOptions {
    TableOptions::parse(&schema(true, options)).unwrap()
}

#[test]
fn defaults_are_those_of_paimon() {
    let options = parse(&[("bucket", "4")]);
    assert_eq!(options.bucket, BucketMode::Fixed(4));
    assert_eq!(options.bucket_key, ["id"]);
    assert_eq!((options.merge_engine, options.changelog_producer), (MergeEngine::Deduplicate, ChangelogProducer::None));
    assert_eq!((&options.formats.format, &options.formats.compression), (&FileFormat::Parquet, &Compression::Zstd));
    assert_eq!(options.target_file_size, 128 << 20);
    assert_eq!(options.target_file_rows, i64::MAX as u64);
    assert_eq!((options.write_buffer_size, options.write_buffer_spillable), (256 << 20, true));
    assert_eq!(options.write_buffer_max_disk, i64::MAX as u64);
    assert_eq!((options.data_file_prefix.as_str(), options.changelog_file_prefix.as_str()), ("data-", "changelog-"));
    assert_eq!(options.partition_default_name, "__DEFAULT_PARTITION__");
    assert!(options.partition_legacy_name && !options.thin_mode);
    assert_eq!(options.stats.modes(&["id", "a"], 0), [StatsMode::Truncate(16); 2]);
    assert_eq!((options.stats.dense, options.stats.first_columns), (true, None));
    assert_eq!((options.manifest.target_file_size, options.manifest.merge_min_count), (8 << 20, 30));
    assert_eq!(options.manifest.compression, "zstd");
    assert_eq!((options.commit.max_retries, options.commit.timeout), (10, None));
    assert_eq!(options.commit.snapshot_time_retained, Duration::from_secs(3600));
    assert_eq!((options.parquet.row_group_size, options.parquet.dictionary), (None, true));

    let append = TableOptions::parse(&schema(false, &[])).unwrap();
    assert_eq!((append.bucket, append.target_file_size), (BucketMode::Unaware, 256 << 20));
    assert!(append.bucket_key.is_empty());
}

#[test]
fn values_are_read_in_any_case_and_by_old_names() {
    let options = parse(&[
        ("bucket", "1"),
        ("sequence.field", "a, b"),
        ("sequence.field.sort-order", "DESCENDING"),
        ("deduplicate.ignore-delete", "TRUE"),
        ("changelog-producer", "Full-Compaction"),
        ("file.compression.per.level", "0:lz4,5:none"),
        ("snapshot.ignore-empty-commit", "false"),
    ]);
    assert_eq!(options.sequence_fields, ["a", "b"]);
    assert!(options.sequence_descending && options.ignore_delete);
    assert_eq!(options.changelog_producer, ChangelogProducer::FullCompaction);
    let codecs = [0, 1, 5].map(|level| options.formats.compression_of(level));
    assert_eq!(codecs, [&Compression::Lz4, &Compression::Zstd, &Compression::None]);
    assert_eq!(options.formats.changelog_compression_of(0), &Compression::Lz4);
    assert_eq!(options.formats.changelog_compression_of(5), &Compression::None);
    assert_eq!(options.commit.ignore_empty, Some(false));
}

#[test]
fn a_map_may_be_one_option_for_each_key() {
    let options =
        parse(&[("bucket", "1"), ("metadata.stats-mode.per.level.0", "none"), ("fields.b.stats-mode", "full")]);
    assert_eq!(options.stats.modes(&["id", "a", "b"], 0), [StatsMode::None, StatsMode::None, StatsMode::Full]);
    assert_eq!(options.stats.modes(&["id"], 1), [StatsMode::Truncate(16)]);
}

#[test]
fn the_first_columns_alone_have_statistics_but_a_named_column_always_has() {
    let options = parse(&[
        ("bucket", "1"),
        ("metadata.stats-keep-first-n-columns", "1"),
        ("fields.b.stats-mode", "counts"),
        ("changelog-file.stats-mode", "none"),
    ]);
    let columns = ["id", "a", "b"];
    assert_eq!(options.stats.modes(&columns, 0), [StatsMode::Truncate(16), StatsMode::None, StatsMode::Counts]);
    assert_eq!(options.stats.changelog_modes(&columns, 0), [StatsMode::None, StatsMode::None, StatsMode::Counts]);

    // In thin mode key columns are kept for the key's sake and do not count.
    let thin = parse(&[("bucket", "1"), ("metadata.stats-keep-first-n-columns", "1"), ("data-file.thin-mode", "true")]);
    let modes = [StatsMode::Truncate(128), StatsMode::Truncate(16), StatsMode::None];
    assert_eq!(thin.stats.modes(&columns, 0), modes);
}

#[test]
fn parquet_options_are_typed() {
    let options = parse(&[
        ("bucket", "1"),
        ("file.block-size", "1 mb"),
        ("parquet.block.size", "4096"),
        ("parquet.enable.dictionary", "false"),
        ("parquet.enable.dictionary#a", "true"),
        ("file.compression.zstd-level", "9"),
    ]);
    assert_eq!(
        (options.parquet.row_group_size, options.parquet.dictionary, options.parquet.zstd_level),
        (Some(1 << 20), false, 9)
    );
    assert_eq!(options.parquet.dictionary_of.get("a"), Some(&true));
}

#[test]
fn an_error_names_the_option() {
    for (name, value) in [
        ("write-buffer-size", "0.5 mb"),
        ("commit.timeout", "later"),
        ("target-file-row-num", "0"),
        ("metadata.stats-mode.per.level", "top:full"),
        ("file.compression.per.level", "top:lz4"),
        ("read.batch-size", "-1"),
        ("fields.a.stats-mode", "some"),
    ] {
        let error = TableOptions::parse_all(&schema(true, &[("bucket", "1"), (name, value)])).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains(name)), "{error}");
    }
}

#[test]
fn each_level_and_the_changelog_have_a_format() {
    let of = |options: &[(&str, &str)]| {
        let formats = parse(options).formats;
        let of_levels = [0, 1, 5].map(|level| formats.of_level(level).word().to_string());
        (of_levels, [0, 5].map(|level| formats.of_changelog(level).word().to_string()))
    };
    let words = |text: &str| text.split(' ').map(ToString::to_string).collect::<Vec<_>>();
    let (levels, changelog) = of(&[("bucket", "1"), ("file.format", "AVRO")]);
    assert_eq!((levels.to_vec(), changelog.to_vec()), (words("avro avro avro"), words("avro avro")));
    let (levels, changelog) = of(&[("bucket", "1"), ("file.format.per.level", "0:avro,5:parquet")]);
    assert_eq!((levels.to_vec(), changelog.to_vec()), (words("avro parquet parquet"), words("avro parquet")));
    let own = [("bucket", "1"), ("file.format.per.level.0", "avro"), ("changelog-file.format", "parquet")];
    let (levels, changelog) = of(&own);
    assert_eq!((levels.to_vec(), changelog.to_vec()), (words("avro parquet parquet"), words("parquet parquet")));
}

#[test]
fn postponed_rows_wait_in_avro_where_their_columns_fit() {
    let plain = parse(&[("bucket", "-2")]).formats;
    assert_eq!((plain.of_postponed(true), plain.of_postponed(false)), (&FileFormat::Avro, &FileFormat::Parquet));
    let own = parse(&[("bucket", "-2"), ("file.format.per.level", "0:parquet")]).formats;
    assert_eq!(own.of_postponed(true), &FileFormat::Parquet);
}

#[test]
fn statistics_that_a_writer_gathers_count_every_column_of_the_file() {
    let options =
        parse(&[("bucket", "1"), ("metadata.stats-keep-first-n-columns", "4"), ("fields.b.stats-mode", "full")]);
    let columns = ["_KEY_id", "_SEQUENCE_NUMBER", "_VALUE_KIND", "id", "a", "b"];
    let (kept, full) = (StatsMode::Truncate(16), StatsMode::Full);
    assert_eq!(options.stats.gathered_modes(&columns, kept), [kept, kept, kept, kept, StatsMode::None, full]);
}
