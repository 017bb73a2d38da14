//! Graph to device work: each node becomes views and operations.
//!
//! Layout operators (reshape, transpose, expand, slice, split) make strided views and no work; whoever needs the
//! elements in a row asks for [`Lowerer::packed`], which copies once and remembers it.

mod contract;
pub(crate) mod elementwise;
mod host;
mod layout;
mod line;
mod movement;
mod reduce;
mod scatter;
mod taps;
mod unpack;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use bayplan_expr::Expr;
use bayplan_graph::{ConstData, DType, Graph, Node, Tensor as HostTensor, Value, ValueId, ValueSource};
use bayplan_shaders::{Convert, Packed, Packing, Repr, Spec, Target};

use crate::error::Refused;
use crate::lowered::{Lowered, Operation, Origin, Tensor, TensorId};
use crate::size::Size;
use crate::view::{View, elements, same};
use crate::widen::{device_size, narrow, widen};

/// Most elements of one value: kernels count in 32 bits.
const MAX_ELEMENTS: u64 = u32::MAX as u64;

/// What a lowering function answers: `None` if the operator is not its own.
type Lowering = Option<Result<Vec<View>, String>>;

/// One row per family of operators.
const FAMILIES: [fn(&mut Lowerer<'_>, &Node) -> Lowering; 8] = [
    host::lower,
    unpack::lower,
    elementwise::lower,
    contract::lower,
    reduce::lower,
    movement::lower,
    scatter::lower,
    line::lower,
];

/// Lowers a graph, whose dimensions may hold symbols while [`Symbols`](crate::size::Symbols) are entered. `known` are the
/// values that folding has computed; `symbolic` is the same graph before its symbols were bound, for sizes as expressions.
///
/// # Errors
/// Every node that cannot be lowered, at once.
pub(crate) fn lower(
    graph: &Graph,
    symbolic: &Graph,
    known: &[Option<Arc<HostTensor>>],
    target: &Target,
    plain: &[ConstData],
) -> Result<(Lowered, Vec<bool>), Vec<Refused>> {
    let mut lowerer = Lowerer {
        graph,
        symbolic,
        known,
        target,
        plain,
        out: Lowered::default(),
        views: vec![None; graph.values.len()],
        copies: HashMap::new(),
        rearranged: Vec::new(),
        contents: HashMap::new(),
        halves: None,
        fixed: Vec::new(),
        node: None,
        value: None,
    };
    let mut refused = Vec::new();
    lowerer.inputs(&mut refused);
    let live = live_nodes(graph, known);
    for (node, _) in graph.nodes.iter().zip(live).filter(|(_, live)| *live) {
        lowerer.node(node, &mut refused);
    }
    if refused.is_empty() {
        lowerer.outputs(&mut refused);
    }
    lowerer.out.remove_dead();
    if refused.is_empty() { Ok((lowerer.out, lowerer.fixed)) } else { Err(refused) }
}

/// Which nodes make something that an output needs and that is not known already.
fn live_nodes(graph: &Graph, known: &[Option<Arc<HostTensor>>]) -> Vec<bool> {
    let mut wanted = vec![false; graph.values.len()];
    for output in &graph.outputs {
        wanted[output.0 as usize] = true;
    }
    let mut live = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        live[index] = node.outputs.iter().any(|&value| {
            let id = value.0 as usize;
            wanted[id] && known[id].is_none() && symbolic_contents(graph.value(value)).is_none()
        });
        if live[index] {
            for (operand, input) in node.inputs.iter().enumerate() {
                wanted[input.0 as usize] |= !movement::says_shape(&node.op, operand);
            }
        }
    }
    live
}

/// A view by the identity of its sizes.
type CopyKey = (TensorId, Vec<(i64, u32)>);

/// Element type, shape and elements of a tensor by the identity of its sizes.
type ContentsKey = (DType, [Vec<(i64, u32)>; 2]);

