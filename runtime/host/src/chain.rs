//! Chains over blocks of elements.

use bayplan_graph::DType;
use bayplan_shaders::{Arg, Chain, Operand, Repr};

use crate::column::Column;
use crate::step::{fits, step};
use crate::view::{Merged, signed};

/// Elements computed at once: their columns stay in the nearest cache.
pub(crate) const BLOCK: usize = 1024;

/// A chain with its operands, ready to be applied to any range of its shape's elements.
pub(crate) struct Applied<'a> {
    chain: &'a Chain,
    /// One for each operand that is read from memory; `None` where the caller gives the elements.
    operands: Vec<Option<(&'a [u32], Merged)>>,
}

impl<'a> Applied<'a> {
    /// Over a shape; `operands` in the chain's order, `None` for one whose elements the caller gives.
    pub(crate) fn new(
        chain: &'a Chain,
        shape: &[u64],
        operands: impl IntoIterator<Item = Option<&'a [u32]>>,
    ) -> Result<Self, String> {
        let mut bound = Vec::with_capacity(chain.operands.len());
        for (operand, words) in chain.operands.iter().zip(operands) {
            if words.is_some() && operand.strides.len() != shape.len() {
                let (have, want) = (operand.strides.len(), shape.len());
                return Err(format!("an operand has {have} strides over {want} dimensions"));
            }
            let words = words.map(|words| from(words, operand)).transpose()?;
            bound.push(words.map(|words| (words, Merged::new(shape, &[signed(&operand.strides)]))));
        }
        if bound.len() != chain.operands.len() {
            return Err(format!("{} operands are bound of {}", bound.len(), chain.operands.len()));
        }
        Ok(Self { chain, operands: bound })
    }

    /// Whether it gives the caller's elements back as they are.
    pub(crate) fn is_identity(&self) -> bool {
        let given = self.operands.first().is_some_and(Option::is_none);
        self.chain.steps.is_empty() && given && self.chain.result == DType::F32
    }

    /// The results at the elements `start..start + len`; `given` are the elements of operand 0 there, if the caller gives
    /// them.
    pub(crate) fn block(&self, start: usize, len: usize, given: Option<Column>) -> Result<Column, String> {
        let chain = self.chain;
        let mut given = given;
        let mut operands = Vec::with_capacity(self.operands.len());
        for (operand, source) in chain.operands.iter().zip(&self.operands) {
            let column = match source {
                // What a kernel gives is wider than a narrow type.
                None => given.take().ok_or("an operand is not given")?.narrowed(operand.dtype),
                Some((words, merged)) => {
                    let repr = repr(operand.dtype)?;
                    let step = merged.strides[0].last().copied().unwrap_or(1);
                    let runs = |visit: &mut dyn FnMut(isize, usize)| {
                        merged.segments(start, len, |at, count| visit(at[0], count));
                    };
                    Column::load(operand.dtype, repr, words, runs, step)
                }
            };
            operands.push(column);
        }
        let mut made: Vec<Column> = Vec::with_capacity(chain.steps.len());
        for (number, own) in chain.steps.iter().enumerate() {
            // Constants have no column of their own until they are used.
            let mut constants = Vec::new();
            for arg in &own.args {
                if let Arg::Const(dtype, bits) = arg {
                    constants.push(Column::splat(repr(*dtype)?, *bits, len));
                }
            }
            let mut next = constants.iter();
            let args: Option<Vec<(&Column, DType)>> = own
                .args
                .iter()
                .map(|arg| match *arg {
                    Arg::Operand(i) => {
                        Some((operands.get(i as usize)?, chain.operands.get(i as usize)?.dtype))
                    }
                    Arg::Step(i) => Some((made.get(i as usize)?, chain.steps.get(i as usize)?.dtype)),
                    Arg::Const(dtype, _) => Some((next.next()?, dtype)),
                })
                .collect();
            let args = args.ok_or_else(|| format!("step {number} reads what is not there"))?;
            made.push(step(own.op, &args, own.dtype)?);
        }
        let result = made.pop().or_else(|| operands.into_iter().next());
        let wanted = repr(chain.result)?;
        result
            .filter(|column| fits(column, wanted))
            .ok_or_else(|| format!("the chain gives no {}", chain.result))
    }

    /// Stores the results at the elements `start..` in `out`, block after block; `given` answers the caller's elements.
    pub(crate) fn fill(
        &self,
        start: usize,
        out: &mut [u32],
        given: impl Fn(usize, usize) -> Option<Column>,
    ) -> Result<(), String> {
        let words = repr(self.chain.result)?.words() as usize;
        for (number, block) in out.chunks_mut(BLOCK * words).enumerate() {
            let (from, len) = (start + number * BLOCK, block.len() / words);
            self.block(from, len, given(from, len))?.store(block);
        }
        Ok(())
    }
}

/// The words of an operand from its first element on.
pub(crate) fn from<'a>(words: &'a [u32], operand: &Operand) -> Result<&'a [u32], String> {
    let first = operand.base.saturating_mul(repr(operand.dtype)?.words());
    let rest = usize::try_from(first).ok().and_then(|first| words.get(first..));
    rest.ok_or_else(|| format!("an operand begins at word {first} of {}", words.len()))
}

/// The representation of a type.
pub(crate) fn repr(dtype: DType) -> Result<Repr, String> {
    Repr::of(dtype).ok_or_else(|| format!("{dtype} has no representation in words"))
}
