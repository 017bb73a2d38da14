//! Results of a run, on a Vulkan device or on the host.

use bayplan_engine::EngineError;
use bayplan_graph::{DType, Extent, Tensor, TensorError};

use crate::error::Error;
use crate::tensors::{Kept, Owned};

/// The outputs of the last run, where their policies put them ([`OutputPolicy`](crate::OutputPolicy)).
///
/// - `Borrow`, the default: in the session's arena, lent. The borrow checker keeps the session from running again while they
///   are held; [`Output::to_tensor`] takes a copy.
/// - `Own`: [`Outputs::take`] gives them away; those not taken are freed with the outputs.
/// - `Into`: in the caller's buffers, and not among these.
///
/// An output whose size depends on data was planned as large as it can be; it is shown with the size that it has.
///
/// Holding an output across a run does not compile:
///
/// ```compile_fail,E0499
/// # fn twice(session: &mut bayplan::Session) -> Result<(), bayplan::Error> {
/// let first = session.run(&[])?;
/// let second = session.run(&[])?;
/// let kept = first.get("y").map(|y| y.to_tensor());
/// drop((kept, second));
/// # Ok(())
/// # }
/// ```
pub struct Outputs<'s> {
    lent: Lent<'s>,
    /// For each output whose size depends on data its place, and the shape that it has.
    cut: Vec<(usize, Vec<u64>)>,
    /// Places of outputs that are no output of the model: they say such sizes.
    counts: Vec<usize>,
    /// Places of all.
    places: usize,
}

pub(crate) enum Lent<'s> {
    Vulkan(bayplan_engine::Outputs<'s>),
    Host(bayplan_host::Outputs<'s>),
}

/// One output, in place.
#[derive(Clone, Copy)]
pub struct Output<'s> {
    one: One<'s>,
    /// The shape that it has, where that depends on data.
    cut: Option<&'s [u64]>,
}

#[derive(Clone, Copy)]
enum One<'s> {
    Vulkan(bayplan_engine::Output<'s>),
    Host(bayplan_host::Output<'s>),
}

impl Lent<'_> {
    fn at(&self, index: usize) -> Option<One<'_>> {
        match self {
            Self::Vulkan(outputs) => outputs.at(index).map(One::Vulkan),
            Self::Host(outputs) => outputs.at(index).map(One::Host),
        }
    }

    fn extents(&self) -> &[Extent] {
        match self {
            Self::Vulkan(outputs) => outputs.extents(),
            Self::Host(outputs) => outputs.extents(),
        }
    }

    fn places(&self) -> usize {
        match self {
            Self::Vulkan(outputs) => outputs.places(),
            Self::Host(outputs) => outputs.places(),
        }
    }
}

impl One<'_> {
    fn to_tensor(self) -> Result<Tensor, Error> {
        Ok(match self {
            One::Vulkan(output) => output.to_tensor()?,
            One::Host(output) => output.to_tensor()?,
        })
    }
}

impl<'s> One<'s> {
    fn shape(self) -> &'s [u64] {
        match self {
            One::Vulkan(output) => output.shape(),
            One::Host(output) => output.shape(),
        }
    }
}

impl<'s> Outputs<'s> {
    /// Reads the sizes that depend on data.
    pub(crate) fn new(lent: Lent<'s>) -> Result<Self, Error> {
        let (mut cut, mut counts) = (Vec::new(), Vec::new());
        for &Extent { output, axis, count } in lent.extents() {
            let (Some(one), Some(size)) = (lent.at(output), lent.at(count)) else { continue };
            let size = size.to_tensor()?.to_ints().and_then(|list| list.first().copied()).unwrap_or(0);
            let mut shape = one.shape().to_vec();
            if let Some(dim) = shape.get_mut(axis) {
                *dim = u64::try_from(size).unwrap_or(0).min(*dim);
            }
            cut.push((output, shape));
            counts.push(count);
        }
        let places = lent.places();
        Ok(Self { lent, cut, counts, places })
    }

    /// The output of that name.
    pub fn get(&self, name: &str) -> Option<Output<'_>> {
        self.iter().find(|output| output.name() == name)
    }

    /// Takes an output with the policy `Own`: it is the caller's as long as it likes. `None` where the output has another
    /// policy, is taken already, or does not exist.
    pub fn take(&mut self, name: &str) -> Option<Owned> {
        Some(Owned(match &mut self.lent {
            Lent::Vulkan(outputs) => Kept::Vulkan(outputs.take(name)?),
            Lent::Host(outputs) => Kept::Host(outputs.take(name)?),
        }))
    }

    /// All outputs but those that were taken or lie in the caller's buffers, in the model's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Output<'_>> {
        let of_model = (0..self.places).filter(|index| !self.counts.contains(index));
        let shown = of_model.filter_map(|index| {
            let cut = self.cut.iter().find(|(output, _)| *output == index);
            Some(Output { one: self.lent.at(index)?, cut: cut.map(|(_, shape)| &shape[..]) })
        });
        shown.collect::<Vec<_>>().into_iter()
    }
}

impl<'s> Output<'s> {
    /// Its name in the model.
    pub fn name(&self) -> &'s str {
        match &self.one {
            One::Vulkan(output) => output.name(),
            One::Host(output) => output.name(),
        }
    }

    /// Its dimensions in elements.
    pub fn shape(&self) -> &'s [u64] {
        self.cut.unwrap_or_else(|| self.one.shape())
    }

    /// Its element type in the model.
    pub fn dtype(&self) -> DType {
        match &self.one {
            One::Vulkan(output) => output.dtype(),
            One::Host(output) => output.dtype(),
        }
    }

    /// A copy in host memory.
    ///
    /// # Errors
    /// The device is lost, or the tensor is larger than bayplan's tensors may be.
    pub fn to_tensor(self) -> Result<Tensor, Error> {
        let whole = self.one.to_tensor()?;
        match self.cut {
            // Fewer elements than those that there are: only a tensor too large to be held fails.
            Some(shape) => first(&whole, shape).map_err(|e| {
                let name = self.name().to_owned();
                Error::Engine(EngineError::Copy { name, reason: e.to_string() })
            }),
            None => Ok(whole),
        }
    }
}

/// The first elements of a tensor along each axis, as many as a shape says, which is nowhere larger.
fn first(whole: &Tensor, shape: &[u64]) -> Result<Tensor, TensorError> {
    let shape: Vec<usize> = shape.iter().map(|&dim| dim as usize).collect();
    let mut bytes = whole.bytes().to_vec();
    let mut inner = whole.dtype().size();
    for (&have, &keep) in whole.shape().iter().zip(&shape).rev() {
        let rows = bytes.chunks_exact((have * inner).max(1));
        bytes = rows.flat_map(|row| row[..keep * inner].to_vec()).collect();
        inner *= keep;
    }
    Tensor::new(whole.dtype(), shape, bytes)
}