/// The elements of a value that follow from symbols alone.
fn symbolic_contents(value: &Value) -> Option<&[Expr]> {
    value.contents.as_deref().filter(|list| list.iter().any(|element| element.as_const().is_none()))
}

pub(crate) struct Lowerer<'a> {
    graph: &'a Graph,
    symbolic: &'a Graph,
    known: &'a [Option<Arc<HostTensor>>],
    pub(crate) target: &'a Target,
    /// Weights that keep the layout in which they are stored.
    plain: &'a [ConstData],
    out: Lowered,
    /// Dimensions may be pieces of the value's.
    views: Vec<Option<View>>,
    /// Contiguous copies made of views so far.
    copies: HashMap<CopyKey, View>,
    /// Weights rearranged so far: tensor, base, how, and the result.
    rearranged: Vec<(TensorId, Size, Packing, View)>,
    /// Tensors whose elements follow from symbols alone, by element type, shape and elements.
    contents: HashMap<ContentsKey, View>,
    /// One bit per half of a dimension of size 2: true, false.
    halves: Option<View>,
    /// For each tensor, whether it follows from constants alone and has one size for all shapes.
    fixed: Vec<bool>,
    node: Option<&'a Node>,
    value: Option<ValueId>,
}

impl<'a> Lowerer<'a> {
    fn inputs(&mut self, refused: &mut Vec<Refused>) {
        for &id in &self.graph.inputs {
            let value = self.graph.value(id);
            match self.value_tensor(id, Origin::Input) {
                Ok(view) => {
                    self.out.inputs.push(view.tensor);
                    self.views[id.0 as usize] = Some(view);
                }
                Err(reason) => refused.push(Refused::new(&value.name, "graph input", reason)),
            }
        }
    }

    fn node(&mut self, node: &'a Node, refused: &mut Vec<Refused>) {
        let ready = node.inputs.iter().enumerate().all(|(operand, &input)| {
            movement::says_shape(&node.op, operand)
                || self.views[input.0 as usize].is_some()
                || matches!(self.graph.value(input).source, ValueSource::Constant(_))
                || self.known[input.0 as usize].is_some()
                || symbolic_contents(self.graph.value(input)).is_some()
        });
        // What it reads was refused and reported already.
        if !ready {
            return;
        }
        self.node = Some(node);
        self.value = node.outputs.first().copied();
        let lowered = self.nothing(node).or_else(|| FAMILIES.iter().find_map(|family| family(self, node)));
        match lowered.unwrap_or_else(|| Err("no kernel computes this operator".into())) {
            Ok(views) => {
                for (output, view) in node.outputs.iter().zip(views) {
                    self.views[output.0 as usize] = Some(view);
                }
            }
            Err(reason) => refused.push(Refused::new(&node.name, &node.source_op, reason)),
        }
    }

    /// Values without elements need no work, and whoever computes some need not think of them.
    fn nothing(&mut self, node: &Node) -> Lowering {
        let shapes: Vec<Vec<Size>> =
            node.outputs.iter().map(|&id| self.shape(id)).collect::<Result<_, _>>().ok()?;
        if shapes.iter().any(|shape| !elements(shape).surely_eq(0)) {
            return None;
        }
        let values = node.outputs.iter().zip(&shapes);
        Some(values.map(|(&id, shape)| self.filled(self.dtype(id), 0, shape)).collect())
    }

    /// Gives every output storage of its own: a view, an input, a constant or another output is copied.
    fn outputs(&mut self, refused: &mut Vec<Refused>) {
        self.node = None;
        for &id in &self.graph.outputs {
            let name = self.graph.value(id).name.clone();
            self.value = Some(id);
            match self.view(id) {
                Ok(view) => {
                    let tensor = self.output(&view);
                    self.out.tensors[tensor.index()].name = name.to_string().into();
                    self.out.outputs.push(tensor);
                }
                Err(reason) => refused.push(Refused::new(&name, "graph output", reason)),
            }
        }
    }

