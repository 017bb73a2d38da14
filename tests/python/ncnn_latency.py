#!/usr/bin/env python3
"""Interleaved latency and processor time of ncnn's Vulkan backend and another program on the same models.

    ncnn_latency.py REFERENCES MODEL… [--driver FILE] [--case NAME] [--work DIR] [--pairs N] [--max-ratio X]
                    [--json FILE] -- PROGRAM

REFERENCES is what references.py wrote. PROGRAM is started once for each model, as `PROGRAM MODEL.onnx CASE`, and speaks
the protocol of latency.py: one run for every line it reads, answered by that run's nanoseconds. ncnn runs in a process of
its own that speaks it too, on the same driver's device, with single-precision options (no 16-bit or 8-bit
storage or arithmetic). Models are converted by pnnx to the case's shapes with single-precision weights, once, into --work;
ncnn must answer what onnxruntime answered (the greatest differences of all outputs are in the JSON), so that it is the same work.

For either side, wall time is what it answers, and processor time what all its threads ran for (/proc), from before the
request to after the answer. The two take turns, each going first every other time.

Prints medians, minima and ratios (program / ncnn) for each model as text, and a JSON list as its last line. Exit code 1
when a median ratio, of wall or of processor time, is above --max-ratio (default 1).
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from latency import PAUSE, Child

# Largest difference from onnxruntime, relative to the largest value of the output.
TOLERANCE = 1e-3
THREADS = 2


def single_input(case):
    """The case's one input: its name and its array."""
    import numpy as np

    files = json.loads((case / "case.json").read_text())["inputs"]
    if len(files) != 1:
        sys.exit(f"ncnn_latency.py: {case} has {len(files)} inputs, and one is converted")
    ((name, file),) = files.items()
    return name, np.load(case / file, allow_pickle=False)


def expected(case):
    """What onnxruntime answered: the arrays of the outputs."""
    import numpy as np

    files = json.loads((case / "case.json").read_text())["outputs"]
    return [np.load(case / file, allow_pickle=False) for file in files.values()]


def with_weights(path):
    """The model at `path` with its external data inside. The package's own loader refuses files that have several
    names, as the references' do."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        where = {entry.key: entry.value for entry in tensor.external_data}
        with open(path.parent / where["location"], "rb") as file:
            file.seek(int(where.get("offset", 0)))
            tensor.raw_data = file.read(int(where["length"])) if "length" in where else file.read()
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    return model


def convert(model, shape, folder):
    """The model for ncnn, as (.param, .bin); kept in `folder` with the hash of what it was made from."""
    import onnx

    sources = [model, *sorted(p for p in model.parent.iterdir() if p.suffix in (".bin", ".data", ".weights"))]
    digest = hashlib.sha256(str(shape).encode())
    for path in sources:
        digest.update(path.read_bytes())
    param, weights, stamp = (folder / f"model.ncnn.{end}" for end in ("param", "bin", "stamp"))
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return param, weights
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # With its weights inside: pnnx opens no external data beyond its folder.
    onnx.save(with_weights(model), folder / "model.onnx")
    pnnx = Path(sys.executable).parent / "pnnx"
    command = [str(pnnx), "model.onnx", f"inputshape=[{','.join(map(str, shape))}]", "fp16=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    if done.returncode != 0 or not (param.exists() and weights.exists()):
        sys.exit(f"ncnn_latency.py: pnnx cannot convert {model}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    stamp.write_text(digest.hexdigest())
    return param, weights


def serve(param, weights, case, answer):
    """Answers every line with the nanoseconds of one run by ncnn; the first run's outputs go to the file `answer`."""
    import ncnn
    import numpy as np

    # The package prints about the device on the file descriptors of answers; those get the real one.
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    net = ncnn.Net()
    net.opt.use_vulkan_compute = True
    net.opt.num_threads = THREADS
    for narrow in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        setattr(net.opt, f"use_{narrow}", False)
    for narrow in ("int8_packed", "int8_storage", "int8_arithmetic"):
        setattr(net.opt, f"use_{narrow}", False)
    if ncnn.get_gpu_count() != 1:
        sys.exit(f"ncnn finds {ncnn.get_gpu_count()} Vulkan devices where both sides need the same one: name its driver")
    if net.load_param(param) != 0 or net.load_model(weights) != 0:
        sys.exit(f"ncnn cannot load {param}")
    _, array = single_input(Path(case))
    image = ncnn.Mat(np.ascontiguousarray(array[0]))
    # The converter numbers outputs as the model orders them: out0, out1, …
    into, outs = net.input_names()[0], sorted(net.output_names(), key=lambda name: int(name.removeprefix("out")))

    def once():
        extractor = net.create_extractor()
        extractor.input(into, image)
        results = [extractor.extract(out) for out in outs]
        failed = [code for code, _ in results if code != 0]
        if failed:
            sys.exit(f"ncnn's run failed with {failed[0]}")
        return [result for _, result in results]

    np.savez(answer, *[np.array(result) for result in once()])
    for _ in sys.stdin:
        begun = time.perf_counter_ns()
        once()
        lines.write(f"{time.perf_counter_ns() - begun}\n")


