//! The schema in a container's header, parsed once into nodes that the cursor walks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::corrupt;
use crate::error::Result;

/// The most nodes of a schema.
const MAX_NODES: usize = 50_000;

/// Schemas that were parsed lately. Most files have one of a few, and small ones take as long to open as to read.
#[derive(Default)]
pub(super) struct Recent(Mutex<VecDeque<(Vec<u8>, Arc<Schema>)>>);

static RECENT: Recent = Recent(Mutex::new(VecDeque::new()));

/// How many, and the longest text.
const RECENT_SCHEMAS: (usize, usize) = (8, 64 << 10);

/// The place of a node in its schema.
pub(crate) type NodeId = usize;

/// One node of a schema.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Null,
    Boolean,
    /// Avro int and enum.
    Int,
    Long,
    Float,
    Double,
    /// Avro bytes and string.
    Bytes,
    Fixed(usize),
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Record(Vec<(String, NodeId)>),
}

/// What a node's bytes mean, where its schema says more than a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logical {
    /// Milliseconds since 1970, with a time zone or without.
    Millis,
    /// Microseconds since 1970, with a time zone or without.
    Micros,
    /// An unscaled number, its highest byte first.
    Decimal { scale: i32 },
}

/// A parsed schema.
#[derive(Debug)]
pub(crate) struct Schema {
    nodes: Vec<Node>,
    logical: HashMap<NodeId, Logical>,
    root: NodeId,
}

/// The fields of a record in the order of the file: for each the slot of the reader that wants it, or none.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) steps: Vec<(Option<usize>, NodeId)>,
    /// Names that no reader wants.
    pub(crate) unknown: Vec<String>,
}

impl Recent {
    pub(super) fn get(&self, json: &[u8]) -> Result<Arc<Schema>> {
        let recent = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, schema)) = recent().iter().find(|(text, _)| text == json) {
            return Ok(Arc::clone(schema));
        }
        let schema = Arc::new(Schema::parse(json)?);
        let (most, longest) = RECENT_SCHEMAS;
        if json.len() <= longest {
            let mut recent = recent();
            recent.truncate(most - 1);
            recent.push_front((json.to_vec(), Arc::clone(&schema)));
        }
        Ok(schema)
    }
}

impl Schema {
    /// Parses the JSON of a schema.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(json).map_err(|error| corrupt(format!("avro.schema: {error}")))?;
        let mut parser = Parser { nodes: Vec::new(), logical: HashMap::new(), names: HashMap::new() };
        let root = parser.parse(&value, "")?;
        Ok(Self { nodes: parser.nodes, logical: parser.logical, root })
    }

    /// The same, parsed once for all files that spell it the same way.
    pub(crate) fn shared(json: &[u8]) -> Result<Arc<Self>> {
        RECENT.get(json)
    }

    /// What the bytes of a node mean, where that is not told by its type.
    pub(crate) fn logical(&self, id: NodeId) -> Option<Logical> {
        self.logical.get(&id).copied()
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        // Ids come from the parser of these nodes.
        self.nodes.get(id).unwrap_or(&Node::Null)
    }

    /// The record at the root; a union of null and a record counts as that record.
    pub(crate) fn root(&self) -> Result<(NodeId, bool)> {
        match self.node(self.root) {
            Node::Record(_) => Ok((self.root, false)),
            Node::Union(branches) => match self.record_of(self.root) {
                Some(_) if branches.len() <= 2 => Ok((self.root, true)),
                _ => Err(corrupt("avro.schema: the root is no record")),
            },
            _ => Err(corrupt("avro.schema: the root is no record")),
        }
    }

    /// The fields of a record node or of the record branch of a union.
    pub(crate) fn record_of(&self, id: NodeId) -> Option<&[(String, NodeId)]> {
        match self.node(id) {
            Node::Record(fields) => Some(fields),
            Node::Union(branches) => branches.iter().find_map(|branch| match self.node(*branch) {
                Node::Record(fields) => Some(fields.as_slice()),
                _ => None,
            }),
            _ => None,
        }
    }

    /// Finds the wanted names among the fields of a record.
    ///
    /// `what` names the record in errors. Fields the file lacks simply get no step.
    pub(crate) fn record(&self, id: NodeId, what: &str, wanted: &[&str]) -> Result<Record> {
        let fields = self.record_of(id).ok_or_else(|| corrupt(format!("avro.schema: {what} is no record")))?;
        let slot = |name: &String| wanted.iter().position(|wanted| wanted == name);
        let unknown = fields.iter().filter(|(name, _)| slot(name).is_none()).map(|(name, _)| name.clone()).collect();
        Ok(Record { steps: fields.iter().map(|(name, node)| (slot(name), *node)).collect(), unknown })
    }

    /// The node of the items of an array node or of the array branch of a union.
    pub(crate) fn items(&self, id: NodeId) -> Option<NodeId> {
        match self.node(id) {
            Node::Array(items) => Some(*items),
            Node::Union(branches) => branches.iter().find_map(|branch| match self.node(*branch) {
                Node::Array(items) => Some(*items),
                _ => None,
            }),
            _ => None,
        }
    }

    /// The node of a field of a record.
    pub(crate) fn field(&self, id: NodeId, name: &str) -> Option<NodeId> {
        self.record_of(id)?.iter().find(|(found, _)| found == name).map(|(_, node)| *node)
    }
}