    /// A tensor that shows a view and is no output yet: its own, a copy made before, or a new one.
    fn output(&mut self, view: &View) -> TensorId {
        let own = self.out.tensor(view.tensor).origin == Origin::Computed && self.out.is_whole(view);
        let tensor = if own { view.tensor } else { self.copy(view).tensor };
        if self.out.outputs.contains(&tensor) { self.duplicate(view).tensor } else { tensor }
    }

    /// The view of a value, in its shape.
    pub(crate) fn view(&mut self, id: ValueId) -> Result<View, String> {
        let (view, shape) = (self.pieces(id)?, self.shape(id)?);
        Ok(if same(&view.shape, &shape) { view } else { self.reshaped(&view, &shape) })
    }

    /// The view of a value whose dimensions may be pieces of the value's, as [`View::pieces`] makes them: nothing is
    /// copied. Constants become tensors when they are first used.
    pub(crate) fn pieces(&mut self, id: ValueId) -> Result<View, String> {
        if let Some(view) = &self.views[id.0 as usize] {
            return Ok(view.clone());
        }
        let value = self.graph.value(id);
        let view = match (&self.known[id.0 as usize], &value.source, symbolic_contents(value)) {
            (Some(tensor), ..) => {
                self.value_tensor(id, Origin::Constant(ConstData::Inline(tensor.bytes().into())))?
            }
            (None, ValueSource::Constant(data), _) => {
                self.value_tensor(id, Origin::Constant(data.clone()))?
            }
            (None, _, Some(contents)) => self.contents(id, contents)?,
            _ => return Err(format!("{} is used before it is made", value.name)),
        };
        self.views[id.0 as usize] = Some(view.clone());
        Ok(view)
    }

    /// A tensor whose elements follow from symbols alone; the same one for all values with these elements.
    fn contents(&mut self, id: ValueId, contents: &[Expr]) -> Result<View, String> {
        let elements: Vec<Size> =
            contents.iter().map(|element| self.size(id, element)).collect::<Result<_, _>>()?;
        let keys = [&self.shape(id)?, &elements].map(|list| list.iter().map(|size| size.key()).collect());
        let key = (self.dtype(id), keys);
        if let Some(view) = self.contents.get(&key) {
            return Ok(view.clone());
        }
        let view = self.value_tensor(id, Origin::Contents(elements))?;
        self.contents.insert(key, view.clone());
        Ok(view)
    }

    /// A tensor for a value of the graph.
    fn value_tensor(&mut self, id: ValueId, origin: Origin) -> Result<View, String> {
        let (dtype, shape) = (self.dtype(id), self.shape(id)?);
        if let Origin::Constant(data) = &origin
            && unpack::is_packed(dtype, data)
        {
            return self.unpacked(id, data, Packed::Elements(dtype), dtype);
        }
        let name = self.graph.value(id).name.to_string();
        let elements = self.elements_expr(id, &shape);
        self.tensor(name, dtype, shape, elements, origin)
    }

    fn tensor(
        &mut self,
        name: String,
        dtype: DType,
        shape: Vec<Size>,
        elements_expr: Expr,
        origin: Origin,
    ) -> Result<View, String> {
        let repr =
            Repr::of(dtype).ok_or_else(|| format!("{dtype} has no representation on the device yet"))?;
        let id = TensorId(self.out.tensors.len() as u32);
        let given = matches!(origin, Origin::Input | Origin::Contents(_));
        self.fixed.push(!given && shape.iter().all(|size| size.known().is_some()));
        self.out.tensors.push(Tensor {
            name: name.into(),
            dtype,
            repr,
            shape: shape.clone(),
            elements_expr,
            origin,
        });
        Ok(View::whole(id, dtype, shape))
    }

    /// Element type of a value.
    pub(crate) fn dtype(&self, id: ValueId) -> DType {
        // Inference has given every value a type before lowering begins.
        self.graph.value(id).ty.as_ref().map_or(DType::F32, |ty| ty.dtype)
    }

