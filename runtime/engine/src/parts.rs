//! A run program in parts: dispatches that are submitted together, and what the host computes between them.
//!
//! ```text
//!   run 0 ─ run 1 ─│─ host 2 ─│─ run 3 ─ run 4        submit, wait, read · compute · write, submit, wait
//! ```

use std::ops::Range;

use bayplan_compile::host_node::Memo;
use bayplan_compile::{Dispatch, Program, device_size};
use bayplan_shaders::{Slot, Spec};

use crate::commands::Objects;
use crate::error::EngineError;
use crate::transfer::Transfer;

/// A part of a run program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Dispatches of the device.
    Device(Range<usize>),
    /// One that the host computes.
    Host(usize),
}

impl Part {
    /// Its ops.
    pub(crate) fn ops(&self) -> Range<u32> {
        match self {
            Self::Device(range) => range.start as u32..range.end as u32,
            Self::Host(op) => *op as u32..*op as u32 + 1,
        }
    }
}

/// The parts of a program's run stage, in order.
pub(crate) fn parts(program: &Program) -> Vec<Part> {
    let mut parts = Vec::new();
    for (index, dispatch) in program.run.dispatches.iter().enumerate() {
        match parts.last_mut() {
            _ if matches!(*dispatch.spec, Spec::Host(_)) => parts.push(Part::Host(index)),
            Some(Part::Device(range)) => range.end = index + 1,
            _ => parts.push(Part::Device(index..index + 1)),
        }
    }
    parts
}

/// Computes a dispatch on the host, when no submission uses its windows any more.
///
/// # Errors
/// It is none for the host, a value is outside what the operator accepts, or the driver fails.
pub(crate) fn compute(
    objects: &Objects<'_>,
    dispatch: &Dispatch,
    transfer: &Transfer,
    memo: &mut Memo,
) -> Result<(), EngineError> {
    let fail = |reason: String| EngineError::Host { name: dispatch.source_node.to_string(), reason };
    let Spec::Host(spec) = &*dispatch.spec else {
        return Err(fail("the host does not compute it".into()));
    };
    let kernel = objects.program.kernels.get(dispatch.kernel.0 as usize);
    let bindings = kernel.map_or(&[][..], |kernel| &kernel.bindings);
    let window = |slot: Slot| {
        let at = bindings.iter().position(|binding| binding.slot == slot);
        at.and_then(|at| dispatch.windows.get(at))
            .ok_or_else(|| fail(format!("it has no window for {slot:?}")))
    };
    let mut operands = Vec::with_capacity(spec.operands.len());
    for (number, (dtype, shape)) in (0..).zip(&spec.operands) {
        let mut bytes = vec![0; (shape.iter().product::<u64>() * device_size(*dtype)) as usize];
        if !bytes.is_empty() {
            let (buffer, at) = objects.place(window(Slot::Operand(number))?)?;
            transfer.read(buffer, at, &mut bytes)?;
        }
        operands.push(bytes);
    }
    let made = memo.evaluate(spec, operands).map_err(fail)?;
    if !made.is_empty() {
        let (buffer, at) = objects.place(window(Slot::Output)?)?;
        transfer.write(buffer, at, &made)?;
    }
    Ok(())
}
