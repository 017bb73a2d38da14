//! What is asked: nodes that touch bytes of values, checked once.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::csr::Csr;
use crate::problem::{Buffer, Problem, ProblemError};

/// Bytes of a value that a node reads or writes: the half-open range `[first, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// The value's number.
    pub value: u32,
    /// First byte.
    pub first: u64,
    /// One past the last byte; at most the value's size.
    pub end: u64,
}

impl Access {
    /// The bytes `[first, end)` of a value.
    pub const fn new(value: u32, first: u64, end: u64) -> Self {
        Self { value, first, end }
    }
}

/// Something that needs memory: a tensor, with all views on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Value {
    /// Bytes.
    pub size: u64,
    /// Its offset must be a multiple of this power of two.
    pub align: u64,
    /// Whether it holds its bytes before the first node runs.
    pub given: bool,
    /// Whether it holds them until the last node has run.
    pub kept: bool,
}

/// One step of the work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// What it reads.
    pub reads: Vec<Access>,
    /// What it writes. The first is its result.
    pub writes: Vec<Access>,
    /// Bytes that it needs beside these while it runs.
    pub scratch: u64,
    /// Which of its reads the result may take the bytes of where their value dies with this node; the one wanted most
    /// comes first. The result begins at the first byte of the read.
    pub overwrites: Vec<u32>,
}

/// Nodes in an order in which they can run, and what other orders have to respect.
///
/// The given order is the meaning: a node that reads bytes sees what the last node before it wrote there. Two nodes
/// keep their order where both touch a byte of a value and one of them writes; all others may change places.
///
/// ```text
///   given     n0 writes a    n1 reads a      n2 writes b[0, 8)   n3 writes b[8, 16)   n4 reads b
///   kept      n0 ─► n1                       n2 ─────────────────────────────────► n4 ◄── n3
///   free      n2 and n3 may run before n0, and either first: they write other bytes of b
/// ```
#[derive(Clone, Debug)]
pub struct Dag {
    nodes: Vec<Node>,
    values: Vec<Value>,
    /// For each node, those that must come after it.
    pub(crate) successors: Csr,
}

impl Dag {
    /// Checks nodes and values, each known by its position from then on, and derives which nodes keep their order.
    ///
    /// # Errors
    /// The first [`DagError`].
    pub fn new(nodes: Vec<Node>, values: Vec<Value>) -> Result<Self, DagError> {
        if u32::try_from(nodes.len()).is_err() {
            return Err(DagError::TooManyNodes { count: nodes.len() });
        }
        let buffers = values.iter().map(|value| Buffer::new(value.size, 0, 1).aligned(value.align));
        let scratch = nodes.iter().map(|node| Buffer::new(node.scratch, 0, 1));
        Problem::new(buffers.chain(scratch).collect()).map_err(DagError::Memory)?;
        for (at, node) in nodes.iter().enumerate() {
            for access in node.reads.iter().chain(&node.writes) {
                let size = values.get(access.value as usize).map(|value| value.size);
                if size.is_none_or(|size| access.first > access.end || access.end > size) {
                    return Err(DagError::BadAccess { node: at, access: *access });
                }
            }
            if let Some(&read) = node.overwrites.iter().find(|&&read| read as usize >= node.reads.len()) {
                return Err(DagError::BadOverwrite { node: at, read });
            }
        }
        let successors = Csr::of_pairs(nodes.len(), hazards(&nodes, &values)?);
        Ok(Self { nodes, values, successors })
    }

    /// The same, where other pairs of nodes keep their order too: for reasons that are no value's. The first of each pair
    /// comes before the second in the given order; other pairs are left out.
    #[must_use]
    pub fn keeping(self, pairs: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let count = self.nodes.len();
        let known = (0..count as u32).flat_map(|node| self.after(node).iter().map(move |&next| (node, next)));
        let given = |&(first, next): &(u32, u32)| first < next && (next as usize) < count;
        let all: Vec<(u32, u32)> = known.chain(pairs.into_iter().filter(given)).collect();
        Self { successors: Csr::of_pairs(count, all), ..self }
    }

    /// The nodes, in the given order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The nodes that must come after a node, ascending; none for a number that is no node's.
    pub fn after(&self, node: u32) -> &[u32] {
        if (node as usize) < self.nodes.len() { self.successors.of(node) } else { &[] }
    }

