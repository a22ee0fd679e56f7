//! The records of blocks as columns: a step for each field of the file, which reads the field into its lane or passes
//! over it.

use arrow_array::ArrayRef;

use super::corrupt;
use super::lanes::Lane;
use super::nested::Room;
use crate::error::Result;
use crate::format::DeletionVector;
use crate::format::avro::{Cursor, NodeId, Schema};
use crate::types::TypeKind;

/// A field that is read: its name in the file, and the kind of its lane.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub name: String,
    pub kind: TypeKind,
}

/// Reads records into lanes.
pub(super) struct Records {
    steps: Vec<Step>,
    /// Every field, to pass over a record.
    root: NodeId,
    root_is_union: bool,
    lanes: Vec<(TypeKind, Lane)>,
    /// Rows in the lanes.
    rows: usize,
    room: Room,
}

pub(super) enum Step {
    Read(usize),
    Skip(NodeId),
}

impl Records {
    /// Reads these fields. Gives for each its lane, or `None` where the file does not have it.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when a field is stored as something else than its column.
    pub(super) fn of(schema: &Schema, wanted: &[Wanted]) -> Result<(Self, Vec<Option<usize>>)> {
        let (root, root_is_union) = schema.root()?;
        let fields = schema.record_of(root).unwrap_or_default();
        let mut lanes = Vec::new();
        let mut places: Vec<Option<usize>> = vec![None; wanted.len()];
        let mut steps = Vec::with_capacity(fields.len());
        for (name, node) in fields {
            let Some(first) = wanted.iter().position(|wanted| wanted.name == *name) else {
                steps.push(Step::Skip(*node));
                continue;
            };
            for (place, _) in places.iter_mut().zip(wanted).filter(|(_, wanted)| wanted.name == *name) {
                *place = Some(lanes.len());
            }
            steps.push(Step::Read(lanes.len()));
            let kind = &wanted[first].kind;
            lanes.push((kind.clone(), Lane::of(name, kind, schema, *node)?));
        }
        Ok((Self { steps, root, root_is_union, lanes, rows: 0, room: Room::default() }, places))
    }

    /// Rows in the lanes.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The longest text of a lane, in bytes, or all that a nested one holds.
    pub(super) fn text_bytes(&self) -> usize {
        self.lanes.iter().map(|(_, lane)| lane.text_bytes()).max().unwrap_or(0)
    }

    /// Reads the next record.
    #[inline]
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        self.enter(cursor)?;
        for step in &self.steps {
            match step {
                Step::Read(lane) => self.lanes[*lane].1.read(cursor, &mut self.room)?,
                Step::Skip(node) => cursor.skip(*node)?,
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Passes over a record.
    fn skip(&self, cursor: &mut Cursor<'_>) -> Result<()> {
        cursor.skip(self.root)
    }

    /// Reads a record, or passes over it when the vector masks its row.
    #[inline]
    pub(super) fn read_unmasked(
        &mut self,
        cursor: &mut Cursor<'_>,
        row: u64,
        masked: Option<&DeletionVector>,
    ) -> Result<()> {
        match masked {
            Some(vector) if vector.is_masked(row) => self.skip(cursor),
            _ => self.read(cursor),
        }
    }

    fn enter(&self, cursor: &mut Cursor<'_>) -> Result<()> {
        if self.root_is_union && !cursor.record(self.root)? {
            return Err(corrupt("a record is null"));
        }
        Ok(())
    }

    /// The lanes of the records read since the last call.
    pub(super) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.rows = 0;
        self.room = Room::default();
        self.lanes.iter_mut().map(|(kind, lane)| lane.finish(kind)).collect()
    }
}
