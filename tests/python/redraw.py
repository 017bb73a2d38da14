#!/usr/bin/env python3
"""The conformance cases with other inputs, and what the onnx package's reference evaluator answers to them.

    redraw.py CASES --out DIR [--seed N] [--only REGEX]

reads what conformance.py wrote to CASES and writes the same layout to DIR. Models stay as they are; inputs are drawn again
within the range of the values that the case has, so that they stay legal:

    floating-point numbers   uniform between the least and the greatest that are finite; as many NaN and infinite ones as
                             there were, elsewhere; no zero where there was none
    integers                 uniform likewise; what indexes, counts or labels is drawn from the values that the case has
    booleans                 either

What decides shapes (axes, sizes, repeats, k, pads and the like) stays, and so do a few inputs whose values belong together:
KEPT says which. A case that cannot be drawn again is out, with the reason as its tier: nothing in it may change, or the
evaluator does not answer, or does not answer what the case expects of its own inputs. Networks of the kind light are
answered by onnxruntime: the evaluator would take minutes.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from conformance import given, nodes

SEED = 20260711

# Allowed of every output beside the case's own tolerances, as a share of its largest element: among many numbers that are
# drawn some sums cancel, and what is left of them is their rounding.
SHARE = 2.0**-20

# Operator: inputs that decide shapes, or that belong together with others.
KEPT = {
    "AffineGrid": [1],
    "BlackmanWindow": [0],
    "CenterCropPad": [1],
    "Col2Im": [1, 2],
    "ConstantOfShape": [0],
    "CumProd": [1],
    "CumSum": [1],
    "DFT": [1, 2],
    "Dropout": [1, 2],
    "Expand": [1],
    "HammingWindow": [0],
    "HannWindow": [0],
    "MaxUnpool": [1, 2],
    "MelWeightMatrix": [0, 1, 2, 3, 4],
    "NonMaxSuppression": [2, 3, 4],
    "OneHot": [1],
    "Pad": [1, 3],
    "Range": [0, 1, 2],
    "Resize": [1, 2, 3],
    "Reshape": [1],
    "STFT": [1, 3],
    "Slice": [1, 2, 3, 4],
    "Split": [1],
    "Squeeze": [1],
    "TensorScatter": [2],
    "Tile": [1],
    "TopK": [1],
    "Trilu": [1],
    "Unsqueeze": [1],
    "Upsample": [1],
    **{f"Reduce{what}": [1] for what in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")},
}

# Zero where the type is a floating-point one: ONNX has no other zero points of these, and the evaluator looks at none.
ZERO_POINTS = {"DequantizeLinear": [2], "QuantizeLinear": [2]}

# Without duplicates: what is written twice has no value that is defined.
SHUFFLED = {"Scatter": [1], "ScatterElements": [1], "ScatterND": [1]}

# Operator: inputs that index, count or label: drawn from the values that the case has.
CHOSEN = {
    "Attention": [6],
    "Gather": [1],
    "GatherElements": [1],
    "GatherND": [1],
    "GRU": [4],
    "LSTM": [4],
    "NegativeLogLikelihoodLoss": [1],
    "OneHot": [0],
    "ReverseSequence": [1],
    "RNN": [4],
    "RoiAlign": [2],
    "RotaryEmbedding": [3],
    "SoftmaxCrossEntropyLoss": [1],
}


class Out(Exception):
    """Why a case cannot be drawn again."""


def positions(model, table):
    """Names of the values that a table lists, with those that they follow from: what has a shape says nothing by its values."""
    names = direct(model, table)
    through = [node for node in nodes(model.graph) if node.op_type not in ("Shape", "Size")]
    while True:
        more = {name for node in through if names & set(node.output) for name in node.input} - names
        if not more:
            return names
        names |= more


def direct(model, table):
    """Names of the values that a table lists."""
    listed = lambda node: [node.input[at] for at in table.get(node.op_type, []) if at < len(node.input)]
    return {name for node in nodes(model.graph) for name in listed(node)}


def between(generator, values, shape):
    """Numbers between the least and the greatest of some, no zero where there was none."""
    wide = values.astype(np.float64) if values.dtype.kind not in "iu" else values
    low, high = wide.min(), wide.max()
    if values.dtype.kind in "iu":
        drawn = generator.integers(int(low), int(high), size=shape, endpoint=True, dtype=values.dtype)
        return np.where((drawn == 0) & np.all(values != 0), values.flat[0], drawn)
    if low == high:
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (-1.0, 1.0)
    return generator.uniform(low, high, size=shape)


def draw(generator, values, how):
    """Other values for an input."""
    if values.size == 0:
        return values
    if how == "shuffle":
        return values
    if values.dtype == bool:
        return generator.integers(0, 2, size=values.shape).astype(bool)
    if how == "choose":
        return generator.choice(values.reshape(-1), size=values.shape)
    kind = values.dtype.kind
    if kind in "iu":
        return between(generator, values, values.shape).astype(values.dtype)
    wide = values.astype(np.float64)
    finite = np.isfinite(wide)
    if not finite.any():
        return generator.permutation(values.reshape(-1)).reshape(values.shape)
    drawn = between(generator, wide[finite], values.shape)
    special = generator.permutation(wide.reshape(-1)).reshape(values.shape)
    return np.where(np.isfinite(special), drawn, special).astype(values.dtype)


def is_float(dtype):
    """Whether elements are floating-point numbers, those of 8 bits and fewer among them."""
    return dtype.kind == "f" or dtype.name.startswith(("bfloat", "float"))


def shuffled(generator, values, op):
    """Indices of a scatter, in another order along the axis of updates."""
    return generator.permutation(values, axis=0) if op == "ScatterND" and values.ndim == 2 else values


def redrawn(case, model, inputs):
    """Other inputs for a case."""
    generator = np.random.default_rng([SEED, zlib.crc32(case["id"].encode())])
    kept, chosen, shuffle = positions(model, KEPT), direct(model, CHOSEN), direct(model, SHUFFLED)
    zero_points = direct(model, ZERO_POINTS)
    values = {}
    for info, tensor in zip(given(model), inputs):
        array = numpy_helper.to_array(tensor)
        if info.name in kept or (info.name in zero_points and is_float(array.dtype)):
            values[info.name] = array
        elif info.name in shuffle:
            values[info.name] = shuffled(generator, array, case["op"])
        else:
            values[info.name] = draw(generator, array, "choose" if info.name in chosen else "draw")
    return special(case, values)


def special(case, values):
    """What a table cannot say."""
    if case["op"] == "NonMaxSuppression":
        name = next(iter(values))
        corners = values[name].reshape(-1, 2, 2)
        values[name] = np.sort(corners, axis=1).reshape(values[name].shape)
    if case["op"] == "LpNormalization":
        # With p = 1 the evaluator adds up the elements, not their absolute values.
        values = {name: np.abs(array) for name, array in values.items()}
    return values


def evaluate(model, values):
    """The evaluator's answer, as the model types it."""
    answers = ReferenceEvaluator(model).run(None, values)
    protos = []
    for info, answer in zip(model.graph.output, answers):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        protos.append(numpy_helper.from_array(np.asarray(answer).astype(dtype), info.name))
    return protos


