//! Changes of a table's schema: what was asked for, applied to the newest schema, gives the next one. Pure.
//!
//! Columns keep their ids whatever they are called, so that old files are read by id; a new column gets an id that was
//! never given out. What would make rows unreadable, or move them to another place, is refused.
//! Spec: `format-spec/schema.md`, changes.

use super::default_value::default_lane;
use super::{BucketMode, Schema};
use crate::error::{Error, Result};
use crate::types::{DataType, Field, MapType, TypeKind, may_change};

/// Options that stay as they are once the table has rows.
const IMMUTABLE: [&str; 17] = [
    "type",
    "bucket-key",
    "bucket-function.type",
    "data-file.path-directory",
    "merge-engine",
    "sequence.snapshot-ordering",
    "aggregation.remove-record-on-delete",
    "partial-update.remove-record-on-delete",
    "partial-update.remove-record-on-sequence-group",
    "rowkind.field",
    "primary-key",
    "primary-key.nullable",
    "partition",
    "dynamic-bucket.initial-buckets",
    "force-lookup",
    "row-tracking.enabled",
    "index-file-in-data-file-dir",
];
/// Options that leave out rows: those that came are gone.
const ONCE_TRUE: [&str; 2] = ["ignore-delete", "ignore-update-before"];
/// Options whose values are names of columns.
const COLUMN_LISTS: [&str; 5] = [
    "bucket-key",
    "sequence.field",
    "rowkind.field",
    "changelog-producer.row-deduplicate-ignore-fields",
    "record-level.time-field",
];

/// One change. Columns are named by their path: `a`, `row.field`, `array.element`, `map.value.field`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaChange {
    /// Sets an option.
    SetOption(String, String),
    /// Takes an option away.
    RemoveOption(String),
    /// Sets the table's comment, or takes it away.
    SetComment(Option<String>),
    /// Adds a column, or a field of a row; it is NULL in the rows that are there.
    AddColumn {
        /// Its path.
        path: Vec<String>,
        /// Its type, which allows NULL.
        data_type: DataType,
        /// A comment.
        comment: Option<String>,
        /// Where it stands; by default at the end, or before the partition columns where the table says so.
        place: Option<Place>,
    },
    /// Gives a column another name.
    RenameColumn(Vec<String>, String),
    /// Takes a column away.
    DropColumn(Vec<String>),
    /// Gives a column another type; whether NULL is allowed stays as it is.
    ChangeType(Vec<String>, TypeKind),
    /// Allows NULL in a column, or no longer.
    ChangeNullability(Vec<String>, bool),
    /// Sets a column's comment, or takes it away.
    SetColumnComment(Vec<String>, Option<String>),
    /// Sets a column's default value, or takes it away.
    SetDefault(Vec<String>, Option<String>),
    /// Moves a column to another place.
    MoveColumn(Vec<String>, Place),
}

/// Where a column stands among the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    First,
    /// Behind all others.
    #[default]
    Last,
    /// Behind a column.
    After(String),
    /// Before a column.
    Before(String),
}

impl Schema {
    /// The schema after some changes, with the next number. `has_rows` tells whether the table has ever had a snapshot.
    /// The caller validates the whole of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names what cannot be changed, and why.
    pub fn changed(&self, changes: &[SchemaChange], has_rows: bool) -> Result<Self> {
        let mut next = Self { id: self.id + 1, ..self.clone() };
        for change in changes {
            next.apply(change, has_rows)?;
        }
        if next.fields.is_empty() {
            return Err(Error::invalid("a table needs a column"));
        }
        next.check_names(Some(self))?;
        Ok(next)
    }

