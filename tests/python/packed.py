"""Packed models as others read them: onnx's checker takes them, and onnxruntime's outputs and onnx's weights are those of the
models that they were made of.

packed.py MODEL PACKED [MODEL PACKED ...] [PACKED]
"""

import sys

import numpy as np
import onnx
import onnxruntime

DIMS = {"batch": 2, "seq": 3, "past": 4, "total": 7, "past + seq": 7}


def session(path):
    options = onnxruntime.SessionOptions()
    # Constants are folded into other roundings where the graph tells them apart.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def outputs(path):
    running, random, inputs = session(path), np.random.default_rng(1), {}
    for own in running.get_inputs():
        shape = [DIMS.get(dim, 2) if isinstance(dim, str) else dim for dim in own.shape]
        if "int" in own.type:
            inputs[own.name] = random.integers(0, 2, shape).astype(np.int64)
        else:
            inputs[own.name] = random.standard_normal(shape).astype(np.float32)
    return running.run(None, inputs)


def weights(path):
    graph = onnx.load(path).graph
    return {own.name: onnx.numpy_helper.to_array(own) for own in graph.initializer}


def main(paths):
    pairs = list(zip(paths[0::2], paths[1::2]))
    for model, packed in pairs:
        onnx.checker.check_model(packed, full_check=True)
        for own, other in zip(outputs(model), outputs(packed), strict=True):
            assert own.tobytes() == other.tobytes(), f"{packed}: other outputs"
        own, other = weights(model), weights(packed)
        for name, values in other.items():
            assert np.array_equal(own[name], values), f"{packed}: {name}"
        print(packed, len(other))
    for packed in paths[2 * len(pairs):]:
        for made in outputs(packed):
            assert np.isfinite(made).all() and made.any(), f"{packed}: no numbers"
        print(packed)


if __name__ == "__main__":
    main(sys.argv[1:])
