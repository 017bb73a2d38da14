#!/usr/bin/env python3
"""Reference models for the tests: seeded weights, inputs, and the outputs of onnxruntime.

    references.py --out DIR [--seed N] [MODEL …]

writes

    DIR/<model>/model.onnx         the model; weights inside, or in the external data file it names
    DIR/<model>/<case>/case.json   {"dims": {symbol: extent}, "inputs": {name: file}, "outputs": {name: file}}
    DIR/<model>/<case>/in_*.npy    one array per input
    DIR/<model>/<case>/out_*.npy   what onnxruntime answers
    DIR/stamp.json                 what all of it was made from

Models: nine convolutional networks of the onnx package, whose "light" files hold one constant per weight; the graphs
in tests/models; the trained models in assets (digits, chars) as they are. The exports of one network share a file of
weights (hard links) and are asked the same. All of it is about 3 GB.

A folder whose stamp matches the seed, these scripts, the pinned requirements and the models is kept as it is. With
MODELs, only those are made, into a folder whose stamp says so. Needs the packages in requirements.txt.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import cases
import weights

HERE = Path(__file__).resolve().parent
STRUCTURES = HERE.parent / "models"
ASSETS = HERE.parent.parent / "assets"
DEFAULT_SEED = 20250711

# The standard deviation of pixels in networks that take them as they are, with the mean removed. Local response
# normalisation divides by 1 + 0.0001 x²: at unit scale it would do nothing.
PIXELS = 64.0

# Name: the light file, the scale of the image, how many images, and whether the weights lie outside the model.
CONVOLUTIONAL = {
    "alexnet": ("light_bvlc_alexnet", PIXELS, 1, True),
    "densenet121": ("light_densenet121", 1.0, 1, True),
    "inception_v1": ("light_inception_v1", PIXELS, 1, True),
    "inception_v2": ("light_inception_v2", 1.0, 1, True),
    "resnet50": ("light_resnet50", 1.0, 2, True),
    "shufflenet": ("light_shufflenet", 1.0, 2, True),
    "squeezenet": ("light_squeezenet", 1.0, 2, False),
    "vgg19": ("light_vgg19", 1.0, 1, True),
    "zfnet512": ("light_zfnet512", PIXELS, 1, True),
}

# Name of the file in tests/models: the network that it is an export of.
EXPORTED = {
    "encoder_l6": "encoder",
    "encoder_l6_ts": "encoder",
    "gpt2_small": "gpt2",
    "gpt2_small_ts": "gpt2",
    "llama_125m": "llama",
    "llama_125m_ts": "llama",
    "mobilenetv2": "mobilenet",
    "mobilenetv2_ts": "mobilenet",
    "vit_tiny": "vit",
}

# What fills an export's weights beside the draw: one exporter dropped biases that were zero, so that they must be
# zero in the other's file too; the rotary frequencies are no weights; one exporter wrote a tied table twice.
FILLING = {
    "gpt2_small": {"zero": [".bias"]},
    "gpt2_small_ts": {"zero": [".bias"], "tied": {"onnx::MatMul_2926": "m.transformer.wte.weight"}},
    "llama_125m": {"keep": [".inv_freq"]},
    "llama_125m_ts": {"keep": [".inv_freq"]},
    "mobilenetv2_ts": {"zero": ["classifier.bias"]},
}

NETWORKS = {
    "encoder": cases.encoder,
    "gpt2": cases.decoder,
    "llama": cases.decoder,
    "mobilenet": cases.images,
    "vit": cases.images,
}


def stamp_of(seed, models):
    """What the output depends on, as plain values."""
    sources = [*HERE.glob("*.py"), HERE / "requirements.txt", *STRUCTURES.glob("*.onnx"), *ASSETS.glob("*.onnx")]
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return {"seed": seed, "models": models, "sources": digest.hexdigest()}


# Models


def with_initializers(light, name):
    """The light model `light` with an initializer, still without values, in place of every ConstantOfShape weight."""
    from onnx import TensorProto, helper, numpy_helper

    graph = light.graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    nodes, made = [], []
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and node.input[0] in values:
            shape = [int(d) for d in values[node.input[0]]]
            made.append(TensorProto(name=node.output[0], data_type=TensorProto.FLOAT, dims=shape))
        else:
            nodes.append(node)
    # The light files also keep a few small biases and norm parameters as constant initializers.
    read = {i for node in nodes for i in node.input}
    made.extend(t for t in graph.initializer if t.name in read)
    inputs = [i for i in graph.input if i.name not in values]
    filled = helper.make_graph(nodes, name, inputs, list(graph.output), made)
    # From IR version 4 on an initializer need not be an input as well.
    return helper.make_model(filled, opset_imports=list(light.opset_import), ir_version=max(4, light.ir_version))


def show_logits(model):
    """Makes what a final Softmax reads an output as well: probabilities show little of the small logits."""
    from onnx import shape_inference

    graph = model.graph
    last = graph.node[-1]
    if last.op_type != "Softmax":
        return
    inferred = shape_inference.infer_shapes(model)
    graph.output.append(next(v for v in inferred.graph.value_info if v.name == last.input[0]))


def scale_classifier(model, path, store, seed, name, pixels):
    """Scales the last weighted layer so that the logits have the standard deviation of a trained network's.

    Between that layer and the logits stand only operators that commute with a positive factor.
    """
    session = weights.session_of(path)
    images = cases.pictures(session, seed, name, 0, pixels)
    std = float(session.run(None, images)[-1].std())
    if not 0 < std < float("inf"):
        sys.exit(f"references.py: {name} with seed {seed} has logits of standard deviation {std}")
    layer = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm")][-1]
    reshaped = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Reshape"}
    scaled = {reshaped.get(name, name) for name in layer.input[1:]}
    for tensor in model.graph.initializer:
        if tensor.name in scaled:
            store.multiply(tensor, weights.LOGIT_STD / std)


def convolutional(name, folder, seed):
    """Writes a convolutional network of the onnx package and its cases to `folder`."""
    import onnx

    light, pixels, count, external = CONVOLUTIONAL[name]
    source = Path(onnx.__file__).parent / "backend/test/data/light" / f"{light}.onnx"
    model = with_initializers(onnx.load(source), name)
    show_logits(model)
    store = weights.Store(folder / "model.bin")
    weights.fill(model.graph, seed, name, store, bias_std=0.05 * pixels)
    target = folder / "model.onnx"
    onnx.save_model(model, target)
    scale_classifier(model, target, store, seed, name, pixels)
    if not external:
        onnx.load_external_data_for_model(model, str(folder))
        onnx.save_model(model, target)
        store.path.unlink()
    onnx.checker.check_model(str(target))
    session = weights.session_of(target)
    for index in range(count):
        cases.write(session, folder / f"random{index}", {}, cases.pictures(session, seed, name, index, pixels))


def exported(name, folder, seed, stores):
    """Writes the export `name` of a network and its cases to `folder`."""
    import onnx

    network = EXPORTED[name]
    model = onnx.load(STRUCTURES / f"{name}.onnx", load_external_data=False)
    store = stores.setdefault(network, weights.Store(folder / f"{network}.bin"))
    store.lend(folder)
    weights.fill(model.graph, seed, network, store, **FILLING.get(name, {}))
    target = folder / "model.onnx"
    target.write_bytes(model.SerializeToString())
    # Not of the model's name: both exports of the network are asked the same.
    NETWORKS[network](weights.session_of(target), folder, seed, network)


def trained(name, folder, seed):
    """Copies an asset, whose weights are not drawn anew, and writes its cases."""
    target = Path(shutil.copyfile(ASSETS / f"{name}.onnx", folder / "model.onnx"))
    session = weights.session_of(target)
    if name == "digits":
        cases.digits(session, folder, seed, ASSETS / "digits" / "images.npy")
    else:
        cases.decoder(session, folder, seed, name, cases.CHARS)


ALL = sorted([*CONVOLUTIONAL, *EXPORTED, "chars", "digits"])


def make(out, seed, models):
    stores = {}
    for name in models:
        folder = out / name
        folder.mkdir()
        if name in CONVOLUTIONAL:
            convolutional(name, folder, seed)
        elif name in EXPORTED:
            exported(name, folder, seed, stores)
        else:
            trained(name, folder, seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; replaced unless it is current")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.seed < 0:
        parser.error("--seed must not be negative")
    if unknown := set(arguments.models) - set(ALL):
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")

    out, models = arguments.out, sorted(set(arguments.models)) or ALL
    stamp = stamp_of(arguments.seed, models)
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
        make(partial, arguments.seed, models)
        (partial / "stamp.json").write_text(json.dumps(stamp))
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


if __name__ == "__main__":
    main()
