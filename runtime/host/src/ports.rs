//! Inputs and outputs between tensors and words.

use std::ops::Range;

use bayplan_compile::{Port, device_size, narrow, widen};
use bayplan_graph::{DType, Tensor};

use crate::error::HostError;
use crate::memory::words_of;

/// The elements of a port, which its words begin with; `unwritten` finds a word that holds nothing.
pub(crate) fn tensor(
    port: &Port,
    words: &[u32],
    unwritten: impl Fn(Range<usize>) -> Option<usize>,
) -> Result<Tensor, HostError> {
    let fail = |problem: String| HostError::Port { name: port.name.clone(), problem };
    let count = (port.shape.iter().product::<u64>() * device_size(port.dtype) / 4) as usize;
    let own = words.get(..count).ok_or_else(|| fail("it leaves its window".into()))?;
    if let Some(word) = unwritten(0..count) {
        let byte = port.window.offset + word as u64 * 4;
        return Err(HostError::Unwritten { place: None, buffer: port.name.clone(), byte });
    }
    let bytes = own.iter().flat_map(|word| word.to_le_bytes()).collect();
    let shape = port.shape.iter().map(|&size| size as usize).collect();
    Tensor::new(port.dtype, shape, narrow(port.dtype, bytes)).map_err(|e| fail(e.to_string()))
}

/// What an input is given as.
pub(crate) enum Given<'t> {
    /// Elements as the model has them.
    Tensor(&'t Tensor),
    /// Elements as they lie in arenas.
    Words {
        /// Their type in the model.
        dtype: DType,
        /// All of them.
        words: &'t [u32],
    },
}

impl Given<'_> {
    /// Their type in the model.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Tensor(tensor) => tensor.dtype(),
            Self::Words { dtype, .. } => *dtype,
        }
    }

    /// How many elements there are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Tensor(tensor) => tensor.count() as u64,
            Self::Words { dtype, words } => words.len() as u64 * 4 / device_size(*dtype),
        }
    }

    /// Writes them where they belong, which is large enough.
    pub(crate) fn write(&self, target: &mut [u32]) {
        match self {
            Self::Tensor(tensor) => {
                let bytes = widen(tensor.dtype(), tensor.bytes());
                target.iter_mut().zip(words_of(&bytes)).for_each(|(target, word)| *target = word);
            }
            Self::Words { words, .. } => {
                target.iter_mut().zip(*words).for_each(|(target, word)| *target = *word);
            }
        }
    }
}
