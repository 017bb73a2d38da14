#!/usr/bin/env python3
"""Runs two models with onnxruntime on the same inputs and says whether all outputs are the same to the bit.

    same.py MODEL.onnx OTHER.onnx

Inputs are drawn by name and shape: floats of unit variance, indices 0. Prints JSON: {"says": "the same bits"}, or what
differs. One model is open at a time, without optimisations that would copy weights.
"""

import json
import os
import sys
import zlib

# onnxruntime reports its sessions over the network unless this is set before it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime as ort


def outputs(path):
    """The outputs of a model, by name."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = {}
    for own in session.get_inputs():
        if own.type == "tensor(float)":
            random = np.random.default_rng(zlib.crc32(own.name.encode()))
            given[own.name] = random.standard_normal(own.shape, dtype=np.float32)
        else:
            given[own.name] = np.zeros(own.shape, dtype=np.int64)
    names = [own.name for own in session.get_outputs()]
    return dict(zip(names, session.run(names, given)))


def main():
    first, second = (outputs(path) for path in sys.argv[1:3])
    if first.keys() != second.keys():
        says = f"outputs {sorted(first)} and {sorted(second)}"
    elif not all(np.isfinite(value).all() and np.abs(value).max() > 0 for value in first.values()):
        says = "nothing that can be compared"
    else:
        differ = [name for name, value in first.items() if value.tobytes() != second[name].tobytes()]
        says = f"other bits in {differ}" if differ else "the same bits"
    print(json.dumps({"says": says}))


if __name__ == "__main__":
    main()
