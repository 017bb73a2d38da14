//! Layout: views that kernels can read, and the copies that make them where they cannot.

use bayplan_graph::{Node, Op, ValueId, ValueSource};
use bayplan_shaders::{CopySpec, ElementwiseSpec, Packing, Repr, Spec};

use super::{Lowerer, elementwise};
use crate::lowered::{COPY, Origin, Tensor, TensorId};
use crate::size::{Known, Size};
use crate::view::{View, contiguous};

impl<'a> Lowerer<'a> {
    /// The view with elements in a row at an offset that can be bound: itself, or a copy.
    pub(crate) fn packed(&mut self, view: &View) -> View {
        if view.is_contiguous() && self.bindable(view) { view.clone() } else { self.copy(view) }
    }

    /// The view with strides that kernels can follow from an offset that can be bound: itself, or a copy of what it
    /// shows, without repetition.
    pub(crate) fn strided(&mut self, view: &View) -> View {
        if self.bindable(view) { self.forward(view) } else { self.copy(&view.narrowed()).expand(&view.shape) }
    }

    /// The view with strides that kernels can follow, wherever it begins: chains read from any element on. Itself, or a
    /// copy of what it shows, without repetition.
    pub(crate) fn forward(&mut self, view: &View) -> View {
        if view.forward_strides().is_some() {
            return view.clone();
        }
        self.copy(&view.narrowed()).expand(&view.shape)
    }

    /// The view in another shape, copied if the elements do not lie so.
    pub(crate) fn reshaped(&mut self, view: &View, shape: &[Size]) -> View {
        let direct = view.reshape(shape);
        direct.unwrap_or_else(|| {
            let packed = self.copy(view);
            View { strides: contiguous(shape), shape: shape.to_vec(), ..packed }
        })
    }

    /// Weights rearranged for a kernel; the same ones if asked again.
    pub(crate) fn rearranged(&mut self, w: &View, packing: Packing) -> Result<View, String> {
        let known = self
            .rearranged
            .iter()
            .find(|(tensor, base, how, _)| *tensor == w.tensor && base.surely_eq(w.base) && *how == packing);
        if let Some((.., view)) = known {
            return Ok(view.clone());
        }
        let packed = self.fresh(w.dtype, vec![packing.elements.into()])?;
        self.out.tensors[packed.tensor.index()].name =
            format!("{}.packed", self.out.tensor(w.tensor).name).into();
        if packing.zero_fill {
            let (shape, chain) = (vec![packing.elements.into()], elementwise::constant(w.dtype, 0));
            let fill = ElementwiseSpec { shape, chain, in_place: None };
            self.push(Spec::Elementwise(fill), Vec::new(), &packed, true);
        }
        for copy in &packing.copies {
            self.push(Spec::Copy(copy.map(&Known)), vec![w.clone()], &packed, true);
        }
        self.rearranged.push((w.tensor, w.base, packing, packed.clone()));
        self.out.rearranged.push((w.tensor, packed.tensor));
        Ok(packed)
    }

    fn bindable(&self, view: &View) -> bool {
        let bytes = Repr::of(view.dtype).map_or(1, Repr::bytes);
        // Kernels move whole vec4s, whatever finer offsets the device can bind.
        (view.base * bytes).surely_multiple_of(self.target.window_alignment())
    }

    /// A contiguous copy of a view; the same one if asked again.
    pub(super) fn copy(&mut self, view: &View) -> View {
        let sizes = [view.base].into_iter().chain(view.shape.iter().chain(&view.strides).copied());
        let key = (view.tensor, sizes.map(Size::key).collect());
        if let Some(copy) = self.copies.get(&key) {
            return copy.clone();
        }
        let copy = self.duplicate(view);
        self.copies.insert(key, copy.clone());
        copy
    }

    /// A contiguous copy of a view.
    pub(super) fn duplicate(&mut self, view: &View) -> View {
        let id = TensorId(self.out.tensors.len() as u32);
        let source = self.out.tensor(view.tensor);
        let whole = view.elements().surely_eq(source.elements());
        let elements_expr = if whole { source.elements_expr.clone() } else { view.elements().expr() };
        let tensor = Tensor {
            name: format!("{}{COPY}", source.name).into(),
            dtype: view.dtype,
            repr: source.repr,
            shape: view.shape.clone(),
            elements_expr,
            origin: Origin::Computed,
        };
        self.fixed.push(view.shape.iter().all(|size| size.known().is_some()));
        self.out.tensors.push(tensor);
        let copy = View::whole(id, view.dtype, view.shape.clone());
        let asks = self.node;
        self.node = self.mover(view.tensor).or(asks).or_else(|| self.maker(self.value?));
        self.copy_into(view, &copy, Size::ZERO, false);
        self.node = asks;
        copy
    }

    /// The node that makes a value.
    fn maker(&self, id: ValueId) -> Option<&'a Node> {
        let ValueSource::Node { node, .. } = self.graph.value(id).source else { return None };
        self.graph.nodes.get(node.0 as usize)
    }

    /// The node above the one being lowered, or above the output, that shows a tensor in another order than it lies in:
    /// the one that a copy of it is made for.
    fn mover(&self, tensor: TensorId) -> Option<&'a Node> {
        let shows =
            |id: ValueId| self.views[id.0 as usize].as_ref().is_some_and(|view| view.tensor == tensor);
        let mut of = match self.node {
            Some(node) => node.inputs.iter().copied().find(|&id| shows(id)),
            None => self.value,
        };
        // Each turn goes to a value that was made before.
        while let Some(id) = of {
            let node = self.maker(id)?;
            of = node.inputs.first().copied().filter(|&id| shows(id));
            if of.is_some() && !matches!(node.op, Op::View(_)) {
                return Some(node);
            }
        }
        None
    }

    /// Copies a view to a block of `out` of the same dimensions that begins at its element `base`; `partial` if others
    /// write the rest.
    pub(crate) fn copy_into(&mut self, view: &View, out: &View, base: Size, partial: bool) {
        if view.elements().surely_eq(0) {
            return;
        }
        let spec = Spec::Copy(CopySpec {
            shape: view.shape.clone(),
            dtype: view.dtype,
            x_base: view.base,
            x_strides: view.strides.clone(),
            out_base: base,
            out_strides: out.strides.clone(),
        });
        let source = self.out.tensor(view.tensor);
        let whole = View::whole(view.tensor, view.dtype, source.shape.clone());
        self.push(spec, vec![whole], out, partial);
    }
}
