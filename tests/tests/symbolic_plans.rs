//! One stored order for every batch, length and past of the decoders.
//!
//! A model is compiled once, at a reference point; the buffers it then has are planned for the whole box, with their
//! sizes as expressions. What a program is made of depends on its dims: a dim of 1 or 0 takes operations away, what is
//! larger than the device binds at once is cut. The reference point has no such dim and the target binds anything, so
//! the plan is that of the general program, which serves every point of the box. Which result overwrites which operand
//! was decided there as well; a storage has the size of the first value that lives in it.

use std::collections::BTreeMap;

use bayplan::Model;
use bayplan_compile::{Arena, Buffer, Options, Program};
use bayplan_expr::{Bindings, Bounds, Expr, Scope};
use bayplan_plan::symbolic::{Proof, SymbolicBuffer, SymbolicPlan, SymbolicProblem};
use bayplan_plan::{Effort, Lifespan};
use bayplan_shaders::Target;
use bayplan_tests::random::Random;
use bayplan_tests::reference_model;

/// The box: symbol, least and greatest value.
const BOX: [(&str, i64, i64); 3] = [("batch", 1, 8), ("seq", 1, 512), ("past", 0, 1024)];

/// The reference point. Its dims are different primes, `past + seq` is twice another, and none of them divides a width
/// of the models: so what a number of bytes is made of can be read off it.
const REFERENCE: Point = Point { batch: 7, seq: 61, past: 97 };

/// Another point, to which all sizes are held.
const OTHER: Point = Point { batch: 3, seq: 89, past: 29 };

/// Share of max-live that may be wasted.
const MAX_WASTE: f64 = 0.02;

/// Terms of a closed form.
const MAX_TERMS: usize = 16;

/// Whole `vec4`s: what every buffer's size is rounded up to.
const VEC4: i64 = 16;

const POINTS: u64 = 1000;

#[derive(Clone, Copy)]
struct Point {
    batch: i64,
    seq: i64,
    past: i64,
}

impl Point {
    fn bindings(self) -> Bindings {
        Bindings::new().with("batch", self.batch).with("seq", self.seq).with("past", self.past)
    }

    fn random(index: u64) -> Bindings {
        let mut random = Random::new(index);
        let mut value = |low: i64, high: i64| low + random.between(0, (high - low) as u64) as i64;
        BOX.iter().map(|&(name, low, high)| (name, value(low, high))).collect()
    }
}

/// The activations of the program for a point.
fn activations(model: &Model, point: Point) -> Vec<Buffer> {
    let target = Target {
        max_storage_range: 1 << 40,
        max_allocation: 1 << 40,
        max_workgroup_count: [u32::MAX; 3],
        ..Target::generic()
    };
    let dims = point.bindings().with("total", point.past + point.seq);
    let program: Program = model.compile(&dims, &target, Options::default()).expect("a program");
    program.buffers.into_iter().filter(|buffer| buffer.arena == Arena::Activations).collect()
}

/// The bytes of a buffer at any point. Of temporaries that no value of the model is as large as, the program knows the
/// number alone.
fn size(buffer: &Buffer) -> Expr {
    let total = |name: &str| (name == "total").then(|| Expr::symbol("past") + Expr::symbol("seq"));
    let exact = match buffer.size_expr.as_const() {
        Some(bytes) => read_off(bytes),
        None => buffer.size_expr.replace(&total),
    };
    exact.align_up(VEC4)
}

/// The product that a number of bytes is at the reference point.
fn read_off(mut bytes: i64) -> Expr {
    let Point { batch, seq, past } = REFERENCE;
    let [b, s, p] = ["batch", "seq", "past"].map(Expr::symbol);
    let mut product = Expr::from(1);
    for (value, symbol) in [(batch, b), (seq, s.clone()), (past, p.clone()), (past + seq, p + s)] {
        while bytes != 0 && bytes % value == 0 {
            bytes /= value;
            product *= symbol.clone();
        }
    }
    product * bytes
}

fn plan(name: &str) -> SymbolicPlan {
    let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let buffers = activations(&model, REFERENCE);
    let others: BTreeMap<String, u64> =
        activations(&model, OTHER).into_iter().map(|buffer| (buffer.name.to_string(), buffer.size)).collect();
    let mut met = 0;
    for buffer in &buffers {
        let at = |point: Point| size(buffer).eval(&point.bindings()).expect("a size").unsigned_abs();
        assert_eq!(at(REFERENCE), buffer.size, "{name}: {} = {}", buffer.name, size(buffer));
        if let Some(&other) = others.get(buffer.name.as_str()) {
            assert_eq!(at(OTHER), other, "{name}: {} = {}", buffer.name, size(buffer));
            met += 1;
        }
    }
    assert!(10 * met >= 9 * buffers.len(), "{name}: {met} of {} buffers at both points", buffers.len());
    let symbolic = |buffer: &Buffer| SymbolicBuffer {
        size: size(buffer),
        align: buffer.align,
        lifespan: Lifespan::new(buffer.lifespan.start, buffer.lifespan.end),
    };
    let mut scope = Scope::new();
    for (symbol, low, high) in BOX {
        scope.declare(symbol, Bounds::between(low, high)).expect("a box that is not empty");
    }
    let problem = SymbolicProblem::new(buffers.iter().map(symbolic).collect(), scope);
    SymbolicPlan::solve(problem.unwrap_or_else(|e| panic!("{name}: {e}")), Effort::Normal)
}

fn check(name: &str) {
    let plan = plan(name);
    let form = plan.peak_form(Effort::Normal);
    let reservation = plan.reservation(Effort::Normal);
    println!("{name}: {} buffers, {:?}", plan.order().len(), plan.regret());
    println!("{name}: {} terms, {:?}: {form}", form.terms.len(), form.proof);
    println!("{name}: reserve {} bytes for {}", reservation.bytes, reservation.at);
    assert!(form.proof == Proof::Proved && form.terms.len() <= MAX_TERMS);
    assert_eq!(reservation.bytes, reservation.attained);
    let (mut worst, mut at) = (0.0, Bindings::new());
    for point in (0..POINTS).map(Point::random) {
        plan.plan_at(&point).unwrap_or_else(|e| panic!("{name} at {point}: {e}"));
        let (peak, waste) = (plan.peak_at(&point).expect("a peak"), plan.waste_at(&point).expect("a waste"));
        assert_eq!(form.eval(&point), Ok(peak), "{name} at {point}");
        assert!(peak <= reservation.bytes);
        if waste >= worst {
            (worst, at) = (waste, point);
        }
    }
    println!("{name}: worst waste {:.3} % at {at}", worst * 100.0);
    assert!(worst <= MAX_WASTE, "{name}: waste {:.3} % at {at}", worst * 100.0);
}

#[test]
fn gpt2_small() {
    check("gpt2_small");
}

#[test]
fn gpt2_small_ts() {
    check("gpt2_small_ts");
}

#[test]
fn llama_125m() {
    check("llama_125m");
}

#[test]
fn llama_125m_ts() {
    check("llama_125m_ts");
}