    /// Shape of a value.
    pub(crate) fn shape(&self, id: ValueId) -> Result<Vec<Size>, String> {
        let value = self.graph.value(id);
        let ty = value.ty.as_ref().ok_or_else(|| format!("{} has no type", value.name))?;
        let size = |dim: &Expr| {
            let size = self.size(id, dim)?;
            if size < 0 {
                return Err(format!("{} has the negative dimension {dim}", value.name));
            }
            Ok(size)
        };
        let shape: Vec<Size> = ty.shape.iter().map(size).collect::<Result<_, _>>()?;
        if elements(&shape) > MAX_ELEMENTS {
            return Err(format!("{} has more than {MAX_ELEMENTS} elements", value.name));
        }
        Ok(shape)
    }

    /// What a dimension or an element known beforehand says.
    fn size(&self, id: ValueId, expr: &Expr) -> Result<Size, String> {
        Size::of(expr).map_err(|_| format!("{} has the unknown dimension {expr}", self.graph.value(id).name))
    }

    /// The elements of an operand that says a shape or position.
    pub(crate) fn ints(&self, id: ValueId) -> Result<Vec<Size>, String> {
        if let Some(tensor) = &self.known[id.0 as usize] {
            let elements = tensor.to_i64().map_err(|e| e.to_string())?;
            return Ok(elements.into_iter().map(Size::from).collect());
        }
        let value = self.graph.value(id);
        let contents = value.contents.as_ref().ok_or_else(|| {
            format!("{} must be known before the model runs, but it depends on the inputs' data", value.name)
        })?;
        contents.iter().map(|element| self.size(id, element)).collect()
    }

    /// The elements of an operand that says axes or steps, which are the same for all shapes.
    pub(crate) fn known_ints(&self, id: ValueId) -> Result<Vec<i64>, String> {
        let known = self.ints(id)?.into_iter().map(Size::known).collect::<Option<_>>();
        known.ok_or_else(|| format!("{} must not depend on the inputs' shapes", self.graph.value(id).name))
    }

    /// The bits of a value that is one known element, however often it is repeated, as
    /// [`bayplan_shaders::Arg::Const`] holds them.
    pub(crate) fn scalar_bits(&self, id: ValueId) -> Option<u64> {
        let bytes: &[u8] = match (&self.known[id.0 as usize], &self.graph.value(id).source) {
            (Some(tensor), _) => tensor.bytes(),
            (None, ValueSource::Constant(ConstData::Inline(bytes))) => bytes,
            _ => match &self.out.tensor(self.views[id.0 as usize].as_ref()?.tensor).origin {
                Origin::Constant(ConstData::Inline(bytes)) => bytes,
                _ => return None,
            },
        };
        let dtype = self.dtype(id);
        if bytes.len() != dtype.size() {
            return None;
        }
        let words = widen(dtype, bytes);
        let mut bits = [0; 8];
        bits.get_mut(..words.len())?.copy_from_slice(&words);
        Some(u64::from_le_bytes(bits))
    }

    fn elements_expr(&self, id: ValueId, shape: &[Size]) -> Expr {
        let count = elements(shape);
        if count.known().is_none() {
            return count.expr();
        }
        let symbolic = self.symbolic.values.get(id.0 as usize).and_then(|value| value.ty.as_ref());
        match symbolic {
            Some(ty) => ty.shape.iter().fold(Expr::from(1), |product, dim| product * dim.clone()),
            None => count.expr(),
        }
    }

    /// One constant element, given as the device holds it, repeated over a shape: no work at run time.
    pub(crate) fn filled(&mut self, dtype: DType, bits: u64, shape: &[Size]) -> Result<View, String> {
        let words = bits.to_le_bytes()[..device_size(dtype) as usize].to_vec();
        let origin = Origin::Constant(ConstData::Inline(narrow(dtype, words).into()));
        let one = self.tensor("constant".into(), dtype, Vec::new(), Expr::from(1), origin)?;
        Ok(one.expand(shape))
    }

