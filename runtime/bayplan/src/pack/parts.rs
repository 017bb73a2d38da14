//! What is to lie in the file of weights, and where it comes from.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use bayplan_graph::op::ViewOp;
use bayplan_graph::{
    BlockFormat, ByteRange, ConstData, Duplicate, FileId, FileRef, Graph, Op, TensorType, Value, ValueId,
    ValueSource,
};
use bayplan_onnx::write::{NewNode, NewOp, Outline, Place};
use bayplan_weights::Store;

use super::PackError;
use crate::error::Error;
use crate::weights::{Weights, store};

/// Constants of at most this many bytes stay in the model: shapes may follow from them.
const SMALL: usize = 4096;

/// The weights that go to a file of their own.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) list: Vec<Part>,
    /// A graph whose values are the parts.
    pub(super) graph: Graph,
    /// Which parts have the elements of others.
    pub(super) duplicates: Vec<Duplicate>,
    /// Where the parts are read from.
    pub(super) store: Store,
    /// Of tensors that are no part, by their number.
    pub(super) others: HashMap<usize, Place>,
    /// What converts parts to initializers.
    pub(super) nodes: Vec<NewNode>,
}

/// A weight.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) role: Role,
    /// Its type as it is written.
    pub(super) ty: TensorType,
    pub(super) data: ConstData,
    /// What it is packed in where it is read; it is written as f32.
    pub(super) blocks: Option<BlockFormat>,
}

/// What a weight is in the packed model.
#[derive(Debug)]
pub(super) enum Role {
    /// A tensor of the model, by its number.
    Tensor(usize),
    /// An initializer of this name that is new: nodes make one of the model's of it.
    New(String),
}

impl Part {
    /// Bytes that are written.
    pub(super) fn bytes(&self) -> u64 {
        let read = match &self.data {
            ConstData::Inline(bytes) => bytes.len() as u64,
            ConstData::Range(range) => range.len,
        };
        let floats = |format: BlockFormat| read / format.bytes() as u64 * format.elements() as u64 * 4;
        self.blocks.map_or(read, floats)
    }
}

impl Parts {
    /// The parts of a model; of one whose initializers are bound to other weights its `bound` graph says where they lie, and
    /// which are.
    ///
    /// # Errors
    /// As [`Store::open_with`]; [`PackError::Several`].
    pub(super) fn new(
        path: &Path,
        outline: &Outline,
        bound: Option<(&Graph, &[ValueId])>,
        weights: Option<&Weights>,
    ) -> Result<Self, Error> {
        let mut gathered = Gathered {
            files: outline.files().to_vec(),
            list: Vec::new(),
            others: HashMap::new(),
            nodes: Vec::new(),
        };
        let ids = match bound {
            Some((graph, taken)) => initializers(outline, graph, taken)?,
            None => HashMap::new(),
        };
        for (index, tensor) in outline.tensors().iter().enumerate() {
            match (bound, ids.get(&index)) {
                (Some((graph, _)), Some(&id)) => gathered.bound(index, graph, id),
                _ => gathered.own(index, tensor.ty.clone(), tensor.data.clone()),
            }
        }
        let value = |part: &Part| Value {
            name: match &part.role {
                Role::Tensor(index) => outline.tensors()[*index].name.as_str().into(),
                Role::New(name) => name.as_str().into(),
            },
            source: ValueSource::Constant(part.data.clone()),
            ty: Some(part.ty.clone()),
            contents: None,
        };
        let Gathered { files, list, others, nodes } = gathered;
        let mut graph = Graph {
            values: list.iter().map(value).collect(),
            digests: outline.digests().to_vec(),
            files,
            ..Graph::default()
        };
        drop_files(&mut graph);
        let store = store(path, &graph, weights)?;
        let duplicates = store.duplicates(&graph);
        let mut parts = Self { list, graph, duplicates, store, others, nodes };
        for (part, value) in parts.list.iter_mut().zip(&parts.graph.values) {
            if let ValueSource::Constant(data) = &value.source {
                part.data = data.clone();
            }
        }
        Ok(parts)
    }

