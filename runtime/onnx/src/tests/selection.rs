//! What data selects: results as large as they can be, and how many of their elements count.

use bayplan_graph::{DType, Extent, NoFiles, Tensor, eval, verify};

use super::{A, bytes, f32s, flags, graph, info, model, node};
use crate::{ImportOptions, import};

/// The outputs of one node, those that say how many elements count behind its own, and which are cut.
fn run(op: &str, attributes: &[(&str, A)], inputs: &[Tensor]) -> (Vec<Tensor>, Vec<Extent>) {
    let names: Vec<String> = (0..inputs.len()).map(|i| format!("x{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let infos = names.iter().zip(inputs).map(|(name, tensor)| {
        let dims: Vec<String> = tensor.shape().iter().map(ToString::to_string).collect();
        info(name, tensor.dtype(), &dims.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let graph = graph(vec![node(op, &names, &["y"], attributes)], infos.collect(), &["y"]);
    let mut graph = import(&bytes(&model(13, graph)), &ImportOptions::default()).expect("a graph");
    graph.infer().expect("types");
    verify(&graph).expect("a sound graph");
    assert_eq!(&**graph.output_name(1), "y.count");
    (eval(&graph, inputs, &NoFiles).expect("results"), graph.extents)
}

fn counted(
    op: &str,
    attributes: &[(&str, A)],
    inputs: &[Tensor],
    axis: usize,
    y: (&[usize], &[f64]),
    n: i64,
) {
    let (made, extents) = run(op, attributes, inputs);
    assert_eq!(extents, [Extent { output: 0, axis, count: 1 }], "{op}");
    assert_eq!((made[0].shape(), made[0].to_f64()), (y.0, y.1.to_vec()), "{op} {attributes:?}");
    assert_eq!(made[1].to_i64().expect("integers"), [n]);
}

#[test]
fn positions_of_what_is_not_zero() {
    let x = f32s(&[2, 3], &[0.0, 2.0, f32::NAN, -0.0, 0.0, -1.0]);
    let rows = [0., 0., 1., 0., 0., 0., 1., 2., 2., 0., 0., 0.];
    counted("NonZero", &[], &[x], 1, (&[2, 6], &rows), 3);
    let none = Tensor::from_ints(DType::I8, vec![2], &[0, 0]).expect("a tensor");
    counted("NonZero", &[], &[none], 1, (&[1, 2], &[0., 0.]), 0);
    // A scalar has no coordinates.
    counted("NonZero", &[], &[f32s(&[], &[3.0])], 1, (&[0, 1], &[]), 1);
}

#[test]
fn slices_and_elements_that_a_condition_takes() {
    let x = f32s(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let along = |axis| [("axis", A::I(axis))];
    let mask = flags(&[3], &[false, true, true]);
    counted("Compress", &along(0), &[x.clone(), mask], 0, (&[3, 2], &[3., 4., 5., 6., 1., 2.]), 2);
    let mask = flags(&[2], &[false, true]);
    counted("Compress", &along(-1), &[x.clone(), mask], 1, (&[3, 2], &[2., 1., 4., 3., 6., 5.]), 1);
    // Of all elements, with a condition that ends before them.
    let mask = flags(&[4], &[true, false, false, true]);
    counted("Compress", &[], &[x, mask], 0, (&[4], &[1., 4., 1., 1.]), 2);
}

#[test]
fn distinct_elements() {
    let x = f32s(&[6], &[2.0, 1.0, 1.0, 3.0, 4.0, 3.0]);
    counted("Unique", &[], std::slice::from_ref(&x), 0, (&[6], &[1., 2., 3., 4., 2., 2.]), 4);
    let unsorted = [("sorted", A::I(0))];
    counted("Unique", &unsorted, &[x], 0, (&[6], &[2., 1., 3., 4., 2., 2.]), 4);
    let x = f32s(&[2, 3], &[1.0, 0.0, 1.0, 2.0, 3.0, 2.0]);
    counted(
        "Unique",
        &[("axis", A::I(-1))],
        std::slice::from_ref(&x),
        1,
        (&[2, 3], &[0., 1., 1., 3., 2., 2.]),
        2,
    );
    counted("Unique", &[], &[x], 0, (&[6], &[0., 1., 2., 3., 1., 1.]), 4);
}

#[test]
fn boxes_that_no_better_one_overlaps() {
    let corners = [0.0, 0.0, 1.0, 1.0, 0.0, 0.1, 1.0, 1.1, 0.0, 10.0, 1.0, 11.0];
    let (boxes, scores) = (f32s(&[1, 3, 4], &corners), f32s(&[1, 1, 3], &[0.9, 0.8, 0.3]));
    let most = Tensor::from_i64(vec![1], &[5]).expect("a number");
    let all = |overlap: f32, least: f32| {
        [boxes.clone(), scores.clone(), most.clone(), f32s(&[1], &[overlap]), f32s(&[], &[least])]
    };
    let kept = |rows: &[usize]| {
        let mut list: Vec<f64> = rows.iter().flat_map(|&row| [0.0, 0.0, row as f64]).collect();
        list.resize(9, 0.0);
        list
    };
    let check = |inputs: &[Tensor], rows: &[usize]| {
        counted("NonMaxSuppression", &[], inputs, 0, (&[3, 3], &kept(rows)), rows.len() as i64);
    };
    check(&all(0.5, 0.0), &[0, 2]);
    check(&all(0.95, 0.0), &[0, 1, 2]);
    check(&all(0.95, 0.5), &[0, 1]);
    // Without thresholds every overlap is too much, and no score too little.
    check(&all(0.0, 0.0)[..3], &[0, 2]);
    counted("NonMaxSuppression", &[], &all(0.5, 0.0)[..2], 0, (&[0, 3], &[]), 0);
}
