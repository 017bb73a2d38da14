#!/usr/bin/env python3
"""The backend test set of the onnx package as files, for the conformance tests.

    conformance.py --out DIR

writes

    DIR/<kind>/<name>/model.onnx               the model
    DIR/<kind>/<name>/<set>/in/input_<i>.pb    a TensorProto for each input that is no initializer
    DIR/<kind>/<name>/<set>/out/output_<i>.pb  and for each output that is expected
    DIR/cases.jsonl                            a line for each case: id, tier, op, sets, rtol, atol
    DIR/stamp.json                             what all of it was made from

Kinds are those of the package: node (one operator each, some beside the same as its expansion), simple,
pytorch-converted, pytorch-operator and light (networks whose inputs and outputs are small). The tier says what a case
needs: core, tensors of the usual element types; control, If, Loop or Scan; narrow, element types of 8 bits and below,
bfloat16 and complex ones; or it begins with "out", and the case is not written: what it is about is no tensor operator.

About 75 MB, made in ten seconds. A folder whose stamp matches the package and this script is kept as it is.
"""

import argparse
import hashlib
import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import DATA_DIR, load_model_tests
from onnx.backend.test.runner import Runner

USUAL = {
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.DOUBLE,
    TensorProto.BOOL,
    *(getattr(TensorProto, sign + bits) for sign in ("INT", "UINT") for bits in ("8", "16", "32", "64")),
}

CONTROL = {"If", "Loop", "Scan"}

# What a case is about that no tensor operator is, by its operators.
ABOUT = {
    "random numbers": {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    },
    "image codecs": {"ImageDecoder"},
    "strings": {"RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"},
    "sequences and optional values": {
        "ConcatFromSequence",
        "Optional",
        "OptionalGetElement",
        "OptionalHasElement",
        "SequenceAt",
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceErase",
        "SequenceInsert",
        "SequenceLength",
        "SequenceMap",
        "SplitToSequence",
    },
}

# A discrete Fourier transform in float32 has an error of its largest value's size times 2^-24, not of its smallest.
ATOL = [(re.compile("^test_(dft|stft)"), 5e-4)]


def nodes(graph):
    """All nodes of a graph and of the bodies in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in [attribute.g, *attribute.graphs]:
                yield from nodes(body)


def dtypes(model):
    """The element types that a model names."""
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        yield value.type.tensor_type.elem_type
    for tensor in model.graph.initializer:
        yield tensor.data_type
    for node in nodes(model.graph):
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype", "output_dtype"):
                yield attribute.i
            if attribute.HasField("t"):
                yield attribute.t.data_type


def tier(name, model):
    """What a case needs: core, control, narrow, or what it is out for."""
    # Not those that the model imports: an expansion names the domain of what it expands.
    domains = {node.domain for node in nodes(model.graph)}
    operators = {node.op_type for node in nodes(model.graph)}
    types = set(dtypes(model)) - {TensorProto.UNDEFINED}
    kinds = {value.type.WhichOneof("value") for value in [*model.graph.input, *model.graph.output]}
    if any(domain.startswith(("ai.onnx.preview", "ai.onnx.training")) for domain in domains):
        return "out: preview and training operators"
    if "ai.onnx.ml" in domains:
        return "out: operators of classical machine learning"
    if TensorProto.STRING in types:
        return "out: strings"
    for what, names in reversed(ABOUT.items()):
        if operators & names:
            return f"out: {what}"
    if not kinds <= {"tensor_type", None}:
        return "out: sequences and optional values"
    if operators & CONTROL:
        return "control"
    # Dropout in training draws, unless it drops nothing.
    if "dropout" in name and "training" in name and "zero_ratio" not in name:
        return "out: random numbers"
    return "narrow" if types - USUAL else "core"


def proto(value, name):
    """A value of a test set as TensorProto."""
    return value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), name)


def write(path, tensors):
    """Writes tensors to PATH_0.pb and so on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for index, tensor in enumerate(tensors):
        Path(f"{path}_{index}.pb").write_bytes(tensor.SerializeToString())


def given(model):
    """The inputs of a graph that are no initializers."""
    initial = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in initial]


def read_sets(folder):
    """The test sets that lie beside a model, as pairs of lists."""
    for data in sorted(folder.glob("test_data_set_*"), key=lambda path: int(path.name.rsplit("_", 1)[1])):
        yield [
            [onnx.load_tensor(data / f"{kind}_{index}.pb") for index in range(len(list(data.glob(f"{kind}_*.pb"))))]
            for kind in ("input", "output")
        ]


def cases():
    """Every case: kind, name, model, tolerances, and its test sets."""
    for case in load_model_tests(kind="node"):
        model = case.model or onnx.load(Path(case.model_dir) / "model.onnx")
        yield "node", case, model, lambda case=case, model=model: [
            (
                [proto(value, info.name) for value, info in zip(inputs, model.graph.input)],
                [proto(value, info.name) for value, info in zip(outputs, model.graph.output)],
            )
            for inputs, outputs in case.data_sets or read_sets(Path(case.model_dir))
        ]
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        for case in load_model_tests(kind=kind):
            folder = Path(case.model_dir)
            yield kind, case, onnx.load(folder / "model.onnx"), lambda folder=folder: list(read_sets(folder))
    for case in load_model_tests(kind="real"):
        path = Path(DATA_DIR) / "light" / Path(case.url).name
        if path.exists():
            model = onnx.load(path)
            yield "light", case, model, lambda case=case, model=model, path=path: [light(case, model, path)]


def light(case, model, path):
    """The inputs that the package makes for a light model, and the outputs that it ships."""
    draw = lambda value: Runner.generate_dummy_data(value, seed=0, name=case.name, random=False)
    inputs = [numpy_helper.from_array(draw(value), value.name) for value in given(model)]
    file = lambda index: path.with_name(f"{path.stem}_output_{index}.pb")
    return inputs, [onnx.load_tensor(file(index)) for index in range(len(model.graph.output))]


def operator(name, model):
    """The operator that a case of one node tests; none for what is expanded."""
    return None if "_expanded" in name or not model.graph.node else model.graph.node[0].op_type


def stamp():
    """What decides the contents of the folder."""
    return {"onnx": onnx.__version__, "script": hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    mark = out / "stamp.json"
    if mark.exists() and json.loads(mark.read_text()) == stamp():
        return
    warnings.filterwarnings("ignore")
    shutil.rmtree(out, ignore_errors=True)
    records = []
    for kind, case, model, sets in cases():
        needs = tier(case.name, model)
        record = {"id": f"{kind}/{case.name}", "tier": needs, "op": operator(case.name, model)}
        if not needs.startswith("out"):
            folder = out / kind / case.name
            folder.mkdir(parents=True)
            (folder / "model.onnx").write_bytes(model.SerializeToString())
            data = sets()
            for index, (inputs, outputs) in enumerate(data):
                write(folder / str(index) / "in" / "input", inputs)
                write(folder / str(index) / "out" / "output", outputs)
            loose = [least for pattern, least in ATOL if kind == "node" and pattern.search(case.name)]
            record |= {"sets": len(data), "rtol": case.rtol, "atol": max([case.atol, *loose])}
        records.append(record)
    records.sort(key=lambda record: record["id"])
    (out / "cases.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    mark.write_text(json.dumps(stamp()))
    written = sum(not record["tier"].startswith("out") for record in records)
    print(f"{written} conformance cases of onnx {onnx.__version__} in {out}, {len(records) - written} are out of scope")


if __name__ == "__main__":
    main()