    /// The parts in the order in which ranges of another graph's files name them, then all others.
    pub(super) fn in_order(&self, files: &[FileRef], ranges: impl Iterator<Item = ByteRange>) -> Vec<usize> {
        let mut places: Vec<(u32, u64, u64, usize)> = Vec::new();
        for (index, part) in self.list.iter().enumerate() {
            if let ConstData::Range(range) = part.data {
                places.push((range.file.0, range.offset, range.len, index));
            }
        }
        places.sort_unstable();
        let own: HashMap<&FileRef, u32> = self.graph.files.iter().zip(0..).collect();
        let find = |range: ByteRange| {
            let file = *own.get(files.get(range.file.0 as usize)?)?;
            let next = places.partition_point(|&(own, offset, ..)| (own, offset) <= (file, range.offset));
            let &(own, offset, len, index) = places[..next].last()?;
            (own == file && range.offset - offset < len.max(1)).then_some(index)
        };
        let mut seen = HashSet::new();
        let mut order: Vec<usize> = ranges.filter_map(find).filter(|&index| seen.insert(index)).collect();
        order.extend((0..self.list.len()).filter(|index| !seen.contains(index)));
        order
    }
}

/// The value that stands for each initializer, by the number of its tensor. The graph's own keep their names; those of bodies are
/// known by theirs where no other initializer has it.
///
/// # Errors
/// [`PackError::Several`]: one of `taken` is the value of no tensor that is known.
fn initializers(
    outline: &Outline,
    graph: &Graph,
    taken: &[ValueId],
) -> Result<HashMap<usize, ValueId>, Error> {
    let by_name: HashMap<&str, ValueId> =
        graph.initializers.iter().map(|own| (&*graph.value(own.value).name, own.value)).collect();
    let listed = || {
        let all = outline.tensors().iter().enumerate();
        all.filter(|(_, tensor)| tensor.initializer || tensor.in_body)
    };
    let mut count: HashMap<&str, usize> = HashMap::new();
    for (_, tensor) in listed() {
        *count.entry(&tensor.name).or_default() += 1;
    }
    let found: HashMap<usize, ValueId> = listed()
        .filter(|(_, tensor)| tensor.initializer || count[&*tensor.name] == 1)
        .filter_map(|(index, tensor)| Some((index, *by_name.get(&*tensor.name)?)))
        .collect();
    let known: HashSet<ValueId> = found.values().copied().collect();
    match taken.iter().find(|id| !known.contains(id)) {
        Some(&id) => Err(Error::Pack(PackError::Several(graph.value(id).name.to_string()))),
        None => Ok(found),
    }
}

/// Leaves out the files that no part lies in: they need not be there.
fn drop_files(graph: &mut Graph) {
    let used: HashSet<FileId> = graph.values.iter().filter_map(|value| Some(range(value)?.file)).collect();
    let mut places = HashMap::new();
    for (index, file) in std::mem::take(&mut graph.files).into_iter().enumerate() {
        let id = FileId(index as u32);
        if used.contains(&id) {
            places.insert(id, FileId(graph.files.len() as u32));
            graph.files.push(file);
        }
    }
    for value in &mut graph.values {
        if let ValueSource::Constant(ConstData::Range(range)) = &mut value.source {
            range.file = places[&range.file];
        }
    }
    graph.digests.retain_mut(|(range, _)| places.get(&range.file).map(|&file| range.file = file).is_some());
}

fn range(value: &Value) -> Option<ByteRange> {
    match &value.source {
        ValueSource::Constant(ConstData::Range(range)) => Some(*range),
        _ => None,
    }
}

