//! The kernels that a family says it needs are all that its shapes choose, on every kind of device.
//!
//! The graphs lie in `tests/models` without their weights; compiling reads constants of up to 4 KiB only.

mod common;

use std::collections::HashSet;

use bayplan_compile::{Arena, Dims, Family, Function, FunctionId, Options, Upload};
use bayplan_expr::{Bindings, Bounds, Scope};
use bayplan_graph::{ConstData, Graph};
use bayplan_shaders::{CPU_LOOP_PASSES, Features, Subgroup, Target};

use common::models::{cpu, graph, read};

const MODEL: FunctionId = FunctionId(0);

/// Random shapes that each model is looked at.
const SHAPES: u64 = 1000;

fn targets() -> [Target; 3] {
    let cpu = |name: &str, lanes, alignment, range| Target {
        max_loop_passes: Some(CPU_LOOP_PASSES),
        ..cpu(name, lanes, alignment, range)
    };
    let narrow = Features { int64: false, ..Features::default() };
    let lanes = Some(Subgroup { size: 32, shuffle: true, arithmetic: true });
    [
        cpu("lavapipe", 8, 16, 128 << 20),
        Target { features: narrow, max_loop_passes: None, ..cpu("SwiftShader", 4, 256, 1 << 30) },
        Target { name: "GPU".into(), subgroup: lanes, max_storage_range: 1 << 30, ..Target::generic() },
    ]
}

