//! Tensors by name in the place of a graph's initializers.

mod convert;
mod suggest;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bayplan_graph::{
    ByteRange, ConstData, FileId, FileRef, Graph, Initializer, Node, NodeId, TensorType, Value, ValueId,
    ValueSource,
};
use bayplan_text::{ellipsis, escape};

use self::convert::Conversion;
use crate::rules::Rules;
use crate::unfit::{LeftOver, Missing, Unfit};
use crate::{Entry, Named, WeightsError};

/// Initializers of at most this many bytes may stay as the model has them: scalars and lists that exporters make.
const SMALL: u64 = 4096;

/// What was bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Initializers that have their elements from the file now.
    pub bound: usize,
    /// Which they are.
    pub taken: Vec<ValueId>,
    /// Small ones that are read and stay as the model has them.
    pub kept: usize,
    /// Of these, floats of more than one element, with their types: weights perhaps that the file should have.
    pub doubtful: Vec<(Arc<str>, TensorType)>,
    /// Tensors that the rules leave out.
    pub left_out: usize,
}

/// Lets every initializer of a graph have its elements from the tensor of its name, as rules say. Where the tensor has another
/// element type, is packed in blocks or transposed, nodes before all others convert it. Infer the graph anew then.
///
/// # Errors
/// [`WeightsError::Unfit`]: weights without a tensor (initializers of at most 4 KiB may stay), tensors that are left over, and
/// those of the wrong shape or type, all at once; the graph is as before. Or reading a small tensor failed.
pub fn bind(graph: &mut Graph, named: &Named, rules: &Rules) -> Result<Bound, WeightsError> {
    let mut matched = Matched::new(graph, named, rules);
    let read = read_values(graph);
    let kept: Vec<Initializer> = graph
        .initializers
        .iter()
        .filter(|own| read.contains(&own.value) && !matched.taken.contains_key(&own.value))
        .copied()
        .collect();
    let mut changes = Vec::with_capacity(matched.taken.len());
    for (initializer, tensor) in matched.in_order(graph) {
        match change(graph, named, initializer, tensor)? {
            Ok(change) => changes.push((initializer.value, change)),
            Err(wrong) => matched.unfit.wrong.push(wrong),
        }
    }
    let missing = kept.iter().map(|own| graph.value(own.value)).filter(|value| bytes(value) > SMALL);
    matched.unfit.missing = missing
        .filter_map(|value| Some(Missing { name: value.name.clone(), ty: value.ty.clone()?, nearest: None }))
        .collect();
    if !matched.unfit.is_empty() {
        suggest::suggest(&mut matched.unfit, graph, named, rules);
        return Err(WeightsError::Unfit(Box::new(matched.unfit)));
    }
    let doubtful = kept.iter().filter_map(|own| doubtful(graph.value(own.value))).collect();
    let taken: Vec<ValueId> = changes.iter().map(|(value, _)| *value).collect();
    let bound = Bound { bound: taken.len(), taken, kept: kept.len(), doubtful, left_out: matched.left_out };
    apply(graph, named, changes);
    drop_files(graph);
    Ok(bound)
}

/// Which tensor is for which initializer.
struct Matched<'a> {
    taken: HashMap<ValueId, Tensor<'a>>,
    unfit: Unfit,
    left_out: usize,
}

/// A tensor that is for an initializer.
#[derive(Clone, Copy)]
struct Tensor<'a> {
    entry: &'a Entry,
    transposed: bool,
}

impl<'a> Matched<'a> {
    fn new(graph: &Graph, named: &'a Named, rules: &Rules) -> Self {
        let by_name: HashMap<&str, ValueId> =
            graph.initializers.iter().map(|own| (&*graph.value(own.value).name, own.value)).collect();
        let unfit = Unfit { path: named.path().to_owned(), ..Unfit::default() };
        let mut matched = Self { taken: HashMap::new(), unfit, left_out: 0 };
        for entry in named.entries() {
            let targets = rules.apply(&entry.name);
            let known: Vec<_> =
                targets.iter().filter_map(|own| Some((*by_name.get(&*own.name)?, own.transposed))).collect();
            if targets.is_empty() {
                matched.left_out += 1;
            } else if known.is_empty() {
                let led = targets.into_iter().next().and_then(|own| Some((own.name, own.line?)));
                matched.unfit.left_over.push(LeftOver { name: entry.name.clone(), led });
            } else if known.len() < targets.len() {
                let other =
                    targets.iter().find(|own| !by_name.contains_key(&*own.name)).map_or("", |own| &own.name);
                matched.unfit.wrong.push(format!(
                    "{} is also for {}, which the model does not have",
                    shown(&entry.name),
                    shown(other)
                ));
            }
            for (value, transposed) in known {
                if let Some(other) = matched.taken.insert(value, Tensor { entry, transposed }) {
                    let (own, other) = (shown(&entry.name), shown(&other.entry.name));
                    matched
                        .unfit
                        .wrong
                        .push(format!("{own} and {other} are both for {}", shown(&graph.value(value).name)));
                }
            }
        }
        matched
    }