def by_onnxruntime(model, values):
    """The same by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [
        numpy_helper.from_array(answer, info.name)
        for info, answer in zip(model.graph.output, session.run(None, values))
    ]


def read(folder, name):
    """The tensors NAME_0.pb and so on."""
    files = sorted(folder.glob(f"{name}_*.pb"), key=lambda path: int(path.stem.rsplit("_", 1)[1]))
    return [onnx.load_tensor(path) for path in files]


def same(case, expected, answers):
    """Whether answers are those that a case expects."""
    if len(expected) != len(answers):
        return False
    for want, got in zip(map(numpy_helper.to_array, expected), map(numpy_helper.to_array, answers)):
        if want.shape != got.shape or want.dtype != got.dtype:
            return False
        rtol = max(case["rtol"], 2**-9) if want.dtype == np.float16 else case["rtol"]
        wide = lambda array: array if array.dtype.kind in "biuc" else array.astype(np.float64)
        if not np.allclose(wide(got), wide(want), rtol=rtol, atol=case["atol"], equal_nan=True):
            return False
    return True


def one(case, folder, out):
    """Draws a case again and writes it."""
    model = onnx.load(folder / "model.onnx")
    inputs = read(folder / "0" / "in", "input")
    light = case["id"].startswith("light/")
    answer = by_onnxruntime if light else evaluate
    own = {info.name: numpy_helper.to_array(tensor) for info, tensor in zip(given(model), inputs)}
    other = redrawn(case, model, inputs)
    if all(np.array_equal(own[name], other[name], equal_nan=own[name].dtype.kind == "f") for name in own):
        raise Out("nothing in it may change")
    try:
        if not light and not same(case, read(folder / "0" / "out", "output"), answer(model, own)):
            raise Out("the reference evaluator does not give the outputs that the case expects")
        outputs = answer(model, other)
    except Out:
        raise
    except Exception as e:
        raise Out(f"the reference evaluator fails: {type(e).__name__}") from e
    target = out / case["id"]
    (target / "0" / "in").mkdir(parents=True)
    (target / "0" / "out").mkdir()
    os.link(folder / "model.onnx", target / "model.onnx")
    for at, (name, array) in enumerate(other.items()):
        (target / "0" / "in" / f"input_{at}.pb").write_bytes(numpy_helper.from_array(array, name).SerializeToString())
    for at, tensor in enumerate(outputs):
        (target / "0" / "out" / f"output_{at}.pb").write_bytes(tensor.SerializeToString())


def stamp(cases, seed):
    """What decides the contents of the folder."""
    scripts = b"".join((Path(__file__).parent / name).read_bytes() for name in ("redraw.py", "conformance.py"))
    return {"of": json.loads((cases / "stamp.json").read_text()), "script": hashlib.sha256(scripts).hexdigest(), "seed": seed}


def main():
    global SEED
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", type=re.compile, default=re.compile(""))
    options = parser.parse_args()
    SEED = options.seed
    cases, out = options.cases, options.out
    mark, of = out / "stamp.json", stamp(cases, SEED) | {"only": options.only.pattern}
    if mark.exists() and json.loads(mark.read_text()) == of:
        return
    warnings.filterwarnings("ignore")
    np.seterr(all="ignore")
    shutil.rmtree(out, ignore_errors=True)
    records = []
    for line in (cases / "cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        if case["tier"].startswith("out") or not options.only.search(case["id"]):
            continue
        try:
            one(case, cases / case["id"], out)
            records.append(case | {"sets": 1, "share": SHARE})
        except Out as e:
            records.append(case | {"tier": f"out: {e}"})
    out.mkdir(parents=True, exist_ok=True)
    (out / "cases.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    mark.write_text(json.dumps(of))
    drawn = sum(not record["tier"].startswith("out") for record in records)
    print(f"{drawn} of {len(records)} conformance cases drawn again in {out}")


if __name__ == "__main__":
    sys.exit(main())
