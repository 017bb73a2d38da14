//! The plan file: what is written is read back, smaller bounds shrink the arena by the formula, and what is no such file
//! is refused by name.

mod fuzz;
#[path = "../../../../tests/src/random.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests across rooms use more of it")]
mod random;

use bayplan_compile::plan_file::{PlanFile, PlanFileError, PlannedBuffer, PlannedOutput, ShapePlan};
use bayplan_expr::{Bindings, Bounds, Expr, Scope};
use bayplan_plan::memory::{Condition, MemoryFunction};
use bayplan_plan::symbolic::{SymbolicBuffer, SymbolicPlan, SymbolicProblem};
use bayplan_plan::{Effort, Lifespan};
use serde_json::{Value, json};

/// Name, size, first and last point.
const BUFFERS: [(&str, &str, u32, u32); 6] = [
    ("x", "16384*chunk", 0, 3),
    ("q", "16384*chunk", 1, 4),
    ("scores", "128*chunk*(past + chunk)", 2, 5),
    ("mix", "16384*chunk", 4, 6),
    ("gate", "57344*chunk", 5, 7),
    ("`odd`: name", "Max(57344*chunk, 513024)", 6, 8),
];

fn scope(sides: &[(&str, i64, i64)]) -> Scope {
    let mut scope = Scope::new();
    for &(name, low, high) in sides {
        scope.declare(name, Bounds::between(low, high)).unwrap();
    }
    scope
}

fn shape_plan(function: &str, when: &[&str], sides: &[(&str, i64, i64)]) -> ShapePlan {
    let buffer = |&(_, size, first, last): &(&str, &str, u32, u32)| SymbolicBuffer {
        size: Expr::parse(size).unwrap().align_up(16),
        align: 64,
        lifespan: Lifespan::new(first, last),
    };
    let problem = SymbolicProblem::new(BUFFERS.iter().map(buffer).collect(), scope(sides)).unwrap();
    let plan = SymbolicPlan::solve(problem, Effort::Normal);
    let named =
        |&(name, ..): &(&str, &str, u32, u32)| PlannedBuffer { name: name.into(), kind: "activation".into() };
    ShapePlan {
        function: function.into(),
        when: when.iter().map(|text| Condition::parse(text).unwrap()).collect(),
        buffers: BUFFERS.iter().map(named).collect(),
        reservation: plan.reservation(Effort::Normal),
        plan,
    }
}

fn file() -> PlanFile {
    let functions = vec![
        shape_plan("main", &["chunk <= 1"], &[("chunk", 1, 1), ("past", 0, 4096)]),
        shape_plan("main", &["1 < chunk"], &[("chunk", 2, 2048), ("past", 0, 4096)]),
    ];
    let term = |own: &ShapePlan| {
        let function = own.plan.memory("main", Effort::Normal, &|buffer| &own.buffers[buffer as usize].name);
        bayplan_plan::memory::Function { when: own.when.clone(), ..function }
    };
    PlanFile {
        model: "a\u{1b} model".into(),
        digest: 0xfedc_ba98_7654_3210,
        target: "generic".into(),
        memory: MemoryFunction {
            weights: 1 << 30,
            constant: 4096,
            kv: None,
            functions: functions.iter().map(term).collect(),
            scope: scope(&[("chunk", 1, 2048), ("past", 0, 4096)]),
        },
        functions,
        outputs: vec![PlannedOutput { name: "logits".into(), policy: "own".into() }],
    }
}

fn at(chunk: i64, past: i64) -> Bindings {
    Bindings::new().with("chunk", chunk).with("past", past)
}

#[test]
fn what_is_written_is_read_back() {
    let written = file();
    let text = written.to_json();
    for text in [text.clone(), json!({ "kind": "model", "shapes": written.to_value() }).to_string()] {
        let read = PlanFile::read(&text).unwrap();
        assert_eq!(read.memory, written.memory);
        assert_eq!(
            (read.digest, &read.outputs, &read.model),
            (written.digest, &written.outputs, &written.model)
        );
        assert_eq!(read.to_json(), written.to_json());
        for point in [at(1, 0), at(1, 4096), at(2, 17), at(700, 333), at(2048, 4096)] {
            let (own, replayed) = read.replay("main", &point).unwrap();
            let (other, expected) = written.replay("main", &point).unwrap();
            assert_eq!((replayed.clone(), &own.buffers), (expected, &other.buffers));
            let arena = read.memory.eval(&point).unwrap() - read.memory.fixed(&point).unwrap();
            assert_eq!(arena, replayed.peak, "{point}");
            assert_eq!(own.plan.plan_at(&point).map(|plan| plan.peak), Ok(replayed.peak));
        }
    }
    assert_eq!(written.arena_bytes(), written.functions[1].reservation.bytes);
}

