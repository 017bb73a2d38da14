//! What no result may depend on: the order of operators, what memory held before, and, for the plan, the values of floats.

use bayplan::{Device, Options, Order, Tensor};
use bayplan_tests::backend::Backend;
use bayplan_tests::conformance::library::{Loaded, each};
use bayplan_tests::conformance::{Case, Set, tensors};

/// Orders drawn for each case.
const ORDERS: u64 = 10;

/// On drivers every so manieth case: they take the same programs as the host, and each order is one of its own.
const EVERY_ON_DRIVERS: usize = 8;

/// Outputs to the bit: NaN is the same as NaN of the same bits alone.
fn same(expected: &[Tensor], actual: &[Tensor]) -> Result<(), String> {
    match expected.iter().zip(actual).position(|(a, b)| a != b) {
        None if expected.len() == actual.len() => Ok(()),
        None => Err(format!("{} outputs instead of {}", actual.len(), expected.len())),
        Some(at) => Err(format!("output {at}: {:?} instead of {:?}", actual[at], expected[at])),
    }
}

/// The names of the dispatches in an order, and the outputs.
fn in_order(loaded: &Loaded, device: &Device, order: Order) -> Result<(Vec<String>, Vec<Tensor>), String> {
    let mut session = loaded.session(device, &Options { order, ..Options::default() })?;
    let outputs = loaded.run(&mut session)?;
    let names = session.program().run.dispatches.iter().map(|dispatch| dispatch.name.to_string());
    Ok((names.collect(), outputs))
}

/// Ten orders of each case give what its own order gives.
pub(crate) fn orders(on: Backend) {
    let (device, set) = (on.device(), Set::of_onnx());
    let step = if on == Backend::Host { 1 } else { EVERY_ON_DRIVERS };
    let some: Vec<Case> = set.cases.into_iter().step_by(step).collect();
    let mut others = 0;
    let tried = each(&device, &some, |_, loaded| {
        let (given, expected) = in_order(loaded, &device, Order::Given)?;
        // One operation has one order.
        let orders = if given.len() < 2 { 0 } else { ORDERS };
        for seed in 0..orders {
            let (order, actual) = in_order(loaded, &device, Order::Drawn(seed))?;
            others += u32::from(order != given);
            same(&expected, &actual).map_err(|reason| format!("in the order of seed {seed}: {reason}"))?;
        }
        Ok(())
    });
    println!("{tried} cases on {on}, {others} runs in another order than given");
    assert!(others as usize > some.len() / 4, "hardly any case has a second order");
}

/// Memory full of NaN, and of other words, before a run changes no result. The host poisons what is dead at each dispatch by
/// itself.
pub(crate) fn memory(on: Backend) {
    let (device, set) = (on.device(), Set::of_onnx());
    // SwiftShader keeps no kernel from one process to the next.
    let step = if on == Backend::SwiftShader { EVERY_ON_DRIVERS } else { 1 };
    let some: Vec<Case> = set.cases.into_iter().step_by(step).collect();
    let tried = each(&device, &some, |_, loaded| {
        let mut session = loaded.session(&device, &Options::default())?;
        let expected = loaded.run(&mut session)?;
        for byte in [0xff, 0x7f, 0x01] {
            session.fill_activations(byte).map_err(|e| e.to_string())?;
            same(&expected, &loaded.run(&mut session)?)
                .map_err(|reason| format!("after memory was filled with {byte:#x}: {reason}"))?;
        }
        Ok(())
    });
    println!("{tried} cases on {on} in memory that was overwritten");
    assert!(tried > some.len() / 2, "{tried} cases");
}

/// Graph and program are the same whatever floats the inputs hold: with NaN for each of them. Sizes that floats decide (of
/// Resize, Range and OneHot) are symbols of the graph, and those of the case for both programs.
pub(crate) fn floats() {
    let (device, set) = (Device::host(), Set::of_onnx());
    let mut changed = 0;
    let tried = each(&device, &set.cases, |case, loaded| {
        let own = tensors(&case.inputs(0), "input")?;
        let other = own.iter().map(without_floats).collect::<Result<Vec<Tensor>, String>>()?;
        if own == other {
            return Ok(());
        }
        changed += 1;
        let other = Loaded::with(case, other)?;
        if loaded.model.graph() != other.model.graph() {
            return Err("the graph follows from floats".to_owned());
        }
        let options = Options::default();
        // Where floats decide sizes, these are integers by the time that anything is planned.
        let dims = loaded.dims()?;
        let [own, other] = [loaded, &other].map(|loaded| loaded.family_at(&dims, &device, &options));
        let (own, other) = (own?, other?);
        if own.first() == other.first() { Ok(()) } else { Err("the program follows from floats".to_owned()) }
    });
    println!("{tried} cases, {changed} of them with other floats");
    assert!(changed > 800, "{changed} cases have floats");
}

/// The same tensor, with NaN for every float.
fn without_floats(tensor: &Tensor) -> Result<Tensor, String> {
    if !tensor.dtype().is_float() {
        return Ok(tensor.clone());
    }
    let nan = vec![f64::NAN; tensor.count()];
    Tensor::from_f64(tensor.dtype(), tensor.shape().to_vec(), &nan).map_err(|e| e.to_string())
}
