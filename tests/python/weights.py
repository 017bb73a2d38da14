"""Seeded weights for graphs that come without: what is drawn, and the external file it lies in.

Both exporters' files of one network get the same numbers. Their initializers bear different names, and an exporter
merges weights that happened to be equal when it ran, so a weight is drawn by what it is: its role, its shape, and for
tensors of rank 2 and more how many of that shape stood before it in the order of the nodes.
"""

import hashlib
import math
import os
import shutil
import sys
import zlib

# onnxruntime reports its sessions over the network unless this is set before it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Logits of a trained classifier or language model have a standard deviation of about 2.
LOGIT_STD = 2.0

# Smaller constants stay in the model: scalars, axes, shapes.
WEIGHT_ELEMENTS = 16

# What hands a weight on to its consumer unchanged: the TorchScript exporter shares parameters through Identity.
HANDED_ON = ("Identity", "Unsqueeze", "Transpose")

# Between a rectifier and the layer it feeds, these keep its values' sign.
KEEP_SIGN = (
    "AveragePool Concat Dropout Flatten GlobalAveragePool Identity LRN MaxPool Pad ReduceMean Reshape Transpose".split()
)


def generator(seed, *names):
    """A generator of its own for every tensor: the order in which tensors are made does not matter."""
    import numpy as np

    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def consumers_of(graph):
    """For each value, the (operator, operand index, node) that read it, through what hands it on."""
    uses = {}
    for node in reversed(graph.node):
        handed = uses.get(node.output[0], []) if node.op_type in HANDED_ON else []
        for index, name in enumerate(node.input):
            uses.setdefault(name, []).extend(handed if handed and index == 0 else [(node.op_type, index, node)])
    return uses


def is_rectified(name, producers):
    """Whether the value `name` comes out of a rectifier."""
    while (node := producers.get(name)) is not None:
        if node.op_type not in KEEP_SIGN:
            return node.op_type in ("Relu", "Clip")
        name = node.input[0]
    return False


class Draw:
    """Draws a network's weights, such that activations stay near unit scale."""

    def __init__(self, graph, seed, network, bias_std=0.05, zero=(), tied=()):
        self.seed, self.network, self.bias_std = seed, network, bias_std
        self.zero, self.tied = tuple(zero), frozenset(tied)
        self.uses = consumers_of(graph)
        self.producers = {output: node for node in graph.node for output in node.output}
        self.before = {}

    def role(self, name, shape):
        """What the weight is: "scale", "bias", "table", "tied" (a table that is a matrix as well) or "matrix"."""
        roles = {(op, index) for op, index, _ in self.uses.get(name, [])}
        ops = {op for op, _ in roles}
        if len(shape) == 1 or math.prod(shape) == max(shape):
            # BatchNormalization's operands: X, scale, bias, mean, variance.
            scales = {("LayerNormalization", 1), ("BatchNormalization", 1), ("BatchNormalization", 4)}
            return "scale" if roles & scales or "Mul" in ops else "bias"
        if ("Gather", 0) in roles:
            return "tied" if "MatMul" in ops or name in self.tied else "table"
        return "table" if ops == {"Add"} else "matrix"

    def array(self, name, shape):
        """The weight `name`; call it in the order of the nodes."""
        import numpy as np

        if name.endswith(self.zero):
            return np.zeros(shape, np.float32)
        role = self.role(name, shape)
        # Vectors of one role and length are equal: exporters have merged them, each in its own way.
        order = 0
        if role not in ("scale", "bias"):
            order = self.before[tuple(shape)] = self.before.get(tuple(shape), -1) + 1
        rng = generator(self.seed, self.network, f"{role} {shape} {order}")
        if role == "scale":
            return rng.uniform(0.8, 1.2, shape).astype(np.float32)
        return rng.standard_normal(shape, np.float32) * np.float32(self.std(role, name, shape))

    def std(self, role, name, shape):
        if role == "bias":
            return self.bias_std
        if role == "table":
            return 0.5
        if role == "tied":
            return LOGIT_STD / shape[1] ** 0.5
        uses = self.uses.get(name, [])
        fan_in = shape[0]
        if len(shape) == 4:
            fan_in = math.prod(shape[1:])
        elif any(op == "Gemm" and any(a.name == "transB" and a.i for a in n.attribute) for op, _, n in uses):
            fan_in = shape[1]
        # He et al. 2015 behind a rectifier, which halves the second moment; LeCun et al. 1998 elsewhere.
        rectified = any(is_rectified(node.input[0], self.producers) for _, _, node in uses)
        return ((2 if rectified else 1) / fan_in) ** 0.5