struct Parser {
    nodes: Vec<Node>,
    logical: HashMap<NodeId, Logical>,
    names: HashMap<String, NodeId>,
}

impl Parser {
    fn push(&mut self, node: Node) -> Result<NodeId> {
        if self.nodes.len() >= MAX_NODES {
            return Err(corrupt(format!("avro.schema: more than {MAX_NODES} nodes")));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    // The JSON parser bounds the depth.
    fn parse(&mut self, value: &Value, namespace: &str) -> Result<NodeId> {
        match value {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.parse(branch, namespace)).collect::<Result<_>>()?;
                self.push(Node::Union(branches))
            }
            Value::Object(object) => {
                let kind = object.get("type").ok_or_else(|| corrupt("avro.schema: an object without a type"))?;
                let Value::String(kind) = kind else {
                    return self.parse(kind, namespace);
                };
                let part =
                    |key: &str| object.get(key).ok_or_else(|| corrupt(format!("avro.schema: {kind} lacks {key}")));
                let id = match kind.as_str() {
                    "array" => {
                        let items = self.parse(part("items")?, namespace)?;
                        self.push(Node::Array(items))?
                    }
                    "map" => {
                        let values = self.parse(part("values")?, namespace)?;
                        self.push(Node::Map(values))?
                    }
                    "record" | "error" => {
                        let name = text(part("name")?)?;
                        let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
                        let id = self.push(Node::Null)?;
                        self.names.insert(full_name(name, namespace), id);
                        let fields = part("fields")?.as_array().ok_or_else(|| corrupt("avro.schema: fields"))?;
                        let fields = fields.iter().map(|field| self.record_field(field, namespace));
                        let fields = fields.collect::<Result<_>>()?;
                        self.nodes[id] = Node::Record(fields);
                        id
                    }
                    "fixed" | "enum" => {
                        let name = text(part("name")?)?;
                        let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
                        let size =
                            object.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
                        let node = match (kind.as_str(), size) {
                            ("enum", _) => Node::Int,
                            (_, Some(size)) => Node::Fixed(size),
                            _ => return Err(corrupt("avro.schema: fixed lacks size")),
                        };
                        let id = self.push(node)?;
                        self.names.insert(full_name(name, namespace), id);
                        id
                    }
                    name => self.named(name, namespace)?,
                };
                if let Some(logical) = logical_of(object) {
                    self.logical.insert(id, logical);
                }
                Ok(id)
            }
            _ => Err(corrupt("avro.schema: neither a name nor an object")),
        }
    }

    fn record_field(&mut self, field: &Value, namespace: &str) -> Result<(String, NodeId)> {
        let name = field.get("name").ok_or_else(|| corrupt("avro.schema: a field without a name"))?;
        let kind = field.get("type").ok_or_else(|| corrupt("avro.schema: a field without a type"))?;
        Ok((text(name)?.to_string(), self.parse(kind, namespace)?))
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<NodeId> {
        let node = match name {
            "null" => Node::Null,
            "boolean" => Node::Boolean,
            "int" => Node::Int,
            "long" => Node::Long,
            "float" => Node::Float,
            "double" => Node::Double,
            "bytes" | "string" => Node::Bytes,
            other => {
                let found = self.names.get(&full_name(other, namespace)).or_else(|| self.names.get(other));
                return found.copied().ok_or_else(|| corrupt(format!("avro.schema: type {other:?} is not defined")));
            }
        };
        self.push(node)
    }
}

fn logical_of(object: &serde_json::Map<String, Value>) -> Option<Logical> {
    match object.get("logicalType")?.as_str()? {
        "timestamp-millis" | "local-timestamp-millis" => Some(Logical::Millis),
        "timestamp-micros" | "local-timestamp-micros" => Some(Logical::Micros),
        "decimal" => {
            let scale = object.get("scale").map_or(Some(0), Value::as_i64)?;
            Some(Logical::Decimal { scale: i32::try_from(scale).ok()? })
        }
        _ => None,
    }
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().ok_or_else(|| corrupt("avro.schema: a name is no text"))
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_string() } else { format!("{namespace}.{name}") }
}
