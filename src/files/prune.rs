//! Which row groups and pages of a file can hold a matching row, by the bounds in its footer.

use arrow_array::{Array, ArrayRef, UInt64Array};
use arrow_schema::Schema;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

use super::bare::stored_lane;
use super::layout::leaves_named;
use super::reader::PlannedColumn;
use crate::error::{Error, Result};
use crate::format::datum_at;
use crate::predicate::{ColumnRange, Expr, may_match};
use crate::types::{Datum, TypeKind};

/// What is left to read of a file.
pub(super) struct Pruning {
    /// Row groups, rising.
    pub groups: Vec<usize>,
    /// Rows of these groups; `None` means all.
    pub pages: Option<RowSelection>,
}

impl Pruning {
    /// What of these row groups can hold a row that matches.
    pub(super) fn plan(
        path: &str,
        footer: &ParquetMetaData,
        columns: &[PlannedColumn],
        filter: &Expr,
        among: Vec<usize>,
    ) -> Result<Self> {
        let schema = parquet_to_arrow_schema(footer.file_metadata().schema_descr(), None);
        let schema = schema.map_err(|error| Error::corrupt(path, error.to_string()))?;
        let file = File { path, footer, schema, columns };
        let mut groups = Vec::new();
        let mut selectors = Vec::new();
        let mut skips = false;
        for group in among {
            let rows = footer.row_group(group).num_rows();
            let bounds = file.bounds(filter, |column, kind| file.group_bounds(column, kind, group))?;
            if !may_match(filter, &|column| bounds.of(column, 0, rows as u64)) {
                continue;
            }
            groups.push(group);
            let pages = file.page_selectors(filter, group)?;
            skips |= pages.iter().any(|page| page.skip);
            selectors.extend(pages);
        }
        Ok(Self { groups, pages: skips.then(|| RowSelection::from(selectors)) })
    }
}

struct File<'a> {
    path: &'a str,
    footer: &'a ParquetMetaData,
    schema: Schema,
    columns: &'a [PlannedColumn],
}

/// Lowest and highest values and numbers of NULLs, one each for every group or page.
struct Bounds {
    kind: TypeKind,
    min: ArrayRef,
    max: ArrayRef,
    nulls: UInt64Array,
}

struct BoundsOf(Vec<(String, Bounds)>);

impl BoundsOf {
    fn of(&self, column: &str, at: usize, rows: u64) -> Option<ColumnRange> {
        let (_, bounds) = self.0.iter().find(|(name, _)| name == column)?;
        // Parquet's bounds leave NaN out, which is the largest value here.
        let floats = matches!(bounds.kind, TypeKind::Float | TypeKind::Double);
        let value = |array: &ArrayRef| match datum_at(array, &bounds.kind, at).unwrap_or(Datum::Null) {
            Datum::Null => None,
            _ if floats => None,
            value => Some(value),
        };
        let nulls = (bounds.nulls.is_valid(at)).then(|| bounds.nulls.value(at));
        Some(ColumnRange { min: value(&bounds.min), max: value(&bounds.max), null_count: nulls, row_count: rows })
    }
}