def processor_time(pid):
    """Nanoseconds that the threads of a process have run."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue
    return total


def turn(child):
    """One run of a side: wall and processor nanoseconds."""
    # The other side's workers spin for a while when they have nothing to do; let them go to sleep.
    time.sleep(PAUSE)
    before = processor_time(child.process.pid)
    wall = child.run()
    return wall, processor_time(child.process.pid) - before


def take_turns(sides, arguments):
    """Wall and processor nanoseconds of each counted run of each side, each going first every other time."""
    taken = {side: [] for side in sides}
    for index in range(arguments.warm_up + arguments.pairs):
        for side in list(sides) if index % 2 == 0 else reversed(list(sides)):
            figures = turn(sides[side])
            if index >= arguments.warm_up:
                taken[side].append(figures)
    return taken


def agrees(answer, case):
    """Fails unless ncnn answered what onnxruntime did in some output; the differences, relative to the largest value.

    One suffices to show that it is the same work: the converter takes the softmax after SqueezeNet's logits over
    another axis."""
    import numpy as np

    with np.load(answer) as file:
        answered = [file[f"arr_{i}"].ravel() for i in range(len(file.files))]
    wanted = [w.ravel() for w in expected(case)]
    if [a.size for a in answered] != [w.size for w in wanted]:
        sys.exit(f"ncnn_latency.py: ncnn answers {len(answered)} outputs of other sizes than onnxruntime's {len(wanted)}")
    scale = [max(float(np.abs(w).max()), 1e-30) for w in wanted]
    differences = [float(np.abs(a - w).max() / s) for a, w, s in zip(answered, wanted, scale)]
    if not min(differences) <= TOLERANCE:
        sys.exit(f"ncnn_latency.py: ncnn's outputs differ from onnxruntime's by {differences} of the largest value")
    return differences


def compare(model, arguments, program):
    """Measures one model: the figures."""
    home = arguments.references / model
    case = home / arguments.case if arguments.case else min(p.parent for p in home.glob("*/case.json"))
    file = next(iter(sorted(home.glob("*.onnx"))))
    _, array = single_input(case)
    folder = arguments.work / model
    param, weights = convert(file, array.shape, folder)
    answer = folder / "answer.npz"
    serving = [sys.executable, __file__, "--serve", str(param), str(weights), str(case), str(answer)]
    sides = {
        "ncnn": Child(serving, arguments.patience),
        "program": Child([*program, str(file), str(case)], arguments.patience),
    }
    taken = take_turns(sides, arguments)
    differences = agrees(answer, case)
    for child in sides.values():
        child.close()
    result = {"model": model, "pairs": arguments.pairs, "ncnn_differences": differences}
    for at, kind in enumerate(("wall", "cpu")):
        ours, theirs = ([t[at] for t in taken[side]] for side in ("program", "ncnn"))
        for name, values in (("ncnn", theirs), ("program", ours)):
            result[f"{name}_{kind}_ms"] = round(statistics.median(values) / 1e6, 3)
            result[f"{name}_{kind}_min_ms"] = round(min(values) / 1e6, 3)
        result[f"{kind}_ratio"] = round(statistics.median(o / t for o, t in zip(ours, theirs)), 3)
        result[f"{kind}_min_ratio"] = round(min(ours) / min(theirs), 3)
    return result


def parse_arguments():
    own, program = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, program = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], usage="%(prog)s REFERENCES MODEL… [options] -- PROGRAM [ARGUMENT…]"
    )
    parser.add_argument("references", type=Path)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--driver", type=Path, help="manifest of the Vulkan driver that both sides use")
    parser.add_argument("--case", help="the case's folder (default: a model's first)")
    parser.add_argument("--work", type=Path, help="folder for converted models (default: beside REFERENCES, ncnn)")
    parser.add_argument("--pairs", type=int, default=15, help="counted pairs (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=3, help="pairs before them (default: %(default)s)")
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for one answer")
    parser.add_argument("--max-ratio", type=float, default=1.0, help="greatest ratio that passes (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="file for the JSON as well")
    arguments = parser.parse_args(own)
    if not program:
        parser.error("name the program to measure after --")
    if arguments.pairs < 1 or arguments.warm_up < 0:
        parser.error("--pairs must be at least 1 and --warm-up at least 0")
    if arguments.driver:
        os.environ["VK_DRIVER_FILES"] = os.environ["VK_ICD_FILENAMES"] = str(arguments.driver.resolve(strict=True))
    # The converter is run elsewhere.
    arguments.references = arguments.references.resolve()
    arguments.work = (arguments.work or arguments.references.parent / "ncnn").resolve()
    return arguments, program


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve(*sys.argv[2:])
    arguments, program = parse_arguments()
    results = []
    for model in arguments.models:
        r = compare(model, arguments, program)
        results.append(r)
        print(
            f"{model}: wall ncnn {r['ncnn_wall_ms']} ms, program {r['program_wall_ms']} ms, ratio {r['wall_ratio']} "
            f"(of minima {r['wall_min_ratio']}); processor ncnn {r['ncnn_cpu_ms']} ms, program {r['program_cpu_ms']} ms, "
            f"ratio {r['cpu_ratio']} (of minima {r['cpu_min_ratio']}); {r['pairs']} pairs",
            flush=True,
        )
    print(json.dumps(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results) + "\n")
    slower = [r["model"] for r in results if max(r["wall_ratio"], r["cpu_ratio"]) > arguments.max_ratio]
    if slower:
        sys.exit(f"ncnn_latency.py: slower than {arguments.max_ratio} × ncnn: {', '.join(slower)}")


if __name__ == "__main__":
    main()
