#!/usr/bin/env python3
"""Reference models for the tests: seeded weights, inputs, and the outputs of onnxruntime.

    references.py --out DIR [--seed N]

writes

    DIR/<model>/model.onnx         the model; weights inside, or in the external data file it names
    DIR/<model>/<case>/case.json   {"dims": {symbol: extent}, "inputs": {name: file}, "outputs": {name: file}}
    DIR/<model>/<case>/in_*.npy    one array per input
    DIR/<model>/<case>/out_*.npy   what onnxruntime answers
    DIR/stamp.json                 what all of it was made from

Models: squeezenet (weights inside the file), resnet50 (external data), both from the onnx package, whose "light"
files hold one constant per weight; encoder_l6 and encoder_l6_ts (external data) from tests/models. The networks
end before their softmax: random weights saturate it, which would hide errors. digits and chars are the trained
models in assets as they are, with drawn inputs.

A folder whose stamp matches the seed, this script, the pinned requirements and the models is kept as it is. Needs the packages in requirements.txt.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import zlib
from pathlib import Path

# onnxruntime reports its sessions over the network unless this is set before it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

HERE = Path(__file__).resolve().parent
STRUCTURES = HERE.parent / "models"
ASSETS = HERE.parent.parent / "assets"
DEFAULT_SEED = 20250711

# Logits of a trained ImageNet classifier have a standard deviation of about 2.
LOGIT_STD = 2.0

# Batch and sequence of the encoder's cases, and whether rows are padded to different lengths.
ENCODER_CASES = [
    (1, 1, False),
    (1, 128, False),
    (2, 7, True),
    (3, 33, True),
    (4, 32, False),
    (5, 64, True),
]

# Batch, sequence and past of the decoder's cases, and whether rows are padded to different lengths: prompts without
# a cache, single characters and a piece of a prompt with one.
DECODER_CASES = [
    (1, 1, 0, False),
    (2, 17, 0, True),
    (1, 64, 0, False),
    (3, 1, 40, True),
    (1, 1, 127, False),
    (2, 5, 11, False),
]


def stamp_of(seed):
    """What the output depends on, as plain values."""
    sources = [Path(__file__).resolve(), HERE / "requirements.txt", *sorted(STRUCTURES.glob("*.onnx")), *sorted(ASSETS.glob("*.onnx"))]
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return {"seed": seed, "sources": digest.hexdigest()}


def generator(seed, *names):
    """A generator of its own for every tensor: the order in which tensors are made does not matter."""
    import numpy as np

    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


# Weights


def consumers_of(graph):
    """For each value, the (operator, operand index) pairs that read it."""
    uses = {}
    for node in graph.node:
        for index, name in enumerate(node.input):
            uses.setdefault(name, []).append((node, index))
    return uses


def draw_weight(rng, shape, uses):
    """A random weight in keeping with its use, so that activations stay near unit scale through the network."""
    roles = {(node.op_type, index) for node, index in uses}
    ops = {op for op, _ in roles}
    if "BatchNormalization" in ops:
        # operands: X, scale, bias, mean, variance
        if roles & {("BatchNormalization", 1), ("BatchNormalization", 4)}:
            return rng.uniform(0.8, 1.2, shape)
        return rng.normal(0, 0.05, shape)
    if ("LayerNormalization", 1) in roles:
        return rng.uniform(0.8, 1.2, shape)
    if ("Gather", 0) in roles:
        return rng.normal(0, 0.5, shape)
    if len(shape) == 4:
        # He et al. 2015, for a convolution followed by a rectifier: variance 2 / fan-in.
        return rng.normal(0, (2 / (shape[1] * shape[2] * shape[3])) ** 0.5, shape)
    if len(shape) == 2:
        transposed = any(
            node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute) for node, _ in uses
        )
        return rng.normal(0, (1 / shape[1 if transposed else 0]) ** 0.5, shape)
    return rng.normal(0, 0.05, shape)


def as_initializer(name, array):
    import numpy as np
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name)


def with_random_constants(light, name, seed):
    """The light model `light` with a random initializer in place of every ConstantOfShape weight."""
    from onnx import helper, numpy_helper

    graph = light.graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    uses = consumers_of(graph)
    nodes, weights = [], []
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and node.input[0] in values:
            weight, shape = node.output[0], [int(d) for d in values[node.input[0]]]
            rng = generator(seed, name, weight)
            weights.append(as_initializer(weight, draw_weight(rng, shape, uses[weight])))
        else:
            nodes.append(node)
    # The light files also keep a few small biases and norm parameters as constant initializers.
    read = {i for node in nodes for i in node.input}
    for t in graph.initializer:
        if t.name not in read:
            continue
        array = values[t.name]
        if array.dtype.kind == "f" and array.size >= 16:
            rng = generator(seed, name, t.name)
            weights.append(as_initializer(t.name, draw_weight(rng, array.shape, uses[t.name])))
        else:
            weights.append(t)
    inputs = [i for i in graph.input if i.name not in values]
    made = helper.make_graph(nodes, name, inputs, list(graph.output), weights)
    # From IR version 4 on an initializer need not be an input as well.
    return helper.make_model(made, opset_imports=list(light.opset_import), ir_version=max(4, light.ir_version))


def end_at_logits(model):
    """Removes the final Softmax: the graph's output becomes what fed it."""
    from onnx import shape_inference

    graph = model.graph
    last = graph.node[-1]
    if last.op_type != "Softmax" or list(last.output) != [graph.output[0].name]:
        sys.exit(f"references.py: {graph.name} does not end in a Softmax")
    inferred = shape_inference.infer_shapes(model)
    logits = next(v for v in inferred.graph.value_info if v.name == last.input[0])
    graph.node.pop()
    del graph.output[:]
    graph.output.append(logits)


