#!/usr/bin/env python3
"""Interleaved latency of onnxruntime (CPU, 2 threads) and another program on the same model.

    latency.py MODEL.onnx [--case DIR | --dim SYMBOL=EXTENT…] [--max-ratio X] [--json FILE] -- PROGRAM [ARGUMENT…]

PROGRAM is started once. For every line it reads it runs the model once and answers one line: the nanoseconds of that
run, a whole number. It ends when its input does. The two sides take turns, so that a machine that slows down slows
both; warm-up pairs are not counted.

Prints the medians, and median, least and greatest ratio (program / onnxruntime) as text and as JSON (its last line).
Exit code 0; 1 when the ratio's median is above --max-ratio, or the program fails.
"""

import argparse
import json
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

# onnxruntime reports its sessions over the network unless this is set before it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

THREADS = 2
PAUSE = 0.05  # seconds
DTYPES = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(int32)": "int32"}


class Child:
    """The measured program, one answer per request."""

    def __init__(self, command, patience):
        self.patience = patience
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def run(self):
        """Nanoseconds of one run."""
        started = time.perf_counter_ns()
        try:
            self.process.stdin.write("run\n")
            self.process.stdin.flush()
            line = self.lines.get(timeout=self.patience)
        except (BrokenPipeError, queue.Empty) as error:
            self.fail("it gave no answer" if isinstance(error, queue.Empty) else "it ended")
        passed = time.perf_counter_ns() - started
        if line is None:
            self.fail("it ended")
        if not line.strip().isdigit():
            self.fail(f"it answered {line.strip()!r} where nanoseconds were expected")
        nanoseconds = int(line)
        # The request was written before the run and the answer read after it.
        if not 0 < nanoseconds <= passed:
            self.fail(f"it claims {nanoseconds} ns for a run that took {passed} ns with its request")
        return nanoseconds

    def fail(self, reason):
        self.process.kill()
        sys.exit(f"latency.py: the program failed: {reason} (exit code {self.process.wait()})")

    def close(self):
        self.process.stdin.close()
        try:
            code = self.process.wait(timeout=self.patience)
        except subprocess.TimeoutExpired:
            self.fail("it did not end with its input")
        if code != 0:
            self.fail("it ended with an error")


def inputs_from_case(folder):
    import numpy as np

    files = json.loads((folder / "case.json").read_text())["inputs"]
    return {name: np.load(folder / file, allow_pickle=False) for name, file in files.items()}


def random_inputs(session, dims, seed):
    import numpy as np

    rng = np.random.default_rng(seed)
    inputs = {}
    for i in session.get_inputs():
        unbound = [d for d in i.shape if not isinstance(d, int) and d not in dims]
        if unbound:
            sys.exit(f"latency.py: give the extent of {', '.join(map(str, unbound))} with --dim")
        if i.type not in DTYPES:
            sys.exit(f"latency.py: input {i.name} is a {i.type}: use --case")
        shape, dtype = [d if isinstance(d, int) else dims[d] for d in i.shape], DTYPES[i.type]
        # Whole numbers are masks and indices; 0 and 1 are valid as either.
        inputs[i.name] = rng.standard_normal(shape, dtype) if dtype == "float32" else np.ones(shape, dtype)
    return inputs


def dim(text):
    symbol, separator, extent = text.partition("=")
    if not separator or not extent.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not SYMBOL=EXTENT")
    return symbol, int(extent)


def parse_arguments():
    own, separator, command = sys.argv[1:], "--" in sys.argv, []
    if separator:
        at = own.index("--")
        own, command = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], usage="%(prog)s MODEL [options] -- PROGRAM [ARGUMENT…]"
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--case", type=Path, help="a folder of references.py whose inputs to use")
    parser.add_argument("--dim", type=dim, action="append", default=[], help="SYMBOL=EXTENT, with drawn inputs")
    parser.add_argument("--seed", type=int, default=0, help="of drawn inputs (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=15, help="counted pairs (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=3, help="pairs before them (default: %(default)s)")
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for one answer")
    parser.add_argument("--max-ratio", type=float, help="greatest median ratio that passes")
    parser.add_argument("--json", type=Path, help="file for the JSON as well")
    arguments = parser.parse_args(own)
    if not command:
        parser.error("name the program to measure after --")
    if arguments.pairs < 1 or arguments.warm_up < 0:
        parser.error("--pairs must be at least 1 and --warm-up at least 0")
    return arguments, command


def main():
    arguments, command = parse_arguments()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(arguments.model), options, providers=["CPUExecutionProvider"])
    if arguments.case:
        inputs = inputs_from_case(arguments.case)
    else:
        inputs = random_inputs(session, dict(arguments.dim), arguments.seed)

    child = Child(command, arguments.patience)
    reference, program = [], []
    for index in range(arguments.warm_up + arguments.pairs):
        pair = {}
        # Which side goes first alternates as well.
        for side in ("reference", "program") if index % 2 == 0 else ("program", "reference"):
            # The other side's workers spin for a while when they have nothing to do; let them go to sleep.
            time.sleep(PAUSE)
            if side == "program":
                pair[side] = child.run()
            else:
                started = time.perf_counter_ns()
                session.run(None, inputs)
                pair[side] = time.perf_counter_ns() - started
        if index >= arguments.warm_up:
            reference.append(pair["reference"])
            program.append(pair["program"])
    child.close()

    ratios = [p / r for p, r in zip(program, reference)]
    result = {
        "model": arguments.model.parent.name if arguments.model.name == "model.onnx" else arguments.model.stem,
        "inputs": {name: list(array.shape) for name, array in inputs.items()},
        "pairs": len(ratios),
        "onnxruntime_ms": round(statistics.median(reference) / 1e6, 4),
        "program_ms": round(statistics.median(program) / 1e6, 4),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }
    print(
        f"{result['model']}: onnxruntime {result['onnxruntime_ms']} ms, program {result['program_ms']} ms, "
        f"ratio {result['ratio']} ({result['ratio_min']} to {result['ratio_max']}) over {result['pairs']} pairs"
    )
    print(json.dumps(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result) + "\n")
    if arguments.max_ratio is not None and result["ratio"] > arguments.max_ratio:
        sys.exit(f"latency.py: the ratio {result['ratio']} is above {arguments.max_ratio}")


if __name__ == "__main__":
    main()
