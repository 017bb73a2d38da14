#!/usr/bin/env python3
"""Operators at random shapes, with what onnxruntime makes of them.

    compared.py --out DIR [--shapes N]

writes, in the layout of conformance.py,

    DIR/<domain>.<operator>/<number>/model.onnx         one node, its variant (what is left out, which attributes) drawn too
    DIR/<operator>/<number>/0/in/input_<i>.pb  its inputs
    DIR/<operator>/<number>/0/out/output_<i>.pb  what onnxruntime gives for them on the CPU
    DIR/cases.jsonl, DIR/stamp.json

They are those of the domain com.microsoft, and those of ONNX whose many variants its own test set has few of: attention and the
recurrent ones. Where onnxruntime leaves rows as it finds them (behind the end of a padded sequence) the model sets them to 0 after the node.
A folder whose stamp matches the packages and this script is kept as it is.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

DOMAIN = "com.microsoft"
OPSET = 23


class Draw:
    """One case: a node, its operands, and what is drawn for them."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.inputs, self.weights, self.masks = {}, {}, {}
        self.attributes, self.operands, self.outputs = {}, [], []

    def size(self, low, high):
        return int(self.random.integers(low, high + 1))

    def chance(self):
        return bool(self.random.integers(2))

    def floats(self, *shape, scale=1.0):
        return (scale * self.random.standard_normal(shape)).astype(np.float32)

    def give(self, name, value, weight=False):
        (self.weights if weight else self.inputs)[name] = np.asarray(value)
        self.operands.append(name)

    def skip(self):
        self.operands.append("")

    def model(self, operator, domain):
        operands = list(self.operands)
        while operands and not operands[-1]:
            operands.pop()
        made = [f"{name}.all" if name in self.masks else name for name in self.outputs]
        nodes = [helper.make_node(operator, operands, made, name="node", domain=domain, **self.attributes)]
        for name, mask in self.masks.items():
            self.weights[f"{name}.mask"] = mask
            nodes.append(helper.make_node("Where", [f"{name}.mask", f"{name}.all", "zero"], [name]))
            self.weights["zero"] = np.zeros((), np.float32)
        info = lambda name, value: helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        graph = helper.make_graph(
            nodes,
            operator,
            [info(name, value) for name, value in self.inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.outputs if name],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=11)


def gelu(draw):
    draw.give("x", draw.floats(*(draw.size(1, 9) for _ in range(draw.size(1, 4))), scale=3.0))
    draw.outputs = ["y"]


def quick_gelu(draw):
    gelu(draw)
    if draw.chance():
        draw.attributes["alpha"] = float(np.float32(draw.random.uniform(0.5, 2.0)))


def fast_gelu(draw):
    gelu(draw)
    if draw.chance():
        draw.give("bias", draw.floats(draw.inputs["x"].shape[-1]), weight=draw.chance())


def bias_gelu(draw):
    gelu(draw)
    draw.give("bias", draw.floats(draw.inputs["x"].shape[-1]), weight=draw.chance())


def skip_norm(draw, simplified=False):
    batch, length, hidden = draw.size(1, 4), draw.size(1, 9), 4 * draw.size(1, 16)
    draw.give("x", draw.floats(batch, length, hidden))
    draw.give("skip", draw.floats(*((batch, length, hidden) if draw.chance() else (length, hidden))))
    draw.give("gamma", draw.floats(hidden), weight=draw.chance())
    if not simplified:
        draw.give("beta", draw.floats(hidden), weight=True) if draw.chance() else draw.skip()
    if draw.chance():
        draw.give("bias", draw.floats(hidden), weight=True)
    draw.attributes["epsilon"] = float(np.float32(draw.random.choice([1e-12, 1e-6, 1e-5])))
    draw.outputs = ["y", "", "", "sum"] if draw.chance() else ["y"]