    /// The initializers that have a tensor, in the model's order.
    fn in_order(&self, graph: &Graph) -> Vec<(Initializer, Tensor<'a>)> {
        graph.initializers.iter().filter_map(|&own| Some((own, *self.taken.get(&own.value)?))).collect()
    }
}

/// A name in a message.
fn shown(name: &str) -> String {
    format!("`{}`", ellipsis(name, 60))
}

/// What nodes and callers read.
fn read_values(graph: &Graph) -> HashSet<ValueId> {
    graph.nodes.iter().flat_map(|node| &node.inputs).chain(&graph.outputs).copied().collect()
}

/// The name and type of an initializer that could be a weight: exporters make scalars and lists of integers.
fn doubtful(value: &Value) -> Option<(Arc<str>, TensorType)> {
    let ty = value.ty.as_ref().filter(|ty| ty.dtype.is_float())?;
    let elements = ty.dims()?.iter().try_fold(1_u64, |count, &dim| count.checked_mul(dim))?;
    (elements > 1).then(|| (value.name.clone(), ty.clone()))
}

/// Bytes of an initializer.
fn bytes(value: &Value) -> u64 {
    match &value.source {
        ValueSource::Constant(ConstData::Inline(bytes)) => bytes.len() as u64,
        ValueSource::Constant(ConstData::Range(range)) => range.len,
        _ => 0,
    }
}

/// What becomes of an initializer.
enum Change {
    /// It has these elements.
    Elements(Arc<[u8]>),
    /// It stays: the tensor has the same elements.
    None,
    /// It lies in a file, and is converted.
    Lies { file: usize, offset: u64, len: u64, conversion: Conversion },
}

/// What becomes of an initializer, or why its tensor does not fit it.
fn change(
    graph: &Graph,
    named: &Named,
    Initializer { value, decides }: Initializer,
    Tensor { entry, transposed }: Tensor<'_>,
) -> Result<Result<Change, String>, WeightsError> {
    let value = graph.value(value);
    let wrong = |reason: String| Ok(Err(format!("{} {reason}", shown(&entry.name))));
    let Some((ty, shape)) = value.ty.as_ref().and_then(|ty| Some((ty, ty.dims()?))) else {
        return wrong(format!("is for {}, which has no type", shown(&value.name)));
    };
    let conversion = match Conversion::new(entry, (ty.dtype, &shape), transposed) {
        Ok(conversion) => conversion,
        Err(reason) => return wrong(format!("is for {} {ty}, but {reason}", shown(&value.name))),
    };
    let (file, offset, len) = (entry.file, entry.offset, entry.len);
    let ValueSource::Constant(ConstData::Inline(own)) = &value.source else {
        return Ok(Ok(Change::Lies { file, offset, len, conversion }));
    };
    if own.len() as u64 > SMALL {
        return Ok(Ok(Change::Lies { file, offset, len, conversion }));
    }
    // Shapes may follow from what is small, so that it must be at hand as the model's own was.
    let (path, source) = &named.sources()[file];
    let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
    source.read_at(offset, &mut bytes).map_err(|error| WeightsError::Read { path: path.clone(), error })?;
    let made = match conversion.on_host(bytes) {
        Ok(made) => made,
        Err(reason) => return wrong(format!("is for {}, but {}", shown(&value.name), escape(&reason))),
    };
    Ok(match decides {
        true if *made == **own => Ok(Change::None),
        true => {
            return wrong(format!(
                "has other elements than {} in the model, from which its shapes or operators follow; leave it out by a rule, or \
                 export the model with them",
                shown(&value.name)
            ));
        }
        false => Ok(Change::Elements(made.into())),
    })
}

