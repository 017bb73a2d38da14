//! What the host says of a whole program.

use bayplan_compile::Program;
use bayplan_graph::{NoFiles, Tensor, eval};
use bayplan_host::Machine;
use bayplan_shaders::Spec;
use bayplan_weights::Store;

use super::case::Case;
use super::failure::{Failure, Kind};
use super::tally::Tally;

/// Which operand the result overwrites.
pub(super) fn in_place(spec: &Spec) -> Option<usize> {
    match spec {
        Spec::Elementwise(s) => s.in_place.map(|slot| slot as usize),
        Spec::Softmax(s) => s.in_place.then_some(0),
        Spec::Normalize(s) => s.in_place.then_some(0),
        _ => None,
    }
}

/// The case on the host: as planned, dead bytes poisoned, against the reference evaluation where that says anything.
pub(super) fn whole(case: &Case, program: &Program, store: &Store, tally: &mut Tally) -> Result<(), Failure> {
    let host = |e: bayplan_host::HostError| Failure::new(Kind::Host, format!("{e}\n{program}"));
    let mut machine = Machine::new(program.clone()).thorough();
    machine.load(store).map_err(host)?;
    let inputs: Vec<&Tensor> = case.inputs.iter().collect();
    machine.run(&inputs).map_err(host)?;
    if !case.determined {
        return Ok(());
    }
    let expected = eval(&case.graph, &case.inputs, &NoFiles)
        .map_err(|e| Failure::new(Kind::Host, format!("the reference evaluation: {e}")))?;
    for (port, expected) in program.outputs.iter().zip(&expected) {
        let made = machine.output(port).map_err(host)?;
        agree(&made, expected).map_err(|e| Failure {
            kind: Kind::Host,
            family: "reference".into(),
            text: format!("output {}: {e}\n{program}", port.name),
        })?;
    }
    tally.references += 1;
    Ok(())
}

/// Relative to an output's largest magnitude: some hundred operations rounded one after the other.
const TOLERANCE: f64 = 5e-5;

fn agree(made: &Tensor, expected: &Tensor) -> Result<(), String> {
    if (made.dtype(), made.shape()) != (expected.dtype(), expected.shape()) {
        return Err(format!("{made:?} on the host, {expected:?} by the reference"));
    }
    let (a, b) = (made.to_f64(), expected.to_f64());
    let most = b.iter().filter(|v| v.is_finite()).fold(1.0, |most: f64, v| most.max(v.abs()));
    let allowed = if expected.dtype().is_float() { TOLERANCE * most } else { 0.0 };
    let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= allowed;
    match a.iter().zip(&b).position(|pair| !same(pair)) {
        None => Ok(()),
        Some(at) => Err(format!("element {at} is {} on the host and {} by the reference", a[at], b[at])),
    }
}