    fn apply(&mut self, change: &SchemaChange, has_rows: bool) -> Result<()> {
        match change {
            SchemaChange::SetOption(key, value) => {
                self.check_option(key, Some(value), has_rows)?;
                self.options.insert(key.clone(), value.clone());
            }
            SchemaChange::RemoveOption(key) => {
                self.check_option(key, None, has_rows)?;
                self.options.remove(key);
            }
            SchemaChange::SetComment(comment) => self.comment.clone_from(comment),
            SchemaChange::AddColumn { path, data_type, comment, place } => self.add(path, data_type, comment, place)?,
            SchemaChange::RenameColumn(path, name) => self.rename(path, name)?,
            SchemaChange::DropColumn(path) => {
                self.refuse_key(path, true, "be dropped")?;
                self.edit(path, |fields, at| {
                    fields.remove(at);
                    Ok(())
                })?;
            }
            SchemaChange::ChangeType(path, kind) => {
                self.refuse_key(path, true, "get another type")?;
                let explicit = !self.says("disable-explicit-type-casting", false);
                self.edit(path, |fields, at| retype(path, &mut fields[at], kind, explicit))?;
            }
            SchemaChange::ChangeNullability(path, nullable) => {
                let key = *nullable && matches!(path.as_slice(), [name] if self.primary_keys.contains(name));
                if key {
                    return Err(Error::invalid(format!("primary key column {} cannot allow NULL", path.join("."))));
                }
                let refused = self.says("alter-column-null-to-not-null.disabled", true);
                self.edit(path, |fields, at| restrict(path, &mut fields[at], *nullable, refused))?;
            }
            SchemaChange::SetColumnComment(path, comment) => {
                let (before, mut news) = (self.fields.clone(), false);
                self.edit(path, |fields, at| {
                    news = fields[at].description != *comment;
                    fields[at].description.clone_from(comment);
                    Ok(())
                })?;
                if news && self.fields == before {
                    let words = "the parts of an ARRAY, a MAP and a MULTISET have no comments";
                    return Err(Error::invalid(format!("column {}: {words}", path.join("."))));
                }
            }
            SchemaChange::SetDefault(path, default) => {
                if path.len() > 1 && default.is_some() {
                    let words = "only whole columns have default values";
                    return Err(Error::invalid(format!("column {}: {words}", path.join("."))));
                }
                self.edit(path, |fields, at| {
                    fields[at].default_value.clone_from(default);
                    default_lane(&fields[at]).map(drop)
                })?;
            }
            SchemaChange::MoveColumn(path, place) => self.edit(path, |fields, at| {
                let field = fields.remove(at);
                insert(fields, field, place)
            })?,
        }
        Ok(())
    }

