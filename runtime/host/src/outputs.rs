//! Results: lent in place until the next run, given away, or in the caller's buffers.

use std::ops::Range;
use std::sync::Arc;

use bayplan_compile::session::Lease;
use bayplan_compile::{Port, device_size};
use bayplan_graph::{DType, Extent, Tensor};

use crate::bound::words;
use crate::error::HostError;
use crate::machine::Machine;
use crate::memory::Cells;
use crate::ports::{Given, tensor};

/// The outputs of the last run. Those with the policy `Borrow` lie in the session's arena and are lent: the borrow
/// checker keeps the session from running again while they are held. [`Output::to_tensor`] takes a copy. Those with the
/// policy `Own` can be taken ([`Outputs::take`]); what is not taken is freed when the outputs are dropped. Those with the
/// policy `Into` lie in the caller's buffers and are not among these.
///
/// Two runs, of which the first result is copied:
///
/// ```no_run
/// # fn twice(session: &mut bayplan_host::Session) -> Result<(), bayplan_host::HostError> {
/// let first = session.run(&[])?;
/// let kept = first.get("y").map(|y| y.to_tensor());
/// let second = session.run(&[])?;
/// drop((kept, second));
/// # Ok(())
/// # }
/// ```
///
/// The same with the first outputs still held does not compile:
///
/// ```compile_fail,E0499
/// # fn twice(session: &mut bayplan_host::Session) -> Result<(), bayplan_host::HostError> {
/// let first = session.run(&[])?;
/// let second = session.run(&[])?;
/// let kept = first.get("y").map(|y| y.to_tensor());
/// drop((kept, second));
/// # Ok(())
/// # }
/// ```
pub struct Outputs<'s> {
    machine: &'s Machine,
    /// For each output of the program.
    places: Vec<Lent>,
}

/// Where an output lies.
#[derive(Clone)]
pub(crate) enum Lent {
    /// In the session's arena.
    Arena,
    /// In a slot of the output arena, from this port on.
    Slot(Arc<Slot>, Port),
    /// In the caller's hands.
    Gone,
}

/// One output, in place.
#[derive(Clone, Copy)]
pub struct Output<'o> {
    port: &'o Port,
    place: Place<'o>,
}

#[derive(Clone, Copy)]
enum Place<'o> {
    Arena(&'o Machine),
    Slot(&'o Cells),
}

/// An output that the caller keeps, whatever the session does. Dropped, in whatever thread, it frees its slot of the
/// output arena.
pub struct Owned {
    slot: Arc<Slot>,
    /// Its window begins where it begins in the slot.
    port: Port,
    /// The port's.
    shape: Vec<usize>,
}

/// Words of the output arena. Each slot is memory of its own here, so that whoever leaves it is found.
pub(crate) struct Slot {
    pub(crate) cells: Cells,
    /// Frees the slot.
    pub(crate) lease: Lease,
}

impl<'s> Outputs<'s> {
    pub(crate) fn new(machine: &'s Machine, places: Vec<Lent>) -> Self {
        Self { machine, places }
    }

    /// The output of that name; none for one that was taken, or that lies in a buffer of the caller's.
    pub fn get(&self, name: &str) -> Option<Output<'_>> {
        self.iter().find(|output| output.name() == name)
    }

    /// All outputs that were not taken, in the model's order.
    pub fn iter(&self) -> impl Iterator<Item = Output<'_>> {
        (0..self.places.len()).filter_map(|index| self.at(index))
    }

    /// The output at that place of the program's, unless it was taken or lies in a buffer of the caller's.
    pub fn at(&self, index: usize) -> Option<Output<'_>> {
        let port = self.machine.program().outputs.get(index)?;
        match self.places.get(index)? {
            Lent::Arena => Some(Output { port, place: Place::Arena(self.machine) }),
            Lent::Slot(slot, port) => Some(Output { port, place: Place::Slot(&slot.cells) }),
            Lent::Gone => None,
        }
    }

    /// The number of the program's outputs, those taken included.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// Outputs whose size depends on data: these are shown as large as they can be.
    pub fn extents(&self) -> &'s [Extent] {
        &self.machine.program().extents
    }

    /// Takes the output of that name, if it has the policy `Own` and was not taken yet.
    pub fn take(&mut self, name: &str) -> Option<Owned> {
        let index = self.machine.program().outputs.iter().position(|port| port.name == name)?;
        let place = self.places.get_mut(index)?;
        if !matches!(place, Lent::Slot(..)) {
            return None;
        }
        match std::mem::replace(place, Lent::Gone) {
            Lent::Slot(slot, port) => {
                let shape = port.shape.iter().map(|&dim| dim as usize).collect();
                Some(Owned { slot, port, shape })
            }
            Lent::Arena | Lent::Gone => None,
        }
    }
}

impl<'o> Output<'o> {
    /// Its name in the model.
    pub fn name(&self) -> &'o str {
        &self.port.name
    }

    /// Its dimensions in elements.
    pub fn shape(&self) -> &'o [u64] {
        &self.port.shape
    }

    /// Its element type in the model.
    pub fn dtype(&self) -> DType {
        self.port.dtype
    }

    /// A copy.
    ///
    /// # Errors
    /// The tensor is larger than bayplan's tensors may be.
    pub fn to_tensor(self) -> Result<Tensor, HostError> {
        match self.place {
            Place::Arena(machine) => machine.output(self.port),
            Place::Slot(cells) => read(self.port, cells),
        }
    }
}

impl Owned {
    /// Its name in the model.
    pub fn name(&self) -> &str {
        &self.port.name
    }

    /// Its dimensions in elements.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its element type in the model.
    pub fn dtype(&self) -> DType {
        self.port.dtype
    }

    /// The bytes that it takes of the output arena.
    pub fn bytes(&self) -> u64 {
        self.slot.lease.bytes()
    }

    /// A copy.
    ///
    /// # Errors
    /// The tensor is larger than bayplan's tensors may be.
    pub fn to_tensor(&self) -> Result<Tensor, HostError> {
        read(&self.port, &self.slot.cells)
    }

    pub(crate) fn given(&self) -> Given<'_> {
        Given::Words { dtype: self.port.dtype, words: elements(&self.port, &self.slot.cells) }
    }
}

/// A copy of what lies in a port's window.
pub(crate) fn read(port: &Port, cells: &Cells) -> Result<Tensor, HostError> {
    let start = words(&port.window).start;
    let unwritten = |own: Range<usize>| cells.unwritten(start + own.start..start + own.end);
    tensor(port, elements(port, cells), |own| unwritten(own).map(|word| word - start))
}

/// The words of a port's elements.
pub(crate) fn elements<'c>(port: &Port, cells: &'c Cells) -> &'c [u32] {
    let start = words(&port.window).start;
    let count = (port.shape.iter().product::<u64>() * device_size(port.dtype) / 4) as usize;
    cells.get(start..start + count).unwrap_or_default()
}
