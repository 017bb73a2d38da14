"""What the reference models are asked, and what onnxruntime answers."""

import json
import sys

from weights import generator

# Batch and sequence of the encoder's cases, and whether rows are padded to different lengths.
ENCODER = [
    (1, 1, False),
    (1, 128, False),
    (2, 7, True),
    (3, 33, True),
    (4, 32, False),
    (5, 64, True),
]

# Batch, sequence and past of a decoder's cases, and whether rows are padded to different lengths: a prompt, one token
# behind a cache, and pieces of prompts with and without one.
DECODER = [
    (1, 32, 0, False),
    (1, 1, 128, False),
    (2, 5, 7, True),
    (2, 5, 0, False),
]

# The same of the small trained decoder.
CHARS = [
    (1, 1, 0, False),
    (2, 17, 0, True),
    (1, 64, 0, False),
    (3, 1, 40, True),
    (1, 1, 127, False),
    (2, 5, 11, False),
]


def write(session, folder, dims, inputs):
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
    # Logits come behind probabilities, and before caches.
    *_, last = (array for name, array in outputs.items() if not name.startswith("present"))
    print(f"  {folder.parent.name:14} {folder.name:8} output {list(last.shape)} std {float(last.std()):.3g}", flush=True)


def draw_image(rng, shape, scale=1.0):
    """A random picture: patches of colour under noise. Noise alone averages out in the first layers, and then all
    inputs have nearly the same logits."""
    import numpy as np

    batch, channels, height, width = shape
    patches = rng.standard_normal((batch, channels, 4, 4)) + rng.standard_normal((batch, channels, 1, 1))
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    picture = patches[:, :, rows][:, :, :, columns] + 0.5 * rng.standard_normal(shape)
    return (scale * picture).astype(np.float32)


def pictures(session, seed, name, index, scale):
    """Picture `index` of a network without symbolic dims."""
    rng = generator(seed, name, f"input {index}")
    return {i.name: draw_image(rng, i.shape, scale) for i in session.get_inputs()}


def images(session, folder, seed, network):
    for batch in (1, 3):
        rng = generator(seed, network, f"{batch}")
        inputs = {i.name: draw_image(rng, [batch, *i.shape[1:]]) for i in session.get_inputs()}
        write(session, folder / f"{batch}", {"batch": batch}, inputs)


def attention_mask(rng, batch, seq, padded):
    """Ones; with `padded`, rows end in zeros at random lengths, one row at least is cut and none is empty."""
    import numpy as np

    lengths = np.full(batch, seq)
    if padded:
        lengths = rng.integers(1, seq + 1, batch)
        lengths[rng.integers(batch)] = rng.integers(1, seq)
    return (np.arange(seq)[None, :] < lengths[:, None]).astype(np.int64)


def encoder(session, folder, seed, network):
    import numpy as np

    for batch, seq, padded in ENCODER:
        case = f"{batch}x{seq}"
        rng = generator(seed, network, case)
        inputs = {
            "input_ids": rng.integers(0, 30522, (batch, seq), dtype=np.int64),
            "attention_mask": attention_mask(rng, batch, seq, padded),
            "token_type_ids": rng.integers(0, 2, (batch, seq), dtype=np.int64),
        }
        write(session, folder / case, {"batch": batch, "seq": seq}, inputs)


def decoder(session, folder, seed, network, shapes=DECODER):
    import numpy as np

    caches = [i for i in session.get_inputs() if i.name.startswith("past")]
    vocabulary = session.get_outputs()[0].shape[-1]
    for batch, seq, past, padded in shapes:
        case = f"{batch}x{seq}+{past}"
        rng, total = generator(seed, network, case), past + seq
        # Prompts of different lengths are padded on the left; positions count from the first token.
        mask = attention_mask(rng, batch, total, padded)[:, ::-1]
        positions = np.maximum(mask.cumsum(axis=1) - 1, 0)[:, past:]
        inputs = {
            "input_ids": rng.integers(0, vocabulary, (batch, seq), dtype=np.int64),
            "attention_mask": np.ascontiguousarray(mask),
            "position_ids": np.ascontiguousarray(positions),
        }
        for cache in caches:
            _, heads, _, width = cache.shape
            inputs[cache.name] = rng.standard_normal((batch, heads, past, width), np.float32)
        dims = {"batch": batch, "seq": seq, "past": past, "total": total}
        write(session, folder / case, dims, inputs)


def digits(session, folder, seed, file):
    import numpy as np

    pictures = np.load(file, allow_pickle=False).reshape(-1, 1, 8, 8)
    for batch in (1, 8, 13):
        rng = generator(seed, "digits", f"{batch}")
        chosen = pictures[rng.integers(len(pictures), size=batch)].astype(np.float32)
        write(session, folder / f"{batch}", {"batch": batch}, {"images": chosen})
