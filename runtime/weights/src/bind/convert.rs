//! From a tensor as it lies in a file to an initializer.

use bayplan_graph::op::ViewOp;
use bayplan_graph::{BlockFormat, DType, Op, Tensor, TensorType, eval_node};

use crate::{Encoding, Entry};

/// Elements that are read from a file, and what is done to them.
pub(super) struct Conversion {
    /// The type and shape that are read.
    pub(super) dtype: DType,
    pub(super) shape: Vec<u64>,
    /// What the name of the value that is read ends in.
    pub(super) suffix: String,
    pub(super) steps: Vec<Step>,
}

pub(super) enum Step {
    Dequantize(BlockFormat),
    Reshape(Vec<u64>),
    Cast(DType),
    /// Of a matrix.
    Transpose,
}

impl Conversion {
    /// From a tensor to an initializer of this type and shape.
    ///
    /// # Errors
    /// Why it does not become one.
    pub(super) fn new(
        entry: &Entry,
        (dtype, shape): (DType, &[u64]),
        transposed: bool,
    ) -> Result<Self, String> {
        let mut wanted = shape.to_vec();
        if transposed {
            if wanted.len() != 2 {
                return Err("only matrices can be transposed".to_owned());
            }
            wanted.reverse();
        }
        if !same(&entry.shape, &wanted) {
            let turned = !transposed && shape.len() == 2 && entry.shape.iter().rev().eq(shape);
            let hint = if turned { "; a rule that ends in ` transposed` turns it" } else { "" };
            let (dims, how) = (&entry.shape, if transposed { ", to be transposed" } else { "" });
            return Err(format!("it is {dims:?}{how}{hint}"));
        }
        let mut steps = Vec::new();
        let suffix = entry.encoding.to_string().to_lowercase();
        let (from, read, shape) = match &entry.encoding {
            Encoding::Other(_) => {
                return Err(format!(
                    "it has elements of {}, which are not read; convert it to floats, or to blocks of {}",
                    entry.encoding,
                    BlockFormat::ALL.map(BlockFormat::name).join(" or ")
                ));
            }
            &Encoding::Plain(dtype) => (dtype, dtype, wanted),
            &Encoding::Blocks(format) => {
                steps.push(Step::Dequantize(format));
                let mut rows = wanted.clone();
                if rows.last() != entry.shape.last() {
                    steps.push(Step::Reshape(wanted));
                    rows.clone_from(&entry.shape);
                }
                if let Some(last) = rows.last_mut() {
                    *last = *last / format.elements() as u64 * format.bytes() as u64;
                }
                (DType::F32, DType::U8, rows)
            }
        };
        if from != dtype {
            if !becomes(from, dtype) {
                return Err(format!("it has elements of {}, which do not become {dtype}", entry.encoding));
            }
            steps.push(Step::Cast(dtype));
        }
        if transposed {
            steps.push(Step::Transpose);
        }
        Ok(Self { dtype: read, shape, suffix, steps })
    }

    /// The bytes of the initializer, from those of the tensor: for small ones.
    pub(super) fn on_host(&self, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let sizes =
            |shape: &[u64]| shape.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
        let shape = sizes(&self.shape).map_err(|e| e.to_string())?;
        let mut tensor = Tensor::new(self.dtype, shape, bytes).map_err(|e| e.to_string())?;
        for step in &self.steps {
            tensor = match step {
                Step::Reshape(shape) => {
                    let shape = sizes(shape).map_err(|e| e.to_string())?;
                    Tensor::new(tensor.dtype(), shape, tensor.into_bytes()).map_err(|e| e.to_string())?
                }
                step => eval_node(&step.op().0, &[&tensor], 1).map_err(|e| e.to_string())?.remove(0),
            };
        }
        Ok(tensor.into_bytes())
    }
}

impl Step {
    /// The operator, and its operand beside what is converted.
    pub(super) fn op(&self) -> (Op, Option<(TensorType, Vec<u8>)>) {
        match self {
            Self::Dequantize(format) => (Op::Dequantize(*format), None),
            Self::Cast(dtype) => (Op::Cast(*dtype), None),
            Self::Transpose => (Op::Transpose(vec![1, 0]), None),
            Self::Reshape(shape) => {
                let bytes = shape.iter().flat_map(|&dim| dim.to_le_bytes()).collect();
                let ty = TensorType::fixed(DType::I64, &[shape.len() as u64]);
                (Op::View(ViewOp::Reshape { allow_zero: true }), Some((ty, bytes)))
            }
        }
    }

    /// What the name of the value that it makes ends in, where that is not the initializer.
    pub(super) fn suffix(&self) -> &'static str {
        match self {
            Self::Dequantize(_) => "dequantized",
            Self::Reshape(_) => "reshaped",
            Self::Cast(_) => "cast",
            Self::Transpose => "transposed",
        }
    }
}

/// Whether two shapes are equal but for dimensions of 1, so that the bytes are the same.
fn same(a: &[u64], b: &[u64]) -> bool {
    let dims = |shape: &[u64]| shape.iter().copied().filter(|&dim| dim != 1).collect::<Vec<_>>();
    dims(a) == dims(b)
}

/// Whether elements of one type may become another: floats as they are rounded, integers if none changes.
fn becomes(from: DType, to: DType) -> bool {
    match (from.limits(), to.limits()) {
        (Some((least, most)), Some((lowest, highest))) => lowest <= least && most <= highest,
        _ => from.is_float() && to.is_float(),
    }
}
