//! What plans and new shapes cost: `cargo bench -p bayplan-compile --bench shapes [-- FILTER]`.
//!
//! Each model of `tests/models` is compiled once for a box of shapes, and programs are made for random points of it, on
//! the description of a device of either class. Times are processor time of this thread, medians over all points. A new
//! shape's bar is max(100 µs, 0.3 µs for each buffer), barriers and verification told apart.

use std::collections::BTreeMap;
use std::path::Path;

use bayplan_compile::{Dims, Family, FunctionId, Options, Phase};
use bayplan_expr::{Bindings, Bounds, Scope};
use bayplan_graph::{ByteRange, Graph};
use bayplan_onnx::{ImportOptions, import};
use bayplan_shaders::{Class, Features, Subgroup, Target};
use bayplan_weights::FileSource;
use rustix::time::{ClockId, clock_gettime};

/// Random points of each box.
const POINTS: usize = 200;

/// Symbols with their bounds.
type Bounded = [(&'static str, i64, i64)];

const ENCODER: &Bounded = &[("batch", 1, 8), ("seq", 1, 128)];
const DECODER: &Bounded = &[("batch", 1, 8), ("seq", 1, 64), ("past", 0, 960), ("total", 1, 1024)];
const IMAGES: &Bounded = &[("batch", 1, 8)];
/// The models, and the boxes of their symbols.
const MODELS: [(&str, &Bounded); 9] = [
    ("encoder_l6", ENCODER),
    ("encoder_l6_ts", ENCODER),
    ("gpt2_small", DECODER),
    ("gpt2_small_ts", DECODER),
    ("llama_125m", DECODER),
    ("llama_125m_ts", DECODER),
    ("vit_tiny", IMAGES),
    ("mobilenetv2", IMAGES),
    ("mobilenetv2_ts", IMAGES),
];

/// As lavapipe says of itself.
fn cpu() -> Target {
    Target {
        name: "CPU driver".into(),
        class: Class::Cpu,
        subgroup: Some(Subgroup { size: 8, shuffle: true, arithmetic: true }),
        features: Features { int64: true, float64: true, ..Features::default() },
        max_workgroup_invocations: 1024,
        max_workgroup_size: [1024; 3],
        max_shared_memory: 32_768,
        storage_alignment: 16,
        uniform_alignment: 16,
        max_allocation: 2 << 30,
        max_loop_passes: Some(bayplan_shaders::CPU_LOOP_PASSES),
        ..Target::generic()
    }
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

fn model(name: &str) -> Graph {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models").join(format!("{name}.onnx"));
    let file = FileSource::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut graph = import(&file, &ImportOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    graph.infer().unwrap_or_else(|e| panic!("{name}: {e}"));
    graph
}

/// The models' files hold no weights: what is folded of them is made up.
fn made_up(range: &ByteRange) -> Result<Vec<u8>, String> {
    Ok((0..range.len / 4).flat_map(|word| (0.5 + (word % 64) as f32 / 128.0).to_le_bytes()).collect())
}

/// A point of a box; what a decoder has in all follows.
fn point(bounds: &Bounded, draw: &mut impl FnMut(i64, i64) -> i64, general: bool) -> Bindings {
    let mut point = Bindings::new();
    for &(symbol, lower, upper) in bounds.iter().filter(|(symbol, ..)| *symbol != "total") {
        let past = if general { 1 } else { 0 };
        let value = match symbol {
            "past" if !general => past,
            _ => draw(lower.max(past), upper),
        };
        point.set(symbol, value);
    }
    if let (Some(seq), Some(past)) = (point.get("seq"), point.get("past")) {
        point.set("total", seq + past);
    }
    point
}

/// Medians in microseconds, for each phase and of the whole without barriers and verification.
struct Times {
    phases: BTreeMap<Phase, f64>,
    shape: f64,
}

fn measure(family: &Family, bounds: &Bounded, general: bool) -> Times {
    let mut state = 1_u64;
    let mut draw = |lower: i64, upper: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        lower + ((state >> 33) as i64) % (upper - lower + 1)
    };
    let (mut phases, mut shapes) = (BTreeMap::<Phase, Vec<u64>>::new(), Vec::new());
    for round in 0..2 * POINTS {
        let dims = point(bounds, &mut draw, general);
        let (mut spent, mut last) = (BTreeMap::<Phase, u64>::new(), now());
        let made = family.at_with(FunctionId(0), &dims, &mut |phase| {
            *spent.entry(phase).or_default() += now() - last;
            last = now();
        });
        // What comes after the last phase is the shape's, too.
        *spent.entry(Phase::Windows).or_default() += now() - last;
        made.unwrap_or_else(|e| panic!("{dims}: {e}"));
        // In the first half kernels are met that were not written yet.
        if round < POINTS {
            continue;
        }
        let apart = |phase: &Phase| matches!(phase, Phase::Barriers | Phase::Verification);
        shapes.push(spent.iter().filter(|(phase, _)| !apart(phase)).map(|(_, spent)| spent).sum());
        for (phase, spent) in spent {
            phases.entry(phase).or_default().push(spent);
        }
    }
    Times {
        phases: phases.into_iter().map(|(phase, list)| (phase, median(list))).collect(),
        shape: median(shapes),
    }
}

fn median(mut list: Vec<u64>) -> f64 {
    list.sort_unstable();
    list.get(list.len() / 2).copied().unwrap_or(0) as f64 / 1000.0
}

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    println!(
        "{:15} {:10} {:>7} {:>6} {:>6} {:>5} | {:>5} {:>5} {:>7} {:>8} {:>7} | {:>8} {:>12}",
        "model",
        "device",
        "buffers",
        "shape",
        "bar",
        "ratio",
        "sizes",
        "specs",
        "offsets",
        "launches",
        "windows",
        "barriers",
        "verification"
    );
    for (name, bounds) in MODELS {
        if filter.as_ref().is_some_and(|filter| !name.contains(&**filter)) {
            continue;
        }
        let graph = model(name);
        for target in [Target::generic(), cpu()] {
            let mut scope = Scope::new();
            for &(symbol, lower, upper) in
                bounds.iter().filter(|(name, ..)| graph.free_symbols().contains(*name))
            {
                scope.declare(symbol, Bounds::between(lower, upper)).expect("bounds");
            }
            let dims = Dims { bounds: scope, ..Dims::default() };
            let family = Family::new(&graph, &dims, &target, &Options::default(), &made_up);
            let family = family.unwrap_or_else(|e| panic!("{name} on {}: {e}", target.name));
            let decodes = bounds.iter().any(|(symbol, ..)| *symbol == "past");
            for general in if decodes { &[true, false][..] } else { &[true] } {
                let Times { phases, shape } = measure(&family, bounds, *general);
                let buffers = family.first().buffers.len();
                let bar = (0.3 * buffers as f64).max(100.0);
                let of = |phase| phases.get(&phase).copied().unwrap_or(0.0);
                let name = if *general { name.to_owned() } else { format!("{name}, past 0") };
                println!(
                    "{name:15} {:10} {buffers:7} {shape:6.1} {bar:6.1} {:5.2} | {:5.1} {:5.1} {:7.1} {:8.1} {:7.1} | {:8.1} {:12.1}",
                    target.name,
                    shape / bar,
                    of(Phase::Sizes),
                    of(Phase::Specs),
                    of(Phase::Offsets),
                    of(Phase::Launches),
                    of(Phase::Windows),
                    of(Phase::Barriers),
                    of(Phase::Verification)
                );
            }
        }
    }
}