    /// Two booleans, true and false: which half of an axis an element lies in.
    pub(crate) fn halves(&mut self) -> Result<View, String> {
        if let Some(view) = &self.halves {
            return Ok(view.clone());
        }
        let origin = Origin::Constant(ConstData::Inline([1, 0].as_slice().into()));
        let view = self.tensor("halves".into(), DType::Bool, vec![Size::from(2)], Expr::from(2), origin)?;
        self.halves = Some(view.clone());
        Ok(view)
    }

    /// Adds an operation that makes the current value's next tensor.
    pub(crate) fn emit(
        &mut self,
        spec: Spec<Size>,
        operands: Vec<View>,
        dtype: DType,
        shape: Vec<Size>,
    ) -> Result<View, String> {
        let view = self.fresh(dtype, shape)?;
        self.push(spec, operands, &view, false);
        Ok(view)
    }

    /// A new tensor for the current value, written by operations pushed next.
    pub(crate) fn fresh(&mut self, dtype: DType, shape: Vec<Size>) -> Result<View, String> {
        let count = elements(&shape);
        let name = self.value.map_or("constant", |id| &*self.graph.value(id).name).to_string();
        // As many elements as the value has: then their number is known as an expression too.
        let like = self.value.filter(|&id| self.shape(id).is_ok_and(|own| elements(&own).surely_eq(count)));
        let expr = match like {
            Some(id) => self.elements_expr(id, &shape),
            None => count.expr(),
        };
        self.tensor(name, dtype, shape, expr, Origin::Computed)
    }

    /// Lets a tensor be made at every run.
    pub(crate) fn at_runs(&mut self, view: &View) {
        self.fixed[view.tensor.index()] = false;
    }

    /// Adds an operation that writes a tensor, wholly or (`partial`) in part.
    pub(crate) fn push(&mut self, spec: Spec<Size>, operands: Vec<View>, output: &View, partial: bool) {
        if output.elements().surely_eq(0) {
            return;
        }
        let fixed = operands.iter().all(|view| self.is_static(view.tensor)) && is_known(&spec, &operands);
        self.fixed[output.tensor.index()] &= fixed;
        let (source_node, source_op) = match self.node {
            Some(node) => (node.name.to_string(), node.source_op.to_string()),
            None => (String::new(), String::new()),
        };
        self.out.operations.push(Operation {
            spec,
            operands,
            output: output.tensor,
            written: Size::ZERO..self.out.tensor(output.tensor).elements(),
            partial,
            why: None,
            spares: None,
            source_node: source_node.into(),
            source_op: source_op.into(),
        });
    }

    /// Whether a tensor follows from constants alone and has one size for all shapes, so that what is computed from it can be computed while loading.
    pub(crate) fn is_static(&self, tensor: TensorId) -> bool {
        self.fixed[tensor.index()]
    }

    /// Whether a kernel may have weights in another layout than they are stored in.
    pub(crate) fn may_rearrange(&self, tensor: TensorId) -> bool {
        self.is_static(tensor) && !self.out.stored(tensor).is_some_and(|data| self.plain.contains(data))
    }
}

/// Whether an operation is the same for all shapes.
fn is_known(spec: &Spec<Size>, operands: &[View]) -> bool {
    let known = AllKnown(Cell::new(true));
    spec.map(&known);
    let sizes = operands.iter().flat_map(|view| view.shape.iter().chain(&view.strides).chain([&view.base]));
    known.0.get() && sizes.into_iter().all(|size| size.known().is_some())
}

/// Looks at every number of a spec.
struct AllKnown(Cell<bool>);

impl Convert<Size> for AllKnown {
    type To = Size;

    fn size(&self, size: &Size) -> Size {
        self.0.set(self.0.get() && size.known().is_some());
        *size
    }

    fn stride(&self, stride: &Size) -> Size {
        self.size(stride)
    }
}
