"""What the exported decoder does under onnxruntime: loss on held-out text, a step-by-step cache against one pass, a sample."""

from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

PROMPTS = ("The borrow checker ", "```\nfn main() {\n")
"""What the samples in chars.README.md go on from: prose and code."""
SAMPLE_LENGTH = 400
TEMPERATURES = (0.0, 0.6)
SEED = 1
LIMIT = 1e-4
"""Largest difference of a logit allowed between the cached and the uncached pass."""


class Model:
    """chars.onnx and its tokenizer under onnxruntime, on one thread."""

    def __init__(self, folder):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(Path(folder) / "chars.onnx"), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / "chars.tokenizer.json"))
        self.cache_names = [edge.name for edge in self.session.get_inputs() if edge.name.startswith("past_key_values.")]
        _, self.heads, _, self.head_width = next(edge.shape for edge in self.session.get_inputs() if edge.name in self.cache_names)

    def empty_cache(self, batch):
        """A cache of no characters."""
        return [np.zeros((batch, self.heads, 0, self.head_width), np.float32) for _ in self.cache_names]

    def step(self, ids, cache):
        """Logits of new characters after those in the cache, and the cache with them appended."""
        past = cache[0].shape[2]
        batch, seq = ids.shape
        feeds = {
            "input_ids": ids,
            "attention_mask": np.ones((batch, past + seq), np.int64),
            "position_ids": np.broadcast_to(np.arange(past, past + seq), (batch, seq)),
            **dict(zip(self.cache_names, cache)),
        }
        logits, *cache = self.session.run(None, feeds)
        return logits, cache

    def encode(self, text):
        """Token numbers of a text."""
        return np.array(self.tokenizer.encode(text).ids, dtype=np.int64)


def held_out_loss(model, text, window):
    """Mean nats per character, in windows that do not overlap; the first character of a window is not predicted."""
    ids, total, count = model.encode(text), 0.0, 0
    for start in range(0, len(ids) - 1, window):
        row = ids[start : start + window + 1]
        logits, _ = model.step(row[None, :-1], model.empty_cache(1))
        logits = logits[0].astype(np.float64)
        logits -= logits.max(1, keepdims=True)
        chosen = logits[np.arange(len(row) - 1), row[1:]]
        total += float((np.log(np.exp(logits).sum(1)) - chosen).sum())
        count += len(row) - 1
    return total / count


def cache_difference(model, text, chunks=(1, 5, 1, 1, 16)):
    """Largest difference of a logit between one pass and passes over chunks (first these, then single characters)."""
    ids = model.encode(text)
    ids = np.stack([ids[:96], ids[-96:]])
    whole, _ = model.step(ids, model.empty_cache(2))
    cache, worst, start = model.empty_cache(2), 0.0, 0
    for size in [*chunks, *[1] * (ids.shape[1] - sum(chunks))]:
        part, cache = model.step(ids[:, start : start + size], cache)
        worst = max(worst, float(np.abs(part - whole[:, start : start + size]).max()))
        start += size
    return worst


def padding_difference(model, text, pad=7):
    """Largest difference of a logit when a row is padded on the left and the mask leaves the padding out."""
    ids = model.encode(text)[None, :48]
    plain, _ = model.step(ids, model.empty_cache(1))
    padded = np.concatenate((np.zeros((1, pad), np.int64), ids), 1)
    mask, positions = np.ones_like(padded), np.maximum(np.arange(padded.shape[1])[None] - pad, 0)
    mask[:, :pad] = 0
    feeds = {"input_ids": padded, "attention_mask": mask, "position_ids": positions, **dict(zip(model.cache_names, model.empty_cache(1)))}
    return float(np.abs(model.session.run(["logits"], feeds)[0][:, pad:] - plain).max())


def generate(model, prompt, length, temperature, seed):
    """The prompt and characters after it: the likeliest at temperature 0, else drawn."""
    generator = np.random.default_rng(seed)
    ids = model.encode(prompt)
    logits, cache = model.step(ids[None], model.empty_cache(1))
    out = ids.tolist()
    for _ in range(length):
        last = logits[0, -1].astype(np.float64)
        if temperature == 0:
            out.append(int(last.argmax()))
        else:
            shares = np.exp((last - last.max()) / temperature)
            out.append(int(generator.choice(len(shares), p=shares / shares.sum())))
        logits, cache = model.step(np.array([[out[-1]]], np.int64), cache)
    return model.tokenizer.decode(out, skip_special_tokens=False)


