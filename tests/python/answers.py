#!/usr/bin/env python3
"""What onnxruntime answers to inputs that were drawn elsewhere.

    answers.py MODEL < FOLDERS

reads one folder a line, each with a case.json {"dims": …, "inputs": {name: file}, "outputs": {}} and its arrays, runs the
model on them, writes the outputs beside them and into case.json, and says the folder's name when that is done.
"""

import json
import os
import sys
from pathlib import Path

# onnxruntime reports its sessions over the network unless this is set before it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime


def answer(session, folder):
    file = folder / "case.json"
    case = json.loads(file.read_text())
    inputs = {name: np.load(folder / array, allow_pickle=False) for name, array in case["inputs"].items()}
    names = [o.name for o in session.get_outputs()]
    for name, array in zip(names, session.run(names, inputs)):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            sys.exit(f"answers.py: {folder}: {name} is not finite")
        case["outputs"][name] = f"out_{name.replace('/', '_')}.npy"
        np.save(folder / case["outputs"][name], np.ascontiguousarray(array), allow_pickle=False)
    file.write_text(json.dumps(case, indent=1) + "\n")


def main():
    options = onnxruntime.SessionOptions()
    # Beside a device that computes on the same cores.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    for line in sys.stdin:
        folder = Path(line.rstrip("\n"))
        answer(session, folder)
        print(folder.name, flush=True)


main()
