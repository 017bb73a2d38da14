//! Long lines, which are cut into blocks: as if they were not.

use bayplan_expr::Bindings;
use bayplan_graph::{DType, NoFiles, Tensor, eval};

use super::{A, bytes, graph, i64s, info, model, node, tensor};
use crate::{ImportOptions, import};

/// Small integers, each of them often, at two lines.
fn line(n: usize) -> Vec<i64> {
    (0..2 * n as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as i64 - 512).collect()
}

/// The results of a node over lines along the middle axis, with how many nodes of that name it became.
fn run(op: &str, attributes: &[(&str, A)], n: usize, second: &Tensor, made: &str) -> (Vec<Vec<i64>>, usize) {
    let outputs: &[&str] = if op == "TopK" { &["y", "at"] } else { &["y"] };
    let text = n.to_string();
    let inputs = vec![info("x", DType::I64, &["2", &text, "1"])];
    let mut whole = graph(vec![node(op, &["x", "second"], outputs, attributes)], inputs, outputs);
    whole.initializer = vec![tensor("second", second)];
    let mut graph = import(&bytes(&model(14, whole)), &ImportOptions::default()).expect("a graph");
    graph.infer().expect("types");
    let x = i64s(&[2, n, 1], &line(n));
    let results = eval(&graph, &[x], &NoFiles).expect("results");
    let count = graph.nodes.iter().filter(|node| node.op.name() == made).count();
    (results.iter().map(|tensor| tensor.to_i64().expect("integers")).collect(), count)
}

/// More than there are, or less than none, is refused; of a symbol it is once that has a value.
#[test]
fn there_must_be_as_many() {
    let of = |dim: &str, k: i64| {
        let inputs = vec![info("x", DType::F32, &[dim])];
        let mut whole = graph(vec![node("TopK", &["x", "k"], &["y", "at"], &[])], inputs, &["y"]);
        whole.initializer = vec![tensor("k", &i64s(&[1], &[k]))];
        let graph =
            import(&bytes(&model(14, whole)), &ImportOptions::default()).map_err(|e| e.to_string())?;
        graph.bind(&Bindings::default().with("n", 3)).map(|_| ()).map_err(|e| e.to_string())
    };
    for (dim, k, text) in [
        ("3", 4, "k is 4, but axis -1 has 3 elements"),
        ("n", -1, "k is -1, but axis -1 has n elements"),
        ("n", 4, "would make a dimension of n - 4, which is -1"),
    ] {
        let e = of(dim, k).unwrap_err();
        assert!(e.contains(text), "{e}");
    }
    assert_eq!((of("n", 3), of("n", 0)), (Ok(()), Ok(())));
}

#[test]
fn running_sums() {
    for (n, steps) in [(4096, 1), (4097, 2), (10_000, 2)] {
        for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
            let attributes = [("exclusive", A::I(exclusive.into())), ("reverse", A::I(reverse.into()))];
            let (made, count) = run("CumSum", &attributes, n, &i64s(&[], &[1]), "CumSum");
            let mut want = line(n);
            for row in want.chunks_exact_mut(n) {
                let mut all = 0;
                let places: Vec<usize> = if reverse { (0..n).rev().collect() } else { (0..n).collect() };
                for at in places {
                    let own = row[at];
                    row[at] = if exclusive { all } else { all + own };
                    all += own;
                }
            }
            assert!(made[0] == want, "{n} {exclusive} {reverse}");
            assert_eq!(count, steps, "{n}");
        }
    }
}

#[test]
fn the_first_in_order() {
    // In one go, by blocks once, and twice; so many that no block would lose any.
    for (n, k, steps) in [(2048, 5, 1), (2500, 3, 2), (50_257, 50, 3), (3000, 2900, 1), (3000, 0, 2)] {
        for largest in [true, false] {
            let attributes = [("axis", A::I(1)), ("largest", A::I(largest.into()))];
            let (made, count) = run("TopK", &attributes, n, &i64s(&[1], &[k]), "Rank");
            let (mut values, mut positions) = (Vec::new(), Vec::new());
            for row in line(n).chunks_exact(n) {
                let mut order: Vec<usize> = (0..n).collect();
                order.sort_by_key(|&at| if largest { -row[at] } else { row[at] });
                values.extend(order[..k as usize].iter().map(|&at| row[at]));
                positions.extend(order[..k as usize].iter().map(|&at| at as i64));
            }
            assert!(made[0] == values && made[1] == positions, "{k} of {n}, {largest}");
            assert_eq!(count, steps, "{k} of {n}");
        }
    }
}
