//! The rules for buffers that are given at each run: they are told apart, and each is one input or one output.

use super::{Place, Violation};
use crate::policy::OutputPolicy;
use crate::program::{Arena, Buffer, BufferKind, Port, Program};

/// Checks the buffers of [`Arena::External`] and the ports that lie in them.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn check(program: &Program) -> Result<(), Violation> {
    apart(program)?;
    let (outputs, policies) = (program.outputs.len(), program.output_policies.len());
    if outputs != policies {
        let problem = format!("{policies} policies for {outputs} outputs");
        return Err(Violation { place: Place::Buffers, buffer: None, problem });
    }
    for port in &program.inputs {
        let found = alone(program, port, BufferKind::Input);
        found.map_err(|problem| violation(program, Place::Input(port.name.clone()), port, problem))?;
    }
    for (port, &policy) in program.outputs.iter().zip(&program.output_policies) {
        let fail = |problem| violation(program, Place::Output(port.name.clone()), port, problem);
        if (policy != OutputPolicy::Borrow) != (port.window.arena == Arena::External) {
            let arena = port.window.arena.name();
            return Err(fail(format!("its policy is {}, but it lies in the {arena} arena", policy.name())));
        }
        alone(program, port, BufferKind::Output).map_err(fail)?;
    }
    Ok(())
}

fn violation(program: &Program, place: Place, port: &Port, problem: String) -> Violation {
    let buffer = program.buffers.get(port.window.buffer.0 as usize);
    Violation { place, buffer: buffer.map(|buffer| buffer.name.to_string()), problem }
}

/// No two of the buffers share bytes: what they are bound to are different ranges of memory.
fn apart(program: &Program) -> Result<(), Violation> {
    let mut all: Vec<&Buffer> =
        program.buffers.iter().filter(|buffer| buffer.arena == Arena::External && buffer.size > 0).collect();
    all.sort_by_key(|buffer| buffer.offset);
    match all.windows(2).find(|pair| pair[1].offset - pair[0].offset < pair[0].size) {
        Some(pair) => Err(Violation {
            place: Place::Buffers,
            buffer: Some(pair[1].name.to_string()),
            problem: format!("its bytes in the external arena are those of {} too", pair[0].name),
        }),
        None => Ok(()),
    }
}

/// A port in the external arena is the whole of a buffer of its kind, and of no other port.
fn alone(program: &Program, port: &Port, kind: BufferKind) -> Result<(), String> {
    if port.window.arena != Arena::External {
        return Ok(());
    }
    let buffer = program.buffers.get(port.window.buffer.0 as usize).ok_or("there is no such buffer")?;
    if buffer.kind != kind {
        return Err(format!("its buffer is of kind {:?}", buffer.kind));
    }
    if port.window.offset != buffer.offset || port.window.len != buffer.size {
        let (offset, len) = (port.window.offset, port.window.len);
        return Err(format!("its window {offset}+{len} is not the whole buffer that it is given"));
    }
    let ports = program.inputs.iter().chain(&program.outputs);
    match ports.filter(|other| other.window.buffer == port.window.buffer).count() {
        1 => Ok(()),
        _ => Err("another input or output lies in the buffer that it is given".into()),
    }
}
