//! Lowering for all shapes at once, beside lowering for each.

use std::path::Path;

use bayplan_expr::{Bindings, Bounds, Scope};
use bayplan_graph::{ByteRange, Graph};
use bayplan_onnx::{ImportOptions, import};
use bayplan_shaders::{Class, Subgroup, Target};
use bayplan_weights::FileSource;

use crate::lowered::Lowered;
use crate::point::Point;
use crate::size::{Formulas, Symbols, Values};
use crate::{concat, fold, fuse, lower, phases, simplify, split};

/// A CPU driver's limits, with windows from any multiple of 16 bytes on.
fn target() -> Target {
    Target {
        name: "lavapipe".into(),
        class: Class::Cpu,
        subgroup: Some(Subgroup { size: 8, shuffle: true, arithmetic: true }),
        storage_alignment: 16,
        max_workgroup_invocations: 256,
        max_storage_range: 128 << 20,
        ..Target::generic()
    }
}

/// The graph of `tests/models` of that name, its dims between these bounds.
fn graph(name: &str, dims: &[(&str, i64, i64)]) -> Graph {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models");
    let file = FileSource::open(folder.join(format!("{name}.onnx"))).expect("the model's graph");
    let mut graph = import(&file, &ImportOptions::default()).expect("a model");
    graph.infer().expect("its types");
    let mut scope = Scope::new();
    for &(symbol, least, most) in dims {
        scope.declare(symbol, Bounds::between(least, most)).expect("bounds that hold");
    }
    graph.pin(&Bindings::new(), &scope).expect("its independent symbols")
}

/// Everything up to what liveness begins with.
fn lowered(graph: &Graph) -> Lowered {
    // Numbers around 1, different everywhere, so that none is neutral and none equals another.
    let read = |range: &ByteRange| -> Result<Vec<u8>, String> {
        let number =
            |word: u64| 0.5 + ((range.offset + word).wrapping_mul(2_654_435_761) % 4096) as f32 / 4096.0;
        Ok((0..range.len / 4).flat_map(|word| number(word).to_le_bytes()).collect())
    };
    let known = fold::fold(graph, &read).expect("constants");
    let (simple, known) = simplify::simplify(graph.clone(), known);
    let target = target();
    let refused = |list: Vec<crate::Refused>| -> Lowered {
        panic!("{}: {:?}", graph.name, list.into_iter().map(|why| (why.node, why.reason)).collect::<Vec<_>>())
    };
    let (mut lowered, mut fixed) = match lower::lower(&simple, graph, &known, &target, &[]) {
        Ok(lowered) => lowered,
        Err(list) => return refused(list),
    };
    fuse::fuse(&mut lowered, &fixed);
    concat::place(&mut lowered, &fixed, &target);
    phases::cut(&mut lowered, &mut fixed, &target);
    if let Err(list) = split::split(&mut lowered, &mut fixed, &target) {
        return refused(list);
    }
    lowered
}

/// For all shapes within bounds, with decisions taken at `point`.
fn symbolic(graph: &Graph, bounds: &Scope, point: &Bindings) -> (Lowered, Formulas) {
    let symbols = Symbols::enter(bounds, point);
    let lowered = lowered(graph);
    (lowered, symbols.leave())
}

fn exactly(point: &Bindings) -> Scope {
    let mut scope = Scope::new();
    for (symbol, value) in point.iter() {
        scope.declare(symbol, Bounds::exactly(value)).expect("one value");
    }
    scope
}

/// Each operation with its numbers and the bytes it binds.
fn texts(lowered: &Lowered, at: &impl Point) -> Vec<String> {
    let text = |operation: &crate::lowered::Operation| {
        let (spec, any) = at.work(operation);
        let operand = |slot| at.operand(lowered, operation, slot, 16);
        let reads: Vec<_> = (0..operation.operands.len())
            .map(|slot| (lowered.tensor(operation.operands[slot].tensor).name.clone(), operand(slot)))
            .collect();
        let out = (&lowered.tensor(operation.output).name, at.result(lowered, operation, 16));
        format!("{any} {spec:?} {reads:?} -> {out:?}")
    };
    lowered.operations.iter().map(text).collect()
}

fn values(formulas: &Formulas, point: &Bindings) -> Values {
    let broken = || formulas.broken(point).map_or_else(String::new, ToString::to_string);
    let values = formulas.at(point).expect("values of its sizes");
    values.unwrap_or_else(|| panic!("{point:?} is not served: {}", broken()))
}

