//! Options that file formats read by their own prefix.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{HONOURED, Kind, OptionKey, WRITES, harmless, refused, unwritable};

const ORC_REST: &str = "a detail of ORC's writer or reader that nobody can tell from the rows";
const ORC_TEXTS: &str = "texts are never kept in a dictionary in ORC files";
const ORC_INDEX: &str = "ORC files get no row indexes, which readers can do without";
const ORC_CODECS: &[&str] = &["none", "snappy", "lz4", "zstd", "zlib"];
const ORC_BLOOM: &str = "no bloom filter is written into ORC files";
const ENCRYPTED: &str = "encrypted files are not supported";
const AVRO_NAMES: &str = "readers do not look at the names of nested records";
const AVRO_REST: &str = "Java's Avro format reads no other setting";
const NO_TEXT: &str = "no text file is written or read";
const PARQUET_SPEED: &str = "a detail of parquet-mr's writer that readers cannot tell";

keys! {
    "parquet.enable.dictionary": Boolean = "true", HONOURED, "dictionary encoding";
    "parquet.enable.dictionary#<column>": Boolean = "true", HONOURED, "dictionary encoding of one column";
    "parquet.block.size": Long = "134217728", WRITES, "bytes of a row group (16 MiB here when it is not set)";
    "parquet.page.size": Int = "65536", WRITES, "bytes of a page; smaller than parquet-java's 1 MiB, for lookups and for memory";
    "parquet.dictionary.page.size": Int = "1048576", WRITES, "bytes of a dictionary page";
    "parquet.page.row.count.limit": Int = "20000", WRITES, "rows of a page";
    "parquet.compression.codec.zstd.level": Int = "1", WRITES,
        "effort of zstd, instead of file.compression.zstd-level";
    "parquet.compression.codec.zstd.workers": Int = "0", harmless(PARQUET_SPEED), "threads of zstd";
    "parquet.compression.codec.zstd.bufferPool.enabled": Boolean = "true", harmless(PARQUET_SPEED),
        "reuse zstd buffers";
    "parquet.compression": Text, harmless("Java overrides it by file.compression"), "codec";
    "parquet.compression#<column>": Text, unwritable(&[], "one codec for the whole file"), "codec of one column";
    "parquet.writer.version": Text = "PARQUET_1_0", unwritable(&["PARQUET_1_0", "v1"], "only version 1 pages"),
        "version of pages";
    "parquet.validation": Boolean = "false", harmless(PARQUET_SPEED), "check the schema at each write";
    "parquet.writer.max-padding": Int = "8388608", harmless(PARQUET_SPEED), "padding between row groups";
    "parquet.page.size.row.check.min": Int = "100", harmless(PARQUET_SPEED),
        "rows between two checks of the page size, at least";
    "parquet.page.size.row.check.max": Int = "10000", harmless(PARQUET_SPEED),
        "rows between two checks of the page size, at most";
    "parquet.page.size.check.estimate": Boolean = "true", harmless(PARQUET_SPEED), "guess when to check the page size";
    "parquet.page.value.count.threshold": Int = "1073741823", harmless(PARQUET_SPEED),
        "values after which the page size is checked";
    "parquet.page.write-checksum.enabled": Boolean = "true", harmless("page checksums are optional"),
        "checksum of pages";
    "parquet.memory.pool.ratio": Float = "0.95", harmless(PARQUET_SPEED), "share of the heap for writers";
    "parquet.memory.min.chunk.size": Long = "1048576", harmless(PARQUET_SPEED), "smallest part of that share";
    "parquet.columnindex.truncate.length": Int = "64", harmless("bounds of pages may be cut at any length"),
        "bytes of a page bound";
    "parquet.statistics.truncate.length": Int = "2147483647", harmless("bounds of row groups may be cut at any length"),
        "bytes of a row group bound";
    "parquet.bloom.filter.enabled": Boolean = "false", unwritable(&[], "no bloom filter is written into Parquet files"),
        "bloom filters";
    "parquet.bloom.filter.enabled#<column>": Boolean = "false",
        unwritable(&[], "no bloom filter is written into Parquet files"), "bloom filter of one column";
    "parquet.bloom.filter.<setting>": Text, harmless("no bloom filter is written into Parquet files"),
        "shape of bloom filters";
    "parquet.read.<setting>": Text, harmless("a setting of parquet-mr's reader"), "settings of parquet-mr's reader";
    "parquet.filter.<setting>": Text, harmless("a setting of parquet-mr's reader"), "settings of parquet-mr's reader";
    "parquet.avro.<setting>": Text, harmless("a setting of parquet-mr's reader"),
        "settings of parquet-mr's Avro binding";
    "parquet.hadoop.<setting>": Text, harmless("a setting of parquet-mr's reader"),
        "settings of parquet-mr's Hadoop binding";
    "parquet.encryption.<setting>": Text, refused(&[], "encrypted files are not supported"),
        "encryption of Parquet files";
    "parquet.crypto.<setting>": Text, refused(&[], "encrypted files are not supported"), "encryption of Parquet files";
    "orc.compress": Text, unwritable(ORC_CODECS, "only these codecs"), "codec of ORC files, instead of file.compression";
    "orc.compression.zstd.level": Int, WRITES, "effort of zstd in ORC files, instead of file.compression.zstd-level";
    "orc.stripe.size": Long = "67108864", WRITES, "bytes of a stripe (16 MiB here when it is not set)";
    "orc.stripe.row.count": Long = "2147483647", WRITES, "rows of a stripe at the most (1048576 here when it is not set)";
    "orc.write.format": Text = "0.12", unwritable(&[], "only version 0.12 of the format"), "version of ORC files";
    "orc.proleptic.gregorian": Boolean = "false", refused(&[], "days are read and written as by Java's default"),
        "the calendar of days before 1582";
    "orc.bloom.filter.columns": Text, unwritable(&[], ORC_BLOOM), "columns with bloom filters in ORC files";
    "orc.bloom.filter.<setting>": Text, harmless(ORC_BLOOM), "shape of bloom filters";
    "orc.encrypt": Text, refused(&[], ENCRYPTED), "encrypted columns of ORC files";
    "orc.mask": Text, refused(&[], ENCRYPTED), "what those see of such columns who may not";
    "orc.row.index.stride": Int = "10000", harmless(ORC_INDEX), "rows of an entry of an index";
    "orc.create.index": Boolean = "true", harmless(ORC_INDEX), "indexes in ORC files";
    "orc.compress.size": Int = "262144", harmless(ORC_REST), "bytes of a block (256 KiB here)";
    "orc.column.encoding.direct": Int, harmless(ORC_TEXTS), "ORC columns without a dictionary";
    "orc.dictionary.key.threshold": Double = "0.8", harmless(ORC_TEXTS), "when ORC uses a dictionary";
    "orc.timestamp-ltz.legacy.type": Boolean = "true", HONOURED,
        "whether ORC files hold the digits of local-zoned timestamps as times of their writer's zone";
    "orc.<setting>": Text, harmless(ORC_REST), "settings of ORC's writer and reader";
    "avro.codec": Text, unwritable(&["null", "snappy", "deflate", "zstandard"], "only these codecs"),
        "codec of Avro data files, instead of file.compression";
    "avro.row-name-mapping": Map, harmless(AVRO_NAMES), "names of nested Avro records";
    "avro.<setting>": Text, harmless(AVRO_REST), "settings of Avro's writer and reader";
    "mosaic.<setting>": Text, harmless("no Mosaic file is written or read"), "settings of the Mosaic format";
    "lance.<setting>": Text, harmless("no Lance file is written or read"), "settings of the Lance format";
    "vortex.<setting>": Text, harmless("no Vortex file is written or read"), "settings of the Vortex format";
    "csv.field-delimiter" | "field-delimiter" | "seq" | "delimiter": Text = ",", harmless(NO_TEXT),
        "text between CSV fields";
    "csv.line-delimiter" | "lineSep": Text = "\n", harmless(NO_TEXT), "text between CSV lines";
    "csv.quote-character" | "quote": Text = "\"", harmless(NO_TEXT), "quotes of CSV";
    "csv.escape-character" | "escape": Text = "\\", harmless(NO_TEXT), "escape of CSV";
    "csv.include-header" | "header": Boolean = "false", harmless(NO_TEXT), "CSV with a first line of names";
    "csv.null-literal" | "nullvalue": Text = "", harmless(NO_TEXT), "NULL in CSV";
    "csv.mode": Text = "PERMISSIVE", harmless(NO_TEXT), "what a bad CSV line does";
    "json.ignore-parse-errors": Boolean = "false", harmless(NO_TEXT), "what bad JSON does";
    "json.map-null-key-mode": Text = "FAIL", harmless(NO_TEXT), "what a NULL map key does in JSON";
    "json.map-null-key-literal": Text = "null", harmless(NO_TEXT), "a NULL map key in JSON";
    "json.line-delimiter": Text = "\n", harmless(NO_TEXT), "text between JSON lines";
    "text.line-delimiter": Text = "\n", harmless(NO_TEXT), "text between lines";
}
