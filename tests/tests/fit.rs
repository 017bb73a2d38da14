//! What fits: the memory function of whole models, held to fresh compiles at random shapes.

use bayplan_compile::plan_file::PlanFile;
use bayplan_compile::{Arena, Dims, Family, FunctionId, Options, Program, compile};
use bayplan_expr::{Bindings, Bounds, Expr, Scope};
use bayplan_graph::{ByteRange, Graph};
use bayplan_plan::memory::MemoryFunction;
use bayplan_shaders::Target;
use bayplan_tests::decoder::Decoder;
use bayplan_tests::program::Sandbox;
use bayplan_tests::random::Random;

/// The box: symbol, least and greatest value. In its corner the scores of a layer have just below 2^31 elements, the most
/// that a kernel counts.
const BOX: [(&str, i64, i64); 3] = [("batch", 1, 4), ("seq", 1, 512), ("past", 0, 30_000)];

const POINTS: usize = 100;

/// No weight file is there: nothing of it may be read.
fn unread(range: &ByteRange) -> Result<Vec<u8>, String> {
    panic!("{range:?} of a weight file is read");
}

fn graph(decoder: &Decoder) -> Graph {
    let bytes = decoder.onnx();
    let mut graph = bayplan_onnx::import(&bytes, &bayplan_onnx::ImportOptions::default()).expect("a model");
    graph.infer().expect("types");
    bayplan_graph::verify(&graph).expect("a sound graph");
    graph
}

/// Binds anything at once, so that no operation is cut, at any multiple of so many bytes.
fn target(alignment: u64) -> Target {
    Target {
        storage_alignment: alignment,
        max_storage_range: 1 << 45,
        max_allocation: 1 << 45,
        max_workgroup_count: [u32::MAX; 3],
        ..Target::generic()
    }
}

fn dims() -> Dims {
    let mut dims = Dims::default();
    for (symbol, low, high) in BOX {
        dims.bounds.declare(symbol, Bounds::between(low, high)).expect("a box that is not empty");
    }
    dims
}

fn activations(program: &Program) -> u64 {
    program.arena_bytes[Arena::Activations.index()]
}

/// Bytes of the arena that the function tells.
fn arena(memory: &MemoryFunction, point: &Bindings) -> u64 {
    memory.eval(point).expect("bytes") - memory.fixed(point).expect("bytes")
}

#[test]
fn a_decoder_of_eight_billion_parameters_tells_its_own_formula() {
    let graph = graph(&Decoder::LLAMA_3_8B);
    // The granule of sizes is one of offsets as well, as on most devices.
    let granule = Target::generic().storage_granule;
    let (target, options) = (target(granule), Options::default());
    let family = Family::new(&graph, &dims(), &target, &options, &unread).expect("a family");
    let memory = family.memory().expect("a formula");
    println!("{memory}");

    // Naive attention: in c·batch·seq·(past + seq) the mixed difference is c, the second one along seq twice that.
    let term = |bytes: &Expr| {
        let at = |batch: i64, seq: i64, past: i64| {
            let point = Bindings::new().with("batch", batch).with("seq", 64 * seq).with("past", 64 * past);
            bytes.eval(&point).expect("a value")
        };
        let mixed =
            |batch: i64| at(batch, 11, 101) - at(batch, 11, 100) - at(batch, 10, 101) + at(batch, 10, 100);
        let second = |batch: i64| at(batch, 12, 100) - 2 * at(batch, 11, 100) + at(batch, 10, 100);
        mixed(1) > 0 && mixed(3) == 3 * mixed(1) && second(1) == 2 * mixed(1) && second(3) == 2 * mixed(3)
    };
    let terms = memory.functions.iter().flat_map(|function| &function.terms);
    assert!(terms.map(|own| &own.bytes).any(term), "{memory}");

    // What a compile of one shape alone takes, and what the plan of all shapes replays there: to the byte.
    let mut random = Random::new(0x11a3a);
    for point in (0..POINTS).map(|_| point(&mut random)) {
        let replayed = family.at(FunctionId(0), &point).expect("a program");
        assert_eq!(arena(&memory, &point), activations(&replayed), "{point}");
        assert_eq!(arena(&memory, &point), activations(&fresh(&graph, &point, &target)), "{point}");
    }

    // Its solution is right.
    for (batch, seq, budget) in [(1, 512, 38 << 30), (2, 256, 36 << 30), (4, 1, 48 << 30)] {
        let others = Bindings::new().with("batch", batch).with("seq", seq);
        let found = memory.solve(budget, "past", &others).expect("a past that fits");
        let at = |past: i64| memory.eval(&others.clone().with("past", past)).expect("bytes");
        println!("batch={batch} seq={seq} {budget} bytes: past={} ({:?})", found.value, found.binding);
        assert!(at(found.value) <= budget && budget < at(found.value + 1));
        assert_eq!(found.all_up_to, Some(found.value));
    }
}

