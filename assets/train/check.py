#!/usr/bin/env python3
"""Check the files in assets/ under onnxruntime and print their figures; exit 1 if one does not hold. Needs no torch.

Checked: the split of the digits by hash, both graphs by onnx.checker, the classifier's accuracy at several batch sizes, the
decoder's cache against one pass, left padding, the tokenizer's round trip, and, where the toolchain's documentation is the text that
chars.README.md names, the held-out loss.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import chars_check
import chars_text
from digits_data import image_hashes, split_rows

BATCHES = (1, 7, 360)
LEAST_ACCURACY = 0.985
LARGEST_LOSS = 1.6
LARGEST_BYTES = 8 << 20
CONTEXT = 512


class Report:
    """Prints each figure with whether it holds, and remembers a failure."""

    def __init__(self):
        self.failed = False

    def line(self, holds, text):
        self.failed |= not holds
        print(f"{'ok  ' if holds else 'FAIL'}  {text}", flush=True)


def edges_of(model):
    """The graph's inputs and outputs as `name[dims]`."""
    return {
        edge.name: [dim.dim_param or dim.dim_value for dim in edge.type.tensor_type.shape.dim]
        for edge in [*model.graph.input, *model.graph.output]
    }


def check_graph(report, path, expected):
    """The checker, the edges and the absence of outside data and of paths."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    opset = model.opset_import[0].version
    noted = any(item.metadata_props or item.doc_string for item in model.graph.node)
    whole = all(tensor.data_location != onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)
    edges = edges_of(model)
    holds = whole and not noted and all(edges.get(name) == dims for name, dims in expected.items()) and len(edges) == len(expected)
    report.line(holds, f"{path.name}: opset {opset}, {len(model.graph.node)} nodes, {path.stat().st_size:,} bytes, edges as named")


def check_digits(report, assets):
    """The data, its split, and the classifier's accuracy and independence of the batch."""
    folder = assets / "digits"
    images, labels, rows = (np.load(folder / f"{name}.npy") for name in ("images", "labels", "test_rows"))
    shapes = images.shape == (1797, 8, 8) and labels.shape == (1797,) and images.dtype == labels.dtype == np.uint8 and rows.dtype == np.uint32
    hashes = image_hashes(images)
    test = {hashes[row] for row in rows}
    shared = test & {digest for row, digest in enumerate(hashes) if row not in set(rows.tolist())}
    holds = shapes and not shared and np.array_equal(rows, split_rows(hashes))
    report.line(holds, f"digits/: {len(images)} images, {len(rows)} test rows, {len(shared)} images on both sides")

    check_graph(report, assets / "digits.onnx", {"images": ["batch", 1, 8, 8], "logits": ["batch", 10]})
    session = onnxruntime.InferenceSession(str(assets / "digits.onnx"), providers=["CPUExecutionProvider"])
    pixels = images[rows].astype(np.float32)[:, None]
    by_batch = []
    for batch in BATCHES:
        parts = [session.run(None, {"images": pixels[start : start + batch]})[0] for start in range(0, len(pixels), batch)]
        by_batch.append(np.concatenate(parts))
    difference = max(float(np.abs(logits - by_batch[0]).max()) for logits in by_batch)
    right = int((by_batch[0].argmax(1) == labels[rows]).sum())
    report.line(right >= LEAST_ACCURACY * len(rows), f"digits.onnx: {right} of {len(rows)} test images right, {100 * right / len(rows):.2f} %")
    report.line(difference <= 1e-4, f"digits.onnx: logits at batch {BATCHES} differ by at most {difference:.1e}")


def check_chars(report, assets):
    """The decoder, its cache and its tokenizer; the loss where the text is the same."""
    model = chars_check.Model(assets)
    names = [f"{layer}.{part}" for layer in range(len(model.cache_names) // 2) for part in ("key", "value")]
    vocabulary = model.tokenizer.get_vocab_size()
    expected = {
        "input_ids": ["batch", "seq"],
        "attention_mask": ["batch", "total"],
        "position_ids": ["batch", "seq"],
        "logits": ["batch", "seq", vocabulary],
        **{f"past_key_values.{name}": ["batch", model.heads, "past", model.head_width] for name in names},
        **{f"present.{name}": ["batch", model.heads, "total", model.head_width] for name in names},
    }
    check_graph(report, assets / "chars.onnx", expected)

    sample = Path(__file__).read_text(encoding="utf-8")
    faults = chars_check.tokenizer_faults(model.tokenizer, sample)
    report.line(not faults, f"chars.tokenizer.json: {vocabulary} tokens, {'; '.join(faults) or 'one per character, and back'}")
    for name, difference in (
        ("cache against one pass", chars_check.cache_difference(model, sample)),
        ("left padding against none", chars_check.padding_difference(model, sample)),
    ):
        report.line(difference <= chars_check.LIMIT, f"chars.onnx: {name}, logits differ by at most {difference:.1e}")
    check_loss(report, assets, model)


def check_loss(report, assets, model):
    """The held-out loss, against the limit and the figure in chars.README.md."""
    readme = (assets / "chars.README.md").read_text(encoding="utf-8")
    wanted = re.search(r"`([0-9a-f]{64})`", readme).group(1)
    stated = float(re.search(r"Held-out loss\*\*: ([0-9.]+)", readme).group(1))
    try:
        _, held_out, digest, _ = chars_text.load(chars_text.documentation())
    except (OSError, SystemExit) as error:
        print(f"skip  chars.onnx: held-out loss not measured: {error}")
        return
    if digest != wanted:
        print(f"skip  chars.onnx: held-out loss not measured: the text of this toolchain is {digest}, not that of chars.README.md")
        return
    loss = chars_check.held_out_loss(model, held_out, CONTEXT)
    holds = loss <= LARGEST_LOSS and abs(loss - stated) < 1e-3
    report.line(holds, f"chars.onnx: held-out loss {loss:.4f} nats per character, {stated:.4f} in chars.README.md")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent.parent
    parser.add_argument("--assets", type=Path, default=default, metavar="DIR", help="folder to check (default: assets)")
    assets = parser.parse_args().assets

    report = Report()
    check_digits(report, assets)
    check_chars(report, assets)
    size = sum((assets / name).stat().st_size for name in ("digits.onnx", "chars.onnx"))
    report.line(size < LARGEST_BYTES, f"both models: {size:,} bytes")
    sys.exit(report.failed)


if __name__ == "__main__":
    main()