def scale_classifier(model, name, seed):
    """Scales the last weighted layer so that the logits have the standard deviation of a trained network's.

    Between that layer and the output stand only operators that commute with a positive factor.
    """
    import numpy as np
    from onnx import numpy_helper

    session = session_of(model.SerializeToString())
    rng = generator(seed, name, "calibration")
    inputs = {i.name: draw_image(rng, i.shape) for i in session.get_inputs()}
    std = float(session.run(None, inputs)[0].std())
    if not (np.isfinite(std) and std > 0):
        sys.exit(f"references.py: {name} with seed {seed} has logits of standard deviation {std}")
    layer = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm")][-1]
    for t in model.graph.initializer:
        if t.name in layer.input[1:]:
            t.CopyFrom(as_initializer(t.name, numpy_helper.to_array(t) * (LOGIT_STD / std)))


def convolutional(name, folder, seed, external):
    """Writes a convolutional network of the onnx package to `folder`."""
    import onnx

    source = Path(onnx.__file__).parent / "backend/test/data/light" / f"light_{name}.onnx"
    model = with_random_constants(onnx.load(source), name, seed)
    end_at_logits(model)
    scale_classifier(model, name, seed)
    onnx.checker.check_model(model, full_check=True)
    target = folder / "model.onnx"
    if external:
        onnx.save_model(
            model, target, save_as_external_data=True, all_tensors_to_one_file=True, location="model.bin", size_threshold=1024
        )
    else:
        onnx.save_model(model, target)
    return target


def encoder(name, folder, seed):
    """Writes the encoder `name` to `folder`, its large weights to the external file its structure names."""
    import onnx
    from onnx import TensorProto

    model = onnx.load(STRUCTURES / f"{name}.onnx", load_external_data=False)
    uses = consumers_of(model.graph)
    # The TorchScript exporter hands a shared parameter on through Identity nodes.
    for node in reversed(model.graph.node):
        if node.op_type == "Identity":
            uses.setdefault(node.input[0], []).extend(uses.get(node.output[0], []))
    files = {}
    try:
        for t in model.graph.initializer:
            shape = list(t.dims)
            external = t.data_location == TensorProto.EXTERNAL
            count = 1
            for d in shape:
                count *= d
            if t.data_type != TensorProto.FLOAT or (count < 16 and not external):
                continue
            rng = generator(seed, name, t.name)
            made = as_initializer(t.name, draw_weight(rng, shape, uses.get(t.name, [])))
            if not external:
                t.CopyFrom(made)
                continue
            entries = {e.key: e.value for e in t.external_data}
            location = entries["location"]
            if os.path.basename(location) != location or int(entries["length"]) != len(made.raw_data):
                sys.exit(f"references.py: {name}.onnx: external data of {t.name} is inconsistent: {entries}")
            file = files.get(location)
            if file is None:
                file = files[location] = open(folder / location, "wb")
            file.seek(int(entries["offset"]))
            file.write(made.raw_data)
    finally:
        for file in files.values():
            file.close()
    target = folder / "model.onnx"
    target.write_bytes(model.SerializeToString())
    return target


# Cases


def session_of(model):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def write_case(session, folder, dims, inputs):
    """Runs the model on `inputs` and writes one case."""
    import numpy as np

    outputs = dict(zip((o.name for o in session.get_outputs()), session.run(None, inputs)))
    folder.mkdir()
    case = {"dims": dims, "inputs": {}, "outputs": {}}
    for key, prefix, arrays in (("inputs", "in", inputs), ("outputs", "out", outputs)):
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                sys.exit(f"references.py: {folder.parent.name}/{folder.name}: {name} is not finite")
            file = f"{prefix}_{name.replace('/', '_')}.npy"
            np.save(folder / file, np.ascontiguousarray(array), allow_pickle=False)
            case[key][name] = file
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    first = next(iter(outputs.values()))
    print(f"  {folder.parent.name:14} {folder.name:8} output {list(first.shape)} std {float(first.std()):.3g}", flush=True)