/// Where offsets are multiples of more than sizes are, the buffer on top of a plan is the one whose padding is saved. That is
/// another one at each shape, so that one order for all shapes takes more than the best of each by less than what two
/// paddings are.
#[test]
fn paddings_are_all_that_coarser_offsets_cost_a_formula() {
    const COARSE: u64 = 256;
    let graph = graph(&Decoder::LLAMA_3_8B);
    let (target, options) = (target(COARSE), Options::default());
    let family = Family::new(&graph, &dims(), &target, &options, &unread).expect("a family");
    let memory = family.memory().expect("a formula");
    let mut random = Random::new(0x11a3a);
    for point in (0..POINTS).map(|_| point(&mut random)) {
        let (told, alone) = (arena(&memory, &point), activations(&fresh(&graph, &point, &target)));
        assert!(
            told.abs_diff(alone) < 2 * COARSE,
            "{point}: {told} bytes, a compile of this shape alone takes {alone}"
        );
    }
}

/// A random point of the box.
fn point(random: &mut Random) -> Bindings {
    let value = |(symbol, low, high): (&'static str, i64, i64)| {
        (symbol, low + random.between(0, (high - low) as u64) as i64)
    };
    BOX.into_iter().map(value).collect()
}

/// A compile of one shape alone.
fn fresh(graph: &Graph, point: &Bindings, target: &Target) -> Program {
    let total = point.get("past").zip(point.get("seq")).map_or(0, |(past, seq)| past + seq);
    let whole = point.clone().with("total", total);
    compile(graph, &whole, target, Options::default(), &unread).expect("a program")
}

/// The words of a command line on the host's own device.
fn words<'w>(command: &[&'w str]) -> Vec<&'w str> {
    [command, &["--device", "host", "--json"]].concat()
}

/// What a plan within bounds is written to, read back: its formula tells what plans at single shapes take, and smaller
/// bounds shrink the arena without planning.
#[test]
fn a_written_plan_tells_the_bytes_of_every_shape() {
    let sandbox = Sandbox::new();
    let model = bayplan_tests::root().join("assets/digits.onnx");
    let model = model.to_str().expect("a path in UTF-8");
    let text =
        sandbox.bayplan(&words(&["plan", model, "--dim-max", "batch=64", "--dim-min", "batch=1"])).success();
    let file = PlanFile::read(&text).expect("a plan file");
    for batch in [1, 2, 7, 33, 64] {
        let dim = format!("batch={batch}");
        let plan = sandbox.bayplan(&words(&["plan", model, "--dim", &dim])).json();
        let point = Bindings::new().with("batch", batch);
        let number = |key: &str| plan[key].as_u64().expect("a number");
        assert_eq!(arena(&file.memory, &point), number("arena_bytes").max(number("load_peak")), "{dim}");
        let (own, replayed) = file.replay("digits", &point).expect("offsets");
        assert_eq!(
            (replayed.peak, replayed.offsets.len()),
            (number("arena_bytes"), own.buffers.len()),
            "{dim}"
        );
    }
    let mut bounds = Scope::new();
    bounds.declare("batch", Bounds::between(1, 16)).expect("bounds");
    let small = file.narrowed(&bounds).expect("smaller bounds");
    assert_eq!(
        small.arena_bytes(),
        file.replay("digits", &Bindings::new().with("batch", 16)).expect("offsets").1.peak
    );
    assert!(small.arena_bytes() < file.arena_bytes());
    // What it says is too much is refused.
    let tight = ["plan", model, "--dim-max", "batch=64", "--device", "host", "--budget", "1KiB"];
    let refused = sandbox.bayplan(&tight);
    assert_eq!(refused.code, Some(1), "{refused:?}");
}

/// A run that may choose takes the first row of what fits.
#[test]
fn a_run_under_a_budget_takes_the_first_row() {
    let sandbox = Sandbox::new();
    let model = bayplan_tests::root().join("assets/digits.onnx");
    let model = model.to_str().expect("a path in UTF-8");
    let fits = sandbox.bayplan(&words(&["fit", model, "--budget", "1MiB"])).json();
    let row = &fits["rows"][0];
    assert!(row["bytes"].as_u64() <= Some(1 << 20) && Some(1 << 20) < row["next"].as_u64(), "{row}");
    let run = sandbox.bayplan(&words(&["run", model, "--budget", "1MiB", "--trace-level", "off"])).json();
    assert_eq!(run["dims"], row["dims"]);
    let number = |key: &str| run[key].as_u64().expect("a number");
    assert_eq!(Some(number("arena_bytes") + number("weight_bytes")), row["bytes"].as_u64());
}
