#!/usr/bin/env python3
"""Files of weights as the packages of their formats write them, and what their elements are by the same packages.

    weight_files.py write FOLDER [--rows N]   named.gguf with a tensor of each type, named.safetensors, and
                                              named.gguf.f32, named.safetensors.f32: all elements as f32, in the order
                                              of the tensors' names

Needs the packages gguf and safetensors (pip install gguf==0.19.0 safetensors==0.8.0), which no other test does. The
small files that tests read are in runtime/weights/tests/golden; `make golden-weights` writes them anew.
"""

import argparse
from pathlib import Path

import gguf
import numpy as np
import safetensors

BLOCKS = [
    gguf.GGMLQuantizationType.Q8_0,
    gguf.GGMLQuantizationType.Q4_0,
    gguf.GGMLQuantizationType.Q4_K,
    gguf.GGMLQuantizationType.Q6_K,
]

# Where the f16 scales lie in a block.
SCALES = {"Q8_0": [0], "Q4_0": [0], "Q4_K": [0, 2], "Q6_K": [208]}


def halves(random, shape):
    """Floats of 16 bits with any sign, exponent and fraction, but for infinities and NaN."""
    bits = random.integers(0, 1 << 16, shape, dtype=np.uint16)
    return np.where(bits >> 10 & 31 == 31, bits ^ (1 << 13), bits).view(np.float16)


def blocks(random, kind, rows, per_row):
    """Rows of blocks in which every bit is drawn."""
    size = gguf.GGML_QUANT_SIZES[kind][1]
    drawn = random.integers(0, 256, (rows, per_row, size), dtype=np.uint8)
    for at in SCALES[kind.name]:
        drawn[:, :, at : at + 2] = halves(random, (rows, per_row, 1)).view(np.uint8)
    return drawn.reshape(rows, per_row * size)


def write_gguf(random, path, rows):
    writer = gguf.GGUFWriter(path, "llama")
    # Keys of every kind lie before the tensors.
    writer.add_custom_alignment(64)
    writer.add_string("general.name", "tënsors")
    writer.add_array("tokenizer.ggml.tokens", ["<s>", "", "▁a"] * 50)
    writer.add_array("tokenizer.ggml.scores", [0.5, -1.0, 2.0])
    writer.add_bool("a.bool", True)
    writer.add_float64("a.float64", 1e300)
    writer.add_uint16("a.uint16", 7)
    writer.add_int64("an.int64", -(1 << 40))
    elements = {}

    def add(name, data, kind, shape=None):
        writer.add_tensor(name, data, raw_shape=shape, raw_dtype=kind)
        elements[name] = gguf.quants.dequantize(data, kind).astype(np.float32)

    floats = random.standard_normal((rows, 5)).astype(np.float32)
    add("plain.f32", floats, gguf.GGMLQuantizationType.F32)
    add("plain.f16", halves(random, (2, rows, 7)), gguf.GGMLQuantizationType.F16)
    wide = random.standard_normal((rows, 16)).astype(np.float32)
    add("plain.bf16", gguf.quants.quantize(wide, gguf.GGMLQuantizationType.BF16), gguf.GGMLQuantizationType.BF16)
    for kind in BLOCKS:
        add(f"blocks.{kind.name.lower()}", blocks(random, kind, rows, 2), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return elements


def write_safetensors(random, path, rows):
    arrays = {
        "float64": random.standard_normal((rows, 3)),
        "float32": random.standard_normal((rows, 3)).astype(np.float32),
        "float16": halves(random, (rows, 3)),
        "int64": random.integers(-1 << 20, 1 << 20, (rows,), dtype=np.int64),
        "uint8": random.integers(0, 256, (rows, 2), dtype=np.uint8),
        "bool": random.integers(0, 2, (5,), dtype=np.uint8).astype(bool),
    }
    arrays = {f"of.{kind}": (kind, a) for kind, a in arrays.items()}
    elements = {name: a.astype(np.float32) for name, (_, a) in arrays.items()}
    bits = random.integers(0, 1 << 14, (rows, 4), dtype=np.uint16)
    arrays["of.bfloat16"] = ("bfloat16", bits)
    elements["of.bfloat16"] = (bits.astype(np.uint32) << 16).view(np.float32)
    arrays["scalar"] = ("float32", np.array(1.5, np.float32))
    arrays["none"] = ("float32", np.zeros((0, 4), np.float32))
    elements |= {name: arrays[name][1] for name in ("scalar", "none")}
    spec = safetensors.TensorSpec
    tensors = {
        name: spec(dtype=kind, shape=list(a.shape), data_ptr=a.ctypes.data, data_len=a.nbytes)
        for name, (kind, a) in arrays.items()
    }
    path.write_bytes(safetensors.serialize(tensors, {"format": "np"}))
    return elements


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["write"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=2, help="rows of each tensor, of two blocks each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(options.seed)
    for name, write in (("named.gguf", write_gguf), ("named.safetensors", write_safetensors)):
        path = options.folder / name
        elements = write(random, path, options.rows)
        flat = [elements[name].astype("<f4").reshape(-1) for name in sorted(elements)]
        path.with_name(f"{name}.f32").write_bytes(np.concatenate(flat).tobytes())


if __name__ == "__main__":
    main()
