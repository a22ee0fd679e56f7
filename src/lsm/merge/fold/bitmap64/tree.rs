//! The radix tree that leads from the upper 48 bits of a number to its slot.
//!
//! A branch takes the bytes that all its keys share and one byte that tells them apart. It has room for 4, 16, 48 or
//! 256 children and grows from one to the next; only a branch of 48 has its children in the order they came.

use super::{Input, Why};

/// The upper 48 bits, highest first.
pub(super) type Key = [u8; 6];

const LEAF: u8 = 4;
/// The kinds of branches by number, and how many children each has room for.
const ROOM: [usize; 4] = [4, 16, 48, 256];
const OF_48: u8 = 2;
const NO_PLACE: u8 = 0xFF;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tree {
    root: Option<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Leaf { key: Key, slot: u64 },
    Branch(Branch),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Branch {
    /// The place in [`ROOM`].
    kind: u8,
    prefix: Vec<u8>,
    /// Ascending by their bytes.
    children: Vec<Child>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Child {
    byte: u8,
    /// Where it lies among the children of a branch of 48.
    place: u8,
    node: Node,
}

impl Tree {
    /// The slot of a key.
    pub(super) fn find(&self, key: Key) -> Option<u64> {
        let (mut node, mut rest) = (self.root.as_ref()?, &key[..]);
        loop {
            match node {
                Node::Leaf { key: leaf, slot } => return (*leaf == key).then_some(*slot),
                Node::Branch(branch) => {
                    let (byte, after) = rest.strip_prefix(&branch.prefix[..])?.split_first()?;
                    node = &branch.children[branch.child(*byte).ok()?].node;
                    rest = after;
                }
            }
        }
    }

    /// All keys in ascending order, with their slots.
    pub(super) fn leaves(&self) -> Vec<(Key, u64)> {
        let mut leaves = Vec::new();
        if let Some(root) = &self.root {
            root.leaves(&mut leaves);
        }
        leaves
    }

    /// Adds a key that is not there.
    pub(super) fn insert(&mut self, key: Key, slot: u64) {
        let leaf = Node::Leaf { key, slot };
        self.root = Some(match self.root.take() {
            None => leaf,
            Some(root) => root.with(key, 0, leaf),
        });
    }

    pub(super) fn decode(input: &mut Input<'_>) -> Result<Self, Why> {
        Ok(Self { root: Some(Node::decode(input, &mut Vec::new())?) })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if let Some(root) = &self.root {
            root.encode(out);
        }
    }
}

impl Node {
    fn leaves(&self, leaves: &mut Vec<(Key, u64)>) {
        match self {
            Self::Leaf { key, slot } => leaves.push((*key, *slot)),
            Self::Branch(branch) => branch.children.iter().for_each(|child| child.node.leaves(leaves)),
        }
    }

    /// This node with a leaf more. The first `depth` bytes of the key led here.
    fn with(self, key: Key, depth: usize, leaf: Self) -> Self {
        let path = match &self {
            Self::Leaf { key, .. } => key[depth..].to_vec(),
            Self::Branch(branch) => branch.prefix.clone(),
        };
        let shared = path.iter().zip(&key[depth..]).take_while(|(one, other)| one == other).count();
        let byte = key[depth + shared];
        match self {
            Self::Branch(mut branch) if shared == path.len() => {
                match branch.child(byte) {
                    Ok(at) => {
                        let child = branch.children.remove(at);
                        let node = child.node.with(key, depth + shared + 1, leaf);
                        branch.children.insert(at, Child { node, ..child });
                    }
                    Err(at) => branch.insert(at, byte, leaf),
                }
                Self::Branch(branch)
            }
            mut node => {
                if let Self::Branch(branch) = &mut node {
                    branch.prefix.drain(..=shared);
                }
                let children = vec![Child { byte: path[shared], place: 0, node }];
                let mut parent = Branch { kind: 0, prefix: path[..shared].to_vec(), children };
                parent.insert(usize::from(path[shared] < byte), byte, leaf);
                Self::Branch(parent)
            }
        }
    }

    /// The node whose keys all begin with `path`.
    fn decode(input: &mut Input<'_>, path: &mut Vec<u8>) -> Result<Self, Why> {
        let kind = input.u8()?;
        let count = usize::from(input.u16()?);
        let prefix = usize::from(input.u8()?);
        let prefix = input.bytes(prefix)?.to_vec();
        if kind == LEAF {
            // A leaf that was a branch once keeps a prefix, which says nothing.
            let (key, slot) = (input.array()?, input.u64()?);
            return match key.starts_with(path) {
                true => Ok(Self::Leaf { key, slot }),
                false => Err("a key lies where others belong".to_string()),
            };
        }
        let depth = path.len();
        path.extend(&prefix);
        if path.len() >= size_of::<Key>() {
            return Err("its tree is too deep".to_string());
        }
        let mut children = Vec::new();
        for (byte, place) in decode_bytes(kind, count, input)? {
            path.push(byte);
            let node = Self::decode(input, path)?;
            children.push(Child { byte, place, node });
            path.pop();
        }
        path.truncate(depth);
        Ok(Self::Branch(Branch { kind, prefix, children }))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Leaf { key, slot } => {
                out.extend([LEAF, 0, 0, 0]);
                out.extend(key);
                out.extend(slot.to_le_bytes());
            }
            Self::Branch(branch) => {
                out.push(branch.kind);
                out.extend((branch.children.len() as u16).to_le_bytes());
                out.push(branch.prefix.len() as u8);
                out.extend(&branch.prefix);
                branch.encode_bytes(out);
                branch.children.iter().for_each(|child| child.node.encode(out));
            }
        }
    }
}

impl Branch {
    /// The place of the child of a byte, or where it belongs.
    fn child(&self, byte: u8) -> Result<usize, usize> {
        self.children.binary_search_by_key(&byte, |child| child.byte)
    }

    /// Adds a child, in a larger branch if this one is full.
    fn insert(&mut self, at: usize, byte: u8, node: Node) {
        if self.children.len() == ROOM[usize::from(self.kind)] {
            self.kind += 1;
            self.children.iter_mut().zip(0..).for_each(|(child, place)| child.place = place);
        }
        let taken = |place: &u8| self.children.iter().any(|child| child.place == *place);
        let place = match self.kind {
            OF_48 => std::iter::once(self.children.len() as u8).chain(0..48).find(|place| !taken(place)),
            _ => None,
        };
        self.children.insert(at, Child { byte, place: place.unwrap_or_default(), node });
    }

    fn encode_bytes(&self, out: &mut Vec<u8>) {
        match ROOM[usize::from(self.kind)] {
            room @ (4 | 16) => {
                let mut bytes = [0; 16];
                for (at, child) in self.children.iter().enumerate() {
                    bytes[little_endian(at, room.min(8))] = child.byte;
                }
                out.extend(&bytes[..room]);
            }
            48 => {
                let mut places = [NO_PLACE; 256];
                for child in &self.children {
                    places[little_endian(usize::from(child.byte), 8)] = child.place;
                }
                out.extend(places);
            }
            _ => {
                let mut bits = [0_u8; 32];
                for child in &self.children {
                    bits[usize::from(child.byte >> 3)] |= 1 << (child.byte & 7);
                }
                out.extend(bits);
            }
        }
    }
}

/// The bytes that tell `count` children apart, ascending, and the place of each.
fn decode_bytes(kind: u8, count: usize, input: &mut Input<'_>) -> Result<Vec<(u8, u8)>, Why> {
    let room = *ROOM.get(usize::from(kind)).ok_or_else(|| format!("a node has type {kind}"))?;
    let children: Vec<(u8, u8)> = match room {
        4 | 16 => {
            let bytes = input.bytes(room)?;
            (0..count.min(room)).map(|at| (bytes[little_endian(at, room.min(8))], 0)).collect()
        }
        48 => {
            let places = input.bytes(256)?;
            let places = (0..=u8::MAX).map(|byte| (byte, places[little_endian(usize::from(byte), 8)]));
            places.filter(|(_, place)| *place != NO_PLACE).collect()
        }
        _ => {
            let bits = input.bytes(32)?;
            (0..=u8::MAX)
                .filter(|byte| bits[usize::from(byte >> 3)] >> (byte & 7) & 1 == 1)
                .map(|byte| (byte, 0))
                .collect()
        }
    };
    let mut places: Vec<u8> = children.iter().map(|(_, place)| *place).collect();
    places.sort_unstable();
    let placed = kind != OF_48 || places.is_sorted_by(|one, next| one < next) && places.iter().all(|place| *place < 48);
    match count > 0 && children.len() == count && placed && children.is_sorted_by(|one, next| one.0 < next.0) {
        true => Ok(children),
        false => Err("a node has other children than it says".to_string()),
    }
}

/// Where the byte at a place lies when `width` bytes at a time are one number, highest first, that is written lowest
/// byte first.
fn little_endian(at: usize, width: usize) -> usize {
    at / width * width + (width - 1 - at % width)
}
