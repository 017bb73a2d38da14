//! Dropout in training: how many elements it keeps, which, and their scale.

use bayplan_graph::{DType, NoFiles, Tensor, eval};

use super::{A, bytes, f32s, graph, info, model, node};
use crate::{ImportOptions, import};

/// The kept elements of 10,000 ones, and the scale of each.
fn kept(seed: i64, ratio: f32, training: bool) -> (Vec<bool>, Vec<f32>) {
    let inputs = vec![
        info("x", DType::F32, &["100", "100"]),
        info("ratio", DType::F32, &[]),
        info("training", DType::Bool, &[]),
    ];
    let made = node("Dropout", &["x", "ratio", "training"], &["y", "kept"], &[("seed", A::I(seed))]);
    let model = bytes(&model(13, graph(vec![made], inputs, &["y", "kept"])));
    let mut graph = import(&model, &ImportOptions::default()).expect("a graph");
    graph.infer().expect("types");
    let given = [
        f32s(&[100, 100], &[1.0; 10_000]),
        f32s(&[], &[ratio]),
        Tensor::from_bool(vec![], &[training]).expect("a tensor"),
    ];
    let made = eval(&graph, &given, &NoFiles).expect("results");
    let flags = made[1].to_f64().iter().map(|&v| v != 0.0).collect();
    (flags, made[0].to_f64().iter().map(|&v| v as f32).collect())
}

#[test]
fn as_many_are_kept_as_the_ratio_says_and_the_mean_stays() {
    for ratio in [0.1_f32, 0.5, 0.75] {
        let (flags, y) = kept(7, ratio, true);
        let count = flags.iter().filter(|&&kept| kept).count();
        // Five standard deviations of a binomial of 10,000.
        let (expected, spread) = (1e4 * (1.0 - f64::from(ratio)), 250.0);
        assert!((count as f64 - expected).abs() < spread, "{count} kept at {ratio}");
        let scale = 1.0 / (1.0 - ratio);
        assert!(flags.iter().zip(&y).all(|(&kept, &y)| if kept {
            (y - scale).abs() < 1e-5
        } else {
            y == 0.0
        }));
        // Neighbours are dropped independently of each other: pairs fall as often as the ratio's square says.
        let pairs = flags.windows(2).filter(|pair| !pair[0] && !pair[1]).count() as f64;
        assert!((pairs - 1e4 * f64::from(ratio * ratio)).abs() < 300.0, "{pairs} pairs at {ratio}");
    }
}

#[test]
fn seeds_differ_and_repeat() {
    let (first, again, other) = (kept(1, 0.5, true).0, kept(1, 0.5, true).0, kept(2, 0.5, true).0);
    assert_eq!(first, again);
    let equal = first.iter().zip(&other).filter(|(a, b)| a == b).count();
    assert!((4_750..5_250).contains(&equal), "{equal} of 10,000 are alike");
}

#[test]
fn all_is_kept_outside_training() {
    let (flags, y) = kept(1, 0.9, false);
    assert!(flags.iter().all(|&kept| kept) && y.iter().all(|&y| y == 1.0));
}
