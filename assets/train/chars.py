#!/usr/bin/env python3
"""Train the character-level decoder and write chars.onnx, chars.tokenizer.json and chars.README.md.

The text is that of the Rust Book and the Rust Reference (see chars_text.py); it is read from the toolchain's documentation and not
kept. Same seed, same text and same machine give the same weights: everything runs on one thread with seeded draws. About ten
minutes on one core. Afterwards run check.py, which needs no torch.
"""

import argparse
import math
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models
from torch.nn import functional as F

import chars_check
import chars_text
from chars_model import Cached, Decoder, Shape
from onnx_file import OPSET, describe, save

UNKNOWN = "<unk>"
EXTRA_SEEN = 20
"""How often a character beyond ASCII must occur in the training text to get a token of its own."""
BATCH = 8
HIDDEN_RATE = 0.02
"""Peak learning rate of the matrices inside the layers, by Muon (Jordan et al., 2024)."""
OTHER_RATE = 4e-3
"""Peak learning rate of embedding, head and norms, by AdamW."""
WARM_UP = 40


def build_tokenizer(text):
    """One token per character: line feed, printable ASCII, and other characters that are common in the text."""
    counts = {}
    for character in text:
        counts[character] = counts.get(character, 0) + 1
    ascii_part = ["\n", *map(chr, range(0x20, 0x7F))]
    extra = sorted(c for c, count in counts.items() if count >= EXTRA_SEEN and c not in ascii_part)
    vocabulary = {token: number for number, token in enumerate([UNKNOWN, *ascii_part, *extra])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=UNKNOWN))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(UNKNOWN, special=True, normalized=False)])
    return tokenizer


def encode(tokenizer, text):
    """Token numbers of a long text, by table (the same as the tokenizer's, which chars_check compares)."""
    vocabulary = tokenizer.get_vocab()
    return np.fromiter((vocabulary.get(character, 0) for character in text), dtype=np.int64, count=len(text))


def schedule(step, steps):
    """Share of the peak learning rate: linear warm-up, then linear decay to zero."""
    return min((step + 1) / WARM_UP, (steps - step) / (steps - WARM_UP), 1.0)


def optimizers(model):
    """Muon for the layers' matrices, AdamW for the rest."""
    hidden = [weight for weight in model.layers.parameters() if weight.dim() == 2]
    chosen = set(map(id, hidden))
    other = [weight for weight in model.parameters() if id(weight) not in chosen]
    return [
        torch.optim.Muon(hidden, lr=HIDDEN_RATE, weight_decay=0.05, adjust_lr_fn="original"),
        torch.optim.AdamW(other, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def train(model, ids, steps, seed):
    """Train in place on windows drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    tokens, window = torch.from_numpy(ids), model.shape.context + 1
    groups = optimizers(model)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in groups]
    started, running = time.monotonic(), None
    for step in range(steps):
        starts = torch.randint(0, len(tokens) - window, (BATCH,), generator=generator)
        rows = torch.stack([tokens[start : start + window] for start in starts.tolist()])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(rows[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        for optimizer, peak in zip(groups, peaks):
            for group, rate in zip(optimizer.param_groups, peak):
                group["lr"] = rate * schedule(step, steps)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % 100 == 0 or step + 1 == steps:
            print(f"step {step + 1}/{steps}  loss {running:.3f}  {time.monotonic() - started:.0f} s", flush=True)


@torch.no_grad()
def held_out_loss(model, ids):
    """Mean nats per character over the held-out text, in windows of the context that do not overlap."""
    window, total, count = model.shape.context, 0.0, 0
    for start in range(0, len(ids) - 1, window):
        row = torch.from_numpy(ids[start : start + window + 1]).unsqueeze(0)
        total += F.cross_entropy(model(row[:, :-1])[0], row[0, 1:], reduction="sum").item()
        count += row.shape[1] - 1
    return total / count


def export_cached(model, path):
    """Write the decoder with its cache as inputs and outputs."""
    shape, (batch, seq, past) = model.shape, (2, 3, 5)
    names = [f"{layer}.{part}" for layer in range(shape.layers) for part in ("key", "value")]
    cache = [tuple(torch.zeros(batch, shape.heads, past, shape.head_width) for _ in range(2)) for _ in range(shape.layers)]
    # Distinct tensors: the exporter takes one tensor given twice for one input.
    ids, mask, positions = (torch.zeros(batch, length, dtype=torch.int64) for length in (seq, past + seq, seq))
    cache_dims = [tuple({0: "batch", 2: "past"} for _ in range(2)) for _ in range(shape.layers)]
    program = torch.onnx.export(
        Cached(model).eval(),
        (ids, mask, positions, cache),
        dynamo=True,
        opset_version=OPSET,
        input_names=["input_ids", "attention_mask", "position_ids", *(f"past_key_values.{name}" for name in names)],
        output_names=["logits", *(f"present.{name}" for name in names)],
        dynamic_shapes=({0: "batch", 1: "seq"}, {0: "batch", 1: "total"}, {0: "batch", 1: "seq"}, cache_dims),
        verbose=False,
    )
    graph = program.model_proto
    save(graph, path, renamed={"past + seq": "total", "seq + past": "total"})
    return graph


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--html", type=Path, metavar="DIR", help="folder with book/ and reference/ (default: the toolchain's documentation)")
    default = Path(__file__).resolve().parent.parent
    parser.add_argument("--out", type=Path, default=default, metavar="DIR", help="folder to write into (default: assets)")
    parser.add_argument("--steps", type=int, default=2200, help=f"training steps of {BATCH} windows each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first weights and of the windows (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.steps <= WARM_UP:
        parser.error(f"--steps must be more than {WARM_UP}, the warm-up")

    warnings.filterwarnings("ignore", module="torch.onnx")
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True)

    train_text, held_out_text, digest, size = chars_text.load(arguments.html or chars_text.documentation())
    tokenizer = build_tokenizer(train_text)
    model = Decoder(Shape(vocabulary=tokenizer.get_vocab_size()))
    parameters = sum(weight.numel() for weight in model.parameters())
    print(f"{size} bytes of text, {tokenizer.get_vocab_size()} tokens, {parameters} parameters", flush=True)
    train(model, encode(tokenizer, train_text), arguments.steps, arguments.seed)
    loss = held_out_loss(model, encode(tokenizer, held_out_text))
    if not math.isfinite(loss):
        raise SystemExit("training diverged: the held-out loss is not finite")
    print(f"held-out loss {loss:.4f} nats per character")

    arguments.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(arguments.out / "chars.tokenizer.json"))
    print(describe(export_cached(model, arguments.out / "chars.onnx")))
    chars_check.write_readme(
        arguments.out,
        text_facts={"sha256": digest, "bytes": size, "toolchain": chars_text.toolchain()},
        training=f"{arguments.steps} steps of {BATCH} windows of {model.shape.context} characters, seed {arguments.seed}, {parameters:,} parameters",
        context=model.shape.context,
        held_out=held_out_text,
    )


if __name__ == "__main__":
    main()