def tokenizer_faults(tokenizer, text):
    """What is wrong with the tokenizer: nothing, if each known character is one token and comes back."""
    vocabulary = tokenizer.get_vocab()
    known = "".join(character for character in text if character in vocabulary)
    encoded = tokenizer.encode(known).ids
    faults = []
    if encoded != [vocabulary[character] for character in known]:
        faults.append("a character is not one token")
    if tokenizer.decode(encoded) != known:
        faults.append("decoding does not give the text back")
    if tokenizer.encode("a\u4e16b").ids != [vocabulary["a"], vocabulary["<unk>"], vocabulary["b"]]:
        faults.append("a strange character is not one <unk>")
    return faults


README = """\
# chars.onnx, chars.tokenizer.json

A character-level decoder with learned weights, trained from nothing by `train/chars.py` on the text of *The Rust Programming
Language* and *The Rust Reference*. This file is written by that program.

- **Text**: MIT or Apache-2.0 (the Rust project's licences, at your choice), read from the documentation that comes with the toolchain;
  not kept here. Toolchain `{toolchain}`; {bytes:,} bytes as UTF-8, SHA-256
  `{sha256}` (`train/chars_text.py` prints both).
  One chapter in twenty is held out.
- **Network**: {layers} layers, {heads} heads of {head_width}, RMSNorm, rotary positions, SwiGLU; {training}.
- **Held-out loss**: {loss:.4f} nats per character (onnxruntime, windows of {context} characters).
- **Edges**: `input_ids` i64 [batch, seq], `attention_mask` i64 [batch, total] with total = past + seq, `position_ids` i64 [batch, seq],
  `past_key_values.N.key` and `.value` f32 [batch, {heads}, past, {head_width}]; out come `logits` f32 [batch, seq, {vocabulary}] and `present.N.key`
  and `.value` f32 [batch, {heads}, total, {head_width}]. `past` may be 0. Positions from {context} on were never trained.
- **Tokenizer**: Hugging Face `tokenizers` format, {vocabulary} tokens: `<unk>`, line feed, printable ASCII and characters common in the text;
  one token per character.
- **Cache**: passes with the cache differ from one pass without by at most {cache:.1e} in any logit.

## What it writes
{length} characters after the prompts {prompts}.

{samples}
"""


def indented(text):
    """A Markdown code block that may itself hold fences."""
    return "\n".join(f"    {line}".rstrip() for line in text.rstrip("\n").split("\n"))


def write_readme(folder, text_facts, training, context, held_out):
    """Measure the files in `folder` and write chars.README.md beside them; stops on a fault."""
    model = Model(folder)
    faults = tokenizer_faults(model.tokenizer, held_out)
    difference = cache_difference(model, held_out)
    if faults or difference > LIMIT:
        raise SystemExit(f"not written: {faults or f'the cache changes logits by {difference:.1e}'}")
    loss = held_out_loss(model, held_out, context)
    samples = []
    for temperature in TEMPERATURES:
        samples.append("Greedily:" if temperature == 0 else f"Drawn at temperature {temperature}, seed {SEED}:")
        written = [indented(generate(model, prompt, SAMPLE_LENGTH, temperature, SEED)) for prompt in PROMPTS]
        samples.append("\n\n---\n\n".join(written))
    text = README.format(
        **text_facts,
        training=training,
        context=context,
        layers=len(model.cache_names) // 2,
        heads=model.heads,
        head_width=model.head_width,
        vocabulary=model.tokenizer.get_vocab_size(),
        loss=loss,
        cache=difference,
        prompts=" and ".join(repr(prompt) for prompt in PROMPTS),
        length=SAMPLE_LENGTH,
        samples="\n\n".join(samples),
    )
    (Path(folder) / "chars.README.md").write_text(text, encoding="utf-8")
    print(f"onnxruntime: held-out loss {loss:.4f}, cache against one pass {difference:.1e}")
