//! Random graphs whose inputs' dims become symbols, compiled once for all their values: at every point a device computes
//! what the reference evaluation does, also where dims are 1 and broadcast or fold away.
//!
//! `BAYPLAN_SEEDS=n..m` runs the graphs of those seeds instead.

mod common;
#[path = "../../../tests/src/differential/draw/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests across rooms use more of it")]
mod draw;
#[path = "../../../tests/src/random.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests across rooms use more of it")]
mod random;

use std::collections::BTreeSet;

use bayplan_compile::{Arena, Dims, Family, FunctionId, Program};
use bayplan_expr::memory::Function;
use bayplan_expr::{Bindings, Bounds, Expr, Scope};
use bayplan_graph::{Graph, Tensor};

use common::{Builder, check_program, graphs, way};

/// Graphs drawn; not all of them hold for other dims.
const GRAPHS: u64 = 160;

/// Relative to an output's largest magnitude: sums of up to some hundred products in another order.
const TOLERANCE: f64 = 5e-5;

/// Most of a dim.
const MOST: i64 = 9;

/// The seeds to run: those asked for, or these.
fn seeds() -> std::ops::Range<u64> {
    let Ok(range) = std::env::var("BAYPLAN_SEEDS") else { return 0..GRAPHS };
    let ends = range.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let (first, end): (u64, u64) = ends.expect("BAYPLAN_SEEDS is a range as 7..8");
    first..end
}

/// The graph with one symbol for all inputs' dims of each of these sizes, if it holds so.
fn with_symbols(graph: &Graph, sizes: &[usize]) -> Option<Graph> {
    let mut symbolic = graph.clone();
    for id in &graph.inputs {
        for dim in &mut symbolic.values[id.0 as usize].ty.as_mut()?.shape {
            let size = usize::try_from(dim.as_const()?).ok()?;
            if sizes.contains(&size) {
                *dim = Expr::symbol(&format!("d{size}"));
            }
        }
    }
    symbolic.infer().ok()?;
    Some(symbolic)
}

/// The inputs with other dims, their elements those of the drawn ones over and over.
fn inputs(builder: &Builder, graph: &Graph, point: &Bindings) -> Option<Vec<Tensor>> {
    let resized = |(id, tensor): (&bayplan_graph::ValueId, &Tensor)| {
        let dims = &graph.value(*id).ty.as_ref()?.shape;
        let shape: Vec<usize> =
            dims.iter().map(|dim| usize::try_from(dim.eval(point).ok()?).ok()).collect::<Option<_>>()?;
        let width = tensor.dtype().size();
        let bytes = tensor.bytes().chunks_exact(width).cycle();
        let elements = bytes.take(shape.iter().product()).flatten().copied().collect();
        Tensor::new(tensor.dtype(), shape, elements).ok()
    };
    graph.inputs.iter().zip(&builder.inputs).map(resized).collect()
}

