"""Models at the edges of their dimensions, with cases that onnxruntime answers: edges.py FOLDER

A case that onnxruntime refuses is a folder with the inputs alone.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import cases

FLOAT = TensorProto.FLOAT


def model(nodes, inputs, outputs, constants=(), opset=18, **bounds):
    """`inputs` are names with shapes, `bounds` upper bounds of symbols."""
    ports = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()]
    ends = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    constants = [numpy_helper.from_array(np.array(array), name) for name, array in constants]
    graph = helper.make_graph(nodes, "edges", ports, ends, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(made, {f"bayplan.dim_max.{name}": str(most) for name, most in bounds.items()})
    return made


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), name=op.lower(), **attributes)


def pieces(rng):
    """Equal pieces of an axis, of which the last one may be smaller."""
    nodes = [node("Exp", "x", "e"), node("Split", "e", "a b c", axis=1, num_outputs=3)]
    made = model(nodes, {"x": ["b", "n"]}, "abc", b=3, n=11)
    return made, [{"x": floats(rng, 2, n)} for n in (3, 5, 6, 7, 8, 11)]


def halves(rng):
    """Equal pieces of an axis, which must divide."""
    nodes = [node("Exp", "x", "e"), node("Split", "e", "a b", axis=1)]
    made = model(nodes, {"x": ["b", "n"]}, "ab", opset=13, b=3, n=11)
    return made, [{"x": floats(rng, 2, n)} for n in (2, 4, 10)]


def window(rng):
    """An axis on which a window of three elements has no place if it is shorter."""
    nodes = [node("MaxPool", "x", "p", kernel_shape=[3]), node("Exp", "p", "y")]
    made = model(nodes, {"x": ["b", 2, "n"]}, "y", b=3, n=9)
    return made, [{"x": floats(rng, 2, 2, n)} for n in (3, 4, 9)]


def reductions(rng):
    """Means and sums, of nothing too."""
    ops = ["ReduceMean", "ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"]
    nodes = [node(op, "x axes", f"y{i}") for i, op in enumerate(ops)]
    made = model(nodes, {"x": ["b", "n"]}, [f"y{i}" for i in range(len(ops))], [("axes", [1])], b=3, n=9)
    return made, [{"x": floats(rng, 2, n)} for n in (0, 1, 7, 0, 9)]


def spread(rng):
    """Dimensions that are equal, or one of them 1."""
    nodes = [node("Exp", "x", "e"), node("Add", "e y", "z"), node("Tanh", "z", "t"), node("Mul", "t w", "u")]
    made = model(nodes, {"x": ["b", "n"], "y": ["b", "m"], "w": ["k"]}, "ezu", b=3, n=9, m=12, k=9)
    sizes = [(3, 3, 3), (3, 1, 3), (1, 3, 1), (1, 1, 1), (9, 9, 1), (9, 1, 9), (1, 12, 1), (0, 1, 1), (1, 1, 9), (9, 9, 9)]
    return made, [{"x": floats(rng, 2, n), "y": floats(rng, 2, m), "w": floats(rng, k)} for n, m, k in sizes]


def known(rng):
    """A dimension that is a number of the model's, or 1."""
    made = model([node("Exp", "x", "e"), node("Mul", "e c", "y")], {"x": ["b", "n"]}, "y", [("c", floats(rng, 5))], b=3, n=9)
    return made, [{"x": floats(rng, 2, n)} for n in (5, 1, 5)]


def mask(rng):
    """A mask as long as past and new tokens together, or one for all."""
    nodes = [node("Concat", "x y", "both", axis=1), node("Add", "both mask", "z"), node("Softmax", "z", "s", axis=1)]
    made = model(nodes, {"x": ["b", "past"], "y": ["b", "seq"], "mask": ["total"]}, "s", b=3, past=5, seq=4, total=9)
    sizes = [(2, 3, 5), (2, 3, 1), (0, 1, 1), (1, 0, 7), (0, 1, 9), (5, 4, 9)]
    return made, [{"x": floats(rng, 2, p), "y": floats(rng, 2, s), "mask": floats(rng, t)} for p, s, t in sizes]


def dropped(rng):
    """A dimension that is dropped must be 1, and reads as what it says."""
    nodes = [node("Squeeze", "x axis", "s"), node("Exp", "s", "y")]
    made = model(nodes, {"x": ["b", "n"]}, "y", [("axis", [1])], b=3, n=9)
    return made, [{"x": floats(rng, b, 1)} for b in (1, 3, 2)]


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def main():
    import onnxruntime

    folder = pathlib.Path(sys.argv[1])
    for make in (pieces, halves, window, reductions, spread, known, mask, dropped):
        built, asked = make(np.random.default_rng(11))
        own = folder / make.__name__
        own.mkdir()
        onnx.save(built, own / "model.onnx")
        session = onnxruntime.InferenceSession(own / "model.onnx", providers=["CPUExecutionProvider"])
        for index, inputs in enumerate(asked):
            cases.write(session, own / f"{index}", {}, inputs)


main()
