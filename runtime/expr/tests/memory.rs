//! The memory function: the worked example of a decoder with naive attention, and random functions against trying every
//! value.

use bayplan_expr::memory::{
    Condition, Crossing, Function, KvCache, MemoryError, MemoryFunction, Relation, SolveError, Term,
    crossing, steps,
};
use bayplan_expr::{Bindings, Bounds, Expr, Scope};
use proptest::prelude::*;

const BUDGET: u64 = 24 << 30;

fn expr(text: &str) -> Expr {
    Expr::parse(text).unwrap()
}

fn term(name: &str, bytes: &str) -> Term {
    Term { name: name.into(), bytes: expr(bytes) }
}

/// A decoder with the weights of Llama-3-8B.
fn decoder(attention: bool, block_tokens: u64) -> MemoryFunction {
    let mut terms = vec![term("mlp", "73728*b*s")];
    if attention {
        terms.push(term("attention", "16384*b*s + 128*b*s*(p + s)"));
    }
    terms.push(term("logits", "8192*b*s + 513024*b"));
    let mut scope = Scope::new();
    for symbol in ["b", "s"] {
        scope.declare(symbol, Bounds::at_least(1)).unwrap();
    }
    MemoryFunction {
        weights: 16_060_522_496,
        constant: 0,
        kv: Some(KvCache {
            sequences: expr("b"),
            tokens: expr("p + s"),
            block_tokens,
            block_bytes: 131_072 * block_tokens,
        }),
        functions: vec![Function::new("main", terms)],
        scope,
    }
}

fn at(b: i64, s: i64) -> Bindings {
    Bindings::new().with("b", b).with("s", s)
}

#[test]
fn the_largest_past_of_a_decoder() {
    let points = [(1, 512), (1, 2048), (4, 1)];
    let cases = [
        (true, 1, [48_829, 22_558, 18_499]),
        (true, 16, [48_823, 22_557, 18_495]),
        (false, 1, [73_275, 70_875, 18_514]),
    ];
    for (attention, block, pasts) in cases {
        let memory = decoder(attention, block);
        for ((b, s), past) in points.into_iter().zip(pasts) {
            let found = memory.solve(BUDGET, "p", &at(b, s)).unwrap();
            assert_eq!(found.value, past, "b={b} s={s}, blocks of {block}");
            assert_eq!(found.all_up_to, Some(past));
            assert_eq!(memory.eval(&at(b, s).with("p", past)), Ok(found.bytes));
            assert!(found.bytes <= BUDGET && BUDGET < found.next.unwrap());
            assert_eq!(memory.eval(&at(b, s).with("p", past + 1)).ok(), found.next);
            if attention {
                assert_eq!(memory.term(found.binding.unwrap()).unwrap().1.name, "attention");
            }
        }
    }
}

#[test]
fn two_terms_are_equal_at_448_tokens() {
    let memory = decoder(true, 1);
    let [mlp, attention, logits] = [0, 1, 2].map(|at| memory.functions[0].terms[at].bytes.clone());
    let Crossing::Where { left, right, rising } = crossing(&mlp, &attention, &memory.scope) else {
        panic!("they cross");
    };
    assert_eq!((left.to_string().as_str(), right.as_const(), rising), ("p + s", Some(448), false));
    for (b, s) in [(1, 1), (3, 40), (7, 447)] {
        for p in [0, 1, 447 - s, 448 - s, 449 - s, 5000] {
            let point = at(b, s).with("p", p);
            let (one, other) = (mlp.eval(&point).unwrap(), attention.eval(&point).unwrap());
            assert_eq!(one.cmp(&other), 448.cmp(&(p + s)), "{point}");
        }
    }
    assert_eq!(crossing(&mlp, &mlp, &memory.scope), Crossing::Always);
    assert_eq!(crossing(&logits, &(&logits + 1), &memory.scope), Crossing::Never);
    // Without the bounds b or s may be zero, and the terms then are equal whatever p is.
    let free = crossing(&mlp, &attention, &Scope::new());
    assert_ne!(free.to_string(), "p + s = 448");
}

#[test]
fn blocks_that_fit_beside_the_arena() {
    let memory = decoder(true, 16);
    let point = at(1, 512).with("p", 48_823);
    let blocks = memory.kv.as_ref().unwrap().blocks().eval(&point).unwrap();
    assert_eq!(memory.kv_blocks(BUDGET, &point), Ok(blocks.unsigned_abs()));
    assert_eq!(memory.kv_blocks(0, &point), Ok(0));
    assert_eq!(
        decoder(true, 16).fixed(&point).unwrap(),
        16_060_522_496 + blocks.unsigned_abs() * 16 * 131_072
    );
}

