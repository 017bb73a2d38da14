#!/usr/bin/env python3
"""Train the digit classifier and write digits.onnx.

A small convolutional network with batch normalisation, two residual blocks and a stage of parallel branches, trained on every row of
assets/digits that test_rows.npy does not name. Same seed and same machine give the same weights: one thread, seeded draws. About
one minute on one core. The number of epochs is fixed beforehand; the test rows are used once, at the end. Afterwards run check.py.
"""

import argparse
import io
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

from onnx_file import OPSET, describe, save

BRIGHTEST = 16.0
"""The largest pixel value; the model divides by it."""
BATCH = 64
RATE = 6e-3
"""Peak learning rate of AdamW, reached a third of the way by the one-cycle schedule (Smith, 2018)."""
SHIFT, TURN, STRETCH = 0.10, 0.20, 0.10
"""Largest shift (share of half the image), turn (radians) and change of size in the training images."""


def conv_norm(inputs, outputs, kernel):
    """A convolution that keeps the size, and its batch normalisation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input is added (He et al., 2015)."""

    def __init__(self, channels):
        super().__init__()
        self.first = conv_norm(channels, channels, 3)
        self.second = conv_norm(channels, channels, 3)

    def forward(self, x):
        return F.relu(x + self.second(F.relu(self.first(x))))


class Branches(nn.Module):
    """Three parallel paths joined along the channels (Szegedy et al., 2014): 1x1; 1x1 then 3x3; 3x3 pooling then 1x1."""

    def __init__(self, inputs, narrow, wide, pooled):
        super().__init__()
        self.point = conv_norm(inputs, narrow, 1)
        self.reduce = conv_norm(inputs, narrow, 1)
        self.area = conv_norm(narrow, wide, 3)
        self.pooled = conv_norm(inputs, pooled, 1)

    def forward(self, x):
        point = F.relu(self.point(x))
        area = F.relu(self.area(F.relu(self.reduce(x))))
        pooled = F.relu(self.pooled(F.max_pool2d(x, 3, stride=1, padding=1)))
        return torch.cat((point, area, pooled), dim=1)


class Digits(nn.Module):
    """Raw pixel values `[batch, 1, 8, 8]` in, logits of the ten digits out."""

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(1, 32, 3)
        self.early = Residual(32)
        self.pool = nn.MaxPool2d(2)
        self.branches = Branches(32, narrow=16, wide=32, pooled=16)
        self.late = Residual(64)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(64, 10)

    def forward(self, images):
        x = F.relu(self.stem(images / BRIGHTEST))
        x = self.pool(self.early(x))
        x = self.late(self.branches(x))
        return self.head(self.average(x).flatten(1))


def load(folder):
    """Training images and labels, then test images and labels."""
    images = torch.from_numpy(np.load(folder / "images.npy")).float().unsqueeze(1)
    labels = torch.from_numpy(np.load(folder / "labels.npy")).long()
    test = torch.zeros(len(images), dtype=torch.bool)
    test[torch.from_numpy(np.load(folder / "test_rows.npy").astype(np.int64))] = True
    return images[~test], labels[~test], images[test], labels[test]


def vary(images, generator):
    """The images, each a little shifted, turned and stretched."""
    count = len(images)

    def draw(reach):
        return (torch.rand(count, generator=generator) * 2 - 1) * reach

    angle, size = draw(TURN), 1 + draw(STRETCH)
    cosine, sine = angle.cos() * size, angle.sin() * size
    rows = [torch.stack((cosine, -sine, draw(SHIFT)), 1), torch.stack((sine, cosine, draw(SHIFT)), 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def train(model, images, labels, epochs, seed):
    """Train in place on images in random order."""
    generator = torch.Generator().manual_seed(seed)
    steps = len(images) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * steps)
    model.train()
    started = time.monotonic()
    for epoch in range(epochs):
        order, total = torch.randperm(len(images), generator=generator), 0.0
        for rows in order[: steps * BATCH].view(steps, BATCH):
            loss = F.cross_entropy(model(vary(images[rows], generator)), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        if (epoch + 1) % 10 == 0 or epoch + 1 == epochs:
            print(f"epoch {epoch + 1}/{epochs}  loss {total / steps:.3f}  {time.monotonic() - started:.0f} s", flush=True)


@torch.no_grad()
def errors(model, images, labels):
    """How many images the model gets wrong."""
    model.eval()
    return int((model(images).argmax(1) != labels).sum())


def write_graph(model, path):
    """Export the classifier with a symbolic batch; returns the graph.

    The TorchScript exporter keeps the module paths as node names and, when told to preserve the mode, the batch normalisation as
    nodes of its own. To fold those is the runtime's to do.
    """
    model.eval()
    buffer = io.BytesIO()
    torch.onnx.export(
        model,
        (torch.zeros(2, 1, 8, 8),),
        buffer,
        dynamo=False,
        opset_version=OPSET,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
    )
    graph = onnx.load_model_from_string(buffer.getvalue())
    save(graph, path)
    return graph


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent.parent
    parser.add_argument("--data", type=Path, default=default / "digits", metavar="DIR", help="folder that digits_data.py wrote (default: assets/digits)")
    parser.add_argument("--out", type=Path, default=default, metavar="DIR", help="folder to write into (default: assets)")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the training images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first weights, the order and the variations (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.epochs < 1:
        parser.error("--epochs must be at least 1")

    warnings.filterwarnings("ignore", category=DeprecationWarning)
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True)

    images, labels, test_images, test_labels = load(arguments.data)
    model = Digits()
    train(model, images, labels, arguments.epochs, arguments.seed)
    for name, part in (("training", (images, labels)), ("test", (test_images, test_labels))):
        wrong, count = errors(model, *part), len(part[1])
        print(f"{name}: {count - wrong} of {count} right, {100 * (count - wrong) / count:.2f} %")

    arguments.out.mkdir(parents=True, exist_ok=True)
    print(describe(write_graph(model, arguments.out / "digits.onnx")))


if __name__ == "__main__":
    main()