class Store:
    """A network's weights in one file, equal ones once: the exports of a network share it."""

    def __init__(self, path):
        self.path = path
        self.places = {}
        self.end = 0

    def put(self, tensor, array):
        """Has the initializer `tensor` name the bytes of `array` in the file."""
        import numpy as np
        from onnx import TensorProto, external_data_helper

        data = np.ascontiguousarray(array, dtype=np.float32)
        key = hashlib.blake2b(data, digest_size=16).digest()
        if key not in self.places:
            with open(self.path, "ab") as file:
                # Aligned for readers that map the file.
                file.write(b"\0" * (-self.end % 64))
                offset = file.tell()
                file.write(data)
                self.end = file.tell()
            self.places[key] = offset
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_type = TensorProto.FLOAT
        del tensor.dims[:]
        tensor.dims.extend(data.shape)
        # The helper asks for bytes to take the place of.
        tensor.raw_data = b""
        external_data_helper.set_external_data(tensor, self.path.name, self.places[key], data.nbytes)
        tensor.ClearField("raw_data")

    def multiply(self, tensor, factor):
        """Multiplies what an initializer names by a factor."""
        import numpy as np

        entries = {e.key: e.value for e in tensor.external_data}
        with open(self.path, "r+b") as file:
            file.seek(int(entries["offset"]))
            data = np.frombuffer(file.read(int(entries["length"])), np.float32)
            file.seek(int(entries["offset"]))
            file.write((data * np.float32(factor)).tobytes())

    def lend(self, folder):
        """Puts the file into another export's folder as well, without its bytes where the file system can."""
        other = folder / self.path.name
        if other == self.path:
            return
        try:
            os.link(self.path, other)
        except OSError:
            shutil.copyfile(self.path, other)


def session_of(model):
    """An onnxruntime session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def in_order_of_use(graph):
    """The graph's initializers by name, in the order in which nodes read them."""
    tensors = {t.name: t for t in graph.initializer}
    used = {}
    origin = {}
    for node in graph.node:
        if node.op_type in HANDED_ON and node.input[0] in (tensors.keys() | origin.keys()):
            # Read where its consumer stands.
            origin[node.output[0]] = origin.get(node.input[0], node.input[0])
            continue
        for name in node.input:
            name = origin.get(name, name)
            if name in tensors:
                used.setdefault(name, tensors[name])
    return used


def fill(graph, seed, network, store, bias_std=0.05, keep=(), zero=(), tied=None):
    """Gives every weight of `graph` drawn values in `store`. Names that end in `keep` are constants and no weights,
    those that end in `zero` become zeros; `tied` names weights that are another one's transpose."""
    from onnx import TensorProto

    tied = tied or {}
    draw = Draw(graph, seed, network, bias_std, zero, tied.values())
    arrays = {}
    for name, tensor in in_order_of_use(graph).items():
        shape = list(tensor.dims)
        external = tensor.data_location == TensorProto.EXTERNAL
        if tensor.data_type != TensorProto.FLOAT or (math.prod(shape) < WEIGHT_ELEMENTS and not external):
            continue
        if name.endswith(tuple(keep)):
            continue
        if name in tied:
            store.put(tensor, arrays[tied[name]].T)
            continue
        array = draw.array(name, shape)
        if name in tied.values():
            arrays[name] = array
        store.put(tensor, array)
    left = [t.name for t in graph.initializer if t.data_location == TensorProto.EXTERNAL and not has_place(t, store)]
    if left:
        sys.exit(f"weights.py: {graph.name}: no node reads {', '.join(left)}")


def has_place(tensor, store):
    return any(e.key == "location" and e.value == store.path.name for e in tensor.external_data)