/// Sizes chosen at start-up: the order stays, the arena becomes what the formula says.
#[test]
fn a_smaller_chunk_shrinks_the_arena_by_the_formula() {
    let read = PlanFile::read(&file().to_json()).unwrap();
    let arena = |file: &PlanFile, point: &Bindings| {
        file.memory.eval(point).unwrap() - file.memory.fixed(point).unwrap()
    };
    assert_eq!(read.arena_bytes(), arena(&read, &at(2048, 4096)));
    let small = read.narrowed(&scope(&[("chunk", 1, 512)])).unwrap();
    assert_eq!(small.arena_bytes(), arena(&read, &at(512, 4096)));
    assert!(4 * small.arena_bytes() < read.arena_bytes());
    for (own, before) in small.functions.iter().zip(&read.functions) {
        assert_eq!(own.plan.order(), before.plan.order());
    }
    assert_eq!(small.replay("main", &at(512, 9)).unwrap().1, read.replay("main", &at(512, 9)).unwrap().1);
    assert!(small.replay("main", &at(513, 9)).is_err() && small.memory.eval(&at(513, 9)).is_err());
    // Of the part for a chunk of one nothing is left.
    let large = read.narrowed(&scope(&[("chunk", 100, 200)])).unwrap();
    assert_eq!(large.functions.len(), 1);
    // And back: what fits a budget is found without planning.
    let found = read.memory.solve(
        (1 << 30) + 4096 + small.arena_bytes(),
        "chunk",
        &Bindings::new().with("past", 4096),
    );
    assert_eq!(found.unwrap().value, 512);
    let empty = read.narrowed(&scope(&[("chunk", 3000, 4000)])).unwrap_err();
    assert!(empty.to_string().contains("`chunk` can have no value"), "{empty}");
}

#[test]
fn what_is_no_plan_file_is_refused_by_name() {
    let good = file().to_json();
    let refused = |text: &str| PlanFile::read(text).unwrap_err();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&good).unwrap();
        change(&mut value);
        refused(&value.to_string())
    };
    for cut in [0, 1, good.len() / 2, good.len() - 3] {
        assert!(matches!(refused(&good[..cut]), PlanFileError::Malformed { .. }), "{cut}");
    }
    for foreign in ["[]", "{}", "3", r#"{"format":"bayplan-plan","version":1}"#, r#"{"shapes":{}}"#] {
        assert_eq!(refused(foreign), PlanFileError::Foreign, "{foreign}");
    }
    assert_eq!(changed(&|file| file["version"] = json!(2)), PlanFileError::Version { found: 2 });
    assert!(changed(&|file| file["version"] = json!(2)).to_string().contains("version 2"));
    assert_eq!(changed(&|file| file["memory"]["weights"] = json!(5)), PlanFileError::Damaged);
    assert_eq!(changed(&|file| file["functions"][0]["order"][0] = json!(1)), PlanFileError::Damaged);
    assert_eq!(
        changed(&|file| drop(file.as_object_mut().unwrap().remove("checksum"))),
        PlanFileError::Damaged
    );
    let damaged = good.replacen("16384", "16385", 1);
    assert_eq!(refused(&damaged), PlanFileError::Damaged);
    let named = PlanFile::read(&good).unwrap().replay("decode", &at(1, 1)).unwrap_err();
    assert_eq!(named, PlanFileError::NoFunction { name: "decode".into() });
}

/// Files that sum up rightly and say what cannot be.
#[test]
fn what_cannot_be_is_refused() {
    let refused = |change: &dyn Fn(&mut PlanFile)| {
        let mut file = file();
        change(&mut file);
        PlanFile::read(&file.to_json()).unwrap_err().to_string()
    };
    let small = refused(&|file| file.functions[1].reservation.bytes = 5);
    assert!(small.contains("are needed"), "{small}");
    let lower = refused(&|file| file.functions[1].reservation.attained += 16);
    assert!(lower.contains("are needed"), "{lower}");
}