#[test]
fn a_table_has_what_nothing_else_covers() {
    let mut memory = decoder(true, 1);
    memory.scope.declare("p", Bounds::between(0, 20_000)).unwrap();
    let axes = [("b".to_owned(), steps(Bounds::between(1, 6))), ("s".to_owned(), vec![1, 512, 2048])];
    assert_eq!(axes[0].1, [1, 2, 4, 6]);
    assert_eq!(steps(Bounds::between(0, 3)), [1, 2, 3]);
    assert_eq!(steps(Bounds::between(0, 0)), [0], "never beyond the bounds");
    let rows = memory.table(BUDGET, "p", &axes, &Bindings::new()).unwrap();
    for row in &rows {
        let expect = memory.solve(BUDGET, "p", &row.point).unwrap();
        assert_eq!((&expect, row.point.get("p")), (&row.solution, Some(expect.value)));
        let covers = |other: &&bayplan_expr::memory::Row| {
            other.point.iter().zip(row.point.iter()).all(|((_, x), (_, y))| x >= y)
        };
        assert_eq!(rows.iter().filter(covers).count(), 1, "{}", row.point);
    }
    // The bound of p ends rows before the budget does: with one sequence all chunks reach it, the largest chunk is told.
    let told: Vec<(i64, i64)> =
        rows.iter().map(|row| (row.point.get("b").unwrap(), row.point.get("s").unwrap())).collect();
    assert_eq!(told[0], (1, 2048), "{told:?}");
    assert!(memory.table(1 << 30, "p", &axes, &Bindings::new()).is_err());
}

#[test]
fn where_no_part_of_a_function_runs_there_are_no_bytes() {
    let part = |low: i64, high: i64, bytes: &str| {
        let mut part = Function::new("main", vec![term("activations", bytes)]);
        for (left, right) in [(expr("n"), expr(&high.to_string())), (expr(&low.to_string()), expr("n"))] {
            part.when.push(Condition { left, relation: Relation::AtMost, right });
        }
        part
    };
    let load = Function::new("load", vec![term("weights as they are stored", "64")]);
    let mut memory = MemoryFunction {
        weights: 1000,
        functions: vec![part(0, 100, "10*n"), part(1_000_000, 2_000_000, "8*n"), load],
        ..MemoryFunction::default()
    };
    memory.scope.declare("n", Bounds::between(0, 2_000_000)).unwrap();
    let at = |n: i64| Bindings::new().with("n", n);
    assert_eq!(memory.eval(&at(100)), Ok(2000));
    assert_eq!(memory.eval(&at(101)), Err(MemoryError::NoFunction(at(101))));
    let found = memory.solve(1_000_000, "n", &Bindings::new()).unwrap();
    assert_eq!((found.value, found.bytes, found.next, found.all_up_to), (100, 2000, None, Some(100)));
    let found = memory.solve(9_000_000, "n", &Bindings::new()).unwrap();
    assert_eq!((found.value, found.all_up_to), (1_124_875, Some(100)));
    // A row without bytes is left out of a table as one without enough is.
    let axes = [("n".to_owned(), vec![50, 500])];
    memory.scope.declare("m", Bounds::between(0, 7)).unwrap();
    let rows = memory.table(1_000_000, "m", &axes, &Bindings::new()).unwrap();
    assert_eq!(rows.iter().map(|row| row.point.get("n")).collect::<Vec<_>>(), [Some(50)]);
}

#[test]
fn refusals_are_named() {
    let memory = decoder(true, 1);
    let nothing = memory.solve(1 << 30, "p", &at(1, 512)).unwrap_err();
    assert!(
        nothing.to_string().contains("no value of `p` fits 1,073,741,824 bytes; at 0 it needs 16,1"),
        "{nothing}"
    );
    assert_eq!(
        memory.solve(BUDGET, "q", &at(1, 1).with("p", 1)),
        Err(SolveError::Unbounded { free: "q".into() })
    );
    let missing = memory.solve(BUDGET, "p", &Bindings::new().with("b", 1)).unwrap_err();
    assert!(missing.to_string().contains("`s` has no value"), "{missing}");
    let outside = memory.eval(&at(0, 1).with("p", 1)).unwrap_err();
    assert!(
        matches!(outside, MemoryError::Scope(_)) && outside.to_string().contains("`b` is 0"),
        "{outside}"
    );
    let huge = at(1 << 40, 1 << 40).with("p", 1);
    assert!(memory.eval(&huge).is_err());
}