type Box<'a> = &'a [(&'a str, i64, i64)];

fn dims(graph: &Graph, bounds: Box<'_>) -> Dims {
    let (free, mut scope) = (graph.free_symbols(), Scope::new());
    for &(symbol, lower, upper) in bounds.iter().filter(|(symbol, ..)| free.contains(*symbol)) {
        scope.declare(symbol, Bounds::between(lower, upper)).expect("bounds");
    }
    Dims { bounds: scope, ..Dims::default() }
}

const MODELS: [(&str, Box<'static>); 3] = [
    ("encoder_l6", &[("batch", 1, 8), ("seq", 1, 512)]),
    ("gpt2_small", &[("batch", 1, 4), ("seq", 1, 64), ("past", 0, 200), ("total", 1, 264)]),
    ("llama_125m", &[("batch", 1, 3), ("seq", 1, 40), ("past", 0, 300), ("total", 1, 340)]),
];

/// Points within the bounds; every third one with small values.
fn points(family: &Family) -> impl Iterator<Item = Bindings> {
    let scope = family.scope(MODEL);
    let mut state = 1u64;
    (0..SHAPES).map(move |index| {
        let mut draw = |bounds: Bounds| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let upper = bounds.upper.expect("an upper bound");
            let upper = if index % 3 == 0 { upper.min(bounds.lower + 9) } else { upper };
            bounds.lower + ((state >> 33) % (upper - bounds.lower + 1).cast_unsigned()).cast_signed()
        };
        scope.iter().map(|(symbol, bounds)| (symbol.to_string(), draw(bounds))).collect()
    })
}

#[test]
fn no_shape_needs_another_kernel() {
    for (name, bounds) in MODELS {
        let graph = graph(name);
        for target in targets() {
            let family = Family::new(&graph, &dims(&graph, bounds), &target, &Options::default(), &read)
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            let kernels: HashSet<_> = family.kernels(MODEL).into_iter().collect();
            println!("{name} on {}: {} kernels", target.name, kernels.len());
            let mut missing = Vec::new();
            for point in points(&family) {
                let Ok(program) = family.at(MODEL, &point) else { continue };
                let others = program.kernels.iter().filter(|kernel| !kernels.contains(*kernel));
                missing.extend(others.map(|kernel| format!("{} at {point}", kernel.name)));
            }
            assert!(missing.is_empty(), "{name} on {}: {} {missing:#?}", target.name, missing.len());
        }
    }
}

/// Uploads of what lies in files: constants of the compiler's own may be equal.
fn in_files(family: &Family) -> impl Iterator<Item = &Upload> {
    family.first().uploads.iter().filter(|upload| matches!(upload.data, ConstData::Range(_)))
}

/// Bytes of the weights as they are uploaded.
fn uploaded(family: &Family) -> u64 {
    family.first().uploads.iter().map(|upload| upload.bytes).sum()
}

#[test]
fn prefill_and_decode_share_weights_and_an_arena() {
    let models: [(&str, Box<'_>, Box<'_>); 2] = [
        (
            "gpt2_small",
            &[("batch", 1, 2), ("seq", 1, 512), ("past", 0, 0), ("total", 1, 512)],
            &[("batch", 1, 2), ("seq", 1, 1), ("past", 0, 1024), ("total", 1, 1025)],
        ),
        (
            "llama_125m",
            &[("batch", 1, 2), ("seq", 1, 512), ("past", 0, 0), ("total", 1, 512)],
            &[("batch", 1, 2), ("seq", 1, 1), ("past", 0, 1024), ("total", 1, 1025)],
        ),
    ];
    for (name, prefill, decode) in models {
        let graph = graph(name);
        for target in targets() {
            let of = |names: &[(&'static str, Box<'_>)]| {
                let dims: Vec<Dims> = names.iter().map(|(_, bounds)| dims(&graph, bounds)).collect();
                let functions: Vec<Function<'_>> = names
                    .iter()
                    .zip(&dims)
                    .map(|((name, _), dims)| Function { name, graph: &graph, dims })
                    .collect();
                Family::with_functions(&functions, &target, &Options::default(), &read)
                    .unwrap_or_else(|e| panic!("{}: {e}", graph.name))
            };
            let both = of(&[("prefill", prefill), ("decode", decode)]);
            let alone = [of(&[("prefill", prefill)]), of(&[("decode", decode)])];
            let reserved = |family: &Family| family.reservation().expect("bounds").arena_bytes;
            let (all, own) = (reserved(&both), alone.each_ref().map(reserved));
            let largest = |arena: Arena| own.iter().map(|bytes| bytes[arena.index()]).max();
            println!("{name} on {}: {all:?} of {own:?}", target.name);
            assert_eq!(Some(all[Arena::Activations.index()]), largest(Arena::Activations));
            // In another order less may be lost to alignment.
            assert!(Some(all[Arena::Weights.index()]) <= largest(Arena::Weights), "each weight once");
            // One of the two may read a constant that the other does not.
            assert_eq!(Some(uploaded(&both)), alone.iter().map(uploaded).max());
            let data: HashSet<String> =
                in_files(&both).map(|upload| format!("{:?} {}", upload.data, upload.skip)).collect();
            assert_eq!(data.len(), in_files(&both).count(), "no weight twice");
        }
    }
}

#[test]
fn every_corner_with_dims_of_zero_has_a_program() {
    for (name, bounds) in MODELS {
        let graph = graph(name);
        let bounds: Vec<_> = bounds.iter().map(|&(symbol, _, upper)| (symbol, 0, upper)).collect();
        for target in targets() {
            let family = Family::new(&graph, &dims(&graph, &bounds), &target, &Options::default(), &read)
                .unwrap_or_else(|e| panic!("{name} on {}: {e}", target.name));
            let symbols: Vec<String> = family.scope(MODEL).iter().map(|(name, _)| name.to_owned()).collect();
            for corner in 0..1 << symbols.len() {
                let value = |(index, symbol): (usize, &String)| (symbol.clone(), 2 * (corner >> index & 1));
                let point: Bindings = symbols.iter().enumerate().map(value).collect();
                let program = match family.at(MODEL, &point) {
                    Ok(program) => program,
                    // A sum that the model declares is one of its inputs' dims.
                    Err(bayplan_compile::CompileError::Bind(reason)) if reason.contains("needs it") => {
                        continue;
                    }
                    Err(e) => panic!("{name} on {} at {point}: {e}", target.name),
                };
                if point.get("batch") == Some(0) {
                    let whole = family.first().run.dispatches.len();
                    assert!(program.run.dispatches.len() < whole / 4, "{name} at {point}: no row to compute");
                }
            }
        }
    }
}