    /// Whether an order names each node once, and each after those it must come after.
    pub fn allows(&self, order: &[u32]) -> bool {
        let mut at = vec![u32::MAX; self.nodes.len()];
        for (position, &node) in order.iter().enumerate() {
            match at.get_mut(node as usize) {
                Some(free) if *free == u32::MAX => *free = position as u32,
                _ => return false,
            }
        }
        let ordered = |node: u32| self.after(node).iter().all(|&next| at[node as usize] < at[next as usize]);
        order.len() == self.nodes.len() && order.iter().all(|&node| ordered(node))
    }
}

/// The last that was done to a range of bytes.
#[derive(Clone, Debug)]
struct Segment {
    end: u64,
    writer: Option<u32>,
    /// Since that write.
    readers: Vec<u32>,
}

/// Most pairs of nodes that keep their order, with the looks at ranges of bytes that it takes to find them: some 100 MB,
/// a tenth of a second. Graphs of models have a few for each node; where thousands of nodes write parts of a value that
/// thousands read whole, it would be their product.
const MAX_PAIRS: usize = 1 << 22;

/// Pairs of nodes that must keep their order: read after write, write after read, write after write.
fn hazards(nodes: &[Node], values: &[Value]) -> Result<Vec<(u32, u32)>, DagError> {
    let fresh =
        |value: &Value| BTreeMap::from([(0, Segment { end: value.size, writer: None, readers: Vec::new() })]);
    let mut bytes: Vec<BTreeMap<u64, Segment>> = values.iter().map(fresh).collect();
    let (mut pairs, mut looks) = (Vec::new(), 0);
    for (at, node) in nodes.iter().enumerate() {
        let at = at as u32;
        let all = node.reads.iter().map(|read| (read, false)).chain(node.writes.iter().map(|w| (w, true)));
        for (access, writes) in all.filter(|(access, _)| access.first < access.end) {
            let segments = &mut bytes[access.value as usize];
            looks += cut(segments, access.first) + cut(segments, access.end);
            for (_, segment) in segments.range_mut(access.first..access.end) {
                pairs.extend(segment.writer.filter(|&from| from != at).map(|from| (from, at)));
                if writes {
                    let readers = segment.readers.iter().filter(|&&from| from != at);
                    pairs.extend(readers.map(|&from| (from, at)));
                } else {
                    segment.readers.push(at);
                }
                looks += 1;
                if pairs.len() + looks > MAX_PAIRS {
                    return Err(DagError::TooManyPairs { node: at as usize });
                }
            }
            if writes {
                let inside: Vec<u64> = segments.range(access.first..access.end).map(|(&at, _)| at).collect();
                for first in inside {
                    segments.remove(&first);
                }
                let segment = Segment { end: access.end, writer: Some(at), readers: Vec::new() };
                segments.insert(access.first, segment);
            }
        }
    }
    Ok(pairs)
}

/// Lets a segment begin at a byte; how many readers were copied for it.
fn cut(segments: &mut BTreeMap<u64, Segment>, at: u64) -> usize {
    let Some((_, segment)) = segments.range_mut(..at).next_back().filter(|(_, s)| s.end > at) else {
        return 0;
    };
    let upper = segment.clone();
    segment.end = at;
    let copied = upper.readers.len();
    segments.insert(at, upper);
    copied
}

/// Why nodes and values are no graph to order. Both are named by their position from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DagError {
    /// A value (or, counted on from the values, the scratch of a node) is none that could be planned.
    Memory(ProblemError),
    /// A node touches a value that there is not, or bytes that the value does not have.
    BadAccess {
        /// Which node.
        node: usize,
        /// What it touches.
        access: Access,
    },
    /// A node may overwrite a read that it does not have.
    BadOverwrite {
        /// Which node.
        node: usize,
        /// The number of the read.
        read: u32,
    },
    /// Too many pairs of nodes must keep their order (4 million, with what it takes to find them).
    TooManyPairs {
        /// The node at which they pass the limit.
        node: usize,
    },
    /// More nodes than numbers for them.
    TooManyNodes {
        /// How many were given.
        count: usize,
    },
}

impl fmt::Display for DagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => write!(f, "{error}"),
            Self::BadAccess { node, access: Access { value, first, end } } => {
                write!(
                    f,
                    "node {node} touches bytes {first}..{end} of value {value}, which has no such bytes"
                )
            }
            Self::BadOverwrite { node, read } => {
                write!(f, "node {node} may overwrite its read {read}, which it does not have")
            }
            Self::TooManyPairs { node } => {
                write!(
                    f,
                    "node {node} brings the pairs that must keep their order above {MAX_PAIRS}; fewer parts of a value, or \
                     fewer nodes that read all of it, leave fewer"
                )
            }
            Self::TooManyNodes { count } => write!(f, "{count} nodes are more than {}", u32::MAX),
        }
    }
}

impl core::error::Error for DagError {}