    /// What an option that is true or false says.
    fn says(&self, option: &str, default: bool) -> bool {
        self.option(option).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// The same schema with other options for one use of the table, which may have rows.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an option that cannot change once a table has rows.
    pub fn with_options(&self, options: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut next = self.clone();
        for (key, value) in options {
            self.check_option(&key, Some(&value), true)?;
            next.options.insert(key, value);
        }
        Ok(next)
    }

    fn check_option(&self, key: &str, value: Option<&str>, has_rows: bool) -> Result<()> {
        let old = self.option(key);
        if !has_rows || old == value {
            return Ok(());
        }
        if IMMUTABLE.contains(&key) {
            return Err(Error::invalid(format!("option {key} cannot change once the table has rows")));
        }
        let is_true =
            |value: Option<&str>, otherwise| value.map_or(otherwise, |value| value.eq_ignore_ascii_case("true"));
        let changes = |otherwise| is_true(old, otherwise) != is_true(value, otherwise);
        if key == "deletion-vectors.enabled" && changes(false) && !self.says("deletion-vectors.modifiable", false) {
            let words = "keys would stand twice until a full compaction (option deletion-vectors.modifiable allows it)";
            return Err(Error::invalid(format!("option {key} of a table with rows: {words}")));
        }
        if ONCE_TRUE.contains(&key) && is_true(old, false) && !is_true(value, false) {
            return Err(Error::invalid(format!("option {key} of a table with rows cannot go from true to false")));
        }
        let names_directories = match key {
            "partition.legacy-name" => changes(true),
            "partition.default-name" => true,
            _ => false,
        };
        if names_directories && !self.partition_keys.is_empty() {
            let words = "the files that are there would not be found in their directories";
            return Err(Error::invalid(format!("option {key} of a table with rows: {words}")));
        }
        if key == "bucket" {
            let mode = |value: Option<&str>| {
                let options = value.map(|value| (key.to_string(), value.to_string())).into_iter().collect();
                Self { options, ..self.clone() }.bucket_mode()
            };
            let counted = |mode| matches!(mode, BucketMode::Fixed(_));
            if !counted(mode(old)?) || !counted(mode(value)?) {
                let words = "a table with rows keeps its kind of buckets: only one positive count may follow another";
                return Err(Error::invalid(format!("option bucket: {words}")));
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: &[String],
        data_type: &DataType,
        comment: &Option<String>,
        place: &Option<Place>,
    ) -> Result<()> {
        let shown = path.join(".");
        if !data_type.nullable {
            return Err(Error::invalid(format!(
                "column {shown} is NULL in the rows that are there: NOT NULL cannot be"
            )));
        }
        let of_partition = |field: &&Field| self.partition_keys.contains(&field.name);
        let before_partition = path.len() == 1 && self.says("add-column-before-partition", false);
        let first = self.fields.iter().find(of_partition).filter(|_| before_partition);
        let default = || first.map_or(Place::Last, |field| Place::Before(field.name.clone()));
        let place = place.clone().unwrap_or_else(default);
        let name = path.last().cloned().unwrap_or_default();
        let mut next_id = self.highest_field_id + 1;
        let field = Field { description: comment.clone(), ..Field::new(0, name, data_type.clone()) };
        let field = field.numbered_column(&mut next_id);
        self.highest_field_id = next_id - 1;
        in_list(&mut self.fields, path, 0, &mut |fields, name| {
            if fields.iter().any(|field| field.name == name) {
                return Err(Error::already_exists(format!("column {shown}")));
            }
            insert(fields, field.clone(), &place)
        })
    }

    fn rename(&mut self, path: &[String], name: &str) -> Result<()> {
        self.refuse_key(path, false, "be renamed")?;
        self.edit(path, |fields, at| {
            if fields.iter().any(|field| field.name == name) {
                return Err(Error::already_exists(format!("column {name}")));
            }
            fields[at].name = name.to_string();
            Ok(())
        })?;
        if let [old] = path {
            self.primary_keys.iter_mut().filter(|key| *key == old).for_each(|key| *key = name.to_string());
            self.rename_in_options(old, name);
        }
        Ok(())
    }

    /// Options that speak of a column go on speaking of it.
    fn rename_in_options(&mut self, old: &str, new: &str) {
        let renamed = |list: &str| {
            let names = list.split(',').map(|name| if name.trim() == old { new } else { name });
            names.collect::<Vec<_>>().join(",")
        };
        let options = std::mem::take(&mut self.options);
        self.options = options
            .into_iter()
            .map(|(key, value)| {
                let group = key.ends_with(".sequence-group");
                let value = if COLUMN_LISTS.contains(&key.as_str()) || group { renamed(&value) } else { value };
                match key.strip_prefix("fields.").and_then(|rest| rest.rsplit_once('.')) {
                    Some((columns, word)) => (format!("fields.{}.{word}", renamed(columns)), value),
                    None => (key, value),
                }
            })
            .collect();
    }

    /// Partition columns are in the names of directories, and keys in the order of files.
    fn refuse_key(&self, path: &[String], also_primary: bool, what: &str) -> Result<()> {
        let [name] = path else { return Ok(()) };
        let kind = match (self.partition_keys.contains(name), self.primary_keys.contains(name)) {
            (true, _) => "partition",
            (_, true) if also_primary => "primary key",
            _ => return Ok(()),
        };
        Err(Error::invalid(format!("{kind} column {name} cannot {what}")))
    }

    /// Edits a column that must be there: its list and its place in it.
    fn edit(&mut self, path: &[String], mut edit: impl FnMut(&mut Vec<Field>, usize) -> Result<()>) -> Result<()> {
        in_list(&mut self.fields, path, 0, &mut |fields, name| {
            let at = fields.iter().position(|field| field.name == name);
            edit(fields, at.ok_or_else(|| no_column(path))?)
        })
    }
}

fn no_column(path: &[String]) -> Error {
    Error::not_found(format!("column {}", path.join(".")))
}

fn retype(path: &[String], field: &mut Field, kind: &TypeKind, explicit: bool) -> Result<()> {
    let shown = path.join(".");
    let (old, new) = (&field.data_type, DataType { kind: kind.clone(), nullable: field.data_type.nullable });
    let printed = matches!(kind, TypeKind::Char(_) | TypeKind::VarChar(_)) && may_change(old, &new, true);
    if (old.kind.is_nested() && !printed) || kind.is_nested() {
        let words = "the type of a part is changed by its path (field, element, key or value)";
        return Err(Error::invalid(format!("column {shown}: {} cannot become {kind}: {words}", old.kind)));
    }
    if !may_change(old, &new, true) {
        return Err(Error::invalid(format!("column {shown}: {} cannot be read as {kind}", old.kind)));
    }
    if !explicit && !may_change(old, &new, false) {
        let words = "values may lose something, which option disable-explicit-type-casting forbids";
        return Err(Error::invalid(format!("column {shown}: from {} to {kind} {words}", old.kind)));
    }
    field.data_type = new;
    default_lane(field).map(drop)
}

fn restrict(path: &[String], field: &mut Field, nullable: bool, refused: bool) -> Result<()> {
    if field.data_type.nullable && !nullable && refused {
        let words = "rows that are there may hold NULL (option alter-column-null-to-not-null.disabled)";
        return Err(Error::invalid(format!("column {}: {words}", path.join("."))));
    }
    field.data_type.nullable = nullable;
    Ok(())
}

fn insert(fields: &mut Vec<Field>, field: Field, place: &Place) -> Result<()> {
    let beside = |name: &String| {
        let at = fields.iter().position(|field| field.name == *name);
        at.ok_or_else(|| Error::invalid(format!("there is no column {name} to stand beside")))
    };
    let at = match place {
        Place::First => 0,
        Place::Last => fields.len(),
        Place::After(name) => beside(name)? + 1,
        Place::Before(name) => beside(name)?,
    };
    fields.insert(at, field);
    Ok(())
}

type Edit<'a> = &'a mut dyn FnMut(&mut Vec<Field>, &str) -> Result<()>;

/// Edits the list in which the last name of a path stands, or would stand, from the name at `depth` on.
fn in_list(fields: &mut Vec<Field>, path: &[String], depth: usize, edit: Edit) -> Result<()> {
    match &path[depth..] {
        [] => Err(Error::invalid("a column needs a name")),
        [last] => edit(fields, last),
        [first, ..] => {
            let field = fields.iter_mut().find(|field| field.name == *first).ok_or_else(|| no_column(path))?;
            field.data_type.kind = in_kind(&field.data_type.kind, path, depth + 1, edit)?;
            Ok(())
        }
    }
}

/// A nested kind after an edit of one of its parts. The parts of arrays and maps can neither come nor go.
fn in_kind(kind: &TypeKind, path: &[String], depth: usize, edit: Edit) -> Result<TypeKind> {
    let part = |name: &str, data_type: &DataType| Field::new(0, name, data_type.clone());
    let mut parts = match kind {
        TypeKind::Row(fields) => {
            let mut fields = fields.to_vec();
            in_list(&mut fields, path, depth, edit)?;
            if fields.is_empty() {
                return Err(Error::invalid(format!("column {}: a ROW needs a field", path[..depth].join("."))));
            }
            return Ok(TypeKind::Row(fields.into()));
        }
        TypeKind::Array(element) | TypeKind::Multiset(element) => vec![part("element", element)],
        TypeKind::Map(map) => vec![part("key", &map.key), part("value", &map.value)],
        _ => return Err(no_column(path)),
    };
    let before: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
    in_list(&mut parts, path, depth, edit)?;
    if !parts.iter().map(|part| &part.name).eq(&before) {
        return Err(Error::invalid(format!("the parts of {kind} have fixed names: {}", before.join(", "))));
    }
    let keeps = match kind {
        TypeKind::Map(map) => parts[0].data_type == map.key,
        TypeKind::Multiset(element) => parts[0].data_type == **element,
        _ => true,
    };
    if !keeps {
        return Err(Error::invalid(format!("{kind}: the keys of a MAP or MULTISET keep their type in every Paimon")));
    }
    let mut types = parts.into_iter().map(|part| part.data_type);
    let mut next = || types.next().ok_or_else(|| Error::bug("a part of a type was lost"));
    Ok(match kind {
        TypeKind::Map(_) => TypeKind::Map(MapType { key: next()?, value: next()? }.into()),
        TypeKind::Multiset(_) => TypeKind::Multiset(next()?.into()),
        _ => TypeKind::Array(next()?.into()),
    })
}

#[cfg(test)]
mod tests;