#[test]
fn a_function_reads_back_what_it_prints() {
    let mut memory = decoder(true, 16);
    memory.constant = 4096;
    memory.scope.declare("p", Bounds::between(-3, 1 << 40)).unwrap();
    memory.scope.declare("strange `name`: 1\n", Bounds::exactly(7)).unwrap();
    let mut decode = Function::new("de;code", vec![term("a\u{1b}b: `c`", "Max(b, `x;y = z`)*4")]);
    decode.proved = false;
    for (relation, right) in [
        (Relation::Equal, "1"),
        (Relation::NotEqual, "`a<=b`"),
        (Relation::AtMost, "p"),
        (Relation::Below, "2*p"),
    ] {
        decode.when.push(Condition { left: expr("s"), relation, right: expr(right) });
    }
    memory.functions.push(decode);
    let text = memory.to_string();
    assert_eq!(MemoryFunction::parse(&text).as_ref(), Ok(&memory), "{text}");
    assert!(text.contains("function `de;code`: checked; s = 1; s != `a<=b`; s <= p; s < 2*p"), "{text}");
    let empty = MemoryFunction::default();
    assert_eq!(MemoryFunction::parse(&empty.to_string()), Ok(empty));
    for (bad, words) in [
        ("weights: 1", "constant: is missing"),
        ("weights: x\nconstant: 0", "line 1: `x` is no whole number"),
        ("weights: 1\nconstant: 0\nterm a: 1", "line 3: a term stands before any function"),
        ("weights: 1\nconstant: 0\nfunction f: maybe", "line 3: a function is proved or checked"),
        ("weights: 1\nconstant: 0\nkv: 2 bytes per 0 tokens; b sequences; p tokens", "at least one token"),
        ("weights: 1\nconstant: 0\nsymbol b: 3..2", "can have no value"),
        ("weights: 1\nconstant: 0\nbytes: 3", "`bytes` is unknown"),
        ("weights 1", "no fact"),
    ] {
        let error = MemoryFunction::parse(bad).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Expressions that rise, fall, round and jump.
fn any_term() -> impl Strategy<Value = Expr> {
    let (x, y) = (|| Expr::symbol("x"), || Expr::symbol("y"));
    (0..7u8, -40i64..40, 1i64..9, 1i64..20).prop_map(move |(kind, c, d, e)| match kind {
        0 => x() * d + y() * c + 900,
        1 => x() * (60 - x()) * d + y() * e,
        2 => (x() * d + c).floor_div(e) * e * 16,
        3 => (x() + y() * e).modulo(e + 3) * d * 20,
        4 => Expr::max_of([x() - y(), Expr::from(d)]) * x() * e,
        5 => x() * x() * d - x() * e * 30 + 700,
        _ => Expr::min_of([x() * e * 10, y() * d + 300]),
    })
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let relation = prop_oneof![
        Just(Relation::Equal),
        Just(Relation::NotEqual),
        Just(Relation::AtMost),
        Just(Relation::Below)
    ];
    (relation, -2i64..63).prop_map(|(relation, c)| Condition {
        left: Expr::symbol("x"),
        relation,
        right: c.into(),
    })
}

fn any_memory() -> impl Strategy<Value = MemoryFunction> {
    let terms = prop::collection::vec(any_term(), 1..4);
    let function =
        (terms, prop::collection::vec(any_condition(), 0..3), prop::sample::select(vec!["f", "g"]));
    let kv = prop::option::of((1u64..9, 1u64..40));
    (0u64..500, kv, prop::collection::vec(function, 1..5)).prop_map(|(weights, kv, functions)| {
        let named = |(terms, when, name): (Vec<Expr>, Vec<Condition>, &str)| Function {
            when,
            ..Function::new(name, terms.into_iter().map(|bytes| Term { name: "t".into(), bytes }).collect())
        };
        let mut scope = Scope::new();
        scope.declare("x", Bounds::between(-2, 60)).unwrap();
        let kv = kv.map(|(block_tokens, block_bytes)| KvCache {
            sequences: Expr::from(2),
            tokens: expr("x + y + 2"),
            block_tokens,
            block_bytes,
        });
        MemoryFunction {
            weights,
            kv,
            functions: functions.into_iter().map(named).collect(),
            scope,
            constant: 3,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_solution_is_what_trying_every_value_finds(memory in any_memory(), y in 0i64..30, budget in 0u64..12_000) {
        let others = Bindings::new().with("y", y);
        let fits = |x: i64| memory.eval(&others.clone().with("x", x)).is_ok_and(|bytes| bytes <= budget);
        let largest = (-2..=60).rev().find(|&x| fits(x));
        let first_not = (-2..=60).find(|&x| !fits(x)).unwrap_or(61);
        match (memory.solve(budget, "x", &others), largest) {
            (Ok(found), Some(largest)) => {
                prop_assert_eq!(found.value, largest);
                let up_to = (first_not > -2).then(|| largest.min(first_not - 1));
                prop_assert_eq!(found.all_up_to, up_to);
                prop_assert_eq!(memory.eval(&others.with("x", largest)), Ok(found.bytes));
            }
            (Err(SolveError::Nothing { .. } | SolveError::Memory(MemoryError::NoFunction(_))), None) => {}
            (found, largest) => prop_assert!(false, "{:?}, but {:?}", found, largest),
        }
    }

    #[test]
    fn the_binding_term_is_the_largest(memory in any_memory(), x in -2i64..60, y in 0i64..30) {
        let point = Bindings::new().with("x", x).with("y", y);
        let runs = |f: &&Function| f.when.iter().all(|c| c.holds(&point).unwrap());
        let values = memory.functions.iter().filter(runs).flat_map(|f| &f.terms);
        let most = values.map(|t| t.bytes.eval(&point).unwrap().max(0).unsigned_abs()).max();
        let idle = memory.functions.iter().any(|f| !memory.functions.iter().filter(runs).any(|part| part.name == f.name));
        match memory.binding(&point) {
            Ok(binding) => prop_assert_eq!((binding.map(|b| b.bytes), idle), (most, false)),
            Err(_) => prop_assert!(idle),
        }
    }
}
