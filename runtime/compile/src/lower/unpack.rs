//! Constants that devices hold otherwise than files do: their bytes go to the device as they lie, and are unpacked there.
//!
//! ```text
//!  file    |f16 f16 f16 f16 …                |         a piece at a time: what lies packed on the device is never more
//!             │ upload         │ upload                than two pieces, whatever the size of the tensor
//!          |piece 0|        |piece 1|
//!             │ unpack         │ unpack
//!          |f32 f32 f32 …     |f32 …         |         the weight
//! ```

use std::ops::Range;

use bayplan_expr::Expr;
use bayplan_graph::{BlockFormat, ConstData, DType, Node, Op, ValueId, ValueSource};
use bayplan_shaders::{Packed, Repr, Spec, UnpackSpec};

use super::{Lowerer, Lowering};
use crate::fold::MAX_CONSTANT;
use crate::lowered::Origin;
use crate::size::Size;
use crate::view::View;
use crate::widen::same_bytes;

/// Most elements that one piece becomes: large beside what a dispatch costs, small beside any model.
const PIECE: u64 = 1 << 20;

pub(crate) fn lower(lowerer: &mut Lowerer<'_>, node: &Node) -> Lowering {
    match &node.op {
        Op::Dequantize(format) => Some(dequantize(lowerer, node, *format).map(|view| vec![view])),
        _ => None,
    }
}

/// Blocks of a constant are unpacked where they lie; those that a run makes have a word for each byte.
fn dequantize(lowerer: &mut Lowerer<'_>, node: &Node, format: BlockFormat) -> Result<View, String> {
    let (id, from, dtype) = (node.outputs[0], Packed::Blocks(format), DType::F32);
    if let Some(data) = stored(lowerer, node.inputs[0]) {
        return lowerer.unpacked(id, &data, from, dtype);
    }
    let view = lowerer.view(node.inputs[0])?;
    let x = lowerer.packed(&view);
    // Inference has seen that rows are whole blocks.
    let (elements, bytes) = (x.elements(), Size::from(format.bytes() as u64));
    let count = elements.exact_div(bytes).unwrap_or(elements / bytes);
    let spec = UnpackSpec { from, apart: true, dtype, count };
    let shape = lowerer.shape(id)?;
    lowerer.emit(Spec::Unpack(spec), vec![x], dtype, shape)
}

/// The bytes of a value that is a constant.
fn stored(lowerer: &Lowerer<'_>, id: ValueId) -> Option<ConstData> {
    match (&lowerer.known[id.0 as usize], &lowerer.graph.value(id).source) {
        (Some(tensor), _) => Some(ConstData::Inline(tensor.bytes().into())),
        (None, ValueSource::Constant(data)) => Some(data.clone()),
        _ => None,
    }
}

/// Whether a constant is unpacked on the device. The host widens what compiling sees as a value.
pub(super) fn is_packed(dtype: DType, data: &ConstData) -> bool {
    !same_bytes(dtype) && data.len() > MAX_CONSTANT
}

impl Lowerer<'_> {
    /// A constant that is cast to a type whose elements devices hold in the same way: unpacked as that, where nobody has
    /// asked for its own type yet.
    pub(super) fn unpacked_as(&mut self, node: &Node, to: DType) -> Option<Result<View, String>> {
        let from = self.dtype(node.inputs[0]);
        let widest = matches!(to, DType::F32 | DType::I32 | DType::U32) && Repr::of(from) == Repr::of(to);
        if !widest || self.views[node.inputs[0].0 as usize].is_some() {
            return None;
        }
        let data = stored(self, node.inputs[0]).filter(|data| is_packed(from, data))?;
        Some(self.unpacked(node.outputs[0], &data, Packed::Elements(from), to))
    }

    /// A tensor for a value whose elements are those of a constant, as devices hold them.
    pub(super) fn unpacked(
        &mut self,
        id: ValueId,
        data: &ConstData,
        from: Packed,
        dtype: DType,
    ) -> Result<View, String> {
        let (shape, name) = (self.shape(id)?, self.graph.value(id).name.to_string());
        let elements = self.elements_expr(id, &shape);
        let whole = self.tensor(name.clone(), dtype, shape, elements, Origin::Computed)?;
        self.out.unpacked.insert(whole.tensor, (data.clone(), from));
        let (bytes, each) = (from.bytes() as u64, from.elements() as u64);
        let (count, piece) = (data.len() / bytes, self.piece(each));
        let partial = piece < count;
        for start in (0..count).step_by(piece as usize) {
            let units = start..count.min(start + piece);
            let lies = self.bytes(&name, data, units.start * bytes..units.end * bytes)?;
            let count = Size::from(units.end - units.start);
            let spec = UnpackSpec { from, apart: false, dtype, count };
            self.push(Spec::Unpack(spec), vec![lies], &whole, partial);
            if let Some(operation) = self.out.operations.last_mut() {
                operation.written = Size::from(units.start * each)..Size::from(units.end * each);
            }
        }
        Ok(whole)
    }

    /// A tensor of words with some bytes of a constant, as they lie.
    fn bytes(&mut self, name: &str, data: &ConstData, bytes: Range<u64>) -> Result<View, String> {
        let words = (bytes.end - bytes.start).div_ceil(4);
        let origin = Origin::Bytes(data.clone(), bytes);
        self.tensor(name.to_owned(), DType::U32, vec![words.into()], Expr::from(words), origin)
    }

    /// Units of a piece, of so many elements each, a power of two: each piece's result begins where a window can.
    fn piece(&self, each: u64) -> u64 {
        let most = PIECE.min(self.target.max_storage_range / 4) / each;
        let aligned = (self.target.window_alignment() / 4).div_ceil(each).max(1);
        (most / aligned).max(1) * aligned
    }
}