def fused_product(draw):
    batch = [draw.size(1, 4) for _ in range(draw.size(0, 2))]
    m, k, n = draw.size(1, 12), draw.size(1, 12), draw.size(1, 12)
    for name, rows, columns in (("A", m, k), ("B", k, n)):
        turned = draw.chance()
        # onnxruntime moves the first axis behind the batch only where there is one, and wants the same rank of both.
        moved = bool(batch) and draw.chance()
        shape = [columns, rows] if turned else [rows, columns]
        shape = [shape[0], *batch, shape[1]] if moved else [*batch, *shape]
        draw.attributes |= {f"trans{name}": int(turned), f"transBatch{name}": int(moved)}
        draw.give(name, draw.floats(*shape))
    if draw.chance():
        draw.attributes["alpha"] = float(np.float32(draw.random.uniform(0.1, 2.0)))
    draw.outputs = ["y"]


def few_bits(draw):
    bits = int(draw.random.choice([4, 8]))
    block = int(draw.random.choice([16, 32, 64]))
    k, n = draw.size(1, 130), draw.size(1, 40)
    blocks = -(-k // block)
    draw.attributes = {"K": k, "N": n, "bits": bits, "block_size": block}
    draw.give("x", draw.floats(*(draw.size(1, 3) for _ in range(draw.size(0, 2))), draw.size(1, 6), k))
    draw.give("w", draw.random.integers(0, 256, (n, blocks, block * bits // 8), np.uint8), weight=True)
    draw.give("scales", draw.random.uniform(0.01, 0.1, n * blocks).astype(np.float32), weight=True)
    if draw.chance():
        draw.give("zeros", draw.random.integers(0, 256, n * -(-blocks * bits // 8), np.uint8), weight=True)
    else:
        draw.skip()
    draw.skip()
    if draw.chance():
        draw.give("bias", draw.floats(n), weight=True)
    draw.outputs = ["y"]


def caches(draw, most, half):
    angles = np.outer(np.arange(most), 10000.0 ** (-np.arange(half) / half)).astype(np.float32)
    return np.cos(angles), np.sin(angles)


def rotary(draw):
    batch, heads, length, size = draw.size(1, 3), draw.size(1, 4), draw.size(1, 8), 8 * draw.size(1, 4)
    flat, part = draw.chance(), draw.chance()
    draw.give("x", draw.floats(*((batch, length, heads * size) if flat else (batch, heads, length, size))))
    one = draw.chance()
    at = draw.random.integers(0, 20, 1) if one else draw.random.integers(0, 20, (batch, length))
    draw.give("at", at.astype(np.int64))
    draw.attributes["interleaved"] = int(draw.chance())
    if part or draw.chance():
        draw.attributes["num_heads"] = heads
    if part:
        draw.attributes["rotary_embedding_dim"] = size // 2
    for name, cache in zip(("cos", "sin"), caches(draw, 32, size // 4 if part else size // 2)):
        draw.give(name, cache, weight=True)
    draw.outputs = ["y"]


def group_query(draw):
    groups, shared, size = draw.size(1, 3), draw.size(1, 3), 16 * draw.size(1, 3)
    heads, batch = groups * shared, draw.size(1, 3)
    kind = draw.random.choice(["prompt", "grow", "write"])
    # A prompt may be padded, a cache with room may hold sequences of several lengths.
    before = np.zeros(batch, np.int64)
    if kind == "prompt":
        length, capacity = draw.size(1, 9), 0
        total = np.array([draw.size(1, length) for _ in range(batch)])
        total[0] = longest = length
    elif kind == "grow":
        length, capacity = 1, draw.size(1, 9)
        before += capacity
        total = before + length
        longest = int(total.max())
    else:
        length, capacity = 1, draw.size(4, 12)
        before = np.array([draw.size(1, capacity - 1) for _ in range(batch)])
        total = before + length
        longest = int(total.max())
    packed = draw.chance()
    if packed:
        draw.give("query", draw.floats(batch, length, (heads + 2 * groups) * size))
        draw.skip(), draw.skip()
    else:
        draw.give("query", draw.floats(batch, length, heads * size))
        draw.give("key", draw.floats(batch, length, groups * size))
        draw.give("value", draw.floats(batch, length, groups * size))
    present = max(capacity, longest)
    rows = lambda ends, count: np.arange(count)[None, :] < ends[:, None]
    for name in ("past_key", "past_value"):
        if capacity:
            past = draw.floats(batch, groups, capacity, size)
            draw.give(name, past * rows(before, capacity)[:, None, :, None])
        else:
            draw.skip()
    draw.give("seqlens_k", (total - 1).astype(np.int32))
    draw.give("total", np.array(longest, np.int32), weight=True)
    turned = draw.chance()
    if turned:
        for name, cache in zip(("cos", "sin"), caches(draw, 32, size // 2)):
            draw.give(name, cache, weight=True)
        draw.attributes |= {"do_rotary": 1, "rotary_interleaved": int(draw.chance())}
    else:
        draw.skip(), draw.skip()
    draw.skip()
    if draw.chance():
        draw.give("bias", draw.floats(1, heads, length, longest))
    else:
        draw.skip()
    sink = draw.random.choice(["none", "smooth", "head"])
    if sink == "head":
        draw.give("sink", draw.floats(heads), weight=True)
    if sink == "smooth":
        draw.attributes["smooth_softmax"] = 1
    draw.attributes |= {"num_heads": heads, "kv_num_heads": groups}
    if draw.chance():
        draw.attributes["local_window_size"] = draw.size(1, 6)
    if draw.chance():
        draw.attributes["softcap"] = 2.0
    if draw.chance():
        draw.attributes["scale"] = 0.25
    draw.outputs = ["y", "present_key", "present_value"]
    draw.masks["y"] = rows(total - before, length)[:, :, None]
    for name in ("present_key", "present_value"):
        draw.masks[name] = rows(total, present)[:, None, :, None]


def attention(draw):
    batch, groups, shared = draw.size(1, 3), draw.size(1, 3), draw.size(1, 3)
    heads, size, value = groups * shared, 4 * draw.size(1, 4), 4 * draw.size(1, 4)
    length, keys, past = draw.size(1, 6), draw.size(1, 6), draw.size(1, 5) if draw.chance() else 0
    flat, causal = draw.chance(), draw.chance()
    # Behind a past onnxruntime counts a causal query's position from the last key, ONNX from the first new one: that is the
    # same where there are as many new keys as queries.
    keys = length if causal and past else keys
    lay = lambda x: x.transpose(0, 2, 1, 3).reshape(batch, x.shape[2], -1) if flat else x
    draw.give("q", lay(draw.floats(batch, heads, length, size)))
    draw.give("k", lay(draw.floats(batch, groups, keys, size)))
    draw.give("v", lay(draw.floats(batch, groups, keys, value)))
    if flat:
        draw.attributes |= {"q_num_heads": heads, "kv_num_heads": groups}
    kind = draw.random.choice(["none", "bool", "float"])
    shape = [[length, past + keys], [batch, 1, length, past + keys], [batch, heads, length, past + keys]][draw.size(0, 2)]
    # Each query sees a key at least: of one that sees none onnxruntime gives the mean of all values.
    seen = (draw.random.random(shape) < 0.6) | (np.arange(past + keys) == 0)
    if kind == "bool":
        draw.give("mask", seen)
    elif kind == "float":
        draw.give("mask", np.where(seen, draw.floats(*shape), np.float32(-np.inf)))
    else:
        draw.skip()
    if past:
        draw.give("past_key", draw.floats(batch, groups, past, size))
        draw.give("past_value", draw.floats(batch, groups, past, value))
    if causal:
        draw.attributes["is_causal"] = 1
    if draw.chance():
        draw.attributes["softcap"] = 1.5
    if draw.chance():
        draw.attributes["scale"] = 0.3
    draw.outputs = ["y", "present_key", "present_value"] if past else ["y"]


# Of each activation whether it takes an alpha and a beta.
ACTIVATIONS = {
    "Relu": (0, 0),
    "Tanh": (0, 0),
    "Sigmoid": (0, 0),
    "Softsign": (0, 0),
    "Softplus": (0, 0),
    "Affine": (1, 1),
    "LeakyRelu": (1, 0),
    "ThresholdedRelu": (1, 0),
    "ScaledTanh": (1, 1),
    "HardSigmoid": (1, 1),
    "Elu": (1, 0),
}


def recurrent(draw, gates, activations):
    steps, batch, size, hidden = draw.size(1, 5), draw.size(1, 4), draw.size(1, 9), draw.size(1, 9)
    direction = str(draw.random.choice(["forward", "reverse", "bidirectional"]))
    ways = 2 if direction == "bidirectional" else 1
    draw.attributes |= {"hidden_size": hidden, "direction": direction}
    draw.give("x", draw.floats(steps, batch, size))
    draw.give("w", draw.floats(ways, gates * hidden, size, scale=0.5), weight=draw.chance())
    draw.give("r", draw.floats(ways, gates * hidden, hidden, scale=0.5), weight=draw.chance())
    optional = lambda name, value, weight=False: draw.give(name, value, weight) if draw.chance() else draw.skip()
    optional("b", draw.floats(ways, 2 * gates * hidden, scale=0.5), weight=True)
    optional("lengths", draw.random.integers(1, steps + 1, batch).astype(np.int32))
    optional("h", draw.floats(ways, batch, hidden))
    if gates == 4:
        optional("c", draw.floats(ways, batch, hidden))
        optional("p", draw.floats(ways, 3 * hidden, scale=0.5), weight=True)
        draw.attributes["input_forget"] = int(draw.chance())
    if gates == 3:
        draw.attributes["linear_before_reset"] = int(draw.chance())
    if draw.chance():
        draw.attributes["clip"] = 0.75
    # Each makes kernels of its own.
    if draw.size(1, 4) == 1:
        names = [str(name) for name in draw.random.choice(list(ACTIVATIONS), ways * activations)]
        # Numbers small enough that states stay bounded.
        numbers = lambda at: [0.5 for name in names if ACTIVATIONS[name][at]]
        draw.attributes["activations"] = names
        draw.attributes |= {
            key: list for key, list in (("activation_alpha", numbers(0)), ("activation_beta", numbers(1))) if list
        }
    draw.outputs = ["y", "y_h", "y_c"] if gates == 4 else ["y", "y_h"]


OWN = {
    "Attention": attention,
    "GRU": lambda draw: recurrent(draw, 3, 2),
    "LSTM": lambda draw: recurrent(draw, 4, 3),
    "RNN": lambda draw: recurrent(draw, 1, 1),
}

CONTRIB = {
    "BiasGelu": bias_gelu,
    "FastGelu": fast_gelu,
    "FusedMatMul": fused_product,
    "Gelu": gelu,
    "GroupQueryAttention": group_query,
    "MatMulNBits": few_bits,
    "QuickGelu": quick_gelu,
    "RotaryEmbedding": rotary,
    "SkipLayerNormalization": skip_norm,
    "SkipSimplifiedLayerNormalization": lambda draw: skip_norm(draw, simplified=True),
}


def write(folder, kind, values):
    (folder / "0" / kind).mkdir(parents=True)
    for index, (name, value) in enumerate(values.items()):
        path = folder / "0" / kind / f"{kind}put_{index}.pb"
        path.write_bytes(numpy_helper.from_array(value, name).SerializeToString())


def case(out, domain, operator, function, number):
    """Writes a case; its line."""
    draw = Draw([number, *operator.encode()])
    function(draw)
    model = draw.model(operator, domain)
    name = f"{domain or 'ai.onnx'}.{operator}/{number}"
    folder = out / name
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [name for name in draw.outputs if name]
    results = session.run(names, draw.inputs)
    write(folder, "in", draw.inputs)
    write(folder, "out", dict(zip(names, results)))
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    tolerances = {"rtol": 5e-5, "atol": 1e-7, "share": 2e-5}
    return {"id": name, "tier": "compared", "op": operator, "sets": 1} | tolerances


def stamp(shapes):
    versions = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__, "shapes": shapes}
    return versions | {"script": hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shapes", type=int, default=20, help="random shapes of each operator")
    given = parser.parse_args()
    mark = given.out / "stamp.json"
    if mark.exists() and json.loads(mark.read_text()) == stamp(given.shapes):
        return
    shutil.rmtree(given.out, ignore_errors=True)
    operators = [("", *own) for own in OWN.items()] + [(DOMAIN, *contrib) for contrib in CONTRIB.items()]
    lines = [case(given.out, *operator, number) for operator in operators for number in range(given.shapes)]
    (given.out / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    mark.write_text(json.dumps(stamp(given.shapes)))
    print(f"{len(lines)} cases of {len(operators)} operators with onnxruntime's results in {given.out}")


if __name__ == "__main__":
    main()
