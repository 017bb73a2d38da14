//! What may read values whose size depends on data, and along which axis its results then do.

use bayplan_graph::DType;

use super::{A, bytes, f32s, graph, i64s, info, model, node, tensor};
use crate::generated::onnx::NodeProto;
use crate::{ImportOptions, import};

/// The axis along which `y` counts, which a node makes of `v` [4, n of 3, 5] (and `w`, as large by the same mask), or why it cannot.
fn axis(op: &str, inputs: &[&str], attributes: &[(&str, A)]) -> Result<Option<usize>, String> {
    nodes(vec![node(op, inputs, &["y"], attributes)])
}

fn nodes(nodes: Vec<NodeProto>) -> Result<Option<usize>, String> {
    let along = [("axis", A::I(1))];
    let mut all = vec![node("Compress", &["x", "mask"], &["v"], &along), node("Neg", &["v"], &["w"], &[])];
    all.extend([node("Compress", &["x", "mask"], &["other"], &along), node("NonZero", &["x"], &["at"], &[])]);
    all.extend(nodes);
    let infos = vec![info("x", DType::F32, &["4", "3", "5"]), info("mask", DType::Bool, &["3"])];
    let mut whole = graph(all, infos, &["y"]);
    let ints = |name: &str, list: &[i64]| tensor(name, &i64s(&[list.len()], list));
    let ones = |name: &str, dims: &[usize]| tensor(name, &f32s(dims, &vec![1.0; dims.iter().product()]));
    whole.initializer = vec![ints("zero", &[0]), ints("one", &[1]), ints("two", &[2]), ints("all", &[-1])];
    whole.initializer.extend([ones("row", &[5]), ones("column", &[4, 1, 1]), ones("same", &[4, 3, 5])]);
    whole.initializer.extend([
        ones("wide", &[2, 4, 1, 5]),
        ones("matrix", &[5, 2]),
        ones("batches", &[4, 5, 2]),
    ]);
    whole.initializer.push(ones("left", &[4, 2, 3]));
    let imported = import(&bytes(&model(13, whole)), &ImportOptions::default()).map_err(|e| e.to_string())?;
    Ok(imported.extents.first().map(|extent| extent.axis))
}

#[test]
fn what_takes_elements_each_for_itself_goes_on() {
    let check = |op: &str, inputs: &[&str], attributes: &[(&str, A)], want: usize| {
        assert_eq!(axis(op, inputs, attributes), Ok(Some(want)), "{op} {inputs:?} {attributes:?}");
    };
    check("Relu", &["v"], &[], 1);
    check("Identity", &["v"], &[], 1);
    check("Cast", &["v"], &[("to", A::I(7))], 1);
    check("Add", &["v", "w"], &[], 1);
    check("Add", &["row", "v"], &[], 1);
    check("Mul", &["v", "column"], &[], 1);
    check("Mul", &["wide", "v"], &[], 2);
    check("Transpose", &["v"], &[("perm", A::Is(vec![1, 2, 0]))], 0);
    check("Unsqueeze", &["v", "one"], &[], 2);
    check("Slice", &["v", "zero", "two", "two"], &[], 1);
    check("ReduceSum", &["v", "zero"], &[("keepdims", A::I(0))], 0);
    check("ReduceSum", &["v", "two"], &[("keepdims", A::I(0))], 1);
    check("ReduceSum", &["v", "zero"], &[], 1);
    check("Softmax", &["v"], &[("axis", A::I(-1))], 1);
    check("CumSum", &["v", "one"], &[], 1);
    check("CumSum", &["v", "zero"], &[("reverse", A::I(1))], 1);
    check("Concat", &["v", "w"], &[("axis", A::I(0))], 1);
    check("Gather", &["v", "zero"], &[("axis", A::I(0))], 1);
    check("Gather", &["v", "one"], &[("axis", A::I(2))], 1);
    check("MatMul", &["v", "matrix"], &[], 1);
    check("Gather", &["row", "at"], &[], 1);
}

#[test]
fn tuples_of_positions_pick_elements() {
    let picked = || {
        vec![node("Transpose", &["at"], &["tuples"], &[]), node("GatherND", &["x", "tuples"], &["y"], &[])]
    };
    assert_eq!(nodes(picked()), Ok(Some(0)));
}

#[test]
fn what_needs_all_of_it_or_its_size_is_refused_by_name() {
    let check = |op: &str, inputs: &[&str], attributes: &[(&str, A)], made: &str| {
        let e = axis(op, inputs, attributes).unwrap_err();
        let (reads, of) = (format!("{made} reads `"), "whose size depends on data");
        assert!(e.contains(&reads) && e.contains(of), "{op} {inputs:?}: {e}");
    };
    check("Add", &["v", "same"], &[], "Add");
    check("Add", &["v", "other"], &[], "Add");
    check("Shape", &["v"], &[], "Shape");
    check("Reshape", &["v", "all"], &[], "Reshape");
    check("Slice", &["v", "zero", "two", "one"], &[], "Slice");
    check("ReduceSum", &["v", "one"], &[], "ReduceSum");
    check("ReduceMean", &["v"], &[], "ReduceMean");
    check("Softmax", &["v"], &[("axis", A::I(1))], "Softmax");
    check("CumSum", &["v", "one"], &[("reverse", A::I(1))], "CumSum");
    check("Concat", &["v", "w"], &[("axis", A::I(1))], "Concat");
    check("Concat", &["v", "same"], &[("axis", A::I(0))], "Concat");
    check("Gather", &["v", "zero"], &[("axis", A::I(1))], "Gather");
    check("MatMul", &["left", "v"], &[], "MatMul");
    check("GatherND", &["x", "at"], &[], "GatherND");
    check("TopK", &["v", "one"], &[("axis", A::I(0))], "Shape");
}