def draw_image(rng, shape):
    """A random picture: patches of colour under noise. Noise alone averages out in the first layers, and then all
    inputs have nearly the same logits."""
    import numpy as np

    batch, channels, height, width = shape
    patches = rng.standard_normal((batch, channels, 4, 4)) + rng.standard_normal((batch, channels, 1, 1))
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    picture = patches[:, :, rows][:, :, :, columns] + 0.5 * rng.standard_normal(shape)
    return picture.astype(np.float32)


def image_cases(name, model, folder, seed):
    import numpy as np

    session = session_of(model)
    for index in range(2):
        rng = generator(seed, name, f"input {index}")
        inputs = {i.name: draw_image(rng, i.shape) for i in session.get_inputs()}
        write_case(session, folder / f"random{index}", {}, inputs)


def attention_mask(rng, batch, seq, padded):
    """Ones; with `padded`, rows end in zeros at random lengths, one row at least is cut and none is empty."""
    import numpy as np

    lengths = np.full(batch, seq)
    if padded:
        lengths = rng.integers(1, seq + 1, batch)
        lengths[rng.integers(batch)] = rng.integers(1, seq)
    return (np.arange(seq)[None, :] < lengths[:, None]).astype(np.int64)


def encoder_cases(name, model, folder, seed):
    import numpy as np

    session = session_of(model)
    for batch, seq, padded in ENCODER_CASES:
        case = f"{batch}x{seq}"
        # Not of the model's name: both exports of the network are asked the same.
        rng = generator(seed, "encoder", case)
        inputs = {
            "input_ids": rng.integers(0, 30522, (batch, seq), dtype=np.int64),
            "attention_mask": attention_mask(rng, batch, seq, padded),
            "token_type_ids": rng.integers(0, 2, (batch, seq), dtype=np.int64),
        }
        write_case(session, folder / case, {"batch": batch, "seq": seq}, inputs)


def copied(name, folder):
    """Copies an asset to `folder`: trained weights are not drawn anew."""
    return Path(shutil.copyfile(ASSETS / f"{name}.onnx", folder / "model.onnx"))


def digits_cases(model, folder, seed):
    import numpy as np

    session = session_of(model)
    images = np.load(ASSETS / "digits" / "images.npy", allow_pickle=False).reshape(-1, 1, 8, 8)
    for batch in (1, 8, 13):
        rng = generator(seed, "digits", f"{batch}")
        chosen = images[rng.integers(len(images), size=batch)].astype(np.float32)
        write_case(session, folder / f"{batch}", {"batch": batch}, {"images": chosen})


def chars_cases(model, folder, seed):
    import numpy as np

    session = session_of(model)
    caches = [i.name for i in session.get_inputs() if i.name.startswith("past_key_values.")]
    vocabulary = session.get_outputs()[0].shape[-1]
    for batch, seq, past, padded in DECODER_CASES:
        case = f"{batch}x{seq}+{past}"
        rng, total = generator(seed, "chars", case), past + seq
        # Prompts of different lengths are padded on the left; positions count from the first character.
        mask = attention_mask(rng, batch, total, padded)[:, ::-1]
        positions = np.maximum(mask.cumsum(axis=1) - 1, 0)[:, past:]
        inputs = {
            "input_ids": rng.integers(0, vocabulary, (batch, seq), dtype=np.int64),
            "attention_mask": np.ascontiguousarray(mask),
            "position_ids": np.ascontiguousarray(positions),
        }
        for name in caches:
            inputs[name] = rng.standard_normal((batch, 4, past, 32), np.float32)
        dims = {"batch": batch, "seq": seq, "past": past, "total": total}
        write_case(session, folder / case, dims, inputs)


def make_all(out, seed):
    for name, external in (("squeezenet", False), ("resnet50", True)):
        folder = out / name
        folder.mkdir()
        image_cases(name, convolutional(name, folder, seed, external), folder, seed)
    for name in ("encoder_l6", "encoder_l6_ts"):
        folder = out / name
        folder.mkdir()
        encoder_cases(name, encoder(name, folder, seed), folder, seed)
    for name, cases in (("digits", digits_cases), ("chars", chars_cases)):
        folder = out / name
        folder.mkdir()
        cases(copied(name, folder), folder, seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; replaced unless it is current")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.seed < 0:
        parser.error("--seed must not be negative")

    out = arguments.out
    stamp = stamp_of(arguments.seed)
    stamp_file = out / "stamp.json"
    if out.exists():
        if stamp_file.exists():
            if stamp_file.read_text() == json.dumps(stamp):
                return
        elif any(out.iterdir()):
            sys.exit(f"references.py: {out} is not a folder of references (no stamp.json); name another one")
    print(f"references with seed {arguments.seed} into {out}", flush=True)
    # Made beside its place and moved there whole: a run that was cut off leaves nothing half done.
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        make_all(partial, arguments.seed)
        (partial / "stamp.json").write_text(json.dumps(stamp))
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


if __name__ == "__main__":
    main()