/// Changes the graph.
fn apply(graph: &mut Graph, named: &Named, changes: Vec<(ValueId, Change)>) {
    let files: Vec<FileId> = named
        .files()
        .map(|path| {
            graph.files.push(FileRef::Weights(path.into()));
            FileId(graph.files.len() as u32 - 1)
        })
        .collect();
    let mut adding =
        Adding { names: graph.values.iter().map(|value| value.name.clone()).collect(), nodes: Vec::new() };
    for (id, change) in changes {
        match change {
            Change::None => {}
            Change::Elements(bytes) => {
                graph.values[id.0 as usize].source = ValueSource::Constant(ConstData::Inline(bytes));
            }
            Change::Lies { file, offset, len, conversion } => {
                let data = ConstData::Range(ByteRange { file: files[file], offset, len });
                adding.lies(graph, id, data, &conversion);
            }
        }
    }
    graph.prepend(adding.nodes);
}

/// Values and nodes that are added.
struct Adding {
    names: HashSet<Arc<str>>,
    nodes: Vec<Node>,
}

impl Adding {
    /// An initializer that lies in a file.
    fn lies(&mut self, graph: &mut Graph, id: ValueId, data: ConstData, conversion: &Conversion) {
        let Some((last, steps)) = conversion.steps.split_last() else {
            graph.values[id.0 as usize].source = ValueSource::Constant(data);
            return;
        };
        let name = graph.value(id).name.clone();
        let ty = TensorType::fixed(conversion.dtype, &conversion.shape);
        let mut at = self.value(
            graph,
            &format!("{name}.{}", conversion.suffix),
            ValueSource::Constant(data),
            Some(ty),
        );
        for step in steps {
            let node = NodeId(self.nodes.len() as u32);
            let made = self.value(
                graph,
                &format!("{name}.{}", step.suffix()),
                ValueSource::Node { node, output: 0 },
                None,
            );
            self.step(graph, step, at, made, &name);
            at = made;
        }
        let node = NodeId(self.nodes.len() as u32);
        graph.values[id.0 as usize].source = ValueSource::Node { node, output: 0 };
        self.step(graph, last, at, id, &name);
    }

    fn step(&mut self, graph: &mut Graph, step: &convert::Step, from: ValueId, to: ValueId, name: &Arc<str>) {
        let (op, operand) = step.op();
        let mut inputs = vec![from];
        if let Some((ty, bytes)) = operand {
            let source = ValueSource::Constant(ConstData::Inline(bytes.into()));
            inputs.push(self.value(graph, &format!("{name}.shape"), source, Some(ty)));
        }
        let source_op = op.name().into();
        self.nodes.push(Node { op, inputs, outputs: vec![to], name: name.clone(), source_op });
    }

    /// A value with a name of its own.
    fn value(
        &mut self,
        graph: &mut Graph,
        base: &str,
        source: ValueSource,
        ty: Option<TensorType>,
    ) -> ValueId {
        let mut name: Arc<str> = base.into();
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{base}.{count}").into();
        }
        graph.values.push(Value { name, source, ty, contents: None });
        ValueId(graph.values.len() as u32 - 1)
    }
}

/// Leaves out the files in which no constant lies any more: they need not be there.
fn drop_files(graph: &mut Graph) {
    let mut used = HashSet::new();
    for value in &graph.values {
        if let ValueSource::Constant(ConstData::Range(range)) = &value.source {
            used.insert(range.file);
        }
    }
    let mut places = HashMap::new();
    let files = std::mem::take(&mut graph.files);
    for (index, file) in files.into_iter().enumerate() {
        let id = FileId(index as u32);
        if used.contains(&id) {
            places.insert(id, FileId(graph.files.len() as u32));
            graph.files.push(file);
        }
    }
    for value in &mut graph.values {
        if let ValueSource::Constant(ConstData::Range(range)) = &mut value.source
            && let Some(&place) = places.get(&range.file)
        {
            range.file = place;
        }
    }
    graph.digests.retain_mut(|(range, _)| places.get(&range.file).map(|&place| range.file = place).is_some());
}