struct Gathered {
    files: Vec<FileRef>,
    list: Vec<Part>,
    others: HashMap<usize, Place>,
    nodes: Vec<NewNode>,
}

impl Gathered {
    /// A tensor that lies where the model says.
    fn own(&mut self, index: usize, ty: TensorType, data: ConstData) {
        match &data {
            ConstData::Inline(bytes) if bytes.is_empty() => {
                self.others.insert(index, Place::Stays);
            }
            ConstData::Range(range) if range.len == 0 => {
                self.others.insert(index, Place::Holds(Vec::new()));
            }
            _ => self.list.push(Part { role: Role::Tensor(index), ty, data, blocks: None }),
        }
    }

    /// An initializer whose elements may come from elsewhere.
    fn bound(&mut self, index: usize, graph: &Graph, id: ValueId) {
        let mut nodes = Vec::new();
        let mut at = id;
        while let Some((op, input)) = conversion(graph, at) {
            let name = |id: ValueId| graph.value(id).name.to_string();
            nodes.push(NewNode { op, input: name(input), output: name(at) });
            at = input;
        }
        let (data, blocks) = stored(graph, at);
        let value = graph.value(at);
        let Some((data, ty)) = data.zip(value.ty.clone()) else {
            // Nothing that binding makes; it stays as the model has it.
            self.others.insert(index, Place::Stays);
            return;
        };
        let data = self.translated(graph, data);
        match data {
            ConstData::Inline(bytes) if bytes.len() <= SMALL => {
                // Elements that share bytes are not bound.
                let place = if ty.dtype.bits() < 8 { Place::Stays } else { Place::Holds(bytes.to_vec()) };
                self.others.insert(index, place);
            }
            data if nodes.is_empty() && blocks.is_none() => self.own(index, ty, data),
            data if nodes.is_empty() => {
                self.list.push(Part { role: Role::Tensor(index), ty, data, blocks });
            }
            data => {
                self.others.insert(index, Place::Made);
                self.list.push(Part { role: Role::New(value.name.to_string()), ty, data, blocks });
                nodes.reverse();
                self.nodes.append(&mut nodes);
            }
        }
    }

    /// The same bytes with the file's number among those of all parts.
    fn translated(&mut self, graph: &Graph, data: ConstData) -> ConstData {
        let ConstData::Range(range) = data else { return data };
        let file = &graph.files[range.file.0 as usize];
        let index = self.files.iter().position(|own| own == file).unwrap_or_else(|| {
            self.files.push(file.clone());
            self.files.len() - 1
        });
        ConstData::Range(ByteRange { file: FileId(index as u32), ..range })
    }
}

/// What a value is made by, where ONNX has such an operator for what binding adds.
fn conversion(graph: &Graph, id: ValueId) -> Option<(NewOp, ValueId)> {
    let ValueSource::Node { node, .. } = graph.value(id).source else { return None };
    let node = graph.node(node);
    let op = match &node.op {
        Op::Cast(to) => NewOp::Cast(*to),
        Op::Transpose(perm) => NewOp::Transpose(perm.iter().map(|&axis| axis as i64).collect()),
        _ => return None,
    };
    Some((op, *node.inputs.first()?))
}

/// Where the elements of a value lie, and in which blocks: of one that blocks are unpacked and reshaped to, those of the blocks.
fn stored(graph: &Graph, mut id: ValueId) -> (Option<ConstData>, Option<BlockFormat>) {
    let mut blocks = None;
    loop {
        let node = match &graph.value(id).source {
            ValueSource::Constant(data) => return (Some(data.clone()), blocks),
            ValueSource::Node { node, .. } => graph.node(*node),
            _ => return (None, None),
        };
        match (&node.op, node.inputs.first()) {
            (Op::Dequantize(format), Some(&input)) => (blocks, id) = (Some(*format), input),
            (Op::View(ViewOp::Reshape { .. }), Some(&input)) => id = input,
            _ => return (None, None),
        }
    }
}
