//! Values of nested types as JSON: an ARRAY is an array, a ROW an object, MAP and MULTISET are arrays of `[key, value]`.

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_buffer::OffsetBuffer;
use forebay::types::{DataType, TypeKind};

use super::json_out::write_string;
use super::lane_out::LaneView;
use super::variant::VariantView;

/// A column of a nested type, downcast once with all its parts.
pub enum NestedView {
    /// Where each array lies in the elements.
    Array(OffsetBuffer<i32>, Box<LaneView>),
    /// Where each map lies in the keys and values.
    Map(OffsetBuffer<i32>, Box<[LaneView; 2]>),
    /// What stands before each field, and the fields.
    Row(Vec<(Vec<u8>, LaneView)>),
    /// A VARIANT, whatever it holds.
    Variant(Box<VariantView>),
}

impl NestedView {
    /// A view of a lane of a nested kind.
    pub fn new(name: &str, kind: &TypeKind, lane: &ArrayRef) -> forebay::Result<Self> {
        let map = |key: &DataType, value: &DataType| {
            let map = lane.as_map();
            let parts = [LaneView::new(name, &key.kind, map.keys())?, LaneView::new(name, &value.kind, map.values())?];
            Ok(Self::Map(map.offsets().clone(), Box::new(parts)))
        };
        match kind {
            TypeKind::Array(element) => {
                let list = lane.as_list::<i32>();
                let element = LaneView::new(name, &element.kind, list.values())?;
                Ok(Self::Array(list.offsets().clone(), Box::new(element)))
            }
            TypeKind::Map(types) => map(&types.key, &types.value),
            TypeKind::Multiset(element) => map(element, &DataType::INT),
            TypeKind::Row(fields) => {
                let fields = fields.iter().zip(lane.as_struct().columns()).enumerate().map(|(at, (field, column))| {
                    let mut lead = vec![if at == 0 { b'{' } else { b',' }];
                    write_string(&mut lead, &field.name);
                    lead.push(b':');
                    Ok((lead, LaneView::new(&field.name, &field.data_type.kind, column)?))
                });
                Ok(Self::Row(fields.collect::<forebay::Result<_>>()?))
            }
            TypeKind::Variant => Ok(Self::Variant(Box::new(VariantView::new(name, lane)?))),
            scalar => Err(forebay::Error::bug(format!("column {name}: {scalar} has no parts"))),
        }
    }

    /// Appends a value that is not NULL.
    pub fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Array(offsets, element) => {
                out.push(b'[');
                for (at, place) in range(offsets, row).enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    element.write_json(place, out);
                }
                out.push(b']');
            }
            Self::Map(offsets, parts) => {
                out.push(b'[');
                for (at, place) in range(offsets, row).enumerate() {
                    out.extend_from_slice(if at > 0 { b",[" } else { b"[" });
                    parts[0].write_json(place, out);
                    out.push(b',');
                    parts[1].write_json(place, out);
                    out.push(b']');
                }
                out.push(b']');
            }
            Self::Row(fields) => {
                for (lead, field) in fields {
                    out.extend_from_slice(lead);
                    field.write_json(row, out);
                }
                out.extend_from_slice(if fields.is_empty() { b"{}" } else { b"}" });
            }
            Self::Variant(values) => values.write_json(row, out),
        }
    }
}

fn range(offsets: &OffsetBuffer<i32>, row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}
