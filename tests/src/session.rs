//! Models on a device, through the public library, with the inputs of a case.

use std::path::PathBuf;

use bayplan::{Bindings, DType, Device, Model, Outputs, Program, Session, SessionOptions, Tensor, record};
use bayplan_plan::{Buffer, Lifespan, LowerBound, Plan, Problem, aligned_lower_bound};
use bayplan_trace::BufferRecord;

use crate::{Case, npy};

/// Builds a session with the case's dims bound.
///
/// # Panics
/// When the model cannot be compiled or its session not be built.
pub fn session(device: &Device, model: &Model, case: &Case) -> Session {
    model
        .session(device, &dims(case), SessionOptions::default())
        .unwrap_or_else(|e| panic!("{}: {e}", case.name))
}

/// The case's extents by symbol.
pub fn dims(case: &Case) -> Bindings {
    case.dims.iter().map(|(name, &extent)| (name.as_str(), extent as i64)).collect()
}

/// The case's inputs, by name.
pub fn inputs(case: &Case) -> Vec<(String, Tensor)> {
    case.inputs.iter().map(|(name, path)| (name.clone(), tensor(npy::read(path)))).collect()
}

/// Runs the session once.
///
/// # Panics
/// When the run fails.
pub fn run<'s>(session: &'s mut Session, inputs: &[(String, Tensor)]) -> Outputs<'s> {
    let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    session.run(&inputs).unwrap_or_else(|e| panic!("the run failed: {e}"))
}

/// ‖out − reference‖ / ‖reference‖ of each output, by name.
///
/// # Panics
/// When an output is missing, too many, or of another shape than its reference.
pub fn errors(outputs: &Outputs<'_>, case: &Case) -> Vec<(String, f64)> {
    let mut names: Vec<&str> = outputs.iter().map(|output| output.name()).collect();
    names.sort_unstable();
    assert_eq!(names, case.outputs.keys().map(String::as_str).collect::<Vec<_>>(), "{}", case.name);
    let error = |(name, path): (&String, &PathBuf)| {
        let (output, reference) = (outputs.get(name).expect("compared above"), npy::read(path));
        let out = output.to_tensor().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(out.shape(), reference.shape, "{}: {name}", case.name);
        (name.clone(), npy::relative_error(&out.to_f32().expect("outputs are f32"), &reference.f32s()))
    };
    case.outputs.iter().map(error).collect()
}

/// An array as a tensor.
///
/// # Panics
/// When bayplan has no such element type.
pub fn tensor(array: npy::Array) -> Tensor {
    let dtype = match array.dtype.as_str() {
        "<f4" => DType::F32,
        "<i8" => DType::I64,
        "<i4" => DType::I32,
        "|u1" => DType::U8,
        "|b1" => DType::Bool,
        other => panic!("no element type {other}"),
    };
    Tensor::new(dtype, array.shape, array.bytes).expect("npy checks the length")
}

/// Has the planner's validator judge the activations' plan as recordings tell it, with bounds worked out anew, and
/// gives it with the bound on what any plan of these buffers takes, alignment counted.
///
/// # Panics
/// When the plan is not valid, or the program states another peak or bound.
pub fn validated(program: &Program) -> (Plan, LowerBound) {
    bayplan_compile::verify(program).unwrap_or_else(|e| panic!("{e}"));
    let told = record(program);
    let buffers: Vec<_> = told.buffers.iter().filter(|buffer| buffer.arena == 0).collect();
    let place = |b: &&BufferRecord| Buffer {
        size: b.size,
        align: b.alignment,
        lifespan: Lifespan::new(b.first, b.last),
        fixed: None,
    };
    let problem = Problem::new(buffers.iter().map(place).collect()).expect("a recorded plan is a problem");
    let offsets = buffers.iter().map(|buffer| buffer.offset).collect();
    let plan = Plan::from_offsets(&problem, offsets, "as recorded").unwrap_or_else(|e| panic!("{e}"));
    let stated = &program.run.plan;
    assert_eq!(
        (plan.peak, plan.lower_bound),
        (stated.peak, stated.lower_bound),
        "as the program states them"
    );
    assert_eq!(told.arenas[0].lower_bound, plan.lower_bound.bytes);
    assert_eq!((told.arenas[0].size, program.arena_bytes[0]), (plan.peak, plan.peak));
    (plan, aligned_lower_bound(&problem))
}