/// The points at which a graph is tried: as drawn, all dims 1, others.
fn points(sizes: &[usize], seed: u64) -> Vec<Bindings> {
    let named = |value: &dyn Fn(usize) -> i64| -> Bindings {
        sizes.iter().map(|&size| (format!("d{size}"), value(size))).collect()
    };
    let mixed = |salt: u64| {
        move |size: usize| {
            let word = (seed * 31 + salt * 17 + size as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            1 + ((word >> 40) % MOST as u64) as i64
        }
    };
    vec![named(&|size| size as i64), named(&|_| 1), named(&mixed(1)), named(&mixed(2)), named(&mixed(3))]
}

/// Whether a graph runs right at that many points; a graph that does not hold for other dims at none.
fn check(seed: u64) -> Result<usize, String> {
    let builder = draw::draw(seed, draw::Drawn { steps: 4, determined: true });
    let dims = builder.graph.inputs.iter().flat_map(|&id| builder.shape(id));
    let all: Vec<usize> =
        dims.filter(|size| (2..=MOST as usize).contains(size)).collect::<BTreeSet<_>>().into_iter().collect();
    let choices = [all.clone()].into_iter().chain(all.iter().map(|&size| vec![size]));
    let mut found = choices.filter_map(|sizes| Some((with_symbols(&builder.graph, &sizes)?, sizes)));
    // Whatever its dims are the graph must hold: none has to be equal to another one or to a number.
    let holds = |(graph, sizes): &(Graph, Vec<usize>)| {
        let everywhere = points(sizes, seed).iter().all(|point| graph.bind(point).is_ok());
        !sizes.is_empty() && graph.constraints.is_empty() && graph.not_one.is_empty() && everywhere
    };
    let Some((graph, sizes)) = found.find(holds) else { return Ok(0) };
    let mut bounds = Scope::new();
    for size in &sizes {
        bounds.declare(&format!("d{size}"), Bounds::between(1, MOST)).expect("bounds that hold");
    }
    let device = common::device();
    let dims = Dims { bounds, ..Dims::default() };
    let read = |_: &bayplan_graph::ByteRange| Err("no file".to_string());
    let family = Family::new(&graph, &dims, device.target(), &way(true, true), &read)
        .map_err(|e| format!("{e}\n{graph}"))?;
    let kernels = family.kernels(FunctionId(0));
    let mut run = 0;
    for point in points(&sizes, seed) {
        let Some(inputs) = inputs(&builder, &graph, &point) else { continue };
        let Ok(expected) = bayplan_graph::eval(&graph, &inputs, &bayplan_graph::NoFiles) else { continue };
        let fail = |e: String| format!("at {point:?}: {e}\n{graph}");
        let program = family.at(FunctionId(0), &point).map_err(|e| fail(e.to_string()))?;
        agrees_with_memory(&family, &program, &point).map_err(&fail)?;
        if let Some(other) = program.kernels.iter().find(|kernel| !kernels.contains(kernel)) {
            return Err(fail(format!("kernel {} was not foreseen\n{}", other.name, other.wgsl)));
        }
        check_program(device, &graph, program, &inputs, &expected, TOLERANCE).map_err(fail)?;
        run += 1;
    }
    Ok(run)
}

/// Whether a program takes the bytes that its family's formula says: those of the first part whose conditions hold at the
/// point, since that is what runs there. The whole formula says no less.
fn agrees_with_memory(family: &Family, program: &Program, point: &Bindings) -> Result<(), String> {
    let memory = family.memory().map_err(|e| e.to_string())?;
    let of = |arena: Arena| program.arena_bytes[arena.index()];
    let (load, parts): (Vec<&Function>, Vec<&Function>) =
        memory.functions.iter().partition(|function| function.name == "load");
    let runs = |part: &&&Function| part.when.iter().all(|condition| condition.holds(point) == Ok(true));
    let part = parts.iter().find(runs).ok_or("no part of the formula covers the point")?;
    let terms = part.terms.iter().chain(load.iter().flat_map(|load| &load.terms));
    let most = terms.map(|term| term.bytes.eval(point).unwrap_or(i64::MAX)).max().unwrap_or(0);
    let said = memory.fixed(point).map_err(|e| e.to_string())? + most as u64;
    let bytes = of(Arena::Weights) + of(Arena::Activations).max(of(Arena::Load));
    let whole = memory.eval(point).map_err(|e| e.to_string())?;
    if said == bytes && whole >= bytes {
        return Ok(());
    }
    Err(format!("the formula says {said}, in all {whole}, the program takes {bytes} bytes"))
}

#[test]
fn random_graphs_agree_with_the_reference_at_every_point() {
    let (mut failed, mut graphs, mut runs) = (Vec::new(), 0, 0);
    for seed in seeds() {
        match check(seed) {
            Ok(points) => (graphs, runs) = (graphs + usize::from(points > 1), runs + points),
            Err(e) => failed.push(format!("seed {seed} {e}")),
        }
    }
    println!("{graphs} graphs with symbols, {runs} points");
    let heads: Vec<&str> = failed.iter().filter_map(|failure| failure.lines().next()).collect();
    assert!(failed.is_empty(), "{} graphs failed: {heads:#?}; the first:\n{}", failed.len(), failed[0]);
    assert!(graphs * 5 >= GRAPHS as usize, "only {graphs} of {GRAPHS} graphs hold for several shapes");
}
