//! Which buffers outputs go to that do not lie in the arena.

use bayplan_graph::DType;

use super::OutputError;
use crate::policy::OutputPolicy;
use crate::program::{BufferId, Port, Program};
use crate::widen::device_size;

/// A caller's buffer for an output.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The output.
    pub name: &'a str,
    /// Which elements it is for.
    pub dtype: DType,
    /// How many bytes of them it takes, in device memory.
    pub bytes: u64,
}

/// For each output of a program, which of the buffers given it goes to: one for each with the policy
/// [`Into`](OutputPolicy::Into), none for the others.
///
/// # Errors
/// A buffer is missing, given twice, for no such output, of another type, or too small.
pub fn match_into(program: &Program, given: &[Given<'_>]) -> Result<Vec<Option<usize>>, OutputError> {
    let outputs = || program.outputs.iter().zip(&program.output_policies);
    for (index, buffer) in given.iter().enumerate() {
        let name = || buffer.name.to_string();
        match outputs().find(|(port, _)| port.name == buffer.name) {
            None => {
                let outputs = program.outputs.iter().map(|port| port.name.clone()).collect();
                return Err(OutputError::UnknownOutput { name: name(), outputs });
            }
            Some((_, OutputPolicy::Into)) => {}
            Some(_) => return Err(OutputError::NotInto { name: name() }),
        }
        if given[..index].iter().any(|earlier| earlier.name == buffer.name) {
            return Err(OutputError::IntoRepeated { name: name() });
        }
    }
    let find = |(port, policy): (&Port, &OutputPolicy)| {
        if *policy != OutputPolicy::Into {
            return Ok(None);
        }
        let name = || port.name.clone();
        let index = given.iter().position(|buffer| buffer.name == port.name);
        let index = index.ok_or_else(|| OutputError::IntoMissing { name: name() })?;
        let Given { dtype, bytes, .. } = given[index];
        if dtype != port.dtype {
            return Err(OutputError::IntoWrong { name: name(), expected: port.dtype, actual: dtype });
        }
        let need = external_bytes(program, port);
        if bytes < need {
            return Err(OutputError::IntoTooSmall { name: name(), need, bytes });
        }
        Ok(Some(index))
    };
    outputs().map(find).collect()
}

/// The buffers of outputs that the caller keeps, with the bytes that each takes of the output arena.
pub fn owned_buffers(program: &Program) -> Vec<(BufferId, u64)> {
    let mut all: Vec<(BufferId, u64)> = Vec::new();
    for (port, policy) in program.outputs.iter().zip(&program.output_policies) {
        if *policy != OutputPolicy::Own {
            continue;
        }
        let (buffer, bytes) = (port.window.buffer, external_bytes(program, port));
        match all.iter_mut().find(|(own, _)| *own == buffer) {
            Some((_, most)) => *most = bytes.max(*most),
            None => all.push((buffer, bytes)),
        }
    }
    all
}

/// Bytes that an output needs where it does not lie in the arena: those of its elements, nothing rounded; all of its
/// buffer, where it is but part of a larger one.
fn external_bytes(program: &Program, port: &Port) -> u64 {
    let exact = port.shape.iter().product::<u64>() * device_size(port.dtype);
    let granule = program.target.storage_granule.max(1);
    let buffer = program.buffers.get(port.window.buffer.0 as usize);
    let larger =
        buffer.filter(|own| own.offset != port.window.offset || own.size > exact.next_multiple_of(granule));
    larger.map_or(exact, |buffer| buffer.size)
}
