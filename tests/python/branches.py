"""Models with Ifs, with cases that onnxruntime answers: branches.py FOLDER"""

import pathlib
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import cases

FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL


def value(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def body(name, nodes, outputs, initializers=()):
    return helper.make_graph(nodes, name, [], [value(o) for o in outputs], list(initializers))


def branch(name, condition, outputs, then_body, else_body):
    return helper.make_node("If", [condition], outputs, name=name, then_branch=then_body, else_branch=else_body)


def model(nodes, inputs, outputs, initializers=(), metadata=()):
    graph = helper.make_graph(nodes, "branches", inputs, [value(o) for o in outputs], list(initializers))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, dict(metadata))
    return made


def weight(rng, name, *shape):
    return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32) / shape[0] ** 0.5, name)


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def product(name, x, matrices, y):
    """A body that multiplies x by matrices that lie outside."""
    names = [x, *(f"{name}_{i}" for i in range(len(matrices) - 1)), y]
    nodes = [helper.make_node("MatMul", [a, m], [b]) for a, m, b in zip(names, matrices, names[1:])]
    return body(name, nodes, [y])


def given(rng):
    """The caller says which; both bodies capture y and constants of the model."""
    nodes = [
        helper.make_node("Exp", ["x"], ["y"]),
        branch("which", "c", ["z"], product("left", "y", ["A", "B"], "t"), product("right", "y", ["C", "D"], "t")),
    ]
    matrices = [weight(rng, name, 3, 3) for name in "ABCD"]
    made = model(nodes, [value("c", BOOL, []), value("x", FLOAT, [2, 3])], ["z"], matrices)
    return made, [({}, {"c": np.array(c), "x": floats(rng, 2, 3)}) for c in (True, False)]


def computed(rng):
    """Data say which, within the one body the caller does, weights are too large to be folded and of one body each."""
    inner = branch("inner", "d", ["u"], product("deep", "y", ["A"], "v"), body("plain", [helper.make_node("Neg", ["y"], ["v"])], ["v"]))
    same = [helper.make_node("Identity", [n], [f"{n}_again"]) for n in ("x", "y")]
    left = body("left", [inner, helper.make_node("Add", ["u", "x"], ["w"]), same[1]], ["w", "y_again"])
    right = body("right", [helper.make_node("MatMul", ["y", "B"], ["p"]), helper.make_node("MatMul", ["p", "A"], ["w"]), same[0]], ["w", "x_again"])
    nodes = [
        helper.make_node("Tanh", ["x"], ["y"]),
        helper.make_node("ReduceSum", ["y"], ["sum"], keepdims=0),
        helper.make_node("Less", ["sum", "zero"], ["c"]),
        branch("outer", "c", ["z", "other"], left, right),
        helper.make_node("Mul", ["z", "z"], ["square"]),
    ]
    zero = numpy_helper.from_array(np.float32(0), "zero")
    matrices = [weight(rng, name, 64, 64) for name in "AB"]
    inputs = [value("d", BOOL, [1]), value("x", FLOAT, [3, 64])]
    made = model(nodes, inputs, ["square", "other"], [zero, *matrices])
    sides = [(c, d) for c in (-1, 1) for d in (True, False)]
    return made, [({}, {"d": np.array([d]), "x": np.abs(floats(rng, 3, 64)) * np.float32(c)}) for c, d in sides]


def in_a_row(rng):
    """Two conditions of data, one after the other: the second depends on what the first chose."""
    def less(x, c):
        return [helper.make_node("ReduceMean", [x], [f"{c}_mean"], keepdims=0), helper.make_node("Less", [f"{c}_mean", "zero"], [c])]

    def single(op, x, y):
        return body(op, [helper.make_node(op, [x], [y])], [y])

    nodes = [
        *less("x", "c"),
        branch("first", "c", ["y"], product("left", "x", ["B"], "a"), product("right", "x", ["A"], "a")),
        *less("y", "d"),
        branch("second", "d", ["z"], single("Abs", "y", "b"), single("Sigmoid", "y", "b")),
    ]
    constants = [numpy_helper.from_array(np.float32(0), "zero"), weight(rng, "A", 80, 80), weight(rng, "B", 80, 80)]
    made = model(nodes, [value("x", FLOAT, [2, 80])], ["z"], constants)
    return made, [({}, {"x": floats(rng, 2, 80)}) for _ in range(12)]


def shapes(rng):
    """What TorchScript makes of squeeze(): the shape says which, and the results differ in shape."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], start=0, end=1),
        helper.make_node("Equal", ["shape", "one"], ["c"]),
        branch(
            "squeeze", "c", ["z"],
            body("one_row", [helper.make_node("Squeeze", ["x", "axis"], ["row"]), helper.make_node("Unsqueeze", ["row", "axis"], ["s"])], ["s"]),
            body("rows", [helper.make_node("Concat", ["x", "x"], ["s"], axis=0)], ["s"]),
        ),
        helper.make_node("Exp", ["z"], ["y"]),
    ]
    constants = [numpy_helper.from_array(np.array([n]), name) for n, name in ((1, "one"), (0, "axis"))]
    made = model(nodes, [value("x", FLOAT, ["n", 4])], ["y"], constants, {"bayplan.dim_max.n": "6", "bayplan.dim_min.n": "1"}.items())
    return made, [({"n": n}, {"x": floats(rng, n, 4)}) for n in (1, 2, 5, 6)]


def backend_tests(folder):
    """The onnx package's own models with Ifs: the one of tensors, and those that bayplan refuses."""
    warnings.simplefilter("ignore")
    from onnx.backend.test.loader import load_model_tests

    tests = {t.name: t for t in load_model_tests(kind="node") if t.name.startswith("test_if")}
    for name in ("test_if_seq", "test_if_opt"):
        onnx.save(tests.pop(name).model, folder / f"{name}.onnx")
    for name, test in tests.items():
        names = [i.name for i in test.model.graph.input]
        yield name, (test.model, [({}, dict(zip(names, inputs))) for inputs, _ in test.data_sets])


def main():
    import onnxruntime

    folder = pathlib.Path(sys.argv[1])
    made = {f.__name__: f(np.random.default_rng(7)) for f in (given, computed, in_a_row, shapes)}
    made.update(backend_tests(folder))
    for name, (built, asked) in made.items():
        own = folder / name
        own.mkdir()
        onnx.save(built, own / "model.onnx")
        session = onnxruntime.InferenceSession(own / "model.onnx", providers=["CPUExecutionProvider"])
        for index, (dims, inputs) in enumerate(asked):
            cases.write(session, own / f"{index}", dims, inputs)
            # It writes scalars as lists of one.
            for key, array in inputs.items():
                np.save(own / f"{index}" / f"in_{key}.npy", array, allow_pickle=False)


main()