impl File<'_> {
    fn bounds(
        &self,
        filter: &Expr,
        mut find: impl FnMut(&str, &TypeKind) -> Result<Option<Bounds>>,
    ) -> Result<BoundsOf> {
        let mut all = Vec::new();
        for name in filter.columns() {
            let planned = self.columns.iter().find(|planned| planned.name == name);
            let Some((in_file, kind)) = planned.and_then(|p| Some((p.in_file.as_deref()?, &p.data_type.kind))) else {
                continue;
            };
            if let Some(bounds) = find(in_file, kind)? {
                all.push((name, bounds));
            }
        }
        Ok(BoundsOf(all))
    }

    /// Reads bounds of a column; `None` where the file has none, or none that can be used.
    fn converter(&self, column: &str, kind: &TypeKind) -> Option<StatisticsConverter<'_>> {
        if matches!(kind, TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..)) || kind.is_nested() {
            return None; // INT96 has no order in Parquet, and nested columns have no bounds of their own
        }
        let converter = StatisticsConverter::try_new(column, &self.schema, self.footer.file_metadata().schema_descr());
        converter.ok().map(|converter| converter.with_missing_null_counts_as_zero(false))
    }

    fn group_bounds(&self, column: &str, kind: &TypeKind, group: usize) -> Result<Option<Bounds>> {
        let Some(converter) = self.converter(column, kind) else { return Ok(None) };
        let group = || std::iter::once(self.footer.row_group(group));
        let read = (
            converter.row_group_mins(group()),
            converter.row_group_maxes(group()),
            converter.row_group_null_counts(group()),
        );
        self.checked(column, kind, read)
    }

    fn page_bounds(&self, column: &str, kind: &TypeKind, group: usize) -> Result<Option<Bounds>> {
        let (Some(index), Some(offsets)) = (self.footer.column_index(), self.footer.offset_index()) else {
            return Ok(None);
        };
        let Some(converter) = self.converter(column, kind) else { return Ok(None) };
        let groups = [group];
        let read = (
            converter.data_page_mins(index, offsets, &groups),
            converter.data_page_maxes(index, offsets, &groups),
            converter.data_page_null_counts(index, offsets, &groups),
        );
        self.checked(column, kind, read)
    }

    fn checked<E: std::fmt::Display>(
        &self,
        column: &str,
        kind: &TypeKind,
        read: (Result<ArrayRef, E>, Result<ArrayRef, E>, Result<UInt64Array, E>),
    ) -> Result<Option<Bounds>> {
        let corrupt = |error: E| Error::corrupt(self.path, format!("bounds of column {column}: {error}"));
        let (min, max, nulls) = (read.0.map_err(corrupt)?, read.1.map_err(corrupt)?, read.2.map_err(corrupt)?);
        let (Ok(min), Ok(max)) = (stored_lane(column, kind, &min), stored_lane(column, kind, &max)) else {
            return Ok(None);
        };
        Ok(Some(Bounds { kind: kind.clone(), min, max, nulls }))
    }

    /// The rows of a group that pages leave over. A conjunct on one column skips that column's pages.
    fn page_selectors(&self, filter: &Expr, group: usize) -> Result<Vec<RowSelector>> {
        let rows = usize::try_from(self.footer.row_group(group).num_rows()).unwrap_or(0);
        let mut selection = RowSelection::from(vec![RowSelector::select(rows)]);
        for conjunct in filter.clone().conjuncts() {
            let columns = conjunct.columns();
            let [column] = columns.iter().collect::<Vec<_>>()[..] else { continue };
            let found = self.bounds(&conjunct, |name, kind| self.page_bounds(name, kind, group))?;
            let Some(starts) = self.page_starts(column, group) else { continue };
            if found.0.is_empty() || found.0[0].1.min.len() != starts.len() {
                continue;
            }
            let ends = starts.iter().skip(1).copied().chain([rows]);
            let pages = starts.iter().zip(ends).enumerate().map(|(page, (start, end))| {
                let keep = may_match(&conjunct, &|name| found.of(name, page, (end - start) as u64));
                if keep { RowSelector::select(end - start) } else { RowSelector::skip(end - start) }
            });
            selection = selection.intersection(&RowSelection::from(pages.collect::<Vec<_>>()));
        }
        Ok(Vec::<RowSelector>::from(selection))
    }

    /// The first row of each page of a column.
    fn page_starts(&self, column: &str, group: usize) -> Option<Vec<usize>> {
        let in_file = self.columns.iter().find(|planned| planned.name == column)?.in_file.as_deref()?;
        let descriptor = self.footer.file_metadata().schema_descr();
        let leaf = leaves_named(descriptor, in_file)?.start;
        let pages = self.footer.offset_index()?.get(group)?.get(leaf)?.page_locations();
        let rows = usize::try_from(self.footer.row_group(group).num_rows()).ok()?;
        let starts: Vec<usize> = pages.iter().map(|page| usize::try_from(page.first_row_index).unwrap_or(0)).collect();
        let rising = starts.first() == Some(&0) && starts.windows(2).all(|pair| pair[0] < pair[1]);
        (rising && starts.last().is_some_and(|last| *last < rows)).then_some(starts)
    }
}