/// Lowered once, a graph is at every point what it is when lowered for that point. `general` are points where no dim has
/// a meaning of its own; there operations are the same too. At `special` points only the numbers must exist.
fn check(name: &str, dims: &[(&str, i64, i64)], most_guards: usize, general: &[&[i64]], special: &[&[i64]]) {
    let graph = graph(name, dims);
    let point = |values: &[i64]| -> Bindings {
        let free = graph.free_symbols();
        let named = dims.iter().map(|dim| dim.0).zip(values.iter().copied());
        named.filter(|(symbol, _)| free.contains(*symbol)).collect()
    };
    let (all, formulas) = symbolic(&graph, &graph.symbols, &point(general[0]));
    let guards: Vec<String> = formulas.guards().iter().map(ToString::to_string).collect();
    println!("{name}: {} operations, {} guards {guards:?}", all.operations.len(), guards.len());
    assert!(guards.len() <= most_guards, "{name}: {guards:?}");
    for dims in general {
        let here = point(dims);
        let (one, own) = symbolic(&graph, &exactly(&here), &here);
        assert!(own.guards().is_empty(), "{name} at {here:?}: one point needs no guards");
        let (general, exact) = (texts(&all, &values(&formulas, &here)), texts(&one, &values(&own, &here)));
        for (general, exact) in general.iter().zip(&exact) {
            assert_eq!(general, exact, "{name} at {here:?}");
        }
        assert_eq!(general.len(), exact.len(), "{name} at {here:?}");
        let bound = graph.bind(&here).expect("a shape");
        let concrete = lowered(&bound);
        println!("{name} at {here:?}: {} operations with all dims known", concrete.operations.len());
    }
    for dims in special {
        texts(&all, &values(&formulas, &point(dims)));
    }
}

#[test]
fn encoder() {
    let dims = [("batch", 1, 8), ("seq", 1, 512)];
    let general: [&[i64]; 3] = [&[3, 7], &[5, 33], &[7, 101]];
    check("encoder_l6", &dims, 0, &general, &[&[1, 1], &[8, 512]]);
    check("encoder_l6_ts", &dims, 0, &general, &[&[1, 1], &[8, 512]]);
}

#[test]
fn gpt2() {
    let dims = [("batch", 1, 8), ("seq", 1, 64), ("past", 0, 960), ("total", 1, 1024)];
    let general: [&[i64]; 2] = [&[3, 7, 22, 29], &[5, 11, 101, 112]];
    check("gpt2_small", &dims, 0, &general, &[&[1, 1, 0, 1], &[8, 1, 960, 961]]);
    check("gpt2_small_ts", &dims, 0, &general, &[&[1, 1, 0, 1], &[8, 1, 960, 961]]);
}

#[test]
fn llama() {
    let dims = [("batch", 1, 8), ("seq", 1, 64), ("past", 0, 960), ("total", 1, 1024)];
    let general: [&[i64]; 2] = [&[3, 7, 22, 29], &[5, 11, 101, 112]];
    check("llama_125m", &dims, 0, &general, &[&[1, 1, 0, 1], &[8, 1, 960, 961]]);
    check("llama_125m_ts", &dims, 0, &general, &[&[1, 1, 0, 1], &[8, 1, 960, 961]]);
}

#[test]
fn images() {
    check("vit_tiny", &[("batch", 1, 64)], 0, &[&[3], &[7]], &[&[1], &[64]]);
    check("mobilenetv2", &[("batch", 1, 16)], 0, &[&[3], &[7]], &[&[1], &[16]]);
}

/// Windows of logits grow beyond what a device binds: the same work in parts, one cell for each number of parts.
#[test]
fn a_window_that_grows_too_large() {
    let dims = [("batch", 1, 8), ("seq", 1, 1024), ("past", 0, 960), ("total", 1, 2048)];
    check("llama_125m", &dims, 1, &[&[3, 7, 22, 29]], &[&[1, 1, 0, 1], &[8, 131, 0, 131]]);
    let graph = graph("llama_125m", &dims);
    let free = graph.free_symbols();
    let point = |values: [i64; 4]| -> Bindings {
        let named = dims.iter().map(|dim| dim.0).zip(values);
        named.filter(|(symbol, _)| free.contains(*symbol)).collect()
    };
    let (whole, small) = symbolic(&graph, &graph.symbols, &point([3, 7, 22, 29]));
    let (parts, large) = symbolic(&graph, &graph.symbols, &point([5, 301, 22, 323]));
    assert!(parts.operations.len() > whole.operations.len());
    assert!(small.at(&point([7, 150, 0, 150])).expect("values").is_none());
    assert!(large.at(&point([7, 150, 0, 150])).expect("values").is_some(), "{:?}", large.guards());
    assert!(large.guards().len() <= 5, "{:?}", large.guards());
}
